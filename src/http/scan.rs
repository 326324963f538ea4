//! Finds the end of a head that arrives in pieces.
//!
//! Parsing the whole buffer again after each piece would cost time quadratic in the length of the head, which is a
//! cheap attack. [`Scan`] remembers how far it has searched for the blank line, so every byte is examined once however
//! many pieces there are. It refuses what is too long as soon as it is too long, and not when the end arrives, which
//! may be never.

use memchr::memchr;

use super::limits::Limits;
use super::refusal::Refusal;
use super::start_line::Status;
use super::syntax::is_token_byte;

/// The most empty lines that are skipped before a request line (RFC 9112, 2.2, asks for at least one).
const LEADING_LINES_MAX: usize = 8;

/// The progress of the search for a head's end. All positions are relative to the first byte of the head.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The length of the request line without its LF, once its end was found.
    pub(super) request_line: usize,
    /// Where the line begins whose end has not been found.
    line_start: usize,
    /// Everything before this was searched.
    searched: usize,
    /// How many lines have ended.
    lines: usize,
    /// How many empty lines were skipped before the request line.
    skipped: usize,
}

impl Scan {
    /// Whether the search has not begun.
    pub(super) fn is_new(&self) -> bool {
        self.searched == 0
    }

    /// Returns the length of the empty lines that `bytes` begin with, which may precede a request line (RFC 9112, 2.2);
    /// the caller drops them. Must be called before each [`Scan::find_end`].
    ///
    /// # Errors
    /// When there are too many of them, counted over all calls.
    pub(super) fn skip_empty_lines(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        if self.lines > 0 {
            return Ok(0);
        }
        let mut at = 0;
        while bytes[at..].starts_with(b"\r\n") {
            at += 2;
            self.skipped += 1;
            if self.skipped > LEADING_LINES_MAX {
                return Err(Refusal::bad_request("too many empty lines before the request line"));
            }
            self.searched = 0;
        }
        Ok(at)
    }

    /// The length of the head that `bytes` begin with, including its blank line; `None` when the end has not arrived.
    /// The next call must pass the same bytes and more.
    ///
    /// # Errors
    /// When the first byte cannot begin a method, when a line ends in a bare LF, and when the request line, the head or
    /// the number of field lines exceeds its limit. Each depends only on the bytes up to that point, so the same bytes
    /// are refused for the same reason however they are cut.
    pub(super) fn find_end(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        // Checked before any line end, which a client that speaks TLS or another protocol may never send.
        match bytes.first() {
            Some(&first) if first != b'\r' && !is_token_byte(first) => {
                return Err(Refusal::bad_request("the request line does not begin with a method"));
            }
            _ => {}
        }
        while let Some(offset) = memchr(b'\n', &bytes[self.searched..]) {
            let line_end = self.searched + offset;
            self.check_length(&bytes[..=line_end], line_end, limits)?;
            if line_end == self.line_start || bytes[line_end - 1] != b'\r' {
                return Err(Refusal::bad_request("a line ends in a bare LF"));
            }
            if line_end - 1 == self.line_start {
                return Ok(Some(line_end + 1));
            }
            if self.lines == 0 {
                self.request_line = line_end;
            }
            self.lines += 1;
            if self.lines > limits.fields_max + 1 {
                return Err(too_large(&bytes[..=line_end], &TOO_MANY_LINES));
            }
            self.line_start = line_end + 1;
            self.searched = line_end + 1;
        }
        self.searched = bytes.len();
        self.check_length(bytes, bytes.len(), limits)?;
        Ok(None)
    }

    /// Refuses a request line or head that is too long. `bytes[..line_end]` is what has arrived of the line.
    fn check_length(&self, bytes: &[u8], line_end: usize, limits: &Limits) -> Result<(), Refusal> {
        // A CR at the end may belong to the CRLF, so it does not count.
        let line = &bytes[..line_end];
        let line_bytes = line.len() - usize::from(line.ends_with(b"\r"));
        if self.lines == 0 && line_bytes > limits.request_line_bytes_max {
            return Err(Refusal::new(Status::UriTooLong, "the request line is too long"));
        }
        if bytes.len() > limits.head_bytes_max {
            // How much has arrived beyond the limit depends on the cut, so the reason must not depend on it.
            return Err(too_large(&bytes[..limits.head_bytes_max], &TOO_LONG));
        }
        Ok(())
    }
}

/// Why a head is refused; the second is for heads that consist mostly of cookies.
type Reasons = [&'static str; 2];

const TOO_LONG: Reasons = [
    "the request head is longer than head_bytes_max in [limits] allows",
    "the cookies of this host make the request head longer than head_bytes_max in [limits] allows: delete some (all \
     programs on one host share them), or raise it",
];

const TOO_MANY_LINES: Reasons = [
    "the request head has more field lines than fields_max in [limits] allows",
    "the cookies of this host make more field lines than fields_max in [limits] allows: delete some (all programs on \
     one host share them), or raise it",
];

/// Refuses a head that begins with `bytes` and exceeds a limit. Other programs on the same host may have set the
/// cookies, and then only the person at the browser can help, so the page says how.
#[cold]
fn too_large(bytes: &[u8], [reason, of_cookies]: &Reasons) -> Refusal {
    const COOKIE: &[u8] = b"cookie:";
    let is_cookie =
        |line: &&[u8]| line.get(..COOKIE.len()).is_some_and(|name| name.eq_ignore_ascii_case(COOKIE));
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let cookie_bytes: usize = lines.filter(is_cookie).map(<[u8]>::len).sum();
    let reason = if cookie_bytes > bytes.len() / 2 { of_cookies } else { reason };
    Refusal::new(Status::RequestHeaderFieldsTooLarge, reason)
}
