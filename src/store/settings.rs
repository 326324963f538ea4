//! The settings of a store: where records are kept, for how long, and how many.
//!
//! Plain data. [`Limits::mistakes`] lists the values that a store cannot work with.

use std::time::Duration;

use super::backend::Backend;
use super::contract::{Bounds, KindBounds};
use crate::oauth::key::KINDS_MAX;
use crate::oauth::lifetimes::Lifetimes;

/// The default limit of live grants per subject and client: a hundredth of the default `grants_max`.
pub const PAIR_GRANTS_MAX: usize = 10_000;

/// What a store needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where records are kept, and how durable a change must be before its response is sent.
    pub backend: Backend,
    /// How long codes and forms are valid: an engine must keep records for longer.
    pub lifetimes: Lifetimes,
    /// Whether the store keeps the server's keys, so that servers that share it agree on them. They may come from a key
    /// file instead.
    pub keeps_keys: bool,
    /// How long a transition may wait for a file or an engine.
    pub time_max: Duration,
    /// How many records there may be, and how many transitions may wait.
    pub limits: Limits,
}

/// The limits of what a store keeps and of what waits for it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum grants in memory or in a file; beyond it the response is 503. An engine has its own limit.
    pub grants_max: usize,
    /// Maximum live grants per subject and client, in memory or in a file; beyond it, the oldest of the pair ends.
    /// The same limit applies separately to the pair's unredeemed codes and to its marks of answered forms. `None`
    /// means [`PAIR_GRANTS_MAX`], or a quarter of `grants_max` if that is less.
    pub pair_grants_max: Option<usize>,
    /// Maximum transitions that wait for a file or an engine; beyond it the response is 503.
    pub store_queue_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { grants_max: 1_000_000, pair_grants_max: None, store_queue_max: 16_384 }
    }
}

impl Limits {
    /// The limit of live grants per subject and client.
    pub fn pair_grants_max(&self) -> usize {
        let default = PAIR_GRANTS_MAX.min(pair_share(self.grants_max));
        self.pair_grants_max.unwrap_or(default)
    }

    /// Every value that a store cannot work with: its name, and what it must be.
    pub fn mistakes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let rules = [
            (self.grants_max > 0, "grants_max", "at least 1"),
            (self.pair_grants_max != Some(0), "pair_grants_max", "at least 1"),
            (
                self.pair_grants_max.is_none_or(|max| max <= pair_share(self.grants_max)),
                "pair_grants_max",
                "at most a quarter of grants_max",
            ),
            (self.store_queue_max > 0, "store_queue_max", "at least 1"),
        ];
        rules.into_iter().filter(|(holds, ..)| !holds).map(|(_, name, remedy)| (name, remedy))
    }
}

impl Settings {
    /// The bounds of the store, in memory or not. Every kind of record has the limits of grants, counted separately.
    pub(super) fn bounds(&self) -> Bounds {
        let limits = &self.limits;
        let of_each = KindBounds { records_max: limits.grants_max, holder_max: limits.pair_grants_max() };
        Bounds { kinds: [of_each; KINDS_MAX], queue_max: limits.store_queue_max, time_max: self.time_max }
    }
}

/// The largest `pair_grants_max`. A pair may hold that number of live grants, of unredeemed codes and of marks, so a
/// quarter each still leaves room for other pairs.
fn pair_share(grants_max: usize) -> usize {
    (grants_max / 4).max(1)
}
