//! Drives a worker's connections: which are admitted, which make progress now, which have timed out.
//!
//! The worker reports what happened ([`Driver::open`], [`Driver::ready`], [`Driver::deliver`]) between
//! [`Driver::begin_turn`] and [`Driver::end_turn`], and asks how long it may sleep ([`Driver::time_to_next_task`]). The
//! driver does what can be done without waiting. It knows sockets only by the [`Socket`] trait and time only by
//! [`System`], so a test can run it on a simulated network and clock.
//!
//! Each connection gets a bounded share of a turn. One that could continue is queued for the next turn, so a client
//! that sends without pause cannot delay the others. Three bounds are kept here, each the worker's share of the bound
//! on the server: connections, connections of one peer, and bytes in buffers. Past one of the first two, the longest
//! idle connection is closed for the new one, or the new one is refused with 503; past the third, the connection that
//! holds most is closed.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access_log::AccessLog;
use super::buffers::SpareBuffers;
use super::counts::Counts;
use super::deadlines::Deadlines;
use super::descriptors::TURNED_AWAY_MAX;
use super::eviction::{Eviction, Room};
use super::forwarded::Proxies;
use super::link::{Driven, Link};
use super::peers::Peers;
use super::refusal_log::RefusalLog;
use super::settings::{Limits, Settings};
use super::shares::Shares;
use super::socket::{Readiness, Socket};
use super::table::Table;
use super::turn::Turn;
use super::turn_clock::TurnClock;
use crate::http::connection::Connection;
use crate::http::{self, Refusal, Status};
use crate::log::{Log, Logs};
use crate::oauth::Timestamp;
use crate::peer::Peer;
use crate::routes::{Completion, Role, Routes};
use crate::store::{Mailbox, Ticket};
use crate::system::System;

/// The size of the buffer that all reads of this worker share.
const READ_BYTES_MAX: usize = 16 * 1024;

/// How many queued connections continue in one turn. The bound keeps turns short, so that new clients are accepted
/// soon.
const UNFINISHED_PER_TURN_MAX: usize = 256;

/// One worker's connections, and what they need to make progress.
pub struct Driver<S> {
    links: Table<S>,
    connections_max: usize,
    /// The peers of the links that are open only to be sent a 503: [`TURNED_AWAY_MAX`] at most.
    turned_away: Vec<Peer>,
    peers: Peers,
    deadlines: Deadlines,
    /// Connections that used up their share of a turn and could continue: the slot, and the turn in which it was
    /// opened, since the slot may have been reused.
    unfinished: VecDeque<(usize, u64)>,
    /// How many of them continue in this turn.
    unfinished_due: usize,
    eviction: Eviction,
    /// How much memory the buffers of all connections take, in bytes, and its bound.
    buffered: usize,
    buffered_max: usize,
    turns: u64,
    /// When the remaining connections are closed, once the shutdown has begun.
    finish_by: Option<Instant>,
    /// What the connections share; beside their table, so that it can be lent to one of them.
    turn: Turn,
    limits: Limits,
    /// The limits of connections opened from now on.
    connection_limits: Arc<http::Limits>,
    system: Arc<dyn System>,
    log: Log,
}

