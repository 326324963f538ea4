//! The one place that the server's keys come from, and where they are kept.
//!
//! In this order, the keys are those of
//!
//! 1. the key file, if there is one (`--keys FILE`, `keys = "FILE"`);
//! 2. the store, if it outlives the process: a file of grants holds a key that never changes, and the servers that
//!    share an engine agree on one there (`store/redis/sealing.rs`);
//! 3. this process, which draws one at startup.
//!
//! Two kinds of things are made with keys. What is valid for minutes, such as a form, needs an old key only as long as
//! the last form of it is valid. What is valid for years, such as an identifier that a client keeps, needs its key for
//! all that time. A key file serves both: an old key stays until a person removes its line. So does the store's file.
//! An engine keeps an old key as long as a form is valid, and loses all keys when it is flushed; a process keeps none.

use std::io;
use std::sync::Arc;

use crate::crypto::keyring::{Keyring, draw_key};
use crate::store::Store;
use crate::system::System;

mod file;
mod format;

pub use file::KeyFile;
pub use format::{FILE_BYTES_MAX, KEYS_MAX};

/// Where the keys of this server are kept.
#[derive(Clone)]
pub enum Keys {
    /// In a file of their own.
    File(Arc<KeyFile>),
    /// With the records. The keyring is the one that the store had at startup.
    Store(Arc<dyn Store>, Arc<Keyring>),
    /// Nowhere: they end with this process.
    Process(Arc<Keyring>),
}

impl Keys {
    /// The keys of `file` if there is one, else those of `store` if it keeps any, else a key out of the random bytes of
    /// `system`.
    ///
    /// # Errors
    /// If `system` has no random bytes when they are needed.
    pub fn choose(file: Option<Arc<KeyFile>>, store: &Arc<dyn Store>, system: &dyn System) -> io::Result<Keys> {
        if let Some(file) = file {
            return Ok(Keys::File(file));
        }
        if let Some(keyring) = store.keyring() {
            return Ok(Keys::Store(Arc::clone(store), keyring));
        }
        let key = draw_key(|bytes| system.fill(bytes))?;
        Ok(Keys::Process(Arc::new(Keyring::new(&key))))
    }

    /// The keys as they are now. They can change, so call this for each use.
    pub fn keyring(&self) -> Arc<Keyring> {
        match self {
            Keys::File(file) => file.keyring(),
            Keys::Store(store, first) => store.keyring().unwrap_or_else(|| Arc::clone(first)),
            Keys::Process(keyring) => Arc::clone(keyring),
        }
    }

    /// Requests that the keys be read again soon, because a form names a key that is not known here. A key file is read
    /// again only on SIGHUP.
    pub fn refresh(&self) {
        if let Keys::Store(store, _) = self {
            store.refresh_keyring();
        }
    }
}
