//! `POST /code`: the resource owner has answered the dialog; a code is made and sent to the client by way of the
//! browser.
//!
//! Whether the form is this server's own is checked first (`request/dialog_form.rs`). Then the authorization request
//! that it carries is checked again, as when the dialog was shown, and the decision is stored: a grant, or that there
//! will be none. Only then is the browser redirected. A client whose metadata is a document has it read again, from the
//! cache as a rule: if it says something else than the dialog did, the person is asked again.
//!
//! A person may click twice, click late, or click in an old tab. The same decision on the same form gets the same
//! redirect while its code is unspent: the code is derived from the form. Anything else leads to a page that says what
//! happened, with a link that asks the same request again.

use std::sync::Arc;

use crate::http::form::Form;
use crate::http::{FieldValue, Response, Status};
use crate::oauth::client::{Client, VerifiedRedirect};
use crate::oauth::client_document::fingerprint;
use crate::oauth::document_url::DocumentUrl;
use crate::oauth::{Credential, Outcome, Transition};
use crate::routes::reply::authorization_response::{self, AuthorizationResponse};
use crate::routes::reply::dialog_page::return_to;
use crate::routes::reply::error_response::RETRY_AFTER;
use crate::routes::reply::message_page::{Button, MessagePage, Notice};
use crate::routes::reply::unavailable::{NO_RANDOMNESS, why_unavailable};
use crate::routes::request::dialog_form::{self, Decision, Rejection, Submission};
use crate::routes::request::{allowed_cookie, authorization_request, document_client};
use crate::routes::shared::Routes;
use crate::routes::site::Role;
use crate::routes::step::{Context, Step};
use crate::store::Applied;

/// Where the browser goes when the decision is stored.
struct Destination {
    to: VerifiedRedirect,
    state: Option<Box<[u8]>>,
    /// Whether the form had no request in it (`Profile::bare_dialog`): the redirect has a code and nothing else, and
    /// errors are shown as pages.
    is_bare: bool,
    /// The query of the authorization request, for a link that asks it again.
    query: String,
}

/// Stores the decision that the form carries, and sends the browser to the client.
pub(crate) fn decide(context: &Context) -> Step {
    match dialog_form::read(context) {
        Ok(submission) => decide_for(context, submission, None),
        Err(rejection) => Step::Done(explain_rejection(context.routes, rejection)),
    }
}

/// The same for a form about the client of this document, if it was fetched.
fn decide_for(context: &Context, submission: Submission, fetched: Option<Arc<Client>>) -> Step {
    let routes = context.routes;
    let Submission { mut opened, decision } = submission;
    let query = opened.as_mut().map(|opened| std::mem::take(&mut opened.question.query)).unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let request = authorization_request::read(&form);
    let client = match fetched
        .map_or_else(|| document_client::look_up(context, request.client_id), |client| Ok(Some(client)))
    {
        Ok(client) => client,
        Err(url) => return fetch_document(context, url, Submission { opened, decision }, query),
    };
    let (state, names_scope) = (request.state.map(Box::from), request.scope.is_some());
    // What the person was told has to be what is authorized.
    let shown = opened.as_ref().and_then(|opened| opened.question.document);
    if shown != client.as_deref().map(fingerprint) {
        let reason = "the client's metadata document has changed since the dialog was shown";
        let buttons = vec![Button::ask_again(&routes.site, "Look again", &query)];
        return Step::Done(explain(routes, Status::BadRequest, Notice::ChangedApp, reason, buttons));
    }
    // It was valid when the dialog was shown, but the configuration may have changed since.
    let authorization = match document_client::check(routes, client.as_ref(), &request) {
        Ok(authorization) => authorization,
        Err(error) => return Step::Done(authorization_response::refuse(routes, error, state.as_deref())),
    };
    let (to, is_bare) = (authorization.redirect().clone(), opened.is_none());
    let destination = Destination { to, state, is_bare, query };
    let kept_until = opened.as_ref().map(|opened| opened.question.kept_until());
    let code = match opened {
        Some(opened) => opened.code,
        None => match routes.random() {
            Some(random) => Credential::of_new_grant(random),
            None => return Step::Done(bare_unavailable(routes, NO_RANDOMNESS, RETRY_AFTER)),
        },
    };
    let code = routes.profile.shape(code);
    let subject = routes.resource_owner.clone();
    match decision {
        Decision::Authorize => {
            let cookie = names_scope.then(|| allowed_cookie::extended(routes, context.request, &authorization));
            let lifetime = routes.lifetimes.code;
            let transition = Transition::permit(authorization, subject, &code, lifetime, kept_until);
            context.ask(transition, move |context, applied| {
                Step::Done(send_code(context.routes, &destination, &code, cookie, applied))
            })
        }
        Decision::Refuse => {
            let transition = Transition::deny(&authorization, subject, code.grant(), kept_until);
            context.ask(transition, move |context, applied| {
                Step::Done(send_refusal(context.routes, &destination, applied))
            })
        }
    }
}

