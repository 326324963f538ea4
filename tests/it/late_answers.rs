//! Requests that wait for a store: each gets its own answer, once, and an answer that comes too late goes to none.
//!
//! The store of these tests answers when the test says so; sockets and the clock are the test's own.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oauth_from_scratch::config::Config;
use oauth_from_scratch::log::{Log, Logs};
use oauth_from_scratch::net::{Driver, Readiness, Socket};
use oauth_from_scratch::oauth::client as registered;
use oauth_from_scratch::oauth::{Outcome, Scope, Timestamp, Transition};
use oauth_from_scratch::pool::Pool;
use oauth_from_scratch::routes::{Completion, Role, Routes, Site};
use oauth_from_scratch::store::{Applied, Caller, Mailbox, Store, Ticket};
use oauth_from_scratch::system::System;

use crate::support::Answer;
use crate::support::system::TestSystem;

/// How long a request of these tests waits for the store.
const STORE_TIME_MAX: Duration = Duration::from_secs(5);

/// A store that takes every transition and keeps its ticket for the test.
#[derive(Default)]
struct SilentStore(Mutex<Vec<Ticket>>);

impl Store for SilentStore {
    fn submit(&self, _: Transition, _: Timestamp, caller: Caller) -> Option<Applied> {
        self.0.lock().unwrap().push(caller.ticket);
        None
    }
}

