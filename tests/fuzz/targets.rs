//! What must hold for any bytes at all. Each function is given some and panics if it does not.
//!
//! The same functions are the fuzzer's targets (`tests/fuzz/README.md`) and, over the corpus and over random
//! changes of it, part of `cargo test` (`tests/it/fuzz.rs`).

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use oauth_from_scratch::config::{self, Config};
use oauth_from_scratch::http::chunked::ChunkedDecoder;
use oauth_from_scratch::http::connection::{Connection, Event, Want};
use oauth_from_scratch::http::form::Form;
use oauth_from_scratch::http::{Date, FieldLines, Limits, Request, Response, Status};
use oauth_from_scratch::oauth::client_document;
use oauth_from_scratch::oauth::client_name::CLIENT_NAME_CHARS_MAX;
use oauth_from_scratch::oauth::document_url::DocumentUrl;
use oauth_from_scratch::oauth::kind::Record as _;
use oauth_from_scratch::oauth::redirect::RedirectUri;
use oauth_from_scratch::oauth::{Grant, Scope, Timestamp};
use oauth_from_scratch::pool::Pool;
use oauth_from_scratch::routes::{Role, Routes, Site, Step};
use oauth_from_scratch::store::{Caller, Mailbox, MemoryStore, Ticket};
use oauth_from_scratch::system::RealSystem;

/// The moment of every answer: none of these cases is about it.
static DATE: LazyLock<Date> = LazyLock::new(|| Date::of_second(0));

/// Panics unless what should hold for these bytes does.
pub type Target = fn(&[u8]);

/// Every target, by its name, which is that of its folder in the corpus.
pub const ALL: [(&str, Target); 9] = [
    ("codec", codec),
    ("chunks", chunks),
    ("form", form),
    ("target", target),
    ("endpoints", endpoints),
    ("configuration", configuration),
    ("record", record),
    ("document", document),
    ("registration", registration),
];

fn limits() -> Limits {
    Limits {
        request_line_bytes_max: 200,
        head_bytes_max: 600,
        fields_max: 8,
        body_bytes_max: 100,
        chunk_extra_bytes_max: 30,
        ..Limits::default()
    }
}

/// What a conversation came to: each request or refusal as it was understood, and how it ended.
#[derive(Debug, PartialEq)]
struct Transcript {
    exchanges: Vec<String>,
    /// Without the interim answers, which depend on what has arrived when.
    is_over: bool,
}

/// Gives a connection these pieces and then the client's end; `each` sees every request.
fn converse<'a>(pieces: impl Iterator<Item = &'a [u8]>, each: &mut dyn FnMut(&Request)) -> Transcript {
    let (now, limits) = (Instant::now(), Arc::new(limits()));
    let mut connection = Connection::new(Arc::clone(&limits), now);
    let mut exchanges = Vec::new();
    let mut go_on = |connection: &mut Connection| {
        loop {
            let (exchange, is_refusal) = match connection.next_event(now) {
                Event::Nothing => break,
                Event::Request(request) => {
                    each(&request);
                    (format!("{:?} {:?}", describe(&request), request.body()), false)
                }
                Event::Refused(refusal, request) => {
                    (format!("{refusal:?} {:?}", request.as_ref().map(describe)), true)
                }
            };
            exchanges.push(exchange);
            connection.respond(&Response::new(Status::Ok, FieldLines::NONE), &DATE, now);
            assert!(!is_refusal || connection.wants() == Want::Write, "a refusal is answered");
        }
        let outgoing = connection.outgoing().len();
        if outgoing > 0 {
            connection.sent(outgoing, now);
        }
        // What the driver would do between two events.
        if let Some(buffers) = connection.give_back() {
            connection.lend(buffers);
        }
    };
    for piece in pieces {
        connection.receive(piece, now);
        go_on(&mut connection);
    }
    if connection.wants() == Want::Read {
        connection.receive_end();
        go_on(&mut connection);
    }
    Transcript { exchanges, is_over: matches!(connection.wants(), Want::Shutdown | Want::Close) }
}

