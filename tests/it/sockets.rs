//! Connections over real sockets: kept, pipelined, half-closed, slow, silent, refused, too many.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::support::{Client, TestServer, secure_request, token_request, wait_until};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Asks until the answer is yes; fails when it does not come. For what happens in the server's own time.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what} did not happen");
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
        assert_eq!((answer.status, answer.field("connection")), (200, Some("keep-alive")));
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
    assert_eq!(answer.json()["message"], "the client closed the connection before the end of the content");
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
fn a_refused_client_that_goes_on_sending_can_read_why() {
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
        server.wait(Duration::from_millis(74_999));
    }
    assert_eq!(client.answer_to(GET).status, 200);
    server.wait(Duration::from_secs(75));
    client.expect_close();
}

#[test]
fn a_connection_that_never_says_anything_is_closed() {
    let server = TestServer::start();
    let mut silent = server.connect();
    // The server has accepted it once it answers a client that came later.
    assert_eq!(server.connect().answer_to(GET).status, 200);
    server.wait(Duration::from_secs(75));
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
    // The bound on time as a whole, where there is more than the rate would ask for.
    let much = "x".repeat(60_000);
    check(&format!("POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 60001\r\n\r\n{much}"), 30);
    check("POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", 5);
    check("POST /token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\n", 5);
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
fn a_client_that_never_reads_is_dropped_at_no_ones_cost() {
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
fn past_the_bound_the_oldest_idle_makes_room_or_503_is_sent() {
    let server = TestServer::start_with(|config| config.limits.net.connections_max = 2);
    let (mut first, mut second) = (server.connect(), server.connect());
    assert_eq!(first.answer_to(GET).status, 200);
    server.wait(Duration::from_secs(1));
    assert_eq!(second.answer_to(GET).status, 200);
    let mut third = server.connect();
    assert_eq!(third.answer_to(GET).status, 200);
    first.expect_close();
    // Both are in the middle of a request now.
    second.send(format!("{GET}G"));
    third.send(format!("{GET}G"));
    assert_eq!((second.answer(false).status, third.answer(false).status), (200, 200));
    let answer = server.connect().answer_to(GET);
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("5")));
    assert_eq!(answer.text(), "there are too many connections\n");
    second.send(&GET[1..]);
    third.send(&GET[1..]);
    assert_eq!((second.answer(false).status, third.answer(false).status), (200, 200));
}

/// On Linux a socket bound to :: takes IPv4, too, so that one server has two peers on one machine.
#[cfg(target_os = "linux")]
#[test]
fn one_peer_cannot_take_all_the_connections() {
    let server = TestServer::start_with(|config| {
        config.bind = Some("::".parse().unwrap());
        config.limits.net.peer_connections_max = Some(2);
    });
    let port = server.authorization_server.port();
    let connect = |address: &str| Client::connect(format!("{address}:{port}").parse().unwrap());
    let mut other = connect("[::1]");
    assert_eq!(other.answer_to(GET).status, 200);
    let (mut first, mut second) = (connect("127.0.0.1"), connect("127.0.0.1"));
    assert_eq!(first.answer_to(GET).status, 200);
    server.wait(Duration::from_secs(1));
    assert_eq!(second.answer_to(GET).status, 200);
    let mut third = connect("127.0.0.1");
    assert_eq!(third.answer_to(GET).status, 200);
    first.expect_close();
    second.send(format!("{GET}G"));
    third.send(format!("{GET}G"));
    assert_eq!((second.answer(false).status, third.answer(false).status), (200, 200));
    assert_eq!(connect("127.0.0.1").answer_to(GET).status, 503);
    assert_eq!(other.answer_to(GET).status, 200, "the other peer has lost nothing");
    assert_eq!(connect("[::1]").answer_to(GET).status, 200);
}

