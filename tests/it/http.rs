//! HTTP from bytes: every case whole, byte by byte, cut at every point, behind another request, and on buffers
//! that another connection had, with the same answers each time.
//!
//! The codec is driven without a socket, for only so is a cut where the test puts it. The application behind
//! it echoes what it was given, so a case shows what a request was understood as. After every refused case
//! comes a request for `/smuggled`, which must never be answered. `tests/it/refusals.rs` and `tests/it/sockets.rs`
//! show the same server over real sockets.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use oauth_from_scratch::http::connection::{Buffers, Connection, Event, Want};
use oauth_from_scratch::http::{Body, Date, FieldLines, Limits, Request, Response, Status};

/// The moment of every answer: none of these cases is about it.
static DATE: LazyLock<Date> = LazyLock::new(|| Date::of_second(0));

/// Small limits, so that their cases are short.
fn limits() -> Limits {
    Limits {
        request_line_bytes_max: 60,
        head_bytes_max: 300,
        fields_max: 6,
        body_bytes_max: 40,
        chunk_extra_bytes_max: 20,
        ..Limits::default()
    }
}

/// What came of a conversation: for each request what it was understood as, for each refusal its reason, and
/// how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transcript {
    exchanges: Vec<String>,
    /// What the refused request was understood as, where it came so far.
    refused: Option<String>,
    sent: String,
    end: Want,
}

/// Gives `pieces` to a new connection, one after the other, and then the client's end.
fn converse(pieces: &[&[u8]]) -> Transcript {
    converse_on(&mut None, pieces)
}

/// The same with these buffers, which another connection may have had before, and which the next may have.
fn converse_on(buffers: &mut Option<Box<Buffers>>, pieces: &[&[u8]]) -> Transcript {
    let now = Instant::now();
    let mut connection = Connection::new(Arc::new(limits()), now);
    connection.lend(buffers.take().unwrap_or_default());
    let mut transcript =
        Transcript { exchanges: Vec::new(), refused: None, sent: String::new(), end: Want::Read };
    for piece in pieces {
        connection.receive(piece, now);
        go_on(&mut connection, &mut transcript, now);
    }
    transcript.end = connection.wants();
    if transcript.end == Want::Read {
        connection.receive_end();
        go_on(&mut connection, &mut transcript, now);
    }
    if connection.wants() == Want::Shutdown {
        connection.shut(now);
    }
    *buffers = connection.give_back();
    transcript
}

fn go_on(connection: &mut Connection, transcript: &mut Transcript, now: Instant) {
    loop {
        let (exchange, response) = match connection.next_event(now) {
            Event::Nothing => break,
            Event::Request(request) => {
                let echo = describe(&request);
                (
                    echo.clone(),
                    Response::new(Status::Ok, FieldLines::NONE).with_body(Body::Own(echo.into_bytes().into())),
                )
            }
            Event::Refused(refusal, request) => {
                transcript.refused = request.as_ref().map(describe);
                (
                    format!("{} {}", refusal.status.code(), refusal.reason),
                    Response::new(refusal.status, FieldLines::NONE),
                )
            }
        };
        transcript.exchanges.push(exchange);
        connection.respond(&response, &DATE, now);
    }
    let outgoing = connection.outgoing().to_vec();
    transcript.sent.push_str(std::str::from_utf8(&outgoing).expect("answers are text"));
    if !outgoing.is_empty() {
        connection.sent(outgoing.len(), now);
    }
}

fn describe(request: &Request) -> String {
    let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
    let body = String::from_utf8_lossy(request.body()).into_owned();
    let mut text = format!("{} {}{query} @{}", request.method().token(), request.path(), request.authority());
    if !body.is_empty() {
        text.push_str(&format!(" [{body}]"));
    }
    text
}

/// A request that says something in each of its parts.
const EARLIER: &str = "POST http://earlier/?of=it HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\
    Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";

