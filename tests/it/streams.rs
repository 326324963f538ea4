//! Responses without an end, from the codec's side: no socket, and a clock that the tests move.
//!
//! A client of the tests' own reads the chunked coding, so an encoder and a decoder that share a mistake are found out.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use oauth_from_scratch::http::connection::{Connection, Event, Want};
use oauth_from_scratch::http::{Body, Date, FieldLines, Limits, Response, Status};

use crate::support::answer::read_chunks;
use crate::support::random::Random;

static DATE: LazyLock<Date> = LazyLock::new(|| Date::of_second(0));

const GET: &[u8] = b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
const LAST: &[u8] = b"GET /events HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const OLD: &[u8] = b"GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
const HEAD: &[u8] = b"HEAD /events HTTP/1.1\r\nHost: h\r\n\r\n";

/// What a stream over a connection that goes on begins with.
const KEPT: &str = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\n\
     Keep-Alive: timeout=75\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What one over a connection that closes after it begins with.
const CLOSED: &str = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n\
     Transfer-Encoding: chunked\r\n\r\n";

fn ok() -> Response {
    Response::new(Status::Ok, FieldLines::NONE)
}

/// A connection with its clock, and what its client has been sent.
struct Pair {
    connection: Connection,
    now: Instant,
    sent: Vec<u8>,
}

impl Pair {
    fn new(limits: Limits) -> Pair {
        let now = Instant::now();
        Pair { connection: Connection::new(Arc::new(limits), now), now, sent: Vec::new() }
    }

    /// One whose request for a stream has arrived, with what is behind it, and has been answered with one.
    fn streaming(limits: Limits, bytes: &[u8]) -> Pair {
        let mut pair = Pair::new(limits);
        pair.connection.receive(bytes, pair.now);
        assert_eq!(pair.next().as_deref(), Some("/events"));
        pair.connection.begin_stream(&ok(), &DATE, pair.now);
        pair
    }

    /// The path of the request that is given out next, if there is one.
    fn next(&mut self) -> Option<String> {
        match self.connection.next_event(self.now) {
            Event::Request(request) => Some(request.path().to_owned()),
            _ => None,
        }
    }

    fn push(&mut self, content: &[u8]) -> usize {
        self.connection.push(content, self.now)
    }

    /// The client takes this many bytes, or all that are there.
    fn take(&mut self, count: usize) {
        let outgoing = self.connection.outgoing();
        let count = count.min(outgoing.len());
        self.sent.extend_from_slice(&outgoing[..count]);
        self.connection.sent(count, self.now);
    }

    /// All that was sent, as text.
    fn text(&mut self) -> String {
        self.take(usize::MAX);
        String::from_utf8(self.sent.clone()).expect("text")
    }

    fn end(&mut self) {
        self.connection.end_stream(self.now);
    }
}

#[test]
fn a_stream_is_sent_in_chunks_and_the_connection_goes_on() {
    let mut pair = Pair::streaming(Limits::default(), GET);
    assert!(pair.connection.is_streaming());
    assert_eq!(pair.text(), KEPT);
    assert_eq!(pair.connection.wants(), Want::Content);
    assert_eq!(pair.push(b"hello"), 5);
    assert_eq!(pair.connection.wants(), Want::Write);
    assert_eq!(pair.push(&[b'x'; 26]), 26);
    pair.end();
    assert!(!pair.connection.is_streaming());
    let stream = format!("{KEPT}5\r\nhello\r\n1a\r\n{}\r\n0\r\n\r\n", "x".repeat(26));
    assert_eq!(pair.text(), stream);
    assert_eq!(pair.connection.wants(), Want::Read);
    assert_eq!(pair.connection.idle_since(), Some(pair.now));
    pair.connection.receive(NEXT, pair.now);
    assert_eq!(pair.next().as_deref(), Some("/next"));
    pair.connection.respond(&ok(), &DATE, pair.now);
    assert!(pair.text().starts_with(&format!("{stream}HTTP/1.1 200 OK\r\n")));
}

#[test]
fn a_stream_is_the_same_in_any_pieces() {
    let mut whole = Pair::streaming(Limits::default(), GET);
    whole.push(b"hello");
    whole.end();
    let whole = whole.text();
    for at in 0..GET.len() {
        let mut pair = Pair::new(Limits::default());
        for piece in [&GET[..at], &GET[at..]] {
            assert_eq!(pair.next(), None);
            pair.connection.receive(piece, pair.now);
        }
        assert_eq!(pair.next().as_deref(), Some("/events"));
        pair.connection.begin_stream(&ok(), &DATE, pair.now);
        pair.push(b"hello");
        pair.end();
        assert_eq!(pair.text(), whole, "cut at {at}");
    }
    let mut pair = Pair::new(Limits::default());
    for byte in GET {
        assert_eq!(pair.next(), None);
        pair.connection.receive(&[*byte], pair.now);
    }
    assert_eq!(pair.next().as_deref(), Some("/events"));
    pair.connection.begin_stream(&ok(), &DATE, pair.now);
    pair.push(b"hello");
    while pair.connection.wants() == Want::Write {
        pair.take(1);
    }
    pair.end();
    while pair.connection.wants() == Want::Write {
        pair.take(1);
    }
    assert_eq!(pair.text(), whole, "byte by byte");
}

