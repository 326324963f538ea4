//! A configuration file, in TOML, to a [`Config`].
//!
//! Every mistake is named by its line, with what would do instead. Nothing is guessed: a key that is not known
//! is a mistake, for it may be a limit that its writer relies on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::toml_reader::{Table, Text, Value};
use super::{Config, ConfigError, Issuer, Lifetimes, Limits, LogFormat, Network, store};
use crate::oauth::Scope;
use crate::oauth::client::{Client, GrantTypes, SecretDigest};
use crate::oauth::grant::RefreshReuse;
use crate::oauth::redirect::RedirectUri;

pub use super::toml_reader::FileError;

/// The longest `client_id`, in bytes.
const CLIENT_ID_BYTES_MAX: usize = 255;

/// What flags say, as far as reading the file depends on it.
#[derive(Clone, Copy, Debug)]
pub struct FromFlags {
    /// How many threads serve where the file does not say.
    pub workers: usize,
    /// Plain http is allowed anywhere, whatever the file says.
    pub insecure_http: bool,
    /// A flag overrides the file's issuer, so the file needs none.
    pub has_issuer: bool,
}

/// Reads the text of a configuration file where no flag is given: see [`read_beside`].
///
/// # Errors
/// As [`read_beside`].
pub fn read(text: &str, workers: usize) -> Result<Config, FileError> {
    read_beside(text, FromFlags { workers, insecure_http: false, has_issuer: false })
}

/// Reads the text of a configuration file. What it does not say is as in [`Config::default`], but there are so
/// many `workers`, and no client app and no demo client unless it asks for them. Whether the parts fit together,
/// [`Config::check`] says.
///
/// # Errors
/// The first mistake, with its line.
pub fn read_beside(text: &str, flags: FromFlags) -> Result<Config, FileError> {
    let source = Text(text);
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.error(at, format!("this is not TOML: {}", error.message()))
    })?;
    let mut root = Table::new(source, "the file", 0, document.get_ref());
    let mut config = Config {
        workers: flags.workers,
        insecure_http: flags.insecure_http,
        client_port: None,
        scopes: Vec::new(),
        secure_scope: None,
        explains_errors: false,
        ..Config::default()
    };

    if let Some(value) = root.take("insecure_http") {
        config.insecure_http |= value.boolean()?;
    }
    if let Some(value) = root.take("issuer") {
        let issuer = match config.insecure_http {
            true => Issuer::parse_insecure(value.string()?),
            false => Issuer::parse(value.string()?),
        };
        config.issuer = Some(issuer.map_err(|error| value.error(format_args!("the value {error}")))?);
    }
    if let Some(value) = root.take("resource_owner") {
        config.resource_owner = value.string()?.into();
    }
    if let Some(value) = root.take("explain_errors") {
        config.explains_errors = value.boolean()?;
    }
    if let Some(value) = root.take("listen") {
        read_listen(value.table("[listen]")?, &mut config)?;
    }
    if let Some(value) = root.take("lifetimes") {
        read_lifetimes(value.table("[lifetimes]")?, &mut config.lifetimes)?;
    }
    if let Some(value) = root.take("limits") {
        read_limits(value.table("[limits]")?, &mut config.limits)?;
    }
    if let Some(value) = root.take("store") {
        config.store = store::read(value.table("[store]")?)?;
    }
    if let Some(value) = root.take("scopes") {
        config.scopes = read_scopes(value.table("[scopes]")?)?;
    }
    if let Some(value) = root.take("secure_scope") {
        let name = value.string()?;
        check_scope(&config.scopes, &value, name)?;
        config.secure_scope = Some(name.into());
    }
    if let Some(value) = root.take("clients") {
        config.clients = read_clients(value.tables("[[clients]]")?, &config)?;
    }
    if !flags.has_issuer {
        check_issuer(&root, &config)?;
    }
    root.end(
        "issuer, insecure_http, resource_owner, explain_errors, secure_scope, [listen], [lifetimes], [store], \
         [limits], [scopes] and [[clients]]",
    )?;
    Ok(config)
}

/// The mistake that [`Config::check`] found in what was read from `text`, with the line of the key that it is
/// about; the first line, where a flag has brought it in.
pub fn locate(text: &str, error: &ConfigError) -> FileError {
    let key = match error {
        ConfigError::Limit(name, _) => name.rsplit('.').next().unwrap_or(name),
        ConfigError::Workers(_) => "workers",
        ConfigError::SamePort(_) => "client_app_port",
    };
    let is_key = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let line = text.lines().position(is_key).map_or(1, |index| index + 1);
    FileError { line, message: error.to_string() }
}