/// Runs `bytes` whole, byte by byte, cut at every point, behind another request, and with buffers that another
/// connection had, and expects these exchanges each time. A case that ends in a refusal must leave the connection
/// waiting for nothing but to be closed.
fn check(bytes: &str, expected: &[&str]) {
    check_bytes(bytes.as_bytes(), expected);
}

fn check_bytes(bytes: &[u8], expected: &[&str]) {
    let refused = expected.last().is_some_and(|last| last.as_bytes()[0].is_ascii_digit());
    let mut bytes = bytes.to_vec();
    if refused {
        bytes.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let whole = converse(&[&bytes]);
    assert_eq!(whole.exchanges, expected, "whole: {shown:?}");
    assert_eq!(whole.end == Want::Shutdown, refused, "a refusal ends the connection: {shown:?}");
    let whole = without_continue(whole);
    let singles: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(without_continue(converse(&singles)), whole, "byte by byte: {shown:?}");
    for at in 1..bytes.len() {
        let (first, second) = bytes.split_at(at);
        let cut = without_continue(converse(&[first, second]));
        assert_eq!(cut, whole, "cut at {at}: {shown:?}");
    }
    let earlier = without_continue(converse(&[EARLIER.as_bytes()]));
    let mut later = without_continue(converse(&[EARLIER.as_bytes(), &bytes]));
    later.exchanges.drain(..earlier.exchanges.len());
    later.sent.drain(..earlier.sent.len());
    assert_eq!(later, whole, "behind another request: {shown:?}");
    let mut buffers = None;
    for before in [&bytes, EARLIER.as_bytes()] {
        converse_on(&mut buffers, &[before]);
        let later = without_continue(converse_on(&mut buffers, &[&bytes]));
        assert_eq!(later, whole, "with the buffers of {:?}: {shown:?}", String::from_utf8_lossy(before));
    }
}

/// A server leaves out the 100 where the content has come along with the head (RFC 9110, 10.1.1): the one
/// difference that a cut may make.
fn without_continue(mut transcript: Transcript) -> Transcript {
    transcript.sent = transcript.sent.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    transcript
}

#[test]
fn a_request_means_the_same_in_any_pieces() {
    check("GET / HTTP/1.1\r\nHost: h\r\n\r\n", &["GET / @h"]);
    check("GET /a?b=c&d HTTP/1.1\r\nhOST:h:80\r\n\r\n", &["GET /a?b=c&d @h:80"]);
    check("GET /? HTTP/1.1\r\nHost: h\r\n\r\n", &["GET /? @h"]);
    check("GET / HTTP/1.1\r\nHost: \t h \t\r\nX:\r\n\r\n", &["GET / @h"]);
    check("GET / HTTP/1.1\r\nHost: [::1]:3001\r\n\r\n", &["GET / @[::1]:3001"]);
    check("GET / HTTP/1.1\r\nHost:\r\n\r\n", &["GET / @"]);
    check("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &["GET / @h"]);
    check("PATCH /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", &["PATCH /x @h"]);
    check("GET / HTTP/1.7\r\nHost: h\r\n\r\n", &["GET / @h"]);
    check_bytes(b"GET / HTTP/1.1\r\nHost: h\r\nX: caf\xe9\r\n\r\n", &["GET / @h"]);
}

#[test]
fn targets_come_in_four_forms() {
    check("GET http://a:8/p?q HTTP/1.1\r\nHost: b\r\n\r\n", &["GET /p?q @a:8"]);
    check("GET HTTP://a HTTP/1.1\r\nHost: b\r\n\r\n", &["GET / @a"]);
    check("GET http://a?q HTTP/1.1\r\nHost: b\r\n\r\n", &["GET /?q @a"]);
    check("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &["OPTIONS * @h"]);
    check("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", &["CONNECT a:443 @a:443"]);
    let neither = "400 the request target is neither a path nor an http URI";
    check("GET * HTTP/1.1\r\nHost: h\r\n\r\n", &[neither]);
    check("GET a HTTP/1.1\r\nHost: h\r\n\r\n", &[neither]);
    check("GET https://a/ HTTP/1.1\r\nHost: h\r\n\r\n", &[neither]);
    let host = "400 malformed host in the request target";
    check("GET http:///p HTTP/1.1\r\nHost: h\r\n\r\n", &[host]);
    check("GET http://:80/p HTTP/1.1\r\nHost: h\r\n\r\n", &[host]);
    check("GET http://u@a/ HTTP/1.1\r\nHost: h\r\n\r\n", &[host]);
    check("CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", &["400 the target of CONNECT must be a host and a port"]);
    check("CONNECT a HTTP/1.1\r\nHost: h\r\n\r\n", &["400 the target of CONNECT must be a host and a port"]);
    let byte = "400 invalid byte in the request target";
    check("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", &[byte]);
}

/// Found by the fuzzer: the query of the first was taken for one of the second's.
#[test]
fn nothing_of_a_request_is_taken_for_the_next_ones() {
    let first = "GET /somewhat-longer?than=the-next HTTP/1.1\r\nHost: h\r\n\r\n";
    let first_is = "GET /somewhat-longer?than=the-next @h";
    check(&format!("{first}CONNECT a:4 HTTP/1.1\r\nHost: h\r\n\r\n"), &[first_is, "CONNECT a:4 @a:4"]);
    check(&format!("{first}CONNECT a:4 HTTP/1.1\r\n\r\n"), &[first_is, "400 no Host"]);
    check(&format!("{first}GET / HTTP/1.0\r\n\r\n"), &[first_is, "GET / @"]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    check(
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab\
         POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n\
         \r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n",
        &["GET /1 @h", "POST /2 @h [ab]", "POST /3 @h [c]", "GET /4 @h"],
    );
}

#[test]
fn content_comes_by_length_or_in_chunks() {
    let length = |value: &str, content: &str| {
        format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {value}\r\n\r\n{content}")
    };
    check(&length("3", "abc"), &["POST / @h [abc]"]);
    check(&length("0003", "abc"), &["POST / @h [abc]"]);
    check(&length("40", &"x".repeat(40)), &[&format!("POST / @h [{}]", "x".repeat(40))]);
    let chunked =
        |content: &str| format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{content}");
    check(&chunked("0\r\n\r\n"), &["POST / @h"]);
    check(&chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), &["POST / @h [abcde]"]);
    check(&chunked("00a\r\n0123456789\r\n0\r\n\r\n"), &["POST / @h [0123456789]"]);
    check(&chunked("A;x=y;z=\"q;\"\r\n0123456789\r\n000\r\n\r\n"), &["POST / @h [0123456789]"]);
    check(&chunked("1 \t;x\r\na\r\n0 \r\n\r\n"), &["POST / @h [a]"]);
    check(&chunked("1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\n"), &["POST / @h [a]"]);
    check(&chunked("2\r\n\r\n\r\n0\r\n\r\n"), &["POST / @h [\r\n]"]);
    check(
        "POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding:\t, CHUNKED ,\r\n\r\n1\r\na\r\n0\r\n\r\n",
        &["POST / @h [a]"],
    );
}

#[test]
fn ambiguous_framing_is_refused() {
    let fields = |fields: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
    let number = "400 malformed Content-Length";
    for value in ["", "+3", "-3", "3a", "0x3", "3 3", "3,3", "3, 3", "3.0", "\u{0663}"] {
        check(&fields(&format!("Content-Length: {value}")), &[number]);
    }
    check(&fields("Content-Length: 3\r\nContent-Length: 3"), &["400 more than one Content-Length"]);
    check(&fields("Content-Length: 3\r\ncontent-length: 4"), &["400 more than one Content-Length"]);
    let both = "400 both Content-Length and Transfer-Encoding";
    check(&fields("Content-Length: 3\r\nTransfer-Encoding: chunked"), &[both]);
    check(&fields("Transfer-Encoding: chunked\r\nContent-Length: 3"), &[both]);
    check(&fields("Transfer-Encoding: identity\r\nContent-Length: 3"), &[both]);
    let last = "400 chunked must be the last transfer coding, and applied once";
    for value in ["identity", "gzip", "chunked, gzip", "chunked, chunked", "", "chunked;q=1"] {
        check(&fields(&format!("Transfer-Encoding: {value}")), &[last]);
    }
    check(&fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), &[last]);
    check(&fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), &[last]);
    check(
        &fields("Transfer-Encoding: gzip, chunked"),
        &["501 unsupported transfer coding: only chunked is implemented"],
    );
    check(&fields("Transfer-Encoding: \x0bchunked"), &["400 a field value contains a control byte"]);
    check(&fields("Transfer-Encoding: \"chunked\""), &["400 malformed Transfer-Encoding"]);
    check(
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        &["400 Transfer-Encoding in HTTP/1.0"],
    );
}

#[test]
fn malformed_chunks_are_refused() {
    let chunked =
        |content: &str| format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{content}");
    let line = "400 malformed size line of a chunk";
    check(&chunked("\r\n"), &["400 a chunk has no size"]);
    check(&chunked(";x\r\n"), &["400 a chunk has no size"]);
    check(&chunked("-1\r\n"), &["400 a chunk has no size"]);
    check(&chunked("+1\r\na\r\n"), &["400 a chunk has no size"]);
    check(&chunked("0x1\r\na\r\n"), &[line]);
    check(&chunked("1\na\r\n"), &[line]);
    check(&chunked("1\ra\r\n"), &[line]);
    check(&chunked("1 1\r\na\r\n"), &[line]);
    check(&chunked("1;a\nb\r\n"), &[line]);
    check(&chunked("1\r\nab\r\n"), &["400 a chunk's data is longer than its size"]);
    check(&chunked("1\r\na\n"), &["400 a chunk's data is longer than its size"]);
    check(&chunked("00000000000000001\r\na\r\n"), &["400 a chunk's size has too many digits"]);
    check(&chunked("ffffffffffffffff\r\n"), &["413 the content is too large"]);
    check(&chunked("29\r\n"), &["413 the content is too large"]);
    check(&chunked("14\r\n01234567890123456789\r\n15\r\n"), &["413 the content is too large"]);
    check(&chunked("1;aaaaaaaaaaaaaaaaaaaaa\r\n"), &["400 the chunk extensions and trailers are too long"]);
    check(
        &chunked("0\r\nA: aaaaaaaaaaaaaaaaaaaa\r\n"),
        &["400 the chunk extensions and trailers are too long"],
    );
    let trailer = "400 malformed trailer field";
    check(&chunked("0\r\nA\r\n"), &[trailer]);
    check(&chunked("0\r\n: a\r\n"), &[trailer]);
    check(&chunked("0\r\nA : a\r\n"), &[trailer]);
    check(&chunked("0\r\nA: b\n"), &[trailer]);
    check(&chunked("0\r\n folded\r\n"), &[trailer]);
    check(&chunked("0\r\n\n"), &[trailer]);
    check(&chunked("0\r\n\rX"), &[trailer]);
}

#[test]
fn exactly_one_valid_host_is_required() {
    check("GET / HTTP/1.1\r\n\r\n", &["400 no Host"]);
    check("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", &["400 more than one Host"]);
    check("GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", &["400 more than one Host"]);
    check("GET http://a/ HTTP/1.1\r\n\r\n", &["400 no Host"]);
    for host in
        ["a b", "a/b", "u@h", "h:x", "h:1:2", "[::1", "[]", "[g]", "h:123456", "%zz", "a,b?", "h\\", "[::1]x"]
    {
        check(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), &["400 malformed Host"]);
    }
}

