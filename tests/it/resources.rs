//! Resource indicators (RFC 8707) and protected resource metadata (RFC 9728), at the socket. What concerns a grant runs
//! with the store in memory and with a file.

use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::file::File;
use crate::support::program::PROGRAM;
use crate::support::standard::{
    CALLBACK, CHALLENGE, CONFIGURATION, ISSUER, SECRET, VERIFIER, basic, configuration, decide, encode,
    get_dialog, get_secure, pairs, parameter, post_form, tokens_of,
};
use crate::support::{Answer, TestServer, json_request, secure_request};
use oauth_from_scratch::config::{self, Config};
use oauth_from_scratch::oauth::Scope;
use oauth_from_scratch::oauth::issuer::Issuer;
use oauth_from_scratch::oauth::resource::Resource;
use oauth_from_scratch::store::MemoryStore;

const API: &str = "https://api.example/v1";
const FILES: &str = "https://files.example";
const OWN: &str = "http://localhost:3001/secure";

const RESOURCES: &str = r#"
[[resources]]
uri = "https://api.example/v1"
name = "The <API>"
scopes = ["answer", "question"]
[[resources]]
uri = "https://files.example"
name = "The Files"
[[resources]]
uri = "http://localhost:3001/secure"
name = "The Answer"
scopes = ["answer"]
[[clients]]
"#;

/// The usual configuration with three resources, of which one is /secure.
fn config() -> Config {
    configuration(&[("[[clients]]\n", RESOURCES)])
}

/// The same with a default for the server, and another for `shop`.
fn config_with_defaults() -> Config {
    configuration(&[
        ("secure_scope", "default_resource = \"https://files.example/\"\nsecure_scope"),
        ("[[clients]]\n", RESOURCES),
        ("id = \"shop\"\n", "id = \"shop\"\ndefault_resource = \"https://API.example/v1\"\n"),
        ("id = \"robot\"\n", "id = \"robot\"\ndefault_resource = \"\"\n"),
    ])
}

/// Runs `test` on a server that keeps its grants in memory, and on one that keeps them in a file.
fn on_every_store(config: &Config, test: impl Fn(&TestServer)) {
    test(&TestServer::start_in(config, Arc::new(MemoryStore::new(100))));
    #[cfg(feature = "file-store")]
    {
        use crate::support::stores::BOUNDS;
        use crate::support::system::TestSystem;
        use oauth_from_scratch::log::Log;
        use oauth_from_scratch::store::FileStore;
        use oauth_from_scratch::store::file::Waiting;

        let file = crate::support::file::File::absent("resources");
        let path = std::path::Path::new(file.path());
        let store =
            FileStore::open(path, Waiting::ForTheDisk, BOUNDS, [7; 32], TestSystem::for_store(), Log::kept())
                .unwrap();
        test(&TestServer::start_in(config, Arc::new(store)));
    }
}

/// An authorization request of `app` that names these resources.
fn request(resources: &[&str]) -> String {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("scope", "answer"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    parameters.extend(resources.iter().map(|uri| ("resource", *uri)));
    pairs(&parameters)
}

fn code(server: &TestServer, resources: &[&str]) -> String {
    let location = decide(server, &request(resources), "authorize");
    parameter(&location, "code").unwrap_or_else(|| panic!("a code: {location}")).to_owned()
}

/// A token request of `app`, for these resources.
fn exchange(server: &TestServer, given: &[(&str, &str)], resources: &[&str]) -> Answer {
    let mut parameters = given.to_vec();
    parameters.extend(resources.iter().map(|uri| ("resource", *uri)));
    post_form(server, "/token", "", &pairs(&parameters))
}

fn redeem(server: &TestServer, code: &str, resources: &[&str]) -> Answer {
    let given = [
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    exchange(server, &given, resources)
}

fn refresh(server: &TestServer, token: &str, resources: &[&str]) -> Answer {
    let given = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token)];
    exchange(server, &given, resources)
}

fn introspect(server: &TestServer, token: &str) -> Value {
    post_form(server, "/introspect", &basic("gate", SECRET), &pairs(&[("token", token)])).json()
}

