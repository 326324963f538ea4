//! Requests as routes read them, and responses as routes make them.
//!
//! A [`Request`] borrows the connection's buffer: reading one copies nothing. A [`Response`] is made of parts
//! that cannot break the message apart: field names are names in this program's source, and a [`FieldValue`]
//! with a CR, LF or NUL in it cannot be made.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::date::Date;
use super::head::Head;
use super::head_end::{Persistence, last_line};

/// The methods this server knows (RFC 9110, 9.3; PATCH: RFC 5789). Others are answered 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

impl Method {
    /// The method that `token` names, if it is known. Methods are case-sensitive (RFC 9110, 9.1).
    pub fn from_token(token: &str) -> Option<Method> {
        Some(match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "CONNECT" => Method::Connect,
            "OPTIONS" => Method::Options,
            "TRACE" => Method::Trace,
            "PATCH" => Method::Patch,
            _ => return None,
        })
    }

    /// The method as it stands in a request line.
    pub fn token(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Connect => "CONNECT",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Patch => "PATCH",
        }
    }
}

/// The version a request was sent in; any minor version above 1 is served as 1.1 (RFC 9110, 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, no Host required, one request a connection unless asked otherwise.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The statuses this server answers with (RFC 9110, 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub enum Status {
    Ok,
    NoContent,
    Found,
    NotModified,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    ContentTooLarge,
    UriTooLong,
    ExpectationFailed,
    TooManyRequests,
    RequestHeaderFieldsTooLarge,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
    HttpVersionNotSupported,
}

/// What stands around the status in [`Status::start`].
const START: &str = "HTTP/1.1 ";
const DATE: &str = "\r\nDate: ";

impl Status {
    /// The status line's code and reason phrase, such as `404 Not Found`.
    pub fn line(self) -> &'static str {
        let start = self.start();
        &start[START.len()..start.len() - DATE.len()]
    }

    /// What every answer of this status begins with, up to the date.
    fn start(self) -> &'static str {
        macro_rules! start {
            ($line:literal) => {
                concat!("HTTP/1.1 ", $line, "\r\nDate: ")
            };
        }
        match self {
            Status::Ok => start!("200 OK"),
            Status::NoContent => start!("204 No Content"),
            Status::Found => start!("302 Found"),
            Status::NotModified => start!("304 Not Modified"),
            Status::BadRequest => start!("400 Bad Request"),
            Status::Unauthorized => start!("401 Unauthorized"),
            Status::Forbidden => start!("403 Forbidden"),
            Status::NotFound => start!("404 Not Found"),
            Status::MethodNotAllowed => start!("405 Method Not Allowed"),
            Status::RequestTimeout => start!("408 Request Timeout"),
            Status::ContentTooLarge => start!("413 Content Too Large"),
            Status::UriTooLong => start!("414 URI Too Long"),
            Status::ExpectationFailed => start!("417 Expectation Failed"),
            Status::TooManyRequests => start!("429 Too Many Requests"),
            Status::RequestHeaderFieldsTooLarge => start!("431 Request Header Fields Too Large"),
            Status::InternalServerError => start!("500 Internal Server Error"),
            Status::NotImplemented => start!("501 Not Implemented"),
            Status::ServiceUnavailable => start!("503 Service Unavailable"),
            Status::HttpVersionNotSupported => start!("505 HTTP Version Not Supported"),
        }
    }

    /// The code alone, such as `404`.
    pub fn code(self) -> &'static str {
        &self.line()[..3]
    }

    /// Whether an answer of this status never has content, nor a Content-Length of it (RFC 9110, 15.3.5 and
    /// 15.4.5).
    fn has_no_content(self) -> bool {
        matches!(self, Status::NoContent | Status::NotModified)
    }
}

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

    fn text(&self, span: super::head::Span) -> &'a str {
        // The head was refused unless its target and Host are visible ASCII, so the fallback is never taken.
        std::str::from_utf8(span.of(self.bytes)).unwrap_or("")
    }
}

/// A field that may stand once stood more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated(pub &'static str);

/// A value of a response's field line, known to hold no byte that could end the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue(Value);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Literal(&'static str),
    Owned(String),
}

