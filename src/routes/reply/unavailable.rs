//! 503: the server cannot do at the moment what it can do later (RFC 9110, 15.6.4).

use super::error_response::{ErrorResponse, RETRY_AFTER, error};
use crate::http::{FieldValue, Response, Status};
use crate::store::{Applied, StoreError};

/// The reason, for the log, where the system gives no random bytes for a secret.
pub(crate) const NO_RANDOMNESS: &str = "the random number generator failed";

/// The error response for a transition that the store has not applied, with this `description` for the client.
pub(crate) fn unavailable(applied: &Applied, description: &'static str) -> Response {
    let (reason, retry_after) = why_unavailable(applied);
    error(Status::ServiceUnavailable, description, "temporarily_unavailable", description)
        .with("Retry-After", retry_after)
        .because(reason)
}

/// The error response where the system gives no random bytes, with this `description` for the client.
pub(crate) fn no_randomness(description: &'static str) -> ErrorResponse {
    ErrorResponse {
        status: Status::ServiceUnavailable,
        description: Some(description),
        ..ErrorResponse::new("temporarily_unavailable", NO_RANDOMNESS)
    }
}

/// Why there is a 503, and after how many seconds to retry (RFC 9110, 10.2.3).
pub(crate) fn why_unavailable(applied: &Applied) -> (&'static str, FieldValue) {
    match applied {
        // A full store has room again when a grant expires, and not before that: rounded up.
        Err(error @ StoreError::Full { wait }) => {
            (error.as_str(), FieldValue::number(wait.as_millis().div_ceil(1000).max(1) as u64))
        }
        Err(error) => (error.as_str(), RETRY_AFTER),
        Ok(_) => ("the store gave an impossible outcome", RETRY_AFTER),
    }
}
