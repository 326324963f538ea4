//! One worker: a thread, an event queue, and its share of the connections.
//!
//! The first worker also keeps the door: it accepts, and deals each connection to the worker that has the
//! fewest. So no worker starves, whatever the kernel would have thought of them; and with one worker nothing
//! is dealt at all.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::engine::{Engine, Readiness, Socket};
use super::listeners::Listener;
use super::signals::Signals;
use crate::config::Limits;
use crate::log::Log;
use crate::routes::Role;

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
    pub(super) finish: AtomicBool,
}

/// Where a worker is given connections, and woken.
pub(super) struct Inbox {
    waker: Waker,
    newcomers: Mutex<Vec<Newcomer>>,
    /// The connections that were dealt to the worker, those in the inbox included, and have not closed.
    load: AtomicUsize,
}

struct Newcomer {
    role: Role,
    address: IpAddr,
    socket: TcpStream,
}

impl Inbox {
    pub(super) fn wake(&self) {
        // It fails only when the queue is gone, and then nobody sleeps.
        let _ = self.waker.wake();
    }

    fn put(&self, newcomer: Newcomer) {
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner).push(newcomer);
        self.wake();
    }

    fn take(&self) -> Vec<Newcomer> {
        std::mem::take(&mut *self.newcomers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The listening sockets, and all workers' inboxes, the own one first.
struct Door {
    listeners: Vec<Listener>,
    inboxes: Vec<Arc<Inbox>>,
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
    door: Option<Door>,
    signals: Option<Signals>,
    control: Arc<Control>,
    is_finishing: bool,
}

impl Worker {
    /// A worker without a door.
    pub(super) fn new(engine: Engine<TcpStream>, control: Arc<Control>) -> io::Result<Worker> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let inbox = Arc::new(Inbox { waker, newcomers: Mutex::default(), load: AtomicUsize::new(0) });
        let events = Events::with_capacity(EVENTS_MAX);
        Ok(Worker { poll, events, engine, inbox, door: None, signals: None, control, is_finishing: false })
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
        self.door = Some(Door { listeners, inboxes, accept_again: None, accept_retry_time, log });
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
    fn turn(&mut self) -> io::Result<()> {
        let timeout = self.time_to_next_task();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let mut before = self.engine.len();
        self.engine.begin_turn();
        for event in &self.events {
            match event.token() {
                WAKER => before += open_all(self.inbox.take(), &mut self.engine, &self.poll),
                SIGNALS => self.begin_the_end(),
                Token(token) if token < FIRST_CONNECTION => {
                    self.door.iter_mut().for_each(|door| door.note(token - FIRST_LISTENER));
                }
                Token(token) => self.engine.ready(token - FIRST_CONNECTION, readiness(event)),
            }
        }
        self.engine.end_turn();
        let is_finishing = self.control.finish.load(Ordering::Acquire);
        self.accept(before);
        if is_finishing && !self.is_finishing {
            self.finish();
        }
        Ok(())
    }

    /// A signal has come: every worker is to finish. (What stands in the pipe is not read; a second signal ends
    /// the program without it.)
    fn begin_the_end(&self) {
        self.control.finish.store(true, Ordering::Release);
        self.door.iter().flat_map(|door| &door.inboxes).for_each(|inbox| inbox.wake());
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
        self.inbox.load.fetch_add(opened, Ordering::Relaxed);
    }

    /// Nobody is let in any more, and those who are in get what they asked for.
    fn finish(&mut self) {
        self.is_finishing = true;
        // Closes the listening sockets.
        self.door = None;
        let _ = open_all(self.inbox.take(), &mut self.engine, &self.poll);
        self.engine.finish();
    }
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
    fn note(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
        }
    }

    /// Accepts whoever waits; returns by how many connections this worker has more.
    fn accept(&mut self, engine: &mut Engine<TcpStream>, poll: &Poll) -> usize {
        let before = engine.len();
        if self.accept_again.is_none_or(|again| again <= engine.now()) {
            self.accept_again = None;
            self.accept_all(engine, poll);
        }
        engine.len().saturating_sub(before)
    }

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
    }

    /// To the worker with the fewest connections; to this one, if it is among them.
    fn deal(&mut self, newcomer: Newcomer, engine: &mut Engine<TcpStream>, poll: &Poll) {
        // Answers are written whole; waiting to fill a packet would only delay them. Failure costs time alone.
        let _ = newcomer.socket.set_nodelay(true);
        let load = |inbox: &Arc<Inbox>| inbox.load.load(Ordering::Relaxed);
        let others = self.inboxes.iter().skip(1).min_by_key(|inbox| load(inbox));
        match others.filter(|inbox| load(inbox) < engine.len()) {
            Some(inbox) => {
                inbox.load.fetch_add(1, Ordering::Relaxed);
                inbox.put(newcomer);
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
