//! A token of either kind, as a client presents it to ask about it or to end it.

use std::sync::Arc;

use super::super::credential::{Credential, RefreshDigest};
use crate::crypto::digest::Digest;

/// A token, both as the access token and as the refresh token that it may be.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    pub(super) access: Digest,
    pub(super) refresh: RefreshDigest,
    /// `None` for a client that may ask about every token.
    pub(super) client: Option<Arc<str>>,
}

impl Presented {
    pub(super) fn new(token: &Credential, client: Option<Arc<str>>) -> Box<Presented> {
        Box::new(Presented { access: token.digest(), refresh: token.refresh_digest(), client })
    }
}
