//! The whole server on simulated sockets and a simulated clock, driven by a seed.
//!
//! Thousands of clients come at random moments. What they send is cut into random pieces and delayed at
//! random; some read slowly, some never, some fall silent in the middle, some close halfway or reset. Every
//! answer is checked against a simple model of what the client asked, and in the end nothing may be left
//! open. Readers of streams have a file of their own (`simulation/streams.rs`). No socket is opened and no time
//! passes, so a seed that fails once fails always: it goes into [`SEEDS`], and stays.
//!
//! `SIMULATION_SEEDS=N cargo test --release --test it simulation::` tries N further seeds.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oauth_from_scratch::config::Config;
use oauth_from_scratch::log::{Log, Logs};
use oauth_from_scratch::net::{Driver, Readiness, Socket};
use oauth_from_scratch::oauth::{Timestamp, Transition};
use oauth_from_scratch::pool::Pool;
use oauth_from_scratch::routes::{Completion, Role, Routes, Site};
use oauth_from_scratch::store::{Applied, Caller, Mailbox, MemoryStore, Store, StoreError, Ticket};
use oauth_from_scratch::system::System;

use crate::support::Answer;
use crate::support::random::Random;
use crate::support::system::{RandomSource, TestSystem};

#[cfg(feature = "wire")]
mod streams;

/// Seeds that are always tried: the first few numbers, and those that found something once.
const SEEDS: &[u64] = &[1, 2, 3, 4, 5, 6, 7, 8];

/// Clients of one run.
const CLIENTS: usize = 1500;

/// How the simulated store is.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    /// It answers at once.
    AtOnce,
    /// It takes a while, a different one each time.
    Later,
    /// And at times it says that it is not there, or nothing at all.
    Failing,
}

/// A store that answers when the simulation says so.
struct SimulatedStore {
    grants: MemoryStore,
    pace: Pace,
    /// What was submitted since the simulation last looked.
    submitted: Mutex<Vec<(Transition, Timestamp, Ticket)>>,
}

impl Store for SimulatedStore {
    fn submit(&self, transition: Transition, now: Timestamp, caller: Caller) -> Option<Applied> {
        if self.pace == Pace::AtOnce {
            return Some(self.grants.apply(&transition, now));
        }
        self.submitted.lock().unwrap().push((transition, now, caller.ticket));
        None
    }
}

/// Keeps the notices of streams for the next turn. For the simulated store, answers come in another way.
#[derive(Default)]
struct Notices(Mutex<Vec<Ticket>>);

impl Mailbox for Notices {
    fn put(&self, _: Ticket, _: Applied) -> bool {
        true
    }

    fn abandon(&self, _: Ticket) -> bool {
        true
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

/// Both ends of one simulated connection, as the kernel would hold them.
#[derive(Default)]
struct Wire {
    /// Delivered, and not yet read by the server.
    to_server: VecDeque<u8>,
    client_ended: bool,
    reset: bool,
    /// Written by the server, and not yet read by the client.
    to_client: VecDeque<u8>,
    /// How much of that the kernel holds at most.
    room: usize,
    /// The server was told that there is no room, and waits to hear of some.
    is_full: bool,
    server_ended: bool,
    server_gone: bool,
    /// What became possible since the server was last told.
    news: Readiness,
}

/// The server's end.
struct SimulatedSocket(Rc<RefCell<Wire>>);

impl Read for SimulatedSocket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        match wire.to_server.len() {
            0 if wire.client_ended => Ok(0),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => wire.to_server.read(bytes),
        }
    }
}

