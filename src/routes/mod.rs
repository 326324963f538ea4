//! From a request to its response: finds the endpoint, and lets it answer.
//!
//! ```text
//!   net ──begin──▶ table.rs ──▶ endpoint/… ──▶ Step::Done(response) ──▶ net
//!                                   │
//!                                   ├──▶ Step::Parked ──▶ net, until there is a completion ──resume──▶ its closure
//!                                   └──▶ Step::Stream ──▶ net, which asks its source for content until it ends
//! ```
//!
//! Each endpoint is one file in `endpoint` with one function, from a request to a [`Step`]: the response, what has to
//! happen before there is one (`step.rs`), or a response without an end (`stream.rs`). `request` reads what a request
//! says, `reply` makes responses, and `table.rs` is the map. A new endpoint takes one file and one row there;
//! `.github/CONTRIBUTING.md` has all the steps.
//!
//! What belongs to no endpoint is answered here: paths that are not in the table (404), methods that a path does not
//! have (405), preflights, and messages that the codec refused.

#![cfg_attr(
    not(all(feature = "wire", feature = "lab", feature = "mcp")),
    allow(dead_code, reason = "endpoints that are not in the table use what no other endpoint does")
)]

#[cfg(feature = "mcp")]
mod client_documents;
#[cfg(not(feature = "mcp"))]
#[path = "client_documents/absent.rs"]
mod client_documents;
mod demo;
mod endpoint;
mod lab;
mod open_streams;
mod reply;
mod request;
mod route;
mod self_registered;
mod settings;
mod setup;
mod shared;
mod site;
mod step;
mod stream;
mod table;

pub use demo::{CLIENT_ID as DEMO_CLIENT_ID, SCOPES as DEMO_SCOPES};
pub use lab::{APP as LAB_APP, ATTACKERS_APP as LAB_ATTACKERS_APP, Lab, SHOP as LAB_SHOP};
pub use reply::folder::{PageMissing, check_folder};
pub use settings::{Limits, Registration, Settings};
pub use setup::resource_metadata;
pub use shared::Routes;
pub use site::{Role, Site};
pub use step::{Completion, Parked, Sender, Step};
pub use stream::{Content, Next, SILENCE_MAX, Source, Stream, Waker};

use crate::http::{Body, FieldLines, FieldValue, Method, Refusal, Request, Response, Status};
use crate::oauth::Timestamp;
use crate::store::Caller;
use crate::wire::rules;
use endpoint::metadata;
use reply::cors;
use reply::error_response::{INVALID_REQUEST, RETRY_AFTER, error};
use reply::message_page::Notice;
use route::{Errors, Feature, Route};
use step::Context;

impl Routes {
    /// Begins to answer a request that came to `role` from `sender` at the moment `now`.
    ///
    /// Where the step is [`Step::Parked`], the mailbox of `caller` gets its completion later, unless the request only
    /// waits for its time. Where it is [`Step::Stream`], the mailbox gets a notice each time that the source is woken.
    pub fn begin(&self, role: Role, sender: Sender, request: &Request, now: Timestamp, caller: Caller) -> Step {
        let Some(route) = self.find(role, request.path_bytes()) else {
            let cors = table::cors_outside(self.site.base(), role, request.path_bytes());
            return Step::Done(self.respond_outside(role, request, cors)).allow(cors);
        };
        let method = request.method();
        let step = if !route.methods.contains(&method) {
            Step::Done(self.refuse_method(route))
        } else if let (Method::Options, Some(policy)) = (method, route.cors) {
            if let Some(notes) = sender.notes {
                notes.decide(&rules::PREFLIGHT);
            }
            Step::Done(cors::preflight(policy, route.allow))
        } else {
            (route.endpoint)(&Context::new(self, sender, request, now, caller, route.cors))
        };
        let step = step.allow(route.cors);
        if self.profile.cookieless_cors || role != Role::AuthorizationServer {
            return step;
        }
        step.allow_with_cookies(request)
    }

