//! One worker: a thread with an event queue and its share of the connections.
//!
//! [`Worker::turn`] is the event loop: sleep until something happens, pass each event to what it belongs to, let the
//! driver finish the turn, accept new connections. It blocks only in `poll`, so everything that it calls must return
//! without waiting. The state of the connections is the driver's; this file knows the event queue.
//!
//! The first worker also has the [`Acceptor`] and the signals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::acceptor::{self, Acceptor};
use super::control::Control;
use super::driver::Driver;
use super::inbox::{Accepted, Inbox};
use super::listeners::Listener;
use super::reload::Reload;
use super::settings::Limits;
use super::signals::Signals;
use super::socket::Readiness;
use super::tokens::{FIRST_CONNECTION, FIRST_LISTENER, HANG_UP, SIGNALS, WAKER};
use super::yielding::Yielding;
use crate::log::Log;
use crate::routes::Completion;
use crate::store::{Mailbox, Ticket};

/// The most events that one call of `poll` returns; further ones come with the next turn.
const EVENTS_MAX: usize = 1024;

/// One worker, from its first turn to its last.
pub(super) struct Worker {
    poll: Poll,
    events: Events,
    driver: Driver<TcpStream>,
    inbox: Arc<Inbox>,
    /// Completions that are being delivered; empty between turns, kept for its allocation.
    completions: Vec<(Ticket, Completion)>,
    acceptor: Option<Acceptor>,
    signals: Signals,
    /// Where reloaded configurations are published, if reloading is enabled, and the generation in use here.
    reload: Option<Arc<Reload>>,
    generation: u64,
    yielding: Yielding,
    control: Arc<Control>,
    is_finishing: bool,
}

impl Worker {
    /// A worker without an acceptor. `make` makes the driver, given the inbox that completions are put into.
    pub(super) fn new(
        make: impl FnOnce(Arc<dyn Mailbox>) -> Driver<TcpStream>,
        control: Arc<Control>,
    ) -> io::Result<Worker> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(&poll, WAKER)?);
        let driver = make(Arc::<Inbox>::clone(&inbox));
        Ok(Worker {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            driver,
            inbox,
            completions: Vec::new(),
            acceptor: None,
            signals: Signals::default(),
            reload: None,
            generation: 0,
            yielding: Yielding::default(),
            control,
            is_finishing: false,
        })
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Makes this the worker that accepts. `inboxes` has one inbox for each worker, this one's first.
    pub(super) fn accept_on(
        &mut self,
        listeners: Vec<Listener>,
        inboxes: Vec<Arc<Inbox>>,
        limits: &Limits,
        log: Log,
    ) -> io::Result<()> {
        self.acceptor = Some(Acceptor::new(&self.poll, listeners, inboxes, limits.accept_retry_time, log)?);
        Ok(())
    }

    /// Makes this worker use the configurations that `reload` publishes.
    pub(super) fn watch_reload(&mut self, reload: Arc<Reload>) {
        self.generation = reload.generation();
        self.reload = Some(reload);
    }

    /// Makes this worker react to signals: shut the server down, or reload the configuration.
    pub(super) fn watch_signals(&mut self, mut signals: Signals) -> io::Result<()> {
        for (pipe, token) in [(&mut signals.end, SIGNALS), (&mut signals.reload, HANG_UP)] {
            if let Some(pipe) = pipe {
                self.poll.registry().register(pipe, token, Interest::READABLE)?;
            }
        }
        self.signals = signals;
        Ok(())
    }

    /// Serves until the server stops. Returns the driver, for its counts.
    pub(super) fn run(&mut self) -> io::Result<&Driver<TcpStream>> {
        while !self.control.stop.load(Ordering::Acquire) {
            self.turn()?;
            if self.is_finishing && self.driver.is_empty() {
                break;
            }
        }
        Ok(&self.driver)
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// If the event queue fails. A signal that interrupts the call is not a failure.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        if self.yielding.should_yield() {
            std::thread::yield_now();
        }
        let timeout = self.time_to_next_task();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let mut before = self.driver.len();
        self.driver.begin_turn();
        if self.control.finish.load(Ordering::Acquire) {
            self.driver.finish();
        }
        apply_reload(self.reload.as_ref(), &mut self.generation, &mut self.driver);
        self.yielding.begin_turn(self.driver.timestamp());
        let is_woken = self.handle_events();
        // After the events: one of them may announce the request of a connection that would be closed to make room, or
        // be for the slot of one that has just been closed, which a new connection takes.
        if is_woken {
            before += open_all(self.inbox.take_accepted(), &mut self.driver, &self.poll);
            self.inbox.evict_if_requested(&mut self.driver);
        }
        self.driver.end_turn();
        let is_last_accept = self.prepare_last_accept();
        self.accept(before);
        if is_last_accept && !self.is_finishing {
            self.finish();
        }
        Ok(())
    }

    /// Passes each event to what it belongs to. Returns whether another thread woke this worker, so that there may be
    /// connections in its inbox.
    fn handle_events(&mut self) -> bool {
        let mut is_woken = false;
        for event in &self.events {
            match event.token() {
                WAKER => {
                    is_woken = true;
                    if deliver_all(&self.inbox, &mut self.completions, &mut self.driver) > 0 {
                        self.yielding.note_store_answer();
                    }
                }
                // The pipe is not drained: a second signal ends the program from its handler, without this loop.
                SIGNALS => self.control.finish.store(true, Ordering::Release),
                HANG_UP => {
                    self.signals.drain_reload();
                    self.reload.iter().for_each(Reload::request);
                }
                Token(token) if token < FIRST_CONNECTION => {
                    self.acceptor.iter_mut().for_each(|acceptor| acceptor.note(token - FIRST_LISTENER));
                }
                Token(token) => {
                    self.yielding.note_event(token - FIRST_CONNECTION);
                    self.driver.ready(token - FIRST_CONNECTION, readiness(event));
                }
            }
        }
        is_woken
    }

    /// Whether connections are accepted for the last time in this turn, because the server is shutting down. The
    /// acceptor then looks at every listening socket.
    fn prepare_last_accept(&mut self) -> bool {
        let Some(acceptor) = &mut self.acceptor else { return self.control.is_shut.load(Ordering::Acquire) };
        let is_last = self.control.finish.load(Ordering::Acquire);
        if is_last {
            // Clients that are in the backlog by now are accepted and answered, even if their event is still to come.
            acceptor.note_all();
        }
        is_last
    }

    fn time_to_next_task(&self) -> Option<Duration> {
        let again = self.acceptor.as_ref().and_then(|acceptor| acceptor.accept_again());
        let again = again.map(|again| again.saturating_duration_since(self.driver.now()));
        [self.driver.time_to_next_task(), again].into_iter().flatten().min()
    }

    /// Accepts new connections, and keeps the inbox's count of connections up to date: there were `before` at the
    /// beginning of the turn, or were handed over since.
    fn accept(&mut self, before: usize) {
        let closed = before.saturating_sub(self.driver.len());
        if closed > 0 {
            self.inbox.subtract_load(closed);
        }
        let Some(acceptor) = &mut self.acceptor else { return };
        if closed > 0 || self.inbox.take_freed() {
            // A descriptor is free: accepting need not wait for its retry time.
            acceptor.accept_at_once();
        }
        let before = self.driver.len();
        acceptor.accept(&mut self.driver, &self.poll);
        // Fewer than before if idle connections were closed here for clients that went to other workers.
        let after = self.driver.len();
        if after > before {
            self.inbox.add_load(after - before);
        } else {
            self.inbox.subtract_load(before - after);
        }
    }

    /// Stops accepting; the requests that have been received are answered.
    fn finish(&mut self) {
        self.is_finishing = true;
        // Dropping the acceptor closes the listening sockets. The other workers hear of the end only afterwards: one
        // that ended sooner could leave a connection unserved in its inbox.
        if let Some(acceptor) = self.acceptor.take() {
            self.control.is_shut.store(true, Ordering::Release);
            acceptor.inboxes().iter().for_each(|inbox| inbox.wake());
        }
        let _ = open_all(self.inbox.take_accepted(), &mut self.driver, &self.poll);
        self.driver.finish();
    }
}

