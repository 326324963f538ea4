//! Servers that share an engine, and what becomes of grants when it is killed, frozen, cut off, full, or moves
//! its keys: every answer that any client was given still holds, and what cannot be answered is 503.
//!
//! Where `redis-server` is not installed, these tests say so and pass, unless `ENGINE_REQUIRED` is set.
//! `ENGINE_CRASHES=N` kills the engine that often.

#[path = "support/engine.rs"]
mod engine;
#[path = "support/ledger.rs"]
mod ledger;
#[path = "support/stores.rs"]
mod stores;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use engine::{Cluster, Engine, is_installed, options, wait_until};
use ledger::{Ledger, Link, Said, ServerProcess, load};
use oauth_from_scratch::config::{KeyPrefix, Location};
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::Outcome;
use oauth_from_scratch::store::engine::{EngineError, Options, Safety};
use oauth_from_scratch::store::{Bounds, EngineStore, Store, StoreError};
use oauth_from_scratch::system::{RealSystem, System};
use stores::{BOUNDS, Folder, LIFETIMES, Maker, START, apply};

const CLIENTS: u64 = 8;

fn connect_with(url: &str, safety: Safety, bounds: Bounds) -> (Result<EngineStore, EngineError>, Log) {
    let Ok(Location::Engine(location)) = Location::parse(url) else { panic!("{url}") };
    let (log, system): (_, Arc<dyn System>) = (Log::kept(), Arc::new(RealSystem::default()));
    (EngineStore::connect(&location, &options(safety, bounds), [7; 32], system, log.clone()), log)
}

