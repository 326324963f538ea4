//! Grants in memory: quick, bounded, and gone with the process.
//!
//! A map from names to grants, and beside it a heap of names by expiry, so that forgetting needs no walk over
//! the map. Every grant has exactly one entry in the heap. When a grant lives longer than it was entered for
//! (its code was redeemed), or is gone already (it was revoked), the entry finds that out when its time comes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use super::{Store, StoreError};
use crate::oauth::{Change, Grant, GrantId, Outcome, Timestamp, Transition};

/// How many entries one call looks at for forgetting: more than it adds, so that what has expired goes sooner
/// than it came, and few, so that no request pays for a million others.
const FORGET_PER_CALL: usize = 8;

/// Grants in memory; see the module's page.
pub struct MemoryStore {
    grants_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    grants: HashMap<GrantId, Grant, BuildHasherDefault<AsItIs>>,
    expiries: BinaryHeap<Reverse<(Timestamp, GrantId)>>,
}

/// Takes a grant's name for its hash, as the name itself proposes.
#[derive(Default)]
struct AsItIs(u64);

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

impl MemoryStore {
    /// An empty store that keeps at most `grants_max` grants at a time. A revoked grant counts until it would
    /// have expired.
    pub fn new(grants_max: usize) -> MemoryStore {
        MemoryStore { grants_max, inner: Mutex::default() }
    }

    /// How many grants are held, expired ones that have not been forgotten yet included.
    pub fn len(&self) -> usize {
        self.lock().grants.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the maps whole: each change to them is one call that does not panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn apply(&self, transition: &Transition, now: Timestamp) -> Result<Outcome, StoreError> {
        let mut inner = self.lock();
        inner.forget_expired(now);
        let id = transition.grant();
        let record = inner.grants.get(&id);
        let is_new = record.is_none();
        let (change, outcome) = transition.apply(record, now);
        match change {
            Change::Keep => {}
            Change::Forget => {
                inner.grants.remove(&id);
            }
            // The heap's length counts, for it is never shorter than the map.
            Change::Put(_) if is_new && inner.expiries.len() >= self.grants_max => {
                return Err(StoreError::Full);
            }
            Change::Put(grant) => {
                if is_new {
                    inner.expiries.push(Reverse((grant.expires(), id)));
                }
                inner.grants.insert(id, grant);
            }
        }
        Ok(outcome)
    }
}

impl Inner {
    fn forget_expired(&mut self, now: Timestamp) {
        for _ in 0..FORGET_PER_CALL {
            let Some(mut entry) = self.expiries.peek_mut() else { return };
            let Reverse((time, id)) = *entry;
            if time > now {
                return;
            }
            match self.grants.get(&id).map(Grant::expires) {
                Some(expires) if expires > now => *entry = Reverse((expires, id)),
                _ => {
                    std::collections::binary_heap::PeekMut::pop(entry);
                    self.grants.remove(&id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::oauth::Credential;
    use crate::oauth::secret::CREDENTIAL_BYTES;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(time: Duration) -> Timestamp {
        Timestamp::from_system_time(UNIX_EPOCH + time)
    }

    fn credential(number: u64) -> Credential {
        let mut random = [0; CREDENTIAL_BYTES];
        random[..8].copy_from_slice(&number.to_be_bytes());
        Credential::of_new_grant(random)
    }

    fn grant(number: u64) -> Transition {
        let code = credential(number);
        Transition::Grant { grant: code.grant(), code: code.digest(), code_lifetime: MINUTE }
    }

    fn redeem(number: u64, token: u8) -> Transition {
        let code = credential(number);
        Transition::Redeem {
            grant: code.grant(),
            code: code.digest(),
            token: code.of_same_grant([token; 32]).digest(),
            token_lifetime: 60 * MINUTE,
        }
    }

    fn check(number: u64, token: u8) -> Transition {
        let token = credential(number).of_same_grant([token; 32]);
        Transition::Check { grant: token.grant(), token: token.digest() }
    }

    #[test]
    fn a_full_store_says_so_and_has_room_again_when_codes_expire() {
        let store = MemoryStore::new(3);
        for number in 0..3 {
            assert_eq!(store.apply(&grant(number), at(MINUTE)), Ok(Outcome::Granted));
        }
        assert_eq!(store.apply(&grant(3), at(MINUTE)), Err(StoreError::Full));
        assert_eq!(store.apply(&redeem(0, 1), at(MINUTE)), Ok(Outcome::Redeemed), "what is there goes on");
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
        for _ in 0..=1000 / FORGET_PER_CALL {
            store.apply(&check(7, 1), at(2 * MINUTE)).unwrap();
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
        let count = |outcome| outcomes.iter().filter(|o| **o == outcome).count();
        assert_eq!((count(Outcome::Redeemed), count(Outcome::Replayed), count(Outcome::Unknown)), (1, 1, 18));
        for token in 0..20 {
            assert_eq!(store.apply(&check(1, token), at(MINUTE)), Ok(Outcome::Inactive), "all are revoked");
        }
    }
}
