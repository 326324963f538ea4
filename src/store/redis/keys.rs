//! The names of the keys on an engine.
//!
//! ```text
//!   PREFIX:KIND:ID               a record of a kind: PREFIX:grant:ID is a grant
//!   PREFIX:sealing-key           the server's sealing key
//!   PREFIX:sealing-key:old       the previous one, while it is needed
//!   PREFIX:report:SERVER         up to which response a server knows whether it was delivered
//!   PREFIX:alive:SERVER          exists while the server is alive
//!   PREFIX:probe:NAME:NUMBER     a test write of a server
//! ```
//!
//! An identifier has 20 characters of base64url, so no colon, and no kind has the name of another key. So keys never
//! collide, within a prefix or across prefixes. Nor has a key braces, which would choose its slot in a cluster.

use std::sync::Arc;

use super::super::key_prefix::KeyPrefix;
use crate::oauth::Id;

/// The keys of the servers that share one prefix.
#[derive(Clone)]
pub(super) struct Keys(Arc<str>);

impl Keys {
    /// Keys with this prefix.
    pub(super) fn new(prefix: &KeyPrefix) -> Keys {
        Keys(prefix.as_str().into())
    }

    /// The key of a record of the kind with this name.
    pub(super) fn record(&self, kind: &str, id: Id) -> Arc<[u8]> {
        [self.0.as_bytes(), b":", kind.as_bytes(), b":", id.as_bytes()].concat().into()
    }

    /// The name of the sealing key.
    pub(super) fn sealing_key(&self) -> Arc<[u8]> {
        self.named("sealing-key")
    }

    /// The name of the previous sealing key.
    pub(super) fn old_sealing_key(&self) -> Arc<[u8]> {
        self.named("sealing-key:old")
    }

    /// The name of a server's report.
    pub(super) fn report(&self, server: u64) -> Arc<[u8]> {
        self.named(&format!("report:{server:016x}"))
    }

    /// The name of the key that exists while a server is alive.
    pub(super) fn alive(&self, server: u64) -> Arc<[u8]> {
        self.named(&format!("alive:{server:016x}"))
    }

    /// The name of a probe's key.
    pub(super) fn probe(&self, name: &str, number: u32) -> Vec<u8> {
        format!("{}:probe:{name}:{number}", self.0).into_bytes()
    }

    /// The prefix for the key pattern of an ACL rule, with special characters escaped.
    pub(super) fn pattern(&self) -> String {
        let escape = |c: char| if "*?[]\\^".contains(c) { format!("\\{c}") } else { c.to_string() };
        self.0.chars().map(escape).collect()
    }

    fn named(&self, name: &str) -> Arc<[u8]> {
        format!("{}:{name}", self.0).into_bytes().into()
    }
}
