//! The open connections: for each a socket, the state of its conversation, and what is known of readiness.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::socket::{Readiness, Socket};
use super::turn::Turn;
use crate::http::connection::{Connection, Event, Want};
use crate::routes::{Completion, Parked, Role, Routes, Step};
use crate::store::{Mailbox, Ticket};

/// How often one connection may read in one turn of the loop before others have theirs.
const READS_PER_TURN_MAX: usize = 4;

/// How many pipelined requests of one connection are answered in one turn of the loop before others have theirs.
/// 64 KiB of requests are two thousand.
const REQUESTS_PER_TURN_MAX: usize = 16;

/// On Linux a read that fills less than its buffer has taken all there was, and whatever comes later makes a
/// new event (epoll(7)); asking again would only be told that there is nothing. Elsewhere mio wants to hear
/// exactly that before it reports anything new.
const SHORT_READ_IS_LAST: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// How long after its request a client that closes its side counts as one that gave up.
const GIVES_UP_AFTER: Duration = Duration::from_secs(1);

/// How long an answer that the store has given may take to be read.
const DELIVERY_TIME: Duration = Duration::from_millis(10);

/// A socket and the conversation over it.
pub(super) struct Link<S> {
    role: Role,
    pub(super) address: IpAddr,
    socket: S,
    connection: Connection,
    /// What the last event said and no system call has contradicted since.
    readable: bool,
    writable: bool,
    /// The client's end has arrived, though bytes may stand before it.
    read_closed: bool,
    /// The server ends.
    is_finishing: bool,
    /// The client gave up while its request waited for the store.
    has_given_up: bool,
    /// How much memory the buffers took when they were last counted.
    counted: usize,
    /// It has had its share of a turn, and its next share is planned.
    is_queued: bool,
    /// The request that is with the store or the pool, if there is one.
    waiting: Option<Box<Waiting>>,
}

/// A request that goes on when there is a completion for it from the store or the pool, and nothing else on its
/// connection before that.
struct Waiting {
    serial: u64,
    /// What the request began with: the configuration may be another one by the time it is finished.
    routes: Arc<Routes>,
    parked: Parked,
    until: Instant,
    completion: Option<Completion>,
    /// The store knows that the answer may reach no client.
    is_abandoned: bool,
    since: Instant,
}

/// What became of a connection in a turn.
pub(super) enum Driven {
    /// It waits for the world.
    Waiting,
    /// It could go on, but has had its share of this turn.
    Unfinished,
    /// It is over.
    Closed,
}

