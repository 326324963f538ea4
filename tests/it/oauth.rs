//! The standard over real sockets, row by row: authorization requests, the dialog and its form, the token
//! endpoint, revocation, introspection, metadata, and races.

use std::sync::Barrier;
use std::time::Duration;

use crate::support::standard::{
    self, CALLBACK, CHALLENGE, ISSUER, SECRET, VERIFIER, answer_dialog, basic, code, decide, encode,
    get_dialog, get_secure, pairs, parameter, post_form, redemption, refresh, request_of, sealed_of,
    session_of, tokens, tokens_of,
};
use crate::support::{self, Answer, TestServer};
use oauth_from_scratch::crypto::keyring::Keyring;
use oauth_from_scratch::oauth::question::Question;
use oauth_from_scratch::oauth::{GrantId, Timestamp};
use serde_json::json;

// The authorization endpoint ---------------------------------------------------

#[test]
fn a_valid_request_gets_a_dialog_then_code_state_and_issuer() {
    let server = standard::start();
    let dialog = get_dialog(&server, &request_of("app", CALLBACK), None);
    assert_eq!(dialog.status, 200);
    let text = dialog.text();
    for words in [
        "Authorize The App?",
        "<li>Read the secret answer. <code>answer</code></li>",
        "<code>https://app.example</code>",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("question") && !text.contains("{{"), "{text}");
    let policy = dialog.field("content-security-policy").unwrap();
    assert!(!policy.contains("form-action"), "it would hold the hops after the callback: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(dialog.field("cache-control"), Some("no-store"));

    let location = decide(&server, &request_of("app", CALLBACK), "authorize");
    assert!(location.starts_with("https://app.example/callback?code="), "{location}");
    assert_eq!(parameter(&location, "state"), Some("s+t%26a%3Dte"));
    assert_eq!(parameter(&location, "iss"), Some(&*encode(ISSUER)));
    let location = decide(&server, &request_of("app", CALLBACK), "refuse");
    assert_eq!(parameter(&location, "error"), Some("access_denied"));
    assert_eq!(parameter(&location, "state"), Some("s+t%26a%3Dte"));
    assert_eq!(parameter(&location, "iss"), Some(&*encode(ISSUER)));
    assert_eq!(parameter(&location, "code"), None);
}

#[test]
fn both_names_of_the_dialog_are_the_same_endpoint() {
    let server = standard::start();
    let query = request_of("app", CALLBACK);
    let answer = server.answer_to(&format!("GET /oauth-dialog.html?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert!(answer.text().contains("Authorize The App?"));
}

#[test]
fn an_unknown_client_or_redirect_uri_is_never_redirected() {
    let server = standard::start();
    let check = |query: &str, reason: &str| {
        let answer = get_dialog(&server, query, None);
        assert_eq!((answer.status, answer.field("location")), (400, None), "{query}");
        let is_unknown = reason == "not that of a registered client";
        let title =
            if is_unknown { "This server does not know this app" } else { "This app cannot be authorized" };
        assert!(answer.text().contains(title), "{query}");
        assert!(!answer.text().contains("evil"), "{query}");
        assert!(!answer.text().contains(reason), "the exact reason is for the log");
        let log = server.log.lines().join("\n");
        assert!(log.contains(reason), "{query}: {log}");
    };
    let good = request_of("app", CALLBACK);
    check("", "the client_id is missing");
    check("response_type=code", "the client_id is missing");
    check("client_id=", "the client_id is missing");
    check(&good.replace("client_id=app", "client_id=unknown"), "not that of a registered client");
    check(&good.replace("client_id=app", "client_id=oauth-test-app"), "not that of a registered client");
    check(&good.replace("client_id=app", "client_id=app%00"), "not that of a registered client");
    check(&good.replace("client_id=app", "client_id=%ff"), "not that of a registered client");
    check(&format!("{good}&client_id=app"), "the client_id appears more than once");
    check(&format!("{good}&redirect_uri={}", encode(CALLBACK)), "the redirect_uri appears more than once");
    check(
        &good.replace("callback", "callback%2F"),
        "redirect_uri differs from the registered one at byte 29: …e/callback/ is not …e/callback",
    );
    check(
        &good.replace("app.example", "evil.example"),
        "redirect_uri differs from the registered one at byte 9",
    );
    check(&request_of("app", "javascript:alert(1)"), "differs from the registered one at byte 1");
    check(&request_of("two", ""), "the redirect_uri is missing, and the client has more than one");
    check(&request_of("robot", CALLBACK), "the client has no redirect URI");
}

#[test]
fn every_other_error_is_sent_to_the_client_by_a_redirect() {
    let server = standard::start();
    let good = request_of("app", CALLBACK);
    let check = |query: &str, error: &str, words: &str| {
        let answer = get_dialog(&server, query, None);
        assert_eq!(answer.status, 302, "{query}: {}", answer.text());
        let location = answer.field("location").unwrap();
        assert!(location.starts_with("https://app.example/callback?error="), "{location}");
        assert_eq!(parameter(location, "error"), Some(error), "{location}");
        assert_eq!(parameter(location, "iss"), Some(&*encode(ISSUER)));
        let description = parameter(location, "error_description").unwrap().replace('+', " ");
        assert!(description.contains(words), "{description}");
        assert_eq!(parameter(location, "code"), None);
        location.to_owned()
    };
    let without = |part: &str| good.replace(part, "");
    let location = check(&without("response_type=code"), "invalid_request", "the response_type is missing");
    assert_eq!(parameter(&location, "state"), Some("s+t%26a%3Dte"));
    check(&good.replace("type=code", "type=token"), "unsupported_response_type", "response_type is not code");
    check(&good.replace("type=code", "type=code+token"), "unsupported_response_type", "not code");
    check(
        &without(&format!("&code_challenge={CHALLENGE}&code_challenge_method=S256")),
        "invalid_request",
        "code_challenge is missing",
    );
    check(&without(&format!("&code_challenge={CHALLENGE}")), "invalid_request", "no code_challenge");
    check(&without("&code_challenge_method=S256"), "invalid_request", "would mean plain");
    check(&good.replace("S256", "plain"), "invalid_request", "is not S256");
    check(&good.replace("S256", ""), "invalid_request", "would mean plain");
    check(&good.replace(CHALLENGE, "short"), "invalid_request", "is not 43 to 128 characters");
    check(&good.replace(CHALLENGE, &format!("{}%2B", &CHALLENGE[1..])), "invalid_request", "43 to 128");
    check(&good.replace("scope=answer", "scope=other"), "invalid_scope", "not registered for the scope other");
    check(&good.replace("scope=answer", "scope=answer+x"), "invalid_scope", "not registered for the scope x");
    check(&good.replace("scope=answer", "scope=%22"), "invalid_scope", "an invalid character");
    check(&good.replace("scope=answer", "scope=%ff"), "invalid_scope", "an invalid character");
    for name in ["response_type", "scope", "code_challenge", "code_challenge_method"] {
        check(&format!("{good}&{name}=x"), "invalid_request", &format!("{name} appears more than once"));
    }
    let location = check(&format!("{good}&state=x"), "invalid_request", "state appears more than once");
    assert_eq!(parameter(&location, "state"), None, "which of the two would it be?");
}

/// `robot` may act for itself alone, and here it has a redirect URI all the same.
#[test]
fn a_client_not_registered_for_codes_gets_and_redeems_none() {
    let server = standard::start_with(|config| {
        let app = config.clients.iter().find(|client| &*client.id == "app").expect("the app").clone();
        let robot = config.clients.iter_mut().find(|client| &*client.id == "robot").expect("the robot");
        robot.redirect_uris = app.redirect_uris;
    });
    let query = request_of("robot", CALLBACK).replace("scope=answer", "scope=other");
    let answer = get_dialog(&server, &query, None);
    assert_eq!(answer.status, 302, "no dialog is shown: {}", answer.text());
    let location = answer.field("location").expect("a Location");
    assert!(location.starts_with("https://app.example/callback?error="), "{location}");
    assert_eq!(parameter(location, "error"), Some("unauthorized_client"));
    assert_eq!(parameter(location, "state"), Some("s+t%26a%3Dte"));
    let form = redemption(&"A".repeat(64)).replace("client_id=app&", "");
    let answer = post_form(&server, "/token", &basic("robot", SECRET), &form);
    assert_refused(&answer, 400, "unauthorized_client", "the token endpoint");
}

#[test]
fn empty_and_unknown_parameters_are_ignored() {
    let server = standard::start();
    // A space names no scope either (RFC 6749, 3.3).
    for scope in ["", "+", "%20%20"] {
        let query = request_of("app", CALLBACK)
            .replace("scope=answer", &format!("scope={scope}"))
            .replace("state=s+t%26a%3Dte", "state=");
        let query = format!("{query}&nonce=x&nonce=y&prompt=none&audience=a&audience=b");
        let location = decide(&server, &query, "authorize");
        assert_eq!(parameter(&location, "state"), None);
        let answer = post_form(&server, "/token", "", &redemption(parameter(&location, "code").unwrap()));
        assert_eq!(answer.json()["scope"], "answer question", "all of the client's");
        let form = format!("{}&scope={scope}", refresh(&tokens_of(&answer).1));
        assert_eq!(post_form(&server, "/token", "", &form).json()["scope"], "answer question", "{scope:?}");
    }
}

/// Clients of OpenID Connect and MCP ask for it, and for the dialog, to have a refresh token.
#[test]
fn offline_access_is_accepted_and_gives_no_access() {
    let server = standard::start();
    let check = |asked: &str, expected: &str| {
        let query = request_of("app", CALLBACK).replace("scope=answer", &format!("scope={asked}"));
        let location = decide(&server, &format!("{query}&prompt=consent"), "authorize");
        let answer = post_form(&server, "/token", "", &redemption(parameter(&location, "code").unwrap()));
        assert_eq!(answer.json()["scope"], expected, "{asked}");
        let (_, refresh_token) = tokens_of(&answer);
        let form = format!("{}&scope={asked}", refresh(&refresh_token));
        assert_eq!(post_form(&server, "/token", "", &form).json()["scope"], expected, "{asked}");
    };
    check("answer+offline_access", "answer");
    check("offline_access+answer+question", "answer question");
    check("offline_access", "answer question");
    let query = request_of("app", CALLBACK).replace("scope=answer", "scope=answer+offline_access");
    assert!(!get_dialog(&server, &query, None).text().contains("offline_access"));
    let query = request_of("app", CALLBACK).replace("scope=answer", "scope=offline_access+x");
    let refused = get_dialog(&server, &query, None);
    assert!(refused.field("location").is_some_and(|location| location.contains("error=invalid_scope")));
}

#[test]
fn state_comes_back_byte_for_byte_whatever_it_holds() {
    let server = standard::start();
    for state in [
        "%00",
        "%0A",
        "%0D%0A%0D%0AX%3A+y",
        "%FF%FE%C3",
        "%22%27%3C%2Fform%3E%26amp%3B",
        "%E2%82%AC",
        "%25zz",
        "+%2B",
        "%C3%28",
        &"x".repeat(4000),
    ] {
        let query = request_of("app", CALLBACK).replace("state=s+t%26a%3Dte", &format!("state={state}"));
        for decision in ["authorize", "refuse"] {
            let location = decide(&server, &query, decision);
            assert_eq!(parameter(&location, "state"), Some(state), "{location}");
        }
    }
}

#[test]
fn a_native_app_uses_any_port_and_its_code_is_bound_to_it() {
    let server = standard::start();
    for uri in ["http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback", "http://[::1]:51234/callback"]
    {
        let location = decide(&server, &request_of("native", uri), "authorize");
        assert!(location.starts_with(&format!("{uri}?code=")), "{location}");
        let redeem = |uri: &str| {
            let code = code(&server, "native", "http://127.0.0.1:51234/callback");
            post_form(
                &server,
                "/token",
                "",
                &redemption(&code)
                    .replace(&encode(CALLBACK), &encode(uri))
                    .replace("client_id=app", "client_id=native"),
            )
        };
        assert_eq!(redeem("http://127.0.0.1:51234/callback").status, 200);
        assert_eq!(redeem("http://127.0.0.1:51235/callback").json()["error"], "invalid_grant");
    }
    for uri in [
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://localhost:80/callback",
        "http://127.0.0.1:80/other",
    ] {
        assert_eq!(get_dialog(&server, &request_of("native", uri), None).status, 400, "{uri}");
    }
}

#[test]
fn a_redirect_uri_with_a_query_keeps_it() {
    let server = standard::start();
    let uri = "https://shop.example/callback?tenant=1";
    let location = decide(&server, &request_of("shop", uri), "authorize");
    assert!(location.starts_with(&format!("{uri}&code=")), "{location}");
    let dialog = get_dialog(&server, &request_of("shop", uri), None);
    assert!(dialog.text().contains("Authorize The &lt;Shop&gt;?"), "everything in the dialog is escaped");
}

// The dialog's form --------------------------------------------------------------

#[test]
fn the_form_works_once_in_the_browser_that_was_shown_it() {
    let server = standard::start();
    let query = request_of("app", CALLBACK);
    let dialog = get_dialog(&server, &query, None);
    let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
    let cookie = dialog.field("set-cookie").unwrap();
    assert!(
        cookie.starts_with("oauth-session-")
            && cookie.ends_with("; Path=/; Max-Age=1200; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let again = get_dialog(&server, &query, Some(&session));
    assert_eq!(again.field("set-cookie"), Some(cookie), "a browser that has a session keeps it, for longer");
    assert_ne!(sealed_of(&again), sealed);

    let refused = |answer: &Answer, status: u16, words: &str| {
        assert_eq!((answer.status, answer.field("location")), (status, None), "{words}");
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
    };
    let (foreign, old) = ("This form came from another site", "This form is too old");
    let other_session = session_of(&get_dialog(&server, &query, None));
    refused(&answer_dialog(&server, &other_session, &sealed, "authorize"), 400, old);
    refused(
        &post_form(&server, "/code", "", &pairs(&[("request", &sealed), ("decision", "authorize")])),
        403,
        "This browser sent no cookie",
    );
    refused(&answer_dialog(&server, "oauth-session=x", &sealed, "authorize"), 403, "no cookie");
    let mut altered = sealed.clone().into_bytes();
    let at = altered.len() - 3;
    altered[at] ^= 1;
    let altered = String::from_utf8(altered).unwrap();
    refused(&answer_dialog(&server, &session, &altered, "authorize"), 400, old);
    refused(&answer_dialog(&server, &session, "x", "authorize"), 400, old);
    refused(&answer_dialog(&server, &session, &sealed, ""), 400, "This form is incomplete");
    refused(&answer_dialog(&server, &session, &sealed, "yes"), 400, "This form is incomplete");
    refused(&answer_dialog(&server, &session, "", "authorize"), 400, "This form is incomplete");
    let cross = format!("Cookie: {session}\r\nSec-Fetch-Site: same-site\r\n");
    refused(
        &post_form(&server, "/code", &cross, &pairs(&[("request", &sealed), ("decision", "authorize")])),
        403,
        foreign,
    );

    assert_eq!(answer_dialog(&server, &session, &sealed, "authorize").status, 302, "none of them spent it");
    refused(&answer_dialog(&server, &session, &sealed, "refuse"), 400, "answered before");
    let sealed = sealed_of(&again);
    assert_eq!(answer_dialog(&server, &session, &sealed, "refuse").status, 302);
    refused(&answer_dialog(&server, &session, &sealed, "authorize"), 400, "answered before");
}

/// Where the page's link called `words` leads, as a path and query of this server.
fn link_of(answer: &Answer, words: &str) -> String {
    let (before, _) = answer
        .text()
        .split_once(&format!("\">{words}</a>"))
        .unwrap_or_else(|| panic!("a link {words}: {}", answer.text()));
    let (_, address) = before.rsplit_once("href=\"").expect("an address");
    let address = address.replace("&amp;", "&").replace("&#39;", "'").replace("&quot;", "\"");
    address.strip_prefix(ISSUER).unwrap_or(&address).to_owned()
}

/// Whether the page's "Start again" asks the request in `query` again, and its form works.
fn assert_starts_again(server: &TestServer, answer: &Answer, query: &str) {
    assert_eq!(answer.field("location"), None);
    let link = link_of(answer, "Start again");
    assert_eq!(link, format!("/authorize?{query}"));
    let dialog = server.answer_to(&format!("GET {link} HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert!(dialog.text().contains("Authorize The App?"), "{}", dialog.text());
    let answer = answer_dialog(server, &session_of(&dialog), &sealed_of(&dialog), "authorize");
    assert_eq!(answer.status, 302);
}

#[test]
fn a_repeated_answer_gets_the_same_redirect_until_redeemed() {
    let server = standard::start();
    let query = request_of("app", CALLBACK);
    let answer_twice = |decision: &str| {
        let dialog = get_dialog(&server, &query, None);
        let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
        let first = answer_dialog(&server, &session, &sealed, decision);
        let second = answer_dialog(&server, &session, &sealed, decision);
        assert_eq!((first.status, second.status), (302, 302));
        assert_eq!(first.field("location"), second.field("location"), "{decision}");
        (session, sealed, first.field("location").unwrap().to_owned())
    };
    let (.., location) = answer_twice("refuse");
    assert_eq!(parameter(&location, "error"), Some("access_denied"));

    let (session, sealed, location) = answer_twice("authorize");
    let code = parameter(&location, "code").unwrap();
    let other = session_of(&get_dialog(&server, &query, None));
    let answer = answer_dialog(&server, &other, &sealed, "authorize");
    assert_eq!((answer.status, answer.field("location")), (400, None), "another browser gets nothing");
    assert_eq!(post_form(&server, "/token", "", &redemption(code)).status, 200);
    let answer = answer_dialog(&server, &session, &sealed, "authorize");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("This form was answered before"), "{}", answer.text());
    assert_eq!(link_of(&answer, "Go to the app"), "https://app.example/");
    assert_starts_again(&server, &answer, &query);

    // A code that is not redeemed stays the same until its minute is over, and no longer.
    let (session, sealed, location) = answer_twice("authorize");
    server.wait(Duration::from_millis(59_999));
    let answer = answer_dialog(&server, &session, &sealed, "authorize");
    assert_eq!(answer.field("location"), Some(&*location));
    server.wait(Duration::from_millis(1));
    assert_starts_again(&server, &answer_dialog(&server, &session, &sealed, "authorize"), &query);
}

#[test]
fn all_dialogs_open_at_once_in_one_browser_stay_valid() {
    let server = standard::start();
    let query = request_of("app", CALLBACK);
    for count in [3, 16] {
        // None of the answers has arrived when the last request leaves.
        let dialogs: Vec<Answer> = (0..count).map(|_| get_dialog(&server, &query, None)).collect();
        // A browser keeps one value for each name.
        let mut cookies: Vec<String> = dialogs.iter().map(session_of).collect();
        let stranger = session_of(&get_dialog(&server, &query, None));
        let mut names: Vec<&str> = cookies.iter().map(|pair| pair.split('=').next().unwrap()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "none overwrites another");
        let answer = answer_dialog(&server, &stranger, &sealed_of(&dialogs[0]), "authorize");
        assert_eq!((answer.status, answer.field("location")), (400, None), "another browser");
        // In whichever order it sends them.
        for dialog in &dialogs {
            for _ in 0..2 {
                cookies.reverse();
                let answer = answer_dialog(&server, &cookies.join("; "), &sealed_of(dialog), "authorize");
                assert_eq!(answer.status, 302, "{}", answer.text());
            }
        }
    }
    // Those past the bound are old: they can be asked again.
    let dialogs: Vec<Answer> = (0..17).map(|_| get_dialog(&server, &query, None)).collect();
    let cookies: Vec<String> = dialogs.iter().map(session_of).collect();
    let answer = answer_dialog(&server, &cookies.join("; "), &sealed_of(&dialogs[0]), "authorize");
    assert_starts_again(&server, &answer, &query);
    // A browser that was shown a form by an older version of this server has its session under the bare name.
    let dialog = get_dialog(&server, &query, None);
    let session = session_of(&dialog);
    let (_, value) = session.split_once('=').unwrap();
    let bare = format!("oauth-session={value}");
    assert_eq!(answer_dialog(&server, &bare, &sealed_of(&dialog), "authorize").status, 302);
    let other_name = format!("oauth-sessions={value}");
    assert_eq!(answer_dialog(&server, &other_name, &sealed_of(&dialog), "authorize").status, 403);
}

#[test]
fn a_form_lives_ten_minutes() {
    let server = standard::start();
    let query = request_of("app", CALLBACK);
    let dialog = get_dialog(&server, &query, None);
    let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
    server.wait(Duration::from_millis(600_000 - 1));
    assert_eq!(answer_dialog(&server, &session, &sealed, "authorize").status, 302);
    let dialog = get_dialog(&server, &query, None);
    server.wait(Duration::from_secs(600));
    let check = |fields: &str| {
        let form = pairs(&[("request", &sealed_of(&dialog)), ("decision", "authorize")]);
        let answer = post_form(&server, "/code", fields, &form);
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("This form is too old"), "{fields}: {}", answer.text());
        assert_starts_again(&server, &answer, &query);
    };
    check(&format!("Cookie: {}\r\n", session_of(&dialog)));
    // By then the browser has forgotten its cookie.
    check("");
}

#[test]
fn a_form_that_does_not_open_is_old_and_can_be_asked_again() {
    let server = standard::start();
    let query = request_of("app", CALLBACK);
    let dialog = get_dialog(&server, &query, None);
    let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
    let other_session = session_of(&get_dialog(&server, &query, None));
    // A server that was started again, with grants in memory, has another key.
    let question = Question {
        grant: GrantId::new([9; 15]),
        expires: Timestamp::from_milliseconds(1_767_225_600_000 + 600_000),
        document: None,
        query: query.clone(),
    };
    let (_, value) = session.split_once('=').unwrap();
    let other_key = question.seal(&Keyring::new(&[9; 32]), value);
    for (session, sealed) in [(&other_session, &sealed), (&session, &other_key)] {
        let answer = answer_dialog(&server, session, sealed, "authorize");
        assert_eq!((answer.status, answer.field("location")), (400, None));
        assert!(answer.text().contains("This form is too old"), "{}", answer.text());
        assert_starts_again(&server, &answer, &query);
    }
    let answer = post_form(&server, "/code", "", &pairs(&[("request", &sealed), ("decision", "authorize")]));
    assert_eq!(answer.status, 403, "without a cookie");
    assert_starts_again(&server, &answer, &query);
    // What is not a request of ours is not linked to, and nothing of it is in the page.
    for sealed in ["x", &"A".repeat(200), "%22%3E%3Cscript%3E"] {
        let answer = answer_dialog(&server, &session, sealed, "authorize");
        assert_eq!(answer.status, 400);
        assert!(!answer.text().contains("/authorize?") && !answer.text().contains("<script"), "{sealed}");
        assert!(link_of(&answer, "About this server").ends_with('/'));
    }
    // A name that is not this server's own leads to its own.
    let form = pairs(&[("request", &sealed), ("decision", "authorize")]);
    let answer = server.answer_to(&format!(
        "POST /code HTTP/1.1\r\nHost: alias.example\r\nCookie: {session}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    ));
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains(&format!("href=\"{ISSUER}/authorize?")), "{}", answer.text());
    assert_starts_again(&server, &answer, &query);
}

#[test]
fn every_error_page_names_its_server_and_leads_on() {
    let check = |explains: bool| {
        let server = standard::start_with(|config| config.explains_errors = explains);
        let query = request_of("app", CALLBACK);
        let dialog = get_dialog(&server, &query, None);
        let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
        let get = |path: &str| server.answer_to(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let evil = "Sec-Fetch-Site: cross-site\r\n";
        let pages = [
            (get("/nothing"), None),
            (get("/code"), None),
            (get("/authorize?client_id=unknown"), Some("not that of a registered client")),
            (post_form(&server, "/code", evil, ""), Some("Sec-Fetch-Site says that another site")),
            (post_form(&server, "/code", "", ""), Some("the form has no request")),
            (answer_dialog(&server, "a=b", &sealed, "authorize"), Some("no session cookie")),
            (answer_dialog(&server, &session, "x", "authorize"), Some("was not made here for this browser")),
            (answer_dialog(&server, &session, &sealed, "yes"), Some("neither authorize nor refuse")),
        ];
        for (page, reason) in pages {
            let text = page.text();
            assert!(page.status >= 400 && page.field("content-type") == Some("text/html; charset=utf-8"));
            let speaker = format!("<strong>Authorization server</strong> <code>{ISSUER}</code>");
            assert!(text.contains(&speaker), "{text}");
            assert!(text.contains("<p class=\"buttons\"><a class=\"button\" href=\""), "a way on: {text}");
            let (visible, details) = text.split_once("<details>").unwrap_or((text, ""));
            let Some(reason) = reason else { continue };
            assert!(!visible.contains(reason), "{reason}");
            assert_eq!(details.contains(reason), explains, "{reason}: {text}");
        }
    };
    check(true);
    check(false);
    let demo = TestServer::start();
    let page = demo.connect_to_client_app().answer_to("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(page.text().contains("<strong>Client app</strong>"), "{}", page.text());
    assert!(page.text().contains("Go to the client app"));
}

#[test]
fn an_answered_form_stays_answered_after_its_code_is_gone() {
    let server = standard::start();
    let dialog = get_dialog(&server, &request_of("app", CALLBACK), None);
    let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
    assert_eq!(answer_dialog(&server, &session, &sealed, "authorize").status, 302);
    server.wait(Duration::from_secs(300));
    for _ in 0..20 {
        code(&server, "app", CALLBACK);
    }
    assert_eq!(answer_dialog(&server, &session, &sealed, "authorize").status, 400);
}

/// The store forgets the mark of the first answer while the clock is ahead.
#[test]
fn an_answered_form_stays_answered_when_the_clock_moves() {
    for workers in [1, 2] {
        let server = standard::start_with(|config| config.workers = workers);
        let query = request_of("app", CALLBACK);
        let dialog = get_dialog(&server, &query, None);
        let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
        assert_eq!(answer_dialog(&server, &session, &sealed, "authorize").status, 302);
        server.set_clock_ahead(Duration::from_secs(605));
        for _ in 0..20 {
            code(&server, "app", CALLBACK);
        }
        server.set_clock_ahead(Duration::ZERO);
        for _ in 0..4 {
            assert_eq!(answer_dialog(&server, &session, &sealed, "authorize").status, 400);
        }
        // What is made now lives as long as ever.
        let dialog = get_dialog(&server, &query, None);
        let (session, sealed) = (session_of(&dialog), sealed_of(&dialog));
        server.wait(Duration::from_secs(599));
        assert_eq!(answer_dialog(&server, &session, &sealed, "authorize").status, 302);
        let log = server.log.lines();
        let is_told =
            |line: &String| line.starts_with("the machine's clock was set back: it is 605 seconds behind");
        assert_eq!(log.iter().filter(|line| is_told(line)).count(), 1, "{log:?}");
    }
}

#[test]
fn a_form_keeps_the_lifetime_that_it_was_made_with() {
    let server = standard::start();
    let dialogs = [(); 2].map(|()| get_dialog(&server, &request_of("app", CALLBACK), None));
    let answer =
        |dialog: &Answer, decision| answer_dialog(&server, &session_of(dialog), &sealed_of(dialog), decision);
    assert_eq!(answer(&dialogs[0], "refuse").status, 302);
    server.reload(|config| config.lifetimes.form = Duration::from_secs(60));
    server.wait(Duration::from_secs(599));
    assert_eq!(answer(&dialogs[1], "authorize").status, 302, "it was to live ten minutes");
    // The store forgets that the first one was answered.
    server.wait(Duration::from_secs(3));
    server.reload(|config| config.lifetimes.form = Duration::from_secs(3600));
    for _ in 0..20 {
        code(&server, "app", CALLBACK);
    }
    let answer = answer(&dialogs[0], "authorize");
    assert_eq!((answer.status, answer.field("location")), (400, None));
    assert!(answer.text().contains("This form is too old"), "{}", answer.text());
}

#[test]
fn a_dialog_that_nobody_answers_costs_no_memory() {
    let server = standard::start_with(|config| config.limits.store.grants_max = 2);
    for _ in 0..50 {
        assert_eq!(get_dialog(&server, &request_of("app", CALLBACK), None).status, 200);
    }
    code(&server, "app", CALLBACK);
}

#[test]
fn a_full_store_is_told_to_the_client_by_a_redirect() {
    let server = standard::start_with(|config| config.limits.store.grants_max = 1);
    code(&server, "app", CALLBACK);
    let location = decide(&server, &request_of("app", CALLBACK), "authorize");
    assert_eq!(parameter(&location, "error"), Some("temporarily_unavailable"));
    assert_eq!(parameter(&location, "state"), Some("s+t%26a%3Dte"));
    assert_eq!(parameter(&location, "iss"), Some(&*encode(ISSUER)));
}

#[test]
fn a_flood_of_one_client_leaves_another_served() {
    let server = standard::start_with(|config| config.limits.store.grants_max = 40);
    for _ in 0..100 {
        // Forms that were shown in the same millisecond have no order.
        server.wait(Duration::from_millis(1));
        code(&server, "app", CALLBACK);
        decide(&server, &request_of("app", CALLBACK), "refuse");
    }
    for _ in 0..10 {
        code(&server, "native", "http://127.0.0.1/callback");
    }
}

#[test]
fn a_client_without_a_scope_is_asked_about_all_the_same() {
    let server = standard::start();
    let query = request_of("two", "https://two.example/1").replace("scope=answer&", "");
    let dialog = get_dialog(&server, &query, None);
    assert!(dialog.text().contains("<li>This app gets no access to your data.</li>"), "{}", dialog.text());
    let location = decide(&server, &query, "authorize");
    let form = redemption(parameter(&location, "code").unwrap()).replace("client_id=app", "client_id=two");
    let form = form.replace(&encode(CALLBACK), &encode("https://two.example/1"));
    let answer = post_form(&server, "/token", "", &form).json();
    assert_eq!(answer["scope"], "", "the scope is always stated");
    let token = pairs(&[("token", answer["access_token"].as_str().expect("a token"))]);
    let described = post_form(&server, "/introspect", &basic("gate", SECRET), &token).json();
    assert_eq!((&described["active"], described.get("scope")), (&json!(true), None), "{described}");
}

#[test]
fn a_configured_server_has_no_demo_client() {
    let server = standard::start();
    let host = server.host();
    let answer = server.answer_to(&format!("POST /code HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!((answer.status, answer.field("location")), (400, None));
    let answer = server.answer_to(&support::token_request(&"A".repeat(64)));
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
    assert!(
        server.addresses.iter().all(|(role, _)| *role == oauth_from_scratch::routes::Role::AuthorizationServer)
    );
    assert!(!server.answer_to("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text().contains("client app"));
}

#[test]
fn a_configured_servers_demo_client_has_only_the_demos_scopes() {
    let server = standard::start_with(|config| config.client_port = Some(0));
    let dialog = server.answer_to("GET /oauth-dialog.html HTTP/1.1\r\nHost: h\r\n\r\n");
    let text = dialog.text();
    assert!(text.contains("<code>answer</code>") && text.contains("<code>question</code>"), "{text}");
    assert!(!text.contains("<code>other</code>"), "{text}");
    let answer = server.answer_to(&support::token_request(&server.code()));
    assert_eq!(answer.json()["scope"], "answer question");
    let query = request_of("oauth-test-app", "").replace("scope=answer", "scope=other");
    let answer = get_dialog(&server, &query.replace("redirect_uri=&", ""), None);
    assert_eq!(parameter(answer.field("location").expect("a redirect"), "error"), Some("invalid_scope"));
    // The script asks for what the configuration is held to.
    let script = include_str!("../../www/client-app/client-app.js");
    assert!(script.contains(&format!("scope: '{}',", oauth_from_scratch::routes::DEMO_SCOPES[0].0)));
}

#[test]
fn the_index_page_promises_the_answer_only_with_the_demo() {
    let page = |server: &TestServer| server.answer_to("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text().to_owned();
    let configured = page(&standard::start());
    assert!(!configured.contains("secret answer") && !configured.contains("{{"), "{configured}");
    assert!(configured.contains("It lets an app act on your behalf only when you have"), "{configured}");
    let demo = page(&TestServer::start());
    assert!(demo.contains("It keeps a secret answer") && demo.contains("gets the secret answer."), "{demo}");
}

#[test]
fn behind_tls_the_cookie_is_secure_and_the_issuers_path_kept() {
    let server = standard::start_with(|config| {
        config.issuer = oauth_from_scratch::oauth::issuer::Issuer::parse("https://auth.example/t").ok();
    });
    let query = request_of("app", CALLBACK);
    let dialog = server.answer_to(&format!("GET /t/authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let cookie = dialog.field("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("__Host-oauth-session-") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(dialog.text().contains("action=\"/t/code\"") && dialog.text().contains("href=\"/t/style.css\""));
    let form = pairs(&[("request", &sealed_of(&dialog)), ("decision", "authorize")]);
    let session = session_of(&dialog);
    let answer = server.answer_to(&format!(
        "POST /t/code HTTP/1.1\r\nHost: auth.example\r\nOrigin: https://auth.example\r\nCookie: {session}\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    ));
    assert_eq!(parameter(answer.field("location").unwrap(), "iss"), Some("https%3A%2F%2Fauth.example%2Ft"));
    for path in ["/.well-known/oauth-authorization-server/t", "/t/.well-known/oauth-authorization-server"] {
        let metadata = server.answer_to(&format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n")).json();
        assert_eq!(metadata["issuer"], "https://auth.example/t", "{path}");
        assert_eq!(metadata["token_endpoint"], "https://auth.example/t/token");
    }
    assert_eq!(server.answer_to("GET /t/style.css HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    assert_eq!(server.answer_to("GET /tstyle.css HTTP/1.1\r\nHost: h\r\n\r\n").status, 404);
}

/// A proxy writes the Host as it likes, and browsers write the issuer's origin as URLs have it.
#[test]
fn the_form_is_accepted_however_the_proxy_spells_the_host() {
    for issuer in ["https://auth.example", "https://Auth.Example:443", "HTTPS://auth.example"] {
        let server = standard::start_with(|config| {
            config.issuer = oauth_from_scratch::oauth::issuer::Issuer::parse(issuer).ok();
        });
        let click = |host: &str, fields: &str| {
            let query = request_of("app", CALLBACK);
            let dialog = server.answer_to(&format!("GET /authorize?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let form = pairs(&[("request", &sealed_of(&dialog)), ("decision", "authorize")]);
            let (session, length) = (session_of(&dialog), form.len());
            server.answer_to(&format!(
                "POST /code HTTP/1.1\r\nHost: {host}\r\n{fields}Cookie: {session}\r\nContent-Length: {length}\r\n\r\n\
                 {form}"
            ))
        };
        for host in ["auth.example", "auth.example:443", "AUTH.EXAMPLE", "auth.example:"] {
            for fields in ["", "Sec-Fetch-Site: same-origin\r\n", "Origin: https://auth.example\r\n"] {
                let answer = click(host, fields);
                assert_eq!(answer.status, 302, "{issuer} {host} {fields}");
                assert!(parameter(answer.field("location").unwrap(), "code").is_some());
            }
        }
        for host in ["auth.example:80", "auth.example:3001", "evil.example:443"] {
            assert_eq!(click(host, "Sec-Fetch-Site: same-origin\r\n").status, 403, "{issuer} {host}");
        }
        assert_eq!(click("auth.example", "Origin: https://auth.example:8443\r\n").status, 403, "{issuer}");
    }
}

// The token endpoint -------------------------------------------------------------

fn assert_refused(answer: &Answer, status: u16, error: &str, case: &str) {
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (status, Some(error)),
        "{case}: {}",
        answer.text()
    );
    let description = answer.json()["error_description"].as_str().unwrap().to_owned();
    assert!(
        description.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\'),
        "{description}"
    );
    assert_eq!(answer.field("cache-control"), Some("no-store"), "{case}");
    let challenge = answer.field("www-authenticate");
    assert_eq!(challenge.is_some_and(|challenge| challenge.starts_with("Basic ")), status == 401, "{case}");
    assert!(!answer.text().contains("access_token"), "{case}");
}

#[test]
fn a_code_is_redeemed_for_tokens_with_all_that_clients_look_for() {
    let server = standard::start();
    let answer = post_form(&server, "/token", "", &redemption(&code(&server, "app", CALLBACK)));
    let json = answer.json();
    assert_eq!(json["token_type"], "Bearer");
    assert!(json["expires_in"].is_u64());
    assert_eq!(json["scope"], "answer");
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    let (access, refresh_token) = tokens_of(&answer);
    assert_eq!(get_secure(&server, &access).text(), r#"{"answer":42}"#);
    assert_eq!(get_secure(&server, &refresh_token).status, 401);
    for token in [access, refresh_token] {
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
    }
}

#[test]
fn a_code_is_bound_to_its_client_redirect_uri_and_verifier() {
    let server = standard::start();
    let check = |change: &dyn Fn(&str) -> String, error: &str, status: u16, is_burnt: bool| {
        let code = code(&server, "app", CALLBACK);
        let form = redemption(&code);
        let changed = change(&form);
        assert_ne!(changed, form);
        assert_refused(&post_form(&server, "/token", "", &changed), status, error, &changed);
        let answer = post_form(&server, "/token", "", &form);
        assert_eq!(answer.status, if is_burnt { 400 } else { 200 }, "{changed}");
    };
    let replaced = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |form: &str| form.replace(&from, &to)
    };
    check(&replaced(VERIFIER, &"a".repeat(43)), "invalid_grant", 400, true);
    check(&replaced(&format!("&code_verifier={VERIFIER}"), ""), "invalid_grant", 400, true);
    check(&replaced(VERIFIER, ""), "invalid_grant", 400, true);
    check(&replaced(&encode(CALLBACK), &encode("https://app.example/callback/")), "invalid_grant", 400, true);
    // What is not even put right is no guess.
    check(&replaced(VERIFIER, "short"), "invalid_request", 400, false);
    check(&replaced(VERIFIER, &"%2B".repeat(43)), "invalid_request", 400, false);
    check(&replaced("client_id=app", "client_id=native"), "invalid_grant", 400, false);
    check(&replaced("client_id=app", "client_id=shop"), "invalid_client", 400, false);
    check(&replaced("client_id=app", "client_id=unknown"), "invalid_client", 400, false);
    check(&replaced("client_id=app&", ""), "invalid_client", 400, false);
    check(&replaced("client_id=app", "client_id=app&client_secret=x"), "invalid_client", 400, false);
    check(&replaced("client_id=app", "client_id=app&client_id=app"), "invalid_request", 400, false);
    check(&replaced("=authorization_code", "=client_credentials"), "unauthorized_client", 400, false);
    check(&replaced("=authorization_code", "=password"), "unsupported_grant_type", 400, false);
}

#[test]
fn a_redirect_uri_may_be_omitted_where_a_verifier_is_given() {
    let server = standard::start();
    for replacement in ["", "&redirect_uri="] {
        let form = redemption(&code(&server, "app", CALLBACK));
        let form = form.replace(&format!("&redirect_uri={}", encode(CALLBACK)), replacement);
        assert_eq!(post_form(&server, "/token", "", &form).status, 200, "{form}");
    }
    // And it may be left out of both, where the client has only one.
    let query = request_of("app", "").replace("redirect_uri=&", "");
    let location = decide(&server, &query, "authorize");
    let form = redemption(parameter(&location, "code").unwrap());
    assert_eq!(post_form(&server, "/token", "", &form).status, 200, "named, it is the one that was meant");
}

#[test]
fn only_a_valid_second_use_of_a_code_revokes_its_tokens() {
    let server = standard::start();
    let code = code(&server, "app", CALLBACK);
    let (access, first) = tokens_of(&post_form(&server, "/token", "", &redemption(&code)));
    let (second_access, second) = tokens_of(&post_form(&server, "/token", "", &refresh(&first)));
    let wrong = redemption(&code).replace(VERIFIER, &"a".repeat(43));
    assert_refused(&post_form(&server, "/token", "", &wrong), 400, "invalid_grant", "an invalid second use");
    assert_eq!(get_secure(&server, &access).status, 200, "a stolen code is no way to log people out");
    assert_refused(&post_form(&server, "/token", "", &redemption(&code)), 400, "invalid_grant", "a valid one");
    for token in [&access, &second_access] {
        assert_eq!(get_secure(&server, token).status, 401);
    }
    assert_refused(&post_form(&server, "/token", "", &refresh(&second)), 400, "invalid_grant", "all of it");
    let log = server.log.lines().join("\n");
    assert!(log.contains("the code was used before; its grant is revoked (RFC 6749, 4.1.2)"), "{log}");
}

#[test]
fn clients_authenticate_in_one_of_three_ways() {
    let server = standard::start();
    let own = "https://shop.example/callback?tenant=1";
    let check = |fields: &str, parameters: &[(&str, &str)], status: u16| {
        let code = code(&server, "shop", own);
        let mut all = vec![("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
        all.extend(parameters);
        let answer = post_form(&server, "/token", fields, &pairs(&all));
        match status {
            200 => assert_eq!(answer.status, 200, "{fields} {parameters:?}: {}", answer.text()),
            _ => assert_refused(&answer, status, "invalid_client", &format!("{fields} {parameters:?}")),
        }
    };
    let good = basic("shop", SECRET);
    check(&good, &[], 200);
    check(&good, &[("client_id", "shop")], 200);
    check(&good, &[("client_secret", "")], 200);
    check(&good.replace("Basic", "bASIC"), &[], 200);
    check("", &[("client_id", "shop"), ("client_secret", SECRET)], 200);
    check(&good, &[("client_id", "app")], 401);
    check(&basic("shop", "wrong"), &[], 401);
    check(&basic("shop", ""), &[], 401);
    check(&basic("unknown", SECRET), &[], 401);
    check("Authorization: Basic !\r\n", &[], 401);
    check("Authorization: Basic c2hvcA==\r\n", &[], 401);
    check("Authorization: Basic\r\n", &[], 401);
    check("Authorization: Bearer x\r\n", &[("client_id", "shop"), ("client_secret", SECRET)], 401);
    // A 401 to a request without Authorization would have a browser ask its user for a password.
    check("", &[("client_id", "shop"), ("client_secret", "wrong")], 400);
    check("", &[("client_id", "shop"), ("client_secret", "")], 400);
    check("", &[("client_id", "shop")], 400);
    check("", &[("client_secret", SECRET)], 400);
    check("", &[], 400);
    let twice = format!("{good}{good}");
    let answer = post_form(&server, "/token", &twice, &pairs(&[("grant_type", "client_credentials")]));
    assert_refused(&answer, 400, "invalid_request", "two Authorization lines");
}

#[test]
fn two_ways_of_authentication_at_once_are_invalid_everywhere() {
    let server = standard::start();
    let forms =
        [("/token", "grant_type=client_credentials"), ("/revoke", "token=x"), ("/introspect", "token=x")];
    for (path, form) in forms {
        for secret in [SECRET, "wrong"] {
            let form = format!("{form}&client_id=shop&client_secret={}", encode(secret));
            let answer = post_form(&server, path, &basic("shop", SECRET), &form);
            assert_refused(&answer, 400, "invalid_request", path);
        }
        let answer = post_form(&server, path, "", &format!("{form}&client_id=shop&client_secret=wrong"));
        assert_refused(&answer, 400, "invalid_client", path);
        let answer = post_form(&server, path, &basic("shop", "wrong"), form);
        assert_refused(&answer, 401, "invalid_client", path);
    }
}

#[test]
fn a_public_client_is_known_by_its_name_alone() {
    let server = standard::start();
    let (_, token) = tokens(&server);
    // Some libraries send an empty secret; it counts as none.
    let form = format!("{}&client_secret=", refresh(&token));
    let (_, token) = tokens_of(&post_form(&server, "/token", "", &form));
    let form = pairs(&[("grant_type", "refresh_token"), ("refresh_token", &token)]);
    assert_eq!(post_form(&server, "/token", &basic("app", ""), &form).status, 200);
}

#[test]
fn a_refresh_token_is_rotated_and_a_retry_gets_the_same() {
    let server = standard::start();
    let (access, first) = tokens(&server);
    let answer = post_form(&server, "/token", "", &refresh(&first));
    assert_eq!((&answer.json()["scope"], &answer.json()["token_type"]), (&json!("answer"), &json!("Bearer")));
    let (second_access, second) = tokens_of(&answer);
    assert!(second != first && second_access != access);
    assert_eq!(get_secure(&server, &second_access).status, 200);
    server.wait(Duration::from_millis(9_999));
    let retried = post_form(&server, "/token", "", &refresh(&first));
    assert_eq!(tokens_of(&retried), (second_access.clone(), second.clone()));
    assert_eq!(retried.json()["expires_in"], 86_390, "what is left of its day");
    let (third_access, third) = tokens_of(&post_form(&server, "/token", "", &refresh(&second)));
    server.wait(Duration::from_secs(60));
    assert_refused(&post_form(&server, "/token", "", &refresh(&second)), 400, "invalid_grant", "reuse");
    assert_refused(
        &post_form(&server, "/token", "", &refresh(&third)),
        400,
        "invalid_grant",
        "the family ended",
    );
    assert_eq!(get_secure(&server, &third_access).status, 401);
    let log = server.log.lines().join("\n");
    assert!(log.contains("the refresh token was used before; its grant is revoked"), "{log}");
}

#[test]
fn a_refused_refresh_does_not_spend_the_token() {
    let server = standard::start();
    let (_, token) = tokens(&server);
    let check = |form: String, fields: &str, status: u16, error: &str| {
        assert_refused(&post_form(&server, "/token", fields, &form), status, error, &form);
    };
    let good = refresh(&token);
    check(good.replace("client_id=app", "client_id=native"), "", 400, "unauthorized_client");
    check(good.replace("client_id=app", "client_id=shop"), &basic("shop", SECRET), 400, "invalid_grant");
    check(good.replace("client_id=app", "client_id=shop"), "", 400, "invalid_client");
    check(format!("{good}&scope=answer+question"), "", 400, "invalid_scope");
    check(format!("{good}&scope=%22"), "", 400, "invalid_scope");
    check(format!("{good}&refresh_token=x"), "", 400, "invalid_request");
    check("grant_type=refresh_token&client_id=app".to_owned(), "", 400, "invalid_request");
    check(refresh("x"), "", 400, "invalid_grant");
    check(refresh(&"A".repeat(64)), "", 400, "invalid_grant");
    assert_eq!(post_form(&server, "/token", "", &good).status, 200);
}

#[test]
fn a_refresh_may_narrow_the_scope_of_its_access_token_only() {
    let server = standard::start();
    let query = request_of("app", CALLBACK).replace("scope=answer", "scope=question+answer");
    let location = decide(&server, &query, "authorize");
    let answer = post_form(&server, "/token", "", &redemption(parameter(&location, "code").unwrap()));
    assert_eq!(answer.json()["scope"], "question answer");
    let (_, token) = tokens_of(&answer);
    let answer = post_form(&server, "/token", "", &format!("{}&scope=question", refresh(&token)));
    assert_eq!(answer.json()["scope"], "question");
    let (narrow, token) = tokens_of(&answer);
    let answer = get_secure(&server, &narrow);
    assert_eq!(answer.status, 403);
    let challenge = answer.field("www-authenticate").unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"answer\""),
        "{challenge}"
    );
    assert_eq!(answer.json()["error"], "insufficient_scope");
    let answer = post_form(&server, "/token", "", &refresh(&token));
    assert_eq!(answer.json()["scope"], "question answer");
    assert_eq!(get_secure(&server, &tokens_of(&answer).0).status, 200);
}

#[test]
fn refresh_tokens_end_when_they_are_not_used_and_in_any_case() {
    const DAY: Duration = Duration::from_secs(86_400);
    let server = standard::start();
    let (_, token) = tokens(&server);
    server.wait(14 * DAY);
    assert_refused(&post_form(&server, "/token", "", &refresh(&token)), 400, "invalid_grant", "idle");
    let (_, mut token) = tokens(&server);
    for _ in 0..6 {
        server.wait(13 * DAY);
        token = tokens_of(&post_form(&server, "/token", "", &refresh(&token))).1;
    }
    server.wait(12 * DAY);
    assert_refused(&post_form(&server, "/token", "", &refresh(&token)), 400, "invalid_grant", "90 days");
}

#[test]
fn a_confidential_client_may_act_for_itself() {
    let server = standard::start();
    let ask = |id: &str, form: &str| post_form(&server, "/token", &basic(id, SECRET), form);
    let answer = ask("robot", "grant_type=client_credentials");
    let json = answer.json();
    assert_eq!((answer.status, &json["scope"], &json["token_type"]), (200, &json!("other"), &json!("Bearer")));
    assert!(json["refresh_token"].is_null(), "RFC 6749, 4.4.3");
    let token = json["access_token"].as_str().unwrap();
    assert_eq!(get_secure(&server, token).status, 403, "it is good for something else");
    let description =
        post_form(&server, "/introspect", &basic("robot", SECRET), &pairs(&[("token", token)])).json();
    assert_eq!(
        (&description["active"], &description["client_id"], &description["sub"]),
        (&json!(true), &json!("robot"), &json!(null))
    );
    assert_refused(
        &ask("robot", "grant_type=client_credentials&scope=answer"),
        400,
        "invalid_scope",
        "too wide",
    );
    assert_eq!(
        get_secure(
            &server,
            ask("shop", "grant_type=client_credentials&scope=answer").json()["access_token"].as_str().unwrap()
        )
        .status,
        200
    );
    let answer = post_form(&server, "/token", "", "grant_type=client_credentials&client_id=app");
    assert_refused(&answer, 400, "unauthorized_client", "a public client");
}

#[test]
fn a_client_without_the_grant_type_gets_no_refresh_token() {
    let server = standard::start();
    let uri = "http://127.0.0.1:1234/callback";
    let form = redemption(&code(&server, "native", uri))
        .replace("client_id=app", "client_id=native")
        .replace(&encode(CALLBACK), &encode(uri));
    let answer = post_form(&server, "/token", "", &form);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["refresh_token"].is_null());
}

#[test]
fn a_configured_server_tells_a_client_less_than_its_log() {
    let check = |explains: bool, words: &str| {
        let server = standard::start_with(|config| config.explains_errors = explains);
        let form = redemption(&code(&server, "app", CALLBACK)).replace(VERIFIER, &"a".repeat(43));
        let answer = post_form(&server, "/token", "", &form);
        assert_eq!(answer.json()["error_description"], words);
        let log = server.log.lines().join("\n");
        assert!(log.contains("the code_verifier is not that of the code_challenge (RFC 7636, 4.6)"), "{log}");
    };
    check(
        true,
        "the code_verifier is not that of the code_challenge (RFC 7636, 4.6); the code is no longer valid",
    );
    check(false, "the code or refresh token is invalid, expired or already used");
    let server = standard::start_with(|config| config.explains_errors = true);
    let wrong = |server: &TestServer| {
        let answer = post_form(server, "/token", &basic("shop", "x"), "grant_type=client_credentials");
        answer.json()["error_description"].as_str().unwrap().to_owned()
    };
    assert_eq!(wrong(&server), "the client's secret is wrong");
    assert_eq!(wrong(&standard::start()), "the client is unknown, or its authentication failed");
    let answer = get_dialog(&server, &request_of("app", "https://app.example/callback/"), None);
    assert!(answer.text().contains("at byte 29: …e/callback/ is not …e/callback"), "{}", answer.text());
}

// Revocation, introspection, metadata --------------------------------------------

#[test]
fn revocation_of_any_token_answers_200_with_an_empty_object() {
    let server = standard::start();
    let (access, token) = tokens(&server);
    let revoke = |fields: &str, form: &[(&str, &str)]| post_form(&server, "/revoke", fields, &pairs(form));
    let done = |answer: &Answer| {
        assert_eq!((answer.status, answer.text()), (200, "{}"));
        assert_eq!(answer.field("content-type"), Some("application/json"));
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    };
    done(&revoke("", &[("client_id", "app"), ("token", "unknown")]));
    done(&revoke("", &[("client_id", "app"), ("token", &"A".repeat(64))]));
    done(&revoke(&basic("shop", SECRET), &[("token", &token)]));
    done(&revoke(&basic("shop", SECRET), &[("token", &access)]));
    assert_eq!(get_secure(&server, &access).status, 200, "nothing happens to another client's token");
    let named = server.log.lines().iter().filter(|line| line.contains("the token is another client's")).count();
    assert_eq!(named, 2, "the log says what the client is not told");
    assert_refused(
        &revoke("", &[("client_id", "shop"), ("token", &token)]),
        400,
        "invalid_client",
        "no secret",
    );
    assert_refused(&revoke("", &[("client_id", "app")]), 400, "invalid_request", "no token");
    assert_refused(
        &revoke("", &[("client_id", "app"), ("token", &token), ("token", "x")]),
        400,
        "invalid_request",
        "two",
    );
    for hint in ["refresh_token", "nonsense"] {
        done(&revoke("", &[("client_id", "app"), ("token", &access), ("token_type_hint", hint)]));
        assert_eq!(get_secure(&server, &access).status, 401);
    }
    let (access, token) = tokens_of(&post_form(&server, "/token", "", &refresh(&token)));
    done(&revoke("", &[("client_id", "app"), ("token", &token), ("token_type_hint", "access_token")]));
    assert_eq!(get_secure(&server, &access).status, 401, "with a refresh token, all of its grant ends");
    assert_refused(&post_form(&server, "/token", "", &refresh(&token)), 400, "invalid_grant", "revoked");
    let json = support::json_request("{}").replace("POST /token", "POST /revoke");
    assert_eq!(server.answer_to(&json).json()["error"], "invalid_request");
}

#[test]
fn introspection_describes_valid_tokens_and_no_others() {
    let server = standard::start();
    let (access, token) = tokens(&server);
    let inspect = |id: &str, token: &str, hint: &str| {
        post_form(
            &server,
            "/introspect",
            &basic(id, SECRET),
            &pairs(&[("token", token), ("token_type_hint", hint)]),
        )
    };
    for (token, token_type, lifetime) in [(&access, "Bearer", 86_400), (&token, "refresh_token", 14 * 86_400)] {
        for hint in ["", "access_token", "refresh_token", "x"] {
            let json = inspect("gate", token, hint).json();
            let expected = json!({
                "active": true, "client_id": "app", "scope": "answer", "sub": "owner", "iss": ISSUER,
                "iat": 1_767_225_600, "exp": 1_767_225_600 + lifetime, "token_type": token_type,
            });
            assert_eq!(json, expected);
        }
    }
    let inactive = |answer: &Answer| assert_eq!((answer.status, answer.text()), (200, r#"{"active":false}"#));
    inactive(&inspect("shop", &access, ""));
    inactive(&inspect("gate", "unknown", ""));
    inactive(&inspect("gate", &"A".repeat(64), ""));
    inactive(&inspect("gate", &code(&server, "app", CALLBACK), ""));
    let refused = |fields: &str, form: &[(&str, &str)], status: u16, error: &str| {
        assert_refused(&post_form(&server, "/introspect", fields, &pairs(form)), status, error, error);
    };
    refused("", &[("client_id", "app"), ("token", &access)], 400, "invalid_client");
    refused(&basic("app", ""), &[("token", &access)], 401, "invalid_client");
    refused("", &[("token", &access)], 400, "invalid_client");
    refused(&basic("gate", "wrong"), &[("token", &access)], 401, "invalid_client");
    refused(&basic("gate", SECRET), &[], 400, "invalid_request");
    server.wait(Duration::from_secs(86_400));
    inactive(&inspect("gate", &access, ""));
    assert_eq!(inspect("gate", &access, "").field("access-control-allow-origin"), None);
}

#[test]
fn the_metadata_is_complete_and_true() {
    let server = standard::start();
    let answer =
        server.answer_to("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    let expected = json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "revocation_endpoint": format!("{ISSUER}/revoke"),
        "introspection_endpoint": format!("{ISSUER}/introspect"),
        "scopes_supported": ["answer", "question", "other", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": &methods[1..],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    assert_eq!(answer.json(), expected);
    let without = standard::start_with(|config| {
        config.scopes.clear();
        config.clients.clear();
    });
    let json =
        without.answer_to("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: h\r\n\r\n").json();
    assert!(json.as_object().unwrap().values().all(|value| *value != json!([])), "no empty lists: {json}");
}

// The configuration changes, the grants do not ------------------------------------

/// The block of `app` in the configuration.
const APP: &str = r#"[[clients]]
id = "app"
name = "The App"
redirect_uris = ["https://app.example/callback"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["answer", "question"]
"#;

/// What a grant of `app` for both its scopes is good for after the server was restarted with `changes`: the status
/// of `/secure`, what introspection says of both tokens, and the answers to a refresh and to a redemption of a code
/// that was made before.
fn after_a_change(changes: &[(&str, &str)], check: impl FnOnce(Answer, [serde_json::Value; 2], [Answer; 2])) {
    let server = standard::start();
    let wide = request_of("app", CALLBACK).replace("scope=answer", "scope=answer+question");
    let code = || parameter(&decide(&server, &wide, "authorize"), "code").expect("a code").to_owned();
    let (access, token) = tokens_of(&post_form(&server, "/token", "", &redemption(&code())));
    let unspent = code();
    let server = server.restart_with(&standard::configuration(changes));
    let inspect = |token: &str| {
        post_form(&server, "/introspect", &basic("gate", SECRET), &pairs(&[("token", token)])).json()
    };
    let described = [inspect(&access), inspect(&token)];
    let secure = get_secure(&server, &access);
    let refreshed = post_form(&server, "/token", "", &refresh(&token));
    let redeemed = post_form(&server, "/token", "", &redemption(&unspent));
    check(secure, described, [refreshed, redeemed]);
}

#[test]
fn a_grant_of_a_removed_client_is_dead() {
    let inactive = json!({"active": false});
    after_a_change(&[], |secure, described, answers| {
        assert_eq!((secure.status, &described[0]["scope"]), (200, &json!("answer question")));
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    });
    after_a_change(&[(APP, "")], |secure, described, answers| {
        assert_eq!((secure.status, described), (401, [inactive.clone(), inactive.clone()]));
        answers.iter().for_each(|answer| assert_eq!(answer.json()["error"], "invalid_client"));
    });
    // A confidential client's own token, too.
    let server = standard::start();
    let answer = post_form(&server, "/token", &basic("shop", SECRET), "grant_type=client_credentials");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get_secure(&server, &token).status, 200);
    let without = ", \"client_credentials\"]\nscopes = [\"answer\"]";
    let server = server.restart_with(&standard::configuration(&[(without, "]\nscopes = [\"answer\"]")]));
    assert_eq!(get_secure(&server, &token).status, 401, "its grant type is gone");
    let inspect = post_form(&server, "/introspect", &basic("gate", SECRET), &pairs(&[("token", &token)]));
    assert_eq!(inspect.json(), inactive);
    let server = server.restart_with(&standard::configuration(&[]));
    assert_eq!(get_secure(&server, &token).status, 200, "and back: the grant was not ended");
}

/// The scopes that introspection names, of the access token and of the refresh token; `None` for an inactive one.
type Scopes = [Option<&'static str>; 2];

/// What a refresh and a redemption come to: a scope, or an error.
type Outcomes = [Result<&'static str, &'static str>; 2];

#[test]
fn what_a_client_may_no_longer_do_its_old_grants_may_not() {
    let change = |from: &str, to: &str| (APP.to_owned(), APP.replace(from, to));
    let check = |(from, to): (String, String), status: u16, scopes: Scopes, outcomes: Outcomes| {
        assert_ne!(from, to);
        after_a_change(&[(&from, &to)], |secure, described, answers| {
            assert_eq!(secure.status, status, "{to}: {}", secure.text());
            for (described, scope) in described.iter().zip(scopes) {
                assert_eq!(described["active"], json!(scope.is_some()), "{to}: {described}");
                assert_eq!(described["scope"].as_str(), scope, "{to}");
            }
            for (answer, outcome) in answers.iter().zip(outcomes) {
                let json = answer.json();
                let found = json["error"].as_str().map_or_else(|| Ok(json["scope"].as_str().unwrap()), Err);
                assert_eq!(found, outcome, "{to}: {json}");
            }
        });
    };
    // One scope of two.
    let question = Some("question");
    check(change("\"answer\", ", ""), 403, [question, question], [Ok("question"), Ok("question")]);
    let answer = Some("answer");
    check(change(", \"question\"", ""), 200, [answer, answer], [Ok("answer"), Ok("answer")]);
    // All of them.
    let invalid_grant = Err("invalid_grant");
    check(change("\"answer\", \"question\"", ""), 401, [None, None], [invalid_grant, invalid_grant]);
    check(change("\"answer\", \"question\"", "\"other\""), 401, [None, None], [invalid_grant, invalid_grant]);
    // A wider registration widens nothing.
    let both = Some("answer question");
    let same = [Ok("answer question"), Ok("answer question")];
    check(change("\"answer\", ", "\"other\", \"answer\", "), 200, [both, both], same);
    // The grant types. Without refresh tokens the access token still has its time.
    let unauthorized = Err("unauthorized_client");
    check(change(", \"refresh_token\"", ""), 200, [both, None], [unauthorized, Ok("answer question")]);
    let confidential = change(
        "grant_types = [\"authorization_code\", \"refresh_token\"]",
        "grant_types = [\"client_credentials\"]\nsecret_digest = \"{digest}\"",
    );
    let invalid_client = Err("invalid_client");
    check(confidential, 401, [None, None], [invalid_client, invalid_client]);
    // The redirect URI to which the code was sent. Tokens that were bought before need none.
    let elsewhere = change("app.example", "new.example");
    check(elsewhere, 200, [both, both], [Ok("answer question"), invalid_grant]);
}

#[test]
fn a_reload_takes_rights_from_old_grants_of_a_client_too() {
    let server = standard::start();
    let wide = request_of("app", CALLBACK).replace("scope=answer", "scope=answer+question");
    let code = parameter(&decide(&server, &wide, "authorize"), "code").unwrap().to_owned();
    let (access, token) = tokens_of(&post_form(&server, "/token", "", &redemption(&code)));
    let scope_of = |token: &str| {
        let form = pairs(&[("token", token)]);
        post_form(&server, "/introspect", &basic("gate", SECRET), &form).json()["scope"].clone()
    };
    let reload = |app: &str| {
        let clients = standard::configuration(&[(APP, app)]).clients;
        server.reload(|config| config.clients = clients);
        [get_secure(&server, &access).status.into(), scope_of(&access), scope_of(&token)]
    };
    let narrow = APP.replace("\"answer\", ", "");
    assert_eq!(reload(&narrow), [json!(403), json!("question"), json!("question")]);
    assert_eq!(reload(""), [json!(401), json!(null), json!(null)]);
    assert_eq!(reload(APP), [json!(200), json!("answer question"), json!("answer question")]);
}

#[test]
fn a_scope_taken_from_a_client_cannot_be_refreshed() {
    let server = standard::start();
    let wide = request_of("app", CALLBACK).replace("scope=answer", "scope=answer+question");
    let code = parameter(&decide(&server, &wide, "authorize"), "code").unwrap().to_owned();
    let (_, token) = tokens_of(&post_form(&server, "/token", "", &redemption(&code)));
    let narrow = APP.replace(", \"question\"", "");
    let server = server.restart_with(&standard::configuration(&[(APP, &narrow)]));
    let ask = |server: &TestServer, scope: &str| {
        post_form(server, "/token", "", &format!("{}&scope={scope}", refresh(&token)))
    };
    assert_refused(&ask(&server, "answer+question"), 400, "invalid_scope", "it was granted, and is gone");
    assert_eq!(ask(&server, "answer").json()["scope"], "answer");
    let server = server.restart_with(&standard::configuration(&[]));
    assert_eq!(ask(&server, "answer+question").json()["scope"], "answer question", "the grant kept it");
}

// What must not be ----------------------------------------------------------------

#[test]
fn tokens_and_secrets_in_a_query_are_ignored() {
    let server = standard::start();
    let code = code(&server, "app", CALLBACK);
    let answer = post_form(&server, &format!("/token?{}", redemption(&code)), "", "");
    assert_refused(&answer, 400, "invalid_request", "all in the query");
    let answer = post_form(
        &server,
        &format!("/token?client_secret={}", encode(SECRET)),
        "",
        "grant_type=client_credentials&client_id=shop",
    );
    assert_refused(&answer, 400, "invalid_client", "a secret in the query");
    assert_eq!(post_form(&server, "/token", "", &redemption(&code)).status, 200);
}

#[test]
fn nothing_secret_is_logged_by_any_endpoint() {
    let server =
        standard::start_with(|config| config.access_log = Some(oauth_from_scratch::net::LogFormat::Json));
    let code = code(&server, "app", CALLBACK);
    let (access, token) = tokens_of(&post_form(&server, "/token", "", &redemption(&code)));
    let other = "Zq7".repeat(20);
    post_form(&server, "/token", &basic("shop", &other), "grant_type=client_credentials");
    post_form(&server, "/token", "", &redemption(&code).replace(VERIFIER, &other));
    post_form(&server, "/token", "", &redemption(&code));
    post_form(&server, "/token", "", &refresh(&token));
    post_form(
        &server,
        "/revoke",
        "",
        &pairs(&[("client_id", "app"), ("token", &token), ("client_secret", &other)]),
    );
    post_form(&server, "/introspect", &basic("gate", &other), &pairs(&[("token", &access)]));
    get_dialog(
        &server,
        &request_of("app", &format!("https://app.example/callback?{other}")),
        Some(&format!("oauth-session={other}")),
    );
    answer_dialog(&server, &format!("oauth-session={other}"), &other, "authorize");
    let log = [server.log.lines(), server.access.lines()].concat().join("\n");
    assert!(log.lines().count() > 15, "{log}");
    for secret in [&*code, &access, &token, VERIFIER, SECRET, CHALLENGE, &encode(SECRET), &other] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn no_request_makes_a_500() {
    let server = standard::start();
    let long = "x".repeat(60_000);
    let contents = [
        "",
        "&",
        "=",
        "&&==&",
        "grant_type",
        "grant_type=%",
        "%00=%00",
        "\u{ff}\u{fe}",
        "grant_type=authorization_code&code=%ff%fe&client_id=%00",
        &long,
        &"a=b&".repeat(10_000),
        "client_id=app&token=%E2%82%AC",
    ];
    for path in ["/token", "/revoke", "/introspect", "/code"] {
        for content in contents {
            for fields in ["", "Cookie: oauth-session=\u{ff}; =; ;\r\n", "Authorization: Basic Og==\r\n"] {
                let status = post_form(&server, path, fields, content).status;
                assert!(status < 500, "{path} {fields}{content:.40}: {status}");
            }
        }
    }
    for query in [
        "",
        "?",
        "&",
        "=&=",
        "client_id=%",
        "client_id=app&redirect_uri=%00",
        "client_id=app&state=%ff&scope=%ff",
        &"a=b&".repeat(1500),
    ] {
        let status = get_dialog(&server, query, None).status;
        assert!(status == 400 || status == 302, "{query:.40}: {status}");
    }
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(server.answer_to(&support::json_request(&nested)).status, 400);
}

// Races -----------------------------------------------------------------------------

/// The answers to `request` on `racers` connections at the same time, from a server with two workers.
fn race(server: &TestServer, racers: usize, request: &str) -> Vec<Answer> {
    let barrier = Barrier::new(racers);
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..racers)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = standard::connect(server);
                    barrier.wait();
                    client.answer_to(request)
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer")).collect()
    })
}

fn form(content: &str) -> String {
    support::form_request(content)
}

#[test]
fn of_twenty_racers_over_sockets_with_one_code_one_gets_tokens() {
    let server = standard::start_with(|config| config.workers = 2);
    for _ in 0..10 {
        let code = code(&server, "app", CALLBACK);
        let answers = race(&server, 20, &form(&redemption(&code)));
        let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1);
        let (access, token) = tokens_of(won[0]);
        assert_eq!(get_secure(&server, &access).status, 401, "the second use ended what the first one bought");
        assert_eq!(post_form(&server, "/token", "", &refresh(&token)).status, 400);
    }
}

#[test]
fn twenty_racers_with_one_refresh_token_get_one_successor() {
    let server = standard::start_with(|config| config.workers = 2);
    for _ in 0..10 {
        let (_, token) = tokens(&server);
        let answers = race(&server, 20, &form(&refresh(&token)));
        let mut tokens: Vec<(String, String)> = answers.iter().map(tokens_of).collect();
        tokens.dedup();
        assert_eq!(tokens.len(), 1, "one family");
        assert_eq!(post_form(&server, "/token", "", &refresh(&tokens[0].1)).status, 200);
    }
}

#[test]
fn twenty_racers_with_one_form_all_get_the_same_code() {
    let server = standard::start_with(|config| config.workers = 2);
    let dialog = get_dialog(&server, &request_of("app", CALLBACK), None);
    let content = pairs(&[("request", &sealed_of(&dialog)), ("decision", "authorize")]);
    let (host, session, length) = (server.host(), session_of(&dialog), content.len());
    let request = format!(
        "POST /code HTTP/1.1\r\nHost: {host}\r\nCookie: {session}\r\nContent-Length: {length}\r\n\r\n{content}"
    );
    let answers = race(&server, 20, &request);
    let mut locations: Vec<&str> = answers.iter().map(|answer| answer.field("location").unwrap()).collect();
    locations.dedup();
    assert_eq!(locations.len(), 1, "one grant, and one code");
    let code = parameter(locations[0], "code").unwrap();
    assert_eq!(post_form(&server, "/token", "", &redemption(code)).status, 200);
}
