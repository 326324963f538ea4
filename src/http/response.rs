//! Responses, as routes make them and as they are written.
//!
//! A [`Response`] is made of parts that cannot break the message apart: field names are names in this program's source,
//! and a [`FieldValue`] with a CR, LF or NUL in it cannot be made.

use std::borrow::Cow;
use std::sync::Arc;

use super::date::Date;
use super::field::{FieldLines, FieldValue};
use super::response_framing::{Persistence, last_line};
use super::start_line::Status;
use super::stream::StreamFraming;

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
        self.write_fields(out, date, persistence);
        if self.status.has_no_content() {
            return out.extend_from_slice(b"\r\n");
        }
        let body = self.body.bytes();
        out.extend_from_slice(last_line(body.len(), &mut [0; _]));
        if !omit_body {
            out.extend_from_slice(body);
        }
    }

    /// Appends the head of an answer whose content follows in pieces, as `framing` delimits them.
    pub(super) fn write_stream_head(
        &self,
        out: &mut Vec<u8>,
        date: &Date,
        persistence: Persistence,
        framing: StreamFraming,
    ) {
        self.write_fields(out, date, persistence);
        if !self.status.has_no_content() {
            framing.write_field(out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the status line and all field lines but those about the content's length.
    fn write_fields(&self, out: &mut Vec<u8>, date: &Date, persistence: Persistence) {
        let mut write = |text: &str| out.extend_from_slice(text.as_bytes());
        write(self.status.start());
        write(date.line_end());
        write(self.lines.as_str());
        write(self.policy.as_str());
        for (name, value) in &self.fields {
            [name, ": ", value.as_str(), "\r\n"].into_iter().for_each(&mut write);
        }
        persistence.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
