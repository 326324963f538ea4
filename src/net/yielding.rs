//! Whether a worker does better to wait a little before it asks the kernel for more.
//!
//! Where clients and workers share the cores, a worker that is not kept busy is woken for each request: the
//! kernel takes the core from whoever was about to send the next one, and a system call brings one event. Two
//! such workers cost a quarter more for each request than one that is kept busy. So a worker that hears of
//! many connections, but of few at a time, lets the others run first (`sched_yield(2)`), and finds more when
//! it comes back. Where no other thread wants the core, it comes back at once.
//!
//! It does not wait where few connections are busy, or where requests are few: giving the core to another program
//! that computes would cost each request some milliseconds, and save next to nothing. Nor where requests wait
//! for a store with a thread of its own, which would only have less to do at a time.

use crate::oauth::Timestamp;

/// How many connections must have been heard in one window for there to be a crowd.
const CONNECTIONS_MIN: u32 = 8;

/// How often: 4,000 times a second.
const EVENTS_MIN: u32 = 64;

/// How long a window is: 16 ms, some turns of a worker that shares its core.
const WINDOW_BITS: u32 = 4;

/// Which connections were heard of lately, and how many in this turn.
#[derive(Default)]
pub(super) struct Yielding {
    /// The window that the last turn fell into, counted since 1970.
    window: u64,
    /// One bit for each connection that was heard in it; which slot has which bit is no matter.
    connections: u64,
    /// How often any was.
    events: u32,
    /// How many connections there were in the window before it; none, if they were heard seldom.
    size: u32,
    in_turn: u32,
    /// The last window in which a store gave its answers later.
    store_window: u64,
}

impl Yielding {
    /// A turn begins at the moment `now`.
    pub(super) fn begin_turn(&mut self, now: Timestamp) {
        let window = now.as_milliseconds() >> WINDOW_BITS;
        if window != self.window {
            let is_rush = window == self.window.wrapping_add(1) && self.events >= EVENTS_MIN;
            self.size = if is_rush { self.connections.count_ones() } else { 0 };
            (self.window, self.connections, self.events) = (window, 0, 0);
        }
        self.in_turn = 0;
    }

    /// Something happened on the connection in `slot`.
    pub(super) fn note_event(&mut self, slot: usize) {
        self.connections |= 1 << (slot % u64::BITS as usize);
        self.events = self.events.saturating_add(1);
        self.in_turn += 1;
    }

    /// The store has answered requests that waited for it.
    pub(super) fn note_store_answer(&mut self) {
        self.store_window = self.window;
    }

    /// Whether this turn heard of few of the many that are there.
    pub(super) fn should_yield(&self) -> bool {
        let is_alone = self.window.wrapping_sub(self.store_window) > 1;
        is_alone && self.size >= CONNECTIONS_MIN && self.in_turn > 0 && self.in_turn < self.size / 2
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

    /// A window in which each of so many connections was heard, again and again.
    fn rush(yielding: &mut Yielding, milliseconds: u64, connections: usize) {
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
    fn a_worker_never_waits_for_few_connections_nor_for_few_requests() {
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
        rush(&mut yielding, 1600, 64);
        assert!(turn(&mut yielding, 1616, [0]));
        yielding.note_store_answer();
        assert!(!yielding.should_yield());
        rush(&mut yielding, 1617, 64);
        assert!(!turn(&mut yielding, 1632, [0]), "a moment ago");
        rush(&mut yielding, 1633, 64);
        assert!(turn(&mut yielding, 1648, [0]), "not lately");
    }

    #[test]
    fn a_crowd_that_has_gone_is_forgotten() {
        let mut yielding = Yielding::default();
        rush(&mut yielding, 1600, 64);
        assert!(turn(&mut yielding, 1616, [0]));
        assert!(!turn(&mut yielding, 1632, [0]), "one in the last window");
        rush(&mut yielding, 1648, 64);
        assert!(!turn(&mut yielding, 1700, [0]), "there was a window with none");
        assert!(!turn(&mut yielding, 5, [0]), "the clock was set back");
    }
}
