//! The real page in a real browser: through the popup to 42, and every way it can go otherwise.
//!
//! Without chromium and chromedriver these tests say so and pass; with `BROWSER_REQUIRED` set, as CI does,
//! they fail.

use crate::support::TestServer;
use crate::support::browser::{Browser, start_or_skip, start_with_app_or_skip};
use crate::support::standard;
use serde_json::json;

mod lesson;
mod step_up;
#[cfg(all(feature = "docs", feature = "lab", feature = "wire"))]
mod widths;

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// The client app's page in a new browser, under `name`.
pub fn open(test: &str, server: &TestServer, name: &str) -> Option<(Browser, String)> {
    let browser = start_or_skip(test)?;
    browser.goto(&format!("http://{name}:{}/", server.client_app.port()));
    let window = browser.windows().remove(0);
    Some((browser, window))
}

/// Waits until the page is in `state`, and gives what it says then.
pub fn wait_for_state(browser: &Browser, state: &str) -> String {
    browser.wait_for(&format!("the state {state}"), |browser| {
        let at = browser.execute("return document.querySelector('main')?.dataset.state");
        (at == state).then_some(())
    });
    browser.text("#status")
}

/// Presses the page's button and goes to the dialog that opens.
pub fn open_dialog(browser: &Browser, page: &str) {
    browser.click("#start");
    let dialog = browser.wait_for_window_beside(page);
    browser.switch_to(&dialog);
    browser.wait_for("the dialog", |browser| browser.url().contains("/oauth-dialog.html?").then_some(()));
}

pub fn assert_answered(browser: &Browser, page: &str) {
    browser.wait_for("the popup's end", |browser| (browser.windows() == [page]).then_some(()));
    browser.switch_to(page);
    wait_for_state(browser, "done");
    assert_eq!(browser.text("#answer"), "The secret answer is 42");
    let gap = "return document.querySelector('#start').getBoundingClientRect().top \
               - document.querySelector('#answer').getBoundingClientRect().bottom";
    assert!(browser.execute(gap).as_f64().unwrap() >= 0.0, "the answer is above the button");
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

    // And once more, without reloading the page.
    open_dialog(&browser, &page);
    browser.click("#authorize");
    assert_answered(&browser, &page);
}

/// A choice is shown as one: no step has failed, and nothing is red.
fn assert_declined(browser: &Browser, words: &str) {
    let status = wait_for_state(browser, "declined");
    assert!(status.contains(words), "{status}");
    assert_eq!(browser.execute("return document.querySelectorAll('[data-step=failed]').length"), 0);
    let colour = |css: &str, property: &str| {
        browser.execute(&format!("return getComputedStyle(document.querySelector('{css}')).{property}"))
    };
    let bad = browser.execute(
        "const probe = document.body.appendChild(document.createElement('i')); \
         probe.style.color = 'var(--bad)'; return getComputedStyle(probe).color",
    );
    assert_ne!(colour("#status", "borderLeftColor"), bad);
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
    assert_declined(&browser, "closed");
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
    assert_eq!(browser.text("#refuse"), "Cancel");
    browser.click("#refuse");
    browser.switch_to(&page);
    assert_declined(&browser, "not authorize");
}

