//! What one worker may have of what all of them together may.

use crate::config::Config;

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
