//! `POST /code`: the resource owner has answered in the dialog; a code is made and sent on with the browser.
//!
//! Any page in the world can hold a form that posts here, and the browser of whoever opens that page would
//! send it. So before anything is made, the request must show that this server's own dialog sent it. Browsers
//! say so themselves, in fields that no page can set: `Sec-Fetch-Site`, and in older ones `Origin`. And the
//! form itself must be the one that this browser was shown: it is sealed, for ten minutes and for one use.
//!
//! The article's form has nothing in it. It is heard where there is the demo client, and means that one.

use crate::http::form::Form;
use crate::http::message::{FieldValue, Request, Response, Status};
use crate::oauth::authorize::{self, Authorization};
use crate::oauth::client::VerifiedRedirect;
use crate::oauth::question::{Question, Unopened};
use crate::oauth::{Credential, Outcome, Timestamp, Transition};
use crate::store::Applied;

use super::pages::Notice;
use super::{
    Continuation, NO_RANDOMNESS, RETRY_AFTER, Reply, Role, Routes, Site, authorization_request, dialog,
    redirect, session, why_unavailable,
};

/// What is left to do when the answer is stored.
pub(super) struct Pending {
    to: VerifiedRedirect,
    /// `None` where the resource owner refused.
    code: Option<Credential>,
    state: Option<Box<[u8]>>,
    /// The article's redirect has a code in it, and nothing else; and what fails there is shown.
    is_article: bool,
}

/// What the resource owner decided.
#[derive(Clone, Copy, PartialEq)]
enum Decision {
    Authorize,
    Refuse,
}

