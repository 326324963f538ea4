//! `POST /introspect`: a client with a secret asks what a token is good for (RFC 7662).
//!
//! Of a token that is not good, or that the client may not know of, the answer is exactly `{"active":false}`,
//! for whatever reason.

use std::sync::Arc;

use serde_json::json;

use crate::http::message::{Response, Status};
use crate::oauth::grant::outcome::{Description, TokenKind};
use crate::oauth::{Credential, Outcome, Transition};
use crate::routes::reply::json;
use crate::routes::reply::unavailable::unavailable;
use crate::routes::request::client_authentication::{Stop, authenticate, invalid_client};
use crate::routes::request::parameters::{Name, Parameters};
use crate::routes::shared::Routes;
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// Reads the token and asks about it.
pub(crate) fn inspect(context: &Context) -> Step {
    read(context).unwrap_or_else(|stop| stop.into_step(context, inspect))
}

fn read(context: &Context) -> Result<Step, Stop> {
    let parameters = Parameters::read_form(context.request)?;
    let client = authenticate(context, &parameters)?;
    if !client.client().is_confidential() {
        // Anyone can name a public client, so it would be anyone who asks (RFC 7662, 2.1).
        return Err(invalid_client(context, "the client is public, and may not introspect").into());
    }
    let token = parameters.required(Name::Token)?;
    let Some(token) = Credential::parse(token.as_bytes()) else { return Ok(Step::Done(inactive())) };
    let transition = Transition::inspect(client, &token, Arc::clone(&context.routes.clients));
    Ok(context.ask(transition, |context, applied| Step::Done(respond(context.routes, applied))))
}

/// What there is to say (RFC 7662, 2.2).
fn respond(routes: &Routes, outcome: Applied) -> Response {
    match outcome {
        Ok(Outcome::Described(description)) => describe(routes, &description),
        Ok(Outcome::Inactive) => inactive(),
        outcome => unavailable(&outcome, "the server cannot look at a token at the moment; try again"),
    }
}

fn describe(routes: &Routes, description: &Description) -> Response {
    let Description { kind, client, subject, scope, issued, expires } = description;
    let mut members = json!({
        "active": true,
        "client_id": &**client,
        "scope": scope.as_str(),
        "iss": routes.site.issuer(),
        "iat": issued.as_seconds(),
        "exp": expires.as_seconds(),
        // A resource server must not take a refresh token for a key.
        "token_type": match kind {
            TokenKind::Access => "Bearer",
            TokenKind::Refresh => "refresh_token",
        },
    });
    if let Some(subject) = subject {
        members["sub"] = json!(&**subject);
    }
    json::response(Status::Ok, members.to_string())
}

fn inactive() -> Response {
    json::response(Status::Ok, r#"{"active":false}"#)
}
