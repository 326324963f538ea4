//! From a request to its answer: which endpoint it is for, and what that endpoint makes of it.
//!
//! Each endpoint is a file with one function, from a request to a [`Step`]: the response, or what has to happen
//! before there is one. So neither the pool nor the store keeps the loop waiting. [`TABLE`] is the whole map: what is
//! not in it is 404, and a method that a path does not have is 405 with an `Allow`. A new endpoint takes one file and
//! one row.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Lifetimes, LogFormat};
use crate::crypto::seal::SealingKeys;
use crate::http::Refusal;
use crate::http::message::{FieldLines, FieldValue, Method, Request, Response, Status};
use crate::oauth::client::{Client, Clients, GrantTypes};
use crate::oauth::redirect::RedirectUri;
use crate::oauth::{Scope, Timestamp};
use crate::pool::{Kind, Pool};
use crate::store::{Applied, Caller, Store, StoreError};
use crate::system::System;

mod authorization_request;
mod client_authentication;
mod code;
mod cors;
mod dialog;
mod guesses;
mod health;
mod introspect;
mod json;
mod message_page;
mod metadata;
mod pages;
mod parameters;
mod question_page;
mod redirect;
mod revoke;
mod secure;
mod session;
mod site;
mod step;
mod template;
mod token;

pub use pages::{PageMissing, check_folder};
pub use site::Site;
pub use step::{Completion, Parked, Step};

use guesses::Guesses;
use message_page::Notice;
use pages::{File, Pages};
use question_page::Dialog;
use secure::Secure;
use step::Context;

/// Which of the two servers a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client app: the one who wants to be let in.
    ClientApp,
    /// The authorization server: the one who lets in.
    AuthorizationServer,
}

/// One row of the map.
struct Route {
    role: Role,
    path: &'static str,
    methods: &'static [Method],
    /// The same methods, as the Allow field has them (RFC 9110, 10.2.1).
    allow: &'static str,
    /// What other origins' scripts may do here; `None` where they may not even read the answer.
    cors: Option<&'static cors::Policy>,
    /// The form of the errors that are not the endpoint's own, such as a body that is too large.
    errors: Errors,
    endpoint: Endpoint,
}

/// What a request for a path and a method of the map comes to.
type Endpoint = fn(&Context) -> Step;

/// Whom an endpoint's errors are for.
#[derive(Clone, Copy, PartialEq)]
enum Errors {
    /// People: a page.
    Page,
    /// Programs: JSON.
    Json,
}

/// Every path of both servers; searched from the top, so what is asked for most comes first.
const TABLE: &[Route] = &[
    page(Role::AuthorizationServer, "/oauth-dialog.html", dialog::show),
    page(Role::AuthorizationServer, "/authorize", dialog::show),
    Route { errors: Errors::Page, ..post("/code", None, code::issue) },
    post("/token", Some(&cors::POST), token::exchange),
    get("/secure", Some(&cors::GET), secure::check),
    post("/revoke", Some(&cors::POST), revoke::revoke),
    post("/introspect", None, introspect::inspect),
    get(metadata::PATH, Some(&cors::GET), metadata::show),
    get("/healthz", None, health::alive),
    get("/readyz", None, health::ready),
    page(Role::ClientApp, "/", |context| pages::serve(context, File::ClientApp)),
    page(Role::ClientApp, "/index.html", |context| pages::serve(context, File::ClientApp)),
    page(Role::ClientApp, "/oauth-callback.html", |context| pages::serve(context, File::Callback)),
    page(Role::ClientApp, "/client-app.js", |context| pages::serve(context, File::ClientAppScript)),
    page(Role::ClientApp, "/popup.js", |context| pages::serve(context, File::PopupScript)),
    page(Role::ClientApp, "/style.css", |context| pages::serve(context, File::Style)),
    page(Role::ClientApp, "/icon.svg", |context| pages::serve(context, File::Icon)),
    page(Role::AuthorizationServer, "/", |context| pages::serve(context, File::Welcome)),
    page(Role::AuthorizationServer, "/index.html", |context| pages::serve(context, File::Welcome)),
    page(Role::AuthorizationServer, "/dialog.js", |context| pages::serve(context, File::DialogScript)),
    page(Role::AuthorizationServer, "/style.css", |context| pages::serve(context, File::Style)),
    page(Role::AuthorizationServer, "/icon.svg", |context| pages::serve(context, File::Icon)),
];

/// A page, script or picture to GET.
const fn page(role: Role, path: &'static str, endpoint: Endpoint) -> Route {
    let methods = &[Method::Get, Method::Head];
    Route { role, path, methods, allow: "GET, HEAD", cors: None, errors: Errors::Page, endpoint }
}

/// An endpoint of the authorization server for programs to GET from.
const fn get(path: &'static str, cors: Option<&'static cors::Policy>, endpoint: Endpoint) -> Route {
    let (methods, allow): (&[Method], _) = match cors {
        Some(_) => (&[Method::Get, Method::Head, Method::Options], "GET, HEAD, OPTIONS"),
        None => (&[Method::Get, Method::Head], "GET, HEAD"),
    };
    Route { role: Role::AuthorizationServer, path, methods, allow, cors, errors: Errors::Json, endpoint }
}

