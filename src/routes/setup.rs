//! From a configuration to [`Routes`], at start and at each reload.
//!
//! Everything that depends on the configuration alone is made here once: pages, metadata, challenges, the demo's
//! client.

use std::sync::Arc;

use super::endpoint::{metadata, secure};
use super::open_streams::StreamBounds;
use super::reply::dialog_page::DialogPage;
use super::reply::folder::Folder;
use super::reply::pages::Pages;
use super::request::client_authentication;
use super::request::guesses::Guesses;
use super::shared::{Lasting, Routes};
use super::site::Site;
use crate::config::Config;
use crate::keys::Keys;
use crate::oauth::client::{Client, Clients, GrantTypes};
use crate::oauth::redirect::RedirectUri;
use crate::oauth::{ProtectedResource, Scope};
use crate::pool::Pool;
use crate::store::Store;
use crate::system::System;

impl Routes {
    /// The endpoints of `site`. They keep grants in `store`, run slow jobs in `pool`, and take time and random bytes
    /// from `system`.
    ///
    /// # Errors
    /// When `system` has no random bytes for a key, and `store` keeps none.
    pub fn new(
        config: &Config,
        site: Site,
        store: Arc<dyn Store>,
        pool: Arc<Pool>,
        system: Arc<dyn System>,
    ) -> std::io::Result<Routes> {
        let keys = Keys::choose(None, &store, &*system)?;
        Ok(Routes::with_keys(config, site, keys, store, pool, system))
    }

    /// The same with `keys`.
    pub fn with_keys(
        config: &Config,
        site: Site,
        keys: Keys,
        store: Arc<dyn Store>,
        pool: Arc<Pool>,
        system: Arc<dyn System>,
    ) -> Routes {
        let lasting = Lasting {
            keys,
            store,
            secret_checks: pool.add_kind(client_authentication::bounds(&config.limits)),
            pool,
            guesses: Arc::new(Guesses::new(&config.limits)),
            open_streams: Arc::default(),
            system,
        };
        Routes::of(config, site, lasting)
    }

    /// The same endpoints with the clients, scopes, lifetimes and texts of `config`. Site, store, pool, keys and the
    /// record of wrong secrets stay the same, so that a reload forgives no guess.
    pub fn reconfigured(&self, config: &Config) -> Routes {
        Routes::of(config, self.site.clone(), self.lasting.clone())
    }

    fn of(config: &Config, site: Site, lasting: Lasting) -> Routes {
        let scopes = config.scopes.clone();
        let clients = Arc::new(clients(config, &site));
        let demo_scope = clients.demo().map(|demo| demo.scope.clone()).unwrap_or_default();
        let demo_scopes = scopes.iter().filter(|(name, _)| demo_scope.contains(name));
        let sentences: Vec<(&str, &str)> =
            demo_scopes.map(|(name, sentence)| (&**name, sentence.as_str())).collect();
        let article = clients.demo().map(|demo| DialogPage {
            client: &demo.name,
            redirect_uri: demo.redirect_uris.first().map_or("", RedirectUri::as_str),
            scopes: &sentences,
            request: "",
        });
        let bytes_max = config.limits.page_bytes_max;
        let folder = config.www.clone().map(|path| Folder::new(path, bytes_max));
        let pages = Pages::new(&site, article.as_ref(), folder);
        Routes {
            metadata: metadata::document(&site, scopes.iter().map(|(name, _)| &**name)),
            site,
            pages,
            resource: Arc::new(ProtectedResource {
                clients: Arc::clone(&clients),
                scope: config.secure_scope.clone(),
            }),
            scope_challenge: secure::scope_challenge(config.secure_scope.as_deref()),
            clients,
            scopes,
            resource_owner: Arc::clone(&config.resource_owner),
            explains_errors: config.explains_errors,
            names_clients: config.names_clients(),
            lifetimes: config.lifetimes.clone(),
            refused_guess_delay: config.limits.refused_guess_delay,
            stream_bounds: StreamBounds {
                all_max: config.streams_max(),
                peer_max: config.limits.peer_streams_max,
            },
            lasting,
        }
    }
}

/// The clients of `config`, and the demo's if there is a client app.
fn clients(config: &Config, site: &Site) -> Clients {
    let is_demos = |name: &&str| Config::DEMO_SCOPES.iter().any(|(demos, _)| demos == name);
    let names: Vec<&str> = config.scopes.iter().map(|(name, _)| &**name).filter(is_demos).collect();
    let redirect_uri = site.client_app_redirect_uri().map(|uri| RedirectUri::of_client_app(&uri));
    let demo = redirect_uri.map(|redirect_uri| Client {
        id: Config::DEMO_CLIENT_ID.into(),
        name: "OAuth Test App".to_owned(),
        redirect_uris: vec![redirect_uri],
        secret: None,
        grant_types: GrantTypes { authorization_code: true, refresh_token: true, client_credentials: false },
        scope: Scope::parse(&names.join(" ")).unwrap_or_default(),
        inspects_all: false,
    });
    let demo_id = demo.as_ref().map(|demo| Arc::clone(&demo.id));
    Clients::new(config.clients.iter().cloned().chain(demo), demo_id)
}
