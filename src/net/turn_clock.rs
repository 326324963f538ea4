//! Both clocks, read once a turn: everything that happens in a turn happens at one time.
//!
//! Reading a clock for each request would cost a few dozen instructions each time, and two checks of one request could
//! see different times.

use std::time::{Duration, Instant};

use crate::http::Date;
use crate::oauth::Timestamp;
use crate::system::System;

/// How long a reading of the wall clock is used. Timestamps have millisecond resolution, and a busy worker has a
/// hundred turns in a millisecond.
const WALL_CLOCK_KEPT: Duration = Duration::from_millis(1);

/// The time of the current turn.
pub(super) struct TurnClock {
    pub(super) now: Instant,
    pub(super) timestamp: Timestamp,
    /// The `Date` of responses, formatted again when the second changes.
    pub(super) date: Date,
    /// When to read the wall clock again.
    wall_clock_until: Instant,
}

impl TurnClock {
    /// Reads both clocks.
    pub(super) fn new(system: &dyn System) -> TurnClock {
        let (now, timestamp) = (system.monotonic(), Timestamp::from_system_time(system.wall_clock()));
        let date = Date::of_second(timestamp.as_seconds());
        TurnClock { now, timestamp, date, wall_clock_until: now + WALL_CLOCK_KEPT }
    }

    /// Reads the monotonic clock, and the wall clock if its last reading is too old.
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::system::tests::TestSystem;

    #[test]
    fn the_wall_clock_is_read_once_a_millisecond_and_followed() {
        let micros = Duration::from_micros;
        let system = TestSystem::new();
        system.set(micros(0), micros(5_000_000));
        let mut clock = TurnClock::new(&*system);
        // The monotonic clock, the wall clock, and what the wall clock is taken to be, in microseconds.
        for (now, wall, expected) in [
            (999, 7_000_000, 5_000_000),
            (1_000, 5_999_000, 5_999_000),
            (1_999, 6_000_000, 5_999_000),
            (2_000, 6_000_000, 6_000_000),
            (9_000, 3_500_000, 3_500_000),
        ] {
            system.set(micros(now), micros(wall));
            clock.update(&*system);
            let expected = Timestamp::from_system_time(UNIX_EPOCH + micros(expected));
            assert_eq!((clock.now, clock.timestamp), (system.start + micros(now), expected), "at {now}");
            assert_eq!(clock.date, Date::of_second(expected.as_seconds()), "at {now}");
        }
    }
}
