//! From settings to [`Routes`], at startup and at each reload.
//!
//! Everything that depends only on the settings is made here once: pages, metadata, challenges, the demo's
//! client.

use std::sync::Arc;

use super::client_documents::{Documents, Fetches};
use super::demo;
use super::endpoint::mcp::server::McpServer;
use super::endpoint::{mcp, metadata, secure};
use super::lab;
use super::open_streams::StreamBounds;
use super::reply::dialog_page::DialogPage;
use super::reply::dialog_terms::Asker;
use super::reply::folder::Folder;
use super::reply::pages::Pages;
use super::reply::resource_documents;
use super::reply::secure_challenges::Challenges;
use super::request::client_authentication;
use super::request::peer_rate::PeerRate;
use super::self_registered::SelfRegistered;
use super::settings::Settings;
use super::shared::{AcrossReloads, Routes, Sends};
use super::site::Site;
use crate::keys::Keys;
use crate::oauth::client::Clients;
use crate::oauth::redirect::RedirectUri;
use crate::oauth::resource::DefaultResource;
use crate::oauth::{Profile, Resources, Scope, TokenLifetimes};
use crate::outbound::Reach;
use crate::pool::{Bounds, Pool};
use crate::store::Store;
use crate::system::System;
use crate::wire::Wire;

/// How many requests are sent again at a time for the wire view, and how many may wait. A person sends one.
const SENDS: Bounds = Bounds { running_max: 1, waiting_max: 8, target_waiting_max: 8, peer_waiting_max: 8 };

impl Routes {
    /// The endpoints of `site`. They keep grants in `store`, run slow jobs in `pool`, and take time and random bytes
    /// from `system`.
    ///
    /// # Errors
    /// When `system` has no random bytes for a key, and `store` keeps none.
    pub fn new(
        settings: &Settings,
        site: Site,
        store: Arc<dyn Store>,
        pool: Arc<Pool>,
        system: Arc<dyn System>,
    ) -> std::io::Result<Routes> {
        let keys = Keys::choose(None, &store, &*system)?;
        Ok(Routes::with_keys(settings, site, keys, store, pool, system))
    }

    /// The same with `keys`.
    pub fn with_keys(
        settings: &Settings,
        site: Site,
        keys: Keys,
        store: Arc<dyn Store>,
        pool: Arc<Pool>,
        system: Arc<dyn System>,
    ) -> Routes {
        let limits = &settings.limits;
        let wire = Wire::open(settings.has_wire, &system);
        let across_reloads = AcrossReloads {
            keys,
            store,
            wire: wire.map(|wire| (wire, sends())),
            secret_checks: pool.add_kind(client_authentication::bounds(limits)),
            pool,
            guesses: Arc::new(PeerRate::new(
                limits.wrong_secrets_max,
                limits.wrong_secret_time,
                limits.wrong_secret_peers_max,
            )),
            registrations: Arc::new(PeerRate::new(
                limits.registrations_max,
                limits.registration_time,
                limits.registration_peers_max,
            )),
            open_streams: Arc::default(),
            fetches: Fetches::from_network(site.is_loopback(), Arc::clone(&system)),
            system,
        };
        Routes::of(settings, site, across_reloads)
    }

    /// The same endpoints with the clients, scopes, lifetimes and texts of `settings`. Site, store, pool, keys and the
    /// record of wrong secrets stay the same, so that a reload forgives no guess.
    pub fn reconfigured(&self, settings: &Settings) -> Routes {
        Routes::of(settings, self.site.clone(), self.across_reloads.clone())
    }

    fn of(settings: &Settings, site: Site, across_reloads: AcrossReloads) -> Routes {
        let documents = documents(settings, &site, &across_reloads).map(Arc::new);
        let clients = clients(settings, &site, &across_reloads.keys, documents.as_ref());
        let clients = Arc::new(clients.with_resources(resources(settings, &site)));
        let resources = clients.resources();
        let profile = settings.profile;
        let scope = settings.secure_scope.as_deref();
        let resource = Arc::new(secure::resource(&site, &clients, scope, &profile));
        let lifetimes = profile.lifetimes(&settings.lifetimes);
        let pages = pages(settings, &site, &clients, &lifetimes.tokens, across_reloads.wire.is_some());
        let mcp = settings.has_mcp().then(|| McpServer::new(&site, &clients, &profile));
        let challenges = Challenges::new(&site, &site.url(secure::PATH), resources, scope);
        Routes {
            metadata: metadata::document(settings, &site, resources),
            resource_documents: resource_documents::Documents::new(&site, resources),
            site,
            pages,
            resource,
            challenges,
            mcp,
            clients,
            documents,
            profile,
            lab: settings.lab.clone(),
            scopes: settings.scopes.clone(),
            resource_owner: Arc::clone(&settings.resource_owner),
            registration: settings.registration(),
            explains_errors: settings.explains_errors,
            names_clients: settings.names_clients,
            lifetimes,
            expires_in: settings.lifetimes.tokens.access_token,
            stream_bounds: StreamBounds {
                all_max: settings.limits.streams_max,
                peer_max: settings.limits.peer_streams_max,
            },
            limits: settings.limits.clone(),
            across_reloads,
        }
    }
}

