//! An exchange as lines on a terminal, for `--trace`.
//!
//! ```text
//! → #12 authorization-server, connection 3: POST /token HTTP/1.1
//!     grant_type=authorization_code&code=…x9Qa&code_verifier=…4fTz&client_id=oauth-test-app
//! ← #12 200 OK in 0.3 ms: code redeemed (RFC 6749, 4.1.3; RFC 7636, 4.6; src/oauth/grant/redeem.rs:86)
//! ✗ #13 400 Bad Request in 0.2 ms: code replayed (RFC 6749, 4.1.2; src/oauth/grant/redeem.rs:93)
//!     the code was used before; its grant is revoked (RFC 6749, 4.1.2)
//! ```
//!
//! The first character of a line says what it is, and a terminal gets it in colour by that (`log.rs`). Secrets are
//! shortened to their last characters: enough to recognise one, too little to use it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::exchange::{Exchange, Message};
use super::notes::Decision;
use crate::log::Log;

/// How the names of parameters end whose values are secrets, in any case.
const SECRETS: &[&str] = &["code", "verifier", "token", "secret", "password", "assertion", "request"];

/// How much of a line of parameters is printed, in characters.
const CHARACTERS_MAX: usize = 1000;

/// Prints an exchange.
pub(super) fn print(exchange: &Exchange, log: &Log) {
    lines(exchange).iter().for_each(|line| log.unlimited_line(format_args!("{line}")));
}

fn lines(exchange: &Exchange) -> Vec<String> {
    let Exchange { id, server, connection, took, request, answer, decisions, .. } = exchange;
    let line = request_line(&request.first_line());
    let mut lines = vec![format!("→ #{id} {}, connection {connection}: {line}", server.as_str())];
    lines.extend(form(request).map(|form| format!("    {}", shorten(&form))));
    let refused = decisions.iter().any(|decision| decision.rule.refuses);
    let status = answer.first_line();
    let status = match status.split_once(' ') {
        Some((_, status)) => format!("{status} in {:.1} ms", *took as f64 / 1000.0),
        None => "no answer: the connection ended before".to_owned(),
    };
    let rules: Vec<String> = decisions.iter().map(describe).collect();
    let mark = if refused || answer.bytes().is_empty() { "✗" } else { "←" };
    let rules = if rules.is_empty() { String::new() } else { format!(": {}", rules.join("; then ")) };
    lines.push(format!("{mark} #{id} {status}{rules}"));
    let reasons = decisions.iter().filter(|decision| !decision.reason.is_empty());
    lines.extend(reasons.map(|decision| format!("    {}", decision.reason)));
    lines
}

fn describe(decision: &Decision) -> String {
    let rule = decision.rule;
    format!("{} ({}; {}:{})", rule.name, rule.section, rule.file, rule.line)
}

/// The request line with its secrets shortened. One that is malformed is not shown: it may be the end of a content that
/// was longer than its Content-Length.
fn request_line(line: &str) -> String {
    let Some((request, version)) = line.rsplit_once(' ').filter(|(_, version)| version.starts_with("HTTP/"))
    else {
        return "malformed request line".to_owned();
    };
    match request.split_once('?') {
        Some((start, query)) => format!("{}?{} {version}", hide(start), shorten(query)),
        None => format!("{} {version}", hide(request)),
    }
}

/// The content of a request that is a form. A chunked one is left out: the end of a chunk may divide a name, which
/// then does not tell that its value is a secret.
fn form(request: &Message) -> Option<String> {
    let text = String::from_utf8_lossy(request.bytes());
    let (head, content) = text.split_once("\r\n\r\n")?;
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let is_form = field("content-type")?.starts_with("application/x-www-form-urlencoded");
    (is_form && field("transfer-encoding").is_none() && !content.is_empty()).then(|| content.to_owned())
}

/// The parameters with their secrets shortened. What is not a parameter, such as JSON that was sent as a form, is left
/// out.
fn shorten(parameters: &str) -> String {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.%+[]".contains(&byte);
    let pairs: Vec<Cow<str>> = parameters
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.bytes().all(is_name_byte) => hide(pair),
            _ => "…".into(),
        })
        .collect();
    let text = pairs.join("&");
    let cut = text.char_indices().nth(CHARACTERS_MAX).map(|(at, _)| format!("{}…", &text[..at]));
    cut.unwrap_or(text)
}

/// The text, shortened from the value on if it names a secret, escaped or not: `client%5Fsecret=`, or
/// `redirect_uri=http://localhost/cb?code=`.
fn hide(text: &str) -> Cow<'_, str> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let secret = decoded.match_indices('=').find(|(at, _)| is_secret(&decoded[..*at]));
    secret.map_or(text.into(), |(at, _)| format!("{}={}", &decoded[..at], end_of(&decoded[at + 1..])).into())
}

/// Whether what comes before a `=` ends with the name of a secret.
fn is_secret(text: &str) -> bool {
    let name = text.trim_end_matches(|character: char| !character.is_ascii_alphanumeric()).to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.ends_with(secret))
}

