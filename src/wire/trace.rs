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

use super::exchange::{Exchange, Message};
use super::notes::Decision;
use crate::log::Log;

/// The parameters whose values are secrets.
const SECRETS: &[&str] = &[
    "code",
    "code_verifier",
    "token",
    "refresh_token",
    "access_token",
    "client_secret",
    "password",
    "request",
];

/// How much of a line of parameters is printed, in characters.
const CHARACTERS_MAX: usize = 1000;

/// Prints an exchange.
pub(super) fn print(exchange: &Exchange, log: &Log) {
    lines(exchange).iter().for_each(|line| log.unlimited_line(format_args!("{line}")));
}

fn lines(exchange: &Exchange) -> Vec<String> {
    let Exchange { id, server, connection, took, request, answer, decisions, .. } = exchange;
    let line = request.first_line();
    let line = match line.split_once('?') {
        Some((start, query)) => format!("{start}?{}", shorten(query)),
        None => line,
    };
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

/// The content of a request that is a form.
fn form(request: &Message) -> Option<String> {
    let text = String::from_utf8_lossy(request.bytes());
    let (head, content) = text.split_once("\r\n\r\n")?;
    let is_form = head.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded");
    (is_form && !content.is_empty()).then(|| content.to_owned())
}

/// The parameters with their secrets shortened.
fn shorten(parameters: &str) -> String {
    // A request line has the version after its query.
    let (parameters, rest) = parameters.split_once(' ').unwrap_or((parameters, ""));
    let pairs: Vec<Cow<str>> = parameters
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if SECRETS.contains(&name) => format!("{name}={}", end_of(value)).into(),
            _ => pair.into(),
        })
        .collect();
    let text = pairs.join("&");
    let cut = text.char_indices().nth(CHARACTERS_MAX).map(|(at, _)| format!("{}…", &text[..at]));
    let text = cut.unwrap_or(text);
    if rest.is_empty() { text } else { format!("{text} {rest}") }
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

    #[test]
    fn a_request_without_an_answer_says_so() {
        let found = lines(&exchange(1, b"GET / HTTP/1.1\r\n\r\n", b""));
        assert_eq!(found[1], "✗ #1 no answer: the connection ended before");
    }
}
