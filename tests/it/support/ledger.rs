//! Clients that write down what they were told, and hold the server to it afterwards.
//!
//! An answer is a fact: a code that was given is good, one that was redeemed is spent, a token that was given
//! works until its revocation was confirmed, and never after. A request without an answer, or answered 503, is
//! not known to have been done or not; its grant is left alone from then on. So whatever is killed, cut off or
//! started again in between, every line of the ledger must still be true.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::random::Random;
use super::standard;

/// Longer than any answer takes, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(180);

/// A configuration for a machine that may be busy: a code is good for long, and a store may take its time.
pub const PATIENT: &str = "[listen]\nclient_app_port = 0\n[lifetimes]\ncode = 600\n\
    [limits]\nstore_time_max = 60\nfinish_time_max = 60\n[scopes]\nanswer = \"Read the secret answer.\"\n";

/// A resource server that asks about tokens; its secret is `SECRET` of `standard.rs`.
pub const GATE: &str = "[[clients]]\nid = \"gate\"\nname = \"The Gate\"\ngrant_types = [\"client_credentials\"]\n\
    introspects_all = true\nsecret_digest = \"{digest}\"\n";

/// The program, as its users run it.
pub struct ServerProcess {
    child: Option<Child>,
    pub port: u16,
    /// What it said on standard error, and word that there is more.
    log: Arc<(Mutex<String>, Condvar)>,
}

impl ServerProcess {
    /// Starts it with these flags, on free ports.
    pub fn start(flags: &[&str]) -> ServerProcess {
        ServerProcess::start_as(Command::new(env!("CARGO_BIN_EXE_oauth-from-scratch")), flags)
    }

    /// The same, by way of `command`, which ends with the program's name.
    pub fn start_as(mut command: Command, flags: &[&str]) -> ServerProcess {
        let mut child = command
            .args(["--client-port", "0", "--auth-port", "0"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::<(Mutex<String>, Condvar)>::default();
        let (kept, errors) = (Arc::clone(&log), child.stderr.take().expect("its errors"));
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                kept.0.lock().unwrap().push_str(&(line + "\n"));
                kept.1.notify_all();
            }
        });
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        let port = loop {
            line.clear();
            let count = output.read_line(&mut line).expect("its output");
            assert!(count > 0, "the program ended: {}", log.0.lock().unwrap());
            if let Some((_, port)) = line.split_once("authorization server  http://localhost:") {
                break port.trim().parse().expect("a port");
            }
        };
        ServerProcess { child: Some(child), port, log }
    }

    /// Waits until it has said this: its log is written by a thread of its own, after the answer.
    pub fn wait_for_words(&self, words: &str) {
        let (log, more) = &*self.log;
        let is_missing = |log: &mut String| !log.contains(words);
        let (log, waited) = more.wait_timeout_while(log.lock().unwrap(), PATIENCE, is_missing).unwrap();
        assert!(!waited.timed_out(), "it never said {words:?}: {log}");
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    /// Sends it a signal, such as `-HUP`.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("there is a kill").success());
    }

    /// SIGKILL: nothing is finished.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it ends");
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A keep-alive connection to a server.
pub struct Link {
    port: u16,
    socket: Option<BufReader<TcpStream>>,
}

impl Link {
    pub fn new(port: u16) -> Link {
        Link { port, socket: None }
    }