fn describe(request: &Request) -> String {
    let fields: Vec<_> = ["host", "content-length", "transfer-encoding", "authorization"]
        .into_iter()
        .map(|name| request.fields(name).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .collect();
    let (method, path) = (request.method().token(), request.path());
    format!("{method} {path} {:?} {} {fields:?}", request.query(), request.authority())
}

/// Any split of any bytes gives the same messages, whatever came before them, and the end comes.
pub fn codec(bytes: &[u8]) {
    let mut total = 0;
    let mut each = |request: &Request| {
        let (path, body) = (request.path(), request.body().len());
        total += path.len() + body;
        assert!(path.starts_with('/') || path == "*" || request.method().token() == "CONNECT", "{path:?}");
        assert!(path.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{path:?}");
        assert!(body <= limits().body_bytes_max);
        assert!(request.fields("host").count() <= 1);
    };
    let whole = converse(std::iter::once(bytes), &mut each);
    assert!(whole.is_over, "a client that has ended is done with");
    assert!(total <= bytes.len(), "nothing is read twice");
    let ignore: &mut dyn FnMut(&Request) = &mut |_| {};
    assert_eq!(converse(bytes.chunks(1), ignore), whole, "byte by byte");
    // Three further cuts, which the bytes themselves choose.
    for salt in [1, 7, 31] {
        let size =
            bytes.iter().fold(salt, |sum: usize, byte| sum.wrapping_mul(31) + usize::from(*byte)) % 40 + 2;
        assert_eq!(converse(bytes.chunks(size), ignore), whole, "in pieces of {size}");
    }
    let earlier = converse(std::iter::once(EARLIER), ignore).exchanges.len();
    let mut later = converse([EARLIER, bytes].into_iter(), ignore);
    later.exchanges.drain(..earlier);
    assert_eq!(later, whole, "behind another request");
}

/// A request that says something in each of its parts.
const EARLIER: &[u8] = b"POST http://earlier/?of=it HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\
    Authorization: Bearer x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";

/// The decoder never reads past the end of the coding, gives the same whatever the pieces, and undoes what an
/// encoder did.
pub fn chunks(bytes: &[u8]) {
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(decode(bytes, 1), whole, "byte by byte");
    assert_eq!(decode(bytes, 7), whole, "in pieces of 7");
    let plain = &bytes[..bytes.len().min(limits().body_bytes_max)];
    let mut coded = Vec::new();
    for (index, chunk) in plain.chunks(1 + bytes.len() % 9).enumerate() {
        let extension = if index % 8 == 0 { ";a" } else { "" };
        coded.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\nT: x\r\n\r\n");
    let end = coded.len();
    coded.extend_from_slice(b"GET / HTTP/1.1\r\n");
    assert_eq!(decode(&coded, 3), Ok(Some((plain.to_vec(), coded.len() - end))), "encode then decode");
}

/// The content and how many bytes came after it; `None` where the end has not come.
type Decoded = Result<Option<(Vec<u8>, usize)>, String>;

fn decode(bytes: &[u8], piece: usize) -> Decoded {
    let (mut decoder, limits) = (ChunkedDecoder::default(), limits());
    let mut held = Vec::new();
    let mut is_over = false;
    for piece in bytes.chunks(piece) {
        held.extend_from_slice(piece);
        if !is_over {
            is_over = decoder.decode(&mut held, &limits).map_err(|refusal| format!("{refusal:?}"))?;
            held.drain(decoder.take_slack());
        }
        assert!(decoder.content() <= limits.body_bytes_max);
    }
    let after = held.split_off(decoder.content().min(held.len()));
    Ok(is_over.then_some((held, after.len())))
}

/// Whatever a form holds, its parameters are found or said to be repeated; what an encoder wrote reads back.
pub fn form(bytes: &[u8]) {
    let parsed = Form::parse(bytes);
    let count = |name: &str| bytes.windows(name.len()).filter(|window| *window == name.as_bytes()).count();
    // A name may be spelled with percent signs, so it may be there more often than it is seen, but not without.
    assert!(parsed.value("code").is_ok() || count("code") > 1 || bytes.contains(&b'%'));
    assert_eq!(parsed.bytes("code").is_ok(), parsed.value("code").is_ok());
    let pairs: Vec<(String, String)> = bytes
        .chunks(6)
        .map(|piece| piece.split_at(piece.len() / 2))
        .map(|(name, value)| (String::from_utf8_lossy(name).into(), String::from_utf8_lossy(value).into()))
        .collect();
    let coded = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    let parsed = Form::parse(coded.as_bytes());
    for (name, value) in &pairs {
        let count = pairs.iter().filter(|(other, _)| other == name).count();
        match parsed.value(name) {
            Ok(found) => assert_eq!((count, found), (1, Some(value.as_str()))),
            Err(_) => assert!(count > 1),
        }
    }
}

/// Whatever stands as a target, no more is read from it than it says.
pub fn target(bytes: &[u8]) {
    for method in ["GET", "OPTIONS", "CONNECT"] {
        let request = [method.as_bytes(), b" ", bytes, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let mut each = |request: &Request| {
            let text = String::from_utf8_lossy(bytes);
            let in_target = |part: &str| assert!(text.contains(part), "{part:?} in {text:?}");
            if request.path() != "/" {
                in_target(request.path());
            }
            request.query().into_iter().for_each(in_target);
            assert!(request.authority() == "h" || text.contains(request.authority()));
            assert!(!request.path().contains(['?', '#', ' ']), "{:?}", request.path());
        };
        // Bytes with a line end in them are more than a target.
        if !bytes.contains(&b'\n') && !bytes.contains(&b'\r') && !bytes.contains(&b' ') {
            let transcript = converse(std::iter::once(&request[..]), &mut each);
            assert_eq!(transcript.exchanges.len(), 1, "one request or one refusal");
        }
    }
}

/// A server with clients of every kind, and the demo's.
static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let text = include_str!("../../docs/example.toml");
    let mut config = Config { client_port: Some(3000), ..config::read(text, 1).expect("a sound file") };
    config.limits.routes.registrations_max = u32::MAX;
    config.limits.routes.registration_time = std::time::Duration::from_nanos(1);
    let site = Site::new(None, config.client_port, 3001, config.issuer.clone());
    let store = Arc::new(MemoryStore::new(1000));
    Routes::new(&config.routes_settings(), site, store, Arc::new(Pool::new(1)), Arc::new(RealSystem::default()))
        .expect("random bytes")
});

/// Whatever a query or a form holds, every endpoint has an answer to it, and it is not 500. The first byte
/// chooses the endpoint.
pub fn endpoints(bytes: &[u8]) {
    let Some((which, content)) = bytes.split_first() else { return };
    let post = |path: &str, fields: &str| {
        let length = content.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost:3001\r\n{fields}Content-Length: {length}\r\n\r\n");
        [head.as_bytes(), content].concat()
    };
    const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
    const GATE: &str = "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic \
         bm90ZXMtYXBpOmV1MXEwdmJQdTU1STlwbkRmQ29BYUYtOWhjQ1FKempyb2F0RDBmR21RcnNqUS1fQjVMeVphbHFJclpsNjBjUnI=\r\n";
    let in_head = |before: &str, after: &str| [before.as_bytes(), content, after.as_bytes()].concat();
    let request = match which % 8 {
        0 => in_head("GET /authorize?", " HTTP/1.1\r\nHost: h\r\n\r\n"),
        1 => post("/code", "Cookie: oauth-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"),
        2 => post("/token", FORM),
        3 => post("/token", "Content-Type: application/json\r\n"),
        4 => post("/revoke", FORM),
        5 => post("/introspect", GATE),
        6 => in_head("GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: ", "\r\n\r\n"),
        _ => in_head("POST /revoke HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nAuthorization: ", "\r\n\r\n"),
    };
    answers(&request);
}

/// What the server with clients of every kind answers to these bytes: never 500.
fn answers(request: &[u8]) -> Vec<Response> {
    let limits = Arc::new(Limits::default());
    let idle_mailbox: Arc<dyn Mailbox> = Arc::new(());
    let now = Instant::now();
    let mut connection = Connection::new(limits, now);
    connection.receive(request, now);
    connection.receive_end();
    let mut answers = Vec::new();
    loop {
        let answer = match connection.next_event(now) {
            Event::Nothing => break,
            Event::Request(request) => {
                let moment = Timestamp::from_milliseconds(1_767_225_600_000);
                let caller = Caller { mailbox: &idle_mailbox, ticket: Ticket { place: 0, serial: 0 } };
                match ROUTES.begin(
                    Role::AuthorizationServer,
                    std::net::IpAddr::from([127, 0, 0, 1]).into(),
                    &request,
                    moment,
                    caller,
                ) {
                    Step::Done(response) => response,
                    Step::Parked(_) | Step::Stream(_) => panic!("memory answers at once, and whole"),
                }
            }
            Event::Refused(refusal, request) => {
                ROUTES.refuse(Role::AuthorizationServer, refusal, request.as_ref())
            }
        };
        assert_ne!(answer.status, Status::InternalServerError, "{:?}", answer.reason());
        connection.respond(&answer, &DATE, now);
        answers.push(answer);
    }
    answers
}

/// Whatever a file or an engine gives for a grant is refused, or is a grant, which is written as it was read.
pub fn record(bytes: &[u8]) {
    let Ok(grant) = Grant::decode(bytes) else { return };
    let written = grant.encode();
    // A record of the format before gets the end of its code (nine bytes at most), and what is known of its answer.
    let added = if bytes.get(1) == Some(&1) { 10 } else { 0 };
    assert!(written.len() <= bytes.len() + added, "nothing was made up");
    let again = Grant::decode(&written).expect("what was written can be read");
    assert_eq!((again.encode(), again.expires()), (written, grant.expires()));
}

/// Whatever stands in a configuration file, it is understood or a line of it is named.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match config::read(&text, 1) {
        Ok(config) => {
            let _ = config.check();
        }
        Err(error) => {
            assert!(error.iter().next().is_some(), "a refusal names a mistake");
            for mistake in error.iter() {
                assert!((1..=text.split('\n').count()).contains(&mistake.line), "{mistake}");
                assert!(!mistake.message.is_empty());
            }
        }
    }
}