/// The `aud` of a token, as `null` where it has none.
fn audience(server: &TestServer, token: &str) -> Value {
    let described = introspect(server, token);
    assert_eq!(described["active"], true, "{described}");
    described["aud"].clone()
}

fn expect_invalid_target(answer: &Answer, words: &str) {
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_target")), "{}", answer.text());
    let description = answer.json()["error_description"].as_str().unwrap_or_default().to_owned();
    assert!(description.contains(words), "{description}");
}

#[test]
fn a_token_has_the_audience_that_was_asked_for() {
    on_every_store(&config(), |server| {
        let check = |asked: &[&str], expected: Value| {
            let (access, refresh) = tokens_of(&redeem(server, &code(server, asked), &[]));
            assert_eq!(audience(server, &access), expected, "{asked:?}");
            assert_eq!(audience(server, &refresh), expected, "{asked:?}");
        };
        check(&[], Value::Null);
        check(&[API], json!(API));
        check(&["HTTPS://API.example/v1/"], json!(API));
        check(&[FILES, API], json!([FILES, API]));
        check(&[FILES, "https://files.example/", FILES], json!(FILES));
        check(&["", API], json!(API));
    });
}

#[test]
fn an_unconfigured_resource_is_an_invalid_target() {
    let server = TestServer::start_in(&config(), Arc::new(MemoryStore::new(100)));
    let check = |asked: &[&str], words: &str| {
        let answer = get_dialog(&server, &request(asked), None);
        let location = answer.field("location").unwrap_or_else(|| panic!("a redirect: {answer:?}"));
        assert_eq!(parameter(location, "error"), Some("invalid_target"), "{asked:?}");
        let description = parameter(location, "error_description").unwrap_or_default();
        assert!(description.contains(&encode(words)), "{description}");
    };
    let unknown = "is not configured on this server";
    check(&["https://other.example"], unknown);
    check(&[API, "https://other.example"], unknown);
    check(&["https://api.example/V1"], unknown);
    check(&["https://api.example/v1?x"], unknown);
    check(&["https://api.example:443/v1"], unknown);
    check(&["https://api.example/v1//"], unknown);
    check(&["api"], unknown);
    check(&["https://api.example/v1#part"], "has a fragment (RFC 8707, 2)");
    let invalid = get_dialog(&server, &format!("{}&resource=%ff", request(&[])), None);
    assert_eq!(parameter(invalid.field("location").unwrap(), "error"), Some("invalid_target"), "not text");
}

#[test]
fn a_token_is_for_resources_that_were_granted() {
    on_every_store(&config(), |server| {
        let granted = code(server, &[API, FILES]);
        expect_invalid_target(&redeem(server, &granted, &[OWN]), "was not granted");
        expect_invalid_target(&redeem(server, &granted, &[API, OWN]), OWN);
        expect_invalid_target(&redeem(server, &granted, &["https://other.example"]), "is not configured");
        expect_invalid_target(&redeem(server, &granted, &["https://api.example/v1#x"]), "has a fragment");
        // The refusals did not spend the code.
        let (access, first) = tokens_of(&redeem(server, &granted, &["https://API.example/v1/"]));
        assert_eq!(audience(server, &access), API);
        assert_eq!(audience(server, &first), json!([API, FILES]), "the refresh token was not narrowed");

        expect_invalid_target(&refresh(server, &first, &[OWN]), "was not granted");
        let (access, second) = tokens_of(&refresh(server, &first, &[FILES]));
        assert_eq!(audience(server, &access), FILES);
        // A retry within the grace window that names another resource gets a token of its own, and no second family.
        let (access, again) = tokens_of(&refresh(server, &first, &[API]));
        assert_eq!((audience(server, &access), &again), (json!(API), &second));
        let (same, _) = tokens_of(&refresh(server, &first, &[FILES]));
        assert_eq!(audience(server, &same), FILES);
        let (access, _) = tokens_of(&refresh(server, &second, &[]));
        assert_eq!(audience(server, &access), json!([API, FILES]));

        // A grant that names no resource has none to give.
        let (_, unaddressed) = tokens_of(&redeem(server, &code(server, &[]), &[]));
        expect_invalid_target(&refresh(server, &unaddressed, &[API]), "was not granted");
    });
}

