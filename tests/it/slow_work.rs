//! Secrets that people chose, whose digests are slow: compared off the loop, a bounded number at a time, and not for
//! those who are wrong too often.
//!
//! The digests here ask for little, so that a test takes no time. Where slow work has to take long, a test keeps the
//! only thread of the pool busy.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use crate::support::standard::{CONFIGURATION, SECRET, pairs};
use crate::support::system::TestSystem;
use crate::support::{Client, TestServer, form_request};
use argon2::password_hash::PasswordHasher;
use oauth_from_scratch::config::{self, Config};
use oauth_from_scratch::http::connection::{Connection, Event};
use oauth_from_scratch::oauth::{Timestamp, Transition};
use oauth_from_scratch::peer::Peer;
use oauth_from_scratch::pool::{Bounds, Owner, Pool};
use oauth_from_scratch::routes::{Completion, Role, Routes, Site, Step};
use oauth_from_scratch::store::{Applied, Caller, Mailbox, MemoryStore, Store, Ticket};
use oauth_from_scratch::system::System;

/// A slow digest of the secret that asks for as little as one may.
pub(crate) static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let params = argon2::Params::new(argon2::Params::MIN_M_COST, 1, 1, None).expect("sound parameters");
    let digest = argon2::Argon2::from(params).hash_password_with_salt(SECRET.as_bytes(), &[7; 16]);
    digest.expect("a digest").to_string()
});

/// Every confidential client of the standard's tests, with a slow digest.
fn configuration(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = config::read(&CONFIGURATION.replace("{digest}", &DIGEST), 1).expect("a sound file");
    config.limits.net.pool_threads_max = Some(1);
    config.limits.routes.refused_guess_delay = Duration::ZERO;
    change(&mut config);
    config
}

fn start_with(change: impl FnOnce(&mut Config)) -> TestServer {
    let configuration = configuration(change);
    TestServer::start_with(|config| *config = configuration)
}

/// A request of `client` for a token of its own.
fn token_request(client: &str, secret: &str) -> String {
    let content = [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)];
    form_request(&pairs(&content))
}

const SECURE: &str = "GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\n\r\n";

/// Keeps the only thread of the server's pool busy, until what comes back is dropped.
fn block(pool: &Pool) -> Sender<()> {
    let bounds = Bounds { running_max: 1, waiting_max: 1, target_waiting_max: 1, peer_waiting_max: 1 };
    let mailbox: Arc<dyn Mailbox> = Arc::new(());
    let ((release, released), (begin, begun)) = (channel::<()>(), channel());
    let work = move || {
        let _ = begin.send(());
        let _ = released.recv();
    };
    let owner = Owner { target: "the test".into(), peer: Peer::of([192, 0, 2, 1].into()) };
    let caller = Caller { mailbox: &mailbox, ticket: Ticket { place: 0, serial: 0 } };
    pool.submit(pool.add_kind(bounds), owner, Box::new(work), caller).expect("room for it");
    begun.recv().expect("it begins");
    release
}

#[test]
fn while_secrets_wait_everything_else_is_answered_in_order() {
    let server = start_with(|_| {});
    let release = block(&server.pool);
    let mut right = server.connect();
    right.send(format!("{}{SECURE}{}", token_request("robot", SECRET), token_request("robot", "guess")));
    let mut wrong = server.connect();
    wrong.send(token_request("shop", "guess"));
    for _ in 0..3 {
        assert_eq!(server.answer_to(SECURE).status, 401, "only a request that needs the pool waits for it");
        assert_eq!(server.answer_to(&form_request("grant_type=x&client_id=app")).status, 400);
    }
    drop(release);
    let statuses = [(); 3].map(|()| right.answer(false).status);
    assert_eq!(statuses, [200, 401, 400]);
    let answer = wrong.answer(false);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_client")));
    assert!(answer.field("www-authenticate").is_none());
}

