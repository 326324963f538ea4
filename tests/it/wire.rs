//! The wire view over sockets: what it shows of each request, who may see it, and a request that is sent again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use oauth_from_scratch::oauth::resource::DefaultResource;
use oauth_from_scratch::wire::rules;
use serde_json::Value;

use crate::support::source::{code_lines, quoted};
use crate::support::standard::{
    CALLBACK, SECRET, VERIFIER, answer_dialog, basic, code, get_dialog, get_secure, post_form, redemption,
    refresh, request_of, sealed_of, session_of, tokens,
};
use crate::support::{Client, TestServer, secure_request, standard, token_request};

/// A reader of the events, from the oldest on.
pub(crate) struct Reader {
    client: Client,
    text: String,
}

impl Reader {
    pub(crate) fn new(server: &TestServer) -> Reader {
        Reader::after(server, "")
    }

    /// A reader that has these field lines in its request.
    fn after(server: &TestServer, fields: &str) -> Reader {
        Reader::of(server, "/wire/events", fields)
    }

    fn of(server: &TestServer, target: &str, fields: &str) -> Reader {
        let mut client = server.connect_to_client_app();
        let port = server.client_app.port();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n{fields}\r\n"));
        let mut reader = Reader { client, text: String::new() };
        let head = reader.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/event-stream\r\nCache-Control: no-store\r\n"), "{head}");
        reader
    }

    /// Everything up to and with `end`.
    fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.text.find(end) {
                return self.text.drain(..at + end.len()).collect();
            }
            let mut bytes = [0; 4096];
            let count = std::io::Read::read(&mut self.client.socket, &mut bytes).expect("events in time");
            assert!(count > 0, "the stream goes on: {}", self.text);
            self.text.push_str(std::str::from_utf8(&bytes[..count]).expect("text"));
        }
    }

    /// The lines of the next event. Chunks begin and end between events here, or the marks would be among them.
    pub(crate) fn event(&mut self) -> Vec<String> {
        let text = self.until("\n\n");
        let lines = text.lines().map(str::to_owned).filter(|line| line.contains(": "));
        lines.collect()
    }

    pub(crate) fn data(event: &[String]) -> Value {
        let line = event.iter().find_map(|line| line.strip_prefix("data: ")).expect("data");
        serde_json::from_str(line).expect("JSON")
    }

    /// The next exchange.
    pub(crate) fn exchange(&mut self) -> Value {
        loop {
            let event = self.event();
            if !event.iter().any(|line| line.starts_with("event: ")) {
                return Reader::data(&event);
            }
        }
    }

    /// The rule that decided the last exchange of those up to the one whose request begins with `line`.
    fn rule_of(&mut self, line: &str) -> String {
        loop {
            let exchange = self.exchange();
            if exchange["request"].as_str().expect("a request").starts_with(line) {
                let decisions = exchange["decisions"].as_array().expect("a list");
                let rule = decisions.last().map(|decision| decision["rule"].as_str().expect("a name"));
                return rule.unwrap_or_default().to_owned();
            }
        }
    }
}

