//! The tests' clock, which stands still until it is moved, and their random bytes, the same in every run.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oauth_from_scratch::system::System;

use super::random::Random;

/// A clock that begins at 2026-01-01 00:00:00, and random bytes that differ at every draw.
pub struct TestSystem {
    start: Instant,
    moved: Mutex<Duration>,
    /// How far the time of day is ahead of that.
    ahead: Mutex<Duration>,
    drawn: AtomicU64,
    dice: Dice,
}

/// What becomes of a draw.
#[derive(Clone, Copy, PartialEq)]
pub enum Dice {
    Fair,
    Broken,
    Panicking,
}

impl TestSystem {
    pub fn new() -> Arc<TestSystem> {
        TestSystem::with(Dice::Fair, 0)
    }

    /// `seed` is the number of the first draw.
    pub fn with(dice: Dice, seed: u64) -> Arc<TestSystem> {
        Arc::new(TestSystem {
            start: Instant::now(),
            moved: Mutex::default(),
            ahead: Mutex::default(),
            drawn: AtomicU64::new(seed),
            dice,
        })
    }

    /// Lets `time` go by.
    pub fn wait(&self, time: Duration) {
        *self.moved.lock().unwrap() += time;
    }

    /// Moves the clock to `time` after its start.
    pub fn move_to(&self, time: Duration) {
        *self.moved.lock().unwrap() = time;
    }

    /// Sets the time of day ahead of the time that has passed, or back to it.
    pub fn set_ahead(&self, time: Duration) {
        *self.ahead.lock().unwrap() = time;
    }
}

impl System for TestSystem {
    fn monotonic(&self) -> Instant {
        self.start + *self.moved.lock().unwrap()
    }

    fn wall_clock(&self) -> SystemTime {
        UNIX_EPOCH
            + Duration::from_secs(1_767_225_600)
            + *self.moved.lock().unwrap()
            + *self.ahead.lock().unwrap()
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        // The first draw is the server's, when it starts.
        match self.dice {
            _ if self.drawn.load(Ordering::Relaxed) == 0 => {}
            Dice::Fair => {}
            Dice::Broken => return Err(io::Error::other("no dice")),
            Dice::Panicking => panic!("these dice panic, as the test wants"),
        }
        Random::new(self.drawn.fetch_add(1, Ordering::Relaxed)).fill(bytes);
        Ok(())
    }
}