#[test]
fn every_endpoint_authenticates_clients_off_the_loop() {
    let server = start_with(|_| {});
    let form =
        |client: &str, secret: &str| pairs(&[("token", "x"), ("client_id", client), ("client_secret", secret)]);
    for (path, client) in [("/revoke", "shop"), ("/introspect", "gate"), ("/token", "robot")] {
        let release = block(&server.pool);
        let request = |secret: &str| {
            let content = form(client, secret) + "&grant_type=client_credentials";
            form_request(&content).replace("/token", path)
        };
        let (mut wrong, mut right) = (server.connect(), server.connect());
        wrong.send(request("guess"));
        right.send(request(SECRET));
        assert_eq!(server.answer_to(SECURE).status, 401, "{path}");
        drop(release);
        assert_eq!((wrong.answer(false).status, right.answer(false).status), (400, 200), "{path}");
    }
}

#[test]
fn past_the_queue_bound_of_peer_client_or_all_the_answer_is_503() {
    let limits = |all, client, peer| {
        move |config: &mut Config| {
            config.limits.routes.secret_checks_waiting_max = all;
            config.limits.routes.client_secret_checks_waiting_max = client;
            config.limits.routes.peer_secret_checks_waiting_max = peer;
        }
    };
    let v6 = |server: &TestServer| {
        let found = server.addresses.iter().find(|(_, address)| address.is_ipv6());
        found.map(|(_, address)| *address)
    };
    // The bounds; who fills which; who is refused; who still has room.
    for (change, refused, room) in [
        (limits(9, 9, 2), ("gate", false), ("robot", true)),
        (limits(9, 2, 9), ("robot", true), ("gate", false)),
        (limits(2, 9, 9), ("gate", true), ("", false)),
    ] {
        let server = start_with(change);
        let Some(other) = v6(&server) else {
            // Past the test runner's capture, which only `print!` and its kind go through.
            let _ = writeln!(std::io::stderr(), "tests/it/slow_work.rs: skipped: there is no ::1 here");
            return;
        };
        let connect =
            |is_other: bool| Client::connect(if is_other { other } else { server.authorization_server });
        let release = block(&server.pool);
        let mut waiting = vec![connect(false), connect(false)];
        for client in &mut waiting {
            client.send(token_request("robot", SECRET));
        }
        assert_eq!(server.answer_to(SECURE).status, 401, "the loop has seen both");
        let answer = connect(refused.1).answer_to(&token_request(refused.0, SECRET));
        assert_eq!((answer.status, answer.field("retry-after")), (503, Some("5")), "{}", answer.text());
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        if !room.0.is_empty() {
            waiting.push(connect(room.1));
            waiting[2].send(token_request(room.0, SECRET));
        }
        drop(release);
        let statuses: Vec<u16> = waiting.iter_mut().map(|client| client.answer(false).status).collect();
        assert_eq!(statuses, vec![200; waiting.len()]);
    }
}

#[test]
fn what_the_pool_does_not_do_in_time_is_503() {
    let server = start_with(|_| {});
    let release = block(&server.pool);
    let mut late = server.connect();
    late.send(token_request("robot", SECRET));
    assert_eq!(server.answer_to(SECURE).status, 401, "the loop has seen it");
    server.wait(Duration::from_secs(5));
    let answer = late.answer(false);
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("5")));
    drop(release);
    assert_eq!(late.answer_to(&token_request("robot", SECRET)).status, 200, "the connection goes on");
}

#[test]
fn the_end_comes_in_time_whatever_the_pool_does() {
    let server = start_with(|config| config.limits.routes.pool_time_max = Duration::from_secs(3600));
    let release = block(&server.pool);
    let mut clients = [(); 3].map(|()| server.connect());
    let mut idle = server.connect();
    assert_eq!(idle.answer_to(SECURE).status, 401);
    for client in &mut clients {
        client.send(token_request("robot", "guess").repeat(300));
    }
    assert_eq!(server.answer_to(SECURE).status, 401, "the loop has seen them");
    server.finish();
    idle.expect_close();
    server.wait(Duration::from_secs(10));
    for client in &mut clients {
        client.expect_close();
    }
    let log = server.join();
    assert!(log.lines().iter().any(|line| line.starts_with("stopped: ")), "{:?}", log.lines());
    // The job that kept the pool busy has run all the time.
    drop(release);
}

