//! The settings of the endpoints: clients and scopes, how long what they issue is valid, and the limits of what waits.
//!
//! Plain data. [`Limits::mistakes`] lists the values that the endpoints cannot work with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::demo;
use super::lab::Lab;
use crate::oauth::Profile;
use crate::oauth::client::Client;
use crate::oauth::lifetimes::Lifetimes;
use crate::oauth::resource::{DefaultResource, Resource};

/// What the endpoints need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A folder to read the pages from at each request; `None` serves those in the binary.
    pub www: Option<PathBuf>,
    /// All scopes, each with the sentence that the dialog shows.
    pub scopes: Vec<(Arc<str>, String)>,
    /// The registered clients, without the demo's.
    pub clients: Vec<Client>,
    /// The protected resources, without the demo's.
    pub resources: Vec<Resource>,
    /// The resource of requests that name none. [`DefaultResource::OfServer`] means the only one that there is; none,
    /// if there are several.
    pub default_resource: DefaultResource,
    /// The subject (`sub`) of every grant: without a login there is only one.
    pub resource_owner: Arc<str>,
    /// The scope that `/secure` requires; `None` accepts any valid token.
    pub secure_scope: Option<Arc<str>>,
    /// Whether there is an MCP server at `/mcp`, for the demo.
    pub has_mcp: bool,
    /// How clients may register themselves; `None` if they may not. Their identifiers are valid as long as the keys are
    /// kept.
    pub registration: Option<Registration>,
    /// Whether error responses and pages give the exact reason, as the log does.
    pub explains_errors: bool,
    /// Whether what goes over the wire is shown at `/wire`, with its secrets.
    pub has_wire: bool,
    /// Whether responses carry the client's name, for the access log.
    pub names_clients: bool,
    /// Whether clients are accepted whose metadata is a document at a URL. The server fetches these documents.
    pub client_documents: bool,
    /// Which rules hold.
    pub profile: Profile,
    /// The attack lab, if there is one.
    pub lab: Option<Arc<Lab>>,
    /// How long codes, tokens and forms are valid.
    pub lifetimes: Lifetimes,
    /// The limits of what waits and of what is remembered.
    pub limits: Limits,
}

impl Settings {
    /// Whether there is an MCP server. Constant in a program that is built without it, so that the compiler leaves it
    /// out.
    pub(super) fn has_mcp(&self) -> bool {
        cfg!(feature = "mcp") && self.has_mcp
    }

    /// How clients may register themselves; likewise.
    pub(super) fn registration(&self) -> Option<Registration> {
        self.registration.filter(|_| cfg!(feature = "mcp"))
    }
}

impl Default for Settings {
    /// Those of the demo.
    fn default() -> Settings {
        Settings {
            www: None,
            scopes: demo::SCOPES.map(|(name, sentence)| (name.into(), sentence.to_owned())).into(),
            clients: Vec::new(),
            resources: Vec::new(),
            default_resource: DefaultResource::default(),
            resource_owner: "owner".into(),
            secure_scope: Some(demo::SCOPES[0].0.into()),
            has_mcp: cfg!(feature = "mcp"),
            registration: cfg!(feature = "mcp").then(Registration::default),
            explains_errors: true,
            has_wire: false,
            names_clients: false,
            client_documents: cfg!(feature = "mcp"),
            profile: Profile::demo(demo::CLIENT_ID),
            lab: None,
            lifetimes: Lifetimes::default(),
            limits: Limits::default(),
        }
    }
}

/// How clients may register themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Whether redirect URIs may be plain http on any host, not only on loopback.
    pub allows_http: bool,
}

