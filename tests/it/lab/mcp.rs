//! The exercises about what a server has for clients and resources that come from elsewhere, as MCP's do.

use oauth_from_scratch::routes::LAB_SHOP;
use serde_json::json;

use super::browser::{attack, authorize, click_switch, leave_shop, open, wait_for_result};
use super::{Lab, check, check_switch};
use crate::support::Answer;
use crate::support::standard::{
    VERIFIER, answer_dialog, decide, encode, get_dialog, get_secure, parameter, request_of, sealed_of,
    session_of, tokens_of,
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
fn pass_a_token_on(lab: &Lab) -> bool {
    let weather = format!("{}/weather", lab.origin());
    let query = format!("{}&resource={}", request_of(LAB_SHOP, &lab.shop_callback()), encode(&weather));
    let dialog = get_dialog(&lab.server, &query, None);
    let place = format!("<dd>Free Weather <code>{weather}</code></dd>");
    assert!(dialog.text().contains(&place), "the dialog names one place: {}", dialog.text());
    let address = decide(&lab.server, &query, "authorize");
    let code = parameter(&address, "code").expect("a code");
    let shops = tokens_of(&lab.redeem(LAB_SHOP, &lab.shop_callback(), code, Some(VERIFIER))).0;
    let refused = lab.post("/weather", "", "{}");
    assert_eq!((refused.status, refused.field("www-authenticate")), (401, Some("Bearer")));
    let told = lab.post("/weather", &format!("Authorization: Bearer {shops}\r\n"), "{}");
    assert_eq!(told.json()["result"]["content"][0]["text"], "sunny");

    let token = lab.caught("/weather");
    let (secure, tool) = (get_secure(&lab.server, &token), call_tool(lab, &token));
    assert_eq!(secure.status, tool.status, "one rule for both resources");
    if tool.status == 401 {
        return false;
    }
    secure.json()["answer"] == 42 && tool.json()["result"]["structuredContent"]["answer"] == 42
}

#[test]
fn exercise_14_passes_a_token_on() {
    check("audience", pass_a_token_on);
}

/// The identifier of a client that the attacker's page registers under this name.
fn register(lab: &Lab, name: &str, redirect_uri: &str) -> String {
    let content = json!({
        "client_name": name,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    let (host, fields, content) = (lab.server.host(), lab.fields(), content.to_string());
    let length = content.len();
    let answer = lab.server.answer_to(&format!(
        "POST /register HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{content}"
    ));
    answer.json()["client_id"].as_str().expect("an identifier").to_owned()
}

/// The heading of a dialog.
fn heading(dialog: &Answer) -> &str {
    let (_, rest) = dialog.text().split_once("<h1>").expect("a heading");
    rest.split_once("</h1>").expect("its end").0
}

/// RFC 7591, 5. The victim looks at the heading, and authorizes what has the heading of the shop's own dialog.
fn take_the_name_of_another_app(lab: &Lab) -> bool {
    let (host, port) = (lab.server.host(), lab.address.port());
    let shops = format!("{}&resource=http://{host}/mcp", request_of(LAB_SHOP, &lab.shop_callback()));
    let shops = get_dialog(&lab.server, &shops, None);
    let impostor = format!("games.localhost:{port}");
    let callback = format!("http://{impostor}/caught.html");
    let client = register(lab, "The Victim's Shop", &callback);
    let dialog = get_dialog(&lab.server, &request_of(&client, &callback), None);
    let decision = if heading(&dialog) == heading(&shops) { "authorize" } else { "refuse" };
    let answer = answer_dialog(&lab.server, &session_of(&dialog), &sealed_of(&dialog), decision);
    let location = answer.field("location").expect("a Location");
    let target = location.strip_prefix(&format!("http://{impostor}")).expect("the attacker's app");
    lab.answer_to(&format!("GET {target} HTTP/1.1\r\nHost: {impostor}\r\n\r\n"));
    let arrived = lab.caught("/caught.html");
    if decision == "refuse" {
        assert_eq!(heading(&dialog), format!("Authorize a program at <span class=\"host\">{impostor}</span>?"));
        assert!(dialog.text().contains("<p>It calls itself <bdi>The Victim&#39;s Shop</bdi>.</p>"));
        assert_eq!(parameter(&arrived, "error"), Some("access_denied"));
        return false;
    }
    let like_the_shops = dialog
        .text()
        .replace(&sealed_of(&dialog), &sealed_of(&shops))
        .replace(&impostor, &format!("shop.localhost:{port}"));
    assert_eq!(like_the_shops, shops.text(), "nothing but the address is different");
    let code = parameter(&arrived, "code").expect("a code");
    let token = tokens_of(&lab.redeem(&client, &callback, code, Some(VERIFIER))).0;
    call_tool(lab, &token).json()["result"]["structuredContent"]["answer"] == 42
}

#[test]
fn exercise_15_takes_the_name_of_another_app() {
    check("named_by_host", take_the_name_of_another_app);
}

/// The draft of client ID metadata documents, 8.6.
fn have_the_server_open_a_door(lab: &Lab) -> bool {
    let door = format!("http://127.0.0.1:{}/door/open", lab.address.port());
    for field in ["Sec-Fetch-Site: none", "Origin: null"] {
        let answer = lab.answer_to(&format!("GET /door/open HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"));
        assert_eq!(answer.status, 403, "the attacker's browser is not in that network");
    }
    let before = lab.all_caught("/door/open").len();
    let callback = format!("{}/caught.html", lab.origin());
    let answer = get_dialog(&lab.server, &request_of(&door, &callback), None);
    let is_open = lab.all_caught("/door/open").len() > before;
    let (said, left_out) = if is_open {
        ("is not valid: its client_id is not its URL", "&quot;door&quot;")
    } else {
        ("could not be fetched: its host has an address that is not on the public internet", "client_id")
    };
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains(said) && !answer.text().contains(left_out), "{}", answer.text());
    is_open
}

#[test]
fn exercise_16_has_the_server_open_a_door_in_its_network() {
    check("checked_addresses", have_the_server_open_a_door);
}

/// The article has no clients that register themselves and no documents, and these exercises are about them.
#[test]
fn exercises_14_to_16_can_begin_with_the_articles_rules() {
    let lab = Lab::start_with(true);
    check_switch(&lab, "audience", pass_a_token_on);
    check_switch(&lab, "named_by_host", take_the_name_of_another_app);
    check_switch(&lab, "checked_addresses", have_the_server_open_a_door);
}

/// The lab's resource beside the demo's must not change what a request without a `resource` means.
#[test]
fn the_default_resource_is_the_same_with_the_lab() {
    let lab = Lab::start();
    let host = lab.server.host();
    let client = register(&lab, "A client", "http://localhost:1/cb");
    let dialog = get_dialog(&lab.server, &request_of(&client, "http://localhost:1/cb"), None);
    let place = format!("<dd>Demo MCP server <code>http://{host}/mcp</code></dd>");
    assert!(dialog.text().contains(&place) && !dialog.text().contains("Free Weather"), "{}", dialog.text());
}

#[test]
fn a_stranger_looks_like_the_shop_or_is_named_by_its_host() {
    let lab = Lab::start();
    let Some((browser, page)) = open("a_stranger_looks_like_the_shop_or_is_named_by_its_host", &lab) else {
        return;
    };
    let rule = "named_by_host";
    let host = format!("games.localhost:{}", lab.address.port());
    let meet = |button: &str| {
        attack(&browser, &page, rule);
        browser.wait_for("the dialog", |browser| browser.url().contains("/authorize?").then_some(()));
        let heading = browser.text("h1");
        browser.click(button);
        browser.wait_for("the popup's end", |browser| (browser.windows() == [&*page]).then_some(()));
        browser.switch_to(&page);
        heading
    };
    assert_eq!(meet("#refuse"), format!("Authorize a program at {host}?"));
    let words = wait_for_result(&browser, rule, "refused");
    assert_eq!(words, format!("The victim declined: the dialog named {host}, and not the shop."));
    assert_eq!(meet("#authorize"), format!("Authorize a program at {host}?"));
    let words = wait_for_result(&browser, rule, "stolen");
    assert!(words.ends_with("This defence informs; the victim decides."), "{words}");
    click_switch(&browser, rule);
    assert_eq!(meet("#authorize"), "Authorize The Victim's Shop?");
    let words = wait_for_result(&browser, rule, "stolen");
    assert_eq!(words, "It calls the tool at /mcp: 42. The victim believes that the shop did it.");
}

#[test]
fn the_server_opens_a_door_of_its_network_or_looks_first() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_server_opens_a_door_of_its_network_or_looks_first", &lab) else {
        return;
    };
    let rule = "checked_addresses";
    let details = "return document.querySelector('details')?.textContent ?? ''";
    let read = || {
        attack(&browser, &page, rule);
        let words = browser.wait_for("the server's page", |browser| {
            browser
                .execute(details)
                .as_str()
                .filter(|text| text.contains("metadata document"))
                .map(str::to_owned)
        });
        browser.close_window();
        browser.switch_to(&page);
        words
    };
    assert!(read().contains("not on the public internet"));
    assert_eq!(wait_for_result(&browser, rule, "refused"), "The door did not open. The popup had the reason.");
    click_switch(&browser, rule);
    assert!(read().contains("its client_id is not its URL"));
    let words = wait_for_result(&browser, rule, "stolen");
    assert!(
        words.starts_with("The door is open: the server has asked for it, from its own network."),
        "{words}"
    );
    #[cfg(feature = "wire")]
    {
        browser.goto(&format!("http://localhost:{}/wire", lab.server.client_app.port()));
        // The last row, which says that all others are there.
        lab.server.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n");
        let rows = crate::wire_view::rows_until(&browser, "GET /secure");
        crate::wire_view::assert_in_order(
            &rows,
            &[
                "popup → authorization server | GET /authorize 400",
                "attacker | POST /rules/switch 200",
                "authorization server → protected resource | GET /door/open 200 OK",
                "popup → authorization server | GET /authorize 400",
            ],
        );
    }
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
