//! Every address, limit and lifetime of the server, in one place and checked once.
//!
//! Everything that a remote peer can make grow has its limit here or in [`http::Limits`], with its unit in its name.
//! The structs are plain data. [`Config::check`] refuses values that do not fit together; after it has passed, the
//! configuration does not change.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::http;
use crate::net::{LogFormat, Network};
use crate::oauth::client::Client;
use crate::oauth::issuer::Issuer;
use crate::oauth::lifetimes::{CODE_LIFETIME_MAX, Lifetimes};
use crate::store::Backend;

/// What to serve, where, and within which bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from; `None` without `--config`.
    pub file: Option<PathBuf>,
    /// The address to listen on; `None` means both loopback addresses, 127.0.0.1 and ::1.
    pub bind: Option<IpAddr>,
    /// The port of the client app, which brings the demo client with it; 0 lets the system pick a free one. `None`
    /// serves the authorization server alone.
    pub client_port: Option<u16>,
    /// The port of the authorization server; 0 lets the system pick a free one.
    pub auth_port: u16,
    /// The proxies whose forwarding fields name the peer of a request.
    pub trusted_proxies: Vec<Network>,
    /// The number of worker threads, each with its own event loop and its share of the connections.
    pub workers: usize,
    /// The format of the access log; `None` for no access log.
    pub access_log: Option<LogFormat>,
    /// A folder to read the pages from at each request; `None` serves those in the binary.
    pub www: Option<PathBuf>,
    /// A file to write the addresses to once both servers listen.
    pub ready_file: Option<PathBuf>,
    /// Whether the addresses are printed as JSON instead of text.
    pub ready_json: bool,
    /// Whether the servers stop when standard input is closed.
    pub ends_with_stdin: bool,
    /// Where grants are stored.
    pub store: Backend,
    /// The key file; `None` for keys that are kept with the store, or end with the process.
    pub keys: Option<PathBuf>,
    /// The limits of everything that can grow.
    pub limits: Limits,
    /// How long codes, tokens and forms are valid.
    pub lifetimes: Lifetimes,
    /// The issuer identifier of the authorization server (RFC 8414, 2); `None` for the origin that it listens on,
    /// which is wrong behind a proxy.
    pub issuer: Option<Issuer>,
    /// Whether issuers and redirect URIs may be plain http on any host, not only on loopback.
    pub insecure_http: bool,
    /// All scopes, each with the sentence that the dialog shows.
    pub scopes: Vec<(Arc<str>, String)>,
    /// The registered clients, without the demo's.
    pub clients: Vec<Client>,
    /// The subject (`sub`) of every grant: without a login there is only one.
    pub resource_owner: Arc<str>,
    /// The scope that `/secure` requires; `None` accepts any valid token.
    pub secure_scope: Option<Arc<str>>,
    /// Whether error responses and pages give the exact reason, as the log does.
    pub explains_errors: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            file: None,
            bind: None,
            client_port: Some(3000),
            auth_port: 3001,
            trusted_proxies: Vec::new(),
            workers: 1,
            access_log: None,
            www: None,
            ready_file: None,
            ready_json: false,
            ends_with_stdin: false,
            store: Backend::default(),
            keys: None,
            limits: Limits::default(),
            lifetimes: Lifetimes::default(),
            issuer: None,
            insecure_http: false,
            scopes: Config::DEMO_SCOPES.map(|(name, sentence)| (name.into(), sentence.to_owned())).into(),
            clients: Vec::new(),
            resource_owner: "owner".into(),
            secure_scope: Some(Config::DEMO_SCOPES[0].0.into()),
            explains_errors: true,
        }
    }
}

