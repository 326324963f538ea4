//! What the field lines of a head say of the message itself: how its content is delimited, which host it is for, and
//! what becomes of its connection.

use super::authority::is_authority;
use super::limits::Limits;
use super::refusal::{CONTENT_TOO_LARGE, Refusal};
use super::start_line::{Status, Version};
use super::syntax::{is_name, is_token_byte, list, trim_ows};

/// How the content after a head is delimited (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 where the head says nothing.
    Length(usize),
    /// The chunked coding, which says itself where it ends.
    Chunked,
}

/// The field lines that say how a message is framed and what becomes of its connection.
#[derive(Default)]
pub(super) struct MessageFields<'a> {
    host: Option<&'a [u8]>,
    host_lines: usize,
    content_length: Option<&'a [u8]>,
    content_length_lines: usize,
    has_transfer_encoding: bool,
    pub(super) has_malformed_coding: bool,
    /// Transfer codings other than chunked.
    other_codings: usize,
    chunked: usize,
    chunked_is_last: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_other: bool,
}

impl<'a> MessageFields<'a> {
    /// Takes note of a field line, if it is one of these.
    pub(super) fn note(&mut self, name: &[u8], value: &'a [u8]) {
        // Lengths first: most field lines are none of these, and this tells it soonest.
        match name.len() {
            4 if is_name(name, "host") => {
                self.host = Some(value);
                self.host_lines += 1;
            }
            6 if is_name(name, "expect") => self.note_expectations(value),
            10 if is_name(name, "connection") => self.note_connection(value),
            14 if is_name(name, "content-length") => {
                self.content_length = Some(value);
                self.content_length_lines += 1;
            }
            17 if is_name(name, "transfer-encoding") => self.note_codings(value),
            _ => {}
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn note_expectations(&mut self, value: &[u8]) {
        for expectation in list(value) {
            match expectation.eq_ignore_ascii_case(b"100-continue") {
                true => self.expects_continue = true,
                false => self.expects_other = true,
            }
        }
    }

    fn note_codings(&mut self, value: &[u8]) {
        self.has_transfer_encoding = true;
        for coding in list(value) {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or(coding);
            let is_token = !trim_ows(name).is_empty() && trim_ows(name).iter().copied().all(is_token_byte);
            self.has_malformed_coding |= !is_token;
            self.chunked_is_last = coding.eq_ignore_ascii_case(b"chunked");
            match self.chunked_is_last {
                true => self.chunked += 1,
                false => self.other_codings += 1,
            }
        }
    }

    /// How the content is delimited, or why that cannot be said for sure (RFC 9112, 6.1 to 6.3).
    pub(super) fn framing(&self, version: Version, limits: &Limits) -> Result<Framing, Refusal> {
        if self.has_transfer_encoding {
            return self.transfer_coding(version);
        }
        if self.content_length_lines > 1 {
            return Err(Refusal::bad("more than one Content-Length"));
        }
        let Some(digits) = self.content_length else { return Ok(Framing::Length(0)) };
        // Rust's parser would take a sign, and a list of equal lengths is more than one.
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::bad("the Content-Length is not a number"));
        }
        let length = digits.iter().try_fold(0usize, |length, digit| {
            length
                .checked_mul(10)?
                .checked_add(usize::from(digit - b'0'))
                .filter(|n| *n <= limits.body_bytes_max)
        });
        length.map(Framing::Length).ok_or(CONTENT_TOO_LARGE)
    }

    fn transfer_coding(&self, version: Version) -> Result<Framing, Refusal> {
        if self.content_length_lines > 0 {
            return Err(Refusal::bad("both Content-Length and Transfer-Encoding"));
        }
        if version == Version::Http10 {
            return Err(Refusal::bad("Transfer-Encoding in HTTP/1.0"));
        }
        if self.chunked != 1 || !self.chunked_is_last {
            return Err(Refusal::bad("the transfer codings do not end in one chunked"));
        }
        if self.other_codings > 0 {
            return Err(Refusal::new(Status::NotImplemented, "a transfer coding other than chunked"));
        }
        Ok(Framing::Chunked)
    }

    /// Exactly one Host where the version is 1.1, at most one in 1.0, and a valid one (RFC 9112, 3.2).
    pub(super) fn host(&self, version: Version) -> Result<Option<&'a [u8]>, Refusal> {
        if self.host_lines > 1 {
            return Err(Refusal::bad("more than one Host"));
        }
        match self.host {
            None if version == Version::Http11 => Err(Refusal::bad("no Host")),
            Some(host) if !is_authority(host) => Err(Refusal::bad("the Host is malformed")),
            host => Ok(host),
        }
    }

    /// Whether the client lets the connection be used again (RFC 9112, 9.3).
    pub(super) fn keeps_alive(&self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    /// Whether the client waits for a 100 before it sends its content. An expectation from an HTTP/1.0 client is
    /// ignored (RFC 9110, 10.1.1).
    pub(super) fn expects_continue(&self, version: Version) -> Result<bool, Refusal> {
        let is_heard = version == Version::Http11;
        if is_heard && self.expects_other {
            return Err(Refusal::new(Status::ExpectationFailed, "an expectation other than 100-continue"));
        }
        Ok(is_heard && self.expects_continue)
    }
}