fn connect(url: &str) -> EngineStore {
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
        World::with_replicas(url, 0)
    }

    /// Where answers wait for so many replicas.
    fn with_replicas(url: &str, replicas: u32) -> World {
        let folder = Folder::new();
        let config = folder.join("config.toml");
        let text = format!(
            "[listen]\nclient_app_port = 0\nworkers = 2\n[limits]\nstore_time_max = 2\n[store]\nlocation = \"{url}\"\n\
             key_prefix = \"oauth\"\nwait_for_replicas = {replicas}\n"
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
            // Returns when there are so many more facts.
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
fn two_servers_hold_to_everything_when_their_engine_is_killed_and_started_again() {
    if !is_installed("two_servers_hold_to_everything_when_their_engine_is_killed_and_started_again") {
        return;
    }
    let crashes = std::env::var("ENGINE_CRASHES").ok().and_then(|count| count.parse().ok()).unwrap_or(4u64);
    // What it has answered is in the system's hands, which outlives the process.
    let mut engine = Engine::start(&["--appendonly", "yes"]);
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

#[test]
fn while_the_engine_is_away_what_needs_it_is_503_and_the_rest_goes_on() {
    if !is_installed("while_the_engine_is_away_what_needs_it_is_503_and_the_rest_goes_on") {
        return;
    }
    let mut engine = Engine::start(&["--appendonly", "yes"]);
    let mut world = World::new(&engine.url());
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
    assert_eq!(status(&secure).0, 401);
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
    let mut world = World::with_replicas(&cluster.url(), 1);
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
        is_ok(owner, format!("MIGRATE 127.0.0.1 {} {key} 0 5000", heir.port));
        let (redeem, tokens) = maker.redeem(&code);
        assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
        assert!(!has_key(&owner), "it was not made anew where it had been");
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
    let (status, _) = Link::new(ports[0]).authorize(&cookie, &sealed);
    assert_eq!(status, 400, "and it is used up, at either");
}

/// Two demos on one engine: each has a port of its own, and so an issuer of its own.
#[test]
fn two_issuers_on_one_engine_do_not_open_each_others_tokens_codes_and_forms() {
    if !is_installed("two_issuers_on_one_engine_do_not_open_each_others_tokens_codes_and_forms") {
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
    assert_eq!(other.authorize(&cookie, &sealed).0, 403, "a form");
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
    let Ok(Location::Engine(location)) = Location::parse(&cluster.url()) else { panic!("a cluster") };
    let key_prefix = KeyPrefix::of_issuer("http://[::1]:3001/t");
    let options = Options { key_prefix, ..options(Safety::default(), BOUNDS) };
    let system: Arc<dyn System> = Arc::new(RealSystem::default());
    let store = EngineStore::connect(&location, &options, [7; 32], system, Log::kept()).expect("a cluster");
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
fn an_engine_that_comes_back_empty_is_given_the_servers_key_again() {
    if !is_installed("an_engine_that_comes_back_empty_is_given_the_servers_key_again") {
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
    let Ok(Location::Engine(location)) = Location::parse(&engine.url()) else { panic!("an engine") };
    let system: Arc<dyn System> = Arc::new(RealSystem::default());
    let later =
        EngineStore::connect(&location, &options(Safety::default(), BOUNDS), [8; 32], system, Log::kept());
    assert_eq!(
        later.unwrap().sealing_keys(),
        store.sealing_keys(),
        "a server that starts now has the same one"
    );
}

/// Stands between a store and its engine, and cuts connections when an answer is on its way.
struct Proxy {
    port: u16,
    /// How many more answers pass.
    answers_left: Arc<AtomicI64>,
    held: Arc<Held>,
}

/// Holds back what is sent to the engine, as a network does that loses a packet and sends it again.
#[derive(Default)]
struct Held {
    state: Mutex<Holding>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Holding {
    #[default]
    Nothing,
    /// The next bytes will be.
    Next,
    Something,
}

impl Held {
    fn set(&self, state: Holding) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if *state == Holding::Next {
            *state = Holding::Something;
            drop(self.changed.wait_while(state, |state| *state == Holding::Something).unwrap());
        }
    }
}

impl Proxy {
    fn to(engine: &Engine) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (port, to) = (listener.local_addr().expect("an address").port(), engine.port);
        let answers_left = Arc::new(AtomicI64::new(i64::MAX));
        let left = Arc::clone(&answers_left);
        let held = Arc::<Held>::default();
        let holding = Arc::clone(&held);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (mut from, mut into) =
                    (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
                let held = Arc::clone(&holding);
                std::thread::spawn(move || {
                    let mut bytes = [0; 64 * 1024];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        held.pass();
                        if into.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = into.shutdown(Shutdown::Both);
                });
                let left = Arc::clone(&left);
                std::thread::spawn(move || pass_answers(server, client, &left));
            }
        });
        Proxy { port, answers_left, held }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The next but `count` answers is lost, with its connection; those on later connections pass.
    fn cut_after(&self, count: i64) {
        self.answers_left.store(count, Ordering::SeqCst);
    }
}

fn pass_answers(mut server: TcpStream, mut client: TcpStream, left: &AtomicI64) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        if left.fetch_sub(1, Ordering::SeqCst) == 0 {
            left.store(i64::MAX, Ordering::SeqCst);
            break;
        }
        if client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
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

/// Whoever finds out afterwards that it was written knows nothing of replicas yet.
#[test]
fn nothing_is_confirmed_on_a_detour_that_has_not_reached_a_replica() {
    if !is_installed("nothing_is_confirmed_on_a_detour_that_has_not_reached_a_replica") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let careless = connect(&engine.url());
    let safety = Safety { replicas_min: 1, ..Safety::default() };
    let bounds = Bounds { time_max: Duration::from_secs(2), ..BOUNDS };
    let careful = connect_with(&proxy.url(), safety, bounds).0.unwrap();
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&careless, maker.grant(&code, None), START), Ok(Outcome::Granted));
    // The look arrives, and the word that it was written is lost.
    proxy.cut_after(1);
    let (redeem, tokens) = maker.redeem(&code);
    assert_eq!(apply(&careful, redeem, START), Err(StoreError::Unavailable));
    assert_eq!(apply(&careless, maker.check(&tokens.access), START), Ok(Outcome::Active), "it was written");
    let (rotate, _) = maker.rotate(&tokens.refresh);
    assert!(matches!(apply(&careless, rotate, START), Ok(Outcome::Rotated { .. })));
    let (again, _) = maker.rotate(&tokens.refresh);
    assert_eq!(apply(&careful, again, START), Err(StoreError::Unavailable), "nor is a rotation repeated");
    // With a replica, both are.
    let _replica = engine.replica();
    let (again, _) = maker.rotate(&tokens.refresh);
    assert!(matches!(apply(&careful, again, START), Ok(Outcome::Repeated { .. })));
    let code = maker.code();
    assert_eq!(apply(&careful, maker.grant(&code, None), START), Ok(Outcome::Granted));
    proxy.cut_after(1);
    let (redeem, _) = maker.redeem(&code);
    assert!(matches!(apply(&careful, redeem, START), Ok(Outcome::Redeemed { .. })));
}

/// What was done and is not safe is not confirmed to whoever asks once more, either.
#[test]
fn a_revocation_that_has_not_reached_a_replica_is_not_confirmed_when_it_is_repeated() {
    if !is_installed("a_revocation_that_has_not_reached_a_replica_is_not_confirmed_when_it_is_repeated") {
        return;
    }
    let engine = Engine::start(&[]);
    let careless = connect(&engine.url());
    let safety = Safety { replicas_min: 1, ..Safety::default() };
    let bounds = Bounds { time_max: Duration::from_secs(2), ..BOUNDS };
    let careful = connect_with(&engine.url(), safety, bounds).0.unwrap();
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&careless, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&careless, redeem, START), Ok(Outcome::Redeemed { .. })));
    for attempt in 0..2 {
        let outcome = apply(&careful, maker.revoke(&tokens.refresh), START);
        assert_eq!(outcome, Err(StoreError::Unavailable), "attempt {attempt}");
    }
    assert_eq!(apply(&careless, maker.check(&tokens.access), START), Ok(Outcome::Inactive), "it was done");
    let _replica = engine.replica();
    assert_eq!(apply(&careful, maker.revoke(&tokens.refresh), START), Ok(Outcome::Unknown), "now it is safe");
}

