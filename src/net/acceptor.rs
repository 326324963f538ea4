//! Accepts connections, and assigns each to the worker that has the fewest.
//!
//! Only the first worker has an acceptor. Were each worker to accept for itself, the kernel would decide which of them
//! gets a connection, and it does not know which are busy. With one worker, nothing is handed over at all.
//!
//! When the process has no descriptor left, `accept` fails although a client waits, and no new event would announce
//! that client. So the acceptor remembers that the listener is ready, closes the longest idle connection of its worker
//! and tries again. If none is idle, it asks the other workers to close one, and pauses.

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

/// The listening sockets, and the inboxes that accepted connections go to.
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    /// One for each worker; the first belongs to the worker that this acceptor is part of.
    inboxes: Vec<Arc<Inbox>>,
    /// Whether any listener may have connections in its backlog.
    is_ready: bool,
    /// When to try again, while accepting pauses because no descriptor is free.
    accept_again: Option<Instant>,
    accept_retry_time: Duration,
    /// [`ACCEPTED_PER_TURN_MAX`]; less in tests.
    accepted_max: usize,
    log: Log,
}

/// How many connections of one listener are accepted in one turn: twice its backlog, for which mio asks for 128, so all
/// that wait when a turn begins are accepted in it. Clients that connect as fast as they are accepted would otherwise
/// keep the worker from its connections.
const ACCEPTED_PER_TURN_MAX: usize = 256;

impl Acceptor {
    /// Registers `listeners` with `poll`. `inboxes` has one inbox for each worker, the caller's own first. After a
    /// pause for want of descriptors, accepting is tried again after `accept_retry_time` at the latest.
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
        Ok(Acceptor {
            listeners,
            inboxes,
            is_ready: false,
            accept_again: None,
            accept_retry_time,
            accepted_max: ACCEPTED_PER_TURN_MAX,
            log,
        })
    }

    /// The inboxes of all workers, the own one first.
    pub(super) fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inboxes
    }

    /// When the current pause ends, if accepting pauses.
    pub(super) fn accept_again(&self) -> Option<Instant> {
        self.accept_again
    }

    /// Ends a pause, because a descriptor is free.
    pub(super) fn accept_at_once(&mut self) {
        self.accept_again = None;
    }

    /// Assumes that every listener has connections in its backlog.
    pub(super) fn note_all(&mut self) {
        (0..self.listeners.len()).for_each(|index| self.note(index));
    }

    /// Notes an event of the listener at `index`.
    pub(super) fn note(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
            self.is_ready = true;
        }
    }

    /// Accepts the connections in the backlogs, at most [`ACCEPTED_PER_TURN_MAX`] of each, unless there was no event or
    /// accepting pauses.
    pub(super) fn accept(&mut self, driver: &mut Driver<TcpStream>, poll: &Poll) {
        if !self.is_ready {
            return;
        }
        if self.accept_again.is_none_or(|again| again <= driver.now()) {
            self.accept_again = None;
            self.accept_all(driver, poll);
        }
    }

    // Not inlined: most turns accept nothing, and their code stays small without this.
    #[inline(never)]
    fn accept_all(&mut self, driver: &mut Driver<TcpStream>, poll: &Poll) {
        let mut has_more = false;
        for index in 0..self.listeners.len() {
            let mut accepted = 0;
            while self.listeners[index].ready {
                if accepted == self.accepted_max {
                    has_more = true;
                    break;
                }
                let listener = &mut self.listeners[index];
                match listener.socket.accept() {
                    Ok((socket, address)) => {
                        accepted += 1;
                        let (role, address) = (listener.role, address.ip());
                        self.deal(Accepted { role, address, socket }, driver, poll);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => listener.ready = false,
                    // The client disconnected while it waited, or a signal arrived: try the next one.
                    Err(error) if is_of_one_client(&error) => {}
                    Err(error) => match driver.make_room() {
                        // Each retry has closed a connection that was open before this turn, so the loop ends. (The
                        // kernel reports a lack of descriptors even when the backlog is empty; then one stays free.)
                        Room::Made => self.log_eviction(&error, driver),
                        Room::NextTurn => return self.accept_again = Some(driver.now() + NEXT_TURN),
                        Room::None => return self.pause_accepting(&error, driver),
                    },
                }
            }
        }
        self.is_ready = has_more;
        // There may be no further event, so the next turn begins at once.
        self.accept_again = has_more.then(|| driver.now());
    }

    /// Assigns a connection to the worker with the fewest; in a tie, to this one, which saves the handover.
    fn deal(&mut self, accepted: Accepted, driver: &mut Driver<TcpStream>, poll: &Poll) {
        // Elsewhere accepted sockets inherit the option (`listeners.rs`).
        #[cfg(not(unix))]
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

    fn log_eviction(&self, error: &io::Error, driver: &Driver<TcpStream>) {
        self.log.line(format_args!(
            "cannot accept: {error}; closed the longest idle connection to make room; {} connections are open in this \
             worker; {MORE_DESCRIPTORS}",
            driver.len()
        ));
    }

    /// Pauses for `accept_retry_time`, and asks the other workers to close an idle connection meanwhile.
    fn pause_accepting(&mut self, error: &io::Error, driver: &Driver<TcpStream>) {
        if let Some((own, others)) = self.inboxes.split_first() {
            others.iter().for_each(|inbox| inbox.request_eviction(own));
        }
        self.log.line(format_args!(
            "accepting pauses: {error}; {} connections are open in this worker, none of them idle; {MORE_DESCRIPTORS}",
            driver.len()
        ));
        self.accept_again = Some(driver.now() + self.accept_retry_time);
    }
}

/// A delay that lets the next turn read from the newest connections, after which they may count as idle.
const NEXT_TURN: Duration = Duration::from_millis(1);

/// What the operator can do about it; the end of a log line.
const MORE_DESCRIPTORS: &str = "raise the limit of open files (ulimit -n, or LimitNOFILE= of a systemd unit)";

/// Whether `accept` failed for a reason that concerns only the client at the head of the backlog (accept(2)).
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Registers an accepted connection with `poll` and passes it to `driver`.
pub(super) fn open(accepted: Accepted, driver: &mut Driver<TcpStream>, poll: &Poll) {
    let Accepted { role, address, socket } = accepted;
    driver.open(role, address, socket, |socket, slot| {
        // Registered once for both: an edge-triggered queue reports changes only, so interest in writing costs nothing
        // while the socket stays writable.
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(socket, Token(FIRST_CONNECTION + slot), interest)
    });
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::net::driver::tests::driver;
    use crate::net::settings::Settings;
    use crate::routes::Role;

    #[test]
    fn a_turn_accepts_so_many_and_the_next_goes_on_at_once() {
        let poll = Poll::new().unwrap();
        let inbox = Arc::new(Inbox::new(&poll, Token(0)).unwrap());
        let socket = mio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        let listeners = vec![Listener { role: Role::ClientApp, socket, ready: true }];
        let mut acceptor =
            Acceptor::new(&poll, listeners, vec![inbox], Duration::from_secs(1), Log::kept()).unwrap();
        acceptor.accepted_max = 3;
        let mut driver = driver::<TcpStream>(&Settings::default());
        let _clients: Vec<_> = (0..5).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        acceptor.note_all();
        acceptor.accept(&mut driver, &poll);
        assert_eq!((driver.len(), acceptor.accept_again()), (3, Some(driver.now())));
        acceptor.accept(&mut driver, &poll);
        assert_eq!((driver.len(), acceptor.accept_again()), (5, None));
    }

    #[test]
    fn accepting_pauses_without_descriptors_not_for_a_lost_client() {
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
