//! One worker: a thread, an event queue, and its share of the connections.
//!
//! The first worker also keeps the door: it accepts, and deals each connection to the worker that has the
//! fewest. So no worker starves, whatever the kernel would have thought of them; and with one worker nothing
//! is dealt at all.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::crowd::Crowd;
use super::engine::{Engine, Readiness, Socket};
use super::listeners::Listener;
use super::signals::Signals;
use crate::config::Limits;
use crate::log::Log;
use crate::routes::Role;
use crate::store::{Applied, Mailbox, Ticket};

/// The waker's token; listeners have those from 1, connections those from [`FIRST_CONNECTION`].
const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const SIGNALS: Token = Token(15);
const FIRST_CONNECTION: usize = 16;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;

impl Socket for TcpStream {
    fn shut(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

/// What the workers and those who stop them share.
#[derive(Default)]
pub(super) struct Control {
    pub(super) stop: AtomicBool,
    /// The server is to finish: every answer may be its connection's last.
    pub(super) finish: AtomicBool,
    /// The door is shut: nobody is given a connection any more, and a worker that has none may end.
    is_shut: AtomicBool,
}

/// Where a worker is given connections, and woken.
pub(super) struct Inbox {
    waker: Waker,
    newcomers: Mutex<Vec<Newcomer>>,
    /// What the store has said.
    letters: Mutex<Letters>,
    /// The worker has been woken and has not looked yet.
    is_called: AtomicBool,
    /// The connections that were dealt to the worker, those in the inbox included, and have not closed.
    load: AtomicUsize,
}

/// What the store has said, and what it need not say any more.
#[derive(Default)]
struct Letters {
    unread: Vec<(Ticket, Applied)>,
    /// The serial numbers of requests whose answers reach no client. Each goes when the store answers it, which it
    /// does once.
    abandoned: HashSet<u64>,
}

struct Newcomer {
    role: Role,
    address: IpAddr,
    socket: TcpStream,
}

impl Inbox {
    /// An inbox whose owner is woken through the event queue of `poll`.
    pub(super) fn new(poll: &Poll) -> io::Result<Inbox> {
        Ok(Inbox {
            waker: Waker::new(poll.registry(), WAKER)?,
            newcomers: Mutex::default(),
            letters: Mutex::default(),
            is_called: AtomicBool::new(false),
            load: AtomicUsize::new(0),
        })
    }

    /// How many connections the worker has, or is about to have.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    fn welcome(&self, newcomer: Newcomer) {
        lock(&self.newcomers).push(newcomer);
        self.wake();
    }

    fn take_newcomers(&self) -> Vec<Newcomer> {
        std::mem::take(&mut *lock(&self.newcomers))
    }

    /// Exchanges what the store has said for `read`, which is empty.
    fn take_letters(&self, read: &mut Vec<(Ticket, Applied)>) {
        // Whoever puts something from now on calls again; what was done before a call that was spared is seen.
        self.is_called.swap(false, Ordering::AcqRel);
        std::mem::swap(&mut lock(&self.letters).unread, read);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each change is one call that does not panic halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailbox for Inbox {
    fn put(&self, ticket: Ticket, applied: Applied) -> bool {
        let mut letters = lock(&self.letters);
        letters.unread.push((ticket, applied));
        letters.abandoned.is_empty() || !letters.abandoned.remove(&ticket.serial)
    }

    fn abandon(&self, ticket: Ticket) -> bool {
        let mut letters = lock(&self.letters);
        let is_put = letters.unread.iter().any(|(unread, _)| *unread == ticket);
        if !is_put {
            letters.abandoned.insert(ticket.serial);
        }
        !is_put
    }

    fn is_abandoned(&self, ticket: Ticket) -> bool {
        lock(&self.letters).abandoned.contains(&ticket.serial)
    }

    fn wake(&self) {
        // One call is enough until it is heard. (It fails only when the queue is gone; then nobody sleeps.)
        if !self.is_called.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }
}

/// The listening sockets, and all workers' inboxes, the own one first.
struct Door {
    listeners: Vec<Listener>,
    inboxes: Vec<Arc<Inbox>>,
    /// Whether at any of the listeners connections may be waiting.
    is_knocked_at: bool,
    /// Until when accepting pauses for want of descriptors.
    accept_again: Option<Instant>,
    accept_retry_time: Duration,
    log: Log,
}

/// One worker; see the module's page.
pub(super) struct Worker {
    poll: Poll,
    events: Events,
    engine: Engine<TcpStream>,
    inbox: Arc<Inbox>,
    /// Letters that are being read; empty between turns, and kept for its room.
    letters: Vec<(Ticket, Applied)>,
    door: Option<Door>,
    signals: Option<Signals>,
    crowd: Crowd,
    control: Arc<Control>,
    is_finishing: bool,
}

impl Worker {
    /// A worker without a door, with the engine that `make` gives it for its inbox.
    pub(super) fn new(
        make: impl FnOnce(Arc<dyn Mailbox>) -> Engine<TcpStream>,
        control: Arc<Control>,
    ) -> io::Result<Worker> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(&poll)?);
        let engine = make(Arc::<Inbox>::clone(&inbox));
        Ok(Worker {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            engine,
            inbox,
            letters: Vec::new(),
            door: None,
            signals: None,
            crowd: Crowd::default(),
            control,
            is_finishing: false,
        })
    }

    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Makes this the worker that accepts, and deals to `inboxes`, of which the first is its own.
    pub(super) fn keep_door(
        &mut self,
        mut listeners: Vec<Listener>,
        inboxes: Vec<Arc<Inbox>>,
        limits: &Limits,
        log: Log,
    ) -> io::Result<()> {
        for (index, listener) in listeners.iter_mut().enumerate() {
            let token = Token(FIRST_LISTENER + index);
            self.poll.registry().register(&mut listener.socket, token, Interest::READABLE)?;
        }
        let accept_retry_time = limits.accept_retry_time;
        self.door =
            Some(Door { listeners, inboxes, is_knocked_at: false, accept_again: None, accept_retry_time, log });
        Ok(())
    }

    /// Makes this worker begin the end when there is a signal.
    pub(super) fn listen_to(&mut self, mut signals: Option<Signals>) -> io::Result<()> {
        if let Some(signals) = &mut signals {
            self.poll.registry().register(signals, SIGNALS, Interest::READABLE)?;
        }
        self.signals = signals;
        Ok(())
    }

    /// Serves until the end. Gives back the engine, for what it has counted.
    pub(super) fn run(&mut self) -> io::Result<&Engine<TcpStream>> {
        while !self.control.stop.load(Ordering::Acquire) {
            self.turn()?;
            if self.is_finishing && self.engine.is_empty() {
                break;
            }
        }
        Ok(&self.engine)
    }

    /// One turn of the loop.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        if self.crowd.is_scattered() {
            std::thread::yield_now();
        }
        let timeout = self.time_to_next_task();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let mut before = self.engine.len();
        self.engine.begin_turn();
        if self.control.finish.load(Ordering::Acquire) {
            self.engine.finish();
        }
        self.crowd.begin_turn(self.engine.timestamp());
        for event in &self.events {
            match event.token() {
                WAKER => {
                    if deliver_all(&self.inbox, &mut self.letters, &mut self.engine) > 0 {
                        self.crowd.hear_of_store();
                    }
                    before += open_all(self.inbox.take_newcomers(), &mut self.engine, &self.poll);
                }
                // What stands in the pipe is not read; a second signal ends the program without it.
                SIGNALS => self.control.finish.store(true, Ordering::Release),
                Token(token) if token < FIRST_CONNECTION => {
                    self.door.iter_mut().for_each(|door| door.note(token - FIRST_LISTENER));
                }
                Token(token) => {
                    self.crowd.hear(token - FIRST_CONNECTION);
                    self.engine.ready(token - FIRST_CONNECTION, readiness(event));
                }
            }
        }
        self.engine.end_turn();
        let may_finish = match &mut self.door {
            Some(door) if self.control.finish.load(Ordering::Acquire) => {
                // Who has connected by now is let in, though the kernel may not have said so yet.
                door.note_all();
                true
            }
            Some(_) => false,
            None => self.control.is_shut.load(Ordering::Acquire),
        };
        self.accept(before);
        if may_finish && !self.is_finishing {
            self.finish();
        }
        Ok(())
    }

    fn time_to_next_task(&self) -> Option<Duration> {
        let again = self.door.as_ref().and_then(|door| door.accept_again);
        let again = again.map(|again| again.saturating_duration_since(self.engine.now()));
        [self.engine.time_to_next_task(), again].into_iter().flatten().min()
    }

    /// Lets in whoever waits, and keeps the account of the connections, of which there were `before` and some
    /// may have closed.
    fn accept(&mut self, before: usize) {
        let closed = before.saturating_sub(self.engine.len());
        if closed > 0 {
            self.inbox.load.fetch_sub(closed, Ordering::Relaxed);
        }
        let Some(door) = &mut self.door else { return };
        if closed > 0 {
            // A descriptor is free now.
            door.accept_again = None;
        }
        let opened = door.accept(&mut self.engine, &self.poll);
        if opened > 0 {
            self.inbox.load.fetch_add(opened, Ordering::Relaxed);
        }
    }

    /// Nobody is let in any more, and those who are in get what they asked for.
    fn finish(&mut self) {
        self.is_finishing = true;
        // Closes the listening sockets. The others hear of the end when there is nobody left to give them, or one
        // of them might be gone before it looks into its inbox.
        if let Some(door) = self.door.take() {
            self.control.is_shut.store(true, Ordering::Release);
            door.inboxes.iter().for_each(|inbox| inbox.wake());
        }
        let _ = open_all(self.inbox.take_newcomers(), &mut self.engine, &self.poll);
        self.engine.finish();
    }
}

