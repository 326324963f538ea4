//! Stops, reloads or wakes a running server from another thread.
//!
//! A handle sets flags and wakes the workers; it never blocks, and the workers act on the flags in their next turn.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::control::Control;
use super::inbox::Inbox;
use super::reload::Reload;
use crate::store::Mailbox as _;

/// Controls a running server from another thread. Clones control the same server.
#[derive(Clone)]
pub struct Handle {
    pub(super) control: Arc<Control>,
    pub(super) inboxes: Vec<Arc<Inbox>>,
    pub(super) reload: Option<Arc<Reload>>,
}

impl Handle {
    /// Makes [`Server::run`](super::Server::run) return at once, with requests left unanswered.
    pub fn stop(&self) {
        self.control.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Makes [`Server::run`](super::Server::run) return when every request received so far is answered, or
    /// `finish_time_max` has passed. No more connections are accepted.
    pub fn finish(&self) {
        self.control.finish.store(true, Ordering::Release);
        self.wake();
    }

    /// Reloads the configuration as configured with [`Server::reload_with`](super::Server::reload_with); does nothing
    /// if that was not called. Returns once.
    pub fn reload(&self) {
        self.reload.iter().for_each(Reload::request);
    }

    /// Makes each worker begin a turn, which reads the clock. Tests that move a clock call this.
    pub fn wake(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.wake());
    }
}