/// Where anyone may come in, the server cannot know what it is called.
fn check_issuer(root: &Table, config: &Config) -> Result<(), FileError> {
    let is_loopback = config.bind.is_none_or(|address| address.is_loopback());
    match config.issuer.is_none() && !is_loopback {
        true => Err(root.error(
            "the issuer is missing, and the server is not bound to loopback; say how clients reach it, such as \
             issuer = \"https://auth.example\"",
        )),
        false => Ok(()),
    }
}

fn read_listen(mut table: Table, config: &mut Config) -> Result<(), FileError> {
    if let Some(value) = table.take("address") {
        let wanted = || value.error("give an IP address, such as \"127.0.0.1\" or \"::1\"");
        config.bind = Some(value.string()?.parse().map_err(|_| wanted())?);
    }
    if let Some(value) = table.take("port") {
        config.auth_port = value.port()?;
    }
    if let Some(value) = table.take("client_app_port") {
        config.client_port = Some(value.port()?);
    }
    if let Some(value) = table.take("trusted_proxies") {
        for (value, text) in value.strings()? {
            config.trusted_proxies.push(Network::parse(text).map_err(|error| value.error(error))?);
        }
    }
    if let Some(value) = table.take("workers") {
        config.workers = value.positive()?.get() as usize;
    }
    if let Some(value) = table.take("log") {
        config.access_log = Some(match value.string()? {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return Err(value.error("give \"text\" or \"json\", or leave it out for no access log")),
        });
    }
    table.end("address, port, client_app_port, trusted_proxies, workers and log")
}

fn read_lifetimes(mut table: Table, lifetimes: &mut Lifetimes) -> Result<(), FileError> {
    let tokens = &mut lifetimes.tokens;
    let fields: [(&str, &mut Duration); 6] = [
        ("code", &mut lifetimes.code),
        ("form", &mut lifetimes.form),
        ("access_token", &mut tokens.access_token),
        ("refresh_token_idle", &mut tokens.refresh_idle),
        ("refresh_token", &mut tokens.refresh),
        ("refresh_grace", &mut tokens.refresh_grace),
    ];
    for (key, field) in fields {
        if let Some(value) = table.take(key) {
            *field = value.seconds()?;
        }
    }
    if let Some(value) = table.take("refresh_reuse") {
        tokens.refresh_reuse = match value.string()? {
            "ends_grant" => RefreshReuse::EndsGrant,
            "until_successor_used" => RefreshReuse::UntilSuccessorUsed,
            _ => return Err(value.error("give \"ends_grant\" or \"until_successor_used\"")),
        };
    }
    table.end(
        "code, form, access_token, refresh_token_idle, refresh_token and refresh_grace, each in seconds, and \
         refresh_reuse",
    )
}

fn read_limits(mut table: Table, limits: &mut Limits) -> Result<(), FileError> {
    let counts: [(&str, &mut usize); 16] = [
        ("request_line_bytes_max", &mut limits.request_line_bytes_max),
        ("head_bytes_max", &mut limits.head_bytes_max),
        ("fields_max", &mut limits.fields_max),
        ("body_bytes_max", &mut limits.body_bytes_max),
        ("output_bytes_max", &mut limits.output_bytes_max),
        ("buffered_bytes_max", &mut limits.buffered_bytes_max),
        ("connections_max", &mut limits.connections_max),
        ("grants_max", &mut limits.grants_max),
        ("store_queue_max", &mut limits.store_queue_max),
        ("refusal_lines_per_second_max", &mut limits.refusal_lines_per_second_max),
        ("log_lines_max", &mut limits.log_lines_max),
        ("secret_checks_running_max", &mut limits.secret_checks_running_max),
        ("secret_checks_waiting_max", &mut limits.secret_checks_waiting_max),
        ("client_secret_checks_waiting_max", &mut limits.client_secret_checks_waiting_max),
        ("peer_secret_checks_waiting_max", &mut limits.peer_secret_checks_waiting_max),
        ("wrong_secret_peers_max", &mut limits.wrong_secret_peers_max),
    ];
    for (key, field) in counts {
        if let Some(value) = table.take(key) {
            *field = value.number()? as usize;
        }
    }
    if let Some(value) = table.take("peer_connections_max") {
        limits.peer_connections_max = Some(value.positive()?.get() as usize);
    }
    if let Some(value) = table.take("pair_grants_max") {
        limits.pair_grants_max = Some(value.positive()?.get() as usize);
    }
    if let Some(value) = table.take("pool_threads_max") {
        limits.pool_threads_max = Some(value.positive()?.get() as usize);
    }
    let numbers: [(&str, &mut u32); 3] = [
        ("body_bytes_per_second_min", &mut limits.body_bytes_per_second_min),
        ("connection_requests_max", &mut limits.connection_requests_max),
        ("wrong_secrets_max", &mut limits.wrong_secrets_max),
    ];
    for (key, field) in numbers {
        if let Some(value) = table.take(key) {
            *field = value.number()?;
        }
    }
    let times: [(&str, &mut Duration); 9] = [
        ("body_grace_time", &mut limits.body_grace_time),
        ("head_time_max", &mut limits.head_time_max),
        ("body_time_max", &mut limits.body_time_max),
        ("idle_time_max", &mut limits.idle_time_max),
        ("write_time_max", &mut limits.write_time_max),
        ("finish_time_max", &mut limits.finish_time_max),
        ("store_time_max", &mut limits.store_time_max),
        ("pool_time_max", &mut limits.pool_time_max),
        ("wrong_secret_time", &mut limits.wrong_secret_time),
    ];
    for (key, field) in times {
        if let Some(value) = table.take(key) {
            *field = value.seconds()?;
        }
    }
    table.end("the limits that docs/reference.md lists")
}