/// Whatever a document says, it is refused, or registers a public client that has its URL as its identifier and no more
/// than this server offers. The URL is the first line.
pub fn document(bytes: &[u8]) {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(url) = std::str::from_utf8(line).ok().and_then(|line| DocumentUrl::parse(line, true)) else {
        return;
    };
    assert!(url.target().starts_with('/') && !url.as_str().contains(['#', '\\', ' ']), "{}", url.as_str());
    assert!(url.as_str().ends_with(url.target()) && !url.origin().host().contains(['/', '@', '%']));
    let offered = Scope::parse("answer question").expect("a scope");
    let Some(text) = bytes.get(line.len() + 1..) else { return };
    let Ok(client) = client_document::read(&url, text, &offered) else { return };
    assert!(*client.id == *url.as_str() && !client.is_confidential() && !client.inspects_all);
    assert!(client.grant_types.authorization_code && !client.grant_types.client_credentials);
    assert!(!client.redirect_uris.is_empty() && client.scope == offered);
    assert!(client.default_scope.is_none_or(|scope| scope.is_within(&offered)));
    assert!(client.redirect_uris.iter().all(|uri| RedirectUri::parse(uri.as_str()).is_ok()));
    assert!(client.name.chars().count() <= CLIENT_NAME_CHARS_MAX, "{:?}", client.name);
    assert!(!client.name.chars().any(char::is_control), "{:?}", client.name);
}