#[test]
fn an_answer_with_a_wrong_state_or_issuer_is_ignored() {
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
    check(&|answer| answer.replace("&state=", "&state=x"), "response to another request");
    check(&|answer| answer.split("&state=").next().unwrap().to_owned(), "response to another request");
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
    let second = browser.text(".steps > li:nth-child(2)");
    assert!(!second.contains("Sent by the popup") && second.contains("Allow popups"), "{second}");
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
fn another_name_of_the_machine_leads_to_the_canonical_one() {
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
        ("cannot-authorize", format!("{auth}/authorize?client_id=unknown")),
    ] {
        browser.goto(&format!("http://localhost:{address}"));
        picture(&browser, name);
    }
    let callback = format!("http://localhost:{client}/oauth-callback.html");
    let query = standard::request_of("oauth-test-app", &callback);
    let forms = [
        (
            "too-old",
            "const field = document.querySelector('[name=request]'); field.value = `AAAA${field.value.slice(4)}`",
        ),
        ("not-whole", "document.querySelector('#authorize').value = 'yes'"),
    ];
    for (name, change) in forms {
        browser.goto(&format!("http://localhost:{auth}/authorize?{query}"));
        browser.execute(change);
        browser.click("#authorize");
        browser.wait_for("the page about it", |browser| browser.url().ends_with("/code").then_some(()));
        browser.execute("document.querySelector('details').open = true");
        picture(&browser, name);
    }
    // Declined, as the client app shows it.
    browser.goto(&format!("http://localhost:{client}/"));
    open_dialog(&browser, &page);
    browser.click("#refuse");
    browser.switch_to(&page);
    wait_for_state(&browser, "declined");
    picture(&browser, "declined");
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

/// A site that answers each request for `path` with what `answer` gives, and ends after a number of answers; other requests
/// (for an icon) are 404.
struct Site {
    port: u16,
    heads: std::sync::mpsc::Receiver<String>,
}

impl Site {
    fn start(path: &'static str, answer: impl Fn(usize) -> String + Send + 'static) -> Site {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, heads) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut asked = 0;
            // Those that were not answered stay open, as a slow server leaves them.
            let mut open = Vec::new();
            for socket in listener.incoming() {
                let (mut socket, mut head) = (socket.expect("a connection"), [0; 4096]);
                let length = std::io::Read::read(&mut socket, &mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let text = if head.starts_with(&format!("GET {path}")) {
                    asked += 1;
                    // If there is no receiver, the test has ended.
                    if sender.send(head).is_err() {
                        return;
                    }
                    answer(asked)
                } else {
                    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned()
                };
                if text.is_empty() {
                    open.push(socket)
                } else {
                    drop(std::io::Write::write_all(&mut socket, text.as_bytes()))
                }
            }
        });
        Site { port, heads }
    }

    /// A site that says `words` at `path`.
    fn page(path: &'static str, words: &'static str) -> Site {
        Site::start(path, move |_| page(words))
    }

    /// A site that redirects requests for `path` to `url`.
    fn redirect(path: &'static str, url: String) -> Site {
        Site::start(path, move |_| {
            format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        })
    }

    /// The query of the next request.
    fn query(&self) -> String {
        let head = self.heads.recv_timeout(std::time::Duration::from_secs(180)).expect("a request");
        let target = head.split(' ').nth(1).expect("a target");
        target.split_once('?').map_or("", |(_, query)| query).to_owned()
    }
}

fn page(words: &str) -> String {
    let length = words.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{words}"
    )
}

/// Opens the dialog of the native client, which returns to the site at `port`.
fn open_native_dialog(browser: &Browser, server: &TestServer, port: u16) {
    let query = standard::request_of("native", &format!("http://127.0.0.1:{port}/callback"));
    browser.goto(&format!("http://{}/authorize?{query}", server.host()));
}

#[test]
fn a_callback_may_redirect_to_other_origins_and_app_schemes() {
    let server = standard::start_with(|config| config.issuer = None);
    let to_app = Site::redirect("/second", "com.example.app:/done?x=y".to_owned());
    let origins = [format!("http://{}", server.host()), format!("http://localhost:{}", to_app.port)];
    let Some(browser) = start_with_app_or_skip("a_callback_may_redirect_on", "com.example.app", &origins)
    else {
        return;
    };

    let last = Site::page("/last", "arrived");
    let second = Site::redirect("/second", format!("http://localhost:{}/last?seen", last.port));
    let callback = Site::redirect("/callback", format!("http://localhost:{}/second", second.port));
    open_native_dialog(&browser, &server, callback.port);
    browser.click("#authorize");
    let url = format!("http://localhost:{}/last?seen", last.port);
    browser.wait_for("the last hop", |browser| (browser.url() == url).then_some(()));
    assert!(callback.query().contains("code="));
    assert_eq!(browser.text("body"), "arrived");

    let callback = Site::redirect("/callback", format!("http://localhost:{}/second", to_app.port));
    open_native_dialog(&browser, &server, callback.port);
    browser.click("#authorize");
    callback.query();
    to_app.query();
    assert_eq!(opened_in_app(&browser, 1), "com.example.app:/done?x=y");
    browser.wait_for("the dialog that was left", |browser| {
        browser.text(".card").starts_with("Your answer was sent").then_some(())
    });
    assert_eq!(browser.text("#authorize"), "Send again");
}