/// Hands on what the store has said; returns of how many requests.
fn deliver_all(inbox: &Inbox, letters: &mut Vec<(Ticket, Applied)>, engine: &mut Engine<TcpStream>) -> usize {
    inbox.take_letters(letters);
    let count = letters.len();
    letters.drain(..).for_each(|(ticket, applied)| engine.deliver(ticket, applied));
    count
}

/// Opens what was dealt to this worker; returns how many those were.
fn open_all(newcomers: Vec<Newcomer>, engine: &mut Engine<TcpStream>, poll: &Poll) -> usize {
    let count = newcomers.len();
    newcomers.into_iter().for_each(|newcomer| open(newcomer, engine, poll));
    count
}

fn open(newcomer: Newcomer, engine: &mut Engine<TcpStream>, poll: &Poll) {
    let Newcomer { role, address, socket } = newcomer;
    engine.open(role, address, socket, |socket, slot| {
        // Both, once and for all: an edge-triggered queue says nothing of what does not change.
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(socket, Token(FIRST_CONNECTION + slot), interest)
    });
}

fn readiness(event: &mio::event::Event) -> Readiness {
    let is_error = event.is_error();
    Readiness {
        readable: event.is_readable() || is_error,
        writable: event.is_writable() || event.is_write_closed() || is_error,
        read_closed: event.is_read_closed(),
    }
}

