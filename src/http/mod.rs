//! HTTP/1.1 between bytes and messages (RFC 9110, RFC 9112): no socket, no clock, no OAuth.
//!
//! [`Connection`](connection::Connection) is one client's conversation. It is given the bytes that arrived
//! and gives back requests; it is given responses and gives back bytes to send. It never waits and never asks
//! the time: whoever drives it says what happened and when, and asks what is wanted next. So every test can
//! hand it a conversation cut into any pieces, at any pace, in no time at all.
//!
//! ```text
//!              first byte                blank line              all of the content
//!   ┌──────┐ ───────────▶ ┌──────┐ ───────────────────▶ ┌──────┐ ──────────────────▶ ┌───────────┐
//!   │ idle │              │ head │                      │ body │                     │ answering │
//!   └──────┘ ◀──────┐     └──────┘                      └──────┘                     └───────────┘
//!     │ time-out,   │        │ malformed, too long, too slow │                             │
//!     │ end         │        ▼                               ▼                             │ response
//!     │             │     ┌─────────────────────────────────────┐                          │
//!     │             │     │ refused: 4xx or 5xx, then           │                          │
//!     │             │     │ lingering, until the client has     │                          │
//!     ▼             │     │ had its chance to read the answer   │                          │
//!   closed ◀────────┼──── └─────────────────────────────────────┘                          │
//!                   └──────────────── keep-alive; else closed ─────────────────────────────┘
//! ```
//!
//! What the codec promises:
//!
//! - a message means the same however its bytes were cut; a test cuts every case at every point;
//! - what was refused ends the connection: no byte after it is ever taken for a request, for that is how
//!   requests are smuggled past a proxy that reads the same bytes in another way;
//! - answers leave in the order of their requests;
//! - a response cannot be split, for a field value with a line break in it cannot be made;
//! - each connection holds a bounded number of bytes, in and out.
//!
//! What it refuses, though others let it pass: a bare LF as line end, a space before the colon, a continued
//! field line, any second Content-Length (equal or not), Content-Length beside Transfer-Encoding, any
//! transfer coding but `chunked`, a request without exactly one valid Host.

mod authority;
pub mod body;
pub mod connection;
pub mod date;
pub mod form;
pub mod head;
mod head_end;
mod limits;
pub mod message;
mod scan;

pub use limits::Limits;
use message::Status;

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
    pub(crate) const fn bad(reason: &'static str) -> Refusal {
        Refusal::new(Status::BadRequest, reason)
    }
}

/// Whether `byte` may stand in a token (RFC 9110, 5.6.2): a method, a field name, a transfer coding.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether the field name `name`, in whatever case, is `wanted`: letters in lower case, digits and hyphens.
pub(crate) fn is_name(name: &[u8], wanted: &str) -> bool {
    // Of the bytes that a token may have, only a letter becomes a letter by this bit, and only a digit or a
    // hyphen stays one.
    const LOWER: u8 = 0x20;
    let is_same = |(bytes, wanted): (&[u8; 8], &[u8; 8])| {
        u64::from_ne_bytes(*bytes) | u64::from_ne_bytes([LOWER; 8]) == u64::from_ne_bytes(*wanted)
    };
    let wanted = wanted.as_bytes();
    if name.len() != wanted.len() {
        return false;
    }
    // Eight at a time; the last eight may have been looked at in part.
    match (name.last_chunk(), wanted.last_chunk()) {
        (Some(name_end), Some(wanted_end)) => {
            let chunks = name.as_chunks().0.iter().zip(wanted.as_chunks().0);
            is_same((name_end, wanted_end)) && chunks.into_iter().all(is_same)
        }
        // Four are the only ones of the short names that every request has.
        _ => match (name, wanted) {
            ([a, b, c, d], [e, f, g, h]) => {
                u32::from_ne_bytes([*a, *b, *c, *d]) | u32::from_ne_bytes([LOWER; 4])
                    == u32::from_ne_bytes([*e, *f, *g, *h])
            }
            _ => name.iter().zip(wanted).all(|(byte, wanted)| byte | LOWER == *wanted),
        },
    }
}

/// Whether `byte` may stand in a field value (RFC 9110, 5.5): visible, space, tab, or beyond ASCII.
pub(crate) fn is_field_byte(byte: u8) -> bool {
    (byte == b'\t') | ((byte >= b' ') & (byte != 0x7f))
}

/// `bytes` without the spaces and tabs around it (OWS; RFC 9110, 5.6.3).
pub(crate) fn trim_ows(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}
