//! The Set-Cookie field (RFC 6265, 4.1), as all cookies of this server have it.

use std::time::Duration;

use crate::http::FieldValue;

/// Its longest attributes.
const ATTRIBUTES_MAX: usize = 96;

/// The value that keeps the cookie in a browser for `lifetime`, at least a second. `pair` is the name, `=` and the
/// content, in pieces. Scripts cannot read the cookie (HttpOnly), and other sites' forms do not carry it (SameSite).
pub(crate) fn set_cookie(pair: &[&str], is_https: bool, lifetime: Duration) -> FieldValue {
    let length: usize = pair.iter().map(|piece| piece.len()).sum();
    let mut cookie = String::with_capacity(length + ATTRIBUTES_MAX);
    pair.iter().for_each(|piece| cookie.push_str(piece));
    cookie.push_str("; Path=/; Max-Age=");
    cookie.push_str(itoa::Buffer::new().format(lifetime.as_secs().max(1)));
    cookie.push_str("; HttpOnly; SameSite=Lax");
    if is_https {
        cookie.push_str("; Secure");
    }
    // Names and contents are literals and base64url, without a control byte, so the fallback is never taken.
    FieldValue::new(cookie).unwrap_or(FieldValue::literal(""))
}