impl Write for SimulatedSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.reset {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(wire.room - wire.to_client.len());
        if count == 0 {
            wire.is_full = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.to_client.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for SimulatedSocket {
    fn shut(&mut self) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        wire.server_ended = true;
        if wire.reset { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        let mut wire = self.0.borrow_mut();
        (wire.server_ended, wire.server_gone) = (true, true);
    }
}

/// What a client asks for, in its order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Page,
    Nothing,
    WrongToken,
    WrongCode,
    Chunked,
    Malformed,
    /// The flow, each with what the last one gave: a code, its token, the secret, the code again, and the
    /// secret, which is then out of reach.
    Code,
    Redeem,
    Secret,
    Replay,
    NoSecret,
    /// The events of the wire view, which have no end.
    Events,
}

const FLOW: [Ask; 5] = [Ask::Code, Ask::Redeem, Ask::Secret, Ask::Replay, Ask::NoSecret];
const SINGLE: [Ask; 5] = [Ask::Page, Ask::Nothing, Ask::WrongToken, Ask::WrongCode, Ask::Chunked];

impl Ask {
    /// The model: the status that answers it.
    fn status(self) -> u16 {
        match self {
            Ask::Page | Ask::Redeem | Ask::Secret | Ask::Events => 200,
            Ask::Nothing => 404,
            Ask::WrongToken | Ask::NoSecret => 403,
            Ask::WrongCode | Ask::Malformed | Ask::Replay | Ask::Chunked => 400,
            Ask::Code => 302,
        }
    }
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// Sends and reads without long pauses: it must get every answer.
    Regular,
    /// Like that, and closes its sending side after its last request.
    HalfClosing,
    /// Falls silent in the middle of what it sends.
    Silent,
    /// Never reads.
    Deaf,
    /// Resets at some moment.
    Resetting,
}

struct Client {
    role: Role,
    manner: Manner,
    /// How much it reads at a time; `None` for a different amount each time.
    most: Option<usize>,
    is_pipelining: bool,
    asks: Vec<Ask>,
    asked: usize,
    code: String,
    token: String,
    wire: Rc<RefCell<Wire>>,
    slot: Option<usize>,
    arrived: Vec<u8>,
    statuses: Vec<u16>,
    is_over: bool,
}

/// What happens when.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Connect,
    Deliver(Vec<u8>),
    End,
    Reset,
    ReadSome,
    /// The server begins its shutdown.
    Finish,
    /// The store comes to one of the transitions that it was given.
    Apply(usize),
}

struct Simulation {
    store: Arc<SimulatedStore>,
    notices: Arc<Notices>,
    is_finishing: bool,
    /// What the store has been given and has not come to.
    transitions: Vec<Option<(Transition, Timestamp, Ticket)>>,
    random: Random,
    system: Arc<TestSystem>,
    driver: Driver<SimulatedSocket>,
    /// Configurations that take turns, each with its routes, and how many turns of the loop one lasts; 0 for ever.
    settings: VecDeque<(Config, Arc<Routes>)>,
    turns_each: u64,
    turns: u64,
    host: String,
    clients: Vec<Client>,
    /// Actions by moment, then by the order in which they were planned.
    plan: BinaryHeap<Reverse<(Duration, usize, usize, Action)>>,
    planned: usize,
    /// Clients whose wires may have news for the server.
    touched: Vec<usize>,
    now: Duration,
    /// The most memory that the buffers of all connections may take.
    buffered_max: usize,
    /// The most requests that were answered in one turn, and in one in which no client did anything.
    answers_at_once: (u64, u64),
}

impl Simulation {
    fn new(seed: u64, connections_max: usize, pace: Pace) -> Simulation {
        let mut config = Config::default();
        config.limits.net.connections_max = connections_max;
        Simulation::with(seed, config, pace)
    }

