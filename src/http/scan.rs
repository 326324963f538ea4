//! Where a head ends that arrives in pieces.
//!
//! [`Scan`] looks for the blank line, and remembers how far it has looked, so that a head in a thousand pieces
//! is looked through once. It refuses what is too long as soon as that is known.

use memchr::memchr;

use super::limits::Limits;
use super::refusal::Refusal;
use super::start_line::Status;
use super::syntax::is_token_byte;

/// Empty lines before a request line are skipped (RFC 9112, 2.2), but not for ever.
const LEADING_LINES_MAX: usize = 8;

/// The search for a head's end, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// How long the request line is, without its LF, once that is known.
    pub(super) request_line: usize,
    line_start: usize,
    searched: usize,
    lines: usize,
    skipped: usize,
}

impl Scan {
    /// Whether nothing has been looked at yet.
    pub(super) fn is_new(&self) -> bool {
        self.searched == 0
    }

    /// Drops the empty lines that may precede a request line (RFC 9112, 2.2), and returns how many bytes
    /// they have. To be called before [`Scan::find_end`], with bytes that begin where the last call ended.
    ///
    /// # Errors
    /// When there is no end to them.
    pub(super) fn skip_empty_lines(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        if self.lines > 0 {
            return Ok(0);
        }
        let mut at = 0;
        while bytes[at..].starts_with(b"\r\n") {
            at += 2;
            self.skipped += 1;
            if self.skipped > LEADING_LINES_MAX {
                return Err(Refusal::bad("too many empty lines before the request line"));
            }
            self.searched = 0;
        }
        Ok(at)
    }

    /// The length of the head that `bytes` begin with, blank line included, or `None` when its end has not
    /// arrived. The next call must bring the same bytes and more.
    ///
    /// # Errors
    /// What shows before the end does: a first byte that begins no method, a line that ends in a bare LF, a
    /// line or head or number of field lines past its limit. Whether it shows depends on the bytes up to that
    /// point alone, so any cut of the same bytes is refused alike.
    pub(super) fn find_end(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        // A client that speaks TLS, or another protocol, is told so now: it may never send a line end.
        match bytes.first() {
            Some(&first) if first != b'\r' && !is_token_byte(first) => {
                return Err(Refusal::bad("the request line does not begin with a method"));
            }
            _ => {}
        }
        while let Some(offset) = memchr(b'\n', &bytes[self.searched..]) {
            let line_end = self.searched + offset;
            self.check_length(&bytes[..=line_end], line_end, limits)?;
            if line_end == self.line_start || bytes[line_end - 1] != b'\r' {
                return Err(Refusal::bad("a line ends in a bare LF"));
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

    /// Refuses what is too long: the request line, of which `bytes[..line_end]` is here, or the head.
    fn check_length(&self, bytes: &[u8], line_end: usize, limits: &Limits) -> Result<(), Refusal> {
        // The CR that may be the line's end does not count as part of it.
        let line = &bytes[..line_end];
        let line_bytes = line.len() - usize::from(line.ends_with(b"\r"));
        if self.lines == 0 && line_bytes > limits.request_line_bytes_max {
            return Err(Refusal::new(Status::UriTooLong, "the request line is too long"));
        }
        if bytes.len() > limits.head_bytes_max {
            // Of what is past the limit more or less may have arrived; the reason does not depend on it.
            return Err(too_large(&bytes[..limits.head_bytes_max], &TOO_LONG));
        }
        Ok(())
    }
}

/// Why a head is refused; where most of it is cookies, the second.
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

/// The refusal of a head that begins with `bytes` and has more than it may.
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
