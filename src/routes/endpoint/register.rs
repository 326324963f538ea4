//! `POST /register`: a client registers itself (RFC 7591).
//!
//! Nothing is stored. The identifier in the answer carries the registration (`oauth/registration.rs`), so a public
//! client that registers again with the same metadata gets the same identifier. There is no endpoint to read, change
//! or delete a registration (RFC 7592): a client with other metadata is another client.
//!
//! Anyone may register, so a registration proves nothing, and gives no access: a person is asked each time, with the
//! host that the answer goes to (`reply/dialog_page.rs`). A peer may register a few clients in a row, and then one in a
//! while.

use crate::http::{Response, Status};
use crate::json::Object;
use crate::oauth::registration::{CLIENT_ID_CHARS_MAX, Issued};
use crate::oauth::{Scope, Timestamp};
use crate::peer::Peer;
use crate::routes::reply::error_response::ErrorResponse;
use crate::routes::reply::json;
use crate::routes::reply::message_page::Notice;
use crate::routes::reply::unavailable::no_randomness;
use crate::routes::request::client_metadata::{Metadata, invalid_metadata};
use crate::routes::settings::Registration;
use crate::routes::shared::AcrossReloads;
use crate::routes::site::Role;
use crate::routes::step::{Context, Step};
use crate::wire::rules;

/// Registers the client, or says what is wrong with its metadata.
pub(crate) fn register(context: &Context) -> Step {
    Step::Done(match context.routes.registration {
        Some(settings) => answer(context, settings).unwrap_or_else(ErrorResponse::into_response),
        None => context.routes.pages.notice(Role::AuthorizationServer, Status::NotFound, Notice::NothingHere),
    })
}

const UNAVAILABLE: &str = "the server cannot register a client at the moment; try again";

fn answer(context: &Context, settings: Registration) -> Result<Response, ErrorResponse> {
    let routes = context.routes;
    let AcrossReloads { registrations, system, .. } = &routes.across_reloads;
    if let Err(wait) = registrations.note(Peer::of(context.peer), system.monotonic()) {
        return Err(ErrorResponse {
            status: Status::TooManyRequests,
            retry_after: Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            ..ErrorResponse::new("temporarily_unavailable", "too many registrations from this address")
        });
    }
    let names: Vec<&str> = routes.scopes.iter().map(|(name, _)| &**name).collect();
    let scopes = Scope::parse(&names.join(" ")).unwrap_or_default();
    let metadata = Metadata::read(context.request, &scopes, settings.allows_http)?;
    let nonce = routes.random().ok_or_else(|| no_randomness(UNAVAILABLE))?;
    let issued = metadata.registration.issue(&routes.keyring(), &nonce).map_err(|length| {
        let remedy = "register fewer or shorter redirect_uris";
        invalid_metadata(format!(
            "the client_id would have {length} characters, and {CLIENT_ID_CHARS_MAX} is the most; {remedy}"
        ))
    })?;
    context.decide(&rules::REGISTERED);
    Ok(json::response(Status::Created, members(&metadata, &issued, context.now)))
}

/// RFC 7591, 3.2.1.
fn members(metadata: &Metadata, issued: &Issued, now: Timestamp) -> String {
    let mut members = Object::default();
    members.text("client_id", &issued.client_id);
    // The moment of this answer: the identifier has no other.
    members.number("client_id_issued_at", now.as_milliseconds() / 1000);
    if let Some(secret) = &issued.client_secret {
        // It does not expire.
        members.text("client_secret", secret).number("client_secret_expires_at", 0);
    }
    metadata.write_to(&mut members);
    members.finish()
}