    fn with(seed: u64, config: Config, pace: Pace) -> Simulation {
        let system = TestSystem::with(RandomSource::Works, seed);
        let grants =
            MemoryStore::bounded(config.limits.store.grants_max, config.limits.store.pair_grants_max());
        let store = Arc::new(SimulatedStore { grants, pace, submitted: Mutex::default() });
        let shared_store: Arc<dyn Store> = Arc::<SimulatedStore>::clone(&store);
        let site = Site::new(None, config.client_port, config.auth_port, None);
        let shared_system: Arc<dyn System> = Arc::<TestSystem>::clone(&system);
        let routes = Routes::new(
            &config.routes_settings(),
            site,
            shared_store,
            Arc::new(Pool::new(1)),
            Arc::clone(&shared_system),
        )
        .expect("random bytes");
        let routes = Arc::new(routes);
        let notices = Arc::<Notices>::default();
        let mailbox: Arc<dyn Mailbox> = Arc::<Notices>::clone(&notices);
        let logs = Logs { errors: Log::kept(), access: Log::kept() };
        let driver = Driver::new(&config.net_settings(), Arc::clone(&routes), mailbox, shared_system, &logs);
        let host = format!("localhost:{}", config.auth_port);
        let (random, clients, plan) = (Random::new(seed), Vec::new(), BinaryHeap::new());
        Simulation {
            store,
            notices,
            is_finishing: false,
            transitions: Vec::new(),
            random,
            system,
            driver,
            buffered_max: config.limits.net.buffered_bytes_max,
            settings: VecDeque::from([(config, routes)]),
            turns_each: 0,
            turns: 0,
            host,
            clients,
            plan,
            planned: 0,
            touched: Vec::new(),
            now: Duration::ZERO,
            answers_at_once: (0, 0),
        }
    }

    fn add_client(&mut self) {
        let random = &mut self.random;
        let manner = match random.below(20) {
            0 | 1 => Manner::Silent,
            2 => Manner::Deaf,
            3 | 4 => Manner::Resetting,
            5 | 6 => Manner::HalfClosing,
            _ => Manner::Regular,
        };
        let is_flow = manner == Manner::Regular && random.one_in(3);
        let mut asks: Vec<Ask> =
            if is_flow { FLOW.to_vec() } else { (0..=random.below(8)).map(|_| random.pick(&SINGLE)).collect() };
        if random.one_in(6) {
            asks.push(Ask::Malformed);
        }
        let is_pipelining = !is_flow && random.one_in(2);
        let room = if random.one_in(50) { 1 } else { random.pick(&[200, 3000, 200_000]) as usize };
        self.add(manner, is_pipelining, asks, room);
    }

    fn add(&mut self, manner: Manner, is_pipelining: bool, asks: Vec<Ask>, room: usize) {
        let wire = Wire { room, ..Wire::default() };
        let at = Duration::from_millis(self.random.below(20_000));
        self.clients.push(Client {
            role: Role::AuthorizationServer,
            manner,
            most: None,
            is_pipelining,
            asks,
            asked: 0,
            code: String::new(),
            token: String::new(),
            wire: Rc::new(RefCell::new(wire)),
            slot: None,
            arrived: Vec::new(),
            statuses: Vec::new(),
            is_over: false,
        });
        self.plan_at(at, self.clients.len() - 1, Action::Connect);
    }

    fn plan_at(&mut self, at: Duration, client: usize, action: Action) {
        self.planned += 1;
        self.plan.push(Reverse((at, self.planned, client, action)));
    }

    /// Plans the delivery of the client's next requests, in random pieces: one request, or all where it
    /// pipelines.
    fn ask(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let end =
            if client.is_pipelining { client.asks.len() } else { client.asks.len().min(client.asked + 1) };
        let asks = client.asks[client.asked..end].to_vec();
        client.asked = end;
        let bytes: Vec<u8> = asks.iter().flat_map(|ask| self.request(index, *ask)).collect();
        let manner = self.clients[index].manner;
        let cut = match manner {
            Manner::Silent if !bytes.is_empty() => self.random.below(bytes.len() as u64) as usize,
            _ => bytes.len(),
        };
        let (mut at, mut sent) = (self.now, 0);
        while sent < cut {
            let length = match self.random.below(3) {
                0 => 1 + self.random.below(3) as usize,
                1 => 1 + self.random.below(60) as usize,
                _ => cut,
            };
            let piece = bytes[sent..cut.min(sent + length)].to_vec();
            sent += piece.len();
            at += Duration::from_millis(self.random.below(20));
            self.plan_at(at, index, Action::Deliver(piece));
        }
        if manner == Manner::HalfClosing && self.clients[index].asked == self.clients[index].asks.len() {
            self.plan_at(at, index, Action::End);
        }
        if manner == Manner::Resetting && self.random.one_in(2) {
            let later = Duration::from_millis(self.random.below(100));
            self.plan_at(self.now + later, index, Action::Reset);
        }
    }

