//! What the keys on an engine are called.
//!
//! ```text
//!   PREFIX:grant:ID              a grant
//!   PREFIX:sealing-key           the key that seals the dialog's forms
//! ```
//!
//! A grant's name has no colon in it and 20 characters, so no key of one prefix is one of another.

use std::sync::Arc;

use crate::config::KeyPrefix;
use crate::oauth::GrantId;

/// The keys of one server, and of those that share its grants.
#[derive(Clone)]
pub(super) struct Keys(Arc<str>);

impl Keys {
    /// Keys that begin with `prefix`.
    pub(super) fn new(prefix: &KeyPrefix) -> Keys {
        Keys(prefix.as_str().into())
    }

    /// The key of a grant.
    pub(super) fn grant(&self, id: GrantId) -> Arc<[u8]> {
        [self.0.as_bytes(), b":grant:", id.as_bytes()].concat().into()
    }

    /// The key of the key that seals the dialog's forms.
    pub(super) fn sealing_key(&self) -> Arc<[u8]> {
        self.named("sealing-key")
    }

    fn named(&self, name: &str) -> Arc<[u8]> {
        format!("{}:{name}", self.0).into_bytes().into()
    }
}
