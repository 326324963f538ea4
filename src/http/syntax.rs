//! The terminals of HTTP's grammar: tokens, field values, optional whitespace and lists (RFC 9110, 5.5 and 5.6).

/// Whether a token may contain `byte` (RFC 9110, 5.6.2). Methods, field names and transfer codings are tokens.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether the field name `name`, in any case, is `wanted`, which must consist of lower-case letters, digits and
/// hyphens.
pub(super) fn is_name(name: &[u8], wanted: &str) -> bool {
    // Setting this bit makes a letter lower-case. Of all token bytes, only letters become letters by it, and only
    // digits and hyphens stay digits and hyphens, so there are no false matches.
    const LOWER: u8 = 0x20;
    let is_same = |(bytes, wanted): (&[u8; 8], &[u8; 8])| {
        u64::from_ne_bytes(*bytes) | u64::from_ne_bytes([LOWER; 8]) == u64::from_ne_bytes(*wanted)
    };
    let wanted = wanted.as_bytes();
    if name.len() != wanted.len() {
        return false;
    }
    // Eight bytes at a time, the last eight first; they may overlap the chunk before.
    match (name.last_chunk(), wanted.last_chunk()) {
        (Some(name_end), Some(wanted_end)) => {
            let chunks = name.as_chunks().0.iter().zip(wanted.as_chunks().0);
            is_same((name_end, wanted_end)) && chunks.into_iter().all(is_same)
        }
        // `host`: the only short name that every request has.
        _ => match (name, wanted) {
            ([a, b, c, d], [e, f, g, h]) => {
                u32::from_ne_bytes([*a, *b, *c, *d]) | u32::from_ne_bytes([LOWER; 4])
                    == u32::from_ne_bytes([*e, *f, *g, *h])
            }
            _ => name.iter().zip(wanted).all(|(byte, wanted)| byte | LOWER == *wanted),
        },
    }
}

/// Whether a field value may contain `byte` (RFC 9110, 5.5): visible ASCII, space, tab, or a byte beyond ASCII.
pub(super) fn is_field_byte(byte: u8) -> bool {
    (byte == b'\t') | ((byte >= b' ') & (byte != 0x7f))
}

/// `bytes` without surrounding spaces and tabs (OWS; RFC 9110, 5.6.3).
pub(crate) fn trim_ows(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// The members of a comma-separated list, without surrounding whitespace. Empty members are skipped (RFC 9110,
/// 5.6.1.2).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim_ows).filter(|member| !member.is_empty())
}
