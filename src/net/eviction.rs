//! Which connection is closed to make room for others.
//!
//! One look at all connections serves for many calls: it picks some, and a pick that has changed since is skipped. So
//! a flood of newcomers does not make the worker look at sixteen thousand connections for each of them.

use std::net::IpAddr;
use std::time::Instant;

use super::socket::Socket;
use super::table::Table;

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
    /// Those that hold most memory, the most last, and how much; some may hold less or be closed by now.
    heaviest: Vec<(usize, usize)>,
}

impl Eviction {
    /// The connection that has been idle for longest, or nearly, and since when. In a turn in which a look found none
    /// there is no second look.
    pub(super) fn oldest_idle<S: Socket>(
        &mut self,
        links: &mut Table<S>,
        turn: u64,
    ) -> Option<(usize, Instant)> {
        if self.none_idle_in == turn {
            return None;
        }
        loop {
            while let Some((slot, since)) = self.idle.last().copied() {
                if links.at(slot).and_then(|link| link.idle_since()) == Some(since) {
                    return Some((slot, since));
                }
                self.idle.pop();
            }
            self.idle = links.all_idle();
            self.idle.sort_unstable_by_key(|(_, since)| std::cmp::Reverse(*since));
            self.idle.drain(..self.idle.len().saturating_sub(PICKED));
            if self.idle.is_empty() {
                self.none_idle_in = turn;
                return None;
            }
        }
    }

    /// The connection whose buffers take most memory, or nearly; how much that is, in bytes; and whose it is.
    pub(super) fn heaviest<S: Socket>(&mut self, links: &mut Table<S>) -> Option<(usize, usize, IpAddr)> {
        loop {
            while let Some((slot, bytes)) = self.heaviest.pop() {
                let Some(link) = links.at(slot) else { continue };
                if link.counted() >= bytes {
                    return Some((slot, link.counted(), link.address));
                }
            }
            self.heaviest = links.all_buffered();
            self.heaviest.sort_unstable_by_key(|(_, bytes)| *bytes);
            self.heaviest.drain(..self.heaviest.len().saturating_sub(PICKED));
            if self.heaviest.is_empty() {
                return None;
            }
        }
    }
}
