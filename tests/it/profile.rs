//! Each field of the profile, switched: what a strict server refuses, one that differs in this field alone lets happen.

use std::time::Duration;

use oauth_from_scratch::config;
use oauth_from_scratch::oauth::Profile;
use oauth_from_scratch::routes::DEMO_CLIENT_ID;

use crate::slow_work::DIGEST;
use crate::support::standard::{
    self, CALLBACK, SECRET, VERIFIER, answer_dialog, code, decide, get_dialog, get_secure, pairs, parameter,
    post_form, redemption, refresh, request_of, sealed_of, session_of, tokens, tokens_of,
};
use crate::support::{TestServer, json_request, secure_request, token_request};

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn start(profile: Profile) -> TestServer {
    // One client's secret is compared in the pool.
    let name = "name = \"The Robot\"\nsecret_digest = ";
    let (from, to) = (format!("{name}\"{{digest}}\""), format!("{name}\"{}\"", *DIGEST));
    TestServer::start_under(&standard::configuration(&[(&from, &to)]), profile)
}

/// `succeeds` must be so after `change`, and not under the strict profile.
fn check(change: fn(&mut Profile), succeeds: fn(&TestServer) -> bool) {
    assert!(!succeeds(&start(Profile::strict())), "a strict server refuses it");
    let mut profile = Profile::strict();
    change(&mut profile);
    assert!(succeeds(&start(profile)), "without the rule it succeeds");
}

#[test]
fn a_request_that_names_no_client_means_one_or_is_refused() {
    check(
        |profile| profile.unnamed_client = Some("app"),
        |server| get_dialog(server, "scope=answer", None).status == 200,
    );
}

#[test]
fn a_form_with_nothing_but_a_button_is_accepted_or_malformed() {
    check(
        |profile| (profile.unnamed_client, profile.bare_dialog) = (Some("app"), true),
        |server| {
            let answer = post_form(server, "/code", "Sec-Fetch-Site: same-origin\r\n", "");
            let query = answer.field("location").and_then(|location| location.strip_prefix(CALLBACK));
            query.is_some_and(|query| query.starts_with("?code=") && !query.contains('&'))
        },
    );
}

#[test]
fn json_at_the_token_endpoint_is_read_or_refused() {
    check(
        |profile| profile.json_at_token = true,
        |server| {
            let request = json_request(r#"{"client_id":"app","code":"wrong"}"#);
            server.answer_to(&request).json()["message"] == "Invalid auth token"
        },
    );
}

#[test]
fn a_token_without_bearer_opens_the_resource_or_does_not() {
    check(
        |profile| profile.bare_tokens = true,
        |server| server.answer_to(&secure_request(&tokens(server).0)).status == 200,
    );
}

/// RFC 8707, 3; RFC 9700, 4.9.1.
#[test]
fn a_token_for_another_resource_opens_this_one_or_does_not() {
    const API: &str = "[[resources]]\nuri = \"https://api.example\"\nname = \"The API\"\n[[clients]]\n";
    for holds in [true, false] {
        let configured = standard::configuration(&[("[[clients]]\n", API)]);
        let server = TestServer::start_under(&configured, Profile { audience: holds, ..Profile::strict() });
        // The only resource is the one of a request that names none.
        let status = get_secure(&server, &tokens(&server).0).status;
        assert_eq!(status, if holds { 401 } else { 200 });
    }
}

/// RFC 7591, 5.
#[test]
fn a_stranger_is_named_by_its_host_or_as_it_likes() {
    const REGISTRATION: &str = "issuer = \"http://localhost:3001\"\nregistration = true\n";
    for holds in [true, false] {
        let changes = [("issuer = \"http://localhost:3001\"\n", REGISTRATION)];
        let profile = Profile { named_by_host: holds, ..Profile::strict() };
        let server = TestServer::start_under(&standard::configuration(&changes), profile);
        let content = r#"{"client_name":"The App","redirect_uris":["https://games.example/cb"]}"#;
        let length = content.len();
        let registered = server.answer_to(&format!(
            "POST /register HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{content}"
        ));
        let registered = registered.json();
        let client = registered["client_id"].as_str().expect("an identifier");
        let dialog = get_dialog(&server, &request_of(client, "https://games.example/cb"), None);
        assert_eq!(dialog.text().contains("<h1>Authorize The App?</h1>"), !holds, "{}", dialog.text());
    }
}

/// The draft of client ID metadata documents, 8.6. Nothing listens at port 1, which no program is given by the system.
#[test]
fn a_document_is_fetched_from_any_address_or_checked_ones() {
    let document = "https://0x7f.1:1/c";
    let fetches = cfg!(feature = "client-documents");
    let tried = if fetches { "its host cannot be connected to" } else { "is built without TLS for documents" };
    for (holds, reason) in [(true, "not on the public internet"), (false, tried)] {
        let configured = config::Config { auth_port: 0, client_port: Some(0), ..config::Config::default() };
        let profile = Profile { checked_addresses: holds, ..Profile::strict() };
        let server = TestServer::start_under(&configured, profile);
        let page = get_dialog(&server, &request_of(document, CALLBACK), None);
        assert!(page.text().contains(reason), "{holds}: {}", page.text());
    }
}

/// RFC 9700, 4.3.2.
#[test]
fn a_token_in_a_url_opens_the_resource_or_does_not() {
    check(
        |profile| profile.header_tokens_only = false,
        |server| {
            let target = format!("/secure?access_token={}", tokens(server).0);
            server.answer_to(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).status == 200
        },
    );
}

/// RFC 6749, 10.10. All ten digits take 10^10 requests at most; the last two are enough to show it.
#[test]
fn a_code_is_found_by_guessing_or_is_not() {
    check(
        |profile| profile.long_credentials = false,
        |server| {
            let victims = code(server, "app", CALLBACK);
            let guess = |number: u32| format!("{}{number:02}", &victims[..8]);
            let is_found = |code: String| post_form(server, "/token", "", &redemption(&code)).status == 200;
            (0..100).map(guess).any(is_found)
        },
    );
}

/// RFC 9700, 4.5.
#[test]
fn a_stolen_code_needs_its_verifier_or_works_without_it() {
    check(
        |profile| profile.pkce = false,
        |server| {
            let stolen = code(server, "app", CALLBACK);
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", "app"),
                ("redirect_uri", CALLBACK),
                ("code", &stolen),
            ];
            post_form(server, "/token", "", &pairs(&form)).status == 200
        },
    );
    check(
        |profile| profile.pkce = false,
        |server| get_dialog(server, "response_type=code&client_id=app", None).status == 200,
    );
}

