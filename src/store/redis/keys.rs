//! What the keys on an engine are called.
//!
//! ```text
//!   PREFIX:KIND:ID               a record of a kind: PREFIX:grant:ID is a grant
//!   PREFIX:sealing-key           the key that seals the dialog's forms
//!   PREFIX:sealing-key:old       the previous one, while its forms are valid
//!   PREFIX:report:SERVER         how far a server knows what became of its answers
//!   PREFIX:alive:SERVER          that it is alive
//!   PREFIX:probe:NAME:NUMBER     what a server wrote to see whether it is kept
//! ```
//!
//! An identifier has no colon in it and 20 characters, and no kind is named as the keys below. So no record has the key
//! of anything else, nor one of another prefix.

use std::sync::Arc;

use super::super::key_prefix::KeyPrefix;
use crate::oauth::Id;

/// The keys of one server, and of those that share its grants.
#[derive(Clone)]
pub(super) struct Keys(Arc<str>);

impl Keys {
    /// Keys that begin with `prefix`.
    pub(super) fn new(prefix: &KeyPrefix) -> Keys {
        Keys(prefix.as_str().into())
    }

    /// The key of a record of the kind with this name.
    pub(super) fn record(&self, kind: &str, id: Id) -> Arc<[u8]> {
        [self.0.as_bytes(), b":", kind.as_bytes(), b":", id.as_bytes()].concat().into()
    }

    /// The key of the key that seals the dialog's forms.
    pub(super) fn sealing_key(&self) -> Arc<[u8]> {
        self.named("sealing-key")
    }

    /// The key of the key before that.
    pub(super) fn old_sealing_key(&self) -> Arc<[u8]> {
        self.named("sealing-key:old")
    }

    /// The key of a server's report.
    pub(super) fn report(&self, server: u64) -> Arc<[u8]> {
        self.named(&format!("report:{server:016x}"))
    }

    /// The key that is there while a server is alive.
    pub(super) fn alive(&self, server: u64) -> Arc<[u8]> {
        self.named(&format!("alive:{server:016x}"))
    }

    /// The key of a probe.
    pub(super) fn probe(&self, name: &str, number: u32) -> Vec<u8> {
        format!("{}:probe:{name}:{number}", self.0).into_bytes()
    }

    /// The prefix as an engine's rules match it: what has a meaning in them is escaped.
    pub(super) fn pattern(&self) -> String {
        let escape = |c: char| if "*?[]\\^".contains(c) { format!("\\{c}") } else { c.to_string() };
        self.0.chars().map(escape).collect()
    }

    fn named(&self, name: &str) -> Arc<[u8]> {
        format!("{}:{name}", self.0).into_bytes().into()
    }
}
