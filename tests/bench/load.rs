//! The load: closed-loop clients, each sending its next request when the last is answered, checking every
//! answer. They run in one mio loop on one core, beside the server on the other.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// What the clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// `GET /secure` with a valid token.
    Secure,
    /// The same, sixteen in one write.
    Pipelined,
    /// The dialog page.
    Dialog,
    /// The article's flow: code, token, secure.
    Flow,
    /// The flow of OAuth 2.1: the dialog with its parameters, its form, the code with PKCE, a refresh, and `GET
    /// /secure` with a bearer token.
    Standard,
    /// `GET /secure`, with a connection for each.
    Connect,
    /// A wrong code, a wrong token and a path that is not there, in turn.
    Refused,
}

impl Work {
    pub const ALL: [Work; 7] =
        [Work::Secure, Work::Pipelined, Work::Dialog, Work::Flow, Work::Standard, Work::Connect, Work::Refused];

    /// The work as the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Work::Secure => "secure",
            Work::Pipelined => "16 pipelined",
            Work::Dialog => "dialog",
            Work::Flow => "whole flow",
            Work::Standard => "OAuth 2.1 whole",
            Work::Connect => "connection each",
            Work::Refused => "refused",
        }
    }

    /// The most CPU time per request that the server may take, of the floor's.
    pub fn bar(self) -> f64 {
        match self {
            Work::Secure => 1.06,
            Work::Pipelined => 1.7,
            Work::Dialog => 1.06,
            Work::Flow => 1.12,
            Work::Standard => 1.5,
            Work::Connect => 1.12,
            Work::Refused => 1.10,
        }
    }

    /// Whether the server of this name can do it: nginx has no codes and tokens, and Express has the article's alone.
    pub fn is_for(self, server: &str) -> bool {
        match self {
            Work::Flow => server != "nginx",
            Work::Standard => !matches!(server, "nginx" | "express"),
            Work::Secure | Work::Pipelined | Work::Dialog | Work::Connect | Work::Refused => true,
        }
    }

    /// How many requests a client sends in one write.
    pub fn requests_per_write(self) -> usize {
        if self == Work::Pipelined { 16 } else { 1 }
    }

    /// How many different requests a connection goes round.
    pub fn steps(self) -> usize {
        match self {
            Work::Flow | Work::Refused => 3,
            Work::Standard => 5,
            Work::Secure | Work::Pipelined | Work::Dialog | Work::Connect => 1,
        }
    }
}

/// A server under load, as its clients know it.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// `host:port`, as its Host field must say.
    pub host: String,
    /// A good token.
    pub token: String,
    /// Where its demo client is sent with a code.
    pub redirect_uri: String,
}

/// What a load came to.
pub struct Measured {
    pub requests: u64,
    pub wall: Duration,
    /// How long each write of requests waited for its last answer, in nanoseconds, sorted.
    pub latencies: Vec<u64>,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    /// The latency that this share of the requests stayed under, in microseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let at = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1000.0)
    }
}

/// One client.
struct Client {
    socket: TcpStream,
    step: usize,
    /// What the next request of the flow takes from the last answer: the code, a token; cookie and sealed request.
    credential: String,
    arrived: Vec<u8>,
    missing: usize,
    sent: Instant,
}

/// Puts `work` on `target` with `connections` clients for `time`. An answer that is not the right one is an
/// error.
pub fn run(target: &Target, work: Work, connections: usize, time: Duration) -> io::Result<Measured> {
    run_on(&[target], work, connections, time)
}

/// The same with the clients spread over several targets.
pub fn run_on(targets: &[&Target], work: Work, connections: usize, time: Duration) -> io::Result<Measured> {
    let target = |slot: usize| targets[slot % targets.len()];
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut clients = Vec::new();
    for slot in 0..connections {
        clients.push(connect(&poll, target(slot), slot)?);
    }
    let begun = Instant::now();
    let mut measured = Measured { requests: 0, wall: Duration::ZERO, latencies: Vec::with_capacity(1 << 17) };
    let mut out = Vec::new();
    for (slot, client) in clients.iter_mut().enumerate() {
        client.ask(target(slot), work, &mut out)?;
    }
    let mut open = connections;
    let mut bytes = vec![0; 64 * 1024];
    while open > 0 {
        poll.poll(&mut events, Some(Duration::from_secs(10)))?;
        if events.is_empty() {
            return Err(io::Error::other(format!("{work:?}: no answer for ten seconds")));
        }
        let now = Instant::now();
        let is_over = now.duration_since(begun) >= time;
        for event in &events {
            let slot = event.token().0;
            let client = &mut clients[slot];
            if client.missing == 0 || !client.receive(work, &mut bytes)? {
                continue;
            }
            measured.requests += work.requests_per_write() as u64;
            measured.latencies.push(client.sent.elapsed().as_nanos() as u64);
            if is_over {
                open -= 1;
                continue;
            }
            if work == Work::Connect {
                *client = connect(&poll, target(slot), slot)?;
            }
            client.ask(target(slot), work, &mut out)?;
        }
    }
    measured.wall = begun.elapsed();
    measured.latencies.sort_unstable();
    Ok(measured)
}