/// For all sizes of pushes and of writes, in whatever order, a client reads what was pushed and sees its end.
#[test]
fn a_client_reads_back_exactly_what_was_pushed() {
    for seed in 1..=300u64 {
        let mut sequence = Random::new(seed);
        let mut random = |below: usize| sequence.index(below);
        let output_bytes_max = 1 + random(3000);
        let mut pair = Pair::streaming(Limits { output_bytes_max, ..Limits::default() }, GET);
        let mut pushed = Vec::new();
        for _ in 0..60 {
            let size = [0, 1, 15, 16, 17, 255, 256, 4096, random(5000)][random(9)];
            let content: Vec<u8> = (0..size).map(|_| b"\r\n0a;"[random(5)]).collect();
            let room = pair.connection.room();
            let count = pair.push(&content);
            assert_eq!(count, size.min(room));
            pushed.extend_from_slice(&content[..count]);
            let queued = pair.connection.outgoing().len();
            assert!(queued <= KEPT.len() + output_bytes_max + 20, "{queued} bytes, {output_bytes_max} at most");
            pair.take(random(2 * output_bytes_max));
        }
        let is_whole = random(2) == 0;
        if is_whole {
            pair.end();
        } else {
            pair.connection.break_stream(pair.now);
        }
        pair.take(usize::MAX);
        let chunks = pair.sent.strip_prefix(KEPT.as_bytes()).expect("the head comes first");
        assert!(read_chunks(chunks) == (pushed, is_whole), "seed {seed}");
    }
}

#[test]
fn a_push_without_content_writes_nothing() {
    let mut pair = Pair::streaming(Limits::default(), GET);
    assert_eq!(pair.push(b""), 0);
    pair.push(b"a");
    assert_eq!(pair.push(b""), 0);
    pair.push(b"b");
    assert_eq!(pair.text(), format!("{KEPT}1\r\na\r\n1\r\nb\r\n"), "an empty chunk would be the last");
}

#[test]
fn a_push_takes_what_there_is_room_for_and_no_more() {
    let limits = Limits { output_bytes_max: 400, ..Limits::default() };
    let mut pair = Pair::streaming(limits, GET);
    assert_eq!(pair.connection.room(), 400 - KEPT.len(), "the head counts");
    assert_eq!(pair.push(&[b'x'; 1000]), 400 - KEPT.len());
    assert_eq!((pair.connection.room(), pair.push(b"x")), (0, 0));
    let framing = "fff\r\n\r\n".len();
    assert_eq!(pair.connection.outgoing().len(), 400 + framing);
    pair.take(300);
    assert_eq!(pair.connection.room(), 0, "there is room again when all of it is sent");
    pair.take(usize::MAX);
    assert_eq!(pair.connection.room(), 400);
    assert!(pair.connection.buffered() < 8 * 1024);
}

/// Were what is sent kept in front of what is not, a client that never takes all would cost more and more.
#[test]
fn a_client_that_never_takes_all_does_not_make_the_buffer_grow() {
    let limits = Limits { output_bytes_max: 1000, ..Limits::default() };
    let mut pair = Pair::streaming(limits, GET);
    pair.push(&[b'x'; 1000]);
    let buffered = pair.connection.buffered();
    for _ in 0..10_000 {
        pair.push(&[b'x'; 1000]);
        pair.take(pair.connection.outgoing().len().saturating_sub(1).min(7));
        if pair.connection.outgoing().len() == 1 {
            pair.take(1);
        }
    }
    assert!(pair.connection.buffered() <= buffered + 1100, "{} bytes", pair.connection.buffered());
}

#[test]
fn requests_behind_a_stream_wait_for_its_end() {
    let mut pair = Pair::streaming(Limits::default(), &[GET, NEXT].concat());
    assert_eq!(pair.next(), None);
    pair.push(b"a");
    assert_eq!(pair.next(), None);
    pair.take(usize::MAX);
    assert_eq!((pair.next(), pair.connection.wants()), (None, Want::Content), "nothing more is read meanwhile");
    assert!(pair.connection.give_back().is_none(), "the next request is in the buffers");
    pair.end();
    assert_eq!(pair.next().as_deref(), Some("/next"));
    pair.connection.respond(&ok(), &DATE, pair.now);
    assert!(pair.text().starts_with(&format!("{KEPT}1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n")));
}