/// The limits of what waits for a response, and of what is remembered of peers.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a request waits for the store; beyond it the response is 503.
    pub store_time_max: Duration,
    /// How long a request waits for slow work; beyond it the response is 503.
    pub pool_time_max: Duration,
    /// Maximum open streams (responses without an end); beyond it the response is 503. The configuration gives at most
    /// half of the connections, since those with streams make no room for others.
    pub streams_max: usize,
    /// The same for one peer. `None` means 64, and no limit for peers on loopback.
    pub peer_streams_max: Option<usize>,
    /// Maximum concurrent checks against Argon2 digests: each takes a thread and the memory that its digest names, at
    /// most 256 MiB.
    pub secret_checks_running_max: usize,
    /// Maximum checks that wait for their turn; beyond it the response is 503.
    pub secret_checks_waiting_max: usize,
    /// The same for one client, so that guesses at one client's secret do not block other clients.
    pub client_secret_checks_waiting_max: usize,
    /// The same for one peer.
    pub peer_secret_checks_waiting_max: usize,
    /// Maximum wrong secrets in a row from one peer, for secrets that a person chose; beyond it the response is 429.
    pub wrong_secrets_max: u32,
    /// How long it takes until one wrong secret is forgiven.
    pub wrong_secret_time: Duration,
    /// How long that 429 is delayed, to slow a guesser down; zero for no delay.
    pub refused_guess_delay: Duration,
    /// Maximum peers whose wrong secrets are remembered; beyond it the peer closest to being forgiven is forgotten.
    pub wrong_secret_peers_max: usize,
    /// Maximum registrations in a row from one peer; beyond it the response is 429.
    pub registrations_max: u32,
    /// How long it takes until a peer may register one more.
    pub registration_time: Duration,
    /// Maximum peers whose registrations are remembered; beyond it the peer that has registered least is forgotten.
    pub registration_peers_max: usize,
    /// Maximum size of a page read from `--www`, in bytes.
    pub page_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            store_time_max: Duration::from_secs(5),
            pool_time_max: Duration::from_secs(5),
            // If none of their clients reads, about 32 MiB of content waits for them.
            streams_max: 1000,
            peer_streams_max: None,
            secret_checks_running_max: 2,
            secret_checks_waiting_max: 256,
            client_secret_checks_waiting_max: 128,
            peer_secret_checks_waiting_max: 64,
            wrong_secrets_max: 10,
            wrong_secret_time: Duration::from_secs(6),
            refused_guess_delay: Duration::from_secs(1),
            wrong_secret_peers_max: 10_000,
            registrations_max: 100,
            registration_time: Duration::from_secs(1),
            registration_peers_max: 10_000,
            page_bytes_max: 1024 * 1024,
        }
    }
}

impl Limits {
    /// Every value that the endpoints cannot work with: its name, and what it must be.
    pub fn mistakes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        // A request that may wait for no time would never be answered.
        const GREATER_THAN_ZERO: &str = "greater than zero";
        let rules = [
            (!self.store_time_max.is_zero(), "store_time_max", GREATER_THAN_ZERO),
            (!self.pool_time_max.is_zero(), "pool_time_max", GREATER_THAN_ZERO),
            (self.streams_max > 0, "streams_max", "at least 1"),
            (self.peer_streams_max != Some(0), "peer_streams_max", "at least 1"),
            (self.secret_checks_running_max > 0, "secret_checks_running_max", "at least 1"),
            (self.secret_checks_waiting_max > 0, "secret_checks_waiting_max", "at least 1"),
            (self.client_secret_checks_waiting_max > 0, "client_secret_checks_waiting_max", "at least 1"),
            (self.peer_secret_checks_waiting_max > 0, "peer_secret_checks_waiting_max", "at least 1"),
            (self.wrong_secrets_max > 0, "wrong_secrets_max", "at least 1"),
            (!self.wrong_secret_time.is_zero(), "wrong_secret_time", GREATER_THAN_ZERO),
            (self.wrong_secret_peers_max > 0, "wrong_secret_peers_max", "at least 1"),
            (self.registrations_max > 0, "registrations_max", "at least 1"),
            (!self.registration_time.is_zero(), "registration_time", GREATER_THAN_ZERO),
            (self.registration_peers_max > 0, "registration_peers_max", "at least 1"),
        ];
        rules.into_iter().filter(|(holds, ..)| !holds).map(|(_, name, remedy)| (name, remedy))
    }
}
