//! `GET /authorize`, and the article's `GET /oauth-dialog.html`: asks the resource owner.
//!
//! Without a parameter it is the article's dialog, a fixed page whose form is nothing but its buttons. With
//! parameters it is an authorization request (RFC 6749, 4.1.1): it is checked first, and the form carries it,
//! sealed, to `/code`.

use crate::http::form::Form;
use crate::http::message::{Request, Response, Status};
use crate::oauth::authorize::{self, Authorization, AuthorizationError, Parameters};
use crate::oauth::question::Question;
use crate::oauth::{GrantId, Timestamp};

use super::pages::File;
use super::question_page::Dialog;
use super::{NO_RANDOMNESS, Role, Routes, authorization_request, code, redirect, session};

/// Shows the dialog, or what is wrong with the request for it.
pub(super) fn show(routes: &Routes, request: &Request, now: Timestamp) -> Response {
    let query = request.query().unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let parameters = authorization_request::read(&form);
    if authorization_request::is_bare(&parameters) && routes.clients.demo().is_some() {
        return routes.pages.serve(File::Dialog, request);
    }
    match authorize::check(&routes.clients, &parameters) {
        Ok(authorization) => ask(routes, request, &authorization, (query, parameters.state), now),
        Err(error) => refuse(routes, &parameters, error),
    }
}

/// Puts the question, in a form that holds all that its answer needs.
fn ask(
    routes: &Routes,
    request: &Request,
    authorization: &Authorization,
    (query, state): (&str, Option<&[u8]>),
    now: Timestamp,
) -> Response {
    let site = &routes.site;
    let (Some(grant), Some(random)) = (routes.random(), routes.random()) else {
        return code::redirect_unavailable(routes, authorization.redirect(), state, NO_RANDOMNESS);
    };
    let (session, cookie) = match session::of_request(request, site.is_https()) {
        Some(session) => (session.to_owned(), None),
        None => {
            let (session, cookie) = session::begin(random, site.is_https());
            (session, Some(cookie))
        }
    };
    let question = Question {
        grant: GrantId::new(grant),
        expires: now.after(routes.lifetimes.form),
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
    match cookie {
        Some(cookie) => page.with("Set-Cookie", cookie),
        None => page,
    }
}

/// Tells whoever may be told (RFC 6749, 4.1.2.1).
pub(super) fn refuse(routes: &Routes, parameters: &Parameters, error: AuthorizationError) -> Response {
    match error {
        AuthorizationError::Show(reason) => {
            let words = match routes.explains_errors {
                true => format!("The app's request cannot be granted: {reason}. Nothing was authorized."),
                false => {
                    "The app sent a request that this server cannot grant, and there is no address that it \
                          could be sent back to. Nothing was authorized. Its developers can find the reason in \
                          this server's log."
                        .to_owned()
                }
            };
            let title = "This app cannot be authorized";
            routes.pages.message(Role::AuthorizationServer, Status::BadRequest, (title, &words)).because(reason)
        }
        AuthorizationError::Redirect { to, error, reason } => {
            let result = Err((error, &*reason));
            let issuer = Some(routes.site.issuer());
            redirect::answer(&to, &redirect::Parameters { result, state: parameters.state, issuer })
                .because(reason)
        }
    }
}
