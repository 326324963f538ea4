//! The browser's session: a random name in a cookie, so that the dialog's form is good in the browser that was
//! shown it, and in no other.
//!
//! Nothing is kept of it here. Another port of the same host shares cookies, so the cookie alone proves
//! nothing; it is one of three things that the form's answer must have, beside the seal and the fields that
//! say which site sent it.

use crate::http::message::{FieldValue, Request};

const SESSION_BYTES: usize = 24;

/// What the name of a session looks like: 24 random bytes in base64url.
const SESSION_CHARS: usize = 32;

/// The name of the cookie. With `__Host-`, browsers see to it that it came by TLS and from this very host
/// (RFC 6265bis, 4.1.3.2).
fn cookie_name(is_https: bool) -> &'static str {
    match is_https {
        true => "__Host-oauth-session",
        false => "oauth-session",
    }
}

/// The session that `request` says it belongs to, if it says that in the form that sessions have here.
pub(super) fn of_request<'a>(request: &Request<'a>, is_https: bool) -> Option<&'a str> {
    let name = cookie_name(is_https);
    let pairs = request.fields("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        std::str::from_utf8(value).ok()
    });
    values.find(|value| {
        value.len() == SESSION_CHARS
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

/// A new session out of random bytes: its name, and the field value that gives it to the browser. Not even this
/// server's own scripts may read it, and no other site's form carries it.
pub(super) fn begin(random: [u8; SESSION_BYTES], is_https: bool) -> (String, FieldValue) {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let session = Base64UrlUnpadded::encode_string(&random);
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!("{}={session}; Path=/; HttpOnly; SameSite=Lax{secure}", cookie_name(is_https));
    // base64url holds no control byte, so the fallback is never taken.
    (session, FieldValue::new(cookie).unwrap_or(FieldValue::literal("")))
}
