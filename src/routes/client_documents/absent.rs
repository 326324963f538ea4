//! The clients of documents, of a program that is built without them (without the feature `mcp`).
//!
//! [`Documents`] has no values here. So the compiler removes every branch that would ask for a document, and the
//! endpoints need no condition. `config` refuses the keys that name documents.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::oauth::Scope;
use crate::oauth::client::{Client, ClientSource};
use crate::oauth::document_url::DocumentUrl;
use crate::outbound::{FetchError, Reach};
use crate::peer::Peer;
use crate::pool::PoolError;
use crate::store::Caller;
use crate::system::System;

/// Why a document gives no client.
#[derive(Clone)]
pub(super) enum Unread {
    /// It could not be fetched.
    Unfetched(FetchError),
}

impl Unread {
    /// Never called.
    pub(super) fn is_temporary(&self) -> bool {
        false
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unread::Unfetched(error) = self;
        error.fmt(f)
    }
}

/// What a `client_id` is.
pub(super) enum Lookup {
    /// Not the URL of a document.
    NoDocument,
    /// The URL of a document that was read a short time ago.
    Fresh(Arc<Client>),
    /// The URL of a document that has to be fetched.
    Unknown(DocumentUrl),
}

/// Where the result of a fetch would be left.
pub(super) type Arrival = Arc<Mutex<Option<Result<Arc<Client>, Unread>>>>;

/// What fetches documents, which nothing does.
#[derive(Clone)]
pub(super) struct Fetches;

impl Fetches {
    /// Fetches nothing.
    pub(super) fn from_network(_allows_loopback: bool, _system: Arc<dyn System>) -> Fetches {
        Fetches
    }
}

/// The clients of documents, of which there are none.
#[derive(Debug)]
pub(super) enum Documents {}

impl Documents {
    /// There are none.
    pub(super) fn open(
        _is_wanted: bool,
        _fetches: &Fetches,
        _reach: Reach,
        _offered: Scope,
        _system: &Arc<dyn System>,
    ) -> Option<Documents> {
        None
    }

    /// Never called.
    pub(super) fn look_up(&self, _client_id: &str) -> Lookup {
        match *self {}
    }

    /// Never called: there are no `documents`.
    pub(super) fn fetch(
        self: &Arc<Self>,
        _url: DocumentUrl,
        _peer: Peer,
        _is_loopback: bool,
        _caller: Caller,
    ) -> Result<Arrival, PoolError> {
        match **self {}
    }

    /// Never called: there are no `documents`.
    pub(super) fn is_silent(&self, _url: &DocumentUrl, _time: Duration) -> bool {
        match *self {}
    }

    /// Never called: there are no `documents`.
    pub(super) fn copy(&self, _url: &DocumentUrl) -> Option<Arc<Client>> {
        match *self {}
    }
}

impl ClientSource for Documents {
    fn find(&self, _id: &str) -> Option<Arc<Client>> {
        match *self {}
    }
}
