//! Chooses which connection is closed to make room for others.
//!
//! Scanning all connections for each new one would let a flood of new clients make the worker look at sixteen thousand
//! connections again and again. So one scan picks several candidates, and each is checked again when its turn comes: it
//! may be busy or closed by then.

use std::net::IpAddr;
use std::time::Instant;

use super::socket::Socket;
use super::table::Table;

/// How many candidates one scan picks.
const PICKED: usize = 64;

/// The result of looking for an idle connection to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// One was closed.
    Made,
    /// The idle connections were accepted in this turn; the next one may close them.
    NextTurn,
    /// No connection is idle.
    None,
}

/// The candidates of the last scans.
#[derive(Default)]
pub(super) struct Eviction {
    /// Idle connections, the longest idle last.
    idle: Vec<(usize, Instant)>,
    /// The turn in which a scan found no idle connection.
    none_idle_in: u64,
    /// The connections with the largest buffers, the largest last, with their size in bytes.
    heaviest: Vec<(usize, usize)>,
}

impl Eviction {
    /// A connection that has been idle for (nearly) the longest time, and since when. Scans at most once in a turn in
    /// which no connection is idle.
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

    /// A connection with (nearly) the largest buffers, their size in bytes, and the client's address.
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