/// The network holds a new grant back until its code has been used and revoked.
#[test]
fn a_write_that_arrives_late_does_not_bring_a_spent_code_back() {
    if !is_installed("a_write_that_arrives_late_does_not_bring_a_spent_code_back") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let bounds = Bounds { time_max: Duration::from_secs(2), ..BOUNDS };
    let store = connect_with(&proxy.url(), Safety::default(), bounds).0.unwrap();
    let mut maker = Maker::new(1);
    let code = maker.code();
    proxy.held.set(Holding::Next);
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted), "at the second try");
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    assert_eq!(apply(&store, maker.revoke(&tokens.refresh), START), Ok(Outcome::Revoked));
    let writes = || writes_of(&engine);
    let before = writes();
    proxy.held.set(Holding::Nothing);
    wait_until("the late write arrives", || writes() > before);
    let (again, _) = maker.redeem(&code);
    assert_eq!(apply(&store, again, START), Ok(Outcome::Unknown));
}

/// How often the engine was asked to `SET`.
fn writes_of(engine: &Engine) -> u64 {
    let stats = engine.command("INFO commandstats");
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_set:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// A write that nobody takes keeps only those waiting who asked for it.
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
        assert_eq!(apply(&store, maker.grant(&code, None), START), Err(StoreError::Unavailable));
    }
    assert!(began.elapsed() < BOUNDS.time_max, "each is told well before its time is over");
    // Each of these questions is a connection, too.
    assert!(connections() - before < 20, "the engine is not asked again and again");
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

/// A node that has lost its memory of the cluster says that there are no slots, and nobody goes by that.
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
    let mut maker = Maker::new(1);
    let began = Instant::now();
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
        assert_eq!(
            apply(store, maker.grant(&code, None), START),
            expected,
            "slot {slot}, {:?}",
            began.elapsed()
        );
    }
}

