//! Reads the response to a request for a document.
//!
//! The connection is closed afterwards, so nothing that follows the response can be taken for another one. What matters
//! is where the content ends: a response that says so in two ways is refused, as is one that breaks off.

use std::io::Read;
use std::time::SystemTime;

use memchr::memmem;

use super::fetched::{FetchError, Fetched};
use super::freshness::CacheFields;
use crate::http::chunked::ChunkedDecoder;
use crate::http::{Limits, Status, trim_ows};

/// The largest head, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most lines of a head.
const FIELDS_MAX: usize = 64;

/// The most interim responses (1xx) before the one that counts.
const INTERIM_MAX: usize = 4;

/// Chunk extensions and trailers, in bytes.
const CHUNK_EXTRA_BYTES_MAX: usize = 1024;

/// The bytes of one read.
const READ_BYTES: usize = 2 * 1024;

/// How the content is delimited (RFC 9112, 6.3).
enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// A head that may be followed by a document.
struct Head {
    framing: Framing,
    cache: CacheFields,
}

/// Reads a response with at most `bytes_max` bytes of JSON. It is `now`.
///
/// # Errors
/// When it is anything else, or the connection fails.
pub(super) fn read(stream: &mut impl Read, bytes_max: usize, now: SystemTime) -> Result<Fetched, FetchError> {
    let mut bytes = Vec::new();
    let head = read_head(stream, &mut bytes)?;
    if matches!(head.framing, Framing::Length(length) if length > bytes_max) {
        return Err(FetchError::TooLarge);
    }
    let content = match head.framing {
        Framing::Length(length) => read_length(stream, bytes, length)?,
        Framing::Chunked => read_chunks(stream, bytes, bytes_max)?,
        Framing::Close => read_to_end(stream, bytes, bytes_max)?,
    };
    Ok(Fetched { content, fresh_for: head.cache.lifetime(now) })
}

/// Reads the head of the response, and leaves in `bytes` what came after it.
fn read_head(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<Head, FetchError> {
    const END: &[u8] = b"\r\n\r\n";
    let mut interim = 0;
    let mut searched = 0;
    loop {
        let from = searched.min(bytes.len());
        let Some(end) = memmem::find(&bytes[from..], END).map(|at| from + at + END.len()) else {
            // The end may be cut anywhere.
            searched = bytes.len().saturating_sub(END.len() - 1);
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(FetchError::Malformed("the head of its response is too long"));
            }
            if fill(stream, bytes)? == 0 {
                return Err(FetchError::Broken);
            }
            continue;
        };
        let head = parse_head(&bytes[..end])?;
        bytes.drain(..end);
        searched = 0;
        match head {
            Some(head) => return Ok(head),
            None if interim == INTERIM_MAX => {
                return Err(FetchError::Malformed("its response has too many interim responses"));
            }
            None => interim += 1,
        }
    }
}

/// Parses a complete head; `None` for an interim response.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, FetchError> {
    let mut lines = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut lines);
    let (Ok(httparse::Status::Complete(length)), Some(status), Some(version)) =
        (parsed.parse(bytes), parsed.code, parsed.version)
    else {
        return Err(FetchError::Malformed("its response is not HTTP/1"));
    };
    if length != bytes.len() {
        // An empty line that httparse accepts and the search for the end does not.
        return Err(FetchError::Malformed("the head of its response has a bare LF"));
    }
    match status {
        101 => return Err(FetchError::Status(status)),
        100..=199 => return Ok(None),
        200 => {}
        _ => return Err(FetchError::Status(status)),
    }
    let mut cache = CacheFields::default();
    parsed.headers.iter().for_each(|line| cache.note(line.name, line.value));
    let values = |wanted: &'static str| {
        let lines = parsed.headers.iter().filter(move |line| line.name.eq_ignore_ascii_case(wanted));
        lines.map(|line| line.value)
    };
    if !is_json(values("content-type")) {
        return Err(FetchError::NotJson);
    }
    if values("content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return Err(FetchError::Malformed("its content has a Content-Encoding, which was not asked for"));
    }
    let framing = framing(values("content-length"), values("transfer-encoding"), version)?;
    Ok(Some(Head { framing, cache }))
}

