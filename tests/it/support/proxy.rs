//! Stands between a store and its engine, and loses, holds back, adds and leaves out what passes.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::engine::Engine;
use super::read_some;

/// Longer than anything takes, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stands between a store and its engine, and cuts connections when an answer is on its way.
pub struct Proxy {
    pub port: u16,
    /// How many more answers pass.
    answers_left: Arc<AtomicI64>,
    /// How many exchanges have passed that were no mere reports.
    exchanges: Arc<AtomicU64>,
    /// What is done to the answers that pass next.
    pub fault: Arc<Mutex<Option<Fault>>>,
    pub held: Arc<Held>,
}

/// What makes a connection lose step.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// These bytes come before the first answer.
    Added(&'static str),
    /// The same before every answer from now on.
    AddedAlways(&'static str),
    /// The first answer, a bulk string, does not come.
    Dropped,
}

impl Fault {
    fn apply(self, answers: &[u8]) -> Vec<u8> {
        match self {
            Fault::Added(bytes) | Fault::AddedAlways(bytes) => [bytes.as_bytes(), answers].concat(),
            Fault::Dropped => {
                let head = answers.iter().position(|byte| *byte == b'\n').expect("the head of an answer") + 1;
                let length = std::str::from_utf8(&answers[1..head - 2]).expect("a number").parse::<usize>();
                answers[head + length.expect("a length") + 2..].to_vec()
            }
        }
    }
}

/// Holds back what is sent to the engine, as a network does that loses a packet and sends it again.
#[derive(Default)]
pub struct Held {
    state: Mutex<Holding>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Holding {
    #[default]
    Nothing,
    /// The next bytes will be.
    Next,
    /// They will be, and their connection is lost meanwhile, as far as the store can tell.
    NextOfLost,
    Something,
}

impl Held {
    pub fn set(&self, state: Holding) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Returns when something is held back.
    pub fn wait(&self) {
        let is_missing = |state: &mut Holding| *state != Holding::Something;
        let waited = self.changed.wait_timeout_while(self.state.lock().unwrap(), PATIENCE, is_missing).unwrap();
        assert!(!waited.1.timed_out(), "nothing is sent that could be held back");
    }

    /// Returns when bytes of `client` may pass.
    fn pass(&self, client: &TcpStream) {
        let mut state = self.state.lock().unwrap();
        if matches!(*state, Holding::Next | Holding::NextOfLost) {
            if *state == Holding::NextOfLost {
                let _ = client.shutdown(Shutdown::Both);
            }
            *state = Holding::Something;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| *state == Holding::Something).unwrap());
        }
    }
}

impl Proxy {
    pub fn to(engine: &Engine) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (port, to) = (listener.local_addr().expect("an address").port(), engine.port);
        let answers_left = Arc::new(AtomicI64::new(i64::MAX));
        let left = Arc::clone(&answers_left);
        let fault = Arc::<Mutex<Option<Fault>>>::default();
        let next_fault = Arc::clone(&fault);
        let held = Arc::<Held>::default();
        let holding = Arc::clone(&held);
        let exchanges = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&exchanges);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (mut from, mut into) =
                    (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
                let (held, passed) = (Arc::clone(&holding), Arc::clone(&counted));
                let reporting = Arc::<AtomicBool>::default();
                let is_reporting = Arc::clone(&reporting);
                std::thread::spawn(move || {
                    let mut bytes = [0; 64 * 1024];
                    while let Ok(count @ 1..) = read_some(&mut from, &mut bytes) {
                        // A store reports when it has nothing else to do, which no test can foresee.
                        let is_report = is_report(&bytes[..count]);
                        is_reporting.store(is_report, Ordering::SeqCst);
                        if !is_report {
                            held.pass(&from);
                            // The store sends an exchange whole in one write.
                            passed.fetch_add(1, Ordering::SeqCst);
                        }
                        if into.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = into.shutdown(Shutdown::Both);
                });
                let (left, fault) = (Arc::clone(&left), Arc::clone(&next_fault));
                std::thread::spawn(move || pass_answers(server, client, &reporting, &left, &fault));
            }
        });
        Proxy { port, answers_left, exchanges, fault, held }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many exchanges have passed that were more than a report of what became of the server's answers.
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::SeqCst)
    }

    /// The next but `count` answers is lost, with its connection; those on later connections pass.
    pub fn cut_after(&self, count: i64) {
        self.answers_left.store(count, Ordering::SeqCst);
    }
}

/// Whether these commands only report what became of a server's answers.
fn is_report(commands: &[u8]) -> bool {
    let has = |part: &[u8]| commands.windows(part.len()).any(|window| window == part);
    has(b":report:") && !has(b":grant:")
}

/// Passes answers on. Those to reports pass as they are: a store reports when it has nothing else to do, so a cut that
/// fell on a report would come before the exchange that it is meant for.
fn pass_answers(
    mut server: TcpStream,
    mut client: TcpStream,
    is_reporting: &AtomicBool,
    left: &AtomicI64,
    fault: &Mutex<Option<Fault>>,
) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = read_some(&mut server, &mut bytes) {
        if is_reporting.load(Ordering::SeqCst) {
            if client.write_all(&bytes[..count]).is_err() {
                break;
            }
            continue;
        }
        if left.fetch_sub(1, Ordering::SeqCst) == 0 {
            left.store(i64::MAX, Ordering::SeqCst);
            break;
        }
        let next = {
            let mut next = fault.lock().unwrap();
            if matches!(*next, Some(Fault::AddedAlways(_))) { *next } else { next.take() }
        };
        let answers = match next {
            Some(fault) => fault.apply(&bytes[..count]),
            None => bytes[..count].to_vec(),
        };
        if client.write_all(&answers).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
