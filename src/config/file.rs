//! Reads a configuration file, in TOML, into a [`Config`].
//!
//! Reports every mistake with its line and the remedy. An unknown key is a mistake, because it may be a misspelt limit
//! that its author relies on.

use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::client_documents::read_documents;
use super::clients::read_clients;
use super::resources::{read_default, read_resources};
use super::scopes::{check_scope, read_scopes};
use super::toml_reader::{Table, Text, Value};
use super::{Config, ConfigError, Limits, store};
use crate::net::{LogFormat, Network};
use crate::oauth::grant::RefreshReuse;
use crate::oauth::issuer::Issuer;
use crate::oauth::lifetimes::Lifetimes;
use crate::routes::DEMO_SCOPES;

pub use super::toml_reader::{FileError, Mistakes};

/// The flags that affect how the file is read.
#[derive(Clone, Copy, Debug)]
pub struct FromFlags {
    /// The number of workers if the file has none.
    pub workers: usize,
    /// Allows plain http on any host, in addition to the file's `insecure_http`.
    pub insecure_http: bool,
    /// A flag gives the issuer, so the file needs none.
    pub has_issuer: bool,
}

/// Reads the text of a configuration file without flags: see [`read_beside`].
///
/// # Errors
/// As [`read_beside`].
pub fn read(text: &str, workers: usize) -> Result<Config, Mistakes> {
    read_beside(text, FromFlags { workers, insecure_http: false, has_issuer: false })
}

/// Reads the text of a configuration file. Missing keys have the values of [`Config::default`], with the `workers` of
/// `flags`; the client app and its demo client exist only if the file configures them. [`Config::check`] remains to be
/// called: it checks ranges, and that the values fit together.
///
/// # Errors
/// Every mistake, with its line.
pub fn read_beside(text: &str, flags: FromFlags) -> Result<Config, Mistakes> {
    let source = Text(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mistake = |error: &toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            source.error(at, format!("invalid TOML: {}", error.message()))
        };
        return Err(Mistakes::new(errors.iter().map(mistake).collect()));
    }
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
    let mut mistakes = Mistakes::default();
    read_root(&mut root, &mut config, flags, &mut mistakes);
    mistakes.note_all(root.end(
        "issuer, insecure_http, resource_owner, explain_errors, secure_scope, default_resource, keys, \
         registration, fetch_client_documents, wire, wire_with_lasting_store, [listen], [lifetimes], [store], \
         [limits], [scopes], [[resources]], [[clients]] and [[client_documents]]",
    ));
    mistakes.into_result(config)
}

fn read_root(root: &mut Table, config: &mut Config, flags: FromFlags, mistakes: &mut Mistakes) {
    let has_issuer = read_values(root, config, mistakes) || flags.has_issuer;
    let client_app = read_tables(root, config, mistakes);
    // After the scopes, which it is one of.
    let secure_scope = root.take("secure_scope");
    if let Some(value) = secure_scope {
        let name =
            value.string().and_then(|name| check_scope(&config.scopes, &value, name).map(|()| name.into()));
        mistakes.set(&mut config.secure_scope, name.map(Some));
    }
    read_lists(root, config, mistakes);
    if let Some(value) = client_app {
        mistakes.note_all(check_client_app(config, &value, secure_scope.as_ref()));
    }
    if !has_issuer {
        mistakes.check(check_issuer(root, config));
    }
}

/// Reads the keys that need no other part of the file. Returns whether the file has an issuer, valid or not.
fn read_values(root: &mut Table, config: &mut Config, mistakes: &mut Mistakes) -> bool {
    if let Some(value) = root.take("insecure_http") {
        config.insecure_http |= mistakes.check(value.boolean()).unwrap_or(false);
    }
    let issuer = root.take("issuer");
    if let Some(value) = issuer {
        let parse = if config.insecure_http { Issuer::parse_insecure } else { Issuer::parse };
        let issuer = value.string().map(parse);
        let issuer =
            issuer.and_then(|issuer| issuer.map_err(|error| value.error(format_args!("the value {error}"))));
        mistakes.set(&mut config.issuer, issuer.map(Some));
    }
    if let Some(value) = root.take("resource_owner") {
        mistakes.set(&mut config.resource_owner, value.string().map(Arc::from));
    }
    if let Some(value) = root.take("explain_errors") {
        mistakes.set(&mut config.explains_errors, value.boolean());
    }
    if let Some(value) = root.take("keys") {
        let path = value.string().and_then(|path| match path {
            "" => Err(value.error("give the path of a file, or remove this key")),
            path => Ok(Some(path.into())),
        });
        mistakes.set(&mut config.keys, path);
    }
    if let Some(value) = root.take("registration") {
        mistakes.set(&mut config.registration, value.boolean().map(Some));
    }
    if let Some(value) = root.take("fetch_client_documents") {
        mistakes.set(&mut config.fetches_client_documents, value.boolean().map(Some));
    }
    if let Some(value) = root.take("wire") {
        mistakes.set(&mut config.wire.is_wanted, value.boolean().map(Some));
    }
    if let Some(value) = root.take("wire_with_lasting_store") {
        mistakes.set(&mut config.wire.with_lasting_store, value.boolean());
    }
    issuer.is_some()
}

