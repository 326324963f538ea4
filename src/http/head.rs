//! Request heads: what one says, and how the content after it is framed.
//!
//! A head that arrives whole, as most do, is split by httparse at once. Where it is not all there yet, or
//! something is wrong with its lines, [`Scan`] looks for its end and has the say on what it is refused for; so
//! the answer is the same however the bytes were cut. Then what the parser leaves open is decided: version,
//! target, Host, framing, persistence.
//!
//! Everything is remembered as a position, never as a copy. What is refused here is refused by RFC 9112's
//! letter; where the RFC leaves a choice, the strict one is taken, for a lenient reading is one that some
//! proxy before this server may not share.

use std::mem::MaybeUninit;

use memchr::memchr;

use super::framing::{Framing, MessageFields};
use super::limits::{FIELDS_CAPACITY, Limits};
use super::refusal::Refusal;
use super::scan::Scan;
use super::start_line::{Method, Status, Version};
use super::syntax::is_name;
use super::target::Target;

/// A stretch of a head, counted from the head's first byte. 16 bits suffice: see [`Limits::mistakes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[usize::from(self.start)..usize::from(self.end)]
    }

    fn len(self) -> usize {
        usize::from(self.end - self.start)
    }

    /// Where `part`, a slice of `whole`, stands in it.
    fn locate(whole: &[u8], part: &[u8]) -> Span {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        Span { start: start as u16, end: (start + part.len()) as u16 }
    }
}

/// What a request's head says. Kept and filled anew for each request of a connection.
#[derive(Debug)]
pub struct Head {
    /// How many bytes the head has, blank line included.
    pub(super) length: usize,
    /// Whether method and target could be read: a refusal after that may answer as the endpoint would.
    pub(super) has_target: bool,
    pub(super) method: Method,
    pub(super) path: Span,
    pub(super) query: Option<Span>,
    pub(super) authority: Span,
    pub(super) framing: Framing,
    /// Whether the client lets the connection be used again (RFC 9112, 9.3).
    pub(super) keep_alive: bool,
    /// Whether the client waits for a 100 before it sends its content (RFC 9110, 10.1.1).
    pub(super) expects_continue: bool,
    pub(super) version: Version,
    /// Where the names and values of the field lines stand, of which there are so many.
    fields: [(Span, Span); FIELDS_CAPACITY],
    fields_count: usize,
}

impl Default for Head {
    /// A head that says nothing yet.
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
    /// Forgets what the last request's head said, all but its field lines, which are counted anew: what this one
    /// does not say must not be taken from that one, least of all a place in bytes that are gone.
    fn forget(&mut self) {
        self.invalidate();
        self.method = Method::Get;
        (self.path, self.query, self.authority) = (Span::default(), None, Span::default());
        self.framing = Framing::Length(0);
        (self.keep_alive, self.expects_continue) = (false, false);
        self.version = Version::Http11;
    }

    /// Makes the head one that says nothing: no target, no length. The rest is forgotten when the next head
    /// is read, and not looked at before.
    pub(super) fn invalidate(&mut self) {
        self.length = 0;
        self.has_target = false;
    }

