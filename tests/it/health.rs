//! `GET /healthz` and `GET /readyz`, with stores in every state.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Answer, Client, TestServer};
use oauth_from_scratch::config::Config;
use oauth_from_scratch::log::{Log, Logs};
use oauth_from_scratch::net::Server;
use oauth_from_scratch::oauth::{Timestamp, Transition};
use oauth_from_scratch::store::{Applied, Caller, MemoryStore, Store, StoreError};
use oauth_from_scratch::system::RealSystem;

/// A store that answers every transition with the same error, or as memory does.
struct Failing(Option<StoreError>, MemoryStore);

impl Store for Failing {
    fn submit(&self, transition: Transition, now: Timestamp, _: Caller) -> Option<Applied> {
        Some(match self.0 {
            Some(error) => Err(error),
            None => self.1.apply(&transition, now),
        })
    }
}

/// The answers of a server on such a store to these requests.
fn answers(error: Option<StoreError>, requests: &[&str]) -> Vec<Answer> {
    let config = Config { client_port: None, auth_port: 0, ..Config::default() };
    let logs = Logs { errors: Log::kept(), access: Log::kept() };
    let store = Arc::new(Failing(error, MemoryStore::new(1)));
    let mut server =
        Server::bind(&config.net_settings(), store, Arc::new(RealSystem::default()), logs).expect("free ports");
    let (address, handle) = (server.addresses()[0].1, server.handle());
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| server.run());
        let mut client = Client::connect(address);
        let answers = requests.iter().map(|request| client.answer_to(request)).collect();
        handle.stop();
        thread.join().expect("no panic").expect("the event queue works");
        answers
    })
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
const READY: &str = "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_server_is_ready_while_its_store_answers_and_always_alive() {
    let check = |error: Option<StoreError>, reason: &str| {
        let answers = answers(error, &[HEALTH, READY]);
        let [health, ready] = &answers[..] else { panic!("two answers") };
        assert_eq!((health.status, health.text()), (200, r#"{"status":"ok"}"#), "{error:?}");
        assert_eq!(health.field("cache-control"), Some("no-store"));
        match error {
            None => assert_eq!((ready.status, ready.text()), (200, r#"{"status":"ok"}"#)),
            Some(_) => {
                assert_eq!((ready.status, &ready.json()["reason"]), (503, &reason.into()), "{error:?}");
                assert_eq!(ready.json()["status"], "unavailable");
                assert!(ready.field("retry-after").is_some());
            }
        }
    };
    check(None, "");
    check(Some(StoreError::Unavailable), "the store is unavailable");
    check(Some(StoreError::TimedOut), "the store did not answer in time");
    check(Some(StoreError::Busy), "too many requests wait for the store");
    check(Some(StoreError::Damaged), "the store has a damaged record");
    check(Some(StoreError::Full { wait: Duration::from_secs(7) }), "the store is full");
}

#[test]
fn only_the_authorization_server_has_them_and_only_to_read() {
    let server = TestServer::start();
    for path in ["/healthz", "/readyz"] {
        let request =
            |method: &str| format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(server.answer_to(&request("GET")).status, 200);
        assert_eq!(server.answer_to(&request("HEAD")).status, 200);
        let refused = server.answer_to(&request("POST"));
        assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD")));
        assert_eq!(server.connect_to_client_app().answer_to(&request("GET")).status, 404);
        assert_eq!(server.answer_to(&request("GET")).field("access-control-allow-origin"), None);
    }
}

#[test]
fn without_random_numbers_a_server_is_not_ready() {
    let server = TestServer::start_without_random_bytes();
    let answer = server.answer_to(READY);
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &"the random number generator failed".into()));
    assert_eq!(server.answer_to(HEALTH).status, 200);
}
