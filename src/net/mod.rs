//! The event loop: sockets on one side, bytes on the other. The only layer that names mio.
//!
//! One thread serves both servers. It never waits for one client: it asks the kernel which sockets have
//! something for it ([`Server::turn`]), goes on with each of those as far as it can, and asks again. What a
//! client has sent so far, and what it has not yet taken, is kept in its [`Connection`]; so a slow client
//! costs a little memory and nobody's time.
//!
//! Readiness is a hint and comes once (mio's and epoll's edge-triggered contract): after an event, a socket
//! is used until it says `WouldBlock`. When the process runs out of descriptors, accepting pauses until a
//! connection closes or a short time has gone by; it neither spins nor dies.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::event::Event as Readiness;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use crate::config::{Config, Limits};
use crate::http::Refusal;
use crate::http::connection::Connection;
use crate::http::message::{Request, Response};
use crate::log::Log;
use crate::oauth::Timestamp;
use crate::routes::{Role, Routes, Site};
use crate::store::Store;
use crate::system::System;

mod connections;
mod deadlines;
mod listeners;
mod refusals;

use connections::{Connections, Driven, Link, Spare};
use deadlines::Deadlines;
use listeners::Listener;
use refusals::Refusals;

pub use listeners::BindError;

/// The waker's token; listeners have those from 1, connections those from [`FIRST_CONNECTION`].
const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const FIRST_CONNECTION: usize = 16;

/// Events taken from the kernel at a time.
const EVENTS_MAX: usize = 1024;

/// The bytes of one read.
const READ_BYTES_MAX: usize = 16 * 1024;

/// Why a server could not start.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be listened on.
    Bind(BindError),
    /// The system gives no event queue.
    Events(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::Events(error) => write!(f, "the system gives no event queue: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::Events(error)
    }
}

/// Both servers, listening.
pub struct Server {
    poll: Poll,
    events: Events,
    engine: Engine,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    addresses: Vec<(Role, SocketAddr)>,
}

/// Everything of the server but the event queue, which is borrowed while the engine works through it.
struct Engine {
    registry: Registry,
    listeners: Vec<Listener>,
    connections: Connections,
    spare: Spare,
    deadlines: Deadlines,
    /// Slots that had their share of a turn and could go on.
    unfinished: Vec<usize>,
    /// Until when accepting pauses for want of descriptors.
    accept_again: Option<Instant>,
    routes: Routes,
    limits: Arc<Limits>,
    system: Arc<dyn System>,
    log: Log,
    refusals: Refusals,
    moment: Moment,
    scratch: Box<[u8]>,
}

/// Stops or wakes a server from another thread.
#[derive(Clone)]
pub struct Handle {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Handle {
    /// Makes [`Server::run`] return.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Makes the server look at its clock: whoever moves a test's clock calls this.
    pub fn wake(&self) {
        // It fails only when the queue is gone, and then nobody sleeps.
        let _ = self.waker.wake();
    }
}

impl Server {
    /// Listens on the addresses of `config`, which has been checked, and keeps grants in `store`.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the system gives no event queue.
    pub fn bind(
        config: &Config,
        store: Arc<dyn Store>,
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<Server, StartError> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (mut listeners, client_port, auth_port) = listeners::bind(config).map_err(StartError::Bind)?;
        let mut addresses = Vec::new();
        for (index, listener) in listeners.iter_mut().enumerate() {
            addresses.push((listener.role, listener.socket.local_addr()?));
            poll.registry().register(
                &mut listener.socket,
                Token(FIRST_LISTENER + index),
                Interest::READABLE,
            )?;
        }
        let site = Site::new(config.bind, client_port, auth_port);
        let engine = Engine {
            registry: poll.registry().try_clone()?,
            listeners,
            connections: Connections::default(),
            spare: Spare::default(),
            deadlines: Deadlines::default(),
            unfinished: Vec::new(),
            accept_again: None,
            routes: Routes::new(config, site, store, Arc::clone(&system)),
            limits: Arc::new(config.limits.clone()),
            moment: Moment::new(system.as_ref()),
            system,
            refusals: Refusals::new(log.clone(), config.limits.refusal_lines_per_second_max),
            log,
            scratch: vec![0; READ_BYTES_MAX].into_boxed_slice(),
        };
        let events = Events::with_capacity(EVENTS_MAX);
        Ok(Server { poll, events, engine, stop: Arc::default(), waker, addresses })
    }

    /// Where each server listens.
    pub fn addresses(&self) -> &[(Role, SocketAddr)] {
        &self.addresses
    }

    /// What both servers know about themselves.
    pub fn site(&self) -> &Site {
        self.engine.routes.site()
    }

    /// A handle by which to stop the server.
    pub fn handle(&self) -> Handle {
        Handle { stop: Arc::clone(&self.stop), waker: Arc::clone(&self.waker) }
    }

    /// Serves until [`Handle::stop`].
    ///
    /// # Errors
    /// When the event queue itself fails; nothing that a client does makes it fail.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.stop.load(Ordering::Acquire) {
            self.turn()?;
        }
        Ok(())
    }

    /// One turn of the loop.
    fn turn(&mut self) -> io::Result<()> {
        let timeout = self.engine.time_to_next_task();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        self.engine.look_at_the_clock();
        for event in &self.events {
            self.engine.note(event);
        }
        self.engine.go_on_with_unfinished();
        self.engine.sweep_deadlines();
        self.engine.accept();
        Ok(())
    }
}

impl Engine {
    /// How long the loop may sleep if nothing happens; `None` is for ever.
    fn time_to_next_task(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let next =
            [self.deadlines.next(), self.accept_again, self.refusals.deadline()].into_iter().flatten().min()?;
        // Counted from when this turn began, which is sooner than now: the loop may sleep for a moment too
        // long, and does not read the clock once more for it.
        Some(next.saturating_duration_since(self.moment.now))
    }

