//! Records in memory: fast, bounded, and lost when the process exits.
//!
//! Each kind of record has its own tables, locks and limits (`one_kind.rs`), so a flood of one kind neither fills nor
//! slows down another. This file dispatches to the kind.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use oauth_from_scratch::oauth::authorize::{self, AuthorizationRequest};
//! use oauth_from_scratch::oauth::client::{Client, ClientOrigin, Clients, GrantTypes};
//! use oauth_from_scratch::oauth::credential::{CREDENTIAL_BYTES, Credential};
//! use oauth_from_scratch::oauth::redirect::RedirectUri;
//! use oauth_from_scratch::oauth::{Outcome, Profile, Scope, Timestamp, Transition};
//! use oauth_from_scratch::store::MemoryStore;
//!
//! // One registered client, which is also the default for requests that name none.
//! let client = Client {
//!     id: "app".into(),
//!     origin: ClientOrigin::Configured,
//!     name: "App".to_owned(),
//!     redirect_uris: vec![RedirectUri::parse("https://app.example/callback").unwrap()],
//!     secret: None,
//!     grant_types: GrantTypes { authorization_code: true, ..GrantTypes::default() },
//!     scope: Scope::default(),
//!     default_scope: None,
//!     inspects_all: false,
//!     default_resource: Default::default(),
//! };
//! let clients = Clients::new([client]);
//! let asked = authorize::check(&clients, &Profile::demo("app"), &AuthorizationRequest::default()).unwrap();
//!
//! // The resource owner authorizes the client: a new grant with a code that is valid for a minute.
//! let grant = |random| {
//!     let code = Credential::of_new_grant([random; CREDENTIAL_BYTES]);
//!     Transition::permit(asked.clone(), "ada".into(), &code, Duration::from_secs(60), None)
//! };
//! let store = MemoryStore::bounded(10, 1);
//! let now = Timestamp::from_milliseconds(0);
//! assert_eq!(store.apply(&grant(1), now), Ok(Outcome::Granted));
//! assert_eq!(store.apply(&grant(1), now), Ok(Outcome::GrantedAgain), "the same code, which is unspent");
//!
//! // This store allows one code per client and subject. The next one replaces it.
//! assert_eq!(store.apply(&grant(2), now), Ok(Outcome::Granted));
//! assert_eq!(store.len(), 1);
//! ```

use super::{Applied, Caller, KindBounds, Store};
use crate::oauth::kind::Transition;
use crate::oauth::{self, Timestamp};

mod expiries;
mod hashing;
mod marks;
mod one_kind;
mod pairs;
mod records;

use one_kind::OneKind;

/// Records in memory; see the module's documentation.
pub struct MemoryStore<T: Transition = oauth::Transition> {
    /// By the kind's number.
    kinds: Box<[OneKind<T>]>,
}

impl MemoryStore {
    /// An empty store for at most `grants_max` grants, with no limit per client and subject.
    pub fn new(grants_max: usize) -> MemoryStore {
        MemoryStore::bounded(grants_max, grants_max)
    }

    /// An empty store for at most `grants_max` grants. Each pair of a subject and a client has at most
    /// `pair_grants_max` live grants, as many codes, and as many marks of answered forms.
    pub fn bounded(grants_max: usize, pair_grants_max: usize) -> MemoryStore {
        MemoryStore::with_bounds(|_| KindBounds { records_max: grants_max, holder_max: pair_grants_max })
    }
}

impl<T: Transition> MemoryStore<T> {
    /// An empty store. `bounds` gives the limits of each kind, by its number.
    pub fn with_bounds(bounds: impl Fn(usize) -> KindBounds) -> MemoryStore<T> {
        let kinds = (0..T::KINDS.len()).map(|number| OneKind::bounded(bounds(number)));
        MemoryStore { kinds: kinds.collect() }
    }

    /// Applies `transition` at once.
    ///
    /// # Errors
    /// [`StoreError::Full`](super::StoreError::Full) if it would exceed the maximum of records.
    pub fn apply(&self, transition: &T, now: Timestamp) -> Applied<T> {
        self.kinds[transition.key().kind.index()].apply(transition, now)
    }

    /// The number of records, including expired ones that are not forgotten yet.
    pub fn len(&self) -> usize {
        self.kinds.iter().map(OneKind::len).sum()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Transition> Store<T> for MemoryStore<T> {
    fn submit(&self, transition: T, now: Timestamp, _: Caller<T>) -> Option<Applied<T>> {
        Some(self.apply(&transition, now))
    }
}