    fn request(&self, index: usize, ask: Ask) -> Vec<u8> {
        let client = &self.clients[index];
        let json = |code: &str| {
            let content = format!(r#"{{"code":"{code}"}}"#);
            let length = content.len();
            format!(
                "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\
                 \r\n\r\n{content}"
            )
        };
        let secure =
            |token: &str| format!("GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n");
        let text = match ask {
            Ask::Page => "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            Ask::Nothing => "\r\nGET http://h/nothing HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            Ask::WrongToken => "GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: x\r\n\r\n".to_owned(),
            Ask::WrongCode => json("x"),
            Ask::Chunked => "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                             Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n{\"cod\r\n8\r\ne\":\"no\"}\r\n0\r\nT: x\r\n\r\n"
                .to_owned(),
            Ask::Malformed => "GET / HTTP/1.1\r\nHost : h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            Ask::Code => format!("POST /code HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.host),
            Ask::Redeem | Ask::Replay => json(&client.code),
            Ask::Secret => secure(&client.token),
            // With Bearer a bad token is 401; bare it is 403.
            Ask::NoSecret => secure(&client.token).replace("Bearer ", ""),
            Ask::Events => "GET /wire/events HTTP/1.1\r\nHost: localhost:3000\r\n\r\n".to_owned(),
        };
        text.into_bytes()
    }

