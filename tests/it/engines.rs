//! Servers that share an engine, and what becomes of grants when it is killed, frozen, cut off, full, or moves
//! its keys: every answer that any client was given still holds, and what cannot be answered is 503.
//!
//! Where `redis-server` is not installed, these tests say so and pass, unless `ENGINE_REQUIRED` is set.
//! `ENGINE_CRASHES=N` kills the engine that often.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::engine::{self, Cluster, Engine, is_installed, options};
#[cfg(feature = "redis-tls")]
use crate::support::ledger::PATIENT;
use crate::support::ledger::{Ledger, Link, Said, ServerProcess, load};
use crate::support::proxy::{Fault, Holding, Proxy};
use crate::support::stores::{self, BOUNDS, Folder, LIFETIMES, Maker, START, Submitted};
use crate::support::stores::{apply, submit_all};
use crate::support::system::TestSystem;
use crate::support::wait_until;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::{Credential, Outcome, Timestamp, Transition};
use oauth_from_scratch::store::redis::{ConnectError, Options, Safety};
use oauth_from_scratch::store::{Bounds, KeyPrefix, Location, RedisStore, Store, StoreError};
use oauth_from_scratch::system::{RealSystem, System};

const CLIENTS: u64 = 8;

/// What an engine needs in order to forget nothing that it has confirmed when it is killed. With `everysec`, which
/// is the default, it confirms writes up to two seconds before it gives them to the system.
const DURABLE: [&str; 6] = ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "1gb"];

fn connect_with(url: &str, safety: Safety, bounds: Bounds) -> (Result<RedisStore, ConnectError>, Log) {
    let Ok(Location::Redis(location)) = Location::parse(url) else { panic!("{url}") };
    let (log, system): (_, Arc<dyn System>) = (Log::kept(), Arc::new(RealSystem::default()));
    (RedisStore::connect(&location, &options(safety, bounds), Some([7; 32]), system, log.clone()), log)
}

fn connect(url: &str) -> RedisStore {
    connect_with(url, Safety::default(), BOUNDS).0.unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Two servers and the clients' ledgers.
struct World {
    servers: Vec<ServerProcess>,
    ledgers: Vec<Ledger>,
    _folder: Folder,
}

impl World {
    fn new(url: &str) -> World {
        World::with(url, 20, "")
    }

    /// With this much time for the store, in seconds, and these lines in `[store]`.
    fn with(url: &str, store_time_max: u32, store: &str) -> World {
        let folder = Folder::new();
        let config = folder.join("config.toml");
        let text = format!(
            "[listen]\nclient_app_port = 0\nworkers = 2\n[limits]\nstore_time_max = {store_time_max}\n\
             [lifetimes]\ncode = 600\n[store]\nlocation = \"{url}\"\nkey_prefix = \"oauth\"\n{store}\n\
             [scopes]\nanswer = \"Read the secret answer.\"\n"
        );
        std::fs::write(&config, text).expect("a file");
        let path = config.display().to_string();
        let servers = (0..2).map(|_| ServerProcess::start(&["--config", &path])).collect();
        World { servers, ledgers: (0..CLIENTS).map(Ledger::new).collect(), _folder: folder }
    }

    fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(|server| server.port).collect()
    }

    /// Lets all clients ask both servers, does `what` in the middle of it, and holds the servers to everything.
    fn under_load(&mut self, what: impl FnOnce(&dyn Fn(usize))) -> usize {
        let (stop, facts) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (ports, ledgers) = (self.ports(), &mut self.ledgers);
        std::thread::scope(|scope| {
            let (stop, facts, ports) = (&stop, &facts, &ports);
            scope.spawn(move || load(ledgers, ports, stop, facts));
            // Returns when there are that many more facts.
            let more = |count: usize| {
                let until = facts.load(Ordering::Relaxed) + count;
                wait_until("the clients get answers", || facts.load(Ordering::Relaxed) >= until);
            };
            more(50);
            what(&more);
            stop.store(true, Ordering::Relaxed);
        });
        self.check()
    }

    fn check(&mut self) -> usize {
        let mut links: Vec<Link> = self.ports().into_iter().map(Link::new).collect();
        // Until both servers have their engine back.
        for link in &mut links {
            let link = std::cell::RefCell::new(link);
            wait_until("the server has its engine", || matches!(link.borrow_mut().code(), Said::Yes(_)));
        }
        let mut lines = 0;
        for (index, ledger) in self.ledgers.iter_mut().enumerate() {
            lines += ledger.check(&mut links[index % 2]);
            ledger.trim(60);
        }
        lines
    }

    fn facts(&self) -> usize {
        self.ledgers.iter().map(|ledger| ledger.facts).sum()
    }
}

#[test]
fn two_servers_keep_their_promises_when_the_engine_restarts() {
    if !is_installed("two_servers_keep_their_promises_when_the_engine_restarts") {
        return;
    }
    let crashes = std::env::var("ENGINE_CRASHES").ok().and_then(|count| count.parse().ok()).unwrap_or(4u64);
    let mut engine = Engine::start(&DURABLE);
    let mut world = World::new(&engine.url());
    let mut lines = 0;
    for _ in 0..crashes {
        lines += world.under_load(|more| {
            engine.kill();
            engine.run();
            more(100);
        });
    }
    println!("{crashes} kills, {} facts, {lines} lines of the ledgers checked, none broken", world.facts());
    assert!(lines > 100);
}

/// What has waited is in the file. It may be in the system's hands still, which a killed process does not change.
#[test]
fn an_engine_with_waitaof_forgets_nothing_that_was_confirmed() {
    let name = "an_engine_with_waitaof_forgets_nothing_that_was_confirmed";
    let Some(program) = engine::program_with_waitaof(name) else { return };
    let mut engine = Engine::start_program(&program, &["--appendonly", "yes", "--appendfsync", "everysec"]);
    let mut world = World::with(&engine.url(), 20, "wait_for_append_only_file = true");
    let mut lines = 0;
    for _ in 0..2 {
        lines += world.under_load(|_| {
            engine.kill();
            engine.run();
        });
    }
    assert!(lines > 0);
}

