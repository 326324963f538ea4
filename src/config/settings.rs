//! Every address, limit and lifetime of the server, in one place and checked once; and the settings of each layer, made
//! of them.
//!
//! Each layer defines its settings: what they mean, their defaults, and the values that it cannot work with. [`Config`]
//! has what an operator may configure. Everything that a remote peer can make grow has its limit in [`Limits`], with
//! its unit in its name. The structs are plain data. [`Config::check`] refuses values that do not fit together; after
//! it has passed, the configuration does not change.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::net::{LogFormat, Network};
use crate::oauth::Profile;
use crate::oauth::client::Client;
use crate::oauth::issuer::Issuer;
use crate::oauth::lifetimes::Lifetimes;
use crate::oauth::resource::{DefaultResource, Resource};
use crate::store::{Backend, Location};
use crate::{http, net, routes, store};

/// What to serve, where, and within which bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from; `None` without `--config`.
    pub file: Option<PathBuf>,
    /// As [`net::Settings::bind`].
    pub bind: Option<IpAddr>,
    /// As [`net::Settings::client_port`].
    pub client_port: Option<u16>,
    /// As [`net::Settings::auth_port`].
    pub auth_port: u16,
    /// As [`net::Settings::trusted_proxies`].
    pub trusted_proxies: Vec<Network>,
    /// As [`net::Settings::workers`].
    pub workers: usize,
    /// As [`net::Settings::access_log`].
    pub access_log: Option<LogFormat>,
    /// As [`routes::Settings::www`].
    pub www: Option<PathBuf>,
    /// A file to write the addresses to once all servers listen.
    pub ready_file: Option<PathBuf>,
    /// Whether the addresses are printed as JSON instead of text.
    pub ready_json: bool,
    /// Whether the servers stop when standard input is closed.
    pub ends_with_stdin: bool,
    /// The attack lab, with the port of the attacker's site (`--lab`); `None` for no lab.
    pub lab: Option<(u16, Arc<routes::Lab>)>,
    /// Whether the rules are the article's (`--article`).
    pub is_article: bool,
    /// Where grants are stored.
    pub store: Backend,
    /// The key file; `None` for keys that are kept with the store, or end with the process.
    pub keys: Option<PathBuf>,
    /// The limits of everything that can grow.
    pub limits: Limits,
    /// As [`routes::Settings::lifetimes`].
    pub lifetimes: Lifetimes,
    /// As [`net::Settings::issuer`].
    pub issuer: Option<Issuer>,
    /// Whether issuers and redirect URIs may be plain http on any host, not only on loopback.
    pub insecure_http: bool,
    /// As [`routes::Settings::scopes`].
    pub scopes: Vec<(Arc<str>, String)>,
    /// As [`routes::Settings::clients`].
    pub clients: Vec<Client>,
    /// As [`routes::Settings::resources`].
    pub resources: Vec<Resource>,
    /// As [`routes::Settings::default_resource`].
    pub default_resource: DefaultResource,
    /// As [`routes::Settings::resource_owner`].
    pub resource_owner: Arc<str>,
    /// As [`routes::Settings::secure_scope`].
    pub secure_scope: Option<Arc<str>>,
    /// As [`routes::Settings::explains_errors`].
    pub explains_errors: bool,
    /// Whether clients may register themselves; `None` means only in the demo, if its keys last as long as its store.
    pub registration: Option<bool>,
    /// Whether documents of clients are fetched; `None` means only in the demo.
    pub fetches_client_documents: Option<bool>,
    /// Whether what goes over the wire is shown.
    pub wire: WireConfig,
}

/// What the operator says about the wire view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireConfig {
    /// Whether there is one; `None` means only in the demo.
    pub is_wanted: Option<bool>,
    /// Whether it is also wanted with a store that outlives the process.
    pub with_lasting_store: bool,
    /// Whether every message is printed as well.
    pub traces: bool,
}

