//! The demo's MCP server: its transport, its messages in both eras of the protocol, and the tokens that it takes.

use oauth_from_scratch::config::Config;
use oauth_from_scratch::oauth::Scope;
use oauth_from_scratch::oauth::resource::Resource;
use oauth_from_scratch::routes::DEMO_CLIENT_ID;
use serde_json::{Value, json};

use crate::support::standard::{self, CHALLENGE, VERIFIER, decide, pairs, parameter, post_form};
use crate::support::{Answer, TestServer, secure_request};

/// An access token of the demo's client for `scope` at the MCP server.
fn token(server: &TestServer, scope: &str) -> String {
    token_for(server, scope, &[&format!("http://{}/mcp", server.host())])
}

/// The same for these resources.
fn token_for(server: &TestServer, scope: &str, resources: &[&str]) -> String {
    let callback = format!("http://localhost:{}/oauth-callback.html", server.client_app.port());
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", DEMO_CLIENT_ID),
        ("redirect_uri", &callback),
        ("scope", scope),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    query.extend(resources.iter().map(|uri| ("resource", *uri)));
    let location = decide(server, &pairs(&query), "authorize");
    let code = parameter(&location, "code").expect("a code");
    let form = pairs(&[
        ("grant_type", "authorization_code"),
        ("client_id", DEMO_CLIENT_ID),
        ("redirect_uri", &callback),
        ("code", code),
        ("code_verifier", VERIFIER),
    ]);
    let answer = post_form(server, "/token", "", &form);
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("a token: {answer:?}")).to_owned()
}

/// `POST /mcp` with these field lines and this content.
fn post(server: &TestServer, fields: &str, content: &str) -> Answer {
    let (host, length) = (server.host(), content.len());
    server.answer_to(&format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{fields}Content-Length: {length}\r\n\r\n{content}"
    ))
}

/// The same with a token, and perhaps a version in its field.
fn send(server: &TestServer, token: &str, version: &str, message: &Value) -> Answer {
    let version =
        if version.is_empty() { String::new() } else { format!("MCP-Protocol-Version: {version}\r\n") };
    post(server, &format!("Authorization: Bearer {token}\r\n{version}"), &message.to_string())
}

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// A request of 2026-07-28: what `_meta` must have, and the fields that repeat the content.
fn stateless(server: &TestServer, token: &str, method: &str, mut params: Value) -> Answer {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    let fields = format!(
        "Authorization: Bearer {token}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}"
    );
    post(server, &fields, &request(method, params).to_string())
}

/// The challenge of `answer`, with the server's own name in it as `{host}`.
fn challenge(server: &TestServer, answer: &Answer) -> String {
    answer
        .field("www-authenticate")
        .unwrap_or_else(|| panic!("a challenge: {answer:?}"))
        .replace(&server.host(), "{host}")
}

const METADATA: &str = "resource_metadata=\"http://{host}/.well-known/oauth-protected-resource/mcp\"";

#[test]
fn without_a_token_mcp_says_where_to_get_one() {
    let server = TestServer::start();
    let bare = format!("Bearer {METADATA}, scope=\"answer\"");
    let bad = format!(
        "Bearer error=\"invalid_token\", error_description=\"the access token is wrong or has expired\", {METADATA}, \
         scope=\"answer\""
    );
    let check = |fields: &str, content: &str, expected: &str| {
        let answer = post(&server, fields, content);
        assert_eq!((answer.status, challenge(&server, &answer)), (401, expected.to_owned()), "{fields}");
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
    };
    let message = request("tools/list", json!({})).to_string();
    check("", &message, &bare);
    check("", "not a message", &bare);
    check("Authorization: Basic YTpi\r\n", &message, &bare);
    check("Authorization: Bearer\r\n", &message, &bad);
    check("Authorization: Bearer a b\r\n", &message, &bad);
    check(&format!("Authorization: Bearer {}\r\n", "A".repeat(64)), &message, &bad);
    check(&format!("Authorization: Bearer {}\r\n", "A".repeat(64)), "not a message", &bad);
    let token = token(&server, "answer");
    // Bare tokens are the article's, and two are none.
    check(&format!("Authorization: {token}\r\n"), &message, &bare);
    let twice = format!("Authorization: Bearer {token}\r\n").repeat(2);
    check(&twice, &message, &bare);
    assert_eq!(send(&server, &token, "", &request("tools/list", json!({}))).status, 200);
}

