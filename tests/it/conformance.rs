//! The conformance table: every case over a socket, whole, byte by byte and in two pieces; and, since over a
//! socket the kernel may join pieces, without one, cut at every point.

#[path = "../conformance/cases.rs"]
mod cases;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime};

use crate::support::TestServer;
use cases::{CASES, Case};
use oauth_from_scratch::config::Config;
use oauth_from_scratch::http::connection::{Connection, Event, Want};
use oauth_from_scratch::http::{Date, Limits};
use oauth_from_scratch::oauth::Timestamp;
use oauth_from_scratch::pool::Pool;
use oauth_from_scratch::routes::{Role, Routes, Site, Step};
use oauth_from_scratch::store::{Caller, Mailbox, MemoryStore, Ticket};
use oauth_from_scratch::system::RealSystem;

/// The moment of every answer: none of these cases is about it.
static DATE: LazyLock<Date> = LazyLock::new(|| Date::of_second(0));

/// The statuses of all final answers, until the server closes.
fn statuses(server: &TestServer, case: &Case, piece: usize) -> Vec<u16> {
    let mut client = server.connect();
    for piece in cases::bytes(case).chunks(piece) {
        // A refusal may come before everything is sent.
        let _ = std::io::Write::write_all(&mut client.socket, piece);
    }
    let _ = client.socket.shutdown(std::net::Shutdown::Write);
    let to_head = case.bytes.starts_with("HEAD");
    let answers = client.answers_until_close(to_head);
    answers.into_iter().map(|answer| answer.status).filter(|status| *status >= 200).collect()
}

#[test]
fn every_case_is_answered_as_the_table_says_however_it_is_cut() {
    let server = TestServer::start_with(|config| config.limits.net.refusal_lines_per_second_max = 1);
    for case in CASES {
        for piece in [usize::MAX, 1, case.bytes.len() / 2 + 1] {
            let got = statuses(&server, case, piece);
            assert_eq!(got, case.answers, "{} ({}), in pieces of {piece}", case.name, case.section);
        }
    }
}

/// Where all of them come from.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The statuses of all answers to these pieces and the client's end, without a socket.
fn statuses_of_pieces(routes: &Routes, limits: &Arc<Limits>, pieces: &[&[u8]]) -> Vec<u16> {
    let now = Instant::now();
    let timestamp = Timestamp::from_system_time(SystemTime::UNIX_EPOCH);
    let role = Role::AuthorizationServer;
    let idle_mailbox: Arc<dyn Mailbox> = Arc::new(());
    let mut connection = Connection::new(Arc::clone(limits), now);
    let mut statuses = Vec::new();
    let mut go_on = |connection: &mut Connection| {
        loop {
            let response = match connection.next_event(now) {
                Event::Nothing => break,
                Event::Request(request) => {
                    let ticket = Ticket { place: 0, serial: 0 };
                    match routes.begin(
                        role,
                        PEER.into(),
                        &request,
                        timestamp,
                        Caller { mailbox: &idle_mailbox, ticket },
                    ) {
                        Step::Done(response) => response,
                        Step::Parked(_) | Step::Stream(_) => panic!("memory answers at once, and whole"),
                    }
                }
                Event::Refused(refusal, request) => routes.refuse(role, refusal, request.as_ref()),
            };
            statuses.push(response.status.code().parse().expect("a number"));
            connection.respond(&response, &DATE, now);
        }
        let count = connection.outgoing().len();
        connection.sent(count, now);
    };
    for piece in pieces {
        connection.receive(piece, now);
        go_on(&mut connection);
    }
    if connection.wants() == Want::Read {
        connection.receive_end();
        go_on(&mut connection);
    }
    statuses
}

#[test]
fn every_case_is_answered_as_the_table_says_cut_at_any_point() {
    let config = Config::default();
    let site = Site::new(None, config.client_port, config.auth_port, None);
    let store = Arc::new(MemoryStore::new(10));
    let routes = Routes::new(
        &config.routes_settings(),
        site,
        store,
        Arc::new(Pool::new(1)),
        Arc::new(RealSystem::default()),
    )
    .expect("random bytes");
    let limits = Arc::new(config.limits.http.clone());
    for case in CASES {
        let bytes = cases::bytes(case);
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            let got = statuses_of_pieces(&routes, &limits, &[first, second]);
            assert_eq!(got, case.answers, "{} ({}), cut at {at}", case.name, case.section);
        }
    }
}

#[test]
fn the_table_says_nothing_twice() {
    let names: HashSet<&str> = CASES.iter().map(|case| case.name).collect();
    let bytes: HashSet<&str> = CASES.iter().map(|case| case.bytes).collect();
    assert_eq!((names.len(), bytes.len()), (CASES.len(), CASES.len()));
    assert!(CASES.len() >= 100, "{} cases", CASES.len());
}
