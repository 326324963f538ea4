//! What the MCP server requires of a token, and how it says so (RFC 6750, 3; RFC 9728, 5.1).
//!
//! Each challenge names the document that tells a client where to get a token, and all the scopes that the request
//! needs: if each challenge named one more, the client would ask the user each time.

use std::sync::Arc;

use crate::http::FieldValue;
use crate::oauth::client::Clients;
use crate::oauth::{Profile, ProtectedResource, Scope};
use crate::routes::demo;
use crate::routes::reply::resource_documents;
use crate::routes::site::Site;

/// The path of the MCP server, after the path of the issuer.
pub(crate) const PATH: &str = "/mcp";

/// The MCP server's requirements and challenges, made once.
pub(crate) struct McpServer {
    /// For every request.
    pub(crate) basic: Required,
    /// For a call of the tool that needs a second scope.
    pub(crate) wide: Required,
    /// The `WWW-Authenticate` for a request without a token.
    pub(crate) no_token: FieldValue,
    /// The `WWW-Authenticate` for a token that is not valid here.
    pub(crate) bad_token: FieldValue,
}

/// What one kind of request requires of a token.
pub(crate) struct Required {
    pub(crate) resource: Arc<ProtectedResource>,
    /// The `WWW-Authenticate` for a token with less scope.
    pub(crate) too_narrow: FieldValue,
}

impl McpServer {
    /// The server on `site`. Every request needs the first scope of the demo, and a call of the other tool the second,
    /// too; and by the rules of `profile` a token of one of `clients` that is for this server.
    pub(crate) fn new(site: &Site, clients: &Arc<Clients>, profile: &Profile) -> McpServer {
        let url = &site.url(PATH);
        let (origin, base) = (site.authorization_server(), site.base());
        let metadata = &format!("{origin}{}{base}{PATH}", resource_documents::PATH);
        let [(basic, _), (second, _)] = demo::SCOPES;
        let wide = format!("{basic} {second}");
        let resource = |scope: &str| {
            let scope = Scope::parse(scope).unwrap_or_default();
            Arc::new(ProtectedResource::at(url, clients, scope, profile))
        };
        let required = |scope: &str| Required {
            resource: resource(scope),
            too_narrow: challenge(
                "error=\"insufficient_scope\", error_description=\"the access token lacks a scope\", ",
                metadata,
                scope,
            ),
        };
        McpServer {
            basic: required(basic),
            wide: required(&wide),
            no_token: challenge("", metadata, basic),
            bad_token: challenge(
                "error=\"invalid_token\", error_description=\"the access token is wrong or has expired\", ",
                metadata,
                basic,
            ),
        }
    }
}

/// A challenge with these first parameters.
fn challenge(first: &str, metadata: &str, scope: &str) -> FieldValue {
    let text = format!("Bearer {first}resource_metadata=\"{metadata}\", scope=\"{scope}\"");
    // A URL of this server and a scope have no control byte, so the fallback is never taken.
    FieldValue::new(text).unwrap_or(FieldValue::literal("Bearer"))
}
