//! The exercises about what a server has for clients and resources that come from elsewhere, as MCP's do.

use oauth_from_scratch::routes::LAB_SHOP;
use serde_json::json;

use super::browser::{attack, authorize, click_switch, leave_shop, open, wait_for_result};
use super::{Lab, check};
use crate::support::Answer;
use crate::support::standard::{
    VERIFIER, decide, encode, get_dialog, get_secure, parameter, request_of, tokens_of,
};

/// What the rogue server gets for the token at the MCP server that has the answer.
fn call_tool(lab: &Lab, token: &str) -> Answer {
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "answer"}}).to_string();
    let (fields, host, length) = (lab.fields(), lab.server.host(), call.len());
    lab.server.answer_to(&format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\n{fields}Authorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nMCP-Protocol-Version: 2025-11-25\r\nContent-Length: {length}\r\n\r\n{call}"
    ))
}

/// RFC 9700, 4.9.1; RFC 8707, 3.
#[test]
fn exercise_14_passes_a_token_on() {
    check("audience", |lab| {
        let weather = format!("{}/weather", lab.origin());
        let query = format!("{}&resource={}", request_of(LAB_SHOP, &lab.shop_callback()), encode(&weather));
        let dialog = get_dialog(&lab.server, &query, None);
        let place = format!("<dd>Free Weather <code>{weather}</code></dd>");
        assert!(dialog.text().contains(&place), "the victim is told of one place: {}", dialog.text());
        let address = decide(&lab.server, &query, "authorize");
        let code = parameter(&address, "code").expect("a code");
        let shops = tokens_of(&lab.redeem(LAB_SHOP, &lab.shop_callback(), code, Some(VERIFIER))).0;
        assert_eq!(lab.post("/weather", "", "{}").status, 401);
        let told = lab.post("/weather", &format!("Authorization: Bearer {shops}\r\n"), "{}");
        assert_eq!(told.json()["result"]["content"][0]["text"], "sunny");

        let token = lab.caught("/weather");
        let (secure, tool) = (get_secure(&lab.server, &token), call_tool(lab, &token));
        assert_eq!(secure.status, tool.status, "one rule for both resources");
        if tool.status == 401 {
            return false;
        }
        secure.json()["answer"] == 42 && tool.json()["result"]["structuredContent"]["answer"] == 42
    });
}

/// The lab's resource beside the demo's must not change what a request without a `resource` means.
#[test]
fn the_default_resource_is_the_same_with_the_lab() {
    let lab = Lab::start();
    let host = lab.server.host();
    let registration =
        json!({"redirect_uris": ["http://localhost:1/cb"], "token_endpoint_auth_method": "none"});
    let content = registration.to_string();
    let length = content.len();
    let answer = lab.server.answer_to(&format!(
        "POST /register HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{content}"
    ));
    let answer = answer.json();
    let client = answer["client_id"].as_str().expect("an identifier");
    let dialog = get_dialog(&lab.server, &request_of(client, "http://localhost:1/cb"), None);
    let place = format!("<dd>Demo MCP server <code>http://{host}/mcp</code></dd>");
    assert!(dialog.text().contains(&place) && !dialog.text().contains("Free Weather"), "{}", dialog.text());
}

#[test]
fn a_token_for_the_weather_opens_the_answer_or_does_not() {
    let lab = Lab::start();
    let Some((browser, page)) = open("a_token_for_the_weather_opens_the_answer_or_does_not", &lab) else {
        return;
    };
    let rule = "audience";
    for is_on in [true, false] {
        if !is_on {
            click_switch(&browser, rule);
        }
        attack(&browser, &page, rule);
        authorize(&browser);
        leave_shop(&browser, &page, "The weather is sunny.");
        let (result, end) = if is_on {
            ("refused", "/secure answers 401. /mcp answers 401.")
        } else {
            ("stolen", "It opens /secure: 42. It calls the tool at /mcp: 42.")
        };
        let words = wait_for_result(&browser, rule, result);
        assert!(words.ends_with(end), "{words}");
    }
}