/// An endpoint of the authorization server for programs to POST to.
const fn post(path: &'static str, cors: Option<&'static cors::Policy>, endpoint: Endpoint) -> Route {
    let (methods, allow): (&[Method], _) = match cors {
        Some(_) => (&[Method::Post, Method::Options], "POST, OPTIONS"),
        None => (&[Method::Post], "POST"),
    };
    Route { role: Role::AuthorizationServer, path, methods, allow, cors, errors: Errors::Json, endpoint }
}

/// The endpoints of both servers, and what they need.
pub struct Routes {
    site: Site,
    pages: Pages,
    clients: Arc<Clients>,
    /// Each scope's name, and its sentence.
    scopes: Vec<(Arc<str>, String)>,
    secure: Secure,
    resource_owner: Arc<str>,
    explains_errors: bool,
    /// Whether answers say which client they are for, for the log.
    names_clients: bool,
    metadata: Arc<[u8]>,
    lifetimes: Lifetimes,
    /// How long the refusal of a peer that has presented too many wrong secrets is put off.
    refused_guess_delay: Duration,
    lasting: Lasting,
}

/// What stays when the configuration changes.
#[derive(Clone)]
struct Lasting {
    /// For a store that has none of its own.
    sealing_keys: Arc<SealingKeys>,
    store: Arc<dyn Store>,
    pool: Arc<Pool>,
    /// The pool's jobs that compare a secret with a slow digest.
    secret_checks: Kind,
    guesses: Arc<Guesses>,
    system: Arc<dyn System>,
}

impl Routes {
    /// The endpoints of `site`, keeping grants in `store`, having slow work done by `pool`, and taking secrets from
    /// `system`.
    ///
    /// # Errors
    /// When `system` gives no random bytes for the key of the dialog's forms.
    pub fn new(
        config: &Config,
        site: Site,
        store: Arc<dyn Store>,
        pool: Arc<Pool>,
        system: Arc<dyn System>,
    ) -> std::io::Result<Routes> {
        let mut key = [0; 32];
        if store.sealing_keys().is_none() {
            system.fill(&mut key)?;
        }
        let lasting = Lasting {
            sealing_keys: Arc::new(SealingKeys::new(key)),
            store,
            secret_checks: pool.add_kind(client_authentication::bounds(&config.limits)),
            pool,
            guesses: Arc::new(Guesses::new(&config.limits)),
            system,
        };
        Ok(Routes::of(config, site, lasting))
    }

