//! Step-up: a client that asks again for more is shown with what is new, by a cookie that grants nothing.

use crate::support::standard::{
    CALLBACK, answer_dialog, get_dialog, request_of, sealed_of, session_of, start, start_with,
};
use crate::support::{Answer, TestServer, secure_request};
use oauth_from_scratch::oauth::issuer::Issuer;

/// A request of `client` for `scope`; for none if it is empty.
fn query(client: &str, scope: &str) -> String {
    let redirect_uri = if client == "shop" { "https://shop.example/callback?tenant=1" } else { CALLBACK };
    let scope = if scope.is_empty() { String::new() } else { format!("scope={}&", scope.replace(' ', "+")) };
    request_of(client, redirect_uri).replace("scope=answer&", &scope)
}

/// The list of scopes in a dialog.
fn scopes(dialog: &Answer) -> &str {
    let (_, rest) = dialog.text().split_once("<ul class=\"scopes\">").expect("scopes");
    rest.split_once("</ul>\n").expect("their end").0
}

/// The answer to a dialog for this request, in a browser with `cookie`.
fn decide(server: &TestServer, query: &str, cookie: &str, decision: &str) -> Answer {
    let dialog = get_dialog(server, query, None);
    let cookies = format!("{}; {cookie}", session_of(&dialog));
    answer_dialog(server, cookies.trim_end_matches("; "), &sealed_of(&dialog), decision)
}

/// The cookie that a browser has after `client` was allowed `scope`.
fn allowed(server: &TestServer, client: &str, scope: &str, cookie: &str) -> String {
    let answer = decide(server, &query(client, scope), cookie, "authorize");
    assert_eq!(answer.status, 302, "{}", answer.text());
    let cookie = answer.field("set-cookie").expect("a cookie");
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax");
    assert!(pair.starts_with("oauth-allowed=") && pair.len() <= 550, "{pair}");
    pair.to_owned()
}

const ANSWER: &str = "<li>Read the secret answer. <code>answer</code></li>";
const QUESTION: &str = "<li>Read the &lt;b&gt;question&lt;/b&gt; to it. <code>question</code></li>";

/// The list of a dialog that tells the two apart.
fn parts(new: &str, before: &str) -> String {
    format!(
        "<li class=\"part\"><strong>New:</strong><ul>{new}</ul></li>\
         <li class=\"part\">You allowed before, in this browser:<ul>{before}</ul></li>"
    )
}

#[test]
fn a_client_that_asks_for_more_is_shown_with_what_is_new() {
    let server = start();
    let both = format!("{ANSWER}{QUESTION}");
    let (answer, question) = (allowed(&server, "app", "answer", ""), allowed(&server, "app", "question", ""));
    let shop = allowed(&server, "shop", "answer", "");
    let check = |cookie: &str, asked: &str, expected: &str| {
        let dialog = get_dialog(&server, &query("app", asked), Some(cookie));
        assert_eq!((dialog.status, scopes(&dialog)), (200, expected), "{cookie} {asked}");
        assert!(sealed_of(&dialog).len() > 100, "the person decides each time");
    };
    check("x=y", "answer question", &both);
    check(&answer, "answer question", &parts(QUESTION, ANSWER));
    check(&answer, "question answer", &parts(QUESTION, ANSWER));
    check(&question, "answer question", &parts(ANSWER, QUESTION));
    // The scope by default, which is both.
    check(&answer, "", &parts(QUESTION, ANSWER));
    // There is nothing to tell apart.
    check(&answer, "answer", ANSWER);
    check(&answer, "question", QUESTION);
    check(&shop, "answer question", &both);
    check(&allowed(&server, "app", "answer question", ""), "answer question", &both);
    check(&allowed(&server, "app", "question", &answer), "answer question", &both);
    // One consent does not hide another, and a restart of the flow changes nothing.
    let all = allowed(&server, "shop", "answer", &answer);
    check(&allowed(&server, "app", "answer", &all), "answer question", &parts(QUESTION, ANSWER));
}

