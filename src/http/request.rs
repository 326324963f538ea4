//! A complete request, as an application reads it.
//!
//! A [`Request`] borrows the connection's buffer, so nothing is copied. Only what the codec itself needs was
//! interpreted; everything else is bytes until a route asks for it.

use std::time::Instant;

use super::field::Repeated;
use super::head::{Head, Span};
use super::start_line::{Method, Version};

/// A complete request: its head and its content, both in the connection's buffer.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub(super) head: &'a Head,
    /// The bytes that the head's positions refer to.
    pub(super) bytes: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) since: Instant,
}

impl<'a> Request<'a> {
    /// The method.
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// When the end of its head arrived.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The version of HTTP that it was sent in.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The target's path, as sent, without decoding; `/` where the target has none. `*` refers to the server as a whole
    /// (RFC 9112, 3.2.4), and for CONNECT this is the whole target.
    pub fn path(&self) -> &'a str {
        match self.text(self.head.path) {
            "" => "/",
            path => path,
        }
    }

    /// The same as bytes: comparing is cheaper without validating UTF-8.
    pub fn path_bytes(&self) -> &'a [u8] {
        match self.head.path.of(self.bytes) {
            b"" => b"/",
            path => path,
        }
    }

    /// What follows the first `?` of the target, if there is one, without decoding.
    pub fn query(&self) -> Option<&'a str> {
        self.head.query.map(|span| self.text(span))
    }

    /// The host and port that the request is for: those of an absolute target, otherwise the Host field (RFC 9112,
    /// 3.2.2). Empty where an HTTP/1.0 request has neither.
    pub fn authority(&self) -> &'a str {
        self.text(self.head.authority)
    }

    /// The same as bytes.
    pub fn authority_bytes(&self) -> &'a [u8] {
        self.head.authority.of(self.bytes)
    }

    /// The values of all field lines named `name`, in the order in which they were sent, without surrounding
    /// whitespace. `name` must be in lower case; the request's names match in any case.
    pub fn fields(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.head.fields(self.bytes, name)
    }

    /// The value of the only field line named `name`, if there is one.
    ///
    /// # Errors
    /// [`Repeated`] when there are several. For a field that is not a list, parsers may pick different copies.
    #[inline(always)]
    pub fn field(&self, name: &'static str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut found = None;
        for value in self.fields(name) {
            if found.replace(value).is_some() {
                return Err(Repeated(name));
            }
        }
        Ok(found)
    }

    /// The content, decoded from its transfer coding.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// What was received after the request, which belongs to the next one.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.head.length + self.body.len()..).unwrap_or_default()
    }

    fn text(&self, span: Span) -> &'a str {
        // A head is refused unless its target and Host are visible ASCII, so this never falls back.
        std::str::from_utf8(span.of(self.bytes)).unwrap_or("")
    }
}
