//! The demo's client: the client app that this program serves itself.

use std::sync::Arc;

use crate::oauth::Scope;
use crate::oauth::client::{Client, ClientOrigin, GrantTypes};
use crate::oauth::redirect::RedirectUri;
use crate::oauth::resource::{DefaultResource, Resource};

/// The `client_id` of the demo's client.
pub const CLIENT_ID: &str = "oauth-test-app";

/// The scopes of the demo, each with its sentence. Its client may request those that are configured; the client app's
/// script requests the first.
pub const SCOPES: [(&str, &str); 2] =
    [("answer", "Read the secret answer."), ("question", "Read the question to it, should anyone find it.")];

/// The demo's resource: the MCP server at `url`. It knows those of the demo's scopes that are among `scopes`.
pub(super) fn resource(url: &str, scopes: &[(Arc<str>, String)]) -> Option<Resource> {
    // Never `None`: the address of this server is a URI.
    Resource::new(url, "Demo MCP server", scope(scopes)).ok()
}

/// The demo's client, whose codes go to `redirect_uri`. It may have those of its scopes that are among `scopes`.
pub(super) fn client(scopes: &[(Arc<str>, String)], redirect_uri: &str) -> Client {
    Client {
        id: CLIENT_ID.into(),
        origin: ClientOrigin::Demo,
        name: "OAuth Test App".to_owned(),
        redirect_uris: vec![RedirectUri::of_client_app(redirect_uri)],
        secret: None,
        grant_types: GrantTypes { authorization_code: true, refresh_token: true, client_credentials: false },
        scope: scope(scopes),
        default_scope: None,
        inspects_all: false,
        // Its requests are the article's, whose token opens /secure.
        default_resource: DefaultResource::Nothing,
    }
}

/// Those of the demo's scopes that are among `scopes`.
fn scope(scopes: &[(Arc<str>, String)]) -> Scope {
    let is_demos = |name: &&str| SCOPES.iter().any(|(demos, _)| demos == name);
    let names: Vec<&str> = scopes.iter().map(|(name, _)| &**name).filter(is_demos).collect();
    Scope::parse(&names.join(" ")).unwrap_or_default()
}
