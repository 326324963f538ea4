//! What the endpoints share: the servers' own names, the pages, the clients, the store and the pool.
//!
//! A value of [`Routes`] belongs to one configuration. A reload makes another ([`Routes::reconfigured`]), and requests
//! that are parked at that moment finish with the one that they began with.

use std::sync::Arc;
use std::time::Duration;

use super::client_documents::{Documents, Fetches};
use super::endpoint::mcp::server::McpServer;
use super::lab::Lab;
use super::open_streams::{OpenStreams, StreamBounds};
use super::reply::pages::Pages;
use super::reply::resource_documents;
use super::reply::secure_challenges::Challenges;
use super::request::peer_rate::PeerRate;
use super::settings::{Limits, Registration};
use super::site::{Role, Site};
use crate::crypto::keyring::Keyring;
use crate::keys::Keys;
use crate::oauth::client::Clients;
use crate::oauth::lifetimes::Lifetimes;
use crate::oauth::{Profile, ProtectedResource};
use crate::pool::{Kind, Pool};
use crate::store::Store;
use crate::system::System;
use crate::wire::Wire;

/// The endpoints of both servers, with all that they need to answer.
pub struct Routes {
    pub(super) site: Site,
    pub(super) pages: Pages,
    pub(super) clients: Arc<Clients>,
    /// The clients whose metadata is a document at a URL, if they are accepted.
    pub(super) documents: Option<Arc<Documents>>,
    /// Which rules hold.
    pub(super) profile: Profile,
    /// The attack lab, if there is one.
    pub(super) lab: Option<Arc<Lab>>,
    /// Each scope's name, and the sentence that the dialog shows for it.
    pub(super) scopes: Vec<(Arc<str>, String)>,
    /// What `/secure` protects: whose tokens it accepts, and for which scope.
    pub(super) resource: Arc<ProtectedResource>,
    /// The metadata of the resources on this origin (RFC 9728).
    pub(super) resource_documents: resource_documents::Documents,
    /// The `WWW-Authenticate` challenges of `/secure`.
    pub(super) challenges: Challenges,
    /// The demo's MCP server, if there is one.
    pub(super) mcp: Option<McpServer>,
    /// The one resource owner that there is: the person in front of the dialog.
    pub(super) resource_owner: Arc<str>,
    /// How clients may register themselves; `None` if they may not.
    pub(super) registration: Option<Registration>,
    /// Whether answers say exact reasons, which help developers and attackers alike.
    pub(super) explains_errors: bool,
    /// Whether responses carry the client's name, for the log.
    pub(super) names_clients: bool,
    /// The metadata document (RFC 8414), as it is sent.
    pub(super) metadata: Arc<[u8]>,
    /// How long what is issued is valid, under the profile.
    pub(super) lifetimes: Lifetimes,
    /// What responses say of an access token's lifetime: the configured one, even where the profile lets none expire.
    pub(super) expires_in: Duration,
    pub(super) limits: Limits,
    pub(super) stream_bounds: StreamBounds,
    pub(super) across_reloads: AcrossReloads,
}

/// What stays the same when the configuration is reloaded.
#[derive(Clone)]
pub(super) struct AcrossReloads {
    pub(super) keys: Keys,
    pub(super) store: Arc<dyn Store>,
    pub(super) pool: Arc<Pool>,
    /// Jobs that compare a client's secret with a slow digest.
    pub(super) secret_checks: Kind,
    /// Which peers have presented wrong secrets.
    pub(super) guesses: Arc<PeerRate>,
    /// Which peers have registered clients.
    pub(super) registrations: Arc<PeerRate>,
    /// What goes over the wire, where that is shown; and what sends a request again for it.
    pub(super) wire: Option<(Arc<Wire>, Sends)>,
    pub(super) open_streams: Arc<OpenStreams>,
    /// What fetches clients' documents.
    pub(super) fetches: Fetches,
    pub(super) system: Arc<dyn System>,
}

/// The jobs that send a request again for the wire view, in a pool of their own: such a job waits for the answer, and
/// the request that it sends may need the pool that the endpoints share.
#[derive(Clone)]
pub(super) struct Sends {
    pub(super) pool: Arc<Pool>,
    pub(super) kind: Kind,
}

impl Routes {
    /// The limits of what waits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The names and addresses of both servers.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The `iss` of an authorization response (RFC 9207, 2), if the profile has it.
    pub(super) fn iss(&self) -> Option<&str> {
        self.profile.iss.then(|| self.site.issuer())
    }

    /// The wire view, if there is one.
    pub fn wire(&self) -> Option<&Arc<Wire>> {
        self.across_reloads.wire.as_ref().map(|(wire, _)| wire)
    }

    /// The wire view, if there is one and `role` has it: with a client app, it is there and nowhere else.
    pub(super) fn wire_view(&self, role: Role) -> Option<&(Arc<Wire>, Sends)> {
        let has_it = role == Role::ClientApp || self.site.client_app().is_none();
        self.across_reloads.wire.as_ref().filter(|_| has_it)
    }

    /// The keys as they are now: servers that share a store agree on new ones, and a key file is reloaded.
    pub(super) fn keyring(&self) -> Arc<Keyring> {
        self.across_reloads.keys.keyring()
    }

    /// Random bytes for a secret; `None` when the system has none, and then no secret must be made.
    pub(super) fn random<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.across_reloads.system.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The sentence that the dialog shows for the scope called `name`.
    pub(super) fn scope_sentence(&self, name: &str) -> &str {
        let found = self.scopes.iter().find(|(known, _)| **known == *name);
        // Never taken: a client's scopes are checked against the configured ones at startup.
        found.map_or("", |(_, sentence)| sentence)
    }
}
