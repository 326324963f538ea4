//! Which connection is closed to make room for others.
//!
//! One look at all connections serves for many calls: it picks some, and a pick that has changed since is skipped. So
//! a flood of newcomers does not make the worker look at sixteen thousand connections for each of them.

use std::time::Instant;

use super::connections::Connections;
use super::engine::Socket;

/// How many connections one look at all of them picks.
const PICKED: usize = 64;

/// What came of looking for a connection to close for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// One was closed.
    Made,
    /// The connections that are idle have come in this turn.
    NextTurn,
    /// No connection is idle.
    None,
}

/// Connections that a look has picked.
#[derive(Default)]
pub(super) struct Eviction {
    /// The oldest last; some may be busy or closed by now.
    idle: Vec<(usize, Instant)>,
    /// The turn in which a look found none.
    none_idle_in: u64,
}

impl Eviction {
    /// The connection that has been idle for longest, or nearly, and since when. In a turn in which a look found none
    /// there is no second look.
    pub(super) fn oldest_idle<S: Socket>(
        &mut self,
        connections: &mut Connections<S>,
        turn: u64,
    ) -> Option<(usize, Instant)> {
        if self.none_idle_in == turn {
            return None;
        }
        loop {
            while let Some((slot, since)) = self.idle.last().copied() {
                if connections.at(slot).and_then(|link| link.idle_since()) == Some(since) {
                    return Some((slot, since));
                }
                self.idle.pop();
            }
            self.idle = connections.all_idle();
            self.idle.sort_unstable_by_key(|(_, since)| std::cmp::Reverse(*since));
            self.idle.drain(..self.idle.len().saturating_sub(PICKED));
            if self.idle.is_empty() {
                self.none_idle_in = turn;
                return None;
            }
        }
    }
}
