//! No page of any server scrolls sideways, on a phone or on a screen.

use oauth_from_scratch::routes::Role;
use serde_json::json;

use super::{assert_answered, open, open_dialog};
use crate::support::TestServer;
use crate::support::standard::request_of;
use crate::wire_view::check_widths;

/// Each kind of page, as it is first and after something has happened on it, at the widths of a phone and a screen.
#[test]
fn no_page_scrolls_sideways_on_a_phone_or_a_screen() {
    let server = TestServer::start_with(|config| config.add_lab(0));
    let Some((browser, page)) = open("no_page_scrolls_sideways", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    browser.click("#authorize");
    assert_answered(&browser, &page);
    check_widths(&browser, "client-app-done");

    let (client, auth) = (server.client_app.port(), server.authorization_server.port());
    let lab =
        server.addresses.iter().find(|(role, _)| *role == Role::Lab).expect("an attacker's site").1.port();
    let callback = format!("http://localhost:{client}/oauth-callback.html");
    let query = request_of("oauth-test-app", &callback);
    for (name, address) in [
        ("client-app", format!("localhost:{client}/")),
        ("callback", format!("localhost:{client}/oauth-callback.html")),
        ("contents", format!("localhost:{client}/docs")),
        ("chapter", format!("localhost:{client}/docs/5-endpoints")),
        ("reference", format!("localhost:{client}/docs/reference")),
        ("authorization-server", format!("localhost:{auth}/")),
        ("article-dialog", format!("localhost:{auth}/oauth-dialog.html")),
        ("dialog", format!("localhost:{auth}/authorize?{query}")),
        ("message", format!("localhost:{auth}/nothing")),
        (
            "refused-redirect",
            format!("localhost:{auth}/authorize?{query}").replace("oauth-callback", "elsewhere"),
        ),
        ("caught", format!("localhost:{lab}/caught.html?code={}", "x".repeat(100))),
        ("sign-in", format!("localhost:{lab}/sign-in.html")),
        ("shop", format!("shop.localhost:{lab}/shop-callback.html?code=x")),
        ("lab", format!("localhost:{lab}/")),
    ] {
        browser.goto(&format!("http://{address}"));
        let small = json!({"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true});
        browser.devtools("Emulation.setDeviceMetricsOverride", &small);
        browser.wait_for(&format!("{name} without overflow at 360"), |browser| {
            (browser.execute("return document.documentElement.scrollWidth") == 360).then_some(())
        });
        check_widths(&browser, name);
    }
    // A long result, of a fetch from another origin that the browser refuses.
    browser.click("[data-attack=cookieless_cors]");
    browser.wait_for("the result", |browser| {
        let words = browser.text("[data-rule=cookieless_cors] .result");
        words.contains("does not show this page").then_some(())
    });
    check_widths(&browser, "lab-refused");

    browser.devtools("Emulation.setTouchEmulationEnabled", &json!({"enabled": true}));
    browser.goto(&format!("http://localhost:{client}/docs/wire"));
    let anchor = "return [matchMedia('(hover: none)').matches, \
                  getComputedStyle(document.querySelector('h2 .anchor')).opacity]";
    assert_eq!(browser.execute(anchor), json!([true, "1"]), "headings' links are legible where nothing hovers");
}
