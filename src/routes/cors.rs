//! Cross-origin resource sharing, by hand (Fetch standard, 3.3).
//!
//! A browser sends what a script of another origin asks for, but shows the script the answer only where the
//! answer says that it may. Before a request that no form could send, such as one with JSON in it, the browser
//! asks first: the preflight. The token and secure endpoints say yes to every origin, for what they give is
//! bought with a code or token in the request itself and never with a cookie that the browser adds. The code
//! endpoint says nothing at all: it acts on the strength of who is asking, and its only caller is the dialog.

use crate::http::message::{Response, Status};

/// What scripts of other origins may send to an endpoint.
#[derive(Clone, Copy)]
pub(super) struct Policy {
    methods: &'static str,
    request_headers: &'static str,
}

/// `/token` takes a POST whose content type is JSON, which no form can send.
pub(super) const TOKEN: Policy = Policy { methods: "POST", request_headers: "content-type" };

/// `/secure` takes a GET that shows its token.
pub(super) const SECURE: Policy = Policy { methods: "GET, HEAD", request_headers: "authorization" };

/// The answer to a preflight: what may be sent, and for how many seconds the browser need not ask again.
pub(super) fn preflight(policy: Policy, allow: &'static str) -> Response {
    Response::new(Status::NoContent)
        .with_literal("Access-Control-Allow-Methods", policy.methods)
        .with_literal("Access-Control-Allow-Headers", policy.request_headers)
        .with_literal("Access-Control-Max-Age", "7200")
        .with_literal("Allow", allow)
}

/// `response` as scripts of any origin may read it, if the endpoint has a policy; errors too, or a script
/// would see that something failed and never what.
pub(super) fn allow(response: Response, policy: Option<Policy>) -> Response {
    match policy {
        Some(_) => response
            .with_literal("Access-Control-Allow-Origin", "*")
            .with_literal("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After"),
        None => response,
    }
}
