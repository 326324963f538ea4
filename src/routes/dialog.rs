//! `GET /authorize`, and the article's `GET /oauth-dialog.html`: asks the resource owner.
//!
//! Without a parameter it is the article's dialog, a fixed page whose form is nothing but its buttons. With
//! parameters it is an authorization request (RFC 6749, 4.1.1): it is checked first, and the form carries it,
//! sealed, to `/code`.

use crate::http::form::Form;
use crate::http::message::{Response, Status};
use crate::oauth::GrantId;
use crate::oauth::authorize::{self, Authorization, AuthorizationError, Parameters};
use crate::oauth::question::Question;

use super::message_page::{Message, Notice};
use super::pages::File;
use super::question_page::Dialog;
use super::shared::Routes;
use super::site::Role;
use super::step::{Context, Step};
use super::unavailable::NO_RANDOMNESS;
use super::{authorization_request, code, pages, redirect, session};

/// Shows the dialog, or what is wrong with the request for it.
pub(super) fn show(context: &Context) -> Step {
    let (routes, request) = (context.routes, context.request);
    let query = request.query().unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let parameters = authorization_request::read(&form);
    if authorization_request::is_bare(&parameters) && routes.clients.demo().is_some() {
        return pages::serve(context, File::Dialog);
    }
    Step::Done(match authorize::check(&routes.clients, &parameters) {
        Ok(authorization) => ask(context, &authorization, query, parameters.state),
        Err(error) => refuse(routes, &parameters, error),
    })
}

/// Puts the question, in a form that holds all that its answer needs.
fn ask(context: &Context, authorization: &Authorization, query: &str, state: Option<&[u8]>) -> Response {
    let routes = context.routes;
    let site = &routes.site;
    let (Some(grant), Some(random)) = (routes.random(), routes.random()) else {
        return code::redirect_unavailable(routes, authorization.redirect(), state, NO_RANDOMNESS);
    };
    let session = match session::of_request(context.request, site.is_https()).last() {
        Some(newest) => (*newest).to_owned(),
        None => session::begin(random),
    };
    // Longer than the form, so that one that is too old is known for that.
    let cookie = session::cookie(&session, site.is_https(), 2 * routes.lifetimes.form);
    let question = Question {
        grant: GrantId::new(grant),
        expires: context.now.after(routes.lifetimes.form),
        query: query.to_owned(),
    };
    let scopes: Vec<(&str, &str)> =
        authorization.scope().names().map(|name| (name, routes.scope_sentence(name))).collect();
    let page = routes.pages.dialog(&Dialog {
        client: &authorization.client().name,
        redirect_uri: authorization.redirect().as_str(),
        scopes: &scopes,
        request: &question.seal(&routes.sealing_keys(), &session),
    });
    page.with("Set-Cookie", cookie)
}

/// Tells whoever may be told (RFC 6749, 4.1.2.1).
pub(super) fn refuse(routes: &Routes, parameters: &Parameters, error: AuthorizationError) -> Response {
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
            redirect::answer(&to, &redirect::Parameters { result, state: parameters.state, issuer })
                .because(reason)
        }
    }
}
