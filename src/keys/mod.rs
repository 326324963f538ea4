//! The one place that the server's keys come from, and where they are kept.
//!
//! In this order, the keys are those of
//!
//! 1. the store, if it outlives the process: a file of grants holds a key that never changes, and the servers that share
//!    an engine agree on one there (`store/redis/sealing.rs`);
//! 2. this process, which draws one at its start.

use std::io;
use std::sync::Arc;

use crate::crypto::keyring::{KEY_BYTES, Keyring};
use crate::store::Store;
use crate::system::System;

/// Where the keys of this server are kept.
#[derive(Clone)]
pub enum Keys {
    /// With the records. The keyring is the one that the store had at the start.
    Store(Arc<dyn Store>, Arc<Keyring>),
    /// Nowhere: they end with this process.
    Process(Arc<Keyring>),
}

impl Keys {
    /// The keys of `store` if it keeps any, else a key out of the random bytes of `system`.
    ///
    /// # Errors
    /// If `system` has no random bytes when they are needed.
    pub fn choose(store: &Arc<dyn Store>, system: &dyn System) -> io::Result<Keys> {
        if let Some(keyring) = store.keyring() {
            return Ok(Keys::Store(Arc::clone(store), keyring));
        }
        let mut key = [0; KEY_BYTES];
        system.fill(&mut key)?;
        Ok(Keys::Process(Arc::new(Keyring::new(&key))))
    }

    /// The keys as they are now. They can change, so call this for each use.
    pub fn keyring(&self) -> Arc<Keyring> {
        match self {
            Keys::Store(store, first) => store.keyring().unwrap_or_else(|| Arc::clone(first)),
            Keys::Process(keyring) => Arc::clone(keyring),
        }
    }

    /// Requests that the keys be read again soon, because a form names a key that is not known here.
    pub fn refresh(&self) {
        if let Keys::Store(store, _) = self {
            store.refresh_keyring();
        }
    }
}
