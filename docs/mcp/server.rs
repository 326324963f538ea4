//! An MCP server with one tool, for clients with a token of the authorization server. Takes the issuer and its own
//! port, if they are others.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

const CLIENT_ID: &str = "mcp-server";
const CLIENT_SECRET: &str = "UEBJlzDnIDhFzf5f46UHf_jIpqWWINgSf6tVnSHjGvEQBY3LLFU5Zu_zijPLxMaj";
const SCOPE: &str = "answer";
const PATH: &str = "/mcp";
/// Where a client finds the authorization server (RFC 9728, 3.1).
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource/mcp";
const VERSIONS: [&str; 2] = ["2025-11-25", "2025-06-18"];

struct Server {
    issuer: String,
    /// The own host and port.
    authority: String,
}

struct Request {
    method: String,
    path: String,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
}

struct Response {
    status: u16,
    challenge: Option<String>,
    content: Option<Value>,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments.next().unwrap_or_else(|| "http://localhost:3001".into());
    let port = arguments.next().unwrap_or_else(|| "4000".into());
    let server = &Server { issuer, authority: format!("localhost:{port}") };
    let listener = TcpListener::bind(&server.authority)?;
    println!("Listening at http://{}{PATH}", server.authority);
    std::thread::scope(|scope| {
        for socket in listener.incoming().flatten() {
            scope.spawn(move || server.serve(&socket));
        }
    });
    Ok(())
}

impl Server {
    /// Whether a request may go on; otherwise the refusal (RFC 6750, 3).
    fn authorize(&self, authorization: Option<&str>) -> Result<(), Response> {
        let token = match authorization.and_then(|value| value.split_once(' ')) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => token,
            _ => return Err(self.challenge(401, "")),
        };
        let described = self.introspect(token).map_err(|_| Response::of(503))?;
        // A token for another server must not work here, and a refresh token nowhere.
        let resource = format!("http://{}{PATH}", self.authority);
        let is_for_us = match &described["aud"] {
            Value::Array(audience) => audience.iter().any(|uri| *uri == *resource),
            audience => *audience == *resource,
        };
        if described["active"] != true || described["token_type"] != "Bearer" || !is_for_us {
            return Err(self.challenge(401, "error=\"invalid_token\", "));
        }
        let scope = described["scope"].as_str().unwrap_or_default();
        if !scope.split(' ').any(|name| name == SCOPE) {
            return Err(self.challenge(403, "error=\"insufficient_scope\", "));
        }
        Ok(())
    }

    /// Asks the authorization server about a token (RFC 7662). Each time, so that a revoked one ends at once.
    fn introspect(&self, token: &str) -> io::Result<Value> {
        let authority = self.issuer.trim_start_matches("http://");
        let credentials = Base64::encode_string(format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes());
        let content = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let mut socket = TcpStream::connect(authority)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            socket,
            "POST /introspect HTTP/1.0\r\nHost: {authority}\r\nAuthorization: Basic {credentials}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        )?;
        let mut response = String::new();
        socket.read_to_string(&mut response)?;
        let content = response.split_once("\r\n\r\n").filter(|(head, _)| head.split(' ').nth(1) == Some("200"));
        let described: Option<Value> = content.and_then(|(_, content)| serde_json::from_str(content).ok());
        // Otherwise there was no answer, or none that can be trusted: no request goes through.
        described
            .filter(|described| described["active"].is_boolean())
            .ok_or_else(|| io::Error::other("no description"))
    }

    /// Says what is missing, and where to get it (RFC 9728, 5.1).
    fn challenge(&self, status: u16, error: &str) -> Response {
        let metadata = format!("http://{}{METADATA_PATH}", self.authority);
        let challenge = format!("Bearer {error}resource_metadata=\"{metadata}\", scope=\"{SCOPE}\"");
        Response { challenge: Some(challenge), ..Response::of(status) }
    }

    fn respond(&self, request: &Request) -> Response {
        match (&*request.method, &*request.path) {
            ("GET", METADATA_PATH) => Response::with(json!({
                "resource": format!("http://{}{PATH}", self.authority),
                "authorization_servers": [self.issuer],
                "scopes_supported": [SCOPE],
            })),
            // A page whose name points at this machine (DNS rebinding) sends its own name.
            ("POST", PATH) if request.field("host") != Some(&self.authority) => Response::of(403),
            ("POST", PATH) => match self.authorize(request.field("authorization")) {
                Ok(()) => answer(&request.content),
                Err(refusal) => refusal,
            },
            (_, PATH) => Response::of(405),
            _ => Response::of(404),
        }
    }

    /// One request and its response. In a server of your own, take a library for HTTP.
    fn serve(&self, socket: &TcpStream) {
        let response = match read(socket) {
            Ok(request) => self.respond(&request),
            Err(_) => Response::of(400),
        };
        let content = response.content.map(|content| content.to_string()).unwrap_or_default();
        let challenge = response.challenge.map(|value| format!("WWW-Authenticate: {value}\r\n"));
        // Fails if the client is gone.
        let _ = write!(
            &mut &*socket,
            "HTTP/1.1 {} \r\n{}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
            response.status,
            challenge.unwrap_or_default(),
            content.len()
        );
    }
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

impl Response {
    fn of(status: u16) -> Response {
        Response { status, challenge: None, content: None }
    }

    fn with(content: Value) -> Response {
        Response { content: Some(content), ..Response::of(200) }
    }
}

/// The response to a message of MCP, whose client is authorized.
fn answer(content: &[u8]) -> Response {
    let Ok(Value::Object(message)) = serde_json::from_slice(content) else { return Response::of(400) };
    // A notification gets no answer.
    let Some(id) = message.get("id") else { return Response::of(202) };
    let params = message.get("params").unwrap_or(&Value::Null);
    let result = match message.get("method").and_then(Value::as_str).unwrap_or_default() {
        "initialize" => {
            let version = VERSIONS.into_iter().find(|own| params["protocolVersion"] == *own);
            json!({
                "protocolVersion": version.unwrap_or(VERSIONS[0]),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "my-mcp-server", "version": "1"},
            })
        }
        "ping" => json!({}),
        "tools/list" => json!({"tools": [
            {"name": "answer", "description": "The secret answer.", "inputSchema": {"type": "object"}},
        ]}),
        "tools/call" if params["name"] == "answer" => {
            json!({"content": [{"type": "text", "text": "42"}], "isError": false})
        }
        _ => {
            let error = json!({"code": -32601, "message": "There is no such method or tool."});
            return Response::with(json!({"jsonrpc": "2.0", "id": id, "error": error}));
        }
    };
    Response::with(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

/// Reads a request of at most 100,000 bytes, each part within five seconds.
fn read(socket: &TcpStream) -> io::Result<Request> {
    let malformed = || io::Error::other("the request is malformed");
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(socket.take(100_000));
    let mut line = || {
        let mut line = String::new();
        lines.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = words.next().zip(words.next()).ok_or_else(malformed)?;
    let mut fields = Vec::new();
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, fields, content: Vec::new() };
    let length = request.field("content-length").unwrap_or("0").parse().map_err(|_| malformed())?;
    lines.take(length).read_to_end(&mut request.content)?;
    Ok(request)
}
