//! The attack lab: every exercise succeeds with its defence off, and fails with it on, on one running server that its
//! page switches. Here the test sends what the pages of the three sites send; in `lab/browser.rs` a browser does.

mod browser;
mod mcp;
#[cfg(feature = "wire")]
mod wire;

use std::net::SocketAddr;

use oauth_from_scratch::net::LogFormat;
use oauth_from_scratch::routes::{LAB_APP, LAB_ATTACKERS_APP, LAB_SHOP, Role};

use crate::support::standard::{
    CHALLENGE, VERIFIER, decide, get_dialog, get_secure, pairs, parameter, post_form, request_of, sealed_of,
    session_of, tokens_of,
};
use crate::support::{Answer, Client, TestServer, token_request};

struct Lab {
    server: TestServer,
    address: SocketAddr,
}

impl Lab {
    fn start() -> Lab {
        Lab::start_with(false)
    }

    /// One that begins with the article's rules, or with every defence.
    fn start_with(is_article: bool) -> Lab {
        let server = TestServer::start_with(|config| {
            config.is_article = is_article;
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
        format!("Origin: {}\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n", self.origin())
    }

    fn shop_callback(&self) -> String {
        format!("http://shop.localhost:{}/shop-callback.html", self.address.port())
    }

    /// The address that the browser of a victim who signs in to the shop returns to.
    fn sign_in_to_shop(&self) -> String {
        decide(&self.server, &request_of(LAB_SHOP, &self.shop_callback()), "authorize")
    }

    /// What has arrived last at `place` on the attacker's site.
    fn caught(&self, place: &str) -> String {
        self.all_caught(place).pop().expect("a catch")
    }

    /// All that has arrived there.
    fn all_caught(&self, place: &str) -> Vec<String> {
        let host = format!("localhost:{}", self.address.port());
        let answer = self.answer_to(&format!(
            "GET /caught?after=0 HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n\r\n"
        ));
        let answer = answer.json();
        let catches = answer["catches"].as_array().expect("catches");
        let caught = catches.iter().filter(|caught| caught["at"] == place);
        caught.map(|caught| caught["text"].as_str().expect("text").to_owned()).collect()
    }

    /// The browser shows the page at `address`, which has the attacker's picture; what the attacker learns of it.
    fn show_ad_at(&self, address: &str) -> String {
        let answer = self.answer_to(&format!("GET /ad.svg HTTP/1.1\r\nHost: h\r\nReferer: {address}\r\n\r\n"));
        assert_eq!(answer.status, 200);
        self.caught("/ad.svg")
    }

    /// A `POST` to the attacker's site.
    fn post(&self, path: &str, fields: &str, content: &str) -> Answer {
        let length = content.len();
        self.answer_to(&format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {length}\r\n\r\n{content}"
        ))
    }

    /// The answer to a redemption of `code` by any sender.
    fn redeem(&self, client: &str, redirect_uri: &str, code: &str, verifier: Option<&str>) -> Answer {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("redirect_uri", redirect_uri),
            ("code", code),
        ];
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        post_form(&self.server, "/token", &self.fields(), &pairs(&form))
    }
}

/// `attack` succeeds while `rule` is off, and at no other time.
fn check(rule: &str, attack: fn(&Lab) -> bool) {
    let lab = Lab::start();
    assert!(!attack(&lab), "a lab begins with every defence");
    check_switch(&lab, rule, attack);
}

