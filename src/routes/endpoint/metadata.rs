//! `GET /.well-known/oauth-authorization-server`: what a client needs to know of this server, as JSON (RFC 8414).
//!
//! The document is made once, from the configuration alone: no address in it comes from a request.

use std::sync::Arc;

use crate::http::{Body, FieldLines, Response, Status};
use crate::json::Object;
use crate::oauth::scope::OFFLINE_ACCESS;
use crate::oauth::{Profile, Resources};
use crate::routes::reply::message_page::Notice;
use crate::routes::shared::Routes;
use crate::routes::site::{Role, Site};
use crate::routes::step::{Context, Step};

/// The path of the document. The path of the issuer comes after it (RFC 8414, 3.1).
pub(crate) const PATH: &str = "/.well-known/oauth-authorization-server";

/// The document of the authorization server of `site` under `profile`, with these scopes and resources; with a
/// registration endpoint if it has one, and, with `fetches_documents`, clients at https URLs. Members with a default
/// are given all the same, since some defaults name flows that are not supported here; only empty lists are omitted.
pub(crate) fn document<'a>(
    site: &Site,
    profile: &Profile,
    has_registration: bool,
    fetches_documents: bool,
    scopes: impl Iterator<Item = &'a str>,
    resources: &Resources,
) -> Arc<[u8]> {
    let endpoint = |path: &str| site.url(path);
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    let mut members = Object::default();
    members
        .text("authorization_endpoint", &endpoint("/authorize"))
        .flag("authorization_response_iss_parameter_supported", profile.iss);
    if fetches_documents {
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
    if has_registration {
        members.text("registration_endpoint", &endpoint("/register"));
    }
    let mut scopes: Vec<&str> = scopes.collect();
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

/// The field lines of a metadata document. Caches may keep it for an hour: it changes only with the configuration.
pub(crate) const DOCUMENT_LINES: FieldLines = FieldLines::literal(
    "Cache-Control: max-age=3600\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n",
);

/// Where clients look that take the MCP server's address for the issuer's, as those before 2025-06-18 do: the path of
/// the MCP server comes last.
pub(crate) const PATH_OF_MCP: &str = "/.well-known/oauth-authorization-server/mcp";

/// Sends the document to such a client, if there is an MCP server.
pub(crate) fn show_for_mcp(context: &Context) -> Step {
    let Routes { mcp, pages, .. } = context.routes;
    if mcp.is_some() {
        return show(context);
    }
    Step::Done(pages.notice(Role::AuthorizationServer, Status::NotFound, Notice::NothingHere))
}

/// Sends the document.
pub(crate) fn show(context: &Context) -> Step {
    let document = Arc::clone(&context.routes.metadata);
    Step::Done(Response::new(Status::Ok, DOCUMENT_LINES).with_body(Body::Shared(document)))
}
