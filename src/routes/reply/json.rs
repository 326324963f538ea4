//! Responses with JSON in them.

use std::borrow::Cow;

use crate::http::{Body, FieldLines, Response, Status};

/// No cache may keep these responses (RFC 6749, 5.1), and no browser may take one for a page.
const LINES: FieldLines = FieldLines::literal(
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n",
);

/// A response with `text`, which must be JSON.
pub(crate) fn response(status: Status, text: impl Into<Cow<'static, str>>) -> Response {
    let bytes = match text.into() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Response::new(status, LINES).with_body(Body::Own(bytes))
}
