//! Responses, as an application makes them and as they are written.
//!
//! A [`Response`] consists of parts that cannot split it: field names are literals, and the type of a [`FieldValue`]
//! proves that it has no line break. So writing one is a sequence of copies, without any check.

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
    /// A literal, or made for this response.
    Own(Cow<'static, [u8]>),
    /// Made once, for many responses.
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

/// A response. The connection adds Date, and the fields about itself: Content-Length or Transfer-Encoding, Connection.
///
/// It is moved several times on its way. Up to 128 bytes, a move is a few instructions; above, it is a call.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: Status,
    /// Field lines that many responses share.
    lines: FieldLines,
    /// What scripts of other origins may do with it.
    policy: &'static FieldLines,
    /// Fields of only this response.
    fields: Vec<(&'static str, FieldValue)>,
    body: Body,
    reason: Option<Cow<'static, str>>,
    client: Option<Arc<str>>,
}

const RESPONSE_BYTES_MAX: usize = 128;
const _: () = assert!(size_of::<Response>() <= RESPONSE_BYTES_MAX);

impl Response {
    /// A response with `status` and these field lines, and no content.
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

    /// Appends a field.
    pub fn with(mut self, name: &'static str, value: FieldValue) -> Response {
        self.fields.push((name, value));
        self
    }

    /// Sets the lines about other origins.
    pub fn with_policy(mut self, policy: &'static FieldLines) -> Response {
        self.policy = policy;
        self
    }

    /// Sets the content. The lines must include its Content-Type.
    pub fn with_body(mut self, body: Body) -> Response {
        self.body = body;
        self
    }

    /// Sets the exact reason of a refusal, for the log. The response itself may be less exact.
    pub fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Response {
        self.reason = Some(reason.into());
        self
    }

    /// Sets the identifier of the client that sent the request, for the log.
    pub fn of_client(mut self, client: Option<Arc<str>>) -> Response {
        self.client = client;
        self
    }

    /// The identifier of the client that sent the request, where it is known.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The exact reason of a refusal, for the log.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The value of the first field named `name`, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let own = self.fields.iter().find(|(field_name, _)| field_name.eq_ignore_ascii_case(name));
        let shared = || self.lines.value(name).or_else(|| self.policy.value(name));
        own.map(|(_, value)| value.as_str()).or_else(shared)
    }

    /// The content.
    pub fn body(&self) -> &[u8] {
        self.body.bytes()
    }

    /// The most bytes that [`Response::write`] appends. Reserved beforehand, since memory may be short.
    pub(super) fn bytes_max(&self) -> usize {
        // Status line, Date, Content-Length, Connection and Keep-Alive, with their line ends.
        const ELSE_MAX: usize = 256;
        let fields = self.fields.iter().map(|(name, value)| name.len() + value.as_str().len() + ": \r\n".len());
        let lines = self.lines.as_str().len() + self.policy.as_str().len();
        ELSE_MAX + lines + fields.sum::<usize>() + self.body.bytes().len()
    }

    /// Appends the response to `out`. `omit_body` is for HEAD, whose response has the fields of GET's and no content
    /// (RFC 9110, 9.3.2).
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

    /// Appends the head of a response whose content follows in pieces with this framing.
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

    /// Appends the status line and all fields but those about the length of the content.
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
