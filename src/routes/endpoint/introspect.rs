//! `POST /introspect`: a confidential client asks whether a token is valid, and for what (RFC 7662).
//!
//! For a token that is invalid, or that the client may not ask about, the response is exactly `{"active":false}`,
//! whatever the reason.

use std::sync::Arc;

use crate::http::{Response, Status};
use crate::json::Object;
use crate::oauth::grant::outcome::{Description, TokenKind};
use crate::oauth::{Outcome, Transition};
use crate::routes::reply::json;
use crate::routes::reply::unavailable::unavailable;
use crate::routes::request::client_authentication::{Stop, authenticate, invalid_client};
use crate::routes::request::parameters::{Name, Parameters};
use crate::routes::shared::Routes;
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// Reads the token, and asks the store about it.
pub(crate) fn inspect(context: &Context) -> Step {
    authenticate_and_ask(context).unwrap_or_else(|stop| stop.into_step(context, inspect))
}

fn authenticate_and_ask(context: &Context) -> Result<Step, Stop> {
    let parameters = Parameters::read_form(context.request)?;
    let client = authenticate(context, &parameters)?;
    if !client.client().is_confidential() {
        // Anyone can name a public client, so anyone could introspect (RFC 7662, 2.1).
        return Err(invalid_client(context, "the client is public, and may not introspect").into());
    }
    let token = parameters.required(Name::Token)?;
    let Some(token) = context.routes.profile.parse(token.as_bytes()) else {
        return Ok(Step::Done(inactive()));
    };
    let transition = Transition::inspect(client, &token, Arc::clone(&context.routes.clients));
    Ok(context.ask(transition, |context, applied| Step::Done(respond(context.routes, applied))))
}

/// RFC 7662, 2.2.
fn respond(routes: &Routes, outcome: Applied) -> Response {
    match outcome {
        Ok(Outcome::Described(description)) => describe(routes, &description),
        Ok(Outcome::Inactive) => inactive(),
        outcome => unavailable(&outcome, "the server cannot introspect tokens at the moment; try again"),
    }
}

fn describe(routes: &Routes, description: &Description) -> Response {
    let Description { kind, client, subject, scope, audience, issued, expires } = description;
    let mut members = Object::default();
    members.flag("active", true);
    // One resource is a text, several are a list (RFC 7662, 2.2; RFC 7519, 4.1.3).
    let uris: Vec<&str> = audience.uris().map(|uri| &**uri).collect();
    match uris[..] {
        [] => {}
        [only] => _ = members.text("aud", only),
        _ => _ = members.texts("aud", uris),
    }
    members
        .text("client_id", client)
        .number("exp", expires.as_seconds())
        .number("iat", issued.as_seconds())
        .text("iss", routes.site.issuer());
    // A scope has at least one name (RFC 6749, 3.3).
    if !scope.is_empty() {
        members.text("scope", scope.as_str());
    }
    if let Some(subject) = subject {
        members.text("sub", subject);
    }
    // Not `Bearer` for a refresh token, which a resource server must not accept.
    let token_type = match kind {
        TokenKind::Access => "Bearer",
        TokenKind::Refresh => "refresh_token",
    };
    json::response(Status::Ok, members.text("token_type", token_type).finish())
}

fn inactive() -> Response {
    json::response(Status::Ok, r#"{"active":false}"#)
}