#[test]
fn too_many_wrong_secrets_are_refused_for_that_peer_alone() {
    let server = start_with(|config| config.limits.routes.wrong_secrets_max = 3);
    let seconds = Duration::from_secs;
    for _ in 0..3 {
        assert_eq!(server.answer_to(&token_request("robot", "guess")).status, 400);
    }
    let release = block(&server.pool);
    let refused = |retry_after: &str| {
        for client in ["robot", "shop"] {
            let answer = server.answer_to(&token_request(client, SECRET));
            assert_eq!((answer.status, answer.field("retry-after")), (429, Some(retry_after)));
            assert_eq!(answer.json()["error"], "temporarily_unavailable");
        }
    };
    refused("6");
    server.wait(Duration::from_millis(4500));
    refused("2");
    drop(release);
    if let Some((_, other)) = server.addresses.iter().find(|(_, address)| address.is_ipv6()) {
        let answer = Client::connect(*other).answer_to(&token_request("robot", SECRET));
        assert_eq!(answer.status, 200, "the client itself, at another address");
        // It was right once, and the refused peer may be a proxy that speaks for it, too.
        assert_eq!(server.answer_to(&token_request("robot", SECRET)).status, 200);
        assert_eq!(server.answer_to(&token_request("robot", "guess")).status, 429);
    }
    server.wait(seconds(2));
    assert_eq!(server.answer_to(&token_request("robot", "guess")).status, 400, "one is forgiven");
    assert_eq!(server.answer_to(&token_request("shop", SECRET)).status, 429);
    server.wait(seconds(6));
    assert_eq!(server.answer_to(&token_request("shop", SECRET)).status, 200, "a right one is not counted");
    assert_eq!(server.answer_to(&token_request("shop", SECRET)).status, 200);
    assert!(!server.log.lines().join("\n").contains(SECRET));
}

#[test]
fn a_waiting_secret_is_checked_by_its_own_configuration() {
    let server = start_with(|_| {});
    let release = block(&server.pool);
    let mut early = server.connect();
    early.send(token_request("robot", SECRET));
    assert_eq!(server.answer_to(SECURE).status, 401, "the loop has seen it");
    server.reload(|config| config.clients.retain(|client| &*client.id != "robot"));
    drop(release);
    assert_eq!(early.answer(false).status, 200);
    assert_eq!(early.answer_to(&token_request("robot", SECRET)).status, 400);
}

/// Behind a proxy that is trusted, each client has its own guesses; one that says the same of itself has not.
#[test]
fn wrong_secrets_count_for_the_peer_a_trusted_proxy_names() {
    let ask = |server: &TestServer, from: &str, secret: &str| {
        let request = token_request("robot", secret);
        let request = request.replacen("\r\n", &format!("\r\nX-Forwarded-For: {from}\r\n"), 1);
        server.answer_to(&request).status
    };
    let one_guess = |config: &mut Config| config.limits.routes.wrong_secrets_max = 1;
    let trusting = start_with(|config| {
        one_guess(config);
        config.trusted_proxies = vec![oauth_from_scratch::net::Network::parse("127.0.0.1").unwrap()];
    });
    assert_eq!(ask(&trusting, "192.0.2.1", "guess"), 400);
    assert_eq!(ask(&trusting, "192.0.2.1", "guess"), 429);
    assert_eq!(ask(&trusting, "192.0.2.2", "guess"), 400, "another client of the same proxy");
    assert_eq!(ask(&trusting, "192.0.2.9, 192.0.2.2", "guess"), 429, "what the client wrote does not count");
    let doubting = start_with(one_guess);
    assert_eq!(ask(&doubting, "192.0.2.1", "guess"), 400);
    assert_eq!(ask(&doubting, "192.0.2.2", "guess"), 429, "the same peer, whatever it says");
}