/// The last characters of a secret. Credentials of one grant share their beginning.
fn end_of(secret: &str) -> String {
    let count = secret.chars().count();
    let kept = if count >= 16 { 4 } else { 0 };
    format!("…{}", secret.chars().skip(count - kept).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::exchange::tests::exchange;
    use super::super::rules;
    use super::*;

    #[test]
    fn an_exchange_is_printed_without_its_secrets() {
        let request = b"POST /token?code=0123456789abcdefWXYZ&x=y HTTP/1.1\r\n\
            Content-Type: application/x-www-form-urlencoded\r\n\r\n\
            grant_type=refresh_token&refresh_token=0123456789abcdefghij&client_secret=short";
        let mut exchange = exchange(12, request, b"HTTP/1.1 400 Bad Request\r\n\r\n{}");
        let reason = "malformed refresh token".to_owned();
        exchange.decisions = vec![Decision { rule: rules::of_reason(&reason, false), reason }];
        let found = lines(&exchange);
        assert_eq!(found[0], "→ #12 authorization-server, connection 7: POST /token?code=…WXYZ&x=y HTTP/1.1");
        assert_eq!(found[1], "    grant_type=refresh_token&refresh_token=…ghij&client_secret=…");
        let words = "✗ #12 400 Bad Request in 0.2 ms: refresh token malformed (RFC 6749, 5.2; src/routes/";
        assert!(found[2].starts_with(words), "{}", found[2]);
        assert_eq!(found[3], "    malformed refresh token");
    }

    /// The secret in the cases below.
    const SECRET: &str = "SECRETSECRETSECRET";

    #[test]
    fn no_request_line_is_printed_with_its_secrets() {
        let check = |line: &str, expected: &str| {
            let found = lines(&exchange(1, format!("{line}\r\nHost: h\r\n\r\n").as_bytes(), b""));
            assert_eq!(found[0], format!("→ #1 authorization-server, connection 7: {expected}"), "{line}");
        };
        check("GET /?code=SECRETSECRETSECRET HTTP/1.1", "GET /?code=…CRET HTTP/1.1");
        check("GET /?a=b c&code=SECRETSECRETSECRET HTTP/1.1", "GET /?a=b c&code=…CRET HTTP/1.1");
        check("GET /?code=SECRETSECRETSECRET", "malformed request line");
        check("GET /?a=b SECRETSECRETSECRET", "malformed request line");
        check("t_id=app&client_secret=SECRETSECRETSECRET", "malformed request line");
        check("{\"code\":\"SECRETSECRETSECRET\"}", "malformed request line");
        check("GET /token&code=SECRETSECRETSECRET HTTP/1.1", "GET /token&code=…CRET HTTP/1.1");
        check("GET /?SECRETSECRETSECRET HTTP/1.1", "GET /?… HTTP/1.1");
    }

    #[test]
    fn no_content_is_printed_with_its_secrets() {
        let check = |fields: &str, content: &str, expected: Option<&str>| {
            let request = format!("POST /token HTTP/1.1\r\n{fields}\r\n\r\n{content}");
            let found = lines(&exchange(1, request.as_bytes(), b"HTTP/1.1 200 OK\r\n\r\n"));
            assert!(!found.iter().any(|line| line.contains(SECRET)), "{found:?}");
            let content = found[1].strip_prefix("    ");
            assert_eq!(content, expected, "{request}");
        };
        const FORM: &str = "content-type:application/x-www-form-urlencoded;charset=UTF-8";
        let form = |content, expected| check(FORM, content, Some(expected));
        form(
            "scope=answer question&client_id=app&client_secret=SECRETSECRETSECRET",
            "scope=answer question&client_id=app&client_secret=…CRET",
        );
        form("client_secret=SECRETSECRET SECRETSECRETSECRET", "client_secret=…CRET");
        form("client%5Fsecret=SECRETSECRETSECRET", "client_secret=…CRET");
        form("Client_Secret[]=SECRETSECRETSECRET&x=1", "Client_Secret[]=…CRET&x=1");
        form("client_assertion=SECRETSECRETSECRET", "client_assertion=…CRET");
        form("scope=a\nclient_secret=SECRETSECRETSECRET", "scope=a\nclient_secret=…CRET");
        form("next=%2Fcb%3Fcode%3DSECRETSECRETSECRET", "next=/cb?code=…CRET");
        form("{\"code\":\"SECRETSECRETSECRET\"}", "…");
        form("{\"code\":\"SECRETSECRETSECRET=\"}", "…");
        form("a=b&SECRETSECRETSECRET", "a=b&…");
        form("grant_type=authorization_code", "grant_type=authorization_code");
        let chunked = format!("{FORM}\r\nTransfer-Encoding: chunked");
        check(&chunked, "11\r\nclient_secret=SECRETSECRETSECRET\r\n0\r\n\r\n", None);
        check(&chunked, "4\r\nclie\r\n11\r\nnt_sec\r\nret=SECRETSECRETSECRET\r\n0\r\n\r\n", None);
        check("Content-Type: application/json", "{\"code\":\"SECRETSECRETSECRET\"}", None);
        check("X-Content-Type: application/x-www-form-urlencoded", "code=SECRETSECRETSECRET", None);
    }

    #[test]
    fn a_request_without_an_answer_says_so() {
        let found = lines(&exchange(1, b"GET / HTTP/1.1\r\n\r\n", b""));
        assert_eq!(found[1], "✗ #1 no answer: the connection ended before");
    }
}
