//! What servers share on one engine, and look at more than once: the key of the dialog's forms, the clock, and what
//! the engine's rules allow.
//!
//! Where `redis-server` is not installed, these tests say so and pass, unless `ENGINE_REQUIRED` is set.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::support::engine::{Engine, is_installed, options};
use crate::support::ledger::{Link, ServerProcess};
use crate::support::read_some;
use crate::support::stores::{BOUNDS, Folder, Maker, START, apply};
use crate::support::wait_until;
use oauth_from_scratch::crypto::keyring::{KeyId, Keyring};
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::Outcome;
use oauth_from_scratch::store::redis::{ConnectError, Options, Safety};
use oauth_from_scratch::store::{Bounds, Location, RedisStore, Store, StoreError};
use oauth_from_scratch::system::{RealSystem, System};

/// What a server that starts puts where there is nothing.
const FRESH: [u8; 32] = [7; 32];

fn connect(url: &str, fresh: [u8; 32], options: &Options) -> (Result<RedisStore, ConnectError>, Log) {
    let Ok(Location::Redis(location)) = Location::parse(url) else { panic!("{url}") };
    let (log, system): (_, Arc<dyn System>) = (Log::kept(), Arc::new(RealSystem::default()));
    (RedisStore::connect(&location, options, Some(fresh), system, log.clone()), log)
}

/// Options of a server that looks at its engine again all the time.
fn watchful() -> Options {
    Options { check_interval: Duration::from_millis(20), ..options(Safety::default(), BOUNDS) }
}

fn has_line(log: &Log, words: &str) -> bool {
    log.lines().iter().any(|line| line.contains(words))
}

/// The keys that a server has, the current one first.
fn ids(store: &RedisStore) -> Vec<KeyId> {
    store.keyring().expect("the engine keeps them").ids().collect()
}

#[test]
fn a_flushed_engine_is_given_the_sealing_key_again_and_logged() {
    if !is_installed("a_flushed_engine_is_given_the_sealing_key_again_and_logged") {
        return;
    }
    let engine = Engine::start(&[]);
    let (store, log) = connect(&engine.url(), FRESH, &watchful());
    let _store = store.expect("it starts");
    assert_eq!(engine.command("FLUSHALL"), "+OK");
    wait_until("the key is back", || engine.command("EXISTS oauth:sealing-key") == ":1");
    assert!(!engine.command("GET oauth:sealing-key").is_empty());
    wait_until("the log says so", || has_line(&log, "had lost the sealing key and has it again"));
    assert_eq!(log.lines().iter().filter(|line| line.contains("had lost")).count(), 1, "once");
}

/// A write that no replica has is no sign that the engine had nothing.
#[test]
fn an_engine_without_its_replica_keeps_the_sealing_key() {
    if !is_installed("an_engine_without_its_replica_keeps_the_sealing_key") {
        return;
    }
    let engine = Engine::start(&[]);
    let mut replica = engine.replica();
    let safety = Safety { replicas_min: 1, ..Safety::default() };
    let bounds = Bounds { time_max: Duration::from_secs(1), ..BOUNDS };
    let watchful = Options { check_interval: Duration::from_millis(20), ..options(safety, bounds) };
    let (store, log) = connect(&engine.url(), FRESH, &watchful);
    let _store = store.expect("it starts");
    replica.kill();
    let looks = || {
        let stats = engine.command("INFO commandstats");
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_time:calls="));
        line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).expect("a number")
    };
    let before = looks();
    wait_until("the engine is looked at a few times", || looks() > before + 5);
    assert!(!has_line(&log, "had lost the sealing key"), "{:?}", log.lines());
}

