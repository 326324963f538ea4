//! Withdrawals that wait for their store: notes that a response did not reach its client.
//!
//! A withdrawal waits while the store is unavailable, perhaps for ten minutes. It must be applied before any later
//! transition of the same record, or the client's retry would be judged without it. Each transition that may have been
//! stored has one, and their number is bounded. A transition that never reached the store needs none.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::oauth::kind::Transition;
use crate::oauth::{Key, Timestamp};

/// The withdrawals of a store; see the module's documentation.
///
/// Ordered by key, not hashed: identifiers come from requests, and a stranger can choose ones that collide.
pub(super) struct Withdrawals<T> {
    by_record: BTreeMap<(Key, u64), Withdrawal<T>>,
    count_max: usize,
    /// Whether any withdrawal has not been tried yet.
    pub(super) is_fresh: bool,
}

pub(super) struct Withdrawal<T> {
    pub(super) transition: T,
    pub(super) now: Timestamp,
    pub(super) since: Instant,
    /// The number of the job whose answer failed.
    pub(super) serial: u64,
}

impl<T: Transition> Withdrawals<T> {
    /// Keeps at most `count_max` withdrawals.
    pub(super) fn new(count_max: usize) -> Withdrawals<T> {
        Withdrawals { by_record: BTreeMap::new(), count_max, is_fresh: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_record.is_empty()
    }

    /// Adds a withdrawal. Past the bound it is dropped: the retry is then judged as if the response had arrived.
    pub(super) fn add(&mut self, withdrawal: Withdrawal<T>) {
        let name = (withdrawal.transition.key(), withdrawal.serial);
        if self.by_record.len() < self.count_max || self.by_record.contains_key(&name) {
            self.by_record.insert(name, withdrawal);
        }
    }

    /// Takes the withdrawals of the records with these keys, and at most `others_max` others.
    pub(super) fn take(&mut self, keys: impl Iterator<Item = Key>, others_max: usize) -> Vec<Withdrawal<T>> {
        if self.by_record.is_empty() {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for key in keys {
            let names = self.by_record.range((key, 0)..=(key, u64::MAX)).map(|(name, _)| *name);
            let names: Vec<(Key, u64)> = names.collect();
            taken.extend(names.iter().filter_map(|name| self.by_record.remove(name)));
        }
        let others = std::iter::from_fn(|| self.by_record.pop_first().map(|(_, withdrawal)| withdrawal));
        taken.extend(others.take(others_max));
        // A withdrawal that fails is added again, and retried with the next jobs.
        self.is_fresh &= !self.by_record.is_empty();
        taken
    }

    /// The smallest serial number.
    #[cfg(feature = "redis-store")]
    pub(super) fn first_serial(&self) -> Option<u64> {
        self.by_record.values().map(|withdrawal| withdrawal.serial).filter(|serial| *serial > 0).min()
    }
}