/// Delivers the completions that are in the inbox; returns their number.
fn deliver_all(
    inbox: &Inbox,
    completions: &mut Vec<(Ticket, Completion)>,
    driver: &mut Driver<TcpStream>,
) -> usize {
    inbox.take_completions(completions);
    let count = completions.len();
    deliver(inbox, completions, driver);
    count
}

/// Delivers completions that were taken out of the inbox. Delivering one may close the connection of another, to free
/// memory.
fn deliver(inbox: &Inbox, completions: &mut Vec<(Ticket, Completion)>, driver: &mut Driver<TcpStream>) {
    for (ticket, completion) in completions.drain(..) {
        if !driver.deliver(ticket, completion) {
            inbox.forget(ticket);
        }
    }
}

/// Applies the configuration that was published last, unless the driver already uses it.
fn apply_reload(reload: Option<&Arc<Reload>>, generation: &mut u64, driver: &mut Driver<TcpStream>) {
    let Some(reload) = reload.filter(|reload| reload.generation() != *generation) else { return };
    let (taken, published) = reload.take();
    *generation = taken;
    driver.reconfigure(&published.settings, Arc::clone(&published.routes));
    reload.confirm();
}

/// Opens the connections that were handed to this worker; returns their number.
fn open_all(accepted: Vec<Accepted>, driver: &mut Driver<TcpStream>, poll: &Poll) -> usize {
    let count = accepted.len();
    accepted.into_iter().for_each(|accepted| acceptor::open(accepted, driver, poll));
    count
}

/// What an event says about a socket. An error counts as readiness, because the next call returns the error itself.
fn readiness(event: &mio::event::Event) -> Readiness {
    let is_error = event.is_error();
    Readiness {
        readable: event.is_readable() || is_error,
        writable: event.is_writable() || event.is_write_closed() || is_error,
        read_closed: event.is_read_closed(),
    }
}

#[cfg(test)]
impl Worker {
    pub(super) fn driver(&self) -> &Driver<TcpStream> {
        &self.driver
    }

    /// A turn that takes the completions out of the inbox, closes every connection after the time for a shutdown, and
    /// delivers the completions only then. Returns the number of abandoned requests before and after the delivery.
    pub(super) fn close_before_delivery(&mut self) -> (usize, usize) {
        self.inbox.take_completions(&mut self.completions);
        self.driver.begin_turn();
        self.driver.end_turn();
        let before = self.inbox.abandoned();
        deliver(&self.inbox, &mut self.completions, &mut self.driver);
        (before, self.inbox.abandoned())
    }
}
