//! What the endpoints share: both servers' names, the pages, the clients, and where grants live.
//!
//! One value of [`Routes`] serves one configuration. A reload makes another ([`Routes::reconfigured`]); the requests that
//! are parked at that moment are finished with the one that they began with.

use std::sync::Arc;
use std::time::Duration;

use super::reply::pages::Pages;
use super::request::guesses::Guesses;
use super::site::Site;
use crate::config::Lifetimes;
use crate::crypto::seal::SealingKeys;
use crate::http::message::FieldValue;
use crate::oauth::ProtectedResource;
use crate::oauth::client::Clients;
use crate::pool::{Kind, Pool};
use crate::store::Store;
use crate::system::System;

/// The endpoints of both servers, and what they need.
pub struct Routes {
    pub(super) site: Site,
    pub(super) pages: Pages,
    pub(super) clients: Arc<Clients>,
    /// Each scope's name, and its sentence.
    pub(super) scopes: Vec<(Arc<str>, String)>,
    /// What `/secure` protects.
    pub(super) resource: Arc<ProtectedResource>,
    /// What it says of a token that does not have the scope.
    pub(super) scope_challenge: FieldValue,
    pub(super) resource_owner: Arc<str>,
    pub(super) explains_errors: bool,
    /// Whether answers say which client they are for, for the log.
    pub(super) names_clients: bool,
    pub(super) metadata: Arc<[u8]>,
    pub(super) lifetimes: Lifetimes,
    /// How long the refusal of a peer that has presented too many wrong secrets is put off.
    pub(super) refused_guess_delay: Duration,
    pub(super) lasting: Lasting,
}

/// What stays when the configuration changes.
#[derive(Clone)]
pub(super) struct Lasting {
    /// For a store that has none of its own.
    pub(super) sealing_keys: Arc<SealingKeys>,
    pub(super) store: Arc<dyn Store>,
    pub(super) pool: Arc<Pool>,
    /// The pool's jobs that compare a secret with a slow digest.
    pub(super) secret_checks: Kind,
    pub(super) guesses: Arc<Guesses>,
    pub(super) system: Arc<dyn System>,
}

impl Routes {
    /// What both servers know about themselves.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Whether the article's own requests are answered as it has them. They mean the demo client; a server without
    /// it holds every request to the standards.
    pub(super) fn answers_the_article(&self) -> bool {
        self.clients.demo().is_some()
    }

    /// The keys of the dialog's forms, as they are at the moment.
    pub(super) fn sealing_keys(&self) -> Arc<SealingKeys> {
        self.lasting.store.sealing_keys().unwrap_or_else(|| Arc::clone(&self.lasting.sealing_keys))
    }

    /// Random bytes, if there are any.
    pub(super) fn random<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.lasting.system.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    /// What the scope called `name` allows, in words.
    pub(super) fn scope_sentence(&self, name: &str) -> &str {
        let found = self.scopes.iter().find(|(known, _)| **known == *name);
        // A client's scopes are among those there are, so the fallback is never taken.
        found.map_or("", |(_, sentence)| sentence)
    }
}
