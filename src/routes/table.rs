//! The map: every path of both servers, with its methods, its policy towards other origins, and its endpoint.
//!
//! A path that is not in it is 404, and so is one whose feature the configuration does not have. A method that a path
//! does not have is 405, with an `Allow` that says which it has.

use super::endpoint::asset::serve;
#[cfg(feature = "docs")]
use super::endpoint::document;
use super::endpoint::{code, dialog, health, introspect, metadata, resource_metadata, revoke, secure, token};
#[cfg(feature = "mcp")]
use super::endpoint::{mcp, register};
use super::reply::assets::Asset;
use super::reply::cors;
#[cfg(feature = "docs")]
use super::reply::documents;
use super::reply::resource_documents;
#[cfg(feature = "mcp")]
use super::route::Feature;
use super::route::{Errors, Route, get, page, post};
use super::site::Role;

/// Every path of both servers. Searched from the top: the endpoints of the flow first, then the pages.
const TABLE: &[Route] = &[
    page(Role::AuthorizationServer, "/oauth-dialog.html", dialog::show),
    page(Role::AuthorizationServer, "/authorize", dialog::show),
    Route { errors: Errors::Page, ..post("/code", None, code::decide) },
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
    page(Role::ClientApp, "/report.js", |context| serve(context, Asset::ReportScript)),
    page(Role::ClientApp, "/steps.js", |context| serve(context, Asset::StepsScript)),
    #[cfg(feature = "docs")]
    page(Role::ClientApp, "/document.css", |context| serve(context, Asset::DocumentStyle)),
    page(Role::ClientApp, "/style.css", |context| serve(context, Asset::Style)),
    page(Role::ClientApp, "/icon.svg", |context| serve(context, Asset::Icon)),
    page(Role::AuthorizationServer, "/", |context| serve(context, Asset::Welcome)),
    page(Role::AuthorizationServer, "/index.html", |context| serve(context, Asset::Welcome)),
    page(Role::AuthorizationServer, "/dialog.js", |context| serve(context, Asset::DialogScript)),
    page(Role::AuthorizationServer, "/style.css", |context| serve(context, Asset::Style)),
    page(Role::AuthorizationServer, "/icon.svg", |context| serve(context, Asset::Icon)),
];

/// The routes of optional features.
const OPTIONAL: &[&[Route]] = &[
    #[cfg(feature = "mcp")]
    &[
        Route { feature: Some(Feature::Mcp), ..post(mcp::PATH, Some(&cors::POST), mcp::post) },
        Route {
            feature: Some(Feature::Registration),
            ..post("/register", Some(&cors::POST), register::register)
        },
    ],
    #[cfg(feature = "lab")]
    super::endpoint::rules::ROWS,
    #[cfg(feature = "lab")]
    super::endpoint::caught::ROWS,
    #[cfg(feature = "wire")]
    super::endpoint::wire::OF_CLIENT_APP,
    #[cfg(feature = "wire")]
    super::endpoint::wire::OF_AUTHORIZATION_SERVER,
];

/// The row of all documents and their pictures.
#[cfg(feature = "docs")]
const DOCUMENTS: Route = page(Role::ClientApp, "/docs", document::serve);

/// The row of every document about a resource (`reply/resource_documents.rs`). The path is that of the root.
pub(super) static RESOURCE_METADATA: Route =
    get(resource_documents::PATH, Some(&cors::GET), resource_metadata::show);

/// The row of the server's own document at the path of a resource: for clients before MCP 2025-06-18, which take the
/// resource's address for that of the server.
pub(super) static METADATA_FOR_RESOURCE: Route = get(metadata::PATH, Some(&cors::GET), metadata::show);

/// The row for `path`, with or without `base`, the path of the issuer. Proxies differ in whether they strip it.
pub(super) fn find(base: &str, role: Role, path: &[u8]) -> Option<&'static Route> {
    let base = base.as_bytes();
    let found = row(role, path);
    if found.is_some() || base.is_empty() {
        return found;
    }
    // The metadata's path comes before the issuer's (RFC 8414, 3.1), all others after it.
    let inner = path.strip_prefix(base).filter(|inner| inner.starts_with(b"/"));
    let inner = inner.or_else(|| path.strip_suffix(base).filter(|path| *path == metadata::PATH.as_bytes()))?;
    row(role, inner)
}

/// The policy towards other origins for a `path` that is not in the table.
///
/// Clients probe `/.well-known/` for the documents of several standards (RFC 8615). They should see a 404 there;
/// without CORS a script would see a network failure instead.
pub(super) fn cors_outside(base: &str, role: Role, path: &[u8]) -> Option<&'static cors::Policy> {
    const WELL_KNOWN: &[u8] = b"/.well-known/";
    let inner = path.strip_prefix(base.as_bytes()).unwrap_or(path);
    let is_well_known = path.starts_with(WELL_KNOWN) || inner.starts_with(WELL_KNOWN);
    (role == Role::AuthorizationServer && is_well_known).then_some(&cors::GET)
}

/// The row of `role` for exactly this path.
fn row(role: Role, path: &[u8]) -> Option<&'static Route> {
    let is_it = |route: &&Route| route.role == role && route.path.as_bytes() == path;
    let found = TABLE.iter().find(is_it).or_else(|| OPTIONAL.iter().copied().flatten().find(is_it));
    #[cfg(feature = "docs")]
    let found = found.or_else(|| {
        let is_document = role == Role::ClientApp && documents::find(path).is_some();
        is_document.then_some(&DOCUMENTS)
    });
    #[cfg(test)]
    let found = found.or_else(|| Some(&TEST).filter(is_it));
    found
}

/// An extra route for unit tests.
#[cfg(test)]
static TEST: Route = get(super::test_stream::PATH, Some(&cors::GET), super::test_stream::show);
