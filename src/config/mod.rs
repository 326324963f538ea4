//! Every address, limit and lifetime of the server, in one place and checked once.
//!
//! Whatever a stranger can make grow has its bound here, with its unit in its name. The structs are plain
//! data: any layer may read them, none changes them after [`Config::check`] has passed.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::http;
use crate::oauth::TokenLifetimes;
use crate::oauth::client::Client;
use crate::oauth::grant::RefreshReuse;

mod authority;
mod clients;
mod file;
mod issuer;
mod key_prefix;
mod location;
mod nearest;
mod networks;
mod reload;
mod remarks;
mod scopes;
mod store;
mod toml_reader;
mod warnings;

pub use authority::{Authority, Origin, Scheme};
pub use file::{FileError, FromFlags, Mistakes, locate, read, read_beside};
pub use issuer::{Issuer, IssuerError};
pub use key_prefix::{KeyPrefix, KeyPrefixError};
pub use location::{Location, LocationError, RedisLocation};
pub use networks::{Network, NetworkError};
pub use reload::Reload;
pub use store::StoreConfig;

/// What to serve, where, and within which bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from; `None` where flags alone say it.
    pub file: Option<PathBuf>,
    /// The address to listen on; `None` means both loopback addresses, 127.0.0.1 and ::1.
    pub bind: Option<IpAddr>,
    /// The port of the client app, and with it the demo client; 0 lets the system pick a free one. `None` is
    /// for an authorization server alone.
    pub client_port: Option<u16>,
    /// The port of the authorization server; 0 lets the system pick a free one.
    pub auth_port: u16,
    /// The proxies that are believed when they say whom a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// How many threads serve, each with its own event loop and its share of the connections.
    pub workers: usize,
    /// The form of the access log's lines; `None` for no access log.
    pub access_log: Option<LogFormat>,
    /// A folder to read the pages from at each request; `None` serves those in the binary.
    pub www: Option<PathBuf>,
    /// A file to write when both servers listen, which says where.
    pub ready_file: Option<PathBuf>,
    /// Whether standard output says where they listen in JSON, and not in words.
    pub ready_json: bool,
    /// Whether the end of standard input ends the servers.
    pub ends_with_stdin: bool,
    /// Where grants are kept.
    pub store: StoreConfig,
    /// The bounds of everything that can grow.
    pub limits: Limits,
    /// How long what the server hands out stays good.
    pub lifetimes: Lifetimes,
    /// What the authorization server calls itself (RFC 8414, 2); `None` is for its own origin, which
    /// is only good where nothing stands before it.
    pub issuer: Option<Issuer>,
    /// Whether issuers and redirect URIs may be plain http anywhere, and not only on loopback.
    pub insecure_http: bool,
    /// Every scope there is, with a sentence that a person understands.
    pub scopes: Vec<(Arc<str>, String)>,
    /// The registered clients, the demo's aside.
    pub clients: Vec<Client>,
    /// Who answers the dialog, as `sub` has it: without a login it is always the same.
    pub resource_owner: Arc<str>,
    /// The scope that `/secure` wants; `None` where any token will do.
    pub secure_scope: Option<Arc<str>>,
    /// Whether a refused client and its user are told the exact reason, as the log is.
    pub explains_errors: bool,
}

/// The form of the access log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The common log format, with the server's name before it.
    Text,
    /// One JSON object a line.
    Json,
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
            store: StoreConfig::default(),
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

/// The bounds of everything that a stranger can make grow: bytes, counts and waiting times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Those of one connection, which the codec keeps.
    pub http: http::Limits,
    /// Requests and answers that wait in memory, of all connections together, in bytes; past it, the connection that
    /// holds most is closed. Each worker has its share, which is never less than one connection may need.
    pub buffered_bytes_max: usize,
    /// Connections open at once; past it, the one that has been idle for longest is closed for a new one, and
    /// where none is idle, the new one is answered 503.
    pub connections_max: usize,
    /// Connections of one peer (an IPv4 address, an IPv6 /64) open at once; past it, the same. `None` is for
    /// no bound where the server is bound to loopback, for then every peer is this machine or a proxy on it,
    /// and for [`PEER_CONNECTIONS_MAX`] elsewhere.
    pub peer_connections_max: Option<usize>,
    /// How long an orderly end may take: what has been asked for by then is answered, the rest is cut off.
    pub finish_time_max: Duration,
    /// How long accepting pauses when the process has run out of descriptors and none has come free.
    pub accept_retry_time: Duration,
    /// Grants held at once, in memory or in a file; past it the answer is 503. An engine has a bound of its own.
    pub grants_max: usize,
    /// Live grants of one pair of a subject and a client, in memory or in a file; past it, the pair's oldest ends.
    /// As many codes that nobody has redeemed, and as many marks of answered forms, are kept beside them. `None` is
    /// for [`PAIR_GRANTS_MAX`], or a quarter of `grants_max` where that is less.
    pub pair_grants_max: Option<usize>,
    /// How long a request waits for the store; past it the answer is 503.
    pub store_time_max: Duration,
    /// Transitions that wait for a store that takes its time, together; past it the answer is 503.
    pub store_queue_max: usize,
    /// Threads for slow work; `None` is for half of the cores, at least one.
    pub pool_threads_max: Option<usize>,
    /// How long a request waits for slow work; past it the answer is 503.
    pub pool_time_max: Duration,
    /// Secrets that are compared with slow digests at once: each takes a thread and the memory that its digest says,
    /// at most 256 MiB.
    pub secret_checks_running_max: usize,
    /// Secrets that wait to be compared so; past it the answer is 503.
    pub secret_checks_waiting_max: usize,
    /// The same of one client, so that guesses at one client's secret keep no other client out.
    pub client_secret_checks_waiting_max: usize,
    /// The same of one peer.
    pub peer_secret_checks_waiting_max: usize,
    /// Wrong secrets of one peer in a row, where a person chose the secret; past it the answer is 429.
    pub wrong_secrets_max: u32,
    /// How long it takes until one of them is forgiven.
    pub wrong_secret_time: Duration,
    /// How long that answer is put off, so that a guesser does not ask as fast as it can be answered; zero is not at all.
    pub refused_guess_delay: Duration,
    /// Peers whose wrong secrets are remembered; past it the one that would be forgiven soonest is forgotten.
    pub wrong_secret_peers_max: usize,
    /// Log lines about refused requests in one second; past it, they are counted instead of written. Whoever
    /// sends nonsense fills no disk with it.
    pub refusal_lines_per_second_max: usize,
    /// Log lines that wait for a slow terminal; past it, lines are counted instead of kept.
    pub log_lines_max: usize,
    /// The size of a page read from `--www`, in bytes.
    pub page_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            http: http::Limits::default(),
            buffered_bytes_max: 256 * 1024 * 1024,
            connections_max: 16_000,
            peer_connections_max: None,
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

