//! What the engine store makes of an engine that loses answers, says too much, or comes back empty.
//!
//! The engine is a simulated one, so each fault comes at the same command in every run.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::support::engine::options;
use crate::support::simulated_engine::{Fault, SimulatedEngine, Words};
use crate::support::stores::{BOUNDS, CODE_LIFETIME, Maker, START, apply, submit_all};
use crate::support::system::TestSystem;
use oauth_from_scratch::crypto::keyring::Keyring;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::{Credential, Outcome, Timestamp};
use oauth_from_scratch::store::redis::{CHECK_INTERVAL, ConnectError, Options, Safety};
use oauth_from_scratch::store::{Applied, Caller, Location, Mailbox, RedisStore, Store, StoreError, Ticket};
use oauth_from_scratch::system::System;

/// What only the keys of grants have in them.
const GRANT_KEY: &[u8] = b":grant:";

/// How the name of the sealing key ends.
const SEALING_KEY: &[u8] = b":sealing-key";

/// How long a grant that has ended leaves a mark, and how much longer than that the engine keeps it.
const MARK_KEPT: Duration = Duration::from_secs(600);
const KEPT_LONGER: Duration = Duration::from_secs(60);

fn connect_with(
    engine: &SimulatedEngine,
    safety: Safety,
    system: Arc<dyn System>,
    log: &Log,
) -> Result<RedisStore, ConnectError> {
    let Ok(Location::Redis(location)) = Location::parse(&engine.url()) else { panic!("{}", engine.url()) };
    let options = Options { check_interval: CHECK_INTERVAL, ..options(safety, BOUNDS) };
    RedisStore::connect(&location, &options, Some([7; 32]), system, log.clone())
}

fn connect(engine: &SimulatedEngine, system: Arc<dyn System>, log: &Log) -> RedisStore {
    connect_with(engine, Safety::default(), system, log).unwrap_or_else(|error| panic!("{error}"))
}

/// A simulated engine, and a store on it whose clock stands still.
fn start() -> (SimulatedEngine, RedisStore) {
    let engine = SimulatedEngine::start();
    let store = connect(&engine, TestSystem::for_store(), &Log::kept());
    (engine, store)
}