/// Fetches the document of the client first. The form's `query` was taken out of it.
fn fetch_document(context: &Context, url: DocumentUrl, submission: Submission, query: String) -> Step {
    document_client::fetch(context, url, move |context, fetched| match fetched {
        Ok(client) => {
            let mut submission = submission;
            if let Some(opened) = &mut submission.opened {
                opened.question.query = query;
            }
            decide_for(context, submission, Some(client))
        }
        Err(failure) => {
            let retry = Button::ask_again(&context.routes.site, "Start again", &query);
            Step::Done(document_client::refuse(context.routes, failure, retry))
        }
    })
}

/// RFC 6749, 4.1.2. With a `cookie` the browser keeps what was allowed.
fn send_code(
    routes: &Routes,
    destination: &Destination,
    code: &Credential,
    cookie: Option<FieldValue>,
    applied: Applied,
) -> Response {
    let Destination { to, state, is_bare, .. } = destination;
    match applied {
        Ok(Outcome::Granted | Outcome::GrantedAgain) => {
            let issuer = if *is_bare { None } else { routes.iss() };
            let response =
                AuthorizationResponse { to, result: Ok(code), state: state.as_deref(), issuer }.respond();
            match cookie {
                Some(cookie) => response.with("Set-Cookie", cookie),
                None => response,
            }
        }
        applied => explain_failure(routes, destination, applied),
    }
}

/// RFC 6749, 4.1.2.1.
fn send_refusal(routes: &Routes, destination: &Destination, applied: Applied) -> Response {
    let Destination { to, state, .. } = destination;
    match applied {
        Ok(Outcome::Denied) => {
            let result = Err(("access_denied", "the resource owner did not authorize the client"));
            let issuer = routes.iss();
            AuthorizationResponse { to, result, state: state.as_deref(), issuer }.respond()
        }
        applied => explain_failure(routes, destination, applied),
    }
}

/// The decision was not stored: the form was answered before, or the store failed.
fn explain_failure(routes: &Routes, destination: &Destination, applied: Applied) -> Response {
    let Destination { to, state, is_bare, query } = destination;
    if let Ok(Outcome::Taken) = applied {
        let reason = "the form was answered before, in another way or with a code that is spent or expired";
        let buttons = [start_again(routes, query)].into_iter().chain(go_to_app(to)).collect();
        return explain(routes, Status::BadRequest, Notice::UsedForm, reason, buttons);
    }
    let (reason, retry_after) = why_unavailable(&applied);
    if *is_bare {
        bare_unavailable(routes, reason, retry_after)
    } else {
        authorization_response::unavailable(routes, to, state.as_deref(), reason)
    }
}

fn explain_rejection(routes: &Routes, rejection: Rejection) -> Response {
    let Rejection { status, notice, reason, query } = rejection;
    let buttons = query.map(|query| start_again(routes, &query)).into_iter().collect();
    explain(routes, status, notice, reason, buttons)
}

/// 503, as a page: a client that sent no parameters reads no errors.
fn bare_unavailable(routes: &Routes, reason: &'static str, retry_after: FieldValue) -> Response {
    let (origin, base) = (routes.site.authorization_server(), routes.site.base());
    let buttons =
        vec![Button { words: "Start again".into(), url: format!("{origin}{base}/oauth-dialog.html") }];
    explain(routes, Status::ServiceUnavailable, Notice::NotJustNow, reason, buttons)
        .with("Retry-After", retry_after)
}

fn explain(
    routes: &Routes,
    status: Status,
    notice: Notice,
    reason: &'static str,
    buttons: Vec<Button>,
) -> Response {
    let details = routes.explains_errors.then_some(reason);
    let message = MessagePage { details, buttons, ..MessagePage::of(notice) };
    routes.pages.message(Role::AuthorizationServer, status, &message).because(reason)
}

fn start_again(routes: &Routes, query: &str) -> Button {
    Button::ask_again(&routes.site, "Start again", query)
}

/// Leads to the site of the client's redirect URI; `None` for an app on the person's machine, which has none.
fn go_to_app(to: &VerifiedRedirect) -> Option<Button> {
    let is_web = to.as_str().starts_with("https://") || to.as_str().starts_with("http://");
    is_web.then(|| Button { words: "Go to the app".into(), url: format!("{}/", return_to(to.as_str())) })
}
