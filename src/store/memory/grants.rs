//! Grants by name, in two tables: the newest few in a small one, all others in a large one.
//!
//! Names are random, so a table of a million is looked into at a million places, and the processor's cache holds
//! none of them. But most of what is asked of a grant is asked within its first second. So it begins in a table
//! that stays in the cache. When that is full, all in it go over to the large one at once, and the processor
//! waits for many places at a time and not for one after the other.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::expiries::Number;
use super::pairs::{Entry, Key, Place};
use crate::oauth::kind::Record as _;
use crate::oauth::{Grant, GrantId, Stage};

/// How many grants the small table has at most: more than there are flows going on in one shard, and as many as
/// fit into 32 places.
const NEWEST_MAX: usize = 28;

/// Grants are boxed, so that the table is small: it is looked into at random, and grows by being copied.
type Table = HashMap<GrantId, Box<Held>, BuildHasherDefault<AsItIs>>;

/// A grant, and where it is entered.
pub(super) struct Held {
    pub(super) grant: Grant,
    /// Its pair.
    pub(super) key: Key,
    /// In the list of its pair and stage.
    pub(super) place: Place,
    /// Among what expires.
    pub(super) expiry: Number,
}

impl Held {
    /// Where its pair has it. Nothing changes the time of a mark.
    pub(super) fn entry(&self) -> Entry {
        match self.grant.stage() {
            Stage::Code => Entry::Code(self.place),
            Stage::Live => Entry::Live(self.place),
            Stage::Mark => Entry::Mark(self.grant.kept_until()),
        }
    }
}

/// Grants by name; see the module's page.
#[derive(Default)]
pub(super) struct Grants {
    newest: Table,
    others: Table,
}

impl Grants {
    pub(super) fn len(&self) -> usize {
        self.newest.len() + self.others.len()
    }

    pub(super) fn get_mut(&mut self, id: &GrantId) -> Option<&mut Held> {
        self.newest.get_mut(id).or_else(|| self.others.get_mut(id)).map(Box::as_mut)
    }

    /// Adds a grant whose name is not there yet.
    pub(super) fn insert(&mut self, id: GrantId, held: Held) {
        if self.newest.len() == NEWEST_MAX {
            self.others.extend(self.newest.drain());
        }
        self.newest.insert(id, Box::new(held));
    }

    /// Adds a grant that was removed, which is not among the newest any more.
    pub(super) fn put_back(&mut self, id: GrantId, held: Box<Held>) {
        self.others.insert(id, held);
    }

    pub(super) fn remove(&mut self, id: &GrantId) -> Option<Box<Held>> {
        self.newest.remove(id).or_else(|| self.others.remove(id))
    }
}

/// Takes a name for its hash, as the name itself proposes.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // No name is hashed this way; were one, every byte would count.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, grant};
    use super::*;
    use crate::oauth::Change;
    use crate::oauth::kind::Transition as _;

    #[test]
    fn a_grant_is_there_once_and_until_it_is_removed_in_whichever_table_it_is() {
        const COUNT: usize = 3 * NEWEST_MAX + 1;
        let (mut grants, pairs) = (Grants::default(), super::super::pairs::Pairs::new(1));
        let names: Vec<GrantId> = (0..COUNT as u64)
            .map(|number| {
                let transition = grant(number);
                let (Change::Put(grant), _) = transition.apply(None, at(std::time::Duration::ZERO)) else {
                    panic!("a new grant is put");
                };
                let key = pairs.key(grant.holder());
                grants.insert(transition.key().id, Held { grant, key, place: 0, expiry: 0 });
                transition.key().id
            })
            .collect();
        assert_eq!((grants.newest.len(), grants.len()), (1, COUNT));
        for (gone, name) in names.iter().enumerate() {
            assert!(grants.get_mut(name).is_some() && grants.remove(name).is_some(), "{gone}");
            assert!(grants.get_mut(name).is_none() && grants.remove(name).is_none(), "{gone}");
            assert_eq!(grants.len(), COUNT - gone - 1);
        }
    }
}
