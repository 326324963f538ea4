//! HTTP/1.1 between bytes and messages (RFC 9110, RFC 9112): no socket, no clock, no OAuth.
//!
//! [`Connection`](connection::Connection) is one client's conversation. It is given the bytes that arrived
//! and gives back requests; it is given responses and gives back bytes to send. It never waits and never asks
//! the time: whoever drives it says what happened and when, and asks what is wanted next. So every test can
//! hand it a conversation cut into any pieces, at any pace, in no time at all.
//!
//! ```text
//! Idle ─▶ Head ─▶ Content ─▶ Answering ─▶ Idle    a request and its response
//! Answering ─▶ Head                               the next request was there before the response
//! Head ─▶ Idle                                    empty lines before a request line
//! Head ─▶ Refusing ─▶ Answering                   malformed, too long or too slow
//! Content ─▶ Refusing                             the same
//! Answering ─▶ Streaming ─▶ Idle                  a response without an end, and its end
//! Streaming ─▶ Head                               the next request was there before the end
//! Streaming ─▶ Closing                            the stream broke off, or was the last response
//! Answering ─▶ Closing ─▶ Lingering ─▶ Closed     the last response, and the time to read it
//! Idle ─▶ Closed                                  idle for too long
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
pub mod chunked;
pub mod connection;
mod date;
mod field;
pub mod form;
mod framing;
mod head;
mod limits;
mod refusal;
mod request;
mod response;
mod response_framing;
mod scan;
mod start_line;
mod stream;
mod syntax;
mod target;

pub use date::Date;
pub use field::{ControlByte, FieldLines, FieldValue, Repeated};
pub use limits::Limits;
pub use refusal::Refusal;
pub use request::Request;
pub use response::{Body, Response};
pub use start_line::{Method, Status, Version};
pub(crate) use syntax::trim_ows;
