//! The scopes in a configuration file.

use std::sync::Arc;

use super::nearest::nearest;
use super::toml_reader::{FileError, Mistakes, Table, Value};
use crate::oauth::Scope;

/// Scopes by which standards promise what is not here, with what that is.
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
            mistakes
                .note(value.error("a scope's name is visible ASCII without a space, \" or \\ (RFC 6749, 3.3)"));
        }
        if let Some((_, promise)) = PROMISES.iter().find(|(promised, _)| *promised == name) {
            mistakes.note(value.error(format_args!(
                "this scope promises {promise}, which this server does not have; leave it out, or give your scope \
                 another name"
            )));
        }
        let sentence = value.string().and_then(|sentence| match sentence.trim() {
            "" => Err(value.error("say in a sentence what it allows; the dialog shows it")),
            _ => Ok(sentence.to_owned()),
        });
        // The scope is there, whatever is wrong with it: who names it makes no second mistake.
        scopes.push((name.into(), mistakes.check(sentence).unwrap_or_default()));
    }
    scopes
}

/// Whether `name`, which is the `value`, is one of the `scopes`.
///
/// # Errors
/// With the nearest one, where it is not.
pub(super) fn check_scope(scopes: &[(Arc<str>, String)], value: &Value, name: &str) -> Result<(), FileError> {
    if scopes.iter().any(|(known, _)| **known == *name) {
        return Ok(());
    }
    let suggestion = match nearest(name, scopes.iter().map(|(known, _)| &**known)) {
        Some(known) => format!("did you mean {known:?}? Otherwise "),
        None => String::new(),
    };
    Err(value.error(format_args!("there is no scope {name:?} in [scopes]; {suggestion}add it there")))
}
