//! `POST /revoke`: a client has no more use for a token (RFC 7009).

use crate::http::message::{Response, Status};
use crate::oauth::{Credential, Outcome, Transition};
use crate::routes::reply::json;
use crate::routes::reply::unavailable::unavailable;
use crate::routes::request::client_authentication::{Stop, authenticate};
use crate::routes::request::parameters::{Name, Parameters};
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// Reads the token and asks for its end.
pub(crate) fn revoke(context: &Context) -> Step {
    read(context).unwrap_or_else(|stop| stop.into_step(context, revoke))
}

fn read(context: &Context) -> Result<Step, Stop> {
    let parameters = Parameters::read_form(context.request)?;
    let client = authenticate(context, &parameters)?;
    let token = parameters.required(Name::Token)?;
    let Some(token) = Credential::parse(token.as_bytes()) else { return Ok(Step::Done(done())) };
    Ok(context.ask(Transition::revoke(client, &token), |_, applied| Step::Done(respond(applied))))
}

/// Whatever the token was, it is good no longer, or never was (RFC 7009, 2.2).
fn respond(outcome: Applied) -> Response {
    match outcome {
        Ok(Outcome::Revoked | Outcome::Unknown) => done(),
        // To say more would tell a client about tokens that are not its own.
        Ok(Outcome::OtherClient) => done().because("the token is another client's; it was not revoked"),
        outcome => unavailable(&outcome, "the server cannot revoke a token at the moment; try again"),
    }
}

fn done() -> Response {
    json::response(Status::Ok, "{}")
}
