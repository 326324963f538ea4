//! `GET /secure`: a protected resource, the secret answer, for a valid access token.
//!
//! The article sends its token bare, and a bad one is refused with 403. RFC 6750 (2.1) puts `Bearer` before it, and a
//! bad one is refused with 401 and a `WWW-Authenticate` that says why (3). Where the profile accepts bare tokens, each
//! is answered its own way. Elsewhere a request without `Bearer` has no token: 401 (RFC 6750, 3.1).
//!
//! Accepts a token that was issued without a `resource` parameter, such as the article's. Refuses one for another
//! resource (RFC 8707, 3): that resource's operator could replay it here.
//!
//! If it is a configured resource, each challenge to a standard request names its metadata
//! (`reply/secure_challenges.rs`).

use std::sync::Arc;

use crate::http::form::Form;
use crate::http::{Response, Status};
use crate::oauth::client::Clients;
use crate::oauth::{Outcome, Profile, ProtectedResource, Scope, Transition};
use crate::routes::reply::error_response::{INVALID_REQUEST, error, error_text};
use crate::routes::reply::json;
use crate::routes::reply::secure_challenges::BARE_CHALLENGE;
use crate::routes::reply::unavailable::unavailable;
use crate::routes::request::bearer::{Scheme, is_token68, split};
use crate::routes::shared::Routes;
use crate::routes::site::Site;
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// Its path.
pub(crate) const PATH: &str = "/secure";

/// Reads the token, and has it looked up.
pub(crate) fn check(context: &Context) -> Step {
    let routes = context.routes;
    let Ok(authorization) = context.request.field("authorization") else {
        return Step::Done(malformed(routes, "more than one Authorization"));
    };
    if let Some(authorization) = authorization {
        let (scheme, token) = split(authorization);
        return look(context, scheme, token);
    }
    if !routes.profile.header_tokens_only {
        let query = Form::parse(context.request.query().unwrap_or_default().as_bytes());
        if let Ok(Some(token)) = query.bytes("access_token") {
            return look(context, Scheme::Bearer, token);
        }
    }
    Step::Done(refuse_without_token(routes, "no Authorization"))
}

/// Asks the store whether `token` is valid.
fn look(context: &Context, scheme: Scheme, token: &[u8]) -> Step {
    let routes = context.routes;
    if scheme == Scheme::Bare && !routes.profile.bare_tokens {
        return Step::Done(refuse_without_token(routes, "the scheme of Authorization is not Bearer"));
    }
    let Some(credential) = routes.profile.parse(token) else {
        return Step::Done(match scheme {
            Scheme::Bearer if !is_token68(token) => {
                malformed(routes, "there is no valid token after Bearer in Authorization (RFC 6750, 2.1)")
            }
            _ => refuse(routes, scheme, "malformed access token"),
        });
    };
    context.ask(Transition::check(&credential, Arc::clone(&routes.resource)), move |context, applied| {
        Step::Done(respond(context.routes, scheme, applied))
    })
}

/// The answer, or an error.
fn respond(routes: &Routes, scheme: Scheme, outcome: Applied) -> Response {
    match outcome {
        Ok(Outcome::Active) => json::response(Status::Ok, r#"{"answer":42}"#),
        Ok(Outcome::Inactive) => refuse(
            routes,
            scheme,
            "the token is unknown, expired or revoked, or its client may no longer use it",
        ),
        Ok(Outcome::OtherResource) => refuse(routes, scheme, "the token is for another resource"),
        Ok(Outcome::TooNarrow { .. }) => refuse_scope(routes),
        outcome => unavailable(&outcome, "the server cannot check tokens at the moment; try again"),
    }
}

fn refuse(routes: &Routes, scheme: Scheme, reason: &'static str) -> Response {
    const TEXT: &str = error_text!("Unauthorized", "invalid_token", "the access token is wrong or has expired");
    let (status, challenge) = match scheme {
        Scheme::Bare => (Status::Forbidden, BARE_CHALLENGE),
        Scheme::Bearer => (Status::Unauthorized, routes.challenges.invalid_token.clone()),
    };
    json::response(status, TEXT).with("WWW-Authenticate", challenge).because(reason)
}

/// The response to a request without a token says what is expected, but names no error (RFC 6750, 3.1).
fn refuse_without_token(routes: &Routes, reason: &'static str) -> Response {
    let (status, challenge) = if routes.profile.bare_tokens {
        (Status::Forbidden, BARE_CHALLENGE)
    } else {
        (Status::Unauthorized, routes.challenges.no_token.clone())
    };
    json::response(status, r#"{"message":"Unauthorized"}"#).with("WWW-Authenticate", challenge).because(reason)
}

fn malformed(routes: &Routes, reason: &'static str) -> Response {
    error(Status::BadRequest, reason, INVALID_REQUEST, reason)
        .with("WWW-Authenticate", routes.challenges.malformed.clone())
        .because(reason)
}

/// The token lacks the required scope (RFC 6750, 3.1).
fn refuse_scope(routes: &Routes) -> Response {
    const TEXT: &str =
        error_text!("Unauthorized", "insufficient_scope", "the access token does not have the required scope");
    json::response(Status::Forbidden, TEXT)
        .with("WWW-Authenticate", routes.challenges.too_narrow.clone())
        .because("the token does not have the scope that the endpoint needs")
}

/// What this endpoint requires of a token by the rules of `profile`: `scope`, if that is given. It need not be for any
/// resource in particular.
pub(crate) fn resource(
    site: &Site,
    clients: &Arc<Clients>,
    scope: Option<&str>,
    profile: &Profile,
) -> ProtectedResource {
    let scope = scope.map(Scope::parse).transpose();
    // Cannot fail: the configuration has checked the name. If it did, no token would be accepted, for want of clients.
    let clients = if scope.is_ok() { Arc::clone(clients) } else { Arc::default() };
    let scope = scope.ok().flatten().unwrap_or_default();
    let resource = ProtectedResource::at(&site.url(PATH), &clients, scope, profile);
    ProtectedResource { accepts_unaddressed: true, ..resource }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::demo;

    #[test]
    fn an_invalid_scope_leaves_no_client_whose_tokens_are_accepted() {
        let site = Site::new(None, None, 3001, None);
        let clients = Arc::new(Clients::new([demo::client(&[], "http://localhost:3000/cb")]));
        for (scope, accepts) in
            [(None, true), (Some("answer"), true), (Some("\""), false), (Some("\u{e9}"), false)]
        {
            let resource = resource(&site, &clients, scope, &Profile::strict());
            assert_eq!(resource.clients.find(demo::CLIENT_ID).is_some(), accepts, "{scope:?}");
            assert_eq!(resource.scope.as_str(), scope.filter(|_| accepts).unwrap_or_default());
        }
    }
}