#[test]
fn a_revoked_or_expired_token_is_no_token() {
    let server = TestServer::start();
    let [revoked, expired] = [(), ()].map(|()| token(&server, "answer"));
    let list = request("tools/list", json!({}));
    let form = pairs(&[("token", &revoked), ("client_id", DEMO_CLIENT_ID)]);
    assert_eq!(post_form(&server, "/revoke", "", &form).status, 200);
    assert_eq!(send(&server, &revoked, "", &list).status, 401);
    assert_eq!(send(&server, &expired, "", &list).status, 200);
    server.wait(std::time::Duration::from_secs(86_400));
    let answer = send(&server, &expired, "", &list);
    assert_eq!(answer.status, 401);
    assert!(challenge(&server, &answer).contains("error=\"invalid_token\""));
}

#[test]
fn a_token_for_another_resource_is_no_token_for_mcp() {
    const OTHER: &str = "https://api.example/v1";
    let server = TestServer::start_with(|config: &mut Config| {
        let scope = Scope::parse("answer").expect("a scope");
        config.resources = vec![Resource::new(OTHER, "The API", scope).expect("a URI")];
    });
    let own = format!("http://{}/mcp", server.host());
    let list = request("tools/list", json!({}));
    let check = |token: &str, is_accepted: bool| {
        let answer = send(&server, token, "", &list);
        if is_accepted {
            assert_eq!(answer.status, 200, "{answer:?}");
            return;
        }
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("invalid_token")), "{answer:?}");
        assert!(challenge(&server, &answer).starts_with("Bearer error=\"invalid_token\", "));
        let reason = "authorization server: POST /mcp 401: the token is for another resource";
        assert_eq!(server.log.lines().last().map(String::as_str), Some(reason));
    };
    check(&token_for(&server, "answer", &[&own]), true);
    check(&token_for(&server, "answer", &[OTHER, &own]), true);
    check(&token_for(&server, "answer", &[OTHER]), false);
    // No resource at all: what `/secure` accepts, and with it the article's token.
    check(&token_for(&server, "answer", &[]), false);
    let of_article = server.token();
    check(&of_article, false);
    assert_eq!(server.answer_to(&secure_request(&of_article)).status, 200);
}

#[test]
fn a_call_that_needs_more_scope_says_all_that_it_needs() {
    let server = TestServer::start();
    let [narrow, other, wide] = ["answer", "question", "answer question"].map(|scope| token(&server, scope));
    let check = |token: &str, tool: &str, expected: Result<&str, &str>| {
        let answer = send(&server, token, "2025-11-25", &request("tools/call", json!({"name": tool})));
        match expected {
            Ok(text) => {
                assert_eq!(answer.status, 200, "{tool}: {answer:?}");
                assert_eq!(answer.json()["result"]["content"][0]["text"], text);
            }
            Err(scope) => {
                let expected = format!(
                    "Bearer error=\"insufficient_scope\", error_description=\"the access token lacks a scope\", \
                     {METADATA}, scope=\"{scope}\""
                );
                assert_eq!((answer.status, challenge(&server, &answer)), (403, expected), "{tool}");
                assert_eq!(answer.json()["error"], "insufficient_scope");
            }
        }
    };
    check(&narrow, "answer", Ok("42"));
    check(&narrow, "question", Err("answer question"));
    check(&other, "answer", Err("answer"));
    check(&other, "question", Err("answer question"));
    check(&wide, "answer", Ok("42"));
    check(&wide, "question", Ok("No one has found it yet."));
}

