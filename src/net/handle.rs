//! The ends of a server, as another thread brings them about.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::control::Control;
use super::inbox::Inbox;
use super::reload::Reload;
use crate::store::Mailbox as _;

/// Ends or wakes a server from another thread.
#[derive(Clone)]
pub struct Handle {
    pub(super) control: Arc<Control>,
    pub(super) inboxes: Vec<Arc<Inbox>>,
    pub(super) reload: Option<Arc<Reload>>,
}

impl Handle {
    /// Makes [`Server::run`](super::Server::run) return at once.
    pub fn stop(&self) {
        self.control.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Makes [`Server::run`](super::Server::run) return when everything that has been asked for is answered, or
    /// `finish_time_max` has passed. From now on nobody is let in.
    pub fn finish(&self) {
        self.control.finish.store(true, Ordering::Release);
        self.wake();
    }

    /// Reads the configuration again, as [`Server::reload_with`](super::Server::reload_with) says how; without that, does nothing. Returns at
    /// once.
    pub fn reload(&self) {
        self.reload.iter().for_each(Reload::request);
    }

    /// Makes the server look at its clock: whoever moves a test's clock calls this.
    pub fn wake(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.wake());
    }
}