/// A code that has been made.
fn granted(store: &dyn Store, maker: &mut Maker) -> Credential {
    let code = maker.code();
    assert_eq!(apply(store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    code
}

/// How the key of a grant ends.
fn key(code: &Credential) -> Vec<u8> {
    [b":", &code.grant().as_bytes()[..]].concat()
}

/// A look at a grant, or a change of one; not the servers' own keys.
fn is_about_a_grant(words: &Words) -> bool {
    let key = match words {
        [name, key, ..] if matches!(&**name, b"GET" | b"SET") => key,
        [name, _, _, key, ..] if name == b"EVAL" => key,
        _ => return false,
    };
    key.windows(GRANT_KEY.len()).any(|part| part == GRANT_KEY)
}

fn is_look_at(end: &[u8], words: &Words) -> bool {
    words[0] == b"GET" && words[1].ends_with(end)
}

fn is_offer_of_the_sealing_key(words: &Words) -> bool {
    words[0] == b"SET" && words[1].ends_with(SEALING_KEY)
}

/// Of the commands about grants, the first `count` meet `fault`.
fn first(count: usize, fault: Fault) -> impl FnMut(&Words) -> Fault {
    let mut left = count;
    move |words| {
        if is_about_a_grant(words) && left > 0 {
            left -= 1;
            fault.clone()
        } else {
            Fault::None
        }
    }
}

/// The first compare-and-swap meets `fault`.
fn first_swap(fault: Fault) -> impl FnMut(&Words) -> Fault {
    let mut is_over = false;
    move |words| {
        if words[0] == b"EVAL" && !std::mem::replace(&mut is_over, true) { fault.clone() } else { Fault::None }
    }
}

#[test]
fn an_engine_without_a_needed_command_is_refused_at_the_start() {
    // What the engine answers to one command, and what is said of it; `None` where it will do. Probes are answered so
    // only where `is_everywhere`.
    let check_in =
        |is_everywhere, safety: Safety, command: &[&str], answer: &'static [u8], expected: Option<&str>| {
            let engine = SimulatedEngine::start();
            let command: Vec<Vec<u8>> = command.iter().map(|word| word.as_bytes().to_vec()).collect();
            let script = move |words: &Words| {
                if words.starts_with(&command) { Fault::Instead(answer) } else { Fault::None }
            };
            if is_everywhere {
                engine.go_wrong_everywhere(script)
            } else {
                engine.go_wrong(script)
            }
            let connected = connect_with(&engine, safety, TestSystem::for_store(), &Log::kept());
            match (connected.map(drop), expected) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) if error.to_string().contains(words) => {}
                (connected, _) => panic!("{}: {connected:?}", answer.escape_ascii()),
            }
        };
    let check = |safety, command: &[&str], answer, expected| check_in(false, safety, command, answer, expected);
    let (any, file) = (Safety::default(), Safety { append_only_file: true, ..Safety::default() });
    let version: &[&str] = &["INFO", "server"];
    check(any, version, b"$22\r\nredis_version:6.2.14\r\n\r\n", None);
    check(any, version, b"$22\r\nredis_version:10.0.0\r\n\r\n", None);
    let old = "is version \"6.1.99\"; 6.2 or later is needed";
    check(any, version, b"$22\r\nredis_version:6.1.99\r\n\r\n", Some(old));
    check(any, version, b"$0\r\n\r\n", Some("is version \"\"; 6.2 or later is needed"));
    let old = "7.2 or later is needed for wait_for_append_only_file";
    check(file, version, b"$22\r\nredis_version:7.1.99\r\n\r\n", Some(old));
    check(any, version, b"$22\r\nredis_version:7.1.99\r\n\r\n", None);
    let no = b"*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n";
    check(file, &["CONFIG", "GET", "appendonly"], no, Some("set appendonly yes"));
    check(any, &["CONFIG", "GET", "appendonly"], no, None);
    let refused = b"-NOPERM this user has no permissions to run the command\r\n";
    check(any, &["CONFIG"], refused, None);
    for command in ["ECHO", "TIME", "SET", "GET", "EVAL"] {
        let expected = format!("it refuses {command}");
        check_in(true, any, &[command], refused, Some(&expected));
        check_in(true, any, &[command], refused, Some("allow it with ACL SETUSER"));
    }
    let unkept = "the engine does not keep the sealing key";
    check(any, &["SET"], refused, Some(unkept));
    check(any, &["GET"], refused, Some(unkept));
    check(any, &["GET"], b"$5\r\nshort\r\n", Some(unkept));
}

#[test]
fn a_connection_lost_once_is_retried_and_lost_twice_is_503() {
    for fault in [Fault::Lost, Fault::Dropped] {
        let (engine, store) = start();
        let mut maker = Maker::new(1);
        let code = granted(&store, &mut maker);
        engine.go_wrong(first(1, fault.clone()));
        assert_eq!(apply(&store, maker.check(&code), START), Ok(Outcome::Inactive), "{fault:?}, once");
        let before = engine.count(is_about_a_grant);
        engine.go_wrong(first(10, fault.clone()));
        assert_eq!(apply(&store, maker.check(&code), START), Err(StoreError::Unavailable), "{fault:?}, twice");
        assert_eq!(engine.count(is_about_a_grant) - before, 2, "it is asked twice, and not again and again");
        engine.mend();
        let (redeem, _) = maker.redeem(&code);
        let redeemed = apply(&store, redeem, START);
        assert!(matches!(redeemed, Ok(Outcome::Redeemed { .. })), "and then it works again");
    }
}

