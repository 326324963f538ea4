//! The access token of a request, in its Authorization field.

use crate::http::trim_ows;

/// How a request presents its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `Authorization: TOKEN`
    Bare,
    /// `Authorization: Bearer TOKEN`
    Bearer,
}

/// The scheme of an Authorization field and the token in it. A scheme's name is case-insensitive (RFC 9110, 11.1).
pub(crate) fn split(authorization: &[u8]) -> (Scheme, &[u8]) {
    const BEARER: &[u8] = b"Bearer";
    match authorization.split_at_checked(BEARER.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) && matches!(token, [] | [b' ', ..]) => {
            (Scheme::Bearer, trim_ows(token))
        }
        _ => (Scheme::Bare, authorization),
    }
}

/// Whether `token` has the syntax of a bearer token, `b64token` (RFC 6750, 2.1).
pub(crate) fn is_token68(token: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let rest = token.iter().skip_while(|byte| is_part(byte));
    token.first().is_some_and(is_part) && rest.copied().all(|byte| byte == b'=')
}