impl<S: Socket> Link<S> {
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
            has_given_up: false,
            counted: 0,
            is_queued: false,
            waiting: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = self.connection.deadline();
        match &self.waiting {
            None => deadline,
            Some(waiting) => Some(deadline.map_or(waiting.until, |deadline| deadline.min(waiting.until))),
        }
    }

    pub(super) fn expire(&mut self, now: Instant, slot: usize, mailbox: &dyn Mailbox) {
        self.connection.expire(now);
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.until <= now) else { return };
        if waiting.completion.is_some() {
            return;
        }
        let ticket = Ticket { place: slot, serial: waiting.serial };
        match waiting.parked.waits_for_store() && !mailbox.abandon(ticket) {
            // The answer is there, and is read in the next turn.
            true => waiting.until = now + DELIVERY_TIME,
            false => waiting.completion = Some(Completion::TimedOut),
        }
    }

    /// Notes that the client will not read the answer to the request that waits for the store, if there is one, or
    /// perhaps will not: a client that has closed its side may read on, and most do not. The pool changes nothing that
    /// would have to be withdrawn; a request that waits for it is abandoned when it goes on to the store.
    pub(super) fn abandon(&mut self, slot: usize, mailbox: &dyn Mailbox) {
        let Some(waiting) = &mut self.waiting else { return };
        if waiting.parked.waits_for_store() && waiting.completion.is_none() && !waiting.is_abandoned {
            waiting.is_abandoned = mailbox.abandon(Ticket { place: slot, serial: waiting.serial });
        }
    }

    /// The client has closed its side. One that does so with its request, or soon after, reads on. One that does so
    /// after a while has given up: its request is abandoned, and gets no answer any more. (Were it answered, a thief
    /// could have the answer and have it withdrawn, too.)
    pub(super) fn note_end(&mut self, now: Instant, slot: usize, mailbox: &dyn Mailbox) {
        let has_given_up = |waiting: &Waiting| now.saturating_duration_since(waiting.since) >= GIVES_UP_AFTER;
        if self.waiting.as_deref().is_some_and(has_given_up) {
            self.abandon(slot, mailbox);
        }
    }

    /// Takes the completion for `serial`; whether anyone here has waited for it. Who has given up, or is gone, does not
    /// hear of it.
    pub(super) fn deliver(&mut self, serial: u64, completion: Completion) -> bool {
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.serial == serial) else {
            return false;
        };
        waiting.completion.get_or_insert(completion);
        true
    }

    /// Since when the connection has been between requests, if it is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.connection.idle_since()
    }

    /// How much memory the buffers took when they were last counted, in bytes.
    pub(super) fn counted(&self) -> usize {
        self.counted
    }

    /// Counts the buffers' memory again.
    pub(super) fn count(&mut self) -> usize {
        self.counted = self.connection.buffered();
        self.counted
    }

    /// Whether it waits for its share of a turn.
    pub(super) fn is_queued(&self) -> bool {
        self.is_queued
    }

    pub(super) fn set_queued(&mut self, is_queued: bool) {
        self.is_queued = is_queued;
    }

    /// Takes note of an event. An error is learnt from the call that it makes fail.
    pub(super) fn note(&mut self, readiness: Readiness) {
        self.read_closed |= readiness.read_closed;
        self.readable |= readiness.readable || readiness.read_closed;
        self.writable |= readiness.writable;
    }

    /// The connection is to end when what has been asked for is answered. What has arrived was asked for, so
    /// there is one more look at the socket.
    pub(super) fn finish(&mut self, now: Instant) {
        self.connection.finish(now);
        self.is_finishing = true;
        self.readable = true;
    }

    /// Goes on, as the connection in `slot`, until it waits for something or has had its share of the turn: the
    /// requests of the share are answered before the answers are written, and every answer is written before more
    /// is read.
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

    fn drive_with_buffers(&mut self, slot: usize, turn: &mut Turn) -> Driven {
        let (mut reads, mut requests_left) = (0, REQUESTS_PER_TURN_MAX);
        loop {
            self.answer_requests(slot, turn, &mut requests_left);
            if self.has_given_up {
                return Driven::Closed;
            }
            let result = match self.connection.wants() {
                // There may be more requests in its buffer, and no event would say so. (It would close where the
                // client's end has arrived, but not before what came before that.)
                Want::Read | Want::Close if requests_left == 0 && self.connection.has_input() => {
                    return Driven::Unfinished;
                }
                Want::Read if self.readable && reads == READS_PER_TURN_MAX => return Driven::Unfinished,
                Want::Read if self.readable => {
                    reads += 1;
                    self.read(turn)
                }
                Want::Write if self.writable => self.write(turn.now),
                Want::Shutdown => self.shut(turn.now),
                Want::Close => {
                    turn.counts.starved += u64::from(self.connection.is_starved());
                    return Driven::Closed;
                }
                Want::Read if self.is_finishing && self.idle_since().is_some() => return Driven::Closed,
                Want::Read | Want::Write | Want::Answer | Want::Content => return Driven::Waiting,
            };
            // The peer is gone, or the machine has no memory for the socket: there is nobody to answer.
            if result.is_err() {
                turn.counts.broken += 1;
                return Driven::Closed;
            }
        }
    }

    fn answer_requests(&mut self, slot: usize, turn: &mut Turn, requests_left: &mut usize) {
        if self.waiting.is_some() && !self.resume_waiting(slot, turn) {
            return;
        }
        while *requests_left > 0 {
            let ticket = Ticket { place: slot, serial: turn.next_serial() };
            let step = match self.connection.step(turn.now) {
                Event::Nothing => return,
                Event::Request(request) => turn.begin(self.role, self.address, &request, ticket),
                Event::Refused(refusal, request) => {
                    Step::Done(turn.refuse(self.role, self.address, refusal, request.as_ref()))
                }
            };
            *requests_left -= 1;
            let routes = turn.routes();
            if !self.respond_or_park(step, routes, ticket, turn) {
                return;
            }
        }
    }

    /// Sends the response, if the step is done; else the request waits, and nothing else is answered before it.
    fn respond_or_park(&mut self, step: Step, routes: &Arc<Routes>, ticket: Ticket, turn: &Turn) -> bool {
        match step {
            Step::Done(response) => {
                self.connection.respond(&response, turn.date(), turn.now);
                true
            }
            Step::Parked(parked) => {
                self.park(parked, Arc::clone(routes), ticket, turn);
                false
            }
        }
    }

    /// Lets a request that began with `routes` wait for the store or the pool.
    fn park(&mut self, parked: Parked, routes: Arc<Routes>, ticket: Ticket, turn: &Turn) {
        let (serial, until) = (ticket.serial, turn.now + parked.time_max(turn.limits));
        let (is_abandoned, since) = (false, turn.now);
        self.waiting =
            Some(Box::new(Waiting { serial, routes, parked, until, completion: None, is_abandoned, since }));
    }

    /// Answers the request that has waited, if there is a completion for it, or its time is over.
    fn resume_waiting(&mut self, slot: usize, turn: &mut Turn) -> bool {
        let Some(waiting) = self.waiting.take_if(|waiting| waiting.completion.is_some()) else { return false };
        if waiting.is_abandoned {
            self.has_given_up = true;
            return false;
        }
        if self.is_finishing && self.readable {
            // What was sent behind it was asked for, too, and has not been read meanwhile. (A socket that fails
            // here fails again when the answer is written.)
            let _ = self.read(turn);
        }
        let Waiting { routes, parked, completion, .. } = *waiting;
        let completion = completion.unwrap_or(Completion::TimedOut);
        // The client may have been given up in the same moment: then there is nobody to answer.
        let Some(request) = self.connection.unanswered() else { return true };
        let ticket = Ticket { place: slot, serial: turn.next_serial() };
        let step = turn.resume(self.role, self.address, (&routes, parked, completion), &request, ticket);
        self.respond_or_park(step, &routes, ticket, turn)
    }

    fn read(&mut self, turn: &mut Turn) -> io::Result<()> {
        match self.socket.read(turn.scratch) {
            Ok(0) => {
                self.readable = false;
                self.connection.receive_end();
            }
            Ok(count) => {
                let is_last = SHORT_READ_IS_LAST && count < turn.scratch.len() && !self.read_closed;
                self.readable = !is_last;
                self.connection.receive(&turn.scratch[..count], turn.now);
            }
            Err(error) => self.readable = may_try_again(error)?,
        }
        Ok(())
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        match self.socket.write(self.connection.outgoing()) {
            Ok(count) => self.connection.sent(count, now),
            Err(error) => self.writable = may_try_again(error)?,
        }
        Ok(())
    }

    fn shut(&mut self, now: Instant) -> io::Result<()> {
        self.socket.shut()?;
        self.connection.shut(now);
        Ok(())
    }
}

/// Whether to try at once (a signal came between) or at the next event; any other error is passed on.
fn may_try_again(error: io::Error) -> io::Result<bool> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(false),
        io::ErrorKind::Interrupted => Ok(true),
        _ => Err(error),
    }
}
