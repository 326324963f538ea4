//! The terms in the dialog: who asks, for how long, and how to revoke it.

use std::time::Duration;

use crate::support::TestServer;
use crate::support::standard::{self, CALLBACK, get_dialog, request_of};

/// The dialog's terms for `client`, which returns to `redirect_uri`, as text without its tags.
fn terms(server: &TestServer, client: &str, redirect_uri: &str) -> String {
    let query = request_of(client, redirect_uri).replace("scope=answer&", "");
    let answer = get_dialog(server, &query, None);
    assert_eq!(answer.status, 200, "{client}: {}", answer.text());
    let (_, rest) = answer.text().split_once("<dl class=\"terms\">").expect("terms");
    let (terms, _) = rest.split_once("</dl>").expect("their end");
    let lines = terms.lines().map(|line| line.trim().trim_start_matches("<dd>").trim_end_matches("</dd>"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_dialog_says_who_asks_and_for_how_long() {
    let server = standard::start_with(|config| {
        config.client_port = Some(0);
        config.lifetimes.tokens.access_token = Duration::from_secs(5400);
        config.lifetimes.tokens.refresh_idle = Duration::from_secs(7 * 86_400);
    });
    let once = "For 90 minutes. After that it has to ask you again.";
    let renewed = "For 90 minutes at a time. It can renew this without asking you, for 90 days. \
                   It loses this right if it does not use it for 7 days.";
    let unverified = "This server cannot check that it is really this app";
    let website = "Only its website, named below, gets your answer.";
    let by_operator = "This server has no page for it yet.";
    let on_its_page = "Press “Revoke access” on the app’s page";
    let demo = format!("http://localhost:{}/oauth-callback.html", server.client_app.port());
    let cases = [
        ("oauth-test-app", demo.as_str(), ["The demo app that comes with this server.", renewed, on_its_page]),
        ("app", CALLBACK, [website, renewed, by_operator]),
        ("two", "https://two.example/1", [website, once, by_operator]),
        ("native", "http://127.0.0.1:5000/callback", [unverified, once, by_operator]),
        ("phone", "com.example.app:/callback", [unverified, once, by_operator]),
    ];
    for (client, redirect_uri, expected) in cases {
        let terms = terms(&server, client, redirect_uri);
        expected.iter().for_each(|words| assert!(terms.contains(words), "{client}: {words}: {terms}"));
    }
}

#[test]
fn the_articles_dialog_promises_no_renewal() {
    let server = TestServer::start();
    let answer = server.answer_to("GET /oauth-dialog.html HTTP/1.1\r\nHost: h\r\n\r\n");
    let text = answer.text();
    assert!(text.contains("For 1 day. After that it has to ask you again."), "{text}");
    assert!(!text.contains("renew"), "{text}");
}
