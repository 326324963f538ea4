//! `POST /code`: the resource owner has answered in the dialog; a code is made and sent on with the browser.
//!
//! Any page in the world can hold a form that posts here, and the browser of whoever opens that page would
//! send it. So before anything is made, the request must show that this server's own dialog sent it. Browsers
//! say so themselves, in fields that no page can set: `Sec-Fetch-Site`, and in older ones `Origin`. And the
//! form itself must be the one that this browser was shown: it is sealed, for ten minutes and for one use.
//!
//! A person may click twice, click late, or click in an old tab. The same answer to the same form gets the same
//! redirect while its code is unspent. Every other answer to a form of this server's leads to a page with a link that
//! asks the same request again.
//!
//! The article's form has nothing in it. It is heard where there is the demo client, and means that one.

use crate::http::form::Form;
use crate::http::message::{FieldValue, Request, Response, Status};
use crate::oauth::authorize;
use crate::oauth::client::VerifiedRedirect;
use crate::oauth::question::{Opened, Question, Unopened};
use crate::oauth::{Credential, Outcome, Transition};
use crate::routes::reply::authorization_response;
use crate::routes::reply::message::{Link, Message, Notice};
use crate::routes::reply::question::return_to;
use crate::routes::reply::unavailable::{NO_RANDOMNESS, RETRY_AFTER, why_unavailable};
use crate::routes::request::authorization_request;
use crate::routes::request::session;
use crate::routes::shared::Routes;
use crate::routes::site::{Role, Site};
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// What the resource owner decided.
#[derive(Clone, Copy, PartialEq)]
enum Decision {
    Authorize,
    Refuse,
}

/// Why a form is not taken, and how the person can go on.
struct Untaken {
    status: Status,
    notice: Notice,
    /// The exact reason.
    reason: &'static str,
    ways_on: Vec<Link>,
}

/// What the form says, where it may be listened to.
struct Taken {
    /// `None` for the article's.
    opened: Option<Opened>,
    decision: Decision,
}

/// Where the browser goes when the decision is stored.
struct Return {
    to: VerifiedRedirect,
    state: Option<Box<[u8]>>,
    /// The article's redirect has a code in it, and nothing else; and what fails there is shown.
    is_article: bool,
    /// The query of the request.
    query: Box<str>,
}

/// Makes a code, unless the form is not this server's own, or says no.
pub(crate) fn issue(context: &Context) -> Step {
    let routes = context.routes;
    let taken = sent_by_own_dialog(routes, context.request).and_then(|()| read(context));
    let Taken { opened, decision } = match taken {
        Ok(taken) => taken,
        Err(untaken) => return Step::Done(explain(routes, untaken)),
    };
    let query = opened.as_ref().map(|opened| opened.question.query.clone()).unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let parameters = authorization_request::read(&form);
    // It was sound when it was shown. The configuration may have changed since.
    let authorization = match authorize::check(&routes.clients, &parameters) {
        Ok(authorization) => authorization,
        Err(error) => return Step::Done(authorization_response::refuse(routes, &parameters, error)),
    };
    let back = Return {
        to: authorization.redirect().clone(),
        state: parameters.state.map(Box::from),
        is_article: opened.is_none(),
        query: query.as_str().into(),
    };
    let kept_until = opened.as_ref().map(|opened| opened.question.kept_until());
    let code = match opened {
        Some(opened) => opened.code,
        None => match routes.random() {
            Some(random) => Credential::of_new_grant(random),
            None => return Step::Done(unavailable(routes, NO_RANDOMNESS, RETRY_AFTER)),
        },
    };
    let subject = routes.resource_owner.clone();
    match decision {
        Decision::Authorize => {
            let lifetime = routes.lifetimes.code;
            let transition = Transition::grant(&authorization, subject, &code, lifetime, kept_until);
            context.ask(transition, move |context, applied| {
                Step::Done(send_code(context.routes, &back, &code, applied))
            })
        }
        Decision::Refuse => {
            let transition = Transition::refuse(&authorization, subject, code.grant(), kept_until);
            context.ask(transition, move |context, applied| {
                Step::Done(send_refusal(context.routes, &back, applied))
            })
        }
    }
}

/// Sends the browser on to the client, with `code` (RFC 6749, 4.1.2).
fn send_code(routes: &Routes, back: &Return, code: &Credential, applied: Applied) -> Response {
    match applied {
        Ok(Outcome::Granted | Outcome::GrantedAgain) => {
            let (state, issuer) = (back.state.as_deref(), (!back.is_article).then(|| routes.site.issuer()));
            authorization_response::redirect(
                &back.to,
                &authorization_response::Parameters { result: Ok(code), state, issuer },
            )
        }
        applied => not_stored(routes, back, applied),
    }
}

/// Sends the browser on to the client, with a no (RFC 6749, 4.1.2.1).
fn send_refusal(routes: &Routes, back: &Return, applied: Applied) -> Response {
    match applied {
        Ok(Outcome::Refused) => {
            let result = Err(("access_denied", "the resource owner did not authorize the client"));
            let (state, issuer) = (back.state.as_deref(), Some(routes.site.issuer()));
            authorization_response::redirect(
                &back.to,
                &authorization_response::Parameters { result, state, issuer },
            )
        }
        applied => not_stored(routes, back, applied),
    }
}

