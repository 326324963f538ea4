//! Grants in memory: quick, bounded, and gone with the process.
//!
//! Tables from names to grants, and beside them a heap of names by expiry, so that forgetting needs no walk over
//! the tables. Every grant has exactly one entry in the heap. When a grant lives longer than it was entered for
//! (its code was redeemed), or is gone already (it was revoked), the entry finds that out when its time comes.
//!
//! The grants are spread over shards, each with a lock of its own, so that the workers seldom wait for each
//! other; a grant's name, which is random, says which shard it is in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Applied, Caller, Store, StoreError};
use crate::oauth::{Change, GrantId, Timestamp, Transition};

mod grants;

use grants::Grants;

/// How many entries one call looks at for forgetting: more than it adds, so that what has expired goes sooner
/// than it came, and few, so that no request pays for a million others.
const FORGET_PER_CALL: usize = 8;

/// How many shards there are for each core: two workers seldom meet in one, and what every request looks at in
/// its shard stays near.
const SHARDS_PER_CORE: usize = 8;

/// Grants in memory; see the module's page.
pub struct MemoryStore {
    grants_max: usize,
    /// The entries of all heaps together. It counts against the bound, for it is never less than the grants.
    entries: AtomicUsize,
    shards: Box<[Mutex<Shard>]>,
}

/// On a cache line of its own, so that a lock taken is not felt in the next shard.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    grants: Grants,
    expiries: BinaryHeap<Reverse<(Timestamp, GrantId)>>,
}

impl MemoryStore {
    /// An empty store that keeps at most `grants_max` grants at a time. A revoked grant counts until it would
    /// have expired.
    pub fn new(grants_max: usize) -> MemoryStore {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = (0..(SHARDS_PER_CORE * cores).next_power_of_two()).map(|_| Mutex::default()).collect();
        MemoryStore { grants_max, entries: AtomicUsize::new(0), shards }
    }

