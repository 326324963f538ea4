//! The JSON answers of the token and secure endpoints.

use std::borrow::Cow;

use crate::http::message::{Body, FieldLines, Response, Status};

/// The error name of RFC 6749 (5.2) and RFC 6750 (3.1) for a request that is not put right.
pub(super) const INVALID_REQUEST: &str = "invalid_request";

/// No cache may keep these answers (RFC 6749, 5.1), and no browser take them for a page.
const LINES: FieldLines = FieldLines::literal(
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Type: application/json\r\n",
);

/// The text of an error whose words stand in the source and need no escape in JSON: made by the compiler, for
/// the answers that are given most often.
macro_rules! error_text {
    ($message:literal, $error:literal, $description:literal) => {
        concat!(
            r#"{"error":""#,
            $error,
            r#"","error_description":""#,
            $description,
            r#"","message":""#,
            $message,
            r#""}"#
        )
    };
}

pub(super) use error_text;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_made_by_the_compiler_is_the_one_made_while_running() {
        let text = error_text!("Message", "error_name", "what was wrong; try again");
        let made = error(Status::BadRequest, "Message", "error_name", "what was wrong; try again");
        assert_eq!(text.as_bytes(), made.body());
    }
}
