//! The clients in a configuration file.

use std::collections::HashSet;
use std::sync::Arc;

use super::Config;
use super::resources::read_default;
use super::scopes::check_scope;
use super::toml_reader::{FileError, Mistakes, Table, Value};
use crate::oauth::Scope;
use crate::oauth::client::{Client, ClientOrigin, GrantTypes, SecretDigest};
use crate::oauth::redirect::RedirectUri;
use crate::oauth::resource::DefaultResource;
use crate::routes::DEMO_CLIENT_ID;

/// The longest `client_id`, in bytes.
const CLIENT_ID_BYTES_MAX: usize = 255;

/// Reads the tables `[[clients]]`, whose scopes are among those of `config`. A client with a mistake in it is left out.
pub(super) fn read_clients(tables: Vec<Table>, config: &Config, mistakes: &mut Mistakes) -> Vec<Client> {
    let mut ids = HashSet::new();
    let mut clients = Vec::new();
    for mut table in tables {
        let id = match table.take("id") {
            Some(value) => mistakes.check(read_client_id(&value, &mut ids)),
            None => {
                mistakes.note(table.error("the client has no id; add one"));
                None
            }
        };
        clients.extend(read_client(id, table, config, mistakes));
    }
    clients
}

fn read_client_id<'a>(value: &Value<'a>, taken: &mut HashSet<&'a str>) -> Result<&'a str, FileError> {
    let id = value.string()?;
    let is_id = (1..=CLIENT_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    match (is_id, id) {
        (_, DEMO_CLIENT_ID) => {
            Err(value.error(format_args!("{id:?} is the id of the demo client; choose another id")))
        }
        (false, _) => {
            Err(value.error("an id must be 1 to 255 characters of visible ASCII without a space, \" or \\"))
        }
        (true, _) if !taken.insert(id) => {
            Err(value.error(format_args!("another client has the id {id:?}; ids must be unique")))
        }
        (true, _) => Ok(id),
    }
}

/// Reads a client; `None` if it has a mistake.
fn read_client(id: Option<&str>, mut table: Table, config: &Config, mistakes: &mut Mistakes) -> Option<Client> {
    // Its name in errors.
    let called = id.map_or_else(|| "the client".to_owned(), |id| format!("the client {id:?}"));
    let in_clear = ["secret", "client_secret"].map(|key| table.take(key));
    for value in in_clear.iter().flatten() {
        mistakes.note(value.error(
            "do not put secrets in this file; use secret_digest. `oauth-from-scratch client-secret` generates a \
             secret and prints it with its digest",
        ));
    }
    let name = mistakes.check(read_name(&called, &mut table));
    let redirect_uris = read_redirect_uris(table.take("redirect_uris"), config, mistakes);
    let secret = table.take("secret_digest").map(|value| read_secret_digest(&value)).transpose();
    let secret = mistakes.check(secret);
    let grant_types = read_grant_types(table.take("grant_types"), mistakes);
    let scope = read_client_scope(table.take("scopes"), &config.scopes, mistakes);
    let inspects_all = table.take("introspects_all").map_or(Ok(false), |value| value.boolean());
    let inspects_all = mistakes.check(inspects_all);
    let default_resource = match table.take("default_resource") {
        Some(value) => mistakes.check(read_default(&value, &config.resources)),
        None => Some(DefaultResource::default()),
    };
    // Report a mistake once: a value that could not be read counts as valid below.
    let has = Parts {
        redirect_uris: redirect_uris.as_ref().is_none_or(|uris| !uris.is_empty()),
        secret: secret.as_ref().is_none_or(Option::is_some) || in_clear.iter().any(Option::is_some),
        inspects_all: inspects_all.unwrap_or(false),
    };
    check_client(&called, &table, grant_types.unwrap_or_default(), &has, mistakes);
    mistakes.note_all(table.end(
        "id, name, redirect_uris, secret_digest, grant_types, scopes, introspects_all and default_resource",
    ));
    Some(Client {
        id: id?.into(),
        origin: ClientOrigin::Configured,
        name: name?,
        redirect_uris: redirect_uris?,
        secret: secret?,
        grant_types: grant_types?,
        scope: scope?,
        default_scope: None,
        inspects_all: inspects_all?,
        default_resource: default_resource?,
    })
}

/// Reads the name of the client that errors call `called`.
fn read_name(called: &str, table: &mut Table) -> Result<String, FileError> {
    match table.take("name") {
        Some(value) => value.string().and_then(|name| match name.trim() {
            "" => Err(value.error("give a name; the dialog shows it")),
            _ => Ok(name.to_owned()),
        }),
        None => Err(table.error(format!("{called} has no name; add one, the dialog shows it"))),
    }
}

/// Reads the redirect URIs; none without the key, `None` if one has a mistake.
fn read_redirect_uris(
    value: Option<Value>,
    config: &Config,
    mistakes: &mut Mistakes,
) -> Option<Vec<RedirectUri>> {
    let Some(value) = value else { return Some(Vec::new()) };
    let parse = if config.insecure_http { RedirectUri::parse_insecure } else { RedirectUri::parse };
    read_list(&value, mistakes, |value, uri| {
        parse(uri).map_err(|error| value.error(format_args!("{uri:?} {error}")))
    })
}

fn read_secret_digest(value: &Value) -> Result<SecretDigest, FileError> {
    let text = value.string()?;
    SecretDigest::parse(text).ok_or_else(|| {
        value.error(
            "malformed secret digest; `oauth-from-scratch client-secret` generates a secret and prints its digest, \
             and with --chosen prints the digest of your own secret",
        )
    })
}

/// Reads each text of a list; `None` if one has a mistake.
fn read_list<'a, T>(
    value: &Value<'a>,
    mistakes: &mut Mistakes,
    mut read: impl FnMut(Value<'a>, &'a str) -> Result<T, FileError>,
) -> Option<Vec<T>> {
    let members = mistakes.check(value.strings())?;
    let read: Vec<Option<T>> =
        members.into_iter().map(|(value, text)| mistakes.check(read(value, text))).collect();
    read.into_iter().collect()
}