#[test]
fn servers_adopt_a_replaced_key_and_open_forms_of_the_old_one() {
    if !is_installed("servers_adopt_a_replaced_key_and_open_forms_of_the_old_one") {
        return;
    }
    let engine = Engine::start(&[]);
    let (store, log) = connect(&engine.url(), FRESH, &watchful());
    let store = store.expect("it starts");
    // The engine was flushed, and a server that started then has put its own key there.
    let replaced = *b"0123456789abcdef0123456789abcdef";
    assert_eq!(engine.command("SET oauth:sealing-key 0123456789abcdef0123456789abcdef"), "+OK");
    wait_until("it adopts the new key", || ids(&store)[0] == KeyId::of(&replaced));
    let both = Keyring::new(&replaced).with_old([&FRESH]);
    assert!(both.ids().eq(ids(&store)), "the old one opens");
    assert!(has_line(&log, "has a new sealing key"), "{:?}", log.lines());
    wait_until("the old key is left for others", || engine.command("EXISTS oauth:sealing-key:old") == ":1");
    // One that starts now seals with the new key, and opens what the other has sealed.
    let (later, _) = connect(&engine.url(), [9; 32], &watchful());
    assert_eq!(ids(&later.expect("it starts")), ids(&store));
    let seconds = engine.command("TTL oauth:sealing-key:old");
    assert!((1..=600).contains(&seconds[1..].parse::<i64>().expect("a number")), "{seconds}");
}

#[test]
fn a_form_that_does_not_open_has_the_keys_read_again() {
    if !is_installed("a_form_that_does_not_open_has_the_keys_read_again") {
        return;
    }
    let engine = Engine::start(&[]);
    // Nothing else looks for an hour.
    let (store, _) = connect(&engine.url(), FRESH, &options(Safety::default(), BOUNDS));
    let store = store.expect("it starts");
    assert_eq!(engine.command("SET oauth:sealing-key 0123456789abcdef0123456789abcdef"), "+OK");
    let reads = || {
        let stats = engine.command("INFO commandstats");
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_time:calls="));
        line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).expect("a number")
    };
    let (before, begun) = (reads(), Instant::now());
    let replaced = KeyId::of(b"0123456789abcdef0123456789abcdef");
    wait_until("the key is read again", || {
        store.refresh_keyring();
        ids(&store)[0] == replaced
    });
    // Strangers' forms do not open, either.
    wait_until("it looks twice more", || {
        (0..100).for_each(|_| store.refresh_keyring());
        reads() >= before + 3
    });
    let (looks, seconds) = (reads() - before, begun.elapsed().as_secs());
    assert!(looks <= seconds + 1, "there is a look a second: {looks} in {seconds} s");
}

/// With the program itself: the dialog of one server, answered at the other, while the key changes under both.
#[test]
fn a_form_opens_at_every_server_after_the_key_was_replaced() {
    if !is_installed("a_form_opens_at_every_server_after_the_key_was_replaced") {
        return;
    }
    let (engine, folder) = (Engine::start(&[]), Folder::new());
    let file = folder.join("config.toml").display().to_string();
    let text = format!(
        "[listen]\nclient_app_port = 0\n[store]\nlocation = \"{}\"\nkey_prefix = \"oauth\"\n\
         [scopes]\nanswer = \"Read the secret answer.\"\n",
        engine.url()
    );
    std::fs::write(&file, text).expect("a file");
    let servers = [0, 1].map(|_| ServerProcess::start(&["--config", &file]));
    let link = |index: usize| Link::new(servers[index].port);
    let (cookie, early) = link(0).dialog();
    assert_eq!(engine.command("SET oauth:sealing-key 0123456789abcdef0123456789abcdef"), "+OK");
    // A form of a key that is not known is what makes a server look.
    let unknown = "A".repeat(100);
    for index in [0, 1] {
        assert_eq!(link(index).authorize(&cookie, &unknown).0, 400);
        servers[index].wait_for_words("has a new sealing key");
    }
    assert_eq!(link(1).authorize(&cookie, &early).0, 302, "one from before, at the other");
    for (shown, answered) in [(0, 1), (1, 0)] {
        let (cookie, sealed) = link(shown).dialog();
        assert_eq!(link(answered).authorize(&cookie, &sealed).0, 302, "one from after");
    }
}

/// Stands between a store and its engine, and sets the clock that the engine shows.
struct WrongClock {
    port: u16,
    /// How many seconds it is ahead.
    ahead: Arc<AtomicI64>,
    /// Cuts every connection at its next answer.
    cuts: Arc<AtomicBool>,
}

