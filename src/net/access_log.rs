//! The access log: one line for each request on standard output, if it is enabled.
//!
//! As text, a line is in the common log format, which every log reader knows, with the name of the server before it:
//!
//! ```text
//! authorization-server 127.0.0.1 - - [24/Nov/2026:08:15:00 +0000] "GET /secure HTTP/1.1" 200 13
//! ```
//!
//! As JSON, a line is an object that also has the duration, the client where it is known, and the reason of a refusal.
//! A response without an end has its line when it ends. That line says how it ended: in quotation marks at its end, or
//! as the member `ended`.
//!
//! Secrets stay out: a line has the path but no query, which may contain a code, and no header field or content. A
//! request whose head could not be parsed is logged as `-`.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::turn_clock::TurnClock;
use crate::http::{Method, Request, Response, Version};
use crate::json::Object;
use crate::log::{Log, Rfc3339};
use crate::routes::Role;
use crate::system::System;

/// How much of a path a line shows, in bytes. A client chooses the path, and lines should stay short.
const PATH_BYTES_MAX: usize = 512;

/// The format of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The common log format, prefixed with the server's name.
    Text,
    /// One JSON object per line.
    Json,
}

/// Writes a line for each request, if a format is set.
pub(super) struct AccessLog {
    log: Log,
    format: Option<LogFormat>,
    system: Arc<dyn System>,
}

/// The contents of a line, for either format.
struct Line<'a> {
    server: &'static str,
    peer: IpAddr,
    date: CommonDate<'a>,
    time: SystemTime,
    method: &'static str,
    path: &'a str,
    version: &'static str,
    status: &'static str,
    bytes: usize,
    /// From the end of the request's head to its response; `None` if the head could not be parsed.
    duration: Option<Duration>,
    client: Option<&'a str>,
    refused: Option<&'a str>,
    /// How the stream ended, if the response was one.
    ended: Option<&'static str>,
}

/// What the line of a stream says of its request, kept until the stream ends.
pub(super) struct StreamEntry {
    role: Role,
    peer: IpAddr,
    method: Method,
    path: Box<str>,
    version: Version,
    status: &'static str,
    since: Instant,
    client: Option<Box<str>>,
}

impl AccessLog {
    /// A log in `format`; without one, nothing is logged.
    pub(super) fn new(log: Log, format: Option<LogFormat>, system: Arc<dyn System>) -> AccessLog {
        AccessLog { log, format, system }
    }

    /// Logs the response to `request`, which came from `peer`.
    #[inline]
    pub(super) fn note(
        &self,
        role: Role,
        peer: IpAddr,
        clock: &TurnClock,
        request: Option<&Request>,
        response: &Response,
    ) {
        if let Some(format) = self.format {
            self.write(format, role, peer, clock, request, response);
        }
    }

    /// What the line of a stream needs of its `request`, which came from `peer`, and of the head of the response;
    /// `None` without a format.
    pub(super) fn stream_entry(
        &self,
        role: Role,
        peer: IpAddr,
        request: &Request,
        head: &Response,
        client: Option<&str>,
    ) -> Option<StreamEntry> {
        self.format?;
        Some(StreamEntry {
            role,
            peer,
            method: request.method(),
            path: shown(request.path()).into(),
            version: request.version(),
            status: head.status.code(),
            since: request.since(),
            client: client.map(Box::from),
        })
    }

    /// Logs a stream at its end: how many bytes of content its source gave, and how it ended.
    pub(super) fn note_stream(
        &self,
        entry: &StreamEntry,
        clock: &TurnClock,
        bytes: usize,
        ended: &'static str,
    ) {
        let Some(format) = self.format else { return };
        let line = Line {
            server: server(entry.role),
            peer: entry.peer.to_canonical(),
            date: CommonDate(clock.date.value()),
            time: UNIX_EPOCH + Duration::from_millis(clock.timestamp.as_milliseconds()),
            method: entry.method.token(),
            path: &entry.path,
            version: token(entry.version),
            status: entry.status,
            bytes,
            duration: Some(self.system.monotonic().saturating_duration_since(entry.since)),
            client: entry.client.as_deref(),
            refused: None,
            ended: Some(ended),
        };
        self.put(format, &line);
    }

    fn write(
        &self,
        format: LogFormat,
        role: Role,
        peer: IpAddr,
        clock: &TurnClock,
        request: Option<&Request>,
        response: &Response,
    ) {
        let line = Line {
            server: server(role),
            peer: peer.to_canonical(),
            date: CommonDate(clock.date.value()),
            time: UNIX_EPOCH + Duration::from_millis(clock.timestamp.as_milliseconds()),
            method: request.map_or("-", |request| request.method().token()),
            path: shown(request.map_or("-", |request| request.path())),
            version: request.map_or("-", |request| token(request.version())),
            status: response.status.code(),
            bytes: match request.map(|request| request.method()) {
                Some(Method::Head) => 0,
                _ => response.body().len(),
            },
            // The turn's clock stands still during a turn, so the system's clock is read again.
            duration: request.map(|request| self.system.monotonic().saturating_duration_since(request.since())),
            client: response.client(),
            refused: response.reason(),
            ended: None,
        };
        self.put(format, &line);
    }

