//! From a request to its answer: which endpoint it is for, and what that endpoint makes of it.
//!
//! Each endpoint is a file. It reads its request, asks the store for at most one transition, and answers from
//! the outcome; between the two stands a [`Reply`], plain data, so that a store may take its time without
//! anyone waiting for it. [`TABLE`] is the whole map: what is not in it is 404, and a method that a path does
//! not have is 405 with an `Allow`.

use std::sync::Arc;

use crate::config::{Config, Lifetimes};
use crate::http::Refusal;
use crate::http::message::{FieldLines, FieldValue, Method, Request, Response, Status};
use crate::oauth::secret::CREDENTIAL_BYTES;
use crate::oauth::{Credential, Outcome, Timestamp, Transition};
use crate::store::{Store, StoreError};
use crate::system::System;

mod code;
mod cors;
mod json;
mod pages;
mod secure;
mod site;
mod token;

pub use pages::{PageMissing, check_folder};
pub use site::Site;

use pages::{File, Notice, Pages};

/// Which of the two servers a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client app: the one who wants to be let in.
    ClientApp,
    /// The authorization server: the one who lets in.
    AuthorizationServer,
}

/// One line of the map.
struct Route {
    role: Role,
    path: &'static str,
    methods: &'static [Method],
    /// The same methods, as the Allow field has them (RFC 9110, 10.2.1).
    allow: &'static str,
    /// What other origins' scripts may do here; `None` where they may not even read the answer.
    cors: Option<&'static cors::Policy>,
    endpoint: Endpoint,
}

#[derive(Clone, Copy)]
enum Endpoint {
    Page(File),
    Code,
    Token,
    Secure,
}

/// Every path of both servers.
const TABLE: &[Route] = &[
    page(Role::ClientApp, "/", File::ClientApp),
    page(Role::ClientApp, "/index.html", File::ClientApp),
    page(Role::ClientApp, "/oauth-callback.html", File::Callback),
    page(Role::ClientApp, "/client-app.js", File::ClientAppScript),
    page(Role::ClientApp, "/popup.js", File::PopupScript),
    page(Role::ClientApp, "/style.css", File::Style),
    page(Role::ClientApp, "/icon.svg", File::Icon),
    page(Role::AuthorizationServer, "/", File::Welcome),
    page(Role::AuthorizationServer, "/index.html", File::Welcome),
    page(Role::AuthorizationServer, "/oauth-dialog.html", File::Dialog),
    page(Role::AuthorizationServer, "/style.css", File::Style),
    page(Role::AuthorizationServer, "/icon.svg", File::Icon),
    Route {
        role: Role::AuthorizationServer,
        path: "/code",
        methods: &[Method::Post],
        allow: "POST",
        cors: None,
        endpoint: Endpoint::Code,
    },
    Route {
        role: Role::AuthorizationServer,
        path: "/token",
        methods: &[Method::Post, Method::Options],
        allow: "POST, OPTIONS",
        cors: Some(&cors::TOKEN),
        endpoint: Endpoint::Token,
    },
    Route {
        role: Role::AuthorizationServer,
        path: "/secure",
        methods: &[Method::Get, Method::Head, Method::Options],
        allow: "GET, HEAD, OPTIONS",
        cors: Some(&cors::SECURE),
        endpoint: Endpoint::Secure,
    },
];

const fn page(role: Role, path: &'static str, file: File) -> Route {
    let methods = &[Method::Get, Method::Head];
    Route { role, path, methods, allow: "GET, HEAD", cors: None, endpoint: Endpoint::Page(file) }
}

/// What an endpoint makes of a request.
enum Reply {
    /// The answer.
    Now(Response),
    /// The answer depends on what this transition comes to.
    After(Transition, Continuation),
}

/// What is left to say once the store has answered.
enum Continuation {
    Code(Credential),
    Token(Credential),
    Secure(secure::Scheme),
}

/// The endpoints of both servers, and what they need.
pub struct Routes {
    site: Site,
    pages: Pages,
    lifetimes: Lifetimes,
    store: Arc<dyn Store>,
    system: Arc<dyn System>,
}

