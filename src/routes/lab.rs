//! The attack lab: defences that a learner switches while the server runs, the apps that the exercises attack
//! (`lab/apps.rs`), and what the attacker's site has caught (`lab/catches.rs`).
//!
//! It exists only with `--lab`, which is refused beyond loopback and with a persistent store. A switch takes effect
//! as a reload does: the workers take a new profile between two turns, and requests that wait finish with the old one.

pub(super) mod apps;
mod catches;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use apps::{APP, ATTACKERS_APP, SHOP};
pub(super) use apps::{REDIRECT_URI, clients, resource, shop_origin};

use crate::oauth::Profile;
use catches::Catches;

/// Which defences are on, how a change reaches the server, and what was caught.
pub struct Lab {
    profile: Mutex<Profile>,
    catches: Mutex<Catches>,
    on_change: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Lab {
    /// A lab that begins with the rules of `profile`.
    pub fn new(profile: Profile) -> Arc<Lab> {
        let profile = profile.in_lab();
        Arc::new(Lab { profile: Mutex::new(profile), catches: Mutex::default(), on_change: OnceLock::new() })
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

    /// Keeps `text`, which has arrived at `place` on the attacker's site.
    pub(super) fn catch(&self, place: &'static str, text: String) {
        self.catches.lock().unwrap_or_else(PoisonError::into_inner).add(place, text);
    }

    /// What was caught after the catch with this number, as JSON.
    pub(super) fn catches_after(&self, number: u64) -> serde_json::Value {
        self.catches.lock().unwrap_or_else(PoisonError::into_inner).after(number)
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