    fn put(&self, format: LogFormat, line: &Line) {
        match format {
            LogFormat::Text => self.log.unlimited_line(format_args!("{line}")),
            LogFormat::Json => self.log.json_line(&line.json()),
        }
    }
}

fn server(role: Role) -> &'static str {
    match role {
        Role::ClientApp => "client-app",
        Role::AuthorizationServer => "authorization-server",
        Role::Lab => "lab",
    }
}

fn token(version: Version) -> &'static str {
    match version {
        Version::Http11 => "HTTP/1.1",
        Version::Http10 => "HTTP/1.0",
    }
}

/// How much of `path` a line shows.
fn shown(path: &str) -> &str {
    path.get(..PATH_BYTES_MAX).unwrap_or(path)
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { server, peer, date, method, path, version, status, bytes, .. } = self;
        let path = Quoted(path);
        write!(f, "{server} {peer} - - [{date}] \"{method} {path} {version}\" {status} {bytes}")?;
        self.ended.map_or(Ok(()), |ended| write!(f, " \"{}\"", Quoted(ended)))
    }
}

impl Line<'_> {
    fn json(&self) -> String {
        let mut line = Object::default();
        line.number("bytes", self.bytes as u64)
            .optional_text("client_id", self.client)
            .optional_milliseconds("duration_ms", self.duration);
        if let Some(ended) = self.ended {
            line.text("ended", ended);
        }
        line.text("method", self.method)
            .text("path", self.path)
            .text("peer", &self.peer.to_string())
            .optional_text("refused", self.refused)
            .text("server", self.server)
            .number("status", self.status.parse().unwrap_or_default())
            .text("time", &Rfc3339(self.time).to_string())
            .text("version", self.version)
            .finish()
    }
}

/// Text within quotation marks, with quotation marks and backslashes escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['"', '\\']) {
            let (plain, last) = match part.as_bytes().last() {
                Some(b'"' | b'\\') => part.split_at(part.len() - 1),
                _ => (part, ""),
            };
            f.write_str(plain)?;
            if !last.is_empty() {
                f.write_char('\\')?;
                f.write_str(last)?;
            }
        }
        Ok(())
    }
}

/// `Tue, 24 Nov 2026 08:15:00 GMT` as `24/Nov/2026:08:15:00 +0000`.
struct CommonDate<'a>(&'a str);

impl fmt::Display for CommonDate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |range: std::ops::Range<usize>| self.0.get(range).unwrap_or("-");
        write!(f, "{}/{}/{}:{} +0000", part(5..7), part(8..11), part(12..16), part(17..25))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::RealSystem;

    fn line(path: &str) -> Line<'_> {
        Line {
            server: "client-app",
            peer: "2001:db8::1".parse().unwrap(),
            date: CommonDate("Tue, 24 Nov 2026 08:15:00 GMT"),
            method: "GET",
            path,
            version: "HTTP/1.1",
            status: "404",
            bytes: 7,
            time: UNIX_EPOCH + Duration::from_millis(1_795_507_200_250),
            duration: Some(Duration::from_micros(1250)),
            client: Some("app"),
            refused: Some("a reason with \"quotes\""),
            ended: None,
        }
    }

    #[test]
    fn no_path_breaks_out_of_its_quotes_in_the_access_log() {
        assert_eq!(
            line("/a\"\\b").to_string(),
            "client-app 2001:db8::1 - - [24/Nov/2026:08:15:00 +0000] \"GET /a\\\"\\\\b HTTP/1.1\" 404 7"
        );
    }

    #[test]
    fn the_line_of_a_stream_says_how_it_ended() {
        let line = Line { ended: Some("the client closed its side"), bytes: 5000, ..line("/events") };
        assert!(line.to_string().ends_with("\"GET /events HTTP/1.1\" 404 5000 \"the client closed its side\""));
        let json: serde_json::Value = serde_json::from_str(&line.json()).unwrap();
        assert_eq!(json["ended"], "the client closed its side");
    }

    #[test]
    fn a_line_of_json_says_the_same() {
        let text = line("/a\"b").json();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["time"], "2026-11-24T08:00:00.250Z");
        assert_eq!((&json["duration_ms"], &json["client_id"]), (&1.25.into(), &"app".into()));
        assert_eq!(json["refused"], "a reason with \"quotes\"");
        assert_eq!((&json["status"], &json["bytes"], &json["path"]), (&404.into(), &7.into(), &"/a\"b".into()));
        assert_eq!(json.as_object().unwrap().len(), 11);
        assert!(!text.contains('\n'));
    }

    #[test]
    fn invisible_characters_leave_a_line_of_json_valid() {
        let reason = "a\u{7f}\u{85}\u{200b}\u{202e}\u{e0041}b";
        let kept = Log::kept();
        let log = AccessLog::new(kept.clone(), Some(LogFormat::Json), Arc::new(RealSystem::default()));
        log.put(LogFormat::Json, &Line { refused: Some(reason), ..line("/") });
        let text = kept.lines().concat();
        assert!(text.contains(r#""a\u007f\u0085\u200b\u202e\udb40\udc41b""#), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["refused"], reason);
    }
}