/// The `number`th address that the app was opened with.
fn opened_in_app(browser: &Browser, number: usize) -> String {
    let opened = browser.wait_for("the app", |browser| browser.opened_in_app().get(number - 1).cloned());
    let console = browser.console().join("\n");
    assert!(!console.contains("form-action"), "{console}");
    opened
}

#[test]
fn a_second_click_on_a_slow_page_gets_the_code_of_the_first() {
    let Some(browser) = start_or_skip("a_second_click") else { return };
    let server = standard::start_with(|config| config.issuer = None);
    // The first request is never answered, the second is.
    let callback = Site::start("/callback", |asked| if asked == 1 { String::new() } else { page("back") });
    open_native_dialog(&browser, &server, callback.port);
    // The page clicks by itself: WebDriver waits with each command until a page that loads has loaded.
    let seen = browser.execute(
        "const [yes, no] = ['#authorize', '#refuse'].map((css) => document.querySelector(css)); \
         yes.click(); \
         const seen = [yes.textContent, no.ariaDisabled]; \
         no.click(); \
         setInterval(() => yes.click(), 1500); \
         return seen",
    );
    assert_eq!(seen, json!(["One moment…", "true"]), "the button shows that it was pressed");
    let first = callback.query();
    let second = callback.query();
    assert!(first.starts_with("code=") && first == second, "{first} {second}");
    browser.wait_for("the app's page", |browser| browser.url().ends_with(&second).then_some(()));
    assert_eq!(browser.text("body"), "back");
}

#[test]
fn a_redirect_to_an_apps_scheme_leaves_no_live_dialog_behind() {
    let server = standard::start_with(|config| config.issuer = None);
    let query = standard::request_of("phone", "com.example.app:/callback").replace("scope=answer&", "");
    for (pressed, other) in [("#authorize", "#refuse"), ("#refuse", "#authorize")] {
        let origins = [format!("http://{}", server.host())];
        let Some(browser) = start_with_app_or_skip("a_redirect_to_an_apps_scheme", "com.example.app", &origins)
        else {
            return;
        };
        browser.goto(&format!("http://{}/authorize?{query}", server.host()));
        assert!(browser.text(".card").contains("com.example.app:"), "{}", browser.text(".card"));
        let is_announced = "return document.querySelector('[role=status]').checkVisibility()";
        assert_eq!(browser.execute(is_announced), true, "the live region is in the page before it has words");
        for colours in ["light", "dark"] {
            assert_legible_when_pressed(&browser, pressed, colours);
        }
        let mut answers = Vec::new();
        for (words, number) in [("Authorize The Phone App?", 1), ("Your answer was sent", 2)] {
            assert!(browser.text(".card").starts_with(words), "{}", browser.text(".card"));
            browser.click(pressed);
            answers.push(opened_in_app(&browser, number));
        }
        assert!(answers[0].starts_with("com.example.app:/callback?"), "{answers:?}");
        assert_eq!(answers[0], answers[1], "the same answer again");
        assert_eq!(browser.text(pressed), "Send again");
        let is_marked = format!("return document.querySelector('{pressed}').matches('.pressed')");
        assert_eq!(browser.execute(&is_marked), false, "it is active");
        assert_eq!(
            browser.execute(&format!("return document.querySelector('{other}').offsetParent")),
            json!(null)
        );
        assert!(!browser.text(".card").contains("Authorize The Phone App?"));
    }
}

