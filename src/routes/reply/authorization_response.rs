//! The authorization response: a redirect to the client, with a code or an error in the query (RFC 6749, 4.1.2).
//!
//! Only a [`VerifiedRedirect`] can be redirected to, and only a comparison with what the client registered makes one,
//! so this file cannot become an open redirector. An error that leaves no verified redirect URI is shown to the person
//! as a page instead. So is one for a client that the operator has not registered, with a link to the client: anyone
//! may register an address, and an error would lead there without a click (RFC 9700, 4.11.2).

use memchr::memchr;

use super::dialog_page::return_to;
use super::error_response::describe;
use super::message_page::{Button, MessagePage, Notice};
use crate::http::{FieldLines, FieldValue, Response, Status};
use crate::oauth::Credential;
use crate::oauth::authorize::AuthorizationError;
use crate::oauth::client::VerifiedRedirect;
use crate::routes::shared::Routes;
use crate::routes::site::Role;

/// The URL may carry a code, which is for one reader: no cache may keep it, no Referer field may pass it on.
const LINES: FieldLines = FieldLines::literal("Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n");

/// The parameters of the response, and where it goes.
pub(crate) struct AuthorizationResponse<'a> {
    pub(crate) to: &'a VerifiedRedirect,
    /// The code; or the name of the error, and its description.
    pub(crate) result: Result<&'a Credential, (&'a str, &'a str)>,
    /// The request's `state`, returned byte for byte (RFC 6749, 4.1.2).
    pub(crate) state: Option<&'a [u8]>,
    /// The `iss` parameter, by which a client of several servers tells their responses apart (RFC 9207, 2).
    pub(crate) issuer: Option<&'a str>,
}

impl AuthorizationResponse<'_> {
    /// The address that the browser goes to.
    fn location(&self) -> String {
        // Room for a code, an issuer and a usual state.
        let mut location = String::with_capacity(self.to.as_str().len() + 256);
        location.push_str(self.to.as_str());
        match self.result {
            // A code is base64url and needs no encoding (`oauth/credential.rs`).
            Ok(code) => {
                push_name(&mut location, "code");
                code.write(&mut location);
            }
            Err((error, description)) => {
                push(&mut location, "error", error.as_bytes());
                push(&mut location, "error_description", describe(description).as_bytes());
            }
        }
        self.state.into_iter().for_each(|state| push(&mut location, "state", state));
        self.issuer.into_iter().for_each(|issuer| push(&mut location, "iss", issuer.as_bytes()));
        location
    }

    /// The redirect.
    pub(crate) fn respond(&self) -> Response {
        match FieldValue::new(self.location()) {
            Ok(location) => Response::new(Status::Found, LINES).with("Location", location),
            // Never taken: a registered redirect URI is visible ASCII, and what was added is encoded.
            Err(_) => Response::new(Status::InternalServerError, LINES)
                .because("a redirect URI contains a control byte"),
        }
    }
}

/// Reports `error`, to a request with this `state`: to the client if it may be redirected to, else to the person (RFC
/// 6749, 4.1.2.1).
pub(crate) fn refuse(routes: &Routes, error: AuthorizationError, state: Option<&[u8]>) -> Response {
    match error {
        AuthorizationError::Show(reason) => {
            show(routes, Notice::CannotAuthorize, &reason, None).because(reason.into_owned())
        }
        AuthorizationError::UnknownClient(reason) => {
            show(routes, Notice::UnknownClient, reason, None).because(reason)
        }
        AuthorizationError::Redirect { to, is_trusted, error, reason } => {
            let issuer = routes.iss();
            let response = AuthorizationResponse { to: &to, result: Err((error, &reason)), state, issuer };
            if is_trusted {
                return response.respond().because(reason);
            }
            let button =
                Button { words: format!("Go to {}", return_to(to.as_str())).into(), url: response.location() };
            show(routes, Notice::WrongRequest, &reason, Some(button)).because(reason)
        }
    }
}

/// The page that tells the person why no answer goes to the client.
fn show(routes: &Routes, notice: Notice, reason: &str, button: Option<Button>) -> Response {
    let details = if routes.explains_errors { reason } else { "The reason is in this server's log." };
    let buttons = button.into_iter().collect();
    let message = MessagePage { details: Some(details), buttons, ..MessagePage::of(notice) };
    routes.pages.message(Role::AuthorizationServer, Status::BadRequest, &message)
}

/// Tells the client to try again later (RFC 6749, 4.1.2.1). A redirect, since a browser shows a 503 to the person and
/// not to the client.
pub(crate) fn unavailable(
    routes: &Routes,
    to: &VerifiedRedirect,
    state: Option<&[u8]>,
    reason: &'static str,
) -> Response {
    let result = Err(("temporarily_unavailable", "the server cannot make a code at the moment; try again"));
    let response = AuthorizationResponse { to, result, state, issuer: routes.iss() };
    response.respond().because(reason)
}

/// Appends a parameter to the query of `location`, which may have one already.
fn push(location: &mut String, name: &str, value: &[u8]) {
    push_name(location, name);
    location.extend(form_urlencoded::byte_serialize(value));
}

/// Appends a parameter up to its value.
fn push_name(location: &mut String, name: &str) {
    location.push(if memchr(b'?', location.as_bytes()).is_some() { '&' } else { '?' });
    location.push_str(name);
    location.push('=');
}
