//! The records of each pair of a subject and a client, counted and in the order in which they make room.
//!
//! One ordered set holds the records of all pairs, by pair, stage and moment, so the first of a pair's stage is the
//! one that makes room; a table beside it has the counts. Adding, removing and finding the oldest take logarithmic
//! time, whatever there is of a pair.
//!
//! A pair is known by two hashes of its names under keys that are random for each process. Together they have 128
//! bits, so no two pairs share them by chance; and no one can choose names that do, or that fill one place of the
//! table.
//!
//! Locks: a shard of this index may be locked while a shard of the grants is, and never the other way round.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::grants::AsItIs;
use crate::oauth::{GrantId, Pair, Stage, Timestamp};

/// How many shards there are. The records of one pair are in one of them, so more would help no single pair.
const SHARDS: usize = 16;

/// Names a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64, u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Where a record is among those of its pair and stage.
pub(super) type Place = (Timestamp, GrantId);

/// The index; see the module's page.
pub(super) struct Pairs {
    /// How many records a pair may have of each stage.
    max: usize,
    hashers: [RandomState; 2],
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
#[repr(align(128))]
struct Shard {
    records: BTreeSet<(Key, Stage, Place)>,
    counts: HashMap<Key, [u32; Stage::COUNT], BuildHasherDefault<AsItIs>>,
}

impl Pairs {
    /// An empty index, in which a pair may have `max` records of each stage.
    pub(super) fn new(max: usize) -> Pairs {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Pairs { max, hashers: [RandomState::new(), RandomState::new()], shards }
    }

    /// How many records a pair may have of each stage.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// The name of `pair`.
    pub(super) fn key(&self, pair: Pair) -> Key {
        let [one, other] = &self.hashers;
        let names = (pair.client, pair.subject);
        Key(one.hash_one(names), other.hash_one(names))
    }

    /// Adds a record of the moment `now`, or of the moment after the newest one of its pair and stage: the order is
    /// that in which they came. Marks keep their moments. Gives the moment, and whether the pair now has more of the
    /// stage than it may.
    pub(super) fn enter(&self, key: Key, stage: Stage, (now, id): Place) -> (Timestamp, bool) {
        self.lock(key).enter_last(key, stage, (now, id), self.max)
    }

    /// Removes a record, if it is there.
    pub(super) fn leave(&self, key: Key, stage: Stage, place: Place) {
        self.lock(key).leave(key, stage, place);
    }

    /// Moves a record from one stage to another; gives what [`Pairs::enter`] gives.
    pub(super) fn move_on(&self, key: Key, from: (Stage, Place), to: (Stage, Place)) -> (Timestamp, bool) {
        let mut shard = self.lock(key);
        shard.leave(key, from.0, from.1);
        shard.enter_last(key, to.0, to.1, self.max)
    }

    /// Takes out the oldest record of a stage, if there are more than `kept`.
    pub(super) fn take_oldest(&self, kept: usize, key: Key, stage: Stage) -> Option<Place> {
        let mut shard = self.lock(key);
        let oldest = (shard.count(key, stage) > kept).then(|| shard.oldest(key, stage)).flatten()?;
        shard.leave(key, stage, oldest);
        Some(oldest)
    }

    /// Whether a form that is kept until then may have been answered already, and its mark have made room. A mark
    /// makes room only where as many of younger forms stay; so, where there are that many, all forms as old as the
    /// oldest of them count as answered.
    pub(super) fn may_be_answered(&self, key: Key, kept_until: Timestamp) -> bool {
        let shard = self.lock(key);
        shard.count(key, Stage::Mark) >= self.max
            && shard.oldest(key, Stage::Mark).is_some_and(|(oldest, _)| kept_until <= oldest)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let lock = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).check();
        self.shards.iter().map(lock).sum()
    }