/// Reads the tables that the file has at most once each. Returns the port of the client app, if the file has one.
fn read_tables<'a>(root: &mut Table<'a>, config: &mut Config, mistakes: &mut Mistakes) -> Option<Value<'a>> {
    let mut table = |key, name| {
        let value = root.take(key)?;
        mistakes.check(value.table(name))
    };
    let (listen, lifetimes, limits) =
        (table("listen", "[listen]"), table("lifetimes", "[lifetimes]"), table("limits", "[limits]"));
    let (store, scopes) = (table("store", "[store]"), table("scopes", "[scopes]"));
    let client_app = listen.and_then(|table| read_listen(table, config, mistakes));
    if let Some(table) = lifetimes {
        read_lifetimes(table, &mut config.lifetimes, mistakes);
    }
    if let Some(table) = limits {
        read_limits(table, &mut config.limits, mistakes);
    }
    if let Some(table) = store {
        config.store = store::read(table, mistakes);
    }
    if let Some(table) = scopes {
        config.scopes = read_scopes(table, mistakes);
    }
    client_app
}

/// Reads the resources and the clients, which refer to the scopes of `config`; clients refer to resources, too.
fn read_lists(root: &mut Table, config: &mut Config, mistakes: &mut Mistakes) {
    if let Some(value) = root.take("resources")
        && let Some(tables) = mistakes.check(value.tables("[[resources]]"))
    {
        config.resources = read_resources(tables, config, mistakes);
    }
    if let Some(value) = root.take("default_resource") {
        mistakes.set(&mut config.default_resource, read_default(&value, &config.resources));
    }
    if let Some(value) = root.take("clients")
        && let Some(tables) = mistakes.check(value.tables("[[clients]]"))
    {
        config.clients = read_clients(tables, config, mistakes);
    }
    if let Some(value) = root.take("client_documents") {
        if !cfg!(feature = "mcp") {
            mistakes.note(value.error(ConfigError::NotBuiltIn("documents of clients", "mcp")));
        } else if let Some(tables) = mistakes.check(value.tables("[[client_documents]]")) {
            let clients = read_documents(tables, config, mistakes);
            config.clients.extend(clients);
        }
    }
}

/// Checks that the client app's one scope exists and that `/secure` accepts it.
fn check_client_app(config: &Config, port: &Value, secure_scope: Option<&Value>) -> Vec<FileError> {
    let (asked, sentence) = DEMO_SCOPES[0];
    let mut mistakes = Vec::new();
    if !config.scopes.iter().any(|(name, _)| **name == *asked) {
        mistakes.push(port.error(format_args!(
            "the client app requests the scope {asked:?}, which is not in [scopes]; add {asked} = {sentence:?} there, \
             or remove client_app_port"
        )));
    }
    match (secure_scope, config.secure_scope.as_deref()) {
        (Some(value), Some(name)) if name != asked => mistakes.push(value.error(format_args!(
            "the client app requests only the scope {asked:?}, so /secure would refuse it; set this to {asked:?}, or \
             remove secure_scope or client_app_port"
        ))),
        _ => {}
    }
    mistakes
}

/// Adds to an error of [`Config::check`] the line of its key in `text`; line 1 if the value comes from a flag.
pub fn locate(text: &str, error: &ConfigError) -> FileError {
    let key = match error {
        ConfigError::Limit(name, _) => name.rsplit('.').next().unwrap_or(name),
        ConfigError::Workers(_) => "workers",
        ConfigError::SamePort(_) => "client_app_port",
        ConfigError::WireBeyondLoopback(_)
        | ConfigError::WireOfPublicIssuer
        | ConfigError::WireOfLastingStore => "wire",
        ConfigError::RegistrationKeys => "registration",
        ConfigError::NotBuiltIn(_, "client-documents") => "fetch_client_documents",
        ConfigError::NotBuiltIn(_, "mcp") => "registration",
        ConfigError::Lesson(flag, _) | ConfigError::NotBuiltIn(_, flag) => flag,
    };
    let is_key = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let line = text.lines().position(is_key).map_or(1, |index| index + 1);
    FileError { line, message: error.to_string() }
}

