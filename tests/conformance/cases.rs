//! The conformance table: what RFC 9110 and RFC 9112 say of a server, as bytes and the answers to them.
//!
//! `tests/it/conformance.rs` holds this server to it; `cargo bench -- conformance` shows the same bytes to other
//! servers. A case that is refused is followed by a request for `/`, which must not be answered.

/// One line of the table.
pub struct Case {
    /// The RFC and the section.
    pub section: &'static str,
    /// What is shown.
    pub name: &'static str,
    /// What the client sends before it closes its sending side.
    pub bytes: &'static str,
    /// The statuses of the final answers, in order.
    pub answers: &'static [u16],
    /// Whether the last of them refuses the connection: nothing after it is taken for a request.
    pub refuses: bool,
}

const fn ok(section: &'static str, name: &'static str, bytes: &'static str, answers: &'static [u16]) -> Case {
    Case { section, name, bytes, answers, refuses: false }
}

const fn no(section: &'static str, name: &'static str, bytes: &'static str, answers: &'static [u16]) -> Case {
    Case { section, name, bytes, answers, refuses: true }
}

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    // Requests as they should be.
    ok("9112 3", "a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 2.2", "empty lines before a request line", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 2.3", "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", &[200]),
    ok("9110 2.5", "a higher minor version", "GET / HTTP/1.9\r\nHost: h\r\n\r\n", &[200]),
    ok("9110 5.1", "field names in any case", "GET / HTTP/1.1\r\nhOST: h\r\n\r\n", &[200]),
    ok("9110 5.6.3", "space and tab around a value", "GET / HTTP/1.1\r\nHost:\t h \t\r\n\r\n", &[200]),
    ok("9110 5.5", "an empty value", "GET / HTTP/1.1\r\nHost: h\r\nX:\r\n\r\n", &[200]),
    ok("9110 5.5", "bytes beyond ASCII in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: é\r\n\r\n", &[200]),
    ok("9112 3.2.1", "a query", "GET /?a=b&c HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 3.2.2", "an absolute target", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 3.2.2", "an absolute target without a path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 3.2.2", "a scheme in capitals", "GET HTTP://h/ HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 3.2.4", "the server as a whole", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &[204]),
    ok("9112 3.2", "a Host with a port", "GET / HTTP/1.1\r\nHost: h:80\r\n\r\n", &[200]),
    ok("9112 3.2", "a Host that is an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", &[200]),
    ok("9112 3.2", "an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", &[200]),
    ok("9110 9.3.2", "HEAD", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 9.3.2", "pipelining", "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n", &[200, 404]),
    ok("9112 9.3", "HTTP/1.0 ends after one request", "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", &[200]),
    ok("9112 9.3", "HTTP/1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n", &[200, 200]),
    ok("9112 9.6", "Connection: close ends it", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9112 9.6", "close in a list, in capitals", "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[200]),
    ok("9110 15.5.5", "a path that is not there", "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", &[404]),
    ok("9110 15.5.6", "a method that the path does not have", "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", &[405]),
    // Content.
    ok("9112 6.2", "a length", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9112 6.2", "a length with zeros before it", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 005\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9112 6.3", "content with GET", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /x HTTP/1.1\r\nHost: h\r\n\r\n", &[200, 404]),
    ok("9112 7.1", "chunks", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9112 7.1", "sizes in capitals, with zeros", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n00A\r\n0123456789\r\n000\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9112 7.1.1", "chunk extensions are read past", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9112 7.1.2", "trailers are read past", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9112 7", "a coding's name in capitals", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9110 10.1.1", "Expect: 100-continue, with the content at once", "POST /token HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400, 200]),
    ok("9110 10.1.1", "an expectation in HTTP/1.0 is ignored", "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", &[200]),
    // Request lines that are none.
    no("9112 3", "an unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", &[501]),
    no("9110 9.1", "a method in small letters", "get / HTTP/1.1\r\nHost: h\r\n\r\n", &[501]),
    no("9112 3", "no version", "GET /\r\nHost: h\r\n\r\n", &[400]),
    no("9112 2.3", "another major version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", &[505]),
    no("9112 2.3", "a version in small letters", "GET / http/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 2.3", "a version of two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3", "two spaces before the target", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3", "a space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3", "a space before the method", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3", "a tab for a space", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2", "a target without its slash", "GET x HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2", "a fragment", "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2", "bytes beyond ASCII in the target", "GET /é HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2", "a control byte in the target", "GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2.2", "another scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2.2", "an absolute target without a host", "GET http:/// HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9110 4.2.4", "user information in a target", "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2.4", "* for another method", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2.3", "CONNECT without a port", "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 2.2", "a bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", &[400]),
    no("9112 2.2", "bare LFs alone", "GET / HTTP/1.1\nHost: h\n\n", &[400]),
    no("9112 2.2", "a bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", &[400]),
    no("9112 2.2", "no HTTP at all", "\x16\x03\x01\x02\r\n\r\n", &[400]),
    // Field lines that are none.
    no("9112 5.1", "a space before the colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", &[400]),
    no("9112 5.1", "a space in a name", "GET / HTTP/1.1\r\nHost: h\r\nX Y: z\r\n\r\n", &[400]),
    no("9112 5.2", "a continued line", "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n", &[400]),
    no("9112 2.2", "a space before the first field line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", &[400]),
    no("9112 5", "a line without a colon", "GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", &[400]),
    no("9112 5", "a line without a name", "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", &[400]),
    no("9110 5.5", "NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", &[400]),
    no("9110 5.5", "a bare CR in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", &[400]),
    no("9110 5.5", "a bare LF in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\nY: b\r\n\r\n", &[400]),
    no("9110 5.5", "a control byte in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01\r\n\r\n", &[400]),
    no("9110 5.6.2", "a byte in a name that no token has", "GET / HTTP/1.1\r\nHost: h\r\nX(y): z\r\n\r\n", &[400]),
    no("9112 3.2", "no Host", "GET / HTTP/1.1\r\n\r\n", &[400]),
    no("9112 3.2", "two Hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", &[400]),
    no("9112 3.2", "a malformed Host", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", &[400]),
    no("9112 3.2", "two hosts in one Host", "GET / HTTP/1.1\r\nHost: h, i\r\n\r\n", &[400]),
    no("9112 3.2", "a Host with user information", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", &[400]),
    no("9112 3.2", "a Host whose port is none", "GET / HTTP/1.1\r\nHost: h:x\r\n\r\n", &[400]),
    no("9112 3.2", "an absolute target and no Host", "GET http://h/ HTTP/1.1\r\n\r\n", &[400]),
    // Framings that two readers may read in two ways.
    no("9112 6.3", "a length and chunks", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    no("9112 6.3", "two lengths that differ", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", &[400]),
    no("9112 6.3", "two equal lengths", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", &[400]),
    no("9112 6.3", "two lengths in one line", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", &[400]),
    no("9110 8.6", "a length with a sign", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", &[400]),
    no("9110 8.6", "a length below nothing", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", &[400]),
    no("9110 8.6", "a length in another base", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello", &[400]),
    no("9110 8.6", "an empty length", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", &[400]),
    no("9110 8.6", "a length with a space in it", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 1 1\r\n\r\nhello", &[400]),
    no("9110 8.6", "a length past 64 bits", "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551617\r\n\r\n", &[413]),
    no("9112 6.1", "chunks in HTTP/1.0", "POST /token HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    no("9112 6.1", "a coding after chunked", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", &[400]),
    no("9112 6.1", "chunked twice", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", &[400]),
    no("9112 6.1", "chunked in two lines", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    no("9112 6.1", "an unknown coding", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501]),
    no("9112 6.1", "identity, which is no coding any more", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", &[400]),
    no("9112 6.1", "a coding that is no token", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400]),
    no("9112 6.1", "an empty coding", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", &[400]),
    no("9112 7.1", "a chunk without a size", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", &[400]),
    no("9112 7.1", "a size that is no number", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n", &[400]),
    no("9112 7.1", "a size with 0x", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", &[400]),
    no("9112 7.1", "a size below nothing", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", &[400]),
    no("9112 7.1", "a size that wraps around", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", &[413]),
    no("9112 7.1", "a bare LF after a size", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", &[400]),
    no("9112 7.1.1", "a bare LF in an extension", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", &[400]),
    no("9112 7.1", "data that is longer than its size", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n", &[400]),
    no("9112 7.1", "a bare LF after the data", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", &[400]),
    no("9112 7.1.2", "a malformed trailer", "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX y\r\n\r\n", &[400]),
    no("9110 10.1.1", "another expectation", "GET / HTTP/1.1\r\nHost: h\r\nExpect: a-miracle\r\n\r\n", &[417]),
];

/// What follows a refused case: a server that answers it mistook the refused request for something else.
pub const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// What a client sends for `case`.
pub fn bytes(case: &Case) -> Vec<u8> {
    let after = if case.refuses { SMUGGLED } else { "" };
    [case.bytes.as_bytes(), after.as_bytes()].concat()
}