impl WrongClock {
    fn of(engine: &Engine) -> WrongClock {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (port, to) = (listener.local_addr().expect("an address").port(), engine.port);
        let (ahead, cuts) = (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default());
        let (shown, cut) = (Arc::clone(&ahead), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(Shutdown::Both);
                });
                let (shown, cut) = (Arc::clone(&shown), Arc::clone(&cut));
                std::thread::spawn(move || pass_answers(server, client, &shown, &cut));
            }
        });
        WrongClock { port, ahead, cuts }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn set(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }
}

fn pass_answers(mut server: TcpStream, mut client: TcpStream, ahead: &AtomicI64, cuts: &AtomicBool) {
    // The answer to TIME: two texts, of which the first has ten digits.
    const TIME: &[u8] = b"*2\r\n$10\r\n";
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = read_some(&mut server, &mut bytes) {
        let answer = &mut bytes[..count];
        if let Some(at) = answer.windows(TIME.len()).position(|window| window == TIME) {
            let digits = &mut answer[at + TIME.len()..][..10];
            // So begins the answer about `appendonly`, too.
            if let Some(seconds) = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<i64>().ok()) {
                digits.copy_from_slice((seconds + ahead.load(Ordering::SeqCst)).to_string().as_bytes());
            }
        }
        if cuts.swap(false, Ordering::SeqCst) || client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn an_engine_with_a_wrong_clock_is_refused_at_the_start() {
    if !is_installed("an_engine_with_a_wrong_clock_is_refused_at_the_start") {
        return;
    }
    let engine = Engine::start(&[]);
    let clock = WrongClock::of(&engine);
    let check = |ahead: i64, words: &str| {
        clock.set(ahead);
        let (store, _) = connect(&clock.url(), FRESH, &options(Safety::default(), BOUNDS));
        let error = store.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("set both by NTP"), "{error}");
    };
    check(900, "s ahead of this machine's");
    check(-900, "s behind this machine's");
    check(40, "s ahead of this machine's");
    assert_eq!(engine.command("EXISTS oauth:sealing-key"), ":0", "nothing was left there");
    for good in [0, 20, -20] {
        clock.set(good);
        assert!(connect(&clock.url(), FRESH, &options(Safety::default(), BOUNDS)).0.is_ok(), "{good} s");
    }
}

/// Found at a new connection, and without one.
#[test]
fn while_an_engines_clock_is_wrong_nothing_is_confirmed() {
    if !is_installed("while_an_engines_clock_is_wrong_nothing_is_confirmed") {
        return;
    }
    let engine = Engine::start(&[]);
    for cuts in [true, false] {
        let clock = WrongClock::of(&engine);
        let options = if cuts { options(Safety::default(), BOUNDS) } else { watchful() };
        let (store, log) = connect(&clock.url(), [u8::from(cuts); 32], &options);
        let (store, mut maker) = (store.expect("it starts"), Maker::new(1 + u32::from(cuts)));
        let code = maker.code();
        assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
        clock.set(900);
        if cuts {
            assert_eq!(&engine.command("CLIENT KILL TYPE normal")[..1], ":")
        } else {
            wait_until("it is noticed", || has_line(&log, "would lose grants: its clock is"))
        }
        let lost = maker.code();
        assert_eq!(apply(&store, maker.grant(&lost, None), START), Err(StoreError::Unavailable), "cut: {cuts}");
        assert!(has_line(&log, "would lose grants: its clock is"), "{:?}", log.lines());
        assert_eq!(apply(&store, maker.check(&code), START), Ok(Outcome::Inactive), "looking goes on");
        clock.set(0);
        // Another connection, or the next look.
        clock.cuts.store(cuts, Ordering::SeqCst);
        if cuts {
            assert_eq!(apply(&store, maker.check(&code), START), Ok(Outcome::Inactive));
        }
        wait_until("it is noticed", || has_line(&log, "keeps grants again"));
        let code = maker.code();
        assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
        let said = log.lines().iter().filter(|line| line.contains("would lose grants")).count();
        assert_eq!(said, 1, "{:?}", log.lines());
    }
}