    /// Lets time pass, and things happen, until nothing is planned and no client is connected.
    fn run(&mut self) {
        loop {
            let planned = self.plan.peek().map(|Reverse((at, ..))| *at);
            let task = self.driver.time_to_next_task().map(|time| self.now + time);
            let notices = std::mem::take(&mut *self.notices.0.lock().unwrap());
            let noticed = (!notices.is_empty()).then_some(self.now);
            let Some(next) = [planned, task, noticed].into_iter().flatten().min() else { break };
            // A worker ends here.
            if self.is_finishing && planned.is_none() && self.driver.is_empty() {
                break;
            }
            self.now = self.now.max(next);
            assert!(self.now < Duration::from_secs(3600), "the end comes");
            self.system.move_to(self.now);
            let before = self.driver.counts().requests;
            self.driver.begin_turn();
            self.reconfigure();
            for ticket in notices {
                self.driver.deliver(ticket, Completion::Ready);
            }
            while self.plan.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
                let Some(Reverse((_, _, client, action))) = self.plan.pop() else { break };
                self.act(client, action);
            }
            let is_quiet = self.touched.is_empty();
            self.tell_the_news();
            self.driver.end_turn();
            assert!(self.driver.buffered() <= self.buffered_max, "{} bytes are held", self.driver.buffered());
            let answers = self.driver.counts().requests - before;
            let (most, most_quiet) = self.answers_at_once;
            self.answers_at_once = (most.max(answers), most_quiet.max(if is_quiet { answers } else { 0 }));
            self.hand_to_the_store();
        }
        assert_eq!(self.driver.buffered(), 0, "what is closed holds nothing");
        assert!(self.driver.is_empty(), "{} connections are left", self.driver.len());
    }

    /// Has the configurations take turns.
    fn reconfigure(&mut self) {
        self.turns += 1;
        if self.turns_each > 0 && self.turns.is_multiple_of(self.turns_each) {
            self.settings.rotate_left(1);
            let (config, routes) = &self.settings[0];
            self.driver.reconfigure(&config.net_settings(), Arc::clone(routes));
        }
    }

    /// Plans when the store comes to what it was given: each at a moment of its own, so in any order.
    fn hand_to_the_store(&mut self) {
        let submitted = std::mem::take(&mut *self.store.submitted.lock().unwrap());
        for submitted in submitted {
            // Longer than the time that the server has for it.
            let is_lost = self.store.pace == Pace::Failing && self.random.one_in(40);
            let millis = if is_lost { 20_000 } else { self.random.below(200) };
            self.transitions.push(Some(submitted));
            let apply = Action::Apply(self.transitions.len() - 1);
            self.plan_at(self.now + Duration::from_millis(millis), 0, apply);
        }
    }

    fn apply(&mut self, index: usize) {
        let Some((transition, now, ticket)) = self.transitions[index].take() else { return };
        let applied = if self.store.pace == Pace::Failing && self.random.one_in(20) {
            Err(StoreError::Unavailable)
        } else {
            self.store.grants.apply(&transition, now)
        };
        self.driver.deliver(ticket, Completion::Applied(applied));
    }

    fn act(&mut self, index: usize, action: Action) {
        match action {
            Action::Apply(index) => return self.apply(index),
            Action::Finish => {
                self.is_finishing = true;
                return self.driver.finish();
            }
            _ => {}
        }
        self.touched.push(index);
        let wire = Rc::clone(&self.clients[index].wire);
        match action {
            Action::Connect => {
                let address = IpAddr::from([127, 0, 0, 1 + (index % 9) as u8]);
                let socket = SimulatedSocket(Rc::clone(&wire));
                let mut slot = None;
                self.driver.open(self.clients[index].role, address, socket, |_, given| {
                    slot = Some(given);
                    Ok(())
                });
                self.clients[index].slot = slot;
                self.ask(index);
                if self.clients[index].manner != Manner::Deaf {
                    self.plan_at(self.now, index, Action::ReadSome);
                }
            }
            Action::Deliver(bytes) => {
                let mut wire = wire.borrow_mut();
                wire.to_server.extend(bytes);
                wire.news.readable = true;
            }
            Action::End => {
                let mut wire = wire.borrow_mut();
                wire.client_ended = true;
                (wire.news.readable, wire.news.read_closed) = (true, true);
            }
            Action::Reset => {
                let mut wire = wire.borrow_mut();
                wire.reset = true;
                wire.news = Readiness { readable: true, writable: true, read_closed: true };
                self.clients[index].is_over = true;
            }
            Action::ReadSome => self.read_some(index),
            Action::Apply(_) | Action::Finish => {}
        }
    }

    /// Tells the server what became possible, in random order, once.
    fn tell_the_news(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for at in (1..touched.len()).rev() {
            touched.swap(at, self.random.below(at as u64 + 1) as usize);
        }
        for index in touched {
            let client = &self.clients[index];
            let mut wire = client.wire.borrow_mut();
            let news = std::mem::take(&mut wire.news);
            let is_open = !wire.server_gone;
            drop(wire);
            if let Some(slot) = client.slot.filter(|_| is_open && (news.readable || news.writable)) {
                self.driver.ready(slot, news);
            }
        }
    }

    /// The client takes what there is, or a part of it, and looks again later.
    fn read_some(&mut self, index: usize) {
        if self.clients[index].is_over {
            return;
        }
        let most = self.clients[index].most.unwrap_or_else(|| self.random.pick(&[1000, 10_000, 1_000_000]));
        let client = &mut self.clients[index];
        let mut wire = client.wire.borrow_mut();
        let count = wire.to_client.len().min(most);
        // Slice by slice: a debug build takes an iterator one byte at a time.
        let (front, back) = wire.to_client.as_slices();
        let in_front = front.len().min(count);
        client.arrived.extend_from_slice(&front[..in_front]);
        client.arrived.extend_from_slice(&back[..count - in_front]);
        wire.to_client.drain(..count);
        if count > 0 && wire.is_full {
            wire.is_full = false;
            wire.news.writable = true;
        }
        let is_end = wire.server_ended && wire.to_client.is_empty();
        drop(wire);
        let mut taken = 0;
        // The answer to a reader of events is never whole while it comes, and is looked at in the end.
        while client.asks != [Ask::Events]
            && let Some((answer, length)) = Answer::parse(&client.arrived[taken..], false)
        {
            if let Some((_, code)) = answer.field("location").and_then(|location| location.split_once("?code="))
            {
                client.code = code.to_owned();
            }
            if let Some((_, token)) = answer.text().split_once("\"access_token\":\"") {
                client.token = token.split('"').next().unwrap_or_default().to_owned();
            }
            taken += length;
            client.statuses.push(answer.status);
        }
        client.arrived.drain(..taken);
        client.is_over = is_end;
        let is_answered = client.statuses.len() == client.asked;
        let has_more = client.asked < client.asks.len();
        if is_answered && has_more && !is_end {
            self.ask(index);
        }
        if is_end || (is_answered && !has_more && self.clients[index].manner == Manner::Regular) {
            // It has what it wanted, and goes.
            self.clients[index].is_over = true;
            self.plan_at(self.now, index, Action::End);
            return;
        }
        let pause = Duration::from_millis(1 + self.random.below(30));
        self.plan_at(self.now + pause, index, Action::ReadSome);
    }

    /// What came back is what the model says: all of it for a regular client with room for everyone, a
    /// beginning of it for the others, and after that at most one word of why.
    fn check(&self, is_roomy: bool, seed: u64) -> usize {
        let mut answers = 0;
        for (index, client) in self.clients.iter().enumerate() {
            let expected: Vec<u16> = client.asks.iter().map(|ask| ask.status()).collect();
            let got = &client.statuses;
            answers += got.len();
            let at = format!("seed {seed}, client {index}: {:?} asked {:?}", client.manner, client.asks);
            if self.store.pace == Pace::Failing {
                check_with_a_failing_store(client, &at);
                continue;
            }
            let is_whole = matches!(client.manner, Manner::Regular | Manner::HalfClosing) && is_roomy;
            if is_whole {
                assert_eq!(*got, expected, "{at}");
                continue;
            }
            let same = got.iter().zip(&expected).take_while(|(a, b)| a == b).count();
            match &got[same..] {
                [] => {}
                [408] => assert_eq!(client.manner, Manner::Silent, "{at}"),
                [503] => assert!(same == 0 && !is_roomy, "{at}"),
                rest => panic!("{at}: got {rest:?} after {same} answers"),
            }
        }
        answers
    }
}

