//! Browser sessions: random names in cookies, which bind the dialog's form to the browser that it was shown to.
//!
//! A browser that opens several dialogs before it has a session gets one with each of them. So each session is a cookie
//! with a name of its own, and none overwrites another: all forms stay valid. A browser that has a session keeps it,
//! and each dialog extends it.
//!
//! The server stores nothing. A cookie alone proves little, since other ports of the same host share cookies; it is one
//! of three proofs that a form needs (`dialog_form.rs`).

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::http::{FieldValue, Request};
use crate::routes::reply::set_cookie::set_cookie;

/// The random bytes of a session.
const SESSION_BYTES: usize = 24;

/// The same in base64url.
const SESSION_CHARS: usize = 32;

/// How many characters of a session its cookie's name ends in: enough to keep those of one browser apart.
const NAME_CHARS: usize = 6;

/// How many sessions of one request are considered. A browser has more than one only if it opened several dialogs
/// before its first cookie arrived.
const SESSIONS_MAX: usize = 16;

/// The beginning of a session cookie's name. Browsers accept a name with `__Host-` only over TLS and from this very
/// host (RFC 6265bis, 4.1.3.2).
fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-oauth-session" } else { "oauth-session" }
}

/// The sessions in the cookies of `request`, oldest first, as browsers send them. Values of another form are ignored,
/// and past a bound so are the oldest sessions.
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

/// A new session, from random bytes.
pub(crate) fn begin(random: [u8; SESSION_BYTES]) -> String {
    Base64UrlUnpadded::encode_string(&random)
}

/// The Set-Cookie value that gives `session` to the browser for `lifetime`, or extends it.
pub(crate) fn cookie(session: &str, is_https: bool, lifetime: Duration) -> FieldValue {
    let suffix = session.get(..NAME_CHARS).unwrap_or_default();
    set_cookie(&[cookie_name(is_https), "-", suffix, "=", session], is_https, lifetime)
}
