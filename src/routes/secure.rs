//! `GET /secure`: the answer, for whoever shows a good token.
//!
//! The article shows its token bare, and is refused with 403. RFC 6750 (2.1) puts `Bearer` before it, and is
//! refused with 401 and a `WWW-Authenticate` that says why (3). Both are heard here, each in its own language.

use crate::http::message::{FieldValue, Request, Response, Status};
use crate::http::trim_ows;
use crate::oauth::{Credential, Outcome, Transition};
use crate::store::StoreError;

use super::{Continuation, Reply, json, why_unavailable};

/// How a request shows its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `Authorization: TOKEN`
    Bare,
    /// `Authorization: Bearer TOKEN`
    Bearer,
}

/// Reads the token and asks whether it is good.
pub(super) fn check(request: &Request) -> Reply {
    let Ok(authorization) = request.field("authorization") else {
        const REASON: &str = "more than one Authorization";
        let refusal = json::error(Status::BadRequest, REASON, json::INVALID_REQUEST, REASON);
        return Reply::Now(refusal.because(REASON));
    };
    let Some(authorization) = authorization else {
        return Reply::Now(refuse(Scheme::Bare, "no Authorization"));
    };
    let (scheme, token) = split(authorization);
    match Credential::parse(token) {
        Some(token) => Reply::After(
            Transition::Check { grant: token.grant(), token: token.digest() },
            Continuation::Secure(scheme),
        ),
        None => Reply::Now(refuse(scheme, "the token is not of the form that tokens have here")),
    }
}

/// The secret, or what was wrong.
pub(super) fn answer(scheme: Scheme, outcome: Result<Outcome, StoreError>) -> Response {
    match outcome {
        Ok(Outcome::Active) => json::answer(Status::Ok, r#"{"answer":42}"#),
        Ok(Outcome::Inactive) => refuse(scheme, "the token is not known, has expired or was revoked"),
        Ok(_) | Err(_) => {
            const DESCRIPTION: &str = "the server cannot check a token at the moment; try again";
            let (reason, retry_after) = why_unavailable(outcome);
            json::error(Status::ServiceUnavailable, DESCRIPTION, "temporarily_unavailable", DESCRIPTION)
                .with("Retry-After", retry_after)
                .because(reason)
        }
    }
}

/// Which language the request speaks, and the token in it. A scheme's name is case-insensitive (RFC 9110,
/// 11.1).
fn split(authorization: &[u8]) -> (Scheme, &[u8]) {
    const BEARER: &[u8] = b"Bearer";
    match authorization.split_at_checked(BEARER.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) && matches!(token, [] | [b' ', ..]) => {
            (Scheme::Bearer, trim_ows(token))
        }
        _ => (Scheme::Bare, authorization),
    }
}

fn refuse(scheme: Scheme, reason: &'static str) -> Response {
    const TEXT: &str =
        json::error_text!("Unauthorized", "invalid_token", "the access token is missing, wrong or has expired");
    let (status, challenge) = match scheme {
        Scheme::Bare => (Status::Forbidden, BARE_CHALLENGE),
        Scheme::Bearer => (Status::Unauthorized, BEARER_CHALLENGE),
    };
    json::answer(status, TEXT).with("WWW-Authenticate", challenge).because(reason)
}

const BARE_CHALLENGE: FieldValue = FieldValue::literal("Bearer");
const BEARER_CHALLENGE: FieldValue = FieldValue::literal(
    r#"Bearer error="invalid_token", error_description="the access token is wrong or has expired""#,
);
