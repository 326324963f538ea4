//! One worker's share of the bounds that hold for all workers together.
//!
//! Workers share no counters, so each keeps to its own part. It is rounded up, so that a bound smaller than the number
//! of workers leaves none of them without.

use super::settings::Settings;

/// The bounds of one worker.
pub(super) struct Shares {
    /// Connections.
    pub(super) connections_max: usize,
    /// Connections of one peer.
    pub(super) peer_max: usize,
    /// Bytes in the buffers of all connections; at least what a single connection may need.
    pub(super) buffered_max: usize,
    /// Lines about refusals in one second; 0 writes none.
    pub(super) refusal_lines_per_second_max: usize,
}

impl Shares {
    /// The share of one of `settings.workers` workers.
    pub(super) fn of(settings: &Settings) -> Shares {
        let limits = &settings.limits;
        let share = |max: usize| max.div_ceil(settings.workers);
        let peer_max = match settings.peer_connections_max() {
            usize::MAX => usize::MAX,
            max => share(max),
        };
        let buffered_max = share(limits.buffered_bytes_max).max(settings.http.connection_bytes_max());
        Shares {
            connections_max: share(limits.connections_max),
            peer_max,
            buffered_max,
            refusal_lines_per_second_max: share(limits.refusal_lines_per_second_max),
        }
    }
}