#[test]
fn a_request_that_names_no_resource_means_the_default() {
    on_every_store(&config_with_defaults(), |server| {
        let (access, _) = tokens_of(&redeem(server, &code(server, &[]), &[]));
        assert_eq!(audience(server, &access), FILES, "the server's default");
        let (access, _) = tokens_of(&redeem(server, &code(server, &[API]), &[]));
        assert_eq!(audience(server, &access), API);
        let own = |client: &str, resources: &[&str]| {
            let mut parameters = vec![("grant_type", "client_credentials")];
            parameters.extend(resources.iter().map(|uri| ("resource", *uri)));
            let answer = post_form(server, "/token", &basic(client, SECRET), &pairs(&parameters)).json();
            let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
            audience(server, token)
        };
        assert_eq!(own("gate", &[]), FILES);
        assert_eq!(own("shop", &[]), API, "the client's default");
        assert_eq!(own("robot", &[]), Value::Null, "the client has none");
        assert_eq!(own("robot", &[OWN, API]), json!([OWN, API]));
        let unknown = pairs(&[("grant_type", "client_credentials"), ("resource", "https://other.example")]);
        expect_invalid_target(&post_form(server, "/token", &basic("shop", SECRET), &unknown), "not configured");
    });
}

#[test]
fn the_only_resource_is_the_default() {
    let one = "[[resources]]\nuri = \"https://api.example/v1\"\nname = \"The API\"\n[[clients]]\n";
    let server = TestServer::start_in(&configuration(&[("[[clients]]\n", one)]), Arc::new(MemoryStore::new(9)));
    let (access, _) = tokens_of(&redeem(&server, &code(&server, &[]), &[]));
    assert_eq!(audience(&server, &access), API);
}

#[test]
fn a_token_for_one_resource_does_not_open_another() {
    on_every_store(&config(), |server| {
        let check = |asked: &[&str], status: u16| {
            let (access, _) = tokens_of(&redeem(server, &code(server, asked), &[]));
            let answer = get_secure(server, &access);
            assert_eq!(answer.status, status, "{asked:?}");
            answer
        };
        assert_eq!(check(&[], 200).json(), json!({"answer": 42}));
        check(&[OWN], 200);
        check(&[API, OWN], 200);
        let refused = check(&[API], 401);
        let challenge = refused.field("www-authenticate").unwrap_or_default();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        let reason = "authorization server: GET /secure 401: the token is for another resource";
        assert_eq!(server.log.lines().last().map(String::as_str), Some(reason));
    });
}