fn check_switch(lab: &Lab, rule: &str, attack: fn(&Lab) -> bool) {
    for is_on in [false, true, false] {
        lab.turn(rule, is_on);
        assert_eq!(attack(lab), !is_on, "{rule} {is_on}");
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

/// RFC 9700, 4.7. Whether the shop itself compares is in `the_shop_signs_the_victim_in_as_the_attacker`.
#[test]
fn exercise_4_signs_the_victim_in_as_the_attacker() {
    check("state_check", |lab| {
        let own = lab.sign_in_to_shop();
        let code = parameter(&own, "code").expect("the attacker's code");
        // The victim's browser has asked for nothing, so it remembers no state.
        if lab.rules()["state_check"] == true {
            return false;
        }
        let (token, _) = tokens_of(&lab.redeem(LAB_SHOP, &lab.shop_callback(), code, Some(VERIFIER)));
        for token in ["wrong".to_owned(), "A".repeat(64)] {
            let refused = lab.post("/drive", &format!("Authorization: Bearer {token}\r\n"), "nothing");
            assert_eq!((refused.status, refused.field("www-authenticate")), (401, Some("Bearer")), "{token}");
        }
        assert_eq!(lab.post("/drive", &format!("Authorization: Bearer {token}\r\n"), "card").status, 200);
        lab.caught("/drive") == format!("{} card", &code[..20])
    });
}

/// RFC 9700, 4.1: each near-miss leads to a page of the attacker's.
#[test]
fn exercise_5_has_the_code_sent_to_the_attacker() {
    check("exact_redirect", |lab| {
        let port = lab.address.port();
        let outcomes = [
            format!("http://app.localhost.evil.localhost:{port}/caught.html"),
            format!("http://evil.app.localhost:{port}/caught.html"),
            format!("http://app.localhost@localhost:{port}/caught.html"),
            format!("http://app.localhost:{port}/caught.html"),
            format!("http://app.localhost:{port}/app/../caught.html"),
        ]
        .map(|near_miss| {
            // RFC 7636, appendix B: here it is the attacker's.
            redeem_stolen(lab, LAB_APP, &near_miss)
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        outcomes[0]
    });
}

/// RFC 9700, 4.11.2.
#[test]
fn exercise_6_leads_from_the_server_to_the_attacker() {
    check("verified_errors", |lab| {
        let page = format!("{}/sign-in.html", lab.origin());
        let answer = get_dialog(&lab.server, &request_of(LAB_APP, &page), None);
        let location = answer.field("location").unwrap_or_default();
        assert_eq!(answer.status == 302, location.starts_with(&format!("{page}?error=invalid_request&")));
        assert!(answer.status == 302 || answer.status == 400);
        answer.status == 302
    });
}

/// RFC 9700, 4.2.1 and 4.3.1.
#[test]
fn exercise_7_uses_a_code_again() {
    check("single_use_codes", |lab| {
        let address = lab.sign_in_to_shop();
        let redeem = |address: &str| {
            let code = parameter(address, "code").expect("a code");
            lab.redeem(LAB_SHOP, &lab.shop_callback(), code, Some(VERIFIER))
        };
        let shops = tokens_of(&redeem(&address)).0;
        let succeeds = redeem(&lab.show_ad_at(&address)).status == 200;
        assert_eq!(get_secure(&lab.server, &shops).status == 200, succeeds, "a refused replay ends the grant");
        succeeds
    });
}

/// RFC 9700, 4.2.4 and 4.3.2. The shop puts its token into an address where the server takes it from there.
#[test]
fn exercise_8_reads_a_token_in_an_address() {
    check("header_tokens_only", |lab| {
        let shops = apps_tokens(lab).0;
        let query = format!("?access_token={shops}");
        let target = format!("GET /secure{query} HTTP/1.1\r\nHost: h\r\n\r\n");
        let is_taken = lab.server.answer_to(&target).status == 200;
        let account = format!("http://shop.localhost:{}/shop-account.html", lab.address.port());
        let seen = lab.show_ad_at(&format!("{account}{}", if is_taken { &query } else { "" }));
        parameter(&seen, "access_token").is_some_and(|token| get_secure(&lab.server, token).status == 200)
    });
}

/// RFC 9700, 4.5.
#[test]
fn exercise_9_uses_a_code_before_the_shop_does() {
    check("pkce", |lab| {
        let seen = lab.show_ad_at(&lab.sign_in_to_shop());
        let code = parameter(&seen, "code").expect("a code");
        lab.redeem(LAB_SHOP, &lab.shop_callback(), code, None).status == 200
    });
}

/// RFC 9700, 2.6.
#[test]
fn exercise_10_reads_the_dialog_and_sends_its_form() {
    check("cookieless_cors", |lab| {
        let (origin, fields) = (lab.origin(), lab.fields());
        let may_read = |answer: &Answer| {
            answer.field("access-control-allow-origin") == Some(&*origin)
                && answer.field("access-control-allow-credentials") == Some("true")
        };
        let caught = format!("{origin}/caught.html");
        let query = request_of(LAB_ATTACKERS_APP, &caught);
        let dialog =
            lab.server.answer_to(&format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        // A script sees nothing of what it may not read, but the test does.
        let cookie = format!("{fields}Cookie: {}\r\n", session_of(&dialog));
        let form = pairs(&[("request", &sealed_of(&dialog)), ("decision", "authorize")]);
        let answer = post_form(&lab.server, "/code", &cookie, &form);
        assert_eq!(may_read(&dialog), answer.status == 302, "the two are one defence");
        if !may_read(&dialog) {
            return false;
        }
        let location = answer.field("location").expect("a Location");
        let target = location.strip_prefix(&origin).expect("the attacker's site");
        lab.answer_to(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let arrived = lab.caught("/caught.html");
        let code = parameter(&arrived, "code").expect("a code");
        lab.redeem(LAB_ATTACKERS_APP, &caught, code, Some(VERIFIER)).status == 200
    });
}

/// RFC 9700, 4.4; RFC 9207, 2.4.
#[test]
fn exercise_11_is_taken_for_the_other_server() {
    check("iss", |lab| {
        // The shop sends the browser to the server that the victim has chosen, which is the attacker's.
        let query = request_of(LAB_SHOP, &lab.shop_callback());
        let answer = lab.answer_to(&format!("GET /as/authorize?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let location = answer.field("location").expect("a Location");
        let (server, forwarded) = location.split_once("/authorize?").expect("the other server's dialog");
        assert_eq!(
            (answer.status, server, forwarded),
            (302, &*format!("http://{}", lab.server.host()), &*query)
        );
        let address = decide(&lab.server, forwarded, "authorize");
        if parameter(&address, "iss").is_some() {
            return false;
        }
        // The shop takes the answer for the attacker's, and redeems its code there.
        let code = parameter(&address, "code").expect("a code");
        let answer = lab.post("/collect", "", &pairs(&[("code", code), ("code_verifier", VERIFIER)]));
        assert_eq!((answer.status, answer.text()), (200, "{}"));
        let form = format!("?{}", lab.caught("/collect"));
        let [code, verifier] = ["code", "code_verifier"].map(|name| parameter(&form, name).expect("sent"));
        lab.redeem(LAB_SHOP, &lab.shop_callback(), code, Some(verifier)).status == 200
    });
}

/// RFC 9700, 4.14.
#[test]
fn exercise_12_shares_a_refresh_token() {
    check("rotation", |lab| {
        let stolen = apps_tokens(lab).1;
        let second = tokens_of(&refresh(lab, &stolen, None)).1;
        let shops = tokens_of(&refresh(lab, &second, None)).0;
        let succeeds = refresh(lab, &stolen, None).status == 200;
        assert_eq!(get_secure(&lab.server, &shops).status == 200, succeeds, "a reuse ends the grant");
        succeeds
    });
}

/// RFC 9700, 4.14.2.
#[test]
fn exercise_13_asks_for_more_than_was_granted() {
    check("scope_limit", |lab| {
        let answer = refresh(lab, &apps_tokens(lab).1, Some("answer question"));
        answer.status == 200 && answer.json()["scope"] == "answer question"
    });
}

/// The shop's access token and refresh token, to which the victim granted `answer`.
fn apps_tokens(lab: &Lab) -> (String, String) {
    let address = lab.sign_in_to_shop();
    let code = parameter(&address, "code").expect("a code");
    tokens_of(&lab.redeem(LAB_SHOP, &lab.shop_callback(), code, Some(VERIFIER)))
}

/// What the attacker's page gets for the refresh token.
fn refresh(lab: &Lab, token: &str, scope: Option<&str>) -> Answer {
    let mut form = vec![("grant_type", "refresh_token"), ("client_id", LAB_SHOP), ("refresh_token", token)];
    form.extend(scope.map(|scope| ("scope", scope)));
    post_form(&lab.server, "/token", &lab.fields(), &pairs(&form))
}

/// Whether the attacker's page gets a token for the code that the victim lets `client` have at `redirect_uri`.
fn redeem_stolen(lab: &Lab, client: &str, redirect_uri: &str) -> bool {
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
    let code = parameter(&location, "code").expect("a code");
    lab.redeem(client, redirect_uri, code, Some(VERIFIER)).status == 200
}

/// The rows of the table in docs/lab.md, and the sections of the page.
#[test]
fn page_chapter_and_tests_have_the_same_exercises() {
    let [chapter, page] = [include_str!("../../docs/lab.md"), include_str!("../../www/lab/index.html")];
    let tests = concat!(include_str!("lab.rs"), include_str!("lab/mcp.rs"));
    let rules: Vec<&str> =
        page.split("data-rule=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let rows: Vec<&str> =
        chapter.lines().filter(|line| line.starts_with("| ") && line.contains("RFC ")).collect();
    assert_eq!((rules.len(), rows.len()), (16, 16));
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
    assert_eq!(lab.rules().as_object().map(serde_json::Map::len), Some(17));
}

/// What was caught has secrets in it.
#[test]
fn only_the_page_of_the_lab_reads_what_was_caught() {
    let lab = Lab::start();
    lab.show_ad_at("http://shop.localhost/?code=secret");
    let (host, origin) = (format!("localhost:{}", lab.address.port()), lab.origin());
    for (host, fields, status) in [
        (&*host, String::new(), 200),
        (&host, format!("Origin: {origin}\r\n"), 200),
        (&host, "Sec-Fetch-Site: same-site\r\n".to_owned(), 403),
        (&host, "Origin: http://localhost:1\r\n".to_owned(), 403),
        ("shop.localhost", "Sec-Fetch-Site: same-origin\r\n".to_owned(), 403),
    ] {
        let answer = lab.answer_to(&format!("GET /caught HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
        assert_eq!(answer.status, status, "{host} {fields}");
        assert_eq!(answer.text().contains("code=secret"), status == 200);
    }
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
    let query = pairs(&[("response_type", "code"), ("client_id", LAB_APP)]);
    assert_eq!(get_dialog(&without, &query, None).status, 400, "the app of the exercises is not registered");
}
