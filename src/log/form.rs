//! The format of log lines: with a timestamp, in colour, or as they are.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gives the time of day.
pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The format of lines.
#[derive(Clone)]
pub(super) enum Form {
    /// Unchanged.
    Plain,
    /// With a timestamp in front.
    Timed(Clock),
    /// With a timestamp in front, and in the colour of its first character: a trace on a terminal.
    Coloured(Clock),
    /// Unchanged, because each is a JSON object. The log's own lines are JSON objects as well.
    Json(Clock),
}

impl Form {
    /// Formats `line`.
    pub(super) fn apply(&self, line: String) -> String {
        match self {
            Form::Timed(clock) => format!("{} {line}", Rfc3339(clock())),
            Form::Coloured(clock) => {
                format!("\x1b[{}m{} {line}\x1b[0m", colour_of(&line), Rfc3339(clock()))
            }
            Form::Plain | Form::Json(_) => line,
        }
    }

    /// The line that reports `count` dropped lines.
    pub(super) fn missing(&self, count: usize) -> String {
        const WORDS: &str = "more log lines were dropped: they came faster than they could be written";
        match self {
            Form::Json(clock) => {
                let time = Rfc3339(clock());
                format!("{{\"time\":\"{time}\",\"lost_lines\":{count},\"reason\":\"{WORDS}\"}}")
            }
            form => form.apply(format!("({count} {WORDS})")),
        }
    }
}

/// Prints a time as in RFC 3339, in UTC with milliseconds.
pub struct Rfc3339(pub SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The format has four digits for the year.
        const LAST: Duration = Duration::from_millis(253_402_300_799_999);
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millisecond = since.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

/// The year, month and day that is `days` days after 1970-01-01. Internally a year starts in March, so that the leap
/// day is its last day; 400 years have 146,097 days.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + year_of_era + u64::from(is_next_year), month, day)
}

/// The colour of a line of a trace, as a terminal knows it (ECMA-48, 8.3.117): cyan for a request, green for an answer,
/// red for a refusal, faint for what belongs to the line above.
fn colour_of(line: &str) -> u8 {
    const COLOURS: [(&str, u8); 3] = [("→", 36), ("←", 32), ("✗", 31)];
    const FAINT: u8 = 2;
    COLOURS.iter().find(|(mark, _)| line.starts_with(mark)).map_or(FAINT, |(_, colour)| *colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_has_it() {
        let check = |milliseconds: u64, expected: &str| {
            let time = UNIX_EPOCH + Duration::from_millis(milliseconds);
            assert_eq!(Rfc3339(time).to_string(), expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_007, "2000-02-29T00:00:00.007Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_767_225_599_999, "2025-12-31T23:59:59.999Z");
        check(1_767_225_600_000, "2026-01-01T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        check(999_999_999_999_999, "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_line_has_its_logs_format_the_count_of_lost_ones_too() {
        let clock: Clock = Arc::new(|| UNIX_EPOCH);
        let timed = Form::Timed(Arc::clone(&clock));
        assert_eq!(timed.apply("a".to_owned()), "1970-01-01T00:00:00.000Z a");
        assert!(timed.missing(3).starts_with("1970-01-01T00:00:00.000Z (3 more log lines"));
        let json = Form::Json(clock);
        assert_eq!(json.apply("{}".to_owned()), "{}");
        let lost: serde_json::Value = serde_json::from_str(&json.missing(3)).expect("JSON");
        assert_eq!((&lost["time"], &lost["lost_lines"]), (&"1970-01-01T00:00:00.000Z".into(), &3.into()));
    }
}
