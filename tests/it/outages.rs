//! What was never confirmed to a client is not held against it: servers that store a redemption or a rotation and
//! cannot answer it, for outages of a second to ten minutes, on a file, an engine, and an engine with a replica.
//!
//! The moments of requests are given by the tests, so an outage takes no time.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::disk::SimulatedDisk;
use crate::support::engine::{self, Engine, is_installed};
use crate::support::read_some;
use crate::support::stores::{self, BOUNDS, CODE_LIFETIME, LIFETIMES, Maker, START, Tokens, apply, rotated};
use crate::support::system::TestSystem;
use crate::support::wait_until;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::credential::Salt;
use oauth_from_scratch::oauth::{Credential, Outcome, Timestamp, Transition};
use oauth_from_scratch::store::file::Waiting;
use oauth_from_scratch::store::redis::Safety;
use oauth_from_scratch::store::{Applied, Bounds, FileStore, Location, RedisStore, Store, StoreError};

/// Seconds.
const OUTAGES: [u64; 5] = [1, 12, 59, 61, 600];

fn after(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

/// A network between a server and its engine, which can be cut.
struct Network {
    port: u16,
    state: Arc<Mutex<NetworkState>>,
}

#[derive(Default)]
struct NetworkState {
    is_down: bool,
    /// It goes down instead of passing on the answers to this command.
    goes_down_at: Option<&'static str>,
    links: Vec<TcpStream>,
}

impl NetworkState {
    fn cut(&mut self) {
        self.is_down = true;
        for link in self.links.drain(..) {
            let _ = link.shutdown(Shutdown::Both);
        }
    }
}

impl Network {
    fn to(engine: &Engine) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (port, engine_port) = (listener.local_addr().expect("an address").port(), engine.port);
        let state = Arc::<Mutex<NetworkState>>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = shared.lock().unwrap();
                if state.is_down {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", engine_port)) else { continue };
                let handle = |stream: &TcpStream| stream.try_clone().expect("a handle");
                state.links.extend([handle(&client), handle(&server)]);
                let (from, into) = (handle(&client), handle(&server));
                // Whether the command at which the network goes down is on its way.
                let is_last = Arc::new(Mutex::new(false));
                let (shared_there, last_there) = (Arc::clone(&shared), Arc::clone(&is_last));
                std::thread::spawn(move || pass_commands(from, into, &shared_there, &last_there));
                let shared_back = Arc::clone(&shared);
                std::thread::spawn(move || pass_answers(server, client, &shared_back, &is_last));
            }
        });
        Network { port, state }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn go_down_at(&self, command: &'static str) {
        self.state.lock().unwrap().goes_down_at = Some(command);
    }

    fn cut(&self) {
        self.state.lock().unwrap().cut();
    }

    fn is_down(&self) -> bool {
        self.state.lock().unwrap().is_down
    }

    fn mend(&self) {
        self.state.lock().unwrap().is_down = false;
    }
}

fn pass_commands(mut from: TcpStream, mut into: TcpStream, state: &Mutex<NetworkState>, is_last: &Mutex<bool>) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = read_some(&mut from, &mut bytes) {
        if let Some(command) = state.lock().unwrap().goes_down_at {
            let is_there = bytes[..count].windows(command.len()).any(|piece| piece == command.as_bytes());
            *is_last.lock().unwrap() |= is_there;
        }
        if into.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Both);
}

fn pass_answers(mut from: TcpStream, mut into: TcpStream, state: &Mutex<NetworkState>, is_last: &Mutex<bool>) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = read_some(&mut from, &mut bytes) {
        if *is_last.lock().unwrap() {
            let mut state = state.lock().unwrap();
            state.goes_down_at = None;
            state.cut();
            break;
        }
        if into.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Both);
}

/// A server's handle on the engine at `url`.
fn connect(url: &str, safety: Safety) -> RedisStore {
    let Ok(Location::Redis(location)) = Location::parse(url) else { panic!("{url}") };
    let bounds = Bounds { time_max: Duration::from_secs(1), ..BOUNDS };
    let system = TestSystem::running_for_store();
    let store =
        RedisStore::connect(&location, &engine::options(safety, bounds), Some([7; 32]), system, Log::kept());
    store.unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn code(store: &dyn Store, maker: &mut Maker) -> Credential {
    let code = maker.code();
    let granted = verdict(store, &maker.grant(&code, None), START);
    assert!(matches!(granted, Ok(Outcome::Granted | Outcome::GrantedAgain)), "{granted:?}");
    code
}

fn tokens(store: &dyn Store, maker: &mut Maker) -> Tokens {
    let code = code(store, maker);
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(verdict(store, &redeem, START), Ok(Outcome::Redeemed { .. })));
    tokens
}

/// What a client lost the answer to: its code, and its refresh token in another grant.
struct Lost {
    code: Credential,
    refresh: Credential,
}

