//! The MCP servers of `docs/mcp`, as a reader runs them: the page about them shows each one whole, and each takes the
//! tokens that are for it, and no others. Only the ports are others.
//!
//! What is not installed is skipped, and says so; with `CLIENTS_REQUIRED` set, as in CI, it fails.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::SystemTime;

use crate::own_clients::{Folder, field, is_installed};
use crate::support::documents::{fences, files_shown_whole, root};
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

/// Makes the command that starts a file at a path, of the issuer and the port.
type MakeCommand = dyn Fn(PathBuf, &[String]) -> Command;

/// How an MCP server is started.
struct Program {
    file: &'static str,
    /// Where its folder is made.
    parent: PathBuf,
    command: Box<MakeCommand>,
}

/// An MCP server that runs, until it is dropped, and its authorization server.
struct Running<T = TestServer> {
    authorization: T,
    authority: String,
    process: Child,
    _folder: Folder,
}

impl Running {
    /// Starts `program` with the authorization server that `authorization` makes for its port, at `host_of` that.
    fn start<T>(
        program: &Program,
        authorization: impl Fn(u16) -> T,
        host_of: impl Fn(&T) -> String,
    ) -> Running<T> {
        /// How often it is started: another program may take its port first.
        const ATTEMPTS: usize = 20;
        let Program { file, parent, command } = program;
        let started = (0..ATTEMPTS).find_map(|_| {
            let port = TcpListener::bind("localhost:0")
                .and_then(|listener| listener.local_addr())
                .expect("a port")
                .port();
            let (authorization, folder) = (authorization(port), Folder::new(parent));
            let (path, host) = (folder.0.join(file), host_of(&authorization));
            let text = read(file).replace("localhost:3001", &host);
            fs::write(&path, text.replace("4000", &port.to_string())).expect("a file can be written");
            let addresses = [format!("http://{host}"), port.to_string()];
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
}

impl<T> Running<T> {
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
}

impl Running {
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

impl<T> Drop for Running<T> {
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

fn check(program: &Program) {
    let server = Running::start(program, start, |authorization| authorization.host());
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

/// An authorization server whose answer to introspection is what the test says: a response, nothing for ever if that is
/// empty, or, once it is `None`, the end of the server.
struct Failing {
    port: u16,
    answer: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Failing {
    fn start() -> Failing {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let answer = Arc::new(Mutex::new(Some(String::new())));
        let current = Arc::clone(&answer);
        let thread = std::thread::spawn(move || {
            let mut silent = Vec::new();
            for socket in listener.incoming() {
                let mut socket = socket.expect("a connection");
                let Some(answer) = current.lock().expect("an answer").clone() else { return };
                if answer.is_empty() {
                    silent.push(socket);
                    continue;
                }
                read_request(&socket);
                // Fails if the MCP server has gone.
                let _ = socket.write_all(answer.as_bytes());
            }
        });
        Failing { port, answer, thread: Some(thread) }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        if let Ok(mut answer) = self.answer.lock() {
            *answer = None;
        }
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Reads a whole request, so that closing the connection loses no answer.
fn read_request(socket: &TcpStream) {
    let mut lines = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).expect("a request") <= 2 {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
    }
    lines.read_exact(&mut vec![0; length]).expect("the content");
}

/// No request goes through, and no client gets 401, if introspection fails.
fn check_failures(program: &Program) {
    let server = Running::start(program, |_| Failing::start(), |failing| format!("127.0.0.1:{}", failing.port));
    let with_length = |status: &str, length: usize, content: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{content}"
        )
    };
    let answer = |status: &str, content: &str| with_length(status, content.len(), content);
    let described = |active: &str| {
        let resource = server.resource();
        format!(
            "{{\"active\":{active},\"aud\":\"{resource}\",\"client_id\":\"c\",\"exp\":9999999999,\"scope\":\"answer\",\
             \"token_type\":\"Bearer\"}}"
        )
    };
    let call = |introspected: Option<String>| {
        *server.authorization.answer.lock().expect("an answer") = introspected;
        server.call("token")
    };
    let (status, text) = call(Some(answer("200 OK", &described("true"))));
    assert_eq!(status, 200, "this is what succeeds: {text}");
    let good = described("true");
    for (name, introspected) in [
        ("unavailable", Some(answer("503 Service Unavailable", "{\"error\":\"temporarily_unavailable\"}"))),
        ("a wrong secret", Some(answer("401 Unauthorized", "{\"error\":\"invalid_client\"}"))),
        ("not found", Some(answer("404 Not Found", &good))),
        ("a success of another kind", Some(answer("500 a 200 OK", &good))),
        ("no JSON", Some(answer("200 OK", "<!doctype html>"))),
        ("nothing", Some(answer("200 OK", ""))),
        ("a list", Some(answer("200 OK", "[]"))),
        ("no object", Some(answer("200 OK", "true"))),
        ("null", Some(answer("200 OK", "null"))),
        ("an empty object", Some(answer("200 OK", "{}"))),
        ("active as text", Some(answer("200 OK", &described("\"false\"")))),
        ("half of it", Some(with_length("200 OK", good.len(), &good[..good.len() / 2]))),
        ("no HTTP", Some("220 mail.example ESMTP\r\n\r\n".to_owned())),
        ("silence", Some(String::new())),
        ("the end of the connection", None),
        ("no server", None),
    ] {
        let (status, text) = call(introspected);
        assert!((500..600).contains(&status) && !text.contains("\"42\""), "{name}: {text}");
    }
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
    assert!(files_shown_whole(PAGE, FOLDER) >= 3, "the servers are found");
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

fn in_python(test: &str) -> Option<Program> {
    is_installed(test, "python3").then(|| Program {
        file: "server.py",
        parent: std::env::temp_dir(),
        command: Box::new(|path, _| {
            let mut command = Command::new("python3");
            command.arg(path);
            command
        }),
    })
}

fn in_typescript(test: &str) -> Option<Program> {
    let library = root().join("target/clients");
    crate::mcp_clients::is_installed(test, "node_modules/@modelcontextprotocol/sdk").then(|| Program {
        file: "server.mjs",
        parent: library,
        command: Box::new(|path, _| {
            let mut command = Command::new("node");
            command.arg(path);
            command
        }),
    })
}

fn in_rust() -> Program {
    let program = stage::example_of("mcp-server", &root().join(FOLDER));
    Program {
        file: "server.rs",
        parent: std::env::temp_dir(),
        command: Box::new(move |_, addresses| {
            let mut command = Command::new(&program);
            command.args(addresses);
            command
        }),
    }
}

#[test]
fn the_mcp_server_in_python_takes_tokens_that_are_for_it() {
    if let Some(program) = in_python("the_mcp_server_in_python_takes_tokens_that_are_for_it") {
        check(&program);
    }
}

#[test]
fn the_mcp_server_in_typescript_takes_tokens_that_are_for_it() {
    if let Some(program) = in_typescript("the_mcp_server_in_typescript_takes_tokens_that_are_for_it") {
        check(&program);
    }
}

#[test]
fn the_mcp_server_in_rust_takes_tokens_that_are_for_it() {
    check(&in_rust());
}

#[test]
fn the_mcp_server_in_python_fails_if_introspection_does() {
    if let Some(program) = in_python("the_mcp_server_in_python_fails_if_introspection_does") {
        check_failures(&program);
    }
}

#[test]
fn the_mcp_server_in_typescript_fails_if_introspection_does() {
    if let Some(program) = in_typescript("the_mcp_server_in_typescript_fails_if_introspection_does") {
        check_failures(&program);
    }
}

#[test]
fn the_mcp_server_in_rust_fails_if_introspection_does() {
    check_failures(&in_rust());
}