/// What has nothing to do with the store is answered as ever; what has, is answered as ever or with 503, after
/// which the model no longer knows what is stored. Everybody who waits for an answer gets one.
fn check_with_a_failing_store(client: &Client, at: &str) {
    let mut is_known = true;
    for (ask, status) in client.asks.iter().zip(&client.statuses) {
        let is_with_store = FLOW.contains(ask);
        is_known &= !(is_with_store && *status == 503);
        let is_right = *status == ask.status() || (is_with_store && !is_known);
        let is_silent = *status == 408 && client.manner == Manner::Silent;
        assert!(is_right || is_silent, "{at}: {:?}", client.statuses);
    }
    if matches!(client.manner, Manner::Regular | Manner::HalfClosing) {
        assert_eq!(client.statuses.len(), client.asks.len(), "{at}");
    }
}

fn simulate(seed: u64, connections_max: usize, pace: Pace) -> usize {
    let mut simulation = Simulation::new(seed, connections_max, pace);
    for _ in 0..CLIENTS {
        simulation.add_client();
    }
    simulation.run();
    simulation.check(connections_max > CLIENTS, seed)
}

#[test]
fn with_enough_room_every_regular_client_gets_every_answer() {
    for seed in SEEDS {
        let answers = simulate(*seed, 10 * CLIENTS, Pace::AtOnce);
        assert!(answers > CLIENTS, "{answers} answers");
    }
}