/// RFC 9700, 4.1.
#[test]
fn a_redirect_uri_is_registered_or_only_begins_so() {
    check(
        |profile| profile.exact_redirect = false,
        |server| {
            let near = format!("{CALLBACK}.evil.example/");
            let query = request_of("app", &near);
            if get_dialog(server, &query, None).status != 200 {
                return false;
            }
            let location = decide(server, &query, "authorize");
            assert!(location.starts_with(&near), "{location}");
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", "app"),
                ("redirect_uri", &near),
                ("code", parameter(&location, "code").expect("a code")),
                ("code_verifier", VERIFIER),
            ];
            post_form(server, "/token", "", &pairs(&form)).status == 200
        },
    );
}

/// RFC 9700, 4.4.
#[test]
fn answers_say_whose_they_are_or_do_not() {
    check(
        |profile| profile.iss = false,
        |server| {
            let lacks_iss = ["authorize", "refuse"].map(|decision| {
                let location = decide(server, &request_of("app", CALLBACK), decision);
                parameter(&location, "iss").is_none()
            });
            let metadata = "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: h\r\n\r\n";
            let metadata = server.answer_to(metadata).json();
            let is_promised = metadata["authorization_response_iss_parameter_supported"] == true;
            assert!(lacks_iss.iter().all(|lacks| *lacks != is_promised), "the metadata says what answers have");
            !is_promised
        },
    );
}

/// RFC 6749, 10.12.
#[test]
fn a_form_of_another_site_is_refused_or_accepted() {
    check(
        |profile| profile.form_origin = false,
        |server| {
            let dialog = get_dialog(server, &request_of("app", CALLBACK), None);
            let form = pairs(&[("request", &sealed_of(&dialog)), ("decision", "authorize")]);
            let cookie = session_of(&dialog);
            let fields =
                format!("Cookie: {cookie}\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n");
            post_form(server, "/code", &fields, &form).status == 302
        },
    );
}

/// RFC 9700, 4.16.
#[test]
fn the_dialog_may_be_framed_or_may_not() {
    check(
        |profile| profile.frame_protection = false,
        |server| {
            let dialog = get_dialog(server, &request_of("app", CALLBACK), None);
            let policy = dialog.field("content-security-policy").expect("a policy");
            assert!(policy.contains("default-src 'none'"), "the rest of the policy stays: {policy}");
            !policy.contains("frame-ancestors")
        },
    );
}

