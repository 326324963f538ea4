//! A wall clock that never goes back, shared by all workers.
//!
//! A store forgets what has expired, including the mark that a form was answered. If the machine's clock jumps ten
//! minutes forward and back again, the mark is gone and the form is valid once more: it would work twice. So the time
//! here is the monotonic clock plus the largest difference between the two clocks seen so far. When the machine's clock
//! is set forward, this one follows, and what expires early stays expired. When it is set back, this one runs on, ahead
//! of the machine's, until the server is restarted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::log::Log;
use crate::system::System;

/// A clock that is set back by less than this is not logged: time synchronization does it all the time.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// A [`System`] whose wall clock never goes back. All workers must share one.
pub(super) struct Clock {
    system: Arc<dyn System>,
    start: Instant,
    /// The latest wall-clock time computed for `start`, in nanoseconds since 1970. 64 bits last until 2554.
    start_of_day: AtomicU64,
    /// How far ahead of the machine's clock this one was when that was last logged, in seconds; 0 when they agree.
    logged_ahead: AtomicU64,
    log: Log,
}

impl Clock {
    /// A clock on top of `system`, which logs to `log` when the machine's clock is set back.
    pub(super) fn new(system: Arc<dyn System>, log: Log) -> Clock {
        let start = system.monotonic();
        Clock { system, start, start_of_day: AtomicU64::new(0), logged_ahead: AtomicU64::new(0), log }
    }

    #[cold]
    fn log_set_back(&self, ahead: Duration) {
        // Log each time the clock is set back further, and not repeatedly while it is behind.
        let seconds = ahead.as_secs();
        if self.logged_ahead.fetch_max(seconds, Ordering::Relaxed) < seconds {
            self.log.line(format_args!(
                "the machine's clock was set back: it is {seconds} seconds behind the server's; the server keeps \
                 its own time until it is restarted, so that what has expired stays expired"
            ));
        }
    }
}

impl System for Clock {
    fn monotonic(&self) -> Instant {
        self.system.monotonic()
    }

    fn wall_clock(&self) -> SystemTime {
        let passed = self.system.monotonic().saturating_duration_since(self.start);
        let told = self.system.wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = u64::try_from(told.saturating_sub(passed).as_nanos()).unwrap_or(u64::MAX);
        let latest = self.start_of_day.fetch_max(start, Ordering::Relaxed).max(start);
        let ahead = Duration::from_nanos(latest - start);
        if ahead >= WORTH_A_LINE {
            self.log_set_back(ahead);
        } else if self.logged_ahead.load(Ordering::Relaxed) > 0 {
            self.logged_ahead.store(0, Ordering::Relaxed);
        }
        UNIX_EPOCH + Duration::from_nanos(latest) + passed
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.system.fill(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tests::TestSystem;

    #[test]
    fn the_time_follows_a_clock_set_forward_but_not_back() {
        let (system, seconds) = (TestSystem::new(), Duration::from_secs);
        system.set(seconds(0), seconds(1000));
        let log = Log::kept();
        let shared: Arc<dyn System> = Arc::<TestSystem>::clone(&system);
        let clock = Clock::new(shared, log.clone());
        // The monotonic clock, the machine's time of day, and the time of day that is taken from them.
        for (passed, told, expected, lines) in [
            (0, 1000, 1000, 0),
            (5, 1005, 1005, 0),
            (6, 1606, 1606, 0),
            // Back by ten minutes: it neither goes back nor stands still, or nothing would expire meanwhile.
            (7, 1007, 1607, 1),
            (100, 1100, 1700, 1),
            // Back before 1970, or as good as.
            (101, 0, 1701, 2),
            // Forward, to less and then to more than it was.
            (102, 1300, 1702, 2),
            (103, 9103, 9103, 2),
            (104, 9100, 9104, 3),
        ] {
            system.set(seconds(passed), seconds(told));
            assert_eq!(clock.wall_clock(), UNIX_EPOCH + seconds(expected), "at {passed}");
            assert_eq!(log.lines().len(), lines, "at {passed}: {:?}", log.lines());
        }
        assert!(log.lines()[0].contains("it is 600 seconds behind the server's"), "{:?}", log.lines());
    }
}
