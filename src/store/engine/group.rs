//! The transitions of one grant on an engine: what is sent for them, and what is made of the answers.
//!
//! [`Batch`](super::batch::Batch) says how they are taken together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, ServerError, Value};

use super::super::queue::{Answered, Job};
use super::super::{Applied, StoreError};
use super::pipeline::{Reply, Request};
use super::slots::Address;
use crate::oauth::{Change, Grant, GrantId, Outcome};

/// Puts a value in the place of another, if that still stands there.
const SWAP: &str = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end \
    redis.call('SET',KEYS[1],ARGV[2],'PXAT',ARGV[3]) return 1";

/// How much longer than it is good a grant is kept: the engine's clock may be ahead of ours.
const KEPT_LONGER: Duration = Duration::from_secs(60);

/// How often a transition may lose its connection before it is given up.
const LOSSES_MAX: u32 = 2;

/// How long to wait where no node has the key at the moment, and until when to go on trying.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
const PAUSES_MAX: u32 = 50;

/// How long a grant that has ended leaves a mark, at least: longer than any code is good. A write that was late
/// on its way may still arrive, and must not find the place free.
const MARK_KEPT: Duration = Duration::from_secs(600);

/// The key of a grant.
fn key(id: GrantId) -> Arc<[u8]> {
    [b"oauth:grant:", id.as_bytes()].concat().into()
}

/// Transitions that are about one grant, in their order. They are answered from the front.
pub(super) struct Group {
    pub(super) id: GrantId,
    key: Arc<[u8]>,
    pub(super) jobs: VecDeque<Job>,
    step: Step,
    /// What was sent to be written, when it is not known whether it was; and the outcomes of the first jobs, if it
    /// was.
    tried: Vec<(Record, Outcomes)>,
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
    /// What the first jobs come to when it does.
    outcomes: Outcomes,
}

/// The outcomes of the first jobs of a group, in their order. A write that covers several has one for each.
type Outcomes = VecDeque<Outcome>;

/// A grant as bytes, and until when the engine is to keep it.
#[derive(Clone)]
struct Record {
    bytes: Vec<u8>,
    expires: u64,
}

