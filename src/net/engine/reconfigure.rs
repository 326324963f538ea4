//! Another configuration for an engine that runs.

use std::sync::Arc;

use super::{Engine, Peer, Peers, Socket};
use crate::config::Config;
use crate::routes::Routes;

impl<S: Socket> Engine<S> {
    /// Uses `config` and `routes` from now on: for new requests, and its limits for new connections. A connection
    /// that is open keeps the limits that it was opened with, and a request that waits for the store is finished by
    /// the routes that it began with. The number of workers must be as before.
    pub fn reconfigure(&mut self, config: &Config, routes: Arc<Routes>) {
        let limits = Arc::new(config.limits.clone());
        let (connections_max, peer_max) = shares(config);
        self.connections_max = connections_max;
        if self.peers.each_max() != peer_max {
            self.peers = Peers::new(peer_max);
            for slot in self.connections.slots() {
                if let Some(link) = self.connections.at(slot) {
                    self.peers.add(Peer::of(link.address), slot);
                }
            }
        }
        self.refusals.set_lines_per_second_max(limits.refusal_lines_per_second_max);
        (self.limits, self.routes) = (limits, routes);
    }
}

/// One worker's shares of the bounds on all connections, and on those of one peer.
pub(super) fn shares(config: &Config) -> (usize, usize) {
    let share = |max: usize| max.div_ceil(config.workers);
    let peer_max = match config.peer_connections_max() {
        usize::MAX => usize::MAX,
        max => share(max),
    };
    (share(config.limits.connections_max), peer_max)
}
