//! The client app's pages, and the four endpoints: dialog, code, token and secure.

use std::time::Duration;

use crate::http::{Request, Response};
use crate::secrets::Secrets;

/// How long the form of a dialog, a code and a token are valid.
const FORM_LIFETIME: Duration = Duration::from_secs(600);
const CODE_LIFETIME: Duration = Duration::from_secs(60);
const TOKEN_LIFETIME: Duration = Duration::from_secs(86400);

const CLIENT_PAGE: &str = include_str!("index.html");
const CALLBACK: &str = include_str!("oauth-callback.html");
const DIALOG: &str = include_str!("oauth-dialog.html");

/// Whose port a request came to.
#[derive(Clone, Copy)]
pub enum Role {
    ClientApp,
    AuthorizationServer,
}

pub struct Server {
    /// The client app: where codes go.
    client_app: String,
    /// Our own origin, by each of its names.
    origins: [String; 2],
    forms: Secrets,
    codes: Secrets,
    tokens: Secrets,
}

impl Server {
    /// The server on `port`, with its client app on `client_port`.
    pub fn new(client_port: u16, port: u16) -> Server {
        Server {
            client_app: format!("http://localhost:{client_port}"),
            origins: ["localhost", "127.0.0.1"].map(|host| format!("http://{host}:{port}")),
            forms: Secrets::new(FORM_LIFETIME),
            codes: Secrets::new(CODE_LIFETIME),
            tokens: Secrets::new(TOKEN_LIFETIME),
        }
    }

    pub fn respond(&mut self, role: Role, request: &Request) -> Response {
        let Role::AuthorizationServer = role else {
            return self.client_page(request);
        };
        let response = self.route(request);
        match request.path.as_str() {
            "/token" | "/secure" => response.with("Access-Control-Allow-Origin", "*"),
            _ => response,
        }
    }

    /// A page of the client app.
    fn client_page(&self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/" | "/index.html") => {
                page(&CLIENT_PAGE.replace("{{authorization_server}}", &self.origins[0]))
            }
            ("GET", "/oauth-callback.html") => page(CALLBACK),
            (_, "/" | "/index.html" | "/oauth-callback.html") => wrong_method("GET"),
            _ => not_found(),
        }
    }

    fn route(&mut self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/oauth-dialog.html") => self.dialog(),
            ("POST", "/code") => self.code(request),
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

    /// The dialog, with a form that only this server can have made. No other page may frame it.
    fn dialog(&mut self) -> Response {
        let Some(token) = self.forms.issue() else {
            return unavailable();
        };
        page(&DIALOG.replace("{{form_token}}", &token))
            .with("Content-Security-Policy", "frame-ancestors 'none'")
    }

    /// The owner said yes: back to the client app, with a code.
    fn code(&mut self, request: &Request) -> Response {
        // Browsers say where a form comes from. The token is for what has no `Origin`.
        let origin = request.field("origin");
        if origin.is_some_and(|origin| !self.origins.iter().any(|own| own == origin)) {
            return forbidden("this form came from another site");
        }
        let token = form_token_in(&request.body);
        if !token.is_some_and(|token| self.forms.spend(token)) {
            return forbidden("this form is not ours, was sent before, or has expired");
        }
        let Some(code) = self.codes.issue() else {
            return unavailable();
        };
        let location = format!("{}/oauth-callback.html?code={code}", self.client_app);
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

/// The token in `form_token=…`. Nothing in it has to be decoded, since it is hexadecimal.
fn form_token_in(body: &[u8]) -> Option<&str> {
    str::from_utf8(body).ok()?.strip_prefix("form_token=")
}

fn forbidden(reason: &str) -> Response {
    Response::text("403 Forbidden", &format!("{reason}\n"))
}
