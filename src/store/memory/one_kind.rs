//! All records of one kind in memory.
//!
//! Tables map names to records, and a heap orders the names by expiry, so that expired records are found without a
//! scan. Every record has exactly one entry in the heap. A record whose expiry moved (its code was redeemed) is
//! re-queued when its old entry comes up; the entry of a record that ended early (revoked, or evicted) is removed.
//!
//! The records are spread over shards, each with its own lock, so that workers rarely wait for each other; a record's
//! name, which is random, selects its shard. A separate index counts the records of each pair of a subject and a
//! client. A pair above its limit loses its oldest record before the request that added one is answered. So a pair
//! never exceeds its limit by more than one record per worker.
//!
//! Each record is in four places: its shard's table, its shard's heap, the index of pairs, and the count of all. They
//! change together under the shard's lock, with two exceptions. A new record is counted before it exists: otherwise
//! all workers at the limit would see room for one more, and each would take it. And a record that is to make room is
//! taken out of the index of pairs before its shard is locked.
//!
//! Lock order: a shard, then the index of pairs. No call holds two shards. So what ends *other* records, such as making
//! room, runs before the shard of the request's record is locked or after it is released. In between, another request
//! may change what was found, so it is checked again under the lock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::{Applied, KindBounds, StoreError};
use super::expiries::Expiries;
use super::pairs::{HolderKey, Pairs};
use super::records::{Held, Records};
use crate::oauth::kind::{Change, Record, Stage, Transition};
use crate::oauth::{Id, Timestamp};

/// The heap entries that one call inspects: more than it adds, so that expired records are removed faster than new ones
/// come, but few, so that no request pays for a million others.
const FORGET_PER_CALL: usize = 8;

/// Shards per core: enough that two workers rarely need the same one, and few enough that the hot parts of all shards
/// stay in the cache.
const SHARDS_PER_CORE: usize = 8;

/// All records of one kind; see the module's documentation.
pub(super) struct OneKind<T: Transition> {
    records_max: usize,
    /// The number of records in all shards, including those that are about to be made. One counter, because comparing
    /// it with the limit must not lock every shard.
    records: AtomicUsize,
    shards: Box<[Mutex<Shard<T::Record>>]>,
    pairs: Pairs,
    /// The last time, in milliseconds since 1970, at which no shard had an expired record. A full store is asked for
    /// room by each new grant, and must not search all shards each time.
    swept: AtomicU64,
}

/// Aligned to a cache line, so that locking one shard does not slow down its neighbour (false sharing).
#[repr(align(128))]
struct Shard<R> {
    records: Records<R>,
    expiries: Expiries,
}

impl<R> Default for Shard<R> {
    fn default() -> Shard<R> {
        Shard { records: Records::default(), expiries: Expiries::default() }
    }
}

/// A pair that exceeds its limit for a stage. It is returned, not handled at once, because that locks other shards.
type Excess = Option<(HolderKey, Stage)>;

impl<T: Transition> OneKind<T> {
    /// An empty table with the limits `bounds`.
    pub(super) fn bounded(bounds: KindBounds) -> OneKind<T> {
        let KindBounds { records_max, holder_max } = bounds;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = (0..(SHARDS_PER_CORE * cores).next_power_of_two()).map(|_| Mutex::default()).collect();
        let (records, swept) = (AtomicUsize::new(0), AtomicU64::new(0));
        OneKind { records_max, records, shards, pairs: Pairs::new(holder_max), swept }
    }

    /// The number of records, including expired ones that are not forgotten yet.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).records.len()).sum()
    }

    fn shard(&self, id: Id) -> &Mutex<Shard<T::Record>> {
        // Their number is a power of two.
        &self.shards[id.shard() as usize & (self.shards.len() - 1)]
    }
}

