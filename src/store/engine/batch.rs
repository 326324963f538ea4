//! A batch of transitions on an engine: read, apply the rules, and swap if nothing has changed in between.
//!
//! ```text
//!   round 1   GET the grant of each that is about one      SET NX each that makes one
//!   round 2   compare-and-swap each that was changed       (those that only looked are answered)
//!   round 3   … again, for those where another server was faster
//! ```
//!
//! A new grant takes one round trip, a look takes one, a change takes two; and a round trip is shared by all
//! that has gathered. Where a connection is lost on the way it is not known whether a swap was made. So what was
//! to be written is remembered: if it stands there afterwards, it was made, for its digests are of secrets that
//! no other transition has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, ServerError, Value};

use super::super::queue::{Answered, Job};
use super::super::{Applied, StoreError};
use super::fleet::{Fleet, Reply, Request};
use super::slots::Address;
use crate::oauth::{Change, Grant, GrantId, Outcome};

/// Puts a value in the place of another, if that still stands there; nothing stands for its removal.
const SWAP: &str = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end \
    if ARGV[2]=='' then redis.call('DEL',KEYS[1]) \
    else redis.call('SET',KEYS[1],ARGV[2],'PXAT',ARGV[3]) end return 1";

/// How much longer than it is good a grant is kept: the engine's clock may be ahead of ours.
const KEPT_LONGER: Duration = Duration::from_secs(60);

/// How often a transition may lose its connection before it is given up.
const LOSSES_MAX: u32 = 2;

/// How long to wait where no node has the key at the moment.
const PAUSE: Duration = Duration::from_millis(10);

/// The key of a grant.
fn key(id: GrantId) -> Arc<[u8]> {
    [b"oauth:grant:", id.as_bytes()].concat().into()
}

/// The transitions of a batch that are about one grant, in their order.
struct Group {
    key: Arc<[u8]>,
    jobs: VecDeque<Job>,
    step: Step,
    /// What was sent to be written, when it is not known whether it was; and the outcome, if it was.
    tried: Vec<(Option<Record>, Outcome)>,
    /// Whether more must have a write than the node's memory, before anything is said of it.
    waits_for_safety: bool,
    ask: Option<Address>,
    losses: u32,
}

/// What to send next.
enum Step {
    Read,
    Write(Write),
}

struct Write {
    /// What must stand there; `None` for nothing.
    old: Option<Vec<u8>>,
    /// What is to stand there; `None` for nothing.
    new: Option<Record>,
    outcome: Outcome,
}

/// A grant as bytes, and until when the engine is to keep it.
struct Record {
    bytes: Vec<u8>,
    expires: u64,
}

/// Whether what was done for a group brought it on.
enum Progress {
    Some,
    /// No node has the key at the moment.
    None,
}

/// Applies the transitions of `jobs` and answers them all. None takes longer than `time_max` from when it was
/// submitted, give or take one round trip. `wait` is called for a moment's pause.
pub(super) fn apply(
    fleet: &mut Fleet,
    jobs: impl Iterator<Item = Job>,
    time_max: Duration,
    now: impl Fn() -> Instant,
    wait: impl Fn(Duration),
) {
    let mut groups = group(jobs, fleet.waits_for_safety());
    while !groups.is_empty() {
        let mut answered = Answered::default();
        let moment = now();
        groups.retain_mut(|group| group.drop_late(moment, time_max, &mut answered));
        let requests: Vec<Request> = groups.iter().map(Group::request).collect();
        if requests.is_empty() {
            return;
        }
        let replies = fleet.exchange(&requests);
        let mut is_stuck = true;
        for (group, reply) in groups.iter_mut().zip(replies) {
            let progress = group.take(reply, &mut answered);
            is_stuck &= matches!(progress, Progress::None);
        }
        groups.retain(|group| !group.jobs.is_empty());
        // Those who have their answers need not wait for the others.
        drop(answered);
        if is_stuck && !groups.is_empty() {
            wait(PAUSE);
        }
    }
}

/// By grant, in the order in which each came first.
fn group(jobs: impl Iterator<Item = Job>, waits_for_safety: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: std::collections::HashMap<GrantId, usize> = std::collections::HashMap::new();
    for job in jobs {
        let id = job.transition.grant_id();
        let place = *places.entry(id).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.jobs.push_back(job),
            None => groups.push(Group {
                key: key(id),
                jobs: VecDeque::from([job]),
                step: Step::Read,
                tried: Vec::new(),
                waits_for_safety,
                ask: None,
                losses: 0,
            }),
        }
    }
    for group in &mut groups {
        group.begin();
    }
    groups
}

impl Group {
    /// A name that is new is most likely free: then there is nothing to read.
    fn begin(&mut self) {
        let Some(job) = self.jobs.front().filter(|job| job.transition.is_new()) else { return };
        if let (Change::Put(grant), outcome) = job.transition.apply(None, job.now) {
            self.step = Step::Write(Write { old: None, new: Some(Record::of(&grant)), outcome });
        }
    }

    fn request(&self) -> Request {
        let (command, is_write) = match &self.step {
            Step::Read => (redis::cmd("GET").arg(&*self.key).to_owned(), false),
            Step::Write(write) => (write.command(&self.key), true),
        };
        Request { key: Arc::clone(&self.key), command, is_write, ask: self.ask.clone() }
    }