#[test]
fn a_write_whose_answer_is_lost_is_found_to_have_been_made() {
    for fault in [Fault::Lost, Fault::Dropped] {
        let (engine, store) = start();
        let mut maker = Maker::new(1);
        engine.go_wrong(first(1, fault.clone()));
        let code = granted(&store, &mut maker);
        engine.go_wrong(first_swap(fault.clone()));
        let (redeem, _) = maker.redeem(&code);
        let outcome = apply(&store, redeem, START);
        assert!(matches!(outcome, Ok(Outcome::Redeemed { .. })), "{fault:?}: {outcome:?}");
        let (again, _) = maker.redeem(&code);
        assert_eq!(apply(&store, again, START), Ok(Outcome::Replayed), "{fault:?}");
    }
}

/// Holds the store's thread in a look at the grant of `other`; gives what hears of it, and what lets it go on. Of all
/// other commands `script` says what goes wrong.
fn hold(
    engine: &SimulatedEngine,
    other: &Credential,
    mut script: impl FnMut(&Words) -> Fault + Send + 'static,
) -> (Receiver<()>, Sender<()>) {
    let ((is_held, held), (go_on, may_go_on)) = (channel(), channel::<()>());
    let key = key(other);
    engine.go_wrong(move |words| {
        if is_look_at(&key, words) {
            is_held.send(()).expect("the test waits");
            may_go_on.recv().expect("the test lets it go on");
        }
        script(words)
    });
    (held, go_on)
}

/// Its sender got a 503. If it were applied afterwards, a code would be spent and no client would have the tokens.
#[test]
fn what_has_waited_too_long_is_answered_so_and_never_applied() {
    for (time, is_late) in [(BOUNDS.time_max, true), (BOUNDS.time_max - Duration::from_millis(1), false)] {
        let (engine, system) = (SimulatedEngine::start(), TestSystem::for_store());
        let store = connect(&engine, system.clone(), &Log::kept());
        let mut maker = Maker::new(1);
        let (code, other) = (granted(&store, &mut maker), granted(&store, &mut maker));
        let (held, go_on) = hold(&engine, &other, |_| Fault::None);
        let look = submit_all(&store, vec![(maker.check(&other), START)]);
        held.recv().expect("the store asks");
        // The store's thread is busy with the look; this one waits in the queue meanwhile.
        let waits = submit_all(&store, vec![(maker.redeem(&code).0, START)]);
        system.wait(time);
        go_on.send(()).expect("the store waits");
        assert_eq!(look.wait(), [Ok(Outcome::Inactive)], "what had begun is done, and said");
        let (applied, again) = (waits.wait(), apply(&store, maker.redeem(&code).0, START));
        if is_late {
            assert_eq!(applied, [Err(StoreError::TimedOut)], "after {time:?}");
            assert!(matches!(again, Ok(Outcome::Redeemed { .. })), "the code is still good: {again:?}");
        } else {
            assert!(matches!(applied[..], [Ok(Outcome::Redeemed { .. })]), "after {time:?}: {applied:?}");
            assert_eq!(again, Ok(Outcome::Replayed));
        }
    }
}

/// Nor is what was about to be written for one request, whose time was over before that, written for the next.
#[test]
fn the_work_of_a_timed_out_request_is_not_done_for_the_next() {
    let (engine, system) = (SimulatedEngine::start(), TestSystem::for_store());
    let store = connect(&engine, system.clone(), &Log::kept());
    let mut maker = Maker::new(1);
    let (code, other) = (granted(&store, &mut maker), granted(&store, &mut maker));
    let (clock, code_key, mut is_over) = (system.clone(), key(&code), false);
    // When the first one has been looked up, its time is over, and that of the second is not.
    let (held, go_on) = hold(&engine, &other, move |words| {
        if is_look_at(&code_key, words) && !std::mem::replace(&mut is_over, true) {
            clock.wait(BOUNDS.time_max - Duration::from_millis(500));
        }
        Fault::None
    });
    let look = submit_all(&store, vec![(maker.check(&other), START)]);
    held.recv().expect("the store asks");
    let [(first, _), (second, tokens)] = [maker.redeem(&code), maker.redeem(&code)];
    let first = submit_all(&store, vec![(first, START)]);
    system.wait(Duration::from_secs(1));
    let second = submit_all(&store, vec![(second, START)]);
    go_on.send(()).expect("the store waits");
    assert_eq!(look.wait(), [Ok(Outcome::Inactive)]);
    assert_eq!(first.wait(), [Err(StoreError::TimedOut)]);
    let applied = second.wait();
    assert!(matches!(applied[..], [Ok(Outcome::Redeemed { .. })]), "{applied:?}");
    assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active), "its own tokens work");
}

