//! Where a worker is given connections and answers by other threads, and woken for them.

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

/// Where a worker is given connections, and woken.
pub(super) struct Inbox {
    waker: Waker,
    accepted: Mutex<Vec<Accepted>>,
    /// What the store and the pool have said.
    completions: Mutex<Completions>,
    /// The worker has been woken and has not looked yet.
    is_woken: AtomicBool,
    /// The connections that were dealt to the worker, those in the inbox included, and have not closed.
    load: AtomicUsize,
    /// The worker that has run out of descriptors and asks this one to close an idle connection.
    requester: Mutex<Option<Arc<Inbox>>>,
    /// Another worker has closed one for this worker.
    has_freed: AtomicBool,
}

/// What the store and the pool have said, and what the store need not say any more.
#[derive(Default)]
struct Completions {
    unread: Vec<(Ticket, Completion)>,
    /// The serial numbers of requests whose answers reach no client. Each goes when the store answers it, which it
    /// does once.
    abandoned: HashSet<u64>,
}

/// A connection that the first worker has accepted for another one.
pub(super) struct Accepted {
    pub(super) role: Role,
    pub(super) address: IpAddr,
    pub(super) socket: TcpStream,
}

impl Inbox {
    /// An inbox whose owner is woken through the event queue of `poll`, by an event with the `token`.
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

    /// How many connections the worker has, or is about to have.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// The worker has this many more.
    pub(super) fn add_load(&self, connections: usize) {
        self.load.fetch_add(connections, Ordering::Relaxed);
    }

    /// This many of them have closed.
    pub(super) fn subtract_load(&self, connections: usize) {
        self.load.fetch_sub(connections, Ordering::Relaxed);
    }

    /// Makes the worker begin one more turn. [`Mailbox::wake`] spares the call while an earlier one is pending, and the
    /// worker may be past the checks at the beginning of a turn by then.
    pub(super) fn begin_turn(&self) {
        let _ = self.waker.wake();
    }

    /// Whether another worker has closed a connection for this one since the last call.
    pub(super) fn take_freed(&self) -> bool {
        self.has_freed.swap(false, Ordering::AcqRel)
    }

    /// Asks this inbox's worker to close an idle connection for `asker`'s.
    pub(super) fn request_eviction(&self, requester: &Arc<Inbox>) {
        *lock(&self.requester) = Some(Arc::clone(requester));
        self.wake();
    }

    /// Closes an idle connection of `engine` if another worker has asked for that, and says so to that worker.
    pub(super) fn evict_if_requested(&self, driver: &mut Driver<TcpStream>) {
        let Some(requester) = lock(&self.requester).take() else { return };
        if driver.make_room() == Room::Made {
            requester.has_freed.store(true, Ordering::Release);
            requester.wake();
        }
    }

    pub(super) fn put_accepted(&self, accepted: Accepted) {
        lock(&self.accepted).push(accepted);
        self.wake();
    }

    pub(super) fn take_accepted(&self) -> Vec<Accepted> {
        std::mem::take(&mut *lock(&self.accepted))
    }

    /// Exchanges the completions for `read`, which is empty.
    pub(super) fn take_completions(&self, read: &mut Vec<(Ticket, Completion)>) {
        // A sender that puts something from now on calls again; what was done before a call that was spared is seen.
        self.is_woken.swap(false, Ordering::AcqRel);
        std::mem::swap(&mut lock(&self.completions).unread, read);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each change is one call that does not panic halfway.
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

    fn wake(&self) {
        // One call is enough until it is heard. (It fails only when the queue is gone; then nobody sleeps.)
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }
}

#[cfg(test)]
impl Inbox {
    /// How many requests count as abandoned that the store has not answered yet.
    pub(super) fn abandoned(&self) -> usize {
        lock(&self.completions).abandoned.len()
    }
}
