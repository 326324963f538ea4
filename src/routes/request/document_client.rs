//! The client of an authorization request, where its metadata is a document at a URL.

use std::borrow::Cow;
use std::sync::Arc;

use crate::http::{Response, Status};
use crate::oauth::authorize::{self, Authorization, AuthorizationError, AuthorizationRequest};
use crate::oauth::client::Client;
use crate::oauth::document_url::DocumentUrl;
use crate::outbound::FetchError;
use crate::peer::Peer;
use crate::pool::PoolError;
use crate::routes::client_documents::{Lookup, Unread};
use crate::routes::reply::error_response::RETRY_AFTER;
use crate::routes::reply::message_page::{Button, MessagePage, Notice};
use crate::routes::shared::Routes;
use crate::routes::site::Role;
use crate::routes::step::{Context, Step};

/// Why there is no client.
pub(crate) enum Failure {
    /// Its document was not read.
    Unread(Unread),
    /// There is no thread to read it, or not in time.
    Busy(PoolError),
}

/// The client of the document that `client_id` names; `None` if it names none, and [`check`] looks elsewhere.
///
/// # Errors
/// The URL of the document, if it has to be fetched first.
pub(crate) fn look_up(context: &Context, client_id: Option<&str>) -> Result<Option<Arc<Client>>, DocumentUrl> {
    let routes = context.routes;
    let (Some(documents), Some(id)) = (&routes.documents, client_id) else { return Ok(None) };
    if routes.clients.is_configured(id) {
        return Ok(None);
    }
    match documents.look_up(id) {
        Lookup::NoDocument => Ok(None),
        Lookup::Fresh(client) => Ok(Some(client)),
        Lookup::Unknown(url) => Err(url),
    }
}

/// Fetches the document at `url`, and continues with its client.
///
/// A document on loopback is for peers on loopback. A server whose issuer is `http://localhost` may listen on the whole
/// network, and a peer elsewhere must not have it connect to programs that only this machine reaches.
pub(crate) fn fetch(
    context: &Context,
    url: DocumentUrl,
    then: impl FnOnce(&Context, Result<Arc<Client>, Failure>) -> Step + Send + 'static,
) -> Step {
    // Never `None`: the URL is from `look_up`.
    let documents = context.routes.documents.clone();
    let (peer, is_loopback) = (Peer::of(context.peer), context.peer.to_canonical().is_loopback());
    if url.origin().is_loopback() && !is_loopback {
        return then(context, Err(Failure::Unread(Unread::Unfetched(FetchError::ForbiddenAddress))));
    }
    let waited_for = url.clone();
    context.join(
        move |caller| {
            let documents = documents.ok_or(PoolError::Full)?;
            documents.fetch(url, peer, is_loopback, caller)
        },
        move |context, result| {
            let client = match result {
                Ok(Ok(client)) => Ok(client),
                Ok(Err(unread)) => Err(Failure::Unread(unread)),
                Err(PoolError::TimedOut) => after_timeout(context.routes, &waited_for),
                Err(error) => Err(Failure::Busy(error)),
            };
            then(context, client)
        },
    )
}

/// The client of the copy, for a request that has waited for as long as it may. The fetch began a moment after the
/// request, so it has not ended yet and has not said that the copy serves.
///
/// # Errors
/// If there is no copy, or the host has not had half of that time to answer. Then the fetch waited for a thread, as
/// strangers can cause with fetches from hosts that never answer: they must not have a withdrawn document serve.
fn after_timeout(routes: &Routes, url: &DocumentUrl) -> Result<Arc<Client>, Failure> {
    let documents = routes.documents.as_ref();
    let documents = documents.filter(|documents| documents.is_silent(url, routes.limits.pool_time_max / 2));
    let documents = documents.ok_or(Failure::Busy(PoolError::TimedOut))?;
    documents.copy(url).ok_or(Failure::Unread(Unread::Unfetched(FetchError::TimedOut)))
}

/// Checks `request`, which is one of the client of a document or, if that is `None`, of another client.
///
/// # Errors
/// As for [`authorize::check`].
pub(crate) fn check<'a>(
    routes: &'a Routes,
    client: Option<&Arc<Client>>,
    request: &AuthorizationRequest,
) -> Result<Authorization<'a>, AuthorizationError> {
    match client {
        Some(client) => {
            let client = Cow::Owned(Arc::clone(client));
            authorize::check_of(client, routes.clients.resources(), &routes.profile, request)
        }
        None => authorize::check(&routes.clients, &routes.profile, request),
    }
}

/// A page that says why the client's document was not read: 503 if another attempt may succeed. There is no verified
/// redirect URI, so no error is sent to the client.
pub(crate) fn refuse(routes: &Routes, failure: Failure, retry: Button) -> Response {
    let (is_temporary, reason) = match failure {
        Failure::Unread(unread) => (unread.is_temporary(), unread.to_string()),
        Failure::Busy(error) => (true, error.as_str().to_owned()),
    };
    let details = if is_temporary { format!("temporarily_unavailable: {reason}") } else { reason.clone() };
    let details = if routes.explains_errors { &details } else { "The reason is in this server's log." };
    let (status, notice, buttons) = if is_temporary {
        (Status::ServiceUnavailable, Notice::UnreadApp, vec![retry])
    } else {
        (Status::BadRequest, Notice::CannotAuthorize, Vec::new())
    };
    let message = MessagePage { details: Some(details), buttons, ..MessagePage::of(notice) };
    let page = routes.pages.message(Role::AuthorizationServer, status, &message).because(reason);
    if is_temporary { page.with("Retry-After", RETRY_AFTER) } else { page }
}