    /// The values of all field lines named `wanted`, which is in lower case, in the order they came; `bytes` are
    /// those the head was read from.
    pub(super) fn fields<'a>(
        &'a self,
        bytes: &'a [u8],
        wanted: &'static str,
    ) -> impl Iterator<Item = &'a [u8]> {
        // Most are told apart by their lengths alone.
        let lines = self.fields[..self.fields_count].iter().filter(|(name, _)| name.len() == wanted.len());
        lines.filter(|(name, _)| is_name(name.of(bytes), wanted)).map(|(_, value)| value.of(bytes))
    }

    /// Reads the head that `bytes` begin with; `false` when its end has not arrived. The next call must bring
    /// the same bytes and more, and the same `scan`.
    ///
    /// # Errors
    /// Whatever RFC 9112 wants refused, with the status and the reason, and what is past its limit.
    pub(super) fn read(&mut self, bytes: &mut [u8], scan: &mut Scan, limits: &Limits) -> Result<bool, Refusal> {
        if scan.is_new()
            && let Some(understood) = self.read_at_once(bytes, limits)
        {
            return understood.map(|()| true);
        }
        self.read_scanned(bytes, scan, limits)
    }

    /// A head that arrives in pieces, or has something wrong with its lines.
    #[cold]
    fn read_scanned(&mut self, bytes: &mut [u8], scan: &mut Scan, limits: &Limits) -> Result<bool, Refusal> {
        let Some(length) = scan.find_end(bytes, limits)? else { return Ok(false) };
        let bytes = &mut bytes[..length];
        lower_minor_version(&mut bytes[..scan.request_line]);
        let mut table = [const { MaybeUninit::uninit() }; FIELDS_CAPACITY];
        let mut parsed = httparse::Request::new(&mut []);
        parsed.parse_with_uninit_headers(bytes, &mut table).map_err(|error| refuse_syntax(error, bytes))?;
        let mut fields = MessageFields::default();
        // The search has refused a bare LF.
        self.take_fields(bytes, parsed.headers, &mut fields);
        self.understand(bytes, &parsed, &fields, limits).map(|()| true)
    }

    /// The usual case, without a look for the end before: the head is all there, and its lines are as they
    /// should be. `None` when they are not.
    fn read_at_once(&mut self, bytes: &[u8], limits: &Limits) -> Option<Result<(), Refusal>> {
        let mut table = [const { MaybeUninit::uninit() }; FIELDS_CAPACITY];
        let mut parsed = httparse::Request::new(&mut []);
        let Ok(httparse::Status::Complete(length)) = parsed.parse_with_uninit_headers(bytes, &mut table) else {
            return None;
        };
        let bytes = &bytes[..length];
        if !is_within_limits(bytes, &parsed, limits) {
            return None;
        }
        let mut fields = MessageFields::default();
        let has_bare_lf = self.take_fields(bytes, parsed.headers, &mut fields);
        (!has_bare_lf).then(|| self.understand(bytes, &parsed, &fields, limits))
    }

    /// The one pass over the field lines of the whole head `bytes`: remembers where they stand, and notes what
    /// concerns the message itself in `fields`. Returns whether some line ends in a bare LF, with which httparse is
    /// content; [`Scan`] is not.
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
            // The LF of the line before it, or httparse would have gone on with the same one; the CR before that.
            has_bare_lf |= bytes[usize::from(name.start).saturating_sub(2)] != b'\r';
            fields.note(line.name.as_bytes(), line.value);
            // The value comes without the space around it.
            *place = (name, Span::locate(bytes, line.value));
        }
        has_bare_lf
    }

    /// Takes over what httparse made of the whole head `bytes`, and decides what it leaves open.
    fn understand(
        &mut self,
        bytes: &[u8],
        parsed: &httparse::Request,
        fields: &MessageFields,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        self.forget();
        self.length = bytes.len();
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            // The blank line is there, so httparse either has all three or refuses.
            return Err(Refusal::bad("the request line is malformed"));
        };
        self.version = if version == 0 { Version::Http10 } else { Version::Http11 };
        self.method = Method::from_token(method)
            .ok_or(Refusal::new(Status::NotImplemented, "the method is not one that this server knows"))?;
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

    /// What the field lines say of the message itself, each by its own rule.
    fn decide(&mut self, bytes: &[u8], fields: &MessageFields, limits: &Limits) -> Result<(), Refusal> {
        if fields.has_malformed_coding {
            return Err(Refusal::bad("the Transfer-Encoding is malformed"));
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

/// Whether the whole head `bytes` is one that [`Scan`] would let pass, but for lines within it that end in a bare
/// LF.
fn is_within_limits(bytes: &[u8], parsed: &httparse::Request, limits: &Limits) -> bool {
    let place = |part: &str| part.as_ptr() as usize - bytes.as_ptr() as usize;
    let request_line = parsed.headers.first().map_or(bytes.len(), |field| place(field.name)).saturating_sub(2);
    bytes.ends_with(b"\r\n\r\n")
        && parsed.method.is_some_and(|method| place(method) == 0)
        && parsed.headers.len() <= limits.fields_max
        && request_line <= limits.request_line_bytes_max
        && bytes.len() <= limits.head_bytes_max
}

/// Makes `HTTP/1.2` and up read as `HTTP/1.1`: a higher minor version is served as the highest that the
/// server knows (RFC 9110, 2.5), and httparse knows no higher one.
fn lower_minor_version(request_line: &mut [u8]) {
    if let [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'2'..=b'9', b'\r'] = request_line {
        *minor = b'1';
    }
}

/// What httparse refused, in this server's words.
fn refuse_syntax(error: httparse::Error, bytes: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::bad("a field line's name is malformed"),
        httparse::Error::HeaderValue => Refusal::bad("a field line's value holds a control byte"),
        httparse::Error::Version if names_other_major_version(bytes) => {
            Refusal::new(Status::HttpVersionNotSupported, "the HTTP version is not 1.x")
        }
        httparse::Error::TooManyHeaders => {
            Refusal::new(Status::RequestHeaderFieldsTooLarge, "too many field lines")
        }
        _ => Refusal::bad("the request line is malformed"),
    }
}

/// Whether the request line ends in a well-formed version (RFC 9112, 2.3) that is not 1.x, as in `HTTP/2.0`.
fn names_other_major_version(bytes: &[u8]) -> bool {
    let line = &bytes[..memchr(b'\r', bytes).unwrap_or(bytes.len())];
    matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && *major != b'1' && minor.is_ascii_digit())
}