#[test]
fn malformed_lines_are_refused() {
    let line = "400 malformed request line";
    check("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", &[line]);
    check("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", &[line]);
    check("GET /\r\nHost: h\r\n\r\n", &[line]);
    check("GET / http/1.1\r\nHost: h\r\n\r\n", &[line]);
    check("GET / HTTP/11\r\nHost: h\r\n\r\n", &[line]);
    check("GE(T / HTTP/1.1\r\nHost: h\r\n\r\n", &[line]);
    let first = "400 the request line does not begin with a method";
    check(" GET / HTTP/1.1\r\nHost: h\r\n\r\n", &[first]);
    check("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[first]);
    check_bytes(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", &[first]);
    let empty = "400 too many empty lines before the request line";
    check(&"\r\n".repeat(9), &[empty]);
    let bare = "400 a line ends in a bare LF";
    check("GET / HTTP/1.1\nHost: h\r\n\r\n", &[bare]);
    check("GET / HTTP/1.1\r\nHost: h\n\r\n", &[bare]);
    check("GET / HTTP/1.1\r\nHost: h\r\n\n", &[bare]);
    check("GET / HTTP/1.1\r\nX: a\nHost: h\r\n\r\n", &[bare]);
    check("GET / HTTP/1.1\r\nX:\nHost: h\r\n\r\n", &[bare]);
    check("GET / HTTP/1.1\r\nX: \nHost: h\r\n\r\n", &[bare]);
    check("GET / HTTP/1.1\r\nX:\r\nHost: h\r\n\n", &[bare]);
    check("GET / HTTP/1.0\n\r\n", &[bare]);
    check("GET / HTTP/1.0\r\n\n", &[bare]);
    let name = "400 malformed field name";
    check("GET / HTTP/1.1\r\nHost : h\r\n\r\n", &[name]);
    check("GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", &[name]);
    check("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", &[name]);
    check("GET / HTTP/1.1\r\nHost: h\r\n\tfolded: x\r\n\r\n", &[name]);
    check("GET / HTTP/1.1\r\nHost: h\r\nNo-colon\r\n\r\n", &[name]);
    check("GET / HTTP/1.1\r\nHost: h\r\nX(: x\r\n\r\n", &[name]);
    let value = "400 a field value contains a control byte";
    check("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", &[value]);
    check("GET / HTTP/1.1\r\nHost: h\r\nX: a\x7fb\r\n\r\n", &[value]);
    check("GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", &[value]);
}

#[test]
fn unknown_methods_and_versions_have_a_status_of_their_own() {
    let method = "501 unknown method";
    check("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", &[method]);
    check("get / HTTP/1.1\r\nHost: h\r\n\r\n", &[method]);
    let version = "505 the HTTP version is not 1.x";
    check("GET / HTTP/2.0\r\nHost: h\r\n\r\n", &[version]);
    check("GET / HTTP/0.9\r\nHost: h\r\n\r\n", &[version]);
    check("PRI * HTTP/2.0\r\n\r\n", &[version]);
}

#[test]
fn what_is_too_long_is_refused_from_its_beginning() {
    let target = |length: usize| format!("/{}", "a".repeat(length - 1));
    // 60 bytes of request line, of which 13 are not the target.
    let fits = format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", target(47));
    check(&fits, &[&format!("GET {} @h", target(47))]);
    let line = "414 the request line is too long";
    check(&format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", target(48)), &[line]);
    check(&format!("GET {}", target(1000)), &[line]);
    let head = |padding: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(padding));
    let padding = 300 - head(0).len();
    check(&head(padding), &["GET / @h"]);
    let too_long = "431 the request head is longer than head_bytes_max in [limits] allows";
    check(&head(padding + 1), &[too_long]);
    check(&head(1000), &[too_long]);
    // Cookies are other programs' doing on the same host, and the reason says so if most of the head is cookies.
    let cookies = "431 the cookies of this host make the request head longer than head_bytes_max in [limits] allows: \
                   delete some (all programs on one host share them), or raise it";
    let head = |name: &str, padding: usize| {
        format!("GET / HTTP/1.1\r\nHost: h\r\n{name}: {}\r\nX: y\r\n\r\n", "a".repeat(padding))
    };
    for padding in [300, 1000] {
        check(&head("CooKie", padding), &[cookies]);
        check(&head("Set-Cookie", padding), &[too_long]);
    }
    check(
        &format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\nCookie: {}", "x".repeat(160), "a".repeat(90)),
        &[too_long],
    );
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    check(&fields(6), &["GET / @h"]);
    check(&fields(7), &["431 the request head has more field lines than fields_max in [limits] allows"]);
    let cookies = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "Cookie: ab=c\r\n".repeat(6));
    let too_many = "431 the cookies of this host make more field lines than fields_max in [limits] allows: delete some \
                    (all programs on one host share them), or raise it";
    check(&cookies, &[too_many]);
    let length = |length: &str| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    check(&length("41"), &["413 the content is too large"]);
    check(&length("18446744073709551616"), &["413 the content is too large"]);
    check(&length(&"9".repeat(100)), &["413 the content is too large"]);
}

#[test]
fn a_client_that_ends_in_the_middle_is_told_so() {
    let end = |bytes: &str, expected: &[&str]| {
        let transcript = converse(&[bytes.as_bytes()]);
        assert_eq!(transcript.exchanges, expected, "{bytes:?}");
    };
    end("", &[]);
    end("\r\n", &[]);
    end("GET / HTTP/1.1\r\nHost: h\r\n", &["400 the client closed the connection before the end of the head"]);
    let content = "400 the client closed the connection before the end of the content";
    end("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", &[content]);
    end("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", &[content]);
    end(
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGE",
        &["GET / @h", "400 the client closed the connection before the end of the head"],
    );
}

#[test]
fn a_connection_persists_as_its_version_and_client_say() {
    let kept = |head: &str, keeps: bool, says: Option<&str>| {
        let bytes = format!("{head}\r\n\r\n");
        let transcript = converse(&[bytes.as_bytes()]);
        assert_eq!(transcript.end == Want::Read, keeps, "{head:?}");
        let line = transcript.sent.lines().find_map(|line| line.strip_prefix("Connection: "));
        assert_eq!(line, says, "{head:?}");
        let line = transcript.sent.lines().find_map(|line| line.strip_prefix("Keep-Alive: timeout="));
        assert_eq!(line, keeps.then(|| limits().idle_time_max.as_secs().to_string()).as_deref(), "{head:?}");
    };
    kept("GET / HTTP/1.1\r\nHost: h", true, Some("keep-alive"));
    kept("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive", true, Some("keep-alive"));
    kept("GET / HTTP/1.1\r\nHost: h\r\nConnection: close", false, Some("close"));
    kept("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE", false, Some("close"));
    kept("GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close", false, Some("close"));
    kept("GET / HTTP/1.0", false, Some("close"));
    kept("GET / HTTP/1.0\r\nConnection: Keep-Alive", true, Some("keep-alive"));
    kept("GET / HTTP/1.0\r\nConnection: keep-alive, close", false, Some("close"));
}

/// Closed with bytes unread, a connection is reset, and the client may never read its last answer.
#[test]
fn after_the_last_answer_what_a_client_still_sends_is_read_away() {
    let end = |bytes: &str| converse(&[bytes.as_bytes()]).end;
    let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    assert_eq!(end(last), Want::Close, "it has sent what it had to say");
    assert_eq!(end(&format!("{last}GET /smuggled HTTP/1.1\r\n")), Want::Shutdown, "it sends on");
    assert_eq!(end("GET / HTTP/1.1\nHost: h\n"), Want::Shutdown, "it was refused in the middle");
}

#[test]
fn a_connection_gives_its_buffers_back_when_all_is_sent() {
    const MORE: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nmore";
    for bytes in [&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], &MORE[..MORE.len() - 4], MORE, b"GET\r\n\r\n"] {
        let now = Instant::now();
        let mut connection = Connection::new(Arc::new(limits()), now);
        connection.receive(bytes, now);
        assert!(!matches!(connection.next_event(now), Event::Nothing));
        assert!(connection.give_back().is_none(), "a request has no answer yet");
        connection.respond(&Response::new(Status::Ok, FieldLines::NONE), &DATE, now);
        assert!(connection.give_back().is_none(), "the answer is not sent yet");
        connection.sent(connection.outgoing().len(), now);
        assert!(connection.give_back().is_some(), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_client_that_waits_for_a_100_gets_one_unless_it_is_refused() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: ";
    let waits = converse(&[format!("{head}2\r\n\r\n").as_bytes(), b"ab"]);
    assert!(waits.sent.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{waits:?}");
    let came_along = converse(&[format!("{head}2\r\n\r\na").as_bytes(), b"b"]);
    assert!(came_along.sent.starts_with("HTTP/1.1 200 OK\r\n"), "{came_along:?}");
    let too_large = converse(&[format!("{head}41\r\n\r\n").as_bytes()]);
    assert!(too_large.sent.starts_with("HTTP/1.1 413 "), "{too_large:?}");
    let none = converse(&[format!("{head}0\r\n\r\n").as_bytes()]);
    assert!(none.sent.starts_with("HTTP/1.1 200 OK\r\n"), "{none:?}");
    check(
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue, x\r\nContent-Length: 2\r\n\r\n",
        &["417 unsupported expectation: only 100-continue is implemented"],
    );
    check(&format!("{head}2\r\n\r\nab"), &["POST / @h [ab]"]);
    let old = converse(&[b"POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 2\r\n\r\n", b"ab"]);
    assert_eq!(old.exchanges, ["POST / @ [ab]"]);
}

#[test]
fn an_answer_to_head_has_the_fields_and_no_content() {
    let get = converse(&[b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"]).sent;
    let head = converse(&[b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"]).sent;
    let (fields, content) = get.split_once("\r\n\r\n").unwrap();
    assert_eq!(content, "GET / @h");
    // The echo is a byte longer.
    assert_eq!(head, format!("{}\r\n\r\n", fields.replace("Content-Length: 8", "Content-Length: 9")));
}

#[test]
fn a_thousand_pipelined_requests_cost_one_write() {
    let now = Instant::now();
    let limits = Limits { output_bytes_max: 10_000, ..Limits::default() };
    let mut connection = Connection::new(Arc::new(limits), now);
    let mut answered = 0;
    connection.receive("GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000).as_bytes(), now);
    loop {
        while let Event::Request(_) = connection.next_event(now) {
            answered += 1;
            connection.respond(&Response::new(Status::Ok, FieldLines::NONE), &DATE, now);
        }
        if connection.wants() != Want::Write {
            break;
        }
        let count = connection.outgoing().len();
        assert!((10_000..10_100).contains(&count) || answered == 1000, "{count} bytes wait after {answered}");
        connection.sent(count, now);
    }
    assert_eq!((answered, connection.wants()), (1000, Want::Read));
}

#[test]
fn the_output_is_full_when_it_has_as_many_bytes_as_it_may() {
    let now = Instant::now();
    let step = |output_bytes_max: usize| {
        let mut connection = Connection::new(Arc::new(Limits { output_bytes_max, ..Limits::default() }), now);
        connection.receive("GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2).as_bytes(), now);
        assert!(matches!(connection.next_event(now), Event::Request(_)));
        connection.respond(&Response::new(Status::Ok, FieldLines::NONE), &DATE, now);
        let is_full = matches!(connection.next_event(now), Event::Nothing);
        (connection.outgoing().len(), is_full)
    };
    let (length, _) = step(10_000);
    assert_eq!([length - 1, length, length + 1].map(|max| step(max).1), [true, true, false]);
}

/// Such an answer ends with its head, and a length in it would be taken for that of content (RFC 9112, 6.3).
#[test]
fn an_answer_that_never_has_content_has_no_length_of_it() {
    let now = Instant::now();
    for status in [Status::NoContent, Status::NotModified] {
        let mut connection = Connection::new(Arc::new(limits()), now);
        connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", now);
        assert!(matches!(connection.next_event(now), Event::Request(_)));
        let body = Body::Own(b"a mistake of the endpoint's"[..].into());
        connection.respond(&Response::new(status, FieldLines::NONE).with_body(body), &DATE, now);
        let sent = std::str::from_utf8(connection.outgoing()).expect("text");
        assert!(!sent.contains("Content-Length") && sent.ends_with("\r\n\r\n"), "{sent:?}");
    }
}