/// Two requests with one code wait in one batch: what was lost on behalf of the first is not taken for the second's.
#[test]
fn what_was_tried_for_one_request_is_no_answer_to_the_next() {
    for fault in [Fault::Lost, Fault::Dropped] {
        let (engine, store) = start();
        let mut maker = Maker::new(1);
        let (code, other) = (granted(&store, &mut maker), granted(&store, &mut maker));
        // The store's thread is busy with a look at another grant until both requests are in its queue.
        let (held, go_on) = hold(&engine, &other, first_swap(fault.clone()));
        let look = submit_all(&store, vec![(maker.check(&other), START)]);
        held.recv().expect("the store asks");
        let transitions = [maker.redeem(&code), maker.redeem(&code)].map(|(redeem, _)| (redeem, START));
        let both = submit_all(&store, transitions.into());
        go_on.send(()).expect("the store waits");
        assert_eq!(look.wait(), [Ok(Outcome::Inactive)]);
        let outcomes = both.wait();
        assert!(matches!(outcomes[0], Ok(Outcome::Redeemed { .. })), "{fault:?}: {outcomes:?}");
        assert_eq!(outcomes[1], Ok(Outcome::Replayed), "{fault:?}");
    }
}

/// The write for two requests was made and its answer is lost; then the time of the first is over. What the write
/// came to for the second is the answer to the second.
#[test]
fn the_result_of_a_timed_out_request_is_not_the_nexts() {
    let (engine, system) = (SimulatedEngine::start(), TestSystem::for_store());
    let store = connect(&engine, system.clone(), &Log::kept());
    let mut maker = Maker::new(1);
    let (code, other) = (granted(&store, &mut maker), granted(&store, &mut maker));
    let clock = system.clone();
    let mut swap = first_swap(Fault::Lost);
    let (held, go_on) = hold(&engine, &other, move |words| {
        let fault = swap(words);
        if fault != Fault::None {
            clock.wait(BOUNDS.time_max - Duration::from_millis(500));
        }
        fault
    });
    let look = submit_all(&store, vec![(maker.check(&other), START)]);
    held.recv().expect("the store asks");
    let first = submit_all(&store, vec![(maker.redeem(&code).0, START)]);
    system.wait(Duration::from_secs(1));
    let second = submit_all(&store, vec![(maker.redeem(&code).0, START)]);
    go_on.send(()).expect("the store waits");
    assert_eq!(look.wait(), [Ok(Outcome::Inactive)]);
    assert_eq!(first.wait(), [Err(StoreError::TimedOut)]);
    assert_eq!(second.wait(), [Ok(Outcome::Replayed)]);
}

/// A write that the network has held back finds the mark, however soon the grant itself would have expired.
#[test]
fn an_ended_grant_leaves_a_mark_for_at_least_ten_minutes() {
    let check = |kept_until: Option<Timestamp>, expected: Timestamp| {
        let (engine, store) = start();
        let mut maker = Maker::new(1);
        let code = maker.code();
        assert_eq!(apply(&store, maker.grant(&code, kept_until), START), Ok(Outcome::Granted));
        let entry = engine.entry(&key(&code)).expect("the grant");
        // Burnt: it comes without its verifier.
        let (redeem, _) = maker.redeem_without_verifier(&code);
        assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Burnt(_))));
        let mark = engine.entry(&key(&code)).expect("the mark");
        assert_ne!(mark.value, entry.value);
        let expected = expected.after(KEPT_LONGER).as_milliseconds();
        assert_eq!(mark.expires, Some(expected), "kept until {kept_until:?}");
    };
    let after = |time: Duration| START.after(time);
    // The rules would have it forgotten.
    check(None, after(MARK_KEPT));
    // They would have a mark kept: for less long, and for longer.
    check(Some(after(CODE_LIFETIME * 2)), after(MARK_KEPT));
    check(Some(after(MARK_KEPT * 2)), after(MARK_KEPT * 2));
}

