//! What `GET /secure` costs beside clients that guess at a secret that a person chose.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use oauth_from_scratch::oauth::client::SecretDigest;

use crate::load::{self, Target, Work, median};
use crate::servers::{self, scratch};
use crate::{CONNECTIONS, SERVER_CORE, STRETCH};

/// Connections that guess.
const GUESSERS: usize = 2;

/// Requests that each of them sends in one write.
const BURST: usize = 16;

/// The p99 of `GET /secure` alone, beside clients that ask for something else as often as they can, and beside
/// clients that guess as often as they can.
pub fn guesses(rounds: usize) -> io::Result<String> {
    let digest =
        SecretDigest::of_chosen("a secret that is hard to guess", [7; 16]).map_err(io::Error::other)?;
    let path = scratch("guesses").join("auth.toml");
    std::fs::write(&path, configuration(&digest))?;
    let words = ["--config", path.to_str().expect("a path of text"), "--workers", "1"];
    let server = servers::own(SERVER_CORE, &words)?;
    let host = &server.target.host;
    let other = format!("GET /nothing-is-here HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let body = "grant_type=client_credentials&client_id=robot&client_secret=guess";
    let guess = format!(
        "POST /token HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut figures: [Vec<f64>; 3] = Default::default();
    let mut answered = [0; 3];
    // The first round warms caches, and uses up the guesses that are free.
    for round in 0..=rounds {
        for (at, beside) in [None, Some(&other), Some(&guess)].into_iter().enumerate() {
            let (p99, answers) = p99_beside(&server.target, beside.map(String::as_str))?;
            if round > 0 {
                figures[at].push(p99);
                answered[at] += answers;
            }
        }
    }
    let [alone, beside_other, beside_guesses] = figures.map(median);
    let seconds = rounds as f64 * STRETCH.as_secs_f64();
    let row = |name: &str, p99: f64, answers: u64| {
        format!("| {name} | {p99:.0} | {:.2} | {:.0} |\n", p99 / alone, answers as f64 / seconds)
    };
    Ok([
        format!("| {CONNECTIONS} clients of `GET /secure` | p99, µs | of alone | answers to the others, a second |\n"),
        "| --- | --- | --- | --- |\n".to_owned(),
        row("alone", alone, 0),
        row(&format!("beside {GUESSERS} that ask for a page that is not there"), beside_other, answered[1]),
        row(&format!("beside {GUESSERS} that guess at a secret (bar 1.2)"), beside_guesses, answered[2]),
    ]
    .concat())
}

fn configuration(digest: &SecretDigest) -> String {
    format!(
        "[listen]\nclient_app_port = 0\n[scopes]\nanswer = \"Read the answer.\"\n[[clients]]\nid = \"robot\"\n\
         name = \"The Robot\"\nsecret_digest = \"{digest}\"\ngrant_types = [\"client_credentials\"]\n"
    )
}

/// The p99 of `GET /secure` in one stretch, and how many answers there were to those who send `beside` meanwhile.
fn p99_beside(target: &Target, beside: Option<&str>) -> io::Result<(f64, u64)> {
    let (is_over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        if let Some(request) = beside {
            for _ in 0..GUESSERS {
                scope.spawn(|| ask(target, &request.repeat(BURST), &is_over, &answers));
            }
        }
        let measured = load::run(target, Work::Secure, CONNECTIONS, STRETCH);
        is_over.store(true, Ordering::Relaxed);
        measured.map(|measured| (measured.percentile(0.99), answers.load(Ordering::Relaxed)))
    })
}

/// Sends the burst over and over, each when the last is answered. What the answers say does not matter.
fn ask(target: &Target, burst: &str, is_over: &AtomicBool, answers: &AtomicU64) -> io::Result<()> {
    let mut socket = TcpStream::connect(target.address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut arrived, mut bytes) = (Vec::new(), [0; 16 * 1024]);
    while !is_over.load(Ordering::Relaxed) {
        socket.write_all(burst.as_bytes())?;
        let mut missing = BURST;
        // A guesser's answers are put off by a second each.
        while missing > 0 && !is_over.load(Ordering::Relaxed) {
            let count = socket.read(&mut bytes)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            arrived.extend_from_slice(&bytes[..count]);
            while let Some(length) = load::answer_length(&arrived) {
                arrived.drain(..length);
                answers.fetch_add(1, Ordering::Relaxed);
                missing -= 1;
            }
        }
    }
    Ok(())
}
