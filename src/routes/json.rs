//! The JSON answers of the token and secure endpoints.

use std::borrow::Cow;

use crate::http::message::{Body, FieldLines, Response, Status};

/// The error name of RFC 6749 (5.2) and RFC 6750 (3.1) for a request that is not put right.
pub(super) const INVALID_REQUEST: &str = "invalid_request";

/// No cache may keep these answers (RFC 6749, 5.1), and no browser take them for a page.
const LINES: FieldLines = FieldLines::literal(
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n",
);

/// `text`, a JSON value, as an answer.
pub(super) fn answer(status: Status, text: impl Into<Cow<'static, str>>) -> Response {
    let bytes = match text.into() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Response::new(status, LINES).with_body(Body::Own(bytes))
}

/// An error with the article's `message`, and with `error` and `error_description` as the standards name them.
pub(super) fn error(status: Status, message: &str, error: &str, description: &str) -> Response {
    let mut text = Vec::with_capacity(256);
    let members =
        [("{\"error\":", error), (",\"error_description\":", description), (",\"message\":", message)];
    for (name, value) in members {
        text.extend_from_slice(name.as_bytes());
        // A string always has a form in JSON, and a Vec always takes it.
        let _ = serde_json::to_writer(&mut text, value);
    }
    text.push(b'}');
    Response::new(status, LINES).with_body(Body::Own(text.into()))
}
