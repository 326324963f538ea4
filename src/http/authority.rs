//! Hosts and ports, as in the Host field and in absolute request targets.
//!
//! Only the syntax is checked. Which hosts this server answers for is decided by the layers above.

use memchr::memchr;

/// Whether `bytes` match `uri-host [ ":" port ]` (RFC 9110, 7.2; RFC 3986, 3.2.2), possibly empty. User information
/// (`user@host`) is refused: it has no place in a request, and it makes one host look like another.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    let port = match bytes {
        // An IP literal. Which of these are addresses does not matter: none is ever resolved.
        [b'[', rest @ ..] => {
            let Some(end) = memchr(b']', rest) else { return false };
            let literal = &rest[..end];
            if literal.is_empty() || !literal.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
            {
                return false;
            }
            &rest[end + 1..]
        }
        _ => &bytes[registered_name(bytes)..],
    };
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// The length of the registered name that `bytes` begin with: unreserved characters, sub-delimiters and
/// percent-encodings (RFC 3986, 3.2.2). The grammar allows it to be empty.
fn registered_name(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        let plain = rest.iter().position(|byte| !IN_NAMES[usize::from(*byte)]).unwrap_or(rest.len());
        rest = match &rest[plain..] {
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            other => return bytes.len() - other.len(),
        }
    }
}

/// The bytes that a registered name may contain unencoded.
const IN_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"-._~!$&'()*+,;=";
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        let check = |text: &str, expected| assert_eq!(is_authority(text.as_bytes()), expected, "{text:?}");
        for text in ["", "h", "h:80", "h:", "a-b.c_d~e:1", "%2f", "[::1]:3001", "[::ffff:1.2.3.4]", "1.2.3.4"] {
            check(text, true);
        }
        for text in
            ["a b", "u@h", "a/b", "h:80x", "h:123456", "h:1:2", "%zz", "%2", "[]", "[::1", "[g]", "[::1]x"]
        {
            check(text, false);
        }
    }
}
