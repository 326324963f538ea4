//! The identifiers of a shard's grants, ordered by the time of the next expiry check: a heap in one allocation.
//!
//! A grant that ends early leaves its entry behind. Each such end inspects a few entries, in turn, and removes those
//! whose grants no longer exist. So the stale entries number about as many as the grants at most, and no request pays
//! for removing all of them.
//!
//! A separate table, indexed by the entry's number, says whether the grant still exists. It is small enough to stay in
//! the cache, unlike the grants, which are looked up by name.

use crate::oauth::{Id, Timestamp};

/// The entries that one early end inspects. With two, up to half of the entries are stale after a full round.
const SWEPT_PER_END: usize = 2;

/// The number of an entry.
pub(super) type Number = u32;

pub(super) struct Expiries {
    /// A binary heap: no entry is due before its parent, which is at half its index.
    heap: Vec<Entry>,
    /// The state of each number: [`THERE`], [`LEFT`], or, for a free number, the next free one.
    numbers: Vec<u32>,
    free: u32,
    /// The index at which the sweep continues.
    next: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    due: Timestamp,
    id: Id,
    number: Number,
}

/// The entry's grant exists.
const THERE: u32 = u32::MAX;
/// The grant no longer exists; its entry is stale.
const LEFT: u32 = u32::MAX - 1;
/// No number is free.
const NONE: u32 = u32::MAX - 2;

impl Default for Expiries {
    fn default() -> Expiries {
        Expiries { heap: Vec::new(), numbers: Vec::new(), free: NONE, next: 0 }
    }
}

impl Expiries {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn first(&self) -> Option<(Timestamp, Id)> {
        self.heap.first().map(|entry| (entry.due, entry.id))
    }

    /// Adds an entry; returns its number, for [`Expiries::leave`].
    pub(super) fn push(&mut self, due: Timestamp, id: Id) -> Number {
        let number = self.take_number();
        self.heap.push(Entry { due, id, number });
        self.rise(self.heap.len() - 1);
        number
    }

    /// Removes the first entry.
    pub(super) fn pop(&mut self) {
        if !self.heap.is_empty() {
            self.remove(0);
        }
    }

    /// Moves the first entry to a later time.
    pub(super) fn put_off(&mut self, due: Timestamp) {
        if let Some(first) = self.heap.first_mut() {
            first.due = due;
            self.sink(0);
        }
    }

    /// Marks the entry as stale. Inspects a few entries and removes the stale ones.
    pub(super) fn leave(&mut self, number: Number) {
        self.numbers[number as usize] = LEFT;
        for _ in 0..SWEPT_PER_END {
            match self.heap.get(self.next) {
                None => self.next = 0,
                Some(entry) if self.numbers[entry.number as usize] == THERE => self.next += 1,
                // Another entry has moved to this index, and is inspected next.
                Some(_) => self.remove(self.next),
            }
        }
    }

    fn take_number(&mut self) -> Number {
        let number = self.free;
        match self.numbers.get_mut(number as usize) {
            Some(next) => {
                self.free = std::mem::replace(next, THERE);
                number
            }
            None => {
                self.numbers.push(THERE);
                // Unreachable: memory runs out long before four billion records.
                (self.numbers.len() - 1) as Number
            }
        }
    }

    fn remove(&mut self, at: usize) {
        let number = self.heap.swap_remove(at).number;
        self.numbers[number as usize] = std::mem::replace(&mut self.free, number);
        if at < self.heap.len() {
            self.sink(at);
            self.rise(at);
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent].due <= self.heap[at].due {
                return;
            }
            self.heap.swap(parent, at);
            at = parent;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let is_right = right < self.heap.len() && self.heap[right].due < self.heap[left].due;
            let child = if is_right { right } else { left };
            if child >= self.heap.len() || self.heap[at].due <= self.heap[child].due {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::oauth::Credential;
    use crate::oauth::credential::CREDENTIAL_BYTES;

    fn entry(number: u64) -> (Timestamp, Id) {
        let mut random = [0; CREDENTIAL_BYTES];
        random[..8].copy_from_slice(&number.to_be_bytes());
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
        (Timestamp::from_milliseconds(mixed), Credential::of_new_grant(random).grant())
    }

    #[test]
    fn entries_come_in_order_and_those_of_ended_grants_are_dropped() {
        let mut expiries = Expiries::default();
        let mut there = BTreeMap::new();
        for number in 0..4000 {
            let (due, id) = entry(number);
            there.insert(id, (due, expiries.push(due, id)));
            // Two of three end before their time.
            if number % 3 != 0 {
                let id = *there.range(entry(number / 2).1..).next().map_or(&id, |(id, _)| id);
                expiries.leave(there.remove(&id).unwrap().1);
            }
            let bound = 2 * there.len() + 8;
            assert!(expiries.len() <= bound, "{number}: {} of {}", expiries.len(), there.len());
            assert!(expiries.numbers.len() <= bound, "numbers are used again");
        }
        let (first, _) = expiries.first().unwrap();
        expiries.put_off(first.after(std::time::Duration::from_millis(7)));
        let mut last = Timestamp::from_milliseconds(0);
        while let Some((due, id)) = expiries.first() {
            assert!(due >= last);
            last = due;
            there.remove(&id);
            expiries.pop();
        }
        assert!(there.is_empty());
        expiries.pop();
    }
}
