//! The client app's page as a lesson: the values that it shows are those that were sent and that came back.

use base64ct::{Base64UrlUnpadded, Encoding};
use oauth_from_scratch::crypto::hash::sha256;
use serde_json::json;

use super::{assert_answered, open, open_dialog, wait_for_state};
use crate::support::browser::Browser;
use crate::support::standard::get_secure;
use crate::support::{Answer, TestServer};

/// The value of `name` that step `number` shows, in the `at`th of its messages.
fn value(browser: &Browser, number: usize, at: usize, name: &str) -> String {
    let found = browser.execute(&format!(
        "const step = document.querySelectorAll('.steps > li')[{number} - 1]; \
         const message = step.querySelectorAll('details')[{at}]; \
         return message?.querySelector('[data-name=\"{name}\"] span')?.textContent ?? null"
    ));
    found.as_str().unwrap_or_else(|| panic!("step {number}, message {at} has no {name}")).to_owned()
}

/// What a person reads in step `number`.
fn step(browser: &Browser, number: usize) -> String {
    browser.text(&format!(".steps > li:nth-child({number})"))
}

/// The state of each step; empty for one that was not reached.
fn states(browser: &Browser) -> Vec<String> {
    let found = browser
        .execute("return [...document.querySelectorAll('.steps > li')].map((step) => step.dataset.step ?? '')");
    serde_json::from_value(found).expect("a list of states")
}

/// The status that the server gives for `token`.
fn status_of(server: &TestServer, token: &str) -> u16 {
    let answer: Answer = get_secure(server, token);
    answer.status
}

#[test]
fn the_page_shows_the_values_that_were_sent_and_came_back() {
    let server = TestServer::start();
    let Some((browser, page)) = open("the_page_shows_the_values", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    let query = browser.execute("return Object.fromEntries(new URLSearchParams(location.search))");
    browser.click("#authorize");
    assert_answered(&browser, &page);

    let [state, verifier, challenge] =
        ["state", "code_verifier", "code_challenge"].map(|name| value(&browser, 1, 0, name));
    assert_eq!(Base64UrlUnpadded::encode_string(&sha256(verifier.as_bytes())), challenge);
    assert_eq!((&query["state"], &query["code_challenge"]), (&json!(state), &json!(challenge)));
    assert_eq!(value(&browser, 2, 0, "state"), state);
    assert_eq!(value(&browser, 2, 0, "code_challenge"), challenge);
    assert_eq!(value(&browser, 3, 0, "state"), state, "the state came back");
    let compared = step(&browser, 3);
    assert!(compared.contains(&format!("The state is the one that this page sent: {state}")), "{compared}");
    assert_eq!(value(&browser, 4, 0, "code"), value(&browser, 3, 0, "code"));
    assert_eq!(value(&browser, 4, 0, "code_verifier"), verifier);
    let token = value(&browser, 4, 1, "access_token");
    let token = token.trim_matches(|character| "\",".contains(character));
    assert_eq!(value(&browser, 5, 0, "Authorization"), format!("Bearer {token}"));
    assert_eq!(value(&browser, 5, 1, "answer"), "42");
    assert_eq!(status_of(&server, token), 200, "it is the real token");
    let folded = browser.execute("return document.querySelectorAll('.steps details:not([open])').length");
    assert_eq!(folded, 0, "every message is folded open");
}

#[test]
fn the_page_takes_the_access_back_and_shows_that_it_is_gone() {
    let server = TestServer::start();
    let Some((browser, page)) = open("the_page_takes_the_access_back", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    let promise = browser.text(".terms");
    assert!(promise.contains("Press “Revoke access” on the app’s page"), "{promise}");
    browser.click("#authorize");
    assert_answered(&browser, &page);
    let token = value(&browser, 4, 1, "access_token");
    let token = token.trim_matches(|character| "\",".contains(character));

    assert_eq!(browser.text("#take-back"), "Revoke access");
    browser.click("#take-back");
    browser.wait_for("the end of the access", |browser| {
        browser.text("#status").starts_with("Access revoked").then_some(())
    });
    assert_eq!(browser.execute("return document.activeElement.id"), "start", "the focus is not lost");
    assert_eq!(states(&browser), ["done"; 6]);
    assert!(step(&browser, 6).contains("401 Unauthorized"), "{}", step(&browser, 6));
    assert_eq!(status_of(&server, token), 401, "the server says the same");
}

#[test]
fn a_refused_flow_shows_the_refusal_and_nothing_after_it() {
    let server = TestServer::start();
    let Some((browser, page)) = open("a_refused_flow_shows_the_refusal", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    browser.click("#refuse");
    browser.switch_to(&page);
    wait_for_state(&browser, "declined");
    assert_eq!(states(&browser), ["done", "done", "declined", "", "", ""]);
    assert_eq!(value(&browser, 3, 0, "error"), "access_denied");
    assert_eq!(value(&browser, 3, 0, "state"), value(&browser, 1, 0, "state"));
    let messages = "return document.querySelectorAll('.steps > li:nth-child(n + 4) details').length";
    assert_eq!(browser.execute(messages), 0, "nothing was sent");

    // The next attempt begins with an empty page and new secrets.
    let state = value(&browser, 1, 0, "state");
    open_dialog(&browser, &page);
    browser.click("#authorize");
    assert_answered(&browser, &page);
    assert_ne!(value(&browser, 1, 0, "state"), state);
    assert_eq!(
        browser.execute("return document.querySelectorAll('.steps > li:first-child details').length"),
        1
    );
}

#[test]
fn an_aborted_flow_shows_how_far_it_came() {
    let server = TestServer::start();
    let Some((browser, page)) = open("an_aborted_flow_shows_how_far", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    browser.close_window();
    browser.switch_to(&page);
    wait_for_state(&browser, "declined");
    assert_eq!(states(&browser), ["done", "declined", "", "", "", ""]);
    assert!(step(&browser, 2).contains("Received: nothing"), "{}", step(&browser, 2));
}

#[test]
fn a_foreign_state_is_shown_with_advice_and_its_code_unsent() {
    let server = TestServer::start();
    let Some((browser, page)) = open("a_foreign_state_is_shown", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    let callback = format!("http://localhost:{}/oauth-callback.html", server.client_app.port());
    browser.goto(&format!("{callback}?code={}&state=foreign", server.code()));
    browser.switch_to(&page);
    wait_for_state(&browser, "failed");
    assert_eq!(states(&browser), ["done", "done", "failed", "", "", ""]);
    assert_eq!(value(&browser, 3, 0, "state"), "foreign");
    let text = step(&browser, 3);
    for words in ["The state is not the one that this page sent", "What to do: Start again."] {
        assert!(text.contains(words), "{text}");
    }
    let log = server.log.lines().join("\n");
    assert!(!log.contains("POST /token"), "the code was not sent: {log}");
}
