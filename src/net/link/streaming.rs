//! What a connection does with its stream: begins it, asks its source, and ends it.
//!
//! Nothing is read while a stream is open, so requests behind it wait in the kernel. The kernel reports all the same
//! that the client has closed its side, and that ends the stream. (A client that only stops sending looks like one that
//! has left. It gets the content so far, without the last chunk.)

use super::Link;
use crate::net::access_log::AccessLog;
use crate::net::socket::Socket;
use crate::net::stream::{End, Streaming};
use crate::net::turn::Turn;
use crate::net::turn_clock::TurnClock;
use crate::routes::Stream;

impl<S: Socket> Link<S> {
    /// Responds to the current request, which has the last ticket of `turn`, with `stream`.
    pub(super) fn begin_stream(&mut self, stream: Box<Stream>, turn: &Turn) {
        let entry = self.connection.unanswered();
        let entry = entry.and_then(|request| turn.stream_entry(self.role, self.address, &request, &stream));
        let queued = self.connection.outgoing().len();
        self.connection.begin_stream(stream.head(), turn.date(), turn.now());
        if let Some(tap) = &mut self.tap {
            // The head: the content has no end that could be waited for.
            let head = self.connection.outgoing().get(queued..).unwrap_or_default();
            tap.answer(head, stream.head().reason(), stream.client());
        }
        self.streaming = Some(Box::new(Streaming::new(stream, turn.serial, entry, turn.now())));
        let is_over = !self.connection.is_streaming() && !self.connection.is_starved();
        if is_over && !self.is_finishing {
            // The head is all of the response (HEAD).
            self.end_stream(End::Complete, turn);
        }
    }

    /// Asks the source for content.
    pub(super) fn fill(&mut self, turn: &mut Turn) {
        let Some(streaming) = &mut self.streaming else { return };
        if let Some(end) = streaming.fill(&mut self.connection, turn) {
            self.end_stream(end, turn);
        }
    }

    /// Ends the stream if its client has closed its side, or if the HTTP connection has ended it.
    pub(super) fn settle_stream(&mut self, turn: &Turn) {
        if self.connection.is_streaming() {
            if self.read_closed {
                self.connection.break_stream(turn.now());
                self.end_stream(End::ClientClosed, turn);
            }
        } else if self.connection.is_starved() {
            self.end_stream(End::Closed, turn);
        } else {
            self.end_stream(if self.is_finishing { End::Finished } else { End::NotRead }, turn);
        }
    }

    /// Ends the stream, if there is one, whose connection is closed.
    pub(in crate::net) fn close_stream(&mut self, access: &AccessLog, clock: &TurnClock) {
        if let Some(streaming) = self.streaming.take() {
            streaming.note(End::Closed, access, clock);
        }
    }