impl Door {
    fn note_all(&mut self) {
        (0..self.listeners.len()).for_each(|index| self.note(index));
    }

    fn note(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
            self.is_knocked_at = true;
        }
    }

    /// Accepts whoever waits; returns by how many connections this worker has more.
    fn accept(&mut self, engine: &mut Engine<TcpStream>, poll: &Poll) -> usize {
        if !self.is_knocked_at {
            return 0;
        }
        let before = engine.len();
        if self.accept_again.is_none_or(|again| again <= engine.now()) {
            self.accept_again = None;
            self.accept_all(engine, poll);
        }
        engine.len().saturating_sub(before)
    }

    /// Not a part of the turn, most of which have nobody to let in.
    #[inline(never)]
    fn accept_all(&mut self, engine: &mut Engine<TcpStream>, poll: &Poll) {
        for index in 0..self.listeners.len() {
            while self.listeners[index].ready {
                let listener = &mut self.listeners[index];
                match listener.socket.accept() {
                    Ok((socket, address)) => {
                        let (role, address) = (listener.role, address.ip());
                        self.deal(Newcomer { role, address, socket }, engine, poll);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => listener.ready = false,
                    // A client that gave up while it waited, or a signal.
                    Err(error) if is_of_one_client(&error) => {}
                    Err(error) => return self.pause_accepting(&error, engine),
                }
            }
        }
        self.is_knocked_at = false;
    }

    /// To the worker with the fewest connections; to this one, if it is among them.
    fn deal(&mut self, newcomer: Newcomer, engine: &mut Engine<TcpStream>, poll: &Poll) {
        // Answers are written whole; waiting to fill a packet would only delay them. Failure costs time alone.
        let _ = newcomer.socket.set_nodelay(true);
        let others = self.inboxes.iter().skip(1).min_by_key(|inbox| inbox.load());
        match others.filter(|inbox| inbox.load() < engine.len()) {
            Some(inbox) => {
                inbox.load.fetch_add(1, Ordering::Relaxed);
                inbox.welcome(newcomer);
            }
            None => open(newcomer, engine, poll),
        }
    }

    fn pause_accepting(&mut self, error: &io::Error, engine: &Engine<TcpStream>) {
        self.log.line(format_args!("accepting pauses with {} connections open: {error}", engine.len()));
        self.accept_again = Some(engine.now() + self.accept_retry_time);
    }
}

/// Whether accepting failed because of the one client that was to be accepted (accept(2)).
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
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