/// Why a form is not taken: what the person is told, and the exact reason.
type Untaken = (Status, Notice, &'static str);

/// Makes a code, unless the form is not this server's own, or says no.
pub(super) fn issue(routes: &Routes, request: &Request, now: Timestamp) -> Reply {
    let taken = sent_by_own_dialog(&routes.site, request)
        .map_err(|reason| (Status::Forbidden, Notice::ForeignForm, reason))
        .and_then(|()| read(routes, request, now));
    let (question, decision) = match taken {
        Ok(taken) => taken,
        Err((status, notice, reason)) => {
            return Reply::Now(routes.pages.notice(Role::AuthorizationServer, status, notice).because(reason));
        }
    };
    let query = question.as_ref().map(|question| question.query.as_str()).unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let parameters = authorization_request::read(&form);
    // It was sound when it was shown, and so it is now: the clients have not changed since.
    let authorization = match authorize::check(&routes.clients, &parameters) {
        Ok(authorization) => authorization,
        Err(error) => return Reply::Now(dialog::refuse(routes, &parameters, error)),
    };
    let state = parameters.state.map(Box::from);
    answer_question(routes, &authorization, question.as_ref(), decision, state)
}

fn answer_question(
    routes: &Routes,
    authorization: &Authorization,
    question: Option<&Question>,
    decision: Decision,
    state: Option<Box<[u8]>>,
) -> Reply {
    let Some(new) = routes.random().map(Credential::of_new_grant) else {
        return Reply::Now(match question {
            None => unavailable(routes, NO_RANDOMNESS, RETRY_AFTER),
            Some(_) => redirect_unavailable(routes, authorization.redirect(), state.as_deref(), NO_RANDOMNESS),
        });
    };
    // The question has named the grant already.
    let code = match question {
        Some(question) => new.moved_to(question.grant),
        None => new,
    };
    let kept_until = question.map(|question| question.kept_until());
    let to = authorization.redirect().clone();
    let is_article = question.is_none();
    match decision {
        Decision::Authorize => {
            let subject = routes.resource_owner.clone();
            let transition =
                Transition::grant(authorization, subject, &code, routes.lifetimes.code, kept_until);
            let pending = Pending { to, code: Some(code), state, is_article };
            Reply::After(transition, Continuation::Code(Box::new(pending)))
        }
        Decision::Refuse => {
            let transition =
                Transition::refuse(authorization, routes.resource_owner.clone(), code.grant(), kept_until);
            let pending = Pending { to, code: None, state, is_article };
            Reply::After(transition, Continuation::Code(Box::new(pending)))
        }
    }
}

/// Sends the browser on to the client (RFC 6749, 4.1.2).
pub(super) fn answer(routes: &Routes, pending: &Pending, outcome: Applied) -> Response {
    let code = pending.code.as_ref();
    let result = match (&outcome, code) {
        (Ok(Outcome::Granted), Some(code)) => Ok(code),
        (Ok(Outcome::Refused), None) => {
            Err(("access_denied", "the resource owner did not authorize the client"))
        }
        (Ok(Outcome::Taken), _) => {
            return routes
                .pages
                .notice(Role::AuthorizationServer, Status::BadRequest, Notice::UsedForm)
                .because("the form was answered before");
        }
        _ => {
            let (reason, retry_after) = why_unavailable(&outcome);
            return match pending.is_article {
                true => unavailable(routes, reason, retry_after),
                false => redirect_unavailable(routes, &pending.to, pending.state.as_deref(), reason),
            };
        }
    };
    let issuer = (!pending.is_article || code.is_none()).then(|| routes.site.issuer());
    redirect::answer(&pending.to, &redirect::Parameters { result, state: pending.state.as_deref(), issuer })
}

/// The client is told that it may try again (RFC 6749, 4.1.2.1).
pub(super) fn redirect_unavailable(
    routes: &Routes,
    to: &VerifiedRedirect,
    state: Option<&[u8]>,
    reason: &'static str,
) -> Response {
    let result = Err(("temporarily_unavailable", "the server cannot make a code at the moment; try again"));
    let issuer = Some(routes.site.issuer());
    redirect::answer(to, &redirect::Parameters { result, state, issuer }).because(reason)
}

/// The question that the form answers, `None` for the article's, and the answer.
fn read(routes: &Routes, request: &Request, now: Timestamp) -> Result<(Option<Question>, Decision), Untaken> {
    let form = Form::parse(request.body());
    let malformed = |reason| (Status::BadRequest, Notice::MalformedForm, reason);
    let value = |name| form.value(name).map(|value| value.filter(|value| !value.is_empty()));
    let (Ok(sealed), Ok(decision)) = (value("request"), value("decision")) else {
        return Err(malformed("the form has its request or its decision more than once"));
    };
    let decision = match decision {
        Some("authorize") => Decision::Authorize,
        Some("refuse") => Decision::Refuse,
        // The article's form has one button, without a name.
        None if sealed.is_none() => Decision::Authorize,
        _ => return Err(malformed("the form's decision is neither authorize nor refuse")),
    };
    let Some(sealed) = sealed else {
        return match routes.clients.demo() {
            Some(_) => Ok((None, decision)),
            None => Err(malformed("the form has no request, and there is no demo client that it could mean")),
        };
    };
    let Some(session) = session::of_request(request, routes.site.is_https()) else {
        return Err((Status::Forbidden, Notice::NoSession, "the browser sent no session cookie with the form"));
    };
    match Question::open(sealed, &routes.sealing_keys(), session, now) {
        Ok(question) => Ok((Some(question), decision)),
        Err(Unopened::Forged) => {
            // Or another server made it, under a key that this one has not seen yet.
            routes.lasting.store.refresh_sealing_keys();
            let reason = "the form was not made here for this browser, or was changed";
            Err((Status::Forbidden, Notice::ForeignForm, reason))
        }
        Err(Unopened::Stale) => Err((Status::BadRequest, Notice::StaleForm, "the form was shown too long ago")),
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

fn unavailable(routes: &Routes, reason: &'static str, retry_after: FieldValue) -> Response {
    let page = routes.pages.notice(Role::AuthorizationServer, Status::ServiceUnavailable, Notice::NotJustNow);
    page.with("Retry-After", retry_after).because(reason)
}
