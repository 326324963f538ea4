//! The settings of the servers: where to listen, how clients reach them, and the limits of all connections together.
//!
//! Plain data. The limits of one connection are the codec's ([`http::Limits`]), and what the endpoints need is theirs
//! ([`routes::Settings`]). The values must fit together; [`Limits::mistakes`] lists those that do not.

use std::net::IpAddr;
use std::time::Duration;

use super::access_log::LogFormat;
use super::networks::Network;
use crate::http;
use crate::oauth::issuer::Issuer;
use crate::routes;

/// The default limit of one peer's connections, except on loopback.
pub const PEER_CONNECTIONS_MAX: usize = 256;

/// What both servers need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on; `None` means both loopback addresses, 127.0.0.1 and ::1.
    pub bind: Option<IpAddr>,
    /// The port of the client app, which brings the demo client with it; 0 lets the system pick a free one. `None`
    /// serves only the authorization server.
    pub client_port: Option<u16>,
    /// The port of the authorization server; 0 lets the system pick a free one.
    pub auth_port: u16,
    /// The port of the attacker's site; `None` for no lab.
    pub lab_port: Option<u16>,
    /// The issuer identifier of the authorization server (RFC 8414, 2); `None` for the origin that it listens on,
    /// which is wrong behind a proxy.
    pub issuer: Option<Issuer>,
    /// The proxies whose forwarding fields name the peer of a request.
    pub trusted_proxies: Vec<Network>,
    /// The number of worker threads, each with its own event loop and its share of the connections.
    pub workers: usize,
    /// The format of the access log; `None` for no access log.
    pub access_log: Option<LogFormat>,
    /// The limits of one connection, applied by the codec.
    pub http: http::Limits,
    /// The limits of all connections together.
    pub limits: Limits,
    /// What the endpoints need to know.
    pub routes: routes::Settings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            bind: None,
            client_port: Some(3000),
            auth_port: 3001,
            lab_port: None,
            issuer: None,
            trusted_proxies: Vec::new(),
            workers: 1,
            access_log: None,
            http: http::Limits::default(),
            limits: Limits::default(),
            routes: routes::Settings::default(),
        }
    }
}

impl Settings {
    /// The limit of one peer's connections; `usize::MAX` means unlimited.
    pub fn peer_connections_max(&self) -> usize {
        let is_loopback = self.bind.is_none_or(|address| address.is_loopback());
        let default = if is_loopback { usize::MAX } else { PEER_CONNECTIONS_MAX };
        self.limits.peer_connections_max.unwrap_or(default)
    }
}

/// The limits of all connections together. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Limits {
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
    /// How long an orderly stop may take: requests received by then are answered, then connections are cut.
    pub finish_time_max: Duration,
    /// How long accepting pauses when the process is out of descriptors and none can be freed.
    pub accept_retry_time: Duration,
    /// The number of threads for slow work; `None` means half of the cores, at least one.
    pub pool_threads_max: Option<usize>,
    /// Maximum log lines per second about refused requests; beyond it they are only counted, so that malformed
    /// requests cannot fill the disk.
    pub refusal_lines_per_second_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            buffered_bytes_max: 256 * 1024 * 1024,
            connections_max: 16_000,
            peer_connections_max: None,
            finish_time_max: Duration::from_secs(10),
            accept_retry_time: Duration::from_millis(100),
            pool_threads_max: None,
            refusal_lines_per_second_max: 50,
        }
    }
}

impl Limits {
    /// The number of threads for slow work.
    pub fn pool_threads_max(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.pool_threads_max.unwrap_or_else(|| (cores() / 2).max(1))
    }

    /// Every value that the servers cannot work with: its name, and what it must be.
    pub fn mistakes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        // A zero timeout would always have expired, and the loop would spin.
        const GREATER_THAN_ZERO: &str = "greater than zero";
        let rules = [
            (self.connections_max > 0, "connections_max", "at least 1"),
            (self.peer_connections_max != Some(0), "peer_connections_max", "at least 1"),
            (self.pool_threads_max != Some(0), "pool_threads_max", "at least 1"),
            (!self.accept_retry_time.is_zero(), "accept_retry_time", GREATER_THAN_ZERO),
            (!self.finish_time_max.is_zero(), "finish_time_max", GREATER_THAN_ZERO),
        ];
        rules.into_iter().filter(|(holds, ..)| !holds).map(|(_, name, remedy)| (name, remedy))
    }
}