impl FieldValue {
    /// A value from this program's source.
    ///
    /// # Panics
    /// When `text` holds a control byte; as a constant, at compile time.
    pub const fn literal(text: &'static str) -> FieldValue {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] >= b' ' && bytes[at] != 0x7f, "a control byte in a field value");
            at += 1;
        }
        FieldValue(Value::Literal(text))
    }

    /// A value made while running.
    ///
    /// # Errors
    /// [`ControlByte`] when `text` holds a byte that no field value may have (RFC 9110, 5.5).
    pub fn new(text: String) -> Result<FieldValue, ControlByte> {
        // Without a branch for each byte, they are looked at many at a time.
        match text.bytes().fold(true, |all, byte| all & super::is_field_byte(byte)) {
            true => Ok(FieldValue(Value::Owned(text))),
            false => Err(ControlByte),
        }
    }

    /// A number in decimal digits.
    pub fn number(number: u64) -> FieldValue {
        FieldValue(Value::Owned(number.to_string()))
    }

    /// The value as it will be sent.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Value::Literal(text) => text,
            Value::Owned(text) => text,
        }
    }
}

/// A text was refused as a field value: it holds a control byte, such as the CR and LF that would end the
/// field line and let the rest be read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlByte;

impl fmt::Display for ControlByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a control byte cannot stand in a field value")
    }
}

impl std::error::Error for ControlByte {}

/// Whole field lines, made once for many answers: writing them is one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldLines(Lines);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lines {
    Literal(&'static str),
    Shared(Arc<str>),
}

impl FieldLines {
    /// No line at all.
    pub const NONE: FieldLines = FieldLines(Lines::Literal(""));

    /// Lines from this program's source, each `Name: value` with its CRLF.
    ///
    /// # Panics
    /// When `text` is not that; as a constant, at compile time.
    pub const fn literal(text: &'static str) -> FieldLines {
        let bytes = text.as_bytes();
        let (mut at, mut has_colon) = (0, false);
        while at < bytes.len() {
            match bytes[at] {
                b'\r' => {
                    assert!(has_colon, "a field line without a colon");
                    assert!(at + 1 < bytes.len() && bytes[at + 1] == b'\n', "a CR without its LF");
                    (at, has_colon) = (at + 1, false);
                }
                b':' => has_colon = true,
                byte => assert!(byte >= b' ' && byte != 0x7f, "a control byte in a field line"),
            }
            at += 1;
        }
        assert!(bytes.is_empty() || bytes[bytes.len() - 1] == b'\n', "the last field line has no end");
        FieldLines(Lines::Literal(text))
    }

