//! Request heads.
//!
//! Most heads arrive whole, and httparse splits them into lines in one pass. If it cannot, because the end has not
//! arrived or something is malformed, [`Scan`] searches for the end, and httparse runs once more when it is there. The
//! first refusal in the order of the bytes is the one that counts, so it is the same however the bytes were cut.
//!
//! httparse leaves most decisions open. They are made here and in the files of each part: version, target, Host,
//! framing, persistence. Where RFC 9112 allows a choice, the strict one is taken: a proxy in front of this server may
//! not share a lenient reading.
//!
//! The parts are stored as positions in the buffer. Nothing is copied, and nothing is allocated per request.

use std::mem::MaybeUninit;

use memchr::memchr;

use super::framing::{Framing, MessageFields};
use super::limits::{FIELDS_CAPACITY, Limits};
use super::refusal::Refusal;
use super::scan::Scan;
use super::start_line::{Method, Status, Version};
use super::syntax::is_name;
use super::target::Target;

/// A range of bytes, relative to the first byte of the head. 16 bits are enough: see [`Limits::mistakes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The bytes of this range in `bytes`, which must be those it was located in.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[usize::from(self.start)..usize::from(self.end)]
    }

    fn len(self) -> usize {
        usize::from(self.end - self.start)
    }

    /// The position of `part` in `whole`. It must be a slice of it.
    fn locate(whole: &[u8], part: &[u8]) -> Span {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        Span { start: start as u16, end: (start + part.len()) as u16 }
    }
}

/// A parsed head. One is reused for all requests that go through the same buffers.
#[derive(Debug)]
pub(super) struct Head {
    /// The length of the head in bytes, including its blank line; 0 when none was read.
    pub(super) length: usize,
    /// Whether method and target are valid. A refusal can then be written as the endpoint would write it.
    pub(super) has_target: bool,
    pub(super) method: Method,
    pub(super) path: Span,
    pub(super) query: Option<Span>,
    pub(super) authority: Span,
    pub(super) framing: Framing,
    /// Whether the client allows the connection to be kept open (RFC 9112, 9.3).
    pub(super) keep_alive: bool,
    /// Whether the client waits for a 100 response before it sends its content (RFC 9110, 10.1.1).
    pub(super) expects_continue: bool,
    pub(super) version: Version,
    /// The name and value of each field line; those from `fields_count` on are stale.
    fields: [(Span, Span); FIELDS_CAPACITY],
    fields_count: usize,
}

impl Default for Head {
    /// A head before the first request.
    fn default() -> Head {
        Head {
            length: 0,
            has_target: false,
            method: Method::Get,
            path: Span::default(),
            query: None,
            authority: Span::default(),
            framing: Framing::Length(0),
            keep_alive: false,
            expects_continue: false,
            version: Version::Http11,
            fields: [(Span::default(), Span::default()); FIELDS_CAPACITY],
            fields_count: 0,
        }
    }
}

impl Head {
    /// Resets everything but the field lines, which have a count. Otherwise a part that this request does not have
    /// would be taken from the one before, as a position in bytes that are gone.
    fn reset(&mut self) {
        self.invalidate();
        self.method = Method::Get;
        (self.path, self.query, self.authority) = (Span::default(), None, Span::default());
        self.framing = Framing::Length(0);
        (self.keep_alive, self.expects_continue) = (false, false);
        self.version = Version::Http11;
    }

    /// Invalidates the head: no length, no target. The rest is reset when the next head is read, and not used before.
    pub(super) fn invalidate(&mut self) {
        self.length = 0;
        self.has_target = false;
    }

