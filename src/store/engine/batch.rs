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
//! no other transition has. And it may be made later still, by bytes that the network has held back. So nothing
//! is ever removed: a grant that has ended leaves a mark, which such a write finds, and the engine forgets it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, ServerError, Value};

use super::super::queue::{Answered, Job};
use super::super::{Applied, StoreError};
use super::fleet::{Fleet, Reply, Request};
use super::keys::Keys;
use super::slots::Address;
use crate::oauth::{Change, Grant, GrantId, Outcome};

/// Puts a value in the place of another, if that still stands there.
pub(super) const SWAP: &str = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end \
    redis.call('SET',KEYS[1],ARGV[2],'PXAT',ARGV[3]) return 1";

/// How much longer than it is good a grant is kept: the engine's clock may be ahead of ours.
pub(super) const KEPT_LONGER: Duration = Duration::from_secs(60);

/// How often a transition may lose its connection before it is given up.
const LOSSES_MAX: u32 = 2;

/// How long to wait where no node has the key at the moment, and until when to go on trying.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
const PAUSES_MAX: u32 = 50;

/// How long a grant that has ended leaves a mark, at least: longer than any code is good. A write that was late
/// on its way may still arrive, and must not find the place free.
const MARK_KEPT: Duration = Duration::from_secs(600);

/// The transitions that are on their way.
pub(super) struct Batch {
    keys: Keys,
    groups: Vec<Group>,
}

/// Those of them that are about one grant, in their order.
struct Group {
    id: GrantId,
    key: Arc<[u8]>,
    jobs: VecDeque<Job>,
    step: Step,
    /// What was sent to be written, when it is not known whether it was; and the outcome, if it was.
    tried: Vec<(Record, Outcome)>,
    /// Whether more must have a write than the node's memory, before anything is said of it.
    waits_for_safety: bool,
    ask: Option<Address>,
    losses: u32,
    /// How often in a row no node had the key, and when it is tried again.
    pauses: u32,
    again: Option<Instant>,
}

/// What to send next.
enum Step {
    Read,
    Write(Write),
}

struct Write {
    /// What must stand there; `None` for nothing.
    old: Option<Vec<u8>>,
    /// What is to stand there.
    new: Record,
    outcome: Outcome,
}

/// A grant as bytes, and until when the engine is to keep it.
struct Record {
    bytes: Vec<u8>,
    expires: u64,
}

impl Batch {
    /// None, of grants that have these keys.
    pub(super) fn new(keys: Keys) -> Batch {
        Batch { keys, groups: Vec::new() }
    }

    /// How many transitions there are.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.jobs.len()).sum()
    }

    /// Takes more transitions, each behind those that are about the same grant.
    pub(super) fn add(&mut self, jobs: impl Iterator<Item = Job>, waits_for_safety: bool) {
        let places = self.groups.iter().enumerate().map(|(place, group)| (group.id, place));
        let mut places: HashMap<GrantId, usize> = places.collect();
        for job in jobs {
            let id = job.transition.grant_id();
            let place = *places.entry(id).or_insert(self.groups.len());
            match self.groups.get_mut(place) {
                Some(group) => group.jobs.push_back(job),
                None => self.groups.push(Group::of((id, self.keys.grant(id)), job, waits_for_safety)),
            }
        }
    }

    /// Goes on with all transitions, until each has been answered or waits for a node that has its key. None
    /// takes longer than `time_max` from when it was submitted, give or take one round trip.
    pub(super) fn advance(&mut self, fleet: &mut Fleet, time_max: Duration, now: impl Fn() -> Instant) {
        loop {
            let mut answered = Answered::default();
            let moment = now();
            self.groups.retain_mut(|group| group.drop_late(moment, time_max, &mut answered));
            let ready = |group: &&mut Group| group.again.is_none_or(|again| again <= moment);
            let mut ready: Vec<&mut Group> = self.groups.iter_mut().filter(ready).collect();
            if ready.is_empty() {
                return;
            }
            let requests: Vec<Request> = ready.iter().map(|group| group.request()).collect();
            let replies = fleet.exchange(&requests);
            for (group, reply) in ready.iter_mut().zip(replies) {
                group.take(reply, moment, &mut answered);
            }
            self.groups.retain(|group| !group.jobs.is_empty());
            // Those who have their answers need not wait for the others.
            drop(answered);
        }
    }
}

