//! The attack lab: defences that a learner switches while the server runs, and a client whose codes can be stolen.
//!
//! It exists with `--lab` alone, which is refused beyond loopback and with a store that lasts. A switch takes effect as
//! a reload does: the workers take a new profile between two turns, and requests that wait finish with the old one.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::oauth::client::{Client, ClientOrigin, GrantTypes};
use crate::oauth::redirect::RedirectUri;
use crate::oauth::{Profile, Scope};

/// The `client_id` of the app that the exercises attack.
pub const CLIENT_ID: &str = "victims-app";

/// Its redirect URI: a prefix of the attacker's site, as `https://app.example` is of
/// `https://app.example.evil.example`. Nothing listens there.
pub(super) const REDIRECT_URI: &str = "http://localhost";

/// Which defences are on, and how a change reaches the server.
pub struct Lab {
    profile: Mutex<Profile>,
    on_change: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Lab {
    /// A lab that begins with the rules of `profile`.
    pub fn new(profile: Profile) -> Arc<Lab> {
        Arc::new(Lab { profile: Mutex::new(profile), on_change: OnceLock::new() })
    }

    /// The rules that were switched last, which the next reload puts into effect.
    pub fn profile(&self) -> Profile {
        // A poisoned lock is safe to use: nothing under it panics.
        *self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `reload` after each switch. Must be called once, before the server runs; later calls do nothing.
    pub fn on_change(&self, reload: impl Fn() + Send + Sync + 'static) {
        // Only a second call fails.
        let _ = self.on_change.set(Box::new(reload));
    }

    /// Switches the defence called `name`; whether there is one.
    pub(super) fn switch(&self, name: &str, is_on: bool) -> bool {
        let mut profile = self.profile.lock().unwrap_or_else(PoisonError::into_inner);
        let found = profile.defences().into_iter().find(|(known, _)| *known == name);
        let Some((_, holds)) = found else { return false };
        *holds = is_on;
        drop(profile);
        if let Some(reload) = self.on_change.get() {
            reload();
        }
        true
    }

    /// A line for the log: the defences that are off.
    pub fn describe(&self) -> String {
        let mut profile = self.profile();
        let off: Vec<&str> =
            profile.defences().into_iter().filter(|(_, holds)| !**holds).map(|(name, _)| name).collect();
        if off.is_empty() {
            "lab: every defence is on".to_owned()
        } else {
            format!("lab: off: {}", off.join(", "))
        }
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab").field("profile", &self.profile()).finish_non_exhaustive()
    }
}

/// The client that the exercises attack. It may have what `scope` lists.
pub(super) fn client(scope: &Scope) -> Client {
    Client {
        id: CLIENT_ID.into(),
        origin: ClientOrigin::Configured,
        name: "The Victim's App".to_owned(),
        redirect_uris: vec![RedirectUri::of_client_app(REDIRECT_URI)],
        secret: None,
        grant_types: GrantTypes { authorization_code: true, refresh_token: true, client_credentials: false },
        scope: scope.clone(),
        default_scope: None,
        inspects_all: false,
    }
}
