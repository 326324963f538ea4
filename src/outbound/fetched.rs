//! What a fetch comes to: a document, or the reason why there is none.

use std::fmt;
use std::io;
use std::time::Duration;

use super::tls;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes. They claim to be JSON.
    pub content: Vec<u8>,
    /// For how long its server calls it fresh (RFC 9111, 4.2); `None` if it says nothing about that.
    pub fresh_for: Option<Duration>,
}

/// Why there is no document. Prints as the reason, without any text of the other server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The name could not be resolved.
    Unresolved,
    /// The name has an address that is not on the public internet.
    ForbiddenAddress,
    /// No connection to any of its addresses.
    Unreachable,
    /// The time is over.
    TimedOut,
    /// The connection broke.
    Broken,
    /// The server did not prove that it has its name, or does not speak TLS.
    Tls(&'static str),
    /// The status is not 200.
    Status(u16),
    /// The content is not JSON by its type.
    NotJson,
    /// The content is too large.
    TooLarge,
    /// The response violates HTTP.
    Malformed(&'static str),
}

impl FetchError {
    /// Whether the server was not reached, so that nothing is known about the document.
    pub fn is_of_network(self) -> bool {
        matches!(
            self,
            FetchError::Unresolved | FetchError::Unreachable | FetchError::TimedOut | FetchError::Broken
        )
    }

    /// Whether the server says that there is no such document.
    pub fn is_final(self) -> bool {
        matches!(self, FetchError::Status(404 | 410))
    }

    /// The reason why a read or a write has failed.
    pub(super) fn of_io(error: &io::Error) -> FetchError {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => FetchError::TimedOut,
            _ => tls::reason(error).map_or(FetchError::Broken, FetchError::Tls),
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Unresolved => f.write_str("the name of its host cannot be resolved"),
            FetchError::ForbiddenAddress => {
                f.write_str("its host has an address that is not on the public internet")
            }
            FetchError::Unreachable => f.write_str("its host cannot be connected to"),
            FetchError::TimedOut => f.write_str("its host did not answer in time"),
            FetchError::Broken => f.write_str("the connection to its host broke"),
            FetchError::Tls(reason) => f.write_str(reason),
            FetchError::Status(status @ 300..=399) => {
                write!(f, "its host answered {status}, and redirects are not followed")
            }
            FetchError::Status(status) => write!(f, "its host answered {status} instead of 200"),
            FetchError::NotJson => {
                f.write_str("its Content-Type is not application/json or application/…+json")
            }
            FetchError::TooLarge => f.write_str("it is too large"),
            FetchError::Malformed(reason) => f.write_str(reason),
        }
    }
}
