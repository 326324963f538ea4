//! One worker: a thread, an event queue, and its share of the connections.
//!
//! The first worker also keeps the door: it accepts, and deals each connection to the worker that has the
//! fewest. So no worker starves, whatever the kernel would have thought of them; and with one worker nothing
//! is dealt at all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::crowd::Crowd;
use super::engine::Engine;
use super::eviction::Room;
use super::inbox::{Inbox, Newcomer};
use super::listeners::Listener;
use super::reload::Reload;
use super::signals::Signals;
use super::socket::{Readiness, Socket};
use crate::config::Limits;
use crate::log::Log;
use crate::routes::Completion;
use crate::store::{Mailbox, Ticket};

/// The waker's token; listeners have those from 1, connections those from [`FIRST_CONNECTION`].
const WAKER: Token = Token(0);
const FIRST_LISTENER: usize = 1;
const HANG_UP: Token = Token(14);
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

impl Control {
    /// The server is about to end.
    pub(super) fn is_finishing(&self) -> bool {
        self.finish.load(Ordering::Acquire) || self.stop.load(Ordering::Acquire)
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
    /// Completions being handed on; empty between turns, and kept for its room.
    completions: Vec<(Ticket, Completion)>,
    door: Option<Door>,
    signals: Signals,
    /// Where reloaded configurations are published, and the generation that this worker uses.
    reload: Option<Arc<Reload>>,
    generation: u64,
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
        let inbox = Arc::new(Inbox::new(&poll, WAKER)?);
        let engine = make(Arc::<Inbox>::clone(&inbox));
        Ok(Worker {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            engine,
            inbox,
            completions: Vec::new(),
            door: None,
            signals: Signals::default(),
            reload: None,
            generation: 0,
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

    /// Makes this worker use what `reload` publishes.
    pub(super) fn follow(&mut self, reload: Arc<Reload>) {
        self.generation = reload.generation();
        self.reload = Some(reload);
    }

    /// Makes this worker begin the end, or a reload, when there is a signal.
    pub(super) fn listen_to(&mut self, mut signals: Signals) -> io::Result<()> {
        for (pipe, token) in [(&mut signals.end, SIGNALS), (&mut signals.reload, HANG_UP)] {
            if let Some(pipe) = pipe {
                self.poll.registry().register(pipe, token, Interest::READABLE)?;
            }
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
        take_settings(self.reload.as_ref(), &mut self.generation, &mut self.engine);
        self.crowd.begin_turn(self.engine.timestamp());
        for event in &self.events {
            match event.token() {
                WAKER => {
                    if deliver_all(&self.inbox, &mut self.completions, &mut self.engine) > 0 {
                        self.crowd.hear_of_store();
                    }
                    before += open_all(self.inbox.take_newcomers(), &mut self.engine, &self.poll);
                    self.inbox.give_room(&mut self.engine);
                }
                // What stands in the pipe is not read; a second signal ends the program without it.
                SIGNALS => self.control.finish.store(true, Ordering::Release),
                HANG_UP => {
                    self.signals.drain_reload();
                    self.reload.iter().for_each(Reload::request);
                }
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
            self.inbox.subtract_load(closed);
        }
        let Some(door) = &mut self.door else { return };
        if closed > 0 || self.inbox.take_room() {
            // A descriptor is free now.
            door.accept_again = None;
        }
        let before = self.engine.len();
        door.accept(&mut self.engine, &self.poll);
        // Fewer than before where idle connections were closed for those that others were given.
        match self.engine.len() {
            after if after > before => self.inbox.add_load(after - before),
            after => self.inbox.subtract_load(before - after),
        };
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

/// Hands on the completions; returns how many those were.
fn deliver_all(
    inbox: &Inbox,
    completions: &mut Vec<(Ticket, Completion)>,
    engine: &mut Engine<TcpStream>,
) -> usize {
    inbox.take_completions(completions);
    let count = completions.len();
    completions.drain(..).for_each(|(ticket, completion)| engine.deliver(ticket, completion));
    count
}

/// Takes the configuration that was published last, unless the engine uses it already.
fn take_settings(reload: Option<&Arc<Reload>>, generation: &mut u64, engine: &mut Engine<TcpStream>) {
    let Some(reload) = reload.filter(|reload| reload.generation() != *generation) else { return };
    let (taken, settings) = reload.take();
    *generation = taken;
    engine.reconfigure(&settings.config, Arc::clone(&settings.routes));
    reload.confirm();
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

    /// Accepts all connections that wait.
    fn accept(&mut self, engine: &mut Engine<TcpStream>, poll: &Poll) {
        if !self.is_knocked_at {
            return;
        }
        if self.accept_again.is_none_or(|again| again <= engine.now()) {
            self.accept_again = None;
            self.accept_all(engine, poll);
        }
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
                    Err(error) => match engine.make_room() {
                        // Each time closes a connection that was there before this turn, so this ends. (The kernel
                        // says that it has no descriptor before it looks whether anyone waits. So one stays free.)
                        Room::Made => self.tell_of_eviction(&error, engine),
                        Room::NextTurn => return self.accept_again = Some(engine.now() + NEXT_TURN),
                        Room::None => return self.pause_accepting(&error, engine),
                    },
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
                inbox.add_load(1);
                inbox.welcome(newcomer);
            }
            None => open(newcomer, engine, poll),
        }
    }

    fn tell_of_eviction(&self, error: &io::Error, engine: &Engine<TcpStream>) {
        self.log.line(format_args!(
            "accepting failed: {error}; the longest idle connection was closed for a new one, and {} are open in this \
             worker; {MORE_DESCRIPTORS}",
            engine.len()
        ));
    }

    /// Another worker may have an idle connection.
    fn pause_accepting(&mut self, error: &io::Error, engine: &Engine<TcpStream>) {
        if let Some((own, others)) = self.inboxes.split_first() {
            others.iter().for_each(|inbox| inbox.ask_for_room(own));
        }
        self.log.line(format_args!(
            "accepting pauses: {error}; {} connections are open in this worker, and none is idle; {MORE_DESCRIPTORS}",
            engine.len()
        ));
        self.accept_again = Some(engine.now() + self.accept_retry_time);
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

#[cfg(test)]
impl Worker {
    pub(super) fn engine(&self) -> &Engine<TcpStream> {
        &self.engine
    }
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
