//! Whether a worker does better to wait a little before it asks the kernel for more.
//!
//! Where clients and workers share the cores, a worker that is not kept busy is woken for each request: the
//! kernel takes the core from whoever was about to send the next one, and a system call brings one event. Two
//! such workers cost a quarter more for each request than one that is kept busy. So a worker that hears of
//! many connections, but of few at a time, lets the others run first (`sched_yield(2)`), and finds more when
//! it comes back. Where no other thread wants the core, it comes back at once. Where few connections are busy, it
//! does not wait at all; nor where requests wait for a store with a thread of its own, which would only have less
//! to do at a time.

use crate::oauth::Timestamp;

/// How many connections must have been heard in one window for there to be a crowd.
const CROWD_MIN: u32 = 8;

/// How long a window is: 16 ms, some turns of a worker that shares its core.
const WINDOW_BITS: u32 = 4;

/// Which connections were heard of lately, and how many in this turn.
#[derive(Default)]
pub(super) struct Crowd {
    /// The window that the last turn fell into, counted since 1970.
    window: u64,
    /// One bit for each connection that was heard in it; which slot has which bit is no matter.
    heard: u64,
    /// How many were heard in the window before it.
    size: u32,
    in_turn: u32,
    /// The last window in which a store gave its answers later.
    store_window: u64,
}

impl Crowd {
    /// A turn begins at the moment `now`.
    pub(super) fn begin_turn(&mut self, now: Timestamp) {
        let window = now.as_milliseconds() >> WINDOW_BITS;
        if window != self.window {
            self.size = if window == self.window.wrapping_add(1) { self.heard.count_ones() } else { 0 };
            (self.window, self.heard) = (window, 0);
        }
        self.in_turn = 0;
    }

    /// Something happened on the connection in `slot`.
    pub(super) fn hear(&mut self, slot: usize) {
        self.heard |= 1 << (slot % u64::BITS as usize);
        self.in_turn += 1;
    }

    /// The store has answered requests that waited for it.
    pub(super) fn hear_of_store(&mut self) {
        self.store_window = self.window;
    }

    /// Whether this turn heard of few of the many that are there.
    pub(super) fn is_scattered(&self) -> bool {
        let is_alone = self.window.wrapping_sub(self.store_window) > 1;
        is_alone && self.size >= CROWD_MIN && self.in_turn > 0 && self.in_turn < self.size / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(crowd: &mut Crowd, milliseconds: u64, slots: impl IntoIterator<Item = usize>) -> bool {
        crowd.begin_turn(Timestamp::from_milliseconds(milliseconds));
        slots.into_iter().for_each(|slot| crowd.hear(slot));
        crowd.is_scattered()
    }

    #[test]
    fn a_worker_waits_when_many_are_heard_one_at_a_time() {
        let mut crowd = Crowd::default();
        let first = (0..16).filter(|at| turn(&mut crowd, 1600 + at, [*at as usize])).count();
        assert_eq!(first, 0, "nothing is known yet");
        assert!(turn(&mut crowd, 1616, [3]));
        assert!(turn(&mut crowd, 1617, 0..7), "seven of sixteen");
        assert!(!turn(&mut crowd, 1618, 0..8), "half of them is enough at a time");
        assert!(!turn(&mut crowd, 1619, []), "nothing was asked for");
    }

    #[test]
    fn a_worker_never_waits_for_few_connections_however_busy() {
        let mut crowd = Crowd::default();
        for at in 0..1000 {
            assert!(!turn(&mut crowd, 1600 + at, [at as usize % 7 + 64]), "at {at}");
        }
    }

    #[test]
    fn a_worker_whose_store_takes_its_time_does_not_wait() {
        let mut crowd = Crowd::default();
        turn(&mut crowd, 1600, 0..64);
        assert!(turn(&mut crowd, 1616, [0]));
        crowd.hear_of_store();
        assert!(!crowd.is_scattered());
        turn(&mut crowd, 1617, 0..64);
        assert!(!turn(&mut crowd, 1632, [0]), "a moment ago");
        turn(&mut crowd, 1633, 0..64);
        assert!(turn(&mut crowd, 1648, [0]), "not lately");
    }

    #[test]
    fn a_crowd_that_has_gone_is_forgotten() {
        let mut crowd = Crowd::default();
        turn(&mut crowd, 1600, 0..64);
        assert!(turn(&mut crowd, 1616, [0]));
        assert!(!turn(&mut crowd, 1632, [0]), "one in the last window");
        turn(&mut crowd, 1648, 0..64);
        assert!(!turn(&mut crowd, 1700, [0]), "there was a window with none");
        assert!(!turn(&mut crowd, 5, [0]), "the clock was set back");
    }
}
