//! One connection: its socket, its HTTP state, its readiness, and the request that waits or the stream that is open.
//!
//! [`Link::drive`] is the heart of the loop. The HTTP [`Connection`] says what it wants next (read, write, shut down,
//! close), and the link does it while the socket is ready, until the connection waits for its client, the store, the
//! pool or a delay, or has used up its share of the turn. Answering comes before writing, so that the responses to
//! pipelined requests leave in one system call; writing comes before reading, so that a client that does not read is
//! not read from (backpressure).
//!
//! A request that waits for the store, the pool or a delay is kept in [`Waiting`], and no later one of its connection
//! is answered before it. Exactly one of three things completes it: its completion, its timeout, or a client that gives
//! up. The mailbox decides which came first, so the store knows whether its answer reached the client.
//!
//! A response without an end is a [`Streaming`], and has the connection to itself in the same way.
//!
//! In one turn a connection has [`READS_PER_TURN_MAX`] reads and [`REQUESTS_PER_TURN_MAX`] requests; the rest waits for
//! the next turn.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::socket::{Readiness, Socket};
use super::stream::{FILLS_PER_TURN_MAX, Streaming};
use super::turn::{Resumable, Turn};
use crate::http::connection::{Connection, Event, Want};
use crate::routes::{Completion, Parked, Role, Routes, Sender, Step};
use crate::store::{Mailbox, Ticket};
use crate::wire::{Server, Tap, Wire};

mod streaming;

/// How often a connection may read in one turn.
const READS_PER_TURN_MAX: usize = 4;

/// How many pipelined requests of a connection are answered in one turn. A buffer of 64 KiB can hold two thousand,
/// which would keep the other connections waiting.
const REQUESTS_PER_TURN_MAX: usize = 16;

/// On Linux a read that does not fill its buffer has emptied the socket, and later bytes cause a new event (epoll(7)),
/// so the call that would return `WouldBlock` is saved. On other systems mio reports new events only after that call.
const SHORT_READ_IS_LAST: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A client that closes its side this long after its request was last parked counts as one that gave up.
const GIVES_UP_AFTER: Duration = Duration::from_secs(1);

/// Extra time for a completion that is in the mailbox when its request times out.
const DELIVERY_TIME: Duration = Duration::from_millis(10);

/// A socket, and the HTTP connection over it.
pub(super) struct Link<S> {
    role: Role,
    pub(super) address: IpAddr,
    socket: S,
    connection: Connection,
    /// Set by an event, cleared when a system call finds the socket not ready.
    readable: bool,
    writable: bool,
    /// The client has closed its side; bytes sent before may still be unread.
    read_closed: bool,
    /// The server is shutting down.
    is_finishing: bool,
    /// It is open only to be sent a 503.
    pub(super) is_turned_away: bool,
    /// The number of the turn in which it was accepted.
    pub(super) opened_in: u64,
    /// The client gave up while its request waited for the store.
    has_given_up: bool,
    /// How much memory the buffers took when they were last counted.
    counted: usize,
    /// It has used up its share of a turn and is queued for the next.
    is_queued: bool,
    /// The request that waits for the store, the pool or a delay. Boxed, because most connections have none.
    waiting: Option<Box<Waiting>>,
    /// The response without an end that is being sent. Boxed for the same reason.
    streaming: Option<Box<Streaming>>,
    /// Records what goes over the wire, where that is shown.
    tap: Option<Box<Tap>>,
}

/// A request that continues when what it asked for is complete: of the store, the pool or the clock.
struct Waiting {
    serial: u64,
    /// The routes that the request began with: the configuration may be reloaded while it waits.
    routes: Arc<Routes>,
    parked: Parked,
    until: Instant,
    completion: Option<Completion>,
    /// The mailbox knows that the answer may not reach the client.
    is_abandoned: bool,
    /// When it was last parked.
    since: Instant,
}

/// The state of a connection after it was driven.
pub(super) enum Driven {
    /// It waits for its client, the store, the pool or a deadline.
    Waiting,
    /// It could continue, but has used up its share of the turn.
    Unfinished,
    /// It is to be closed.
    Closed,
}

