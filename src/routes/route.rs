//! One row of the table of paths, and how the usual ones are made.

use super::reply::cors;
use super::site::Role;
use super::step::Endpoint;
use crate::http::Method;

/// One row of the table.
pub(crate) struct Route {
    pub(crate) role: Role,
    pub(crate) path: &'static str,
    pub(crate) methods: &'static [Method],
    /// The same methods, as the value of an Allow field (RFC 9110, 10.2.1).
    pub(crate) allow: &'static str,
    /// What scripts of other origins may send; `None` where they may not even read the response.
    pub(crate) cors: Option<&'static cors::Policy>,
    /// The form of the errors that the endpoint does not make itself, such as 405, or 413 for a large body.
    pub(crate) errors: Errors,
    /// What the configuration must have for this path to be there; `None` where it always is.
    pub(crate) feature: Option<Feature>,
    pub(crate) endpoint: Endpoint,
}

/// What a configuration may have or not.
#[derive(Clone, Copy)]
pub(crate) enum Feature {
    /// The demo's MCP server.
    Mcp,
    /// Clients may register themselves.
    Registration,
    /// The wire view.
    Wire,
}

/// Who reads an endpoint's errors.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Errors {
    /// A person in front of a browser.
    Page,
    /// A program.
    Json,
}

/// A page, script or picture to GET.
pub(crate) const fn page(role: Role, path: &'static str, endpoint: Endpoint) -> Route {
    let methods = &[Method::Get, Method::Head];
    Route { role, path, methods, allow: "GET, HEAD", cors: None, errors: Errors::Page, feature: None, endpoint }
}

/// An endpoint of the authorization server for programs to GET from.
pub(crate) const fn get(path: &'static str, cors: Option<&'static cors::Policy>, endpoint: Endpoint) -> Route {
    let (methods, allow): (&[Method], _) = match cors {
        Some(_) => (&[Method::Get, Method::Head, Method::Options], "GET, HEAD, OPTIONS"),
        None => (&[Method::Get, Method::Head], "GET, HEAD"),
    };
    Route { methods, allow, cors, ..for_programs(path, endpoint) }
}

/// An endpoint of the authorization server for programs to POST to.
pub(crate) const fn post(path: &'static str, cors: Option<&'static cors::Policy>, endpoint: Endpoint) -> Route {
    let (methods, allow): (&[Method], _) = match cors {
        Some(_) => (&[Method::Post, Method::Options], "POST, OPTIONS"),
        None => (&[Method::Post], "POST"),
    };
    Route { methods, allow, cors, ..for_programs(path, endpoint) }
}

/// An endpoint of the authorization server for programs, without any method yet.
const fn for_programs(path: &'static str, endpoint: Endpoint) -> Route {
    Route {
        role: Role::AuthorizationServer,
        path,
        methods: &[],
        allow: "",
        cors: None,
        errors: Errors::Json,
        feature: None,
        endpoint,
    }
}
