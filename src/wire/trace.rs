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

/// How much of a path, or of a line of parameters, is printed, in characters.
const CHARACTERS_MAX: usize = 1000;

/// How much of it is looked at, in characters: more than is printed, since escapes are longer than what they stand for.
const CHARACTERS_READ_MAX: usize = 4 * CHARACTERS_MAX;

/// How often a text may be escaped: a redirect within a redirect is escaped twice.
const ESCAPED_MAX: usize = 3;

/// Prints an exchange.
pub(super) fn print(exchange: &Exchange, log: &Log) {
    lines(exchange).iter().for_each(|line| log.unlimited_line(format_args!("{line}")));
}

fn lines(exchange: &Exchange) -> Vec<String> {
    let Exchange { id, server, connection, took, request, answer, decisions, .. } = exchange;
    let line = request_line(&request.first_line());
    let mut lines = vec![format!("→ #{id} {}, connection {connection}: {line}", server.as_str())];
    lines.extend(form(request).map(|form| format!("    {}", bounded(&form, shorten))));
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
    let parts = line.split_once(' ').and_then(|(method, rest)| Some((method, rest.rsplit_once(' ')?)));
    let is_method = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let is_version = |text: &str| text.starts_with("HTTP/") && text.len() <= "HTTP/1.1".len();
    let Some((method, (target, version))) =
        parts.filter(|(method, (_, version))| is_method(method) && is_version(version))
    else {
        return "malformed request line".to_owned();
    };
    let path = |text| bounded(text, |text| hide(text).into_owned());
    match target.split_once('?') {
        Some((start, query)) => format!("{method} {}?{} {version}", path(start), bounded(query, shorten)),
        None => format!("{method} {} {version}", path(target)),
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
            .find(|(found, _)| found.trim().eq_ignore_ascii_case(name))
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
    pairs.join("&")
}

/// What `hide` makes of the beginning of a text, as much as is printed.
fn bounded(text: &str, hide: impl Fn(&str) -> String) -> String {
    let read = first(text, CHARACTERS_READ_MAX);
    let hidden = hide(read);
    let printed = first(&hidden, CHARACTERS_MAX);
    let is_cut = read.len() < text.len() || printed.len() < hidden.len();
    format!("{printed}{}", if is_cut { "…" } else { "" })
}

/// The first `count` characters.
fn first(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}

/// The text, shortened from the value on if it names a secret, escaped or not: `client%5Fsecret=`, or
/// `redirect_uri=http://localhost/cb?code=`. A text that is escaped too often to be read is left out.
fn hide(text: &str) -> Cow<'_, str> {
    let Some(decoded) = decode(text) else { return "…".into() };
    let secret = names(&decoded).find(|(name, _)| is_secret(name));
    secret.map_or(text.into(), |(_, at)| format!("{}={}", &decoded[..at], end_of(&decoded[at + 1..])).into())
}

/// The text without its escapes, and without those that appear as others are decoded.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let mut decoded = Cow::Borrowed(text);
    for _ in 0..=ESCAPED_MAX {
        let bytes = match Cow::from(percent_decode_str(&decoded)) {
            Cow::Borrowed(_) => return Some(decoded),
            Cow::Owned(bytes) => bytes,
        };
        decoded = String::from_utf8_lossy(&bytes).into_owned().into();
    }
    None
}

/// What is before each `=`, back to the one before it, and where that `=` is. No part of the text is in two of them, so
/// the time to look at all is linear.
fn names(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut start = 0;
    text.match_indices('=').map(move |(at, _)| (&text[std::mem::replace(&mut start, at + 1)..at], at))
}

/// Whether what comes before a `=` ends with the name of a secret, or with one that has an index or key: `code[0]`,
/// `code_0`, `token[access]`, `login[password]`.
fn is_secret(text: &str) -> bool {
    let is_in = |part: &str| {
        let name = part.trim_end_matches(|character: char| !character.is_ascii_alphabetic()).as_bytes();
        let ends_with = |secret: &str| {
            let start = name.len().checked_sub(secret.len());
            start.is_some_and(|start| name[start..].eq_ignore_ascii_case(secret.as_bytes()))
        };
        SECRETS.iter().any(|secret| ends_with(secret))
    };
    text.split(['[', ']']).any(is_in)
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
        check("cret=SECRETSECRETSECRET HTTP/1.1", "malformed request line");
        check("cret=SECRETSECRETSECRET x HTTP/1.1", "malformed request line");
        check("GET / HTTP/SECRETSECRETSECRET", "malformed request line");
        let long = format!("/{}", "x".repeat(CHARACTERS_MAX));
        check(&format!("GET {long} HTTP/1.1"), &format!("GET {}… HTTP/1.1", &long[..CHARACTERS_MAX]));
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
        form("next=%2Fcb%253Fcode%253DSECRETSECRETSECRET", "next=/cb?code=…CRET");
        form("next=%2Fcb%25253Fcode%25253DSECRETSECRETSECRET", "next=/cb?code=…CRET");
        form("next=%2Fcb%2525253Fcode%2525253DSECRETSECRETSECRET&x=%31", "…&x=%31");
        form("code[0]=SECRETSECRETSECRET", "code[0]=…CRET");
        form("code%5B%5D=SECRETSECRETSECRET", "code[]=…CRET");
        form("code_0=SECRETSECRETSECRET", "code_0=…CRET");
        form("token[access]=SECRETSECRETSECRET", "token[access]=…CRET");
        form("x[client][Password]=SECRETSECRETSECRET", "x[client][Password]=…CRET");
        form("x=http://[::1]/cb?code=SECRETSECRETSECRET", "x=http://[::1]/cb?code=…CRET");
        form("x=%E2%80%AErev&code=short", "x=%E2%80%AErev&code=…");
        form("a=%ff%3D&x=code&y[0]=z", "a=%ff%3D&x=code&y[0]=z");
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

    /// A request may have thousands of `=`, and the event loop waits for each line.
    #[test]
    fn each_part_of_a_text_is_looked_at_once() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<&str> = names(text).map(|(name, _)| name).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("a=b", &["a"]);
        check("next=/cb?code=x", &["next", "/cb?code"]);
        check("a====b=", &["a", "", "", "", "b"]);
        check("none", &[]);
        let parameters = format!("a={}&code=0123456789abcdefghij", "=".repeat(CHARACTERS_READ_MAX));
        let read = |text: &str| {
            assert_eq!(text.len(), CHARACTERS_READ_MAX);
            shorten(text)
        };
        assert_eq!(bounded(&parameters, read), format!("a{}…", "=".repeat(CHARACTERS_MAX - 1)));
    }

    #[test]
    fn a_request_without_an_answer_says_so() {
        let found = lines(&exchange(1, b"GET / HTTP/1.1\r\n\r\n", b""));
        assert_eq!(found[1], "✗ #1 no answer: the connection ended before");
    }
}
