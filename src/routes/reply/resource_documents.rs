//! The metadata documents of the resources on this server's origin (RFC 9728), by path.
//!
//! They are made once, from the configuration. The document of a resource elsewhere is for the operator to serve there:
//! `--print-resource-metadata` prints it.

use std::sync::Arc;

use crate::json::Object;
use crate::oauth::Resources;
use crate::oauth::resource::Resource;
use crate::routes::site::Site;

/// The path of the documents, before that of the resource (RFC 9728, 3.1).
pub(crate) const PATH: &str = "/.well-known/oauth-protected-resource";

/// The documents of the resources on this server's origin.
pub(crate) struct Documents {
    /// The path of each resource, without a slash at its end, and the document.
    by_path: Vec<(String, Arc<[u8]>)>,
    /// The document at the root, if only one resource is on this origin.
    only: Option<Arc<[u8]>>,
}

impl Documents {
    /// The documents of those of `resources` that are on the origin of `site`.
    pub(crate) fn new(site: &Site, resources: &Resources) -> Documents {
        let is_own = |resource: &&Resource| {
            resource.origin().is_some_and(|origin| site.is_own_origin(origin.to_string().as_bytes()))
        };
        let by_path: Vec<(String, Arc<[u8]>)> = (resources.iter().filter(is_own))
            .map(|resource| (resource.path().to_owned(), document(site.issuer(), resource).into_bytes().into()))
            .collect();
        let only = match &by_path[..] {
            [(_, only)] => Some(Arc::clone(only)),
            _ => None,
        };
        Documents { by_path, only }
    }

    /// The document at `path`, if there is one.
    pub(crate) fn find(&self, path: &[u8]) -> Option<&Arc<[u8]>> {
        let path = path.strip_prefix(PATH.as_bytes())?;
        let path = path.strip_suffix(b"/").unwrap_or(path);
        self.of_resource(path).or_else(|| self.only.as_ref().filter(|_| path.is_empty()))
    }

    /// The document of the resource with this `path`, without a slash at its end.
    pub(crate) fn of_resource(&self, path: &[u8]) -> Option<&Arc<[u8]>> {
        self.by_path.iter().find(|(own, _)| own.as_bytes() == path).map(|(_, document)| document)
    }
}

/// The address of the document of `resource`, which is on the origin of `site` (RFC 9728, 3.1).
pub(crate) fn url(site: &Site, resource: &Resource) -> String {
    format!("{}{PATH}{}", site.authorization_server(), resource.path())
}

/// The document of `resource`, whose tokens come from the authorization server `issuer` (RFC 9728, 2).
pub(crate) fn document(issuer: &str, resource: &Resource) -> String {
    // A way to get a refresh token is no concern of a resource, and a client would ask for it (OpenID Connect Core 1.0,
    // 11).
    let mut scopes = resource.scope().names().filter(|name| *name != "offline_access").peekable();
    let mut members = Object::default();
    members
        .text("resource", resource.uri())
        .texts("authorization_servers", [issuer])
        .texts("bearer_methods_supported", ["header"])
        .text("resource_name", resource.name());
    if scopes.peek().is_some() {
        members.texts("scopes_supported", scopes);
    }
    members.finish()
}
