//! Hosts and ports as requests name them: in the Host field and in absolute targets.

use memchr::memchr;

/// The last name that was found to be well-formed: most requests have the same one, and to compare it is less
/// than to read it.
#[derive(Debug, Default)]
pub(super) struct LastAuthority(Vec<u8>);

impl LastAuthority {
    /// Longer names are not remembered.
    const BYTES_MAX: usize = 64;

    /// What [`is_authority`] says of `bytes`.
    pub(super) fn is_authority(&mut self, bytes: &[u8]) -> bool {
        if *bytes == *self.0 {
            return true;
        }
        let is_authority = is_authority(bytes);
        if is_authority && bytes.len() <= LastAuthority::BYTES_MAX {
            self.0.clear();
            self.0.extend_from_slice(bytes);
        }
        is_authority
    }
}

/// Whether `bytes` are `uri-host [ ":" port ]` (RFC 9110, 7.2; RFC 3986, 3.2.2), possibly empty.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    let port = match bytes {
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

/// How many bytes at the beginning are a registered name: unreserved characters, sub-delimiters and
/// percent-encodings (RFC 3986, 3.2.2); the grammar allows none.
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

/// Which bytes stand for themselves in a registered name.
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
    fn a_name_that_is_remembered_means_what_it_means_to_one_who_remembers_nothing() {
        let long = [b'a'; LastAuthority::BYTES_MAX + 1];
        let names: [(&[u8], bool); 8] = [
            (b"", true),
            (b"h:80", true),
            (b"%zz", false),
            (b"h:80x", false),
            (b"h:", true),
            (b"[::1]:3001", true),
            (&long, true),
            (b"a b", false),
        ];
        let mut last = LastAuthority::default();
        for (before, _) in names {
            for (name, expected) in names {
                last.is_authority(before);
                let shown = (before.escape_ascii(), name.escape_ascii());
                assert_eq!(last.is_authority(name), expected, "{} then {}", shown.0, shown.1);
                assert_eq!(last.is_authority(name), expected, "{} then {}, twice", shown.0, shown.1);
            }
        }
        assert!(last.0.len() <= LastAuthority::BYTES_MAX);
    }
}
