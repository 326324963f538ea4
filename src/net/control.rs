//! Flags that tell the workers to end.
//!
//! A shutdown has an order: `finish` is set first, and every response from then on may be its connection's last. The
//! acceptor then accepts what waits in the backlog, closes the listening sockets and sets `is_shut`. Only then may a
//! worker without connections end; one that ended sooner would never serve a connection assigned to it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by the workers and the handles that stop them.
#[derive(Default)]
pub(super) struct Control {
    /// Return at once.
    pub(super) stop: AtomicBool,
    /// Answer what has been received, close each connection after its last response, then return.
    pub(super) finish: AtomicBool,
    /// The listening sockets are closed: no worker gets another connection, and one that has none may end.
    pub(super) is_shut: AtomicBool,
}

impl Control {
    /// Whether a shutdown has begun.
    pub(super) fn is_finishing(&self) -> bool {
        self.finish.load(Ordering::Acquire) || self.stop.load(Ordering::Acquire)
    }
}