    /// Sends a request and reads the answer: its status and all of it as text.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub fn ask(&mut self, request: &str) -> io::Result<(u16, String)> {
        let answer = self.try_ask(request);
        if answer.is_err() {
            self.socket = None;
        }
        answer
    }

    fn try_ask(&mut self, request: &str) -> io::Result<(u16, String)> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => {
                let socket = TcpStream::connect(("127.0.0.1", self.port))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.set_nodelay(true)?;
                none.insert(BufReader::new(socket))
            }
        };
        socket.get_mut().write_all(request.as_bytes())?;
        let (mut text, mut length) = (String::new(), 0);
        loop {
            let start = text.len();
            if socket.read_line(&mut text)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = text[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut content = vec![0; length];
        socket.read_exact(&mut content)?;
        text.push_str(&String::from_utf8_lossy(&content));
        let status =
            text.get(9..12).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok((status, text))
    }

    pub fn code(&mut self) -> Said {
        let request =
            format!("POST /code HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: 0\r\n\r\n", self.port);
        said(self.ask(&request), 302, |text| value_after(text, "?code="))
    }

    /// The demo client's dialog: the cookie that it comes with, and the sealed request in its form.
    pub fn dialog(&mut self) -> (String, String) {
        self.dialog_for(&[])
    }

    /// The same for these resources.
    pub fn dialog_for(&mut self, resources: &[&str]) -> (String, String) {
        let query = "response_type=code&client_id=oauth-test-app&state=s&code_challenge_method=S256\
                     &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let resources: String = resources.iter().map(|uri| format!("&resource={uri}")).collect();
        let query = format!("{query}{resources}");
        let ask = format!("GET /authorize?{query} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", self.port);
        let (status, page) = self.ask(&ask).expect("an answer");
        assert_eq!(status, 200, "{page}");
        let between = |from: &str, to: &str| {
            let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("{from} in {page}"));
            rest.split_once(to).expect("its end").0.to_owned()
        };
        (between("Set-Cookie: ", ";"), between("name=\"request\" value=\"", "\""))
    }

    /// Says yes in such a dialog.
    pub fn authorize(&mut self, cookie: &str, sealed: &str) -> (u16, String) {
        let content = format!("request={sealed}&decision=authorize");
        let request = format!(
            "POST /code HTTP/1.1\r\nHost: localhost:{}\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookie}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{content}",
            self.port,
            content.len()
        );
        self.ask(&request).expect("an answer")
    }

    pub fn redeem(&mut self, code: &str) -> Said {
        self.token(&format!("grant_type=authorization_code&client_id=oauth-test-app&code={code}"))
    }

    pub fn refresh(&mut self, token: &str) -> Said {
        self.token(&format!("grant_type=refresh_token&client_id=oauth-test-app&refresh_token={token}"))
    }

    /// The answer to a resource server's question about a token.
    pub fn introspect(&mut self, token: &str) -> (u16, String) {
        let (fields, content) = (standard::basic("gate", standard::SECRET), format!("token={token}"));
        let request = format!(
            "POST /introspect HTTP/1.1\r\nHost: h\r\n{fields}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{content}",
            content.len()
        );
        self.ask(&request).expect("an answer")
    }

    pub fn revoke(&mut self, token: &str) -> Said {
        self.form("/revoke", &format!("client_id=oauth-test-app&token={token}"), |_| Some(Vec::new()))
    }

    /// Whether a token works; `None` where that is not known.
    pub fn is_active(&mut self, token: &str) -> Option<bool> {
        let request = format!("GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n");
        match self.ask(&request) {
            Ok((200, _)) => Some(true),
            Ok((401, _)) => Some(false),
            Ok((503, _)) | Err(_) => None,
            Ok((_, text)) => panic!("{text}"),
        }
    }

    /// Whether a token works. Where that is not known it is asked again, for a look changes nothing.
    fn look(&mut self, token: &str) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(is_active) = self.is_active(token) {
                return is_active;
            }
            assert!(Instant::now() < end, "no server says whether a token works");
            std::thread::yield_now();
        }
    }

    fn token(&mut self, content: &str) -> Said {
        self.form("/token", content, |text| {
            let mut words = value_after(text, "\"access_token\":\"")?;
            words.extend(value_after(text, "\"refresh_token\":\"")?);
            Some(words)
        })
    }

    fn form(&mut self, path: &str, content: &str, read: fn(&str) -> Option<Vec<String>>) -> Said {
        let length = content.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n\r\n{content}"
        );
        said(self.ask(&request), 200, read)
    }
}