/// Fails if the label of this button has less contrast than 4.5:1 while its request is on its way (WCAG 2.2, 1.4.3).
fn assert_legible_when_pressed(browser: &Browser, button: &str, colours: &str) {
    let features = json!([
        {"name": "prefers-color-scheme", "value": colours},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]);
    browser.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
    let contrast = browser.execute(&format!(
        "const button = document.querySelector('{button}'); \
         button.classList.add('pressed'); \
         const {{ color, backgroundColor, opacity }} = getComputedStyle(button); \
         const context = new OffscreenCanvas(1, 1).getContext('2d'); \
         const [above, below] = [color, backgroundColor].map((colour) => {{ \
           context.fillStyle = colour; \
           context.fillRect(0, 0, 1, 1); \
           const [red, green, blue] = [...context.getImageData(0, 0, 1, 1).data] \
             .map((value) => (value > 10 ? ((value / 255 + 0.055) / 1.055) ** 2.4 : value / 255 / 12.92)); \
           return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05; \
         }}); \
         button.classList.remove('pressed'); \
         return opacity === '1' ? Math.max(above / below, below / above) : 0"
    ));
    assert!(contrast.as_f64().expect("a ratio") >= 4.5, "{button} in {colours}: {contrast}");
}

/// Passes everything on to the server at the port that arrives in the channel, and holds the first
/// requests for a dialog back until all of them have arrived. Gives its own port.
fn start_gate(dialogs: usize, server: std::sync::mpsc::Receiver<u16>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let server = server.recv().expect("the server's port");
        let gate = std::sync::Arc::new(std::sync::Barrier::new(dialogs));
        let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(dialogs));
        for client in listener.incoming() {
            let client = client.expect("a connection");
            let to = std::net::TcpStream::connect(("127.0.0.1", server)).expect("the server listens");
            let (mut from, mut into) =
                (client.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
            let (gate, left) = (gate.clone(), left.clone());
            std::thread::spawn(move || {
                let mut bytes = [0; 64 * 1024];
                while let Ok(count @ 1..) = std::io::Read::read(&mut from, &mut bytes) {
                    let one_less = |left: usize| left.checked_sub(1);
                    let order = std::sync::atomic::Ordering::SeqCst;
                    if bytes[..count].starts_with(b"GET /authorize")
                        && left.fetch_update(order, order, one_less).is_ok()
                    {
                        gate.wait();
                    }
                    if std::io::Write::write_all(&mut into, &bytes[..count]).is_err() {
                        break;
                    }
                }
                let _ = into.shutdown(std::net::Shutdown::Both);
            });
            std::thread::spawn(move || std::io::copy(&mut { to }, &mut { client }));
        }
    });
    port
}

#[test]
fn dialogs_that_a_browser_opens_at_once_are_all_good() {
    let Some(browser) = start_or_skip("dialogs_opened_at_once") else { return };
    let (sender, receiver) = std::sync::mpsc::channel();
    let origin = format!("http://localhost:{}", start_gate(3, receiver));
    let server = standard::start_with(|config| {
        config.issuer = oauth_from_scratch::oauth::issuer::Issuer::parse(&origin).ok();
    });
    sender.send(server.authorization_server.port()).expect("the gate waits");
    let callback = Site::page("/callback", "back");
    let return_to = format!("http://127.0.0.1:{}/callback", callback.port);
    let query = standard::request_of("native", &return_to);
    let first = browser.windows();
    // Different requests, for a browser asks for one address once at a time.
    browser.execute(&format!(
        "for (const at of [1, 2, 3]) window.open('{origin}/authorize?{}', '_blank')",
        query.replace("state=", "state=' + at + '")
    ));
    let windows = browser.wait_for("three dialogs", |browser| {
        let windows: Vec<String> =
            browser.windows().into_iter().filter(|window| !first.contains(window)).collect();
        (windows.len() == 3).then_some(windows)
    });
    for window in windows {
        browser.switch_to(&window);
        browser.wait_for("the dialog", |browser| browser.url().contains("/authorize?").then_some(()));
        browser.click("#authorize");
        browser.wait_for("the app's page", |browser| {
            assert_ne!(browser.url(), format!("{origin}/code"), "{}", browser.text("h1"));
            browser.url().starts_with(&format!("{return_to}?code=")).then_some(())
        });
    }
}