/// Answered at once, these would be asked as fast as the server can answer, and everyone else would wait behind them.
#[test]
fn a_delayed_429_holds_up_its_own_connection_alone() {
    let server = start_with(|config| {
        config.limits.routes.wrong_secrets_max = 1;
        config.limits.routes.refused_guess_delay = Duration::from_secs(1);
    });
    assert_eq!(server.answer_to(&token_request("robot", "guess")).status, 400, "not the first");
    let (mut guesser, mut other) = (server.connect(), server.connect());
    guesser.send(format!("{}{SECURE}", token_request("robot", "guess").repeat(2)));
    other.send(token_request("shop", "guess"));
    for _ in 0..2 {
        assert_eq!(server.answer_to(SECURE).status, 401, "no other request waits");
        server.wait(Duration::from_millis(999));
        assert_eq!(server.answer_to(SECURE).status, 401);
        guesser.expect_nothing_yet();
        server.wait(Duration::from_millis(1));
        let answer = guesser.answer(false);
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), (429, Some("*")));
    }
    assert_eq!(guesser.answer(false).status, 401, "what was sent behind them is answered, too");
    assert_eq!(other.answer(false).status, 429);
    guesser.send(token_request("robot", "guess"));
    assert_eq!(server.answer_to(SECURE).status, 401, "the loop has seen it");
    server.reload(|config| config.limits.routes.refused_guess_delay = Duration::ZERO);
    assert_eq!(server.answer_to(&token_request("robot", "guess")).status, 429, "at once from now on");
    guesser.expect_nothing_yet();
    server.finish();
    server.wait(Duration::from_secs(1));
    assert_eq!(guesser.answer(false).status, 429, "what was asked for is answered");
}

#[test]
fn a_reload_forgives_no_guess() {
    let server = start_with(|config| config.limits.routes.wrong_secrets_max = 3);
    for _ in 0..3 {
        assert_eq!(server.answer_to(&token_request("robot", "guess")).status, 400);
    }
    server.reload(|config| config.lifetimes.code = Duration::from_secs(30));
    assert_eq!(server.answer_to(&token_request("robot", SECRET)).status, 429);
}

/// The routes without sockets, so that requests may come from any address.
struct Harness {
    routes: Routes,
    mailbox: Arc<dyn Mailbox>,
    completions: Receiver<Completion>,
    system: Arc<TestSystem>,
}

struct Completions(Mutex<Sender<Completion>>);

impl Mailbox for Completions {
    fn put(&self, _: Ticket, applied: Applied) -> bool {
        self.0.lock().unwrap().send(Completion::Applied(applied)).expect("somebody listens");
        true
    }

    fn abandon(&self, _: Ticket) -> bool {
        true
    }

    fn is_abandoned(&self, _: Ticket) -> bool {
        false
    }

    fn put_done(&self, _: Ticket) {
        self.0.lock().unwrap().send(Completion::JobDone).expect("somebody listens");
    }

    fn put_ready(&self, _: Ticket) {}

    fn wake(&self) {}
}

/// A store that always answers later.
struct Later(MemoryStore);

impl Store for Later {
    fn submit(&self, transition: Transition, now: Timestamp, caller: Caller) -> Option<Applied> {
        caller.mailbox.put(caller.ticket, self.0.apply(&transition, now));
        None
    }
}

impl Harness {
    fn new() -> Harness {
        let config = configuration(|config| config.limits.routes.wrong_secrets_max = 3);
        let system = TestSystem::new();
        let site = Site::new(None, None, 3001, config.issuer.clone());
        let store = Arc::new(Later(MemoryStore::new(100)));
        let shared: Arc<dyn System> = Arc::<TestSystem>::clone(&system);
        let routes = Routes::new(&config.routes_settings(), site, store, Arc::new(Pool::new(1)), shared)
            .expect("random bytes");
        let (sender, completions) = channel();
        Harness { routes, mailbox: Arc::new(Completions(Mutex::new(sender))), completions, system }
    }