    /// How many grants are held, expired ones that have not been forgotten yet included.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).grants.len()).sum()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: GrantId) -> &Mutex<Shard> {
        // Their number is a power of two.
        &self.shards[id.shard() as usize & (self.shards.len() - 1)]
    }

    /// Counts one more entry, if there may be one more: what has expired anywhere may have to go first.
    fn make_room(&self, now: Timestamp) -> bool {
        for _ in 0..2 {
            let before = self.entries.fetch_add(1, Ordering::Relaxed);
            if before < self.grants_max {
                return true;
            }
            self.entries.fetch_sub(1, Ordering::Relaxed);
            self.shards.iter().for_each(|shard| self.forget_expired(&mut lock(shard), now));
        }
        false
    }

    fn forget_expired(&self, shard: &mut Shard, now: Timestamp) {
        let forgotten = shard.forget_expired(now);
        if forgotten > 0 {
            self.entries.fetch_sub(forgotten, Ordering::Relaxed);
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic elsewhere leaves the tables whole: each change to them is one call that does not panic.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn submit(&self, transition: Transition, now: Timestamp, _: Caller) -> Option<Applied> {
        Some(self.apply(&transition, now))
    }
}

impl MemoryStore {
    /// Applies `transition`, at once.
    ///
    /// # Errors
    /// [`StoreError::Full`], where it would make one grant too many.
    pub fn apply(&self, transition: &Transition, now: Timestamp) -> Applied {
        let id = transition.grant_id();
        // Only a new grant needs room, and room is made with no shard locked.
        let has_room = !transition.is_new() || self.make_room(now);
        if !has_room {
            return Err(StoreError::Full);
        }
        let mut shard = lock(self.shard(id));
        if shard.has_due(now) {
            self.forget_expired(&mut shard, now);
        }
        let Shard { grants, expiries } = &mut *shard;
        let mut record = grants.get_mut(&id);
        if let Some(outcome) = transition.look(record.as_deref(), now) {
            return Ok(outcome);
        }
        let (change, outcome) = transition.apply(record.as_deref(), now);
        let has_entered = record.is_none() && matches!(change, Change::Put(_));
        match (change, &mut record) {
            (Change::Keep, _) => {}
            (Change::Forget, _) => grants.remove(&id),
            (Change::Put(grant), Some(place)) => **place = grant,
            (Change::Put(grant), None) => {
                expiries.push(Reverse((grant.expires(), id)));
                grants.insert(id, grant);
            }
        }
        if transition.is_new() && !has_entered {
            // The room that was made for it stays empty.
            self.entries.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(outcome)
    }
}

impl Shard {
    /// Whether the time of some entry has come.
    fn has_due(&self, now: Timestamp) -> bool {
        self.expiries.peek().is_some_and(|Reverse((time, _))| *time <= now)
    }

    /// Returns how many entries went.
    fn forget_expired(&mut self, now: Timestamp) -> usize {
        let mut forgotten = 0;
        for _ in 0..FORGET_PER_CALL {
            let Some(mut entry) = self.expiries.peek_mut() else { break };
            let Reverse((time, id)) = *entry;
            if time > now {
                break;
            }
            match self.grants.get(&id).map(|grant| grant.expires()) {
                Some(expires) if expires > now => *entry = Reverse((expires, id)),
                _ => {
                    std::collections::binary_heap::PeekMut::pop(entry);
                    self.grants.remove(&id);
                    forgotten += 1;
                }
            }
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::oauth::client::{Client, Clients, Credentials, GrantTypes};
    use crate::oauth::grant::RefreshReuse;
    use crate::oauth::redirect::RedirectUri;
    use crate::oauth::secret::{CREDENTIAL_BYTES, SECRET_BYTES};
    use crate::oauth::{Credential, Outcome, Scope, TokenLifetimes, authorize};

    const MINUTE: Duration = Duration::from_secs(60);

    pub(super) fn at(time: Duration) -> Timestamp {
        Timestamp::from_system_time(UNIX_EPOCH + time)
    }

    fn credential(number: u64) -> Credential {
        let mut random = [0; CREDENTIAL_BYTES];
        // A name's beginning is its hash, and its end says the shard.
        random[..6].copy_from_slice(&number.to_be_bytes()[2..]);
        random[9..15].copy_from_slice(&number.to_be_bytes()[2..]);
        Credential::of_new_grant(random)
    }

    /// One public client, the one that is meant where none is named.
    fn clients() -> Clients {
        let client = Client {
            id: "app".into(),
            name: "App".to_owned(),
            redirect_uris: vec![RedirectUri::parse("https://app.example/cb").unwrap()],
            secret: None,
            grant_types: GrantTypes { authorization_code: true, ..GrantTypes::default() },
            scope: Scope::default(),
            inspects_all: false,
        };
        Clients::new([client], Some("app".into()))
    }

    pub(super) fn grant(number: u64) -> Transition {
        let clients = clients();
        let authorization = authorize::check(&clients, &authorize::Parameters::default()).unwrap();
        Transition::grant(&authorization, "owner".into(), &credential(number), MINUTE, None)
    }

    fn redeem(number: u64, token: u8) -> Transition {
        let clients = clients();
        let client = clients.authenticate(&Credentials::default()).unwrap();
        let code = credential(number);
        let token = Credential::of_grant(code.grant(), [token; SECRET_BYTES]);
        let lifetimes = TokenLifetimes {
            access_token: 60 * MINUTE,
            refresh_idle: MINUTE,
            refresh: MINUTE,
            refresh_grace: MINUTE,
            refresh_reuse: RefreshReuse::EndsGrant,
        };
        Transition::redeem(client, &code, (None, None), &token, None, lifetimes)
    }

    fn check(number: u64, token: u8) -> Transition {
        Transition::check(&Credential::of_grant(credential(number).grant(), [token; SECRET_BYTES]), None)
    }

    fn redeemed() -> Outcome {
        Outcome::Redeemed { scope: Scope::default() }
    }

    #[test]
    fn a_full_store_says_so_and_has_room_again_when_codes_expire() {
        let store = MemoryStore::new(3);
        for number in 0..3 {
            assert_eq!(store.apply(&grant(number), at(MINUTE)), Ok(Outcome::Granted));
        }
        assert_eq!(store.apply(&grant(3), at(MINUTE)), Err(StoreError::Full));
        assert_eq!(store.apply(&redeem(0, 1), at(MINUTE)), Ok(redeemed()), "what is there goes on");
        assert_eq!(store.apply(&grant(3), at(2 * MINUTE)), Ok(Outcome::Granted));
        assert_eq!(store.len(), 2, "the redeemed grant and the new one");
        assert_eq!(store.apply(&check(0, 1), at(2 * MINUTE)), Ok(Outcome::Active));
    }

    #[test]
    fn revoked_grants_do_not_open_a_way_around_the_bound() {
        let store = MemoryStore::new(3);
        for number in 0..3 {
            store.apply(&grant(number), at(MINUTE)).unwrap();
            store.apply(&redeem(number, 1), at(MINUTE)).unwrap();
            assert_eq!(store.apply(&redeem(number, 2), at(MINUTE)), Ok(Outcome::Replayed));
        }
        assert!(store.is_empty());
        assert_eq!(store.apply(&grant(3), at(MINUTE)), Err(StoreError::Full));
    }

    #[test]
    fn what_has_expired_is_forgotten_while_other_requests_go_by() {
        let store = MemoryStore::new(1000);
        for number in 0..1000 {
            store.apply(&grant(number), at(MINUTE)).unwrap();
        }
        store.apply(&redeem(7, 1), at(MINUTE)).unwrap();
        // Names are random, so requests go by in every shard.
        for number in 0..2000 / FORGET_PER_CALL as u64 {
            store.apply(&check(number, 1), at(2 * MINUTE)).unwrap();
        }
        assert_eq!(store.len(), 1, "the one whose code was redeemed");
        for _ in 0..2 {
            assert_eq!(store.apply(&check(7, 1), at(61 * MINUTE)), Ok(Outcome::Inactive));
        }
        assert!(store.is_empty());
    }

    #[test]
    fn of_twenty_racers_with_one_code_one_gets_a_token() {
        let store = MemoryStore::new(10);
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