#[test]
fn while_the_engine_is_away_only_what_needs_it_is_503() {
    if !is_installed("while_the_engine_is_away_only_what_needs_it_is_503") {
        return;
    }
    let mut engine = Engine::start(&DURABLE);
    // A frozen engine is waited for so long.
    let mut world = World::with(&engine.url(), 2, "");
    let port = world.ports()[0];
    let status = move |request: &str| Link::new(port).ask(request).expect("an answer");
    let secure = format!("GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n", "A".repeat(64));
    let form = |path: &str, content: &str| {
        let length = content.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n\r\n{content}"
        )
    };
    let code = format!("code={}&client_id=oauth-test-app&grant_type=authorization_code", "A".repeat(64));
    let token = format!("token={}&client_id=oauth-test-app", "A".repeat(64));
    let check_away = || {
        for request in [&secure, &form("/token", &code), &form("/revoke", &token)] {
            let (status, text) = status(request);
            assert_eq!(status, 503, "{request}{text}");
            assert!(text.contains("Retry-After: 5") && text.contains(r#""error":"temporarily_unavailable""#));
        }
        for path in ["/", "/oauth-dialog.html", "/.well-known/oauth-authorization-server"] {
            assert_eq!(status(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).0, 200, "{path}");
        }
    };
    wait_until("a token is refused", || status(&secure).0 == 401);
    let lines = world.under_load(|more| {
        // It takes what is sent, and says nothing: the time-out of each request answers it.
        engine.freeze();
        check_away();
        engine.go_on();
        more(50);
        engine.kill();
        check_away();
        engine.run();
        more(50);
    });
    assert!(lines > 0);
    for words in ["failed: it does not answer in time", "cannot be reached", "is back"] {
        world.servers[0].wait_for_words(words);
    }
}

#[test]
fn a_cluster_whose_slots_move_under_load_loses_nothing() {
    if !is_installed("a_cluster_whose_slots_move_under_load_loses_nothing") {
        return;
    }
    let cluster = Cluster::start();
    let mut world = World::new(&cluster.url());
    let mut lines = 0;
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        lines += world.under_load(|more| {
            wait_until("all nodes say the same of the slots", || cluster.is_agreed());
            let status = Command::new("redis-cli")
                .args(["--cluster", "reshard", &format!("127.0.0.1:{}", cluster.nodes[0].port)])
                .args(["--cluster-from", &cluster.nodes[from].node_id()])
                .args(["--cluster-to", &cluster.nodes[to].node_id()])
                .args(["--cluster-slots", "1500", "--cluster-yes"])
                .stdout(Stdio::null())
                .status()
                .expect("redis-cli is there");
            assert!(status.success(), "the slots have moved");
            more(50);
        });
    }
    println!("4,500 slots moved, {} facts, {lines} lines of the ledgers checked, none broken", world.facts());
    assert!(lines > 100);
}

/// The cluster chooses the only replica, which has everything that was confirmed.
#[test]
fn a_fail_over_loses_nothing_that_waited_for_the_replica() {
    if !is_installed("a_fail_over_loses_nothing_that_waited_for_the_replica") {
        return;
    }
    let mut cluster = Cluster::start();
    let replicas = cluster.replicate();
    let mut world = World::with(&cluster.url(), 20, "wait_for_replicas = 1");
    let lines = world.under_load(|more| {
        cluster.nodes[0].kill();
        let is_master = |engine: &Engine| engine.command("INFO replication").contains("role:master");
        wait_until("the replica takes over", || is_master(&replicas[0]));
        // Until it has a replica of its own, its share of the grants can be looked at and not changed.
        cluster.nodes[0].run();
        let follows = || cluster.nodes[0].command("INFO replication").contains("master_link_status:up");
        wait_until("the old one follows the new one", follows);
        more(50);
    });
    println!("{} facts, {lines} lines of the ledgers checked, none broken", world.facts());
    assert!(lines > 50);
}

/// In the middle of a slot's move its keys are here or there, and the one who had them says where to ask.
#[test]
fn a_grant_is_found_in_the_middle_of_its_slots_move() {
    if !is_installed("a_grant_is_found_in_the_middle_of_its_slots_move") {
        return;
    }
    let cluster = Cluster::start();
    let store = connect(&cluster.url());
    let mut maker = Maker::new(1);
    for _ in 0..5 {
        let code = maker.code();
        assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
        let key = format!("oauth:grant:{}", &code.encode()[..20]);
        let slot = cluster.nodes[0].command(&format!("CLUSTER KEYSLOT {key}")).replace(':', "");
        let has_key = |node: &&Engine| node.command(&format!("EXISTS {key}")) == ":1";
        let owner = cluster.nodes.iter().find(has_key).expect("one has it");
        let heir = cluster.nodes.iter().find(|node| !has_key(node)).expect("others have not");
        let is_ok = |node: &Engine, command: String| assert_eq!(node.command(&command), "+OK", "{command}");
        is_ok(heir, format!("CLUSTER SETSLOT {slot} IMPORTING {}", owner.node_id()));
        is_ok(owner, format!("CLUSTER SETSLOT {slot} MIGRATING {}", heir.node_id()));
        is_ok(owner, format!("MIGRATE 127.0.0.1 {} {key} 0 60000", heir.port));
        let (redeem, tokens) = maker.redeem(&code);
        assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
        assert!(!has_key(&owner), "it was not created again where it had been");
        is_ok(heir, format!("CLUSTER SETSLOT {slot} NODE {}", heir.node_id()));
        is_ok(owner, format!("CLUSTER SETSLOT {slot} NODE {}", heir.node_id()));
        assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active));
    }
}

/// The dialog of one server, answered at the other.
#[test]
fn a_form_that_one_server_made_is_taken_by_the_other() {
    if !is_installed("a_form_that_one_server_made_is_taken_by_the_other") {
        return;
    }
    let engine = Engine::start(&[]);
    let world = World::new(&engine.url());
    let ports = world.ports();
    let (cookie, sealed) = Link::new(ports[0]).dialog();
    let (status, text) = Link::new(ports[1]).authorize(&cookie, &sealed);
    assert!(status == 302 && text.contains("code=") && text.contains("state=s"), "{text}");
    let (status, again) = Link::new(ports[0]).authorize(&cookie, &sealed);
    let code =
        |answer: &str| answer.split_once("?code=").map(|(_, rest)| rest.chars().take(64).collect::<String>());
    assert_eq!((status, code(&again)), (302, code(&text)), "one form, one code, at either");
}

