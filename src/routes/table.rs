//! The map: every path of both servers, with its methods, what scripts of other origins may do there, and its endpoint.
//!
//! What is not in it is 404, and a method that a path does not have is 405 with an `Allow`.

use super::endpoint::asset::serve;
use super::endpoint::code;
use super::endpoint::dialog;
use super::endpoint::health;
use super::endpoint::introspect;
use super::endpoint::metadata;
use super::endpoint::revoke;
use super::endpoint::secure;
use super::endpoint::token;
use super::reply::assets::Asset;
use super::reply::cors;
use super::site::Role;
use super::step::Endpoint;
use crate::http::message::Method;

/// One row of the map.
pub(super) struct Route {
    pub(super) role: Role,
    pub(super) path: &'static str,
    pub(super) methods: &'static [Method],
    /// The same methods, as the Allow field has them (RFC 9110, 10.2.1).
    pub(super) allow: &'static str,
    /// What other origins' scripts may do here; `None` where they may not even read the answer.
    pub(super) cors: Option<&'static cors::Policy>,
    /// The form of the errors that are not the endpoint's own, such as a body that is too large.
    pub(super) errors: Errors,
    pub(super) endpoint: Endpoint,
}

/// Whom an endpoint's errors are for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Errors {
    /// People: a page.
    Page,
    /// Programs: JSON.
    Json,
}

/// Every path of both servers; searched from the top, so what is asked for most comes first.
const TABLE: &[Route] = &[
    page(Role::AuthorizationServer, "/oauth-dialog.html", dialog::show),
    page(Role::AuthorizationServer, "/authorize", dialog::show),
    Route { errors: Errors::Page, ..post("/code", None, code::issue) },
    post("/token", Some(&cors::POST), token::exchange),
    get("/secure", Some(&cors::GET), secure::check),
    post("/revoke", Some(&cors::POST), revoke::revoke),
    post("/introspect", None, introspect::inspect),
    get(metadata::PATH, Some(&cors::GET), metadata::show),
    get("/healthz", None, health::alive),
    get("/readyz", None, health::ready),
    page(Role::ClientApp, "/", |context| serve(context, Asset::ClientApp)),
    page(Role::ClientApp, "/index.html", |context| serve(context, Asset::ClientApp)),
    page(Role::ClientApp, "/oauth-callback.html", |context| serve(context, Asset::Callback)),
    page(Role::ClientApp, "/client-app.js", |context| serve(context, Asset::ClientAppScript)),
    page(Role::ClientApp, "/popup.js", |context| serve(context, Asset::PopupScript)),
    page(Role::ClientApp, "/style.css", |context| serve(context, Asset::Style)),
    page(Role::ClientApp, "/icon.svg", |context| serve(context, Asset::Icon)),
    page(Role::AuthorizationServer, "/", |context| serve(context, Asset::Welcome)),
    page(Role::AuthorizationServer, "/index.html", |context| serve(context, Asset::Welcome)),
    page(Role::AuthorizationServer, "/dialog.js", |context| serve(context, Asset::DialogScript)),
    page(Role::AuthorizationServer, "/style.css", |context| serve(context, Asset::Style)),
    page(Role::AuthorizationServer, "/icon.svg", |context| serve(context, Asset::Icon)),
];

/// A page, script or picture to GET.
const fn page(role: Role, path: &'static str, endpoint: Endpoint) -> Route {
    let methods = &[Method::Get, Method::Head];
    Route { role, path, methods, allow: "GET, HEAD", cors: None, errors: Errors::Page, endpoint }
}

/// An endpoint of the authorization server for programs to GET from.
const fn get(path: &'static str, cors: Option<&'static cors::Policy>, endpoint: Endpoint) -> Route {
    let (methods, allow): (&[Method], _) = match cors {
        Some(_) => (&[Method::Get, Method::Head, Method::Options], "GET, HEAD, OPTIONS"),
        None => (&[Method::Get, Method::Head], "GET, HEAD"),
    };
    Route { role: Role::AuthorizationServer, path, methods, allow, cors, errors: Errors::Json, endpoint }
}

/// An endpoint of the authorization server for programs to POST to.
const fn post(path: &'static str, cors: Option<&'static cors::Policy>, endpoint: Endpoint) -> Route {
    let (methods, allow): (&[Method], _) = match cors {
        Some(_) => (&[Method::Post, Method::Options], "POST, OPTIONS"),
        None => (&[Method::Post], "POST"),
    };
    Route { role: Role::AuthorizationServer, path, methods, allow, cors, errors: Errors::Json, endpoint }
}

/// The line of the map for `path`, as it stands there or behind the issuer's own path.
pub(super) fn find(base: &str, role: Role, path: &[u8]) -> Option<&'static Route> {
    let base = base.as_bytes();
    let found = TABLE.iter().find(|route| route.role == role && route.path.as_bytes() == path);
    if found.is_some() || base.is_empty() {
        return found;
    }
    // The path of the metadata comes before the issuer's own (RFC 8414, 3.1), all others after it.
    let inner = path.strip_prefix(base).filter(|inner| inner.starts_with(b"/"));
    let inner = inner.or_else(|| path.strip_suffix(base).filter(|path| *path == metadata::PATH.as_bytes()))?;
    TABLE.iter().find(|route| route.role == role && route.path.as_bytes() == inner)
}

/// What other origins' scripts may do where there is nothing. Clients look below `/.well-known/` for documents
/// of several standards (RFC 8615): they are to see that one is not there, and no failure of the network.
pub(super) fn cors_outside(base: &str, role: Role, path: &[u8]) -> Option<&'static cors::Policy> {
    const WELL_KNOWN: &[u8] = b"/.well-known/";
    let inner = path.strip_prefix(base.as_bytes()).unwrap_or(path);
    let is_well_known = path.starts_with(WELL_KNOWN) || inner.starts_with(WELL_KNOWN);
    (role == Role::AuthorizationServer && is_well_known).then_some(&cors::GET)
}
