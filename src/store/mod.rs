//! Where records live.
//!
//! A store is given whole [`Transition`]s and gives back their [outcomes](Transition::Outcome). It applies each
//! atomically to the one record that it names, and there is no other logic in it: not what a code is, not when one is
//! spent. It sees digests, never a code or a token.
//!
//! Memory answers at once. A disk and a network take their time, and nobody waits for them: they answer later,
//! through the [`Mailbox`] of whoever asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::seal::SealingKeys;
use crate::oauth::key::KINDS_MAX;
use crate::oauth::kind::Transition;
use crate::oauth::{self, Kind, Timestamp};

#[cfg(feature = "file-store")]
pub mod file;
pub mod memory;
mod open;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
mod queue;
#[cfg(feature = "redis-store")]
pub mod redis;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
mod withdrawals;

#[cfg(feature = "redis-store")]
pub use self::redis::RedisStore;
#[cfg(feature = "file-store")]
pub use file::FileStore;
pub use memory::MemoryStore;
pub use open::open;

/// What a transition came to, or why it was not applied.
pub type Applied<T = oauth::Transition> = Result<<T as Transition>::Outcome, StoreError>;

/// Somewhere to keep records: those of the kinds that `T` concerns.
pub trait Store<T: Transition = oauth::Transition>: Send + Sync {
    /// Applies `transition` to the record it names, at the moment `now`: all of it or, on an error, nothing
    /// (see [`StoreError::Unavailable`] for the one thing that cannot be known). When there is an outcome, what
    /// it says is stored.
    ///
    /// `None` is for later: then `caller` is told exactly once.
    fn submit(&self, transition: T, now: Timestamp, caller: Caller<T>) -> Option<Applied<T>>;

    /// The keys that seal the dialog's forms, where they are kept with the grants, for servers that come after this
    /// one or run beside it; `None` where each process has its own. They can change: ask each time.
    fn sealing_keys(&self) -> Option<Arc<SealingKeys>> {
        None
    }

    /// Asks for these keys to be read again soon, where other servers can change them: a form did not open. Strangers
    /// cause that, too, so how often it is done has a bound.
    fn refresh_sealing_keys(&self) {}
}

/// How much a store may hold, and may be asked for at a time.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Records of each kind, in the order of their numbers. A kind has its bounds for itself: a flood of one never fills
    /// another.
    pub kinds: [KindBounds; KINDS_MAX],
    /// Transitions that wait, of whichever kind.
    pub queue_max: usize,
    /// How long one may wait; whoever submitted it waits no longer.
    pub time_max: Duration,
}

impl Bounds {
    /// The bounds of a kind.
    pub fn of(&self, kind: Kind) -> KindBounds {
        self.kinds[kind.index()]
    }
}

/// How many records of one kind a store may hold.
#[derive(Clone, Copy, Debug)]
pub struct KindBounds {
    /// Of all holders together.
    pub records_max: usize,
    /// Of one holder, in each stage: so many codes, so many live records, and so many marks.
    pub holder_max: usize,
}

/// Who is told what a transition came to, if it cannot be said at once.
pub struct Caller<'a, T: Transition = oauth::Transition> {
    /// Where to.
    pub mailbox: &'a Arc<dyn Mailbox<T>>,
    /// About what.
    pub ticket: Ticket,
}

impl<T: Transition> Clone for Caller<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Transition> Copy for Caller<'_, T> {}

/// Names one transition to whoever submitted it, and means nothing to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Where it is awaited.
    pub place: usize,
    /// Different for each that is awaited there.
    pub serial: u64,
}

/// Takes what a store, or the pool for slow work, has to say later, from whatever thread it says it.
pub trait Mailbox<T: Transition = oauth::Transition>: Send + Sync {
    /// Keeps `applied` for the caller that waits with `ticket`. Gives whether an answer can still reach the client:
    /// `false` after [`Mailbox::abandon`], and then the store withdraws what it applied ([`Transition::withdrawal`]).
    fn put(&self, ticket: Ticket, applied: Applied<T>) -> bool;

    /// Notes that no answer to `ticket` will reach its client, or that it is not known to. Gives `false` if it has
    /// been put already; then it can be read at once, and counts as delivered.
    fn abandon(&self, ticket: Ticket) -> bool;

    /// Whether [`Mailbox::abandon`] was called for a ticket that nothing has been put for.
    fn is_abandoned(&self, ticket: Ticket) -> bool;

    /// Keeps for the caller that waits with `ticket` that a job of the pool has ended.
    fn put_done(&self, ticket: Ticket);

    /// Has those who wait look: called once after many have been put.
    fn wake(&self);
}

/// Nobody: for whoever has a store that answers at once.
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

    fn wake(&self) {}
}

/// Why a store did not apply a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It holds as many grants as it may. Nothing has changed.
    Full {
        /// How long it is at least until one of them expires.
        wait: Duration,
    },
    /// More is asked of it than it can do. Nothing has changed.
    Busy,
    /// It cannot be reached, or cannot write. Nothing has changed, unless it went away between applying the
    /// transition and saying so. Then the transition is withdrawn as soon as the store is back.
    Unavailable,
    /// It did not answer in time. The same holds: what it applied after all is withdrawn.
    TimedOut,
    /// The record is there, and cannot be read. Nothing has changed.
    Damaged,
}

impl StoreError {
    /// The reason, in words for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            StoreError::Full { .. } => "the store holds as many grants as it may",
            StoreError::Busy => "more requests wait for the store than may",
            StoreError::Unavailable => "the store is not there, or cannot write",
            StoreError::TimedOut => "the store did not answer in time",
            StoreError::Damaged => "the store has a record that cannot be read",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for StoreError {}