fn read_scopes(mut table: Table) -> Result<Vec<(Arc<str>, String)>, FileError> {
    let mut scopes = Vec::new();
    for (name, value) in table.take_rest() {
        let is_name =
            Scope::parse(name).is_ok_and(|scope| scope.names().count() == 1 && scope.as_str() == name);
        if !is_name {
            return Err(
                value.error("a scope's name is visible ASCII without a space, \" or \\ (RFC 6749, 3.3)")
            );
        }
        let sentence = value.string()?;
        if sentence.trim().is_empty() {
            return Err(value.error("say in a sentence what it allows; the dialog shows it"));
        }
        scopes.push((name.into(), sentence.to_owned()));
    }
    Ok(scopes)
}

fn check_scope(scopes: &[(Arc<str>, String)], value: &Value, name: &str) -> Result<(), FileError> {
    match scopes.iter().any(|(known, _)| **known == *name) {
        true => Ok(()),
        false => Err(value.error(format_args!("there is no scope {name:?} in [scopes]; add it there"))),
    }
}

fn read_clients(tables: Vec<Table>, config: &Config) -> Result<Vec<Client>, FileError> {
    let mut ids = HashSet::new();
    let mut clients = Vec::new();
    for mut table in tables {
        let Some(id_value) = table.take("id") else { return Err(table.error("the client has no id")) };
        let id = read_client_id(&id_value)?;
        if !ids.insert(id) {
            return Err(id_value.error(format_args!("there is another client called {id:?}; ids are unique")));
        }
        clients.push(read_client(id, table, config)?);
    }
    Ok(clients)
}

fn read_client_id<'a>(value: &Value<'a>) -> Result<&'a str, FileError> {
    let id = value.string()?;
    let is_id = (1..=CLIENT_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    match (is_id, id) {
        (_, DEMO_CLIENT_ID) => Err(value.error(format_args!("{id:?} is the demo client's; choose another id"))),
        (false, _) => {
            Err(value.error("an id is 1 to 255 characters of visible ASCII without a space, \" or \\"))
        }
        (true, _) => Ok(id),
    }
}

/// The client that there is when the client app is served.
pub(super) const DEMO_CLIENT_ID: &str = "oauth-test-app";

