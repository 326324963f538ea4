//! Cross-origin resource sharing, by hand (Fetch standard, 3.3).//!
//! A browser sends what a script of another origin asks for, but shows the script the answer only where the
//! answer says that it may. Before a request that no form could send, such as one with JSON in it, the browser
//! asks first: the preflight. The token and secure endpoints say yes to every origin, for what they give is
//! bought with a code or token in the request itself and never with a cookie that the browser adds. The code
//! endpoint says nothing at all: it acts on the strength of who is asking, and its only caller is the dialog.

use crate::http::message::{FieldLines, FieldValue, Response, Status};

/// What scripts of other origins may send to an endpoint.
pub(crate) struct Policy {
    /// The answer to a preflight: what may be sent, and for how many seconds the browser need not ask again.
    preflight: FieldLines,
}

/// `/token` and `/revoke` take a POST, whose content type may be JSON, and which may show a client's secret.
///
/// A script may send any field: tracing and other libraries add theirs, such as `traceparent`, and a refused
/// preflight would fail the request for it. That gives nothing away, for no cookie comes along.
/// Authorization is named because `*` does not cover it (Fetch standard, 3.3.3).
pub(crate) static POST: Policy = Policy {
    preflight: FieldLines::literal(
        "Access-Control-Allow-Methods: POST\r\n\
         Access-Control-Allow-Headers: *, authorization\r\n\
         Access-Control-Max-Age: 7200\r\n",
    ),
};

/// `/secure` takes a GET that shows its token; the metadata takes one that shows nothing, and so does what is not
/// there beside it.
pub(crate) static GET: Policy = Policy {
    preflight: FieldLines::literal(
        "Access-Control-Allow-Methods: GET, HEAD\r\n\
         Access-Control-Allow-Headers: *, authorization\r\n\
         Access-Control-Max-Age: 7200\r\n",
    ),
};

/// What every other answer of these endpoints says.
static ANY_ORIGIN: FieldLines = FieldLines::literal(
    "Access-Control-Allow-Origin: *\r\n\
     Access-Control-Expose-Headers: WWW-Authenticate, Retry-After\r\n",
);

/// The answer to a preflight.
pub(crate) fn preflight(policy: &Policy, allow: &'static str) -> Response {
    Response::new(Status::NoContent, policy.preflight.clone()).with("Allow", FieldValue::literal(allow))
}

/// `response` as scripts of any origin may read it, if the endpoint has a policy; errors too, or a script
/// would see that something failed and never what.
pub(crate) fn allow(response: Response, policy: Option<&Policy>) -> Response {
    match policy {
        Some(_) => response.with_policy(&ANY_ORIGIN),
        None => response,
    }
}
