//! The clock as read once in each turn: all that happens in a turn happens at one moment.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::oauth::Timestamp;
use crate::system::System;

/// One reading of both clocks.
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) timestamp: Timestamp,
    pub(super) wall_clock: SystemTime,
    /// The Date field's value, made anew when the second changes.
    pub(super) date: String,
    date_second: u64,
}

impl Moment {
    pub(super) fn new(system: &dyn System) -> Moment {
        let mut moment = Moment {
            now: system.monotonic(),
            timestamp: Timestamp::from_system_time(UNIX_EPOCH),
            wall_clock: UNIX_EPOCH,
            date: String::new(),
            date_second: u64::MAX,
        };
        moment.update(system);
        moment
    }

    pub(super) fn update(&mut self, system: &dyn System) {
        self.wall_clock = system.wall_clock();
        self.now = system.monotonic();
        self.timestamp = Timestamp::from_system_time(self.wall_clock);
        let second = self.wall_clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if second != self.date_second {
            self.date_second = second;
            self.date = format_date(self.wall_clock);
        }
    }
}

/// `time` as the Date field has it (RFC 9110, 5.6.7).
fn format_date(time: SystemTime) -> String {
    // The format ends with the year 9999, and its implementation panics beyond.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}