fn connect(poll: &Poll, target: &Target, slot: usize) -> io::Result<Client> {
    // Blocking until connected: on loopback that is at once, and the request can be written right away.
    let socket = std::net::TcpStream::connect(target.address)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let mut socket = TcpStream::from_std(socket);
    poll.registry().register(&mut socket, Token(slot), Interest::READABLE)?;
    let (credential, arrived) = (String::new(), Vec::with_capacity(8192));
    Ok(Client { socket, step: 0, credential, arrived, missing: 0, sent: Instant::now() })
}

impl Client {
    fn ask(&mut self, target: &Target, work: Work, out: &mut Vec<u8>) -> io::Result<()> {
        out.clear();
        for _ in 0..work.requests_per_write() {
            out.extend_from_slice(request(target, work, self.step, &self.credential).as_bytes());
        }
        self.missing = work.requests_per_write();
        self.sent = Instant::now();
        if self.socket.write(out)? == out.len() {
            Ok(())
        } else {
            Err(io::Error::other("a request did not fit into the socket's buffer"))
        }
    }

    /// Reads what is there; whether all answers have arrived, and were right.
    fn receive(&mut self, work: Work, bytes: &mut [u8]) -> io::Result<bool> {
        loop {
            match self.socket.read(bytes) {
                Ok(0) => return Err(io::Error::other(format!("{work:?}: closed before its answer"))),
                Ok(count) => self.arrived.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            let mut read = 0;
            while let Some(length) = answer_length(&self.arrived[read..]) {
                let answer = &self.arrived[read..read + length];
                self.credential = check(work, self.step, answer).ok_or_else(|| {
                    io::Error::other(format!("{work:?}: {}", String::from_utf8_lossy(answer)))
                })?;
                read += length;
                self.missing -= 1;
            }
            self.arrived.drain(..read);
            if self.missing == 0 {
                self.step = (self.step + 1) % work.steps();
                return Ok(true);
            }
        }
    }
}

/// The demo client.
const CLIENT: &str = "oauth-test-app";

/// The verifier and challenge of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The bytes of a request.
pub fn request(target: &Target, work: Work, step: usize, credential: &str) -> String {
    let Target { host, token, .. } = target;
    let secure = |token: &str, more: &str| {
        format!("GET /secure HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n{more}\r\n")
    };
    let token_request = |code: &str| {
        let body = format!(r#"{{"code":"{code}"}}"#);
        let length = body.len();
        format!(
            "POST /token HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\
             \r\n\r\n{body}"
        )
    };
    let form = |path: &str, more: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{more}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    match (work, step) {
        (Work::Secure | Work::Pipelined, _) => secure(token, ""),
        (Work::Connect, _) => secure(token, "Connection: close\r\n"),
        (Work::Dialog, _) => format!("GET /oauth-dialog.html HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        (Work::Flow, 0) => format!(
            "POST /code HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Length: 0\r\n\r\n"
        ),
        (Work::Flow, 1) => token_request(credential),
        (Work::Flow, _) => secure(credential, ""),
        (Work::Standard, 0) => {
            let redirect_uri = target.redirect_uri.replace(':', "%3A").replace('/', "%2F");
            format!(
                "GET /authorize?response_type=code&client_id={CLIENT}&redirect_uri={redirect_uri}&scope=answer\
                 &state=X6fJ3rLw0aP9sQ4kTzVb2g&code_challenge={CHALLENGE}&code_challenge_method=S256 HTTP/1.1\r\n\
                 Host: {host}\r\n\r\n"
            )
        }
        (Work::Standard, 1) => {
            let (cookie, sealed) = credential.split_once(' ').expect("what check made of the dialog");
            let fields =
                format!("Origin: http://{host}\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookie}\r\n");
            form("/code", &fields, &format!("request={sealed}&decision=authorize"))
        }
        (Work::Standard, 2) => {
            let body = format!(
                "grant_type=authorization_code&code={credential}&client_id={CLIENT}&code_verifier={VERIFIER}"
            );
            form("/token", "", &body)
        }
        (Work::Standard, 3) => form(
            "/token",
            "",
            &format!("grant_type=refresh_token&refresh_token={credential}&client_id={CLIENT}"),
        ),
        (Work::Standard, _) => secure(&format!("Bearer {credential}"), ""),
        (Work::Refused, 0) => token_request(&"A".repeat(64)),
        (Work::Refused, 1) => secure(&"A".repeat(64), ""),
        (Work::Refused, _) => format!("GET /nothing-is-here HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    }
}

/// The length of the answer that `bytes` begin with, if it is whole.
pub fn answer_length(bytes: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let length = field(&bytes[..head], "content-length").map_or(0, |value| value.parse().expect("a length"));
    (bytes.len() >= head + length).then_some(head + length)
}

fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = head.split(|byte| *byte == b'\n');
    let found = lines
        .filter(|line| line.len() > name.len() && line[name.len()] == b':')
        .find(|line| line[..name.len()].eq_ignore_ascii_case(name.as_bytes()))?;
    std::str::from_utf8(&found[name.len() + 1..]).ok().map(str::trim)
}

/// Whether the answer is the right one; if so, what the flow goes on with.
pub fn check(work: Work, step: usize, answer: &[u8]) -> Option<String> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
    let (head, body) = answer.split_at(head);
    let status = std::str::from_utf8(head.get(9..12)?).ok()?;
    let has = |text: &str| memchr::memmem::find(body, text.as_bytes()).is_some();
    let text_after = |before: &str| {
        let (_, rest) = std::str::from_utf8(body).ok().filter(|_| status == "200")?.split_once(before)?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let code = || {
        let (_, rest) = field(head, "location").filter(|_| status == "302")?.split_once("code=")?;
        Some(rest.split('&').next().unwrap_or(rest).to_owned())
    };
    let is_secret = || status == "200" && body == br#"{"answer":42}"#;
    match (work, step) {
        (Work::Secure | Work::Pipelined | Work::Connect, _) => is_secret().then(String::new),
        (Work::Dialog, _) => (status == "200" && has("OAuth Test App")).then(String::new),
        (Work::Flow, 0) | (Work::Standard, 1) => code(),
        (Work::Flow, 1) | (Work::Standard, 3) => text_after(r#""access_token":""#),
        (Work::Standard, 0) => {
            let cookie = field(head, "set-cookie")?.split(';').next()?;
            Some(format!("{cookie} {}", text_after(r#"name="request" value=""#)?))
        }
        (Work::Standard, 2) => text_after(r#""refresh_token":""#),
        (Work::Flow | Work::Standard, _) => is_secret().then(String::new),
        (Work::Refused, 0) => (status == "400" && has("Invalid auth token")).then(String::new),
        (Work::Refused, 1) => (status == "403" && has("Unauthorized")).then(String::new),
        (Work::Refused, _) => (status == "404").then(String::new),
    }
}

/// One answer to each request of `work`, as `target` gives them.
pub fn collect(target: &Target, work: Work) -> io::Result<Vec<Vec<u8>>> {
    let mut socket = std::net::TcpStream::connect(target.address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut answers, mut credential) = (Vec::new(), String::new());
    for step in 0..work.steps() {
        socket.write_all(request(target, work, step, &credential).as_bytes())?;
        let mut answer = Vec::new();
        while answer_length(&answer).is_none() {
            let mut bytes = [0; 4096];
            let count = socket.read(&mut bytes)?;
            if count == 0 {
                return Err(io::Error::other(format!("{work:?}: closed before its answer")));
            }
            answer.extend_from_slice(&bytes[..count]);
        }
        credential = check(work, step, &answer)
            .ok_or_else(|| io::Error::other(format!("{work:?}: {}", String::from_utf8_lossy(&answer))))?;
        answers.push(answer);
    }
    Ok(answers)
}

/// The median of some figures, of which there is at least one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Figures by server and work.
pub type Figures<T> = BTreeMap<(&'static str, Work), Vec<T>>;