/// Both directions of one connection.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<(VecDeque<u8>, Vec<u8>)>>);

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.0.lock().unwrap().0 {
            arrived if arrived.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            arrived => arrived.read(bytes),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Wire {
    fn shut(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client's end of a connection, and the slot of the server's end.
struct Client {
    wire: Wire,
    slot: usize,
}

impl Client {
    /// What has come since the last look.
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut self.wire.0.lock().unwrap().1);
        String::from_utf8(bytes).expect("text")
    }

    /// The status of the one answer that has come since the last look, if one has.
    fn status(&self) -> Option<u16> {
        let text = self.take();
        let (answer, length) = Answer::parse(text.as_bytes(), false)?;
        assert_eq!(length, text.len(), "one answer for one request: {text}");
        Some(answer.status)
    }
}

/// A client with a secret, which may do everything that takes one.
fn gate() -> registered::Client {
    registered::Client {
        id: "gate".into(),
        origin: registered::ClientOrigin::Configured,
        name: "The Gate".to_owned(),
        redirect_uris: Vec::new(),
        secret: Some(registered::SecretDigest::of("secret")),
        grant_types: registered::GrantTypes { client_credentials: true, ..registered::GrantTypes::default() },
        scope: Scope::default(),
        default_scope: None,
        inspects_all: true,
        default_resource: Default::default(),
    }
}

/// One worker without an event queue.
struct World {
    driver: Driver<Wire>,
    store: Arc<SilentStore>,
    system: Arc<TestSystem>,
}

impl World {
    fn new(idle_time_max: Duration) -> World {
        let mut config = Config { clients: vec![gate()], ..Config::default() };
        config.limits.routes.store_time_max = STORE_TIME_MAX;
        config.limits.http.idle_time_max = idle_time_max;
        let system = TestSystem::new();
        let store = Arc::<SilentStore>::default();
        let shared: Arc<dyn System> = Arc::<TestSystem>::clone(&system);
        let site = Site::new(None, config.client_port, config.auth_port, None);
        let grants: Arc<dyn Store> = Arc::<SilentStore>::clone(&store);
        let pool = Arc::new(Pool::new(1));
        let routes = Routes::new(&config.routes_settings(), site, grants, pool, Arc::clone(&shared))
            .expect("random bytes");
        let logs = Logs { errors: Log::kept(), access: Log::kept() };
        let mailbox: Arc<dyn Mailbox> = Arc::new(());
        let driver = Driver::new(&config.net_settings(), Arc::new(routes), mailbox, shared, &logs);
        World { driver, store, system }
    }

    /// A turn of the loop in which `happen` happens, `time` after the one before it.
    fn turn(&mut self, time: Duration, happen: impl FnOnce(&mut Driver<Wire>)) {
        self.system.wait(time);
        self.driver.begin_turn();
        happen(&mut self.driver);
        self.driver.end_turn();
    }

    fn connect(&mut self) -> Client {
        let (wire, mut slot) = (Wire::default(), 0);
        let socket = wire.clone();
        self.turn(Duration::ZERO, |driver| {
            driver.open(Role::AuthorizationServer, Ipv4Addr::LOCALHOST.into(), socket, |_, given| {
                slot = given;
                Ok(())
            });
        });
        Client { wire, slot }
    }

    /// Sends a request for tokens, for a code that the server never made; gives the ticket of its transition.
    fn ask(&mut self, client: &Client, connection: &str) -> Ticket {
        let content = format!(r#"{{"code":"{}"}}"#, "A".repeat(64));
        let length = content.len();
        let request = format!(
            "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nConnection: {connection}\r\n\
             Content-Length: {length}\r\n\r\n{content}"
        );
        self.send(client, &request);
        let tickets = std::mem::take(&mut *self.store.0.lock().unwrap());
        let [ticket] = tickets[..] else { panic!("one transition for one request: {tickets:?}") };
        assert_eq!(ticket.place, client.slot);
        assert_eq!(client.status(), None, "the request waits");
        ticket
    }

    fn send(&mut self, client: &Client, request: &str) {
        client.wire.0.lock().unwrap().0.extend(request.as_bytes());
        let news = Readiness { readable: true, ..Readiness::default() };
        self.turn(Duration::ZERO, |driver| driver.ready(client.slot, news));
    }

    fn deliver(&mut self, ticket: Ticket, outcome: Outcome) {
        self.turn(Duration::ZERO, |driver| {
            driver.deliver(ticket, Completion::Applied(Ok(outcome)));
        });
    }
}

/// The answer to a good code, which must not go to another request.
fn redeemed() -> Outcome {
    Outcome::Redeemed { scope: Scope::parse("answer").expect("a scope") }
}

/// The earliest time for a retry after a 503.
const RETRY_AFTER: &str = "\r\nRetry-After: 5\r\n";

#[test]
fn every_503_says_when_to_retry_even_if_the_store_does_not() {
    let mut world = World::new(IDLE);
    let form = |path: &str, fields: &str, content: &str| {
        let length = content.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:3001\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             {fields}Content-Length: {length}\r\n\r\n{content}"
        )
    };
    let unknown = "A".repeat(64);
    let redeem = format!("grant_type=authorization_code&client_id=oauth-test-app&code={unknown}");
    let rotate = format!("grant_type=refresh_token&client_id=oauth-test-app&refresh_token={unknown}");
    let revoke = format!("client_id=oauth-test-app&token={unknown}");
    // The secret of `gate` is `secret`.
    let basic = "Authorization: Basic Z2F0ZTpzZWNyZXQ=\r\n";
    let secure =
        |scheme| format!("GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: {scheme}{unknown}\r\n\r\n");
    let json = "\"error\":\"temporarily_unavailable\"";
    for (request, words) in [
        (form("/token", "", &redeem), json),
        (form("/token", "", &rotate), json),
        (form("/token", basic, "grant_type=client_credentials"), json),
        (form("/revoke", "", &revoke), json),
        (form("/introspect", basic, &format!("token={unknown}")), json),
        (secure("Bearer "), json),
        (secure(""), json),
        (form("/code", "", ""), "<title>Try again in a moment"),
    ] {
        let client = world.connect();
        world.send(&client, &request);
        world.turn(STORE_TIME_MAX, |_| {});
        let answer = client.take();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{request}{answer}");
        assert!(answer.contains(RETRY_AFTER) && answer.contains(words), "{request}{answer}");
    }
}

const IDLE: Duration = Duration::from_secs(60);

#[test]
fn a_late_answer_is_not_taken_for_that_of_the_next_request() {
    let mut world = World::new(IDLE);
    let client = world.connect();
    let first = world.ask(&client, "keep-alive");
    world.turn(STORE_TIME_MAX, |_| {});
    assert_eq!(client.status(), Some(503));
    let second = world.ask(&client, "keep-alive");
    world.deliver(first, redeemed());
    assert_eq!(client.status(), None, "the code of the second request is not known yet");
    world.deliver(second, Outcome::Unknown);
    assert_eq!(client.status(), Some(400));
    for ticket in [first, second] {
        world.deliver(ticket, redeemed());
        assert_eq!(client.status(), None, "no request waits");
    }
}

#[test]
fn a_late_answer_does_not_reach_the_slots_next_connection() {
    let mut world = World::new(IDLE);
    let gone = world.connect();
    let first = world.ask(&gone, "close");
    world.turn(STORE_TIME_MAX, |_| {});
    assert_eq!(gone.status(), Some(503));
    assert!(world.driver.is_empty(), "the first connection is closed");
    let client = world.connect();
    assert_eq!(client.slot, gone.slot, "the second one has its slot");
    let second = world.ask(&client, "keep-alive");
    world.deliver(first, redeemed());
    assert_eq!((client.status(), gone.status()), (None, None));
    world.deliver(second, Outcome::Unknown);
    assert_eq!((client.status(), gone.status()), (Some(400), None));
}

#[test]
fn an_answer_is_for_the_connection_that_asked() {
    let mut world = World::new(IDLE);
    let clients = [world.connect(), world.connect()];
    let tickets = [world.ask(&clients[0], "keep-alive"), world.ask(&clients[1], "keep-alive")];
    world.deliver(tickets[1], redeemed());
    assert_eq!((clients[0].status(), clients[1].status()), (None, Some(200)));
    // The serial of one connection's request in the place of the other.
    world.deliver(Ticket { place: tickets[0].place, ..tickets[1] }, redeemed());
    assert_eq!(clients[0].status(), None);
    world.deliver(tickets[0], Outcome::Unknown);
    assert_eq!((clients[0].status(), clients[1].status()), (Some(400), None));
}

#[test]
fn a_request_waits_for_the_store_for_exactly_its_time() {
    // The connection is looked at after a second, for it could have been idle until then.
    let mut world = World::new(Duration::from_secs(1));
    let client = world.connect();
    let ticket = world.ask(&client, "keep-alive");
    world.turn(Duration::from_secs(1), |_| {});
    assert_eq!(client.status(), None, "after one second of five");
    world.turn(STORE_TIME_MAX - Duration::from_millis(1001), |_| {});
    assert_eq!(client.status(), None, "a millisecond before the end");
    // What arrives in the very turn in which the time is over is given.
    world.turn(Duration::from_millis(1), |driver| {
        driver.deliver(ticket, Completion::Applied(Ok(Outcome::Unknown)));
    });
    assert_eq!(client.status(), Some(400));
    world.ask(&client, "keep-alive");
    world.turn(STORE_TIME_MAX, |_| {});
    assert_eq!(client.status(), Some(503));
}