/// What a server said to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Yes, and these words.
    Yes(Vec<String>),
    /// No: what was presented is not good.
    No,
    /// Nothing, or that it cannot say.
    Nothing,
}

fn said(answer: io::Result<(u16, String)>, good: u16, read: fn(&str) -> Option<Vec<String>>) -> Said {
    match answer {
        Ok((status, text)) if status == good => Said::Yes(read(&text).unwrap_or_else(|| panic!("{text}"))),
        Ok((400, _)) => Said::No,
        Ok((503, _)) | Err(_) => Said::Nothing,
        Ok((_, text)) => panic!("{text}"),
    }
}

/// The 64 characters after `mark`.
fn value_after(text: &str, mark: &str) -> Option<Vec<String>> {
    let (_, rest) = text.split_once(mark)?;
    rest.get(..64).map(|value| vec![value.to_owned()])
}

/// What is known of one grant.
#[derive(Clone, Debug)]
pub enum Known {
    /// It was given, and not yet redeemed.
    Code(String),
    /// It was redeemed: these access tokens work, and the last refresh token does.
    Live { code: String, access: Vec<String>, refresh: String },
    /// It was ended: nothing of it works.
    Over { code: String, access: Vec<String>, refresh: String },
    /// A request about it was not answered.
    Unknown,
}

/// What one client was told.
#[derive(Default)]
pub struct Ledger {
    pub grants: Vec<Known>,
    /// Answers that were facts.
    pub facts: usize,
    random: Random,
}

impl Ledger {
    pub fn new(seed: u64) -> Ledger {
        Ledger { random: Random::new(seed), ..Ledger::default() }
    }

    /// Asks for one more thing, new or about a grant that is known; whether there was an answer.
    pub fn step(&mut self, link: &mut Link) -> bool {
        let at = match self.grants.len() as u64 {
            count if count > 0 && !self.random.one_in(4) => {
                // A recent one, most likely.
                let among = if self.random.one_in(10) { count } else { count.min(8) };
                let back = self.random.below(among);
                (count - 1 - back) as usize
            }
            _ => {
                let Said::Yes(words) = link.code() else { return false };
                self.grants.push(Known::Code(words[0].clone()));
                self.facts += 1;
                return true;
            }
        };
        let known = std::mem::replace(&mut self.grants[at], Known::Unknown);
        let which = self.random.below(10);
        let next = match known {
            Known::Code(code) if which < 7 => match link.redeem(&code) {
                Said::Yes(words) => {
                    Some(Known::Live { code, access: vec![words[0].clone()], refresh: words[1].clone() })
                }
                Said::No => panic!("a code that was given is not good: {code}"),
                Said::Nothing => None,
            },
            Known::Live { code, mut access, refresh } => match which {
                0..=3 => match link.refresh(&refresh) {
                    Said::Yes(words) => {
                        access.push(words[0].clone());
                        keep_last(&mut access);
                        Some(Known::Live { code, access, refresh: words[1].clone() })
                    }
                    Said::No => panic!("a refresh token that was given is not good: {refresh}"),
                    Said::Nothing => None,
                },
                4 => match link.revoke(&refresh) {
                    Said::Yes(_) => Some(Known::Over { code, access, refresh }),
                    Said::No => panic!("a token cannot be revoked: {refresh}"),
                    Said::Nothing => None,
                },
                5 => match link.redeem(&code) {
                    // It was spent, so this ends the grant.
                    Said::No => Some(Known::Over { code, access, refresh }),
                    Said::Yes(_) => panic!("a code was redeemed twice: {code}"),
                    Said::Nothing => None,
                },
                _ => match link.is_active(access.last().expect("a token")) {
                    Some(true) => Some(Known::Live { code, access, refresh }),
                    Some(false) => panic!("a token that was given does not work: {access:?}"),
                    // To look changes nothing.
                    None => {
                        self.grants[at] = Known::Live { code, access, refresh };
                        return false;
                    }
                },
            },
            known => {
                self.grants[at] = known;
                return true;
            }
        };
        match next {
            Some(known) => {
                self.grants[at] = known;
                self.facts += 1;
                true
            }
            None => false,
        }
    }