    /// The same endpoints with the clients, scopes, lifetimes and texts of `config`. Site, store, pool and keys stay,
    /// and so does what is known of wrong secrets.
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
        let article = clients.demo().map(|demo| Dialog {
            client: &demo.name,
            redirect_uri: demo.redirect_uris.first().map_or("", RedirectUri::as_str),
            scopes: &sentences,
            request: "",
        });
        let pages = Pages::new(&site, article.as_ref(), config.www.clone(), config.limits.page_bytes_max);
        Routes {
            metadata: metadata::document(&site, scopes.iter().map(|(name, _)| &**name)),
            site,
            pages,
            secure: Secure::new(Arc::clone(&clients), config.secure_scope.clone()),
            clients,
            scopes,
            resource_owner: Arc::clone(&config.resource_owner),
            explains_errors: config.explains_errors,
            names_clients: config.access_log == Some(LogFormat::Json),
            lifetimes: config.lifetimes.clone(),
            refused_guess_delay: config.limits.refused_guess_delay,
            lasting,
        }
    }

    /// What both servers know about themselves.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Begins to answer a request that came to `role` from `peer` at the moment `now`; where the store or the pool
    /// takes its time, `caller` is told.
    pub fn begin(&self, role: Role, peer: IpAddr, request: &Request, now: Timestamp, caller: Caller) -> Step {
        let Some(route) = self.find(role, request.path_bytes()) else {
            let cors = self.cors_outside_the_table(role, request.path_bytes());
            return Step::Done(self.answer_outside_the_table(role, request)).allow(cors);
        };
        let method = request.method();
        let step = match route.cors {
            _ if !route.methods.contains(&method) => Step::Done(self.refuse_method(route)),
            Some(policy) if method == Method::Options => Step::Done(cors::preflight(policy, route.allow)),
            cors => (route.endpoint)(&Context::new(self, peer, request, now, caller, cors)),
        };
        step.allow(route.cors)
    }

    /// Answers what the codec refused. Where the request was understood far enough to know its endpoint, the
    /// answer has that endpoint's form, so that a script of another origin can read what was wrong.
    pub fn refuse(&self, role: Role, refusal: Refusal, request: Option<&Request>) -> Response {
        let Refusal { status, reason } = refusal;
        let route = request.and_then(|request| self.find(role, request.path_bytes()));
        let cors = match (route, request) {
            (Some(route), _) => route.cors,
            (None, Some(request)) => self.cors_outside_the_table(role, request.path_bytes()),
            (None, None) => None,
        };
        let response = match route.is_some_and(|route| route.errors == Errors::Json) {
            true if status == Status::InternalServerError => {
                json::error(status, reason, "server_error", reason)
            }
            true => json::error(status, reason, json::INVALID_REQUEST, reason),
            false => pages::plain_text(status, reason),
        };
        let response = match status {
            Status::ServiceUnavailable => response.with("Retry-After", RETRY_AFTER),
            _ => response,
        };
        cors::allow(response.because(reason), cors)
    }

    /// What other origins' scripts may do where there is nothing. Clients look below `/.well-known/` for documents
    /// of several standards (RFC 8615): they are to see that one is not there, and no failure of the network.
    fn cors_outside_the_table(&self, role: Role, path: &[u8]) -> Option<&'static cors::Policy> {
        const WELL_KNOWN: &[u8] = b"/.well-known/";
        let inner = path.strip_prefix(self.site.base().as_bytes()).unwrap_or(path);
        let is_well_known = path.starts_with(WELL_KNOWN) || inner.starts_with(WELL_KNOWN);
        (role == Role::AuthorizationServer && is_well_known).then_some(&cors::GET)
    }

    fn answer_outside_the_table(&self, role: Role, request: &Request) -> Response {
        let cors = self.cors_outside_the_table(role, request.path_bytes());
        match request.method() {
            // A preflight that fails would hide the 404 that it asks for.
            Method::Options if cors.is_some() => cors::preflight(&cors::GET, "GET, HEAD, OPTIONS"),
            // About the server and not about any path of it (RFC 9110, 9.3.7).
            Method::Options if request.path() == "*" => {
                const ALLOW: FieldLines = FieldLines::literal("Allow: GET, HEAD, POST, OPTIONS\r\n");
                Response::new(Status::NoContent, ALLOW)
            }
            // Its target is no path but another host, for which no method is allowed.
            Method::Connect => self
                .pages
                .notice(role, Status::MethodNotAllowed, Notice::NoProxy)
                .with("Allow", FieldValue::literal("")),
            _ => self.pages.notice(role, Status::NotFound, Notice::NothingHere),
        }
    }

    fn refuse_method(&self, route: &Route) -> Response {
        const REASON: &str = "the endpoint does not have this method";
        let response = match route.errors {
            Errors::Json => json::error(Status::MethodNotAllowed, REASON, json::INVALID_REQUEST, REASON),
            Errors::Page => self.pages.notice(route.role, Status::MethodNotAllowed, Notice::NotThisWay),
        };
        response.with("Allow", FieldValue::literal(route.allow)).because(REASON)
    }

    /// Whether the article's own requests are answered as it has them. They mean the demo client; a server without
    /// it holds every request to the standards.
    fn answers_the_article(&self) -> bool {
        self.clients.demo().is_some()
    }

    /// The keys of the dialog's forms, as they are at the moment.
    fn sealing_keys(&self) -> Arc<SealingKeys> {
        self.lasting.store.sealing_keys().unwrap_or_else(|| Arc::clone(&self.lasting.sealing_keys))
    }

    /// Random bytes, if there are any.
    fn random<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.lasting.system.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    /// What the scope called `name` allows, in words.
    fn scope_sentence(&self, name: &str) -> &str {
        let found = self.scopes.iter().find(|(known, _)| **known == *name);
        // A client's scopes are among those there are, so the fallback is never taken.
        found.map_or("", |(_, sentence)| sentence)
    }

    /// The line of the map for `path`, as it stands there or behind the issuer's own path.
    fn find(&self, role: Role, path: &[u8]) -> Option<&'static Route> {
        let base = self.site.base().as_bytes();
        let found = TABLE.iter().find(|route| route.role == role && route.path.as_bytes() == path);
        if found.is_some() || base.is_empty() {
            return found;
        }
        // The path of the metadata comes before the issuer's own (RFC 8414, 3.1), all others after it.
        let inner = path.strip_prefix(base).filter(|inner| inner.starts_with(b"/"));
        let inner =
            inner.or_else(|| path.strip_suffix(base).filter(|path| *path == metadata::PATH.as_bytes()))?;
        TABLE.iter().find(|route| route.role == role && route.path.as_bytes() == inner)
    }
}

/// The clients that `config` registers, and the demo's, where there is a client app.
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

/// Why there is a 503, and after how many seconds trying again makes sense (RFC 9110, 10.2.3).
fn why_unavailable(applied: &Applied) -> (&'static str, FieldValue) {
    match applied {
        // Rounded up: before that, nothing expires.
        Err(error @ StoreError::Full { wait }) => {
            (error.as_str(), FieldValue::number(wait.as_millis().div_ceil(1000).max(1) as u64))
        }
        Err(error) => (error.as_str(), RETRY_AFTER),
        Ok(_) => ("the store gave an outcome that this transition cannot have", RETRY_AFTER),
    }
}

const NO_RANDOMNESS: &str = "the random number generator failed";

const RETRY_AFTER: FieldValue = FieldValue::literal("5");