    /// Answers those whose time is over; whether any are left.
    fn drop_late(&mut self, now: Instant, time_max: Duration, answered: &mut Answered) -> bool {
        let is_late = |job: &Job| now.saturating_duration_since(job.since) >= time_max;
        while self.jobs.front().is_some_and(is_late) {
            self.answer(Err(StoreError::TimedOut), answered);
            // Whatever was sent for it, the next one begins with a look.
            self.step = Step::Read;
        }
        !self.jobs.is_empty()
    }

    fn answer(&mut self, applied: Applied, answered: &mut Answered) {
        // What was tried and lost was tried for this one.
        self.tried.clear();
        self.losses = 0;
        if let Some(job) = self.jobs.pop_front() {
            job.answer(applied, answered);
        }
    }

    fn answer_all(&mut self, error: StoreError, answered: &mut Answered) {
        self.jobs.drain(..).for_each(|job| job.answer(Err(error), answered));
    }

    fn take(&mut self, reply: Reply, answered: &mut Answered) -> Progress {
        self.ask = None;
        match reply {
            Reply::Answered(value) => self.take_answer(value, answered),
            // It is there, and may be lost again: nobody is told that it is safe.
            Reply::Unsafe => {
                self.answer(Err(StoreError::Unavailable), answered);
                self.step = Step::Read;
            }
            Reply::Refused(error) => self.answer_all(what_refused(&error), answered),
            Reply::Elsewhere(ask) => {
                let progress = if ask.is_some() { Progress::Some } else { Progress::None };
                self.ask = ask;
                return progress;
            }
            Reply::Lost => self.take_loss(answered),
            Reply::Away => self.answer_all(StoreError::Unavailable, answered),
        }
        Progress::Some
    }

    fn take_answer(&mut self, value: Value, answered: &mut Answered) {
        match (std::mem::replace(&mut self.step, Step::Read), value) {
            (Step::Read, Value::Nil) => self.proceed(None, answered),
            (Step::Read, Value::BulkString(bytes)) => self.proceed(Some(bytes), answered),
            (Step::Write(write), Value::Okay | Value::Int(1)) => {
                self.answer(Ok(write.outcome), answered);
                self.proceed(write.new.map(|record| record.bytes), answered);
            }
            // Somebody else was faster: look again.
            (Step::Write(_), Value::Nil | Value::Int(0)) => {}
            _ => self.answer_all(StoreError::Damaged, answered),
        }
    }

    fn take_loss(&mut self, answered: &mut Answered) {
        self.losses += 1;
        if let Step::Write(Write { new, outcome, .. }) = std::mem::replace(&mut self.step, Step::Read) {
            self.tried.push((new, outcome));
        }
        if self.losses >= LOSSES_MAX {
            self.answer_all(StoreError::Unavailable, answered);
        }
    }

    /// Goes on with `current` standing there, as far as nothing has to be written.
    fn proceed(&mut self, current: Option<Vec<u8>>, answered: &mut Answered) {
        let is_there = |(new, _): &(Option<Record>, _)| new.as_ref().map(|new| &new.bytes) == current.as_ref();
        if let Some(at) = self.tried.iter().position(is_there) {
            let (new, outcome) = self.tried.swap_remove(at);
            match new {
                _ if !self.waits_for_safety => self.answer(Ok(outcome), answered),
                // It is there, and nobody has said how safe. Written once more, it is as safe as must be.
                Some(new) => {
                    self.step = Step::Write(Write { old: current, new: Some(new), outcome });
                    return;
                }
                None => self.answer(Err(StoreError::Unavailable), answered),
            }
        }
        let Ok(record) = current.as_deref().map(Grant::decode).transpose() else {
            return self.answer_all(StoreError::Damaged, answered);
        };
        while let Some(job) = self.jobs.front() {
            let (change, outcome) = job.transition.apply(record.as_ref(), job.now);
            let new = match change {
                // What is said again may have been written by another server, and not be safe yet.
                Change::Keep if self.waits_for_safety && matches!(outcome, Outcome::Repeated { .. }) => {
                    record.as_ref().map(|grant| Some(Record::of(grant)))
                }
                Change::Keep => None,
                Change::Put(grant) => Some(Some(Record::of(&grant))),
                Change::Forget if record.is_none() => None,
                Change::Forget => Some(None),
            };
            match new {
                None => self.answer(Ok(outcome), answered),
                Some(new) => {
                    self.step = Step::Write(Write { old: current, new, outcome });
                    return;
                }
            }
        }
    }
}

impl Write {
    fn command(&self, key: &[u8]) -> Cmd {
        let new = self.new.as_ref();
        let (new, expires) = new.map_or((&[][..], 0), |record| (&record.bytes[..], record.expires));
        match &self.old {
            None => redis::cmd("SET").arg(key).arg(new).arg("NX").arg("PXAT").arg(expires).to_owned(),
            Some(old) => redis::cmd("EVAL").arg(SWAP).arg(1).arg(key).arg(old).arg(new).arg(expires).to_owned(),
        }
    }
}

impl Record {
    fn of(grant: &Grant) -> Record {
        let expires = grant.expires().after(KEPT_LONGER).as_milliseconds();
        Record { bytes: grant.encode(), expires }
    }
}

fn what_refused(error: &ServerError) -> StoreError {
    match error.code() {
        "OOM" => StoreError::Full,
        _ => StoreError::Unavailable,
    }
}
