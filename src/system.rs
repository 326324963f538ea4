//! The only source of time and of random bytes, behind a trait that a test can replace.
//!
//! All other modules take the time and random bytes as arguments. So a test can play a timeout, an expiry or a lost
//! race without waiting, and the same inputs always give the same result.

use std::cell::RefCell;
use std::io;
use std::time::{Instant, SystemTime};

/// What the server needs from the machine beside sockets: two clocks and a random number generator.
pub trait System: Send + Sync {
    /// A clock that never goes back, for timeouts.
    fn monotonic(&self) -> Instant;

    /// The time of day: for the `Date` field and for the expiry of grants, which may outlive the process.
    fn wall_clock(&self) -> SystemTime;

    /// Fills `bytes` with cryptographically secure random bytes.
    ///
    /// # Errors
    /// When the source fails; `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The machine itself: the operating system's clocks and its random number generator.
///
/// A virtual machine that is restored twice from one snapshot has the same memory twice, so buffered random bytes
/// would be used twice. The kernel reseeds its generator after a restore if the hypervisor reports it (vmgenid); a
/// program gets no notice. So bytes are buffered for the current turn of the loop at most: each turn starts by reading
/// the monotonic clock, which discards the thread's buffer. A turn that draws once buffers nothing.
#[derive(Default)]
pub struct RealSystem {}

/// The most bytes that a turn buffers. A system call costs a third of a microsecond, and a busy turn draws for dozens
/// of requests; but a kilobyte costs one and a half.
const BLOCK_BYTES: usize = 1024;

/// The size of a turn's second draw. Each later draw is four times as large, up to [`BLOCK_BYTES`].
const FIRST_BLOCK_BYTES: usize = 256;

thread_local! {
    static BLOCK: RefCell<Block> = const { RefCell::new(Block::new()) };
}

/// Random bytes of one turn of one thread.
struct Block {
    bytes: [u8; BLOCK_BYTES],
    /// The number of unused bytes, at the end of `bytes`.
    left: usize,
    /// The size of the turn's next draw; 0 before the first, which draws exactly what is needed.
    next: usize,
}

impl Block {
    const fn new() -> Block {
        Block { bytes: [0; BLOCK_BYTES], left: 0, next: 0 }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        if self.left < bytes.len() {
            let count = self.next;
            self.next = (count * 4).clamp(FIRST_BLOCK_BYTES, BLOCK_BYTES);
            if bytes.len() > count {
                return draw(bytes);
            }
            // If the draw fails, the block must count as empty.
            self.left = 0;
            draw(&mut self.bytes[BLOCK_BYTES - count..])?;
            self.left = count;
        }
        let start = BLOCK_BYTES - self.left;
        let ours = &mut self.bytes[start..start + bytes.len()];
        bytes.copy_from_slice(ours);
        ours.fill(0);
        self.left -= bytes.len();
        Ok(())
    }

    /// Wipes the unused bytes when a turn starts.
    fn drop_rest(&mut self) {
        if self.next > 0 {
            self.bytes[BLOCK_BYTES - self.left..].fill(0);
            (self.left, self.next) = (0, 0);
        }
    }
}

fn draw(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}

impl System for RealSystem {
    fn monotonic(&self) -> Instant {
        BLOCK.with_borrow_mut(Block::drop_rest);
        Instant::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        BLOCK.with_borrow_mut(|block| block.fill(bytes))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// For unit tests: a machine whose clocks the test moves, and whose random bytes are all the same.
    pub(crate) struct TestSystem {
        /// The monotonic clock's first value.
        pub(crate) start: Instant,
        pace: Pace,
        /// How far the test has moved the monotonic clock from `start`, and the time of day from 1970.
        moved: Mutex<(Duration, Duration)>,
    }

    /// How the clocks of a [`TestSystem`] move by themselves.
    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Pace {
        Still,
        /// Both are moved by this much whenever the monotonic clock is read.
        EachReading(Duration),
        /// Like the machine's.
        Real,
    }

    impl TestSystem {
        /// Clocks that stand still until the test moves them.
        pub(crate) fn new() -> Arc<TestSystem> {
            TestSystem::at(Pace::Still)
        }

        pub(crate) fn at(pace: Pace) -> Arc<TestSystem> {
            Arc::new(TestSystem { start: Instant::now(), pace, moved: Mutex::default() })
        }

        /// Moves both clocks.
        pub(crate) fn wait(&self, time: Duration) {
            let mut moved = self.moved.lock().unwrap();
            moved.0 += time;
            moved.1 += time;
        }

        /// Sets the two clocks apart: `passed` after the start, and `of_day` after 1970.
        pub(crate) fn set(&self, passed: Duration, of_day: Duration) {
            *self.moved.lock().unwrap() = (passed, of_day);
        }

        /// The time that has gone by without the test.
        fn run(&self) -> Duration {
            if self.pace == Pace::Real { self.start.elapsed() } else { Duration::ZERO }
        }
    }

    impl System for TestSystem {
        fn monotonic(&self) -> Instant {
            if let Pace::EachReading(step) = self.pace {
                self.wait(step);
            }
            self.start + self.run() + self.moved.lock().unwrap().0
        }

        fn wall_clock(&self) -> SystemTime {
            UNIX_EPOCH + self.run() + self.moved.lock().unwrap().1
        }

        fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
            bytes.fill(7);
            Ok(())
        }
    }

    fn is_wiped(block: &Block) -> bool {
        block.bytes[..BLOCK_BYTES - block.left].iter().all(|byte| *byte == 0)
    }

    #[test]
    fn random_bytes_are_neither_drawn_ahead_nor_shared_by_turns() {
        let system = RealSystem::default();
        let draw = || {
            let mut bytes = [0; 48];
            system.fill(&mut bytes).unwrap();
            bytes
        };
        let left = || BLOCK.with_borrow(|block| (block.left, is_wiped(block)));
        system.monotonic();
        let first = draw();
        assert_eq!(left(), (0, true), "a snapshot of the machine would repeat what is kept here");
        let second = draw();
        assert_eq!(left(), (FIRST_BLOCK_BYTES - 48, true));
        let third = draw();
        assert_eq!(left(), (FIRST_BLOCK_BYTES - 96, true));
        system.monotonic();
        assert_eq!(left(), (0, true), "another turn");
        // By chance, two of these agree once in 2^384 runs.
        assert!(first != second && second != third && third != first);
    }

    #[test]
    fn bytes_that_are_drawn_ahead_are_given_out_once_and_wiped() {
        let mut block = Block::new();
        let mut drawn = Vec::new();
        for length in [48, 32, 48, 1000, 1024, 2000, 1, 0] {
            let mut bytes = vec![0; length];
            block.fill(&mut bytes).unwrap();
            assert!(is_wiped(&block), "what was given out is wiped");
            drawn.push(bytes);
        }
        // By chance, a kilobyte has no more than 30 zeros in a row; two pieces that agree would be the same bytes.
        let all: Vec<u8> = drawn.concat();
        assert!(all.windows(30).all(|piece| piece.iter().any(|byte| *byte != 0)));
    }
}
