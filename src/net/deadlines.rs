//! Timers of connections, at a cost that does not grow with the number of connections.
//!
//! A heap of deadlines, with one or a few entries for each slot. A deadline that moves later, as the idle timeout does
//! with every request, costs nothing: the old entry stays, and when it is due, the connection is found to have time
//! left and is entered again. Entries belong to slots and not to connections, so closed connections leave nothing to
//! clean up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The deadlines of all slots.
#[derive(Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// For each slot, the earliest of its entries in the heap.
    earliest: Vec<Option<Instant>>,
}

impl Deadlines {
    /// Makes `slot` due by `deadline`; it may be reported earlier. `None` changes nothing.
    pub(super) fn set(&mut self, slot: usize, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if slot >= self.earliest.len() {
            self.earliest.resize(slot + 1, None);
        }
        if self.earliest[slot].is_none_or(|earliest| deadline < earliest) {
            self.earliest[slot] = Some(deadline);
            self.heap.push(Reverse((deadline, slot)));
        }
    }

    /// When the next slot is due, or an entry that is out of date.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Takes a slot that is due by `now`. It has no deadline until the next call of [`Deadlines::set`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        while self.next().is_some_and(|deadline| deadline <= now) {
            let Reverse((deadline, slot)) = self.heap.pop()?;
            // Otherwise an earlier deadline of the slot was set later and has been handled.
            if self.earliest[slot] == Some(deadline) {
                self.earliest[slot] = None;
                return Some(slot);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn slots_come_due_in_order_and_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.set(2, Some(at(5)));
        deadlines.set(0, Some(at(3)));
        deadlines.set(1, None);
        assert_eq!(deadlines.next(), Some(at(3)));
        assert_eq!(deadlines.pop_due(at(2)), None);
        assert_eq!(deadlines.pop_due(at(9)), Some(0));
        assert_eq!(deadlines.pop_due(at(9)), Some(2));
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_later_deadline_adds_no_entry_and_an_earlier_one_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        for seconds in 10..1000 {
            deadlines.set(0, Some(at(seconds)));
        }
        assert_eq!(deadlines.heap.len(), 1);
        deadlines.set(0, Some(at(4)));
        assert_eq!(deadlines.pop_due(at(4)), Some(0));
        deadlines.set(0, Some(at(20)));
        assert_eq!(deadlines.pop_due(at(10)), None, "the entry that was overtaken");
        assert_eq!(deadlines.pop_due(at(20)), Some(0));
    }
}
