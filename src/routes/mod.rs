//! From a request to its answer: which endpoint it is for, and what that endpoint makes of it.
//!
//! Each endpoint is a file with one function, from a request to a [`Step`]: the response, or what has to happen
//! before there is one. So neither the pool nor the store keeps the loop waiting. `table.rs` is the
//! whole map: what is not in it is 404, and a method that a path does not have is 405 with an `Allow`. A new endpoint
//! takes one file and one row.

use std::net::IpAddr;

use crate::http::Refusal;
use crate::http::message::{Body, FieldLines, FieldValue, Method, Request, Response, Status};
use crate::oauth::Timestamp;
use crate::store::Caller;
use reply::error_response::{INVALID_REQUEST, RETRY_AFTER, error};

mod endpoint;
mod reply;
mod request;
mod setup;
mod shared;
mod site;
mod step;
mod table;

pub use reply::folder::{PageMissing, check_folder};
pub use shared::Routes;
pub use site::{Role, Site};
pub use step::{Completion, Parked, Step};

use reply::cors;
use reply::message_page::Notice;
use step::Context;
use table::{Errors, Route};

impl Routes {
    /// Begins to answer a request that came to `role` from `peer` at the moment `now`; where the store or the pool
    /// takes its time, `caller` is told.
    pub fn begin(&self, role: Role, peer: IpAddr, request: &Request, now: Timestamp, caller: Caller) -> Step {
        let Some(route) = table::find(self.site.base(), role, request.path_bytes()) else {
            let cors = table::cors_outside(self.site.base(), role, request.path_bytes());
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
        let route = request.and_then(|request| table::find(self.site.base(), role, request.path_bytes()));
        let cors = match (route, request) {
            (Some(route), _) => route.cors,
            (None, Some(request)) => table::cors_outside(self.site.base(), role, request.path_bytes()),
            (None, None) => None,
        };
        let response = match route.is_some_and(|route| route.errors == Errors::Json) {
            true if status == Status::InternalServerError => error(status, reason, "server_error", reason),
            true => error(status, reason, INVALID_REQUEST, reason),
            false => plain_text(status, reason),
        };
        let response = match status {
            Status::ServiceUnavailable => response.with("Retry-After", RETRY_AFTER),
            _ => response,
        };
        cors::allow(response.because(reason), cors)
    }

    fn answer_outside_the_table(&self, role: Role, request: &Request) -> Response {
        let cors = table::cors_outside(self.site.base(), role, request.path_bytes());
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
            Errors::Json => error(Status::MethodNotAllowed, REASON, INVALID_REQUEST, REASON),
            Errors::Page => self.pages.notice(route.role, Status::MethodNotAllowed, Notice::NotThisWay),
        };
        response.with("Allow", FieldValue::literal(route.allow)).because(REASON)
    }
}

/// A short answer for clients that are programs.
fn plain_text(status: Status, text: &str) -> Response {
    const LINES: FieldLines =
        FieldLines::literal("X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n");
    Response::new(status, LINES).with_body(Body::Own(format!("{text}\n").into_bytes().into()))
}
