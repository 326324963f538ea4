//! Times in records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time in milliseconds since 1970, independent of the process and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Converts the time of a clock; times before 1970 become 1970.
    pub fn from_system_time(time: SystemTime) -> Timestamp {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(milliseconds(since))
    }

    /// The time in milliseconds since 1970-01-01 UTC.
    pub const fn from_milliseconds(milliseconds: u64) -> Timestamp {
        Timestamp(milliseconds)
    }

    /// Milliseconds since 1970.
    pub fn as_milliseconds(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970, as in `exp` and `iat` (RFC 7662, 2.2).
    pub fn as_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This time plus `later`, at most the maximum.
    pub fn after(self, later: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(milliseconds(later)))
    }

    /// The duration since `earlier`; zero if this time is before it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Whole milliseconds, in 64 bits; std's count has 128.
fn milliseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(u64::from(time.subsec_millis()))
}