/// Two demos on one engine: each has a port of its own, and so an issuer of its own.
#[test]
fn two_issuers_on_one_engine_refuse_each_others_credentials() {
    if !is_installed("two_issuers_on_one_engine_refuse_each_others_credentials") {
        return;
    }
    let engine = Engine::start(&[]);
    let servers = [0, 1].map(|_| ServerProcess::start(&["--store", &engine.url()]));
    let [mut one, mut other] = [0, 1].map(|index: usize| Link::new(servers[index].port));
    let Said::Yes(code) = one.code() else { panic!("a code") };
    assert!(matches!(other.redeem(&code[0]), Said::No), "a code");
    let Said::Yes(tokens) = one.redeem(&code[0]) else { panic!("it is still good where it was made") };
    assert_eq!(
        (one.is_active(&tokens[0]), other.is_active(&tokens[0])),
        (Some(true), Some(false)),
        "an access token"
    );
    assert!(matches!(other.refresh(&tokens[1]), Said::No), "a refresh token");
    let (cookie, sealed) = one.dialog();
    assert_eq!(other.authorize(&cookie, &sealed).0, 400, "a form");
    assert_eq!(one.authorize(&cookie, &sealed).0, 302);
    for server in &servers {
        let key = format!("oauth:http://localhost:{}:sealing-key", server.port);
        assert_eq!(engine.command(&format!("EXISTS {key}")), ":1", "{key}");
    }
    assert_eq!(engine.command("EXISTS oauth:sealing-key"), ":0");
}

/// A cluster spreads the grants of one issuer: no part of a key counts for more than the others.
#[test]
fn the_grants_of_one_issuer_are_on_every_node_of_a_cluster() {
    if !is_installed("the_grants_of_one_issuer_are_on_every_node_of_a_cluster") {
        return;
    }
    let cluster = Cluster::start();
    let Ok(Location::Redis(location)) = Location::parse(&cluster.url()) else { panic!("a cluster") };
    let key_prefix = KeyPrefix::of_issuer("http://[::1]:3001/t");
    let options = Options { key_prefix, ..options(Safety::default(), BOUNDS) };
    let system: Arc<dyn System> = Arc::new(RealSystem::default());
    let store =
        RedisStore::connect(&location, &options, Some([7; 32]), system, Log::kept()).expect("a cluster");
    let mut maker = Maker::new(1);
    for _ in 0..100 {
        let code = maker.code();
        assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    }
    for node in &cluster.nodes {
        let count = node.command("DBSIZE").trim_start_matches(':').parse::<u32>().expect("a number");
        assert!(count > 10, "{count} of 100 on port {}", node.port);
    }
}

#[test]
fn an_engine_that_lost_its_data_is_given_the_servers_key_again() {
    if !is_installed("an_engine_that_lost_its_data_is_given_the_servers_key_again") {
        return;
    }
    let mut engine = Engine::start(&["--appendonly", "no"]);
    let store = connect(&engine.url());
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    engine.kill();
    engine.run();
    let (redeem, _) = maker.redeem(&code);
    assert_eq!(apply(&store, redeem, START), Ok(Outcome::Unknown), "it has forgotten the code");
    wait_until("the key is back", || engine.command("EXISTS oauth:sealing-key") == ":1");
    let Ok(Location::Redis(location)) = Location::parse(&engine.url()) else { panic!("an engine") };
    let system: Arc<dyn System> = Arc::new(RealSystem::default());
    let later = <RedisStore>::connect(
        &location,
        &options(Safety::default(), BOUNDS),
        Some([8; 32]),
        system,
        Log::kept(),
    );
    let [later, first] = [later.unwrap().keyring(), store.keyring()].map(|keys| keys.expect("keys"));
    assert!(later.ids().eq(first.ids()), "a server that starts now has the same one");
}

/// What was done is not done twice, and what was not is done, wherever the connection is cut.
#[test]
fn an_answer_that_is_lost_on_its_way_changes_no_outcome() {
    if !is_installed("an_answer_that_is_lost_on_its_way_changes_no_outcome") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let store = connect(&proxy.url());
    let mut maker = Maker::new(1);
    for cut in 0..3 {
        let code = maker.code();
        proxy.cut_after(cut);
        assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted), "cut after {cut}");
        proxy.cut_after(cut);
        let (redeem, tokens) = maker.redeem(&code);
        let outcome = apply(&store, redeem, START);
        assert!(matches!(outcome, Ok(Outcome::Redeemed { .. })), "cut after {cut}: {outcome:?}");
        proxy.cut_after(cut);
        assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active), "cut after {cut}");
        proxy.cut_after(cut);
        let (rotate, _) = maker.rotate(&tokens.refresh);
        let outcome = apply(&store, rotate, START);
        assert!(matches!(outcome, Ok(Outcome::Rotated { .. })), "cut after {cut}: {outcome:?}");
        proxy.cut_after(cut);
        let (again, _) = maker.redeem(&code);
        let outcome = apply(&store, again, START);
        // The grant is gone either way; whether this was what ended it may not be known.
        assert!(matches!(outcome, Ok(Outcome::Replayed | Outcome::Unknown)), "cut after {cut}: {outcome:?}");
        assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Inactive));
    }
}

