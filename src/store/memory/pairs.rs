//! The records of each pair of a subject and a client, counted and in the order in which they make room.
//!
//! Codes and live grants are in linked lists, oldest first: one per pair and stage. The links are indices into a table,
//! so adding, removing and finding the oldest take constant time. Marks are in a queue by the age of their forms, which
//! is also the order in which they expire (`marks.rs`).
//!
//! There is no allocation per record: after a million small frees, the C library joins the free blocks at the next
//! large one, and one request would wait for that.
//!
//! A pair is identified by a 64-bit hash of its names, under a random key of the process. So no one can choose names
//! that collide. With a million pairs, one process in 37 million has two pairs with the same hash; these two would
//! share their limit.
//!
//! Lock order: a shard of the grants first, then a shard of this index.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::hashing::AsItIs;
use super::marks::Marks;
use crate::oauth::{Holder, Id, Stage, Timestamp};

/// The number of shards. One shard has all records of a pair.
const SHARDS: usize = 16;

/// Identifies a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HolderKey(u64);

impl Hash for HolderKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// The place of a record in this index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// In the list of its pair and stage, at this index.
    Code(Place),
    Live(Place),
    /// Among the marks of its pair.
    Mark(Timestamp),
}

/// An index into the table of links.
pub(super) type Place = u32;

/// No index.
const NONE: Place = Place::MAX;

/// The index; see the module's documentation.
pub(super) struct Pairs {
    /// How many records a pair may have of each stage.
    max: usize,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
#[repr(align(128))]
struct Shard {
    pairs: HashMap<HolderKey, Records, BuildHasherDefault<AsItIs>>,
    links: Links,
}

/// The records of one pair.
#[derive(Default)]
struct Records {
    codes: List,
    live: List,
    marks: Marks,
}

impl Pairs {
    /// An empty index, in which a pair may have `max` records of each stage.
    pub(super) fn new(max: usize) -> Pairs {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Pairs { max, hasher: RandomState::new(), shards }
    }

    /// How many records a pair may have of each stage.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// The key of `pair`.
    pub(super) fn key(&self, pair: Holder) -> HolderKey {
        let (client, subject) = (pair.client.as_bytes(), pair.subject.map(str::as_bytes));
        // Three writes, not the five of a tuple of names: a write costs more than its bytes.
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64((client.len() as u64) << 1 | u64::from(subject.is_some()));
        hasher.write(client);
        hasher.write(subject.unwrap_or_default());
        HolderKey(hasher.finish())
    }

    /// Adds a record as the newest of its pair and stage. A mark is ordered by `kept_until`. Returns its place in the
    /// list, which a mark does not have, and whether the pair now exceeds its limit for the stage.
    pub(super) fn enter(&self, key: HolderKey, stage: Stage, id: Id, kept_until: Timestamp) -> (Place, bool) {
        let mut shard = self.lock(key);
        let Shard { pairs, links } = &mut *shard;
        let (place, count) = pairs.entry(key).or_default().enter(links, stage, id, kept_until);
        (place, count > self.max)
    }

    /// Moves a record to another stage; returns what [`Pairs::enter`] returns.
    pub(super) fn move_on(
        &self,
        key: HolderKey,
        from: Entry,
        to: Stage,
        id: Id,
        kept_until: Timestamp,
    ) -> (Place, bool) {
        let mut shard = self.lock(key);
        let Shard { pairs, links } = &mut *shard;
        let records = pairs.entry(key).or_default();
        // Remove it first: another request may have taken it out, and its new place must differ from the old one.
        records.take_out(links, from, id);
        let (place, count) = records.enter(links, to, id, kept_until);
        (place, count > self.max)
    }

    /// Removes a record, if it is present.
    pub(super) fn leave(&self, key: HolderKey, entry: Entry, id: Id) {
        self.lock(key).leave(key, entry, id);
    }

