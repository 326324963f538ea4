//! A token of either kind, as a client presents it for introspection or revocation.

use std::sync::Arc;

use super::super::credential::{Credential, RefreshDigest};
use crate::crypto::digest::Digest;

/// A token of unknown kind: its digest as an access token, and as a refresh token.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    pub(super) access: Digest,
    pub(super) refresh: RefreshDigest,
    /// The client that presents it; `None` for one that may introspect every token.
    pub(super) client: Option<Arc<str>>,
}

impl Presented {
    pub(super) fn new(token: &Credential, client: Option<Arc<str>>) -> Box<Presented> {
        Box::new(Presented { access: token.digest(), refresh: token.refresh_digest(), client })
    }
}