/// Every answer after the fault is read as that to the command before it, and most are of a kind that fits.
#[test]
fn a_connection_out_of_step_is_dropped_and_no_reply_mistaken() {
    if !is_installed("a_connection_out_of_step_is_dropped_and_no_reply_mistaken") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let (store, log) = connect_with(&proxy.url(), Safety::default(), BOUNDS);
    let (store, mut maker) = (store.unwrap(), Maker::new(1));
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    let mut check = |fault: Fault| {
        let begun = log.lines().len();
        *proxy.fault.lock().unwrap() = Some(fault);
        let check = || apply(&store, maker.check(&tokens.access), START);
        let first = check();
        // 503 is all right, 401 is not.
        assert!(matches!(first, Ok(Outcome::Active) | Err(_)), "{fault:?}: {first:?}");
        wait_until("the token is good again", || check() == Ok(Outcome::Active));
        let lines = log.lines().split_off(begun);
        assert!(lines.iter().any(|line| line.contains("failed: ")), "{fault:?}: {lines:?}");
        // A change is made once: the answer that was added says that another server was faster.
        *proxy.fault.lock().unwrap() = Some(fault);
        let code = maker.code();
        let granted = apply(&store, maker.grant(&code, None), START);
        assert!(matches!(granted, Ok(Outcome::Granted) | Err(_)), "{fault:?}: {granted:?}");
        wait_until("a look works", || apply(&store, maker.check(&code), START) == Ok(Outcome::Inactive));
    };
    for added in ["$-1\r\n", "+OK\r\n", ":0\r\n", "$3\r\nabc\r\n", "*0\r\n", "-LOADING it loads\r\n"] {
        check(Fault::Added(added));
    }
    // An answer that never comes is awaited for half of this.
    let bounds = Bounds { time_max: Duration::from_secs(4), ..BOUNDS };
    let hasty = connect_with(&proxy.url(), Safety::default(), bounds).0.unwrap();
    *proxy.fault.lock().unwrap() = Some(Fault::Dropped);
    let looks = (0..9).map(|number| match number % 2 {
        0 => (maker.check(&tokens.access), true),
        _ => (maker.check(&Maker::new(9 + number).code()), false),
    });
    let (looks, good): (Vec<_>, Vec<_>) = looks.collect::<Vec<_>>().into_iter().unzip();
    let looks = looks.into_iter().map(|look| (look, START)).collect();
    for (applied, is_good) in stores::apply_all(&hasty, looks).into_iter().zip(good) {
        let expected = if is_good { Outcome::Active } else { Outcome::Inactive };
        assert!(applied.is_err() || applied == Ok(expected), "{applied:?}, and the token is good: {is_good}");
    }
    wait_until("the token is good again", || {
        apply(&hasty, maker.check(&tokens.access), START) == Ok(Outcome::Active)
    });
    let (redeem, _) = maker.redeem(&code);
    assert_eq!(apply(&store, redeem, START), Ok(Outcome::Replayed), "it was written as often as it was said");
}

/// It can be connected to, and then nothing that it says is to be used.
#[test]
fn an_engine_that_always_answers_wrongly_fills_no_disk() {
    if !is_installed("an_engine_that_always_answers_wrongly_fills_no_disk") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let (store, log) = connect_with(&proxy.url(), Safety::default(), BOUNDS);
    let (store, mut maker) = (store.unwrap(), Maker::new(1));
    let begun = log.lines().len();
    *proxy.fault.lock().unwrap() = Some(Fault::AddedAlways("$-1\r\n"));
    for _ in 0..200 {
        let code = maker.code();
        assert_eq!(apply(&store, maker.check(&code), START), Err(StoreError::Unavailable));
    }
    let lines = log.lines().split_off(begun);
    assert!((1..20).contains(&lines.len()), "{lines:?}");
    *proxy.fault.lock().unwrap() = None;
    let code = maker.code();
    wait_until("it works again", || apply(&store, maker.check(&code), START) == Ok(Outcome::Inactive));
    assert!(log.lines().last().is_some_and(|line| line.contains("is back")), "{:?}", log.lines());
}

/// Two stores whose answers wait for a replica: one that soon gives up, for where there is none, and one for where
/// there is one, which may take its time.
fn careful(url: &str) -> [RedisStore; 2] {
    let safety = Safety { replicas_min: 1, ..Safety::default() };
    let hasty = Bounds { time_max: Duration::from_secs(2), ..BOUNDS };
    [hasty, BOUNDS].map(|bounds| connect_with(url, safety, bounds).0.unwrap())
}

/// A reader that finds it written afterwards does not know whether a replica has it.
#[test]
fn nothing_is_confirmed_after_a_redirect_without_a_replica() {
    if !is_installed("nothing_is_confirmed_after_a_redirect_without_a_replica") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let careless = connect(&engine.url());
    let [careful, patient] = careful(&proxy.url());
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&careless, maker.grant(&code, None), START), Ok(Outcome::Granted));
    // The look arrives, and the word that it was written is lost.
    proxy.cut_after(1);
    let (redeem, tokens) = maker.redeem(&code);
    assert!(apply(&careful, redeem, START).is_err());
    assert_eq!(apply(&careless, maker.check(&tokens.access), START), Ok(Outcome::Active), "it was written");
    let (rotate, _) = maker.rotate(&tokens.refresh);
    assert!(matches!(apply(&careless, rotate, START), Ok(Outcome::Rotated { .. })));
    let (again, _) = maker.rotate(&tokens.refresh);
    assert!(apply(&careful, again, START).is_err(), "nor is a rotation repeated");
    // With a replica, both are.
    let _replica = engine.replica();
    let (again, _) = maker.rotate(&tokens.refresh);
    assert!(matches!(apply(&patient, again, START), Ok(Outcome::Repeated { .. })));
    let code = maker.code();
    assert_eq!(apply(&patient, maker.grant(&code, None), START), Ok(Outcome::Granted));
    proxy.cut_after(1);
    let (redeem, _) = maker.redeem(&code);
    assert!(matches!(apply(&patient, redeem, START), Ok(Outcome::Redeemed { .. })));
}

/// What was applied, but is not yet durable as required, is not confirmed to a retry either.
#[test]
fn a_repeated_revocation_is_not_confirmed_without_a_replica() {
    if !is_installed("a_repeated_revocation_is_not_confirmed_without_a_replica") {
        return;
    }
    let engine = Engine::start(&[]);
    let careless = connect(&engine.url());
    let [careful, patient] = careful(&engine.url());
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&careless, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&careless, redeem, START), Ok(Outcome::Redeemed { .. })));
    for attempt in 0..2 {
        let outcome = apply(&careful, maker.revoke(&tokens.refresh), START);
        assert!(outcome.is_err(), "attempt {attempt}: {outcome:?}");
    }
    assert_eq!(apply(&careless, maker.check(&tokens.access), START), Ok(Outcome::Inactive), "it was done");
    let _replica = engine.replica();
    assert_eq!(apply(&patient, maker.revoke(&tokens.refresh), START), Ok(Outcome::Unknown), "now it is safe");
}