/// Applies one, which is made again for each try, until the store is not in doubt any more: a server that has not been
/// heard of for a while may be about to report.
fn persist(store: &dyn Store, now: Timestamp, mut make: impl FnMut() -> (Transition, Salt)) -> (Applied, Salt) {
    loop {
        let (transition, salt) = make();
        match apply(store, transition, now) {
            Err(StoreError::TimedOut) => {}
            applied => return (applied, salt),
        }
    }
}

/// What `store` answers, which a busy machine may delay past the time of one request.
fn verdict(store: &dyn Store, transition: &Transition, now: Timestamp) -> Applied {
    persist(store, now, || (transition.clone(), Salt([0; 32]))).0
}

/// The client comes back to `store` at `now`, and each of its retries is answered as though it was the first try.
/// What is answered then is judged as ever, by `judge`.
fn hold(store: &dyn Store, judge: &dyn Store, lost: &Lost, maker: &mut Maker, now: Timestamp, case: &str) {
    let (redeem, tokens) = maker.redeem(&lost.code);
    let (applied, _) = persist(store, now, || (redeem.clone(), Salt([0; 32])));
    if now < START.after(CODE_LIFETIME) {
        assert!(matches!(applied, Ok(Outcome::Redeemed { .. })), "{case}: {applied:?}");
        assert_eq!(verdict(judge, &maker.check(&tokens.access), now), Ok(Outcome::Active), "{case}");
        let (replay, _) = maker.redeem(&lost.code);
        assert_eq!(verdict(judge, &replay, now), Ok(Outcome::Replayed), "{case}");
    } else {
        assert!(matches!(applied, Ok(Outcome::Expired | Outcome::Unknown)), "{case}: {applied:?}");
    }
    let (applied, salt) = persist(store, now, || maker.rotate(&lost.refresh));
    let applied = applied.unwrap_or_else(|error| panic!("{case}: {error}"));
    let next = rotated(&lost.refresh, salt, &applied).unwrap_or_else(|| panic!("{case}: {applied:?}"));
    assert_eq!(verdict(judge, &maker.check(&next.access), now), Ok(Outcome::Active), "{case}");
    let (reuse, _) = maker.rotate(&lost.refresh);
    let then = now.after(LIFETIMES.refresh_grace);
    assert_eq!(verdict(judge, &reuse, then), Ok(Outcome::Reused), "{case}");
}

/// The answer to a write is lost, and the network with it. The client comes back when the outage is over, to the
/// server that it asked first or to another one, or to another one while the first is still cut off.
#[test]
fn an_outage_of_the_network_is_not_held_against_a_client() {
    if !is_installed("an_outage_of_the_network_is_not_held_against_a_client") {
        return;
    }
    let engine = Engine::start(&[]);
    let network = Network::to(&engine);
    let (first, other) =
        (connect(&network.url(), Safety::default()), connect(&engine.url(), Safety::default()));
    let mut maker = Maker::new(1);
    for seconds in OUTAGES {
        for comes_back_to in ["the first", "the other", "the other, the first is away"] {
            let case = format!("{seconds} s, to {comes_back_to}");
            let lost = Lost { code: code(&first, &mut maker), refresh: tokens(&first, &mut maker).refresh };
            for is_code in [true, false] {
                let make = |maker: &mut Maker| {
                    if is_code { maker.redeem(&lost.code).0 } else { maker.rotate(&lost.refresh).0 }
                };
                network.go_down_at("EVAL");
                // The client tries again and again.
                for attempt in 0..3 {
                    let applied = apply(&first, make(&mut maker), START);
                    let is_lost = matches!(applied, Err(StoreError::Unavailable | StoreError::TimedOut));
                    assert!(is_lost, "{case}, attempt {attempt}: {applied:?}");
                    assert!(network.is_down(), "{case}");
                }
                network.mend();
                let nothing = maker.code();
                wait_until("the network is back", || apply(&first, maker.check(&nothing), START).is_ok());
            }
            let (store, judge): (&RedisStore, &RedisStore) = match comes_back_to {
                "the first" => (&first, &other),
                "the other" => (&other, &first),
                _ => {
                    network.cut();
                    (&other, &other)
                }
            };
            hold(store, judge, &lost, &mut maker, after(seconds), &case);
            network.mend();
            let nothing = maker.code();
            wait_until("the network is back", || apply(&first, maker.check(&nothing), START).is_ok());
        }
    }
}

/// The same, when the first server never gets to note that its answer was lost.
#[test]
fn an_answer_lost_in_an_outage_is_not_held_against_a_client() {
    if !is_installed("an_answer_lost_in_an_outage_is_not_held_against_a_client") {
        return;
    }
    let engine = Engine::start(&[]);
    let network = Network::to(&engine);
    let (first, other) =
        (connect(&network.url(), Safety::default()), connect(&engine.url(), Safety::default()));
    let mut maker = Maker::new(1);
    let confirmed = tokens(&first, &mut maker);
    let (rotate, _) = maker.rotate(&confirmed.refresh);
    assert!(matches!(apply(&first, rotate, START), Ok(Outcome::Rotated { .. })));
    let lost = Lost { code: code(&first, &mut maker), refresh: tokens(&first, &mut maker).refresh };
    // One write is under way when the network goes; the two are in one batch.
    network.go_down_at("EVAL");
    let transitions = vec![(maker.redeem(&lost.code).0, START), (maker.rotate(&lost.refresh).0, START)];
    let applied = stores::apply_all(&first, transitions);
    assert_eq!(applied, [Err(StoreError::Unavailable), Err(StoreError::Unavailable)]);
    hold(&other, &other, &lost, &mut maker, after(12), "while the first is cut off");
    // What the first server confirmed before is judged as ever.
    let (reuse, _) = maker.rotate(&confirmed.refresh);
    assert_eq!(apply(&other, reuse, after(600)), Ok(Outcome::Reused));
}

