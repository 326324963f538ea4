//! The only clock and the only dice, behind a trait that a test can replace.
//!
//! Everything below is told the time and given its random bytes as arguments. So a time-out, an expiry or a
//! lost race is played in a test without waiting, and what the server does depends on what it was told alone.

use std::io;
use std::sync::{Mutex, PoisonError};
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
#[derive(Default)]
pub struct RealSystem {
    block: Mutex<Block>,
}

/// How many random bytes are drawn from the operating system at a time: a system call for each secret would
/// cost more than all the rest of making it.
const BLOCK_BYTES: usize = 4096;

/// Random bytes drawn ahead. Each is given out once, and is nowhere in memory afterwards.
struct Block {
    bytes: [u8; BLOCK_BYTES],
    /// How many at the end have not been given out.
    left: usize,
}

impl Default for Block {
    fn default() -> Block {
        Block { bytes: [0; BLOCK_BYTES], left: 0 }
    }
}

impl Block {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        if self.left < bytes.len() {
            // Until the call has succeeded there is nothing to give out.
            self.left = 0;
            draw(&mut self.bytes)?;
            self.left = BLOCK_BYTES;
        }
        let start = BLOCK_BYTES - self.left;
        let ours = &mut self.bytes[start..start + bytes.len()];
        bytes.copy_from_slice(ours);
        ours.fill(0);
        self.left -= bytes.len();
        Ok(())
    }
}

fn draw(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}

impl System for RealSystem {
    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.len() > BLOCK_BYTES {
            return draw(bytes);
        }
        // A panic elsewhere leaves the block as it was before or after a draw.
        self.block.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_drawn_ahead_are_given_out_once_and_wiped() {
        let mut block = Block::default();
        let mut drawn = Vec::new();
        for length in [48, 32, 48, 4000, 4096, 1, 0] {
            let mut bytes = vec![0; length];
            block.fill(&mut bytes).unwrap();
            let given = BLOCK_BYTES - block.left;
            assert!(block.bytes[..given].iter().all(|byte| *byte == 0), "what was given out is wiped");
            drawn.push(bytes);
        }
        // By chance, two of these would agree once in 2^256 runs.
        assert!(drawn[0] != drawn[2] && drawn[0][..32] != drawn[1][..] && drawn[3][..48] != drawn[0][..]);
        assert!(drawn[..5].iter().all(|bytes| bytes.iter().any(|byte| *byte != 0)));
    }
}