/// An answer to the dialog that is not safe is not confirmed to a second click either.
#[test]
fn a_repeated_answer_is_not_confirmed_without_a_replica() {
    if !is_installed("a_repeated_answer_is_not_confirmed_without_a_replica") {
        return;
    }
    let engine = Engine::start(&[]);
    let [careful, patient] = careful(&engine.url());
    let mut maker = Maker::new(1);
    let (granted, refused) = (maker.code(), maker.code());
    let kept_until = Some(START.after(Duration::from_secs(600)));
    let answers = || [maker.grant(&granted, kept_until), maker.deny(&refused, kept_until)];
    for attempt in 0..2 {
        for answer in answers() {
            let outcome = apply(&careful, answer, START);
            assert!(outcome.is_err(), "attempt {attempt}: {outcome:?}");
        }
    }
    let _replica = engine.replica();
    let outcomes = answers().map(|answer| apply(&patient, answer, START));
    assert_eq!(outcomes, [Ok(Outcome::GrantedAgain), Ok(Outcome::Denied)], "now they are safe");
}

/// The network holds a new grant back until its code has been used and revoked.
#[test]
fn a_write_that_arrives_late_does_not_bring_a_spent_code_back() {
    if !is_installed("a_write_that_arrives_late_does_not_bring_a_spent_code_back") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let store = connect(&proxy.url());
    let mut maker = Maker::new(1);
    let code = maker.code();
    proxy.held.set(Holding::NextOfLost);
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted), "at the second try");
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    assert_eq!(apply(&store, maker.revoke(&tokens.refresh), START), Ok(Outcome::Revoked));
    // A report is two writes, and no news here.
    let is_even = || calls_of(&engine, "set").is_multiple_of(2);
    let before = is_even();
    proxy.held.set(Holding::Nothing);
    wait_until("the late write arrives", || is_even() != before);
    let (again, _) = maker.redeem(&code);
    assert_eq!(apply(&store, again, START), Ok(Outcome::Unknown));
}

/// The network holds a swap back until its request has been answered 503 and withdrawn.
#[test]
fn a_swap_that_arrives_after_its_withdrawal_spends_no_code() {
    if !is_installed("a_swap_that_arrives_after_its_withdrawal_spends_no_code") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let Ok(Location::Redis(location)) = Location::parse(&proxy.url()) else { panic!("{}", proxy.url()) };
    let bounds = Bounds { time_max: Duration::from_secs(1), ..BOUNDS };
    let (system, options) = (TestSystem::running_for_store(), options(Safety::default(), bounds));
    let store = RedisStore::connect(
        &location,
        &options,
        Some([7; 32]),
        Arc::<TestSystem>::clone(&system) as Arc<dyn System>,
        Log::kept(),
    );
    let store = store.unwrap_or_else(|error| panic!("{error}"));
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, lost) = maker.redeem(&code);
    proxy.held.set(Holding::Next);
    let submitted = submit_all(&store, vec![(redeem, START)]);
    proxy.held.wait();
    // The read passes, and the swap is held back.
    proxy.held.set(Holding::Next);
    proxy.held.wait();
    system.wait(bounds.time_max);
    assert_eq!(submitted.wait(), [Err(StoreError::TimedOut)]);
    // It is applied after the withdrawal.
    assert_eq!(apply(&store, maker.check(&lost.access), START), Ok(Outcome::Inactive));
    let before = calls_of(&engine, "eval");
    proxy.held.set(Holding::Nothing);
    wait_until("the late swap arrives", || calls_of(&engine, "eval") > before);
    let (again, tokens) = maker.redeem(&code);
    let applied = apply(&store, again, START);
    assert!(matches!(applied, Ok(Outcome::Redeemed { .. })), "{applied:?}");
    assert_eq!(apply(&store, maker.check(&lost.access), START), Ok(Outcome::Inactive));
    assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active));
}

