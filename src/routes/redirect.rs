//! The answer to an authorization request: a redirect to the client, with its parameters in the query (RFC 6749,
//! 4.1.2).

use crate::http::message::{FieldLines, FieldValue, Response, Status};
use crate::oauth::client::VerifiedRedirect;

/// A code may be in it, which is for one reader: no cache keeps it, no Referer field passes it on.
const LINES: FieldLines = FieldLines::literal("Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n");

/// What the client is told.
pub(super) struct Parameters<'a> {
    /// The code; or the name of the error, with the reason in words.
    pub(super) result: Result<&'a str, (&'a str, &'a str)>,
    /// What the client sent along, whatever its bytes are.
    pub(super) state: Option<&'a [u8]>,
    /// Who answers (RFC 9207, 2).
    pub(super) issuer: Option<&'a str>,
}

/// Sends the browser to `to` with `parameters`.
pub(super) fn answer(to: &VerifiedRedirect, parameters: &Parameters) -> Response {
    let mut location = to.as_str().to_owned();
    let mut add = |name: &str, value: &[u8]| {
        location.push(if location.contains('?') { '&' } else { '?' });
        location.push_str(name);
        location.push('=');
        location.extend(form_urlencoded::byte_serialize(value));
    };
    match parameters.result {
        Ok(code) => add("code", code.as_bytes()),
        Err((error, description)) => {
            add("error", error.as_bytes());
            add("error_description", super::json::describe(description).as_bytes());
        }
    }
    parameters.state.into_iter().for_each(|state| add("state", state));
    parameters.issuer.into_iter().for_each(|issuer| add("iss", issuer.as_bytes()));
    let response = Response::new(Status::Found, LINES);
    match FieldValue::new(location) {
        Ok(location) => response.with("Location", location),
        // A redirect URI is visible ASCII, or it is not registered; and what was added is encoded.
        Err(_) => {
            Response::new(Status::InternalServerError, LINES).because("a redirect URI holds a control byte")
        }
    }
}
