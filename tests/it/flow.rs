//! The whole flow over a real socket, as the article has it and as the standard has it.

use std::time::Duration;

use crate::support::{TestServer, form_request, secure_request, token_request};

#[test]
fn a_code_buys_a_token_and_the_token_the_answer() {
    let server = TestServer::start();
    let mut client = server.connect();

    let answer = client.answer_to(&format!(
        "POST /code HTTP/1.1\r\nHost: {}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\r\n",
        server.host()
    ));
    assert_eq!(answer.status, 302);
    let location = answer.field("location").expect("a Location").to_owned();
    let callback = format!("http://localhost:{}/oauth-callback.html?code=", server.client_app.port());
    let code = location.strip_prefix(&callback).expect(&location);
    assert_eq!(code.len(), 64);
    assert_eq!(answer.field("cache-control"), Some("no-store"));

    let answer = client.answer_to(&token_request(code));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let json = answer.json();
    assert_eq!(json["expires_in"], 86_400);
    assert_eq!(json["token_type"], "Bearer");
    assert!(json["refresh_token"].is_null(), "the article knows none");
    let token = json["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(token.len(), 64);
    assert_ne!(token, code);

    for authorization in [token.clone(), format!("Bearer {token}"), format!("bEARER   {token}")] {
        let answer = client.answer_to(&secure_request(&authorization));
        assert_eq!((answer.status, answer.text()), (200, r#"{"answer":42}"#));
    }
}

#[test]
fn the_standards_form_buys_a_token_too() {
    let server = TestServer::start();
    for media_type in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-URLEncoded ; charset=UTF-8"]
    {
        let form = form_request(&format!("grant_type=authorization_code&code={}", server.code()));
        let answer = server.answer_to(&form.replace("application/x-www-form-urlencoded", media_type));
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(server.answer_to(&secure_request(&format!("Bearer {token}"))).status, 200);
    }
}

#[test]
fn a_replayed_code_is_refused_and_revokes_its_token() {
    let server = TestServer::start();
    let code = server.code();
    let token = server.answer_to(&token_request(&code)).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.answer_to(&secure_request(&token)).status, 200);

    let answer = server.answer_to(&token_request(&code));
    assert_eq!((answer.status, &answer.json()["message"]), (400, &"Invalid auth token".into()));
    assert_eq!(answer.json()["error"], "invalid_grant");
    assert_eq!(server.answer_to(&secure_request(&token)).status, 403);
    let log = server.log.lines().join("\n");
    assert!(log.contains("400: the code was used before; its grant is revoked"), "{log}");
    assert!(!log.contains(&code) && !log.contains(&token), "no secret is logged: {log}");
}

#[test]
fn a_code_works_for_a_minute() {
    let server = TestServer::start();
    let [in_time, late] = [server.code(), server.code()];
    server.wait(Duration::from_millis(59_999));
    assert_eq!(server.answer_to(&token_request(&in_time)).status, 200);
    server.wait(Duration::from_millis(1));
    let answer = server.answer_to(&token_request(&late));
    assert_eq!((answer.status, &answer.json()["error"]), (400, &"invalid_grant".into()));
}

#[test]
fn a_token_works_for_a_day() {
    let server = TestServer::start();
    let token = server.token();
    server.wait(Duration::from_millis(86_400_000 - 1));
    assert_eq!(server.answer_to(&secure_request(&token)).status, 200);
    server.wait(Duration::from_millis(1));
    assert_eq!(server.answer_to(&secure_request(&token)).status, 403);
    assert_eq!(server.answer_to(&secure_request(&format!("Bearer {token}"))).status, 401);
}

#[test]
fn a_code_is_no_token_and_a_token_no_code() {
    let server = TestServer::start();
    assert_eq!(server.answer_to(&secure_request(&server.code())).status, 403);
    let token = server.token();
    assert_eq!(server.answer_to(&token_request(&token)).status, 400);
    assert_eq!(server.answer_to(&secure_request(&token)).status, 200, "and the token is not the worse for it");
}

/// All flows of the demo are of one subject and one client, and each flow's grant counts for a day.
#[test]
fn a_demo_flood_is_served_and_the_oldest_grants_make_room() {
    let server = TestServer::start_with(|config| config.limits.store.grants_max = 40);
    let mut tokens = Vec::new();
    for _ in 0..60 {
        server.code();
        tokens.push(server.token());
    }
    let status = |token: &String| server.answer_to(&secure_request(&format!("Bearer {token}"))).status;
    let statuses: Vec<u16> = tokens.iter().map(status).collect();
    let expected: Vec<u16> = (0..60).map(|number| if number < 50 { 401 } else { 200 }).collect();
    assert_eq!(statuses, expected, "the last quarter of grants_max");
}

#[test]
fn an_unredeemed_code_makes_room_for_codes_and_ends_no_token() {
    let server = TestServer::start_with(|config| config.limits.store.pair_grants_max = Some(2));
    let token = server.token();
    let codes: Vec<String> = (0..5).map(|_| server.code()).collect();
    let statuses: Vec<u16> = codes.iter().map(|code| server.answer_to(&token_request(code)).status).collect();
    assert_eq!(statuses, [400, 400, 400, 200, 200]);
    assert_eq!(server.answer_to(&secure_request(&format!("Bearer {token}"))).status, 401, "two came after it");
}

#[test]
fn a_full_store_says_when_to_retry_and_has_room_then() {
    let server = TestServer::start_with(|config| config.limits.store.grants_max = 1);
    let token = server.token();
    let request = format!("POST /code HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", server.host());
    for (passed, retry_after) in [(0, "86400"), (18, "86382"), (42, "86340")] {
        server.wait(Duration::from_secs(passed));
        let answer = server.answer_to(&request);
        assert_eq!((answer.status, answer.field("retry-after")), (503, Some(retry_after)));
        assert_eq!(answer.field("location"), None);
        assert_eq!(server.answer_to(&secure_request(&format!("Bearer {token}"))).status, 200);
    }
    server.wait(Duration::from_secs(86_340));
    assert_eq!(server.answer_to(&request).status, 302);
}

#[test]
fn without_random_numbers_nothing_is_handed_out() {
    let server = TestServer::start_without_random_bytes();
    let answer = server
        .answer_to(&format!("POST /code HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", server.host()));
    assert_eq!((answer.status, answer.field("location")), (503, None));
    let answer = server.answer_to(&token_request(&"A".repeat(64)));
    assert_eq!((answer.status, &answer.json()["error"]), (503, &"temporarily_unavailable".into()));
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
}