fn read_client(id: &str, mut table: Table, config: &Config) -> Result<Client, FileError> {
    for key in ["secret", "client_secret"] {
        if let Some(value) = table.take(key) {
            return Err(value.error(
                "a secret does not stand in a file; put its digest, as secret_digest. `oauth-from-scratch \
                 client-secret` makes a secret and prints both",
            ));
        }
    }
    let name = match table.take("name") {
        Some(value) if value.string()?.trim().is_empty() => {
            return Err(value.error("the dialog shows it; say one"));
        }
        Some(value) => value.string()?.to_owned(),
        None => return Err(table.error(format!("the client {id:?} has no name; the dialog shows it"))),
    };
    let mut redirect_uris = Vec::new();
    for (value, uri) in table.take("redirect_uris").map_or(Ok(Vec::new()), |value| value.strings())? {
        let parsed = match config.insecure_http {
            true => RedirectUri::parse_insecure(uri),
            false => RedirectUri::parse(uri),
        };
        redirect_uris.push(parsed.map_err(|error| value.error(format_args!("{uri:?} {error}")))?);
    }
    let secret = match table.take("secret_digest") {
        None => None,
        Some(value) => Some(SecretDigest::parse(value.string()?).ok_or_else(|| {
            value.error(
                "this is no digest of a secret; `oauth-from-scratch client-secret` makes a secret and prints its \
                 digest, and with --chosen prints that of a secret that you chose",
            )
        })?),
    };
    let grant_types = read_grant_types(table.take("grant_types"))?;
    let scope = read_client_scope(table.take("scopes"), &config.scopes)?;
    let inspects_all = table.take("introspects_all").map_or(Ok(false), |value| value.boolean())?;
    check_client(id, &table, grant_types, &redirect_uris, secret.is_some(), inspects_all)?;
    table.end("id, name, redirect_uris, secret_digest, grant_types, scopes and introspects_all")?;
    let (id, name) = (id.into(), name);
    Ok(Client { id, name, redirect_uris, secret, grant_types, scope, inspects_all })
}

fn read_grant_types(value: Option<Value>) -> Result<GrantTypes, FileError> {
    let Some(value) = value else {
        return Ok(GrantTypes { authorization_code: true, ..GrantTypes::default() });
    };
    let mut grant_types = GrantTypes::default();
    for (value, name) in value.strings()? {
        match name {
            "authorization_code" => grant_types.authorization_code = true,
            "refresh_token" => grant_types.refresh_token = true,
            "client_credentials" => grant_types.client_credentials = true,
            other => {
                let known = "authorization_code, refresh_token and client_credentials";
                return Err(
                    value.error(format_args!("there is no grant type {other:?} here; there are {known}"))
                );
            }
        }
    }
    Ok(grant_types)
}

fn read_client_scope(value: Option<Value>, scopes: &[(Arc<str>, String)]) -> Result<Scope, FileError> {
    let Some(value) = value else { return Ok(Scope::default()) };
    let mut names = Vec::new();
    for (value, name) in value.strings()? {
        check_scope(scopes, &value, name)?;
        names.push(name);
    }
    Scope::parse(&names.join(" ")).map_err(|_| value.error("a name holds a character that no scope has"))
}

