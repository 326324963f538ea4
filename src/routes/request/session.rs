//! The browser's sessions: random names in cookies, so that the dialog's form is good in the browser that was shown//! it, and in no other.
//!
//! A browser that opens several dialogs before it has a session is given one by each answer. So each session is a
//! cookie of its own name, and none overwrites another: every form stays good. A browser that has a session keeps it,
//! and each dialog prolongs it.
//!
//! Nothing is kept of it here. Another port of the same host shares cookies, so the cookie alone proves
//! nothing; it is one of three things that the form's answer must have, beside the seal and the fields that
//! say which site sent it.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::http::message::{FieldValue, Request};

const SESSION_BYTES: usize = 24;

/// What the name of a session looks like: 24 random bytes in base64url.
const SESSION_CHARS: usize = 32;

/// How many characters of a session are in its cookie's name: enough to tell those of one browser apart.
const NAME_CHARS: usize = 6;

/// How many sessions of one request are tried. A browser has one for each dialog that it opened at the same time as
/// its first.
const SESSIONS_MAX: usize = 16;

/// What the name of a session's cookie begins with. With `__Host-`, browsers see to it that it came by TLS and from
/// this very host (RFC 6265bis, 4.1.3.2).
fn cookie_name(is_https: bool) -> &'static str {
    match is_https {
        true => "__Host-oauth-session",
        false => "oauth-session",
    }
}

/// The sessions that `request` says it belongs to, as far as they have the form that sessions have here. Browsers put
/// the newest last, and past a bound the oldest are left out.
pub(crate) fn of_request<'a>(request: &Request<'a>, is_https: bool) -> Vec<&'a str> {
    let name = cookie_name(is_https).as_bytes();
    let pairs = request.fields("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    let mut sessions: Vec<&str> = pairs
        .filter_map(|pair| {
            let pair = pair.trim_ascii().strip_prefix(name)?;
            let (suffix, value) = pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?)?;
            let is_name = suffix.is_empty() || suffix.starts_with(b"-");
            std::str::from_utf8(&value[1..]).ok().filter(|value| is_name && is_session(value))
        })
        .collect();
    let surplus = sessions.len().saturating_sub(SESSIONS_MAX);
    sessions.drain(..surplus);
    sessions
}

fn is_session(value: &str) -> bool {
    value.len() == SESSION_CHARS
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A new session out of random bytes.
pub(crate) fn begin(random: [u8; SESSION_BYTES]) -> String {
    Base64UrlUnpadded::encode_string(&random)
}

/// The field value that gives `session` to the browser for `lifetime`, or prolongs it. Not even this server's own
/// scripts may read it, and no other site's form carries it.
pub(crate) fn cookie(session: &str, is_https: bool, lifetime: Duration) -> FieldValue {
    let (name, secure) = (cookie_name(is_https), if is_https { "; Secure" } else { "" });
    let (suffix, seconds) = (session.get(..NAME_CHARS).unwrap_or_default(), lifetime.as_secs().max(1));
    let cookie =
        format!("{name}-{suffix}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    // base64url holds no control byte, so the fallback is never taken.
    FieldValue::new(cookie).unwrap_or(FieldValue::literal(""))
}