/// A grant that lives longer than a mark is kept: its mark lives as long as it would have.
#[test]
fn a_mark_lives_as_long_as_its_grant_would_have() {
    let (engine, store) = start();
    let mut maker = Maker::new(1);
    let code = granted(&store, &mut maker);
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    let live = engine.entry(&key(&code)).expect("the grant").expires;
    assert!(
        live > Some(START.after(MARK_KEPT + KEPT_LONGER).as_milliseconds()),
        "it lives longer than ten minutes"
    );
    assert_eq!(apply(&store, maker.revoke(&tokens.refresh), START), Ok(Outcome::Revoked));
    assert_eq!(engine.entry(&key(&code)).expect("the mark").expires, live);
}

/// A waiting request that makes the store's thread panic when it is answered.
struct PanickingMailbox;

impl Mailbox for PanickingMailbox {
    fn put(&self, _: Ticket, _: Applied) -> bool {
        panic!("this mailbox panics, as the test wants");
    }

    fn put_done(&self, _: Ticket) {}

    fn put_ready(&self, _: Ticket) {}

    fn abandon(&self, _: Ticket) -> bool {
        true
    }

    fn is_abandoned(&self, _: Ticket) -> bool {
        false
    }

    fn wake(&self) {}
}

/// What is still to be read on a connection would be taken for the answer to the next question.
#[test]
fn after_a_panic_no_connection_is_used_again() {
    let (engine, store) = start();
    let mut maker = Maker::new(1);
    let code = granted(&store, &mut maker);
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    let before = engine.connections();
    let (is_asked, asked) = channel();
    engine.go_wrong(move |words| {
        if is_about_a_grant(words) {
            let _ = is_asked.send(());
        }
        Fault::None
    });
    let mailbox: Arc<dyn Mailbox> = Arc::new(PanickingMailbox);
    let caller = Caller { mailbox: &mailbox, ticket: Ticket { place: 0, serial: 0 } };
    assert!(store.submit(maker.check(&tokens.access), START, caller).is_none());
    asked.recv().expect("the store asks");
    // What comes from now on comes after the panic.
    assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active));
    assert_eq!(engine.connections(), before + 1, "the connection is another one");
}

/// A server that starts later is to have the same key as those that run.
#[test]
fn an_empty_engine_is_offered_the_sealing_key_until_it_has_it() {
    let (engine, system) = (SimulatedEngine::start(), TestSystem::for_store());
    let store = connect(&engine, system.clone(), &Log::kept());
    let mut maker = Maker::new(1);
    assert_eq!(engine.entry(SEALING_KEY).expect("the key").value, [7; 32]);
    let before = engine.count(is_offer_of_the_sealing_key);
    let mut refusals_left = 2;
    engine.go_wrong(move |words| {
        if is_offer_of_the_sealing_key(words) && refusals_left > 0 {
            refusals_left -= 1;
            Fault::Instead(b"-LOADING the simulated engine reads its file\r\n")
        } else {
            Fault::None
        }
    });
    engine.forget();
    engine.hang_up();
    // The key is offered after a batch, so what came of one batch is known when the next one is answered. Each offer
    // is one interval after the last one, or two, where the time passed in the middle of it.
    for _ in 0..8 {
        granted(&store, &mut maker);
        system.wait(CHECK_INTERVAL);
    }
    assert_eq!(engine.entry(SEALING_KEY).map(|entry| entry.value), Some(vec![7; 32]), "it is asked again");
    assert!(engine.count(is_offer_of_the_sealing_key) >= before + 3, "two were refused");
}

