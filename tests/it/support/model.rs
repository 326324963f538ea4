//! Random sequences and batches of transitions, applied to a store and to a model of it: the rules alone, on a map.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use super::random::Random;
use super::stores::{START, apply, apply_all};
use oauth_from_scratch::oauth::kind::{Change, Record as _, Transition};
use oauth_from_scratch::oauth::{Key, Timestamp};
use oauth_from_scratch::store::Store;

/// A random client of a store.
pub trait Player<T> {
    /// The transition that it asks for next.
    fn ask(&mut self) -> T;

    fn random(&mut self) -> &mut Random;
}

/// How many random sequences each store is put through; `STORE_SEQUENCES` asks for another number.
pub fn sequences() -> u32 {
    std::env::var("STORE_SEQUENCES").ok().and_then(|count| count.parse().ok()).unwrap_or(20)
}

struct Model<T: Transition>(BTreeMap<Key, T::Record>);

impl<T: Transition> Model<T> {
    /// The outcomes that a store may give: with expired records forgotten, and with them kept.
    fn apply(&mut self, transition: &T, now: Timestamp) -> [T::Outcome; 2] {
        let key = transition.key();
        let record = self.0.get(&key);
        let (_, kept) = transition.apply(record, now);
        let (change, forgotten) = transition.apply(record.filter(|record| record.expires() > now), now);
        match change {
            Change::Keep => {}
            Change::Put(record) => drop(self.0.insert(key, record)),
            Change::Forget => drop(self.0.remove(&key)),
        }
        [forgotten, kept]
    }
}

/// Applies random sequences of `player`'s transitions, each to one of the two handles of a store. Every outcome must be
/// the model's.
pub fn check_sequences<T, P>(handles: [&dyn Store<T>; 2], player: impl Fn(u32) -> P)
where
    T: Transition<Outcome: Debug + PartialEq>,
    P: Player<T>,
{
    for seed in 0..sequences() {
        let mut player = player(seed);
        let (mut model, mut now) = (Model(BTreeMap::new()), START);
        for step in 0..60 {
            let transition = player.ask();
            let store = player.random().pick(&handles);
            let ours = apply(store, transition.clone(), now).expect("room and time");
            let models = model.apply(&transition, now);
            assert!(models.contains(&ours), "seed {seed}, step {step}: {ours:?}, not {models:?}");
            if player.random().one_in(6) {
                let time = player.random().pick(&[1, 9_999, 20_000, 61_000, 299_000]);
                now = now.after(Duration::from_millis(time));
            }
        }
    }
}

/// Applies random batches of `player`'s transitions to `store`. Transitions of different records are independent, so a
/// batch has one of each record at most, and its order does not matter.
pub fn check_batches<T, P>(store: &dyn Store<T>, player: impl Fn(u32) -> P)
where
    T: Transition<Outcome: Debug + PartialEq>,
    P: Player<T>,
{
    for seed in 0..sequences() {
        let mut player = player(seed);
        let mut model = Model(BTreeMap::new());
        for round in 0..6 {
            let mut batch: Vec<T> = (0..60).map(|_| player.ask()).collect();
            let mut seen = HashSet::new();
            batch.retain(|transition| seen.insert(bytes_of(transition.key())));
            let models: Vec<[T::Outcome; 2]> =
                batch.iter().map(|transition| model.apply(transition, START)).collect();
            let given = batch.into_iter().map(|transition| (transition, START)).collect();
            for (ours, models) in apply_all(store, given).iter().zip(&models) {
                let ours = ours.as_ref().expect("room and time");
                assert!(models.contains(ours), "seed {seed}, round {round}: {ours:?}, not {models:?}");
            }
        }
    }
}

fn bytes_of(key: Key) -> (usize, [u8; 20]) {
    (key.kind.index(), *key.id.as_bytes())
}
