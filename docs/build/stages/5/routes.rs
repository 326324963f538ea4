//! The four endpoints: dialog, code, token and secure.

use std::time::Duration;

use crate::http::{Request, Response};
use crate::secrets::Secrets;

/// How long a code and a token are valid.
const CODE_LIFETIME: Duration = Duration::from_secs(60);
const TOKEN_LIFETIME: Duration = Duration::from_secs(86400);

/// The client app: where codes go.
const CLIENT_APP: &str = "http://localhost:3000";

const DIALOG: &str = include_str!("oauth-dialog.html");

pub struct Server {
    codes: Secrets,
    tokens: Secrets,
}

impl Server {
    pub fn new() -> Server {
        Server {
            codes: Secrets::new(CODE_LIFETIME),
            tokens: Secrets::new(TOKEN_LIFETIME),
        }
    }

    pub fn respond(&mut self, request: &Request) -> Response {
        let response = self.route(request);
        match request.path.as_str() {
            "/token" | "/secure" => response.with("Access-Control-Allow-Origin", "*"),
            _ => response,
        }
    }

    fn route(&mut self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/oauth-dialog.html") => page(DIALOG),
            ("POST", "/code") => self.code(),
            ("POST", "/token") => self.token(request),
            ("GET", "/secure") => self.secure(request),
            ("OPTIONS", "/token") => preflight("POST"),
            ("OPTIONS", "/secure") => preflight("GET"),
            (_, "/oauth-dialog.html") => wrong_method("GET"),
            (_, "/code") => wrong_method("POST"),
            (_, "/token") => wrong_method("POST, OPTIONS"),
            (_, "/secure") => wrong_method("GET, OPTIONS"),
            _ => not_found(),
        }
    }

    /// The owner said yes: back to the client app, with a code.
    fn code(&mut self) -> Response {
        let Some(code) = self.codes.issue() else {
            return unavailable();
        };
        let location = format!("{CLIENT_APP}/oauth-callback.html?code={code}");
        Response::text("302 Found", "").with("Location", &location)
    }

    /// A token for a code. The code works once.
    fn token(&mut self, request: &Request) -> Response {
        let is_valid = code_in(&request.body).is_some_and(|code| self.codes.spend(code));
        if !is_valid {
            return json("400 Bad Request", r#"{"message":"Invalid auth token"}"#);
        }
        let Some(token) = self.tokens.issue() else {
            return unavailable();
        };
        let lifetime = TOKEN_LIFETIME.as_secs();
        let body = format!(r#"{{"access_token":"{token}","expires_in":{lifetime}}}"#);
        json("200 OK", &body)
    }

    /// The answer, for a token.
    fn secure(&self, request: &Request) -> Response {
        match request.field("authorization") {
            Some(token) if self.tokens.is_valid(token) => json("200 OK", r#"{"answer":42}"#),
            _ => json("403 Forbidden", r#"{"message":"Unauthorized"}"#),
        }
    }
}

/// The code in `{"code":"…"}`, the only JSON that this server has to read.
fn code_in(body: &[u8]) -> Option<&str> {
    let text = str::from_utf8(body).ok()?.trim();
    let member = text.strip_prefix('{')?.strip_suffix('}')?.trim();
    let value = member
        .strip_prefix(r#""code""#)?
        .trim_start()
        .strip_prefix(':')?;
    value.trim().strip_prefix('"')?.strip_suffix('"')
}

fn page(text: &str) -> Response {
    Response::new("200 OK", "text/html; charset=utf-8", text).with("Cache-Control", "no-store")
}

fn json(status: &'static str, text: &str) -> Response {
    Response::new(status, "application/json", text).with("Cache-Control", "no-store")
}

fn not_found() -> Response {
    Response::text("404 Not Found", "there is nothing here\n")
}

fn wrong_method(allowed: &str) -> Response {
    Response::text(
        "405 Method Not Allowed",
        "this method is not allowed here\n",
    )
    .with("Allow", allowed)
}

fn unavailable() -> Response {
    Response::text("503 Service Unavailable", "too many at the moment\n")
}

/// What a script of another origin may send.
fn preflight(method: &str) -> Response {
    let fields = "authorization, content-type";
    Response::text("200 OK", "")
        .with("Access-Control-Allow-Methods", method)
        .with("Access-Control-Allow-Headers", fields)
}
