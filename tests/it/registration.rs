//! Clients that register themselves (RFC 7591): what they may register, what they get, and that the server keeps nothing
//! of it.

use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::sync::Barrier;
use std::time::Duration;

#[cfg(target_os = "linux")]
use crate::support::form_request;
use crate::support::ledger::ServerProcess;
use crate::support::program::program;
use crate::support::standard::{
    CHALLENGE, VERIFIER, answer_dialog, basic, call_mcp, get_dialog, get_secure, pairs, parameter, post_form,
    sealed_of, session_of, start_with, tokens_of,
};
use crate::support::stores::Folder;
use crate::support::{Answer, Client, TestServer};
use oauth_from_scratch::net::{LogFormat, Network};
use serde_json::{Value, json};

/// What Claude Code sends, without its scope.
fn claude_code() -> Value {
    json!({
        "client_name": "Claude Code (demo)",
        "redirect_uris": ["http://localhost:53682/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

/// `POST /register` with this content.
fn request(content: &str) -> String {
    let length = content.len();
    format!(
        "POST /register HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{content}"
    )
}

fn register(server: &TestServer, metadata: &Value) -> Answer {
    server.answer_to(&request(&metadata.to_string()))
}

/// What is registered when `changes` are made to the metadata; null removes a member.
fn registered(server: &TestServer, changes: &Value) -> Value {
    let answer = register(server, &changed(changes));
    assert_eq!(answer.status, 201, "{changes}: {}", answer.text());
    answer.json()
}

fn changed(changes: &Value) -> Value {
    let mut metadata = claude_code();
    for (name, value) in changes.as_object().expect("an object") {
        metadata[name] = value.clone();
    }
    metadata
}

fn id_of(registered: &Value) -> &str {
    registered["client_id"].as_str().expect("a client_id")
}

/// The query of an authorization request of a client that registered itself.
fn query(id: &str, redirect_uri: &str, scope: Option<&str>) -> String {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", id),
        ("redirect_uri", redirect_uri),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ];
    parameters.extend(scope.map(|scope| ("scope", scope)));
    pairs(&parameters)
}

/// A code for this request, which the person allows.
fn code(server: &TestServer, query: &str) -> String {
    let dialog = get_dialog(server, query, None);
    assert_eq!(dialog.status, 200, "{}", dialog.text());
    let answer = answer_dialog(server, &session_of(&dialog), &sealed_of(&dialog), "authorize");
    let location = answer.field("location").unwrap_or_else(|| panic!("a redirect: {}", answer.text()));
    parameter(location, "code").expect("a code").to_owned()
}

/// Redeems a code of `id`, which is authenticated by `fields` and by `secret`, if it has one.
fn redeem(server: &TestServer, id: &str, code: &str, fields: &str, secret: Option<&str>) -> Answer {
    let mut parameters = vec![
        ("grant_type", "authorization_code"),
        ("client_id", id),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    parameters.extend(secret.map(|secret| ("client_secret", secret)));
    post_form(server, "/token", fields, &pairs(&parameters))
}

/// A port other than the registered one, which a native app may use.
const CALLBACK: &str = "http://localhost:40001/callback";

#[test]
fn a_client_registers_itself_and_the_answer_says_how() {
    let server = TestServer::start();
    let metadata = server.answer_to("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: h\r\n\r\n");
    let issuer = metadata.json()["issuer"].as_str().expect("an issuer").to_owned();
    assert_eq!(metadata.json()["registration_endpoint"], json!(format!("{issuer}/register")));
    let answer = register(&server, &claude_code());
    assert_eq!((answer.status, answer.field("cache-control")), (201, Some("no-store")), "{}", answer.text());
    let mut members = answer.json();
    let id = id_of(&members).to_owned();
    assert!(id.len() < 260 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
    let issued = members["client_id_issued_at"].take();
    assert!(issued.is_u64(), "{issued}");
    members.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    let mut expected = claude_code();
    expected["client_id"] = json!(id);
    assert_eq!(members, expected, "no member more, and none that is null");
    assert_eq!(id_of(&register(&server, &claude_code()).json()), id, "the same metadata, the same client");

    let code = code(&server, &query(&id, CALLBACK, Some("answer")));
    let (token, refresh) = tokens_of(&redeem(&server, &id, &code, "", None));
    assert_eq!(call_mcp(&server, &token), 200);
    assert_eq!(get_secure(&server, &token).status, 401, "it is for the demo's only resource, the MCP server");
    let form = pairs(&[("grant_type", "refresh_token"), ("client_id", &id), ("refresh_token", &refresh)]);
    let (token, rotated) = tokens_of(&post_form(&server, "/token", "", &form));
    assert_ne!(refresh, rotated, "a public client's refresh tokens rotate");
    assert_eq!(call_mcp(&server, &token), 200);
    let form = pairs(&[("client_id", &id), ("token", &rotated)]);
    assert_eq!(post_form(&server, "/revoke", "", &form).status, 200);
    assert_eq!(call_mcp(&server, &token), 401);
}

#[test]
fn every_member_is_answered_as_it_was_accepted() {
    let server = TestServer::start();
    let check = |changes: Value, name: &str, expected: Value| {
        let members = registered(&server, &changes);
        assert_eq!(members.get(name).cloned().unwrap_or_default(), expected, "{changes}");
        let has_null = members.as_object().expect("an object").values().any(Value::is_null);
        assert!(!has_null, "{members}");
    };
    let method = "token_endpoint_auth_method";
    check(json!({method: null}), method, json!("client_secret_basic"));
    check(json!({method: "client_secret_post"}), method, json!("client_secret_post"));
    check(json!({"grant_types": null}), "grant_types", json!(["authorization_code"]));
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    check(
        json!({"grant_types": [device, "refresh_token", "client_credentials", "authorization_code"]}),
        "grant_types",
        json!(["authorization_code", "refresh_token"]),
    );
    check(json!({"response_types": null}), "response_types", json!(["code"]));
    check(json!({"response_types": ["token", "code"]}), "response_types", json!(["code"]));
    check(json!({"scope": "question unknown answer"}), "scope", json!("question answer"));
    check(json!({"scope": null}), "scope", Value::Null);
    check(json!({"client_name": "  A \u{202e}name\r\n\u{200b}here "}), "client_name", json!("A name here"));
    check(json!({"client_name": null}), "client_name", Value::Null);
    let uris = json!(["https://vscode.dev/redirect", "http://127.0.0.1/", "vscode://x/cb", "http://[::1]:1/"]);
    check(json!({"redirect_uris": uris}), "redirect_uris", uris.clone());
    check(
        json!({"redirect_uris": ["https://a.example/", "https://a.example/"]}),
        "redirect_uris",
        json!(["https://a.example/"]),
    );
    // What is used for nothing comes back, and what is unknown does not.
    check(json!({"application_type": "web"}), "application_type", json!("web"));
    check(json!({"client_uri": "https://app.example/"}), "client_uri", json!("https://app.example/"));
    check(json!({"contacts": ["a@app.example"]}), "contacts", json!(["a@app.example"]));
    for changes in [json!({"client_uri": 5}), json!({"contacts": [null]}), json!({"software_id": null})] {
        let (name, _) = changes.as_object().unwrap().iter().next().unwrap();
        check(changes.clone(), name, Value::Null);
    }
    check(json!({"jwks_uri": "https://app.example/keys"}), "jwks_uri", Value::Null);
    check(json!({"client_id": "mine"}), "x", Value::Null);
    assert!(id_of(&registered(&server, &json!({"client_id": "mine"}))).starts_with("reg~"));
}

/// Everyone who sees an identifier can read the metadata in it.
#[test]
fn the_metadata_of_a_client_does_not_give_its_secret() {
    let server = TestServer::start();
    let metadata = json!({"token_endpoint_auth_method": "client_secret_post"});
    let [client, thief] = [registered(&server, &metadata), registered(&server, &metadata)];
    assert_ne!(id_of(&client), id_of(&thief));
    let code = code(&server, &query(id_of(&client), CALLBACK, None));
    let redeemed = |members: &Value| {
        let secret = members["client_secret"].as_str().expect("a secret");
        redeem(&server, id_of(&client), &code, "", Some(secret)).status
    };
    assert_eq!((redeemed(&thief), redeemed(&client)), (400, 200));
}

#[test]
fn only_a_client_that_authenticates_has_a_secret() {
    let server = TestServer::start();
    let public = registered(&server, &json!({}));
    assert_eq!((public.get("client_secret"), public.get("client_secret_expires_at")), (None, None));
    for method in ["client_secret_basic", "client_secret_post"] {
        let members = registered(&server, &json!({"token_endpoint_auth_method": method}));
        let (id, secret) = (id_of(&members), members["client_secret"].as_str().expect("a secret"));
        assert_eq!(members["client_secret_expires_at"], 0);
        assert!(
            secret.len() >= 43
                && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        let wrong = format!("{}{}", if secret.starts_with('A') { 'B' } else { 'A' }, &secret[1..]);
        let other = registered(&server, &json!({"token_endpoint_auth_method": method, "client_name": "Other"}));
        let of_other = other["client_secret"].as_str().expect("a secret");
        for (fields, parameter, expected) in [
            (String::new(), None, 400),
            (String::new(), Some(wrong.as_str()), 400),
            (String::new(), Some(of_other), 400),
            (basic(id, &wrong), None, 401),
            (basic(id, secret), None, 200),
            (String::new(), Some(secret), 200),
        ] {
            let code = code(&server, &query(id, CALLBACK, None));
            let answer = redeem(&server, id, &code, &fields, parameter);
            assert_eq!(answer.status, expected, "{}", answer.text());
            assert!(expected == 200 || answer.json()["error"] == "invalid_client");
        }
        // Without a person's consent it gets nothing.
        let form = pairs(&[("grant_type", "client_credentials")]);
        let answer = post_form(&server, "/token", &basic(id, secret), &form);
        assert_eq!(answer.json()["error"], "unauthorized_client");
    }
}

#[test]
fn a_mistake_in_the_metadata_is_named() {
    let server = TestServer::start();
    let check = |changes: Value, error: &str, words: &str| {
        let answer = register(&server, &changed(&changes));
        let members = answer.json();
        let said = members["error_description"].as_str().expect("a description");
        assert!(
            answer.status == 400 && members["error"] == error && said.contains(words),
            "{changes}: {members}"
        );
    };
    let uris = |uris: Value| json!({ "redirect_uris": uris });
    let bad = "invalid_redirect_uri";
    check(uris(Value::Null), bad, "the redirect_uris are missing");
    check(uris(json!([])), bad, "the redirect_uris are missing");
    check(uris(json!("https://app.example/")), bad, "redirect_uris is not a list of texts");
    check(uris(json!(["https://app.example/", 5])), bad, "redirect_uris is not a list of texts");
    for wrong in [
        "http://app.example/cb",
        "https://app.example/#x",
        "javascript:alert(1)",
        "https://*.app.example/",
        "/callback",
        "http://localhost.evil.example/cb",
        "myapp:/callback",
        "https://a@app.example/",
        "https://app.example/cb?code=x",
    ] {
        let words = format!("the redirect_uri {wrong} ");
        check(uris(json!(["https://app.example/", wrong, "https://b.example/"])), bad, &words);
    }
    let bad = "invalid_client_metadata";
    let method = "token_endpoint_auth_method";
    check(json!({method: "private_key_jwt"}), bad, "private_key_jwt is not none, client_secret_basic or");
    check(json!({method: "NONE"}), bad, "the token_endpoint_auth_method NONE is not none");
    check(json!({method: 1}), bad, "the token_endpoint_auth_method is not a text");
    check(json!({"grant_types": ["client_credentials"]}), bad, "grant_types must have authorization_code");
    check(json!({"grant_types": ["refresh_token"]}), bad, "grant_types must have authorization_code");
    check(json!({"grant_types": []}), bad, "grant_types must have authorization_code");
    check(json!({"grant_types": {}}), bad, "grant_types is not a list of texts");
    check(json!({"response_types": ["token"]}), bad, "response_types must have code");
    check(json!({"client_name": ["A"]}), bad, "the client_name is not a text");
    check(json!({"scope": ["answer"]}), bad, "the scope is not a text");
    check(json!({"scope": "a\"b"}), bad, "the scope has an invalid character");
    let raw = |content: &str, error: &str, words: &str| {
        let answer = server.answer_to(&request(content));
        let members = answer.json();
        let said = members["error_description"].as_str().expect("a description");
        assert!(
            answer.status == 400 && members["error"] == error && said.contains(words),
            "{content}: {members}"
        );
    };
    let twice = r#"{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}"#;
    raw(twice, bad, "redirect_uris appears more than once");
    let twice =
        r#"{"redirect_uris":["https://a.example/"],"client_uri":"https://a.example/","client_\u0075ri":null}"#;
    raw(twice, bad, "client_uri appears more than once");
    raw("", "invalid_request", "the content is not valid JSON");
    raw("[]", "invalid_request", "the content is JSON, but not an object");
    raw(&"[".repeat(10_000), "invalid_request", "the content is not valid JSON");
    raw("{} x", "invalid_request", "the content is not valid JSON");
    let form = post_form(&server, "/register", "", "redirect_uris=x");
    assert_eq!((form.status, &form.json()["error"]), (400, &json!("invalid_request")));
    assert!(form.text().contains("the Content-Type is not application/json"), "{}", form.text());
}

#[test]
fn a_refused_text_leaves_the_access_log_valid_json() {
    let server = TestServer::start_with(|config| config.access_log = Some(LogFormat::Json));
    let metadata = json!({
        "redirect_uris": ["https://a.example/"],
        "token_endpoint_auth_method": "\u{7f}\u{200b}\u{e0041}",
    });
    assert_eq!(register(&server, &metadata).status, 400);
    let lines = server.access.lines();
    let line: Value = serde_json::from_str(&lines[0]).unwrap_or_else(|error| panic!("{error}: {lines:?}"));
    let reason = line["refused"].as_str().expect("a reason");
    assert!(reason.contains("\u{7f}\u{200b}\u{e0041}"), "{reason:?}");
}

#[test]
fn what_is_registered_has_bounds() {
    let server = TestServer::start();
    let uri =
        |length: usize| format!("https://app.example/{}", "x".repeat(length - "https://app.example/".len()));
    let many = |count: usize| -> Vec<String> {
        (0..count).map(|number| format!("https://app.example/{number}")).collect()
    };
    let check = |redirect_uris: Value, status: u16, words: &str| {
        let answer = register(&server, &changed(&json!({ "redirect_uris": redirect_uris })));
        assert!(answer.status == status && answer.text().contains(words), "{}", answer.text());
    };
    check(json!(many(10)), 201, "");
    check(json!(many(11)), 400, "there are more than 10 redirect_uris");
    check(json!([uri(500)]), 201, "");
    check(json!([uri(501)]), 400, "... is longer than 500 bytes");
    let long: Vec<String> = (0..5).map(|number| uri(499) + &number.to_string()).collect();
    check(json!(long[..2]), 201, "");
    check(json!(long), 400, "register fewer or shorter redirect_uris");
    let name = "n".repeat(2000);
    let members = registered(&server, &json!({ "client_name": name }));
    assert_eq!(members["client_name"].as_str().expect("a name").chars().count(), 64, "it is cut");
    let scope: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let answer = register(&server, &changed(&json!({ "scope": scope.join(" ") })));
    assert!(answer.status == 400 && answer.text().contains("too many names"));
    // What is refused is not repeated at length, whatever its characters are.
    for refused in ["m".repeat(9000), "é".repeat(4000), format!("m{}", "é".repeat(4000))] {
        for changes in [json!({ "token_endpoint_auth_method": refused }), json!({ "redirect_uris": [refused] })]
        {
            let answer = register(&server, &changed(&changes));
            assert!(answer.status == 400 && answer.text().len() < 600, "{}", answer.text());
        }
    }
    let answer = register(&server, &changed(&json!({ "software_version": "v".repeat(16 * 1024) })));
    assert_eq!((answer.status, &answer.json()["error"]), (413, &json!("invalid_client_metadata")));
}

#[test]
fn a_registered_client_is_asked_for_what_it_names() {
    let server = TestServer::start();
    let narrow = registered(&server, &json!({"scope": "answer"}));
    let dialog = |id: &str, scope| get_dialog(&server, &query(id, CALLBACK, scope), None).text().to_owned();
    let (answer, question) = ("<code>answer</code>", "<code>question</code>");
    let default = dialog(id_of(&narrow), None);
    assert!(default.contains(answer) && !default.contains(question), "its own scope is the default");
    let wider = dialog(id_of(&narrow), Some("answer question"));
    assert!(wider.contains(answer) && wider.contains(question), "a step-up asks for more");
    let all = registered(&server, &json!({}));
    let default = dialog(id_of(&all), None);
    assert!(default.contains(answer) && default.contains(question));
}

/// Anyone may register an address, and send people a link to this server with a wrong request (RFC 9700, 4.11.2).
#[test]
fn a_wrong_request_of_a_strangers_app_redirects_nowhere() {
    let server = TestServer::start();
    let stranger = registered(&server, &json!({"redirect_uris": ["https://evil.example/?a&b"]}));
    let of_stranger = query(id_of(&stranger), "https://evil.example/?a&b", Some("answer"));
    let of_demo = query("oauth-test-app", "", Some("answer"));
    let check = |from: &str, to: &str, error: &str| {
        let wrong = |query: &str| {
            let changed = query.replace(from, to);
            assert_ne!(changed, query, "{from}");
            get_dialog(&server, &changed, None)
        };
        let answer = wrong(&of_stranger);
        assert_eq!((answer.status, answer.field("location")), (400, None), "{to}");
        let link = format!("href=\"https://evil.example/?a&amp;b&amp;error={error}&amp;error_description=");
        let text = answer.text();
        let names_it = text.contains(">Go to https://evil.example</a>");
        assert!(text.contains(&link) && text.contains("&amp;iss=") && names_it, "{text}");
        let answer = wrong(&of_demo);
        let location = answer.field("location").unwrap_or_else(|| panic!("{to}: {}", answer.text()));
        assert_eq!((answer.status, parameter(location, "error")), (302, Some(error)), "the operator knows it");
    };
    check("response_type=code", "response_type=token", "unsupported_response_type");
    check("code_challenge=", "x=", "invalid_request");
    check("scope=answer", "scope=unknown", "invalid_scope");
    check("scope=answer", "scope=answer&resource=https%3A%2F%2Fother.example", "invalid_target");
}

/// Nor may a fault of the server lead there without a click.
#[test]
fn without_random_bytes_a_strangers_app_gets_no_redirect() {
    // The servers have the same key, which is the first random bytes of each.
    let stranger = registered(&TestServer::start(), &json!({"redirect_uris": ["https://evil.example/cb"]}));
    let server = TestServer::start_without_random_bytes();
    let answer = get_dialog(&server, &query(id_of(&stranger), "https://evil.example/cb", Some("answer")), None);
    assert_eq!((answer.status, answer.field("location")), (503, None), "{}", answer.text());
    assert!(answer.field("retry-after").is_some() && !answer.text().contains("evil.example/cb?"));
    assert!(answer.text().contains(">Try again</"), "{}", answer.text());
    let answer = get_dialog(&server, &query("oauth-test-app", "", Some("answer")), None);
    let location = answer.field("location").expect("a redirect, since the operator knows that app");
    assert_eq!(parameter(location, "error"), Some("temporarily_unavailable"));
}

#[test]
fn a_dead_identifier_is_named_to_the_client_and_the_person() {
    let server = TestServer::start();
    let id = id_of(&registered(&server, &json!({}))).to_owned();
    let changed = format!("{}A", &id[..id.len() - 1]);
    let changed = if changed == id { format!("{}B", &id[..id.len() - 1]) } else { changed };
    for dead in [changed.as_str(), "reg~", "reg~AAAAAAAA", "reg~é", "6a9f7e52-8d27-4d3e-9b46-0c8f7f5a1e11"] {
        let page = get_dialog(&server, &query(dead, CALLBACK, None), None);
        assert_eq!((page.status, page.field("location")), (400, None), "{dead}");
        assert!(page.text().contains("remove the connector (or server) that led you here and add it again"));
        let answer = redeem(&server, dead, "x", "", None);
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_client")), "{dead}");
        let answer = redeem(&server, dead, "x", &basic(dead, "x"), None);
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_client")), "{dead}");
    }
}

#[test]
fn consent_is_asked_for_each_time() {
    let server = TestServer::start();
    let id = id_of(&registered(&server, &json!({}))).to_owned();
    let first = get_dialog(&server, &query(&id, CALLBACK, None), None);
    let session = session_of(&first);
    assert_eq!(answer_dialog(&server, &session, &sealed_of(&first), "authorize").status, 302);
    for query in [query(&id, CALLBACK, None), query(&id, CALLBACK, None).replace("&prompt=consent", "")] {
        let again = get_dialog(&server, &query, Some(&session));
        assert_eq!(again.status, 200, "the same browser, the same request");
        sealed_of(&again);
    }
}

#[test]
fn scripts_of_any_origin_may_register() {
    let server = TestServer::start();
    let preflight = server.answer_to(
        "OPTIONS /register HTTP/1.1\r\nHost: h\r\nOrigin: http://localhost:6274\r\n\
         Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, mcp-protocol-version\r\n\r\n",
    );
    assert_eq!((preflight.status, preflight.field("access-control-allow-methods")), (204, Some("POST")));
    assert_eq!(preflight.field("access-control-allow-headers"), Some("*, authorization"));
    for answer in [register(&server, &claude_code()), register(&server, &json!({}))] {
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"), "{}", answer.status);
        assert_eq!(answer.field("access-control-allow-credentials"), None);
    }
    let get = server.answer_to("GET /register HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((get.status, get.field("allow")), (405, Some("POST, OPTIONS")));
}

#[test]
fn a_peer_that_registers_too_often_waits_and_others_do_not() {
    let server = TestServer::start_with(|config| {
        config.limits.routes.registrations_max = 3;
        config.limits.routes.registration_time = Duration::from_secs(10);
        config.trusted_proxies =
            ["127.0.0.1", "::1"].map(|proxy| Network::parse(proxy).expect("a network")).to_vec();
    });
    let from = |peer: &str, content: &str| {
        let line = format!("HTTP/1.1\r\nX-Forwarded-For: {peer}\r\n");
        server.answer_to(&request(content).replacen("HTTP/1.1\r\n", &line, 1))
    };
    let sound = claude_code().to_string();
    // What is refused counts, too.
    for (content, status) in [(sound.as_str(), 201), ("{}", 400), (&sound, 201), (&sound, 429), ("{}", 429)] {
        assert_eq!(from("192.0.2.1", content).status, status, "{content}");
    }
    let late = from("192.0.2.1", &sound);
    assert_eq!((late.status, late.field("retry-after")), (429, Some("10")));
    assert_eq!(late.json()["error"], "temporarily_unavailable");
    assert_eq!(from("192.0.2.2", &sound).status, 201, "another peer");
    server.wait(Duration::from_secs(10));
    assert_eq!((from("192.0.2.1", &sound).status, from("192.0.2.1", &sound).status), (201, 429));
}

#[test]
fn a_configured_server_registers_only_where_its_file_says_so() {
    let metadata = |server: &TestServer| {
        let answer =
            server.answer_to("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: h\r\n\r\n");
        answer.json().get("registration_endpoint").cloned()
    };
    let server = start_with(|_| {});
    assert_eq!((register(&server, &claude_code()).status, metadata(&server)), (404, None));
    for method in ["GET", "OPTIONS"] {
        let answer = server.answer_to(&format!("{method} /register HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status, 404, "{method}");
    }
    server.reload(|config| config.registration = Some(true));
    assert_eq!(metadata(&server), Some(json!("http://localhost:3001/register")));
    let members = registered(&server, &json!({"scope": "other answer none"}));
    assert_eq!(members["scope"], "other answer");
    let query = query(id_of(&members), CALLBACK, None);
    assert_eq!(get_dialog(&server, &query, None).status, 200);
    server.reload(|config| config.registration = None);
    assert_eq!(get_dialog(&server, &query, None).status, 400, "its clients end with it");
}

/// What was valid when it was registered is checked again each time.
#[test]
fn plain_http_is_for_as_long_as_it_is_allowed() {
    let server = TestServer::start();
    let changes = json!({ "redirect_uris": ["http://app.test/cb", "https://app.example/cb"] });
    assert_eq!(register(&server, &changed(&changes)).json()["error"], "invalid_redirect_uri");
    server.reload(|config| config.insecure_http = true);
    let members = registered(&server, &changes);
    let status = |redirect_uri| get_dialog(&server, &query(id_of(&members), redirect_uri, None), None).status;
    assert_eq!((status("http://app.test/cb"), status("https://app.example/cb")), (200, 200));
    server.reload(|config| config.insecure_http = false);
    assert_eq!((status("http://app.test/cb"), status("https://app.example/cb")), (400, 200));
}

/// With the program itself: what it keeps is in its files alone.
#[test]
fn a_registration_outlives_restarts_as_long_as_its_key() {
    let folder = Folder::new();
    let keys = folder.join("keys").display().to_string();
    let start = |flags: &[&str]| {
        let server = ServerProcess::start(flags);
        let address = SocketAddr::from(([127, 0, 0, 1], server.port));
        (server, address)
    };
    let register = |address| {
        let answer = Client::connect(address).answer_to(&request(&claude_code().to_string()));
        id_of(&answer.json()).to_owned()
    };
    let status = |address, id: &str| {
        let query = query(id, CALLBACK, None);
        Client::connect(address)
            .answer_to(&format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .status
    };
    let (first, address) = start(&["--keys", &keys]);
    let id = register(address);
    assert_eq!(status(address, &id), 200);
    drop(first);
    let (second, address) = start(&["--keys", &keys]);
    assert_eq!((status(address, &id), register(address)), (200, id.clone()));
    drop(second);
    // A new key takes over, and the old one still opens what it sealed.
    assert!(program().args(["--keys", &keys, "--new-key"]).output().expect("it runs").status.success());
    let (third, address) = start(&["--keys", &keys]);
    assert_eq!(status(address, &id), 200);
    assert_ne!(register(address), id);
    drop(third);
    let (_fourth, address) = start(&["--keys", &folder.join("others").display().to_string()]);
    assert_eq!(status(address, &id), 400);
}

#[test]
fn registrations_leave_nothing_behind() {
    let server = TestServer::start_with(|config| config.limits.routes.registrations_max = 100_000);
    let mut client = server.connect();
    for number in 0..2_000 {
        let content = changed(&json!({ "client_name": number.to_string() })).to_string();
        assert_eq!(client.answer_to(&request(&content)).status, 201);
    }
    assert_eq!(server.records(), 0, "no record");
}

#[test]
fn the_dialog_shows_the_host_and_not_the_name_first() {
    let server = TestServer::start();
    for (redirect_uri, host, end, is_local) in [
        ("https://app.example/cb", "app.example", "?", false),
        ("http://localhost:5000/cb", "localhost:5000", "?", true),
        ("http://127.0.0.1:5000/cb", "127.0.0.1:5000", "?", true),
        ("com.example.app:/cb", "com.example.app:", " links?", true),
    ] {
        let changes = json!({ "client_name": "OAuth <Test> \u{202e}App", "redirect_uris": [redirect_uri] });
        let members = registered(&server, &changes);
        let dialog = get_dialog(&server, &query(id_of(&members), redirect_uri, None), None);
        let text = dialog.text();
        let (before, after) = text.split_once("OAuth &lt;Test&gt; App").expect("its name");
        assert!(before.ends_with("It calls itself <bdi>") && !after.contains("OAuth"), "{text}");
        assert!(before.contains(&format!("<span class=\"host\">{host}</span>{end}</h1>")), "{text}");
        assert!(after.contains("An app that registered itself with this server, as any app can."), "{text}");
        assert_eq!(text.contains("Continue only if you have just started it yourself."), is_local, "{text}");
    }
    for name in [json!(null), json!("\u{200b}\n")] {
        let members = registered(&server, &json!({ "client_name": name }));
        let dialog = get_dialog(&server, &query(id_of(&members), CALLBACK, None), None);
        assert!(dialog.text().contains("</h1><p>It gives no name.</p>"), "{}", dialog.text());
    }
}

/// As claude.ai and ten tabs do. Which of the requests comes first makes no difference.
#[cfg(target_os = "linux")]
#[test]
fn refreshes_at_once_from_two_addresses_all_go_on() {
    use std::net::Ipv4Addr;

    let server = TestServer::start_with(|config| config.workers = 2);
    let id = id_of(&registered(&server, &json!({}))).to_owned();
    let refresh = |source: u8, token: &str, barrier: &Barrier| {
        let form = pairs(&[("grant_type", "refresh_token"), ("client_id", &id), ("refresh_token", token)]);
        let source = Ipv4Addr::new(127, 0, 0, source);
        let mut client = Client::connect_from(source, server.authorization_server.port());
        assert_eq!(client.socket.local_addr().expect("an address").ip(), source);
        barrier.wait();
        client.answer_to(&form_request(&form))
    };
    let code = code(&server, &query(&id, CALLBACK, Some("answer")));
    let (_, mut token) = tokens_of(&redeem(&server, &id, &code, "", None));
    for _ in 0..10 {
        let barrier = Barrier::new(2);
        let answers = std::thread::scope(|scope| {
            let other = scope.spawn(|| refresh(2, &token, &barrier));
            [refresh(1, &token, &barrier), other.join().expect("an answer")]
        });
        let [one, other] = answers.map(|answer| tokens_of(&answer));
        assert_eq!(one, other, "one family");
        assert_eq!(call_mcp(&server, &one.0), 200);
        token = one.1;
    }

    let alone = Barrier::new(1);
    let first = tokens_of(&refresh(1, &token, &alone));
    for number in 0..10 {
        server.wait(Duration::from_secs(5));
        assert_eq!(tokens_of(&refresh(1 + number % 2, &token, &alone)), first, "{number}");
    }
    server.wait(Duration::from_secs(11));
    let late = refresh(2, &token, &alone);
    assert_eq!((late.status, &late.json()["error"]), (400, &json!("invalid_grant")), "after the grace");
    assert_eq!(call_mcp(&server, &first.0), 401);
}