/// `count` rotations of a new grant's refresh token, each of what the one before it makes; and the last access
/// token.
fn chain(store: &RedisStore, maker: &mut Maker, count: usize) -> (Vec<(Transition, Timestamp)>, Credential) {
    let code = maker.code();
    assert_eq!(apply(store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, mut tokens) = maker.redeem(&code);
    assert!(matches!(apply(store, redeem, START), Ok(Outcome::Redeemed { .. })));
    let (rotate, salt) = maker.rotate(&tokens.refresh);
    // All refresh tokens of a grant are of one family, so the outcomes of all rotations are alike.
    let outcome = apply(store, rotate, START).expect("an answer");
    tokens = stores::rotated(&tokens.refresh, salt, &outcome).expect("it is the current one");
    let rotations = (0..count).map(|_| {
        let (rotate, salt) = maker.rotate(&tokens.refresh);
        tokens = stores::rotated(&tokens.refresh, salt, &outcome).expect("tokens");
        (rotate, START)
    });
    (rotations.collect(), tokens.access)
}

/// Gives `transitions` to the store while an exchange is held back, so that the next one takes all of them. Then
/// `next` is what is held back.
fn submit_together(
    (store, proxy): (&RedisStore, &Proxy),
    transitions: Vec<(Transition, Timestamp)>,
    next: Holding,
) -> Submitted {
    proxy.held.set(Holding::Next);
    let mut maker = Maker::new(77);
    let nothing = maker.code();
    let probe = submit_all(store, vec![(maker.check(&nothing), START)]);
    proxy.held.wait();
    let submitted = submit_all(store, transitions);
    proxy.held.set(next);
    assert_eq!(probe.wait(), [Ok(Outcome::Inactive)]);
    submitted
}

#[test]
fn a_grant_that_many_ask_for_holds_up_no_other() {
    if !is_installed("a_grant_that_many_ask_for_holds_up_no_other") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let (store, mut maker) = (connect(&proxy.url()), Maker::new(1));
    let (hot, _) = chain(&store, &mut maker, 250);
    let (other, _) = chain(&store, &mut maker, 1);
    let exchanges = || proxy.exchanges();
    let hot = submit_together((&store, &proxy), hot, Holding::Next);
    // All 250 are in one batch, whose first exchange is held back.
    proxy.held.wait();
    let other = submit_all(&store, other);
    let before = exchanges();
    proxy.held.set(Holding::Nothing);
    assert!(matches!(other.wait()[..], [Ok(Outcome::Rotated { .. })]));
    let count = exchanges() - before;
    assert!(hot.wait().iter().all(|applied| matches!(applied, Ok(Outcome::Rotated { .. }))));
    // A read of the one; its swap, with a read of the other; and the other's swap.
    assert_eq!((count, exchanges() - before), (3, 3));
}

/// A swap of many that was made is known to have been made for all of them, wherever the connection is cut.
#[test]
fn a_lost_reply_that_many_wait_for_changes_no_outcome() {
    if !is_installed("a_lost_reply_that_many_wait_for_changes_no_outcome") {
        return;
    }
    let engine = Engine::start(&[]);
    let _replica = engine.replica();
    let proxy = Proxy::to(&engine);
    let mut maker = Maker::new(1);
    for safety in [Safety::default(), Safety { replicas_min: 1, ..Safety::default() }] {
        let store = connect_with(&proxy.url(), safety, BOUNDS).0.unwrap();
        // The read, the swap, and the read or the second swap after it.
        for cut in 0..3 {
            let (mut rotations, last) = chain(&store, &mut maker, 5);
            rotations.insert(0, (maker.check(&last), START));
            rotations.push((maker.check(&last), START));
            let submitted = submit_together((&store, &proxy), rotations, Holding::Next);
            proxy.held.wait();
            proxy.cut_after(cut);
            proxy.held.set(Holding::Nothing);
            let applied = submitted.wait();
            assert_eq!(applied[0], Ok(Outcome::Inactive), "cut after {cut}");
            for applied in &applied[1..6] {
                assert!(matches!(applied, Ok(Outcome::Rotated { .. })), "cut after {cut}: {applied:?}");
            }
            assert_eq!(applied[6], Ok(Outcome::Active), "cut after {cut}");
            proxy.cut_after(i64::MAX);
        }
    }
}

/// Another server writes between the read and the swap: what each was going to be told is worked out again.
#[test]
fn many_that_lose_a_race_are_told_what_they_lost_to() {
    if !is_installed("many_that_lose_a_race_are_told_what_they_lost_to") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let (store, faster, mut maker) = (connect(&proxy.url()), connect(&engine.url()), Maker::new(1));
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    let looks = [(redeem, START), (maker.check(&tokens.access), START), (maker.redeem(&code).0, START)];
    let submitted = submit_together((&store, &proxy), looks.into(), Holding::Next);
    proxy.held.wait();
    // The read passes, and the swap is held back.
    proxy.held.set(Holding::Next);
    proxy.held.wait();
    let (first, won) = maker.redeem(&code);
    assert!(matches!(apply(&faster, first, START), Ok(Outcome::Redeemed { .. })));
    proxy.held.set(Holding::Nothing);
    assert_eq!(submitted.wait(), [Ok(Outcome::Replayed), Ok(Outcome::Inactive), Ok(Outcome::Unknown)]);
    assert_eq!(apply(&faster, maker.check(&won.access), START), Ok(Outcome::Inactive));
}

/// How often the engine was asked for `command`.
fn calls_of(engine: &Engine, command: &str) -> u64 {
    let stats = engine.command("INFO commandstats");
    let name = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&name));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// A write that no replica takes delays only the requests that wait for it.
#[test]
fn an_engine_that_has_become_a_replica_holds_nobody_up() {
    if !is_installed("an_engine_that_has_become_a_replica_holds_nobody_up") {
        return;
    }
    let engine = Engine::start(&[]);
    let (store, log) = connect_with(&engine.url(), Safety::default(), BOUNDS);
    let (store, mut maker) = (store.unwrap(), Maker::new(1));
    let connections = || {
        let stats = engine.command("INFO stats");
        let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.and_then(|count| count.parse::<u64>().ok()).expect("a number")
    };
    engine.command("REPLICAOF 127.0.0.1 1");
    let before = connections();
    let began = Instant::now();
    for _ in 0..5 {
        let code = maker.code();
        // Were its time over, it would say so.
        assert_eq!(apply(&store, maker.grant(&code, None), START), Err(StoreError::Unavailable));
    }
    // Some at first, and then one after each pause; and the question how many there were.
    let count_max = 10 + began.elapsed().as_secs();
    assert!(connections() - before <= count_max, "the engine is not asked again and again");
    assert!(
        log.lines().iter().any(|line| line.contains("is a replica and takes no grants")),
        "{:?}",
        log.lines()
    );
    engine.command("REPLICAOF NO ONE");
    let works = std::cell::RefCell::new(maker);
    wait_until("it takes grants again", || {
        let code = works.borrow_mut().code();
        let transition = works.borrow().grant(&code, None);
        apply(&store, transition, START) == Ok(Outcome::Granted)
    });
}

/// Reading the map does not bring the node back.
#[test]
fn a_node_that_is_away_does_not_make_each_request_read_the_map() {
    if !is_installed("a_node_that_is_away_does_not_make_each_request_read_the_map") {
        return;
    }
    let mut cluster = Cluster::start();
    let store = connect(&cluster.url());
    cluster.nodes[0].kill();
    let others = &cluster.nodes[1..];
    let reads = || others.iter().map(|node| calls_of(node, "cluster|slots")).sum::<u64>();
    let (before, began) = (reads(), Instant::now());
    let mut maker = Maker::new(1);
    let applied: Vec<_> = (0..200)
        .map(|_| {
            let code = maker.code();
            apply(&store, maker.grant(&code, None), START)
        })
        .collect();
    let most = 2 + began.elapsed().as_millis() as u64 / 50;
    let count = reads() - before;
    assert!(count <= most, "{count} reads, and at most {most} are due");
    let failed = applied.iter().filter(|applied| **applied == Err(StoreError::Unavailable)).count();
    let granted = applied.iter().filter(|applied| **applied == Ok(Outcome::Granted)).count();
    assert!(failed > 20 && granted > 60 && failed + granted == 200, "{failed} and {granted}");
}

