//! A server with its grants in a file, killed at random moments under load: after every restart each answer that
//! any client was given still holds.
//!
//! `CRASHES=N` kills it that often.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::ledger::{GATE, Ledger, Link, PATIENT, Said, ServerProcess, file_location, load};
use crate::support::random::Random;
use crate::support::standard::{SECRET, VERIFIER};
use crate::support::stores::Folder;

/// How many clients ask at the same time.
const CLIENTS: u64 = 8;

/// The flags of a server with its grants in a file in `folder`.
fn flags(folder: &Folder) -> [String; 4] {
    let config = folder.join("config.toml");
    std::fs::write(&config, PATIENT).expect("a file");
    let location = file_location(&folder.join("grants"));
    ["--config".to_owned(), config.display().to_string(), "--store".to_owned(), location]
}

fn start(folder: &Folder) -> ServerProcess {
    ServerProcess::start(&flags(folder).each_ref().map(String::as_str))
}

#[test]
fn what_was_answered_still_holds_after_a_kill() {
    let crashes: u64 = std::env::var("CRASHES").ok().and_then(|count| count.parse().ok()).unwrap_or(5);
    let folder = Folder::new();
    let mut ledgers: Vec<Ledger> = (0..CLIENTS).map(Ledger::new).collect();
    let (mut lines, mut random) = (0, Random::new(7));
    for _ in 0..crashes {
        let mut server = start(&folder);
        let mut link = Link::new(server.port);
        lines += ledgers.iter_mut().map(|ledger| ledger.check(&mut link)).sum::<usize>();
        ledgers.iter_mut().for_each(|ledger| ledger.trim(60));
        let (stop, facts) = (AtomicBool::new(false), AtomicUsize::new(0));
        // Not after a time, but after a number of answers, while the next ones are on their way.
        let until = 1 + random.index(400);
        std::thread::scope(|scope| {
            let (ports, ledgers) = ([server.port], &mut ledgers);
            let (stop, facts) = (&stop, &facts);
            scope.spawn(move || load(ledgers, &ports, stop, facts));
            while facts.load(Ordering::Relaxed) < until {
                std::thread::yield_now();
            }
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let server = start(&folder);
    let mut link = Link::new(server.port);
    lines += ledgers.iter_mut().map(|ledger| ledger.check(&mut link)).sum::<usize>();
    let facts: usize = ledgers.iter().map(|ledger| ledger.facts).sum();
    println!("{crashes} kills, {facts} facts, {lines} lines of the ledgers checked, none broken");
    assert!(lines > 0 && facts > crashes as usize);
}

#[test]
fn a_code_from_before_a_kill_buys_a_token_after_it() {
    let folder = Folder::new();
    let mut server = start(&folder);
    let Said::Yes(code) = Link::new(server.port).code() else { panic!("a code") };
    server.kill();
    let server = start(&folder);
    let mut link = Link::new(server.port);
    let Said::Yes(tokens) = link.redeem(&code[0]) else { panic!("tokens") };
    assert_eq!(link.is_active(&tokens[0]), Some(true));
    assert_eq!(link.redeem(&code[0]), Said::No);
}

/// Its record has a format of its own.
#[test]
fn what_a_token_is_for_still_holds_after_a_kill() {
    let folder = Folder::new();
    let resources = ["https://one.example", "https://two.example"];
    let flags = flags(&folder);
    let tables = resources.map(|uri| format!("[[resources]]\nuri = \"{uri}\"\nname = \"A\"\n"));
    let digest = oauth_from_scratch::oauth::client::SecretDigest::of(SECRET).to_string();
    let config = format!("{PATIENT}{}{}", tables.concat(), GATE.replace("{digest}", &digest));
    std::fs::write(folder.join("config.toml"), config).expect("a file");
    // Each request meets a server that was killed after the one before.
    let after_kill = |server: &mut ServerProcess| {
        server.kill();
        *server = ServerProcess::start(&flags.each_ref().map(String::as_str));
        Link::new(server.port)
    };
    let audience = |link: &mut Link, token: &str| {
        let (status, text) = link.introspect(token);
        assert_eq!(status, 200, "{text}");
        text.split_once("\"aud\":")
            .map(|(_, rest)| rest.split(",\"client_id").next().unwrap_or_default().to_owned())
    };
    let mut server = ServerProcess::start(&flags.each_ref().map(String::as_str));
    let (cookie, sealed) = Link::new(server.port).dialog_for(&resources);
    let (status, text) = after_kill(&mut server).authorize(&cookie, &sealed);
    assert_eq!(status, 302, "{text}");
    let proofs = format!("&code_verifier={VERIFIER}&resource={}", resources[1]);
    let Said::Yes(tokens) = after_kill(&mut server).redeem(&format!("{}{proofs}", code_in(&text))) else {
        panic!("tokens")
    };
    assert_eq!(audience(&mut after_kill(&mut server), &tokens[0]), Some(format!("\"{}\"", resources[1])));
    let both = format!("[\"{}\",\"{}\"]", resources[0], resources[1]);
    assert_eq!(audience(&mut after_kill(&mut server), &tokens[1]), Some(both.clone()));
    let Said::Yes(tokens) = after_kill(&mut server).refresh(&tokens[1]) else { panic!("tokens") };
    assert_eq!(audience(&mut after_kill(&mut server), &tokens[0]), Some(both));
    let Said::Yes(_) = after_kill(&mut server).revoke(&tokens[1]) else { panic!("a revocation") };
    assert_eq!(audience(&mut after_kill(&mut server), &tokens[0]), None, "it is over");
}

/// The code that an answer leads to the client with.
fn code_in(answer: &str) -> &str {
    let (_, rest) = answer.split_once("?code=").expect("a code");
    rest.split('&').next().expect("its end")
}

#[test]
fn a_form_from_before_a_kill_is_taken_once_after_it() {
    let folder = Folder::new();
    let mut server = start(&folder);
    let (cookie, sealed) = Link::new(server.port).dialog();
    server.kill();
    let mut server = start(&folder);
    let (status, text) = Link::new(server.port).authorize(&cookie, &sealed);
    assert!(status == 302 && text.contains("state=s"), "{text}");
    server.kill();
    let server = start(&folder);
    let again = Link::new(server.port).authorize(&cookie, &sealed);
    assert_eq!((again.0, code_in(&again.1)), (302, code_in(&text)), "one form, one code");
}

/// A file that may grow no further is a full disk, as far as the program can tell: it catches the signal that would
/// end it otherwise (SIGXFSZ).
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_503_and_loses_nothing() {
    let folder = Folder::new();
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_oauth-from-scratch");
    // In blocks of 512 bytes or of 1024, whichever the shell has.
    command.args(["-c", "ulimit -f 600; exec \"$@\"", "sh", program]);
    let mut server = ServerProcess::start_as(command, &flags(&folder).each_ref().map(String::as_str));
    let mut link = Link::new(server.port);
    let mut codes = Vec::new();
    let mut refused = 0;
    for _ in 0..20_000 {
        match link.code() {
            Said::Yes(words) => codes.push(words[0].clone()),
            _ => {
                refused += 1;
                if refused == 50 {
                    break;
                }
            }
        }
    }
    assert_eq!(refused, 50, "the disk is full in the end");
    assert!(codes.len() > 100, "{} codes fitted", codes.len());
    let (status, _) = link.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").expect("it runs");
    assert_eq!(status, 200, "pages need no store");
    server.wait_for_words("the store's file failed");
    server.kill();
    // With room again, every code that was given is there.
    let server = start(&folder);
    let mut link = Link::new(server.port);
    for code in &codes {
        assert!(matches!(link.redeem(code), Said::Yes(_)), "a code is lost: {code}");
    }
}