impl<S: Socket> Driver<S> {
    /// A driver with its share of the bounds of `settings`. The caller passes each completion that arrives in `mailbox`
    /// to [`Driver::deliver`].
    pub fn new(
        settings: &Settings,
        routes: Arc<Routes>,
        mailbox: Arc<dyn Mailbox>,
        system: Arc<dyn System>,
        logs: &Logs,
    ) -> Driver<S> {
        let limits = settings.limits.clone();
        let Shares { connections_max, peer_max, buffered_max, refusal_lines_per_second_max } =
            Shares::of(settings);
        let turn = Turn {
            clock: TurnClock::new(system.as_ref()),
            routes,
            mailbox,
            serial: 0,
            refusal_log: RefusalLog::new(logs.errors.clone(), refusal_lines_per_second_max),
            access: AccessLog::new(logs.access.clone(), settings.access_log, Arc::clone(&system)),
            proxies: Proxies::new(&settings.trusted_proxies),
            counts: Counts::default(),
            spare: SpareBuffers::default(),
            scratch: vec![0; READ_BYTES_MAX].into_boxed_slice(),
        };
        Driver {
            links: Table::new(),
            connections_max,
            turned_away: Vec::new(),
            peers: Peers::new(peer_max),
            deadlines: Deadlines::default(),
            unfinished: VecDeque::new(),
            unfinished_due: 0,
            eviction: Eviction::default(),
            buffered: 0,
            buffered_max,
            turns: 0,
            finish_by: None,
            turn,
            log: logs.errors.clone(),
            system,
            connection_limits: Arc::new(settings.http.clone()),
            limits,
        }
    }

