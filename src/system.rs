//! The only clock and the only dice, behind a trait that a test can replace.
//!
//! Everything below is told the time and given its random bytes as arguments. So a time-out, an expiry or a
//! lost race is played in a test without waiting, and what the server does depends on what it was told alone.

use std::io;
use std::time::{Instant, SystemTime};

/// What the server takes from the machine beside sockets: two clocks and a source of secrets.
pub trait System: Send + Sync {
    /// A clock that never goes back: for time-outs.
    fn monotonic(&self) -> Instant;

    /// The time of day: for the `Date` field and for the expiry of grants, which may outlive the process.
    fn wall_clock(&self) -> SystemTime;

    /// Fills `bytes` with bytes that nobody can foretell.
    ///
    /// # Errors
    /// When the source fails; `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The machine itself: the operating system's clocks and its random number generator.
///
/// Random bytes are drawn when they are needed, and none lie in memory: a virtual machine that is restored twice from
/// one snapshot would hand out the same ones twice. The kernel's generator is told of a restore, where the hypervisor
/// says so (vmgenid); a program is not.
#[derive(Default)]
pub struct RealSystem {}

impl System for RealSystem {
    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_are_drawn_when_they_are_needed_and_none_lie_in_memory() {
        assert_eq!(size_of::<RealSystem>(), 0, "a snapshot of the machine would repeat what is kept here");
        let system = RealSystem::default();
        let draw = || {
            let mut bytes = [0; 48];
            system.fill(&mut bytes).unwrap();
            bytes
        };
        // By chance, these agree once in 2^384 runs.
        assert_ne!(draw(), draw());
    }
}