/// Whether the one Content-Type is `application/json` or `application/…+json`, whatever its parameters.
fn is_json<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let (Some(value), None) = (lines.next(), lines.next()) else { return false };
    let media_type = value.split(|byte| *byte == b';').next().map(trim_ows).unwrap_or_default();
    let Some((start, subtype)) = media_type.split_at_checked(b"application/".len()) else { return false };
    let suffix = subtype.len().checked_sub(b"+json".len()).filter(|at| *at > 0).map(|at| &subtype[at..]);
    start.eq_ignore_ascii_case(b"application/")
        && (subtype.eq_ignore_ascii_case(b"json")
            || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json")))
}

fn framing<'a>(
    mut lengths: impl Iterator<Item = &'a [u8]>,
    mut codings: impl Iterator<Item = &'a [u8]>,
    version: u8,
) -> Result<Framing, FetchError> {
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::Close),
        (Some(digits), None) if lengths.next().is_none() => {
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            let add =
                |length: usize, digit: &u8| length.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
            let length = is_number.then(|| digits.iter().fold(0, add));
            length.map(Framing::Length).ok_or(FetchError::Malformed("its Content-Length is malformed"))
        }
        (None, Some(coding))
            if codings.next().is_none() && version == 1 && coding.eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(Framing::Chunked)
        }
        _ => Err(FetchError::Malformed("its response does not say in one way where its content ends")),
    }
}