impl Default for Config {
    /// The demo: what each layer does by default.
    fn default() -> Config {
        let (net, routes) = (net::Settings::default(), routes::Settings::default());
        Config {
            file: None,
            bind: net.bind,
            client_port: net.client_port,
            auth_port: net.auth_port,
            trusted_proxies: net.trusted_proxies,
            workers: net.workers,
            access_log: net.access_log,
            www: routes.www,
            ready_file: None,
            ready_json: false,
            ends_with_stdin: false,
            lab: None,
            is_article: false,
            store: Backend::default(),
            keys: None,
            limits: Limits::default(),
            lifetimes: routes.lifetimes,
            issuer: net.issuer,
            insecure_http: false,
            scopes: routes.scopes,
            clients: routes.clients,
            resources: routes.resources,
            default_resource: routes.default_resource,
            resource_owner: routes.resource_owner,
            secure_scope: routes.secure_scope,
            explains_errors: routes.explains_errors,
            registration: None,
            fetches_client_documents: None,
            wire: WireConfig::default(),
        }
    }
}

/// The limits of everything that a remote peer can make grow: bytes, counts and waiting times. Each layer has its own.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The limits of one connection, applied by the codec.
    pub http: http::Limits,
    /// The limits of all connections together.
    pub net: net::Limits,
    /// The limits of requests that wait.
    pub routes: routes::Limits,
    /// The limits of what is kept.
    pub store: store::Limits,
    /// Maximum log lines that wait for a slow output; beyond it they are only counted.
    pub log_lines_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            http: http::Limits::default(),
            net: net::Limits::default(),
            routes: routes::Limits::default(),
            store: store::Limits::default(),
            log_lines_max: 1024,
        }
    }
}

