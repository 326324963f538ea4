//! `POST /code`: the resource owner said yes in the dialog; a code is made and sent on with the browser.
//!
//! Any page in the world can hold a form that posts here, and the browser of whoever opens that page would
//! send it. So before anything is made, the request must show that this server's own dialog sent it. Browsers
//! say so themselves, in fields that no page can set: `Sec-Fetch-Site`, and in older ones `Origin`.

use crate::http::message::{FieldLines, FieldValue, Request, Response, Status};
use crate::oauth::{Credential, Outcome, Transition};
use crate::store::StoreError;

use super::pages::Notice;
use super::{Continuation, NO_RANDOMNESS, RETRY_AFTER, Reply, Role, Routes, Site, why_unavailable};

/// Makes a code, unless another site sent the form.
pub(super) fn issue(routes: &Routes, request: &Request) -> Reply {
    if let Err(reason) = sent_by_own_dialog(&routes.site, request) {
        return Reply::Now(refuse(routes, reason));
    }
    let Some(random) = routes.random() else {
        return Reply::Now(unavailable(routes, NO_RANDOMNESS, RETRY_AFTER));
    };
    let code = Credential::of_new_grant(random);
    let transition =
        Transition::Grant { grant: code.grant(), code: code.digest(), code_lifetime: routes.lifetimes.code };
    Reply::After(transition, Continuation::Code(code))
}

/// The code in the answer is for one reader: no cache keeps it, no Referer field passes it on.
const LINES: FieldLines = FieldLines::literal("Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n");

/// Sends the browser on to the client app with the code (RFC 6749, 4.1.2).
pub(super) fn answer(routes: &Routes, code: &Credential, outcome: Result<Outcome, StoreError>) -> Response {
    if outcome != Ok(Outcome::Granted) {
        let (reason, retry_after) = why_unavailable(outcome);
        return unavailable(routes, reason, retry_after);
    }
    let location = format!("{}?code={}", routes.site.redirect_uri(), code.encode());
    match FieldValue::new(location) {
        Ok(location) => Response::new(Status::Found, LINES).with("Location", location),
        // The redirect URI is made of a name and a port, and a code of base64url.
        Err(_) => unavailable(routes, "the redirect URI holds a control byte", RETRY_AFTER),
    }
}

/// Whether the form was sent by the dialog, or by nobody's page at all (a person at a command line).
fn sent_by_own_dialog(site: &Site, request: &Request) -> Result<(), &'static str> {
    // A name that someone pointed at this machine agrees with itself in every other field.
    if !site.is_own_host(request.authority()) {
        return Err("the Host is not one of this server's names");
    }
    let (Ok(fetch_site), Ok(origin)) = (request.field("sec-fetch-site"), request.field("origin")) else {
        return Err("Sec-Fetch-Site or Origin stands more than once");
    };
    match (fetch_site, origin) {
        (Some(b"same-origin" | b"none"), _) => Ok(()),
        (Some(_), _) => Err("Sec-Fetch-Site says that another site sent the form"),
        // Browsers from before Sec-Fetch-Site put an Origin on every POST.
        (None, Some(origin)) if site.is_own_origin(origin) => Ok(()),
        (None, Some(_)) => Err("Origin says that another site sent the form"),
        (None, None) => Ok(()),
    }
}

fn refuse(routes: &Routes, reason: &'static str) -> Response {
    routes.pages.notice(Role::AuthorizationServer, Status::Forbidden, Notice::ForeignForm).because(reason)
}

fn unavailable(routes: &Routes, reason: &'static str, retry_after: FieldValue) -> Response {
    let page = routes.pages.notice(Role::AuthorizationServer, Status::ServiceUnavailable, Notice::NotJustNow);
    page.with("Retry-After", retry_after).because(reason)
}