impl<S: Socket> Link<S> {
    /// A link that is assumed to be writable, as new sockets are, and not readable before an event says so.
    pub(super) fn new(role: Role, address: IpAddr, socket: S, connection: Connection) -> Link<S> {
        Link {
            role,
            address,
            socket,
            connection,
            readable: false,
            writable: true,
            read_closed: false,
            is_finishing: false,
            is_turned_away: false,
            opened_in: 0,
            has_given_up: false,
            counted: 0,
            is_queued: false,
            waiting: None,
            streaming: None,
            tap: None,
        }
    }

    /// Records for `wire` what goes over this connection.
    pub(super) fn tap(&mut self, wire: &Arc<Wire>) {
        let server = match self.role {
            Role::ClientApp => Server::ClientApp,
            Role::AuthorizationServer => Server::AuthorizationServer,
            Role::Lab => Server::Lab,
        };
        self.tap = Some(Tap::new(wire, server, self.address));
    }

    /// When [`Link::expire`] is due: the timeout of the HTTP connection, that of the waiting request, or the moment at
    /// which the stream's source is asked again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = self.connection.deadline();
        let of_request = self.waiting.as_ref().map(|waiting| waiting.until);
        let of_source = self.streaming.as_ref().and_then(|streaming| streaming.deadline(&self.connection));
        match of_request.or(of_source) {
            None => deadline,
            Some(own) => Some(deadline.map_or(own, |deadline| deadline.min(own))),
        }
    }

    /// Handles the deadlines that have passed by `now`. A request that waits is answered with a timeout when it is
    /// driven next, unless its completion is in the mailbox already: then the store counts it as delivered, so it must
    /// be sent.
    pub(super) fn expire(&mut self, now: Instant, slot: usize, mailbox: &dyn Mailbox) {
        self.connection.expire(now);
        if let Some(streaming) = &mut self.streaming {
            streaming.expire(&self.connection, now);
        }
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.until <= now) else { return };
        if waiting.completion.is_some() {
            return;
        }
        let ticket = Ticket { place: slot, serial: waiting.serial };
        if waiting.parked.waits_for_store() && !mailbox.abandon(ticket) {
            // The completion is in the mailbox, which the next turn reads.
            waiting.until = now + DELIVERY_TIME;
        } else {
            waiting.completion = Some(Completion::TimedOut);
        }
    }

    /// Tells the store that the answer to the waiting request, if there is one, may not reach the client, so that the
    /// store withdraws what it applies. The pool changes nothing that would have to be withdrawn, so a request that
    /// waits for it is not abandoned before it continues to the store.
    pub(super) fn abandon(&mut self, slot: usize, mailbox: &dyn Mailbox) {
        let Some(waiting) = &mut self.waiting else { return };
        if waiting.parked.waits_for_store() && waiting.completion.is_none() && !waiting.is_abandoned {
            waiting.is_abandoned = mailbox.abandon(Ticket { place: slot, serial: waiting.serial });
        }
    }

    /// The client has closed its side. One that does so with its request, or soon after, still reads the answer. One
    /// that does so later has given up: its request is abandoned and gets no answer. (If it got one, a thief could use
    /// a stolen code, keep the answer, and have the store withdraw the redemption, so that the theft leaves no trace.)
    pub(super) fn note_end(&mut self, now: Instant, slot: usize, mailbox: &dyn Mailbox) {
        let has_given_up = |waiting: &Waiting| now.saturating_duration_since(waiting.since) >= GIVES_UP_AFTER;
        if self.waiting.as_deref().is_some_and(has_given_up) {
            self.abandon(slot, mailbox);
        }
    }

    /// Keeps the completion for the request with `serial`. Returns whether that request waits here; if not, its
    /// connection was closed, or its time was over and the slot has a newer request. The first completion counts.
    ///
    /// Where that request began a stream, the completion is a notice of its source, and each one counts.
    pub(super) fn deliver(&mut self, serial: u64, completion: Completion) -> bool {
        if let Some(streaming) = &mut self.streaming {
            return streaming.wake(serial);
        }
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.serial == serial) else {
            return false;
        };
        waiting.completion.get_or_insert(completion);
        true
    }

    /// Since when the connection has been idle: open, with no request begun.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.connection.idle_since()
    }

    /// How much memory the buffers took when they were last counted, in bytes.
    pub(super) fn counted(&self) -> usize {
        self.counted
    }

    /// Updates [`Link::counted`], and returns it.
    pub(super) fn count(&mut self) -> usize {
        self.counted = self.connection.buffered();
        self.counted
    }

    /// Whether it is queued for its share of a turn.
    pub(super) fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Records whether it is queued.
    pub(super) fn set_queued(&mut self, is_queued: bool) {
        self.is_queued = is_queued;
    }

    /// Records an event. An error is reported by the system call that it makes fail.
    pub(super) fn note(&mut self, readiness: Readiness) {
        self.read_closed |= readiness.read_closed;
        self.readable |= readiness.readable || readiness.read_closed;
        self.writable |= readiness.writable;
    }

    /// Closes the connection once the requests that have been sent are answered. Some may be unread in the socket, so
    /// it is read once more, event or not.
    pub(super) fn finish(&mut self, now: Instant) {
        self.connection.finish(now);
        self.is_finishing = true;
        self.readable = true;
    }

    /// Makes progress, as the connection in `slot`, until the connection waits or has used up its share of the turn.
    /// Borrows buffers for that, and returns them if they are empty at the end.
    pub(super) fn drive(&mut self, slot: usize, turn: &mut Turn) -> Driven {
        if self.connection.wants_buffers() {
            self.connection.lend(turn.spare.take());
        }
        let driven = self.drive_with_buffers(slot, turn);
        if let Some(buffers) = self.connection.give_back() {
            turn.spare.put(buffers);
        }
        driven
    }

    /// Answers what has been received, then does what the connection wants, over and over.
    fn drive_with_buffers(&mut self, slot: usize, turn: &mut Turn) -> Driven {
        let (mut reads, mut fills, mut requests_left) = (0, 0, REQUESTS_PER_TURN_MAX);
        loop {
            self.answer_requests(slot, turn, &mut requests_left);
            if self.has_given_up {
                return Driven::Closed;
            }
            if self.streaming.is_some() {
                self.settle_stream(turn);
            }
            let result = match self.connection.wants() {
                // More requests may be in the buffer, and no event would announce them. (A connection whose client
                // has closed its side wants to close, but not before the requests sent before that are answered.)
                Want::Read | Want::Close if requests_left == 0 && self.connection.has_input() => {
                    return Driven::Unfinished;
                }
                Want::Read if self.readable && reads == READS_PER_TURN_MAX => return Driven::Unfinished,
                Want::Read if self.readable => {
                    reads += 1;
                    self.read(turn)
                }
                Want::Write if self.writable => self.write(turn.now()),
                Want::Content if self.streaming.as_ref().is_some_and(|streaming| streaming.is_due()) => {
                    if fills == FILLS_PER_TURN_MAX {
                        return Driven::Unfinished;
                    }
                    fills += 1;
                    self.fill(turn);
                    Ok(())
                }
                Want::Shutdown => self.shut(turn.now()),
                Want::Close => {
                    turn.counts.starved += u64::from(self.connection.is_starved());
                    return Driven::Closed;
                }
                Want::Read if self.is_finishing && self.idle_since().is_some() => return Driven::Closed,
                Want::Read | Want::Write | Want::Answer | Want::Content => return Driven::Waiting,
            };
            // The client is gone, or the system has no memory for the socket: no answer can be sent.
            if result.is_err() {
                turn.counts.broken += 1;
                return Driven::Closed;
            }
        }
    }

    /// Answers the requests in the buffer, in order, until one has to wait or the share is used up.
    fn answer_requests(&mut self, slot: usize, turn: &mut Turn, requests_left: &mut usize) {
        if self.waiting.is_some() && !self.resume_waiting(slot, turn) {
            return;
        }
        while *requests_left > 0 {
            let step = match self.connection.next_event(turn.now()) {
                Event::Nothing => return,
                Event::Request(request) => {
                    if let Some(tap) = &mut self.tap {
                        tap.begin(request.rest());
                    }
                    let sender = Sender { peer: self.address, notes: self.tap.as_deref().map(Tap::notes) };
                    turn.begin(self.role, sender, &request, slot)
                }
                Event::Refused(refusal, request) => {
                    if let Some(tap) = &mut self.tap {
                        tap.begin(&[]);
                    }
                    Step::Done(turn.refuse(self.role, self.address, refusal, request.as_ref()))
                }
            };
            *requests_left -= 1;
            // A request that is parked gets its response when it is resumed.
            if self.is_finishing && !matches!(step, Step::Parked(_)) {
                self.read_behind(turn);
                if self.connection.is_starved() {
                    return;
                }
            }
            let routes = &turn.routes;
            if !self.respond_or_park(step, routes, turn) {
                return;
            }
        }
    }

    /// Sends the response if the request is done, begins it if it is a stream, else parks the request. Returns whether
    /// the next request may be answered; responses keep the order of their requests.
    fn respond_or_park(&mut self, step: Step, routes: &Arc<Routes>, turn: &Turn) -> bool {
        match step {
            Step::Done(response) => {
                match &mut self.tap {
                    None => self.connection.respond(&response, turn.date(), turn.now()),
                    Some(tap) => {
                        let queued = self.connection.outgoing().len();
                        self.connection.respond(&response, turn.date(), turn.now());
                        let answer = self.connection.outgoing().get(queued..).unwrap_or_default();
                        tap.answer(answer, response.reason(), response.client());
                    }
                }
                true
            }
            Step::Parked(parked) => {
                self.park(parked, Arc::clone(routes), turn);
                false
            }
            Step::Stream(stream) => {
                self.begin_stream(stream, turn);
                false
            }
        }
    }

    /// Parks a request that began with `routes`, until the store or the pool completes it, or the time that these
    /// routes give it is over. Those of `turn` may be newer.
    fn park(&mut self, parked: Parked, routes: Arc<Routes>, turn: &Turn) {
        self.waiting = Some(Box::new(Waiting {
            serial: turn.serial,
            until: turn.now() + parked.time_max(routes.limits()),
            routes,
            parked,
            completion: None,
            is_abandoned: false,
            since: turn.now(),
        }));
    }

    /// Resumes the waiting request if it has a completion or has timed out. Returns whether the next request may be
    /// answered.
    fn resume_waiting(&mut self, slot: usize, turn: &mut Turn) -> bool {
        let Some(waiting) = self.waiting.take_if(|waiting| waiting.completion.is_some()) else { return false };
        if waiting.is_abandoned {
            self.has_given_up = true;
            return false;
        }
        self.read_behind(turn);
        let Waiting { routes, parked, completion, .. } = *waiting;
        let completion = completion.unwrap_or(Completion::TimedOut);
        let resumable = Resumable { routes: &routes, parked, completion };
        // The HTTP connection may have been given up by its own deadline in the same turn: then no answer can be sent.
        let Some(request) = self.connection.unanswered() else { return true };
        let sender = Sender { peer: self.address, notes: self.tap.as_deref().map(Tap::notes) };
        let step = turn.resume(self.role, sender, resumable, &request, slot);
        self.respond_or_park(step, &routes, turn)
    }

    /// While the server shuts down, reads once before a request without another one behind it is answered. The response
    /// ends the connection, and requests that are still in the socket count as received, too. (If the read fails, so
    /// does the write of the response, which reports it.)
    fn read_behind(&mut self, turn: &mut Turn) {
        let is_last =
            |connection: &Connection| connection.unanswered().is_some_and(|request| request.rest().is_empty());
        if self.is_finishing && self.readable && is_last(&self.connection) {
            let _ = self.read(turn);
        }
    }

    /// Reads once into the worker's buffer, and passes the bytes or the end to the HTTP connection.
    fn read(&mut self, turn: &mut Turn) -> io::Result<()> {
        match self.socket.read(&mut turn.scratch) {
            Ok(0) => {
                self.readable = false;
                self.connection.receive_end();
            }
            Ok(count) => {
                let is_last = SHORT_READ_IS_LAST && count < turn.scratch.len() && !self.read_closed;
                self.readable = !is_last;
                if let Some(tap) = &mut self.tap {
                    tap.read(&turn.scratch[..count]);
                }
                self.connection.receive(&turn.scratch[..count], turn.now());
            }
            Err(error) => self.readable = may_try_again(error)?,
        }
        Ok(())
    }

    /// Writes what it can of the responses; the rest waits for the next event.
    fn write(&mut self, now: Instant) -> io::Result<()> {
        match self.socket.write(self.connection.outgoing()) {
            Ok(count) => self.connection.sent(count, now),
            Err(error) => self.writable = may_try_again(error)?,
        }
        Ok(())
    }

    /// Closes the sending side, after the last response.
    fn shut(&mut self, now: Instant) -> io::Result<()> {
        self.socket.shut()?;
        self.connection.shut(now);
        Ok(())
    }
}

/// Whether to try again at once (a signal interrupted the call) or at the next event. Returns any other error.
fn may_try_again(error: io::Error) -> io::Result<bool> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(false),
        io::ErrorKind::Interrupted => Ok(true),
        _ => Err(error),
    }
}
