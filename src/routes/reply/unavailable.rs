//! Why there is a 503, and when to try again.
use crate::http::message::FieldValue;
use crate::store::{Applied, StoreError};

/// Why there is a 503, and after how many seconds trying again makes sense (RFC 9110, 10.2.3).
pub(crate) fn why_unavailable(applied: &Applied) -> (&'static str, FieldValue) {
    match applied {
        // Rounded up: before that, nothing expires.
        Err(error @ StoreError::Full { wait }) => {
            (error.as_str(), FieldValue::number(wait.as_millis().div_ceil(1000).max(1) as u64))
        }
        Err(error) => (error.as_str(), RETRY_AFTER),
        Ok(_) => ("the store gave an outcome that this transition cannot have", RETRY_AFTER),
    }
}

pub(crate) const NO_RANDOMNESS: &str = "the random number generator failed";

pub(crate) const RETRY_AFTER: FieldValue = FieldValue::literal("5");
