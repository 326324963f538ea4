//! The fields of a head that control the message itself: how its content is delimited, which host it is for, and
//! whether its connection is kept.
//!
//! A request whose framing can be read in two ways is refused, even where RFC 9112 says which reading is right. A proxy
//! in front of this server may read it in the other way; the two would then disagree on where the next request begins,
//! and the bytes between are a request that the proxy never saw (request smuggling).

use super::authority::is_authority;
use super::limits::Limits;
use super::refusal::{CONTENT_TOO_LARGE, Refusal};
use super::start_line::{Status, Version};
use super::syntax::{is_name, is_token_byte, list, trim_ows};

/// How the content after a head is delimited (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length in bytes; 0 where the head has no field about it.
    Length(usize),
    /// By the chunked coding, which marks its end itself.
    Chunked,
}

/// What these fields say, collected in one pass over the field lines. Lines are counted, so that a second one is
/// noticed.
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
    /// Collects a field line, if it is one of these. `name` is a token, in any case.
    pub(super) fn note(&mut self, name: &[u8], value: &'a [u8]) {
        // Comparing lengths first is the quickest way to pass over the lines that are none of these, which most are.
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
            let is_continue = expectation.eq_ignore_ascii_case(b"100-continue");
            self.expects_continue |= is_continue;
            self.expects_other |= !is_continue;
        }
    }

    fn note_codings(&mut self, value: &[u8]) {
        self.has_transfer_encoding = true;
        for coding in list(value) {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or(coding);
            let is_token = !trim_ows(name).is_empty() && trim_ows(name).iter().copied().all(is_token_byte);
            self.has_malformed_coding |= !is_token;
            // The last one counts, across all field lines: they are one list (RFC 9110, 5.3).
            self.chunked_is_last = coding.eq_ignore_ascii_case(b"chunked");
            self.chunked += usize::from(self.chunked_is_last);
            self.other_codings += usize::from(!self.chunked_is_last);
        }
    }

    /// How the content is delimited (RFC 9112, 6.1 to 6.3).
    ///
    /// # Errors
    /// When there is any doubt about it, and when it is longer than `body_bytes_max`.
    pub(super) fn framing(&self, version: Version, limits: &Limits) -> Result<Framing, Refusal> {
        if self.has_transfer_encoding {
            return self.transfer_coding(version);
        }
        if self.content_length_lines > 1 {
            return Err(Refusal::bad_request("more than one Content-Length"));
        }
        let Some(digits) = self.content_length else { return Ok(Framing::Length(0)) };
        // Digits only: Rust's parser accepts a sign, and other parsers accept a list of equal lengths (`3, 3`).
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::bad_request("malformed Content-Length"));
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
            return Err(Refusal::bad_request("both Content-Length and Transfer-Encoding"));
        }
        if version == Version::Http10 {
            return Err(Refusal::bad_request("Transfer-Encoding in HTTP/1.0"));
        }
        if self.chunked != 1 || !self.chunked_is_last {
            return Err(Refusal::bad_request("chunked must be the last transfer coding, and applied once"));
        }
        if self.other_codings > 0 {
            return Err(Refusal::new(
                Status::NotImplemented,
                "unsupported transfer coding: only chunked is implemented",
            ));
        }
        Ok(Framing::Chunked)
    }

    /// The value of Host; `None` where an HTTP/1.0 client sends none.
    ///
    /// # Errors
    /// When HTTP/1.1 has none, when there are several, and when it is not a host and port (RFC 9112, 3.2): a proxy may
    /// route by one Host and this server answer for another.
    pub(super) fn host(&self, version: Version) -> Result<Option<&'a [u8]>, Refusal> {
        if self.host_lines > 1 {
            return Err(Refusal::bad_request("more than one Host"));
        }
        match self.host {
            None if version == Version::Http11 => Err(Refusal::bad_request("no Host")),
            Some(host) if !is_authority(host) => Err(Refusal::bad_request("malformed Host")),
            host => Ok(host),
        }
    }

    /// Whether the client allows the connection to be kept open (RFC 9112, 9.3).
    pub(super) fn keeps_alive(&self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    /// Whether the client waits for a 100 response before it sends its content. Expectations of an HTTP/1.0 client are
    /// ignored (RFC 9110, 10.1.1).
    ///
    /// # Errors
    /// 417 when the client expects anything else.
    pub(super) fn expects_continue(&self, version: Version) -> Result<bool, Refusal> {
        let is_known = version == Version::Http11;
        if is_known && self.expects_other {
            return Err(Refusal::new(
                Status::ExpectationFailed,
                "unsupported expectation: only 100-continue is implemented",
            ));
        }
        Ok(is_known && self.expects_continue)
    }
}