/// Else forms would be good at one server and not at the next.
#[test]
fn another_servers_sealing_key_is_adopted_and_logged() {
    let (engine, log) = (SimulatedEngine::start(), Log::kept());
    let store = connect(&engine, TestSystem::for_store(), &log);
    let mut maker = Maker::new(1);
    engine.replace(SEALING_KEY, &[8; 32]);
    engine.hang_up();
    for _ in 0..3 {
        granted(&store, &mut maker);
    }
    let lines = log.lines();
    let said = lines.iter().filter(|line| line.contains("has a new sealing key"));
    assert_eq!(said.count(), 1, "{lines:?}");
    let both = Keyring::new(&[8; 32]).with_old([&[7; 32]]);
    let found = store.keyring().expect("the engine keeps them");
    assert!(found.ids().eq(both.ids()), "the forms that were shown stay good");
    assert_eq!(engine.entry(b":sealing-key:old").expect("the old key").value, [7; 32], "at other servers, too");
}

/// Servers with a key file have nothing to agree on.
#[test]
fn an_engine_gets_no_key_of_servers_that_have_a_key_file() {
    let engine = SimulatedEngine::start();
    let Ok(Location::Redis(location)) = Location::parse(&engine.url()) else { panic!("{}", engine.url()) };
    let options = options(Safety::default(), BOUNDS);
    let store: RedisStore =
        RedisStore::connect(&location, &options, None, TestSystem::for_store(), Log::kept())
            .expect("it starts");
    granted(&store, &mut Maker::new(1));
    store.refresh_keyring();
    granted(&store, &mut Maker::new(2));
    assert!(store.keyring().is_none() && engine.entry(SEALING_KEY).is_none());
}

/// What is said a second time is as safe as what is said the first time.
#[test]
fn nothing_is_confirmed_before_enough_replicas_have_it() {
    let engine = SimulatedEngine::start();
    // What another server says of its answers is waited for, which takes a clock that goes on.
    let careless = connect(&engine, TestSystem::running_for_store(), &Log::kept());
    let safety = Safety { replicas_min: 2, ..Safety::default() };
    let careful = connect_with(&engine, safety, TestSystem::running_for_store(), &Log::kept())
        .expect("an engine that will do");
    let mut maker = Maker::new(1);
    let [revoked, rotated] = [granted(&careless, &mut maker), granted(&careless, &mut maker)].map(|code| {
        let (redeem, tokens) = maker.redeem(&code);
        assert!(matches!(apply(&careless, redeem, START), Ok(Outcome::Redeemed { .. })));
        tokens
    });
    let (rotate, _) = maker.rotate(&rotated.refresh);
    assert!(matches!(apply(&careless, rotate, START), Ok(Outcome::Rotated { .. })));
    for replicas in [b":0\r\n", b":1\r\n"] {
        engine.go_wrong(move |words| if words[0] == b"WAIT" { Fault::Instead(replicas) } else { Fault::None });
        let code = maker.code();
        assert_eq!(apply(&careful, maker.grant(&code, None), START), Err(StoreError::Unavailable));
        let (again, _) = maker.rotate(&rotated.refresh);
        assert_eq!(apply(&careful, again, START), Err(StoreError::Unavailable), "a rotation that is repeated");
        for _ in 0..2 {
            let revoke = maker.revoke(&revoked.refresh);
            assert_eq!(
                apply(&careful, revoke, START),
                Err(StoreError::Unavailable),
                "a revocation, and once more"
            );
        }
        assert_eq!(apply(&careful, maker.check(&revoked.access), START), Ok(Outcome::Inactive), "it was done");
    }
    engine.go_wrong(|words| if words[0] == b"WAIT" { Fault::Instead(b":2\r\n") } else { Fault::None });
    assert_eq!(apply(&careful, maker.revoke(&revoked.refresh), START), Ok(Outcome::Unknown), "now it is safe");
    let (again, _) = maker.rotate(&rotated.refresh);
    assert!(matches!(apply(&careful, again, START), Ok(Outcome::Repeated { .. })));
    granted(&careful, &mut maker);
}