    /// The response to a message that the codec refused.
    ///
    /// If the request was read far enough to know its endpoint, the response has the form of that endpoint's errors and
    /// its CORS fields, so that a script of another origin can read what was wrong.
    pub fn refuse(&self, role: Role, refusal: Refusal, request: Option<&Request>) -> Response {
        let Refusal { status, reason } = refusal;
        let route = request.and_then(|request| self.find(role, request.path_bytes()));
        let cors = match (route, request) {
            (Some(route), _) => route.cors,
            (None, Some(request)) => table::cors_outside(self.site.base(), role, request.path_bytes()),
            (None, None) => None,
        };
        let response = match route.map(|route| route.errors) {
            Some(Errors::Json) if status == Status::InternalServerError => {
                error(status, reason, "server_error", reason)
            }
            Some(Errors::Json) => error(status, reason, INVALID_REQUEST, reason),
            Some(Errors::Page) | None => plain_text(status, reason),
        };
        let response = match status {
            Status::ServiceUnavailable => response.with("Retry-After", RETRY_AFTER),
            _ => response,
        };
        cors::allow(response.because(reason), cors)
    }

    /// The row for `path`. Which resources have a document, and which features there are, depends on the
    /// configuration.
    fn find(&self, role: Role, path: &[u8]) -> Option<&'static Route> {
        let document = || {
            let documents = Some(&self.resource_documents).filter(|_| role == Role::AuthorizationServer)?;
            if documents.find(path).is_some() {
                return Some(&table::RESOURCE_METADATA);
            }
            // Clients that take the address of a resource for that of its server put the path of the resource last.
            let resource = path.strip_prefix(metadata::PATH.as_bytes()).filter(|path| !path.is_empty())?;
            documents.of_resource(resource).is_some().then_some(&table::METADATA_FOR_RESOURCE)
        };
        let route = table::find(self.site.base(), role, path).or_else(document)?;
        route.feature.is_none_or(|feature| self.has(feature, role)).then_some(route)
    }

    /// Whether the server of `role` has `feature`.
    fn has(&self, feature: Feature, role: Role) -> bool {
        match feature {
            Feature::Mcp => self.mcp.is_some(),
            Feature::Registration => self.registration.is_some(),
            Feature::Wire => self.wire_view(role).is_some(),
        }
    }

    /// The response to a request whose path is not in the table.
    fn respond_outside(&self, role: Role, request: &Request, cors: Option<&cors::Policy>) -> Response {
        match request.method() {
            // If the preflight failed, the script would not see the 404 that it asks for.
            Method::Options if cors.is_some() => cors::preflight(&cors::GET, "GET, HEAD, OPTIONS"),
            // Asks about the server as a whole (RFC 9110, 9.3.7).
            Method::Options if request.path() == "*" => {
                const ALLOW: FieldLines = FieldLines::literal("Allow: GET, HEAD, POST, OPTIONS\r\n");
                Response::new(Status::NoContent, ALLOW)
            }
            // The target is another host, for which there is no method at all.
            Method::Connect => self
                .pages
                .notice(role, Status::MethodNotAllowed, Notice::NoProxy)
                .with("Allow", FieldValue::literal("")),
            _ => self.pages.notice(role, Status::NotFound, Notice::NothingHere),
        }
    }

    fn refuse_method(&self, route: &Route) -> Response {
        const REASON: &str = "the endpoint does not support this method";
        let response = match route.errors {
            Errors::Json => error(Status::MethodNotAllowed, REASON, INVALID_REQUEST, REASON),
            Errors::Page => self.pages.notice(route.role, Status::MethodNotAllowed, Notice::NotThisWay),
        };
        response.with("Allow", FieldValue::literal(route.allow)).because(REASON)
    }
}

/// For messages so broken that nothing is known of their sender. Most are not from browsers.
fn plain_text(status: Status, text: &str) -> Response {
    const LINES: FieldLines =
        FieldLines::literal("X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n");
    Response::new(status, LINES).with_body(Body::Own(format!("{text}\n").into_bytes().into()))
}

#[cfg(test)]
pub(crate) mod test_stream;