/// Why a [`Config`] cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Both servers have this port.
    SamePort(u16),
    /// The number of workers is out of range.
    Workers(usize),
    /// A flag that turns defences off, and something else that would make it more than a lesson on this machine. The
    /// text says what.
    Lesson(&'static str, &'static str),
    /// The program was built without this, for which there is a feature of this name.
    NotBuiltIn(&'static str, &'static str),
    /// The limit of this name is out of range; the text describes valid values.
    Limit(&'static str, &'static str),
    /// Clients are to register themselves, and the keys of this store do not last.
    RegistrationKeys,
    /// A wire view is wanted, and the server listens on this address.
    WireBeyondLoopback(IpAddr),
    /// A wire view is wanted, and the issuer is not on loopback.
    WireOfPublicIssuer,
    /// A wire view is wanted, and the store outlives the process.
    WireOfLastingStore,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::SamePort(port) => {
                write!(f, "--client-port and --auth-port are both {port}; give each server its own port")
            }
            ConfigError::Workers(number) => {
                write!(f, "--workers must be 1 to {WORKERS_MAX}, got {number}")
            }
            ConfigError::Lesson(flag, reason) => {
                write!(f, "{flag} turns defences off for a lesson, and {reason}")
            }
            ConfigError::NotBuiltIn(what, feature) => {
                write!(f, "this program was built without {what}; build it with --features {feature}")
            }
            ConfigError::Limit(name, remedy) => write!(f, "the limit {name} must be {remedy}"),
            ConfigError::RegistrationKeys => f.write_str(
                "registration seals identifiers that clients keep for years, and an engine keeps an old key only for \
                 minutes; give the key a file with --keys FILE (keys in the file), the same on every server",
            ),
            ConfigError::WireBeyondLoopback(address) => write!(
                f,
                "the wire view shows codes and tokens, and {address} is not loopback; remove --bind, or --wire and \
                 --trace (wire in the file)"
            ),
            ConfigError::WireOfPublicIssuer => f.write_str(
                "the wire view shows codes and tokens, and the issuer is public; use an issuer on localhost, or \
                 remove --wire and --trace (wire in the file)",
            ),
            ConfigError::WireOfLastingStore => f.write_str(
                "the wire view shows codes and tokens, and this store outlives the process; use --store memory, or \
                 add --wire-with-lasting-store (wire_with_lasting_store in the file) if its grants are no secret",
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The maximum number of workers: more is almost certainly a typing error.
pub const WORKERS_MAX: usize = 1024;

impl Config {
    /// What both servers need to know.
    pub fn net_settings(&self) -> net::Settings {
        net::Settings {
            bind: self.bind,
            client_port: self.client_port,
            auth_port: self.auth_port,
            lab_port: self.lab.as_ref().map(|(port, _)| *port),
            issuer: self.issuer.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            workers: self.workers,
            access_log: self.access_log,
            http: self.limits.http.clone(),
            limits: self.limits.net.clone(),
            routes: self.routes_settings(),
        }
    }

    /// What the endpoints need to know.
    pub fn routes_settings(&self) -> routes::Settings {
        routes::Settings {
            www: self.www.clone(),
            scopes: self.scopes.clone(),
            clients: self.clients.clone(),
            resources: self.resources.clone(),
            default_resource: self.default_resource.clone(),
            resource_owner: Arc::clone(&self.resource_owner),
            secure_scope: self.secure_scope.clone(),
            // A configured server has resources of its own.
            has_mcp: self.file.is_none() && self.has_mcp_by_default(),
            registration: self
                .has_registration()
                .then_some(routes::Registration { allows_http: self.insecure_http }),
            explains_errors: self.explains_errors,
            client_documents: self.fetches_client_documents(),
            has_wire: self.has_wire(),
            // Lines in the common log format have no place for it.
            names_clients: self.access_log == Some(LogFormat::Json),
            profile: self.profile(),
            lab: self.lab.as_ref().map(|(_, lab)| Arc::clone(lab)),
            lifetimes: self.lifetimes.clone(),
            limits: routes::Limits { streams_max: self.streams_max(), ..self.limits.routes.clone() },
        }
    }

    /// Adds the attack lab, whose attacker's site has this port. It begins with the rules that the server has now.
    pub fn add_lab(&mut self, port: u16) {
        self.lab = Some((port, routes::Lab::new(self.demo_profile())));
    }

    /// Which rules hold.
    fn profile(&self) -> Profile {
        // The demo's client exists where there is a client app.
        match (&self.lab, self.client_port) {
            (Some((_, lab)), _) => lab.profile(),
            (None, Some(_)) => self.demo_profile(),
            (None, None) => Profile::strict(),
        }
    }

    /// Whether there is what an MCP client needs, unless the configuration says otherwise.
    fn has_mcp_by_default(&self) -> bool {
        cfg!(feature = "mcp") && self.profile().mcp_by_default
    }

    /// Whether documents of clients are fetched.
    fn fetches_client_documents(&self) -> bool {
        self.fetches_client_documents.unwrap_or(self.has_mcp_by_default())
    }

    /// The rules of a server with a client app.
    fn demo_profile(&self) -> Profile {
        if self.is_article {
            Profile::article(routes::DEMO_CLIENT_ID)
        } else {
            Profile::demo(routes::DEMO_CLIENT_ID)
        }
    }

    /// Whether clients may register themselves. Never with keys that end before the grants.
    fn has_registration(&self) -> bool {
        self.has_lasting_keys() && self.registration.unwrap_or(self.has_mcp_by_default())
    }

    /// Whether the keys last as long as the grants: an engine forgets an old key when no form of it is valid any more.
    pub(super) fn has_lasting_keys(&self) -> bool {
        self.keys.is_some() || !matches!(self.store.location, Location::Redis(_))
    }

    /// The limit of open streams: at most half of the connections.
    fn streams_max(&self) -> usize {
        self.limits.routes.streams_max.min(self.limits.net.connections_max / 2).max(1)
    }

    /// What the store needs to know.
    pub fn store_settings(&self) -> store::Settings {
        store::Settings {
            backend: self.store.clone(),
            lifetimes: self.lifetimes.clone(),
            keeps_keys: self.keys.is_none(),
            time_max: self.limits.routes.store_time_max,
            limits: self.limits.store.clone(),
        }
    }

    /// Checks that all values are in range and fit together. Every other module relies on this check.
    ///
    /// # Errors
    /// The first value that does not fit, as a [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.mistakes().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every value that does not fit; [`Config::check`] gives the first.
    pub fn mistakes(&self) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        if self.client_port == Some(self.auth_port) && self.auth_port != 0 {
            mistakes.push(ConfigError::SamePort(self.auth_port));
        }
        if !(1..=WORKERS_MAX).contains(&self.workers) {
            mistakes.push(ConfigError::Workers(self.workers));
        }
        if self.registration == Some(true) && !cfg!(feature = "mcp") {
            mistakes.push(ConfigError::NotBuiltIn("registration of clients", "mcp"));
        } else if self.registration == Some(true) && !self.has_lasting_keys() {
            mistakes.push(ConfigError::RegistrationKeys);
        }
        if self.has_wire() {
            mistakes.extend(self.wire_mistake());
        }
        if let Some((port @ 1.., _)) = self.lab
            && (port == self.auth_port || Some(port) == self.client_port)
        {
            mistakes.push(ConfigError::Lesson("--lab", "needs a port of its own; give it one with --lab-port"));
        }
        if self.lab.is_some() && !cfg!(feature = "lab") {
            mistakes.push(ConfigError::NotBuiltIn("the attack lab", "lab"));
        }
        if self.fetches_client_documents == Some(true) && !cfg!(feature = "client-documents") {
            mistakes.push(ConfigError::NotBuiltIn("TLS to fetch clients' documents", "client-documents"));
        }
        for (flag, is_given) in [("--article", self.is_article), ("--lab", self.lab.is_some())] {
            mistakes.extend(
                self.beyond_a_lesson().filter(|_| is_given).map(|reason| ConfigError::Lesson(flag, reason)),
            );
        }
        let Limits { http, net, routes, store, log_lines_max } = &self.limits;
        // No line would be written, not even that lines were lost.
        let own = (*log_lines_max == 0).then_some(("log_lines_max", "at least 1"));
        let limits = own
            .into_iter()
            .chain(net.mistakes())
            .chain(store.mistakes())
            .chain(routes.mistakes())
            .chain(http.mistakes());
        let broken = self.lifetimes.mistakes().chain(limits);
        mistakes.extend(broken.map(|(name, remedy)| ConfigError::Limit(name, remedy)));
        mistakes
    }

    /// What lets others reach a lesson's holes, or keeps what came through them.
    fn beyond_a_lesson(&self) -> impl Iterator<Item = &'static str> {
        let is_local = self.bind.is_none_or(|address| address.is_loopback());
        let has_local_issuer = self.issuer.as_ref().is_none_or(|issuer| issuer.origin().is_loopback());
        let rules = [
            (self.file.is_none(), "is only for the demo; remove --config"),
            (is_local, "is only for this machine; remove --bind, or give it a loopback address"),
            (has_local_issuer, "is only for this machine; remove --issuer"),
            (self.store.location == Location::Memory, "keeps nothing; remove --store"),
        ];
        rules.into_iter().filter(|(holds, _)| !holds).map(|(_, reason)| reason)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_default_configuration_is_sound() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_configuration_that_cannot_be_kept_is_refused_by_name() {
        let check = |change: fn(&mut Config), message: &str| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.check().unwrap_err().to_string(), message);
        };
        check(
            |c| c.auth_port = 3000,
            "--client-port and --auth-port are both 3000; give each server its own port",
        );
        check(|c| c.limits.log_lines_max = 0, "the limit log_lines_max must be at least 1");
        check(
            |c| c.limits.http.head_bytes_max = 65_536,
            "the limit head_bytes_max must be at most 65,535 bytes",
        );
        check(
            |c| c.limits.http.request_line_bytes_max = 48 * 1024,
            "the limit request_line_bytes_max must be less than head_bytes_max",
        );
        check(|c| c.limits.http.fields_max = 257, "the limit fields_max must be 1 to 256");
        check(|c| c.limits.net.connections_max = 0, "the limit connections_max must be at least 1");
        check(|c| c.limits.store.grants_max = 0, "the limit grants_max must be at least 1");
        check(|c| c.limits.routes.wrong_secrets_max = 0, "the limit wrong_secrets_max must be at least 1");
        check(|c| c.limits.store.pair_grants_max = Some(0), "the limit pair_grants_max must be at least 1");
        check(
            |c| c.limits.store.pair_grants_max = Some(250_001),
            "the limit pair_grants_max must be at most a quarter of grants_max",
        );
    }

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        let check = |config: Config, is_built_in: bool, message: &str| {
            let error = config.check().err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), (!is_built_in).then_some(message));
        };
        let wire = "this program was built without the wire view; build it with --features wire";
        for wanted in [
            WireConfig { is_wanted: Some(true), ..WireConfig::default() },
            WireConfig { traces: true, ..WireConfig::default() },
        ] {
            check(Config { wire: wanted, ..Config::default() }, cfg!(feature = "wire"), wire);
        }
        let lab = Some((3002, routes::Lab::new(Profile::strict())));
        let message = "this program was built without the attack lab; build it with --features lab";
        check(Config { lab, ..Config::default() }, cfg!(feature = "lab"), message);
        let message = "this program was built without registration of clients; build it with --features mcp";
        check(Config { registration: Some(true), ..Config::default() }, cfg!(feature = "mcp"), message);
        check(Config::default(), true, "");
    }

    #[test]
    fn a_lesson_is_served_only_on_this_machine() {
        let check = |change: fn(&mut Config), remedy: Option<&str>| {
            let demo = Config::default();
            let lab = cfg!(feature = "lab").then(|| (3002, routes::Lab::new(Profile::strict())));
            let lessons = [
                Config { is_article: true, ..demo.clone() },
                Config { is_article: lab.is_none(), lab, ..demo },
            ];
            for mut config in lessons {
                change(&mut config);
                let error = config.check().err().map(|error| error.to_string());
                assert_eq!(error.is_some(), remedy.is_some(), "{error:?}");
                assert!(error.iter().zip(remedy).all(|(error, remedy)| error.ends_with(remedy)), "{error:?}");
                (config.is_article, config.lab) = (false, None);
                assert_eq!(config.check(), Ok(()), "the demo's rules may be served so");
            }
        };
        check(|_| {}, None);
        check(|config| config.bind = "127.0.0.1".parse().ok(), None);
        check(|config| config.issuer = Issuer::parse("http://localhost:8080").ok(), None);
        check(|config| config.file = Some("a.toml".into()), Some("remove --config"));
        check(|config| config.bind = "0.0.0.0".parse().ok(), Some("give it a loopback address"));
        check(|config| config.bind = "192.0.2.1".parse().ok(), Some("give it a loopback address"));
        check(|config| config.issuer = Issuer::parse("https://auth.example").ok(), Some("remove --issuer"));
        for port in [3000, 3001] {
            let lab = Some((port, routes::Lab::new(Profile::strict())));
            let error = Config { lab, ..Config::default() }.check().expect_err("a port of its own").to_string();
            assert!(error.ends_with("give it one with --lab-port"), "{error}");
        }
        for location in ["file:/tmp/grants", "redis://localhost"] {
            let mut config = Config { is_article: true, ..Config::default() };
            config.store.location = Location::parse(location).expect("a location");
            let error = config.check().expect_err("a persistent store").to_string();
            assert!(error.ends_with("keeps nothing; remove --store"), "{error}");
        }
    }

    #[test]
    fn one_pair_may_have_a_quarter_of_the_store_at_most() {
        let check = |grants_max, pair_grants_max, expected| {
            let mut config = Config::default();
            (config.limits.store.grants_max, config.limits.store.pair_grants_max) =
                (grants_max, pair_grants_max);
            assert_eq!((config.check(), config.limits.store.pair_grants_max()), (Ok(()), expected));
        };
        check(1_000_000, None, 10_000);
        check(1_000_000, Some(250_000), 250_000);
        check(100, None, 25);
        check(3, None, 1);
        check(400, Some(100), 100);
    }

    #[test]
    fn streams_have_at_most_half_of_the_connections() {
        let check = |connections_max, streams_max, expected| {
            let mut config = Config::default();
            config.limits.net.connections_max = connections_max;
            config.limits.routes.streams_max = streams_max;
            assert_eq!((config.check(), config.routes_settings().limits.streams_max), (Ok(()), expected));
        };
        check(16_000, 1000, 1000);
        check(1024, 1000, 512);
        check(1, 1000, 1);
    }

    #[test]
    fn a_time_of_nothing_and_a_bound_of_nothing_are_refused_by_name() {
        let check = |change: fn(&mut Config), name: &str| {
            let mut config = Config::default();
            change(&mut config);
            match config.check() {
                Err(ConfigError::Limit(found, _)) => assert_eq!(found, name),
                found => panic!("{name}: {found:?}"),
            }
        };
        check(|c| c.lifetimes.code = Duration::ZERO, "lifetimes.code");
        check(|c| c.lifetimes.form = Duration::ZERO, "lifetimes.form");
        check(|c| c.lifetimes.tokens.access_token = Duration::ZERO, "lifetimes.access_token");
        check(|c| c.lifetimes.tokens.refresh = Duration::ZERO, "lifetimes.refresh_token");
        check(|c| c.lifetimes.tokens.refresh_idle = Duration::ZERO, "lifetimes.refresh_token_idle");
        check(|c| c.limits.http.fields_max = 0, "fields_max");
        check(|c| c.limits.net.peer_connections_max = Some(0), "peer_connections_max");
        check(|c| c.limits.routes.streams_max = 0, "streams_max");
        check(|c| c.limits.routes.peer_streams_max = Some(0), "peer_streams_max");
        check(|c| c.limits.http.connection_requests_max = 0, "connection_requests_max");
        check(|c| c.limits.http.body_bytes_per_second_min = 0, "body_bytes_per_second_min");
        check(|c| c.limits.routes.store_time_max = Duration::ZERO, "store_time_max");
        check(|c| c.limits.store.store_queue_max = 0, "store_queue_max");
        check(|c| c.limits.http.output_bytes_max = 0, "output_bytes_max");
        check(|c| c.limits.net.accept_retry_time = Duration::ZERO, "accept_retry_time");
        check(|c| c.limits.http.head_time_max = Duration::ZERO, "head_time_max");
        check(|c| c.limits.http.body_time_max = Duration::ZERO, "body_time_max");
        check(|c| c.limits.http.body_grace_time = Duration::ZERO, "body_grace_time");
        check(|c| c.limits.net.finish_time_max = Duration::ZERO, "finish_time_max");
        check(|c| c.limits.http.idle_time_max = Duration::ZERO, "idle_time_max");
        check(|c| c.limits.http.write_time_max = Duration::ZERO, "write_time_max");
        check(|c| c.limits.http.linger_time_max = Duration::ZERO, "linger_time_max");
    }

    /// RFC 6749, 4.1.2.
    #[test]
    fn a_code_lives_ten_minutes_at_most() {
        let mut config = Config::default();
        config.lifetimes.code = Duration::from_secs(600);
        assert_eq!(config.check(), Ok(()));
        config.lifetimes.code += Duration::from_millis(1);
        let message = "the limit lifetimes.code must be at most ten minutes (RFC 6749, 4.1.2)";
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }

    #[test]
    fn workers_are_one_to_a_thousand_and_a_few() {
        let check = |workers: usize| Config { workers, ..Config::default() }.check();
        assert_eq!((check(1), check(WORKERS_MAX)), (Ok(()), Ok(())));
        for workers in [0, WORKERS_MAX + 1] {
            assert_eq!(check(workers), Err(ConfigError::Workers(workers)));
        }
    }

    #[test]
    fn two_free_ports_may_both_be_asked_for() {
        let config = Config { client_port: Some(0), auth_port: 0, ..Config::default() };
        assert_eq!(config.check(), Ok(()));
    }

    #[cfg(feature = "mcp")]
    #[test]
    fn registration_needs_keys_that_last_as_long_as_grants() {
        let engine = || Location::parse("redis://h:1").unwrap();
        let check =
            |location: Location, keys: bool, wanted: Option<bool>, expected: Result<bool, ConfigError>| {
                let config = Config {
                    store: Backend { location, ..Backend::default() },
                    keys: keys.then(|| "keys".into()),
                    registration: wanted,
                    ..Config::default()
                };
                let found = config.check().map(|()| config.routes_settings().registration.is_some());
                assert_eq!(found, expected, "{keys} {wanted:?}");
            };
        check(Location::Memory, false, None, Ok(true));
        check(Location::Memory, false, Some(false), Ok(false));
        check(engine(), false, None, Ok(false));
        check(engine(), false, Some(false), Ok(false));
        check(engine(), false, Some(true), Err(ConfigError::RegistrationKeys));
        check(engine(), true, None, Ok(true));
        check(engine(), true, Some(true), Ok(true));
        let configured = Config { client_port: None, ..Config::default() };
        assert!(configured.routes_settings().registration.is_none(), "only where the file says so");
        let article = Config { is_article: true, ..Config::default() };
        assert!(article.routes_settings().registration.is_none());
    }
}