    /// Holds the server to every line; gives the number of lines. Codes are redeemed, a few grants are refreshed
    /// or replayed, and what that says is written down. Where there is no answer, nothing is known from then on.
    pub fn check(&mut self, link: &mut Link) -> usize {
        let mut grants = std::mem::take(&mut self.grants);
        let mut lines = 0;
        for known in &mut grants {
            let die = self.random.below(8);
            *known = match std::mem::replace(known, Known::Unknown) {
                Known::Unknown => Known::Unknown,
                Known::Code(code) => match link.redeem(&code) {
                    Said::Yes(words) => {
                        Known::Live { code, access: vec![words[0].clone()], refresh: words[1].clone() }
                    }
                    Said::No => panic!("a code is lost: {code}"),
                    Said::Nothing => Known::Unknown,
                },
                Known::Live { code, access, refresh } => {
                    for token in &access {
                        assert!(link.look(token), "a token is lost: {token}");
                    }
                    check_live(link, die, (code, access, refresh))
                }
                Known::Over { code, access, refresh } => {
                    for token in &access {
                        assert!(!link.look(token), "a token is back: {token}");
                    }
                    assert!(
                        !matches!(link.refresh(&refresh), Said::Yes(_)),
                        "a refresh token is back: {refresh}"
                    );
                    assert!(!matches!(link.redeem(&code), Said::Yes(_)), "a code is back: {code}");
                    Known::Over { code, access, refresh }
                }
            };
            lines += usize::from(!matches!(known, Known::Unknown));
        }
        self.grants = grants;
        lines
    }

    /// Forgets the older half of what is known, so that checking it does not take ever longer.
    pub fn trim(&mut self, count: usize) {
        let first = self.grants.len().saturating_sub(count);
        self.grants.drain(..first);
    }
}

/// Replays the code of a grant, refreshes it, or leaves it alone; what is known of it then.
fn check_live(link: &mut Link, die: u64, (code, mut access, refresh): (String, Vec<String>, String)) -> Known {
    match die {
        0 => match link.redeem(&code) {
            Said::No => Known::Over { code, access, refresh },
            Said::Yes(_) => panic!("a code is good again: {code}"),
            Said::Nothing => Known::Unknown,
        },
        1 => match link.refresh(&refresh) {
            Said::Yes(words) => {
                access.push(words[0].clone());
                keep_last(&mut access);
                Known::Live { code, access, refresh: words[1].clone() }
            }
            Said::No => panic!("a refresh token is lost: {refresh}"),
            Said::Nothing => Known::Unknown,
        },
        _ => Known::Live { code, access, refresh },
    }
}

/// The server keeps the last sixteen access tokens of a grant.
fn keep_last(access: &mut Vec<String>) {
    let first = access.len().saturating_sub(16);
    access.drain(..first);
}

/// Lets every ledger's client ask, each on connections of its own to all of `ports` in turn, until `stop`; counts
/// facts.
pub fn load(ledgers: &mut [Ledger], ports: &[u16], stop: &AtomicBool, facts: &AtomicUsize) {
    std::thread::scope(|scope| {
        for ledger in ledgers {
            scope.spawn(move || {
                let mut links: Vec<Link> = ports.iter().map(|port| Link::new(*port)).collect();
                let count = links.len();
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let before = ledger.facts;
                    let _ = ledger.step(&mut links[turn % count]);
                    facts.fetch_add(ledger.facts - before, Ordering::Relaxed);
                }
            });
        }
    });
}

/// The path as a flag's value.
pub fn file_location(path: &Path) -> String {
    format!("file:{}", path.display())
}
