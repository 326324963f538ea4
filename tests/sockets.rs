//! Connections over real sockets: kept, pipelined, half-closed, slow, silent, refused, too many.

mod support;

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use support::{Client, TestServer, secure_request, token_request};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Asks until the answer is yes; fails when it does not come. For what happens in the server's own time.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::yield_now();
    }
}

/// Whether the server has dropped the connection, as a client that writes finds out.
fn is_dropped(client: &mut Client) -> bool {
    client.socket.set_nonblocking(true).unwrap();
    let result = client.socket.write(b"x");
    client.socket.set_nonblocking(false).unwrap();
    matches!(result, Err(error) if error.kind() != io::ErrorKind::WouldBlock)
}

#[test]
fn both_servers_listen_on_both_loopback_addresses() {
    let server = TestServer::start();
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(server.addresses.len(), if has_ipv6 { 4 } else { 2 });
    for (_, address) in &server.addresses {
        assert_eq!(Client::connect(*address).answer_to(GET).status, 200, "{address}");
    }
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..100 {
        let answer = client.answer_to(GET);
        assert_eq!((answer.status, answer.field("connection")), (200, None));
        assert_eq!(answer.field("date"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    }
    server.wait(Duration::from_secs(1));
    assert_eq!(client.answer_to(GET).field("date"), Some("Thu, 01 Jan 2026 00:00:01 GMT"));
}

#[test]
fn an_http_1_0_client_gets_its_answer_and_the_end() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\r\nConnection: close\r\n"), "{text}");
    assert!(text.ends_with("</html>\n"), "the content is whole");
}

#[test]
fn a_request_sent_byte_by_byte_is_answered_like_a_whole_one() {
    let server = TestServer::start();
    let requests =
        [token_request(&server.code()), secure_request(&server.token()), secure_request("x"), GET.into()];
    for request in requests {
        let mut client = server.connect();
        for byte in request.as_bytes() {
            client.send([*byte]);
        }
        let singly = client.answer(false);
        // A code works once, so its second use is refused, and that is all that differs.
        let whole = server.answer_to(&request);
        if request.starts_with("POST /token") {
            assert_eq!((singly.status, whole.status), (200, 400));
        } else {
            assert_eq!((singly.status, singly.fields, singly.body), (whole.status, whole.fields, whole.body));
        }
    }
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order() {
    let server = TestServer::start();
    let mut client = server.connect();
    let mut writer = client.socket.try_clone().unwrap();
    let requests: String = (0..1000)
        .map(|number| match number % 3 {
            0 => "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            1 => secure_request("x"),
            _ => token_request("x"),
        })
        .collect();
    let sender = std::thread::spawn(move || writer.write_all(requests.as_bytes()).unwrap());
    for number in 0..1000 {
        assert_eq!(client.answer(false).status, [404, 403, 400][number % 3], "answer {number}");
    }
    sender.join().unwrap();
}

#[test]
fn a_half_closed_client_gets_every_answer_and_then_the_end() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(format!("{GET}{GET}"));
    client.end();
    assert_eq!((client.answer(false).status, client.answer(false).status), (200, 200));
    client.expect_close();
}

#[test]
fn a_client_that_ends_within_a_request_is_told_so() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{");
    client.end();
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.field("connection")), (400, Some("close")));
    assert_eq!(answer.json()["message"], "the client closed before the end of the content");
    client.expect_close();
}

#[test]
fn nothing_after_a_refused_request_is_answered() {
    let server = TestServer::start();
    for bad in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\n\n",
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "\x16\x03\x01\x02",
    ] {
        let mut client = server.connect();
        client.send(format!("{GET}{bad}{GET}"));
        assert_eq!(client.answer(false).status, 200, "what came before is answered");
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.field("connection")), (400, Some("close")), "{bad:?}");
        client.expect_close();
    }
}

#[test]
fn a_client_that_goes_on_sending_can_still_read_why_it_was_refused() {
    let server = TestServer::start();
    let mut client = server.connect();
    let content = vec![b'x'; 500_000];
    client.send(format!("POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", content.len()));
    client.send(&content);
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.field("connection")), (413, Some("close")));
    client.expect_close();
}

#[test]
fn a_refused_client_that_never_stops_is_dropped() {
    let refused = "GET / HTTP/1.1\r\n\r\n";
    let server = TestServer::start();
    let mut slow = server.connect();
    assert_eq!(slow.answer_to(refused).status, 400);
    slow.expect_close();
    // The server's side is shut; it reads away what comes until the time for that is over.
    until("the end of the lingering", || {
        server.wait(Duration::from_secs(2));
        is_dropped(&mut slow)
    });

    let mut fast = server.connect();
    assert_eq!(fast.answer_to(refused).status, 400);
    let megabytes = vec![b'x'; 8 * 1024 * 1024];
    fast.socket.write_all(&megabytes).expect_err("more is sent than is read away");
}

