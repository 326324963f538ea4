//! One test for each thing that must not happen at the endpoints.

use crate::support::standard;
use std::time::Duration;

use crate::support::{Answer, TestServer, form_request, json_request, secure_request, token_request};
use oauth_from_scratch::net::LogFormat;
use serde_json::json;

/// A `POST /code` with these fields after Host.
fn code_request(host: &str, fields: &str) -> String {
    format!("POST /code HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: 0\r\n\r\n")
}

#[test]
fn a_form_that_another_site_sent_makes_no_code() {
    let server = TestServer::start();
    let host = server.host();
    let port = server.authorization_server.port();
    let client_origin = format!("Origin: http://localhost:{}\r\n", server.client_app.port());
    let own = format!("Origin: http://{host}\r\n");
    let refuse = |host: &str, fields: &str, reason: &str| {
        let answer = server.answer_to(&code_request(host, fields));
        assert_eq!((answer.status, answer.field("location")), (403, None), "{host} {fields}");
        let title = if reason.starts_with("the Host") {
            "This server has another address"
        } else {
            "This form came from another site"
        };
        assert!(answer.text().contains(title), "the page says why");
        assert!(!answer.text().contains("/authorize?"), "nothing is asked again that no own page asked");
        assert_eq!(server.log.lines().last(), Some(&format!("authorization server: POST /code 403: {reason}")));
    };
    let site = "Sec-Fetch-Site says that another site sent the form";
    for value in ["cross-site", "same-site", "", "Same-Origin", "same-origin, none", "something-new"] {
        refuse(&host, &format!("Sec-Fetch-Site: {value}\r\n"), site);
    }
    refuse(&host, &format!("Sec-Fetch-Site: cross-site\r\n{own}"), site);
    let origin = "Origin says that another site sent the form";
    for value in
        ["null", "", "http://evil.example", "https://localhost", "http://localhost", &format!("http://{host}/")]
    {
        refuse(&host, &format!("Origin: {value}\r\n"), origin);
    }
    refuse(&host, &client_origin, origin);
    let repeated = "Sec-Fetch-Site or Origin appears more than once";
    refuse(&host, "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n", repeated);
    refuse(&host, &format!("{own}Origin: null\r\n"), repeated);
    // A name that someone pointed at this machine agrees with itself.
    let rebound = format!("rebound.example:{port}");
    let name = "the Host is not one of this server's names";
    refuse(&rebound, "Sec-Fetch-Site: same-origin\r\n", name);
    refuse(&rebound, &format!("Origin: http://{rebound}\r\n"), name);
    refuse(&rebound, "", name);
    refuse("localhost", "Sec-Fetch-Site: same-origin\r\n", name);
    refuse("", "", name);
}

