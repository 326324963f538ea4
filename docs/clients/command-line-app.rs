//! A command-line app, with the crate `oauth2`: the browser comes back to a port that is free. Takes the issuer, if it
//! is another than the demo's.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, HttpRequest, HttpResponse, PkceCodeChallenge, RedirectUrl,
    Scope, TokenResponse, TokenUrl, http,
};

fn main() -> Result<(), Box<dyn Error>> {
    let issuer = std::env::args().nth(1).unwrap_or_else(|| "http://localhost:3001".into());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let redirect_uri = format!("http://{}/callback", listener.local_addr()?);
    let client = BasicClient::new(ClientId::new("command-line-app".into()))
        .set_auth_uri(AuthUrl::new(format!("{issuer}/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{issuer}/token"))?)
        .set_redirect_uri(RedirectUrl::new(redirect_uri)?);

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scope(Scope::new("answer".into()))
        .set_pkce_challenge(challenge)
        .url();
    println!("Open {url}");

    let answer = wait_for_answer(&listener)?;
    let value = |name: &str| answer.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    if value("state").as_ref() != Some(state.secret()) || value("iss").as_ref() != Some(&issuer) {
        return Err("this is not the answer to this request".into());
    }
    let code = value("code").ok_or_else(|| format!("no code: {}", value("error").unwrap_or_default()))?;
    let tokens =
        client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier).request(&send)?;

    let authorization = format!("Bearer {}", tokens.access_token().secret());
    let request = http::Request::get(format!("{issuer}/secure")).header("Authorization", authorization);
    let secure: serde_json::Value = serde_json::from_slice(send(request.body(Vec::new())?)?.body())?;
    println!("The secret answer is {}", secure["answer"]);
    Ok(())
}

/// The parameters with which the browser comes back to `/callback`.
fn wait_for_answer(listener: &TcpListener) -> io::Result<Vec<(String, String)>> {
    loop {
        let (mut socket, _) = listener.accept()?;
        let mut line = String::new();
        BufReader::new(&socket).take(8192).read_line(&mut line)?;
        let query = line.strip_prefix("GET /callback?").and_then(|rest| rest.split(' ').next());
        let status = if query.is_some() { "200 OK" } else { "404 Not Found" };
        write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 24\r\n\r\nGo back to the terminal.")?;
        if let Some(query) = query {
            return Ok(form_urlencoded::parse(query.as_bytes()).into_owned().collect());
        }
    }
}

/// One request by HTTP/1.1. In an app of your own, take the client `reqwest`, which `oauth2` knows.
fn send(request: HttpRequest) -> Result<HttpResponse, io::Error> {
    let (uri, content) = (request.uri(), request.body());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let mut socket = TcpStream::connect(authority)?;
    write!(socket, "{} {} HTTP/1.0\r\nHost: {authority}\r\n", request.method(), uri.path())?;
    for (name, value) in request.headers() {
        write!(socket, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()))?;
    }
    write!(socket, "Content-Length: {}\r\n\r\n", content.len())?;
    socket.write_all(content)?;

    let mut response = String::new();
    socket.read_to_string(&mut response)?;
    let (head, content) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let mut builder = http::Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        builder = builder.header(name, value);
    }
    builder.body(content.into()).map_err(io::Error::other)
}