#[test]
fn an_idle_connection_is_closed_after_its_time_and_not_before() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.answer_to(GET).status, 200);
        server.wait(Duration::from_millis(59_999));
    }
    assert_eq!(client.answer_to(GET).status, 200);
    server.wait(Duration::from_secs(60));
    client.expect_close();
}

#[test]
fn a_connection_that_never_says_anything_is_closed() {
    let server = TestServer::start();
    let mut silent = server.connect();
    // The server has accepted it once it answers a client that came later.
    assert_eq!(server.connect().answer_to(GET).status, 200);
    server.wait(Duration::from_secs(60));
    silent.expect_close();
}

#[test]
fn a_head_or_content_that_takes_too_long_is_answered_408() {
    let server = TestServer::start();
    let check = |beginning: &str, time_s: u64| {
        let mut client = server.connect();
        // The answer to the first request shows that the beginning of the second has been read.
        client.send(format!("{GET}{beginning}"));
        assert_eq!(client.answer(false).status, 200);
        server.wait(Duration::from_secs(time_s) - Duration::from_millis(1));
        client.socket.set_nonblocking(true).unwrap();
        assert_eq!(client.socket.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock, "not yet");
        client.socket.set_nonblocking(false).unwrap();
        server.wait(Duration::from_millis(1));
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.field("connection")), (408, Some("close")), "{beginning:?}");
        client.expect_close();
    };
    check("G", 10);
    check("GET / HTTP/1.1\r\nHost: h\r\n", 10);
    check("POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{", 30);
    check("POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", 30);
}

#[test]
fn slow_clients_cost_nobody_else_anything() {
    let server = TestServer::start();
    let mut slow: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        client.send(&GET[..number % GET.len()]);
    }
    let token = server.token();
    assert_eq!(server.answer_to(&secure_request(&token)).status, 200);
    for (number, client) in slow.iter_mut().enumerate() {
        client.send(&GET[number % GET.len()..]);
        assert_eq!(client.answer(false).status, 200);
    }
}

#[test]
fn a_client_that_sends_and_never_reads_is_dropped_and_costs_nobody_else_anything() {
    let server = TestServer::start();
    let mut deaf = server.connect();
    deaf.socket.set_nonblocking(true).unwrap();
    // Until the server reads no more, since its answers are not taken.
    let requests = GET.repeat(1000);
    until(
        "the server's stop",
        || matches!(deaf.socket.write(requests.as_bytes()), Err(error) if error.kind() == io::ErrorKind::WouldBlock),
    );
    assert_eq!(server.connect().answer_to(GET).status, 200);
    until("the drop", || {
        server.wait(Duration::from_secs(30));
        is_dropped(&mut deaf)
    });
    assert_eq!(server.connect().answer_to(GET).status, 200);
}

#[test]
fn connections_past_the_limit_wait_until_one_closes() {
    let server = TestServer::start_with(|config| config.limits.connections_max = 2);
    let (mut first, mut second, mut third) = (server.connect(), server.connect(), server.connect());
    third.send(GET);
    for _ in 0..10 {
        assert_eq!((first.answer_to(GET).status, second.answer_to(GET).status), (200, 200));
    }
    third.socket.set_nonblocking(true).unwrap();
    assert_eq!(third.socket.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock, "it waits");
    third.socket.set_nonblocking(false).unwrap();
    drop(first);
    assert_eq!(third.answer(false).status, 200);
    assert_eq!(second.answer_to(GET).status, 200);
}

#[test]
fn a_client_that_resets_at_any_moment_leaves_the_server_whole() {
    let server = TestServer::start();
    for length in 0..=GET.len() {
        let mut client = server.connect();
        client.send(&GET[..length]);
        // Closing with unread answers makes the kernel send a reset.
        drop(client);
    }
    assert_eq!(server.connect().answer_to(GET).status, 200);
}

#[test]
fn a_head_past_its_limits_is_refused() {
    let server = TestServer::start();
    let check = |request: String, status: u16| {
        let answer = server.answer_to(&request);
        assert_eq!((answer.status, answer.field("connection")), (status, Some("close")), "{}", &request[..40]);
    };
    check(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(8192)), 414);
    check(format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(16_384)), 431);
    check(format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(64)), 431);
    check("POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n".to_owned(), 413);
}

#[test]
fn a_connection_that_gave_its_buffers_back_between_two_bytes_goes_on_where_it_was() {
    let server = TestServer::start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("\r\n");
        // The server turns to its events in their order: when this is answered, the line has been read.
        assert_eq!(server.answer_to(GET).status, 200);
        client.send("\r\n");
        assert_eq!(server.answer_to(GET).status, 200);
        assert_eq!(client.answer_to(GET).status, 200);
    }
}