#[test]
fn a_cookie_that_another_made_marks_nothing() {
    let server = start();
    let cookie = allowed(&server, "app", "answer", "");
    let (name, value) = cookie.split_once('=').expect("a pair");
    let changed = |at: usize| {
        let mut changed = value.to_owned();
        let other = if &value[at..=at] == "A" { "B" } else { "A" };
        changed.replace_range(at..=at, other);
        format!("{name}={changed}")
    };
    let check = |cookie: &str, is_marked: bool| {
        let dialog = get_dialog(&server, &query("app", "answer question"), Some(cookie));
        assert_eq!(dialog.status, 200, "{cookie}");
        assert_eq!(scopes(&dialog).contains("New:"), is_marked, "{cookie}");
    };
    check(&cookie, true);
    check(&format!("{cookie}{}", "A".repeat(16)), true);
    // Of another server, which has the same key here, as the servers of a shared engine have, and another issuer.
    let other = start_with(|config| config.issuer = Issuer::parse("http://localhost:3002").ok());
    let of_other = allowed(&other, "app", "answer", "");
    assert_eq!(of_other[..name.len() + 9], cookie[..name.len() + 9], "the key has the same identifier");
    check(&of_other, false);
    check(&changed(0), false);
    check(&changed(8), false);
    check(&changed(value.len() - 1), false);
    check(&format!("{cookie}{}", "A".repeat(16 * 32)), false);
    check(&format!("{cookie}A"), false);
    check(&format!("{name}="), false);
    check(name, false);
    check(&format!("{name}=\u{fe}"), false);
    check(&format!("__Host-{cookie}"), false);
    check(&format!("{name}s={value}"), false);
    // One of two was set by another program, and neither counts.
    check(&format!("{cookie}; {name}=x"), false);
    check(&format!("{cookie}; {cookie}"), false);
}

#[test]
fn only_consent_to_named_scopes_is_kept_in_a_cookie() {
    let server = start();
    let check = |asked: &str, decision: &str, is_kept: bool| {
        let answer = decide(&server, &query("app", asked), "", decision);
        assert_eq!((answer.status, answer.field("set-cookie").is_some()), (302, is_kept), "{asked} {decision}");
    };
    check("answer", "authorize", true);
    check("answer", "refuse", false);
    check("", "authorize", false);
    // The same answer twice, as from a second click, is the same answer.
    let dialog = get_dialog(&server, &query("app", "answer"), None);
    let twice = || answer_dialog(&server, &session_of(&dialog), &sealed_of(&dialog), "authorize");
    let (first, second) = (twice(), twice());
    assert_eq!(first.field("set-cookie"), second.field("set-cookie"));
    assert!(first.field("set-cookie").is_some() && first.field("location") == second.field("location"));
    // The answer is not stored, so nothing is kept either.
    let late = answer_dialog(&server, &session_of(&dialog), &sealed_of(&dialog), "refuse");
    assert_eq!((late.status, late.field("set-cookie")), (400, None), "{}", late.text());
}

#[test]
fn the_articles_flow_sends_no_cookie() {
    let server = TestServer::start();
    let host = server.host();
    let requests = [
        format!("GET /oauth-dialog.html HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("POST /code HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"),
        secure_request("x"),
    ];
    for (request, status) in requests.iter().zip([200, 302, 403]) {
        let answer = server.answer_to(request);
        assert_eq!((answer.status, answer.field("set-cookie")), (status, None), "{request}");
    }
}

#[test]
fn behind_tls_only_this_host_can_set_the_cookie() {
    let server = start_with(|config| config.issuer = Issuer::parse("https://auth.example").ok());
    let dialog = get_dialog(&server, &query("app", "answer"), None);
    let content = format!("request={}&decision=authorize", sealed_of(&dialog));
    let answer = server.answer_to(&format!(
        "POST /code HTTP/1.1\r\nHost: auth.example\r\nCookie: {}\r\nContent-Length: {}\r\n\r\n{content}",
        session_of(&dialog),
        content.len()
    ));
    let cookie = answer.field("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("__Host-oauth-allowed=") && cookie.ends_with("; SameSite=Lax; Secure"),
        "{cookie}"
    );
    assert!(cookie.contains("; Path=/; ") && !cookie.contains("Domain"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair");
    for (cookie, is_marked) in [(pair, true), (pair.trim_start_matches("__Host-"), false)] {
        let dialog = get_dialog(&server, &query("app", "answer question"), Some(cookie));
        assert_eq!(scopes(&dialog).contains("New:"), is_marked, "{cookie}");
    }
}