    /// The oldest record of a stage, if there are more than `kept`.
    pub(super) fn oldest(&self, kept: usize, key: HolderKey, stage: Stage) -> Option<Id> {
        let shard = self.lock(key);
        let records = shard.pairs.get(&key).filter(|records| records.count(stage) > kept)?;
        records.oldest(&shard.links, stage).map(|(_, id)| id)
    }

    /// Removes the record `id`; returns `false` if it is no longer the oldest of its stage.
    pub(super) fn take_out_oldest(&self, key: HolderKey, stage: Stage, id: Id) -> bool {
        let mut shard = self.lock(key);
        let oldest = shard.pairs.get(&key).and_then(|records| records.oldest(&shard.links, stage));
        let Some((entry, _)) = oldest.filter(|(_, oldest)| *oldest == id) else { return false };
        shard.leave(key, entry, id);
        true
    }

    /// Whether the pair has as many marks as it may have.
    pub(super) fn is_at_limit_of_marks(&self, key: HolderKey) -> bool {
        self.lock(key).pairs.get(&key).is_some_and(|records| records.marks.len() >= self.max)
    }

    /// Removes the oldest record of a stage, if there are more than `kept`. Returns it, and the number of those left.
    pub(super) fn take_oldest(&self, kept: usize, key: HolderKey, stage: Stage) -> Option<(Id, usize)> {
        let mut shard = self.lock(key);
        let Shard { pairs, links } = &mut *shard;
        let records = pairs.get_mut(&key).filter(|records| records.count(stage) > kept)?;
        let (entry, id) = records.oldest(links, stage)?;
        records.take_out(links, entry, id);
        let left = records.count(stage);
        if records.is_empty() {
            pairs.remove(&key);
        }
        Some((id, left))
    }

    /// Whether the form that is kept until `kept_until` may have been answered and its mark evicted. A mark is evicted
    /// only if the pair keeps its limit of younger marks. So at that limit, all forms as old as the oldest remaining
    /// mark count as answered.
    pub(super) fn may_be_answered(&self, key: HolderKey, kept_until: Timestamp) -> bool {
        let shard = self.lock(key);
        let Some(records) = shard.pairs.get(&key).filter(|records| records.marks.len() >= self.max) else {
            return false;
        };
        records.marks.oldest().is_some_and(|(oldest, _)| kept_until <= oldest)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let lock = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).check();
        self.shards.iter().map(lock).sum()
    }

