//! Request targets, in their four forms (RFC 9112, 3.2):
//!
//! | form | example | accepted for |
//! | --- | --- | --- |
//! | origin | `/path?query` | every method but CONNECT |
//! | absolute | `http://host:port/path?query` | every method but CONNECT |
//! | authority | `host:port` | only CONNECT |
//! | asterisk | `*` | only OPTIONS |
//!
//! A target consists of visible ASCII characters. `#` is refused, since a fragment is never sent.

use super::authority::is_authority;
use super::refusal::Refusal;
use super::start_line::Method;

/// The parts of a target, without decoding.
pub(super) struct Target<'a> {
    /// The path, without the query; empty where an absolute target has none. For CONNECT, the whole target.
    pub(super) path: &'a [u8],
    /// What follows the first `?`.
    pub(super) query: Option<&'a [u8]>,
    /// The host and port of an absolute target or of CONNECT, which override Host; otherwise empty.
    pub(super) authority: &'a [u8],
}

impl<'a> Target<'a> {
    /// Parses `bytes` in the forms that `method` allows.
    ///
    /// # Errors
    /// When they match none of them.
    pub(super) fn parse(method: Method, bytes: &'a [u8]) -> Result<Target<'a>, Refusal> {
        let mark = bytes.iter().position(|byte| !BEFORE_QUERY[usize::from(*byte)]).unwrap_or(bytes.len());
        let (before, query) = bytes.split_at(mark);
        // A fold without a branch for each byte, so that the compiler checks many at a time.
        let is_wrong = |byte: u8| !matches!(byte, 0x21..=0x7e) | (byte == b'#');
        if query.iter().fold(false, |any, byte| any | is_wrong(*byte)) {
            return Err(Refusal::bad_request("invalid byte in the request target"));
        }
        if method == Method::Connect {
            return authority_form(bytes);
        }
        let (authority, path) = match before {
            [b'/', ..] => (&b""[..], before),
            b"*" if method == Method::Options && query.is_empty() => (&b""[..], before),
            _ => absolute_form(before)?,
        };
        // Without the question mark.
        Ok(Target { path, query: query.get(1..), authority })
    }
}

/// Splits `http://host:port/path` into authority and path. Other schemes are refused: this server is not a proxy.
fn absolute_form(target: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    const SCHEME: &[u8] = b"http://";
    let rest = match target.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => return Err(Refusal::bad_request("the request target is neither a path nor an http URI")),
    };
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A host is not empty (RFC 9110, 4.2.1).
    if matches!(authority, [] | [b':', ..]) || !is_authority(authority) {
        return Err(Refusal::bad_request("malformed host in the request target"));
    }
    Ok((authority, path))
}

/// `host:port`, only for CONNECT. It is parsed so that the refusal can come from the table of routes, as for any other
/// method that a path does not have.
fn authority_form(target: &[u8]) -> Result<Target<'_>, Refusal> {
    let has_port = target.last().is_some_and(u8::is_ascii_digit) && target.contains(&b':');
    if !has_port || !is_authority(target) {
        return Err(Refusal::bad_request("the target of CONNECT must be a host and a port"));
    }
    Ok(Target { path: target, query: None, authority: target })
}

/// The bytes that a target may contain before its query: visible ASCII but `?`, which begins it, and `#`.
const BEFORE_QUERY: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte <= 0x7e {
        table[byte] = byte != b'#' as usize && byte != b'?' as usize;
        byte += 1;
    }
    table
};