#[test]
fn a_client_with_a_session_opens_lists_and_calls() {
    let server = TestServer::start();
    let token = token(&server, "answer");
    let check = |version: &str, message: Value, status: u16, expected: Value| {
        let answer = send(&server, &token, version, &message);
        assert_eq!((answer.status, answer.json()), (status, expected), "{message}");
        assert_eq!(answer.field("content-type"), Some("application/json"));
        assert_eq!(answer.field("mcp-session-id"), None);
    };
    let server_info = json!({"name": "oauth-from-scratch", "version": env!("CARGO_PKG_VERSION")});
    for (asked, agreed) in
        [("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2024-11-05", "2025-11-25")]
    {
        let params =
            json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let result =
            json!({"protocolVersion": agreed, "capabilities": {"tools": {}}, "serverInfo": server_info});
        check("", request("initialize", params), 200, json!({"jsonrpc": "2.0", "id": 1, "result": result}));
        let answer =
            send(&server, &token, agreed, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!((answer.status, answer.text()), (202, ""));
        check(agreed, request("ping", json!({})), 200, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
        let call = request("tools/call", json!({"name": "answer", "arguments": {}}));
        let result = json!({
            "content": [{"type": "text", "text": "42"}], "structuredContent": {"answer": 42}, "isError": false,
        });
        check(agreed, call, 200, json!({"jsonrpc": "2.0", "id": 1, "result": result}));
        let tools = send(&server, &token, agreed, &request("tools/list", json!({}))).json();
        assert_eq!(tools["result"]["tools"][0]["name"], "answer");
        assert_eq!(tools["result"]["tools"][1]["name"], "question");
        assert!(tools["result"]["ttlMs"].is_null() && tools["result"]["resultType"].is_null());
        let error = |code: i32, message: &str| {
            let error = json!({"code": code, "message": message});
            json!({"jsonrpc": "2.0", "id": 1, "error": error})
        };
        let no_method = error(-32601, "the MCP server does not have this method");
        check(agreed, request("resources/list", json!({})), 200, no_method.clone());
        check(agreed, request("server/discover", json!({})), 200, no_method);
        let no_tool = error(-32602, "the MCP server does not have this tool");
        check(agreed, request("tools/call", json!({"name": "sum"})), 200, no_tool.clone());
        check(agreed, request("tools/call", json!({})), 200, no_tool);
        let result = json!({
            "content": [{"type": "text", "text": "This tool takes no arguments."}], "isError": true,
        });
        let call = request("tools/call", json!({"name": "answer", "arguments": {"a": 1}}));
        check(agreed, call, 200, json!({"jsonrpc": "2.0", "id": 1, "result": result}));
    }
}

#[test]
fn a_client_without_a_session_discovers_lists_and_calls() {
    let server = TestServer::start();
    let token = token(&server, "answer");
    let check = |method: &str, params: Value, status: u16, expected: Value| {
        let answer = stateless(&server, &token, method, params);
        let mut json = answer.json();
        if let Some(result) = json.get_mut("result").and_then(Value::as_object_mut) {
            assert_eq!(result.remove("resultType"), Some(json!("complete")), "{method}");
            let meta = result.remove("_meta").expect("the server's name");
            assert_eq!(meta["io.modelcontextprotocol/serverInfo"]["name"], "oauth-from-scratch");
        }
        assert_eq!((answer.status, json), (status, expected), "{method}");
    };
    let discovered = json!({
        "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18"], "capabilities": {"tools": {}},
        "ttlMs": 300_000, "cacheScope": "private",
    });
    check("server/discover", json!({}), 200, json!({"jsonrpc": "2.0", "id": 1, "result": discovered}));
    let result = json!({
        "content": [{"type": "text", "text": "42"}], "structuredContent": {"answer": 42}, "isError": false,
    });
    check("tools/call", json!({"name": "answer"}), 200, json!({"jsonrpc": "2.0", "id": 1, "result": result}));
    let tools = stateless(&server, &token, "tools/list", json!({})).json();
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&tools["result"]["ttlMs"], &tools["result"]["cacheScope"]),
        (&json!(300_000), &json!("private"))
    );
    let no_method = json!({"code": -32601, "message": "the MCP server does not have this method"});
    for method in ["initialize", "ping", "resources/list", "subscriptions/listen"] {
        check(method, json!({}), 404, json!({"jsonrpc": "2.0", "id": 1, "error": no_method}));
    }
    assert_eq!(stateless(&server, &token, "tools/call", json!({"name": "question"})).status, 403);
    // A notification needs none of the fields and members of a request.
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/cancelled"});
    let answer = send(&server, &token, "2026-07-28", &notification);
    assert_eq!((answer.status, answer.text()), (202, ""));
}

