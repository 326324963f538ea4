//! The contract, row by row: what each path of both servers answers, to the letter where letters matter.

use crate::support::{Answer, TestServer, secure_request, token_request};
use oauth_from_scratch::oauth::issuer::Issuer;

const CLIENT_APP_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self' http://localhost:{auth}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const AUTHORIZATION_SERVER_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
// Without form-action, which browsers hold every hop after the callback to.
const DIALOG_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

fn with_ports(server: &TestServer, text: &str) -> String {
    text.replace("{client}", &server.client_app.port().to_string())
        .replace("{auth}", &server.authorization_server.port().to_string())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn assert_is_page(server: &TestServer, answer: &Answer, policy: &str) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-security-policy"), Some(with_ports(server, policy).as_str()));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.field("referrer-policy"), Some("same-origin"));
    assert_eq!(answer.field("cross-origin-opener-policy"), None, "it would cut the popup off from its opener");
    assert_eq!(answer.field("access-control-allow-origin"), None);
}

#[test]
fn the_client_app_serves_its_pages_and_scripts() {
    let server = TestServer::start();
    let check = |path: &str, media_type: &str, words: &str| {
        let answer = server.connect_to_client_app().answer_to(&get(path));
        assert_is_page(&server, &answer, CLIENT_APP_POLICY);
        assert_eq!(answer.field("content-type"), Some(media_type), "{path}");
        assert!(answer.text().contains(&with_ports(&server, words)), "{path} says {words}");
    };
    let html = "text/html; charset=utf-8";
    check("/", html, "data-authorization-server=\"http://localhost:{auth}\"");
    check("/index.html", html, "data-redirect-uri=\"http://localhost:{client}/oauth-callback.html\"");
    check("/index.html?x=y", html, "data-client-app=\"http://localhost:{client}\"");
    check("/oauth-callback.html", html, "</html>");
    check("/oauth-callback.html?code=x", html, "</html>");
    check("/client-app.js", "text/javascript; charset=utf-8", "import");
    check("/popup.js", "text/javascript; charset=utf-8", "export");
    check("/steps.js", "text/javascript; charset=utf-8", "export");
}

#[test]
fn both_servers_serve_the_style_and_the_icon() {
    let server = TestServer::start();
    for (path, media_type) in [("/style.css", "text/css; charset=utf-8"), ("/icon.svg", "image/svg+xml")] {
        for mut client in [server.connect(), server.connect_to_client_app()] {
            let answer = client.answer_to(&get(path));
            assert_eq!((answer.status, answer.field("content-type")), (200, Some(media_type)), "{path}");
        }
    }
}

#[test]
fn the_authorization_servers_index_links_to_the_client_app() {
    let server = TestServer::start();
    for path in ["/", "/index.html"] {
        let answer = server.answer_to(&get(path));
        assert_is_page(&server, &answer, AUTHORIZATION_SERVER_POLICY);
        assert!(answer.text().contains(&with_ports(&server, "href=\"http://localhost:{client}/\"")), "{path}");
    }
}

#[test]
fn the_dialog_asks_and_posts_to_code() {
    let server = TestServer::start();
    let answer = server.answer_to(&get("/oauth-dialog.html"));
    assert_is_page(&server, &answer, DIALOG_POLICY);
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(answer.field("etag"), None);
    for words in [
        "Authorize OAuth Test App?",
        "<form method=\"post\" action=\"/code\">",
        "<button id=\"refuse\" class=\"button secondary\" type=\"submit\" name=\"decision\" value=\"refuse\">",
        "<input type=\"hidden\" name=\"request\" value=\"\">",
        "<li>Read the secret answer. <code>answer</code></li>",
        "<code>http://localhost:{client}</code>",
    ] {
        assert!(answer.text().contains(&with_ports(&server, words)), "{words}");
    }
}

/// The article's dialog has no parameter; whatever has one, and be it twice, is an authorization request.
#[test]
fn a_dialog_with_a_parameter_is_not_the_articles() {
    let server = TestServer::start();
    assert_eq!(server.answer_to(&get("/oauth-dialog.html?unknown=x")).status, 200);
    for name in [
        "client_id",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
    ] {
        let repeated = server.answer_to(&get(&format!("/oauth-dialog.html?{name}=x&{name}=x")));
        let (is_shown, location) = (repeated.status == 400, repeated.field("location").unwrap_or_default());
        let is_told = repeated.status == 302 && location.contains("error=invalid_request");
        assert!(is_shown || is_told, "{name}: {repeated:?}");
    }
}