/// A connection that is refused stays open until its client has read the answer, and a flood of them takes no places.
#[test]
fn the_connections_that_a_peer_is_refused_take_no_places() {
    let server = TestServer::start_with(|config| {
        config.bind = Some("::".parse().unwrap());
        (config.limits.net.connections_max, config.limits.net.peer_connections_max) = (6, Some(2));
    });
    let port = server.authorization_server.port();
    let connect = |address: &str| Client::connect(format!("{address}:{port}").parse().unwrap());
    let mut idle = connect("[::1]");
    assert_eq!(idle.answer_to(GET).status, 200);
    let busy = || {
        let mut client = connect("127.0.0.1");
        client.send(format!("{GET}G"));
        assert_eq!(client.answer(false).status, 200);
        client
    };
    let _busy = [busy(), busy()];
    let refused: Vec<Client> = (0..12)
        .map(|_| {
            let mut client = connect("127.0.0.1");
            assert_eq!(client.answer(false).status, 503);
            client
        })
        .collect();
    assert_eq!(connect("[::1]").answer_to(GET).status, 200, "there is room for another peer");
    assert_eq!(idle.answer_to(GET).status, 200, "no idle connection was closed for it");
    drop(refused);
}

#[test]
fn a_connection_ends_after_its_last_request() {
    let server = TestServer::start_with(|config| config.limits.http.connection_requests_max = 3);
    let mut client = server.connect();
    client.send(GET.repeat(4));
    for last in [Some("keep-alive"), Some("keep-alive"), Some("close")] {
        assert_eq!(client.answer(false).field("connection"), last);
    }
    client.expect_close();
}

/// What the server leaves unread would make the kernel reset the connection (RFC 9112, 9.6).
#[test]
fn requests_behind_the_last_one_do_not_reset_the_connection() {
    let server = TestServer::start_with(|config| config.limits.http.connection_requests_max = 256);
    let mut client = server.connect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(25));
    assert_eq!(request.len() * 256, 16_384, "one read has all that are answered, and nothing of the others");
    client.send(request.repeat(512));
    let answers = String::from_utf8(client.rest()).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 256);
    assert_eq!(answers.matches("\r\nConnection: close\r\n").count(), 1, "the last one's");
}

