//! The JSON answers of the token and secure endpoints.

use std::borrow::Cow;

use crate::http::message::{Body, Response, Status};

/// The error name of RFC 6749 (5.2) and RFC 6750 (3.1) for a request that is not put right.
pub(super) const INVALID_REQUEST: &str = "invalid_request";

/// `text`, a JSON value, as an answer that no cache may keep (RFC 6749, 5.1) and no browser take for a page.
pub(super) fn answer(status: Status, text: String) -> Response {
    Response::new(status)
        .with_literal("Cache-Control", "no-store")
        .with_literal("X-Content-Type-Options", "nosniff")
        .with_body("application/json", Body::Own(Cow::Owned(text.into_bytes())))
}

/// An error with the article's `message`, and with `error` and `error_description` as the standards name them.
pub(super) fn error(status: Status, message: &str, error: &str, description: &str) -> Response {
    let members = serde_json::json!({
        "message": message,
        "error": error,
        "error_description": description,
    });
    answer(status, members.to_string())
}