/// The form was answered before, or the store failed.
fn not_stored(routes: &Routes, back: &Return, applied: Applied) -> Response {
    if let Ok(Outcome::Taken) = applied {
        let ways_on = [start_again(routes, &back.query)].into_iter().chain(back_to_client(&back.to));
        return explain(
            routes,
            Untaken {
                status: Status::BadRequest,
                notice: Notice::UsedForm,
                reason: "the form was answered before, in another way or with a code that is spent or expired",
                ways_on: ways_on.collect(),
            },
        );
    }
    let (reason, retry_after) = why_unavailable(&applied);
    match back.is_article {
        true => unavailable(routes, reason, retry_after),
        false => authorization_response::unavailable(routes, &back.to, back.state.as_deref(), reason),
    }
}

/// The question that the form answers, and the answer.
fn read(context: &Context) -> Result<Taken, Untaken> {
    let routes = context.routes;
    let form = Form::parse(context.request.body());
    let malformed = |reason, sealed| {
        let ways_on = claimed_request(routes, sealed);
        Untaken { status: Status::BadRequest, notice: Notice::MalformedForm, reason, ways_on }
    };
    let value = |name| form.value(name).map(|value| value.filter(|value| !value.is_empty()));
    let (Ok(sealed), Ok(decision)) = (value("request"), value("decision")) else {
        return Err(malformed("the form has its request or its decision more than once", None));
    };
    let decision = match decision {
        Some("authorize") => Decision::Authorize,
        Some("refuse") => Decision::Refuse,
        // The article's form has one button, without a name.
        None if sealed.is_none() => Decision::Authorize,
        _ => return Err(malformed("the form's decision is neither authorize nor refuse", sealed)),
    };
    let Some(sealed) = sealed else {
        return match routes.clients.demo() {
            Some(_) => Ok(Taken { opened: None, decision }),
            None => {
                Err(malformed("the form has no request, and there is no demo client that it could mean", None))
            }
        };
    };
    let opened = open(context, sealed)?;
    Ok(Taken { opened: Some(opened), decision })
}

/// Opens the form for one of the browser's sessions. One that does not open is old before it is hostile: its session
/// or its key may have been lost since it was shown. Its page offers to ask again what the form claims to ask.
fn open(context: &Context, sealed: &str) -> Result<Opened, Untaken> {
    let (routes, now) = (context.routes, context.now);
    let untaken = |status, notice, reason| {
        let ways_on = claimed_request(routes, Some(sealed));
        Untaken { status, notice, reason, ways_on }
    };
    let stale = |reason| untaken(Status::BadRequest, Notice::StaleForm, reason);
    let sessions = session::of_request(context.request, routes.site.is_https());
    if sessions.is_empty() {
        // A cookie that is past its time is not sent.
        let is_old = Question::claimed(sealed).is_some_and(|question| question.expires <= now);
        return Err(match is_old {
            true => stale("the form was shown too long ago, and its session has ended"),
            false => untaken(
                Status::Forbidden,
                Notice::NoSession,
                "the browser sent no session cookie with the form",
            ),
        });
    }
    Question::open(sealed, &routes.sealing_keys(), &sessions, now).map_err(|unopened| match unopened {
        Unopened::Forged => {
            // Or another server made it, under a key that this one has not seen yet.
            routes.lasting.store.refresh_sealing_keys();
            stale("the form was not made here for this browser, or was changed")
        }
        Unopened::Stale => stale("the form was shown too long ago"),
    })
}

/// A link that asks what the form claims to ask. It is checked like every request, so it takes no proof.
fn claimed_request(routes: &Routes, sealed: Option<&str>) -> Vec<Link> {
    let question = sealed.and_then(Question::claimed);
    question.map(|question| start_again(routes, &question.query)).into_iter().collect()
}

fn start_again(routes: &Routes, query: &str) -> Link {
    // At the server's own address, whatever name the request came to.
    let (origin, base) = (routes.site.authorization_server(), routes.site.base());
    ("Start again", format!("{origin}{base}/authorize?{query}"))
}

/// A link to the site that the client's redirect URI is on. An app on the person's machine has none.
fn back_to_client(to: &VerifiedRedirect) -> Option<Link> {
    let is_web = to.as_str().starts_with("https://") || to.as_str().starts_with("http://");
    is_web.then(|| ("Go to the app", format!("{}/", return_to(to.as_str()))))
}

fn explain(routes: &Routes, untaken: Untaken) -> Response {
    let Untaken { status, notice, reason, ways_on } = untaken;
    let details = routes.explains_errors.then_some(reason);
    let message = Message { details, ways_on, ..Message::of(notice) };
    routes.pages.message(Role::AuthorizationServer, status, &message).because(reason)
}

/// Whether the form was sent by the dialog, or by nobody's page at all (a person at a command line).
fn sent_by_own_dialog(routes: &Routes, request: &Request) -> Result<(), Untaken> {
    let refuse = |notice, reason, ways_on| Untaken { status: Status::Forbidden, notice, reason, ways_on };
    // A name that someone pointed at this machine agrees with itself in every other field.
    if !routes.site.is_own_host(request.authority()) {
        let form = Form::parse(request.body());
        let ways_on = claimed_request(routes, form.value("request").unwrap_or_default());
        return Err(refuse(Notice::OtherName, "the Host is not one of this server's names", ways_on));
    }
    own_page_sent(&routes.site, request).map_err(|reason| refuse(Notice::ForeignForm, reason, Vec::new()))
}

/// What browsers say of the page that sent the form.
fn own_page_sent(site: &Site, request: &Request) -> Result<(), &'static str> {
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
    // Only the article's form is answered here; all others are answered by a redirect.
    let (origin, base) = (routes.site.authorization_server(), routes.site.base());
    let ways_on = vec![("Start again", format!("{origin}{base}/oauth-dialog.html"))];
    let untaken = Untaken { status: Status::ServiceUnavailable, notice: Notice::NotJustNow, reason, ways_on };
    explain(routes, untaken).with("Retry-After", retry_after)
}