fn check_client(
    id: &str,
    table: &Table,
    grant_types: GrantTypes,
    redirect_uris: &[RedirectUri],
    is_confidential: bool,
    inspects_all: bool,
) -> Result<(), FileError> {
    let rules = [
        (
            !grant_types.authorization_code || !redirect_uris.is_empty(),
            "has no redirect_uris, and the grant type authorization_code needs one",
        ),
        (
            !grant_types.refresh_token || grant_types.authorization_code,
            "has the grant type refresh_token without authorization_code, from which refresh tokens come",
        ),
        (
            !grant_types.client_credentials || is_confidential,
            "has the grant type client_credentials and no secret_digest; only a client with a secret may act for \
             itself (RFC 6749, 4.4)",
        ),
        (
            !inspects_all || is_confidential,
            "is to introspect tokens and has no secret_digest; only a client with a secret may (RFC 7662, 2.1)",
        ),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, words)) => Err(table.error(format!("the client {id:?} {words}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Location;

    const WHOLE: &str = r#"
issuer = "https://auth.example/t"
resource_owner = "ada"
secure_scope = "answer"
explain_errors = true

[listen]
address = "::1"
port = 0
client_app_port = 4000
workers = 3
log = "json"

[lifetimes]
code = 30
form = 300
access_token = 3600
refresh_token_idle = 100
refresh_token = 1000
refresh_grace = 0

[store]
location = "file:grants.redb"
durability = "relaxed"

[limits]
grants_max = 7
idle_time_max = 0x10
peer_connections_max = 9

[scopes]
answer = "Read the answer."
"https://x.example/b" = "Do the other thing."

[[clients]]
id = "app"
name = "The App"
redirect_uris = ["https://app.example/callback", "com.example.app:/callback"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["answer"]

[[clients]]
id = "robot"
name = "The Robot"
secret_digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
grant_types = ["client_credentials"]
introspects_all = true
"#;

    #[test]
    fn a_file_becomes_a_configuration() {
        let config = read(WHOLE, 1).unwrap();
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.issuer.as_ref().map(Issuer::as_str), Some("https://auth.example/t"));
        assert_eq!((config.bind, config.auth_port, config.client_port), ("::1".parse().ok(), 0, Some(4000)));
        assert_eq!((config.workers, config.access_log), (3, Some(LogFormat::Json)));
        assert_eq!(config.lifetimes.tokens.refresh, Duration::from_secs(1000));
        assert_eq!(config.limits.idle_time_max, Duration::from_secs(16));
        assert_eq!((config.limits.grants_max, config.limits.peer_connections_max), (7, Some(9)));
        assert_eq!((&*config.scopes[1].0, config.scopes.len()), ("https://x.example/b", 2));
        assert_eq!((&*config.resource_owner, config.secure_scope.as_deref()), ("ada", Some("answer")));
        assert_eq!(config.store.location, Location::File("grants.redb".into()));
        assert!(config.store.is_relaxed);
        let [app, robot] = &config.clients[..] else { panic!("two clients") };
        assert_eq!((&*app.id, &*app.name, app.redirect_uris.len()), ("app", "The App", 2));
        assert_eq!((app.is_confidential(), app.scope.as_str()), (false, "answer"));
        assert!(robot.is_confidential() && robot.inspects_all && robot.grant_types.client_credentials);
    }

    #[test]
    fn a_file_that_asks_for_no_client_app_gets_none_and_no_demo() {
        let config = read("", 1).unwrap();
        assert_eq!((config.client_port, config.clients.len(), config.scopes.len()), (None, 0, 0));
        assert!(!config.explains_errors);
    }

    #[test]
    fn plain_http_is_allowed_anywhere_by_one_key_wherever_it_is_in_the_file() {
        let text = "issuer = \"http://auth:3001\"\n[[clients]]\nid = \"app\"\nname = \"App\"\n\
                    redirect_uris = [\"http://app:8080/cb\"]";
        assert!(read(text, 1).map(drop).unwrap_err().message.contains("--insecure-http"));
        let allowed = format!("insecure_http = true\n{text}");
        let by_flag = FromFlags { workers: 1, insecure_http: true, has_issuer: false };
        for config in [read(&allowed, 1), read_beside(text, by_flag)] {
            let config = config.unwrap();
            assert!(
                config.insecure_http && config.clients[0].redirect_uris[0].as_str() == "http://app:8080/cb"
            );
        }
        let error = read(&allowed.replace("true", "false"), 1).map(drop).unwrap_err();
        assert_eq!(error.line, 2);
        let client_alone = text.replace("http://auth:3001", "https://auth.example");
        assert_eq!(read(&client_alone, 1).map(drop).unwrap_err().line, 5);
    }

    #[test]
    fn a_refresh_token_that_comes_back_ends_its_grant_unless_the_file_says_otherwise() {
        let check = |text: &str, reuse: RefreshReuse| {
            assert_eq!(read(text, 1).unwrap().lifetimes.tokens.refresh_reuse, reuse, "{text}");
        };
        check("", RefreshReuse::EndsGrant);
        check("[lifetimes]\nrefresh_reuse = \"ends_grant\"", RefreshReuse::EndsGrant);
        check("[lifetimes]\nrefresh_reuse = \"until_successor_used\"", RefreshReuse::UntilSuccessorUsed);
        let error = read("[lifetimes]\nrefresh_reuse = \"never\"", 1).map(drop).unwrap_err().to_string();
        assert_eq!(error, "line 2: refresh_reuse: give \"ends_grant\" or \"until_successor_used\"");
    }

    #[test]
    fn the_bound_of_a_pair_is_read_and_is_at_least_one() {
        let read = |value: &str| read(&format!("[limits]\npair_grants_max = {value}"), 1);
        assert_eq!(read("100").unwrap().pair_grants_max(), 100);
        assert!(read("0").is_err());
    }

    #[test]
    fn every_mistake_is_named_by_its_line_with_what_would_do() {
        let check = |text: &str, line: usize, words: &str| {
            let error = read(text, 1).map(|_| ()).unwrap_err();
            assert!(error.line == line && error.message.contains(words), "{text}\n{error}");
        };
        // Broken in one place each.
        let changed = |from: &str, to: &str, line: usize, words: &str| {
            assert!(WHOLE.contains(from), "{from}");
            check(&WHOLE.replacen(from, to, 1), line, words);
        };
        check("issuer = ", 1, "this is not TOML");
        check("\n\nissuer = \"a\"\nissuer = \"b\"", 4, "this is not TOML: duplicate key");
        changed("https://auth.example/t", "http://auth.example", 2, "is plain http");
        changed(
            "resource_owner",
            "resource_owners",
            3,
            "there is no key resource_owners in the file; it may have",
        );
        changed("\"ada\"", "7", 3, "give a text in quotation marks here, not a TOML integer");
        changed("= \"answer\"", "= \"anser\"", 4, "there is no scope \"anser\" in [scopes]");
        changed("= true", "= \"yes\"", 5, "give true or false");
        changed("\"::1\"", "\"localhost\"", 8, "give an IP address");
        changed("port = 0", "port = 65536", 9, "give a port from 0 to 65535");
        changed("port = 0", "port = -1", 9, "give a number from 0");
        changed("workers = 3", "workers = 0", 11, "at least 1");
        changed("workers = 3", "threads = 3", 11, "no key threads in [listen]");
        changed("\"json\"", "\"xml\"", 12, "\"text\" or \"json\"");
        changed("access_token = 3600", "access_tokens = 3600", 17, "no key access_tokens in [lifetimes]");
        changed("code = 30", "code = 1.5", 15, "give a number");
        changed("grants_max", "grant_max", 27, "no key grant_max in [limits]");
        changed("\"Read the answer.\"", "\" \"", 32, "say in a sentence");
        changed("\"https://x.example/b\"", "\"a b\"", 33, "without a space");
        changed("id = \"app\"\n", "", 35, "the client has no id");
        changed("id = \"app\"", "id = \"a b\"", 36, "visible ASCII");
        changed("id = \"robot\"", "id = \"app\"", 43, "there is another client called \"app\"");
        changed("id = \"app\"", "id = \"oauth-test-app\"", 36, "is the demo client's");
        changed("name = \"The App\"\n", "", 35, "the client \"app\" has no name");
        changed("https://app.example/callback", "https://app.example/#x", 38, "has a fragment");
        changed("com.example.app:/callback", "javascript:alert(1)", 38, "has a scheme that a browser executes");
        changed("\"refresh_token\"]", "\"password\"]", 39, "there is no grant type \"password\" here");
        changed("scopes = [\"answer\"]", "scopes = [\"other\"]", 40, "there is no scope \"other\"");
        changed("secret_digest", "secret", 45, "a secret does not stand in a file");
        changed("sha256:ba", "ba", 45, "this is no digest of a secret");
        changed("[\"client_credentials\"]", "[\"authorization_code\"]", 42, "has no redirect_uris");
        changed("[\"authorization_code\", ", "[", 35, "refresh_token without authorization_code");
        changed("\"refresh_token\"]", "\"client_credentials\"]", 35, "only a client with a secret");
        changed("introspects_all = true", "introspect = true", 47, "no key introspect in [[clients]]");
        changed("\"file:grants.redb\"", "\"disk\"", 23, "none of memory, file:PATH and redis://HOST:PORT");
        changed("\"file:grants.redb\"", "\"memory\"", 24, "durability is for a file");
        changed("\"relaxed\"", "\"low\"", 24, "\"full\" or \"relaxed\"");
        changed("durability = \"relaxed\"", "wait_for_replicas = 1", 24, "this is for an engine");
        changed("durability = \"relaxed\"", "key_prefix = \"a\"", 24, "this is for an engine");
        changed("durability = \"relaxed\"", "key_prefix = \"{a}\"", 24, "give 1 to 128 letters, digits");
        changed("durability", "sync", 24, "no key sync in [store]");
        check("[listen]\naddress = \"0.0.0.0\"", 1, "the issuer is missing");
        check("clients = 7", 1, "give tables, each begun with [[clients]], here");
    }

    #[test]
    fn a_client_id_has_a_bound() {
        let read = |length: usize| {
            let id = "i".repeat(length);
            super::read(
                &format!("[[clients]]\nid = {id:?}\nname = \"N\"\nredirect_uris = [\"https://x.example/\"]"),
                1,
            )
        };
        assert!(read(CLIENT_ID_BYTES_MAX).is_ok());
        for length in [0, CLIENT_ID_BYTES_MAX + 1] {
            let error = read(length).unwrap_err();
            assert!(error.line == 2 && error.message.contains("1 to 255 characters"), "{error:?}");
        }
    }
}