/// Requires an issuer unless the server listens on loopback: it cannot know its public name.
fn check_issuer(root: &Table, config: &Config) -> Result<(), FileError> {
    let is_loopback = config.bind.is_none_or(|address| address.is_loopback());
    if config.issuer.is_none() && !is_loopback {
        Err(root.error(
        "the issuer is missing, and the server does not listen on loopback; add the URL by which clients reach \
         it, such as issuer = \"https://auth.example\"",
    ))
    } else {
        Ok(())
    }
}

/// Reads the table `[listen]`. Returns the port of the client app, if the table has one.
fn read_listen<'a>(mut table: Table<'a>, config: &mut Config, mistakes: &mut Mistakes) -> Option<Value<'a>> {
    if let Some(value) = table.take("address") {
        let wanted = |_| value.error("give an IP address, such as \"127.0.0.1\" or \"::1\"");
        let address = value.string().and_then(|text| text.parse().map_err(wanted));
        mistakes.set(&mut config.bind, address.map(Some));
    }
    if let Some(value) = table.take("port") {
        mistakes.set(&mut config.auth_port, value.port());
    }
    let client_app = table.take("client_app_port");
    if let Some(value) = client_app {
        mistakes.set(&mut config.client_port, value.port().map(Some));
    }
    if let Some(value) = table.take("trusted_proxies") {
        for (value, text) in mistakes.check(value.strings()).unwrap_or_default() {
            let network = Network::parse(text).map_err(|error| value.error(error));
            config.trusted_proxies.extend(mistakes.check(network));
        }
    }
    if let Some(value) = table.take("workers") {
        mistakes.set(&mut config.workers, value.positive().map(|number| number.get() as usize));
    }
    if let Some(value) = table.take("log") {
        let format = value.string().and_then(|text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(value.error("give \"text\" or \"json\", or remove this key for no access log")),
        });
        mistakes.set(&mut config.access_log, format.map(Some));
    }
    mistakes.note_all(table.end("address, port, client_app_port, trusted_proxies, workers and log"));
    client_app
}