    fn lock(&self, key: HolderKey) -> MutexGuard<'_, Shard> {
        // Poisoning is ignored, as for the shards of the grants.
        self.shards[(key.0 >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn leave(&mut self, key: HolderKey, entry: Entry, id: Id) {
        let Some(records) = self.pairs.get_mut(&key) else { return };
        records.take_out(&mut self.links, entry, id);
        if records.is_empty() {
            self.pairs.remove(&key);
        }
    }

    #[cfg(test)]
    fn check(&self) -> usize {
        let lists = self.pairs.values().flat_map(|records| [&records.codes, &records.live]);
        let listed: usize = lists.map(|list| self.links.check(list)).sum();
        assert_eq!(listed + self.links.free_len(), self.links.places.len());
        listed + self.pairs.values().map(|records| records.marks.len()).sum::<usize>()
    }
}

impl Records {
    fn count(&self, stage: Stage) -> usize {
        match stage {
            Stage::Code => self.codes.len as usize,
            Stage::Live => self.live.len as usize,
            Stage::Mark => self.marks.len(),
        }
    }

    fn oldest(&self, links: &Links, stage: Stage) -> Option<(Entry, Id)> {
        match stage {
            Stage::Code => Some((Entry::Code(self.codes.first), links.get(self.codes.first)?.id)),
            Stage::Live => Some((Entry::Live(self.live.first), links.get(self.live.first)?.id)),
            Stage::Mark => self.marks.oldest().map(|(oldest, id)| (Entry::Mark(oldest), id)),
        }
    }

    fn is_empty(&self) -> bool {
        self.codes.len == 0 && self.live.len == 0 && self.marks.is_empty()
    }

    /// Adds a record. Returns its place, and the number of records of the stage.
    fn enter(&mut self, links: &mut Links, stage: Stage, id: Id, kept_until: Timestamp) -> (Place, usize) {
        let place = match stage {
            Stage::Code => links.push(&mut self.codes, id),
            Stage::Live => links.push(&mut self.live, id),
            Stage::Mark => {
                self.marks.push(kept_until, id);
                NONE
            }
        };
        (place, self.count(stage))
    }

    /// Removes a record, if it is present.
    fn take_out(&mut self, links: &mut Links, entry: Entry, id: Id) {
        match entry {
            Entry::Code(place) => links.remove(&mut self.codes, place, id),
            Entry::Live(place) => links.remove(&mut self.live, place, id),
            // A mark is removed if it is the oldest, or if it has expired; then all older ones have expired too.
            Entry::Mark(kept_until) => {
                while self.marks.oldest().is_some_and(|oldest| oldest <= (kept_until, id)) {
                    self.marks.pop();
                }
            }
        }
    }
}

/// The head, tail and length of a list.
struct List {
    first: Place,
    last: Place,
    len: u32,
}

impl Default for List {
    fn default() -> List {
        List { first: NONE, last: NONE, len: 0 }
    }
}

/// The links of all lists of a shard. Free places form a list of their own, linked by `next` only.
struct Links {
    places: Vec<Link>,
    free: Place,
}

impl Default for Links {
    fn default() -> Links {
        Links { places: Vec::new(), free: NONE }
    }
}

struct Link {
    id: Id,
    /// For a free place: its own index.
    previous: Place,
    next: Place,
}

impl Links {
    fn get(&self, place: Place) -> Option<&Link> {
        self.places.get(place as usize)
    }

    fn get_mut(&mut self, place: Place) -> Option<&mut Link> {
        self.places.get_mut(place as usize)
    }

    fn push(&mut self, list: &mut List, id: Id) -> Place {
        let link = Link { id, previous: list.last, next: NONE };
        let place = self.free;
        let place = match self.get_mut(place) {
            Some(free) => {
                let next = std::mem::replace(free, link).next;
                self.free = next;
                place
            }
            None => {
                self.places.push(link);
                // Unreachable: memory runs out long before four billion records.
                (self.places.len() - 1) as Place
            }
        };
        match self.get_mut(list.last) {
            Some(last) => last.next = place,
            None => list.first = place,
        }
        list.last = place;
        list.len += 1;
        place
    }

    /// Removes the record from `list`, unless another request has removed it already.
    fn remove(&mut self, list: &mut List, place: Place, id: Id) {
        let Some(&Link { id: found, previous, next }) = self.get(place) else { return };
        if found != id || previous == place {
            return;
        }
        match self.get_mut(previous) {
            Some(link) => link.next = next,
            None => list.first = next,
        }
        match self.get_mut(next) {
            Some(link) => link.previous = previous,
            None => list.last = previous,
        }
        list.len -= 1;
        let free = self.free;
        if let Some(link) = self.get_mut(place) {
            (link.previous, link.next) = (place, free);
        }
        self.free = place;
    }

    #[cfg(test)]
    fn check(&self, list: &List) -> usize {
        let (mut count, mut previous, mut place) = (0, NONE, list.first);
        while let Some(link) = self.get(place) {
            assert_eq!(link.previous, previous);
            (count, previous, place) = (count + 1, place, link.next);
        }
        assert_eq!((previous, count), (list.last, list.len as usize));
        count
    }

    #[cfg(test)]
    fn free_len(&self) -> usize {
        let next = |place: &Place| self.get(*place).map(|link| link.next);
        std::iter::successors(Some(self.free), next).filter(|place| *place != NONE).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Credential;
    use crate::oauth::credential::CREDENTIAL_BYTES;

    fn id(number: u8) -> Id {
        Credential::of_new_grant([number; CREDENTIAL_BYTES]).grant()
    }

    fn at(moment: u64) -> Timestamp {
        Timestamp::from_milliseconds(moment)
    }

    #[test]
    fn the_oldest_of_a_pair_and_stage_goes_and_no_other() {
        let pairs = Pairs::new(2);
        let ada = pairs.key(Holder { client: "app", subject: Some("ada") });
        let bob = pairs.key(Holder { client: "app", subject: Some("bob") });
        let app = pairs.key(Holder { client: "app", subject: None });
        assert!(ada != bob && ada != app && pairs.key(Holder { client: "appada", subject: None }) != ada);
        for key in [ada, bob, app] {
            for stage in [Stage::Live, Stage::Code] {
                assert!(!pairs.enter(key, stage, id(3), at(0)).1 && !pairs.enter(key, stage, id(1), at(0)).1);
                assert!(pairs.enter(key, stage, id(2), at(0)).1, "one more than it may have");
            }
            // Marks are ordered by their forms.
            for (number, kept_until) in [(1, 7), (2, 5), (3, 6)] {
                pairs.enter(key, Stage::Mark, id(number), at(kept_until));
            }
        }
        assert_eq!(pairs.take_oldest(2, ada, Stage::Live), Some((id(3), 2)));
        assert_eq!(pairs.take_oldest(2, ada, Stage::Live), None);
        assert_eq!(pairs.take_oldest(0, ada, Stage::Live), Some((id(1), 1)));
        assert_eq!(pairs.take_oldest(1, ada, Stage::Mark), Some((id(2), 2)));
        let count = |key, stage| pairs.lock(key).pairs.get(&key).map_or(0, |records| records.count(stage));
        assert_eq!((count(ada, Stage::Live), count(ada, Stage::Code), count(ada, Stage::Mark)), (1, 3, 2));
        assert_eq!((count(bob, Stage::Live), count(app, Stage::Code), count(app, Stage::Mark)), (3, 3, 3));
        assert_eq!(pairs.len(), 6 + 9 + 9);
    }

    #[test]
    fn a_record_leaves_its_list_and_the_others_keep_their_order() {
        for gone in 0..5 {
            let pairs = Pairs::new(9);
            let key = pairs.key(Holder { client: "app", subject: None });
            let enter = |number| Entry::Live(pairs.enter(key, Stage::Live, id(number), at(0)).0);
            let entries: Vec<Entry> = (0..5).map(enter).collect();
            pairs.leave(key, entries[gone as usize], id(gone));
            assert_eq!(pairs.len(), 4);
            pairs.enter(key, Stage::Live, id(5), at(0));
            // Its place belongs to another record now; removing the first record must not free it.
            pairs.leave(key, entries[gone as usize], id(gone));
            assert_eq!(pairs.len(), 5);
            let order: Vec<Id> =
                std::iter::from_fn(|| pairs.take_oldest(0, key, Stage::Live)).map(|(id, _)| id).collect();
            let expected: Vec<Id> = (0..6).filter(|number| *number != gone).map(id).collect();
            assert!(order == expected, "{gone}");
            assert_eq!((pairs.len(), pairs.lock(key).pairs.len()), (0, 0), "an empty pair takes no place");
            pairs.leave(key, entries[0], id(0));
            assert_eq!(pairs.len(), 0);
        }
    }

    #[test]
    fn forms_older_than_a_dropped_mark_count_as_answered() {
        let pairs = Pairs::new(2);
        let key = pairs.key(Holder { client: "app", subject: None });
        pairs.enter(key, Stage::Mark, id(1), at(5));
        assert!(!pairs.may_be_answered(key, at(4)), "no mark has gone");
        pairs.enter(key, Stage::Mark, id(2), at(6));
        pairs.enter(key, Stage::Mark, id(3), at(7));
        assert_eq!(pairs.take_oldest(2, key, Stage::Mark), Some((id(1), 2)));
        assert!(pairs.may_be_answered(key, at(5)) && pairs.may_be_answered(key, at(6)));
        assert!(!pairs.may_be_answered(key, at(7)));
    }
}
