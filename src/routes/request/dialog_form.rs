//! The dialog's form, as it comes back: who sent it, what it answers, and the decision.
//!
//! Any page in the world can hold a form that posts here, and browsers send it for every visitor of that page. So a
//! form must first show that this server's own dialog sent it, in three ways, none of which is enough alone:
//!
//! - the Host is one of this server's own names: a foreign name that points at this machine would pass the next check;
//! - the browser says that the form came from a page of the same origin, in `Sec-Fetch-Site` or, before that existed,
//!   in `Origin`: fields that no page can set;
//! - the form is sealed for a session that the browser has a cookie for, for a limited time and a single use.
//!
//! A form with nothing in it but its button has no third check. It is accepted where the profile has `bare_dialog`.

use crate::http::form::Form;
use crate::http::{Request, Status};
use crate::oauth::question::{Opened, Question, Unopened};
use crate::routes::reply::message_page::Notice;
use crate::routes::request::session;
use crate::routes::shared::Routes;
use crate::routes::site::Site;
use crate::routes::step::Context;

/// What the resource owner decided.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Decision {
    Authorize,
    Refuse,
}

/// A form of this server's own.
pub(crate) struct Submission {
    /// The question that it answers; `None` for a form with nothing in it but its button.
    pub(crate) opened: Option<Opened>,
    pub(crate) decision: Decision,
}

/// Why a form is rejected.
pub(crate) struct Rejection {
    pub(crate) status: Status,
    /// What the person sees.
    pub(crate) notice: Notice,
    /// The exact reason, for the log.
    pub(crate) reason: &'static str,
    /// The query of the authorization request that the form claims to answer, for a link that asks it again. It is not
    /// verified, and need not be: the new request is checked like every other.
    pub(crate) query: Option<String>,
}

/// Reads the form that the request carries.
///
/// # Errors
/// When it is malformed, was not sent by this server's own dialog, or does not open.
pub(crate) fn read(context: &Context) -> Result<Submission, Rejection> {
    let (routes, request) = (context.routes, context.request);
    let form = Form::parse(request.body());
    check_sender(routes, request, &form)?;
    let malformed = |reason, sealed| reject(Status::BadRequest, Notice::MalformedForm, reason, sealed);
    let value = |name| form.value(name).map(|value| value.filter(|value| !value.is_empty()));
    let (Ok(sealed), Ok(decision)) = (value("request"), value("decision")) else {
        return Err(malformed("the form's request or decision appears more than once", None));
    };
    let decision = match decision {
        Some("authorize") => Decision::Authorize,
        Some("refuse") => Decision::Refuse,
        // A bare form has one button, without a name.
        None if sealed.is_none() => Decision::Authorize,
        _ => return Err(malformed("the form's decision is neither authorize nor refuse", sealed)),
    };
    let Some(sealed) = sealed else {
        if routes.profile.bare_dialog {
            return Ok(Submission { opened: None, decision });
        }
        return Err(malformed("the form has no request, and there is no demo client that it could mean", None));
    };
    Ok(Submission { opened: Some(open(context, sealed)?), decision })
}

/// Checks that the form was sent by the dialog, or by no page at all (a person at a command line).
fn check_sender(routes: &Routes, request: &Request, form: &Form) -> Result<(), Rejection> {
    if !routes.profile.form_origin {
        return Ok(());
    }
    let forbidden = |notice, reason, sealed| Err(reject(Status::Forbidden, notice, reason, sealed));
    // First, since under a foreign name that points at this machine, all other fields agree with each other.
    if !routes.site.is_own_host(request.authority_bytes()) {
        let sealed = form.value("request").unwrap_or_default();
        return forbidden(Notice::OtherName, "the Host is not one of this server's names", sealed);
    }
    // A server that admits the scripts of every origin, cookies and all, takes their forms for wanted.
    let is_script = request.field("sec-fetch-mode").is_ok_and(|mode| mode == Some(b"cors"));
    if is_script && !routes.profile.cookieless_cors {
        return Ok(());
    }
    check_page(&routes.site, request).or_else(|reason| forbidden(Notice::ForeignForm, reason, None))
}

/// Checks what the browser says of the page that sent the form.
fn check_page(site: &Site, request: &Request) -> Result<(), &'static str> {
    let (Ok(fetch_site), Ok(origin)) = (request.field("sec-fetch-site"), request.field("origin")) else {
        return Err("Sec-Fetch-Site or Origin appears more than once");
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

/// Opens the form for one of the browser's sessions.
///
/// A form that does not open is usually old and rarely an attack: its session or its key may have been lost since it
/// was shown. So the page says that it is too old, and offers to start again.
fn open(context: &Context, sealed: &str) -> Result<Opened, Rejection> {
    let (routes, now) = (context.routes, context.now);
    let stale = |reason| reject(Status::BadRequest, Notice::StaleForm, reason, Some(sealed));
    let sessions = session::of_request(context.request, routes.site.is_https());
    if sessions.is_empty() {
        // A browser does not send a cookie that has expired.
        if Question::claimed(sealed).is_some_and(|question| question.expires <= now) {
            return Err(stale("the form was shown too long ago, and its session has ended"));
        }
        let reason = "the browser sent no session cookie with the form";
        return Err(reject(Status::Forbidden, Notice::NoSession, reason, Some(sealed)));
    }
    Question::open(sealed, &routes.keyring(), &sessions, now).map_err(|unopened| match unopened {
        Unopened::UnknownKey => {
            // Another server may have sealed it, with a key that this one has not read yet.
            routes.across_reloads.keys.refresh();
            stale("the form was sealed with a key that is not known here, and may be lost")
        }
        Unopened::Forged => stale("the form was not made here for this browser, or was modified"),
        Unopened::Stale => stale("the form was shown too long ago"),
    })
}

fn reject(status: Status, notice: Notice, reason: &'static str, sealed: Option<&str>) -> Rejection {
    let query = sealed.and_then(Question::claimed).map(|question| question.query);
    Rejection { status, notice, reason, query }
}
