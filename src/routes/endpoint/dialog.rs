//! `GET /authorize`, and the article's `GET /oauth-dialog.html`: asks the resource owner.
//!
//! Without any parameter it is the article's dialog, a fixed page whose form has only buttons. With
//! parameters it is an authorization request (RFC 6749, 4.1.1). That is checked before anything is shown, and the
//! dialog's form carries it, sealed, to `/code`. So the server keeps nothing for a dialog that is never answered.
//!
//! If the metadata of the request's client is a document at a URL, it is read before the request is checked.

use std::sync::Arc;

use crate::http::form::Form;
use crate::http::{Response, Status};
use crate::oauth::GrantId;
use crate::oauth::authorize::Authorization;
use crate::oauth::client::{Client, ClientOrigin};
use crate::oauth::client_document::fingerprint;
use crate::oauth::document_url::DocumentUrl;
use crate::oauth::question::Question;
use crate::routes::endpoint::asset::serve;
use crate::routes::reply::assets::Asset;
use crate::routes::reply::authorization_response;
use crate::routes::reply::dialog_page::DialogPage;
use crate::routes::reply::dialog_terms::Asker;
use crate::routes::reply::error_response::RETRY_AFTER;
use crate::routes::reply::message_page::{Button, MessagePage, Notice};
use crate::routes::reply::unavailable::NO_RANDOMNESS;
use crate::routes::request::{allowed_cookie, authorization_request, document_client, session};
use crate::routes::shared::Routes;
use crate::routes::site::Role;
use crate::routes::step::{Context, Step};
use crate::wire::rules;

/// Shows the dialog, or what is wrong with the request for it.
pub(crate) fn show(context: &Context) -> Step {
    show_for(context, None)
}

/// The same for a request of the client of this document, if it was fetched.
fn show_for(context: &Context, fetched: Option<Arc<Client>>) -> Step {
    let routes = context.routes;
    let query = context.request.query().unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let request = authorization_request::read(&form);
    if routes.profile.bare_dialog && authorization_request::is_bare(&request) {
        context.decide(&rules::ARTICLE_DIALOG);
        return serve(context, Asset::Dialog);
    }
    let client = match fetched
        .map_or_else(|| document_client::look_up(context, request.client_id), |client| Ok(Some(client)))
    {
        Ok(client) => client,
        Err(url) => return fetch_document(context, url),
    };
    context.name_client(request.client_id);
    Step::Done(match document_client::check(routes, client.as_ref(), &request) {
        Ok(authorization) => ask(context, &authorization, query, request.state),
        Err(error) => authorization_response::refuse(routes, error, request.state),
    })
}

/// Fetches the document of the request's client first.
fn fetch_document(context: &Context, url: DocumentUrl) -> Step {
    document_client::fetch(context, url, |context, fetched| match fetched {
        Ok(client) => show_for(context, Some(client)),
        Err(failure) => {
            let query = context.request.query().unwrap_or_default();
            let retry = Button::ask_again(&context.routes.site, "Try again", query);
            Step::Done(document_client::refuse(context.routes, failure, retry))
        }
    })
}

/// Shows the dialog for a valid request with this `query` and `state`.
fn ask(context: &Context, authorization: &Authorization, query: &str, state: Option<&[u8]>) -> Response {
    let routes = context.routes;
    let (Some(grant), Some(random)) = (routes.random(), routes.random()) else {
        return refuse_without_randomness(routes, authorization, query, state);
    };
    let is_https = routes.site.is_https();
    let session = match session::of_request(context.request, is_https).last() {
        Some(newest) => (*newest).to_owned(),
        None => session::begin(random),
    };
    // The cookie outlives the form, so that a form that comes back too late is recognized as that and not as foreign.
    let cookie = session::cookie(&session, is_https, 2 * routes.lifetimes.form);
    let client = authorization.client();
    let question = Question {
        grant: GrantId::new(grant),
        expires: context.now.after(routes.lifetimes.form),
        document: (client.origin == ClientOrigin::Document).then(|| fingerprint(client)),
        query: query.to_owned(),
    };
    let mut scopes: Vec<(&str, &str)> =
        authorization.scope().names().map(|name| (name, routes.scope_sentence(name))).collect();
    let mut allowed_before = Vec::new();
    if let Some(is_new) = allowed_cookie::new_scopes(routes, context.request, authorization) {
        let mut is_new = is_new.into_iter();
        (scopes, allowed_before) = scopes.into_iter().partition(|_| is_new.next().unwrap_or(true));
    }
    let known = routes.clients.resources().iter();
    let resources: Vec<(&str, &str)> = known
        .filter(|resource| authorization.audience().contains(resource.uri()))
        .map(|resource| (resource.name(), &**resource.uri()))
        .collect();
    let page = routes.pages.dialog(&DialogPage {
        client: &client.name,
        asker: Asker::of(client, &routes.profile),
        is_renewed: may_renew(client),
        redirect_uri: authorization.redirect().as_str(),
        scopes: &scopes,
        allowed_before: &allowed_before,
        resources: &resources,
        request: &question.seal(&routes.keyring(), &session),
    });
    context.decide(&rules::DIALOG);
    page.with("Set-Cookie", cookie)
}

/// The browser is not redirected to an app that the operator has not registered: the person has not clicked
/// yet (RFC 9700, 4.11.2).
fn refuse_without_randomness(
    routes: &Routes,
    authorization: &Authorization,
    query: &str,
    state: Option<&[u8]>,
) -> Response {
    if authorization.client().origin.is_trusted() {
        return authorization_response::unavailable(routes, authorization.redirect(), state, NO_RANDOMNESS);
    }
    let details = routes.explains_errors.then_some(NO_RANDOMNESS);
    let buttons = vec![Button::ask_again(&routes.site, "Try again", query)];
    let message = MessagePage { details, buttons, ..MessagePage::of(Notice::NotJustNow) };
    let page = routes.pages.message(Role::AuthorizationServer, Status::ServiceUnavailable, &message);
    page.with("Retry-After", RETRY_AFTER).because(NO_RANDOMNESS)
}

/// Whether `client` may get a refresh token. The code of a document's client may be redeemed where the document is not
/// known, and then gives one, whatever the document says, so the dialog names the most that it may get.
fn may_renew(client: &Client) -> bool {
    client.grant_types.refresh_token || client.origin == ClientOrigin::Document
}