#[test]
fn the_dialogs_own_form_and_a_command_line_make_a_code() {
    let server = TestServer::start();
    let port = server.authorization_server.port();
    let accept = |host: &str, fields: &str| {
        assert_eq!(server.answer_to(&code_request(host, fields)).status, 302, "{host} {fields}");
    };
    for name in ["localhost", "LocalHost", "127.0.0.1", "[::1]"] {
        let host = format!("{name}:{port}");
        accept(&host, "Sec-Fetch-Site: same-origin\r\n");
        accept(&host, "Sec-Fetch-Site: none\r\n");
        accept(&host, &format!("Origin: http://{host}\r\n"));
        accept(&host, "");
    }
    let absolute =
        format!("POST http://localhost:{port}/code HTTP/1.1\r\nHost: other\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(server.answer_to(&absolute).status, 302, "an absolute target overrides Host");
}

#[test]
fn an_absolute_target_of_another_host_is_refused_despite_host() {
    let server = TestServer::start();
    let request = format!(
        "POST http://evil.example/code HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        server.host()
    );
    assert_eq!(server.answer_to(&request).status, 403);
}

fn assert_error(answer: &Answer, error: &str, message: &str, request: &str) {
    assert_eq!(answer.status, 400, "{request}");
    let json = answer.json();
    assert_eq!((&json["error"], &json["message"]), (&json!(error), &json!(message)), "{request}");
    assert!(json["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{request}");
    assert_eq!(answer.field("cache-control"), Some("no-store"));
}

#[test]
fn a_malformed_token_request_is_answered_with_the_mistake() {
    let server = TestServer::start();
    let check = |request: String, error: &str, message: &str| {
        assert_error(&server.answer_to(&request), error, message, &request);
    };
    let invalid = "invalid_request";
    let unsupported = "unsupported_grant_type";
    for content in ["", "{", "{\"code\":}", "{'code':'x'}", "{\"code\":\"x\"} x", "\u{0}", &"[".repeat(500)] {
        check(json_request(content), invalid, "the content is not valid JSON");
    }
    for content in ["[]", "[{\"code\":\"x\"}]", "\"x\"", "42", "-1", "1.5", "null", "true"] {
        check(json_request(content), invalid, "the content is JSON, but not an object");
    }
    for content in ["{}", "{\"Code\":\"x\"}", "{\"code\":\"\"}"] {
        check(json_request(content), invalid, "the code is missing");
    }
    for content in ["42", "null", "true", "[\"x\"]", "{\"code\":\"x\"}"] {
        check(json_request(&format!("{{\"code\":{content}}}")), invalid, "the code is not a string");
    }
    check(json_request(r#"{"code":"x","code":"y"}"#), invalid, "code appears more than once");
    check(json_request(r#"{"code":"x","c\u006fde":"y"}"#), invalid, "code appears more than once");
    check(json_request(r#"{"code":"","code":"y"}"#), invalid, "code appears more than once");
    check(json_request(r#"{"code":"x","grant_type":1}"#), invalid, "the grant_type is not a string");
    let wrong_type = "the grant_type is not authorization_code, refresh_token or client_credentials";
    check(json_request(r#"{"code":"x","grant_type":"password"}"#), unsupported, wrong_type);
    check(form_request("grant_type=password&code=x"), unsupported, wrong_type);
    check(form_request("grant_type=Authorization_Code&code=x"), unsupported, wrong_type);
    check(form_request("code=x"), invalid, "the grant_type is missing");
    check(form_request("grant_type=&code=x"), invalid, "the grant_type is missing");
    check(form_request("grant_type=authorization_code"), invalid, "the code is missing");
    check(form_request("grant_type=authorization_code&code="), invalid, "the code is missing");
    check(form_request("grant_type=authorization_code&code=x&code=x"), invalid, "code appears more than once");
    check(
        form_request("grant_type=authorization_code&code=x&scope&scope="),
        invalid,
        "scope appears more than once",
    );
}

#[test]
fn a_token_request_of_a_wrong_type_is_told_the_right_ones() {
    let server = TestServer::start();
    let request = |field: &str| token_request("x").replace("Content-Type: application/json\r\n", field);
    let check = |field: &str, message: &str| {
        assert_error(&server.answer_to(&request(field)), "invalid_request", message, field);
    };
    check("", "the Content-Type is missing");
    check("Content-Type:\r\n", "the Content-Type is missing");
    let neither = "the Content-Type is neither application/json nor application/x-www-form-urlencoded";
    for value in ["text/plain", "application/jsonp", "multipart/form-data; boundary=x", "json"] {
        check(&format!("Content-Type: {value}\r\n"), neither);
    }
    let json = "Content-Type: application/json\r\n";
    check(&format!("{json}{json}"), "more than one Content-Type");
    for value in ["APPLICATION/JSON", "application/json;charset=utf-8"] {
        let request = request(&format!("Content-Type: {value}\r\n"));
        assert_error(&server.answer_to(&request), "invalid_grant", "Invalid auth token", value);
    }
}

#[test]
fn a_code_that_was_never_made_is_an_invalid_grant() {
    let server = TestServer::start();
    let good = server.code();
    let mut other = good.clone().into_bytes();
    let last = other.len() - 1;
    other[last] = if other[last] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    for code in
        ["x", &"A".repeat(64), &"A".repeat(65), &format!("{good}="), &format!(" {good}"), &other, "\u{e9}"]
    {
        let answer = server.answer_to(&token_request(code));
        assert_error(&answer, "invalid_grant", "Invalid auth token", code);
    }
    assert_eq!(server.answer_to(&token_request(&good)).status, 200, "none of them spent the good one");
}

#[test]
fn no_token_or_a_wrong_one_gets_no_answer() {
    let server = TestServer::start();
    let token = server.token();
    let check = |fields: &str, status: u16, challenge: Option<&str>| {
        let answer = server.answer_to(&format!("GET /secure HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        assert_eq!(answer.status, status, "{fields}");
        assert_eq!(answer.field("www-authenticate"), challenge, "{fields}");
        assert!(!answer.text().contains("42"), "{fields}");
        if status != 400 {
            assert_eq!(answer.json()["message"], "Unauthorized", "{fields}");
        }
    };
    // A challenge has a parameter at least (RFC 9110, 11.3), and no error where no token was sent (RFC 6750, 3.1).
    let bare = Some(r#"Bearer realm="secure""#);
    let wrong = r#"Bearer realm="secure", error="invalid_token", error_description="the access token is wrong or has expired""#;
    let malformed =
        r#"Bearer realm="secure", error="invalid_request", error_description="Authorization is malformed""#;
    check("", 403, bare);
    check("Authorization:\r\n", 403, bare);
    check("Authorization: x\r\n", 403, bare);
    check(&format!("Authorization: {}\r\n", "A".repeat(64)), 403, bare);
    check(&format!("Authorization: {token}A\r\n"), 403, bare);
    check(&format!("Authorization: Basic {token}\r\n"), 403, bare);
    check(&format!("Authorization: Bearer{token}\r\n"), 403, bare);
    check("Authorization: Bearer\r\n", 400, Some(malformed));
    check("Authorization: Bearer \"x\"\r\n", 400, Some(malformed));
    check("Authorization: Bearer =\r\n", 400, Some(malformed));
    check("Authorization: Bearer x\r\n", 401, Some(wrong));
    check(&format!("Authorization: Bearer {}\r\n", "A".repeat(64)), 401, Some(wrong));
    check(&format!("Authorization: Bearer {token} {token}\r\n"), 400, Some(malformed));
    check(&format!("Authorization: {token}\r\nAuthorization: {token}\r\n"), 400, Some(malformed));
    assert_eq!(server.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n").json()["error"], json!(null));
    // Not where tokens belong: a query is logged and remembered along the way.
    let in_query = format!("GET /secure?access_token={token} HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(server.answer_to(&in_query).status, 403);
    assert_eq!(server.answer_to(&secure_request(&token)).status, 200);
}

#[test]
fn without_the_demo_secure_takes_only_bearer_tokens() {
    let server = standard::start();
    let (token, _) = standard::tokens(&server);
    let check = |fields: &str, status: u16, challenge: Option<&str>| {
        let answer = server.answer_to(&format!("GET /secure HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        assert_eq!((answer.status, answer.field("www-authenticate")), (status, challenge), "{fields}");
        assert_eq!(answer.text().contains("42"), status == 200, "{fields}");
        answer
    };
    let none = Some(r#"Bearer realm="secure""#);
    let wrong = r#"Bearer realm="secure", error="invalid_token", error_description="the access token is wrong or has expired""#;
    let malformed =
        r#"Bearer realm="secure", error="invalid_request", error_description="Authorization is malformed""#;
    // Nothing that RFC 6750 takes for a token: no error, but the scheme that is wanted (3.1).
    for authorization in ["", &token, "x", &format!("Basic {token}"), &format!("Bearer{token}"), "DPoP x"] {
        let answer = check(&format!("Authorization: {authorization}\r\n"), 401, none);
        assert_eq!(answer.json(), json!({"message": "Unauthorized"}));
    }
    assert_eq!(check("", 401, none).json()["error"], json!(null));
    check("Authorization: Bearer\r\n", 400, Some(malformed));
    check("Authorization: Bearer x\r\n", 401, Some(wrong));
    check(&format!("Authorization: Bearer {token}\r\n"), 200, None);
    check(&format!("Authorization: bearer {token}\r\n"), 200, None);
    let log = server.log.lines().join("\n");
    assert!(
        log.contains("the scheme of Authorization is not Bearer") && log.contains("no Authorization"),
        "{log}"
    );
    assert!(!log.contains(&token));
}

#[test]
fn without_the_demo_client_the_token_endpoint_takes_forms_only() {
    let server = standard::start();
    let code = standard::code(&server, "app", standard::CALLBACK);
    let in_json = json!({
        "grant_type": "authorization_code", "client_id": "app", "code": code,
        "code_verifier": standard::VERIFIER, "redirect_uri": standard::CALLBACK,
    });
    let forms_only = "the Content-Type is not application/x-www-form-urlencoded";
    for content in [in_json.to_string(), format!(r#"{{"code":"{code}"}}"#), "nonsense".to_owned()] {
        assert_error(&server.answer_to(&json_request(&content)), "invalid_request", forms_only, &content);
    }
    let answer = server.answer_to(&form_request(&standard::redemption(&code)));
    assert_eq!(answer.status, 200, "the code was not spent: {}", answer.text());
}

#[test]
fn no_secret_is_logged_whatever_is_refused() {
    let server = TestServer::start();
    let secret = server.code();
    let requests = [
        format!("GET /secure?token={secret} HTTP/1.1\r\nHost: h\r\nAuthorization: {secret}\r\n\r\n"),
        form_request(&format!("grant_type=password&code={secret}")),
        json_request(&format!(r#"{{"code":["{secret}"]}}"#)),
        format!("GET /?{secret} HTTP/1.1\r\nHost: {secret}/\r\n\r\n"),
    ];
    for request in requests {
        assert!(server.answer_to(&request).status >= 400);
    }
    let log = server.log.lines();
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(log.iter().all(|line| !line.contains(&secret)), "{log:?}");
}

#[test]
fn refusals_past_the_rate_are_counted_and_not_logged() {
    let server = TestServer::start_with(|config| config.limits.net.refusal_lines_per_second_max = 3);
    let mut client = server.connect();
    for _ in 0..5 {
        assert_eq!(client.answer_to(&secure_request("x")).status, 403);
    }
    assert_eq!(server.log.lines().len(), 3);
    server.wait(Duration::from_secs(1));
    assert_eq!(client.answer_to(&secure_request("x")).status, 403);
    let lines = server.log.lines();
    assert_eq!(lines[3], "2 more requests were refused within a second");
    assert_eq!(lines.len(), 5, "and the new second has lines of its own");
}

#[test]
fn a_line_of_the_log_has_a_bound_however_long_the_path_is() {
    let server = TestServer::start();
    let path = "a".repeat(1000);
    server.answer_to(&format!("POST /{path} HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"));
    let expected = format!("authorization server: POST /{} 400: malformed Content-Length", &path[..63]);
    assert_eq!(server.log.lines(), [expected]);
}

#[test]
fn the_access_log_has_a_line_per_request_and_no_secret() {
    let server = TestServer::start_with(|config| config.access_log = Some(LogFormat::Text));
    let code = server.code();
    let answer = server.answer_to(&token_request(&code));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.answer_to(&secure_request(&token)).status, 200);
    let path = format!("/oauth-callback.html?code={code}");
    server.connect_to_client_app().answer_to(&format!("HEAD {path} HTTP/1.0\r\n\r\n"));
    server.answer_to("GET /\"x HTTP/1.1\r\nHost: h\r\n\r\n");
    server.answer_to("nonsense\r\n\r\n");
    server.answer_to(&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(512)));
    let lines = server.access.lines();
    let long = format!(r#""GET /{} HTTP/1.1" 404 "#, "a".repeat(511));
    let begin = "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] ";
    let expected = [
        ("authorization-server", r#""POST /code HTTP/1.1" 302 0"#),
        ("authorization-server", r#""POST /token HTTP/1.1" 200 "#),
        ("authorization-server", r#""GET /secure HTTP/1.1" 200 13"#),
        ("client-app", r#""HEAD /oauth-callback.html HTTP/1.0" 200 0"#),
        ("authorization-server", r#""GET /\"x HTTP/1.1" 404 "#),
        ("authorization-server", r#""- - -" 400 "#),
        ("authorization-server", &long),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, (name, rest)) in lines.iter().zip(expected) {
        assert!(line.starts_with(&format!("{name} {begin}{rest}")), "{line}");
        assert!(!line.contains(&code) && !line.contains(&token), "{line}");
    }
}

#[test]
fn the_redirect_with_the_code_passes_no_referrer_on() {
    let server = TestServer::start();
    let answer = server
        .answer_to(&format!("POST /code HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", server.host()));
    assert_eq!((answer.status, answer.field("referrer-policy")), (302, Some("no-referrer")));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
}
