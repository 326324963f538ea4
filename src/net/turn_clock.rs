//! The clocks as read once in each turn: all that happens in a turn happens at one clock.

use std::time::{Duration, Instant};

use crate::http::Date;
use crate::oauth::Timestamp;
use crate::system::System;

/// How long a reading of the wall clock serves. Grants know no shorter time; a busy worker has a hundred turns in
/// it.
const WALL_CLOCK_KEPT: Duration = Duration::from_millis(1);

/// One reading of both clocks.
pub(super) struct TurnClock {
    pub(super) now: Instant,
    pub(super) timestamp: Timestamp,
    /// Made anew when the second changes.
    pub(super) date: Date,
    /// When the wall clock is to be read again.
    wall_clock_until: Instant,
}

impl TurnClock {
    pub(super) fn new(system: &dyn System) -> TurnClock {
        let (now, timestamp) = (system.monotonic(), Timestamp::from_system_time(system.wall_clock()));
        let date = Date::of_second(timestamp.as_seconds());
        TurnClock { now, timestamp, date, wall_clock_until: now + WALL_CLOCK_KEPT }
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    /// Two clocks that go apart, each set by hand.
    struct Clocks {
        start: Instant,
        /// The monotonic one, from `start`; the wall clock, from the epoch.
        set: Mutex<(Duration, Duration)>,
    }

    impl System for Clocks {
        fn monotonic(&self) -> Instant {
            self.start + self.set.lock().unwrap().0
        }

        fn wall_clock(&self) -> SystemTime {
            UNIX_EPOCH + self.set.lock().unwrap().1
        }

        fn fill(&self, _: &mut [u8]) -> io::Result<()> {
            Err(io::Error::other("nothing here is random"))
        }
    }

    #[test]
    fn the_wall_clock_is_read_once_a_millisecond_and_followed_wherever_it_goes() {
        let micros = Duration::from_micros;
        let clocks = Clocks { start: Instant::now(), set: Mutex::new((micros(0), micros(5_000_000))) };
        let mut clock = TurnClock::new(&clocks);
        // The monotonic clock, the wall clock, and what the wall clock is taken to be, in microseconds.
        for (now, wall, expected) in [
            (999, 7_000_000, 5_000_000),
            (1_000, 5_999_000, 5_999_000),
            (1_999, 6_000_000, 5_999_000),
            (2_000, 6_000_000, 6_000_000),
            (9_000, 3_500_000, 3_500_000),
        ] {
            *clocks.set.lock().unwrap() = (micros(now), micros(wall));
            clock.update(&clocks);
            let expected = Timestamp::from_system_time(UNIX_EPOCH + micros(expected));
            assert_eq!((clock.now, clock.timestamp), (clocks.start + micros(now), expected), "at {now}");
            assert_eq!(clock.date, Date::of_second(expected.as_seconds()), "at {now}");
        }
    }
}
