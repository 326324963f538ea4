//! Why a request cannot be served: malformed, too large, too slow, or not implemented.

use super::start_line::Status;

/// A request that the codec refuses: the status of the response and the exact reason, for the client and the log. It
/// contains no byte of the request, so it cannot inject anything into either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the response, after which the connection is closed.
    pub status: Status,
    /// The reason, as text.
    pub reason: &'static str,
}

impl Refusal {
    /// A refusal with `status`, for `reason`.
    pub const fn new(status: Status, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }

    /// 400: the message violates the grammar or the framing rules (RFC 9112).
    pub(super) const fn bad_request(reason: &'static str) -> Refusal {
        Refusal::new(Status::BadRequest, reason)
    }
}

/// The content is longer than `body_bytes_max`.
pub(super) const CONTENT_TOO_LARGE: Refusal = Refusal::new(Status::ContentTooLarge, "the content is too large");
