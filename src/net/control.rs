//! How the workers are told to end.

use std::sync::atomic::{AtomicBool, Ordering};

/// What the workers and those who stop them share.
#[derive(Default)]
pub(super) struct Control {
    pub(super) stop: AtomicBool,
    /// The server is to finish: every answer may be its connection's last.
    pub(super) finish: AtomicBool,
    /// The door is shut: nobody is given a connection any more, and a worker that has none may end.
    pub(super) is_shut: AtomicBool,
}

impl Control {
    /// The server is about to end.
    pub(super) fn is_finishing(&self) -> bool {
        self.finish.load(Ordering::Acquire) || self.stop.load(Ordering::Acquire)
    }
}