impl Group {
    fn of((id, key): (GrantId, Arc<[u8]>), job: Job, waits_for_safety: bool) -> Group {
        let mut group = Group {
            id,
            key,
            jobs: VecDeque::from([job]),
            step: Step::Read,
            tried: Vec::new(),
            waits_for_safety,
            ask: None,
            losses: 0,
            pauses: 0,
            again: None,
        };
        group.begin();
        group
    }

    /// A name that is new is most likely free: then there is nothing to read.
    fn begin(&mut self) {
        let Some(job) = self.jobs.front().filter(|job| job.transition.is_new()) else { return };
        if let (Change::Put(grant), outcome) = job.transition.apply(None, job.now) {
            self.step = Step::Write(Write { old: None, new: Record::of(&grant), outcome });
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

    fn take(&mut self, reply: Reply, now: Instant, answered: &mut Answered) {
        self.ask = None;
        self.again = None;
        let pauses = std::mem::take(&mut self.pauses);
        match reply {
            Reply::Answered(value) => self.take_answer(value, answered),
            // It is there, and may be lost again: nobody is told that it is safe.
            Reply::Unsafe => {
                self.answer(Err(StoreError::Unavailable), answered);
                self.step = Step::Read;
            }
            Reply::Refused(error) => self.answer_all(what_refused(&error), answered),
            Reply::Elsewhere(Some(address)) => self.ask = Some(address),
            // Slots that move, and a fail-over, are over in a moment, or not at all soon.
            Reply::Elsewhere(None) if pauses < PAUSES_MAX => {
                self.pauses = pauses + 1;
                self.again = Some(now + PAUSE);
            }
            Reply::Elsewhere(None) => self.answer_all(StoreError::Unavailable, answered),
            Reply::Lost => self.take_loss(answered),
            Reply::Away => self.answer_all(StoreError::Unavailable, answered),
        }
    }

    fn take_answer(&mut self, value: Value, answered: &mut Answered) {
        match (std::mem::replace(&mut self.step, Step::Read), value) {
            (Step::Read, Value::Nil) => self.proceed(None, answered),
            (Step::Read, Value::BulkString(bytes)) => self.proceed(Some(bytes), answered),
            (Step::Write(write), Value::Okay | Value::Int(1)) => {
                self.answer(Ok(write.outcome), answered);
                self.proceed(Some(write.new.bytes), answered);
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
        let is_there = |(new, _): &(Record, _)| Some(&new.bytes) == current.as_ref();
        if let Some(at) = self.tried.iter().position(is_there) {
            let (new, outcome) = self.tried.swap_remove(at);
            if self.waits_for_safety {
                // It is there, and nobody has said how safe. Written once more, it is as safe as must be.
                self.step = Step::Write(Write { old: current, new, outcome });
                return;
            }
            self.answer(Ok(outcome), answered);
        }
        let Ok(record) = current.as_deref().map(Grant::decode).transpose() else {
            return self.answer_all(StoreError::Damaged, answered);
        };
        while let Some(job) = self.jobs.front() {
            let (change, outcome) = job.transition.apply(record.as_ref(), job.now);
            // What is said again may have been written by another server, and not be safe yet; and what is to be
            // revoked and is not there may have been revoked a moment ago, and not be safe either.
            let is_said_again = matches!(outcome, Outcome::Repeated { .. }) || job.transition.is_revocation();
            let new = match (change, &record) {
                (Change::Keep, Some(grant)) if self.waits_for_safety && is_said_again => {
                    Some(Record::of(grant))
                }
                (Change::Keep, _) | (Change::Forget, None) => None,
                (Change::Put(mark), Some(grant)) if mark.is_over() => {
                    Some(Record::of(&grant.mark(mark.expires().max(job.now.after(MARK_KEPT)))))
                }
                (Change::Put(grant), _) => Some(Record::of(&grant)),
                (Change::Forget, Some(grant)) => Some(Record::of(&grant.mark(job.now.after(MARK_KEPT)))),
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
        let Record { bytes: new, expires } = &self.new;
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