/// RFC 6749, 10.5.
#[test]
fn a_code_works_once_or_until_it_expires() {
    check(
        |profile| profile.single_use_codes = false,
        |server| {
            let code = code(server, "app", CALLBACK);
            let redeem = || post_form(server, "/token", "", &redemption(&code));
            let (first, second) = (tokens_of(&redeem()).0, redeem());
            let is_active = |token: &str| get_secure(server, token).status == 200;
            let succeeds = second.status == 200 && is_active(&tokens_of(&second).0);
            assert_eq!(
                is_active(&first),
                succeeds,
                "a refused replay ends the grant, an accepted one does not"
            );
            server.wait(2 * MINUTE);
            assert_eq!(redeem().status, 400, "it has expired");
            succeeds
        },
    );
}

/// RFC 9700, 4.10.
#[test]
fn codes_and_tokens_expire_or_work_for_good() {
    check(
        |profile| profile.expiry = false,
        |server| {
            let code = code(server, "app", CALLBACK);
            server.wait(2 * MINUTE);
            let late = post_form(server, "/token", "", &redemption(&code)).status == 200;
            let answer = post_form(server, "/token", "", &redemption(&standard::code(server, "app", CALLBACK)));
            assert_eq!(answer.json()["expires_in"], 86_400, "the response says what is configured");
            let (access, refresh_token) = tokens_of(&answer);
            server.wait(YEAR);
            let is_active = get_secure(server, &access).status == 200;
            let is_refreshed = post_form(server, "/token", "", &refresh(&refresh_token)).status == 200;
            assert_eq!([late, is_active], [is_refreshed; 2], "one rule for all three");
            late
        },
    );
}

/// RFC 9700, 4.14.
#[test]
fn a_refresh_token_is_replaced_or_stays_the_same() {
    check(
        |profile| profile.rotation = false,
        |server| {
            let stolen = tokens(server).1;
            let client = post_form(server, "/token", "", &refresh(&stolen));
            server.wait(2 * MINUTE);
            let thief = post_form(server, "/token", "", &refresh(&stolen));
            let works = thief.status == 200 && tokens_of(&thief).1 == stolen;
            assert_eq!(
                get_secure(server, &tokens_of(&client).0).status == 200,
                works,
                "a reuse ends the grant"
            );
            assert!(!works || tokens_of(&client).0 != tokens_of(&thief).0, "each has its own access token");
            works
        },
    );
}

/// RFC 6749, 6.
#[test]
fn a_refreshed_token_has_what_was_granted_or_more() {
    check(
        |profile| profile.scope_limit = false,
        |server| {
            let form = format!("{}&scope=answer+question", refresh(&tokens(server).1));
            let answer = post_form(server, "/token", "", &form);
            answer.status == 200 && answer.json()["scope"] == "answer question"
        },
    );
}

/// No rule is needed for it: the seal binds a form to the browser that it was shown to.
#[test]
fn no_profile_opens_a_form_that_was_shown_to_another_browser() {
    for profile in [Profile::strict(), Profile::demo("app"), Profile::article("app")] {
        let server = start(profile);
        let [mine, other] = [(); 2].map(|()| get_dialog(&server, &request_of("app", CALLBACK), None));
        let answer = answer_dialog(&server, &session_of(&other), &sealed_of(&mine), "authorize");
        assert_eq!(answer.status, 400, "{profile:?}");
    }
}

#[test]
fn the_article_profile_answers_as_the_article_does() {
    let server = start(Profile::article("app"));
    let host = server.host();
    let forged = server.answer_to(&format!(
        "POST /code HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n\r\n"
    ));
    let location = forged.field("location").expect("a redirect");
    let code = location.strip_prefix(&format!("{CALLBACK}?code=")).expect("a code and nothing else");
    let are_digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    assert!(are_digits(code, 10), "{code}");
    server.wait(YEAR);
    let answer = server.answer_to(&token_request(code)).json();
    assert_eq!((&answer["expires_in"], answer.get("refresh_token")), (&86_400.into(), None));
    let token = answer["access_token"].as_str().expect("a token");
    assert!(are_digits(token, 50), "{token}");
    server.wait(YEAR);
    assert_eq!(server.answer_to(&secure_request(token)).json()["answer"], 42);
    assert_eq!(server.answer_to(&secure_request(&token[..49])).status, 403);
    let second = server.answer_to(&token_request(code));
    assert_eq!((second.status, &second.json()["message"]), (400, &"Invalid auth token".into()));
}