#[test]
fn with_little_room_answers_are_right_and_nothing_leaks() {
    for seed in SEEDS {
        let answers = simulate(*seed, 20, Pace::AtOnce);
        assert!(answers > CLIENTS / 2, "{answers} answers");
    }
}

#[test]
fn a_store_that_takes_its_time_changes_no_answer() {
    for seed in SEEDS {
        let answers = simulate(*seed, 10 * CLIENTS, Pace::Later);
        assert!(answers > CLIENTS, "{answers} answers");
        let answers = simulate(*seed, 20, Pace::Later);
        assert!(answers > CLIENTS / 2, "{answers} answers");
    }
}

#[test]
fn a_configuration_that_changes_all_the_time_changes_no_answer() {
    for (seed, pace) in SEEDS[..6].iter().zip([Pace::AtOnce, Pace::Later, Pace::Failing].iter().cycle()) {
        let mut simulation = Simulation::new(*seed, 10 * CLIENTS, *pace);
        let (config, routes) = simulation.settings[0].clone();
        for number in 1..4 {
            let mut config = config.clone();
            // Peers are counted, or not; answers wait in more room, or less; what is issued lives longer, or not.
            config.limits.net.peer_connections_max = (number % 2 == 1).then_some(10 * CLIENTS);
            config.limits.http.output_bytes_max /= number;
            config.lifetimes.tokens.access_token /= number as u32;
            let routes = Arc::new(routes.reconfigured(&config.routes_settings()));
            simulation.settings.push_back((config, routes));
        }
        simulation.turns_each = 1 + seed % 5;
        for _ in 0..CLIENTS {
            simulation.add_client();
        }
        simulation.run();
        let answers = simulation.check(true, *seed);
        assert!(answers > CLIENTS, "{answers} answers");
    }
}

#[test]
fn a_store_that_fails_or_falls_silent_leaves_nobody_waiting() {
    for seed in SEEDS {
        let answers = simulate(*seed, 10 * CLIENTS, Pace::Failing);
        assert!(answers > CLIENTS, "{answers} answers");
    }
}

/// Each of the deaf would hold the answers of a turn, which together is three times as much as there is for all.
#[test]
fn clients_that_do_not_read_cannot_take_all_memory() {
    let mut config = Config::default();
    config.limits.net.buffered_bytes_max = 2 << 20;
    let mut simulation = Simulation::with(7, config, Pace::AtOnce);
    for _ in 0..200 {
        simulation.add(Manner::Deaf, true, vec![Ask::Page; 200], 200);
        simulation.add(Manner::Regular, true, vec![Ask::Page; 3], 3000);
        simulation.add(Manner::Regular, false, FLOW.to_vec(), 3000);
    }
    simulation.run();
    simulation.check(true, 7);
    let evicted = simulation.driver.counts().evicted;
    assert!((100..200).contains(&evicted), "{evicted} of 200 were closed to make room");
}

#[test]
fn an_endless_pipeliner_gets_its_share_and_every_answer() {
    let mut simulation = Simulation::with(3, Config::default(), Pace::AtOnce);
    simulation.add(Manner::Regular, true, vec![Ask::Nothing; 5_000], 10_000_000);
    simulation.run();
    simulation.check(true, 3);
    assert_eq!(simulation.answers_at_once.0, 16);
}