/// The limits of everything that a remote peer can make grow: bytes, counts and waiting times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The limits of one connection, applied by the codec.
    pub http: http::Limits,
    /// Maximum bytes of requests and responses in memory, over all connections; beyond it, the connection that holds
    /// the most is closed. Each worker has an equal share, but at least what one connection may need.
    pub buffered_bytes_max: usize,
    /// Maximum open connections; beyond it, the connection that has been idle longest is closed for a new one. If
    /// none is idle, the new one gets 503.
    pub connections_max: usize,
    /// Maximum open connections of one peer (an IPv4 address, an IPv6 /64); beyond it, as for `connections_max`.
    /// `None` means unlimited if the server listens on loopback, where every peer is this machine or a proxy on it,
    /// and [`PEER_CONNECTIONS_MAX`] otherwise.
    pub peer_connections_max: Option<usize>,
    /// Maximum open streams (responses without an end), and never more than half of `connections_max`, since their
    /// connections make no room for others; beyond it the response is 503.
    pub streams_max: usize,
    /// The same for one peer. `None` means 64, and no limit for peers on loopback.
    pub peer_streams_max: Option<usize>,
    /// How long an orderly stop may take: requests received by then are answered, then connections are cut.
    pub finish_time_max: Duration,
    /// How long accepting pauses when the process is out of descriptors and none can be freed.
    pub accept_retry_time: Duration,
    /// Maximum grants in memory or in a file; beyond it the response is 503. An engine has its own limit.
    pub grants_max: usize,
    /// Maximum live grants per subject and client, in memory or in a file; beyond it, the oldest of the pair ends.
    /// The same limit applies separately to the pair's unredeemed codes and to its marks of answered forms. `None`
    /// means [`PAIR_GRANTS_MAX`], or a quarter of `grants_max` if that is less.
    pub pair_grants_max: Option<usize>,
    /// How long a request waits for the store; beyond it the response is 503.
    pub store_time_max: Duration,
    /// Maximum transitions that wait for a file or an engine; beyond it the response is 503.
    pub store_queue_max: usize,
    /// The number of threads for slow work; `None` means half of the cores, at least one.
    pub pool_threads_max: Option<usize>,
    /// How long a request waits for slow work; beyond it the response is 503.
    pub pool_time_max: Duration,
    /// Maximum concurrent checks against Argon2 digests: each takes a thread and the memory that its digest names, at
    /// most 256 MiB.
    pub secret_checks_running_max: usize,
    /// Maximum checks that wait for their turn; beyond it the response is 503.
    pub secret_checks_waiting_max: usize,
    /// The same for one client, so that guesses at one client's secret do not block other clients.
    pub client_secret_checks_waiting_max: usize,
    /// The same for one peer.
    pub peer_secret_checks_waiting_max: usize,
    /// Maximum wrong secrets in a row from one peer, for secrets that a person chose; beyond it the response is 429.
    pub wrong_secrets_max: u32,
    /// How long it takes until one wrong secret is forgiven.
    pub wrong_secret_time: Duration,
    /// How long that 429 is delayed, to slow a guesser down; zero for no delay.
    pub refused_guess_delay: Duration,
    /// Maximum peers whose wrong secrets are remembered; beyond it the peer closest to being forgiven is forgotten.
    pub wrong_secret_peers_max: usize,
    /// Maximum log lines per second about refused requests; beyond it they are only counted, so that malformed
    /// requests cannot fill the disk.
    pub refusal_lines_per_second_max: usize,
    /// Maximum log lines that wait for a slow output; beyond it they are only counted.
    pub log_lines_max: usize,
    /// Maximum size of a page read from `--www`, in bytes.
    pub page_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            http: http::Limits::default(),
            buffered_bytes_max: 256 * 1024 * 1024,
            connections_max: 16_000,
            peer_connections_max: None,
            // If none of their clients reads, about 32 MiB of content waits for them.
            streams_max: 1000,
            peer_streams_max: None,
            finish_time_max: Duration::from_secs(10),
            accept_retry_time: Duration::from_millis(100),
            grants_max: 1_000_000,
            pair_grants_max: None,
            store_time_max: Duration::from_secs(5),
            store_queue_max: 16_384,
            pool_threads_max: None,
            pool_time_max: Duration::from_secs(5),
            secret_checks_running_max: 2,
            secret_checks_waiting_max: 256,
            client_secret_checks_waiting_max: 128,
            peer_secret_checks_waiting_max: 64,
            wrong_secrets_max: 10,
            wrong_secret_time: Duration::from_secs(6),
            refused_guess_delay: Duration::from_secs(1),
            wrong_secret_peers_max: 10_000,
            refusal_lines_per_second_max: 50,
            log_lines_max: 1024,
            page_bytes_max: 1024 * 1024,
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
    /// The limit of this name is out of range; the text describes valid values.
    Limit(&'static str, &'static str),
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
            ConfigError::Limit(name, remedy) => write!(f, "the limit {name} must be {remedy}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A zero timeout would always have expired, and the loop would spin.
const MORE_THAN_NOTHING: &str = "greater than zero";

/// The default limit of one peer's connections, except on loopback.
pub const PEER_CONNECTIONS_MAX: usize = 256;

/// The default limit of live grants per subject and client: a hundredth of the default `grants_max`.
pub const PAIR_GRANTS_MAX: usize = 10_000;

/// The maximum number of workers: more is almost certainly a typing error.
pub const WORKERS_MAX: usize = 1024;

impl Config {
    /// The `client_id` of the demo's client.
    pub const DEMO_CLIENT_ID: &str = "oauth-test-app";

    /// The scopes of the demo, each with its sentence. Its client may request those that are configured; the client
    /// app's script requests the first.
    pub const DEMO_SCOPES: [(&str, &str); 2] = [
        ("answer", "Read the secret answer."),
        ("question", "Read the question to it, should anyone find it."),
    ];

    /// The limit of one peer's connections; `usize::MAX` means unlimited.
    pub fn peer_connections_max(&self) -> usize {
        let is_loopback = self.bind.is_none_or(|address| address.is_loopback());
        let default = if is_loopback { usize::MAX } else { PEER_CONNECTIONS_MAX };
        self.limits.peer_connections_max.unwrap_or(default)
    }

    /// The limit of open streams.
    pub fn streams_max(&self) -> usize {
        self.limits.streams_max.min(self.limits.connections_max / 2).max(1)
    }

    /// The limit of live grants per subject and client.
    pub fn pair_grants_max(&self) -> usize {
        let default = PAIR_GRANTS_MAX.min(pair_share(self.limits.grants_max));
        self.limits.pair_grants_max.unwrap_or(default)
    }

    /// Whether the access log names the client of each request, as its JSON lines do.
    pub fn names_clients(&self) -> bool {
        self.access_log == Some(LogFormat::Json)
    }

    /// The number of threads for slow work.
    pub fn pool_threads_max(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.limits.pool_threads_max.unwrap_or_else(|| (cores() / 2).max(1))
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
        let limits = &self.limits;
        let lifetimes = &self.lifetimes;
        let rules = [
            (!lifetimes.code.is_zero(), "lifetimes.code", MORE_THAN_NOTHING),
            (lifetimes.code <= CODE_LIFETIME_MAX, "lifetimes.code", "at most ten minutes (RFC 6749, 4.1.2)"),
            (!lifetimes.form.is_zero(), "lifetimes.form", MORE_THAN_NOTHING),
            (!lifetimes.tokens.access_token.is_zero(), "lifetimes.access_token", MORE_THAN_NOTHING),
            (!lifetimes.tokens.refresh.is_zero(), "lifetimes.refresh_token", MORE_THAN_NOTHING),
            (!lifetimes.tokens.refresh_idle.is_zero(), "lifetimes.refresh_token_idle", MORE_THAN_NOTHING),
            (limits.connections_max > 0, "connections_max", "at least 1"),
            (limits.peer_connections_max != Some(0), "peer_connections_max", "at least 1"),
            (limits.streams_max > 0, "streams_max", "at least 1"),
            (limits.peer_streams_max != Some(0), "peer_streams_max", "at least 1"),
            (limits.grants_max > 0, "grants_max", "at least 1"),
            (limits.pair_grants_max != Some(0), "pair_grants_max", "at least 1"),
            (
                limits.pair_grants_max.is_none_or(|max| max <= pair_share(limits.grants_max)),
                "pair_grants_max",
                "at most a quarter of grants_max",
            ),
            (!limits.store_time_max.is_zero(), "store_time_max", MORE_THAN_NOTHING),
            (limits.store_queue_max > 0, "store_queue_max", "at least 1"),
            (limits.pool_threads_max != Some(0), "pool_threads_max", "at least 1"),
            (!limits.pool_time_max.is_zero(), "pool_time_max", MORE_THAN_NOTHING),
            (limits.secret_checks_running_max > 0, "secret_checks_running_max", "at least 1"),
            (limits.secret_checks_waiting_max > 0, "secret_checks_waiting_max", "at least 1"),
            (limits.client_secret_checks_waiting_max > 0, "client_secret_checks_waiting_max", "at least 1"),
            (limits.peer_secret_checks_waiting_max > 0, "peer_secret_checks_waiting_max", "at least 1"),
            (limits.wrong_secrets_max > 0, "wrong_secrets_max", "at least 1"),
            (!limits.wrong_secret_time.is_zero(), "wrong_secret_time", MORE_THAN_NOTHING),
            (limits.wrong_secret_peers_max > 0, "wrong_secret_peers_max", "at least 1"),
            (!limits.accept_retry_time.is_zero(), "accept_retry_time", MORE_THAN_NOTHING),
            (!limits.finish_time_max.is_zero(), "finish_time_max", MORE_THAN_NOTHING),
        ];
        let broken = rules.iter().filter(|(holds, ..)| !holds);
        let broken = broken.map(|(_, name, remedy)| (*name, *remedy)).chain(limits.http.mistakes());
        mistakes.extend(broken.map(|(name, remedy)| ConfigError::Limit(name, remedy)));
        mistakes
    }
}

/// The largest `pair_grants_max`. A pair may hold that number of live grants, of unredeemed codes and of marks, so a
/// quarter each still leaves room for other pairs.
fn pair_share(grants_max: usize) -> usize {
    (grants_max / 4).max(1)
}

#[cfg(test)]
mod tests {
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
        check(
            |c| c.limits.http.head_bytes_max = 65_536,
            "the limit head_bytes_max must be at most 65,535 bytes",
        );
        check(
            |c| c.limits.http.request_line_bytes_max = 48 * 1024,
            "the limit request_line_bytes_max must be less than head_bytes_max",
        );
        check(|c| c.limits.http.fields_max = 257, "the limit fields_max must be 1 to 256");
        check(|c| c.limits.connections_max = 0, "the limit connections_max must be at least 1");
        check(|c| c.limits.grants_max = 0, "the limit grants_max must be at least 1");
        check(|c| c.limits.wrong_secrets_max = 0, "the limit wrong_secrets_max must be at least 1");
        check(|c| c.limits.pair_grants_max = Some(0), "the limit pair_grants_max must be at least 1");
        check(
            |c| c.limits.pair_grants_max = Some(250_001),
            "the limit pair_grants_max must be at most a quarter of grants_max",
        );
    }

    #[test]
    fn one_pair_may_have_a_quarter_of_the_store_at_most() {
        let check = |grants_max, pair_grants_max, expected| {
            let mut config = Config::default();
            (config.limits.grants_max, config.limits.pair_grants_max) = (grants_max, pair_grants_max);
            assert_eq!((config.check(), config.pair_grants_max()), (Ok(()), expected));
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
            (config.limits.connections_max, config.limits.streams_max) = (connections_max, streams_max);
            assert_eq!((config.check(), config.streams_max()), (Ok(()), expected));
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
        check(|c| c.limits.peer_connections_max = Some(0), "peer_connections_max");
        check(|c| c.limits.streams_max = 0, "streams_max");
        check(|c| c.limits.peer_streams_max = Some(0), "peer_streams_max");
        check(|c| c.limits.http.connection_requests_max = 0, "connection_requests_max");
        check(|c| c.limits.http.body_bytes_per_second_min = 0, "body_bytes_per_second_min");
        check(|c| c.limits.store_time_max = Duration::ZERO, "store_time_max");
        check(|c| c.limits.store_queue_max = 0, "store_queue_max");
        check(|c| c.limits.http.output_bytes_max = 0, "output_bytes_max");
        check(|c| c.limits.accept_retry_time = Duration::ZERO, "accept_retry_time");
        check(|c| c.limits.http.head_time_max = Duration::ZERO, "head_time_max");
        check(|c| c.limits.http.body_time_max = Duration::ZERO, "body_time_max");
        check(|c| c.limits.http.body_grace_time = Duration::ZERO, "body_grace_time");
        check(|c| c.limits.finish_time_max = Duration::ZERO, "finish_time_max");
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
}