fn lock<R>(shard: &Mutex<Shard<R>>) -> MutexGuard<'_, Shard<R>> {
    // Poisoning is ignored: each change to the tables is one call that does not panic.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Transition> OneKind<T> {
    /// Applies `transition` at once.
    ///
    /// # Errors
    /// [`StoreError::Full`] if it would exceed the maximum of records.
    pub(super) fn apply(&self, transition: &T, now: Timestamp) -> Applied<T> {
        // Only a new record needs room. A form that was answered makes none, and must end no other record for it.
        if transition.is_new()
            && self.records.load(Ordering::Relaxed) >= self.records_max
            && let Some(outcome) = self.answered(transition, now)
        {
            return Ok(outcome);
        }
        // Making room locks other shards, so no shard may be locked here. If the transition then makes no record, the
        // room is given back.
        if !self.make_room(transition, now) {
            return Err(StoreError::Full { wait: self.time_until_expiry(now) });
        }
        let (outcome, excess) = self.apply_in_shard(transition, now);
        if let Some((key, stage)) = excess {
            self.shed(key, stage, now);
        }
        Ok(outcome)
    }

    /// The outcome if the record is there and stays as it is, or if its form may have been answered. Any other outcome
    /// is discarded, and the transition is applied with the others, once there is room.
    fn answered(&self, transition: &T, now: Timestamp) -> Option<T::Outcome> {
        let id = transition.key().id;
        let mut shard = lock(self.shard(id));
        let record = shard.records.get_mut(&id).map(|held| &held.record);
        let is_there = record.is_some();
        match transition.apply(record, now) {
            (Change::Keep, outcome) => Some(outcome),
            (Change::Put(record), _) if !is_there && self.may_be_answered(&record, now) => {
                Some(transition.taken())
            }
            _ => None,
        }
    }

    /// Whether the form of a new record may have been answered, and its mark evicted.
    fn may_be_answered(&self, record: &T::Record, now: Timestamp) -> bool {
        record.kept_until() > now
            && self.pairs.may_be_answered(self.pairs.key(record.holder()), record.kept_until())
    }

    fn apply_in_shard(&self, transition: &T, now: Timestamp) -> (T::Outcome, Excess) {
        let id = transition.key().id;
        let mut shard = lock(self.shard(id));
        // There is no thread that cleans up: each request removes a few records of the shard that it has locked anyway.
        if shard.has_due(now) {
            self.forget_expired(&mut shard, now);
        }
        let held = shard.records.get_mut(&id);
        let record = held.as_ref().map(|held| &held.record);
        if let Some(outcome) = transition.look(record, now) {
            return (outcome, None);
        }
        let (change, outcome) = transition.apply(record, now);
        match (change, held) {
            (Change::Put(record), Some(held)) => return (outcome, self.replace(held, id, record)),
            (Change::Put(record), None) => match self.enter(&mut shard, id, record, now) {
                Some(excess) => return (outcome, excess),
                // Its mark may have been evicted, so the rules found no record where there was one.
                None => {
                    self.records.fetch_sub(1, Ordering::Relaxed);
                    return (transition.taken(), None);
                }
            },
            (Change::Forget, Some(held)) => {
                self.pairs.leave(held.key, held.entry(), id);
                if let Some(held) = shard.records.remove(&id) {
                    self.uncount(&mut shard, &held);
                }
            }
            (Change::Forget | Change::Keep, _) => {}
        }
        if transition.is_new() {
            // It made no record, so the reserved room is free again.
            self.records.fetch_sub(1, Ordering::Relaxed);
        }
        (outcome, None)
    }

    /// Adds a new record to its shard and its pair; `None` if its form may have been answered already.
    fn enter(&self, shard: &mut Shard<T::Record>, id: Id, record: T::Record, now: Timestamp) -> Option<Excess> {
        let (key, stage) = (self.pairs.key(record.holder()), record.stage());
        // Not `may_be_answered`, which would compute the key again.
        if record.kept_until() > now && self.pairs.may_be_answered(key, record.kept_until()) {
            return None;
        }
        let (place, is_too_many) = self.pairs.enter(key, stage, id, record.kept_until());
        let expiry = shard.expiries.push(record.expires(), id);
        shard.records.insert(id, Held { record, key, place, expiry });
        Some(is_too_many.then_some((key, stage)))
    }

    /// Replaces the record, and moves it in its pair's index if its stage changed.
    ///
    /// Its entry in the heap keeps the old time, because an entry that is not the first is found only by a search. If
    /// the record now expires later, the entry is postponed when it comes up. If it expires earlier, as the mark of a
    /// revoked grant does, the record stays until the old time, or until its pair has too many marks.
    fn replace(&self, held: &mut Held<T::Record>, id: Id, record: T::Record) -> Excess {
        let (key, from, to) = (held.key, held.entry(), record.stage());
        let has_moved = held.record.stage() != to;
        held.record = record;
        if !has_moved {
            return None;
        }
        let (place, is_too_many) = self.pairs.move_on(key, from, to, id, held.record.kept_until());
        held.place = place;
        is_too_many.then_some((key, to))
    }

    /// Ends the oldest records of a pair's stage until the pair is within its limit.
    fn shed(&self, key: HolderKey, stage: Stage, now: Timestamp) {
        // Expired records make room first.
        self.forget_all_expired(now);
        let max = self.pairs.max();
        while let Some((id, left)) = self.pairs.take_oldest(max, key, stage) {
            // The ended record may leave a mark, and that may be one too many. A mark leaves none, so this ends.
            if self.end(key, stage, id, now) {
                self.shed(key, Stage::Mark, now);
            }
            if left <= max {
                return;
            }
        }
    }

    /// Ends a record that was removed from its pair's index of `stage`. Returns whether its mark exceeds the limit of
    /// marks.
    fn end(&self, key: HolderKey, stage: Stage, id: Id, now: Timestamp) -> bool {
        let mut shard = lock(self.shard(id));
        // Most leave no mark, so removing first saves a second lookup. A missing record was ended by another request.
        let Some(mut held) = shard.records.remove(&id) else { return false };
        // Another request may have redeemed its code meanwhile. Then it is in another list, and this call must not end
        // it. A record never returns to a stage.
        if held.record.stage() != stage {
            shard.records.put_back(id, held);
            return false;
        }
        match held.record.make_room(now) {
            Change::Put(mark) => {
                let (place, is_too_many) = self.pairs.enter(key, Stage::Mark, id, mark.kept_until());
                (held.record, held.place) = (mark, place);
                shard.records.put_back(id, held);
                is_too_many
            }
            Change::Forget | Change::Keep => {
                self.uncount(&mut shard, &held);
                false
            }
        }
    }

    /// Marks the expiry entry of a record that ended early as stale, and decrements the count.
    fn uncount(&self, shard: &mut Shard<T::Record>, held: &Held<T::Record>) {
        shard.expiries.leave(held.expiry);
        self.records.fetch_sub(1, Ordering::Relaxed);
    }

    /// Reserves room for a transition that may make a record; returns whether there is room. If the store is full,
    /// expired records are removed first, and then the oldest record of the same pair, if the pair is at its limit and
    /// ending that record makes room: it leaves no mark, or its mark displaces an older one. A new mark displaces the
    /// oldest only once it is there, so the store then has one record too many for a moment: with fewer marks than its
    /// limit, the pair would not know that the form of the displaced one was answered.
    ///
    /// No record of another pair is ended. Otherwise anyone who fills the store would end the grants of everyone else;
    /// this way, new grants are refused for a while and existing ones work.
    fn make_room(&self, transition: &T, now: Timestamp) -> bool {
        let Some((pair, stage)) = transition.new_record() else { return true };
        if self.count_one() {
            return true;
        }
        self.forget_all_expired(now);
        if self.count_one() {
            return true;
        }
        let key = self.pairs.key(pair);
        match stage {
            Stage::Mark if self.pairs.is_at_limit_of_marks(key) => {
                self.records.fetch_add(1, Ordering::Relaxed);
                true
            }
            Stage::Mark => false,
            Stage::Code | Stage::Live => {
                self.make_room_in_pair(key, stage, now);
                self.count_one()
            }
        }
    }

    /// Ends the oldest record of a stage if the pair is at its limit and that makes room.
    fn make_room_in_pair(&self, key: HolderKey, stage: Stage, now: Timestamp) {
        let (kept, displaces) = (self.pairs.max().saturating_sub(1), self.pairs.is_at_limit_of_marks(key));
        let makes_room = |id| {
            let mut shard = lock(self.shard(id));
            let change = shard.records.get_mut(&id).map(|held| held.record.make_room(now));
            displaces || matches!(change, Some(Change::Forget))
        };
        // Another request may have taken it out meanwhile, and then the next oldest is not looked at and stays.
        if let Some(id) = self.pairs.oldest(kept, key, stage).filter(|id| makes_room(*id))
            && self.pairs.take_out_oldest(key, stage, id)
            && self.end(key, stage, id, now)
        {
            self.shed(key, Stage::Mark, now);
        }
    }

    /// Reserves room for one record; returns whether there was room. Adds first and subtracts again if that was too
    /// many, so that only one of two workers gets the last room.
    fn count_one(&self) -> bool {
        let before = self.records.fetch_add(1, Ordering::Relaxed);
        if before >= self.records_max {
            self.records.fetch_sub(1, Ordering::Relaxed);
        }
        before < self.records_max
    }

    /// Forgets expired records of all shards, at most [`FORGET_PER_CALL`] of each. Does nothing if a call in the same
    /// millisecond, the resolution of timestamps, left none.
    fn forget_all_expired(&self, now: Timestamp) {
        if self.swept.load(Ordering::Relaxed) >= now.as_milliseconds() {
            return;
        }
        let mut is_done = true;
        // One shard at a time: a worker that needs another shard does not wait for this.
        for shard in &self.shards {
            let mut shard = lock(shard);
            self.forget_expired(&mut shard, now);
            is_done &= !shard.has_due(now);
        }
        if is_done {
            self.swept.store(now.as_milliseconds(), Ordering::Relaxed);
        }
    }

    /// Forgets expired records of a shard, at most [`FORGET_PER_CALL`].
    fn forget_expired(&self, shard: &mut Shard<T::Record>, now: Timestamp) {
        for _ in 0..FORGET_PER_CALL {
            let Some((_, id)) = shard.expiries.first().filter(|(due, _)| *due <= now) else { break };
            if let Some(held) = shard.forget_first(id, now) {
                self.pairs.leave(held.key, held.entry(), id);
                self.records.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// The time until a record may expire. A client of a full store is asked to wait for that long.
    fn time_until_expiry(&self, now: Timestamp) -> Duration {
        let firsts = self.shards.iter().filter_map(|shard| lock(shard).first_expiry());
        firsts.min().map_or(Duration::ZERO, |due| due.since(now))
    }
}

impl<R: Record> Shard<R> {
    /// Whether an entry is due.
    fn has_due(&self, now: Timestamp) -> bool {
        self.expiries.first().is_some_and(|(due, _)| due <= now)
    }

    /// Forgets the record `id`, whose entry is the first, if it has expired; otherwise postpones its entry.
    fn forget_first(&mut self, id: Id, now: Timestamp) -> Option<Box<Held<R>>> {
        match self.records.get_mut(&id).map(|held| held.record.expires()) {
            Some(expires) if expires > now => {
                self.expiries.put_off(expires);
                None
            }
            _ => {
                self.expiries.pop();
                self.records.remove(&id)
            }
        }
    }

    /// When the next record expires. Stale entries, and those of records whose expiry moved, may come first; after a
    /// number of them this returns an earlier time instead.
    fn first_expiry(&mut self) -> Option<Timestamp> {
        const LOOKS_MAX: usize = 1000;
        for _ in 0..LOOKS_MAX {
            let (due, id) = self.expiries.first()?;
            match self.records.get_mut(&id).map(|held| held.record.expires()) {
                Some(expires) if expires <= due => return Some(due),
                Some(expires) => self.expiries.put_off(expires),
                None => self.expiries.pop(),
            }
        }
        self.expiries.first().map(|(due, _)| due)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::oauth::Profile;
    use crate::oauth::client::tests::client;
    use crate::oauth::client::{Client, Clients, Credentials, GrantTypes};
    use crate::oauth::credential::{CREDENTIAL_BYTES, SECRET_BYTES};
    use crate::oauth::grant::RefreshReuse;
    use crate::oauth::{
        Credential, Holder, Outcome, ProtectedResource, Scope, TokenLifetimes, Transition, authorize,
    };

    fn bounded(records_max: usize, holder_max: usize) -> OneKind<Transition> {
        OneKind::bounded(KindBounds { records_max, holder_max })
    }

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(time: Duration) -> Timestamp {
        Timestamp::from_system_time(UNIX_EPOCH + time)
    }

    fn credential(number: u64) -> Credential {
        let mut random = [0; CREDENTIAL_BYTES];
        // The beginning of an identifier is its hash, and its end selects the shard.
        random[..6].copy_from_slice(&number.to_be_bytes()[2..]);
        random[9..15].copy_from_slice(&number.to_be_bytes()[2..]);
        Credential::of_new_grant(random)
    }

    /// One public client, which is also the default client.
    fn clients() -> Clients {
        let grant_types = GrantTypes { authorization_code: true, ..GrantTypes::default() };
        let client = Client { grant_types, ..client("app", None, &["https://app.example/cb"]) };
        Clients::new([client])
    }

    fn grant(number: u64) -> Transition {
        grant_by("owner", number)
    }

    fn grant_by(subject: &str, number: u64) -> Transition {
        let clients = clients();
        let authorization =
            authorize::check(&clients, &Profile::demo("app"), &authorize::AuthorizationRequest::default())
                .unwrap();
        Transition::permit(authorization, subject.into(), &credential(number), MINUTE, None)
    }

    fn redeem(number: u64, token: u8) -> Transition {
        let clients = clients();
        let client = clients.authenticate(&Credentials { id: Some("app"), ..Credentials::default() }).unwrap();
        let code = credential(number);
        let token = Credential::of_grant(code.grant(), [token; SECRET_BYTES]);
        let lifetimes = TokenLifetimes {
            access_token: 60 * MINUTE,
            refresh_idle: MINUTE,
            refresh: MINUTE,
            refresh_grace: MINUTE,
            refresh_reuse: RefreshReuse::EndsGrant,
        };
        Transition::redeem(client, &code, None, None, &token, None, lifetimes)
    }

    fn check(number: u64, token: u8) -> Transition {
        let token = Credential::of_grant(credential(number).grant(), [token; SECRET_BYTES]);
        let resource = ProtectedResource {
            clients: Arc::new(clients()),
            accepts_unaddressed: true,
            ..ProtectedResource::default()
        };
        Transition::check(&token, Arc::new(resource))
    }

    fn redeemed() -> Outcome {
        Outcome::Redeemed { scope: Scope::default() }
    }

    /// Checks that every index has exactly the existing records, and that stale entries in the heaps are bounded.
    fn assert_consistent(store: &OneKind<Transition>, records: usize) {
        let expiries: usize = store.shards.iter().map(|shard| lock(shard).expiries.len()).sum();
        let counted = store.records.load(Ordering::Relaxed);
        assert_eq!((store.len(), store.pairs.len(), counted), (records, records, records));
        let left_over = expiries - records;
        assert!(left_over <= records / 2 + 4 * store.shards.len(), "{left_over} entries of {records} records");
    }

    #[test]
    fn a_full_store_says_until_when_and_has_room_after_that() {
        let store = bounded(3, 1);
        for (number, subject) in ["ada", "bob", "eve"].iter().enumerate() {
            assert_eq!(store.apply(&grant_by(subject, number as u64), at(MINUTE)), Ok(Outcome::Granted));
        }
        let then = at(MINUTE + Duration::from_secs(20));
        let full = Err(StoreError::Full { wait: Duration::from_secs(40) });
        assert_eq!(store.apply(&grant_by("dan", 3), then), full);
        assert_eq!(store.apply(&redeem(0, 1), then), Ok(redeemed()), "what is there goes on");
        assert_eq!(store.apply(&grant_by("dan", 3), then), full);
        assert_eq!(store.apply(&grant_by("bob", 4), then), Ok(Outcome::Granted), "his own code makes room");
        assert_eq!(store.apply(&redeem(1, 1), then), Ok(Outcome::Unknown));
        assert_eq!(store.apply(&grant_by("dan", 3), at(2 * MINUTE)), Ok(Outcome::Granted));
        assert_eq!(store.apply(&check(0, 1), at(2 * MINUTE)), Ok(Outcome::Active));
        assert_consistent(&store, 3);
    }

    #[test]
    fn a_full_store_ends_no_code_that_would_leave_a_mark() {
        let store = bounded(2, 1);
        let clients = clients();
        let asked =
            authorize::check(&clients, &Profile::demo("app"), &authorize::AuthorizationRequest::default())
                .unwrap();
        let of_form = |subject: &str, number| {
            let form_ends = Some(at(11 * MINUTE + Duration::from_secs(number)));
            Transition::permit(asked.clone(), subject.into(), &credential(number), MINUTE, form_ends)
        };
        for (number, subject) in ["ada", "bob"].iter().enumerate() {
            assert_eq!(store.apply(&of_form(subject, number as u64), at(MINUTE)), Ok(Outcome::Granted));
        }
        let full = Err(StoreError::Full { wait: 10 * MINUTE });
        assert_eq!(store.apply(&of_form("bob", 2), at(MINUTE)), full);
        assert_eq!(store.apply(&redeem(1, 1), at(MINUTE)), Ok(redeemed()), "his first code is valid");
        assert_consistent(&store, 2);
        // Where the mark displaces an older one, there is room.
        let store = bounded(2, 1);
        for number in 0..5 {
            assert_eq!(store.apply(&of_form("bob", number), at(MINUTE)), Ok(Outcome::Granted), "{number}");
        }
        assert_eq!(store.apply(&redeem(4, 1), at(MINUTE)), Ok(redeemed()));
        assert_consistent(&store, 2);
    }

    #[test]
    fn a_revoked_grant_frees_its_place_at_once() {
        let store = bounded(3, 3);
        for number in 0..30 {
            store.apply(&grant(number), at(MINUTE)).unwrap();
            store.apply(&redeem(number, 1), at(MINUTE)).unwrap();
            assert_consistent(&store, 1);
            assert_eq!(store.apply(&redeem(number, 2), at(MINUTE)), Ok(Outcome::Replayed));
            assert_consistent(&store, 0);
        }
    }

    #[test]
    fn what_a_flood_leaves_is_bounded_in_every_index() {
        let store = bounded(1000, 10);
        for number in 0..2000 {
            let now = at(MINUTE + Duration::from_millis(number));
            store.apply(&grant(number), now).unwrap();
            if number % 2 == 0 {
                store.apply(&redeem(number, 1), now).unwrap();
            }
        }
        assert_consistent(&store, 20);
        assert_eq!(store.apply(&check(1978, 1), at(MINUTE)), Ok(Outcome::Inactive));
        for number in (1980..2000).step_by(2) {
            assert_eq!(store.apply(&check(number, 1), at(MINUTE)), Ok(Outcome::Active), "{number}");
        }
    }

    #[test]
    fn a_record_that_changed_meanwhile_is_not_evicted() {
        let store = bounded(10, 10);
        let key = store.pairs.key(Holder { client: "app", subject: Some("owner") });
        store.apply(&grant(1), at(MINUTE)).unwrap();
        let (id, _) = store.pairs.take_oldest(0, key, Stage::Code).unwrap();
        // Between the two another request redeems the code.
        assert_eq!(store.apply(&redeem(1, 1), at(MINUTE)), Ok(redeemed()));
        store.end(key, Stage::Code, id, at(MINUTE));
        assert_eq!(store.apply(&check(1, 1), at(MINUTE)), Ok(Outcome::Active));
        assert_consistent(&store, 1);
        // Or it ends the grant.
        let (id, _) = store.pairs.take_oldest(0, key, Stage::Live).unwrap();
        assert_eq!(store.apply(&redeem(1, 2), at(MINUTE)), Ok(Outcome::Replayed));
        store.end(key, Stage::Live, id, at(MINUTE));
        assert_consistent(&store, 0);
    }

    #[test]
    fn racers_at_a_pairs_bound_leave_exactly_that_many_grants() {
        const RACERS: u64 = 8;
        const EACH: u64 = 200;
        let store = bounded(100_000, 5);
        std::thread::scope(|scope| {
            for racer in 0..RACERS {
                let store = &store;
                scope.spawn(move || {
                    for number in racer * EACH..(racer + 1) * EACH {
                        let now = at(MINUTE + Duration::from_millis(number % EACH));
                        store.apply(&grant(number), now).unwrap();
                        let applied = store.apply(&redeem(number, 1), now);
                        assert!(
                            matches!(applied, Ok(Outcome::Redeemed { .. } | Outcome::Unknown)),
                            "{applied:?}"
                        );
                        // A pair exceeds its limit by at most one record per thread.
                        assert!(store.len() <= 10 + 2 * RACERS as usize);
                        if number % 7 == 0 {
                            store.apply(&redeem(number, 2), now).unwrap();
                        }
                    }
                });
            }
        });
        let is_active = |number: &u64| store.apply(&check(*number, 1), at(2 * MINUTE)) == Ok(Outcome::Active);
        let live = (0..RACERS * EACH).filter(is_active).count();
        assert!(live <= 5, "{live} are live");
        let left = store.len();
        assert!(left <= 10);
        assert_consistent(&store, left);
    }

    #[test]
    fn what_has_expired_is_forgotten_while_other_requests_go_by() {
        let store = bounded(1000, 1000);
        for number in 0..1000 {
            store.apply(&grant(number), at(MINUTE)).unwrap();
        }
        store.apply(&redeem(7, 1), at(MINUTE)).unwrap();
        // Identifiers are random, so every shard gets requests.
        for number in 0..2000 / FORGET_PER_CALL as u64 {
            store.apply(&check(number, 1), at(2 * MINUTE)).unwrap();
        }
        assert_eq!(store.len(), 1, "the one whose code was redeemed");
        for _ in 0..2 {
            assert_eq!(store.apply(&check(7, 1), at(61 * MINUTE)), Ok(Outcome::Inactive));
        }
        assert!(store.len() == 0);
    }

    #[test]
    fn of_twenty_racers_with_one_code_one_gets_a_token() {
        let store = bounded(10, 10);
        store.apply(&grant(1), at(MINUTE)).unwrap();
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..20)
                .map(|token| {
                    let store = &store;
                    scope.spawn(move || store.apply(&redeem(1, token), at(MINUTE)).unwrap())
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let count = |outcome: Outcome| outcomes.iter().filter(|o| **o == outcome).count();
        assert_eq!((count(redeemed()), count(Outcome::Replayed), count(Outcome::Unknown)), (1, 1, 18));
        for token in 0..20 {
            assert_eq!(store.apply(&check(1, token), at(MINUTE)), Ok(Outcome::Inactive), "all are revoked");
        }
    }
}
