//! `POST /revoke`: a client returns a token that it no longer needs (RFC 7009).
//!
//! The response is the same for a token that was revoked, was unknown, or is another client's: it must not tell a
//! client about tokens that are not its own.

use crate::http::{Response, Status};
use crate::oauth::{Outcome, Transition};
use crate::routes::reply::json;
use crate::routes::reply::unavailable::unavailable;
use crate::routes::request::client_authentication::{Stop, authenticate};
use crate::routes::request::parameters::{Name, Parameters};
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// Reads the token, and asks the store to revoke it.
pub(crate) fn revoke(context: &Context) -> Step {
    authenticate_and_ask(context).unwrap_or_else(|stop| stop.into_step(context, revoke))
}

fn authenticate_and_ask(context: &Context) -> Result<Step, Stop> {
    let parameters = Parameters::read_form(context.request)?;
    let client = authenticate(context, &parameters)?;
    let token = parameters.required(Name::Token)?;
    let Some(token) = context.routes.profile.parse(token.as_bytes()) else { return Ok(Step::Done(done())) };
    Ok(context.ask(Transition::revoke(client, &token), |_, applied| Step::Done(respond(applied))))
}

/// RFC 7009, 2.2.
fn respond(outcome: Applied) -> Response {
    match outcome {
        Ok(Outcome::Revoked | Outcome::Unknown) => done(),
        // Only for the log.
        Ok(Outcome::OtherClient) => done().because("the token is another client's; it was not revoked"),
        outcome => unavailable(&outcome, "the server cannot revoke tokens at the moment; try again"),
    }
}

fn done() -> Response {
    json::response(Status::Ok, "{}")
}
