//! The clock as read once in each turn: all that happens in a turn happens at one moment.

use std::time::Instant;

use crate::http::date::Date;
use crate::oauth::Timestamp;
use crate::system::System;

/// One reading of both clocks.
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) timestamp: Timestamp,
    /// Made anew when the second changes.
    pub(super) date: Date,
}

impl Moment {
    pub(super) fn new(system: &dyn System) -> Moment {
        let timestamp = Timestamp::from_system_time(system.wall_clock());
        Moment { now: system.monotonic(), timestamp, date: Date::of_second(timestamp.as_seconds()) }
    }

    pub(super) fn update(&mut self, system: &dyn System) {
        let timestamp = Timestamp::from_system_time(system.wall_clock());
        if timestamp.as_seconds() != self.timestamp.as_seconds() {
            self.date = Date::of_second(timestamp.as_seconds());
        }
        self.timestamp = timestamp;
        self.now = system.monotonic();
    }
}