    fn lock(&self, key: Key) -> MutexGuard<'_, Shard> {
        // A panic elsewhere leaves the tables whole, as in the shards of the grants.
        self.shards[key.1 as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn count(&self, key: Key, stage: Stage) -> usize {
        self.counts.get(&key).map_or(0, |counts| counts[stage as usize] as usize)
    }

    fn oldest(&self, key: Key, stage: Stage) -> Option<Place> {
        let from = (key, stage, (Timestamp::from_milliseconds(0), GrantId::FIRST));
        let (owner, of, place) = self.records.range(from..).next()?;
        (*owner == key && *of == stage).then_some(*place)
    }

    fn newest(&self, key: Key, stage: Stage) -> Option<Timestamp> {
        let to = (key, stage, (Timestamp::from_milliseconds(u64::MAX), GrantId::FIRST));
        let (owner, of, (moment, _)) = self.records.range(..to).next_back()?;
        (*owner == key && *of == stage).then_some(*moment)
    }

    fn enter_last(&mut self, key: Key, stage: Stage, (now, id): Place, max: usize) -> (Timestamp, bool) {
        let newest = if stage == Stage::Mark { None } else { self.newest(key, stage) };
        let moment = newest.map_or(now, |newest| now.max(newest.after(Duration::from_millis(1))));
        let counts = self.counts.entry(key).or_default();
        let count = &mut counts[stage as usize];
        *count += u32::from(self.records.insert((key, stage, (moment, id))));
        (moment, *count as usize > max)
    }

    fn leave(&mut self, key: Key, stage: Stage, place: Place) {
        if !self.records.remove(&(key, stage, place)) {
            return;
        }
        if let Some(counts) = self.counts.get_mut(&key) {
            counts[stage as usize] -= 1;
            if *counts == [0; Stage::COUNT] {
                self.counts.remove(&key);
            }
        }
    }

    #[cfg(test)]
    fn check(&self) -> usize {
        let counted: u32 = self.counts.values().flatten().sum();
        assert_eq!(counted as usize, self.records.len());
        self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Credential;
    use crate::oauth::secret::CREDENTIAL_BYTES;

    fn place(moment: u64, number: u8) -> Place {
        let id = Credential::of_new_grant([number; CREDENTIAL_BYTES]).grant();
        (Timestamp::from_milliseconds(moment), id)
    }

    #[test]
    fn the_oldest_of_a_pair_and_stage_goes_and_no_other() {
        let pairs = Pairs::new(2);
        let ada = pairs.key(Pair { client: "app", subject: Some("ada") });
        let bob = pairs.key(Pair { client: "app", subject: Some("bob") });
        let app = pairs.key(Pair { client: "app", subject: None });
        assert!(ada != bob && ada != app && pairs.key(Pair { client: "appada", subject: None }) != ada);
        for key in [ada, bob, app] {
            for stage in [Stage::Live, Stage::Code] {
                assert_eq!(pairs.enter(key, stage, place(7, 3)), (place(7, 3).0, false));
                // In the same instant, or by a clock that is behind: it came later all the same.
                assert_eq!(pairs.enter(key, stage, place(7, 2)), (place(8, 2).0, false));
                assert_eq!(pairs.enter(key, stage, place(5, 1)), (place(9, 1).0, true));
            }
            // Marks are ordered by their forms.
            assert_eq!(pairs.enter(key, Stage::Mark, place(7, 3)), (place(7, 3).0, false));
            assert_eq!(pairs.enter(key, Stage::Mark, place(5, 1)), (place(5, 1).0, false));
        }
        assert_eq!(pairs.take_oldest(2, ada, Stage::Live), Some(place(7, 3)));
        assert_eq!(pairs.take_oldest(2, ada, Stage::Live), None);
        assert_eq!(pairs.take_oldest(0, ada, Stage::Live), Some(place(8, 2)));
        assert_eq!(pairs.take_oldest(1, ada, Stage::Mark), Some(place(5, 1)));
        let count = |key, stage| pairs.lock(key).count(key, stage);
        assert_eq!((count(ada, Stage::Live), count(ada, Stage::Code), count(bob, Stage::Live)), (1, 3, 3));
        assert!(!pairs.move_on(ada, (Stage::Code, place(7, 3)), (Stage::Live, place(10, 3))).1);
        assert_eq!((count(ada, Stage::Live), count(ada, Stage::Code), count(app, Stage::Mark)), (2, 2, 2));
        assert_eq!(pairs.len(), 5 + 8 + 8);
    }

    #[test]
    fn what_is_not_there_is_not_counted_down_and_an_empty_pair_takes_no_place() {
        let pairs = Pairs::new(1);
        let key = pairs.key(Pair { client: "app", subject: None });
        pairs.enter(key, Stage::Live, place(1, 1));
        pairs.leave(key, Stage::Live, place(2, 1));
        pairs.leave(key, Stage::Code, place(1, 1));
        assert_eq!(pairs.len(), 1);
        pairs.leave(key, Stage::Live, place(1, 1));
        pairs.leave(key, Stage::Live, place(1, 1));
        assert_eq!(pairs.len(), 0);
        assert!(pairs.lock(key).counts.is_empty());
    }

    #[test]
    fn forms_as_old_as_the_oldest_mark_count_as_answered_once_marks_may_have_gone() {
        let pairs = Pairs::new(2);
        let key = pairs.key(Pair { client: "app", subject: None });
        let at = Timestamp::from_milliseconds;
        pairs.enter(key, Stage::Mark, place(5, 1));
        assert!(!pairs.may_be_answered(key, at(4)), "no mark has gone");
        pairs.enter(key, Stage::Mark, place(6, 2));
        pairs.enter(key, Stage::Mark, place(7, 3));
        assert_eq!(pairs.take_oldest(2, key, Stage::Mark), Some(place(5, 1)));
        assert!(pairs.may_be_answered(key, at(5)) && pairs.may_be_answered(key, at(6)));
        assert!(!pairs.may_be_answered(key, at(7)));
    }
}
