//! What other threads send to a worker: accepted connections and completions; and how they wake it.
//!
//! A worker sleeps in its event queue, so a message goes into a list behind a lock, followed by an event from mio's
//! waker. `is_woken` saves the system call while the worker has yet to react to the previous one.
//!
//! The inbox is the [`Mailbox`] of the store and of the pool. It also decides races between a completion and a client
//! that gives up: whichever takes the lock first wins. If the client gave up first, the store learns of it, and
//! withdraws what it applied.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::net::TcpStream;
use mio::{Poll, Token, Waker};

use super::driver::Driver;
use super::eviction::Room;
use crate::routes::{Completion, Role};
use crate::store::{Applied, Mailbox, Ticket};

/// The messages for one worker.
pub(super) struct Inbox {
    waker: Waker,
    accepted: Mutex<Vec<Accepted>>,
    /// What the store and the pool have sent.
    completions: Mutex<Completions>,
    /// The worker has been woken and has not yet taken the completions.
    is_woken: AtomicBool,
    /// How many connections the worker has, those that are still in the inbox included.
    load: AtomicUsize,
    /// The inbox of the worker that is out of descriptors and asks this one to close an idle connection.
    requester: Mutex<Option<Arc<Inbox>>>,
    /// Another worker has closed a connection for this one.
    has_freed: AtomicBool,
}

/// Completions, and requests whose completion no client waits for.
#[derive(Default)]
struct Completions {
    unread: Vec<(Ticket, Completion)>,
    /// The serial numbers of requests that the store has yet to complete and whose clients have given up. Each is
    /// removed when the store completes the request, which it does exactly once, or by [`Inbox::forget`].
    abandoned: HashSet<u64>,
}

/// A connection that the acceptor has accepted.
pub(super) struct Accepted {
    pub(super) role: Role,
    pub(super) address: IpAddr,
    pub(super) socket: TcpStream,
}

impl Inbox {
    /// An inbox whose worker is woken through `poll`, by an event with `token`.
    pub(super) fn new(poll: &Poll, token: Token) -> io::Result<Inbox> {
        Ok(Inbox {
            waker: Waker::new(poll.registry(), token)?,
            accepted: Mutex::default(),
            completions: Mutex::default(),
            is_woken: AtomicBool::new(false),
            load: AtomicUsize::new(0),
            requester: Mutex::default(),
            has_freed: AtomicBool::new(false),
        })
    }

    /// How many connections the worker has, those that are still in the inbox included. Other threads change the number
    /// at any time.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Counts `connections` more.
    pub(super) fn add_load(&self, connections: usize) {
        self.load.fetch_add(connections, Ordering::Relaxed);
    }

    /// Counts `connections` fewer: they have closed.
    pub(super) fn subtract_load(&self, connections: usize) {
        self.load.fetch_sub(connections, Ordering::Relaxed);
    }

    /// Makes the worker begin one more turn, always with a system call. [`Mailbox::wake`] skips it while an earlier
    /// wake is pending, but the worker may already be past the checks at the beginning of that turn.
    pub(super) fn begin_turn(&self) {
        let _ = self.waker.wake();
    }

    /// Whether another worker has closed a connection for this one since the last call.
    pub(super) fn take_freed(&self) -> bool {
        self.has_freed.swap(false, Ordering::AcqRel)
    }

    /// Asks this worker to close an idle connection for the worker of `requester`, and to tell it.
    pub(super) fn request_eviction(&self, requester: &Arc<Inbox>) {
        *lock(&self.requester) = Some(Arc::clone(requester));
        self.wake();
    }

    /// Closes an idle connection of `driver` if another worker has asked for it, and wakes that worker.
    pub(super) fn evict_if_requested(&self, driver: &mut Driver<TcpStream>) {
        let Some(requester) = lock(&self.requester).take() else { return };
        if driver.make_room() == Room::Made {
            requester.has_freed.store(true, Ordering::Release);
            requester.wake();
        }
    }

    /// Hands an accepted connection to this worker.
    pub(super) fn put_accepted(&self, accepted: Accepted) {
        lock(&self.accepted).push(accepted);
        self.wake();
    }

    /// The connections that have been handed over since the last call.
    pub(super) fn take_accepted(&self) -> Vec<Accepted> {
        std::mem::take(&mut *lock(&self.accepted))
    }

    /// Moves the completions into `read`, which must be empty and whose allocation is reused.
    pub(super) fn take_completions(&self, read: &mut Vec<(Ticket, Completion)>) {
        // Cleared before the list is taken: a later put wakes the worker again, and one whose wake was skipped is in
        // the list already.
        self.is_woken.swap(false, Ordering::AcqRel);
        std::mem::swap(&mut lock(&self.completions).unread, read);
    }

    /// Forgets that `ticket` was abandoned. For a completion that no request waits for: if its connection was closed
    /// after [`Inbox::take_completions`], the request was marked as abandoned too late for [`Mailbox::put`] to remove
    /// the mark, and it would stay forever.
    pub(super) fn forget(&self, ticket: Ticket) {
        lock(&self.completions).abandoned.remove(&ticket.serial);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A poisoned lock is safe to use: no change under it can panic halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailbox for Inbox {
    fn put(&self, ticket: Ticket, applied: Applied) -> bool {
        let mut completions = lock(&self.completions);
        completions.unread.push((ticket, Completion::Applied(applied)));
        completions.abandoned.is_empty() || !completions.abandoned.remove(&ticket.serial)
    }

    fn abandon(&self, ticket: Ticket) -> bool {
        let mut completions = lock(&self.completions);
        let is_put = completions.unread.iter().any(|(unread, _)| *unread == ticket);
        if !is_put {
            completions.abandoned.insert(ticket.serial);
        }
        !is_put
    }

    fn is_abandoned(&self, ticket: Ticket) -> bool {
        lock(&self.completions).abandoned.contains(&ticket.serial)
    }

    fn put_done(&self, ticket: Ticket) {
        lock(&self.completions).unread.push((ticket, Completion::JobDone));
    }

    fn put_ready(&self, ticket: Ticket) {
        lock(&self.completions).unread.push((ticket, Completion::Ready));
    }

    fn wake(&self) {
        // One system call is enough until the worker reacts. It fails only if the event queue is closed, and then no
        // worker sleeps in it.
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }
}

#[cfg(test)]
impl Inbox {
    /// The number of abandoned requests that the store has not completed yet.
    pub(super) fn abandoned(&self) -> usize {
        lock(&self.completions).abandoned.len()
    }
}