/// A node that has lost its memory of the cluster says that there are no slots, and no server relies on that.
#[test]
fn a_node_that_comes_back_blank_takes_nothing_with_it() {
    if !is_installed("a_node_that_comes_back_blank_takes_nothing_with_it") {
        return;
    }
    let mut cluster = Cluster::start();
    let store = connect(&cluster.url());
    for node in &cluster.nodes {
        assert_eq!(node.command("CONFIG SET cluster-require-full-coverage no"), "+OK");
    }
    cluster.nodes[0].kill();
    std::fs::remove_file(cluster.nodes[0].folder().join("nodes.conf")).expect("what it knows of the others");
    cluster.nodes[0].run();
    assert_eq!(cluster.nodes[0].command("CLUSTER SLOTS"), "*0");
    let goes_on = || cluster.nodes[1].command("CLUSTER INFO").contains("cluster_state:ok");
    wait_until("the others go on", goes_on);
    // Where it was there is a stranger now.
    let have_lost_it =
        || cluster.nodes[1..].iter().all(|node| node.command("CLUSTER NODES").contains("noaddr"));
    wait_until("the others have lost its address", have_lost_it);
    let mut maker = Maker::new(1);
    let (mut served, mut others) = (0, 0);
    let fresh = connect(&cluster.url());
    while served < 10 || others < 2 {
        let code = maker.code();
        let key = format!("oauth:grant:{}", &code.encode()[..20]);
        let slot = cluster.nodes[1].command(&format!("CLUSTER KEYSLOT {key}")).replace(':', "");
        let is_served = slot.parse::<u16>().expect("a number") > 5460;
        let expected = if is_served { Ok(Outcome::Granted) } else { Err(StoreError::Unavailable) };
        *(if is_served { &mut served } else { &mut others }) += 1;
        let store = if served % 2 == 0 { &store } else { &fresh };
        assert_eq!(apply(store, maker.grant(&code, None), START), expected, "slot {slot}");
    }
}

/// Some engines repeat in an error what they were sent.
#[test]
fn the_sealing_key_is_in_no_line_of_the_log() {
    if !is_installed("the_sealing_key_is_in_no_line_of_the_log") {
        return;
    }
    let engine = Engine::start(&["--rename-command", "SET", "xset"]);
    let Ok(Location::Redis(location)) = Location::parse(&engine.url()) else { panic!("{}", engine.url()) };
    let (log, system): (_, Arc<dyn System>) = (Log::kept(), Arc::new(RealSystem::default()));
    let key = *b"a key of thirty-two plain letters";
    let key: [u8; 32] = key[..32].try_into().expect("32 bytes");
    let store =
        <RedisStore>::connect(&location, &options(Safety::default(), BOUNDS), Some(key), system, log.clone());
    let said = format!("{:?} {:?}", store.map(drop), log.lines());
    assert!(said.contains("refuses SET: ERR") && !said.contains("thirty-two"), "{said}");
}

#[test]
fn an_engine_that_is_full_says_so_and_has_room_again() {
    if !is_installed("an_engine_that_is_full_says_so_and_has_room_again") {
        return;
    }
    let engine = Engine::start(&["--maxmemory-policy", "noeviction"]);
    let store = connect(&engine.url());
    let mut maker = Maker::new(1);
    let (first, second) = (maker.code(), maker.code());
    assert_eq!(apply(&store, maker.grant(&first, None), START), Ok(Outcome::Granted));
    assert_eq!(engine.command("CONFIG SET maxmemory 1"), "+OK");
    assert_eq!(
        apply(&store, maker.grant(&second, None), START),
        Err(StoreError::Full { wait: Duration::from_secs(60) })
    );
    assert_eq!(apply(&store, maker.check(&first), START), Ok(Outcome::Inactive), "looking goes on");
    assert_eq!(engine.command("CONFIG SET maxmemory 0"), "+OK");
    assert_eq!(apply(&store, maker.grant(&second, None), START), Ok(Outcome::Granted));
}

#[test]
fn the_engine_is_told_when_a_grant_expires() {
    if !is_installed("the_engine_is_told_when_a_grant_expires") {
        return;
    }
    let engine = Engine::start(&[]);
    let store = connect(&engine.url());
    let mut maker = Maker::new(1);
    let code = maker.code();
    let key = format!("oauth:grant:{}", &code.encode()[..20]);
    let expires =
        || engine.command(&format!("PEXPIRETIME {key}")).trim_start_matches(':').parse::<u64>().unwrap();
    // And a minute for clocks that differ.
    let at = |time: Duration| START.after(time + Duration::from_secs(60)).as_milliseconds();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    assert_eq!(expires(), at(stores::CODE_LIFETIME));
    let (redeem, _) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    assert_eq!(expires(), at(LIFETIMES.refresh_idle));
}

