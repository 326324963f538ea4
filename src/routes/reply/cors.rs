//! Cross-origin resource sharing, by hand (Fetch standard, 3.3).
//!
//! A browser lets a script of another origin send requests, but shows it the response only if the response allows that.
//! Before a request that no plain form could send, such as one with JSON, the browser asks first: the preflight.
//!
//! `/token`, `/secure` and their like allow every origin: what they give is bought with a code or token in the request
//! itself, and never with a cookie that the browser adds. `/code` allows none: it acts on the authority of the person
//! in front of the browser, and its only legitimate sender is the dialog.

use crate::http::{FieldLines, FieldValue, Request, Response, Status};

/// What scripts of other origins may send to an endpoint.
pub(crate) struct Policy {
    /// The field lines of the response to a preflight. Browsers keep it for Max-Age seconds.
    preflight: FieldLines,
}

/// For `/token`, `/revoke`, `/register` and `/mcp`: POST, with any content type.
///
/// Any field is allowed, since libraries add their own, such as `traceparent`, and a refused preflight would fail the
/// whole request. This is harmless without cookies. Authorization is named because `*` does not cover it (Fetch
/// standard, 3.3.3).
pub(crate) static POST: Policy = Policy {
    preflight: FieldLines::literal(
        "Access-Control-Allow-Methods: POST\r\n\
         Access-Control-Allow-Headers: *, authorization\r\n\
         Access-Control-Max-Age: 7200\r\n",
    ),
};

/// For `/secure`, the metadata, and paths like the metadata's that do not exist.
pub(crate) static GET: Policy = Policy {
    preflight: FieldLines::literal(
        "Access-Control-Allow-Methods: GET, HEAD\r\n\
         Access-Control-Allow-Headers: *, authorization\r\n\
         Access-Control-Max-Age: 7200\r\n",
    ),
};

/// The field lines of every other response of these endpoints. No response here has an MCP-Session-Id; MCP clients in
/// browsers look for it, and some fail where they may not.
static ANY_ORIGIN: FieldLines = FieldLines::literal(
    "Access-Control-Allow-Origin: *\r\n\
     Access-Control-Expose-Headers: WWW-Authenticate, Retry-After, MCP-Session-Id\r\n",
);

/// The field lines of a response that scripts of every origin may read, cookies and all.
static WITH_COOKIES: FieldLines = FieldLines::literal(
    "Access-Control-Allow-Credentials: true\r\n\
     Access-Control-Expose-Headers: WWW-Authenticate, Retry-After\r\n\
     Vary: Origin\r\n",
);

/// The response to a preflight.
pub(crate) fn preflight(policy: &Policy, allow: &'static str) -> Response {
    Response::new(Status::NoContent, policy.preflight.clone()).with("Allow", FieldValue::literal(allow))
}

/// Lets scripts of any origin read `response`, if the endpoint has a policy. Errors too: otherwise a script would see
/// that something failed, and never what.
pub(crate) fn allow(response: Response, policy: Option<&Policy>) -> Response {
    match policy {
        Some(_) => response.with_policy(&ANY_ORIGIN),
        None => response,
    }
}

/// Lets scripts of the origin that asks read `response` to a request with the browser's cookies: the mistake of a
/// server without [`cookieless_cors`](crate::oauth::Profile::cookieless_cors). `*` would not do, since browsers refuse
/// it for such requests.
pub(crate) fn allow_with_cookies(response: Response, request: &Request) -> Response {
    let origin = request.field("origin").ok().flatten().and_then(|origin| std::str::from_utf8(origin).ok());
    match origin.map(|origin| FieldValue::new(origin.to_owned())) {
        Some(Ok(origin)) => response.with_policy(&WITH_COOKIES).with("Access-Control-Allow-Origin", origin),
        _ => response,
    }
}