#[test]
fn what_an_engine_refuses_is_503_and_a_full_one_is_named() {
    let wait = Duration::from_secs(60);
    for (answer, expected) in [
        (&b"-OOM command not allowed when used memory > 'maxmemory'\r\n"[..], StoreError::Full { wait }),
        (b"-MISCONF errors writing to the append-only file\r\n", StoreError::Unavailable),
        (b"-ERR something else\r\n", StoreError::Unavailable),
    ] {
        let (engine, store) = start();
        let mut maker = Maker::new(1);
        let code = maker.code();
        engine.go_wrong(first(1, Fault::Instead(answer)));
        let applied = apply(&store, maker.grant(&code, None), START);
        assert_eq!(applied, Err(expected), "{}", answer.escape_ascii());
        let again = apply(&store, maker.grant(&code, None), START);
        assert_eq!(again, Ok(Outcome::Granted), "and then it works again");
    }
}

/// A refused refresh may be on the engine for all that the server knows, so it is withdrawn as long as that is refused,
/// too. What only reads the grant does not wait for that.
#[test]
fn tokens_are_checked_while_an_engine_refuses_writes() {
    let (engine, store) = start();
    let mut maker = Maker::new(1);
    let code = granted(&store, &mut maker);
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    engine.go_wrong(|words| if words[0] == b"EVAL" { Fault::Instead(b"-OOM\r\n") } else { Fault::None });
    for _ in 0..3 {
        let (rotate, _) = maker.rotate(&tokens.refresh);
        assert!(matches!(apply(&store, rotate, START), Err(StoreError::Full { .. })));
        assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active));
    }
    engine.mend();
    let (rotate, _) = maker.rotate(&tokens.refresh);
    let applied = apply(&store, rotate, START);
    assert!(matches!(applied, Ok(Outcome::Rotated { .. })), "{applied:?}");
}

/// What is no answer to a command may be the answer to another one.
#[test]
fn an_impossible_reply_drops_the_connection_to_the_engine() {
    let once = |answer| check_unbelieved(answer, 1, Ok(Outcome::Granted));
    let twice = |answer| check_unbelieved(answer, 2, Err(StoreError::Unavailable));
    for answer in [&b"+a word that no client expects\r\n"[..], b":2\r\n", b"*0\r\n"] {
        once(answer);
        twice(answer);
    }
    // No answer to a write. After a loss there is a look, to which it would be one.
    once(b"$4\r\nnone\r\n");
}

fn check_unbelieved(answer: &'static [u8], count: usize, expected: Applied) {
    let (engine, store) = start();
    let mut maker = Maker::new(1);
    let (code, before) = (maker.code(), engine.connections());
    engine.go_wrong(first(count, Fault::Instead(answer)));
    let applied = apply(&store, maker.grant(&code, None), START);
    assert_eq!(applied, expected, "{}, {count} times", answer.escape_ascii());
    // The connection after the last fault is made for what comes next.
    engine.mend();
    granted(&store, &mut maker);
    assert_eq!(engine.connections(), before + count, "{}, {count} times", answer.escape_ascii());
}

#[test]
fn a_record_that_cannot_be_read_is_damaged_and_others_are_not() {
    let (engine, store) = start();
    let mut maker = Maker::new(1);
    let [damaged, sound] = [granted(&store, &mut maker), granted(&store, &mut maker)];
    engine.replace(&key(&damaged), b"none");
    assert_eq!(apply(&store, maker.check(&damaged), START), Err(StoreError::Damaged));
    assert_eq!(apply(&store, maker.redeem(&damaged).0, START), Err(StoreError::Damaged));
    assert_eq!(apply(&store, maker.check(&sound), START), Ok(Outcome::Inactive));
    assert_eq!(engine.entry(&key(&damaged)).expect("it stays").value, b"none");
}
