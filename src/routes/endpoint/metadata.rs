//! `GET /.well-known/oauth-authorization-server`: what a client needs to know of this server, as JSON (RFC 8414).
//!
//! The document is made once, only from the configuration: no address in it comes from a request.

use std::sync::Arc;

use crate::http::{Body, FieldLines, Response, Status};
use crate::json::Object;
use crate::oauth::Resources;
use crate::oauth::scope::OFFLINE_ACCESS;
use crate::outbound::HAS_TLS;
use crate::routes::settings::Settings;
use crate::routes::site::Site;
use crate::routes::step::{Context, Step};

/// The path of the document. The path of the issuer comes after it (RFC 8414, 3.1).
pub(crate) const PATH: &str = "/.well-known/oauth-authorization-server";

/// The document of the authorization server of `site`, with the scopes of `settings` and these resources. Members with
/// a default are given all the same, since some defaults name flows that are not supported here; only empty lists are
/// omitted.
pub(crate) fn document(settings: &Settings, site: &Site, resources: &Resources) -> Arc<[u8]> {
    let endpoint = |path: &str| site.url(path);
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    let mut members = Object::default();
    members
        .text("authorization_endpoint", &endpoint("/authorize"))
        .flag("authorization_response_iss_parameter_supported", settings.profile.iss);
    // Clients at https URLs.
    if settings.client_documents && HAS_TLS {
        members.flag("client_id_metadata_document_supported", true);
    }
    members
        .texts("code_challenge_methods_supported", ["S256"])
        .texts("grant_types_supported", ["authorization_code", "refresh_token", "client_credentials"])
        .text("introspection_endpoint", &endpoint("/introspect"))
        .texts("introspection_endpoint_auth_methods_supported", methods[1..].iter().copied())
        .text("issuer", site.issuer());
    // RFC 9728, 4.
    if !resources.is_empty() {
        members.texts("protected_resources", resources.iter().map(|resource| &**resource.uri()));
    }
    members
        .texts("response_modes_supported", ["query"])
        .texts("response_types_supported", ["code"])
        .text("revocation_endpoint", &endpoint("/revoke"))
        .texts("revocation_endpoint_auth_methods_supported", methods);
    if settings.registration().is_some() {
        members.text("registration_endpoint", &endpoint("/register"));
    }
    let mut scopes: Vec<&str> = settings.scopes.iter().map(|(name, _)| &**name).collect();
    if !scopes.is_empty() {
        // Clients look for it here before they ask for it.
        if !scopes.contains(&OFFLINE_ACCESS) {
            scopes.push(OFFLINE_ACCESS);
        }
        members.texts("scopes_supported", scopes);
    }
    members.text("token_endpoint", &endpoint("/token")).texts("token_endpoint_auth_methods_supported", methods);
    members.finish().into_bytes().into()
}

/// The field lines of a metadata document of `site`. Caches may keep it for an hour, since it changes only with the
/// configuration. On a developer's machine that changes often, and a client in a browser must not go on with the last
/// one.
pub(crate) fn document_lines(site: &Site) -> FieldLines {
    const KEPT: FieldLines = FieldLines::literal(
        "Cache-Control: max-age=3600\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n",
    );
    const CHECKED: FieldLines = FieldLines::literal(
        "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n",
    );
    if site.is_loopback() { CHECKED } else { KEPT }
}

/// Sends the document.
pub(crate) fn show(context: &Context) -> Step {
    let document = Arc::clone(&context.routes.metadata);
    Step::Done(
        Response::new(Status::Ok, document_lines(&context.routes.site)).with_body(Body::Shared(document)),
    )
}
