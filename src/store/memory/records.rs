//! Records by identifier, in two tables: a small one for the newest, and a large one for all others.
//!
//! Identifiers are random, so nearly every lookup in a table of a million records misses the processor's cache. But
//! most requests for a record come within its first second. So a record starts in a small table that stays in the
//! cache. When that is full, all its records move to the large table at once, so that the processor can overlap the
//! cache misses.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::expiries::Number;
use super::hashing::AsItIs;
use super::pairs::{Entry, HolderKey, Place};
use crate::oauth::Id;
use crate::oauth::kind::{Record, Stage};

/// The capacity of the small table: more than the concurrent flows of one shard, and the load limit of 32 buckets.
const NEWEST_MAX: usize = 28;

/// Records are boxed to keep the table small: lookups are random, and growing copies it.
type Table<R> = HashMap<Id, Box<Held<R>>, BuildHasherDefault<AsItIs>>;

/// A record, and its place in each index.
pub(super) struct Held<R> {
    pub(super) record: R,
    /// Its pair.
    pub(super) key: HolderKey,
    /// Its place in the list of its pair and stage.
    pub(super) place: Place,
    /// Its entry in the heap of expiries.
    pub(super) expiry: Number,
}

impl<R: Record> Held<R> {
    /// Its entry in its pair's index. The time of a mark never changes.
    pub(super) fn entry(&self) -> Entry {
        match self.record.stage() {
            Stage::Code => Entry::Code(self.place),
            Stage::Live => Entry::Live(self.place),
            Stage::Mark => Entry::Mark(self.record.kept_until()),
        }
    }
}

/// Records by identifier; see the module's documentation.
pub(super) struct Records<R> {
    newest: Table<R>,
    others: Table<R>,
}

impl<R> Default for Records<R> {
    fn default() -> Records<R> {
        Records { newest: Table::default(), others: Table::default() }
    }
}

impl<R> Records<R> {
    pub(super) fn len(&self) -> usize {
        self.newest.len() + self.others.len()
    }

    pub(super) fn get_mut(&mut self, id: &Id) -> Option<&mut Held<R>> {
        self.newest.get_mut(id).or_else(|| self.others.get_mut(id)).map(Box::as_mut)
    }

    /// Adds a record with a new identifier.
    pub(super) fn insert(&mut self, id: Id, held: Held<R>) {
        if self.newest.len() == NEWEST_MAX {
            self.others.extend(self.newest.drain());
        }
        self.newest.insert(id, Box::new(held));
    }

    /// Adds a removed record again. It is no longer among the newest.
    pub(super) fn put_back(&mut self, id: Id, held: Box<Held<R>>) {
        self.others.insert(id, held);
    }

    pub(super) fn remove(&mut self, id: &Id) -> Option<Box<Held<R>>> {
        self.newest.remove(id).or_else(|| self.others.remove(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Holder;
    use crate::oauth::key::ID_BYTES;

    #[test]
    fn a_record_is_in_one_table_until_it_is_removed() {
        const COUNT: usize = 3 * NEWEST_MAX + 1;
        let key = super::super::pairs::Pairs::new(1).key(Holder { client: "app", subject: None });
        let mut records = Records::default();
        let names: Vec<Id> = (0..COUNT)
            .map(|number| {
                let id = Id::new([number as u8; ID_BYTES]);
                records.insert(id, Held { record: number, key, place: 0, expiry: 0 });
                id
            })
            .collect();
        assert_eq!((records.newest.len(), records.len()), (1, COUNT));
        for (gone, name) in names.iter().enumerate() {
            assert_eq!(records.get_mut(name).map(|held| held.record), Some(gone));
            assert!(records.remove(name).is_some(), "{gone}");
            assert!(records.get_mut(name).is_none() && records.remove(name).is_none(), "{gone}");
            assert_eq!(records.len(), COUNT - gone - 1);
        }
    }
}