impl Routes {
    /// The endpoints of `site`, keeping grants in `store` and taking secrets from `system`.
    pub fn new(config: &Config, site: Site, store: Arc<dyn Store>, system: Arc<dyn System>) -> Routes {
        let pages = Pages::new(&site, config.www.clone(), config.limits.page_bytes_max);
        Routes { site, pages, lifetimes: config.lifetimes.clone(), store, system }
    }

    /// What both servers know about themselves.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Answers a request that came to `role` at the moment `now`.
    pub fn answer(&self, role: Role, request: &Request, now: Timestamp) -> Response {
        let Some(route) = find(role, request.path_bytes()) else {
            return self.answer_outside_the_table(role, request);
        };
        let response = match self.dispatch(route, request) {
            Reply::Now(response) => response,
            Reply::After(transition, continuation) => {
                let outcome = self.store.apply(&transition, now);
                self.finish(continuation, outcome)
            }
        };
        cors::allow(response, route.cors)
    }

    fn dispatch(&self, route: &Route, request: &Request) -> Reply {
        let method = request.method();
        if !route.methods.contains(&method) {
            return Reply::Now(self.refuse_method(route));
        }
        match (route.endpoint, route.cors) {
            (_, Some(policy)) if method == Method::Options => Reply::Now(cors::preflight(policy, route.allow)),
            (Endpoint::Page(file), _) => Reply::Now(self.pages.serve(file, request)),
            (Endpoint::Code, _) => code::issue(self, request),
            (Endpoint::Token, _) => token::redeem(self, request),
            (Endpoint::Secure, _) => secure::check(request),
        }
    }

    fn finish(&self, continuation: Continuation, outcome: Result<Outcome, StoreError>) -> Response {
        match continuation {
            Continuation::Code(code) => code::answer(self, &code, outcome),
            Continuation::Token(token) => token::answer(self, &token, outcome),
            Continuation::Secure(scheme) => secure::answer(scheme, outcome),
        }
    }

    /// Answers what the codec refused. Where the request was understood far enough to know its endpoint, the
    /// answer has that endpoint's form, so that a script of another origin can read what was wrong.
    pub fn refuse(&self, role: Role, refusal: Refusal, request: Option<&Request>) -> Response {
        let Refusal { status, reason } = refusal;
        let route = request.and_then(|request| find(role, request.path_bytes()));
        let cors = route.and_then(|route| route.cors);
        let response = match cors {
            Some(_) if status == Status::InternalServerError => {
                json::error(status, reason, "server_error", reason)
            }
            Some(_) => json::error(status, reason, json::INVALID_REQUEST, reason),
            None => pages::plain_text(status, reason),
        };
        let response = match status {
            Status::ServiceUnavailable => response.with("Retry-After", RETRY_AFTER),
            _ => response,
        };
        cors::allow(response.because(reason), cors)
    }

    fn answer_outside_the_table(&self, role: Role, request: &Request) -> Response {
        match request.method() {
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
        let response = match route.cors {
            Some(_) => json::error(Status::MethodNotAllowed, REASON, json::INVALID_REQUEST, REASON),
            None => self.pages.notice(route.role, Status::MethodNotAllowed, Notice::NotThisWay),
        };
        response.with("Allow", FieldValue::literal(route.allow)).because(REASON)
    }

    /// The bytes of a new credential.
    fn random(&self) -> Option<[u8; CREDENTIAL_BYTES]> {
        let mut bytes = [0; CREDENTIAL_BYTES];
        self.system.fill(&mut bytes).ok()?;
        Some(bytes)
    }
}

fn find(role: Role, path: &[u8]) -> Option<&'static Route> {
    TABLE.iter().find(|route| route.role == role && route.path.as_bytes() == path)
}

/// Why there is a 503, and after how many seconds trying again makes sense (RFC 9110, 10.2.3).
fn why_unavailable(outcome: Result<Outcome, StoreError>) -> (&'static str, FieldValue) {
    let reason = match outcome {
        Err(StoreError::Full) => "the store holds as many grants as it may",
        Ok(_) => "the store gave an outcome that this transition cannot have",
    };
    (reason, RETRY_AFTER)
}

const NO_RANDOMNESS: &str = "the random number generator failed";

const RETRY_AFTER: FieldValue = FieldValue::literal("5");
