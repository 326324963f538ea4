//! The scopes in a configuration file.

use std::sync::Arc;

use super::nearest::nearest;
use super::toml_reader::{FileError, Mistakes, Table, Value};
use crate::oauth::Scope;

/// Scopes that standards define and this server does not support, with what they promise.
const PROMISES: &[(&str, &str)] = &[
    ("openid", "an ID token (OpenID Connect Core 1.0, 3.1.2.1)"),
    ("device_sso", "a device secret (OpenID Connect Native SSO 1.0)"),
    ("uma_protection", "a protection API (UMA 2.0)"),
];

/// Reads the table `[scopes]`: each name with its sentence.
pub(super) fn read_scopes(mut table: Table, mistakes: &mut Mistakes) -> Vec<(Arc<str>, String)> {
    let mut scopes = Vec::new();
    for (name, value) in table.take_rest() {
        let is_name =
            Scope::parse(name).is_ok_and(|scope| scope.names().count() == 1 && scope.as_str() == name);
        if !is_name {
            mistakes.note(
                value.error("a scope's name must be visible ASCII without a space, \" or \\ (RFC 6749, 3.3)"),
            );
        }
        if let Some((_, promise)) = PROMISES.iter().find(|(promised, _)| *promised == name) {
            mistakes.note(value.error(format_args!(
                "this scope promises {promise}, which this server does not support; remove it, or rename your scope"
            )));
        }
        let sentence = value.string().and_then(|sentence| match sentence.trim() {
            "" => Err(value.error("give a sentence that says what the scope allows; the dialog shows it")),
            _ => Ok(sentence.to_owned()),
        });
        // Keep the scope even if it is invalid, so that clients that name it report no second mistake.
        scopes.push((name.into(), mistakes.check(sentence).unwrap_or_default()));
    }
    scopes
}

/// Checks that `name`, the text of `value`, is one of the `scopes`.
///
/// # Errors
/// If it is not; the message suggests the nearest name.
pub(super) fn check_scope(scopes: &[(Arc<str>, String)], value: &Value, name: &str) -> Result<(), FileError> {
    if scopes.iter().any(|(known, _)| **known == *name) {
        return Ok(());
    }
    let suggestion = match nearest(name, scopes.iter().map(|(known, _)| &**known)) {
        Some(known) => format!("did you mean {known:?}? Otherwise "),
        None => String::new(),
    };
    Err(value.error(format_args!("unknown scope {name:?}; {suggestion}add it to [scopes]")))
}