#[test]
fn a_stream_waits_behind_the_responses_before_it() {
    let mut pair = Pair::new(Limits::default());
    pair.connection.receive(&[NEXT, GET].concat(), pair.now);
    assert_eq!(pair.next().as_deref(), Some("/next"));
    pair.connection.respond(&ok().with_body(Body::Own(b"one"[..].into())), &DATE, pair.now);
    assert_eq!(pair.next().as_deref(), Some("/events"));
    pair.connection.begin_stream(&ok(), &DATE, pair.now);
    pair.push(b"two");
    assert!(pair.text().ends_with(&format!("one{KEPT}3\r\ntwo\r\n")));
}

#[test]
fn a_stalled_reader_is_dropped_and_a_slow_one_is_not() {
    let limits = Limits::default();
    let (most, second) = (limits.write_time_max, Duration::from_secs(1));
    let mut pair = Pair::streaming(limits, GET);
    assert_eq!(pair.connection.deadline(), Some(pair.now + most));
    pair.take(usize::MAX);
    assert_eq!(pair.connection.deadline(), None, "a stream may be silent");
    pair.now += 10 * most;
    pair.connection.expire(pair.now);
    pair.push(b"hello");
    assert_eq!(pair.connection.deadline(), Some(pair.now + most), "the clock begins with the first byte");
    for _ in 0..5 {
        pair.now += most - second;
        pair.push(b"more");
        pair.connection.expire(pair.now);
        pair.take(1);
        assert_eq!(pair.connection.deadline(), Some(pair.now + most));
    }
    pair.now += most;
    pair.connection.expire(pair.now);
    assert_eq!(pair.connection.wants(), Want::Close);
    assert_eq!((pair.connection.is_streaming(), pair.connection.room(), pair.push(b"x")), (false, 0, 0));
    pair.end();
    assert_eq!(pair.connection.wants(), Want::Close);
}

#[test]
fn a_client_that_closes_its_side_is_sent_the_rest_and_no_more() {
    let mut pair = Pair::streaming(Limits::default(), GET);
    pair.connection.receive_end();
    pair.push(b"a");
    assert_eq!((pair.text(), pair.connection.wants()), (format!("{KEPT}1\r\na\r\n"), Want::Content));
    pair.end();
    assert_eq!(pair.text(), format!("{KEPT}1\r\na\r\n0\r\n\r\n"));
    assert_eq!(pair.connection.wants(), Want::Close);
}

#[test]
fn a_broken_stream_has_no_last_chunk_and_closes() {
    for behind in [&b""[..], NEXT] {
        let mut pair = Pair::streaming(Limits::default(), &[GET, behind].concat());
        pair.push(b"a");
        pair.connection.break_stream(pair.now);
        assert_eq!(pair.push(b"b"), 0);
        assert_eq!((pair.next(), pair.connection.wants()), (None, Want::Write));
        assert_eq!(pair.text(), format!("{KEPT}1\r\na\r\n"), "what was pushed is sent");
        let end = if behind.is_empty() { Want::Close } else { Want::Shutdown };
        assert_eq!((pair.next(), pair.connection.wants()), (None, end));
    }
}

