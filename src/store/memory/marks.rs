//! The marks of one pair, by the age of their forms: a priority queue that expects them nearly in order.
//!
//! Most forms are answered nearly in the order in which they were shown. Their marks are in a ring buffer, where adding
//! and removing touches only the ends. Marks that come late are in a heap, where removing the oldest touches an entry
//! on every level. Each of the two is one allocation (`pairs.rs` says why).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::oauth::{Id, Timestamp};

/// The time until which the form could be sent again, and the record's identifier.
type Mark = (Timestamp, Id);

/// A mark is late if this many newer ones, or more, are in the buffer already. Enough for the forms of one pair that
/// are shown in the same millisecond, whose order is random.
const NEWER_MAX: usize = 32;

#[derive(Default)]
pub(super) struct Marks {
    /// Sorted, oldest first.
    in_order: VecDeque<Mark>,
    /// Those that were late when they came.
    late: BinaryHeap<Reverse<Mark>>,
}

impl Marks {
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The oldest; among equals that with the least identifier.
    pub(super) fn oldest(&self) -> Option<Mark> {
        let (first, late) = (self.in_order.front().copied(), self.late.peek().map(|Reverse(late)| *late));
        [first, late].into_iter().flatten().min()
    }

    pub(super) fn push(&mut self, kept_until: Timestamp, id: Id) {
        let mark = (kept_until, id);
        let newer = self.in_order.iter().rev().take(NEWER_MAX).take_while(|other| **other > mark).count();
        if newer < NEWER_MAX {
            self.in_order.insert(self.in_order.len() - newer, mark);
        } else {
            self.late.push(Reverse(mark));
        }
    }

    /// Removes the oldest.
    pub(super) fn pop(&mut self) {
        if self.oldest() == self.in_order.front().copied() {
            self.in_order.pop_front();
        } else {
            self.late.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::oauth::Credential;
    use crate::oauth::credential::CREDENTIAL_BYTES;

    /// Adds marks of these times, removing the oldest after every third, and compares each step with an ordered set.
    fn check(times: impl Iterator<Item = u64>, has_late: bool) {
        let (mut marks, mut expected) = (Marks::default(), BTreeSet::new());
        let mut was_late = false;
        for (number, time) in times.enumerate() {
            let mut random = [0; CREDENTIAL_BYTES];
            // Identifiers in another order than the numbers.
            random[0] = (number * 151) as u8;
            random[1..9].copy_from_slice(&number.to_le_bytes());
            let mark = (Timestamp::from_milliseconds(time), Credential::of_new_grant(random).grant());
            marks.push(mark.0, mark.1);
            expected.insert(mark);
            was_late |= !marks.late.is_empty();
            if number % 3 == 2 {
                marks.pop();
                expected.pop_first();
            }
            assert_eq!((marks.oldest(), marks.len()), (expected.first().copied(), expected.len()), "{number}");
        }
        assert_eq!(was_late, has_late);
        while let Some(oldest) = expected.pop_first() {
            assert_eq!(marks.oldest(), Some(oldest));
            marks.pop();
        }
        assert!(marks.is_empty() && marks.oldest().is_none());
        marks.pop();
    }

    #[test]
    fn the_oldest_mark_is_first_in_whatever_order_they_come() {
        check(0..300, false);
        // Some in one millisecond, whose order is that of their identifiers.
        check((0..300).map(|number| number / 20), false);
        check((0..300).map(|number| number ^ 7), false);
        check((0..300).rev(), true);
        check((0..300).map(|number| number * 7919 % 101), true);
    }
}