/// They all come at once, with so much that they need many turns; the last to come waits for none of them to end.
#[test]
fn many_clients_that_pipeline_without_end_take_turns() {
    let mut simulation = Simulation::with(4, Config::default(), Pace::AtOnce);
    for _ in 0..300 {
        simulation.add(Manner::Regular, true, vec![Ask::Nothing; 300], 10_000_000);
    }
    // Everything has arrived when they connect, which all do at the same moment.
    for index in 0..simulation.clients.len() {
        let request = simulation.request(index, Ask::Nothing);
        let client = &mut simulation.clients[index];
        client.asked = client.asks.len();
        let mut wire = client.wire.borrow_mut();
        (0..client.asked).for_each(|_| wire.to_server.extend(&request));
        wire.news.readable = true;
    }
    let connects = std::mem::take(&mut simulation.plan);
    for Reverse((_, planned, client, action)) in connects {
        simulation.plan.push(Reverse((Duration::ZERO, planned, client, action)));
    }
    simulation.run();
    simulation.check(true, 4);
    // Each once for what came; then 256 of those who wait.
    assert_eq!(simulation.answers_at_once, (300 * 16, 256 * 16));
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        let mut simulation = Simulation::new(99, 30, Pace::Failing);
        (0..200).for_each(|_| simulation.add_client());
        simulation.run();
        let statuses: Vec<Vec<u16>> = simulation.clients.into_iter().map(|client| client.statuses).collect();
        (simulation.now, simulation.driver.counts(), statuses)
    };
    assert_eq!(run(), run());
}

/// A new connection, its slot and its wire, over which `requests` requests have arrived; half-closed, if `ended`.
fn pipelining(simulation: &mut Simulation, requests: usize, ended: bool) -> (usize, Rc<RefCell<Wire>>) {
    let bytes = "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n".repeat(requests);
    let wire =
        Wire { room: 1 << 20, to_server: bytes.into_bytes().into(), client_ended: ended, ..Wire::default() };
    let wire = Rc::new(RefCell::new(wire));
    let mut slot = None;
    let socket = SimulatedSocket(Rc::clone(&wire));
    simulation.driver.open(Role::AuthorizationServer, [127, 0, 0, 1].into(), socket, |_, given| {
        slot = Some(given);
        Ok(())
    });
    (slot.expect("it is let in"), wire)
}

#[test]
fn pipelined_requests_take_turns_with_everybody_elses() {
    let mut simulation = Simulation::new(1, 10, Pace::AtOnce);
    let first = pipelining(&mut simulation, 40, true);
    let second = pipelining(&mut simulation, 100, false);
    let third = pipelining(&mut simulation, 16, false);
    let wires = [&first.1, &second.1, &third.1];
    let mut turn = |slots: &[usize], expected: [usize; 3]| {
        let driver = &mut simulation.driver;
        driver.begin_turn();
        let readable = Readiness { readable: true, ..Readiness::default() };
        slots.iter().for_each(|slot| driver.ready(*slot, readable));
        driver.end_turn();
        let answered = wires.map(|wire| {
            let bytes: Vec<u8> = wire.borrow().to_client.iter().copied().collect();
            String::from_utf8(bytes).expect("text").matches("HTTP/1.1 404").count()
        });
        assert_eq!(answered, expected);
        driver.time_to_next_task()
    };
    assert_eq!(turn(&[first.0, second.0, third.0], [16, 16, 16]), Some(Duration::ZERO));
    // Whatever is said of a socket meanwhile, its connection has one share of a turn.
    assert_eq!(turn(&[first.0, first.0], [32, 32, 16]), Some(Duration::ZERO));
    assert_eq!(turn(&[second.0], [40, 48, 16]), Some(Duration::ZERO));
    for answered in [64, 80, 96] {
        assert_eq!(turn(&[second.0, second.0], [40, answered, 16]), Some(Duration::ZERO));
    }
    assert_ne!(turn(&[], [40, 100, 16]), Some(Duration::ZERO), "nothing is left to do at once");
    assert!(first.1.borrow().server_gone, "who has ended is closed when all is answered");
}

/// For hours of it: SIMULATION_SEEDS says how many seeds.
#[test]
fn further_seeds_hold_as_well() {
    let count = std::env::var("SIMULATION_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(1u64);
    let mut answers = 0;
    for seed in 1000..1000 + count {
        answers += simulate(seed, 10 * CLIENTS, Pace::AtOnce) + simulate(seed, 10 * CLIENTS, Pace::Failing);
        answers += simulate(seed, 5 + seed as usize % 200, Pace::Later);
    }
    println!("{count} seeds, {} clients, {answers} answers", 3 * count as usize * CLIENTS);
}
