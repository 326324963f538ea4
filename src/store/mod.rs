//! Stores: where records are kept.
//!
//! A store takes whole [transitions](crate::oauth::kind::Transition) and returns their
//! [outcomes](crate::oauth::kind::Transition::Outcome). It applies each transition atomically to the one record that it
//! names. A store has no other logic: it does not know what a code is or when one is redeemed, and it sees digests,
//! never codes or tokens.
//!
//! The store in memory answers at once. A file or an engine answers later, through the caller's [`Mailbox`], so that
//! the event loop never blocks.

mod backend;
mod contract;
#[cfg(feature = "file-store")]
pub mod file;
mod key_prefix;
mod location;
pub mod memory;
mod open;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
mod queue;
#[cfg(feature = "redis-store")]
pub mod redis;
mod settings;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
mod withdrawals;

#[cfg(feature = "redis-store")]
pub use self::redis::RedisStore;
pub use backend::Backend;
pub use contract::{Applied, Bounds, Caller, KindBounds, Mailbox, Store, StoreError, Ticket};
#[cfg(feature = "file-store")]
pub use file::FileStore;
pub use key_prefix::{KeyPrefix, KeyPrefixError};
pub use location::{Location, LocationError, RedisLocation};
pub use memory::MemoryStore;
pub use open::open;
pub use settings::{Limits, PAIR_GRANTS_MAX, Settings};