/// What sends requests again. The thread of its pool starts with the first of them.
fn sends() -> Sends {
    let pool = Pool::new(SENDS.running_max);
    Sends { kind: pool.add_kind(SENDS), pool: Arc::new(pool) }
}

/// The pages of both servers, for tokens with these lifetimes. The article's dialog, which names no client, is one of
/// them.
fn pages(
    settings: &Settings,
    site: &Site,
    clients: &Clients,
    lifetimes: &TokenLifetimes,
    has_wire: bool,
) -> Pages {
    let profile = &settings.profile;
    let unnamed = profile.unnamed_client.and_then(|id| clients.find(id));
    let unnamed_scope = unnamed.as_ref().map(|client| client.scope.clone()).unwrap_or_default();
    let sentences = settings.scopes.iter().filter(|(name, _)| unnamed_scope.contains(name));
    let sentences: Vec<(&str, &str)> = sentences.map(|(name, sentence)| (&**name, sentence.as_str())).collect();
    let bare_dialog = unnamed.as_ref().map(|client| DialogPage {
        client: &client.name,
        asker: Asker::of(client, profile),
        // A request that names no client gets no refresh token.
        is_renewed: false,
        redirect_uri: client.redirect_uris.first().map_or("", RedirectUri::as_str),
        scopes: &sentences,
        allowed_before: &[],
        resources: &[],
        request: "",
    });
    let folder = settings.www.clone().map(|path| Folder::new(path, settings.limits.page_bytes_max));
    Pages::new(site, profile, lifetimes, bare_dialog.as_ref(), folder, has_wire)
}

/// The resources of `settings`, the demo's MCP server if there is one, and the attacker's if there is a lab.
fn resources(settings: &Settings, site: &Site) -> Resources {
    let mcp = settings.has_mcp().then(|| demo::resource(&site.url(mcp::PATH), &settings.scopes)).flatten();
    let attackers = site.lab().filter(|_| settings.lab.is_some()).and_then(lab::resource);
    let default = match (&attackers, &mcp) {
        (None, _) => settings.default_resource.clone(),
        // As without the lab, where the demo's is the only one.
        (Some(_), Some(mcp)) => DefaultResource::Uri(Arc::clone(mcp.uri())),
        (Some(_), None) => DefaultResource::Nothing,
    };
    Resources::new(settings.resources.iter().cloned().chain(mcp).chain(attackers).collect(), &default)
}

/// The metadata document (RFC 9728, 2) of the resource that `settings` have for `uri`.
///
/// # Errors
/// The URIs of all resources as text, if there is none.
pub fn resource_metadata(settings: &Settings, site: &Site, uri: &str) -> Result<String, String> {
    let resources = resources(settings, site);
    match resources.find(uri) {
        Some(resource) => Ok(resource_documents::document(site.issuer(), resource)),
        None => Err(resources.iter().map(|resource| &**resource.uri()).collect::<Vec<&str>>().join(", ")),
    }
}

/// The clients of documents, if they are accepted. They may ask for every configured scope: the resource owner decides.
fn documents(settings: &Settings, site: &Site, across_reloads: &AcrossReloads) -> Option<Documents> {
    let names: Vec<&str> = settings.scopes.iter().map(|(name, _)| &**name).collect();
    let offered = Scope::parse(&names.join(" ")).unwrap_or_default();
    let reach = reach(&settings.profile, site);
    Documents::open(settings.client_documents, &across_reloads.fetches, reach, offered, &across_reloads.system)
}

/// Where they may be.
fn reach(profile: &Profile, site: &Site) -> Reach {
    if !profile.checked_addresses {
        Reach::Everything
    } else if site.is_loopback() && !profile.internet_only {
        Reach::InternetAndLoopback
    } else {
        Reach::Internet
    }
}

/// The clients of `settings`, the demo's if there is a client app, the lab's if there is a lab, those that register
/// themselves, if they may, and those of documents.
fn clients(settings: &Settings, site: &Site, keys: &Keys, documents: Option<&Arc<Documents>>) -> Clients {
    let redirect_uri = site.client_app_redirect_uri();
    let demo = redirect_uri.map(|redirect_uri| demo::client(&settings.scopes, &redirect_uri));
    let lab = site.lab().filter(|_| settings.lab.is_some());
    let lab = demo.as_ref().zip(lab).map(|(demo, lab)| lab::clients(&demo.scope, lab));
    let lab = lab.into_iter().flatten();
    let configured = settings.clients.iter().cloned().map(|mut client| {
        // The demo's own resource is no default of theirs: they go to `/secure`, and may not know of it.
        if settings.resources.is_empty() && client.default_resource == DefaultResource::OfServer {
            client.default_resource = DefaultResource::Nothing;
        }
        client
    });
    let clients = Clients::new(configured.chain(demo).chain(lab));
    let clients = match settings.registration() {
        Some(registration) => {
            let scopes = settings.scopes.iter().map(|(name, _)| &**name);
            clients.with_source(Arc::new(SelfRegistered::new(keys.clone(), scopes, registration)))
        }
        None => clients,
    };
    match documents {
        Some(documents) => clients.with_source(Arc::<Documents>::clone(documents)),
        None => clients,
    }
}
