//! Requests, as routes read them.
//!
//! A [`Request`] borrows the connection's buffer: reading one copies nothing.

use std::time::Instant;

use super::field::Repeated;
use super::head::{Head, Span};
use super::start_line::{Method, Version};

/// A whole request: its head and its content, both in the connection's buffer.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub(super) head: &'a Head,
    /// The bytes that the head's positions point into.
    pub(super) bytes: &'a [u8],
    pub(super) body: &'a [u8],
    /// When its head was whole.
    pub(super) since: Instant,
}

impl<'a> Request<'a> {
    /// What is to be done.
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// When its head was whole.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The version it was sent in.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The target's path, as sent: nothing is decoded. `*` for the server as a whole (RFC 9112, 3.2.4).
    pub fn path(&self) -> &'a str {
        match self.text(self.head.path) {
            "" => "/",
            path => path,
        }
    }

    /// The same as bytes, for those who only compare it.
    pub fn path_bytes(&self) -> &'a [u8] {
        match self.head.path.of(self.bytes) {
            b"" => b"/",
            path => path,
        }
    }

    /// What follows the first `?` of the target, if there is one.
    pub fn query(&self) -> Option<&'a str> {
        self.head.query.map(|span| self.text(span))
    }

    /// The host and port the client means: an absolute target's own, else the Host field's (RFC 9112, 3.2.2);
    /// empty where HTTP/1.0 says neither.
    pub fn authority(&self) -> &'a str {
        self.text(self.head.authority)
    }

    /// The values of all field lines named `name` (written in lower case, and sent in any), in the order they came,
    /// without the space around them.
    pub fn fields(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.head.fields(self.bytes, name)
    }

    /// The value of the one field line named `name`, if there is one.
    ///
    /// # Errors
    /// [`Repeated`] when there are more: for a field that is not a list, which of them counts is anyone's
    /// guess, and guesses differ.
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

    fn text(&self, span: Span) -> &'a str {
        // The head was refused unless its target and Host are visible ASCII, so the fallback is never taken.
        std::str::from_utf8(span.of(self.bytes)).unwrap_or("")
    }
}
