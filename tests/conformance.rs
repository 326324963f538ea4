//! The conformance table, over sockets: every case whole, byte by byte, and in two pieces. (Over a socket the
//! kernel may join pieces; `tests/http.rs` cuts its cases at every point where nothing can.)

#[path = "conformance/cases.rs"]
mod cases;
mod support;

use std::collections::HashSet;

use cases::{CASES, Case};
use support::TestServer;

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
    let server = TestServer::start_with(|config| config.limits.refusal_lines_per_second_max = 1);
    for case in CASES {
        for piece in [usize::MAX, 1, case.bytes.len() / 2 + 1] {
            let got = statuses(&server, case, piece);
            assert_eq!(got, case.answers, "{} ({}), in pieces of {piece}", case.name, case.section);
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
