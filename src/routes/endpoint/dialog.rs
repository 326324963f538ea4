//! `GET /authorize`, and the article's `GET /oauth-dialog.html`: asks the resource owner.
//!
//! Without a parameter it is the article's dialog, a fixed page whose form is nothing but its buttons. With
//! parameters it is an authorization request (RFC 6749, 4.1.1): it is checked first, and the form carries it,
//! sealed, to `/code`.

use crate::http::form::Form;
use crate::http::message::Response;
use crate::oauth::GrantId;
use crate::oauth::authorize::{self, Authorization};
use crate::oauth::question::Question;
use crate::routes::reply::assets::Asset;
use crate::routes::reply::authorization_response;
use crate::routes::reply::question::Dialog;
use crate::routes::reply::unavailable::NO_RANDOMNESS;
use crate::routes::request::authorization_request;
use crate::routes::request::session;
use crate::routes::step::{Context, Step};

use super::asset::serve;

/// Shows the dialog, or what is wrong with the request for it.
pub(crate) fn show(context: &Context) -> Step {
    let (routes, request) = (context.routes, context.request);
    let query = request.query().unwrap_or_default();
    let form = Form::parse(query.as_bytes());
    let parameters = authorization_request::read(&form);
    if authorization_request::is_bare(&parameters) && routes.clients.demo().is_some() {
        return serve(context, Asset::Dialog);
    }
    Step::Done(match authorize::check(&routes.clients, &parameters) {
        Ok(authorization) => ask(context, &authorization, query, parameters.state),
        Err(error) => authorization_response::refuse(routes, &parameters, error),
    })
}

/// Puts the question, in a form that holds all that its answer needs.
fn ask(context: &Context, authorization: &Authorization, query: &str, state: Option<&[u8]>) -> Response {
    let routes = context.routes;
    let site = &routes.site;
    let (Some(grant), Some(random)) = (routes.random(), routes.random()) else {
        return authorization_response::unavailable(routes, authorization.redirect(), state, NO_RANDOMNESS);
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