    /// The values of all field lines named `wanted`, which must be in lower case, in the order in which they were sent.
    /// `bytes` must be those that the head was read from.
    pub(super) fn fields<'a>(
        &'a self,
        bytes: &'a [u8],
        wanted: &'static str,
    ) -> impl Iterator<Item = &'a [u8]> {
        // Most lines differ in the length of the name already.
        let lines = self.fields[..self.fields_count].iter().filter(|(name, _)| name.len() == wanted.len());
        lines.filter(|(name, _)| is_name(name.of(bytes), wanted)).map(|(_, value)| value.of(bytes))
    }

    /// Reads the head that `bytes` begin with; `false` when its end has not arrived. The next call must pass the same
    /// bytes and more, and the same `scan`.
    ///
    /// # Errors
    /// When the head is malformed, exceeds a limit, or asks for something that is not implemented.
    pub(super) fn read(&mut self, bytes: &mut [u8], scan: &mut Scan, limits: &Limits) -> Result<bool, Refusal> {
        if scan.is_new()
            && let Ok(understood) = self.parse(bytes, limits, false)
        {
            return understood.map(|()| true);
        }
        self.read_scanned(bytes, scan, limits)
    }

    /// The slow path: a head that arrives in pieces, or is malformed.
    #[cold]
    fn read_scanned(&mut self, bytes: &mut [u8], scan: &mut Scan, limits: &Limits) -> Result<bool, Refusal> {
        let Some(length) = scan.find_end(bytes, limits)? else { return Ok(false) };
        let bytes = &mut bytes[..length];
        lower_minor_version(&mut bytes[..scan.request_line]);
        match self.parse(bytes, limits, true) {
            Ok(understood) => understood.map(|()| true),
            Err(error) => Err(refuse_syntax(error, bytes)),
        }
    }

    /// Parses the head that `bytes` begin with. If `is_scanned`, [`Scan`] has accepted them.
    ///
    /// # Errors
    /// The error of httparse. `None` where [`Scan`] has to decide.
    fn parse(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        is_scanned: bool,
    ) -> Result<Result<(), Refusal>, Option<httparse::Error>> {
        let mut table = [const { MaybeUninit::uninit() }; FIELDS_CAPACITY];
        let mut parsed = httparse::Request::new(&mut []);
        let httparse::Status::Complete(length) = parsed.parse_with_uninit_headers(bytes, &mut table)? else {
            return Err(None);
        };
        let bytes = &bytes[..length];
        if !is_scanned && !is_within_limits(bytes, &parsed, limits) {
            return Err(None);
        }
        let mut fields = MessageFields::default();
        let has_bare_lf = self.take_fields(bytes, parsed.headers, &mut fields);
        if !is_scanned && has_bare_lf {
            return Err(None);
        }
        Ok(self.understand(bytes, &parsed, &fields, limits))
    }

    /// Stores the positions of the field lines in `bytes`, a whole head, and collects in `fields` those that control
    /// the message; one pass for both. Returns whether any line ends in a bare LF, which httparse accepts and [`Scan`]
    /// refuses.
    fn take_fields<'a>(
        &mut self,
        bytes: &[u8],
        lines: &[httparse::Header<'a>],
        fields: &mut MessageFields<'a>,
    ) -> bool {
        let mut has_bare_lf = false;
        self.fields_count = lines.len().min(FIELDS_CAPACITY);
        for (place, line) in self.fields.iter_mut().zip(lines) {
            let name = Span::locate(bytes, line.name.as_bytes());
            // A name follows the LF of the line before. In front of that LF must be a CR.
            has_bare_lf |= bytes[usize::from(name.start).saturating_sub(2)] != b'\r';
            fields.note(line.name.as_bytes(), line.value);
            // httparse has trimmed the value.
            *place = (name, Span::locate(bytes, line.value));
        }
        has_bare_lf
    }

    /// Takes over the parts that httparse found in `bytes`, a whole head, and decides what it leaves open.
    fn understand(
        &mut self,
        bytes: &[u8],
        parsed: &httparse::Request,
        fields: &MessageFields,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        self.reset();
        self.length = bytes.len();
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            // Not reachable: httparse has all three or fails, since the blank line is there.
            return Err(Refusal::bad_request("malformed request line"));
        };
        self.version = if version == 0 { Version::Http10 } else { Version::Http11 };
        self.method =
            Method::from_token(method).ok_or(Refusal::new(Status::NotImplemented, "unknown method"))?;
        let target = Target::parse(self.method, target.as_bytes())?;
        self.path = Span::locate(bytes, target.path);
        self.query = target.query.map(|query| Span::locate(bytes, query));
        if !target.authority.is_empty() {
            self.authority = Span::locate(bytes, target.authority);
        }
        self.has_target = true;
        debug_assert!(parsed.headers.len() <= limits.fields_max, "the lines were counted");
        self.decide(bytes, fields, limits)
    }

    /// Decides what the fields say about the message. The order is that of the refusals: the first mistake is reported.
    fn decide(&mut self, bytes: &[u8], fields: &MessageFields, limits: &Limits) -> Result<(), Refusal> {
        if fields.has_malformed_coding {
            return Err(Refusal::bad_request("malformed Transfer-Encoding"));
        }
        self.keep_alive = fields.keeps_alive(self.version);
        let host = fields.host(self.version)?;
        self.framing = fields.framing(self.version, limits)?;
        if self.authority == Span::default() {
            self.authority = host.map(|host| Span::locate(bytes, host)).unwrap_or_default();
        }
        self.expects_continue = fields.expects_continue(self.version)?;
        Ok(())
    }
}

/// Whether [`Scan`] would accept `bytes`, a whole head, apart from bare LFs between its lines.
fn is_within_limits(bytes: &[u8], parsed: &httparse::Request, limits: &Limits) -> bool {
    let place = |part: &str| part.as_ptr() as usize - bytes.as_ptr() as usize;
    let request_line = parsed.headers.first().map_or(bytes.len(), |field| place(field.name)).saturating_sub(2);
    bytes.ends_with(b"\r\n\r\n")
        && parsed.method.is_some_and(|method| place(method) == 0)
        && parsed.headers.len() <= limits.fields_max
        && request_line <= limits.request_line_bytes_max
        && bytes.len() <= limits.head_bytes_max
}

/// Rewrites `HTTP/1.2` and above to `HTTP/1.1`. A request of a higher minor version is treated as one of the highest
/// version that the server implements (RFC 9110, 2.5), but httparse refuses it.
fn lower_minor_version(request_line: &mut [u8]) {
    if let [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9', b'\r'] = request_line {
        *minor = b'1';
    }
}

/// Translates an error of httparse.
fn refuse_syntax(error: Option<httparse::Error>, bytes: &[u8]) -> Refusal {
    match error {
        Some(httparse::Error::HeaderName) => Refusal::bad_request("malformed field name"),
        Some(httparse::Error::HeaderValue) => Refusal::bad_request("a field value contains a control byte"),
        Some(httparse::Error::Version) if names_other_major_version(bytes) => {
            Refusal::new(Status::HttpVersionNotSupported, "the HTTP version is not 1.x")
        }
        Some(httparse::Error::TooManyHeaders) => {
            Refusal::new(Status::RequestHeaderFieldsTooLarge, "too many field lines")
        }
        _ => Refusal::bad_request("malformed request line"),
    }
}

/// Whether the request line ends in a well-formed version (RFC 9112, 2.3) that is not 1.x, as in `HTTP/2.0`.
fn names_other_major_version(bytes: &[u8]) -> bool {
    let line = &bytes[..memchr(b'\r', bytes).unwrap_or(bytes.len())];
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && *major != b'1' && minor.is_ascii_digit())
}