/// The dialog's own form has a code of its own, which a second submission gets again.
#[test]
fn a_form_that_is_sent_twice_gets_the_same_ten_digits() {
    let server = start(Profile::article("app"));
    let dialog = get_dialog(&server, &request_of("app", CALLBACK), None);
    let send = || {
        let answer = answer_dialog(&server, &session_of(&dialog), &sealed_of(&dialog), "authorize");
        parameter(answer.field("location").expect("a redirect"), "code").expect("a code").to_owned()
    };
    let (first, second) = (send(), send());
    assert_eq!((first.len(), &first), (10, &second));
    let answer = post_form(&server, "/token", "", &redemption(&first));
    let (access, refresh_token) = tokens_of(&answer);
    assert_eq!((access.len(), get_secure(&server, &access).status), (50, 200));
    let refreshed = tokens_of(&post_form(&server, "/token", "", &refresh(&refresh_token))).0;
    assert_eq!(get_secure(&server, &refreshed).status, 200);
    assert_eq!(post_form(&server, "/token", "", &redemption(&first)).status, 400, "a code works once");
    assert_eq!(get_secure(&server, &access).status, 401, "and its second use ends the grant");
}

/// RFC 9700, 4.11.2: the server as an open redirector.
#[test]
fn an_error_goes_to_a_registered_address_or_to_any() {
    check(
        |profile| profile.verified_errors = false,
        |server| {
            for unsafe_target in ["javascript:alert(1)", "https://evil.example/\u{e9}", ""] {
                let answer = get_dialog(server, &request_of("two", unsafe_target), None);
                assert_eq!(answer.status, 400, "{unsafe_target}");
            }
            let answer = get_dialog(server, &request_of("app", "https://evil.example/"), None);
            let location = answer.field("location").unwrap_or_default();
            location.starts_with("https://evil.example/?error=invalid_request&")
        },
    );
}

/// RFC 9700, 2.6. A form of another site is refused all the same: a script asks first, and a form does not.
#[test]
fn scripts_of_other_origins_act_with_cookies_or_never_do() {
    check(
        |profile| profile.cookieless_cors = false,
        |server| {
            let of_script =
                "Origin: https://evil.example\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n";
            let query = request_of("app", CALLBACK);
            let dialog =
                server.answer_to(&format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n{of_script}\r\n"));
            let cookie = format!("Cookie: {}\r\n", session_of(&dialog));
            let form = pairs(&[("request", &sealed_of(&dialog)), ("decision", "authorize")]);
            let of_form = of_script.replace("Mode: cors", "Mode: navigate");
            assert_eq!(post_form(server, "/code", &format!("{of_form}{cookie}"), &form).status, 403);
            let answer = post_form(server, "/code", &format!("{of_script}{cookie}"), &form);
            let secure = server.answer_to(&format!("GET /secure HTTP/1.1\r\nHost: h\r\n{of_script}\r\n"));
            let credentials = [("client_id", "robot"), ("client_secret", SECRET)];
            let form = "grant_type=client_credentials&".to_owned() + &pairs(&credentials);
            let slow = post_form(server, "/token", of_script, &form);
            assert_eq!(slow.status, 200);
            let allowed = [&dialog, &answer, &secure, &slow].map(|answer| {
                let origin = answer.field("access-control-allow-origin") == Some("https://evil.example");
                origin && answer.field("access-control-allow-credentials") == Some("true")
            });
            assert!(allowed == [true; 4] || allowed == [false; 4], "{allowed:?}");
            allowed[0] && answer.status == 302
        },
    );
}

/// RFC 9700, 2: a configuration has no key for a weaker server.
#[test]
fn a_configuration_is_strict_or_the_demo() {
    let demo = config::Config::default();
    let article = config::Config { is_article: true, ..demo.clone() };
    assert_eq!(article.routes_settings().profile, Profile::article(DEMO_CLIENT_ID));
    assert_eq!(demo.routes_settings().profile, Profile::demo(DEMO_CLIENT_ID));
    assert_eq!(standard::configuration(&[]).routes_settings().profile, Profile::strict());
    for name in
        ["profile", "pkce", "expiry", "rotation", "single_use_codes", "exact_redirect", "long_credentials"]
    {
        for line in [format!("{name} = false"), format!("[profile]\n{name} = false")] {
            let mistakes = config::read(&line, 1).expect_err("no such key").to_string();
            assert!(mistakes.contains("unknown key"), "{line}: {mistakes}");
        }
    }
}
