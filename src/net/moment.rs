//! The clocks as read once in each turn: all that happens in a turn happens at one moment.

use std::time::{Duration, Instant};

use crate::http::date::Date;
use crate::oauth::Timestamp;
use crate::system::System;

/// How long a reading of the wall clock serves. Grants know no shorter time; a busy worker has a hundred turns in
/// it.
const WALL_CLOCK_KEPT: Duration = Duration::from_millis(1);

/// One reading of both clocks.
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) timestamp: Timestamp,
    /// Made anew when the second changes.
    pub(super) date: Date,
    /// When the wall clock is to be read again.
    wall_clock_until: Instant,
}

impl Moment {
    pub(super) fn new(system: &dyn System) -> Moment {
        let (now, timestamp) = (system.monotonic(), Timestamp::from_system_time(system.wall_clock()));
        let date = Date::of_second(timestamp.as_seconds());
        Moment { now, timestamp, date, wall_clock_until: now + WALL_CLOCK_KEPT }
    }

    pub(super) fn update(&mut self, system: &dyn System) {
        self.now = system.monotonic();
        if self.now < self.wall_clock_until {
            return;
        }
        self.wall_clock_until = self.now + WALL_CLOCK_KEPT;
        let timestamp = Timestamp::from_system_time(system.wall_clock());
        if timestamp.as_seconds() != self.timestamp.as_seconds() {
            self.date = Date::of_second(timestamp.as_seconds());
        }
        self.timestamp = timestamp;
    }
}