#[test]
fn fields_that_differ_from_the_message_are_refused() {
    let server = TestServer::start();
    let token = token(&server, "answer");
    let meta = |version: &str| {
        json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        })
    };
    let sound = json!({"name": "answer", "_meta": meta("2026-07-28")});
    let check = |version: &str, fields: &str, params: Value, code: Option<i32>| {
        let message = request("tools/call", params);
        let version =
            version.lines().map(|line| format!("MCP-Protocol-Version: {line}\r\n")).collect::<String>();
        let fields = format!("Authorization: Bearer {token}\r\n{version}{fields}");
        let answer = post(&server, &fields, &message.to_string());
        assert_eq!(answer.json()["error"]["code"].as_i64(), code.map(i64::from), "{fields}{message}");
        assert_eq!(answer.status, if code.is_some() { 400 } else { 200 }, "{fields}{message}");
    };
    let named = "Mcp-Method: tools/call\r\nMcp-Name: answer\r\n";
    check("2026-07-28", named, sound.clone(), None);
    check("2026-07-28", "Mcp-Method: tools/call\r\nMcp-Name: =?base64?YW5zd2Vy?=\r\n", sound.clone(), None);
    check("", named, sound.clone(), Some(-32020));
    check("2026-07-28\n2026-07-28", named, sound.clone(), Some(-32020));
    check("2025-11-25", named, sound.clone(), Some(-32020));
    check("2026-07-28", named, json!({"name": "answer", "_meta": meta("2025-11-25")}), Some(-32020));
    check("2026-07-28", "Mcp-Method: tools/call\r\n", sound.clone(), Some(-32020));
    check("2026-07-28", "Mcp-Name: answer\r\n", sound.clone(), Some(-32020));
    check("2026-07-28", "Mcp-Method: tools/list\r\nMcp-Name: answer\r\n", sound.clone(), Some(-32020));
    check("2026-07-28", "Mcp-Method: tools/call\r\nMcp-Name: question\r\n", sound.clone(), Some(-32020));
    check("2026-07-28", &format!("{named}Mcp-Name: answer\r\n"), sound, Some(-32020));
    check("2026-07-28", named, json!({"name": "answer"}), Some(-32602));
    let no_capabilities = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    check("2026-07-28", named, json!({"name": "answer", "_meta": no_capabilities}), Some(-32602));
    let no_version = json!({"io.modelcontextprotocol/clientCapabilities": {}});
    check("2026-07-28", named, json!({"name": "answer", "_meta": no_version}), Some(-32602));
    check("2025-11-25", "", json!({"name": "answer", "_meta": meta("2025-11-25")}), None);
}

#[test]
fn an_unknown_version_is_told_of_those_that_are_spoken() {
    let server = TestServer::start();
    let token = token(&server, "answer");
    for version in ["1900-01-01", "2025-03-26", "2099-01-01", "a\"b"] {
        let answer = send(&server, &token, version, &request("tools/list", json!({})));
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["code"]), (400, &json!(-32022)));
        let supported = ["2026-07-28", "2025-11-25", "2025-06-18"];
        assert_eq!(error["data"], json!({"supported": supported, "requested": version}));
    }
}

#[test]
fn what_is_no_message_is_refused_in_json() {
    let server = TestServer::start();
    let token = token(&server, "answer");
    let authorization = format!("Authorization: Bearer {token}\r\n");
    let check = |content: &str, expected: Value| {
        let answer = post(&server, &authorization, content);
        let mut json = answer.json();
        assert!(
            json["error"].as_object_mut().is_some_and(|error| error.remove("message").is_some()),
            "{content}"
        );
        assert_eq!((answer.status, json), (400, expected), "{content}");
    };
    check("", json!({"jsonrpc": "2.0", "error": {"code": -32700}}));
    check("{\"jsonrpc\":", json!({"jsonrpc": "2.0", "error": {"code": -32700}}));
    check(&"[".repeat(60_000), json!({"jsonrpc": "2.0", "error": {"code": -32700}}));
    check(
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
        json!({"jsonrpc": "2.0", "error": {"code": -32600}}),
    );
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", json!({"jsonrpc": "2.0", "error": {"code": -32600}}));
    check(
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"b\"}",
        json!({"jsonrpc": "2.0", "id": "a\"b", "error": {"code": -32600}}),
    );
    let form = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n{authorization}\
         Content-Length: 0\r\n\r\n",
        server.host()
    );
    let answer = server.answer_to(&form);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(-32600)));
    let huge = post(&server, &authorization, &" ".repeat(64 * 1024 + 1));
    assert_eq!((huge.status, huge.field("access-control-allow-origin")), (413, Some("*")));
}

