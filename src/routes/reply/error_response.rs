//! Error responses for programs: `error` and `error_description` as the standards have them (RFC 6749, 5.2; RFC 6750,
//! 3.1), with the article's `message` beside them.
//!
//! Each has an exact reason for the log. The description for the client can be more general, since the difference
//! between an unknown code and an expired one helps an attacker.

use std::borrow::Cow;

use super::json;
use crate::http::{FieldValue, Response, Status};

/// The error code for a malformed request (RFC 6749, 5.2; RFC 6750, 3.1).
pub(crate) const INVALID_REQUEST: &str = "invalid_request";

/// The Retry-After of a 503 if nothing better is known. Most outages of a store last a few seconds.
pub(crate) const RETRY_AFTER: FieldValue = FieldValue::literal("5");

/// The JSON of an error as a constant, for the most frequent ones. The words must need no escaping.
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

pub(crate) use error_text;

/// An error, with what the log and the client get.
pub(crate) struct ErrorResponse {
    pub(crate) status: Status,
    /// The error code (RFC 6749, 5.2).
    pub(crate) error: &'static str,
    /// The exact reason, for the log.
    pub(crate) reason: Cow<'static, str>,
    /// The description for the client; `None` for the reason itself.
    pub(crate) description: Option<&'static str>,
    /// The article's `message`; `None` for the description.
    pub(crate) message: Option<&'static str>,
    /// The `WWW-Authenticate` of a 401.
    pub(crate) challenge: Option<FieldValue>,
    /// The `Retry-After`, in seconds; `None` for [`RETRY_AFTER`] if the status is 503.
    pub(crate) retry_after: Option<u64>,
}

impl ErrorResponse {
    /// A 400 whose reason is no secret: it is also the description.
    pub(crate) fn new(error: &'static str, reason: impl Into<Cow<'static, str>>) -> ErrorResponse {
        let (status, reason) = (Status::BadRequest, reason.into());
        ErrorResponse {
            status,
            error,
            reason,
            description: None,
            message: None,
            challenge: None,
            retry_after: None,
        }
    }

    /// A malformed request.
    pub(crate) fn invalid_request(reason: impl Into<Cow<'static, str>>) -> ErrorResponse {
        ErrorResponse::new(INVALID_REQUEST, reason)
    }

    /// The response to the client, with the reason for the log.
    pub(crate) fn into_response(self) -> Response {
        let description = self.description.unwrap_or(&self.reason);
        let response = error(self.status, self.message.unwrap_or(description), self.error, description);
        let response = match self.challenge {
            Some(challenge) => response.with("WWW-Authenticate", challenge),
            None => response,
        };
        let response = match (self.retry_after, self.status) {
            (Some(seconds), _) => response.with("Retry-After", FieldValue::number(seconds)),
            (None, Status::ServiceUnavailable) => response.with("Retry-After", RETRY_AFTER),
            _ => response,
        };
        response.because(self.reason)
    }
}

/// Restricts `text` to the characters of an `error_description`: printable ASCII without `"` and `\` (RFC 6749, 5.2).
pub(crate) fn describe(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\');
    // No early exit, so that the compiler checks many bytes at a time.
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return Cow::Borrowed(text);
    }
    let plain = |character: char| match character {
        '"' => '\'',
        character if character.is_ascii() && is_plain(character as u8) => character,
        _ => '?',
    };
    Cow::Owned(text.chars().map(plain).collect())
}

/// The response for an error without a reason or further fields.
pub(crate) fn error(status: Status, message: &str, error: &str, description: &str) -> Response {
    // Nothing that is left after this needs escaping in JSON.
    let (message, description) = (describe(message), describe(description));
    let parts = [
        r#"{"error":""#,
        error,
        r#"","error_description":""#,
        &description,
        r#"","message":""#,
        &message,
        r#""}"#,
    ];
    json::response(status, parts.concat())
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

    #[test]
    fn a_description_has_only_the_characters_that_the_rfc_allows() {
        let check = |text: &str, expected: &str| assert_eq!(describe(text), expected);
        check("plain text, it's ~fine~", "plain text, it's ~fine~");
        check("a \"b\" \\ c", "a 'b' ? c");
        check("a\r\n\u{0}\u{7f}\u{e9}", "a?????");
    }
}
