//! Requests that cannot be served because of how they are written.

use super::start_line::Status;

/// A request that cannot be served because of how it is written: the status that answers it and the exact
/// reason, which the client and the log both get to read. It holds no byte of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer, after which the connection is closed.
    pub status: Status,
    /// What was wrong, in words.
    pub reason: &'static str,
}

impl Refusal {
    /// A refusal with `status`, for `reason`.
    pub const fn new(status: Status, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }

    /// 400: the message does not follow the grammar or the framing rules (RFC 9112).
    pub(super) const fn bad(reason: &'static str) -> Refusal {
        Refusal::new(Status::BadRequest, reason)
    }
}

/// More content than `body_bytes_max`.
pub(super) const CONTENT_TOO_LARGE: Refusal = Refusal::new(Status::ContentTooLarge, "the content is too large");