/// Some engines repeat in an error what they were sent.
#[test]
fn the_sealing_key_is_in_no_line_of_the_log() {
    if !is_installed("the_sealing_key_is_in_no_line_of_the_log") {
        return;
    }
    let engine = Engine::start(&["--rename-command", "SET", "xset"]);
    let Ok(Location::Engine(location)) = Location::parse(&engine.url()) else { panic!("{}", engine.url()) };
    let (log, system): (_, Arc<dyn System>) = (Log::kept(), Arc::new(RealSystem::default()));
    let key = *b"a key of thirty-two plain letters";
    let key: [u8; 32] = key[..32].try_into().expect("32 bytes");
    let store = EngineStore::connect(&location, &options(Safety::default(), BOUNDS), key, system, log.clone());
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
    assert_eq!(apply(&store, maker.grant(&second, None), START), Err(StoreError::Full));
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
fn what_an_engine_may_lose_is_said_at_the_start_with_the_setting() {
    if !is_installed("what_an_engine_may_lose_is_said_at_the_start_with_the_setting") {
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
    check(&["--appendonly", "no"], &["set appendonly yes"]);
    check(&["--appendonly", "yes"], &["appendfsync is everysec"]);
    check(&["--appendonly", "yes", "--appendfsync", "always"], &[]);
    check(
        &["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "allkeys-lru"],
        &["set maxmemory-policy noeviction"],
    );
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
fn an_answer_that_is_to_wait_for_a_replica_is_not_given_without_one() {
    if !is_installed("an_answer_that_is_to_wait_for_a_replica_is_not_given_without_one") {
        return;
    }
    let engine = Engine::start(&[]);
    let mut replica = engine.replica();
    let safety = Safety { replicas_min: 1, ..Safety::default() };
    let bounds = Bounds { time_max: Duration::from_secs(2), ..BOUNDS };
    let store = connect_with(&engine.url(), safety, bounds).0.unwrap();
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let key = format!("oauth:grant:{}", &code.encode()[..20]);
    assert_eq!(replica.command(&format!("EXISTS {key}")), ":1", "it is there when the answer leaves");
    replica.kill();
    let began = Instant::now();
    let other = maker.code();
    assert_eq!(apply(&store, maker.grant(&other, None), START), Err(StoreError::Unavailable));
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(apply(&store, maker.check(&code), START), Ok(Outcome::Inactive), "looking goes on");
}

/// An engine that is too old to say so is refused at the start (Debian's is, in CI).
#[test]
fn an_answer_can_wait_for_the_append_only_file() {
    if !is_installed("an_answer_can_wait_for_the_append_only_file") {
        return;
    }
    let engine = Engine::start(&["--appendonly", "yes"]);
    let safety = Safety { append_only_file: true, ..Safety::default() };
    let (store, log) = connect_with(&engine.url(), safety, BOUNDS);
    let info = engine.command("INFO server");
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).expect("its version");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let knows_waitaof = (numbers.next(), numbers.next()) >= (Some(7), Some(2));
    let store = match store {
        Err(error) => {
            assert!(!knows_waitaof && error.to_string().contains("for wait_for_append_only_file"), "{error}");
            return;
        }
        Ok(store) => store,
    };
    assert!(knows_waitaof && log.lines().is_empty(), "nothing is at risk: {:?}", log.lines());
    let mut maker = Maker::new(1);
    let code = maker.code();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active));
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
    let tls_port = engine::free_port();
    let _engine = Engine::start(&[
        "--tls-port",
        &tls_port.to_string(),
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
    ]);
    let location = format!("rediss://:hush@localhost:{tls_port}");
    let program = || Command::new(env!("CARGO_BIN_EXE_oauth-from-scratch"));
    let mut trusting = program();
    trusting.env("SSL_CERT_FILE", file("ca.crt"));
    let server = ServerProcess::start_as(trusting, &["--store", &location]);
    let mut link = Link::new(server.port);
    let Said::Yes(code) = link.code() else { panic!("a code") };
    let Said::Yes(tokens) = link.redeem(&code[0]) else { panic!("tokens") };
    assert_eq!(link.is_active(&tokens[0]), Some(true));
    let refused = program().args(["--client-port", "0", "--auth-port", "0", "--store", &location]).output();
    let refused = refused.expect("the program ends");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("certificate") && !words.contains("hush"), "{words}");
}
