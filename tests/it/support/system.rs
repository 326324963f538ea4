//! The tests' clocks, which stand still until they are moved, and their random bytes, the same in every run.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oauth_from_scratch::system::System;

use super::random::Random;

/// Clocks of its own, and random bytes that differ at every draw.
pub struct TestSystem {
    start: Instant,
    clocks: Clocks,
    moved: Mutex<Duration>,
    /// How far the time of day is ahead of that.
    ahead: Mutex<Duration>,
    drawn: AtomicU64,
    random: RandomSource,
    panics_in_pool: AtomicBool,
}

/// What the clocks show.
#[derive(Clone, Copy, PartialEq)]
enum Clocks {
    /// Both stand still until they are moved; the time of day begins at 2026-01-01 00:00:00.
    Still,
    /// The monotonic one stands still until it is moved; the time of day is the machine's, by which a store judges an
    /// engine's clock.
    OfStore,
    /// The monotonic one goes on by itself, too.
    OfStoreRunning,
}

/// What becomes of a draw of random bytes.
#[derive(Clone, Copy, PartialEq)]
pub enum RandomSource {
    Works,
    /// Every draw gives the same.
    Repeats,
    Fails,
    Panics,
}

impl TestSystem {
    pub fn new() -> Arc<TestSystem> {
        TestSystem::with(RandomSource::Works, 0)
    }

    /// `seed` is the number of the first draw.
    pub fn with(random: RandomSource, seed: u64) -> Arc<TestSystem> {
        TestSystem::of(Clocks::Still, random, seed)
    }

    /// For a store alone. No two of them draw the same.
    pub fn for_store() -> Arc<TestSystem> {
        TestSystem::of(Clocks::OfStore, RandomSource::Works, TestSystem::own_seed())
    }

    /// The same, with a monotonic clock that goes on by itself.
    pub fn running_for_store() -> Arc<TestSystem> {
        TestSystem::of(Clocks::OfStoreRunning, RandomSource::Works, TestSystem::own_seed())
    }

    /// For a store that writes the same bytes each time.
    pub fn repeating_for_store() -> Arc<TestSystem> {
        TestSystem::of(Clocks::OfStore, RandomSource::Repeats, 0)
    }

    /// Far from those of all other systems.
    fn own_seed() -> u64 {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        COUNT.fetch_add(1, Ordering::Relaxed) << 32
    }

    fn of(clocks: Clocks, random: RandomSource, seed: u64) -> Arc<TestSystem> {
        Arc::new(TestSystem {
            start: Instant::now(),
            clocks,
            moved: Mutex::default(),
            ahead: Mutex::default(),
            drawn: AtomicU64::new(seed),
            random,
            panics_in_pool: AtomicBool::new(false),
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

    /// Sets whether the clock panics where a thread of the pool reads it.
    pub fn panic_in_pool(&self, panics: bool) {
        self.panics_in_pool.store(panics, Ordering::Relaxed);
    }
}

impl System for TestSystem {
    fn monotonic(&self) -> Instant {
        let is_pool = || std::thread::current().name() == Some("pool");
        let panics = self.panics_in_pool.load(Ordering::Relaxed) && is_pool();
        assert!(!panics, "this clock panics, as the test wants");
        let now = if self.clocks == Clocks::OfStoreRunning { Instant::now() } else { self.start };
        now + *self.moved.lock().unwrap()
    }

    fn wall_clock(&self) -> SystemTime {
        if self.clocks != Clocks::Still {
            return SystemTime::now();
        }
        UNIX_EPOCH
            + Duration::from_secs(1_767_225_600)
            + *self.moved.lock().unwrap()
            + *self.ahead.lock().unwrap()
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        match self.random {
            RandomSource::Repeats => bytes.fill(7),
            // The first draw is the server's, when it starts.
            RandomSource::Fails if number > 0 => return Err(io::Error::other("no random bytes")),
            RandomSource::Panics if number > 0 => panic!("this random source panics, as the test wants"),
            _ => Random::new(number).fill(bytes),
        }
        Ok(())
    }
}
