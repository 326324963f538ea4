//! The real page in a real browser: through the popup to 42, and every way it can go otherwise.
//!
//! Without chromium and chromedriver these tests say so and pass; with `BROWSER_REQUIRED` set, as CI does,
//! they fail.

mod support;

#[path = "support/standard.rs"]
mod standard;

#[path = "support/browser.rs"]
mod browser;

use browser::{Browser, start_or_skip};
use serde_json::json;
use support::TestServer;

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// The client app's page in a new browser, under `name`.
fn open(test: &str, server: &TestServer, name: &str) -> Option<(Browser, String)> {
    let browser = start_or_skip(test)?;
    browser.goto(&format!("http://{name}:{}/", server.client_app.port()));
    let window = browser.windows().remove(0);
    Some((browser, window))
}

/// Waits until the page is in `state`, and gives what it says then.
fn wait_for_state(browser: &Browser, state: &str) -> String {
    browser.wait_for(&format!("the state {state}"), |browser| {
        let at = browser.execute("return document.querySelector('main')?.dataset.state");
        (at == state).then_some(())
    });
    browser.text("#status")
}

/// Presses the page's button and goes to the dialog that opens.
fn open_dialog(browser: &Browser, page: &str) {
    browser.click("#start");
    let dialog = browser.wait_for_window_beside(page);
    browser.switch_to(&dialog);
    browser.wait_for("the dialog", |browser| browser.url().contains("/oauth-dialog.html?").then_some(()));
}

fn assert_answered(browser: &Browser, page: &str) {
    browser.wait_for("the popup's end", |browser| (browser.windows() == [page]).then_some(()));
    browser.switch_to(page);
    wait_for_state(browser, "done");
    assert_eq!(browser.text("#answer"), "The secret answer is 42");
    assert_eq!(browser.console(), Vec::<String>::new(), "the browser has nothing to complain of");
}

