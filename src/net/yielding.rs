//! Decides whether a worker yields its core before it asks the kernel for more events.
//!
//! Where clients and workers share the cores, a worker that is not kept busy is woken for each request: the kernel
//! takes the core from the client that was about to send the next one, and each system call returns one event. Two such
//! workers cost a quarter more per request than one that is kept busy. So a worker with many busy connections, few of
//! which are ready in a turn, lets other threads run first (`sched_yield(2)`) and finds more events afterwards. If no
//! other thread wants the core, the call returns at once.
//!
//! A worker does not yield with few busy connections or at a low rate of requests: a program that computes would keep
//! the core for milliseconds, and little would be saved. Nor does it yield while requests wait for a store with a
//! thread of its own, whose batches would become smaller.
//!
//! Time is divided into windows. Whether many connections are busy is known from the window before the current one.

use crate::oauth::Timestamp;

/// How many connections must be busy in a window for the worker to yield.
const CONNECTIONS_MIN: u32 = 8;

/// How many events a window must have: 4,000 a second.
const EVENTS_MIN: u32 = 64;

/// The length of a window, as a power of two in milliseconds: 16 ms, several turns of a worker that shares its core.
const WINDOW_BITS: u32 = 4;

/// The events of the last windows and of this turn.
#[derive(Default)]
pub(super) struct Yielding {
    /// The window of the last turn, counted since 1970.
    window: u64,
    /// The connections with events in it, as a bit set. Slots share the 64 bits, so it is an estimate.
    connections: u64,
    /// The number of events in it.
    events: u32,
    /// How many connections were busy in the window before it; 0 if that had few events.
    size: u32,
    /// The number of events in this turn.
    in_turn: u32,
    /// The last window in which a store completed a request that waited.
    store_window: u64,
}

impl Yielding {
    /// Begins a turn at `now`.
    pub(super) fn begin_turn(&mut self, now: Timestamp) {
        let window = now.as_milliseconds() >> WINDOW_BITS;
        if window != self.window {
            let is_busy = window == self.window.wrapping_add(1) && self.events >= EVENTS_MIN;
            self.size = if is_busy { self.connections.count_ones() } else { 0 };
            (self.window, self.connections, self.events) = (window, 0, 0);
        }
        self.in_turn = 0;
    }

    /// Counts an event of the connection in `slot`.
    pub(super) fn note_event(&mut self, slot: usize) {
        self.connections |= 1 << (slot % u64::BITS as usize);
        self.events = self.events.saturating_add(1);
        self.in_turn += 1;
    }

    /// Notes that a store has completed requests that waited.
    pub(super) fn note_store_answer(&mut self) {
        self.store_window = self.window;
    }

    /// Whether the last turn had events of only a few of many busy connections.
    pub(super) fn should_yield(&self) -> bool {
        let is_store_quiet = self.window.wrapping_sub(self.store_window) > 1;
        is_store_quiet && self.size >= CONNECTIONS_MIN && self.in_turn > 0 && self.in_turn < self.size / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(yielding: &mut Yielding, milliseconds: u64, slots: impl IntoIterator<Item = usize>) -> bool {
        yielding.begin_turn(Timestamp::from_milliseconds(milliseconds));
        slots.into_iter().for_each(|slot| yielding.note_event(slot));
        yielding.should_yield()
    }

    /// A window in which each of `connections` connections has many events.
    fn busy_window(yielding: &mut Yielding, milliseconds: u64, connections: usize) {
        turn(yielding, milliseconds, (0..connections).cycle().take(EVENTS_MIN as usize));
    }

    #[test]
    fn a_worker_waits_when_many_are_heard_one_at_a_time() {
        let mut yielding = Yielding::default();
        let turns = EVENTS_MIN as usize;
        let waits =
            (0..turns).filter(|at| turn(&mut yielding, 1600 + *at as u64 * 16 / turns as u64, [at % 16]));
        assert_eq!(waits.count(), 0, "nothing is known yet");
        assert!(turn(&mut yielding, 1616, [3]));
        assert!(turn(&mut yielding, 1617, 0..7), "seven of sixteen");
        assert!(!turn(&mut yielding, 1618, 0..8), "half of them is enough at a time");
        assert!(!turn(&mut yielding, 1619, []), "nothing was asked for");
    }

    #[test]
    fn a_worker_never_delays_few_connections_or_few_requests() {
        let mut yielding = Yielding::default();
        for at in 0..100_000 {
            assert!(!turn(&mut yielding, 1600 + at / 100, [at as usize % 7 + 64]), "at {at}");
        }
        for at in 0..10_000 {
            assert!(!turn(&mut yielding, 10_000 + at / 3, [at as usize % 64]), "at {at}");
        }
    }

    #[test]
    fn a_worker_whose_store_takes_its_time_does_not_wait() {
        let mut yielding = Yielding::default();
        busy_window(&mut yielding, 1600, 64);
        assert!(turn(&mut yielding, 1616, [0]));
        yielding.note_store_answer();
        assert!(!yielding.should_yield());
        busy_window(&mut yielding, 1617, 64);
        assert!(!turn(&mut yielding, 1632, [0]), "a moment ago");
        busy_window(&mut yielding, 1633, 64);
        assert!(turn(&mut yielding, 1648, [0]), "not lately");
    }

    #[test]
    fn a_crowd_that_has_gone_is_forgotten() {
        let mut yielding = Yielding::default();
        busy_window(&mut yielding, 1600, 64);
        assert!(turn(&mut yielding, 1616, [0]));
        assert!(!turn(&mut yielding, 1632, [0]), "one in the last window");
        busy_window(&mut yielding, 1648, 64);
        assert!(!turn(&mut yielding, 1700, [0]), "there was a window with none");
        assert!(!turn(&mut yielding, 5, [0]), "the clock was set back");
    }
}