    /// The status that answers `client`'s request from `peer`, and how often the request was parked.
    fn ask(&self, peer: &str, client: &str, secret: &str) -> (&'static str, usize) {
        let mut connection = Connection::new(Arc::default(), self.system.monotonic());
        connection.receive(token_request(client, secret).as_bytes(), self.system.monotonic());
        let Event::Request(request) = connection.next_event(self.system.monotonic()) else {
            panic!("a request")
        };
        let now = Timestamp::from_milliseconds(0);
        let (peer, ticket): (IpAddr, _) = (peer.parse().expect("an address"), Ticket { place: 0, serial: 0 });
        let caller = Caller { mailbox: &self.mailbox, ticket };
        let mut step = self.routes.begin(Role::AuthorizationServer, peer.into(), &request, now, caller);
        let mut parked_times = 0;
        loop {
            match step {
                Step::Done(response) => return (response.status.code(), parked_times),
                Step::Parked(parked) => {
                    parked_times += 1;
                    let completion =
                        self.completions.recv_timeout(Duration::from_secs(20)).expect("a completion");
                    step = self.routes.resume(parked, completion, peer.into(), &request, now, caller);
                }
                Step::Stream(_) => panic!("no endpoint has a stream"),
            }
        }
    }
}

#[test]
fn a_request_may_wait_for_the_pool_and_then_for_the_store() {
    let harness = Harness::new();
    assert_eq!(harness.ask("192.0.2.1", "robot", "guess"), ("400", 1));
    assert_eq!(harness.ask("192.0.2.1", "robot", SECRET), ("200", 2));
    assert_eq!(harness.ask("192.0.2.1", "robot", SECRET), ("200", 1), "it was right once: no slow work");
    assert_eq!(harness.ask("192.0.2.1", "robot", "guess"), ("400", 0));
}

#[test]
fn a_throttled_peer_learns_nothing_even_of_a_right_secret() {
    let harness = Harness::new();
    assert_eq!(harness.ask("192.0.2.1", "robot", SECRET).0, "200");
    // The last but one is the same IPv6 network as the first.
    for (peer, same) in [("192.0.2.2", "::ffff:192.0.2.2"), ("2001:db8::1", "2001:db8::9:9")] {
        for _ in 0..3 {
            assert_eq!(harness.ask(peer, "robot", "guess").0, "400");
        }
        for secret in ["guess", SECRET] {
            assert_eq!(harness.ask(same, "robot", secret), ("429", 0), "{same}");
            assert_eq!(harness.ask(same, "shop", secret), ("429", 0), "{same}");
        }
    }
    for peer in ["192.0.2.1", "192.0.2.3", "2001:db8:0:1::1"] {
        assert_eq!(harness.ask(peer, "robot", SECRET).0, "200", "{peer}");
    }
}

#[test]
fn a_job_that_panics_is_answered_500_and_the_next_one_is_done() {
    let harness = Harness::new();
    harness.system.panic_in_pool(true);
    assert_eq!(harness.ask("192.0.2.1", "robot", SECRET), ("500", 1));
    harness.system.panic_in_pool(false);
    assert_eq!(harness.ask("192.0.2.1", "robot", SECRET).0, "200");
}

/// The request that is sent again needs the pool, too.
#[cfg(feature = "wire")]
#[test]
fn a_request_that_is_sent_again_does_not_wait_for_itself() {
    let server = start_with(|config| {
        (config.client_port, config.issuer) = (Some(0), None);
        config.wire.is_wanted = Some(true);
    });
    let mut reader = crate::wire::Reader::new(&server);
    let request = token_request("robot", "guess");
    let content = serde_json::json!({"server": "authorization-server", "request": request}).to_string();
    let (port, length) = (server.client_app.port(), content.len());
    let answer = server.connect_to_client_app().answer_to(&format!(
        "POST /wire/send HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{content}"
    ));
    assert_eq!((answer.status, answer.text()), (200, r#"{"sent":true}"#));
    let shown = reader.exchange();
    assert_eq!(shown["request"], request);
    assert!(shown["answer"].as_str().expect("an answer").starts_with("HTTP/1.1 400 "), "{shown}");
}
