//! Clients whose metadata is a document at a URL, at the socket. Their documents come from a server on loopback, which a
//! server that is itself on loopback may fetch from over http.

use std::time::Duration;

use crate::support::document_server::{DocumentServer, document, response};
use crate::support::standard::{
    VERIFIER, answer_dialog, call_mcp, code, decide, get_dialog, pairs, parameter, post_form, request_of,
    sealed_of, session_of, tokens_of,
};
use crate::support::{Answer, TestServer};
use oauth_from_scratch::config;
use oauth_from_scratch::net::Network;

const CALLBACK: &str = "https://app.example/callback";

/// The shortest time for which a document is fresh.
const FRESH: Duration = Duration::from_secs(10 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A server of the document that most tests begin with.
fn published() -> DocumentServer {
    let documents = DocumentServer::start();
    documents.publish(&document(&documents.url(), CALLBACK, r#","client_name":"Documented""#));
    documents
}

fn redeem(server: &TestServer, client: &str, code: &str) -> Answer {
    let content = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    post_form(server, "/token", "", &pairs(&content))
}

fn refresh(server: &TestServer, client: &str, token: &str) -> Answer {
    let content = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
    post_form(server, "/token", "", &pairs(&content))
}

#[test]
fn a_document_at_a_url_is_a_client() {
    let (server, documents) = (TestServer::start(), published());
    let url = documents.url();
    let dialog = get_dialog(&server, &request_of(&url, CALLBACK), None);
    assert_eq!(dialog.status, 200, "{}", dialog.text());
    assert!(dialog.text().contains("Documented"), "{}", dialog.text());
    let answer = answer_dialog(&server, &session_of(&dialog), &sealed_of(&dialog), "authorize");
    let location = answer.field("location").unwrap_or_else(|| panic!("{}", answer.text()));
    assert!(location.starts_with(CALLBACK) && parameter(location, "iss").is_some());
    let tokens = redeem(&server, &url, parameter(location, "code").expect("a code"));
    let (access_token, refresh_token) = tokens_of(&tokens);
    assert_eq!(call_mcp(&server, &access_token), 200);
    let (access_token, _) = tokens_of(&refresh(&server, &url, &refresh_token));
    assert_eq!(call_mcp(&server, &access_token), 200);
    assert_eq!(documents.requests(), 1, "the copy serves");
    let refused = decide(&server, &request_of(&url, CALLBACK), "refuse");
    assert_eq!(parameter(&refused, "error"), Some("access_denied"));
}

#[test]
fn the_dialog_says_where_a_document_is_and_the_most_it_gives() {
    let (server, documents) = (TestServer::start(), DocumentServer::start());
    let url = documents.url();
    let host = format!("localhost:{}", documents.port);
    let check = |document: &str, called: &str| {
        documents.publish(document);
        let dialog = get_dialog(&server, &request_of(&url, CALLBACK), None);
        let text = dialog.text();
        let (before, _) = text.split_once(called).expect(text);
        assert!(
            before.contains("<h1>Authorize an app at <span class=\"host\">app.example</span>?</h1>"),
            "{text}"
        );
        assert!(before.contains("<title>Authorize an app at app.example?</title>"), "{text}");
        let asker =
            format!("An app that describes itself in a document at {host}. Its name has not been checked.");
        assert!(text.contains(&asker), "{text}");
        // Its code gives a refresh token where its document is not known.
        assert!(text.contains("It can renew this without asking you, for 90 days."), "{text}");
        server.wait(FRESH);
    };
    check(
        &document(&url, CALLBACK, r#","client_name":"<b>Your\u202e bank""#),
        "It calls itself <bdi>&lt;b&gt;Your bank</bdi>.",
    );
    check(&document(&url, CALLBACK, "").replace(r#","refresh_token""#, ""), "It gives no name.");
}

#[test]
fn the_rules_for_a_request_hold_for_a_documents_client() {
    let (server, documents) = (TestServer::start(), published());
    let url = documents.url();
    let other = get_dialog(&server, &request_of(&url, "https://evil.example/callback"), None);
    assert_eq!((other.status, other.field("location")), (400, None));
    assert!(other.text().contains("redirect_uri differs"), "{}", other.text());
    let query = request_of(&url, CALLBACK).replace("S256", "plain");
    let wrong = get_dialog(&server, &query, None);
    assert_eq!((wrong.status, wrong.field("location")), (400, None));
    assert!(
        wrong.text().contains(&format!("href=\"{CALLBACK}?error=invalid_request&amp;")),
        "{}",
        wrong.text()
    );
    let query = format!("{}&client_id=app", request_of(&url, CALLBACK));
    assert_eq!(get_dialog(&server, &query, None).status, 400);
    let secret = post_form(
        &server,
        "/token",
        "",
        &pairs(&[
            ("grant_type", "refresh_token"),
            ("client_id", &url),
            ("client_secret", "s"),
            ("refresh_token", "x"),
        ]),
    );
    assert_eq!(secret.json()["error"], "invalid_client");
}

#[test]
fn a_document_that_cannot_be_read_is_refused_in_words() {
    let (server, documents) = (TestServer::start(), DocumentServer::start());
    let url = documents.url();
    let sound = document(&url, CALLBACK, "");
    let json = |content: &str| response("200 OK", "application/json", content);
    let mut asked = 0;
    let mut check = |response: String, status: u16, words: &str| {
        documents.say(&response);
        let answer = get_dialog(&server, &request_of(&url, CALLBACK), None);
        assert_eq!((answer.status, answer.field("location")), (status, None), "{response}: {}", answer.text());
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
        let says_when =
            answer.field("retry-after").is_some() && answer.text().contains("temporarily_unavailable");
        assert_eq!(says_when, status == 503, "{response}");
        assert!(!answer.text().contains("not that of a registered client"));
        asked += 1;
        assert_eq!(documents.requests(), asked, "no error is kept: {response}");
    };
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /other.json\r\nContent-Length: 0\r\n\r\n";
    check(redirect.to_owned(), 400, "answered 302, and redirects are not followed");
    check(response("404 Not Found", "text/plain", ""), 400, "answered 404 instead of 200");
    check(response("500 Internal Server Error", "text/plain", ""), 503, "answered 500 instead of 200");
    check(response("429 Too Many Requests", "text/plain", ""), 503, "answered 429 instead of 200");
    check(response("200 OK", "text/html", &sound), 400, "its Content-Type is not application/json");
    check(json(&format!("{sound}{}", " ".repeat(6000))), 400, "it is too large");
    check(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{".into(),
        503,
        "broke",
    );
    check(json("{"), 400, "it is not a JSON object");
    check(json(&document("https://evil.example/c", CALLBACK, "")), 400, "byte for byte");
    check(json(&document(&url, "javascript:x", "")), 400, "none of its redirect_uris is valid");
    check(json(&document(&url, CALLBACK, r#","client_secret":"s""#)), 400, "shared secret");
    documents.publish(&sound);
    assert_eq!(get_dialog(&server, &request_of(&url, CALLBACK), None).status, 200);
}

#[test]
fn a_host_that_does_not_answer_is_not_waited_for() {
    let (server, documents) = (TestServer::start(), DocumentServer::start());
    let mut client = server.connect();
    let query = request_of(&documents.url(), CALLBACK);
    client.send(format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
    documents.wait_for_requests(1);
    client.expect_nothing_yet();
    server.wait(Duration::from_secs(5));
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("5")));
    assert!(answer.text().contains("its host did not answer in time"), "{}", answer.text());
}

#[test]
fn requests_for_one_document_share_a_fetch() {
    let (server, documents) = (TestServer::start(), DocumentServer::start());
    let query = request_of(&documents.url(), CALLBACK);
    let request = format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut clients = [(); 5].map(|()| server.connect());
    clients.iter_mut().for_each(|client| client.send(&request));
    documents.wait_for_requests(1);
    clients.iter_mut().for_each(crate::support::Client::expect_nothing_yet);
    server.wait(Duration::from_secs(5));
    for client in &mut clients {
        assert_eq!(client.answer(false).status, 503);
    }
    assert_eq!(documents.requests(), 1);
}

#[test]
fn no_document_is_fetched_from_a_forbidden_address() {
    let server = TestServer::start();
    for host in ["10.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"] {
        let answer = get_dialog(&server, &request_of(&format!("https://{host}/c"), CALLBACK), None);
        assert_eq!(answer.status, 400, "{host}");
        assert!(answer.text().contains("not on the public internet"), "{host}: {}", answer.text());
    }
    // Nor from loopback, for a server that is not on loopback itself.
    let documents = published();
    let public = TestServer::start_with(|config| {
        config.issuer = Some(oauth_from_scratch::oauth::issuer::Issuer::parse("https://auth.example").unwrap());
    });
    let answer = get_dialog(&public, &request_of(&documents.url(), CALLBACK), None);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("not that of a registered client"), "{}", answer.text());
    let secure = documents.url().replace("http:", "https:");
    let answer = get_dialog(&public, &request_of(&secure, CALLBACK), None);
    assert!(answer.text().contains("not on the public internet"), "{}", answer.text());
    assert_eq!(documents.requests(), 0);
}

#[test]
fn a_copy_is_fresh_for_as_long_as_its_host_says() {
    let (server, documents) = (TestServer::start(), DocumentServer::start());
    let url = documents.url();
    let sound = response("200 OK", "application/json", &document(&url, CALLBACK, ""));
    documents.say(sound.replacen("\r\n", "\r\nCache-Control: max-age=7200\r\nAge: 3600\r\n", 1));
    let check = |seconds: u64, requests: usize| {
        server.wait(Duration::from_secs(seconds));
        assert_eq!(get_dialog(&server, &request_of(&url, CALLBACK), None).status, 200);
        assert_eq!(documents.requests(), requests);
    };
    check(0, 1);
    check(3599, 1);
    check(1, 2);
}

#[test]
fn the_reason_of_a_failure_is_for_developers() {
    let documents = DocumentServer::start();
    for explains in [true, false] {
        let server = TestServer::start_with(|config| config.explains_errors = explains);
        for failure in [response("404 Not Found", "text/plain", ""), response("503 Busy", "text/plain", "")] {
            documents.say(&failure);
            let answer = get_dialog(&server, &request_of(&documents.url(), CALLBACK), None);
            assert_eq!(answer.text().contains("its host answered"), explains, "{}", answer.text());
            assert_ne!(answer.text().contains("The reason is in this server"), explains);
            let logged = server.log.lines().pop().expect("a line");
            assert!(logged.contains("the client's metadata document could not be fetched: its host answered"));
        }
    }
}

/// A server whose issuer is on loopback may listen on the whole network.
#[test]
fn only_a_peer_on_loopback_has_loopback_fetched() {
    let documents = published();
    let server = TestServer::start_with(|config| {
        config.trusted_proxies = ["127.0.0.1", "::1"].map(|proxy| Network::parse(proxy).unwrap()).to_vec();
    });
    let ask = |url: &str, peer: &str| {
        let query = request_of(url, CALLBACK);
        server.answer_to(&format!(
            "GET /authorize?{query} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {peer}\r\n\r\n"
        ))
    };
    let secure = documents.url().replace("http:", "https:");
    for peer in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fe80::1"] {
        for url in [documents.url(), secure.clone()] {
            let answer = ask(&url, peer);
            assert_eq!(answer.status, 400, "{peer}");
            assert!(answer.text().contains("not on the public internet"), "{peer}: {}", answer.text());
        }
    }
    assert_eq!(documents.requests(), 0);
    for peer in ["127.0.0.9", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(ask(&documents.url(), peer).status, 200, "{peer}");
    }
}

#[test]
fn a_document_that_changed_is_asked_about_again() {
    let (server, documents) = (TestServer::start(), published());
    let url = documents.url();
    let query = request_of(&url, CALLBACK);
    assert_eq!(get_dialog(&server, &query, None).status, 200);
    server.wait(FRESH - Duration::from_secs(60));
    let dialogs = [(); 2].map(|()| get_dialog(&server, &query, None));
    server.wait(Duration::from_secs(120));
    // The same again, in other words.
    documents.publish(&document(&url, CALLBACK, r#", "contacts": [], "client_name": "Documented""#));
    let [first, second] = dialogs.map(|dialog| (session_of(&dialog), sealed_of(&dialog)));
    assert_eq!(answer_dialog(&server, &first.0, &first.1, "authorize").status, 302);
    assert_eq!(documents.requests(), 2, "read again, since the copy was not fresh");
    documents.publish(&document(&url, CALLBACK, r#","client_name":"Your bank""#));
    server.wait(FRESH - Duration::from_secs(100));
    assert_eq!(documents.requests(), 2);
    let third = get_dialog(&server, &query, None);
    server.wait(Duration::from_secs(120));
    for (session, sealed, decision) in [
        (session_of(&third), sealed_of(&third), "authorize"),
        (session_of(&third), sealed_of(&third), "refuse"),
    ] {
        let answer = answer_dialog(&server, &session, &sealed, decision);
        assert_eq!((answer.status, answer.field("location")), (400, None));
        assert!(answer.text().contains("This app has changed"), "{}", answer.text());
        assert!(answer.text().contains("/authorize?"), "a link asks again: {}", answer.text());
    }
    let fourth = get_dialog(&server, &query, None);
    assert!(fourth.text().contains("Your bank"));
    assert_eq!(answer_dialog(&server, &session_of(&fourth), &sealed_of(&fourth), "authorize").status, 302);
    assert_ne!(second.1, sealed_of(&fourth));
}

#[test]
fn an_outage_leaves_the_copy_and_a_404_takes_it() {
    let (server, documents) = (TestServer::start(), published());
    let query = request_of(&documents.url(), CALLBACK);
    let ask = || get_dialog(&server, &query, None);
    assert_eq!(ask().status, 200);
    server.wait(FRESH);
    documents.say("");
    assert_eq!((ask().status, documents.requests()), (200, 2), "the connection broke");
    documents.say(response("500 Oh", "text/plain", ""));
    assert_eq!(ask().status, 503, "the host answered");
    documents.say(response("410 Gone", "text/plain", ""));
    assert_eq!(ask().status, 400);
    documents.say("");
    assert_eq!(ask().status, 503, "there is no copy any more");
    assert_eq!(documents.requests(), 5);
}

/// The request's own time is over a moment before that of the fetch, which says whether the copy serves.
#[test]
fn a_host_that_falls_silent_leaves_the_copy() {
    let (server, documents) = (TestServer::start(), published());
    let query = request_of(&documents.url(), CALLBACK);
    assert_eq!(get_dialog(&server, &query, None).status, 200);
    server.wait(FRESH);
    documents.hang();
    let mut client = server.connect();
    client.send(format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
    documents.wait_for_requests(2);
    client.expect_nothing_yet();
    server.wait(Duration::from_secs(5));
    assert_eq!(client.answer(false).status, 200);
}

/// A stranger can have every thread fetch from hosts that never answer. Then nothing is known of the document's own host,
/// which may have withdrawn the document.
#[test]
fn a_fetch_that_waits_for_others_leaves_no_copy() {
    /// When the fetch begins, in seconds, if it does before the request's time of 5 seconds is over; and the response.
    const CASES: [(Option<u64>, u16); 4] = [(None, 503), (Some(4), 503), (Some(3), 503), (Some(2), 200)];
    for (begins, status) in CASES {
        let (server, documents, others) = (TestServer::start(), published(), DocumentServer::start());
        let query = request_of(&documents.url(), CALLBACK);
        assert_eq!(get_dialog(&server, &query, None).status, 200);
        server.wait(FRESH);
        documents.hang();
        let ask = |query: &str| {
            let mut client = server.connect();
            client.send(format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
            client
        };
        let other = |number: usize| request_of(&others.url().replace("client", &number.to_string()), CALLBACK);
        let _waiting = [0, 1, 2, 3, 4, 5, 6, 7].map(|number| ask(&other(number)));
        others.wait_for_requests(8);
        let mut client = ask(&query);
        // The one worker has read that request when it has answered these.
        for _ in 0..3 {
            assert_eq!(server.answer_to("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
        }
        if let Some(seconds) = begins {
            server.wait(Duration::from_secs(seconds));
            drop(others);
            documents.wait_for_requests(2);
        }
        client.expect_nothing_yet();
        server.wait(Duration::from_secs(5 - begins.unwrap_or_default()));
        let answer = client.answer(false);
        assert_eq!(answer.status, status, "{begins:?}: {}", answer.text());
        if status == 503 {
            assert_eq!(answer.field("retry-after"), Some("5"));
            assert!(answer.text().contains("temporarily_unavailable: a slow job"), "{}", answer.text());
            assert!(answer.text().contains(">Try again<") && !answer.text().contains("Documented"));
        }
    }
}

#[test]
fn a_grant_outlives_the_copy_of_its_document() {
    let (server, documents) = (TestServer::start(), published());
    let url = documents.url();
    let code = code(&server, &url, CALLBACK);
    let (_, refresh_token) = tokens_of(&redeem(&server, &url, &code));
    documents.say(response("404 Not Found", "text/plain", ""));
    let mut refresh_token = refresh_token;
    for _ in 0..3 {
        server.wait(3 * DAY);
        let (access_token, next) = tokens_of(&refresh(&server, &url, &refresh_token));
        assert_eq!(call_mcp(&server, &access_token), 200);
        refresh_token = next;
        // Says that the document is gone, and takes the copy, if there is one.
        assert_eq!(get_dialog(&server, &request_of(&url, CALLBACK), None).status, 400);
    }
    assert_eq!(documents.requests(), 4, "only dialogs fetch");
    let other = refresh(&server, "https://other.example/c", &refresh_token);
    assert_eq!(other.json()["error"], "invalid_grant");
    // Without such clients, a grant of one is a grant of no client.
    server.reload(|config| config.fetches_client_documents = Some(false));
    assert_eq!(refresh(&server, &url, &refresh_token).json()["error"], "invalid_client");
}

#[test]
fn a_pinned_document_is_never_fetched() {
    let (documents, url) = (published(), "https://app.example/client.json");
    let fetches_where_built_in = cfg!(feature = "client-documents");
    let cases = [(url.to_owned(), false), (documents.url(), false), (documents.url(), fetches_where_built_in)];
    for (url, fetches) in cases {
        let pinned = document(&url, CALLBACK, r#","client_name":"Pinned""#);
        let text = format!(
            "issuer = \"http://localhost:3001\"\n[listen]\nport = 0\n[scopes]\nanswer = \"Read.\"\n\
             [[client_documents]]\nurl = \"{url}\"\ndocument = '''{pinned}'''\n"
        );
        let server = TestServer::start_with(|config| {
            *config = config::read(&text, 1).expect("a sound file");
            config.fetches_client_documents = Some(fetches);
        });
        let code = code(&server, &url, CALLBACK);
        assert_eq!(redeem(&server, &url, &code).status, 200);
        if fetches {
            continue;
        }
        let other =
            get_dialog(&server, &request_of(&documents.url().replace("client", "other"), CALLBACK), None);
        assert!(other.text().contains("The reason is in this server"), "{}", other.text());
    }
    assert_eq!(documents.requests(), 0);
}

#[test]
fn documents_are_announced_where_https_can_be_fetched() {
    let announced = |server: &TestServer| {
        let request = "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: h\r\n\r\n";
        let metadata = server.answer_to(request).json();
        let methods = metadata["token_endpoint_auth_methods_supported"].as_array().expect("a list");
        assert!(methods.iter().any(|method| method == "none"));
        metadata["client_id_metadata_document_supported"] == true
    };
    assert_eq!(announced(&TestServer::start()), cfg!(feature = "client-documents"));
    assert!(!announced(&TestServer::start_with(|config| config.fetches_client_documents = Some(false))));
    let wanted = config::read("fetch_client_documents = true", 1).expect("a file");
    assert_eq!(wanted.check().is_ok(), cfg!(feature = "client-documents"));
}

/// An https server with a certificate of the test's own, and the program as a process that trusts its authority, or
/// does not.
#[test]
#[cfg(all(feature = "client-documents", any(feature = "file-store", feature = "redis-store")))]
fn an_https_document_is_fetched_if_its_certificate_is_trusted() {
    use crate::support::Client;
    use crate::support::authority::Authority;
    use crate::support::ledger::ServerProcess;

    let test = "an_https_document_is_fetched_if_its_certificate_is_trusted";
    if !crate::own_clients::is_installed(test, "openssl") {
        return;
    }
    let authority = Authority::new("authority");
    let documents = authority.host();
    let url = documents.url().replace("http:", "https:");
    documents.publish(&document(&url, CALLBACK, r#","client_name":"Documented""#));
    let dialog = |server: &ServerProcess, url: &str| {
        let address = (std::net::Ipv4Addr::LOCALHOST, server.port).into();
        let query = request_of(url, CALLBACK);
        Client::connect(address).answer_to(&format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"))
    };
    let trusting = authority.trusting_program();
    let shown = dialog(&trusting, &url);
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert!(shown.text().contains("Documented"));
    let other_name = dialog(&trusting, &url.replace("localhost", "127.0.0.1"));
    assert!(other_name.text().contains("is for another name"), "{}", other_name.text());
    let refused = dialog(&Authority::new("other").trusting_program(), &url);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("an issuer that this server does not trust"), "{}", refused.text());
    assert_eq!(documents.requests(), 1, "nothing is sent to a server that is not trusted");
}