/// An engine that confirms everything and keeps nothing, as one does that is short of memory, or whose clock jumps.
fn forgetful() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || confirm(socket));
        }
    });
    port
}

fn confirm(socket: TcpStream) {
    let (mut lines, mut socket) = (BufReader::new(socket.try_clone().unwrap()).lines(), socket);
    let mut line = || lines.next().and_then(Result::ok);
    while let Some(count) = line() {
        let count: usize = count[1..].parse().expect("an array");
        let words: Vec<String> = (0..count).filter_map(|_| line().and_then(|_| line())).collect();
        let info = "redis_version:7.0.0\r\ncluster_enabled:0\r\n";
        let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let answer = match words[0].as_str() {
            "INFO" => format!("${}\r\n{info}\r\n", info.len()),
            "TIME" => format!("*2\r\n$10\r\n{seconds}\r\n$1\r\n0\r\n"),
            "GET" => "$-1\r\n".to_owned(),
            "ECHO" => format!("${}\r\n{}\r\n", words[1].len(), words[1]),
            _ => "+OK\r\n".to_owned(),
        };
        if socket.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn an_engine_that_loses_a_confirmed_write_is_refused_at_start() {
    let url = format!("redis://127.0.0.1:{}", forgetful());
    let (store, _) = connect(&url, FRESH, &options(Safety::default(), BOUNDS));
    let error = store.map(|_| ()).unwrap_err().to_string();
    // A code's minute, and one more.
    assert!(error.contains("it confirmed a write with a lifetime of 120 s and did not keep it"), "{error}");
    assert!(error.contains("set maxmemory-policy noeviction"), "{error}");
}

#[test]
fn a_missing_permission_is_named_at_start_with_its_acl_rule() {
    if !is_installed("a_missing_permission_is_named_at_start_with_its_acl_rule") {
        return;
    }
    let engine = Engine::start(&[]);
    let user = |name: &str, rules: &str| {
        assert_eq!(engine.command(&format!("ACL SETUSER {name} on >hush {rules}")), "+OK", "{rules}");
        connect(&format!("redis://{name}:hush@127.0.0.1:{}", engine.port), FRESH, &watchful())
    };
    let all = ["+ping", "+echo", "+info", "+time", "+get", "+set", "+eval"];
    let mut numbers = 0..;
    let mut named = |rules: &str| user(&format!("user{}", numbers.next().unwrap()), rules);
    for missing in all {
        let rules = all.iter().filter(|rule| **rule != missing).copied().collect::<Vec<_>>().join(" ");
        let error = named(&format!("{rules} ~oauth:*")).0.map(|_| ()).unwrap_err().to_string();
        let refused = format!("it refuses {}", missing[1..].to_uppercase());
        assert!(error.contains(&refused) && error.contains("NOPERM"), "{missing}: {error}");
        assert!(error.contains("ACL SETUSER USER +ping +echo +info +time +get +set +eval ~oauth:*"), "{error}");
    }
    let error = named(&format!("{} ~other:*", all.join(" "))).0.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("NOPERM") && error.contains("~oauth:*"), "the keys: {error}");
    // What the error says to allow is enough for everything.
    let (store, log) = named(&format!("{} ~oauth:*", all.join(" ")));
    let (store, mut maker) = (store.expect("it starts"), Maker::new(1));
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    // One that is taken away later is named, too, and given back.
    let last = format!("user{}", numbers.next().unwrap() - 1);
    assert_eq!(engine.command(&format!("ACL SETUSER {last} -eval")), "+OK");
    wait_until("it is noticed", || has_line(&log, "it refuses EVAL"));
    assert_eq!(apply(&store, maker.revoke(&tokens.refresh), START), Err(StoreError::Unavailable));
    assert_eq!(engine.command(&format!("ACL SETUSER {last} +eval")), "+OK");
    wait_until("it is noticed", || has_line(&log, "keeps grants again"));
    assert_eq!(apply(&store, maker.revoke(&tokens.refresh), START), Ok(Outcome::Revoked));
}