#[test]
fn a_click_in_the_popup_leads_to_42() {
    let server = TestServer::start();
    let Some((browser, page)) = open("a_click_in_the_popup_leads_to_42", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    assert_eq!(browser.text("h1"), "Authorize OAuth Test App?");
    browser.click("#authorize");
    assert_answered(&browser, &page);

    // And once more, without loading the page anew.
    open_dialog(&browser, &page);
    browser.click("#authorize");
    assert_answered(&browser, &page);
}

#[test]
fn a_popup_that_is_closed_is_told_in_words() {
    let server = TestServer::start();
    let Some((browser, page)) = open("a_popup_that_is_closed_is_told_in_words", &server, "localhost") else {
        return;
    };
    open_dialog(&browser, &page);
    browser.close_window();
    browser.switch_to(&page);
    let status = wait_for_state(&browser, "failed");
    assert!(status.contains("closed"), "{status}");
    assert_eq!(browser.text("#answer"), "");

    open_dialog(&browser, &page);
    browser.click("#authorize");
    assert_answered(&browser, &page);
}

#[test]
fn a_dialog_that_is_cancelled_is_told_in_words() {
    let server = TestServer::start();
    let Some((browser, page)) = open("a_dialog_that_is_cancelled", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    browser.click("#refuse");
    browser.switch_to(&page);
    let status = wait_for_state(&browser, "failed");
    assert!(status.contains("not authorize"), "{status}");
}

#[test]
fn an_answer_to_another_question_or_of_another_server_is_not_taken() {
    let server = TestServer::start();
    let name = "an_answer_to_another_question";
    let Some((browser, page)) = open(name, &server, "localhost") else { return };
    let callback = format!("http://localhost:{}/oauth-callback.html", server.client_app.port());
    let check = |change: &dyn Fn(&str) -> String, words: &str| {
        open_dialog(&browser, &page);
        let state = browser.execute("return new URLSearchParams(location.search).get('state')");
        let state = state.as_str().expect("the page sends a state").to_owned();
        // Somebody else's code, in the very popup that the page waits for.
        let answer = format!("?code={}&state={state}&iss=http%3A%2F%2F{}", server.code(), server.host());
        browser.goto(&format!("{callback}{}", change(&answer)));
        browser.switch_to(&page);
        let status = wait_for_state(&browser, "failed");
        assert!(status.contains(words), "{status}");
    };
    check(&|answer| answer.replace("&state=", "&state=x"), "another question");
    check(&|answer| answer.split("&state=").next().unwrap().to_owned(), "another question");
    check(
        &|answer| answer.replace("&iss=", "&iss=https%3A%2F%2Fevil.example%2F"),
        "another authorization server",
    );
    check(&|answer| answer.split("&iss=").next().unwrap().to_owned(), "another authorization server");
    check(&|answer| answer.to_owned(), "POST /token was refused");
}

#[test]
fn a_popup_that_the_browser_blocks_is_told_in_words() {
    let server = TestServer::start();
    let Some((browser, _)) = open("a_popup_that_is_blocked", &server, "localhost") else { return };
    browser.execute("window.open = () => null");
    browser.click("#start");
    let status = wait_for_state(&browser, "failed");
    assert!(status.contains("blocked"), "{status}");
}

#[test]
fn a_server_that_goes_away_is_told_in_words() {
    let server = TestServer::start();
    let Some((browser, page)) = open("a_server_that_goes_away", &server, "localhost") else { return };
    open_dialog(&browser, &page);
    browser.switch_to(&page);
    // The answer to the next request does not come: as if the server were gone, for this page alone.
    browser.execute("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))");
    let dialog = browser.wait_for_window_beside(&page);
    browser.switch_to(&dialog);
    browser.click("#authorize");
    browser.switch_to(&page);
    let status = wait_for_state(&browser, "failed");
    assert!(status.contains("/token"), "the step that failed is named: {status}");
}

#[test]
fn another_name_of_the_same_machine_leads_to_the_one_the_redirect_uses() {
    let server = TestServer::start();
    let Some((browser, page)) = open("another_name_of_the_same_machine", &server, "127.0.0.1") else { return };
    let canonical = format!("http://localhost:{}/", server.client_app.port());
    browser.wait_for("the change of name", |browser| (browser.url() == canonical).then_some(()));
    open_dialog(&browser, &page);
    browser.click("#authorize");
    assert_answered(&browser, &page);
}

#[test]
fn the_keyboard_alone_leads_to_42() {
    let server = TestServer::start();
    let Some((browser, page)) = open("the_keyboard_alone_leads_to_42", &server, "localhost") else { return };
    let focus_by_tab = |id: &str| {
        for _ in 0..20 {
            browser.press(TAB);
            if browser.execute("return document.activeElement.id") == id {
                return;
            }
        }
        panic!("no number of tabs leads to {id}");
    };
    focus_by_tab("start");
    browser.press(ENTER);
    let dialog = browser.wait_for_window_beside(&page);
    browser.switch_to(&dialog);
    browser.wait_for("the dialog", |browser| browser.url().contains("/oauth-dialog.html?").then_some(()));
    focus_by_tab("authorize");
    browser.press(ENTER);
    assert_answered(&browser, &page);
}

#[test]
fn no_page_scrolls_sideways_on_a_phone() {
    let server = TestServer::start();
    let Some((browser, _)) = open("no_page_scrolls_sideways_on_a_phone", &server, "localhost") else { return };
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", &phone);
    let (client, auth) = (server.client_app.port(), server.authorization_server.port());
    for page in [
        format!("{client}/"),
        format!("{client}/oauth-callback.html"),
        format!("{auth}/"),
        format!("{auth}/oauth-dialog.html"),
        format!("{auth}/nothing"),
    ] {
        browser.goto(&format!("http://localhost:{page}"));
        let width = browser.execute("return document.documentElement.scrollWidth");
        assert_eq!(width, 360, "{page}");
    }
}

/// A page at another origin holds a form that posts to `/code`, and sends it: the browser says where it comes
/// from, and no code is made.
#[test]
fn a_form_on_another_sites_page_is_refused() {
    let server = TestServer::start();
    let Some((browser, _)) = open("a_form_on_another_sites_page", &server, "localhost") else { return };
    let url = format!("http://localhost:{}/code", server.authorization_server.port());
    // Two sites that are the attacker's: one that a server could serve, and one that has no origin at all.
    browser.goto(&format!(
        "data:text/html,<form method=post action='{url}'><button id=send>Win a prize</button></form>"
    ));
    browser.click("#send");
    browser.wait_for("the refusal", |browser| (browser.url() == url).then_some(()));
    assert_eq!(browser.text("h1"), "This form came from another site");
    let log = server.log.lines().join("\n");
    assert!(log.contains("POST /code 403: Sec-Fetch-Site says that another site sent the form"), "{log}");
}

/// The dialog in a frame of another page shows nothing that could be clicked.
#[test]
fn the_dialog_cannot_be_framed() {
    let server = TestServer::start();
    let Some((browser, _)) = open("the_dialog_cannot_be_framed", &server, "localhost") else { return };
    let url = format!("http://localhost:{}/oauth-dialog.html", server.authorization_server.port());
    browser.goto(&format!("data:text/html,<iframe src='{url}'></iframe>"));
    browser.switch_to_frame(0);
    browser.wait_for("the browser's refusal", |browser| {
        (browser.execute("return location.href") == "chrome-error://chromewebdata/").then_some(())
    });
    assert_eq!(browser.execute("return document.querySelectorAll('form').length"), 0);
}

/// Pictures of every page in light and dark and on a phone, for a person to look at and for the README. They are
/// kept where `SCREENSHOTS` says, and show the default ports; without it they are taken and thrown away.
#[test]
fn pictures_of_the_pages_can_be_taken() {
    let server = TestServer::start_with(|config| {
        if std::env::var_os("SCREENSHOTS").is_some() {
            (config.client_port, config.auth_port) = (Some(3000), 3001);
        }
    });
    let Some((browser, page)) = open("pictures_of_the_pages", &server, "localhost") else { return };
    let (client, auth) = (server.client_app.port(), server.authorization_server.port());
    let idle = picture(&browser, "client-app");
    open_dialog(&browser, &page);
    browser.click("#authorize");
    assert_answered(&browser, &page);
    assert_ne!(picture(&browser, "answer"), idle, "the page shows that it is done");
    for (name, address) in [
        ("callback", format!("{client}/oauth-callback.html")),
        ("authorization-server", format!("{auth}/")),
        ("dialog", format!("{auth}/oauth-dialog.html")),
        ("message", format!("{auth}/nothing")),
    ] {
        browser.goto(&format!("http://localhost:{address}"));
        picture(&browser, name);
    }
}

/// Four pictures of the page as it is; the first of them.
fn picture(browser: &Browser, name: &str) -> Vec<u8> {
    let mut first = Vec::new();
    for (kind, width, height) in [("", 900, 760), ("-phone", 360, 740)] {
        for colours in ["light", "dark"] {
            // Without motion, or the picture would show the colours on their way from one scheme to the other.
            let features = json!([
                {"name": "prefers-color-scheme", "value": colours},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]);
            browser.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
            let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
            browser.devtools("Emulation.setDeviceMetricsOverride", &size);
            let png = browser.screenshot();
            assert!(png.starts_with(b"\x89PNG"));
            if let Some(folder) = std::env::var_os("SCREENSHOTS") {
                let file = std::path::Path::new(&folder).join(format!("{name}{kind}-{colours}.png"));
                std::fs::write(&file, &png).expect("the folder of pictures can be written to");
            }
            if first.is_empty() {
                first = png;
            }
        }
    }
    browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({}));
    first
}

#[test]
fn a_native_apps_dialog_leads_to_whichever_port_it_listens_on() {
    let name = "a_native_apps_dialog_leads_to_whichever_port";
    let Some(browser) = start_or_skip(name) else { return };
    let server = standard::start_with(|config| config.issuer = None);
    for address in ["127.0.0.1", "[::1]"] {
        // Where a machine has no IPv6, there is nothing to listen on.
        let Ok(listener) = std::net::TcpListener::bind(format!("{address}:0")) else { continue };
        let callback = format!("http://{address}:{}/callback", listener.local_addr().unwrap().port());
        let app = std::thread::spawn(move || {
            // Until the browser asks for the callback; it may ask for an icon, or open a connection for later.
            for socket in listener.incoming() {
                let (mut socket, mut head) = (socket.unwrap(), [0; 2048]);
                let length = std::io::Read::read(&mut socket, &mut head).unwrap_or(0);
                let text = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback";
                let _ = std::io::Write::write_all(&mut socket, text.as_bytes());
                if head[..length].starts_with(b"GET /callback?") {
                    return;
                }
            }
        });
        let query = standard::request_of("native", &callback);
        browser.goto(&format!("http://{}/authorize?{query}", server.host()));
        assert_eq!(browser.text("h1"), "Authorize The Native App?");
        browser.click("#authorize");
        browser.wait_for("the app's own page", |browser| {
            browser.url().starts_with(&format!("{callback}?code=")).then_some(())
        });
        app.join().expect("the app was asked");
        assert!(browser.url().contains("&state=s+t%26a%3Dte&iss="), "{}", browser.url());
    }
}
