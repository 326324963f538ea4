//! HTTP/1.1 as a codec: bytes to messages, and back (RFC 9110, RFC 9112).
//!
//! A [`Connection`](connection::Connection) takes the bytes that arrived and yields requests; it takes responses and
//! yields bytes to send. It has no socket and no clock, and it imports nothing of this project: the driver reports what
//! happened and when, and asks what to do next. So a test can cut the input at any byte and move the clock at will.
//!
//! The states of a connection ([`connection`] has the contract):
//!
//! ```text
//! Idle ─▶ Head ─▶ Content ─▶ Answering ─▶ Idle    a request and its response
//! Answering ─▶ Head                               the next request has begun to arrive
//! Head ─▶ Idle                                    only empty lines arrived
//! Head ─▶ Refusing ─▶ Answering                   malformed, too long or too slow
//! Content ─▶ Refusing                             the same
//! Answering ─▶ Streaming ─▶ Idle                  a response without an end
//! Streaming ─▶ Head                               the next request has begun to arrive
//! Streaming ─▶ Closing                            the stream breaks off, or was the last response
//! Answering ─▶ Closing ─▶ Lingering ─▶ Closed     the last response; input is discarded
//! Idle ─▶ Closed                                  idle for too long
//! ```
//!
//! The codec guarantees that
//!
//! - the same bytes are the same messages however they are cut; a test cuts every case at every byte;
//! - a refusal ends the connection, and no later byte is read as a request. Once the two sides disagree on where a
//!   message ends, the next "request" may be content that an attacker chose (request smuggling);
//! - responses are sent in the order of their requests;
//! - a response cannot be split, since a field value with a line break cannot be made;
//! - the input and output of a connection are bounded.
//!
//! It refuses what other servers accept: a bare LF as a line end, whitespace before a colon, a continuation line, a
//! second Content-Length (even an equal one), Content-Length with Transfer-Encoding, any transfer coding but `chunked`,
//! and an HTTP/1.1 request without exactly one valid Host. Others may read each of these in another way.

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