#[test]
fn a_flow_is_shown_byte_for_byte_with_its_rules() {
    let server = TestServer::start();
    let mut reader = Reader::new(&server);
    let requests = ["GET /oauth-dialog.html HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()];
    server.answer_to(&requests[0]);
    let code = server.code();
    let token = token_request(&code);
    let answer = server.answer_to(&token);
    let access = answer.json()["access_token"].as_str().unwrap().to_owned();
    let secure = secure_request(&format!("Bearer {access}"));
    server.answer_to(&secure);
    server.answer_to(&secure_request("Bearer nonsense"));
    server.answer_to(&token);

    let dialog = reader.exchange();
    assert_eq!(dialog["request"], requests[0].as_str());
    let rules: Vec<String> = ["POST /code", "POST /token", "GET /secure", "GET /secure", "POST /token"]
        .iter()
        .map(|line| reader.rule_of(line))
        .collect();
    assert_eq!(
        rules,
        ["code issued", "code redeemed", "access token valid", "access token malformed", "code replayed"]
    );

    let mut again = Reader::new(&server);
    let found = std::iter::repeat_with(|| again.exchange()).find(|found| found["request"] == token.as_str());
    let found = found.expect("the token request");
    let shown = found["answer"].as_str().unwrap();
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{shown}");
    assert!(shown.ends_with(answer.text()), "the content is that of the answer");
    assert_eq!(found["server"], "authorization-server");
    assert_eq!(found["answer_bytes"], shown.chars().count());
    assert!(found["decisions"][0]["line"].as_u64().unwrap() > 10);
}

#[test]
fn a_chunked_request_is_shown_as_it_was_sent() {
    let server = TestServer::start();
    let mut reader = Reader::new(&server);
    let chunked = "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n{\"cod\r\n6\r\ne\":\"x\"\r\n1\r\n}\r\n0\r\n\r\n";
    let next = "GET /secure HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = server.connect();
    client.send(format!("\r\n{chunked}{next}"));
    client.answer(false);
    client.answer(false);
    let (first, second) = (reader.exchange(), reader.exchange());
    assert_eq!(first["request"], format!("\r\n{chunked}"));
    assert_eq!(second["request"], next);
    assert_eq!(first["connection"], second["connection"]);
}

#[test]
fn a_request_without_an_answer_is_shown_without_one() {
    let server = TestServer::start();
    let mut reader = Reader::new(&server);
    let mut client = server.connect();
    client.send("GET /secure HTTP/1.1\r\nHost: h\r\n\r\nGET /sec");
    client.answer(false);
    client.send("ure HTTP/1.1\r\nHost: h h\r\n\r\n");
    client.answer(false);
    reader.exchange();
    let refused = reader.exchange();
    assert_eq!(refused["request"], "GET /secure HTTP/1.1\r\nHost: h h\r\n\r\n");
    assert_eq!(refused["decisions"][0]["rule"], "message not served");
    assert_eq!(refused["decisions"][0]["refuses"], true);
}

#[test]
fn a_reader_that_comes_back_gets_what_it_has_missed() {
    let server = TestServer::start();
    let mut reader = Reader::new(&server);
    (0..3).for_each(|_| drop(server.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n")));
    assert_eq!(Reader::data(&reader.event())["code_ms"], 60_000, "hello");
    let first = reader.event();
    let id = first.iter().find_map(|line| line.strip_prefix("id: ")).expect("a number").to_owned();
    let field = format!("Last-Event-ID: {id}\r\n");
    let query = format!("/wire/events?after={id}");
    let later = query.replace(&id, &id.replace("-1", "-2"));
    for (target, fields, next) in [
        ("/wire/events", &*field, 2),
        (&query, "", 2),
        (&later, "", 3),
        // The browser's own mark is the newer one.
        (&later, &field, 2),
        ("/wire/events?after=", "", 1),
    ] {
        assert_eq!(Reader::of(&server, target, fields).exchange()["id"], next, "{target} {fields}");
    }
    let mut other = Reader::after(&server, "Last-Event-ID: 7-2\r\n");
    assert_eq!(other.exchange()["id"], 1, "the number of another process means nothing");
}

#[test]
fn the_wire_view_is_for_its_own_pages_alone() {
    let server = TestServer::start();
    let port = server.client_app.port();
    let own = format!("Host: localhost:{port}\r\n");
    let get = |fields: &str, path: &str| {
        server.connect_to_client_app().answer_to(&format!("GET {path} HTTP/1.1\r\n{fields}\r\n")).status
    };
    assert_eq!(get(&own, "/wire"), 200);
    assert_eq!(get("Host: 127.0.0.1\r\nSec-Fetch-Site: none\r\n", "/wire"), 200);
    for path in ["/wire", "/wire/events", "/wire.js"] {
        assert_eq!(get("Host: rebound.example\r\n", path), 403, "{path}");
        assert_eq!(get(&format!("{own}Sec-Fetch-Site: cross-site\r\n"), path), 403, "{path}");
        assert_eq!(get(&format!("{own}Sec-Fetch-Site: same-site\r\n"), path), 403, "{path}");
    }
    let linked = format!("{own}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: document\r\n");
    assert_eq!(get(&linked, "/wire"), 200, "a link of another page");
    assert_eq!(get(&linked, "/wire/events"), 403, "what is shown is not a page");
    let on_the_other =
        server.answer_to(&format!("GET /wire/events HTTP/1.1\r\nHost: {}\r\n\r\n", server.host()));
    assert_eq!(on_the_other.status, 404, "with a client app, the view is there");
}

#[test]
fn without_a_client_app_the_view_is_the_authorization_servers() {
    let server = standard::start_with(|config| config.wire.is_wanted = Some(true));
    for path in ["/wire", "/wire.js", "/wire.css"] {
        let answer = server.answer_to(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.host()));
        assert_eq!(answer.status, 200, "{path}");
    }
    get_dialog(&server, &request_of("app", CALLBACK), None);
    assert_eq!(Reader::new(&server).rule_of("GET /authorize"), "dialog shown");
}

#[test]
fn without_a_wire_view_there_is_none_and_nothing_is_kept() {
    let server = TestServer::start_with(|config| config.wire.is_wanted = Some(false));
    // There it is the client app's.
    let with_view = TestServer::start();
    for request in [
        "GET /wire HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /wire/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /wire/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        "POST /wire HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "GET /wire/send HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        assert_eq!(server.connect_to_client_app().answer_to(request).status, 404, "{request}");
        assert_eq!(with_view.answer_to(request).status, 404, "not the authorization server's: {request}");
    }
    let page = server.connect_to_client_app().answer_to("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!page.text().contains("wire"), "the client app's page does not mention it");
}

/// Sends this JSON to be sent again, with further field lines.
fn send_again(server: &TestServer, fields: &str, json: &str) -> (u16, String) {
    let (port, length) = (server.client_app.port(), json.len());
    let answer = server.connect_to_client_app().answer_to(&format!(
        "POST /wire/send HTTP/1.1\r\nHost: localhost:{port}\r\n{fields}Content-Length: {length}\r\n\r\n{json}"
    ));
    (answer.status, answer.text().to_owned())
}

#[test]
fn an_edited_request_is_sent_and_shown_like_every_other() {
    const JSON: &str = "Content-Type: application/json\r\n";
    let server = TestServer::start();
    let mut reader = Reader::new(&server);
    let request = "GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer edited\r\n\r\n";
    let content = serde_json::json!({"server": "authorization-server", "request": request}).to_string();
    let (status, text) = send_again(&server, JSON, &content);
    assert_eq!((status, &*text), (200, r#"{"sent":true}"#));
    let found = reader.exchange();
    assert_eq!(
        (&found["request"], &found["decisions"][0]["rule"]),
        (&request.into(), &"access token malformed".into())
    );

    let check = |fields: &str, json: &str, status: u16, words: &str| {
        let (found, text) = send_again(&server, fields, json);
        assert!(found == status && text.contains(words), "{fields}{json}: {found} {text}");
    };
    check("", &content, 400, "the Content-Type is not application/json");
    check("Content-Type: text/plain\r\n", &content, 400, "the Content-Type is not application/json");
    check(&format!("{JSON}Sec-Fetch-Site: cross-site\r\n"), &content, 403, "another site asks");
    check(JSON, "{", 400, "not valid JSON");
    check(
        JSON,
        r#"{"server":"elsewhere.example","request":"x"}"#,
        400,
        "neither client-app, authorization-server nor lab",
    );
    check(JSON, r#"{"server":"lab","request":"x"}"#, 400, "there is no such server");
    check(JSON, r#"{"server":"client-app","request":1}"#, 400, "not a string");
}

#[test]
fn every_refusal_is_shown_with_its_rule() {
    let server = standard::start_with(|config| {
        (config.client_port, config.issuer) = (Some(0), None);
        config.wire.is_wanted = Some(true);
        // The tokens are for /secure, and not for the MCP server that comes with the client app.
        config.default_resource = DefaultResource::Nothing;
    });
    let reader = RefCell::new(Reader::new(&server));
    let good = request_of("app", CALLBACK);
    let check = |line: &str, rule: &str| assert_eq!(reader.borrow_mut().rule_of(line), rule, "{line}");

    let dialog = |query: &str, rule: &str| {
        get_dialog(&server, query, None);
        check("GET /authorize", rule);
    };
    dialog(&good, "dialog shown");
    dialog("", "the article's dialog");
    dialog(&good.replace("client_id=app", "client_id=unknown"), "unknown client");
    dialog(&good.replace("callback", "callbacks"), "unregistered redirect URI");
    dialog(&request_of("two", ""), "which redirect URI");
    dialog(&good.replace("response_type=code", "response_type=token"), "only codes");
    dialog(&good.replace("S256", "plain"), "S256 only");
    dialog(&good.replace("scope=answer", "scope=other"), "scope not registered");
    dialog(&format!("{good}&scope=x"), "each parameter once");

    let shown = get_dialog(&server, &good, None);
    let (session, sealed) = (session_of(&shown), sealed_of(&shown));
    let form = |fields: &str, content: &str| post_form(&server, "/code", fields, content);
    form("Sec-Fetch-Site: cross-site\r\n", "");
    check("POST /code", "form of another site");
    form("", &format!("request={sealed}&decision=authorize"));
    check("POST /code", "no session cookie");
    let changed_at = |at: usize| {
        let other = if sealed[at..].starts_with('A') { "B" } else { "A" };
        format!("{}{other}{}", &sealed[..at], &sealed[at + 1..])
    };
    answer_dialog(&server, &session, &changed_at(0), "authorize");
    check("POST /code", "key of the seal unknown");
    answer_dialog(&server, &session, &changed_at(sealed.len() / 2), "authorize");
    check("POST /code", "seal broken");
    answer_dialog(&server, &session, &sealed, "refuse");
    check("POST /code", "access denied");
    answer_dialog(&server, &session, &sealed, "authorize");
    check("POST /code", "form answered before");

    let token = |fields: &str, content: &str, rule: &str| {
        post_form(&server, "/token", fields, content);
        check("POST /token", rule);
    };
    let fresh = || code(&server, "app", CALLBACK);
    token("", &redemption(&fresh()).replace(VERIFIER, &VERIFIER.replace('d', "e")), "verifier does not match");
    token("", &redemption(&fresh()).replace("callback", "callbacks"), "another redirect URI");
    token("", &redemption(&fresh()).replace("code_verifier", "x"), "verifier left out");
    token(&basic("shop", SECRET), &redemption(&fresh()).replace("client_id=app&", ""), "another client's code");
    token("", &redemption("short"), "code malformed");
    token("", &redemption(&"A".repeat(64)), "unknown code");
    token("", "grant_type=password&client_id=app", "unknown grant type");
    token("", "client_id=app", "parameter missing");
    token("", "grant_type=x&grant_type=x&client_id=app", "each parameter of a form once");
    token(&basic("shop", "wrong"), "grant_type=client_credentials", "wrong secret");
    token(&basic("shop", SECRET), "grant_type=client_credentials", "token for the client itself");
    token("", "grant_type=client_credentials&client_id=app", "grant type not registered");
    let (access, refresh_token) = tokens(&server);
    let refreshed = |scope: &str| format!("{}{scope}", refresh(&refresh_token));
    token("", &refreshed("&scope=other"), "code redeemed");
    check("POST /token", "scope widened at a refresh");
    token("", &refreshed(""), "refresh token rotated");
    token("", &refreshed(""), "rotation repeated");
    token("", &refresh(&"B".repeat(64)), "unknown refresh token");

    get_secure(&server, &access);
    check("GET /secure", "access token valid");
    get_secure(&server, &"C".repeat(64));
    check("GET /secure", "access token invalid");
    server.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n");
    check("GET /secure", "no access token");
    post_form(&server, "/introspect", &basic("gate", SECRET), &format!("token={access}"));
    check("POST /introspect", "token described");
    post_form(&server, "/introspect", "", &format!("client_id=app&token={access}"));
    check("POST /introspect", "introspection needs a secret");
    post_form(&server, "/revoke", "", &format!("client_id=app&token={access}"));
    check("POST /revoke", "token revoked");
    post_form(&server, "/revoke", "", &format!("client_id=app&token={access}"));
    check("POST /revoke", "nothing to revoke");
    server.answer_to("OPTIONS /token HTTP/1.1\r\nHost: h\r\nOrigin: https://app.example\r\n\r\n");
    check("OPTIONS /token", "preflight answered");
    server.answer_to("DELETE /token HTTP/1.1\r\nHost: h\r\n\r\n");
    check("DELETE /token", "another method");
}

#[test]
fn every_rule_names_a_test_that_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for rule in rules::all() {
        let (file, name) = rule.test.split_once("::").unwrap_or_else(|| panic!("{}: {}", rule.name, rule.test));
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = text.match_indices(&format!("fn {name}()")).next().map(|(at, _)| &text[..at]);
        let before = found.unwrap_or_else(|| panic!("{}: {file} has no test {name}", rule.name));
        let attributes: Vec<&str> = before.lines().rev().take(4).collect();
        assert!(attributes.iter().any(|line| line.contains("#[test]")), "{name} is no test");
    }
}

/// Documents of HTTP, JSON, JSON-RPC and browsers that rules name, and that the project's own documents need not explain.
const FOUNDATIONS: &[&str] = &["RFC 6454", "RFC 6585", "RFC 7617", "RFC 8259", "Fetch", "JSON-RPC 2.0"];

#[test]
fn every_rule_names_a_document_that_the_project_follows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = String::new();
    for entry in fs::read_dir(root.join("docs")).expect("docs") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            texts.push_str(&fs::read_to_string(path).expect("text"));
        }
    }
    for rule in rules::all() {
        for section in rule.section.split("; ") {
            let document = section.split(',').next().unwrap_or(section);
            let is_known = FOUNDATIONS.contains(&document) || texts.contains(document);
            assert!(is_known, "{}: {document} is in no document", rule.name);
            let number = section.rsplit(' ').next().unwrap_or_default();
            let is_number = number.split('.').all(|part| part.parse::<u32>().is_ok());
            assert!(is_number || !document.starts_with("RFC"), "{}: {section} has no section", rule.name);
        }
    }
}

/// Files in which requests are refused with a reason for the log.
const REFUSING: &[&str] = &[
    "src/oauth/authorize.rs",
    "src/oauth/client.rs",
    "src/oauth/pkce.rs",
    "src/routes/endpoint/code.rs",
    "src/routes/endpoint/dialog.rs",
    "src/routes/endpoint/introspect.rs",
    "src/routes/endpoint/mcp/answer.rs",
    "src/routes/endpoint/mcp/mod.rs",
    "src/routes/endpoint/mcp/version.rs",
    "src/routes/endpoint/secure.rs",
    "src/routes/endpoint/token.rs",
    "src/routes/request/client_authentication.rs",
    "src/routes/request/dialog_form.rs",
    "src/routes/request/parameters.rs",
];

/// Texts in them that are no reasons: descriptions for clients, words for people, and reasons that a store's outcome
/// explains.
const NOT_REASONS: &[&str] = &[
    "the code is invalid",
    "the resource owner did not authorize the client",
    "the form was answered before, in another way or with a code that is spent or expired",
    "the access token is wrong or has expired",
    "the access token does not have the required scope",
    "the access token lacks a scope",
    "the Host is not this server's",
    "the token does not have the scope that the endpoint needs",
    "the token is unknown, expired or revoked, or its client may no longer use it",
    "the token is for another resource",
    "the code was used before; its grant is revoked (RFC 6749, 4.1.2)",
    "the refresh token was used before; its grant is revoked (RFC 9700, 4.14.2)",
    "the code has expired",
    "the refresh token has expired",
    "the code is another client's (RFC 6749, 4.1.3)",
    "the refresh token is another client's (RFC 6749, 6)",
    "unknown authorization code",
    "unknown refresh token",
    "the code or refresh token is invalid, expired or already used",
    "the client is unknown, or its authentication failed",
    "the names are the standard's own",
    "the name of a member",
    "the server failed to check the client's secret",
];

/// A text in the source that reads like a reason has a rule, so no refusal is shown without one.
#[test]
fn every_reason_in_the_source_has_a_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known: BTreeSet<&str> = NOT_REASONS.iter().copied().collect();
    let (mut missing, mut found) = (Vec::new(), 0);
    for path in REFUSING {
        let text = fs::read_to_string(root.join(path)).expect(path);
        for (number, line) in code_lines(&text) {
            for reason in quoted(line) {
                let reads_like_one =
                    ["the ", "there is ", "malformed ", "more than one ", "no ", "Sec-", "Origin "]
                        .iter()
                        .any(|start| reason.starts_with(start));
                let is_description = reason.contains("try again") || known.contains(reason);
                if !reads_like_one || is_description || reason.contains('{') || reason.ends_with('\\') {
                    continue;
                }
                found += 1;
                if !rules::all().any(|rule| rule.is_for(reason)) {
                    missing.push(format!("{path}:{number}: {reason:?} has no rule in src/wire/rules"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(found > 50, "reasons are found: {found}");
}

/// The page follows a grant by the names of rules, and draws differences by them.
#[test]
fn every_rule_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/client-app");
    let names: BTreeSet<&str> = rules::all().map(|rule| rule.name).collect();
    let mut found = 0;
    for file in ["wire-model.js", "wire-difference.js"] {
        let text = fs::read_to_string(root.join(file)).expect(file);
        for start in ["rule === '", "rule !== '", "      case '"] {
            for (at, _) in text.match_indices(start) {
                let name = text[at + start.len()..].split('\'').next().expect("a name");
                // Fields of a message, which are told apart in the same way.
                if ["authorization", "cookie", "set-cookie", "referer", "location"].contains(&name) {
                    continue;
                }
                assert!(names.contains(name), "{file}: there is no rule {name:?}");
                found += 1;
            }
        }
    }
    assert!(found > 10, "rules are found: {found}");
}