#[test]
fn a_server_that_ends_ends_its_streams_in_order() {
    let mut pair = Pair::streaming(Limits::default(), GET);
    pair.push(b"a");
    pair.connection.finish(pair.now);
    assert!(!pair.connection.is_streaming());
    assert_eq!(pair.connection.wants(), Want::Write);
    assert_eq!(pair.text(), format!("{KEPT}1\r\na\r\n0\r\n\r\n"));
    assert_eq!(pair.connection.idle_since(), Some(pair.now), "the driver closes it");
    let mut pair = Pair::streaming(Limits::default(), &[GET, NEXT].concat());
    pair.take(usize::MAX);
    pair.now += Duration::from_secs(60);
    pair.connection.finish(pair.now);
    let write_time_max = Limits::default().write_time_max;
    assert_eq!(
        pair.connection.deadline(),
        Some(pair.now + write_time_max),
        "a client has time to take the end"
    );
    assert_eq!(pair.next().as_deref(), Some("/next"), "what was asked for is answered");
    pair.connection.respond(&ok(), &DATE, pair.now);
    assert!(pair.text().contains("\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    assert!(pair.text().contains("Connection: close\r\n"));
    assert_eq!(pair.connection.wants(), Want::Close);
}

#[test]
fn a_stream_that_begins_while_the_server_ends_is_over_at_once() {
    let mut pair = Pair::new(Limits::default());
    pair.connection.receive(GET, pair.now);
    pair.connection.finish(pair.now);
    assert_eq!(pair.next().as_deref(), Some("/events"));
    pair.connection.begin_stream(&ok(), &DATE, pair.now);
    assert!(!pair.connection.is_streaming());
    assert_eq!(pair.text(), format!("{CLOSED}0\r\n\r\n"));
    assert_eq!(pair.connection.wants(), Want::Close);
}

#[test]
fn the_last_response_of_a_connection_may_be_a_stream() {
    let mut asked = Pair::streaming(Limits::default(), LAST);
    let mut bounded = Pair::streaming(Limits { connection_requests_max: 1, ..Limits::default() }, GET);
    // A client that has not asked for the end may be sending more.
    for (pair, wants) in [(&mut asked, Want::Close), (&mut bounded, Want::Shutdown)] {
        pair.push(b"a");
        pair.end();
        assert_eq!(pair.text(), format!("{CLOSED}1\r\na\r\n0\r\n\r\n"));
        assert_eq!(pair.connection.wants(), wants);
    }
    let mut pair = Pair::streaming(Limits::default(), &[LAST, NEXT].concat());
    pair.end();
    assert_eq!(pair.next(), None, "nothing after the last request is answered");
    assert_eq!((pair.text(), pair.connection.wants()), (format!("{CLOSED}0\r\n\r\n"), Want::Shutdown));
}

/// HTTP/1.0 has no transfer codings (RFC 9112, 6.1), so the end of the connection is the end of the content.
#[test]
fn a_stream_over_http_1_0_ends_with_its_connection() {
    for is_whole in [true, false] {
        let mut pair = Pair::streaming(Limits::default(), OLD);
        pair.push(b"hello");
        pair.push(b"");
        pair.push(b" world");
        if is_whole {
            pair.end();
        } else {
            pair.connection.break_stream(pair.now);
        }
        let head = CLOSED.replace("Transfer-Encoding: chunked\r\n", "");
        assert_eq!(pair.text(), format!("{head}hello world"));
        assert_eq!(pair.connection.wants(), Want::Close);
    }
}

#[test]
fn a_stream_in_answer_to_head_is_its_head() {
    let mut pair = Pair::streaming(Limits::default(), HEAD);
    assert!(!pair.connection.is_streaming());
    assert_eq!((pair.connection.room(), pair.push(b"x")), (0, 0));
    pair.end();
    assert_eq!(
        (pair.text(), pair.connection.wants()),
        (KEPT.to_owned(), Want::Read),
        "with the fields of GET's"
    );
    pair.connection.receive(NEXT, pair.now);
    assert_eq!(pair.next().as_deref(), Some("/next"));
}

#[test]
fn a_status_without_content_has_no_stream() {
    let mut pair = Pair::new(Limits::default());
    pair.connection.receive(GET, pair.now);
    assert_eq!(pair.next().as_deref(), Some("/events"));
    pair.connection.begin_stream(&Response::new(Status::NoContent, FieldLines::NONE), &DATE, pair.now);
    assert!(!pair.connection.is_streaming());
    let head = KEPT.replace("200 OK", "204 No Content").replace("Transfer-Encoding: chunked\r\n", "");
    assert_eq!((pair.text(), pair.connection.wants()), (head, Want::Read));
}

#[test]
fn a_refusal_is_answered_whole() {
    let mut pair = Pair::new(Limits::default());
    pair.connection.receive(b"GET / HTTP/1.1\r\n\r\n", pair.now);
    assert!(matches!(pair.connection.next_event(pair.now), Event::Refused(..)));
    let response = Response::new(Status::BadRequest, FieldLines::NONE).with_body(Body::Own(b"no"[..].into()));
    pair.connection.begin_stream(&response, &DATE, pair.now);
    assert!(!pair.connection.is_streaming());
    assert!(pair.text().ends_with("Content-Length: 2\r\n\r\nno"));
    assert_eq!(pair.connection.wants(), Want::Shutdown);
}

#[test]
fn a_silent_stream_holds_no_buffers() {
    let mut pair = Pair::streaming(Limits::default(), GET);
    pair.push(b"a");
    assert!(pair.connection.give_back().is_none(), "a byte is to be sent");
    pair.take(usize::MAX);
    let buffers = pair.connection.give_back().expect("nothing is in them");
    assert_eq!((pair.connection.buffered(), pair.connection.wants()), (0, Want::Content));
    assert_eq!(pair.connection.room(), Limits::default().output_bytes_max);
    pair.connection.lend(buffers);
    pair.push(b"b");
    pair.end();
    assert_eq!(pair.text(), format!("{KEPT}1\r\na\r\n1\r\nb\r\n0\r\n\r\n"));
}
