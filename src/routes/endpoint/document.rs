//! `/docs` and what is below it: the documents as pages of the client app, with their pictures.

use crate::http::Status;
use crate::routes::reply::documents::{Found, find};
use crate::routes::reply::message_page::Notice;
use crate::routes::site::Role;
use crate::routes::step::{Context, Step};

/// Sends the document or picture at the request's path, or 304 if the browser has it already.
pub(crate) fn serve(context: &Context) -> Step {
    let pages = &context.routes.pages;
    Step::Done(match find(context.request.path_bytes()) {
        Some(Found::Document(place)) => pages.document(place, context.request),
        Some(Found::Picture(place)) => pages.picture(place, context.request),
        // Under the path of an issuer, which the client app does not have.
        None => pages.notice(Role::ClientApp, Status::NotFound, Notice::NothingHere),
    })
}