fn read_grant_types(value: Option<Value>, mistakes: &mut Mistakes) -> Option<GrantTypes> {
    let Some(value) = value else {
        return Some(GrantTypes { authorization_code: true, ..GrantTypes::default() });
    };
    let mut grant_types = GrantTypes::default();
    read_list(&value, mistakes, |value, name| {
        match name {
            "authorization_code" => grant_types.authorization_code = true,
            "refresh_token" => grant_types.refresh_token = true,
            "client_credentials" => grant_types.client_credentials = true,
            other => {
                let known = "authorization_code, refresh_token and client_credentials";
                return Err(
                    value.error(format_args!("unknown grant type {other:?}; this server supports {known}"))
                );
            }
        }
        Ok(())
    })
    .map(|_| grant_types)
}

fn read_client_scope(
    value: Option<Value>,
    scopes: &[(Arc<str>, String)],
    mistakes: &mut Mistakes,
) -> Option<Scope> {
    let Some(value) = value else { return Some(Scope::default()) };
    let names = read_list(&value, mistakes, |value, name| check_scope(scopes, &value, name).map(|()| name))?;
    let scope = Scope::parse(&names.join(" "));
    mistakes.check(
        scope.map_err(|_| value.error("a name has a character that a scope may not have (RFC 6749, 3.3)")),
    )
}

/// The properties of a client that its grant types depend on.
struct Parts {
    redirect_uris: bool,
    secret: bool,
    inspects_all: bool,
}

fn check_client(called: &str, table: &Table, grant_types: GrantTypes, has: &Parts, mistakes: &mut Mistakes) {
    let rules = [
        (
            !grant_types.authorization_code || has.redirect_uris,
            "has no redirect_uris; the grant type authorization_code requires one",
        ),
        (
            !grant_types.refresh_token || grant_types.authorization_code,
            "has the grant type refresh_token without authorization_code, which issues the refresh tokens",
        ),
        (
            !grant_types.client_credentials || has.secret,
            "has the grant type client_credentials but no secret_digest; only a client with a secret may use it (RFC \
             6749, 4.4)",
        ),
        (
            !has.inspects_all || has.secret,
            "has introspects_all but no secret_digest; only a client with a secret may introspect (RFC 7662, 2.1)",
        ),
    ];
    for (_, words) in rules.iter().filter(|(holds, _)| !holds) {
        mistakes.note(table.error(format!("{called} {words}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_has_a_bound() {
        let read = |length: usize| {
            let id = "i".repeat(length);
            crate::config::read(
                &format!("[[clients]]\nid = {id:?}\nname = \"N\"\nredirect_uris = [\"https://x.example/\"]"),
                1,
            )
        };
        assert!(read(CLIENT_ID_BYTES_MAX).is_ok());
        for length in [0, CLIENT_ID_BYTES_MAX + 1] {
            let mistakes = read(length).unwrap_err().to_string();
            assert!(mistakes.starts_with("line 2: ") && mistakes.contains("1 to 255 characters"), "{mistakes}");
        }
    }
}
