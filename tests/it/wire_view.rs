//! The wire view in a real browser: the timeline after flows of every kind, two clients at once, a file, and many
//! messages.
//!
//! Without chromium and chromedriver these tests say so and pass; with `BROWSER_REQUIRED` set, as CI does, they fail.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use oauth_from_scratch::config::Config;
use oauth_from_scratch::log::{Log, Logs};
use oauth_from_scratch::net::{Handle, Server};
use oauth_from_scratch::routes::Role;
use oauth_from_scratch::store::MemoryStore;
use oauth_from_scratch::system::RealSystem;
use serde_json::{Value, json};

use crate::support::browser::{Browser, start_or_skip};
use crate::support::standard::{CHALLENGE, request_of};
use crate::support::{Client, TestServer, form_request, secure_request};

/// Both servers with a clock that goes, which the order of what the browser and the server report depends on.
struct Servers {
    client_app: u16,
    authorization_server: u16,
    handle: Handle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Servers {
    fn start() -> Servers {
        let config = Config { client_port: Some(0), auth_port: 0, ..Config::default() };
        let system = Arc::new(RealSystem::default());
        let logs = Logs { errors: Log::kept(), access: Log::kept() };
        let mut server = Server::bind(&config.net_settings(), Arc::new(MemoryStore::new(1000)), system, logs)
            .expect("free ports");
        let port = |wanted| {
            let of = |(role, address): &(Role, SocketAddr)| (*role == wanted).then(|| address.port());
            server.addresses().iter().find_map(of).expect("a port")
        };
        Servers {
            client_app: port(Role::ClientApp),
            authorization_server: port(Role::AuthorizationServer),
            handle: server.handle(),
            thread: Some(std::thread::spawn(move || server.run())),
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

const ARROW_DOWN: char = '\u{e015}';
const END: char = '\u{e010}';

/// A browser that shows the wire view, with the view's window.
fn open(test: &str, client_app: u16) -> Option<(Browser, String)> {
    let browser = start_or_skip(test)?;
    browser.goto(&format!("http://localhost:{client_app}/wire"));
    let window = browser.windows().remove(0);
    browser.wait_for("the words of an empty view", |browser| {
        browser.text(".wire-summary").starts_with("Nothing yet").then_some(())
    });
    Some((browser, window))
}

/// Opens the client app's page in another window, and gives that.
fn open_app(browser: &Browser, client_app: u16, view: &str) -> String {
    browser.execute(&format!("window.open('http://localhost:{client_app}/', '_blank')"));
    let app = browser.wait_for_window_beside(view);
    browser.switch_to(&app);
    browser.wait_for("the page", |browser| {
        let state = browser.execute("return document.querySelector('main')?.dataset.state");
        (state == "idle").then_some(())
    });
    app
}

/// Presses the app's button, and does `act` in the dialog that opens.
fn ask(browser: &Browser, app: &str, view: &str, act: impl Fn(&Browser)) {
    browser.click("#start");
    let dialog = browser.wait_for("the popup", |browser| {
        browser.windows().into_iter().find(|window| window != app && window != view)
    });
    browser.switch_to(&dialog);
    browser.wait_for("the dialog", |browser| browser.url().contains("/oauth-dialog.html?").then_some(()));
    act(browser);
    browser.switch_to(app);
    browser.wait_for("the outcome", |browser| {
        let state = browser.execute("return document.querySelector('main').dataset.state");
        ["done", "declined", "failed"].iter().any(|end| state == *end).then_some(())
    });
}

/// The rows of the list: what each says after its time.
fn rows(browser: &Browser) -> Vec<String> {
    let script = "return [...document.querySelectorAll('.wire-row')].map((row) => \
                  [...row.children].map((part) => part.textContent).join(' | ').slice(13))";
    let rows = browser.execute(script);
    rows.as_array().expect("a list").iter().map(|row| row.as_str().expect("text").to_owned()).collect()
}

/// Waits until the last row contains `words`, and gives all rows.
pub(crate) fn rows_until(browser: &Browser, words: &str) -> Vec<String> {
    browser.wait_for(&format!("a last row with {words}"), |browser| {
        let rows = rows(browser);
        rows.last().is_some_and(|row| row.contains(words)).then_some(rows)
    })
}

/// Waits until there is a row that contains `words`, and gives all rows.
fn rows_with(browser: &Browser, words: &str) -> Vec<String> {
    browser.wait_for(&format!("a row with {words}"), |browser| {
        let rows = rows(browser);
        rows.iter().any(|row| row.contains(words)).then_some(rows)
    })
}

/// Fails unless `rows` contain `expected`, in that order, perhaps with others between them.
pub(crate) fn assert_in_order(rows: &[String], expected: &[&str]) {
    let mut left = rows.iter();
    for words in expected {
        assert!(left.any(|row| row.contains(words)), "{words} is not there in its place: {rows:#?}");
    }
}

/// Chooses the first row that contains `words`, and gives the text of what is shown.
fn details_of(browser: &Browser, words: &str) -> String {
    browser.execute(&format!(
        "[...document.querySelectorAll('.wire-row')].find((row) => row.textContent.includes('{words}')).click(); \
         document.querySelectorAll('.wire-details details').forEach((part) => {{ part.open = true; }})"
    ));
    browser.text(".wire-details")
}

#[test]
fn the_timeline_of_a_good_flow_has_every_message_in_order() {
    let server = Servers::start();
    let Some((browser, view)) = open("the_timeline_of_a_good_flow", server.client_app) else { return };
    let app = open_app(&browser, server.client_app, &view);
    ask(&browser, &app, &view, |browser| browser.click("#authorize"));
    browser.switch_to(&view);
    let rows = rows_until(&browser, "access token valid");
    assert_in_order(
        &rows,
        &[
            "browser window → client app | GET / 200 OK",
            "browser window → popup | the script opens the popup",
            "popup → authorization server | GET /oauth-dialog.html 200 OK",
        ],
    );
    assert_in_order(
        &rows,
        &[
            "popup → authorization server | POST /code 302 Found",
            "popup → client app | GET /oauth-callback.html",
            "popup → client app | the script reads the address: code, state, iss",
            "client app | the script compares state and iss: they match",
            "client app → authorization server | POST /token 200 OK",
            "client app → protected resource | GET /secure 200 OK",
        ],
    );
    let arrows = browser.execute("return document.querySelectorAll('.wire-picture [data-key]').length");
    assert_eq!(arrows, rows.len(), "the drawing has what the list has");

    let token = details_of(&browser, "POST /token");
    for words in [
        "Decided: code redeemed",
        "RFC 6749, 4.1.3; RFC 7636, 4.6",
        "src/oauth/grant/redeem.rs:",
        "They match: the sender of the code is the one who asked for it.",
        "redeemed by request",
        "The secret behind the challenge. It proves that the code was not stolen.",
        "POST /token HTTP/1.1\\r\\n",
    ] {
        assert!(token.contains(words), "{words}: {token}");
    }
    assert!(!token.contains("Not part of the protocol"), "every part is explained: {token}");
    // What is too short to be found by itself is hidden by its name.
    let short = with_modules(
        &browser,
        r"const item = model.readExchange({id: 1, server: 'x', began_ms: 0, decisions: [], answer: '', request:
          'POST /token HTTP/1.1\r\nCookie: a=b; sid=s3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n' +
          'client_secret=pw&scope=pw'}); return model.mask(item.request, model.secretsOf(item), model.ending)",
    );
    let short = short.as_str().expect("text");
    assert!(short.contains("Cookie: a=…; sid=…\r\n"), "{short}");
    assert!(short.ends_with("\r\n\r\nclient_secret=…&scope=pw"), "{short}");
    let secret =
        browser.execute("return document.querySelector('.wire-details').textContent.match(/[\\w-]{64}/)?.[0]");
    assert_eq!(secret, Value::Null, "secrets are shortened");
    browser.click("#wire-secrets");
    let shown =
        browser.execute("return /[\\w-]{64}/.test(document.querySelector('.wire-details').textContent)");
    assert_eq!(shown, true, "until they are asked for");
    assert_eq!(browser.console(), Vec::<String>::new(), "the browser has nothing to complain of");
}

#[test]
fn the_view_beside_the_flow_shows_the_same() {
    let server = Servers::start();
    let Some((browser, view)) = open("the_view_beside_the_flow", server.client_app) else { return };
    let app = open_app(&browser, server.client_app, &view);
    ask(&browser, &app, &view, |browser| browser.click("#authorize"));
    let rows = rows_until(&browser, "access token valid");
    assert_in_order(
        &rows,
        &["the script opens the popup", "POST /code 302", "POST /token 200", "GET /secure 200"],
    );
}

#[test]
fn the_timeline_of_an_aborted_flow_ends_with_the_popup() {
    let server = Servers::start();
    let Some((browser, view)) = open("the_timeline_of_an_aborted_flow", server.client_app) else { return };
    let app = open_app(&browser, server.client_app, &view);
    ask(&browser, &app, &view, Browser::close_window);
    browser.switch_to(&view);
    // The view was out of sight, and catches up.
    let rows = rows_with(&browser, "dialog shown");
    assert!(rows.last().is_some_and(|row| row.contains("the popup was closed")), "{rows:#?}");
    assert_in_order(&rows, &["the script opens the popup", "dialog shown", "the popup was closed"]);
    assert!(!rows.iter().any(|row| row.contains("/code")), "no decision was made: {rows:#?}");

    browser.switch_to(&app);
    ask(&browser, &app, &view, |browser| browser.click("#refuse"));
    browser.switch_to(&view);
    let rows = rows_with(&browser, "POST /code 302 Found");
    assert_in_order(&rows, &["POST /code 302 Found", "the script reads the address: error"]);
    assert!(rows.iter().any(|row| row.ends_with("access denied")), "{rows:#?}");
}

#[test]
fn a_refusal_is_shown_with_the_difference_that_made_it() {
    let server = TestServer::start();
    let Some((browser, _)) = open("a_refusal_is_shown_with_the_difference", server.client_app.port()) else {
        return;
    };
    let (app, auth) = (server.client_app.port(), server.authorization_server.port());
    let callback = format!("http://localhost:{app}/oauth-callback.html");
    let wrong = request_of("oauth-test-app", &callback.replace("callback", "callbock"));
    server.answer_to(&format!("GET /authorize?{wrong} HTTP/1.1\r\nHost: localhost:{auth}\r\n\r\n"));
    rows_until(&browser, "refused: unregistered redirect URI");
    let details = details_of(&browser, "unregistered redirect URI");
    assert!(details.contains("Refused: unregistered redirect URI"), "{details}");
    let marks = browser.execute(
        "return [...document.querySelectorAll('.wire-difference mark')].map((mark) => mark.textContent)",
    );
    assert_eq!(marks, json!(["a", "o"]), "registered, and asked for");

    // The code goes to its client, and comes back with another verifier.
    let query = request_of("oauth-test-app", &callback);
    browser.execute(&format!("window.open('http://localhost:{auth}/authorize?{query}', '_blank')"));
    let view = browser.windows().remove(0);
    let dialog = browser.wait_for_window_beside(&view);
    browser.switch_to(&dialog);
    browser.wait_for("the dialog", |browser| browser.url().contains("/authorize?").then_some(()));
    browser.click("#authorize");
    let url =
        browser.wait_for("the callback", |browser| Some(browser.url()).filter(|url| url.contains("code=")));
    browser.switch_to(&view);
    let code = url.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code");
    let verifier = "v".repeat(43);
    server.answer_to(&form_request(&format!(
        "grant_type=authorization_code&client_id=oauth-test-app&code={code}&code_verifier={verifier}"
    )));
    rows_until(&browser, "refused: verifier does not match");
    let details = details_of(&browser, "verifier does not match");
    assert!(details.contains("They do not match") && details.contains(CHALLENGE), "{details}");
    assert!(details.contains("the code was burnt by a wrong guess"), "{details}");
}

#[test]
fn two_clients_at_once_are_told_apart() {
    let server = crate::support::standard::start_with(|config| {
        (config.client_port, config.issuer) = (Some(0), None);
        config.wire.is_wanted = Some(true);
    });
    let Some((browser, _)) = open("two_clients_at_once", server.client_app.port()) else { return };
    let (app, native) =
        (request_of("app", "https://app.example/callback"), request_of("native", "http://127.0.0.1/callback"));
    for query in [&app, &native, &app] {
        server.answer_to(&format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    server.answer_to(&secure_request("Bearer x"));
    rows_until(&browser, "access token malformed");
    let choose = |name: &str| {
        browser.execute(&format!(
            "const choice = document.querySelector('#wire-client'); choice.value = '{name}'; \
             choice.dispatchEvent(new Event('change'))"
        ));
        rows(&browser).len()
    };
    browser.wait_for("both clients", |browser| {
        let names = browser.execute("return document.querySelectorAll('#wire-client option').length");
        (names == 3).then_some(())
    });
    assert_eq!((choose("app"), choose("native"), choose("")), (2, 1, 4));
    let arrows = browser.execute("return document.querySelector('.wire-picture').textContent");
    let arrows = arrows.as_str().expect("text");
    for words in ["GET /authorize · app", "GET /authorize · native"] {
        assert!(arrows.contains(words), "{words}: {arrows}");
    }
    (0..3).for_each(|_| {
        drop(server.answer_to("GET /authorize?client_id=%20odd%0A%0Aname HTTP/1.1\r\nHost: h\r\n\r\n"));
    });
    browser.wait_for("all rows", |browser| (rows(browser).len() == 7).then_some(()));
    assert_eq!(choose(" odd\\n\\nname"), 3, "white space in a name is kept");
    assert_eq!(browser.execute("return document.querySelectorAll('#wire-client option').length"), 4);
    browser.click("#wire-clear");
    assert_eq!(choose(""), 0);
    let left = "return document.querySelectorAll('#wire-client option').length";
    browser.click("#wire-clear");
    assert_eq!(browser.execute(left), 1, "a client leaves the list with its messages");
}

/// Runs `script` in the page with the modules of the view; it ends with `return`.
fn with_modules(browser: &Browser, script: &str) -> Value {
    browser.execute(&format!(
        "return Promise.all(['model', 'formats', 'details'].map((name) => import(`/wire-${{name}}.js`)))\
         .then(async ([model, formats, details]) => {{ {script} }})"
    ))
}

#[test]
fn a_file_shows_what_was_exported_and_other_files_are_refused() {
    let server = TestServer::start();
    let Some((browser, _)) = open("a_file_shows_what_was_exported", server.client_app.port()) else { return };
    let token = server.token();
    server.answer_to(&secure_request(&format!("Bearer {token}")));
    let before = rows_until(&browser, "access token valid");
    browser.execute(
        "window.saved = []; URL.createObjectURL = (blob) => { window.saved.push(blob); return 'blob:x'; }; \
         HTMLAnchorElement.prototype.click = () => {}",
    );
    ["#wire-json", "#wire-har", "#wire-mmd"].iter().for_each(|id| browser.click(id));
    let texts = browser.execute("return Promise.all(window.saved.map((blob) => blob.text()))");
    let text = |index: usize| texts[index].as_str().expect("text").to_owned();
    assert!(!text(0).contains(&token) && !text(1).contains(&token), "secrets are shortened in files, too");
    let har: Value = serde_json::from_str(&text(1)).expect("JSON");
    let saved: Value = serde_json::from_str(&text(0)).expect("JSON");
    let count = |list: &Value| list.as_array().map(Vec::len);
    assert_eq!(count(&har["log"]["entries"]), count(&saved["exchanges"]));
    assert!(count(&saved["exchanges"]) >= Some(before.len()), "what is hidden is saved, too");
    assert!(text(2).starts_with("sequenceDiagram\n  participant B as browser window\n"), "{}", text(2));
    assert!(text(2).contains("  C->>A: POST /token\n  A-->>C: 200 OK, code redeemed\n"), "{}", text(2));

    let import = |content: &str| {
        let content = serde_json::to_string(content).expect("JSON");
        browser.execute(&format!(
            "const files = new DataTransfer(); files.items.add(new File([{content}], 'saved.json')); \
             const input = document.querySelector('#wire-file'); input.files = files.files; \
             input.dispatchEvent(new Event('change'))"
        ));
    };
    import("{}");
    browser.wait_for("a refusal", |browser| {
        browser.text(".wire-banner").contains("is not an export of a wire view").then_some(())
    });
    assert_eq!(rows(&browser), before, "nothing has changed");
    browser.click("#wire-clear");
    assert!(rows(&browser).is_empty());
    browser.execute(
        "const filter = document.querySelector('#wire-client'); \
         filter.append(new Option('another')); filter.value = 'another'",
    );
    import(&text(0));
    browser.wait_for("the file", |browser| browser.text(".wire-banner").contains("saved.json").then_some(()));
    assert_eq!(rows(&browser), before);
    let details = details_of(&browser, "GET /secure");
    assert!(details.contains("used once"), "the grant is followed in a file, too: {details}");
    let again = with_modules(
        &browser,
        &format!(
            "const file = formats.fromJson({0}); const read = new model.Model(); read.config = file.config; \
             file.exchanges.forEach((exchange) => read.addExchange(exchange)); \
             return formats.toJson(read, true).replace('\"kept\"', '\"shortened\"') === {0}",
            serde_json::to_string(&text(0)).expect("JSON")
        ),
    );
    assert_eq!(again, true, "what was read is written as it was");
    let began = saved["exchanges"][0]["began_ms"].to_string();
    let timeless = text(0).replace(&format!("\"began_ms\": {began}"), "\"began_ms\": 1e300");
    for (file, words) in [("{}", "not an export"), (&*timeless, "Exchange 1 has no valid \"began_ms\".")] {
        import(file);
        browser.wait_for(words, |browser| browser.text(".wire-banner").contains(words).then_some(()));
        assert_eq!(rows(&browser), before, "the file is still shown");
    }
    browser.click(".wire-banner button");
    browser.wait_for("the live view", |browser| (rows(browser) == before).then_some(()));
    assert_eq!(browser.execute("return document.activeElement.id"), "wire-client");
    assert_eq!(browser.execute("return document.querySelector('.wire-banner').hidden"), true);
    for (file, words) in [
        ("x", "not JSON"),
        (r#"{"format":"oauth-from-scratch wire","version":2}"#, "version 2"),
        (r#"{"format":"oauth-from-scratch wire","version":1}"#, "no list"),
        (
            r#"{"format":"oauth-from-scratch wire","version":1,"events":[],"exchanges":[{"id":1}]}"#,
            "\"server\"",
        ),
        (
            r#"{"format":"oauth-from-scratch wire","version":1,"events":[{"at":1},{"at":1e300}],"exchanges":[]}"#,
            "Event 2 has no valid \"at\".",
        ),
    ] {
        let file = serde_json::to_string(file).expect("JSON");
        let script = format!("try {{ formats.fromJson({file}); }} catch (error) {{ return error.message; }}");
        let message = with_modules(&browser, &script);
        assert!(message.as_str().is_some_and(|message| message.contains(words)), "{file}: {message}");
    }
}

/// What is before the request in a script that follows requests: `see` follows one, and gives its item.
const SEE: &str = r"const seen = new model.Model(); const see = (request, answer = '', more = {}) =>
    seen.addExchange({ id: seen.items.length + 1, server: 'authorization-server', connection: 1, peer: '::1',
      began_ms: 1, took_us: 1, request, answer, request_bytes: request.length, answer_bytes: answer.length,
      decisions: [], redirect_uris: [], ...more }).item;";

#[test]
fn secrets_are_hidden_however_they_are_written() {
    let server = TestServer::start();
    let Some((browser, _)) = open("secrets_are_hidden", server.client_app.port()) else { return };
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    let content = |kind: &str, content: &str| {
        format!("POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\n\r\n{content}")
    };
    let get = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
    let chunked = "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\
        Transfer-Encoding: chunked\r\n\r\n1a\r\na=b&client_secret=correct-\r\nf\r\nhorse-battery&c\r\n2\r\n=d\r\n0\r\n\r\n";
    for (request, secrets) in [
        (
            content(form, "a=b&client_secret=correct%21horse%28battery"),
            &["correct%21horse", "correct!horse"][..],
        ),
        (content(form, "client%5Fsecret=correct%2fhorse%2fbattery"), &["correct%2fhorse", "correct/horse"]),
        (content(form, "client_secret=p%21&scope=a"), &["p%21", "p!"]),
        (content(form, "client_secret=it's+a+long+secret"), &["a+long", "a long"]),
        (content(form, "client_secret=g\u{c3}\u{bc}ltiges-losungswort"), &["ltiges-losung"]),
        (content("text/html", "client_secret=correct-horse"), &["correct-horse"]),
        (content(json, r#"{"client_secret": "pw!"}"#), &["pw!"]),
        (content(json, r#"{"client_secret":"a\/\u0062cdefghijkl"}"#), &["cdefgh", "bcdefgh"]),
        (content(json, "{\"client_secret\":\"g\u{c3}\u{bc}ltiges-losungswort\"}"), &["ltiges-losung"]),
        (content(json, r#"{"a":{"token":"correct-horse"},"#), &["correct-horse"]),
        (content(json, r#"{"code":"\ud800"}"#), &["ud800"]),
        (
            "GET /?code=correct%21horse HTTP/1.1\r\nAuthorization: Basic OnB3\r\n\r\n".to_owned(),
            &["correct", "OnB3"],
        ),
        ("GET / HTTP/1.1\r\nReferer: http:x?code=correct%21horse\r\n\r\n".to_owned(), &["correct"]),
        (chunked.to_owned(), &["correct-", "horse-bat"]),
        (chunked.replace("1a\r\n", "malformed\r\n"), &["correct-"]),
        (content(form, "client_assertion=correct-horse"), &["correct"]),
        (content(form, "Client_Secret=correct-horse"), &["correct"]),
        (content(form, "code[0]=pw!&token%5Baccess%5D=correct-horse"), &["pw!", "correct"]),
        (content(form, "x[client][password]=pw!&code_0=correct-horse"), &["pw!", "correct"]),
        (content(form, "next=%2Fcb%253Fcode%253Dcorrect-horse"), &["correct"]),
        (content(form, "next=%2Fcb%2525253Fcode%2525253Dcorrect-horse"), &["correct"]),
        (get("/cb?a=b c&code=correct-horse", ""), &["correct"]),
        (get("/cb?a=b?code=correct-horse#code=correct!", ""), &["correct"]),
        (get("/cb&code=correct-horse", ""), &["correct"]),
        (get("/cb%3Fcode%3Dcorrect-horse", ""), &["correct"]),
        (get("/cb%253Fcode%253Dcorrect-horse", ""), &["correct"]),
        (get("/", "Authorization : Bearer correct-horse\r\n"), &["correct"]),
        (get("/", "Authorization:\r\n Bearer correct-horse\r\n"), &["correct"]),
        (get("/", "Authorization: Bearer correct-\r\n\thorse\r\n"), &["correct", "horse"]),
        (get("/", "Authorization:pw!\r\n"), &["pw!"]),
        (get("/", "Proxy-Authorization: Basic OnB3\r\nX-Api-Token: correct-horse\r\n"), &["OnB3", "correct"]),
        (get("/", "X: y\nAuthorization: Bearer correct-horse\n"), &["correct"]),
        (get("/", "X: y\r\n").replace("\r\n", "\n") + "client_secret=correct-horse", &["correct"]),
        ("GET / HTTP/1.1\nAuthorization: Bearer correct-horse\n\n".to_owned(), &["correct"]),
        ("cret=correct-horse HTTP/1.1\r\n\r\n".to_owned(), &["correct"]),
        (
            "cret=correct-horse x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\npw!\r\n0\r\n\r\n"
                .to_owned(),
            &["correct", "pw!"],
        ),
        ("{\"client_secret\":\"correct-horse\"}".to_owned(), &["correct"]),
    ] {
        let shown = with_modules(
            &browser,
            &format!(
                "{SEE} const item = see({}); const root = document.createElement('div'); \
                 details.showDetails(root, item, seen, {{ shows: false, isFile: true }}); \
                 return [formats.toJson(seen, false), formats.toHar(seen, false), formats.toCurl(item, false) ?? '', \
                 formats.toMermaid(seen.items, {{}}), root.textContent]",
                json!(request)
            ),
        );
        for text in shown.as_array().expect("texts") {
            let text = text.as_str().expect("a text");
            let told = secrets.iter().find(|secret| text.contains(**secret));
            assert_eq!(told, None, "{request} as {text}");
        }
    }
    let read = with_modules(
        &browser,
        &format!(
            "{SEE} see({}); const [{{ request }}] = formats.fromJson(formats.toJson(seen, false)).exchanges; \
             return see(request).requestParts.parameters.map(({{ name, value }}) => `${{name}}=${{value}}`)",
            json!(chunked)
        ),
    );
    let hidden = format!("client_secret={}tery", ".".repeat(17));
    assert_eq!(read, json!(["a=b", hidden, "c=d"]), "the chunks of a shortened request are read as they were");
    // What is no secret is shown, and a request that cannot be taken apart is hidden as a whole.
    for (request, expected) in [
        (get("/cb?a=b c&x=y", "X: y\r\n"), get("/cb?a=b c&x=y", "X: y\r\n")),
        (
            get("/cb?codes=1&scope=code", "Authorization : Bearer correct-horse-battery\r\n"),
            get("/cb?codes=1&scope=code", "Authorization : Bearer …tery\r\n"),
        ),
        (get("/", "Referer: http:x?code=pw!&a=b\r\n"), get("/", "Referer: http:x?code=…&a=b\r\n")),
        ("cret=correct-horse HTTP/1.1\r\n\r\n".to_owned(), "…".to_owned()),
    ] {
        let script = format!(
            "{SEE} const item = see({}); return model.maskRequest(item, model.secretsOf(item), model.ending)",
            json!(request)
        );
        assert_eq!(with_modules(&browser, &script), expected);
    }
    let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let script = format!(
        "{SEE} see('e', {}); return formats.fromJson(formats.toJson(seen, false)).exchanges[0].answer",
        json!(answer)
    );
    assert_eq!(
        with_modules(&browser, &script),
        answer,
        "the request is hidden where it stands, and not in the answer"
    );
}

#[test]
fn what_is_exported_can_be_read_back() {
    let server = TestServer::start();
    let Some((browser, _)) = open("what_is_exported_can_be_read_back", server.client_app.port()) else {
        return;
    };
    let chunks = "1d\r\nscope=a%3Bb%23c%0Ad&name=\u{c3}\u{a9}%0\r\n1\r\nA\r\n0\r\n\r\n";
    let request = format!(
        "POST /a;b%23?x=1?y&z=%0A;%23 HTTP/1.1\r\nHost: h:1\r\nX-Empty:\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
    );
    let files = with_modules(
        &browser,
        &format!(
            "{SEE} const item = see({}); seen.addEvent({{ at: 2, words: 'a; b # c\\nd', from: 'popup', to: 'client app' }}); \
             return [formats.toJson(seen, false), formats.toHar(seen, false), formats.toMermaid(seen.items, {{}}), \
             formats.toCurl(item, false)]",
            json!(request)
        ),
    );
    let text = |index: usize| files[index].as_str().expect("a text");
    let read =
        with_modules(&browser, &format!("return formats.fromJson({}).exchanges[0].request", json!(text(0))));
    assert_eq!(read, request);
    let har: Value = serde_json::from_str(text(1)).expect("JSON");
    let sent = &har["log"]["entries"][0]["request"];
    let scheme = ["http", "://"].concat();
    assert_eq!(sent["url"], format!("{scheme}h:1/a;b%23?x=1?y&z=%0A;%23"));
    assert_eq!(sent["queryString"], json!([{"name": "x", "value": "1?y"}, {"name": "z", "value": "\n;#"}]));
    assert_eq!(sent["postData"]["text"], "scope=a%3Bb%23c%0Ad&name=é%0A");
    let lines: Vec<&str> = text(2).lines().skip(6).collect();
    assert_eq!(
        lines,
        ["  C->>A: POST /a b%23", "  A--xC: no answer", "  P->>C: a  b   c d"],
        "a line for each message"
    );
    assert!(
        text(3).contains("-H 'X-Empty;'") && text(3).contains("--data-raw 'scope=a%3Bb%23c%0Ad&name=é%0A'")
    );

    for (request, command) in [
        (
            "POST /token?a=b HTTP/1.1\r\nHost: h:1\r\nX: it's\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;x=y\r\n@c\r\n2\r\n=d\r\n0\r\n\r\n",
            json!(format!(
                "curl -ig \\\n  -X 'POST' \\\n  -H 'X: it'\\''s' \\\n  --data-raw '@c=d' \\\n  -H 'Content-Type:' \\\n  '{scheme}h:1/token?a=b'"
            )),
        ),
        (
            &*format!("HEAD {scheme}h/a HTTP/1.1\r\nHost: h\r\n\r\n"),
            json!(format!("curl -ig \\\n  --head \\\n  '{scheme}h/a'")),
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n\u{ff}", Value::Null),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0", Value::Null),
    ] {
        let made =
            with_modules(&browser, &format!("{SEE} return formats.toCurl(see({}), true)", json!(request)));
        assert_eq!(made, command, "{request}");
    }
}

#[test]
fn a_grant_is_followed_through_its_requests() {
    let server = TestServer::start();
    let Some((browser, _)) = open("a_grant_is_followed", server.client_app.port()) else { return };
    let script = r"
        const token = (end) => 'g'.repeat(20) + end.padStart(44, 't');
        const ask = (form, answer) => see('POST /token HTTP/1.1\r\n' +
          'Content-Type: application/x-www-form-urlencoded\r\n\r\n' + form,
          'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n' + JSON.stringify(answer));
        const refresh = (from, to, number) => ask(`grant_type=refresh_token&refresh_token=${token(from)}`,
          { access_token: token(`a${number}`), refresh_token: token(to), expires_in: 60 });
        const item = refresh('r1', 'r1', 1);
        const [grant] = seen.grants.values();
        refresh('r1', 'r1', 2);
        const isKept = !grant.credentials.some((own) => own.spent);
        const call = see(`POST /mcp HTTP/1.1\r\nAuthorization: Bearer ${token('a2')}\r\n\r\n`, 'HTTP/1.1 200 OK\r\n\r\n');
        const { uses } = grant.credentials.find((own) => own.value === token('a2'));
        refresh('r1', 'r2', 3);
        const { spent } = grant.credentials.find((own) => own.value === token('r1'));
        for (let number = 4; number < 200; number += 1) refresh('r2', 'r2', number);
        const form = `grant_type=refresh_token&refresh_token=${token('r2')}`;
        const last = see('POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n' +
          `Transfer-Encoding: chunked\r\n\r\n${form.length.toString(16)}\r\n${form}\r\n0\r\n\r\n`,
          'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n' +
          JSON.stringify({ access_token: token('a'), refresh_token: token('r3') }));
        const read = new model.Model();
        formats.fromJson(formats.toJson(seen, false)).exchanges.forEach((exchange) => read.addExchange(exchange));
        const [inFile] = read.grants.values();
        const isRead = inFile.credentials.find((own) => own.value.endsWith('tr2')).spent.by === last.id;
        return [isKept, model.LANES[call.to], uses, spent.by, grant.credentials.length, isRead];";
    let seen = with_modules(&browser, &format!("{SEE} {script}"));
    assert_eq!(seen, json!([true, "protected resource", 1, 4, 50, true]));
}

#[test]
fn a_request_is_edited_and_sent_again() {
    let server = TestServer::start();
    let Some((browser, _)) = open("a_request_is_edited_and_sent_again", server.client_app.port()) else {
        return;
    };
    server.answer_to(&secure_request("Bearer x"));
    rows_until(&browser, "access token malformed");
    details_of(&browser, "GET /secure");
    let press = |words: &str| {
        browser.execute(&format!(
            "[...document.querySelectorAll('.wire-details button')].find((button) => button.textContent === '{words}').click()"
        ))
    };
    press("Edit and send again");
    browser.execute("const text = document.querySelector('textarea'); text.value = text.value.replace('Authorization: Bearer x\\n', '')");
    press("Send");
    rows_until(&browser, "refused: no access token");
    browser.wait_for("the words about it", |browser| {
        browser.text(".wire-said").starts_with("Sent.").then_some(())
    });
    let request =
        with_modules(&browser, "return details.toRequest('POST / HTTP/1.1\\nContent-Length: 9\\n\\né')");
    assert_eq!(request, "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\né");
    for (request, text) in [
        (
            "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n\u{c3}\u{a9}",
            json!("POST / HTTP/1.1\nContent-Length: 2\n\né"),
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2;x=y\r\na=\r\n3\r\nb\nc\r\n0\r\n\r\n",
            json!("POST / HTTP/1.1\nContent-Length: 5\nA: b\n\na=b\nc"),
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n\u{ff}", Value::Null),
        ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n\r\n", Value::Null),
        ("GET / HTTP/1.1\nHost: h\r\n\r\n", Value::Null),
    ] {
        let shown = with_modules(
            &browser,
            &format!(
                "return details.toText(model.readExchange({{id: 1, server: 'x', began_ms: 0, decisions: [], answer: '', \
                 request: {}}}))",
                json!(request)
            ),
        );
        assert_eq!(shown, text, "{request}");
    }
    server.answer_to(
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\r\n9\r\ngrant_typ\r\n3\r\ne=x\r\n0\r\n\r\n",
    );
    let before = rows_until(&browser, "POST /token");
    details_of(&browser, "POST /token");
    press("Edit and send again");
    press("Send");
    let rows = browser.wait_for("the same again", |browser| {
        let rows = rows(browser);
        (rows.len() > before.len()).then_some(rows)
    });
    let rule = |row: &String| row.rsplit(" | ").next().map(str::to_owned);
    assert_eq!(rows.last().and_then(rule), before.last().and_then(rule));
}

/// A late message, a choice about secrets, and the end of a row leave alone what somebody is reading or editing.
#[test]
fn what_is_edited_stays_while_other_messages_come() {
    let server = TestServer::start();
    let Some((browser, _)) = open("what_is_edited_stays", server.client_app.port()) else { return };
    (0..2).for_each(|_| drop(server.answer_to(&secure_request("Bearer x"))));
    browser.wait_for("two rows", |browser| (rows(browser).len() == 2).then_some(()));
    details_of(&browser, "GET /secure");
    browser.execute(
        "[...document.querySelectorAll('.wire-details button')].find((own) => own.textContent.startsWith('Edit')).click(); \
         document.querySelector('textarea').value = 'a draft'; document.querySelectorAll('.wire-row')[1].focus(); \
         document.querySelector('.wire-details details').open = false; window.row = document.activeElement; \
         window.channel = new BroadcastChannel('wire'); window.report = (at, words) => channel.postMessage({ at, words })",
    );
    let check = |row: usize| {
        let state = browser.execute(
            "return [document.querySelector('textarea')?.value, document.querySelector('.wire-editor')?.hidden, \
             [...document.querySelectorAll('.wire-details details')].map((part) => part.open), \
             document.activeElement === window.row, \
             [...document.querySelectorAll('.wire-row')].findIndex((row) => row.ariaCurrent === 'true')]",
        );
        assert_eq!(
            state,
            json!(["a draft", false, [false, true, true, true, true], true, row]),
            "text, hidden, open, focus, row"
        );
    };
    check(0);
    browser.execute("window.report(1, 'a late message')");
    browser.wait_for("it", |browser| (rows(browser).len() == 3).then_some(()));
    assert!(rows(&browser)[0].contains("a late message"));
    check(1);
    browser.execute("document.querySelector('#wire-secrets').click()");
    check(1);
    // 498 more, and the first of the two requests is one too many.
    browser.execute("for (let i = 0; i < 499; i += 1) window.report(Date.now() + 1e6, `number ${i}`)");
    let words = rows_until(&browser, "number 498");
    assert_eq!((words.len(), words[0].contains("GET /secure")), (500, true));
    assert_eq!(browser.execute("return document.activeElement === window.row"), true);
    assert_eq!(browser.execute("return document.querySelector('textarea').value"), "a draft");
    browser.execute("window.report(Date.now() + 1e6, 'the last')");
    rows_until(&browser, "the last");
    let focus = "return document.activeElement === document.querySelector('.wire-row')";
    assert_eq!(browser.execute(focus), true, "the focus of a row that is removed goes to the first");
}

/// A browser has six connections to a server at most, for all of its windows.
#[test]
fn pages_out_of_sight_hold_no_connection_and_catch_up() {
    let server = TestServer::start();
    let port = server.client_app.port();
    let Some((browser, view)) = open("pages_out_of_sight_hold_no_connection", port) else { return };
    server.answer_to(&secure_request("Bearer x"));
    rows_until(&browser, "access token malformed");
    for number in 1..=7 {
        browser.execute("window.open('/wire', '_blank')");
        let last = browser.wait_for("the window", |browser| {
            let windows = browser.windows();
            (windows.len() > number).then(|| windows.into_iter().next_back()).flatten()
        });
        browser.switch_to(&last);
        browser.wait_for("its page", |browser| {
            (browser.execute("return document.querySelectorAll('.wire-row').length") == 1).then_some(())
        });
    }
    server.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n");
    rows_until(&browser, "no access token");
    browser.switch_to(&view);
    let hidden = "return document.hidden";
    browser.devtools("Page.bringToFront", &json!({}));
    browser.wait_for("a page in sight", |browser| (browser.execute(hidden) == false).then_some(()));
    let rows = rows_until(&browser, "no access token");
    assert_eq!(rows.len(), 2, "nothing is shown twice: {rows:#?}");

    // A refused stream, after which the browser does not ask again by itself.
    browser.execute(
        "window.asked = []; \
         window.EventSource = class extends EventTarget { \
           static CLOSED = 2; readyState = 2; \
           constructor(url) { super(); asked.push(url); setTimeout(() => this.dispatchEvent(new Event('error'))); } \
           close() {} \
         }; \
         for (const value of [true, false]) { \
           Object.defineProperty(document, 'hidden', { value, configurable: true }); \
           document.dispatchEvent(new Event('visibilitychange')); \
         }",
    );
    let asked = browser.wait_for("the page to ask again", |browser| {
        let asked = browser.execute("return window.asked");
        asked.as_array().filter(|asked| asked.len() >= 2).cloned()
    });
    let after = |url: &Value| {
        let mark = url.as_str().and_then(|url| url.strip_prefix("/wire/events?after="));
        mark.and_then(|mark| mark.split_once('-')).is_some_and(|(_, id)| id.parse::<u64>().is_ok())
    };
    assert!(asked.iter().all(after), "{asked:?}");
    assert_eq!(browser.text(".wire-banner"), "No connection to the server. This page tries again.");
}

#[test]
fn the_list_is_one_stop_for_tab_and_has_a_name_for_all() {
    let server = TestServer::start();
    let Some((browser, _)) = open("the_list_is_one_stop_for_tab", server.client_app.port()) else { return };
    (0..3).for_each(|_| drop(server.answer_to(&secure_request("Bearer x"))));
    rows_until(&browser, "access token malformed");
    browser.wait_for("three rows", |browser| (rows(browser).len() == 3).then_some(()));
    let stops = "return document.querySelectorAll('.wire-row[tabindex=\"0\"]').length";
    browser.execute("document.querySelector('.wire-row').focus()");
    let focused = "return [...document.querySelectorAll('.wire-row')].indexOf(document.activeElement)";
    browser.press(ARROW_DOWN);
    assert_eq!((browser.execute(focused), browser.execute(stops)), (1.into(), 1.into()));
    browser.press(END);
    assert_eq!((browser.execute(focused), browser.execute(stops)), (2.into(), 1.into()));
    browser.press('\u{e007}');
    assert_eq!(
        browser.execute("return document.querySelector('.wire-row[aria-current]') === document.activeElement"),
        true
    );
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let nameless: Vec<&Value> = tree["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .filter(|node| {
            let role = node["role"]["value"].as_str().unwrap_or_default();
            let has_name = node["name"]["value"].as_str().is_some_and(|name| !name.is_empty());
            ["button", "checkbox", "combobox", "link", "textbox"].contains(&role) && !has_name
        })
        .collect();
    assert!(nameless.is_empty(), "{nameless:?}");
}

#[test]
fn five_hundred_messages_stay_quick() {
    let server = TestServer::start();
    let Some((browser, _)) = open("five_hundred_messages_stay_quick", server.client_app.port()) else { return };
    browser.execute(
        "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => { \
         window.longest = Math.max(window.longest, entry.duration); })).observe({entryTypes: ['longtask']})",
    );
    let mut client = server.connect();
    (0..600).for_each(|_| drop(client.answer_to(&secure_request("Bearer x"))));
    server.answer_to("GET /secure HTTP/1.1\r\nHost: h\r\n\r\n");
    let rows = rows_until(&browser, "no access token");
    assert_eq!(rows.len(), 500, "the oldest have made room");
    let nodes = browser.execute("return document.querySelectorAll('*').length").as_u64().expect("a number");
    assert!(nodes < 12_000, "{nodes} elements");
    browser.wait_for("the end of the list", |browser| {
        let script = "const { scrollTop, scrollHeight, clientHeight } = document.querySelector('.wire-list'); \
                      return scrollHeight - scrollTop - clientHeight";
        browser.execute(script).as_f64().filter(|below| *below < 2.0)
    });
    details_of(&browser, "no access token");
    let longest = browser.execute("return window.longest").as_f64().expect("a time");
    assert!(longest < 2000.0, "the page was busy for {longest} ms at a time");
}

/// Fails if the page scrolls sideways on a phone or on a screen, in light or dark. Saves a picture of each in the folder
/// `SCREENSHOTS`, if there is that variable.
pub(crate) fn check_widths(browser: &Browser, name: &str) {
    for (width, height) in [(390, 844), (1280, 900)] {
        for colours in ["light", "dark"] {
            let features = json!([
                {"name": "prefers-color-scheme", "value": colours},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]);
            browser.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
            let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
            browser.devtools("Emulation.setDeviceMetricsOverride", &size);
            // The browser lays the page out for its new width when it comes to it.
            browser.wait_for(&format!("{name} without overflow at {width}"), |browser| {
                (browser.execute("return document.documentElement.scrollWidth") == width).then_some(())
            });
            let png = browser.screenshot();
            if let Some(folder) = std::env::var_os("SCREENSHOTS") {
                let file = std::path::Path::new(&folder).join(format!("{name}-{width}-{colours}.png"));
                std::fs::write(&file, &png).expect("the folder of pictures can be written to");
            }
        }
    }
}

#[test]
fn no_wire_view_scrolls_sideways_and_pictures_can_be_taken() {
    let server = Servers::start();
    let Some((browser, view)) = open("no_wire_view_scrolls_sideways", server.client_app) else { return };
    let app = open_app(&browser, server.client_app, &view);
    ask(&browser, &app, &view, |browser| browser.click("#authorize"));
    rows_until(&browser, "access token valid");
    let callback = format!("http://localhost:{}/oauth-callbacks.html", server.client_app);
    let wrong = request_of("oauth-test-app", &callback);
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, server.authorization_server).into());
    client.answer_to(&format!("GET /authorize?{wrong} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let check = |window: &str, name: &str, row: Option<&str>| {
        browser.switch_to(window);
        rows_until(&browser, "unregistered redirect URI");
        if let Some(row) = row {
            details_of(&browser, row);
        }
        check_widths(&browser, name);
    };
    check(&view, "wire", None);
    check(&view, "wire-token", Some("POST /token"));
    check(&view, "wire-refused", Some("unregistered redirect URI"));
    check(&app, "wire-beside", None);
}