fn read_length(stream: &mut impl Read, mut bytes: Vec<u8>, length: usize) -> Result<Vec<u8>, FetchError> {
    while bytes.len() < length {
        if fill(stream, &mut bytes)? == 0 {
            return Err(FetchError::Broken);
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn read_chunks(stream: &mut impl Read, mut bytes: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    let limits =
        Limits { body_bytes_max: bytes_max, chunk_extra_bytes_max: CHUNK_EXTRA_BYTES_MAX, ..Limits::default() };
    let mut decoder = ChunkedDecoder::default();
    loop {
        let is_complete = decoder.decode(&mut bytes, &limits).map_err(|refusal| match refusal.status {
            Status::ContentTooLarge => FetchError::TooLarge,
            _ => FetchError::Malformed("the chunks of its response are malformed"),
        })?;
        if is_complete {
            bytes.truncate(decoder.content());
            return Ok(bytes);
        }
        bytes.drain(decoder.take_slack());
        if fill(stream, &mut bytes)? == 0 {
            return Err(FetchError::Broken);
        }
    }
}

fn read_to_end(stream: &mut impl Read, mut bytes: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    loop {
        if bytes.len() > bytes_max {
            return Err(FetchError::TooLarge);
        }
        if fill(stream, &mut bytes)? == 0 {
            return Ok(bytes);
        }
    }
}

/// Appends what one read gives; 0 at the end.
fn fill(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize, FetchError> {
    let mut chunk = [0; READ_BYTES];
    let count = stream.read(&mut chunk).map_err(|error| FetchError::of_io(&error))?;
    bytes.extend_from_slice(&chunk[..count]);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Gives bytes in pieces of at most this size, then the end.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let (piece, rest) = self.0.split_at(self.0.len().min(self.1).min(bytes.len()));
            bytes[..piece.len()].copy_from_slice(piece);
            self.0 = rest;
            Ok(piece.len())
        }
    }

    /// Every size of the pieces gives the same result.
    fn read_all(response: &[u8]) -> Result<Fetched, FetchError> {
        let read_in = |size| read(&mut Pieces(response, size), 10, UNIX_EPOCH);
        let whole = read_in(usize::MAX);
        for size in [1, 2, 3, 7, 50] {
            assert_eq!(read_in(size), whole, "{size} {}", response.escape_ascii());
        }
        whole
    }

    const JSON: &str = "Content-Type: application/json\r\n";

    #[test]
    fn a_response_ends_where_it_says() {
        let check = |rest: &str, expected: &str| {
            let answer = read_all(format!("HTTP/1.1 200 OK\r\n{JSON}{rest}").as_bytes());
            assert_eq!(answer.map(|answer| answer.content), Ok(expected.as_bytes().to_vec()), "{rest}");
        };
        check("Content-Length: 2\r\n\r\n{}", "{}");
        check("Content-Length: 2\r\n\r\n{}more", "{}");
        check("content-length: 0\r\n\r\n", "");
        check("content-length: 010\r\n\r\n0123456789", "0123456789");
        check("Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nA: b\r\n\r\nmore", "{}");
        check("\r\n0123456789", "0123456789");
        check("\r\n", "");
        let interim = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n{JSON}\r\n{{}}");
        assert_eq!(read_all(interim.as_bytes()).map(|answer| answer.content), Ok(b"{}".to_vec()));
        let old = format!("HTTP/1.0 200 OK\r\n{JSON}\r\n{{}}");
        assert_eq!(read_all(old.as_bytes()).map(|answer| answer.content), Ok(b"{}".to_vec()));
    }

    #[test]
    fn what_is_not_a_small_json_document_is_refused() {
        let check = |response: &str, expected: FetchError| {
            assert_eq!(read_all(response.as_bytes()), Err(expected), "{response}");
        };
        let json =
            |rest: &str, expected: FetchError| check(&format!("HTTP/1.1 200 OK\r\n{JSON}{rest}"), expected);
        for status in [101, 201, 204, 206, 301, 302, 304, 307, 308, 400, 404, 410, 500, 503, 999] {
            check(&format!("HTTP/1.1 {status} X\r\nLocation: /\r\n\r\n"), FetchError::Status(status));
        }
        for line in [
            "",
            "Content-Type: text/html\r\n",
            "Content-Type: text/json\r\n",
            "Content-Type: application/jsonp\r\n",
            "Content-Type: application/+json\r\n",
            "Content-Type: application/x+json2\r\n",
            "Content-Type: application\r\n",
            "Content-Type: application/json\r\nContent-Type: text/html\r\n",
        ] {
            check(&format!("HTTP/1.1 200 OK\r\n{line}\r\n{{}}"), FetchError::NotJson);
        }
        json("Content-Length: 11\r\n\r\n01234567890", FetchError::TooLarge);
        json("Content-Length: 99999999999999999999999\r\n\r\n{}", FetchError::TooLarge);
        json("\r\n01234567890", FetchError::TooLarge);
        json("Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n", FetchError::TooLarge);
        // What is neither content nor its size has a bound, too.
        for (extension, trailer) in [(CHUNK_EXTRA_BYTES_MAX, 0), (0, CHUNK_EXTRA_BYTES_MAX)] {
            let (extension, trailer) = ("x".repeat(extension), "x".repeat(trailer));
            let chunks = format!("2;{extension}\r\n{{}}\r\n0\r\nA: {trailer}\r\n\r\n");
            let response = format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{chunks}");
            assert!(read_all(response.as_bytes()).is_err(), "{response}");
        }
        json("Content-Length: 3\r\n\r\n{}", FetchError::Broken);
        json("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", FetchError::Broken);
        json("", FetchError::Broken);
        check("", FetchError::Broken);
        let malformed = |response: &str| {
            let result = read_all(response.as_bytes());
            assert!(matches!(result, Err(FetchError::Malformed(_))), "{response}: {result:?}");
        };
        malformed("SSH-2.0-OpenSSH_9.6\r\n\r\n");
        malformed("HTTP/2 200 OK\r\n\r\n");
        malformed("HTTP/1.1 200 OK\r\n : x\r\n\r\n");
        malformed(&format!("HTTP/1.1 200 OK\r\n{JSON}\n\n{{}}\r\n\r\n"));
        malformed(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_MAX + 1));
        malformed(&format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD_BYTES_MAX + READ_BYTES)));
        malformed(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(FIELDS_MAX + 1)));
        for lines in [
            "Content-Length: +2\r\n",
            "Content-Length: \r\n",
            "Content-Length: 2, 2\r\n",
            "Content-Length: 2\r\nContent-Length: 2\r\n",
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Content-Encoding: gzip\r\n",
        ] {
            malformed(&format!("HTTP/1.1 200 OK\r\n{JSON}{lines}\r\n{{}}"));
        }
        malformed(&format!("HTTP/1.0 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
        malformed(&format!("HTTP/1.1 200 OK\r\n{JSON}Transfer-Encoding: chunked\r\n\r\nx\r\n"));
    }

    #[test]
    fn json_has_many_types_and_a_lifetime() {
        for media_type in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.client+json",
            "application/client-metadata+JSON ;x",
        ] {
            let lines = format!("Content-Type: {media_type}\r\nCache-Control: max-age=60\r\nAge: 5\r\n");
            let answer = read_all(format!("HTTP/1.1 200 OK\r\n{lines}\r\n{{}}").as_bytes()).expect(media_type);
            assert_eq!(answer.fresh_for, Some(Duration::from_secs(55)));
        }
    }
}