#[test]
fn preflights_are_answered_for_any_origin_without_credentials() {
    let server = TestServer::start();
    let check = |path: &str, method: &str, methods: &str, allow: &str| {
        let header = "*, authorization";
        let answer = server.answer_to(&format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: h\r\nOrigin: http://anywhere.example\r\n\
             Access-Control-Request-Method: {method}\r\nAccess-Control-Request-Headers: \
             authorization,baggage,content-type,dpop,mcp-protocol-version,traceparent,x-requested-with\r\n\r\n"
        ));
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        let expected = [
            ("access-control-allow-origin", Some("*")),
            ("access-control-allow-methods", Some(methods)),
            ("access-control-allow-headers", Some(header)),
            ("access-control-max-age", Some("7200")),
            ("access-control-allow-credentials", None),
            ("access-control-expose-headers", Some("WWW-Authenticate, Retry-After, MCP-Session-Id")),
            ("allow", Some(allow)),
            ("content-length", None),
        ];
        for (name, value) in expected {
            assert_eq!(answer.field(name), value, "{path}: {name}");
        }
    };
    check("/token", "POST", "POST", "POST, OPTIONS");
    check("/revoke", "POST", "POST", "POST, OPTIONS");
    check("/mcp", "POST", "POST", "POST, OPTIONS");
    check("/register", "POST", "POST", "POST, OPTIONS");
    check("/secure", "GET", "GET, HEAD", "GET, HEAD, OPTIONS");
    for (path, _) in PROBED {
        check(path, "GET", "GET, HEAD", "GET, HEAD, OPTIONS");
    }
}

/// Where MCP clients look for metadata when they are given the address of the demo's MCP server, in all their versions,
/// and whether there is any. A redirect or a 5xx would end their search.
const PROBED: [(&str, bool); 7] = [
    ("/.well-known/oauth-protected-resource/mcp", true),
    ("/.well-known/oauth-protected-resource", true),
    ("/.well-known/oauth-authorization-server", true),
    ("/.well-known/oauth-authorization-server/mcp", true),
    ("/.well-known/oauth-authorization-server/other", false),
    ("/.well-known/openid-configuration", false),
    ("/.well-known/openid-configuration/mcp", false),
];

