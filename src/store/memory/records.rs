//! Records by name, in two tables: the newest few in a small one, all others in a large one.
//!
//! Names are random, so a table of a million is looked into at a million places, and the processor's cache holds
//! none of them. But most of what is asked of a record is asked within its first second. So it begins in a table
//! that stays in the cache. When that is full, all in it go over to the large one at once, and the processor
//! waits for many places at a time and not for one after the other.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::expiries::Number;
use super::hashing::AsItIs;
use super::pairs::{Entry, HolderKey, Place};
use crate::oauth::Id;
use crate::oauth::kind::{Record, Stage};

/// How many records the small table has at most: more than there are flows going on in one shard, and as many as
/// fit into 32 places.
const NEWEST_MAX: usize = 28;

/// Records are boxed, so that the table is small: it is looked into at random, and grows by being copied.
type Table<R> = HashMap<Id, Box<Held<R>>, BuildHasherDefault<AsItIs>>;

/// A record, and where it is entered.
pub(super) struct Held<R> {
    pub(super) record: R,
    /// Its pair.
    pub(super) key: HolderKey,
    /// In the list of its pair and stage.
    pub(super) place: Place,
    /// Among what expires.
    pub(super) expiry: Number,
}

impl<R: Record> Held<R> {
    /// Where its pair has it. Nothing changes the time of a mark.
    pub(super) fn entry(&self) -> Entry {
        match self.record.stage() {
            Stage::Code => Entry::Code(self.place),
            Stage::Live => Entry::Live(self.place),
            Stage::Mark => Entry::Mark(self.record.kept_until()),
        }
    }
}

/// Records by name; see the module's page.
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

    /// Adds a record whose name is not there yet.
    pub(super) fn insert(&mut self, id: Id, held: Held<R>) {
        if self.newest.len() == NEWEST_MAX {
            self.others.extend(self.newest.drain());
        }
        self.newest.insert(id, Box::new(held));
    }

    /// Adds a record that was removed, which is not among the newest any more.
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
    fn a_record_is_there_once_and_until_it_is_removed_in_whichever_table_it_is() {
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