#[test]
fn what_an_engine_may_lose_is_logged_at_start_with_its_setting() {
    if !is_installed("what_an_engine_may_lose_is_logged_at_start_with_its_setting") {
        return;
    }
    let check = |settings: &[&str], words: &[&str]| {
        let engine = Engine::start(settings);
        let (store, log) = connect_with(&engine.url(), Safety::default(), BOUNDS);
        assert!(store.is_ok());
        let lines = log.lines();
        assert_eq!(lines.len(), words.len(), "{lines:?}");
        for (line, words) in lines.iter().zip(words) {
            assert!(line.contains(words), "{line}");
        }
    };
    check(&["--appendonly", "no", "--maxmemory", "1gb"], &["set appendonly yes"]);
    check(
        &["--appendonly", "yes", "--maxmemory", "1gb"],
        &[
            "appendfsync is everysec: an engine that is killed forgets up to 2 seconds of answers, and a machine",
        ],
    );
    check(
        &["--appendonly", "yes", "--appendfsync", "no", "--maxmemory", "1gb"],
        &["appendfsync is no: a machine that fails forgets"],
    );
    check(&DURABLE, &[]);
    check(&DURABLE[..4], &["set maxmemory"]);
    let durable = |more: &[&'static str]| [&DURABLE[..], more].concat();
    check(&durable(&["--no-appendfsync-on-rewrite", "yes"]), &["set no-appendfsync-on-rewrite no"]);
    check(&durable(&["--maxmemory-policy", "allkeys-lru"]), &["set maxmemory-policy noeviction"]);
}

#[test]
fn an_engine_that_cannot_be_used_is_refused_with_the_reason() {
    if !is_installed("an_engine_that_cannot_be_used_is_refused_with_the_reason") {
        return;
    }
    let engine = Engine::start(&["--requirepass", "hush", "--appendonly", "no"]);
    let (host, port) = ("127.0.0.1", engine.port);
    let check = |url: &str, safety: Safety, words: &str| {
        let (store, log) = connect_with(url, safety, BOUNDS);
        let error = store.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("hush") && !log.lines().concat().contains("hush"), "{error}");
    };
    check(&format!("redis://{host}:{}", engine::free_port()), Safety::default(), "Connection refused");
    let twice = format!("redis://:hush@{host}:{port},{host}:{port}");
    check(&twice, Safety::default(), "is no node of a cluster; name one engine, or nodes of a cluster");
    check(&engine.url(), Safety::default(), "NOAUTH");
    check(&format!("redis://:hushhush@{host}:{port}"), Safety::default(), "uthentication failed");
    let url = format!("redis://:hush@{host}:{port}");
    assert!(connect_with(&url, Safety::default(), BOUNDS).0.is_ok());
    let safety = Safety { append_only_file: true, ..Safety::default() };
    let (store, _) = connect_with(&url, safety, BOUNDS);
    // Which of the two depends on how old it is.
    let error = store.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("7.2 or later is needed") || error.contains("set appendonly yes"), "{error}");
}

#[test]
fn an_answer_that_must_reach_a_replica_waits_for_one() {
    if !is_installed("an_answer_that_must_reach_a_replica_waits_for_one") {
        return;
    }
    let engine = Engine::start(&[]);
    let mut replica = engine.replica();
    let [store, patient] = careful(&engine.url());
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&patient, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let key = format!("oauth:grant:{}", &code.encode()[..20]);
    assert_eq!(replica.command(&format!("EXISTS {key}")), ":1", "it is there when the answer leaves");
    replica.kill();
    let other = maker.code();
    assert!(apply(&store, maker.grant(&other, None), START).is_err());
    assert_eq!(apply(&patient, maker.check(&code), START), Ok(Outcome::Inactive), "looking goes on");
}

#[test]
fn an_answer_can_wait_for_the_append_only_file() {
    let program = engine::program_with_waitaof("an_answer_can_wait_for_the_append_only_file");
    let Some(program) = program else { return };
    let engine = Engine::start_program(&program, &DURABLE);
    let safety = Safety { append_only_file: true, ..Safety::default() };
    let (store, log) = connect_with(&engine.url(), safety, BOUNDS);
    let store = store.expect("it knows WAITAOF");
    assert!(log.lines().is_empty(), "nothing is at risk: {:?}", log.lines());
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active));
    assert_eq!(engine.command("CONFIG SET appendfsync everysec"), "+OK");
    let (store_of_slow, log) = connect_with(&engine.url(), safety, BOUNDS);
    assert!(
        store_of_slow.is_ok() && log.lines().concat().contains("set appendfsync always"),
        "{:?}",
        log.lines()
    );
    // A file that is never synced would be waited for in vain.
    assert_eq!(engine.command("CONFIG SET appendfsync no"), "+OK");
    let error = connect_with(&engine.url(), safety, BOUNDS).0.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("set appendfsync always or everysec"), "{error}");
    // Without the file there is nothing that could have it.
    assert_eq!(engine.command("CONFIG SET appendonly no"), "+OK");
    let other = maker.code();
    assert_eq!(apply(&store, maker.grant(&other, None), START), Err(StoreError::Unavailable));
}

/// With certificates made for the test, by `openssl`.
#[test]
#[cfg(feature = "redis-tls")]
fn an_engine_behind_tls_is_used_if_its_certificate_is_trusted() {
    if !is_installed("an_engine_behind_tls_is_used_if_its_certificate_is_trusted") {
        return;
    }
    let folder = Folder::new();
    let openssl = |words: &str| {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).current_dir(folder.join(".")).stderr(Stdio::null());
        assert!(command.status().expect("openssl is there").success(), "openssl {words}");
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority -addext \
         basicConstraints=critical,CA:TRUE",
    );
    openssl("req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=localhost");
    openssl(
        "x509 -req -in own.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out own.crt",
    );
    let file = |name: &str| folder.join(name).display().to_string();
    let settings = [
        "--tls-cert-file",
        &file("own.crt"),
        "--tls-key-file",
        &file("own.key"),
        "--tls-ca-cert-file",
        &file("ca.crt"),
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "hush",
    ];
    let engine = Engine::start_with_port("--tls-port", &settings);
    let location = format!("rediss://:hush@localhost:{}", engine.setting("--tls-port"));
    let program = || Command::new(env!("CARGO_BIN_EXE_oauth-from-scratch"));
    let mut trusting = program();
    trusting.env("SSL_CERT_FILE", file("ca.crt"));
    std::fs::write(folder.join("config.toml"), PATIENT).expect("a file");
    let server = ServerProcess::start_as(trusting, &["--config", &file("config.toml"), "--store", &location]);
    let mut link = Link::new(server.port);
    let Said::Yes(code) = link.code() else { panic!("a code") };
    let Said::Yes(tokens) = link.redeem(&code[0]) else { panic!("tokens") };
    assert_eq!(link.is_active(&tokens[0]), Some(true));
    let refused = program().args(["--client-port", "0", "--auth-port", "0", "--store", &location]).output();
    let refused = refused.expect("the program ends");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("certificate") && !words.contains("hush"), "{words}");
}
