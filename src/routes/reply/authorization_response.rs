//! The answer to an authorization request: a redirect to the client, with its parameters in the query (RFC 6749,
//! 4.1.2).

use memchr::memchr;

use super::message::{Message, Notice};
use crate::http::message::{FieldLines, FieldValue, Response, Status};
use crate::oauth::Credential;
use crate::oauth::authorize::{self, AuthorizationError};
use crate::oauth::client::VerifiedRedirect;
use crate::routes::shared::Routes;
use crate::routes::site::Role;

/// A code may be in it, which is for one reader: no cache keeps it, no Referer field passes it on.
const LINES: FieldLines = FieldLines::literal("Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n");

/// What the client is told.
pub(crate) struct Parameters<'a> {
    /// The code; or the name of the error, with the reason in words.
    pub(crate) result: Result<&'a Credential, (&'a str, &'a str)>,
    /// What the client sent along, whatever its bytes are.
    pub(crate) state: Option<&'a [u8]>,
    /// Who answers (RFC 9207, 2).
    pub(crate) issuer: Option<&'a str>,
}

/// Sends the browser to `to` with `parameters`.
pub(crate) fn redirect(to: &VerifiedRedirect, parameters: &Parameters) -> Response {
    // Room for a code, an issuer and a usual state.
    let mut location = String::with_capacity(to.as_str().len() + 256);
    location.push_str(to.as_str());
    match parameters.result {
        // Nothing in a code needs to be encoded (`oauth/credential.rs`).
        Ok(code) => {
            add_name(&mut location, "code");
            code.write(&mut location);
        }
        Err((error, description)) => {
            add(&mut location, "error", error.as_bytes());
            add(&mut location, "error_description", super::json::describe(description).as_bytes());
        }
    }
    parameters.state.into_iter().for_each(|state| add(&mut location, "state", state));
    parameters.issuer.into_iter().for_each(|issuer| add(&mut location, "iss", issuer.as_bytes()));
    let response = Response::new(Status::Found, LINES);
    match FieldValue::new(location) {
        Ok(location) => response.with("Location", location),
        // A redirect URI is visible ASCII, or it is not registered; and what was added is encoded.
        Err(_) => {
            Response::new(Status::InternalServerError, LINES).because("a redirect URI holds a control byte")
        }
    }
}

/// Tells whoever may be told (RFC 6749, 4.1.2.1).
pub(crate) fn refuse(routes: &Routes, request: &authorize::Parameters, error: AuthorizationError) -> Response {
    match error {
        AuthorizationError::Show(reason) => {
            let details = match routes.explains_errors {
                true => &*reason,
                false => "The reason is in this server's log.",
            };
            let message = Message { details: Some(details), ..Message::of(Notice::CannotAuthorize) };
            let page = routes.pages.message(Role::AuthorizationServer, Status::BadRequest, &message);
            page.because(reason.into_owned())
        }
        AuthorizationError::Redirect { to, error, reason } => {
            let result = Err((error, &*reason));
            let issuer = Some(routes.site.issuer());
            redirect(&to, &Parameters { result, state: request.state, issuer }).because(reason)
        }
    }
}

/// The client is told that it may try again (RFC 6749, 4.1.2.1).
pub(crate) fn unavailable(
    routes: &Routes,
    to: &VerifiedRedirect,
    state: Option<&[u8]>,
    reason: &'static str,
) -> Response {
    let result = Err(("temporarily_unavailable", "the server cannot make a code at the moment; try again"));
    let issuer = Some(routes.site.issuer());
    redirect(to, &Parameters { result, state, issuer }).because(reason)
}

/// Adds a parameter to the query of `location`, which may have one already.
fn add(location: &mut String, name: &str, value: &[u8]) {
    add_name(location, name);
    location.extend(form_urlencoded::byte_serialize(value));
}

/// The same, up to its value.
fn add_name(location: &mut String, name: &str) {
    location.push(if memchr(b'?', location.as_bytes()).is_some() { '&' } else { '?' });
    location.push_str(name);
    location.push('=');
}