impl Group {
    pub(super) fn of(id: GrantId, job: Job, waits_for_safety: bool) -> Group {
        let mut group = Group {
            id,
            key: key(id),
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
            let outcomes = Outcomes::from([outcome]);
            self.step = Step::Write(Write { old: None, new: Record::of(&grant), outcomes });
        }
    }

    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.again.is_none_or(|again| again <= now)
    }

    pub(super) fn request(&self) -> Request {
        let (command, is_write) = match &self.step {
            Step::Read => (redis::cmd("GET").arg(&*self.key).to_owned(), false),
            Step::Write(write) => (write.command(&self.key), true),
        };
        Request { key: Arc::clone(&self.key), command, is_write, ask: self.ask.clone() }
    }

    /// Answers those whose time is over; whether any are left.
    pub(super) fn drop_late(&mut self, now: Instant, time_max: Duration, answered: &mut Answered) -> bool {
        let is_late = |job: &Job| now.saturating_duration_since(job.since) >= time_max;
        while self.jobs.front().is_some_and(is_late) {
            self.answer(Err(StoreError::TimedOut), answered);
            // What was to be written was to be written for it, too: the next one begins with a look.
            self.step = Step::Read;
        }
        !self.jobs.is_empty()
    }

    /// Answers the first one.
    fn answer(&mut self, applied: Applied, answered: &mut Answered) {
        self.losses = 0;
        // What was tried and lost may have been tried for those behind it, too.
        self.tried.retain_mut(|(_, outcomes)| {
            outcomes.pop_front();
            !outcomes.is_empty()
        });
        if let Some(job) = self.jobs.pop_front() {
            job.answer(applied, answered);
        }
    }

    pub(super) fn answer_all(&mut self, error: StoreError, answered: &mut Answered) {
        self.jobs.drain(..).for_each(|job| job.answer(Err(error), answered));
    }

    pub(super) fn take(&mut self, reply: Reply, now: Instant, answered: &mut Answered) {
        self.ask = None;
        self.again = None;
        let pauses = std::mem::take(&mut self.pauses);
        match reply {
            Reply::Answered(value) => self.take_answer(value, answered),
            // It is there, and may be lost again: nobody is told that it is safe.
            Reply::Unsafe => {
                if let Step::Write(write) = std::mem::replace(&mut self.step, Step::Read) {
                    write.outcomes.iter().for_each(|_| self.answer(Err(StoreError::Unavailable), answered));
                }
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
                write.outcomes.into_iter().for_each(|outcome| self.answer(Ok(outcome), answered));
                self.proceed(Some(write.new.bytes), answered);
            }
            // Somebody else was faster: look again.
            (Step::Write(_), Value::Nil | Value::Int(0)) => {}
            _ => self.answer_all(StoreError::Damaged, answered),
        }
    }

    fn take_loss(&mut self, answered: &mut Answered) {
        self.losses += 1;
        if let Step::Write(Write { new, outcomes, .. }) = std::mem::replace(&mut self.step, Step::Read) {
            self.tried.push((new, outcomes));
        }
        if self.losses >= LOSSES_MAX {
            self.answer_all(StoreError::Unavailable, answered);
        }
    }

    /// Goes on with `current` standing there, as far as nothing has to be written.
    fn proceed(&mut self, current: Option<Vec<u8>>, answered: &mut Answered) {
        let is_there = |(new, _): &(Record, _)| Some(&new.bytes) == current.as_ref();
        if let Some(at) = self.tried.iter().position(is_there) {
            let (new, outcomes) = self.tried[at].clone();
            if self.waits_for_safety {
                // It is there, and nobody has said how safe. Written once more, it is as safe as must be.
                self.step = Step::Write(Write { old: current, new, outcomes });
                return;
            }
            outcomes.into_iter().for_each(|outcome| self.answer(Ok(outcome), answered));
        }
        let Ok(record) = current.as_deref().map(Grant::decode).transpose() else {
            return self.answer_all(StoreError::Damaged, answered);
        };
        let mut run = Run::on(record);
        for job in &self.jobs {
            run.apply(job, self.waits_for_safety);
        }
        let Run { record, outcomes, unchanged } = run;
        let mut outcomes = Outcomes::from(outcomes);
        // Those before the first change only looked.
        outcomes.drain(..unchanged).for_each(|outcome| self.answer(Ok(outcome), answered));
        if let Some(record) = record.filter(|_| !outcomes.is_empty()) {
            self.step = Step::Write(Write { old: current, new: Record::of(&record), outcomes });
        }
    }
}

/// Transitions of one grant, applied in memory one after the other.
struct Run {
    /// The grant, as they have left it.
    record: Option<Grant>,
    outcomes: Vec<Outcome>,
    /// How many at the beginning need no write.
    unchanged: usize,
}

impl Run {
    fn on(record: Option<Grant>) -> Run {
        Run { record, outcomes: Vec::new(), unchanged: 0 }
    }

    fn apply(&mut self, job: &Job, waits_for_safety: bool) {
        let (change, outcome) = job.transition.apply(self.record.as_ref(), job.now);
        let marked_until = job.now.after(MARK_KEPT);
        let (record, is_write) = match (change, self.record.take()) {
            // What is said again may have been written by another server, and not be safe yet; and what is to be
            // revoked and is not there may have been revoked a moment ago, and not be safe either.
            (Change::Keep, Some(grant)) => {
                let is_said_again =
                    matches!(outcome, Outcome::Repeated { .. }) || job.transition.is_revocation();
                (Some(grant), waits_for_safety && is_said_again)
            }
            (Change::Keep | Change::Forget, None) => (None, false),
            (Change::Put(mark), Some(grant)) if mark.is_over() => {
                (Some(grant.mark(mark.expires().max(marked_until))), true)
            }
            (Change::Put(grant), _) => (Some(grant), true),
            (Change::Forget, Some(grant)) => (Some(grant.mark(marked_until)), true),
        };
        self.record = record;
        if !is_write && self.unchanged == self.outcomes.len() {
            self.unchanged += 1;
        }
        self.outcomes.push(outcome);
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