#[test]
fn the_buttons_stay_in_view_however_many_scopes_there_are() {
    let Some(browser) = start_or_skip("the_buttons_stay_in_view") else { return };
    let server = standard::start_with(|config| {
        config.issuer = None;
        config.scopes = (1..=8)
            .map(|number| {
                let sentence = format!("Read and change your documents of kind {number}, and share them.");
                (format!("documents.kind-{number}.write").as_str().into(), sentence)
            })
            .collect();
        let names: Vec<&str> = config.scopes.iter().map(|(name, _)| &**name).collect();
        let scope = oauth_from_scratch::oauth::Scope::parse(&names.join(" ")).expect("names");
        config.clients.iter_mut().for_each(|client| client.scope = scope.clone());
        config.secure_scope = None;
    });
    let query = standard::request_of("app", standard::CALLBACK).replace("scope=answer&", "");
    for (width, height) in [(480, 620), (390, 620), (390, 844)] {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        browser.devtools("Emulation.setDeviceMetricsOverride", &size);
        browser.goto(&format!("http://{}/authorize?{query}", server.host()));
        let check = |at: &str| {
            for button in ["#authorize", "#refuse"] {
                let rectangle =
                    format!("return document.querySelector('{button}').getBoundingClientRect().toJSON()");
                let rectangle = browser.execute(&rectangle);
                let edge = |name: &str| rectangle[name].as_f64().expect("a number");
                assert!(
                    edge("top") >= 0.0
                        && edge("bottom") <= f64::from(height)
                        && edge("right") <= f64::from(width),
                    "{width} × {height}, {at}: {button} {rectangle}"
                );
            }
        };
        check("as it opens");
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.execute(overflow), 0, "nothing is cut off at the side");
        browser.execute("window.scrollTo(0, document.body.scrollHeight)");
        check("at its end");
        // The last line of the question is not under the buttons then.
        let gap = "return document.querySelector('.card form').getBoundingClientRect().top \
                   - document.querySelector('#asked').getBoundingClientRect().bottom";
        assert!(browser.execute(gap).as_f64().unwrap() >= 0.0);
    }
    browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({}));
    // What is no link does not look like one.
    let colour =
        |css: &str| browser.execute(&format!("return getComputedStyle(document.querySelector('{css}')).color"));
    browser.execute(
        "document.body.append(Object.assign(document.createElement('a'), {href: '/', className: 'probe'}))",
    );
    let links = [
        colour(".probe"),
        browser.execute(
            "document.body.className = 'client'; \
        return getComputedStyle(document.querySelector('.probe')).color",
        ),
    ];
    assert!(!links.contains(&colour(".scopes code")), "{links:?}");
    assert_eq!(
        browser.execute("return getComputedStyle(document.querySelector('.scopes code')).textDecorationLine"),
        "none"
    );
    if let Some(folder) = std::env::var_os("SCREENSHOTS") {
        browser.goto(&format!("http://{}/authorize?{query}", server.host()));
        eight_scopes_pictures(&browser, std::path::Path::new(&folder));
    }
}

fn eight_scopes_pictures(browser: &Browser, folder: &std::path::Path) {
    for (width, height) in [(480, 620), (390, 844)] {
        for colours in ["light", "dark"] {
            let features = json!([{"name": "prefers-color-scheme", "value": colours}]);
            browser.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
            let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
            browser.devtools("Emulation.setDeviceMetricsOverride", &size);
            let file = folder.join(format!("eight-scopes-{width}-{colours}.png"));
            std::fs::write(&file, browser.screenshot()).expect("the folder of pictures can be written to");
        }
    }
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