#[test]
fn an_outage_of_the_replica_is_not_held_against_a_client() {
    if !is_installed("an_outage_of_the_replica_is_not_held_against_a_client") {
        return;
    }
    let engine = Engine::start(&[]);
    let safety = Safety { replicas_min: 1, ..Safety::default() };
    let mut maker = Maker::new(1);
    let mut replica = engine.replica();
    let (first, other) = (connect(&engine.url(), safety), connect(&engine.url(), safety));
    for seconds in [12, 600] {
        let mut lost = Vec::new();
        for _ in 0..2 {
            lost.push(Lost { code: code(&first, &mut maker), refresh: tokens(&first, &mut maker).refresh });
        }
        replica.kill();
        for Lost { code, refresh } in &lost {
            // The client tries again.
            for transition in
                [maker.redeem(code).0, maker.redeem(code).0, maker.rotate(refresh).0, maker.rotate(refresh).0]
            {
                assert_eq!(apply(&first, transition, START), Err(StoreError::Unavailable), "{seconds} s");
            }
        }
        replica = engine.replica();
        hold(&first, &other, &lost[0], &mut maker, after(seconds), &format!("{seconds} s, the same server"));
        hold(&other, &first, &lost[1], &mut maker, after(seconds), &format!("{seconds} s, another server"));
    }
}

/// A disk fails at each of its calls in turn: before anything is written, in the middle of it, or when all of it is
/// written and the disk does not say so.
#[test]
fn an_outage_of_the_disk_is_not_held_against_a_client() {
    let mut were_stored = 0;
    for call in 0..24 {
        let seconds = OUTAGES[call as usize % OUTAGES.len()];
        let (disk, system) = (SimulatedDisk::new(call), TestSystem::for_store());
        let handle = disk.clone();
        let make = move || handle.clone();
        let store =
            FileStore::on(make, Waiting::ForTheDisk, BOUNDS, [7; 32], system.clone(), Log::kept()).unwrap();
        let mut maker = Maker::new(call as u32);
        let lost = Lost { code: code(&store, &mut maker), refresh: tokens(&store, &mut maker).refresh };
        let (redeem, redeemed) = maker.redeem(&lost.code);
        let (rotate, _) = maker.rotate(&lost.refresh);
        disk.fail_after(call);
        let applied = stores::apply_all(&store, vec![(redeem, START), (rotate, START)]);
        let has_failed = disk.failures() > 0;
        // The client tries again while the disk is away.
        if applied.iter().all(Result::is_err) {
            let retries = vec![(maker.redeem(&lost.code).0, START), (maker.rotate(&lost.refresh).0, START)];
            assert!(stores::apply_all(&store, retries).iter().all(Result::is_err));
        }
        disk.mend();
        system.wait(Duration::from_secs(10));
        if !has_failed {
            continue;
        }
        if applied.contains(&Err(StoreError::Unavailable)) {
            let is_stored = apply(&store, maker.check(&redeemed.access), START) == Ok(Outcome::Active);
            were_stored += u32::from(is_stored);
            if applied.iter().all(Result::is_err) {
                hold(&store, &store, &lost, &mut maker, after(seconds), &format!("call {call}, {seconds} s"));
            }
        }
    }
    assert!(were_stored > 0, "a call at which all is stored and not confirmed");
}

/// The disk takes longer than a client waits, and then does what was asked.
#[test]
fn a_disk_that_is_too_slow_is_not_held_against_a_client() {
    let system = TestSystem::for_store();
    let (disk, clock) = (SimulatedDisk::new(1), Arc::clone(&system));
    let handle = disk.clone();
    let make = move || handle.clone();
    let store = FileStore::on(make, Waiting::ForTheDisk, BOUNDS, [7; 32], system, Log::kept()).unwrap();
    let mut maker = Maker::new(1);
    for seconds in OUTAGES {
        let lost = Lost { code: code(&store, &mut maker), refresh: tokens(&store, &mut maker).refresh };
        for transition in [maker.redeem(&lost.code).0, maker.rotate(&lost.refresh).0] {
            let clock = Arc::clone(&clock);
            disk.at_next_sync(move || clock.wait(BOUNDS.time_max));
            assert_eq!(apply(&store, transition, START), Err(StoreError::TimedOut), "{seconds} s");
        }
        hold(&store, &store, &lost, &mut maker, after(seconds), &format!("{seconds} s"));
    }
}