/// The `WWW-Authenticate` of `/secure` for a request with these field lines.
fn challenge(server: &TestServer, fields: &str) -> (u16, String) {
    let answer = server.answer_to(&format!("GET /secure HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    (answer.status, answer.field("www-authenticate").unwrap_or_default().to_owned())
}

#[test]
fn the_challenges_of_secure_name_its_metadata_if_it_has_any() {
    const METADATA: &str = "http://localhost:3001/.well-known/oauth-protected-resource/secure";
    let others = RESOURCES.replace("http://localhost:3001/secure", "https://secure.example");
    let narrow = "grant_type=client_credentials&resource=";
    for (resources, own, metadata) in [
        (RESOURCES, OWN, format!(", resource_metadata=\"{METADATA}\"")),
        (&others, "https://api.example/v1", String::new()),
    ] {
        let config = configuration(&[("[[clients]]\n", resources)]);
        let server = TestServer::start_in(&config, Arc::new(MemoryStore::new(100)));
        let check = |fields: &str, status: u16, challenge_is: &str| {
            let expected = format!("Bearer realm=\"secure\"{challenge_is}{metadata}");
            assert_eq!(challenge(&server, fields), (status, expected), "{fields}");
        };
        check("", 401, "");
        check("Authorization: Basic eDp5\r\n", 401, "");
        check("Authorization: bare\r\n", 401, "");
        let invalid =
            ", error=\"invalid_token\", error_description=\"the access token is wrong or has expired\"";
        check("Authorization: Bearer wrong\r\n", 401, invalid);
        let malformed = ", error=\"invalid_request\", error_description=\"Authorization is malformed\"";
        check("Authorization: Bearer\r\n", 400, malformed);
        check("Authorization: Bearer x\r\nAuthorization: Bearer x\r\n", 400, malformed);
        if own == OWN {
            let form = format!("{narrow}{}", encode(own));
            let token = post_form(&server, "/token", &basic("robot", SECRET), &form).json();
            let token = token["access_token"].as_str().expect("a token").to_owned();
            let lacks = ", error=\"insufficient_scope\", \
                         error_description=\"the access token does not have the required scope\", scope=\"answer\"";
            check(&format!("Authorization: Bearer {token}\r\n"), 403, lacks);
            let document = server
                .answer_to("GET /.well-known/oauth-protected-resource/secure HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(document.json()["resource"], own, "the address leads to its document");
        }
    }
}

#[test]
fn the_articles_answers_name_no_metadata() {
    let server = TestServer::start_with(|config| {
        config.issuer = Issuer::parse(ISSUER).ok();
        config.resources = vec![Resource::new(OWN, "The Answer", Scope::default()).expect("a resource")];
    });
    let check = |fields: &str, status: u16| {
        assert_eq!(challenge(&server, fields), (status, "Bearer realm=\"secure\"".to_owned()), "{fields}");
    };
    check("", 403);
    check("Authorization: wrong\r\n", 403);
    let (status, standard) = challenge(&server, "Authorization: Bearer wrong\r\n");
    assert!(status == 401 && standard.contains("resource_metadata="), "{standard}");
}

#[test]
fn the_demos_own_requests_name_no_resource_and_open_secure() {
    let server = TestServer::start();
    let token = server.token();
    let answer = server.answer_to(&secure_request(&token));
    assert_eq!((answer.status, answer.text()), (200, r#"{"answer":42}"#));
    // The article's request may name one all the same: it is a resource that was not granted.
    let named =
        json_request(&format!(r#"{{"code":"{}","resource":"http://{}/mcp"}}"#, server.code(), server.host()));
    expect_invalid_target(&server.answer_to(&named), "was not granted");
    for wrong in ["7", "{}", "[7]"] {
        let answer = server.answer_to(&json_request(&format!(r#"{{"code":"x","resource":{wrong}}}"#)));
        assert_eq!(answer.json()["error"], "invalid_request", "{wrong}");
    }
    let twice = format!(r#"{{"code":"{}","resource":"","resource":""}}"#, server.code());
    let answer = server.answer_to(&json_request(&twice));
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
}

#[test]
fn a_configured_client_beside_the_demo_means_no_resource() {
    let server = TestServer::start_with(|config| {
        let file = configuration(&[]);
        (config.clients, config.scopes) = (file.clients, file.scopes);
    });
    let (access, _) = tokens_of(&redeem(&server, &code(&server, &[]), &[]));
    assert_eq!(audience(&server, &access), Value::Null);
    assert_eq!(get_secure(&server, &access).status, 200);
}

#[test]
fn a_token_for_the_demos_resource_does_not_open_secure() {
    let server = TestServer::start();
    let own = format!("http://{}/mcp", server.host());
    let callback = format!("http://localhost:{}/oauth-callback.html", server.client_app.port());
    let query = pairs(&[
        ("response_type", "code"),
        ("client_id", "oauth-test-app"),
        ("redirect_uri", &callback),
        ("resource", &own),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    let location = decide(&server, &query, "authorize");
    let form = pairs(&[
        ("grant_type", "authorization_code"),
        ("client_id", "oauth-test-app"),
        ("redirect_uri", &callback),
        ("resource", &own),
        ("code", parameter(&location, "code").expect("a code")),
        ("code_verifier", VERIFIER),
    ]);
    let (access, _) = tokens_of(&post_form(&server, "/token", "", &form));
    assert_eq!(get_secure(&server, &access).status, 401);
}

#[test]
fn the_dialog_names_the_resources() {
    let server = TestServer::start_in(&config(), Arc::new(MemoryStore::new(9)));
    let answer = get_dialog(&server, &request(&[FILES, API]), None);
    let dialog = answer.text();
    assert!(dialog.contains("The &lt;API&gt; <code>https://api.example/v1</code>"), "{dialog}");
    assert!(dialog.contains("The Files <code>https://files.example</code>"), "{dialog}");
    assert!(!get_dialog(&server, &request(&[]), None).text().contains("<dt>Where</dt>"));
}

#[test]
fn a_resource_that_is_removed_ends_its_tokens() {
    let server = TestServer::start_with(|config| *config = self::config());
    let (both, refresh_both) = tokens_of(&redeem(&server, &code(&server, &[API, FILES]), &[]));
    let (one, refresh_one) = tokens_of(&redeem(&server, &code(&server, &[FILES]), &[]));
    let waiting = code(&server, &[FILES]);
    let without =
        RESOURCES.replace("[[resources]]\nuri = \"https://files.example\"\nname = \"The Files\"\n", "");
    server.reload(|config| *config = configuration(&[("[[clients]]\n", &without)]));
    let line = "reload: resources: removed https://files.example";
    assert!(server.log.lines().iter().any(|own| own == line), "{:?}", server.log.lines());
    assert_eq!(audience(&server, &both), API, "the one that is left");
    assert_eq!(introspect(&server, &one), json!({"active": false}));
    let (access, _) = tokens_of(&refresh(&server, &refresh_both, &[]));
    assert_eq!(audience(&server, &access), API);
    for answer in [refresh(&server, &refresh_one, &[]), redeem(&server, &waiting, &[])] {
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!("invalid_grant")),
            "{}",
            answer.text()
        );
    }
    server.reload(|config| *config = self::config());
    assert_eq!(audience(&server, &one), FILES, "it is configured again");
    tokens_of(&redeem(&server, &waiting, &[]));
}

#[test]
fn a_resource_that_is_only_respelled_keeps_its_tokens() {
    let server = TestServer::start_with(|config| *config = self::config());
    let (own, _) = tokens_of(&redeem(&server, &code(&server, &[OWN]), &[]));
    let (both, refresh_both) = tokens_of(&redeem(&server, &code(&server, &[API, FILES]), &[]));
    let (waiting, other) = (code(&server, &[FILES]), code(&server, &[API, FILES]));
    let (api, files) = ("https://API.example/v1/", "https://files.EXAMPLE/");
    let respelled =
        RESOURCES.replace(API, api).replace(FILES, files).replace(OWN, "HTTP://localhost:3001/secure/");
    server.reload(|config| *config = configuration(&[("[[clients]]\n", &respelled)]));
    assert_eq!(audience(&server, &both), json!([api, files]), "as they are spelled now");
    assert_eq!(get_secure(&server, &own).status, 200);
    assert_eq!(get_secure(&server, &both).status, 401);
    let (access, first) = tokens_of(&refresh(&server, &refresh_both, &[FILES]));
    assert_eq!((audience(&server, &access), audience(&server, &first)), (json!(files), json!([api, files])));
    // A retry for the same resources gets the same token.
    let (again, _) = tokens_of(&refresh(&server, &refresh_both, &[files]));
    assert_eq!(again, access);
    expect_invalid_target(&refresh(&server, &first, &[OWN]), "was not granted");
    let (access, _) = tokens_of(&redeem(&server, &waiting, &[]));
    assert_eq!(audience(&server, &access), files);
    let (access, _) = tokens_of(&redeem(&server, &other, &[api]));
    assert_eq!(audience(&server, &access), api);
}

fn get(server: &TestServer, path: &str) -> Answer {
    server.answer_to(&format!("GET {path} HTTP/1.1\r\nHost: h\r\nOrigin: https://x.example\r\n\r\n"))
}

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

#[test]
fn a_resource_of_this_origin_has_a_metadata_document() {
    let text = format!(
        "{}\n[[resources]]\nuri = \"{ISSUER}/t/mcp\"\nname = \"Tools\"\nscopes = [\"offline_access\", \"answer\"]\n\
         [[clients]]",
        RESOURCES.strip_suffix("[[clients]]\n").unwrap()
    );
    let config =
        configuration(&[("other = ", "offline_access = \"Keep access.\"\nother = "), ("[[clients]]", &text)]);
    let server = TestServer::start_in(&config, Arc::new(MemoryStore::new(9)));
    let document = get(&server, &format!("{WELL_KNOWN}/t/mcp"));
    let expected = json!({
        "resource": format!("{ISSUER}/t/mcp"),
        "authorization_servers": [ISSUER],
        "scopes_supported": ["answer"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Tools",
    });
    assert_eq!((document.status, document.json()), (200, expected));
    assert_eq!(document.field("content-type"), Some("application/json"));
    assert_eq!(document.field("access-control-allow-origin"), Some("*"));
    assert_eq!(get(&server, &format!("{WELL_KNOWN}/t/mcp/")).json(), document.json(), "with a slash");
    assert_eq!(get(&server, &format!("{WELL_KNOWN}/secure")).json()["resource"], OWN);
    for path in ["", "/", "/v1", "/t", "/T/mcp", "/t/mcp//", "/secure/x", "x", "-other"] {
        let answer = get(&server, &format!("{WELL_KNOWN}{path}"));
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), (404, Some("*")), "{path}");
    }
    let preflight = server.answer_to(&format!("OPTIONS {WELL_KNOWN}/secure HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!((preflight.status, preflight.field("allow")), (204, Some("GET, HEAD, OPTIONS")));
    let posted =
        server.answer_to(&format!("POST {WELL_KNOWN}/secure HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(posted.status, 405);
    let metadata = get(&server, "/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata["protected_resources"], json!([API, FILES, OWN, format!("{ISSUER}/t/mcp")]));
    let scopes = metadata["scopes_supported"].as_array().expect("a list");
    assert_eq!(scopes.iter().filter(|scope| **scope == "offline_access").count(), 1, "{scopes:?}");
}

/// Clients of MCP 2025-03-26 take the resource's address for the server's, and put its path last.
#[test]
fn the_servers_metadata_is_found_at_the_path_of_a_resource() {
    const METADATA: &str = "/.well-known/oauth-authorization-server";
    let server =
        TestServer::start_in(&configuration(&[("[[clients]]\n", RESOURCES)]), Arc::new(MemoryStore::new(9)));
    let check = |path: &str, status: u16| {
        let answer = get(&server, &format!("{METADATA}{path}"));
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), (status, Some("*")), "{path}");
        if status == 200 {
            assert_eq!(answer.json()["issuer"], ISSUER, "{path}");
        }
    };
    check("", 200);
    check("/secure", 200);
    // That resource is elsewhere, these are none.
    check("/v1", 404);
    for path in ["/", "/secur", "/secure/x", "secure", "//secure"] {
        check(path, 404);
    }
}

/// A developer changes the configuration, and the client in the browser must not go on with the last one.
#[test]
fn metadata_is_kept_for_an_hour_but_not_on_loopback() {
    let check = |issuer: Option<&str>, expected: &str| {
        let server = TestServer::start_with(|config| {
            config.issuer = issuer.map(|issuer| Issuer::parse(issuer).expect("an issuer"));
        });
        for path in [WELL_KNOWN, "/.well-known/oauth-authorization-server"] {
            let answer = get(&server, path);
            assert_eq!(
                (answer.status, answer.field("cache-control")),
                (200, Some(expected)),
                "{issuer:?} {path}"
            );
        }
    };
    check(None, "no-cache");
    check(Some("http://localhost:3001"), "no-cache");
    check(Some("https://auth.example"), "max-age=3600");
}

#[test]
fn the_only_resource_of_this_origin_is_described_at_the_root() {
    let server = TestServer::start();
    let expected = format!("http://{}/mcp", server.host());
    for path in ["/mcp", "", "/"] {
        let document = get(&server, &format!("{WELL_KNOWN}{path}")).json();
        assert_eq!(document["resource"], expected, "{path:?}");
        assert_eq!(document["scopes_supported"], json!(["answer", "question"]));
    }
    for path in ["/x", "/mcp/x", "//", "mcp", "/mc"] {
        assert_eq!(get(&server, &format!("{WELL_KNOWN}{path}")).status, 404, "{path}");
    }
    let metadata = get(&server, "/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata["protected_resources"], json!([expected]));
    let without = TestServer::start_in(&configuration(&[]), Arc::new(MemoryStore::new(9)));
    assert_eq!(get(&without, WELL_KNOWN).status, 404);
    let metadata = get(&without, "/.well-known/oauth-authorization-server").json();
    assert_eq!(metadata.get("protected_resources"), None);
}

#[test]
fn mistakes_in_resources_are_named_by_their_line() {
    let check = |text: &str, line: usize, words: &str| {
        let mistakes = config::read(text, 1).map(drop).unwrap_err();
        let found: Vec<_> = mistakes.iter().collect();
        let [mistake] = found[..] else { panic!("one mistake: {text}\n{mistakes}") };
        assert!(mistake.line == line && mistake.message.contains(words), "{text}\n{mistake}");
    };
    let head = "[[resources]]\nname = \"A\"\n";
    check("resources = 7", 1, "expected tables that each start with [[resources]]");
    check(head, 1, "the resource has no uri");
    check("[[resources]]\nuri = \"https://a.example\"", 1, "the resource has no name");
    check("[[resources]]\nuri = \"https://a.example\"\nname = \" \"", 3, "give a name");
    check(&format!("{head}uri = \"/mcp\""), 3, "is not an absolute URI");
    check(&format!("{head}uri = \"https://a.example/#x\""), 3, "has a fragment");
    check(&format!("{head}uri = \"https://a.example/?x\""), 3, "has a query");
    check(&format!("{head}uri = \"https://u@a.example\""), 3, "user information");
    check(&format!("{head}uri = \"https://a.example/ \""), 3, "a character that is not allowed");
    check(&format!("{head}uri = \"https://a.example\"\nscope = []"), 4, "did you mean scopes?");
    check(&format!("{head}uri = \"https://a.example\"\nscopes = [\"read\"]"), 4, "unknown scope \"read\"");
    let twice = format!("{head}uri = \"https://a.example\"\n{head}uri = \"HTTPS://A.example/\"");
    check(&twice, 6, "another resource has the uri \"https://a.example\"");
    check("default_resource = \"https://a.example\"", 1, "unknown resource \"https://a.example\"");
    let client = "[[clients]]\nid = \"a\"\nname = \"A\"\nredirect_uris = [\"https://a.example/\"]\n";
    check(&format!("{client}default_resource = \"x\""), 5, "unknown resource \"x\"");
}

#[test]
fn the_metadata_of_a_resource_elsewhere_is_printed() {
    let digest = oauth_from_scratch::oauth::client::SecretDigest::of(SECRET).to_string();
    let text = CONFIGURATION.replacen("[[clients]]\n", RESOURCES, 1).replace("{digest}", &digest);
    let file = File::new("resources.toml", &text);
    let run = |flags: &[&str]| {
        let output = Command::new(PROGRAM).args(flags).output().expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (status, printed, _) =
        run(&["--config", file.path(), "--print-resource-metadata", "https://API.example/v1/"]);
    let expected = json!({
        "resource": API,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["answer", "question"],
        "bearer_methods_supported": ["header"],
        "resource_name": "The <API>",
    });
    assert_eq!((status, serde_json::from_str::<Value>(&printed).ok()), (Some(0), Some(expected)));
    let (status, printed, error) =
        run(&["--config", file.path(), "--print-resource-metadata", "https://other.example"]);
    assert_eq!((status, printed.as_str()), (Some(2), ""));
    assert_eq!(
        error,
        format!(
            "oauth-from-scratch: --print-resource-metadata: \"https://other.example\" is not a configured resource; \
             the resources are {API}, {FILES}, {OWN}\n"
        )
    );
    let (status, printed, _) = run(&["--print-resource-metadata", "http://localhost:3001/mcp"]);
    assert!(status == Some(0) && printed.contains("\"resource\":\"http://localhost:3001/mcp\""), "{printed}");
    let (status, ..) = run(&["--print-resource-metadata"]);
    assert_eq!(status, Some(2));
}
