//! The MCP servers of `docs/mcp`, as a reader runs them: the page about them shows each one whole, and each takes the
//! tokens that are for it, and no others. Only the ports are others.
//!
//! What is not installed is skipped, and says so; with `CLIENTS_REQUIRED` set, as in CI, it fails.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use crate::own_clients::{Folder, field, is_installed};
use crate::support::documents::{fences, root};
use crate::support::standard::{CHALLENGE, VERIFIER, decide, pairs, parameter, post_form, tokens_of};
use crate::support::{PATIENCE, TestServer, stage};
use oauth_from_scratch::system::System;
use serde_json::{Value, json};

const PAGE: &str = "docs/mcp.md";
const FOLDER: &str = "docs/mcp";
const CALLBACK: &str = "http://localhost:53682/callback";

/// A resource and a scope that the MCP server does not have.
const OTHER: &str = "https://other.example";
const MORE: &str = r#"
[[resources]]
uri = "https://other.example"
name = "Another"

[[clients]]
"#;

fn read(file: &str) -> String {
    fs::read_to_string(root().join(FOLDER).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The authorization server of `auth.toml`, for an MCP server on `port`.
fn start(port: u16) -> TestServer {
    let text = read("auth.toml").replace("localhost:4000", &format!("localhost:{port}"));
    let text = text.replacen("\n[[clients]]\n", MORE, 1);
    let text = text.replacen("[scopes]\n", "[scopes]\nother = \"Do something else.\"\n", 1);
    let configured = oauth_from_scratch::config::read(&text, 1).expect("a sound file");
    let server = TestServer::start_with(|config| {
        *config = configured;
        (config.auth_port, config.issuer) = (0, None);
    });
    // An MCP server compares `exp` with its own clock.
    let now = SystemTime::now().duration_since(server.system.wall_clock());
    server.set_clock_ahead(now.expect("a clock that is set"));
    server
}

/// An MCP server that runs, until it is dropped, and its authorization server.
struct Running {
    authorization: TestServer,
    authority: String,
    process: Child,
    _folder: Folder,
}

impl Running {
    /// Starts `file` in a folder below `parent`, by the command that `command` makes of its path, the issuer and the port.
    fn start(file: &str, parent: &Path, command: impl Fn(PathBuf, &[String]) -> Command) -> Running {
        /// How often it is started: another program may take its port first.
        const ATTEMPTS: usize = 20;
        let started = (0..ATTEMPTS).find_map(|_| {
            let port = TcpListener::bind("localhost:0")
                .and_then(|listener| listener.local_addr())
                .expect("a port")
                .port();
            let (authorization, folder) = (start(port), Folder::new(parent));
            let path = folder.0.join(file);
            let text = read(file).replace("localhost:3001", &authorization.host());
            fs::write(&path, text.replace("4000", &port.to_string())).expect("a file can be written");
            let addresses = [format!("http://{}", authorization.host()), port.to_string()];
            let mut process = command(path, &addresses)
                .env("NO_PROXY", "*")
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            let mut line = String::new();
            BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
            let running =
                Running { authorization, authority: format!("localhost:{port}"), process, _folder: folder };
            line.starts_with("Listening at ").then_some(running)
        });
        started.expect("it starts")
    }

    fn resource(&self) -> String {
        format!("http://{}/mcp", self.authority)
    }

    /// The whole answer to a request for `path`, with these field lines.
    fn send(&self, method: &str, path: &str, fields: &str, content: &str) -> String {
        let mut socket = TcpStream::connect(&self.authority).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        let length = content.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{fields}Content-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}"
        );
        socket.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the server answers in time");
        answer
    }

    /// The status of the answer to an MCP request with this token, and the answer.
    fn request(&self, token: &str, method: &str, params: Value) -> (u16, String) {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let fields = format!("Host: {}\r\nAuthorization: Bearer {token}\r\n", self.authority);
        with_status(self.send("POST", "/mcp", &fields, &message))
    }

    fn call(&self, token: &str) -> (u16, String) {
        self.request(token, "tools/call", json!({"name": "answer", "arguments": {}}))
    }

    /// The access token and the refresh token of a client that registers itself, for this scope and resource.
    fn tokens(&self, scope: &str, resource: &str) -> (String, String) {
        let metadata = json!({
            "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        })
        .to_string();
        let server = &self.authorization;
        let registered = server.answer_to(&format!(
            "POST /register HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{metadata}",
            metadata.len()
        ));
        let id = registered.json()["client_id"].as_str().expect("a client").to_owned();
        let query = pairs(&[
            ("response_type", "code"),
            ("client_id", &id),
            ("redirect_uri", CALLBACK),
            ("scope", scope),
            ("resource", resource),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let location = decide(server, &query, "authorize");
        let form = pairs(&[
            ("grant_type", "authorization_code"),
            ("client_id", &id),
            ("redirect_uri", CALLBACK),
            ("code", parameter(&location, "code").expect("a code")),
            ("code_verifier", VERIFIER),
        ]);
        tokens_of(&post_form(server, "/token", "", &form))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn with_status(answer: String) -> (u16, String) {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("a status: {answer}")), answer)
}

/// The JSON in an answer, whether it comes in chunks or not.
fn content(answer: &str) -> Value {
    let content = answer.find('{').zip(answer.rfind('}')).map(|(start, end)| &answer[start..=end]);
    serde_json::from_str(content.unwrap_or_default()).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn check(server: Running) {
    let own_host = format!("Host: {}\r\n", server.authority);
    let metadata_path = "/.well-known/oauth-protected-resource/mcp";
    let metadata = content(&server.send("GET", metadata_path, &own_host, ""));
    assert_eq!(metadata["resource"], server.resource());
    assert_eq!(metadata["authorization_servers"], json!([format!("http://{}", server.authorization.host())]));

    let refused = |(status, answer): (u16, String), expected: u16, error: &str| {
        assert_eq!(status, expected, "{answer}");
        let challenge = field(&answer, "www-authenticate");
        let location = format!("resource_metadata=\"http://{}{metadata_path}\"", server.authority);
        for part in ["Bearer ", error, &location, "scope=\"answer\""] {
            assert!(challenge.contains(part), "{part}: {challenge}");
        }
    };
    let (token, refresh) = server.tokens("answer", &server.resource());
    refused(with_status(server.send("POST", "/mcp", &own_host, "{}")), 401, "");
    refused(server.call(""), 401, "");
    for wrong in ["wrong", &refresh, &server.tokens("answer", OTHER).0] {
        refused(server.call(wrong), 401, "error=\"invalid_token\"");
    }
    let (narrow, _) = server.tokens("other", &server.resource());
    refused(server.call(&narrow), 403, "error=\"insufficient_scope\"");

    let client = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let (status, answer) = server.request(&token, "initialize", client);
    assert_eq!(
        (status, &content(&answer)["result"]["protocolVersion"]),
        (200, &json!("2025-06-18")),
        "{answer}"
    );
    let (_, answer) = server.request(&token, "tools/list", json!({}));
    assert_eq!(content(&answer)["result"]["tools"][0]["name"], "answer");
    let (status, answer) = server.call(&token);
    assert_eq!((status, &content(&answer)["result"]["content"][0]["text"]), (200, &json!("42")));
    let with_token = format!("{own_host}Authorization: Bearer {token}\r\n");
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(with_status(server.send("POST", "/mcp", &with_token, notification)).0, 202);
    assert_eq!(with_status(server.send("POST", "/mcp", &with_token, "not a message")).0, 400);
    assert_eq!(with_status(server.send("GET", "/mcp", &with_token, "")).0, 405);
    let rebound = with_token.replace(&server.authority, "rebound.example");
    assert_eq!(with_status(server.send("POST", "/mcp", &rebound, notification)).0, 403);

    // Revoked at the authorization server: the next call here is refused.
    let id = content(&introspected(&server, &token))["client_id"].as_str().expect("a client").to_owned();
    let form = pairs(&[("client_id", &id), ("token", &token)]);
    assert_eq!(post_form(&server.authorization, "/revoke", "", &form).status, 200);
    refused(server.call(&token), 401, "error=\"invalid_token\"");
}

/// What the authorization server tells the MCP server about a token.
fn introspected(server: &Running, token: &str) -> String {
    let text = read("server.py");
    let secret = text.split("CLIENT_SECRET = \"").nth(1).and_then(|rest| rest.split('"').next());
    let fields = crate::support::standard::basic("mcp-server", secret.expect("a secret"));
    post_form(&server.authorization, "/introspect", &fields, &pairs(&[("token", token)])).text().to_owned()
}

#[test]
fn the_page_shows_every_mcp_server_whole() {
    let shown = fences();
    let shown: Vec<_> = shown.iter().filter(|fence| fence.document == PAGE).collect();
    let mut files = 0;
    for entry in fs::read_dir(root().join(FOLDER)).expect("a folder") {
        let file = entry.expect("an entry").file_name().into_string().expect("a name");
        let info = format!(" {FOLDER}/{file}");
        let quotes: Vec<_> = shown.iter().filter(|fence| fence.info.ends_with(&info)).collect();
        let [quote] = &quotes[..] else { panic!("{PAGE} shows {FOLDER}/{file} {} times", quotes.len()) };
        assert_eq!(quote.lines.join("\n"), read(&file).trim_end(), "{PAGE}:{}", quote.line);
        files += 1;
    }
    assert!(files >= 3, "the servers are found: {files}");
}

/// The page says that the rest is as in `auth.toml`.
#[test]
fn the_configuration_for_clients_on_the_web_is_sound() {
    let shown = fences();
    let shown: Vec<_> = shown.iter().filter(|fence| fence.document == PAGE && fence.info == "toml").collect();
    let [hosted] = &shown[..] else { panic!("{PAGE} shows one: {}", shown.len()) };
    let text = read("auth.toml");
    let section = |name: &str| {
        let from = text.find(name).unwrap_or_else(|| panic!("{name}"));
        let until = text[from + 1..].find("\n[").map_or(text.len(), |end| from + 1 + end);
        text[from..until].to_owned()
    };
    let whole = [hosted.lines.join("\n"), section("[scopes]"), section("[[clients]]")].join("\n");
    let config = oauth_from_scratch::config::read(&whole, 1).unwrap_or_else(|error| panic!("{error}\n{whole}"));
    config.check().expect("a sound configuration");
}

#[test]
fn the_mcp_server_in_python_takes_tokens_that_are_for_it() {
    if is_installed("the_mcp_server_in_python_takes_tokens_that_are_for_it", "python3") {
        check(Running::start("server.py", &std::env::temp_dir(), |path, _| {
            let mut command = Command::new("python3");
            command.arg(path);
            command
        }));
    }
}

#[test]
fn the_mcp_server_in_typescript_takes_tokens_that_are_for_it() {
    const TEST: &str = "the_mcp_server_in_typescript_takes_tokens_that_are_for_it";
    let library = root().join("target/clients");
    if crate::mcp_clients::is_installed(TEST, "node_modules/@modelcontextprotocol/sdk") {
        check(Running::start("server.mjs", &library, |path, _| {
            let mut command = Command::new("node");
            command.arg(path);
            command
        }));
    }
}

#[test]
fn the_mcp_server_in_rust_takes_tokens_that_are_for_it() {
    let program = stage::example_of("mcp-server", &root().join(FOLDER));
    check(Running::start("server.rs", &std::env::temp_dir(), |_, addresses| {
        let mut command = Command::new(&program);
        command.args(addresses);
        command
    }));
}
