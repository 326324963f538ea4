//! The Date field: when a response was made (RFC 9110, 6.6.1).
//!
//! The codec has no clock, so the driver passes a [`Date`] with each response. It need not format more than one a
//! second.

use std::time::{Duration, UNIX_EPOCH};

/// One second, formatted for the Date field of all responses made in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Date {
    /// The value and its CRLF, so that both are appended by one copy.
    line_end: String,
}

const CRLF: &str = "\r\n";

impl Date {
    /// The second that begins `seconds` after the Unix epoch. Later than the year 9999 is clamped to its last second.
    pub fn of_second(seconds: u64) -> Date {
        // The format has four digits for the year (RFC 9110, 5.6.7), and httpdate panics on five.
        const LAST: u64 = 253_402_300_799;
        let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
        Date { line_end: httpdate::fmt_http_date(time) + CRLF }
    }

    /// The field's value.
    pub fn value(&self) -> &str {
        &self.line_end[..self.line_end.len() - CRLF.len()]
    }

    /// The value and its CRLF.
    pub(super) fn line_end(&self) -> &str {
        &self.line_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_http_wants_it_whatever_the_clock_says() {
        let check = |seconds, expected| assert_eq!(Date::of_second(seconds).value(), expected);
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
