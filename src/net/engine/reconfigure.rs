//! Another configuration for an engine that runs.

use std::sync::Arc;

use super::{Engine, Peer, Peers, Socket};
use crate::config::Config;
use crate::routes::Routes;

impl<S: Socket> Engine<S> {
    /// Uses `config` and `routes` from now on: for new requests, and its limits for new connections. A connection
    /// that is open keeps the limits that it was opened with, and a request that waits is finished by
    /// the routes that it began with. The number of workers must be as before.
    pub fn reconfigure(&mut self, config: &Config, routes: Arc<Routes>) {
        let Shares { connections_max, peer_max, buffered_max } = Shares::of(config);
        (self.connections_max, self.buffered_max) = (connections_max, buffered_max);
        if self.peers.each_max() != peer_max {
            self.peers = Peers::new(peer_max);
            for slot in self.connections.slots() {
                if let Some(link) = self.connections.at(slot).filter(|link| !self.proxies.trust(link.address)) {
                    self.peers.add(Peer::of(link.address), slot);
                }
            }
        }
        self.refusals.set_lines_per_second_max(config.limits.refusal_lines_per_second_max);
        self.connection_limits = Arc::new(config.limits.http.clone());
        (self.limits, self.routes) = (config.limits.clone(), routes);
    }
}

/// One worker's shares of the bounds on all of them together.
pub(super) struct Shares {
    pub(super) connections_max: usize,
    /// Connections of one peer.
    pub(super) peer_max: usize,
    /// Bytes in buffers; no less than one connection may need.
    pub(super) buffered_max: usize,
}

impl Shares {
    pub(super) fn of(config: &Config) -> Shares {
        let limits = &config.limits;
        let share = |max: usize| max.div_ceil(config.workers);
        let peer_max = match config.peer_connections_max() {
            usize::MAX => usize::MAX,
            max => share(max),
        };
        let buffered_max = share(limits.buffered_bytes_max).max(limits.http.connection_bytes_max());
        Shares { connections_max: share(limits.connections_max), peer_max, buffered_max }
    }
}