    fn end_stream(&mut self, end: End, turn: &Turn) {
        if let Some(streaming) = self.streaming.take() {
            streaming.note(end, &turn.access, &turn.clock);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::io::{self, Read, Write};
    use std::net::{IpAddr, Ipv4Addr, TcpStream};
    use std::rc::Rc;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::Config;
    use crate::log::{Log, Logs};
    use crate::net::access_log::LogFormat;
    use crate::net::driver::Driver;
    use crate::net::server::Server;
    use crate::net::socket::Readiness;
    use crate::net::stream::FILLS_PER_TURN_MAX;
    use crate::pool::Pool;
    use crate::routes::test_stream::{Ring, Then};
    use crate::routes::{Completion, Next, Role, Routes, SILENCE_MAX, Site};
    use crate::store::{Applied, Mailbox, MemoryStore, Ticket};
    use crate::system::tests::TestSystem;
    use crate::system::{RealSystem, System};

    const NEXT: &str = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";

    /// The last chunk.
    const LAST: &str = "0\r\n\r\n";

    const READABLE: Readiness = Readiness { readable: true, writable: false, read_closed: false };
    const WRITABLE: Readiness = Readiness { readable: false, writable: true, read_closed: false };
    const ENDED: Readiness = Readiness { readable: true, writable: false, read_closed: true };

    /// Both ends of a simulated connection, as the kernel would hold them.
    #[derive(Default)]
    struct Wire {
        to_server: VecDeque<u8>,
        to_client: Vec<u8>,
        /// How many more bytes the kernel takes from the server.
        room: usize,
        is_reset: bool,
        server_ended: bool,
        server_gone: bool,
    }

    struct SimulatedSocket(Rc<RefCell<Wire>>);

    impl Read for SimulatedSocket {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let mut wire = self.0.borrow_mut();
            match wire.to_server.len() {
                _ if wire.is_reset => Err(io::ErrorKind::ConnectionReset.into()),
                0 => Err(io::ErrorKind::WouldBlock.into()),
                _ => wire.to_server.read(bytes),
            }
        }
    }

    impl Write for SimulatedSocket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut wire = self.0.borrow_mut();
            let count = bytes.len().min(wire.room);
            match count {
                _ if wire.is_reset => return Err(io::ErrorKind::BrokenPipe.into()),
                0 => return Err(io::ErrorKind::WouldBlock.into()),
                _ => wire.room -= count,
            }
            wire.to_client.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Socket for SimulatedSocket {
        fn shut(&mut self) -> io::Result<()> {
            self.0.borrow_mut().server_ended = true;
            Ok(())
        }
    }

    impl Drop for SimulatedSocket {
        fn drop(&mut self) {
            self.0.borrow_mut().server_gone = true;
        }
    }

    /// Keeps the notices of wakers.
    #[derive(Default)]
    struct Notices(Mutex<Vec<Ticket>>);

    impl Mailbox for Notices {
        fn put(&self, _: Ticket, _: Applied) -> bool {
            unreachable!("the store answers at once")
        }

        fn abandon(&self, _: Ticket) -> bool {
            unreachable!("nothing waits for the store")
        }

        fn is_abandoned(&self, _: Ticket) -> bool {
            false
        }

        fn put_done(&self, _: Ticket) {}

        fn put_ready(&self, ticket: Ticket) {
            self.0.lock().unwrap().push(ticket);
        }

        fn wake(&self) {}
    }

    /// A worker's driver on simulated sockets, and a ring of events.
    struct World {
        driver: Driver<SimulatedSocket>,
        clock: Arc<TestSystem>,
        notices: Arc<Notices>,
        access: Log,
        ring: Ring,
    }

    impl World {
        fn new(ring: &str) -> World {
            World::with(ring, |_| {})
        }

        fn with(ring: &str, change: impl FnOnce(&mut Config)) -> World {
            let mut config = Config { access_log: Some(LogFormat::Text), ..Config::default() };
            change(&mut config);
            let clock = TestSystem::new();
            let system: Arc<dyn System> = Arc::<TestSystem>::clone(&clock);
            let site = Site::new(None, config.client_port, config.auth_port, None);
            let (store, pool) = (Arc::new(MemoryStore::new(10)), Arc::new(Pool::new(1)));
            let routes =
                Routes::new(&config.routes_settings(), site, store, pool, Arc::clone(&system)).unwrap();
            let (notices, access) = (Arc::<Notices>::default(), Log::kept());
            let mailbox: Arc<dyn Mailbox> = Arc::<Notices>::clone(&notices);
            let logs = Logs { errors: Log::kept(), access: access.clone() };
            let driver = Driver::new(&config.net_settings(), Arc::new(routes), mailbox, system, &logs);
            World { driver, clock, notices, access, ring: Ring::new(ring) }
        }

        /// Opens a connection of the peer with this number, sends `request`, and gives the slot with the wire.
        fn open(&mut self, peer: u8, request: &str) -> (usize, Rc<RefCell<Wire>>) {
            let wire = Rc::new(RefCell::new(Wire { room: usize::MAX, ..Wire::default() }));
            let (mut slot, address) = (0, IpAddr::from(Ipv4Addr::new(192, 0, 2, peer)));
            wire.borrow_mut().to_server.extend(request.as_bytes());
            let socket = SimulatedSocket(Rc::clone(&wire));
            self.driver.open(Role::AuthorizationServer, address, socket, |_, given| {
                slot = given;
                Ok(())
            });
            self.event(slot, READABLE);
            (slot, wire)
        }

        fn open_stream(&mut self) -> (usize, Rc<RefCell<Wire>>) {
            self.open(1, &self.ring.request())
        }

        fn send(&mut self, slot: usize, wire: &RefCell<Wire>, request: &str) {
            wire.borrow_mut().to_server.extend(request.as_bytes());
            self.event(slot, READABLE);
        }

        /// A turn with one event.
        fn event(&mut self, slot: usize, readiness: Readiness) {
            self.driver.begin_turn();
            self.driver.ready(slot, readiness);
            self.driver.end_turn();
        }

        /// Turns until there is nothing to do but to wait. There is one at least.
        fn turns(&mut self) {
            for _ in 0..1000 {
                self.driver.begin_turn();
                for ticket in std::mem::take(&mut *self.notices.0.lock().unwrap()) {
                    self.driver.deliver(ticket, Completion::Ready);
                }
                self.driver.end_turn();
                if self.driver.time_to_next_task() != Some(Duration::ZERO) || self.driver.is_empty() {
                    return;
                }
            }
            panic!("the turns have no end");
        }

        fn publish(&mut self, event: &str) {
            self.ring.publish(event);
            self.turns();
        }

        fn then(&mut self, then: Then) {
            self.ring.then(then);
            self.turns();
        }

        fn wait(&mut self, time: Duration) {
            self.clock.wait(time);
            self.turns();
        }

        /// How the access log says that streams ended, with their bytes.
        fn ends(&self) -> Vec<String> {
            let lines = self.access.lines();
            let of_streams = lines.iter().filter_map(|line| line.split_once("/test-stream HTTP/1.1\" "));
            of_streams.map(|(_, end)| end.to_owned()).collect()
        }
    }

    /// What the client has been sent since the last call.
    fn take(wire: &RefCell<Wire>) -> String {
        String::from_utf8(std::mem::take(&mut wire.borrow_mut().to_client)).unwrap()
    }

    /// The content after the head of a stream.
    fn content(answer: &str) -> &str {
        let (head, content) = answer.split_once("\r\n\r\n").expect("a whole head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        content
    }

    /// The content of chunks, and whether the last one is there.
    fn read_chunks(mut chunks: &str) -> (String, bool) {
        let mut content = String::new();
        while let Some((size, rest)) = chunks.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("a size");
            if size == 0 {
                return (content, true);
            }
            let Some(data) = rest.get(..size) else { break };
            content.push_str(data);
            chunks = rest[size..].strip_prefix("\r\n").unwrap_or_default();
        }
        (content, false)
    }

    #[test]
    fn a_stream_is_sent_as_its_source_gets_it() {
        let mut world = World::new("whole");
        let (slot, wire) = world.open_stream();
        let head = take(&wire);
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
        assert!(head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "the route's policy: {head}");
        assert_eq!(content(&head), "");
        world.publish("hello");
        assert_eq!(take(&wire), "5\r\nhello\r\n");
        world.ring.publish(" my");
        world.publish(" world");
        assert_eq!(take(&wire), "9\r\n my world\r\n", "in one piece");
        assert_eq!(world.ends(), [""; 0], "it has no line before its end");
        world.then(Then::Next(Next::End));
        assert_eq!((take(&wire).as_str(), world.ring.open()), (LAST, 0));
        assert_eq!(world.ends(), ["200 14 \"complete\""]);
        world.send(slot, &wire, NEXT);
        assert!(take(&wire).starts_with("HTTP/1.1 200 OK\r\n"), "the connection goes on");
    }

    #[test]
    fn a_slow_client_slows_its_source_and_costs_no_memory() {
        let mut world = World::new("slow");
        let (slot, wire) = world.open_stream();
        assert_eq!(content(&take(&wire)), "");
        let events: String = (0..200_000).map(|number| format!("event {number}\n")).collect();
        wire.borrow_mut().room = 100;
        world.publish(&events);
        let asked = world.ring.asked();
        for _ in 0..10 {
            world.publish("later");
        }
        assert_eq!(world.ring.asked(), asked, "it is not asked while its client does not read");
        let mut answer = String::new();
        while answer.len() < events.len() {
            assert!(world.driver.buffered() < 64 * 1024, "{} bytes", world.driver.buffered());
            wire.borrow_mut().room = 50_000;
            world.event(slot, WRITABLE);
            world.turns();
            answer.push_str(&take(&wire));
        }
        wire.borrow_mut().room = usize::MAX;
        world.event(slot, WRITABLE);
        world.then(Then::Next(Next::End));
        answer.push_str(&take(&wire));
        assert!(read_chunks(&answer) == (events + &"later".repeat(10), true));
    }

    #[test]
    fn a_client_that_does_not_read_is_dropped() {
        let mut world = World::new("unread");
        let (_, wire) = world.open_stream();
        let write_time_max = Config::default().limits.http.write_time_max;
        wire.borrow_mut().room = 0;
        world.publish("hello");
        world.wait(write_time_max - Duration::from_millis(1));
        assert_eq!((world.ring.open(), world.driver.len()), (1, 1));
        world.wait(Duration::from_millis(1));
        assert_eq!((world.ring.open(), world.driver.len()), (0, 0));
        assert_eq!(world.ends(), ["200 5 \"the client did not read\""]);
    }

    /// Only what is sent shows the kernel that a client has vanished.
    #[test]
    fn a_source_that_gives_nothing_for_too_long_ends_its_stream() {
        let mut world = World::new("silent");
        let (slot, wire) = world.open_stream();
        assert_eq!(world.driver.time_to_next_task(), Some(SILENCE_MAX), "though it names a later moment");
        world.wait(SILENCE_MAX - Duration::from_millis(1));
        world.publish("hello");
        world.wait(SILENCE_MAX - Duration::from_millis(1));
        assert_eq!(
            (content(&take(&wire)), world.ring.open()),
            ("5\r\nhello\r\n", 1),
            "it was not silent for so long"
        );
        // While the client does not read, the source is not asked, so it is not silent either.
        wire.borrow_mut().room = 1;
        world.publish("hello");
        for _ in 0..3 {
            world.wait(SILENCE_MAX - Duration::from_millis(1));
            wire.borrow_mut().room = 3;
            world.event(slot, WRITABLE);
        }
        assert_eq!((take(&wire).as_str(), world.ring.open()), ("5\r\nhello\r\n", 1));
        let asked = world.ring.asked();
        world.wait(SILENCE_MAX);
        assert_eq!(world.ring.asked(), asked + 1, "it is asked once more");
        assert_eq!((take(&wire).as_str(), world.ring.open(), world.driver.len()), ("", 0, 0));
        assert_eq!(world.ends(), ["200 10 \"the source gave nothing\""]);
    }

    #[test]
    fn a_silent_stream_ends_when_its_client_is_gone() {
        let mut world = World::new("gone");
        for is_reset in [false, true] {
            let (slot, wire) = world.open_stream();
            wire.borrow_mut().is_reset = is_reset;
            // A half that is closed is not read: requests behind the stream may be before its end.
            world.event(slot, ENDED);
            assert_eq!((world.ring.open(), world.driver.len()), (0, 0));
            assert!(!take(&wire).contains(LAST), "what is not complete does not look so");
        }
        assert_eq!(world.ends(), ["200 0 \"the client closed its side\""; 2]);
        let (slot, wire) = world.open_stream();
        wire.borrow_mut().room = 3;
        world.publish("hello");
        world.event(slot, ENDED);
        assert_eq!(
            (world.ring.open(), world.driver.len()),
            (0, 1),
            "its place is free before the rest is sent"
        );
        wire.borrow_mut().room = usize::MAX;
        world.event(slot, WRITABLE);
        assert_eq!(content(&take(&wire)), "5\r\nhello\r\n");
        assert_eq!(world.driver.len(), 0);
    }

    #[test]
    fn a_stream_whose_connection_fails_is_over() {
        let mut world = World::new("fails");
        let (_, wire) = world.open_stream();
        wire.borrow_mut().is_reset = true;
        world.publish("hello");
        assert_eq!((world.ring.open(), world.driver.len(), world.driver.counts().broken), (0, 0, 1));
        assert_eq!(world.ends(), ["200 5 \"the connection was closed\""]);
    }

    #[test]
    fn a_server_that_stops_ends_its_streams() {
        let mut world = World::new("stop");
        let (_, silent) = world.open_stream();
        let (slot, slow) = world.open_stream();
        slow.borrow_mut().room = 7;
        world.publish("hello");
        world.driver.begin_turn();
        world.driver.finish();
        world.driver.end_turn();
        assert_eq!(content(&take(&silent)), "5\r\nhello\r\n0\r\n\r\n");
        assert_eq!((world.ring.open(), world.driver.len()), (0, 1));
        slow.borrow_mut().room = usize::MAX;
        world.event(slot, WRITABLE);
        assert_eq!(content(&take(&slow)), "5\r\nhello\r\n0\r\n\r\n", "it may read the rest");
        let (_, late) = world.open_stream();
        assert_eq!(content(&take(&late)), LAST, "it is over at once");
        assert_eq!((world.ring.open(), world.driver.len()), (0, 0));
        let stopped = |bytes: usize| format!("200 {bytes} \"the server stopped\"");
        assert_eq!(world.ends(), [stopped(5), stopped(5), stopped(0)]);
        let mut world = World::new("cut");
        let (_, wire) = world.open_stream();
        wire.borrow_mut().room = 0;
        world.publish("hello");
        world.driver.begin_turn();
        world.driver.finish();
        world.driver.end_turn();
        world.wait(Config::default().limits.net.finish_time_max);
        assert_eq!(world.driver.len(), 0, "the time of the stop is over");
    }

    #[test]
    fn streams_past_the_bound_are_503_until_one_ends() {
        let mut world = World::with("bound", |config| {
            config.limits.routes.streams_max = 3;
            config.limits.routes.peer_streams_max = Some(2);
        });
        let request = world.ring.request();
        let check = |world: &mut World, peer, expected: &str| {
            let (slot, wire) = world.open(peer, &request);
            let answer = take(&wire);
            assert_eq!(&answer["HTTP/1.1 ".len()..][..3], expected, "{answer}");
            assert_eq!(answer.contains("\r\nRetry-After: 5\r\n"), expected == "503", "{answer}");
            slot
        };
        let first = check(&mut world, 1, "200");
        check(&mut world, 1, "200");
        check(&mut world, 1, "503");
        check(&mut world, 2, "200");
        check(&mut world, 3, "503");
        assert_eq!(world.ring.open(), 3);
        world.event(first, ENDED);
        check(&mut world, 3, "200");
        check(&mut world, 1, "503");
    }

    #[test]
    fn a_source_is_asked_at_the_moment_that_it_names() {
        let (mut world, beat) = (World::new("beats"), Duration::from_secs(15));
        world.ring.then(Then::Beats(": beat\n", beat));
        let (_, wire) = world.open_stream();
        assert_eq!(content(&take(&wire)), "");
        assert_eq!(world.driver.time_to_next_task(), Some(beat));
        world.wait(beat - Duration::from_millis(1));
        assert_eq!((take(&wire).as_str(), world.ring.asked()), ("", 1));
        world.wait(Duration::from_millis(1));
        assert_eq!(take(&wire), "7\r\n: beat\n\r\n");
        world.wait(beat / 2);
        world.publish("hello");
        assert_eq!(take(&wire), "5\r\nhello\r\n");
        world.wait(beat / 2);
        assert_eq!(take(&wire), "", "the silence began with the event");
        world.wait(beat);
        assert_eq!(take(&wire), "7\r\n: beat\n\r\n");
    }

    #[test]
    fn a_source_that_breaks_off_leaves_no_last_chunk() {
        let broken = Then::Next(Next::Broken("the disk is gone"));
        let failed = "the server failed to answer this request";
        for (ring, then, reason, panics) in
            [("broken", broken, "the disk is gone", 0), ("panics", Then::Panics, failed, 1)]
        {
            let mut world = World::new(ring);
            let (_, wire) = world.open_stream();
            world.publish("hello");
            world.then(then);
            assert_eq!(content(&take(&wire)), "5\r\nhello\r\n", "no last chunk");
            assert_eq!((world.ring.open(), world.driver.len()), (0, 0));
            assert_eq!(world.ends(), [format!("200 5 \"{reason}\"")]);
            assert_eq!(world.driver.counts().panics, panics);
        }
    }

    #[test]
    fn for_http_1_0_the_end_of_the_connection_ends_a_stream() {
        let mut world = World::new("old");
        let request = world.ring.request().replace("HTTP/1.1", "HTTP/1.0");
        let (_, wire) = world.open(1, &request);
        world.publish("hello");
        world.publish(" world");
        assert_eq!(content(&take(&wire)), "hello world");
        world.then(Then::Next(Next::End));
        assert_eq!((take(&wire).as_str(), world.driver.len()), ("", 0));
    }

    #[test]
    fn a_stream_in_answer_to_head_has_no_content() {
        let mut world = World::new("head");
        world.ring.publish("hello");
        let request = world.ring.request().replace("GET", "HEAD");
        let (_, wire) = world.open(1, &(request + NEXT));
        let answer = take(&wire);
        let (head, next) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
        assert!(next.starts_with("HTTP/1.1 200 OK\r\n"), "the next answer comes at once: {next}");
        assert_eq!((world.ring.open(), world.ring.asked()), (0, 0));
        assert_eq!(world.ends(), ["200 0 \"complete\""]);
    }

    #[test]
    fn requests_behind_a_stream_are_answered_after_it() {
        let mut world = World::new("behind");
        let request = world.ring.request();
        let (slot, wire) = world.open(1, &(request + NEXT));
        world.send(slot, &wire, NEXT);
        world.publish("hello");
        assert_eq!(content(&take(&wire)), "5\r\nhello\r\n");
        assert_eq!(wire.borrow().to_server.len(), NEXT.len(), "what comes later is not even read");
        world.then(Then::Next(Next::End));
        let answer = take(&wire);
        assert!(answer.starts_with("0\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answer}");
    }

    #[test]
    fn a_stream_makes_no_room_for_another_connection() {
        let mut world = World::with("room", |config| {
            config.limits.net.connections_max = 2;
            config.limits.routes.streams_max = 2;
        });
        let (_, stream) = world.open_stream();
        world.ring.then(Then::Beats(".", SILENCE_MAX / 2));
        world.wait(Duration::from_secs(1));
        let (_, idle) = world.open(2, NEXT);
        let (_, second) = world.open_stream();
        assert!(idle.borrow().server_gone, "the idle one makes room, though the stream has been silent longer");
        assert!(take(&second).starts_with("HTTP/1.1 503 "), "half of the connections may be streams");
        let (_, newcomer) = world.open(3, NEXT);
        assert!(take(&newcomer).starts_with("HTTP/1.1 200 "));
        assert!(second.borrow().server_gone && !stream.borrow().server_gone);
        world.wait(Config::default().limits.http.idle_time_max);
        assert_eq!((world.driver.len(), world.ring.open()), (1, 1));
    }

    #[test]
    fn a_source_that_always_has_more_leaves_others_their_turn() {
        let mut world = World::new("endless");
        world.ring.then(Then::Endless);
        let (slot, wire) = world.open_stream();
        assert_eq!(world.ring.asked(), FILLS_PER_TURN_MAX);
        assert_eq!(world.driver.time_to_next_task(), Some(Duration::ZERO), "it goes on in the next turn");
        world.event(slot, READABLE);
        assert_eq!(world.ring.asked(), 2 * FILLS_PER_TURN_MAX, "once a turn, whatever its socket says");
        let (_, other) = world.open(2, NEXT);
        assert!(take(&other).starts_with("HTTP/1.1 200 "));
        assert!(world.driver.buffered() < 64 * 1024);
        wire.borrow_mut().room = 0;
        world.turns();
        // A moment that has passed would otherwise be due again and again in one turn.
        let mut world = World::new("past");
        world.ring.then(Then::Next(Next::Wait { until: world.clock.start }));
        world.open_stream();
        assert_eq!(world.ring.asked(), FILLS_PER_TURN_MAX);
    }

    #[test]
    fn a_stream_has_one_notice_at_most_and_an_old_one_is_ignored() {
        let mut world = World::new("notices");
        let (slot, wire) = world.open_stream();
        (0..1000).for_each(|_| world.ring.publish("."));
        let notices = std::mem::take(&mut *world.notices.0.lock().unwrap());
        assert_eq!(notices.len(), 1);
        world.event(slot, ENDED);
        assert!(!world.driver.deliver(notices[0], Completion::Ready), "its stream is over");
        take(&wire);
        let (new, wire) = world.open_stream();
        let asked = world.ring.asked();
        assert_eq!((new, notices[0].place), (slot, slot));
        assert!(!world.driver.deliver(notices[0], Completion::Ready), "it is not for the next one");
        assert_eq!(world.ring.asked(), asked);
        assert_eq!(read_chunks(content(&take(&wire))).0.len(), 1000);
    }

    #[test]
    fn a_thousand_streams_get_each_event() {
        let mut world = World::with("thousand", |config| config.limits.routes.peer_streams_max = Some(1000));
        let wires: Vec<_> = (0..1000).map(|_| world.open_stream().1).collect();
        let events: Vec<String> = (0..20).map(|number| format!("event {number}\n")).collect();
        events.iter().for_each(|event| world.publish(event));
        world.then(Then::Next(Next::End));
        for wire in wires {
            assert_eq!(read_chunks(content(&take(&wire))), (events.concat(), true));
        }
        assert_eq!((world.ring.open(), world.ends().len()), (0, 1000));
    }

    /// A server of two workers on real sockets.
    fn server(change: impl FnOnce(&mut Config)) -> Server {
        let mut config = Config { client_port: None, auth_port: 0, workers: 2, ..Config::default() };
        change(&mut config);
        let logs = Logs { errors: Log::kept(), access: Log::kept() };
        let store = Arc::new(MemoryStore::new(10));
        Server::bind(&config.net_settings(), store, Arc::new(RealSystem::default()), logs).unwrap()
    }

    /// A connection that has asked for `ring`, and what its client has read.
    struct Reader(TcpStream, Vec<u8>);

    impl Reader {
        fn open(server: std::net::SocketAddr, ring: &Ring) -> Reader {
            let mut socket = TcpStream::connect(server).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
            socket.write_all(ring.request().as_bytes()).unwrap();
            Reader(socket, Vec::new())
        }

        /// Reads until `text` is at the end of what has arrived.
        fn read_to(&mut self, text: &str) {
            while !self.1.ends_with(text.as_bytes()) {
                let mut bytes = [0; 4096];
                let count = self.0.read(&mut bytes).expect("the server sends in time");
                assert!(count > 0, "no {text:?} in {:?}", String::from_utf8_lossy(&self.1));
                self.1.extend_from_slice(&bytes[..count]);
            }
        }

        fn read_all(mut self) -> String {
            self.0.read_to_end(&mut self.1).expect("an orderly end");
            String::from_utf8(self.1).unwrap()
        }
    }

    /// Waits until `condition` holds, for as long as any thread may take to be scheduled.
    fn wait_until(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it comes to hold");
            std::thread::yield_now();
        }
    }

    #[test]
    fn any_thread_wakes_the_streams_of_all_workers() {
        let ring = Ring::new("threads");
        let mut server = server(|_| {});
        let (address, handle) = (server.addresses()[0].1, server.handle());
        let running = std::thread::spawn(move || server.run());
        let mut readers: Vec<Reader> = (0..100).map(|_| Reader::open(address, &ring)).collect();
        readers.iter_mut().for_each(|reader| reader.read_to("\r\n\r\n"));
        for number in 0..50 {
            let event = format!("event {number:02}\n");
            ring.publish(&event);
            readers.iter_mut().for_each(|reader| reader.read_to(&format!("{event}\r\n")));
        }
        ring.publish("the last one");
        handle.finish();
        for reader in readers {
            let answer = reader.read_all();
            let (content, is_whole) = read_chunks(content(&answer));
            assert!(is_whole && content.contains("event 49\n"), "the stop ends it in order: {answer}");
        }
        running.join().unwrap().unwrap();
        assert_eq!(ring.open(), 0);
    }

    #[test]
    fn a_client_that_leaves_frees_its_place_on_any_system() {
        let ring = Ring::new("leaves");
        let mut server = server(|config| config.limits.routes.streams_max = 1);
        let (address, handle) = (server.addresses()[0].1, server.handle());
        let running = std::thread::spawn(move || server.run());
        for has_read in [true, false] {
            let mut first = Reader::open(address, &ring);
            wait_until(|| ring.open() == 1);
            if has_read {
                first.read_to("\r\n\r\n");
            }
            // The kernel resets a connection that is closed with something unread.
            drop(first);
            wait_until(|| ring.open() == 0);
        }
        handle.finish();
        running.join().unwrap().unwrap();
    }
}
