//! `GET /.well-known/oauth-authorization-server`: what a client needs to know of this server, as JSON (RFC 8414).
//!
//! The document is made once, from the configuration alone: no address in it comes from a request.

use std::sync::Arc;

use serde_json::json;

use crate::http::{Body, FieldLines, Response, Status};
use crate::oauth::Profile;
use crate::routes::site::Site;
use crate::routes::step::{Context, Step};

/// The path of the document. The path of the issuer comes after it (RFC 8414, 3.1).
pub(crate) const PATH: &str = "/.well-known/oauth-authorization-server";

/// The document of the authorization server of `site` under `profile`, with these scopes. Members with a default are
/// given all the same, since some defaults name flows that are not supported here; only empty lists are omitted.
pub(crate) fn document<'a>(site: &Site, profile: &Profile, scopes: impl Iterator<Item = &'a str>) -> Arc<[u8]> {
    let endpoint = |path: &str| format!("{}{}{path}", site.authorization_server(), site.base());
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    let mut members = json!({
        "issuer": site.issuer(),
        "authorization_endpoint": endpoint("/authorize"),
        "token_endpoint": endpoint("/token"),
        "revocation_endpoint": endpoint("/revoke"),
        "introspection_endpoint": endpoint("/introspect"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": &methods[1..],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": profile.iss,
    });
    let scopes: Vec<&str> = scopes.collect();
    if !scopes.is_empty() {
        members["scopes_supported"] = json!(scopes);
    }
    members.to_string().into_bytes().into()
}

/// Sends the document. Caches may keep it for an hour: it changes only with the configuration.
pub(crate) fn show(context: &Context) -> Step {
    const LINES: FieldLines = FieldLines::literal(
        "Cache-Control: max-age=3600\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n",
    );
    let document = Arc::clone(&context.routes.metadata);
    Step::Done(Response::new(Status::Ok, LINES).with_body(Body::Shared(document)))
}