/// How long codes, tokens and forms stay good.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// An authorization code (RFC 6749, 4.1.2: at most ten minutes, and the shorter the better).
    pub code: Duration,
    /// The dialog's form, from its question to its answer.
    pub form: Duration,
    /// What a code buys.
    pub tokens: TokenLifetimes,
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        const DAY: Duration = Duration::from_secs(86_400);
        Lifetimes {
            code: Duration::from_secs(60),
            form: Duration::from_secs(600),
            tokens: TokenLifetimes {
                // The article's 86,400 seconds.
                access_token: DAY,
                refresh_idle: 14 * DAY,
                refresh: 90 * DAY,
                // Several tabs or machines of one client may be slow to share a new refresh token.
                refresh_grace: Duration::from_secs(60),
                refresh_reuse: RefreshReuse::EndsGrant,
            },
        }
    }
}

/// Why a [`Config`] cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Both servers were given this port.
    SamePort(u16),
    /// There are to be no workers, or too many.
    Workers(usize),
    /// This limit has a value that the code cannot keep; the text says what would do.
    Limit(&'static str, &'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::SamePort(port) => {
                write!(f, "--client-port and --auth-port are both {port}; give each server a port of its own")
            }
            ConfigError::Workers(number) => {
                write!(f, "--workers {number} cannot be; give a number from 1 to {WORKERS_MAX}")
            }
            ConfigError::Limit(name, remedy) => write!(f, "the limit {name} must be {remedy}"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A time of nothing would be over whenever it is looked at, and the loop would spin.
const MORE_THAN_NOTHING: &str = "greater than zero";

/// The bound on one peer's connections where a peer may be anyone.
pub const PEER_CONNECTIONS_MAX: usize = 256;

/// The bound on the live grants of one subject and client: a hundredth of what the store keeps by default.
pub const PAIR_GRANTS_MAX: usize = 10_000;

/// The longest that a code may live (RFC 6749, 4.1.2).
pub const CODE_LIFETIME_MAX: Duration = Duration::from_secs(600);

/// More threads than this are a slip of the finger.
pub const WORKERS_MAX: usize = 1024;

impl Config {
    /// The `client_id` of the demo's client.
    pub const DEMO_CLIENT_ID: &str = clients::DEMO_CLIENT_ID;

    /// The scopes of the demo, each with its sentence. Its client may have those of them that there are; the script
    /// of the client app asks for the first.
    pub const DEMO_SCOPES: [(&str, &str); 2] = [
        ("answer", "Read the secret answer."),
        ("question", "Read the question to it, should anyone find it."),
    ];

    /// The bound on one peer's connections; `usize::MAX` is for none.
    pub fn peer_connections_max(&self) -> usize {
        let is_loopback = self.bind.is_none_or(|address| address.is_loopback());
        let default = if is_loopback { usize::MAX } else { PEER_CONNECTIONS_MAX };
        self.limits.peer_connections_max.unwrap_or(default)
    }

    /// The bound on the live grants of one pair of a subject and a client.
    pub fn pair_grants_max(&self) -> usize {
        let default = PAIR_GRANTS_MAX.min(pair_share(self.limits.grants_max));
        self.limits.pair_grants_max.unwrap_or(default)
    }

    /// How many threads there are for slow work.
    pub fn pool_threads_max(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.limits.pool_threads_max.unwrap_or_else(|| (cores() / 2).max(1))
    }

    /// Whether the parts fit together. Every other module relies on this having been asked.
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

/// The most that one pair may have of each kind of record, so that all it has leaves room for others: there are
/// three kinds.
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
            "--client-port and --auth-port are both 3000; give each server a port of its own",
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