    /// Lines of these names and values; a clone shares their memory.
    pub fn shared(fields: &[(&'static str, FieldValue)]) -> FieldLines {
        let lines = fields.iter().map(|(name, value)| format!("{name}: {}\r\n", value.as_str()));
        FieldLines(Lines::Shared(lines.collect::<String>().into()))
    }

    fn as_str(&self) -> &str {
        match &self.0 {
            Lines::Literal(text) => text,
            Lines::Shared(text) => text,
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut lines = self.as_str().split_terminator("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(field_name, _)| field_name.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A response's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Made for this one answer, or standing in the program.
    Own(Cow<'static, [u8]>),
    /// Made once, for many answers.
    Shared(Arc<[u8]>),
}

impl Body {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Body::Own(bytes) => bytes,
            Body::Shared(bytes) => bytes,
        }
    }
}

/// An answer. The connection adds what concerns the connection: Date, Content-Length, Connection.
///
/// It is passed on several times. Up to [`RESPONSE_BYTES_MAX`], each time is a few instructions; above, a call.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status line's status.
    pub status: Status,
    /// What many answers have in common.
    lines: FieldLines,
    /// What its endpoint says to other origins.
    policy: &'static FieldLines,
    /// What this answer has alone.
    fields: Vec<(&'static str, FieldValue)>,
    body: Body,
    reason: Option<Cow<'static, str>>,
    client: Option<Arc<str>>,
}

const RESPONSE_BYTES_MAX: usize = 128;
const _: () = assert!(size_of::<Response>() <= RESPONSE_BYTES_MAX);

impl Response {
    /// An answer of `status` with these field lines, without content yet.
    pub fn new(status: Status, lines: FieldLines) -> Response {
        let body = Body::Own(Cow::Borrowed(b""));
        Response {
            status,
            lines,
            policy: &FieldLines::NONE,
            fields: Vec::new(),
            body,
            reason: None,
            client: None,
        }
    }

    /// The same with a field line `name: value` after those it has.
    pub fn with(mut self, name: &'static str, value: FieldValue) -> Response {
        self.fields.push((name, value));
        self
    }

    /// The same with these lines as what its endpoint says to other origins.
    pub fn with_policy(mut self, policy: &'static FieldLines) -> Response {
        self.policy = policy;
        self
    }

    /// The same with this content, whose type its lines must say.
    pub fn with_body(mut self, body: Body) -> Response {
        self.body = body;
        self
    }

    /// The same with the exact reason for the log, which the client may get in more general words.
    pub fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Response {
        self.reason = Some(reason.into());
        self
    }

    /// The same with the client that the request comes from, for the log.
    pub fn of_client(mut self, client: Option<Arc<str>>) -> Response {
        self.client = client;
        self
    }

    /// The client that the request comes from, where it is known.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The exact reason of a refusal, for the log.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The value of the first field line named `name`, for those who look an answer over before it leaves.
    pub fn field(&self, name: &str) -> Option<&str> {
        let own = self.fields.iter().find(|(field_name, _)| field_name.eq_ignore_ascii_case(name));
        let shared = || self.lines.value(name).or_else(|| self.policy.value(name));
        own.map(|(_, value)| value.as_str()).or_else(shared)
    }

    /// The content.
    pub fn body(&self) -> &[u8] {
        self.body.bytes()
    }

    /// How many bytes [`Response::write`] appends at most.
    pub(super) fn bytes_max(&self) -> usize {
        // Status line, Date, Content-Length, Connection and Keep-Alive, with what stands around them.
        const ELSE_MAX: usize = 256;
        let fields = self.fields.iter().map(|(name, value)| name.len() + value.as_str().len() + ": \r\n".len());
        let lines = self.lines.as_str().len() + self.policy.as_str().len();
        ELSE_MAX + lines + fields.sum::<usize>() + self.body.bytes().len()
    }

    /// Appends the whole answer to `out`; `omit_body` is for HEAD, whose answer has the fields of GET's and no
    /// content (RFC 9110, 9.3.2).
    pub(super) fn write(&self, out: &mut Vec<u8>, date: &Date, persistence: Persistence, omit_body: bool) {
        let body = self.body.bytes();
        let mut write = |text: &str| out.extend_from_slice(text.as_bytes());
        write(self.status.start());
        write(date.line_end());
        write(self.lines.as_str());
        write(self.policy.as_str());
        for (name, value) in &self.fields {
            [name, ": ", value.as_str(), "\r\n"].into_iter().for_each(&mut write);
        }
        persistence.write(out);
        if self.status.has_no_content() {
            return out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(last_line(body.len(), &mut [0; _]));
        if !omit_body {
            out.extend_from_slice(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_value_that_would_split_the_response_cannot_be_made() {
        for text in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\x7f"] {
            assert_eq!(FieldValue::new(text.to_owned()), Err(ControlByte), "{text:?}");
        }
        assert_eq!(
            FieldValue::new("a\tb é".to_owned()).map(|value| value.as_str().to_owned()),
            Ok("a\tb é".into())
        );
    }

    #[test]
    fn a_response_is_written_field_by_field() {
        let value = FieldValue::new("é".to_owned()).unwrap();
        let lines = FieldLines::shared(&[("Cache-Control", FieldValue::literal("no-store")), ("A", value)]);
        static POLICY: FieldLines = FieldLines::literal("Vary: Origin\r\nContent-Type: text/plain\r\n");
        let response = Response::new(Status::Ok, lines)
            .with_policy(&POLICY)
            .with("Location", FieldValue::literal("/"))
            .with_body(Body::Own(Cow::Borrowed(b"hello")));
        let date = Date::of_second(0);
        let check = |persistence, omit_body, expected: &str| {
            let mut out = Vec::new();
            response.write(&mut out, &date, persistence, omit_body);
            assert!(out.len() <= response.bytes_max());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        let head = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nCache-Control: no-store\r\nA: é\r\n\
                    Vary: Origin\r\nContent-Type: text/plain\r\nLocation: /\r\n";
        let kept = "Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n";
        let keep_alive = Persistence::KeepAlive { idle_seconds: 75 };
        check(keep_alive, false, &format!("{head}{kept}Content-Length: 5\r\n\r\nhello"));
        check(Persistence::Close, true, &format!("{head}Connection: close\r\nContent-Length: 5\r\n\r\n"));
        for (name, value) in
            [("vary", Some("Origin")), ("a", Some("é")), ("LOCATION", Some("/")), ("date", None)]
        {
            assert_eq!(response.field(name), value, "{name}");
        }
    }

    #[test]
    fn an_answer_without_content_says_no_length() {
        let mut out = Vec::new();
        let date = Date::of_second(0);
        Response::new(Status::NoContent, FieldLines::NONE).write(&mut out, &date, Persistence::Close, false);
        assert_eq!(
            out,
            b"HTTP/1.1 204 No Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn every_status_says_its_line_and_its_code() {
        assert_eq!((Status::NotFound.line(), Status::NotFound.code()), ("404 Not Found", "404"));
        assert_eq!((Status::Ok.line(), Status::Ok.code()), ("200 OK", "200"));
    }
}
