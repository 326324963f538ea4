//! Withdrawals that wait for their store: what is to be noted of answers that did not reach their clients.
//!
//! A withdrawal waits while the store is away, which may be ten minutes. It must be applied before anything that
//! comes later for the same record, or the retry that it is for would be judged without it. There is one for each
//! transition that may have been stored, and a bound for all of them; a retry that never got to the store needs none.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::oauth::kind::Transition;
use crate::oauth::{Key, Timestamp};

/// The withdrawals of a store; see the module's page.
///
/// Ordered by key, not hashed: identifiers come from requests, and a stranger can choose ones that collide.
pub(super) struct Withdrawals<T> {
    by_record: BTreeMap<(Key, u64), Withdrawal<T>>,
    count_max: usize,
    /// Whether one was added that has not been tried yet.
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
    /// Room for `count_max`.
    pub(super) fn new(count_max: usize) -> Withdrawals<T> {
        Withdrawals { by_record: BTreeMap::new(), count_max, is_fresh: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_record.is_empty()
    }

    /// Keeps one more. Past the bound it is dropped: then the retry is judged as though the answer had arrived.
    pub(super) fn add(&mut self, withdrawal: Withdrawal<T>) {
        let name = (withdrawal.transition.key(), withdrawal.serial);
        if self.by_record.len() < self.count_max || self.by_record.contains_key(&name) {
            self.by_record.insert(name, withdrawal);
        }
    }

    /// Takes those of the records with these keys, and at most `others_max` others.
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
        // What fails is added again; it is tried with the next jobs.
        self.is_fresh &= !self.by_record.is_empty();
        taken
    }

    /// The smallest number of any of them.
    #[cfg(feature = "redis-store")]
    pub(super) fn first_serial(&self) -> Option<u64> {
        self.by_record.values().map(|withdrawal| withdrawal.serial).filter(|serial| *serial > 0).min()
    }
}