/// Whatever a client registers, it is refused, or gets an identifier with which it is asked for by the dialog, and the
/// same one each time.
pub fn registration(bytes: &[u8]) {
    let length = bytes.len();
    let head = format!(
        "POST /register HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let request = [head.as_bytes(), bytes].concat();
    let [first, second] = [answers(&request), answers(&request)];
    let [answer] = &first[..] else { panic!("one answer to one request") };
    let members: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
    if answer.status != Status::Created {
        assert!(members["error"].is_string(), "{members}");
        return;
    }
    let has_null = members.as_object().expect("an object").values().any(serde_json::Value::is_null);
    let id = members["client_id"].as_str().expect("an identifier");
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    assert!(!has_null && is_plain && id.len() <= 2048, "{members}");
    let again: serde_json::Value = serde_json::from_slice(second[0].body()).expect("JSON");
    let is_public = members.get("client_secret").is_none();
    for name in ["client_id", "client_secret"] {
        assert_eq!(again.get(name) == members.get(name), is_public, "{name} of {members}");
    }
    for uri in members["redirect_uris"].as_array().expect("a list") {
        let uri = form_urlencoded::byte_serialize(uri.as_str().expect("text").as_bytes()).collect::<String>();
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let query = format!(
            "response_type=code&client_id={id}&redirect_uri={uri}&code_challenge={challenge}&code_challenge_method=S256"
        );
        let dialog = answers(format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        assert_eq!(dialog[0].status, Status::Ok, "{members}: {:?}", dialog[0].reason());
    }
}
