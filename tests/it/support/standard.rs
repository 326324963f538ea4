//! A configured server with clients of every kind, and the dance with it as a standard client dances it.

use super::{Answer, Client, TestServer, secure_request};
use oauth_from_scratch::config;

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub const ISSUER: &str = "http://localhost:3001";
pub const CALLBACK: &str = "https://app.example/callback";

/// The secret of every confidential client. Form encoding would change it: spaces, a colon, a percent sign.
pub const SECRET: &str = "s%20e: c+r";

/// `app` is public, `shop` confidential, `native` returns to a loopback address, `two` has two redirect URIs,
/// `phone` returns to an app's scheme, `robot` acts for itself, and `gate` is a resource server.
pub const CONFIGURATION: &str = r#"
issuer = "http://localhost:3001"
secure_scope = "answer"
[listen]
port = 0
[scopes]
answer = "Read the secret answer."
question = "Read the <b>question</b> to it."
other = "Do something else."
[[clients]]
id = "app"
name = "The App"
redirect_uris = ["https://app.example/callback"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["answer", "question"]
[[clients]]
id = "shop"
name = "The <Shop>"
secret_digest = "{digest}"
redirect_uris = ["https://shop.example/callback?tenant=1"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scopes = ["answer"]
[[clients]]
id = "native"
name = "The Native App"
redirect_uris = ["http://127.0.0.1/callback", "http://[::1]/callback"]
scopes = ["answer"]
[[clients]]
id = "two"
name = "Two"
redirect_uris = ["https://two.example/1", "https://two.example/2"]
[[clients]]
id = "phone"
name = "The Phone App"
redirect_uris = ["com.example.app:/callback"]
[[clients]]
id = "robot"
name = "The Robot"
secret_digest = "{digest}"
grant_types = ["client_credentials"]
scopes = ["other"]
[[clients]]
id = "gate"
name = "The Gate"
secret_digest = "{digest}"
grant_types = ["client_credentials"]
introspects_all = true
"#;

/// The configuration above, in which `changes` have been made, each from one text to another.
pub fn configuration(changes: &[(&str, &str)]) -> config::Config {
    let digest = oauth_from_scratch::oauth::client::SecretDigest::of(SECRET).to_string();
    let mut text = CONFIGURATION.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    config::read(&text.replace("{digest}", &digest), 1).expect("a sound file")
}

/// A server that is configured as above, without a client app; `change` may change the configuration.
pub fn start_with(change: impl FnOnce(&mut config::Config)) -> TestServer {
    TestServer::start_with(|config| {
        *config = configuration(&[]);
        change(config);
    })
}

pub fn start() -> TestServer {
    start_with(|_| {})
}

/// `text` as it may stand in a query or form.
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Pairs as a query or form.
pub fn pairs(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

/// A sound authorization request of `client`, which returns to `redirect_uri`.
pub fn request_of(client: &str, redirect_uri: &str) -> String {
    pairs(&[
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("scope", "answer"),
        ("state", "s t&a=te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ])
}

/// `GET /authorize` with this query, in a browser that has this session, if one.
pub fn get_dialog(server: &TestServer, query: &str, session: Option<&str>) -> Answer {
    let cookie = session.map(|session| format!("Cookie: a=b; {session}; c=d\r\n")).unwrap_or_default();
    server.answer_to(&format!("GET /authorize?{query} HTTP/1.1\r\nHost: h\r\n{cookie}\r\n"))
}

/// The session that an answer begins, as the browser sends it back.
pub fn session_of(answer: &Answer) -> String {
    let cookie = answer.field("set-cookie").unwrap_or_else(|| panic!("a session: {answer:?}"));
    cookie.split(';').next().expect("a pair").to_owned()
}

/// The sealed request in a dialog's form.
pub fn sealed_of(answer: &Answer) -> String {
    let text = answer.text();
    let (_, rest) = text.split_once("name=\"request\" value=\"").unwrap_or_else(|| panic!("a dialog: {text}"));
    rest.split('"').next().expect("a value").to_owned()
}

/// What the dialog's form sends.
pub fn answer_dialog(server: &TestServer, session: &str, sealed: &str, decision: &str) -> Answer {
    post_form(
        server,
        "/code",
        &format!("Cookie: {session}\r\n"),
        &pairs(&[("request", sealed), ("decision", decision)]),
    )
}

/// A `POST` of this form, with further field lines.
pub fn post_form(server: &TestServer, path: &str, fields: &str, content: &str) -> Answer {
    let (host, length) = (server.host(), content.len());
    server.answer_to(&format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n{fields}\
         Content-Length: {length}\r\n\r\n{content}"
    ))
}

/// Where the browser goes when the resource owner decides so about the request in `query`.
pub fn decide(server: &TestServer, query: &str, decision: &str) -> String {
    let dialog = get_dialog(server, query, None);
    assert_eq!(dialog.status, 200, "{}", dialog.text());
    let answer = answer_dialog(server, &session_of(&dialog), &sealed_of(&dialog), decision);
    assert_eq!(answer.status, 302, "{}", answer.text());
    answer.field("location").expect("a Location").to_owned()
}

/// The value of `name` in the query of `location`, as it stands there.
pub fn parameter<'a>(location: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = location.split_once('?')?;
    let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
    let value = values.next();
    assert_eq!(values.next(), None, "{name} stands twice in {location}");
    value.map(|(_, value)| value)
}

/// A code for `client`, which returns to `redirect_uri`.
pub fn code(server: &TestServer, client: &str, redirect_uri: &str) -> String {
    let location = decide(server, &request_of(client, redirect_uri), "authorize");
    parameter(&location, "code").unwrap_or_else(|| panic!("a code: {location}")).to_owned()
}

/// The form that redeems `code` for the public client `app`.
pub fn redemption(code: &str) -> String {
    pairs(&[
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ])
}

/// Tokens for `app`: the access token and the refresh token.
pub fn tokens(server: &TestServer) -> (String, String) {
    let answer = post_form(server, "/token", "", &redemption(&code(server, "app", CALLBACK)));
    tokens_of(&answer)
}

/// The tokens in an answer of the token endpoint.
pub fn tokens_of(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{name}: {json}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

/// The form that refreshes for `app`.
pub fn refresh(token: &str) -> String {
    pairs(&[("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token)])
}

/// The field line by which a confidential client authenticates: each part coded as in a form, and then for HTTP.
pub fn basic(id: &str, secret: &str) -> String {
    use base64ct::{Base64, Encoding};
    let pair = Base64::encode_string(format!("{}:{}", encode(id), encode(secret)).as_bytes());
    format!("Authorization: Basic {pair}\r\n")
}

/// `GET /secure` with this token, as RFC 6750 has it.
pub fn get_secure(server: &TestServer, token: &str) -> Answer {
    server.answer_to(&secure_request(&format!("Bearer {token}")))
}

/// A connection that stays open, for those who race.
pub fn connect(server: &TestServer) -> Client {
    server.connect()
}

/// The status of a call to the demo's MCP server, with this token.
pub fn call_mcp(server: &TestServer, token: &str) -> u16 {
    let content = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
    let (host, length) = (server.host(), content.len());
    let answer = server.answer_to(&format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {length}\r\n\r\n{content}"
    ));
    answer.status
}
