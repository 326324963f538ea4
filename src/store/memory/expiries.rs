//! The names of a shard's grants by the moment at which each is to be looked at: a heap in one piece of memory.
//!
//! A grant that ends before its time leaves its entry behind. Each such end looks at a few entries, round and round,
//! and takes out those whose grants are gone: so about as many are left over as there are grants at most, and
//! no request pays for all of them.

use crate::oauth::{GrantId, Timestamp};

/// How many entries one end looks at. With two, half of what a round finds is left over; each look costs a place in a
/// table that the processor has not near.
const SWEPT_PER_END: usize = 2;

#[derive(Default)]
pub(super) struct Expiries {
    /// No entry comes before its parent, which is at half its place.
    heap: Vec<(Timestamp, GrantId)>,
    /// Where the round goes on.
    next: usize,
}

impl Expiries {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn first(&self) -> Option<(Timestamp, GrantId)> {
        self.heap.first().copied()
    }

    pub(super) fn push(&mut self, due: Timestamp, id: GrantId) {
        self.heap.push((due, id));
        self.rise(self.heap.len() - 1);
    }

    pub(super) fn pop(&mut self) {
        if !self.heap.is_empty() {
            self.remove(0);
        }
    }

    /// Gives the first entry another moment, a later one.
    pub(super) fn put_off(&mut self, due: Timestamp) {
        if let Some(first) = self.heap.first_mut() {
            first.0 = due;
            self.sink(0);
        }
    }

    /// Looks at a few entries, and takes out those whose grants are gone.
    pub(super) fn sweep(&mut self, mut is_there: impl FnMut(&GrantId) -> bool) {
        for _ in 0..SWEPT_PER_END {
            match self.heap.get(self.next) {
                None => self.next = 0,
                Some((_, id)) if is_there(id) => self.next += 1,
                // Another entry is at this place then, and is looked at next.
                Some(_) => self.remove(self.next),
            }
        }
    }

    fn remove(&mut self, at: usize) {
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.sink(at);
            self.rise(at);
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent] <= self.heap[at] {
                return;
            }
            self.heap.swap(parent, at);
            at = parent;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let is_right = right < self.heap.len() && self.heap[right] < self.heap[left];
            let child = if is_right { right } else { left };
            if child >= self.heap.len() || self.heap[at] <= self.heap[child] {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::oauth::Credential;
    use crate::oauth::credential::CREDENTIAL_BYTES;

    fn entry(number: u64) -> (Timestamp, GrantId) {
        let mut random = [0; CREDENTIAL_BYTES];
        random[..8].copy_from_slice(&number.to_be_bytes());
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
        (Timestamp::from_milliseconds(mixed), Credential::of_new_grant(random).grant())
    }

    #[test]
    fn entries_come_in_the_order_of_their_moments_and_those_of_gone_grants_go() {
        let mut expiries = Expiries::default();
        let mut there = BTreeSet::new();
        for number in 0..4000 {
            let (due, id) = entry(number);
            expiries.push(due, id);
            there.insert((id, due));
            // Two of three end before their time.
            if number % 3 != 0 {
                let (id, due) = *there.range((entry(number / 2).1, due)..).next().unwrap_or(&(id, due));
                there.remove(&(id, due));
                expiries.sweep(|id| {
                    there
                        .range((*id, Timestamp::from_milliseconds(0))..)
                        .next()
                        .is_some_and(|(found, _)| found == id)
                });
            }
            assert!(expiries.len() <= 2 * there.len() + 8, "{number}: {} of {}", expiries.len(), there.len());
        }
        let (first, _) = expiries.first().unwrap();
        expiries.put_off(first.after(std::time::Duration::from_millis(7)));
        let mut last = Timestamp::from_milliseconds(0);
        let mut count = 0;
        while let Some((due, _)) = expiries.first() {
            assert!(due >= last);
            last = due;
            expiries.pop();
            count += 1;
        }
        assert!(count >= there.len());
        expiries.pop();
    }
}
