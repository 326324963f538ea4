//! What the dialog says of a client that registered itself: when it asks for more, and wherever its answer goes.

use super::*;
use serde_json::Value;

/// Registers a client of the demo that returns to `redirect_uri`, and gives its identifier.
fn register(server: &TestServer, redirect_uri: &str) -> String {
    let metadata = json!({
        "client_name": "Claude Code",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    })
    .to_string();
    let answer = server.answer_to(&format!(
        "POST /register HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{metadata}",
        metadata.len()
    ));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["client_id"].as_str().expect("an identifier").to_owned()
}

/// Opens the dialog in which this client asks for `scope`.
fn ask(browser: &Browser, server: &TestServer, client: &str, redirect_uri: &str, scope: &str) {
    let query = standard::request_of(client, redirect_uri).replace("scope=answer", &format!("scope={scope}"));
    browser.goto(&format!("http://localhost:{}/authorize?{query}", server.authorization_server.port()));
}

#[test]
fn a_browser_shows_what_is_new_when_a_client_asks_for_more() {
    let Some(browser) = start_or_skip("a_browser_shows_what_is_new") else { return };
    let server = TestServer::start();
    let app = Site::page("/callback", "back");
    let redirect_uri = format!("http://localhost:{}/callback", app.port);
    let client = register(&server, &redirect_uri);
    let scopes = || browser.text(".scopes");
    ask(&browser, &server, &client, &redirect_uri, "answer+question");
    assert!(!scopes().contains("New:"), "{}", scopes());
    ask(&browser, &server, &client, &redirect_uri, "answer");
    assert!(!scopes().contains("New:"), "{}", scopes());
    browser.click("#authorize");
    assert!(app.query().contains("code="));

    ask(&browser, &server, &client, &redirect_uri, "answer+question");
    let lines: Vec<String> = scopes().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!((&*lines[0], &*lines[2]), ("New:", "You allowed before, in this browser:"));
    assert!(lines[1].ends_with("question") && lines[3].ends_with("answer"), "{lines:?}");
    assert_eq!(browser.execute("return document.cookie"), Value::from(""), "scripts cannot read the cookies");
    look(&browser, "step-up");
    // It is one question: the answer is to all of it.
    browser.click("#authorize");
    assert!(app.query().contains("code="));
}

#[test]
fn the_dialog_of_a_client_that_registered_itself_fits_a_phone() {
    let Some(browser) = start_or_skip("the_dialog_of_a_client_that_registered") else { return };
    let server = TestServer::start();
    for (name, redirect_uri, host) in [
        ("loopback", "http://127.0.0.1:53682/callback", "127.0.0.1:53682"),
        ("scheme", "com.example.app:/cb", "com.example.app:"),
        ("website", "https://a-very-long-name-of-a-website.with-more-of-it.example/oauth/callback", ".example"),
    ] {
        let client = register(&server, redirect_uri);
        ask(&browser, &server, &client, redirect_uri, "answer+question");
        assert!(browser.text("h1 .host").ends_with(host), "{}", browser.text("h1"));
        look(&browser, name);
    }
}

/// Checks that the dialog fits a phone and a popup, in light and dark, and keeps pictures where `SCREENSHOTS` says.
fn look(browser: &Browser, name: &str) {
    for (width, height) in [(390, 844), (480, 680)] {
        for colours in ["light", "dark"] {
            let features = json!([
                {"name": "prefers-color-scheme", "value": colours},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]);
            browser.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
            let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
            browser.devtools("Emulation.setDeviceMetricsOverride", &size);
            let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.execute(overflow), 0, "{name}: nothing is cut off at the side of {width}");
            if let Some(folder) = std::env::var_os("SCREENSHOTS") {
                let file = std::path::Path::new(&folder).join(format!("dialog-{name}-{width}-{colours}.png"));
                std::fs::write(&file, browser.screenshot()).expect("the folder of pictures can be written to");
            }
        }
    }
    browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({}));
}
