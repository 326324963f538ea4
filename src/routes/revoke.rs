//! `POST /revoke`: a client has no more use for a token (RFC 7009).

use std::net::IpAddr;

use super::client_authentication::{Stop, authenticate};
use super::json;
use super::parameters::{Name, Parameters};
use super::{Continuation, Reply, Routes, why_unavailable};
use crate::http::{Request, Response, Status};
use crate::oauth::{Credential, Outcome, Transition};
use crate::store::Applied;

/// Reads the token and asks for its end.
pub(super) fn revoke(routes: &Routes, request: &Request, peer: IpAddr) -> Reply {
    read(routes, request, peer).unwrap_or_else(|stop| stop.into_reply(routes, peer, revoke))
}

fn read(routes: &Routes, request: &Request, peer: IpAddr) -> Result<Reply, Stop> {
    let parameters = Parameters::read_form(request)?;
    let client = authenticate(routes, request, &parameters, peer)?;
    let token = parameters.required(Name::Token)?;
    Ok(match Credential::parse(token.as_bytes()) {
        Some(token) => Reply::After(Transition::revoke(client, &token), Continuation::Revoke),
        None => Reply::Now(done()),
    })
}

/// Whatever the token was, it is good no longer, or never was (RFC 7009, 2.2).
pub(super) fn answer(outcome: Applied) -> Response {
    match outcome {
        Ok(Outcome::Revoked | Outcome::Unknown) => done(),
        // To say more would tell a client about tokens that are not its own.
        Ok(Outcome::OtherClient) => done().because("the token is another client's; it was not revoked"),
        outcome => {
            const DESCRIPTION: &str = "the server cannot revoke a token at the moment; try again";
            let (reason, retry_after) = why_unavailable(&outcome);
            json::error(Status::ServiceUnavailable, DESCRIPTION, "temporarily_unavailable", DESCRIPTION)
                .with("Retry-After", retry_after)
                .because(reason)
        }
    }
}

fn done() -> Response {
    json::answer(Status::Ok, "{}")
}