    /// Uses `routes` for new requests, and the limits of `settings` for new connections. Open connections keep the
    /// limits that they were opened with, and waiting requests are finished by the routes that they began with. The
    /// number of workers must not change.
    pub fn reconfigure(&mut self, settings: &Settings, routes: Arc<Routes>) {
        let Shares { connections_max, peer_max, buffered_max, refusal_lines_per_second_max } =
            Shares::of(settings);
        (self.connections_max, self.buffered_max) = (connections_max, buffered_max);
        if self.peers.each_max() != peer_max {
            self.peers = Peers::new(peer_max);
            for slot in self.links.slots() {
                let Some(link) = self.links.at(slot).filter(|link| !link.is_turned_away) else { continue };
                if !self.turn.proxies.trust(link.address) {
                    self.peers.add(Peer::of(link.address), slot);
                }
            }
        }
        self.turn.refusal_log.set_lines_per_second_max(refusal_lines_per_second_max);
        self.connection_limits = Arc::new(settings.http.clone());
        (self.limits, self.turn.routes) = (settings.limits.clone(), routes);
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// How much memory the buffers of all connections take, in bytes.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has been counted so far.
    pub fn counts(&self) -> Counts {
        self.turn.counts
    }

    /// The monotonic time of this turn.
    pub(super) fn now(&self) -> Instant {
        self.turn.clock.now
    }

    /// The wall-clock time of this turn.
    pub(super) fn timestamp(&self) -> Timestamp {
        self.turn.clock.timestamp
    }

    /// Time until the next timer; zero if a connection could continue, `None` if no timer is set.
    pub fn time_to_next_task(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let sooner = |one: Option<Instant>, other: Option<Instant>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let next = sooner(self.deadlines.next(), sooner(self.turn.refusal_log.deadline(), self.finish_by))?;
        // Measured from the beginning of this turn, which saves another reading of the clock. The loop may sleep too
        // long by the duration of a turn.
        Some(next.saturating_duration_since(self.turn.clock.now))
    }

    /// Begins a turn: reads the clock.
    pub fn begin_turn(&mut self) {
        self.turns += 1;
        // Connections that are queued during this turn have used up their share of it, and wait for the next.
        self.unfinished_due = self.unfinished.len().min(UNFINISHED_PER_TURN_MAX);
        self.turn.clock.update(self.system.as_ref());
        self.turn.refusal_log.settle(self.turn.clock.now);
    }

    /// Ends a turn: gives the queued connections their share, then handles the deadlines that have passed.
    pub fn end_turn(&mut self) {
        for _ in 0..self.unfinished_due {
            let Some((slot, opened_in)) = self.unfinished.pop_front() else { break };
            if let Some(link) = self.links.at(slot).filter(|link| link.opened_in == opened_in) {
                link.set_queued(false);
                self.drive(slot);
            }
        }
        let now = self.turn.clock.now;
        while let Some(slot) = self.deadlines.pop_due(now) {
            if let Some(link) = self.links.at(slot) {
                link.expire(now, slot, &*self.turn.mailbox);
                self.drive(slot);
            }
        }
        if self.finish_by.is_some_and(|by| by <= now) {
            self.links.slots().for_each(|slot| self.close(slot));
        }
    }

    /// An event of the socket in `slot`. Ignored if the connection is closed.
    pub fn ready(&mut self, slot: usize, readiness: Readiness) {
        // An earlier event of the same turn may have closed it, to make room or for its memory.
        let Some(link) = self.links.at(slot) else { return };
        link.note(readiness);
        if readiness.read_closed {
            link.note_end(self.turn.clock.now, slot, &*self.turn.mailbox);
        }
        // A queued connection gets its share at the end of the turn, however many events of its socket arrive.
        if !link.is_queued() {
            self.drive(slot);
        }
    }

    /// Delivers `completion`, of the store, the pool or the source of a stream, to the request or stream with `ticket`,
    /// and drives its connection. Returns `false` if that no longer waits: it has ended or timed out, or its connection
    /// was closed.
    pub fn deliver(&mut self, ticket: Ticket, completion: Completion) -> bool {
        let is_awaited =
            self.links.at(ticket.place).is_some_and(|link| link.deliver(ticket.serial, completion));
        if is_awaited {
            self.drive(ticket.place);
        }
        is_awaited
    }

    /// Whether `peer` may have one more connection. At the peer's bound, this closes the longest idle connection of the
    /// peer, so that it cannot displace others; at the worker's bound, the longest idle one of all. Returns `false` if
    /// none can be closed.
    fn admit(&mut self, peer: Option<Peer>) -> bool {
        // A reload can lower a bound below what is open. Two connections for each new one lead back to it.
        for _ in 0..2 {
            let Some(slots) = peer.and_then(|peer| self.peers.all_taken(peer)) else { break };
            match self.links.oldest_idle(slots.iter().map(|slot| *slot as usize)) {
                Some((slot, _)) if self.may_evict(slot) => self.evict(slot),
                _ => return false,
            }
        }
        for _ in 0..2 {
            if self.links.len() - self.turned_away.len() < self.connections_max {
                return true;
            }
            match self.eviction.oldest_idle(&mut self.links, self.turns) {
                Some((slot, _)) if self.may_evict(slot) => self.evict(slot),
                _ => return false,
            }
        }
        true
    }

    /// Whether an idle connection may be closed to make room. One that was accepted in this turn stays: its request may
    /// have arrived and has not been read yet.
    fn may_evict(&mut self, slot: usize) -> bool {
        self.links.at(slot).is_some_and(|link| link.opened_in < self.turns)
    }

    fn evict(&mut self, slot: usize) {
        self.turn.counts.evicted += 1;
        self.close(slot);
    }

    /// Closes the longest idle connection, to free a descriptor. One that was accepted in this turn stays: its request
    /// may have arrived and has not been read yet.
    pub(super) fn make_room(&mut self) -> Room {
        match self.eviction.oldest_idle(&mut self.links, self.turns) {
            None => Room::None,
            Some((slot, _)) if !self.may_evict(slot) => Room::NextTurn,
            Some((slot, _)) => {
                self.evict(slot);
                Room::Made
            }
        }
    }

    /// Adds a connection of the server `role` with the client at `address`. `watch` registers the socket for events,
    /// which are passed to [`Driver::ready`] with the slot that it is given. Past the bounds, the longest idle
    /// connection is closed; if none is idle, the new connection is sent a 503, or closed when too many others are
    /// being sent one.
    pub fn open(
        &mut self,
        role: Role,
        address: IpAddr,
        mut socket: S,
        watch: impl FnOnce(&mut S, usize) -> io::Result<()>,
    ) {
        // Connections of a trusted proxy carry requests of many clients, so they do not count as one peer's.
        let peer = (!self.turn.proxies.trust(address)).then(|| Peer::of(address));
        let is_admitted = self.admit(peer);
        if !is_admitted {
            self.turn.counts.turned_away += 1;
            if !self.may_say_no(address) {
                return;
            }
        }
        let slot = self.links.next_slot();
        if watch(&mut socket, slot).is_err() {
            // The kernel has no memory to watch another socket; the client finds its connection closed.
            self.turn.counts.broken += 1;
            return;
        }
        let limits = Arc::clone(&self.connection_limits);
        let connection = if is_admitted {
            Connection::new(limits, self.turn.clock.now)
        } else {
            Connection::turned_away(limits, NO_ROOM, self.turn.clock.now)
        };
        self.turn.counts.connections += u64::from(is_admitted);
        peer.filter(|_| is_admitted).into_iter().for_each(|peer| self.peers.add(peer, slot));
        let mut link = Link::new(role, address, socket, connection);
        (link.is_turned_away, link.opened_in) = (!is_admitted, self.turns);
        self.turned_away.extend((!is_admitted).then(|| Peer::of(address)));
        if let Some(wire) = self.turn.routes.wire() {
            link.tap(wire);
        }
        if self.finish_by.is_some() {
            link.finish(self.turn.clock.now);
        }
        self.links.insert(link);
        self.drive(slot);
    }

    /// Whether a connection that is not admitted is sent a 503. One peer has half of the places at most, so that its
    /// connections past its own bound leave places for others. A proxy on this machine, which speaks for many, may have
    /// all.
    fn may_say_no(&self, address: IpAddr) -> bool {
        let of_peer = self.turned_away.iter().filter(|other| **other == Peer::of(address)).count();
        let max = if self.turn.proxies.trust(address) || address.to_canonical().is_loopback() {
            TURNED_AWAY_MAX
        } else {
            TURNED_AWAY_MAX / 2
        };
        of_peer < max && self.turned_away.len() < TURNED_AWAY_MAX
    }

    /// Begins the shutdown: each connection is closed after the requests that it has sent are answered, including those
    /// opened from now on. What is left after `finish_time_max` is closed unanswered.
    pub fn finish(&mut self) {
        if self.finish_by.is_some() {
            return;
        }
        self.finish_by = Some(self.turn.clock.now + self.limits.finish_time_max);
        let now = self.turn.clock.now;
        for slot in self.links.slots() {
            if let Some(link) = self.links.at(slot) {
                link.finish(now);
                self.drive(slot);
            }
        }
    }

    /// Makes as much progress on a connection as its share of the turn allows, then sets its deadline, queues it or
    /// closes it.
    fn drive(&mut self, slot: usize) {
        let Some(link) = self.links.at(slot) else { return };
        let driven = link.drive(slot, &mut self.turn);
        self.buffered = (self.buffered - link.counted()) + link.count();
        match driven {
            Driven::Waiting => self.deadlines.set(slot, link.deadline()),
            Driven::Unfinished if link.is_queued() => {}
            Driven::Unfinished => {
                link.set_queued(true);
                self.unfinished.push_back((slot, link.opened_in));
            }
            Driven::Closed => self.close(slot),
        }
        if self.buffered > self.buffered_max {
            self.shed();
        }
    }

    /// Closes the connections with the largest buffers until all buffers together are within the bound. These are
    /// clients that send and do not read; connections with small requests and responses hold too little to be chosen.
    #[cold]
    fn shed(&mut self) {
        while self.buffered > self.buffered_max {
            let Some((slot, bytes, address)) = self.eviction.heaviest(&mut self.links) else { return };
            let max = self.buffered_max;
            self.log.line(format_args!(
                "buffers take more than {max} bytes in this worker (its share of buffered_bytes_max); closed the \
                 connection that held most: {bytes} bytes, from {address}"
            ));
            self.evict(slot);
        }
    }

    fn close(&mut self, slot: usize) {
        // Dropping the socket closes it, which also removes it from the event queue. A trusted proxy's connection is
        // not among the peers; removing it there does nothing.
        if let Some(mut link) = self.links.remove(slot) {
            self.buffered -= link.counted();
            if link.is_turned_away {
                let peer = Peer::of(link.address);
                if let Some(place) = self.turned_away.iter().position(|other| *other == peer) {
                    self.turned_away.swap_remove(place);
                }
            }
            link.abandon(slot, &*self.turn.mailbox);
            link.close_stream(&self.turn.access, &self.turn.clock);
            self.peers.remove(Peer::of(link.address), slot);
        }
    }
}

/// For a connection past the bound while none is idle.
const NO_ROOM: Refusal = Refusal::new(Status::ServiceUnavailable, "there are too many connections");

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};

    use super::*;
    use crate::config;
    use crate::crypto::password;
    use crate::log::Log;
    use crate::oauth::{Outcome, Scope, Transition};
    use crate::pool::Pool;
    use crate::routes::Site;
    use crate::store::{Applied, Caller, Store, StoreError};
    use crate::system::RealSystem;

    /// A store that takes every transition and says nothing.
    struct Silent;

    impl Store for Silent {
        fn submit(&self, _: Transition, _: Timestamp, _: Caller) -> Option<Applied> {
            None
        }
    }

    /// A socket with one request for tokens on it; what is written to it goes to the test.
    struct OneRequest {
        request: Option<Vec<u8>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Read for OneRequest {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let request = self.request.take().ok_or(io::ErrorKind::WouldBlock)?;
            (&request[..]).read(bytes)
        }
    }

    impl Write for OneRequest {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Socket for OneRequest {
        fn shut(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A driver with the store [`Silent`] and a mailbox that ignores everything.
    pub(in crate::net) fn driver<S: Socket>(settings: &Settings) -> Driver<S> {
        driver_with(settings, &Log::kept(), Arc::new(()))
    }

    /// The same with this log of errors, and this mailbox.
    fn driver_with<S: Socket>(settings: &Settings, errors: &Log, mailbox: Arc<dyn Mailbox>) -> Driver<S> {
        let system: Arc<dyn System> = Arc::new(RealSystem::default());
        let site = Site::new(None, settings.client_port, settings.auth_port, None);
        let pool = Arc::new(Pool::new(1));
        let routes = Routes::new(&settings.routes, site, Arc::new(Silent), pool, Arc::clone(&system)).unwrap();
        let logs = Logs { errors: errors.clone(), access: Log::kept() };
        Driver::new(settings, Arc::new(routes), mailbox, system, &logs)
    }

    /// Opens a connection that redeems a code; what is written to it, and whether it was watched.
    fn open(driver: &mut Driver<OneRequest>) -> (Arc<Mutex<Vec<u8>>>, bool) {
        open_with(driver, "application/json", &format!(r#"{{"code":"{}"}}"#, "A".repeat(64)))
    }

    /// Opens a connection with one request for tokens, which has `content`.
    fn open_with(driver: &mut Driver<OneRequest>, kind: &str, content: &str) -> (Arc<Mutex<Vec<u8>>>, bool) {
        let head = format!("POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: ");
        let request = Some(format!("{head}{}\r\n\r\n{content}", content.len()).into_bytes());
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let socket = OneRequest { request, written: Arc::clone(&written) };
        let mut watched = None;
        driver.open(Role::AuthorizationServer, Ipv4Addr::LOCALHOST.into(), socket, |_, slot| {
            watched = Some(slot);
            Ok(())
        });
        if let Some(slot) = watched {
            driver.ready(slot, Readiness { readable: true, ..Readiness::default() });
        }
        (written, watched.is_some())
    }

    /// The status of the one answer in what was written.
    fn status(written: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(written.lock().unwrap()["HTTP/1.1 ".len()..][..3].to_vec()).unwrap()
    }

    /// The status that a request is answered with to which `happen` happens while it waits for the store; it is
    /// given the connection, the serial of its ticket and the moment at which its time is over.
    fn status_after(happen: impl FnOnce(&mut Link<OneRequest>, u64, Instant)) -> String {
        let settings = Settings::default();
        let mut driver = driver(&settings);
        let (written, _) = open(&mut driver);
        let (serial, over) = (driver.turn.serial, driver.now() + settings.routes.limits.store_time_max);
        happen(driver.links.at(0).unwrap(), serial, over);
        driver.drive(0);
        status(&written)
    }

    fn good() -> Completion {
        Completion::Applied(Ok(Outcome::Redeemed { scope: Scope::default() }))
    }

    #[test]
    fn of_an_answer_and_a_time_out_the_first_counts() {
        let status = status_after(|link, serial, over| {
            assert!(link.deliver(serial, good()));
            link.expire(over, 0, &());
        });
        assert_eq!(status, "200", "the answer came, though the time is over now");
        let status = status_after(|link, serial, over| {
            link.expire(over, 0, &());
            link.deliver(serial, good());
        });
        assert_eq!(status, "503", "the time was over when the answer came");
        let status = status_after(|link, serial, _| {
            assert!(link.deliver(serial, Completion::Applied(Err(StoreError::Unavailable))));
            link.deliver(serial, good());
        });
        assert_eq!(status, "503", "a store answers once");
    }

    /// Tells a test that a job of the pool has ended.
    struct JobsDone(Sender<Ticket>);

    impl Mailbox for JobsDone {
        fn put(&self, _: Ticket, _: Applied) -> bool {
            unreachable!("the store says nothing")
        }

        fn abandon(&self, _: Ticket) -> bool {
            true
        }

        fn is_abandoned(&self, _: Ticket) -> bool {
            false
        }

        fn put_done(&self, ticket: Ticket) {
            self.0.send(ticket).expect("the test listens");
        }

        fn put_ready(&self, _: Ticket) {}

        fn wake(&self) {}
    }

    /// The request waits for the pool, which compares its secret. Then the configuration is reloaded, and the request
    /// waits for the store.
    #[test]
    fn a_request_parked_twice_keeps_the_limits_it_began_with() {
        let digest = password::hash_cheaply("hunter2", [7; 16]).unwrap();
        let client = "[[clients]]\nid = \"a\"\nname = \"A\"\ngrant_types = [\"client_credentials\"]\n";
        let config = config::read(&format!("{client}secret_digest = \"{digest}\"\n"), 1).expect("a valid file");
        let mut settings = config.net_settings();
        let (sender, done) = channel();
        let mut driver = driver_with(&settings, &Log::kept(), Arc::new(JobsDone(sender)));
        let credentials = "grant_type=client_credentials&client_id=a&client_secret=hunter2";
        open_with(&mut driver, "application/x-www-form-urlencoded", credentials);
        let ticket = done.recv_timeout(Duration::from_secs(20)).expect("the secret is compared");
        let time_max = settings.routes.limits.store_time_max;
        settings.routes.limits.store_time_max = 2 * time_max;
        let routes = driver.turn.routes.reconfigured(&settings.routes);
        driver.reconfigure(&settings, Arc::new(routes));
        assert!(driver.deliver(ticket, Completion::JobDone));
        assert!(driver.turn.serial > ticket.serial, "it is parked again");
        let deadline = driver.links.at(0).unwrap().deadline();
        assert_eq!(deadline, Some(driver.now() + time_max));
    }

    #[test]
    fn each_worker_has_its_share_of_the_bounds() {
        let turned_away = |change: fn(&mut Settings)| {
            let mut settings = Settings { workers: 2, ..Settings::default() };
            change(&mut settings);
            let mut driver = driver(&settings);
            (0..3).for_each(|_| drop(open(&mut driver)));
            driver.counts().turned_away
        };
        assert_eq!(
            turned_away(|settings| settings.limits.connections_max = 3),
            1,
            "two of three, and two of the other"
        );
        assert_eq!(turned_away(|settings| settings.limits.connections_max = 5), 0);
        assert_eq!(turned_away(|settings| settings.limits.peer_connections_max = Some(3)), 1);
        assert_eq!(turned_away(|settings| settings.limits.peer_connections_max = Some(5)), 0);
    }

    #[test]
    fn each_worker_has_its_share_of_the_lines_about_refusals() {
        let mut settings = Settings { workers: 2, ..Settings::default() };
        let lines = |driver: &mut Driver<OneRequest>, log: &Log| {
            let before = log.lines().len();
            for _ in 0..5 {
                let refusal = http::Refusal::new(http::Status::BadRequest, "malformed");
                drop(driver.turn.refuse(Role::AuthorizationServer, Ipv4Addr::LOCALHOST.into(), refusal, None));
            }
            log.lines().len() - before
        };
        settings.limits.refusal_lines_per_second_max = 3;
        let log = Log::kept();
        let mut driver = driver_with(&settings, &log, Arc::new(()));
        assert_eq!(lines(&mut driver, &log), 2, "two of three, and two of the other");
        settings.limits.refusal_lines_per_second_max = 8;
        let routes = Arc::clone(&driver.turn.routes);
        driver.reconfigure(&settings, routes);
        assert_eq!(lines(&mut driver, &log), 2, "four of eight, two of which are written");
        settings.limits.refusal_lines_per_second_max = 0;
        assert_eq!(lines(&mut driver_with(&settings, &log, Arc::new(())), &log), 0);
    }

    /// Its request may have arrived, and closing it then would reset the connection.
    #[test]
    fn a_connection_is_not_closed_for_another_of_the_same_turn() {
        let mut settings = Settings::default();
        settings.limits.connections_max = 1;
        let mut driver = driver(&settings);
        let mut open_silent = |begins_turn: bool| {
            if begins_turn {
                driver.end_turn();
                driver.begin_turn();
            }
            let written = Arc::<Mutex<Vec<u8>>>::default();
            let socket = OneRequest { request: None, written: Arc::clone(&written) };
            driver.open(Role::AuthorizationServer, Ipv4Addr::LOCALHOST.into(), socket, |_, _| Ok(()));
            let is_refused = !written.lock().unwrap().is_empty();
            (is_refused, driver.counts().evicted)
        };
        assert_eq!(open_silent(true), (false, 0));
        assert_eq!(open_silent(false), (true, 0), "the first one stays");
        assert_eq!(open_silent(true), (false, 1), "it had a turn to send its request");
    }

    /// One that is refused, and never stops sending.
    struct Endless(Arc<AtomicUsize>);

    impl Read for Endless {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.0.fetch_add(1, Ordering::Relaxed);
            bytes.fill(b'\n');
            Ok(bytes.len())
        }
    }

    impl Write for Endless {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Socket for Endless {
        fn shut(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_endless_sender_gets_its_share_of_each_turn_and_no_more() {
        let mut driver = driver(&Settings::default());
        let reads = Arc::<AtomicUsize>::default();
        let socket = Endless(Arc::clone(&reads));
        driver.open(Role::AuthorizationServer, Ipv4Addr::LOCALHOST.into(), socket, |_, _| Ok(()));
        driver.begin_turn();
        driver.ready(0, Readiness { readable: true, ..Readiness::default() });
        let share = reads.load(Ordering::Relaxed);
        // All that is read away of it is a mebibyte, in 64 pieces.
        assert!((1..10).contains(&share), "{share} reads in one turn");
        assert_eq!(driver.time_to_next_task(), Some(Duration::ZERO), "it goes on in the next one");
        driver.end_turn();
        assert_eq!(reads.load(Ordering::Relaxed), share, "and not in this one again");
        driver.begin_turn();
        driver.ready(0, Readiness { readable: true, ..Readiness::default() });
        assert_eq!(reads.load(Ordering::Relaxed), share, "the others are first in the next one");
        driver.end_turn();
        assert_eq!(reads.load(Ordering::Relaxed), 2 * share);
    }

    #[test]
    fn a_queued_connection_that_closes_leaves_its_share_to_nothing() {
        let mut driver = driver(&Settings::default());
        let reads = Arc::<AtomicUsize>::default();
        for _ in 0..3 {
            driver.close(0);
            driver.begin_turn();
            let socket = Endless(Arc::clone(&reads));
            driver.open(Role::AuthorizationServer, Ipv4Addr::LOCALHOST.into(), socket, |_, _| Ok(()));
            driver.ready(0, Readiness { readable: true, ..Readiness::default() });
            assert!(driver.links.at(0).unwrap().is_queued());
        }
        assert_eq!(driver.unfinished.len(), 3, "two of them are of connections that are closed");
        for _ in 0..3 {
            driver.end_turn();
            driver.begin_turn();
        }
        assert_eq!(driver.unfinished.len(), 1);
    }

    #[test]
    fn a_lowered_bound_is_reached_as_new_connections_come() {
        let mut settings = Settings::default();
        settings.limits.connections_max = 6;
        let mut driver = driver(&settings);
        let routes = Arc::clone(&driver.turn.routes);
        let open_silent = |driver: &mut Driver<OneRequest>| {
            driver.end_turn();
            driver.begin_turn();
            let socket = OneRequest { request: None, written: Arc::default() };
            driver.open(Role::AuthorizationServer, Ipv4Addr::LOCALHOST.into(), socket, |_, _| Ok(()));
            driver.len()
        };
        assert_eq!((0..6).map(|_| open_silent(&mut driver)).max(), Some(6));
        settings.limits.connections_max = 3;
        driver.reconfigure(&settings, routes);
        assert_eq!([(); 5].map(|()| open_silent(&mut driver)), [5, 4, 3, 3, 3]);
    }

    #[test]
    fn one_peer_leaves_places_for_the_503s_of_others() {
        let mut settings = Settings::default();
        settings.limits.connections_max = 1;
        let mut driver = driver(&settings);
        open(&mut driver);
        let mut open_from = |peer: u8| {
            let written = Arc::<Mutex<Vec<u8>>>::default();
            let socket = OneRequest { request: None, written: Arc::clone(&written) };
            let address = Ipv4Addr::new(192, 0, 2, peer).into();
            driver.open(Role::AuthorizationServer, address, socket, |_, _| Ok(()));
            !written.lock().unwrap().is_empty()
        };
        let are_answered = |is_answered: Vec<bool>| is_answered.iter().filter(|is| **is).count();
        assert_eq!(are_answered((0..30).map(|_| open_from(1)).collect()), TURNED_AWAY_MAX / 2);
        assert_eq!(are_answered((0..30).map(|_| open_from(2)).collect()), TURNED_AWAY_MAX / 2);
    }

    /// A client that is answered 503 holds a descriptor for as long as that takes.
    #[test]
    fn past_the_bound_some_get_503_and_the_rest_are_just_closed() {
        let mut settings = Settings::default();
        settings.limits.connections_max = 1;
        let mut driver = driver(&settings);
        let (busy, _) = open(&mut driver);
        for number in 1..=TURNED_AWAY_MAX {
            let (written, is_watched) = open(&mut driver);
            assert_eq!((status(&written).as_str(), is_watched), ("503", true), "{number}");
        }
        let (written, is_watched) = open(&mut driver);
        assert!(written.lock().unwrap().is_empty() && !is_watched, "one more");
        assert!(busy.lock().unwrap().is_empty(), "the one that was let in waits for the store");
        let counts = driver.counts();
        assert_eq!((counts.connections, counts.turned_away), (1, TURNED_AWAY_MAX as u64 + 1));
        assert_eq!(driver.len(), 1 + TURNED_AWAY_MAX);
    }
}
