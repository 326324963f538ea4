//! The clients that register themselves, as a source of clients: each is opened from its identifier
//! (`oauth/registration.rs`).
//!
//! A lookup computes one MAC, and reads nothing but the keys. An identifier that this server did not make is refused
//! by its first characters, before anything is computed.

use std::fmt;
use std::sync::Arc;

use super::settings::Registration as Settings;
use crate::keys::Keys;
use crate::oauth::Scope;
use crate::oauth::client::{Client, ClientSource};
use crate::oauth::registration::Registration;

/// The clients whose identifiers these keys open.
pub(super) struct SelfRegistered {
    keys: Keys,
    /// What each may ask for: every configured scope.
    scope: Scope,
    settings: Settings,
}

impl SelfRegistered {
    /// The clients that `keys` open. They may ask for `scopes`.
    pub(super) fn new<'a>(
        keys: Keys,
        scopes: impl Iterator<Item = &'a str>,
        settings: Settings,
    ) -> SelfRegistered {
        let names: Vec<&str> = scopes.collect();
        SelfRegistered { keys, scope: Scope::parse(&names.join(" ")).unwrap_or_default(), settings }
    }
}

impl ClientSource for SelfRegistered {
    fn find(&self, id: &str) -> Option<Arc<Client>> {
        let Settings { allows_http } = self.settings;
        Registration::open(id, &self.keys.keyring(), &self.scope, allows_http).map(Arc::new)
    }
}

impl fmt::Debug for SelfRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfRegistered").field("scope", &self.scope).finish_non_exhaustive()
    }
}