fn read_lifetimes(mut table: Table, lifetimes: &mut Lifetimes, mistakes: &mut Mistakes) {
    let tokens = &mut lifetimes.tokens;
    let fields: [(&'static str, &mut Duration); 6] = [
        ("code", &mut lifetimes.code),
        ("form", &mut lifetimes.form),
        ("access_token", &mut tokens.access_token),
        ("refresh_token_idle", &mut tokens.refresh_idle),
        ("refresh_token", &mut tokens.refresh),
        ("refresh_grace", &mut tokens.refresh_grace),
    ];
    for (key, field) in fields {
        if let Some(value) = table.take(key) {
            mistakes.set(field, value.seconds());
        }
    }
    if let Some(value) = table.take("refresh_reuse") {
        let reuse = value.string().and_then(|text| match text {
            "ends_grant" => Ok(RefreshReuse::EndsGrant),
            "until_successor_used" => Ok(RefreshReuse::UntilSuccessorUsed),
            _ => Err(value.error("give \"ends_grant\" or \"until_successor_used\"")),
        });
        mistakes.set(&mut tokens.refresh_reuse, reuse);
    }
    mistakes.note_all(table.end(
        "code, form, access_token, refresh_token_idle, refresh_token and refresh_grace, each in seconds, and \
         refresh_reuse",
    ));
}

fn read_limits(mut table: Table, limits: &mut Limits, mistakes: &mut Mistakes) {
    let counts: [(&'static str, &mut usize); 18] = [
        ("request_line_bytes_max", &mut limits.http.request_line_bytes_max),
        ("head_bytes_max", &mut limits.http.head_bytes_max),
        ("fields_max", &mut limits.http.fields_max),
        ("body_bytes_max", &mut limits.http.body_bytes_max),
        ("output_bytes_max", &mut limits.http.output_bytes_max),
        ("buffered_bytes_max", &mut limits.net.buffered_bytes_max),
        ("connections_max", &mut limits.net.connections_max),
        ("streams_max", &mut limits.routes.streams_max),
        ("grants_max", &mut limits.store.grants_max),
        ("store_queue_max", &mut limits.store.store_queue_max),
        ("refusal_lines_per_second_max", &mut limits.net.refusal_lines_per_second_max),
        ("log_lines_max", &mut limits.log_lines_max),
        ("secret_checks_running_max", &mut limits.routes.secret_checks_running_max),
        ("secret_checks_waiting_max", &mut limits.routes.secret_checks_waiting_max),
        ("client_secret_checks_waiting_max", &mut limits.routes.client_secret_checks_waiting_max),
        ("peer_secret_checks_waiting_max", &mut limits.routes.peer_secret_checks_waiting_max),
        ("wrong_secret_peers_max", &mut limits.routes.wrong_secret_peers_max),
        ("registration_peers_max", &mut limits.routes.registration_peers_max),
    ];
    for (key, field) in counts {
        if let Some(value) = table.take(key) {
            mistakes.set(field, value.number().map(|number| number as usize));
        }
    }
    let bounds: [(&'static str, &mut Option<usize>); 4] = [
        ("peer_connections_max", &mut limits.net.peer_connections_max),
        ("peer_streams_max", &mut limits.routes.peer_streams_max),
        ("pool_threads_max", &mut limits.net.pool_threads_max),
        ("pair_grants_max", &mut limits.store.pair_grants_max),
    ];
    for (key, field) in bounds {
        if let Some(value) = table.take(key) {
            mistakes.set(field, value.positive().map(|number| Some(number.get() as usize)));
        }
    }
    let numbers: [(&'static str, &mut u32); 4] = [
        ("wrong_secrets_max", &mut limits.routes.wrong_secrets_max),
        ("registrations_max", &mut limits.routes.registrations_max),
        ("connection_requests_max", &mut limits.http.connection_requests_max),
        ("body_bytes_per_second_min", &mut limits.http.body_bytes_per_second_min),
    ];
    for (key, field) in numbers {
        if let Some(value) = table.take(key) {
            mistakes.set(field, value.number());
        }
    }
    let times: [(&'static str, &mut Duration); 11] = [
        ("head_time_max", &mut limits.http.head_time_max),
        ("body_time_max", &mut limits.http.body_time_max),
        ("body_grace_time", &mut limits.http.body_grace_time),
        ("idle_time_max", &mut limits.http.idle_time_max),
        ("write_time_max", &mut limits.http.write_time_max),
        ("finish_time_max", &mut limits.net.finish_time_max),
        ("store_time_max", &mut limits.routes.store_time_max),
        ("pool_time_max", &mut limits.routes.pool_time_max),
        ("wrong_secret_time", &mut limits.routes.wrong_secret_time),
        ("registration_time", &mut limits.routes.registration_time),
        ("refused_guess_delay", &mut limits.routes.refused_guess_delay),
    ];
    for (key, field) in times {
        if let Some(value) = table.take(key) {
            mistakes.set(field, value.seconds());
        }
    }
    mistakes.note_all(table.end("the limits that docs/reference.md lists"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Location;

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
body_grace_time = 8
body_bytes_per_second_min = 99

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
        assert_eq!(config.limits.http.idle_time_max, Duration::from_secs(16));
        assert_eq!((config.limits.store.grants_max, config.limits.net.peer_connections_max), (7, Some(9)));
        assert_eq!(config.limits.http.body_grace_time, Duration::from_secs(8));
        assert_eq!(config.limits.http.body_bytes_per_second_min, 99);
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
    fn documents_that_are_not_built_in_are_refused_by_name() {
        let message = "line 1: client_documents: this program was built without documents of clients; build it with \
                       --features mcp";
        let mistakes = read("[[client_documents]]\n", 1).unwrap_err().to_string();
        assert_eq!(mistakes == message, !cfg!(feature = "mcp"), "{mistakes}");
        let error = ConfigError::NotBuiltIn("registration of clients", "mcp");
        assert_eq!(locate("keys = \"k\"\nregistration = true\n", &error).line, 2);
    }

    #[test]
    fn a_file_that_asks_for_no_client_app_gets_none_and_no_demo() {
        let config = read("", 1).unwrap();
        assert_eq!((config.client_port, config.clients.len(), config.scopes.len()), (None, 0, 0));
        assert!(!config.explains_errors);
    }

    #[test]
    fn one_key_anywhere_in_the_file_allows_plain_http() {
        let text = "issuer = \"http://auth:3001\"\n[[clients]]\nid = \"app\"\nname = \"App\"\n\
                    redirect_uris = [\"http://app:8080/cb\"]";
        let lines = |text: &str| -> Vec<usize> {
            read(text, 1).map(drop).unwrap_err().iter().map(|mistake| mistake.line).collect()
        };
        assert!(read(text, 1).map(drop).unwrap_err().to_string().contains("--insecure-http"));
        let allowed = format!("insecure_http = true\n{text}");
        let by_flag = FromFlags { workers: 1, insecure_http: true, has_issuer: false };
        for config in [read(&allowed, 1), read_beside(text, by_flag)] {
            let config = config.unwrap();
            assert!(
                config.insecure_http && config.clients[0].redirect_uris[0].as_str() == "http://app:8080/cb"
            );
        }
        assert_eq!(lines(&allowed.replace("true", "false")), [2, 6]);
        let client_alone = text.replace("http://auth:3001", "https://auth.example");
        assert_eq!(lines(&client_alone), [5]);
    }

    #[test]
    fn a_reused_refresh_token_ends_its_grant_by_default() {
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
        assert_eq!(read("100").unwrap().limits.store.pair_grants_max(), 100);
        assert!(read("0").is_err());
    }

    #[test]
    fn every_mistake_is_named_by_its_line_with_what_would_do() {
        let check = |text: &str, line: usize, words: &str| {
            let mistakes = read(text, 1).map(|_| ()).unwrap_err();
            let found: Vec<_> = mistakes.iter().collect();
            let [error] = found[..] else { panic!("one mistake, told once: {text}\n{mistakes}") };
            assert!(error.line == line && error.message.contains(words), "{text}\n{error}");
        };
        // Broken in one place each.
        let changed = |from: &str, to: &str, line: usize, words: &str| {
            assert!(WHOLE.contains(from), "{from}");
            check(&WHOLE.replacen(from, to, 1), line, words);
        };
        check("issuer = ", 1, "invalid TOML");
        check("\n\nissuer = \"a\"\nissuer = \"b\"", 4, "invalid TOML: duplicate key");
        changed("https://auth.example/t", "http://auth.example", 2, "is plain http");
        changed(
            "resource_owner",
            "resource_owners",
            3,
            "unknown key resource_owners in the file; did you mean resource_owner? Otherwise the known keys are",
        );
        changed("\"ada\"", "7", 3, "expected a string in quotation marks, got a TOML integer");
        changed("= \"answer\"", "= \"anser\"", 4, "unknown scope \"anser\"");
        changed("= true", "= \"yes\"", 5, "expected true or false");
        changed("\"::1\"", "\"localhost\"", 8, "give an IP address");
        changed("port = 0", "port = 65536", 9, "give a port from 0 to 65535");
        changed("port = 0", "port = -1", 9, "give a number from 0");
        changed("workers = 3", "workers = 0", 11, "at least 1");
        changed("workers = 3", "threads = 3", 11, "unknown key threads in [listen]");
        changed("\"json\"", "\"xml\"", 12, "\"text\" or \"json\"");
        changed("access_token = 3600", "access_tokens = 3600", 17, "unknown key access_tokens in [lifetimes]");
        changed("code = 30", "code = 1.5", 15, "expected a number");
        changed("grants_max", "grant_max", 27, "unknown key grant_max in [limits]");
        changed("\"Read the answer.\"", "\" \"", 34, "give a sentence");
        changed("\"https://x.example/b\"", "\"a b\"", 35, "without a space");
        changed("id = \"app\"\n", "", 37, "the client has no id");
        changed("id = \"app\"", "id = \"a b\"", 38, "visible ASCII");
        changed("id = \"robot\"", "id = \"app\"", 45, "another client has the id \"app\"");
        changed("id = \"app\"", "id = \"oauth-test-app\"", 38, "is the id of the demo client");
        changed("name = \"The App\"\n", "", 37, "the client \"app\" has no name");
        changed("https://app.example/callback", "https://app.example/#x", 40, "has a fragment");
        changed("com.example.app:/callback", "javascript:alert(1)", 40, "has a scheme that a browser executes");
        changed("\"refresh_token\"]", "\"password\"]", 41, "unknown grant type \"password\"");
        changed("scopes = [\"answer\"]", "scopes = [\"other\"]", 42, "unknown scope \"other\"");
        changed("secret_digest", "secret", 47, "do not put secrets in this file");
        changed("sha256:ba", "ba", 47, "malformed secret digest");
        changed("[\"client_credentials\"]", "[\"authorization_code\"]", 44, "has no redirect_uris");
        changed("[\"authorization_code\", ", "[", 37, "refresh_token without authorization_code");
        changed("\"refresh_token\"]", "\"client_credentials\"]", 37, "only a client with a secret");
        changed("introspects_all = true", "introspect = true", 49, "unknown key introspect in [[clients]]");
        changed("\"file:grants.redb\"", "\"disk\"", 23, "expected memory, file:PATH or redis://HOST:PORT");
        changed("\"file:grants.redb\"", "\"memory\"", 24, "durability applies to a file");
        changed("\"relaxed\"", "\"low\"", 24, "\"full\" or \"relaxed\"");
        changed("durability = \"relaxed\"", "wait_for_replicas = 1", 24, "this key applies to an engine");
        changed("durability = \"relaxed\"", "key_prefix = \"a\"", 24, "this key applies to an engine");
        changed("durability = \"relaxed\"", "key_prefix = \"{a}\"", 24, "give 1 to 128 letters, digits");
        changed("durability", "sync", 24, "unknown key sync in [store]");
        check("[listen]\naddress = \"0.0.0.0\"", 1, "the issuer is missing");
        check("clients = 7", 1, "expected tables that each start with [[clients]]");
        check("keys = \"\"", 1, "give the path of a file, or remove this key");
        // What the client app asks for must be there, and open what it asks.
        changed("= \"answer\"", "= \"anser\"", 4, "did you mean \"answer\"? Otherwise add it to [scopes]");
        check(
            "[listen]\nclient_app_port = 0\n[scopes]\nread = \"Read.\"",
            2,
            "the client app requests the scope \"answer\", which is not in [scopes]; add answer = \"Read the secret",
        );
        changed("secure_scope = \"answer\"", "secure_scope = \"https://x.example/b\"", 4, "would refuse it");
        // A scope by which a standard promises more than there is.
        for scope in ["openid", "device_sso", "uma_protection"] {
            changed("\"https://x.example/b\"", scope, 35, "this scope promises");
        }
        changed(
            "https://app.example/callback",
            "https://app.example/callback?code=1",
            40,
            "has the parameter code in its query",
        );
        changed(
            "com.example.app:/callback",
            "myapp://callback",
            40,
            "belongs to the whole system or to no app",
        );
        for (key, nearest) in [
            ("prot = 1", "did you mean port?"),
            ("adress = 1", "did you mean address?"),
            ("client_port = 1", "did you mean client_app_port?"),
        ] {
            check(&format!("[listen]\n{key}"), 2, nearest);
        }
        check("[listen]\nthreads = 1", 2, "unknown key threads in [listen]; the known keys are");
    }

    #[test]
    fn every_mistake_in_a_file_is_named_and_each_once() {
        let broken = [
            ("https://auth.example/t", "ftp://auth.example"),
            ("explain_errors = true", "explain_errors = 1"),
            ("address = \"::1\"", "address = \"::x\""),
            ("workers = 3", "wrokers = 3"),
            ("code = 30", "code = \"30\""),
            ("durability = \"relaxed\"", "durability = \"low\""),
            ("grants_max = 7", "grants_max = true"),
            ("answer = \"Read the answer.\"", "answer = \"\""),
            ("id = \"app\"", "id = \"\""),
            ("name = \"The App\"", "name = \" \""),
            ("https://app.example/callback", "https://app.example/#"),
            ("\"refresh_token\"]", "\"password\"]"),
            ("scopes = [\"answer\"]", "scopes = [\"answer\", \"anser\"]"),
            ("sha256:ba", "sha1:ba"),
        ];
        let mut text = WHOLE.to_owned();
        for (from, to) in broken {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let mistakes = read(&text, 1).map(drop).unwrap_err();
        let lines: Vec<usize> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [2, 5, 8, 11, 15, 24, 27, 34, 38, 39, 40, 41, 42, 47], "{mistakes}");
        assert_eq!(mistakes.to_string().lines().count(), broken.len());
        let mistakes = read("issuer = \n[listen\nport = 1", 1).map(drop).unwrap_err();
        assert!(mistakes.iter().all(|mistake| mistake.message.starts_with("invalid TOML: ")), "{mistakes}");
        assert!(mistakes.iter().count() >= 2, "{mistakes}");
    }
}
