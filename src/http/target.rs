//! Request targets, in their four forms (RFC 9112, 3.2).

use super::authority::is_authority;
use super::refusal::Refusal;
use super::start_line::Method;

/// What a target says; nothing is decoded.
pub(super) struct Target<'a> {
    /// Without the query; empty where an absolute target has none.
    pub(super) path: &'a [u8],
    /// What follows the first `?`.
    pub(super) query: Option<&'a [u8]>,
    /// The host and port that the target itself names, which override Host; else empty.
    pub(super) authority: &'a [u8],
}

impl<'a> Target<'a> {
    /// The four forms, each for the methods that it belongs to.
    ///
    /// # Errors
    /// When `bytes` are none of them.
    pub(super) fn parse(method: Method, bytes: &'a [u8]) -> Result<Target<'a>, Refusal> {
        let mark = bytes.iter().position(|byte| !BEFORE_QUERY[usize::from(*byte)]).unwrap_or(bytes.len());
        let (before, query) = bytes.split_at(mark);
        // Without a branch for each byte, they are looked at many at a time.
        let is_wrong = |byte: u8| !matches!(byte, 0x21..=0x7e) | (byte == b'#');
        if query.iter().fold(false, |any, byte| any | is_wrong(*byte)) {
            return Err(Refusal::bad("the request target holds a byte that no target may hold"));
        }
        if method == Method::Connect {
            return authority_form(bytes);
        }
        let (authority, path) = match before {
            [b'/', ..] => (&b""[..], before),
            b"*" if method == Method::Options && query.is_empty() => (&b""[..], before),
            _ => absolute_form(before)?,
        };
        // Without its mark.
        Ok(Target { path, query: query.get(1..), authority })
    }
}

/// `http://host:port/path`: its authority and its path.
fn absolute_form(target: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    const SCHEME: &[u8] = b"http://";
    let rest = match target.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => return Err(Refusal::bad("the request target is neither a path nor an http URI")),
    };
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() || !is_authority(authority) {
        return Err(Refusal::bad("the request target's host is malformed"));
    }
    Ok((authority, path))
}

/// `host:port`, for CONNECT alone. There is nothing to connect to, which the routes will say.
fn authority_form(target: &[u8]) -> Result<Target<'_>, Refusal> {
    let has_port = target.last().is_some_and(u8::is_ascii_digit) && target.contains(&b':');
    if !has_port || !is_authority(target) {
        return Err(Refusal::bad("the target of CONNECT must be a host and a port"));
    }
    Ok(Target { path: target, query: None, authority: target })
}

/// Which bytes may stand in a target before its query: those that are visible, but `?` and, anywhere, `#`.
const BEFORE_QUERY: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte <= 0x7e {
        table[byte] = byte != b'#' as usize && byte != b'?' as usize;
        byte += 1;
    }
    table
};
