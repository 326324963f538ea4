//! One grant that many ask for, on an engine at a distance: what that costs those who ask for others.
//!
//! 250 rotations are under way at any time, each of another grant (the control) or all of one grant. Beside them
//! one client goes through one flow after the other, each with a grant of its own.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::{Outcome, Timestamp, Transition};
use oauth_from_scratch::store::redis::{Options, Safety};
use oauth_from_scratch::store::{Applied, Caller, KeyPrefix, Location, Mailbox, RedisStore, Store, Ticket};
use oauth_from_scratch::system::RealSystem;

use crate::load::median;
use crate::stores::Engine;
use crate::transitions::{BOUNDS, Maker, START, Tokens, apply, rotated};

/// How many rotations are under way at a time.
const UNDER_WAY: usize = 250;

/// Each way between the store and its engine.
const DELAY: Duration = Duration::from_millis(1);

/// How many flows are measured.
const FLOWS: usize = 100;

/// Measures both, where an engine is installed.
pub fn hot() -> io::Result<String> {
    let mut text = format!(
        "a flow beside {UNDER_WAY} rotations that are under way on an engine, {} ms there and back\n\n\
         | the rotations are of | median flow, ms | rotations/s |\n| --- | --- | --- |\n",
        2 * DELAY.as_millis()
    );
    let mut medians = Vec::new();
    for (name, grants) in [("250 grants", UNDER_WAY), ("one grant", 1)] {
        let Some(engine) = Engine::start() else { return Ok("redis-server is not installed\n".to_owned()) };
        let (flow, rotations) = measure(&engine, grants)?;
        let _ = writeln!(text, "| {name} | {flow:.1} | {rotations:.0} |");
        medians.push(flow);
    }
    let _ = writeln!(text, "\none grant: {:.2} of the control (bar: at most 1.5)", medians[1] / medians[0]);
    Ok(text)
}

/// The median flow in milliseconds, and rotations per second, where the rotations are of this many grants.
fn measure(engine: &Engine, grants: usize) -> io::Result<(f64, f64)> {
    let port = delayed(engine.port)?;
    let url = format!("redis://127.0.0.1:{port}");
    let Ok(Location::Redis(location)) = Location::parse(&url) else { return Err(io::Error::other(url)) };
    let (system, log) = (Arc::new(RealSystem::default()), Log::kept());
    let key_prefix = KeyPrefix::of_issuer("http://localhost:3001");
    let options = Options::new(key_prefix, Safety::default(), BOUNDS);
    let store = RedisStore::connect(&location, &options, Some([7; 32]), system, log);
    let store = store.map_err(io::Error::other)?;
    let mut maker = Maker::new(1);
    let mut chains = (0..grants).map(|_| Chain::new(&store, &mut maker)).collect::<Vec<_>>();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (store, is_over) = (&store, &is_over);
        let load = scope.spawn(move || rotate(store, &mut chains, is_over));
        let mut maker = Maker::new(2);
        let times = (0..FLOWS).map(|_| flow(store, &mut maker)).collect();
        is_over.store(true, Ordering::Relaxed);
        let rotations = load.join().map_err(|_| io::Error::other("the load panicked"))?;
        Ok((median(times), rotations))
    })
}

/// A new grant, its redemption and a look at its token, in milliseconds.
fn flow(store: &RedisStore, maker: &mut Maker) -> f64 {
    let begun = Instant::now();
    let code = maker.code();
    assert_eq!(apply(store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(store, redeem, START), Ok(Outcome::Redeemed { .. })));
    assert_eq!(apply(store, maker.check(&tokens.access), START), Ok(Outcome::Active));
    begun.elapsed().as_secs_f64() * 1e3
}

/// A grant whose refresh token is rotated again and again.
struct Chain {
    maker: Maker,
    tokens: Tokens,
    /// What every rotation of it comes to: all its refresh tokens are of one family.
    outcome: Outcome,
}

impl Chain {
    fn new(store: &RedisStore, maker: &mut Maker) -> Chain {
        let code = maker.code();
        assert_eq!(apply(store, maker.grant(&code, None), START), Ok(Outcome::Granted));
        let (redeem, tokens) = maker.redeem(&code);
        assert!(matches!(apply(store, redeem, START), Ok(Outcome::Redeemed { .. })));
        let number = u32::from_le_bytes(maker.draw());
        let mut maker = Maker::new(number | 1 << 31);
        let (rotation, salt) = maker.rotate(&tokens.refresh);
        let outcome = apply(store, rotation, START).expect("an answer");
        let tokens = rotated(&tokens.refresh, salt, &outcome).expect("it is the current one");
        Chain { maker, tokens, outcome }
    }

    fn next(&mut self) -> (Transition, Timestamp) {
        let (rotation, salt) = self.maker.rotate(&self.tokens.refresh);
        self.tokens = rotated(&self.tokens.refresh, salt, &self.outcome).expect("tokens");
        (rotation, START)
    }
}

struct Letters(Mutex<Sender<(Ticket, Applied)>>);

impl Mailbox for Letters {
    fn put(&self, ticket: Ticket, applied: Applied) -> bool {
        self.0.lock().expect("no panic").send((ticket, applied)).is_ok()
    }

    fn abandon(&self, _: Ticket) -> bool {
        true
    }

    fn is_abandoned(&self, _: Ticket) -> bool {
        false
    }

    fn put_done(&self, _: Ticket) {}

    fn put_ready(&self, _: Ticket) {}

    fn wake(&self) {}
}

/// Keeps rotations under way until it is over; gives how many there were a second.
fn rotate(store: &RedisStore, chains: &mut [Chain], is_over: &AtomicBool) -> f64 {
    let (sender, letters) = channel();
    let mailbox: Arc<dyn Mailbox> = Arc::new(Letters(Mutex::new(sender)));
    let grants = chains.len();
    let mut submit = |place: usize| {
        let (transition, now) = chains[place].next();
        let caller = Caller { mailbox: &mailbox, ticket: Ticket { place, serial: 0 } };
        assert!(store.submit(transition, now, caller).is_none(), "an engine answers later");
    };
    (0..UNDER_WAY).for_each(|number| submit(number % grants));
    let (begun, mut count) = (Instant::now(), 0);
    let mut open = UNDER_WAY;
    while open > 0 {
        let (ticket, applied) = letters.recv().expect("a store answers");
        assert!(matches!(applied, Ok(Outcome::Rotated { .. })), "{applied:?}");
        count += 1;
        if is_over.load(Ordering::Relaxed) { open -= 1 } else { submit(ticket.place) }
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

/// A port that leads to `port`, with the delay each way.
fn delayed(port: u16) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let own = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            let (Ok(from), Ok(into)) = (client.try_clone(), server.try_clone()) else { return };
            std::thread::spawn(move || pass(from, into));
            std::thread::spawn(move || pass(server, client));
        }
    });
    Ok(own)
}

/// Passes bytes on, each after the delay.
fn pass(mut from: TcpStream, mut into: TcpStream) {
    let (sender, late) = channel::<(Instant, Vec<u8>)>();
    let _ = into.set_nodelay(true);
    let writer = std::thread::spawn(move || {
        for (due, bytes) in late {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if into.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = into.shutdown(Shutdown::Both);
    });
    let mut bytes = vec![0; 256 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if sender.send((Instant::now() + DELAY, bytes[..count].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    let _ = writer.join();
}
