//! Accepts connections, and deals each to the worker that has the fewest.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

use super::driver::Driver;
use super::eviction::Room;
use super::inbox::{Accepted, Inbox};
use super::listeners::Listener;
use super::tokens::{FIRST_CONNECTION, FIRST_LISTENER};
use crate::log::Log;

/// The listening sockets, and all workers' inboxes, the own one first.
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    inboxes: Vec<Arc<Inbox>>,
    /// Whether at any of the listeners connections may be waiting.
    is_ready: bool,
    /// Until when accepting pauses for want of descriptors.
    accept_again: Option<Instant>,
    accept_retry_time: Duration,
    log: Log,
}

impl Acceptor {
    /// An acceptor that hears of `listeners` through `poll`, and deals to `inboxes`, of which the first is its own
    /// worker's.
    pub(super) fn new(
        poll: &Poll,
        mut listeners: Vec<Listener>,
        inboxes: Vec<Arc<Inbox>>,
        accept_retry_time: Duration,
        log: Log,
    ) -> io::Result<Acceptor> {
        for (index, listener) in listeners.iter_mut().enumerate() {
            let token = Token(FIRST_LISTENER + index);
            poll.registry().register(&mut listener.socket, token, Interest::READABLE)?;
        }
        Ok(Acceptor { listeners, inboxes, is_ready: false, accept_again: None, accept_retry_time, log })
    }

    /// All workers' inboxes, the own one first.
    pub(super) fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inboxes
    }

    /// Until when accepting pauses for want of descriptors, if it does.
    pub(super) fn accept_again(&self) -> Option<Instant> {
        self.accept_again
    }

    /// Ends a pause: a descriptor is free.
    pub(super) fn accept_at_once(&mut self) {
        self.accept_again = None;
    }

    pub(super) fn note_all(&mut self) {
        (0..self.listeners.len()).for_each(|index| self.note(index));
    }

    pub(super) fn note(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
            self.is_ready = true;
        }
    }

    /// Accepts all connections that wait.
    pub(super) fn accept(&mut self, driver: &mut Driver<TcpStream>, poll: &Poll) {
        if !self.is_ready {
            return;
        }
        if self.accept_again.is_none_or(|again| again <= driver.now()) {
            self.accept_again = None;
            self.accept_all(driver, poll);
        }
    }

    /// Not a part of the turn, most of which have nobody to let in.
    #[inline(never)]
    fn accept_all(&mut self, driver: &mut Driver<TcpStream>, poll: &Poll) {
        for index in 0..self.listeners.len() {
            while self.listeners[index].ready {
                let listener = &mut self.listeners[index];
                match listener.socket.accept() {
                    Ok((socket, address)) => {
                        let (role, address) = (listener.role, address.ip());
                        self.deal(Accepted { role, address, socket }, driver, poll);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => listener.ready = false,
                    // A client that gave up while it waited, or a signal.
                    Err(error) if is_of_one_client(&error) => {}
                    Err(error) => match driver.make_room() {
                        // Each time closes a connection that was there before this turn, so this ends. (The kernel
                        // says that it has no descriptor before it looks whether anyone waits. So one stays free.)
                        Room::Made => self.tell_of_eviction(&error, driver),
                        Room::NextTurn => return self.accept_again = Some(driver.now() + NEXT_TURN),
                        Room::None => return self.pause_accepting(&error, driver),
                    },
                }
            }
        }
        self.is_ready = false;
    }

    /// To the worker with the fewest connections; to this one, if it is among them.
    fn deal(&mut self, accepted: Accepted, driver: &mut Driver<TcpStream>, poll: &Poll) {
        // Answers are written whole; waiting to fill a packet would only delay them. Failure costs time alone.
        let _ = accepted.socket.set_nodelay(true);
        let others = self.inboxes.iter().skip(1).min_by_key(|inbox| inbox.load());
        match others.filter(|inbox| inbox.load() < driver.len()) {
            Some(inbox) => {
                inbox.add_load(1);
                inbox.put_accepted(accepted);
            }
            None => open(accepted, driver, poll),
        }
    }

    fn tell_of_eviction(&self, error: &io::Error, driver: &Driver<TcpStream>) {
        self.log.line(format_args!(
            "accepting failed: {error}; the longest idle connection was closed for a new one, and {} are open in this \
             worker; {MORE_DESCRIPTORS}",
            driver.len()
        ));
    }

    /// Another worker may have an idle connection.
    fn pause_accepting(&mut self, error: &io::Error, driver: &Driver<TcpStream>) {
        if let Some((own, others)) = self.inboxes.split_first() {
            others.iter().for_each(|inbox| inbox.request_eviction(own));
        }
        self.log.line(format_args!(
            "accepting pauses: {error}; {} connections are open in this worker, and none is idle; {MORE_DESCRIPTORS}",
            driver.len()
        ));
        self.accept_again = Some(driver.now() + self.accept_retry_time);
    }
}

/// Until the next turn, which looks at what has arrived on the newest connections.
const NEXT_TURN: Duration = Duration::from_millis(1);

/// What an operator may do about it.
const MORE_DESCRIPTORS: &str = "raise the limit of open files (ulimit -n, or LimitNOFILE= of a systemd unit)";

/// Whether accepting failed because of the one client that was to be accepted (accept(2)).
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

pub(super) fn open(accepted: Accepted, driver: &mut Driver<TcpStream>, poll: &Poll) {
    let Accepted { role, address, socket } = accepted;
    driver.open(role, address, socket, |socket, slot| {
        // Both, once and for all: an edge-triggered queue says nothing of what does not change.
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(socket, Token(FIRST_CONNECTION + slot), interest)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_gave_up_pauses_nothing_and_a_want_of_descriptors_does() {
        let check = |kind: io::ErrorKind, expected: bool| {
            assert_eq!(is_of_one_client(&kind.into()), expected, "{kind:?}");
        };
        check(io::ErrorKind::ConnectionAborted, true);
        check(io::ErrorKind::ConnectionReset, true);
        check(io::ErrorKind::Interrupted, true);
        check(io::ErrorKind::OutOfMemory, false);
        check(io::ErrorKind::Other, false);
    }
}