#[test]
fn steady_content_has_its_time_and_trickling_content_has_not() {
    let server = TestServer::start();
    let begin = |length: usize| {
        let mut client = server.connect();
        client.send(format!("{GET}POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!(client.answer(false).status, 200);
        client
    };
    // The server has read what was sent before when it answers a client that came later.
    let settle = || assert_eq!(server.answer_to(GET).status, 200);
    let (mut steady, mut trickling) = (begin(10 * 2048), begin(100));
    for second in 0..10 {
        steady.send([b'x'; 2048]);
        if second < 5 {
            trickling.send(b"x");
        }
        settle();
        server.wait(Duration::from_secs(1));
        settle();
    }
    assert_eq!(steady.answer(false).status, 400, "it is no JSON, but it is all there");
    assert_eq!(trickling.answer(false).status, 408);
}

#[test]
fn a_panic_in_a_handler_ends_one_request_with_500() {
    let server = TestServer::start_with_panicking_random_source();
    let mut client = server.connect();
    let code = format!("POST /code HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", server.host());
    for _ in 0..3 {
        let answer = client.answer_to(&code);
        assert_eq!(answer.status, 500);
        assert_eq!(client.answer_to(GET).status, 200, "the connection and the server go on");
    }
    let answer = client.answer_to(&token_request(&"A".repeat(64)));
    assert_eq!((answer.status, answer.json()["error"].as_str()), (500, Some("server_error")));
    let lines = server.log.lines();
    assert_eq!(lines[0], "authorization server: POST /code 500: the server failed to answer this request");
}

#[test]
fn an_orderly_stop_answers_requests_and_cuts_off_slow_ones() {
    let server = TestServer::start_with(|config| config.limits.net.finish_time_max = Duration::from_secs(4));
    let (mut idle, mut busy, mut stuck) = (server.connect(), server.connect(), server.connect());
    assert_eq!(idle.answer_to(GET).status, 200);
    for client in [&mut busy, &mut stuck] {
        client.send(format!("{GET}{}", &GET[..20]));
        assert_eq!(client.answer(false).status, 200);
    }
    server.finish();
    idle.expect_close();
    busy.send(format!("{}{GET}", &GET[20..]));
    assert_eq!(
        (busy.answer(false).field("connection"), busy.answer(false).field("connection")),
        (Some("keep-alive"), Some("close"))
    );
    busy.expect_close();
    // The worker that accepts may be the last to notice. Until then the kernel accepts connections, into the backlog, and
    // resets those that are still in it when the listener closes.
    let mut late = 0;
    wait_until("connections are refused", || match std::net::TcpStream::connect(server.authorization_server) {
        Ok(_) => {
            late += 1;
            false
        }
        Err(error) => {
            let kind = error.kind();
            assert!(
                matches!(kind, io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset),
                "{kind}"
            );
            true
        }
    });
    server.wait(Duration::from_secs(3));
    stuck.socket.set_nonblocking(true).unwrap();
    assert_eq!(stuck.socket.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    stuck.socket.set_nonblocking(false).unwrap();
    server.wait(Duration::from_secs(1));
    stuck.expect_close();
    let lines = server.join().lines();
    let last = lines.last().unwrap();
    let is_counted =
        |connections| last.starts_with(&format!("stopped: 5 requests on {connections} connections"));
    assert!((3..=3 + late).any(is_counted), "{lines:?}");
}

#[test]
fn workers_divide_the_connections_and_share_the_grants() {
    let server = TestServer::start_with(|config| config.workers = 4);
    let code = server.code();
    let mut clients: Vec<Client> = (0..16).map(|_| server.connect()).collect();
    let answer = clients[0].answer_to(&token_request(&code));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    for client in &mut clients {
        assert_eq!(client.answer_to(&secure_request(&token)).status, 200);
        assert_eq!(client.answer_to(&token_request(&"A".repeat(64))).status, 400);
    }
    server.finish();
    for client in &mut clients {
        client.expect_close();
    }
    server.join();
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
    check(format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(48 * 1024)), 431);
    check(format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(100)), 431);
    check("POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n".to_owned(), 413);
}

/// Twenty KiB of cookies of other programs on localhost, and a hundred field lines, are an honest browser's.
#[test]
fn too_large_cookies_of_other_programs_are_named_in_the_431() {
    let server = TestServer::start();
    let cookies = |bytes: usize| {
        format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: {}\r\n\r\n", "a=bcdef; ".repeat(bytes / 9))
    };
    assert_eq!(server.answer_to(&cookies(20 * 1024)).status, 200);
    let fields = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(99));
    assert_eq!(server.answer_to(&fields).status, 200);
    let refused = server.answer_to(&cookies(60 * 1024));
    assert_eq!(refused.status, 431);
    let log = server.log.lines().pop().expect("a line");
    for text in [refused.text(), &log] {
        assert!(
            text.contains("the cookies of this host") && text.contains("head_bytes_max in [limits]"),
            "{text}"
        );
    }
    let larger = TestServer::start_with(|config| {
        (config.limits.http.head_bytes_max, config.limits.http.fields_max) = (65_535, 256);
    });
    assert_eq!(larger.answer_to(&cookies(60 * 1024)).status, 200);
    let fields = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(255));
    assert_eq!(larger.answer_to(&fields).status, 200);
}

/// Common proxies keep idle connections for 60 seconds. They must be the ones who close.
#[test]
fn an_idle_connection_outlives_a_proxys_and_says_for_how_long() {
    let server = TestServer::start();
    let mut client = server.connect();
    let answer = client.answer_to(GET);
    assert_eq!(answer.field("connection"), Some("keep-alive"));
    let timeout = answer.field("keep-alive").and_then(|value| value.strip_prefix("timeout=")).expect("a time");
    let timeout: u64 = timeout.parse().expect("seconds");
    assert!(timeout >= 75);
    server.wait(Duration::from_secs(timeout - 1));
    assert_eq!(client.answer_to(GET).status, 200);
    server.wait(Duration::from_secs(timeout));
    client.expect_close();
}

#[test]
fn a_connection_continues_after_returning_its_buffers() {
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
