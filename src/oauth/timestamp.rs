//! Moments, as records keep them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in milliseconds since 1970 began; it means the same in another process and on another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment that a clock showed; one before 1970 counts as 1970.
    pub fn from_system_time(time: SystemTime) -> Timestamp {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(milliseconds(since))
    }

    /// The time in milliseconds since 1970-01-01 UTC.
    pub const fn from_milliseconds(milliseconds: u64) -> Timestamp {
        Timestamp(milliseconds)
    }

    /// The milliseconds since 1970 began.
    pub fn as_milliseconds(self) -> u64 {
        self.0
    }

    /// The whole seconds since 1970 began, as `exp` and `iat` have them (RFC 7662, 2.2).
    pub fn as_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `later` after this one, or the last there is.
    pub fn after(self, later: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(milliseconds(later)))
    }

    /// How long it is from `earlier` until this moment; nothing, if this one comes first.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Whole milliseconds, without the 128 bits that std's own count of them takes.
fn milliseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(u64::from(time.subsec_millis()))
}
