//! The wire view of one process: where the exchanges of all workers come together.
//!
//! Workers add exchanges as they are complete, and each page that watches is woken and reads what it has not read yet.
//! One lock is held for the time of a copy. It exists only where there is a wire view.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use super::exchange::Exchange;
use super::recent::Ring;
use super::trace;
use crate::log::Log;
use crate::system::System;

/// The wire view of one process.
pub struct Wire {
    state: Mutex<State>,
    connections: AtomicU64,
    /// When it began, in milliseconds since 1970: tells the numbers of this process from those of an earlier one.
    run: u64,
    pub(super) system: Arc<dyn System>,
    /// Where each exchange is printed, with `--trace`.
    trace: OnceLock<Log>,
}

#[derive(Default)]
struct State {
    ring: Ring,
    watches: Vec<(u64, Wake)>,
    last_watch: u64,
}

/// Tells a reader that there is something to read. It must not block, and not call back.
type Wake = Box<dyn Fn() + Send>;

/// A reader that is woken for each exchange, until this is dropped.
pub struct Watch {
    wire: Arc<Wire>,
    id: u64,
}

impl Wire {
    /// An empty view, if one is wanted.
    pub fn open(is_wanted: bool, system: &Arc<dyn System>) -> Option<Arc<Wire>> {
        is_wanted.then(|| Arc::new(Wire::new(Arc::clone(system))))
    }

    /// An empty view.
    pub fn new(system: Arc<dyn System>) -> Wire {
        let run = system.wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        let run = u64::try_from(run.as_millis()).unwrap_or_default();
        let (state, connections) = (Mutex::default(), AtomicU64::new(0));
        Wire { state, connections, run, system, trace: OnceLock::new() }
    }

    /// Has each exchange printed to `log` from now on. Only the first call counts.
    pub fn print_to(&self, log: Log) {
        // The log of an earlier call stays.
        let _ = self.trace.set(log);
    }

    /// A number that tells this process from the one before it.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// A number for a new connection.
    pub(super) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds an exchange, and wakes all readers.
    pub(super) fn record(&self, exchange: Exchange) {
        let mut state = self.lock();
        let printed = self.trace.get().is_some().then(|| exchange.clone());
        let id = state.ring.push(exchange);
        state.watches.iter().for_each(|(_, wake)| wake());
        drop(state);
        if let (Some(log), Some(exchange)) = (self.trace.get(), printed) {
            trace::print(&Exchange { id, ..exchange }, log);
        }
    }

    /// The first exchange after the one with the number `id`.
    pub fn after(&self, id: u64) -> Option<Exchange> {
        self.lock().ring.after(id).cloned()
    }

    /// Has `wake` called for each exchange from now on, for as long as the result lives.
    pub fn watch(self: &Arc<Wire>, wake: impl Fn() + Send + 'static) -> Watch {
        let mut state = self.lock();
        state.last_watch += 1;
        let id = state.last_watch;
        state.watches.push((id, Box::new(wake)));
        Watch { wire: Arc::clone(self), id }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoning is ignored: no change of the state can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// What is watched.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.wire.lock().watches.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::super::exchange::tests::exchange;
    use super::*;
    use crate::system::RealSystem;

    #[test]
    fn a_reader_is_woken_for_each_exchange_until_it_goes() {
        let log = Log::kept();
        let wire = Arc::new(Wire::new(Arc::new(RealSystem::default())));
        wire.print_to(log.clone());
        let woken = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&woken);
        let watch = wire.watch(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        wire.record(exchange(0, b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"));
        wire.record(exchange(0, b"GET /2 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"));
        let read: Vec<u64> = [0, 1, 2].iter().filter_map(|id| Some(watch.wire().after(*id)?.id)).collect();
        assert_eq!((read, woken.load(Ordering::Relaxed)), (vec![1, 2], 2));
        drop(watch);
        wire.record(exchange(0, b"GET /3 HTTP/1.1\r\n\r\n", b""));
        assert_eq!((woken.load(Ordering::Relaxed), wire.lock().watches.len()), (2, 0));
        assert!(log.lines().iter().any(|line| line.starts_with("→ #2 ")), "{:?}", log.lines());
    }
}