#[test]
fn what_clients_probe_is_there_or_a_plain_404() {
    let server = TestServer::start();
    let issuer = format!("http://{}", server.host());
    for (path, is_there) in PROBED {
        for host in ["h", "rebound.example", &server.host()] {
            let answer = server.answer_to(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(answer.status, if is_there { 200 } else { 404 }, "{path}");
            assert_eq!(answer.field("access-control-allow-origin"), Some("*"), "{path}");
            assert!(answer.field("location").is_none() && answer.field("set-cookie").is_none(), "{path}");
            if is_there {
                let document = answer.json();
                let named = document.get("issuer").unwrap_or(&document["authorization_servers"][0]);
                assert_eq!(*named, *issuer, "{path}: from the configuration, whatever the Host is");
            }
        }
    }
}

#[test]
fn scripts_of_any_origin_read_what_mcp_clients_need() {
    let server = TestServer::start();
    let post = |path: &str, kind: &str, content: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nOrigin: http://localhost:6274\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n{content}",
            content.len()
        )
    };
    let check = |request: &str, status: u16| {
        // A page of another origin has to name the server as it names itself.
        let answer = server.answer_to(&request.replace("Host: h\r\n", &format!("Host: {}\r\n", server.host())));
        assert_eq!(answer.status, status, "{request}");
        for (name, value) in [
            ("access-control-allow-origin", Some("*")),
            ("access-control-expose-headers", Some("WWW-Authenticate, Retry-After, MCP-Session-Id")),
            ("access-control-allow-credentials", None),
        ] {
            assert_eq!(answer.field(name), value, "{request}: {name}");
        }
        answer
    };
    let (json, form) = ("application/json", "application/x-www-form-urlencoded");
    for (path, is_there) in PROBED {
        check(&get(path), if is_there { 200 } else { 404 });
    }
    check(&post("/register", json, r#"{"redirect_uris":["https://app.example/"]}"#), 201);
    check(&post("/register", json, "{}"), 400);
    check(&post("/token", form, "grant_type=refresh_token&client_id=dead&refresh_token=x"), 400);
    check(&post("/revoke", form, "client_id=oauth-test-app&token=x"), 200);
    check(&post("/revoke", form, "client_id=dead&token=x"), 400);
    let challenged = check(&post("/mcp", json, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), 401);
    assert!(challenged.field("www-authenticate").is_some(), "what is exposed is there");
    check(&get("/mcp"), 405);
}

#[test]
fn a_404_below_well_known_is_readable_by_any_origin() {
    let long = "a".repeat(20_000);
    let check = |server: &TestServer, request: &str, status: u16, is_shared: bool| {
        let answer = server.answer_to(request);
        let origin = answer.field("access-control-allow-origin");
        assert_eq!((answer.status, origin), (status, is_shared.then_some("*")), "{request:.80}");
        let exposed = answer.field("access-control-expose-headers");
        assert_eq!(
            exposed,
            is_shared.then_some("WWW-Authenticate, Retry-After, MCP-Session-Id"),
            "{request:.80}"
        );
        assert_eq!(answer.field("access-control-allow-credentials"), None);
    };
    let server = TestServer::start();
    check(&server, &get("/.well-known/oauth-protected-resource/none"), 404, true);
    check(&server, &get("/.well-known/openid-configuration/x?y"), 404, true);
    check(&server, &get("/.well-known/"), 404, true);
    let post = get("/.well-known/jwks.json").replace("GET", "POST");
    check(&server, &post.replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"), 404, true);
    check(&server, &post.replace("\r\n\r\n", "\r\nContent-Length: 99999999\r\n\r\n"), 413, true);
    check(&server, &get("/.well-known"), 404, false);
    check(&server, &get("/x/.well-known/openid-configuration"), 404, false);
    check(&server, &get("/.well-knownx/"), 404, false);
    check(&server, &get(&format!("/nothing?{long}")), 414, false);
    let answer = server.connect_to_client_app().answer_to(&get("/.well-known/oauth-protected-resource"));
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (404, None));

    let issuer = Issuer::parse("https://auth.example/t").ok();
    let tenant = TestServer::start_with(|config| config.issuer = issuer);
    check(&tenant, &get("/t/.well-known/openid-configuration"), 404, true);
    check(&tenant, &get("/.well-known/openid-configuration/t"), 404, true);
    check(&tenant, &get("/x/.well-known/openid-configuration"), 404, false);
}

#[test]
fn only_token_and_secure_are_readable_by_any_origin() {
    let server = TestServer::start();
    let token = server.token();
    let shared = [
        token_request(&server.code()),
        token_request("wrong"),
        secure_request(&token),
        secure_request("wrong"),
        secure_request("Bearer wrong"),
        "GET /token HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "DELETE /secure HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n".to_owned(),
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n".to_owned(),
        "GET /secure HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n".to_owned(),
    ];
    for request in shared {
        let answer = server.answer_to(&request);
        assert_eq!(answer.field("access-control-allow-origin"), Some("*"), "{request}");
        assert_eq!(answer.field("content-type"), Some("application/json"), "{request}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{request}");
        assert!(answer.status == 200 || answer.json()["message"].is_string(), "{request}");
    }
    let own = format!("POST /code HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", server.host());
    let private = [
        own.as_str(),
        "POST /code HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "OPTIONS /code HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /oauth-dialog.html HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ];
    for request in private {
        let answer = server.answer_to(request);
        let shared: Vec<_> =
            answer.fields.iter().filter(|(name, _)| name.starts_with("access-control-")).collect();
        assert!(shared.is_empty(), "{request}: {shared:?}");
    }
}

#[test]
fn what_is_not_there_is_404_and_a_wrong_method_405_with_allow() {
    let server = TestServer::start();
    let check = |request: &str, status: u16, allow: Option<&str>| {
        let answer = server.answer_to(&format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!((answer.status, answer.field("allow")), (status, allow), "{request}");
    };
    check("GET /nothing", 404, None);
    check("GET /Secure", 404, None);
    check("GET /secure/", 404, None);
    check("GET //", 404, None);
    check("GET /oauth-callback.html", 404, None);
    check("GET /code", 405, Some("POST"));
    check("OPTIONS /code", 405, Some("POST"));
    check("GET /token", 405, Some("POST, OPTIONS"));
    check("GET /revoke", 405, Some("POST, OPTIONS"));
    check("GET /introspect", 405, Some("POST"));
    let answer = server.answer_to("GET /introspect HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.json()["error"], "invalid_request", "programs are answered in JSON");
    check("POST /authorize", 405, Some("GET, HEAD"));
    check("POST /.well-known/oauth-authorization-server", 405, Some("GET, HEAD, OPTIONS"));
    check("POST /secure", 405, Some("GET, HEAD, OPTIONS"));
    check("POST /", 405, Some("GET, HEAD"));
    check("DELETE /oauth-dialog.html", 405, Some("GET, HEAD"));
    check("OPTIONS *", 204, Some("GET, HEAD, POST, OPTIONS"));
    check("CONNECT a.example:443", 405, Some(""));
}

#[test]
fn the_client_app_has_no_endpoint_of_the_authorization_server() {
    let server = TestServer::start();
    for path in ["/code", "/token", "/secure", "/oauth-dialog.html", "/authorize", "/revoke", "/introspect"] {
        assert_eq!(server.connect_to_client_app().answer_to(&get(path)).status, 404, "{path}");
    }
}

#[test]
fn no_target_leads_out_of_the_set_of_pages() {
    for www in [None, Some(concat!(env!("CARGO_MANIFEST_DIR"), "/www").into())] {
        let server = TestServer::start_with(|config| config.www = www);
        for path in [
            "/../Cargo.toml",
            "/%2e%2e/Cargo.toml",
            "/..%2fCargo.toml",
            "/..\\Cargo.toml",
            "/./index.html",
            "/index.html%00",
            "/client-app/index.html",
            "//index.html",
            "/etc/passwd",
        ] {
            assert_eq!(server.connect_to_client_app().answer_to(&get(path)).status, 404, "{path}");
        }
    }
}

#[test]
fn a_page_that_the_client_has_is_answered_304() {
    let server = TestServer::start();
    let mut client = server.connect_to_client_app();
    let page = client.answer_to(&get("/"));
    let etag = page.field("etag").expect("an ETag").to_owned();
    assert_eq!(page.field("cache-control"), Some("no-cache"));
    let mut check = |fields: &str, status: u16| {
        let answer = client.answer_to(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n"));
        assert_eq!(answer.status, status, "{fields}");
        assert_eq!(answer.field("etag"), Some(etag.as_str()));
        assert_eq!(answer.field("cache-control"), Some("no-cache"));
        assert_eq!(answer.body.is_empty(), status == 304);
    };
    check(&format!("If-None-Match: {etag}"), 304);
    check(&format!("If-None-Match: W/{etag}"), 304);
    check(&format!("If-None-Match: \"x\", W/\"y\" ,{etag}"), 304);
    check(&format!("If-None-Match: \"x\"\r\nIf-None-Match: {etag}"), 304);
    check("If-None-Match: *", 304);
    check("If-None-Match: \"x\"", 200);
    check(&format!("If-None-Match: {}", etag.trim_matches('"')), 200);
}

#[test]
fn an_answer_to_head_has_the_fields_of_the_answer_to_get() {
    let server = TestServer::start();
    let token = server.token();
    for path in ["/", "/oauth-dialog.html", "/secure", "/nothing"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: {token}\r\n\r\n");
        let get = server.answer_to(&request);
        let mut client = server.connect();
        let head = client.answer_to(&request.replace("GET", "HEAD"));
        assert_eq!((head.status, &head.fields), (get.status, &get.fields), "{path}");
        assert_eq!(client.answer_to(&request).status, get.status, "{path}: nothing came between");
    }
}

#[test]
fn pages_from_a_folder_are_read_at_each_request() {
    let folder = std::env::temp_dir().join(format!("oauth-from-scratch-www-{}", std::process::id()));
    for part in ["client-app", "authorization-server"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    let page = folder.join("client-app/index.html");
    std::fs::write(&page, "<p>{{authorization_server}} one").unwrap();
    let server = TestServer::start_with(|config| config.www = Some(folder.clone()));
    let mut client = server.connect_to_client_app();
    let first = client.answer_to(&get("/"));
    assert_eq!(first.text(), with_ports(&server, "<p>http://localhost:{auth} one"));
    std::fs::write(&page, "<p>two").unwrap();
    let second = client.answer_to(&get("/"));
    assert_eq!(second.text(), "<p>two");
    assert_ne!(first.field("etag"), second.field("etag"));
    std::fs::remove_file(&page).unwrap();
    let missing = client.answer_to(&get("/"));
    assert_eq!(missing.status, 500);
    assert!(missing.text().contains("client-app/index.html"), "{}", missing.text());
    std::fs::write(&page, "x".repeat(2 * 1024 * 1024)).unwrap();
    assert_eq!(client.answer_to(&get("/")).status, 500, "a page has a bound, too");
    std::fs::remove_dir_all(&folder).unwrap();
}
