//! For how long a response says that it is fresh (RFC 9111, 4.2.1 and 5.3).

use std::time::{Duration, SystemTime};

use crate::http::trim_ows;

/// The fields that say so, collected from the lines of a head.
#[derive(Default)]
pub(super) struct CacheFields {
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    /// `no-store` or `no-cache`: not to be used again without asking.
    is_stale: bool,
    age: u64,
    date: Option<SystemTime>,
    /// The inner `None` is a date that cannot be read, which means the past.
    expires: Option<Option<SystemTime>>,
}

impl CacheFields {
    /// Collects a line, if it is one of these.
    pub(super) fn note(&mut self, name: &str, value: &[u8]) {
        let text = std::str::from_utf8(value).unwrap_or_default();
        match name {
            _ if name.eq_ignore_ascii_case("cache-control") => {
                value.split(|byte| *byte == b',').for_each(|directive| self.note_directive(directive));
            }
            _ if name.eq_ignore_ascii_case("age") => self.age = digits(value).unwrap_or(0),
            _ if name.eq_ignore_ascii_case("date") => self.date = httpdate::parse_http_date(text).ok(),
            _ if name.eq_ignore_ascii_case("expires") => {
                // Of several, the first counts; so does the first of several directives of one name.
                self.expires.get_or_insert_with(|| httpdate::parse_http_date(text).ok());
            }
            _ => {}
        }
    }

    fn note_directive(&mut self, directive: &[u8]) {
        let mut parts = directive.splitn(2, |byte| *byte == b'=').map(trim_ows);
        let (name, value) = (parts.next().unwrap_or_default(), parts.next());
        // A quoted number is invalid, but everyone reads it.
        let seconds = || value.map(|value| digits(value.trim_ascii_start().trim_quotes()).unwrap_or(0));
        match name {
            _ if name.eq_ignore_ascii_case(b"max-age") => self.max_age = self.max_age.or_else(seconds),
            _ if name.eq_ignore_ascii_case(b"s-maxage") => self.s_maxage = self.s_maxage.or_else(seconds),
            _ if name.eq_ignore_ascii_case(b"no-store") || name.eq_ignore_ascii_case(b"no-cache") => {
                self.is_stale = true;
            }
            _ => {}
        }
    }

    /// The time for which the response is fresh from `now` on; `None` if its fields do not say. This server is a cache
    /// that many users share.
    pub(super) fn lifetime(&self, now: SystemTime) -> Option<Duration> {
        if self.is_stale {
            return Some(Duration::ZERO);
        }
        let until_expiry = || {
            let expires = self.expires?;
            let from = self.date.unwrap_or(now);
            Some(expires.and_then(|expires| expires.duration_since(from).ok()).unwrap_or_default())
        };
        let whole = self.s_maxage.or(self.max_age).map(Duration::from_secs).or_else(until_expiry)?;
        Some(whole.saturating_sub(Duration::from_secs(self.age)))
    }
}

/// The number in `bytes`; a number that is too large counts as the largest (RFC 9111, 1.2.2).
fn digits(bytes: &[u8]) -> Option<u64> {
    let is_number = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    is_number.then(|| bytes.iter().fold(0, add).min(u64::from(u32::MAX)))
}

trait TrimQuotes {
    fn trim_quotes(&self) -> &Self;
}

impl TrimQuotes for [u8] {
    fn trim_quotes(&self) -> &[u8] {
        self.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifetime_is_what_the_fields_say() {
        const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let now = httpdate::parse_http_date(NOW).unwrap();
        let check = |lines: &[(&str, &str)], expected: Option<u64>| {
            let mut fields = CacheFields::default();
            lines.iter().for_each(|(name, value)| fields.note(name, value.as_bytes()));
            assert_eq!(fields.lifetime(now), expected.map(Duration::from_secs), "{lines:?}");
        };
        let control = |value| ("Cache-Control", value);
        check(&[], None);
        check(&[control("public")], None);
        check(&[control("max-age=3600")], Some(3600));
        check(&[control("MAX-AGE = \"60\"")], Some(60));
        check(&[control("public, max-age=3600, s-maxage=60")], Some(60));
        check(&[control("max-age=60"), control("max-age=3600")], Some(60));
        check(&[control("max-age=3600"), ("Age", "600")], Some(3000));
        check(&[control("max-age=60"), ("age", "600")], Some(0));
        check(&[control("max-age=60"), ("age", "-1")], Some(60));
        check(&[control("max-age=-1")], Some(0));
        check(&[control("max-age=")], Some(0));
        check(&[control("max-age")], None);
        check(&[control("max-age=99999999999999999999999")], Some(u64::from(u32::MAX)));
        check(&[control("no-store, max-age=60")], Some(0));
        check(&[control("no-cache")], Some(0));
        let later = "Sun, 06 Nov 1994 09:49:37 GMT";
        check(&[("Expires", later)], Some(3600));
        check(&[("Expires", later), ("Date", later)], Some(0));
        check(&[("Expires", later), ("Date", "Sun, 06 Nov 1994 08:39:37 GMT"), ("Age", "60")], Some(4140));
        check(&[("Expires", later), control("max-age=5")], Some(5));
        check(&[("Expires", "0")], Some(0));
        check(&[("Expires", NOW)], Some(0));
        check(&[("Expires", "Sat, 05 Nov 1994 08:49:37 GMT")], Some(0));
    }
}
