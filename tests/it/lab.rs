//! The attack lab: every exercise succeeds with its defence off, and fails with it on, on one running server that its
//! page switches.

use std::net::SocketAddr;

use oauth_from_scratch::net::LogFormat;
use oauth_from_scratch::routes::{DEMO_CLIENT_ID, LAB_CLIENT_ID, Role};

use crate::support::browser::{Browser, start_or_skip};
use crate::support::standard::{
    CHALLENGE, VERIFIER, decide, get_dialog, get_secure, pairs, parameter, post_form, request_of, tokens_of,
};
use crate::support::{Answer, Client, TestServer, token_request};

struct Lab {
    server: TestServer,
    address: SocketAddr,
}

impl Lab {
    fn start() -> Lab {
        let server = TestServer::start_with(|config| {
            config.add_lab(0);
            config.access_log = Some(LogFormat::Text);
        });
        let address =
            server.addresses.iter().find(|(role, _)| *role == Role::Lab).expect("an attacker's site").1;
        Lab { server, address }
    }

    fn origin(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    fn answer_to(&self, request: &str) -> Answer {
        Client::connect(self.address).answer_to(request)
    }

    fn rules(&self) -> serde_json::Value {
        self.answer_to("GET /rules HTTP/1.1\r\nHost: h\r\n\r\n").json()
    }

    /// A `POST /rules/switch` with this form, to this host, with further field lines.
    fn switch(&self, form: &str, host: &str, fields: &str) -> Answer {
        let length = form.len();
        self.answer_to(&format!(
            "POST /rules/switch HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {length}\r\n\r\n{form}"
        ))
    }

    /// Switches as the page does, and waits until the server applies it.
    fn turn(&self, rule: &str, is_on: bool) {
        let (host, origin) = (format!("localhost:{}", self.address.port()), self.origin());
        let fields = format!("Origin: {origin}\r\nSec-Fetch-Site: same-origin\r\n");
        let answer = self.switch(&pairs(&[("rule", rule), ("on", &is_on.to_string())]), &host, &fields);
        assert_eq!(answer.status, 200, "{}", answer.text());
        while self.rules()[rule] != is_on {
            std::thread::yield_now();
        }
    }

    /// The fields that a browser adds to a request of the attacker's page.
    fn fields(&self) -> String {
        format!("Origin: {}\r\nSec-Fetch-Site: same-site\r\n", self.origin())
    }
}

/// `attack` succeeds while `rule` is off, and at no other time.
fn check(rule: &str, attack: fn(&Lab) -> bool) {
    let lab = Lab::start();
    assert!(!attack(&lab), "a lab begins with every defence");
    for is_on in [false, true, false] {
        lab.turn(rule, is_on);
        assert_eq!(attack(&lab), !is_on, "{rule} {is_on}");
    }
}

/// RFC 6749, 10.10. Three of the ten digits, since all of them would take days.
#[test]
fn exercise_1_guesses_the_code() {
    check("long_credentials", |lab| {
        let victims = lab.server.code();
        let mut client = lab.server.connect();
        let mut guess = |number| {
            let code = format!("{}{number:03}", &victims[..7]);
            client.answer_to(&token_request(&code)).status == 200
        };
        (0..1000).any(&mut guess)
    });
}

/// RFC 9700, 4.7.
#[test]
fn exercise_2_forges_the_form() {
    check("form_origin", |lab| {
        let answer = post_form(&lab.server, "/code", &lab.fields(), "");
        let location = answer.field("location").unwrap_or_default();
        answer.status == 302 && location.contains("/oauth-callback.html?code=")
    });
}

/// RFC 9700, 4.16. What a browser makes of the field is in `the_lab_frames_the_dialog_or_the_browser_refuses`.
#[test]
fn exercise_3_shows_the_dialog_in_a_frame() {
    check("frame_protection", |lab| {
        let dialog = get_dialog(&lab.server, "", None);
        assert_eq!(dialog.status, 200);
        !dialog.field("content-security-policy").expect("a policy").contains("frame-ancestors")
    });
}

/// RFC 9700, 4.3.1.
#[test]
fn exercise_4_uses_a_code_again() {
    check("single_use_codes", |lab| {
        let code = lab.server.code();
        let [app, thief] = [(); 2].map(|()| lab.server.answer_to(&token_request(&code)));
        let apps = app.json()["access_token"].as_str().expect("the app is first").to_owned();
        let succeeds = thief.status == 200;
        assert_eq!(get_secure(&lab.server, &apps).status == 200, succeeds, "a refused replay ends the grant");
        succeeds
    });
}

/// RFC 9700, 4.5.
#[test]
fn exercise_5_uses_a_code_before_the_app_does() {
    check("pkce", |lab| {
        let callback = format!("http://localhost:{}/oauth-callback.html", lab.server.client_app.port());
        redeem_stolen(lab, DEMO_CLIENT_ID, &callback, None)
    });
}

/// RFC 9700, 4.1.
#[test]
fn exercise_6_has_the_code_sent_to_the_attacker() {
    check("exact_redirect", |lab| {
        let caught = format!("{}/caught.html", lab.origin());
        // RFC 7636, appendix B: here it is the attacker's.
        redeem_stolen(lab, LAB_CLIENT_ID, &caught, Some(VERIFIER))
    });
}

/// RFC 9700, 4.14.
#[test]
fn exercise_7_shares_a_refresh_token() {
    check("rotation", |lab| {
        let stolen = apps_refresh_token(lab);
        let second = tokens_of(&refresh(lab, &stolen, None)).1;
        let app = tokens_of(&refresh(lab, &second, None)).0;
        let succeeds = refresh(lab, &stolen, None).status == 200;
        assert_eq!(get_secure(&lab.server, &app).status == 200, succeeds, "a reuse ends the grant");
        succeeds
    });
}

/// RFC 9700, 4.14.2.
#[test]
fn exercise_8_asks_for_more_than_was_granted() {
    check("scope_limit", |lab| {
        let answer = refresh(lab, &apps_refresh_token(lab), Some("answer question"));
        answer.status == 200 && answer.json()["scope"] == "answer question"
    });
}

/// A refresh token of the demo's client, to which the victim granted `answer`.
fn apps_refresh_token(lab: &Lab) -> String {
    let callback = format!("http://localhost:{}/oauth-callback.html", lab.server.client_app.port());
    let location = decide(&lab.server, &request_of(DEMO_CLIENT_ID, &callback), "authorize");
    let form = pairs(&[
        ("grant_type", "authorization_code"),
        ("client_id", DEMO_CLIENT_ID),
        ("redirect_uri", &callback),
        ("code", parameter(&location, "code").expect("a code")),
        ("code_verifier", VERIFIER),
    ]);
    tokens_of(&post_form(&lab.server, "/token", "", &form)).1
}

/// What the attacker's page gets for the refresh token.
fn refresh(lab: &Lab, token: &str, scope: Option<&str>) -> Answer {
    let mut form =
        vec![("grant_type", "refresh_token"), ("client_id", DEMO_CLIENT_ID), ("refresh_token", token)];
    form.extend(scope.map(|scope| ("scope", scope)));
    post_form(&lab.server, "/token", &lab.fields(), &pairs(&form))
}

/// Whether the attacker's page gets a token for the code that the victim lets `client` have at `redirect_uri`.
fn redeem_stolen(lab: &Lab, client: &str, redirect_uri: &str, verifier: Option<&str>) -> bool {
    let query = pairs(&[
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    if get_dialog(&lab.server, &query, None).status != 200 {
        return false;
    }
    let location = decide(&lab.server, &query, "authorize");
    assert!(location.starts_with(redirect_uri), "{location}");
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("code", parameter(&location, "code").expect("a code")),
    ];
    form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    post_form(&lab.server, "/token", &lab.fields(), &pairs(&form)).status == 200
}

/// The rows of the table in docs/lab.md, and the sections of the page.
#[test]
fn page_chapter_and_tests_have_the_same_exercises() {
    let [chapter, page, tests] =
        [include_str!("../../docs/lab.md"), include_str!("../../www/lab/index.html"), include_str!("lab.rs")];
    let rules: Vec<&str> =
        page.split("data-rule=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let rows: Vec<&str> =
        chapter.lines().filter(|line| line.starts_with("| ") && line.contains("RFC ")).collect();
    assert_eq!((rules.len(), rows.len()), (8, 8));
    for (index, (rule, row)) in rules.iter().zip(rows).enumerate() {
        let number = index + 1;
        assert!(row.starts_with(&format!("| {number}. ")) && row.contains(&format!("`{rule}`")), "{row}");
        assert!(page.contains(&format!("<h2>{number}. ")), "{rule}");
        assert!(
            tests.contains(&format!("fn exercise_{number}_")) && tests.contains(&format!("check(\"{rule}\","))
        );
    }
}

/// Another site that could switch would turn the defences of a running server off.
#[test]
fn only_the_page_of_the_lab_switches_a_rule() {
    let lab = Lab::start();
    let (host, origin) = (format!("localhost:{}", lab.address.port()), lab.origin());
    let form = "rule=pkce&on=false";
    for (form, host, fields, status) in [
        (form, &*host, "Origin: http://localhost:1\r\n".to_owned(), 403),
        (form, &host, "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n".to_owned(), 403),
        (form, &host, format!("Origin: {origin}\r\nSec-Fetch-Site: same-site\r\n"), 403),
        (form, &host, "Origin: null\r\n".to_owned(), 403),
        (form, &host, format!("Origin: {origin}\r\nOrigin: {origin}\r\n"), 403),
        (form, "rebound.example", format!("Origin: {origin}\r\n"), 403),
        (form, "rebound.example", "Sec-Fetch-Site: same-origin\r\n".to_owned(), 403),
        ("rule=pkce", &host, String::new(), 400),
        ("rule=pkce&on=no", &host, String::new(), 400),
        ("rule=bare_dialog&on=false", &host, String::new(), 400),
        ("on=false", &host, String::new(), 400),
    ] {
        assert_eq!(lab.switch(form, host, &fields).status, status, "{form} {host} {fields}");
    }
    assert_eq!(lab.rules()["pkce"], true, "nothing has changed");
    assert_eq!(lab.rules().as_object().map(serde_json::Map::len), Some(10));
}

#[test]
fn no_other_server_has_a_switch_and_none_without_the_lab() {
    let lab = Lab::start();
    for address in [lab.server.client_app, lab.server.authorization_server] {
        let answer = Client::connect(address).answer_to("GET /rules HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(answer.status, 404);
    }
    let without = TestServer::start();
    assert!(without.addresses.iter().all(|(role, _)| *role != Role::Lab));
    let query = pairs(&[("response_type", "code"), ("client_id", LAB_CLIENT_ID)]);
    assert_eq!(get_dialog(&without, &query, None).status, 400, "the app of the exercises is not registered");
}

/// The lab's page in a new browser.
fn open(test: &str, lab: &Lab) -> Option<(Browser, String)> {
    let browser = start_or_skip(test)?;
    browser.goto(&format!("{}/", lab.origin()));
    let window = browser.windows().remove(0);
    wait_until_ready(&browser);
    Some((browser, window))
}

fn wait_until_ready(browser: &Browser) {
    browser.wait_for("the script", |browser| {
        (browser.execute("return 'ready' in document.body.dataset") == true).then_some(())
    });
}

/// Clicks on the switch of `rule`, and waits until the page says that it is off or on.
fn click_switch(browser: &Browser, rule: &str) {
    browser.click(&format!("[data-rule={rule}] .switch input"));
    wait_for_result(browser, rule, "switched");
}

/// Waits until the exercise of `rule` has this result, and gives its words.
fn wait_for_result(browser: &Browser, rule: &str, state: &str) -> String {
    let result = format!("[data-rule={rule}] .result");
    browser.wait_for(&format!("the result {state}"), |browser| {
        let at = browser.execute(&format!("return document.querySelector('{result}').dataset.state"));
        (at == state).then_some(())
    });
    browser.text(&result)
}

#[test]
fn the_lab_steals_a_code_by_its_redirect_uri() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_lab_steals_a_code_by_its_redirect_uri", &lab) else { return };
    let rule = "exact_redirect";
    click_switch(&browser, rule);
    browser.click(&format!("[data-rule={rule}] .button"));
    let dialog = browser.wait_for_window_beside(&page);
    browser.switch_to(&dialog);
    browser.wait_for("the dialog", |browser| browser.url().contains("/authorize?").then_some(()));
    browser.click("#authorize");
    browser.wait_for("the popup's end", |browser| (browser.windows() == [&*page]).then_some(()));
    browser.switch_to(&page);
    assert_eq!(wait_for_result(&browser, rule, "stolen"), "The code bought a token. It opens /secure: 42.");

    click_switch(&browser, rule);
    browser.click(&format!("[data-rule={rule}] .button"));
    let refusal = browser.wait_for_window_beside(&page);
    browser.switch_to(&refusal);
    browser.wait_for("the refusal", |browser| browser.url().contains("/authorize?").then_some(()));
    assert_eq!(browser.execute("return document.querySelector('#authorize')"), serde_json::Value::Null);
    browser.close_window();
    browser.switch_to(&page);
    wait_for_result(&browser, rule, "refused");
}

#[test]
fn the_lab_forges_the_form_or_the_server_refuses() {
    let lab = Lab::start();
    let Some((browser, page)) = open("the_lab_forges_the_form_or_the_server_refuses", &lab) else { return };
    let rule = "form_origin";
    let forge = || {
        browser.click(&format!("[data-rule={rule}] form .button"));
        let tab = browser.wait_for_window_beside(&page);
        browser.switch_to(&tab);
        let url = browser.wait_for("a page", |browser| {
            Some(browser.url()).filter(|url| url.contains("/code") || url.contains("/oauth-callback"))
        });
        browser.close_window();
        browser.switch_to(&page);
        url
    };
    assert!(forge().ends_with("/code"), "it stays at the server");
    click_switch(&browser, rule);
    assert!(forge().contains("/oauth-callback.html?code="), "the app has a code");
}

#[test]
fn the_lab_frames_the_dialog_or_the_browser_refuses() {
    let lab = Lab::start();
    let Some((browser, _)) = open("the_lab_frames_the_dialog_or_the_browser_refuses", &lab) else { return };
    let rule = "frame_protection";
    browser.click(&format!("[data-rule={rule}] .button"));
    wait_for_result(&browser, rule, "refused");
    browser.switch_to_frame(0);
    assert_eq!(browser.execute("return document.querySelector('form')"), serde_json::Value::Null);

    browser.goto(&format!("{}/", lab.origin()));
    wait_until_ready(&browser);
    click_switch(&browser, rule);
    browser.click(&format!("[data-rule={rule}] .button"));
    wait_for_result(&browser, rule, "stolen");
    browser.switch_to_frame(0);
    browser.click("form button");
    // The app's own page refuses to be framed, so the browser shows nothing of what the click did.
    browser.wait_for("the consent", |_| {
        let is_consent = |line: &String| line.contains("\"POST /code HTTP/1.1\" 302 ");
        lab.server.access.lines().iter().any(is_consent).then_some(())
    });
}

/// A victim's code, of which the attacker has seen all but the last three digits.
#[test]
fn the_lab_guesses_a_code_and_counts() {
    let lab = Lab::start();
    let Some((browser, _)) = open("the_lab_guesses_a_code_and_counts", &lab) else { return };
    let rule = "long_credentials";
    let guess = |known: &str| {
        let script = format!("document.querySelector('[name=known]').value = '{known}'");
        browser.execute(&script);
        browser.click(&format!("[data-rule={rule}] .button"));
    };
    guess("1234567");
    let words = wait_for_result(&browser, rule, "refused");
    assert!(words.contains("1000 guesses") && words.contains("All ten digits take"), "{words}");
    click_switch(&browser, rule);
    guess(&lab.server.code()[..7]);
    let words = wait_for_result(&browser, rule, "stolen");
    assert!(words.contains("It opens /secure: 42."), "{words}");
}
