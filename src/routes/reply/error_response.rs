//! Error responses as the standards have them (RFC 6749, 5.2; RFC 6750, 3.1), with the article's `message`.

use std::borrow::Cow;

use super::json;
use crate::http::message::{FieldValue, Response, Status};

/// The error name of RFC 6749 (5.2) and RFC 6750 (3.1) for a request that is not put right.
pub(crate) const INVALID_REQUEST: &str = "invalid_request";

/// When to retry where nothing better is known: most outages of a store are over in a few seconds.
pub(crate) const RETRY_AFTER: FieldValue = FieldValue::literal("5");

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

pub(crate) use error_text;

/// Why a request is refused, in the words of the standards.
pub(crate) struct ErrorResponse {
    /// The status of the answer.
    pub(crate) status: Status,
    /// The name of the error (RFC 6749, 5.2).
    pub(crate) error: &'static str,
    /// The exact reason, for the log.
    pub(crate) reason: Cow<'static, str>,
    /// What the client is told of it; `None` for the reason itself.
    pub(crate) description: Option<&'static str>,
    /// The article's `message`; `None` for the description.
    pub(crate) message: Option<&'static str>,
    /// What would do, in the answer's `WWW-Authenticate`.
    pub(crate) challenge: Option<FieldValue>,
    /// After how many seconds trying again makes sense; for a 503, `None` is for the usual few.
    pub(crate) retry_after: Option<u64>,
}

impl ErrorResponse {
    /// A refusal with 400 that tells its reason, which is nobody's secret.
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

    /// A request that is not put right (RFC 6749, 5.2).
    pub(crate) fn invalid_request(reason: impl Into<Cow<'static, str>>) -> ErrorResponse {
        ErrorResponse::new(INVALID_REQUEST, reason)
    }

    /// The answer to the client.
    pub(crate) fn into_response(self) -> Response {
        let description = self.description.unwrap_or(&self.reason);
        let answer = error(self.status, self.message.unwrap_or(description), self.error, description);
        let answer = match self.challenge {
            Some(challenge) => answer.with("WWW-Authenticate", challenge),
            None => answer,
        };
        let answer = match (self.retry_after, self.status) {
            (Some(seconds), _) => answer.with("Retry-After", FieldValue::number(seconds)),
            (None, Status::ServiceUnavailable) => answer.with("Retry-After", RETRY_AFTER),
            _ => answer,
        };
        answer.because(self.reason)
    }
}

/// `text` as an `error_description` may have it: printable ASCII without `"` and `\` (RFC 6749, 5.2).
pub(crate) fn describe(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\');
    // Without a branch for each byte, they are looked at many at a time.
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

/// An error with the article's `message`, and with `error` and `error_description` as the standards name them.
pub(crate) fn error(status: Status, message: &str, error: &str, description: &str) -> Response {
    // In plain text there is nothing that JSON would escape.
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
    fn a_description_is_printable_ascii_without_quotation_marks_and_backslashes() {
        let check = |text: &str, expected: &str| assert_eq!(describe(text), expected);
        check("plain text, it's ~fine~", "plain text, it's ~fine~");
        check("a \"b\" \\ c", "a 'b' ? c");
        check("a\r\n\u{0}\u{7f}\u{e9}", "a?????");
    }
}
