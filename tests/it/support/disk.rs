//! A simulated disk for the file store: what was written and not yet made safe is lost in a crash, in part, out of
//! order and torn, as with a real one; and it fails, or keeps the store waiting, at the test's request.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use super::random::Random;
use redb::StorageBackend;

/// A change that the system has and the disk may not.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

#[derive(Default)]
struct State {
    /// What survives.
    safe: Vec<u8>,
    /// What the system shows.
    seen: Vec<u8>,
    /// What is between the two.
    changes: Vec<Change>,
    /// How many more calls succeed; `None` for all.
    calls_left: Option<u64>,
    /// Calls that failed.
    failures: u64,
    /// How often something was made safe.
    syncs: u64,
    random: Random,
    /// What the next call to make something safe says that it has come, and what it then waits for.
    hold: Option<(Sender<()>, Receiver<()>)>,
    /// What happens at the next sync.
    at_sync: Option<Box<dyn FnOnce() + Send>>,
}

/// The test's side of a disk that is held: see [`SimulatedDisk::hold`].
pub struct Hold {
    has_come: Receiver<()>,
    go_on: Sender<()>,
}

impl Hold {
    /// Waits until the store waits for the disk.
    pub fn wait(&self) {
        self.has_come.recv().expect("the store comes to the disk");
    }

    /// Lets the store go on.
    pub fn release(self) {
        self.go_on.send(()).expect("the store waits for the disk");
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

/// The disk. Clones are handles on the same one.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(State { random: Random::new(seed), ..State::default() })))
    }

    /// After that many more calls, every call fails, until [`SimulatedDisk::mend`].
    pub fn fail_after(&self, calls: u64) {
        self.0.lock().unwrap().calls_left = Some(calls);
    }

    /// Has `event` happen while the next sync takes its time.
    pub fn at_next_sync(&self, event: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().at_sync = Some(Box::new(event));
    }

    pub fn mend(&self) {
        self.0.lock().unwrap().calls_left = None;
    }

    /// The next call to make something safe waits until the test lets it go on.
    pub fn hold(&self) -> Hold {
        let ((here, has_come), (go_on, may_go_on)) = (channel(), channel());
        self.0.lock().unwrap().hold = Some((here, may_go_on));
        Hold { has_come, go_on }
    }

    pub fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }

    pub fn failures(&self) -> u64 {
        self.0.lock().unwrap().failures
    }

    /// The disk after the machine has failed: of what was not made safe, some is there, some is not, and some is
    /// there in part.
    pub fn after_a_crash(&self) -> SimulatedDisk {
        let mut state = self.0.lock().unwrap();
        let mut safe = state.safe.clone();
        for change in state.changes.clone() {
            match (state.random.below(3), change) {
                (0, _) => {}
                (1, Change::Write(offset, bytes)) => {
                    let kept = state.random.index(bytes.len() + 1);
                    write(&mut safe, offset, &bytes[..kept]);
                }
                (_, change) => apply(&mut safe, &change),
            }
        }
        let random = state.random.clone();
        SimulatedDisk(Arc::new(Mutex::new(State { seen: safe.clone(), safe, random, ..State::default() })))
    }
}

impl State {
    fn call(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            Some(0) => {
                self.failures += 1;
                Err(io::Error::other("the simulated disk fails, as the test wants"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.changes.push(change);
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, data) => write(bytes, *offset, data),
        Change::SetLength(length) => bytes.resize(*length as usize, 0),
    }
}

fn write(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let end = offset as usize + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset as usize..end].copy_from_slice(data);
}

impl StorageBackend for SimulatedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        let piece = state.seen.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(piece.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        state.change(Change::SetLength(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let hold = self.0.lock().unwrap().hold.take();
        if let Some((has_come, may_go_on)) = hold {
            has_come.send(()).expect("the test waits");
            may_go_on.recv().expect("the test lets it go on");
        }
        let mut state = self.0.lock().unwrap();
        state.call()?;
        state.syncs += 1;
        state.safe = state.seen.clone();
        state.changes.clear();
        if let Some(event) = state.at_sync.take() {
            event();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let called = state.call();
        // What fails may have been done in part.
        let kept = if called.is_ok() { data.len() } else { state.random.index(data.len() + 1) };
        state.change(Change::Write(offset, data[..kept].to_vec()));
        called
    }
}
