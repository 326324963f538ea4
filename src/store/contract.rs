//! The contract between the stores and their callers: transitions in, outcomes out, and the bounds of both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::keyring::Keyring;
use crate::oauth::key::KINDS_MAX;
use crate::oauth::kind::Transition;
use crate::oauth::{self, Kind, Timestamp};

/// The outcome of a transition, or the reason why it was not applied.
pub type Applied<T = oauth::Transition> = Result<<T as Transition>::Outcome, StoreError>;

/// Keeps the records of the kinds that `T` changes.
pub trait Store<T: Transition = oauth::Transition>: Send + Sync {
    /// Applies `transition` atomically, at the time `now`. On an error nothing has changed, except as described at
    /// [`StoreError::Unavailable`]. Once there is an outcome, the change is stored as durably as configured.
    ///
    /// Returns `None` if the outcome comes later: `caller` then gets it exactly once.
    fn submit(&self, transition: T, now: Timestamp, caller: Caller<T>) -> Option<Applied<T>>;

    /// The server's keys, if the store keeps them for later processes and other servers; `None` if it keeps none. They
    /// can change, so call this for each use.
    fn keyring(&self) -> Option<Arc<Keyring>> {
        None
    }

    /// Requests that the keys be read again soon, because sealed content names a key that is not known and another
    /// server may have changed them. Forged content causes this call as well, so implementations must limit how often
    /// they read.
    fn refresh_keyring(&self) {}
}

/// The limits of a store.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The limits of each kind, by its number. They are separate, so a flood of one kind does not fill another.
    pub kinds: [KindBounds; KINDS_MAX],
    /// Maximum transitions that wait, of all kinds together.
    pub queue_max: usize,
    /// How long a transition may wait; its caller waits no longer.
    pub time_max: Duration,
}

impl Bounds {
    /// The limits of a kind.
    pub fn of(&self, kind: Kind) -> KindBounds {
        self.kinds[kind.index()]
    }
}

/// The limits of one kind of record.
#[derive(Clone, Copy, Debug)]
pub struct KindBounds {
    /// Maximum records of all holders together.
    pub records_max: usize,
    /// Maximum live records of one holder; also, separately, of its pending records (such as codes) and of its marks.
    pub holder_max: usize,
}

/// Where to deliver an outcome that comes later.
pub struct Caller<'a, T: Transition = oauth::Transition> {
    /// The mailbox of the caller.
    pub mailbox: &'a Arc<dyn Mailbox<T>>,
    /// Identifies the transition there.
    pub ticket: Ticket,
}

impl<T: Transition> Clone for Caller<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Transition> Copy for Caller<'_, T> {}

/// Identifies a submitted transition to its caller. Opaque to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The slot of the request that waits.
    pub place: usize,
    /// Different for each request that has waited in that slot.
    pub serial: u64,
}

/// Receives outcomes from a store, and notices from the pool for slow work and from sources of streams, on any thread.
pub trait Mailbox<T: Transition = oauth::Transition>: Send + Sync {
    /// Delivers `applied` to the caller that waits with `ticket`. Returns whether a response can still reach the
    /// client: `false` after [`Mailbox::abandon`]; the store then withdraws the change ([`Transition::withdrawal`]).
    fn put(&self, ticket: Ticket, applied: Applied<T>) -> bool;

    /// Notes that the response to `ticket` will not, or may not, reach its client. Returns `false` if the outcome has
    /// been delivered already; it can then be read at once.
    fn abandon(&self, ticket: Ticket) -> bool;

    /// Whether [`Mailbox::abandon`] was called for `ticket` before its outcome was delivered.
    fn is_abandoned(&self, ticket: Ticket) -> bool;

    /// Tells the caller that waits with `ticket` that its job of the pool has ended.
    fn put_done(&self, ticket: Ticket);

    /// Tells the caller whose stream has `ticket` that the stream's source has content.
    fn put_ready(&self, ticket: Ticket);

    /// Wakes the event loop; called once after a batch of deliveries.
    fn wake(&self);
}

/// A mailbox that ignores everything, for stores that answer at once.
impl<T: Transition> Mailbox<T> for () {
    fn put(&self, _: Ticket, _: Applied<T>) -> bool {
        true
    }

    fn abandon(&self, _: Ticket) -> bool {
        true
    }

    fn is_abandoned(&self, _: Ticket) -> bool {
        false
    }

    fn put_done(&self, _: Ticket) {}

    fn put_ready(&self, _: Ticket) {}

    fn wake(&self) {}
}

/// Why a store did not apply a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store holds its maximum of records. Nothing has changed.
    Full {
        /// The minimum time until one of them expires.
        wait: Duration,
    },
    /// Too many transitions wait. Nothing has changed.
    Busy,
    /// The store cannot be reached or cannot write. Nothing has changed, unless the connection was lost after the store
    /// applied the transition and before it confirmed. The transition is then withdrawn once the store is back.
    Unavailable,
    /// The store did not answer in time. If it applied the transition after all, that is withdrawn.
    TimedOut,
    /// The record exists but cannot be decoded. Nothing has changed.
    Damaged,
}

impl StoreError {
    /// The reason, for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            StoreError::Full { .. } => "the store is full",
            StoreError::Busy => "too many requests wait for the store",
            StoreError::Unavailable => "the store is unavailable",
            StoreError::TimedOut => "the store did not answer in time",
            StoreError::Damaged => "the store has a damaged record",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for StoreError {}
