//! For tests: an endpoint whose response is a stream of events that the test publishes.
//!
//! A [`Ring`] has a name, and `GET /test-stream?NAME` streams its events. Several streams of one ring each get all of
//! its events, at their own pace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::step::{Context, Step};
use super::stream::{Content, Next, Source, Waker};
use crate::http::{FieldLines, Response, Status};

pub(crate) const PATH: &str = "/test-stream";

/// The rings of all tests that run, by name.
static RINGS: Mutex<BTreeMap<String, Arc<Mutex<State>>>> = Mutex::new(BTreeMap::new());

/// Events for streams, until it is dropped.
pub(crate) struct Ring {
    name: String,
    state: Arc<Mutex<State>>,
}

/// What a source says when it has given all events.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Next(Next),
    /// It waits for an event, and gives nothing before.
    Waits,
    /// It waits, and gives this event after each silence of this long.
    Beats(&'static str, Duration),
    /// It never has less than a full piece.
    Endless,
    Panics,
}

struct State {
    events: Vec<String>,
    then: Then,
    wakers: Vec<Waker>,
    /// How often a source was asked.
    asked: usize,
    /// How many sources there are.
    open: usize,
}

impl Ring {
    pub(crate) fn new(name: &str) -> Ring {
        let state = State { events: Vec::new(), then: Then::Waits, wakers: Vec::new(), asked: 0, open: 0 };
        let (name, state) = (name.to_owned(), Arc::new(Mutex::new(state)));
        let before = lock(&RINGS).insert(name.clone(), Arc::clone(&state));
        assert!(before.is_none(), "each test has a ring of its own");
        Ring { name, state }
    }

    /// A request for a stream of its events.
    pub(crate) fn request(&self) -> String {
        format!("GET {PATH}?{} HTTP/1.1\r\nHost: h\r\n\r\n", self.name)
    }

    /// Adds an event for all streams, and wakes them.
    pub(crate) fn publish(&self, event: &str) {
        lock(&self.state).events.push(event.to_owned());
        self.wake();
    }

    /// Sets what follows the last event.
    pub(crate) fn then(&self, then: Then) {
        lock(&self.state).then = then;
        self.wake();
    }

    fn wake(&self) {
        let wakers = lock(&self.state).wakers.clone();
        wakers.iter().for_each(Waker::wake);
    }

    /// How often a source was asked for content.
    pub(crate) fn asked(&self) -> usize {
        lock(&self.state).asked
    }

    /// How many sources there are.
    pub(crate) fn open(&self) -> usize {
        lock(&self.state).open
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        lock(&RINGS).remove(&self.name);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The endpoint.
pub(super) fn show(context: &Context) -> Step {
    const LINES: FieldLines = FieldLines::literal("Content-Type: text/plain\r\n");
    let ring = lock(&RINGS).get(context.request.query().unwrap_or_default()).cloned();
    let Some(ring) = ring else { return Step::Done(Response::new(Status::NotFound, FieldLines::NONE)) };
    context.stream(Response::new(Status::Ok, LINES), |waker| {
        let mut state = lock(&ring);
        state.wakers.push(waker);
        state.open += 1;
        drop(state);
        Reader { ring, event: 0, offset: 0, silent_since: None }
    })
}

/// A place among the events of a ring.
struct Reader {
    ring: Arc<Mutex<State>>,
    event: usize,
    /// How many bytes of the event have been given.
    offset: usize,
    silent_since: Option<Instant>,
}

impl Source for Reader {
    fn fill(&mut self, content: &mut Content, now: Instant) -> Next {
        let mut state = lock(&self.ring);
        state.asked += 1;
        while let Some(event) = state.events.get(self.event) {
            self.offset += content.push(&event.as_bytes()[self.offset..]);
            if self.offset < event.len() {
                return Next::More;
            }
            (self.event, self.offset, self.silent_since) = (self.event + 1, 0, None);
        }
        match state.then {
            Then::Next(next) => next,
            Then::Waits => Next::Wait { until: now + Duration::from_secs(3600) },
            Then::Beats(beat, time) => {
                let since = *self.silent_since.get_or_insert(now);
                if now >= since + time {
                    content.push(beat.as_bytes());
                    self.silent_since = Some(now);
                }
                Next::Wait { until: self.silent_since.unwrap_or(now) + time }
            }
            Then::Endless => {
                while content.room() > 0 {
                    content.push(&[b'x'; 1024]);
                }
                Next::More
            }
            Then::Panics => std::panic::panic_any("this source panics, as the test wants"),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        lock(&self.ring).open -= 1;
    }
}
