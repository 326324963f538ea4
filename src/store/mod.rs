//! Where grants live.
//!
//! A store is given whole [`Transition`]s and gives back their [`Outcome`]s. It applies each atomically to
//! the one record that it names, and there is no other logic in it: not what a code is, not when one is
//! spent. It sees digests, never a code or a token.

use std::fmt;

use crate::oauth::{Outcome, Timestamp, Transition};

pub mod memory;

pub use memory::MemoryStore;

/// Somewhere to keep grants.
pub trait Store: Send + Sync {
    /// Applies `transition` to the record it names, at the moment `now`: all of it or, on an error, nothing.
    /// When this returns an outcome, what the outcome says is stored.
    ///
    /// # Errors
    /// When the store cannot keep what the transition wants kept.
    fn apply(&self, transition: &Transition, now: Timestamp) -> Result<Outcome, StoreError>;
}

/// Why a store could not apply a transition; the grant is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// It holds as many grants as it may; some will expire.
    Full,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Full => f.write_str("the store holds as many grants as it may"),
        }
    }
}

impl std::error::Error for StoreError {}
