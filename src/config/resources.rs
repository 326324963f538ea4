//! The protected resources in a configuration file.

use std::sync::Arc;

use super::Config;
use super::scopes::check_scope;
use super::toml_reader::{FileError, Mistakes, Table, Value};
use crate::oauth::Scope;
use crate::oauth::resource::{DefaultResource, Resource};

/// Reads the tables `[[resources]]`, whose scopes are among those of `config`. A resource with a mistake in it is left
/// out.
pub(super) fn read_resources(tables: Vec<Table>, config: &Config, mistakes: &mut Mistakes) -> Vec<Resource> {
    let mut resources: Vec<Resource> = Vec::new();
    for mut table in tables {
        let uri = match table.take("uri") {
            Some(value) => mistakes.check(read_uri(&value, &resources)),
            None => {
                mistakes.note(table.error("the resource has no uri; add one, as its clients write it"));
                None
            }
        };
        let name = match table.take("name") {
            Some(value) => value.string().and_then(|name| match name.trim() {
                "" => Err(value.error("give a name; the dialog shows it")),
                _ => Ok(name),
            }),
            None => Err(table.error("the resource has no name; add one, the dialog shows it")),
        };
        let name = mistakes.check(name);
        let scope = read_scope(table.take("scopes"), &config.scopes, mistakes);
        mistakes.note_all(table.end("uri, name and scopes"));
        if let (Some(uri), Some(name), Some(scope)) = (uri, name, scope) {
            // Never an error: the URI was read above.
            resources.extend(Resource::new(uri, name, scope));
        }
    }
    resources
}

fn read_uri<'a>(value: &Value<'a>, before: &[Resource]) -> Result<&'a str, FileError> {
    let uri = value.string()?;
    Resource::new(uri, "", Scope::default()).map_err(|error| value.error(format_args!("{uri:?} {error}")))?;
    match before.iter().find(|resource| resource.is(uri)) {
        Some(same) => Err(value.error(format_args!(
            "another resource has the uri {:?}; uris must be unique, whatever the case of scheme and host and with or \
             without a slash at the end",
            same.uri()
        ))),
        None => Ok(uri),
    }
}

fn read_scope(value: Option<Value>, scopes: &[(Arc<str>, String)], mistakes: &mut Mistakes) -> Option<Scope> {
    let Some(value) = value else { return Some(Scope::default()) };
    let mut names = Vec::new();
    for (value, name) in mistakes.check(value.strings())? {
        mistakes.check(check_scope(scopes, &value, name))?;
        names.push(name);
    }
    // A name that is a scope's has no character that a scope may not have.
    Scope::parse(&names.join(" ")).ok()
}

/// Reads a `default_resource`: the URI of one of the `resources`, or "" for none.
///
/// # Errors
/// If there is no such resource.
pub(super) fn read_default(value: &Value, resources: &[Resource]) -> Result<DefaultResource, FileError> {
    let uri = value.string()?;
    match resources.iter().find(|resource| resource.is(uri)) {
        Some(resource) => Ok(DefaultResource::Uri(Arc::clone(resource.uri()))),
        None if uri.is_empty() => Ok(DefaultResource::Nothing),
        None => Err(value.error(format_args!(
            "unknown resource {uri:?}; give the uri of one of the [[resources]], or \"\" for none"
        ))),
    }
}