#[test]
fn mcp_has_no_stream_and_no_session() {
    let server = TestServer::start();
    for method in ["GET", "HEAD", "DELETE", "PUT"] {
        let request = format!(
            "{method} /mcp HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nMcp-Session-Id: x\r\n\r\n",
            server.host()
        );
        let mut client = server.connect();
        client.send(request);
        let answer = client.answer(method == "HEAD");
        assert_eq!((answer.status, answer.field("allow")), (405, Some("POST, OPTIONS")), "{method}");
    }
}

/// A page whose name is pointed at this machine sends its own name, as the Host and as the Origin.
#[test]
fn a_page_under_another_name_reaches_no_tool() {
    let server = TestServer::start();
    let token = token(&server, "answer");
    let content = request("tools/call", json!({"name": "answer"})).to_string();
    let check = |host: &str, origin: &str, status: u16| {
        let answer = server.answer_to(&format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\n{origin}Content-Type: application/json\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        ));
        assert_eq!(answer.status, status, "{host} {origin}");
    };
    let port = server.authorization_server.port();
    let rebound = format!("rebound.example:{port}");
    check(&server.host(), "", 200);
    check(&server.host(), "Origin: http://inspector.example\r\n", 200);
    check(&server.host(), "Origin: null\r\n", 200);
    check(&format!("127.0.0.1:{port}"), "Origin: http://inspector.example\r\n", 200);
    check(&rebound, &format!("Origin: http://{rebound}\r\n"), 403);
    check(&rebound, "Origin: null\r\n", 403);
    check(&server.host(), "Origin: http://a.example\r\nOrigin: http://b.example\r\n", 403);
    // No browser sends this one: a program behind a proxy.
    check(&rebound, "", 200);
}

/// Clients of 2025-03-26 take the MCP server's address for the issuer's. The issuer is the same, whatever the Host is.
#[test]
fn metadata_is_found_from_the_address_of_the_mcp_server() {
    let get = |server: &TestServer, path: &str, host: &str| {
        let answer = server.answer_to(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"), "{path}");
        answer
    };
    let server = TestServer::start();
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/mcp"] {
        for host in [server.host(), "rebound.example".to_owned()] {
            let answer = get(&server, path, &host);
            assert_eq!(
                (answer.status, &answer.json()["issuer"]),
                (200, &json!(format!("http://{}", server.host())))
            );
        }
    }
    let configured = standard::start();
    assert_eq!(get(&configured, "/.well-known/oauth-authorization-server/mcp", "h").status, 404);
    for path in ["/.well-known/oauth-authorization-server/x", "/.well-known/openid-configuration/mcp"] {
        assert_eq!(get(&server, path, "h").status, 404, "{path}");
    }
}

#[test]
fn only_the_demo_has_an_mcp_server() {
    let content = request("ping", json!({})).to_string();
    let check = |server: &TestServer, expected: [u16; 3]| {
        let statuses = ["OPTIONS", "GET"].map(|method| {
            let request = format!("{method} /mcp HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n");
            server.answer_to(&request).status
        });
        assert_eq!([post(server, "", &content).status, statuses[0], statuses[1]], expected);
    };
    check(&TestServer::start(), [401, 204, 405]);
    // A client would take any other answer for that of an MCP server.
    check(&TestServer::start_with(|config: &mut Config| config.is_article = true), [404; 3]);
    check(&standard::start(), [404; 3]);
}
