//! What a proxy says of the client behind it counts where the configuration trusts the proxy, and nowhere else.

use crate::support::{Client, TestServer};
use oauth_from_scratch::net::{LogFormat, Network};

fn server(trusted: &[&str], connections_per_peer: Option<usize>) -> TestServer {
    let trusted: Vec<Network> = trusted.iter().map(|text| Network::parse(text).unwrap()).collect();
    TestServer::start_with(|config| {
        config.access_log = Some(LogFormat::Json);
        config.limits.net.peer_connections_max = connections_per_peer;
        config.trusted_proxies = trusted;
    })
}

#[test]
fn the_log_names_the_client_that_a_trusted_proxy_names() {
    let check = |trusted: &[&str], fields: &str, expected: &str| {
        let server = server(trusted, None);
        server.answer_to(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        let line = server.access.lines().pop().expect("a line");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["peer"], expected, "{trusted:?} {fields}");
    };
    let common = "X-Forwarded-For: 198.51.100.9, 192.0.2.7\r\n";
    let standard = "Forwarded: for=198.51.100.9, for=\"192.0.2.7:1234\";proto=https\r\n";
    for fields in [common, standard, &format!("{common}{standard}")] {
        check(&[], fields, "127.0.0.1");
        check(&["10.0.0.0/8", "::1"], fields, "127.0.0.1");
        check(&["127.0.0.0/8"], fields, "192.0.2.7");
        check(&["127.0.0.1", "192.0.2.0/24"], fields, "198.51.100.9");
    }
    check(&["127.0.0.1"], "", "127.0.0.1");
    // The proxy passes on, as it came, the field that it does not write.
    check(&["127.0.0.1"], &format!("Forwarded: for=203.0.113.1\r\n{common}"), "0.0.0.0");
}

#[test]
fn a_trusted_proxy_has_as_many_connections_as_it_needs() {
    for (trusted, expected) in [(&[][..], 503), (&["127.0.0.1"], 200)] {
        let server = server(trusted, Some(2));
        // Busy, so that none of them makes room.
        let busy = || {
            let mut client = server.connect();
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /");
            assert_eq!(client.answer(false).status, 200);
            client
        };
        let _busy: [Client; 2] = [busy(), busy()];
        let mut another = server.connect();
        // A refused client gets its answer before it sends a request.
        if expected == 200 {
            another.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        assert_eq!(another.answer(false).status, expected, "{trusted:?}");
    }
}