    fn look_at_the_clock(&mut self) {
        self.moment.update(self.system.as_ref());
        self.refusals.settle(self.moment.now);
    }

    fn note(&mut self, event: &Readiness) {
        match event.token() {
            WAKER => {}
            Token(token) if token < FIRST_CONNECTION => {
                if let Some(listener) = self.listeners.get_mut(token - FIRST_LISTENER) {
                    listener.ready = true;
                }
            }
            Token(token) => {
                let slot = token - FIRST_CONNECTION;
                // A connection may have been closed by an earlier event of the same turn.
                if let Some(link) = self.connections.at(slot) {
                    link.note(event);
                    self.drive(slot);
                }
            }
        }
    }

    fn go_on_with_unfinished(&mut self) {
        for slot in std::mem::take(&mut self.unfinished) {
            self.drive(slot);
        }
    }

    fn sweep_deadlines(&mut self) {
        let now = self.moment.now;
        while let Some(slot) = self.deadlines.pop_due(now) {
            if let Some(link) = self.connections.at(slot) {
                link.expire(now);
                self.drive(slot);
            }
        }
    }

    /// Goes on with a connection as far as it can.
    fn drive(&mut self, slot: usize) {
        let Some(link) = self.connections.at(slot) else { return };
        let mut turn = Turn {
            now: self.moment.now,
            timestamp: self.moment.timestamp,
            date: &self.moment.date,
            routes: &self.routes,
            refusals: &mut self.refusals,
            spare: &mut self.spare,
            scratch: &mut self.scratch,
        };
        match link.drive(&mut turn) {
            Driven::Waiting => self.deadlines.set(slot, link.deadline()),
            Driven::Unfinished => self.unfinished.push(slot),
            Driven::Closed => self.close(slot),
        }
    }

    fn close(&mut self, slot: usize) {
        if let Some(mut link) = self.connections.remove(slot) {
            // Closing the socket does the same on most systems; on none does this do harm.
            let _ = self.registry.deregister(link.socket());
        }
        // Its descriptor is free now.
        self.accept_again = None;
    }

    /// Accepts whoever waits, as long as there is room.
    fn accept(&mut self) {
        if self.accept_again.is_some_and(|again| self.moment.now < again) {
            return;
        }
        self.accept_again = None;
        for index in 0..self.listeners.len() {
            while self.listeners[index].ready && self.connections.len() < self.limits.connections_max {
                let listener = &mut self.listeners[index];
                match listener.socket.accept() {
                    Ok((socket, _)) => {
                        let role = listener.role;
                        self.open(role, socket);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => listener.ready = false,
                    // A client that gave up while it waited, or a signal.
                    Err(error) if is_of_one_client(&error) => {}
                    Err(error) => return self.pause_accepting(&error),
                }
            }
        }
    }

    fn open(&mut self, role: Role, mut socket: TcpStream) {
        // Answers are written whole; waiting to fill a packet would only delay them. Failure costs time alone.
        let _ = socket.set_nodelay(true);
        let slot = self.connections.next_slot();
        // Both, once and for all: an edge-triggered queue says nothing of what does not change.
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.registry.register(&mut socket, Token(FIRST_CONNECTION + slot), interest).is_err() {
            // The kernel has no memory for one more; the client sees its connection closed.
            return;
        }
        let conversation = Connection::new(Arc::clone(&self.limits), self.moment.now);
        let link = Link::new(role, socket, conversation);
        self.deadlines.set(slot, link.deadline());
        self.connections.insert(link);
    }

    fn pause_accepting(&mut self, error: &io::Error) {
        self.log
            .line(format_args!("accepting pauses with {} connections open: {error}", self.connections.len()));
        self.accept_again = Some(self.moment.now + self.limits.accept_retry_time);
    }
}

/// Whether accepting failed because of the one client that was to be accepted (accept(2)).
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// What a connection is given for one turn.
struct Turn<'a> {
    now: Instant,
    timestamp: Timestamp,
    date: &'a str,
    routes: &'a Routes,
    refusals: &'a mut Refusals,
    spare: &'a mut Spare,
    scratch: &'a mut [u8],
}

impl Turn<'_> {
    fn answer(&mut self, role: Role, request: &Request) -> Response {
        let response = self.routes.answer(role, request, self.timestamp);
        if response.reason().is_some() {
            self.refusals.note(self.now, role, Some(request), &response);
        }
        response
    }

    fn refuse(&mut self, role: Role, refusal: Refusal, request: Option<&Request>) -> Response {
        let response = self.routes.refuse(role, refusal, request);
        self.refusals.note(self.now, role, request, &response);
        response
    }
}

/// The clock as read once in each turn: all that happens in a turn happens at one moment.
struct Moment {
    now: Instant,
    timestamp: Timestamp,
    /// The Date field's value, made anew when the second changes.
    date: String,
    date_second: u64,
}

impl Moment {
    fn new(system: &dyn System) -> Moment {
        let timestamp = Timestamp::from_system_time(UNIX_EPOCH);
        let mut moment =
            Moment { now: system.monotonic(), timestamp, date: String::new(), date_second: u64::MAX };
        moment.update(system);
        moment
    }

    fn update(&mut self, system: &dyn System) {
        let wall_clock = system.wall_clock();
        self.now = system.monotonic();
        self.timestamp = Timestamp::from_system_time(wall_clock);
        let second = wall_clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if second != self.date_second {
            self.date_second = second;
            self.date = format_date(wall_clock);
        }
    }
}

/// `time` as the Date field has it (RFC 9110, 5.6.7).
fn format_date(time: SystemTime) -> String {
    // The format ends with the year 9999, and its implementation panics beyond.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}
