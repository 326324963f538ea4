//! The transitions of one record on an engine: the next command to send for them, and what its answer means.
//!
//! A group first reads its record (or assumes that a new one does not exist), applies its transitions in memory, and
//! then writes the result if the record has not changed. It reads again if another server was faster or the connection
//! was lost, and pauses while no node has the key. [`Batch`](super::batch::Batch) exchanges for all groups at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{ServerError, Value};

use super::super::queue::{Answered, Job, Queue};
use super::super::{Applied, StoreError};
use super::keys::Keys;
use super::pipeline::{Command, EngineReply};
use super::reports;
use super::run::Run;
use super::slots::Address;
use super::swap::{self, Outcomes, Stamps, Write, Written};
use crate::oauth::Key;
use crate::oauth::kind::{Belief, Change, Transition, Writer};

/// A transition fails after this many lost connections.
const LOSSES_MAX: u32 = 2;

/// The pause before a retry if no node has the key at the moment.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// Maximum such retries in a row.
const PAUSES_MAX: u32 = 50;

/// The time that a client should wait if the engine is full. The engine does not report when it will have room; this is
/// the lifetime of the records that expire soonest, unredeemed codes.
const FULL_TIME: Duration = Duration::from_secs(60);

/// The transitions of one record, in order. They are answered from the front.
pub(super) struct Group<T: Transition> {
    pub(super) record: Key,
    keys: Keys,
    key: Arc<[u8]>,
    pub(super) jobs: VecDeque<Job<T>>,
    /// Notes of failed responses, which are applied before the jobs.
    pub(super) withdrawals: Vec<Job<T>>,
    next: Exchange<T>,
    /// Writes that were sent, with an unknown result.
    tried: Vec<Write<T>>,
    /// The node that an `ASK` redirect names, for the next command.
    ask: Option<Address>,
    /// Lost connections since the last answered job.
    losses: u32,
    /// Retries in a row because no node had the key.
    pauses: u32,
    /// The end of the current pause.
    again: Option<Instant>,
    /// The writer whose report decides about the first job.
    doubt: Option<Writer>,
    /// What writers have reported of their responses.
    believed: Vec<(Writer, Belief)>,
}

/// What to send next.
enum Exchange<T: Transition> {
    Read,
    /// Read the report of a writer.
    Report {
        server: u64,
        /// Read its heartbeat instead.
        reads_heartbeat: bool,
    },
    Write(Write<T>),
}

/// What every group needs to handle its reply.
pub(super) struct ReplyContext<'a, T: Transition> {
    pub(super) queue: &'a Queue<T>,
    /// This server.
    pub(super) server: u64,
    pub(super) stamps: &'a Stamps,
    pub(super) waits_for_safety: bool,
    /// No node has failed recently: every live server has had time to renew its heartbeat.
    pub(super) is_calm: bool,
    pub(super) now: Instant,
}

impl<T: Transition> Group<T> {
    pub(super) fn of(keys: &Keys, stamps: &Stamps, record: Key, job: Job<T>) -> Group<T> {
        let mut group = Group {
            record,
            keys: keys.clone(),
            key: keys.record(T::KINDS[record.kind.index()].name, record.id),
            jobs: VecDeque::new(),
            withdrawals: Vec::new(),
            next: Exchange::Read,
            tried: Vec::new(),
            ask: None,
            losses: 0,
            pauses: 0,
            again: None,
            doubt: None,
            believed: Vec::new(),
        };
        group.add(job);
        group.begin(stamps);
        group
    }

    pub(super) fn add(&mut self, job: Job<T>) {
        if job.transition.is_withdrawal() { self.withdrawals.push(job) } else { self.jobs.push_back(job) }
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.jobs.is_empty() || !self.withdrawals.is_empty()
    }

    /// Starts with a write if the first job makes a new record: its random identifier is almost certainly unused, so a
    /// read would be wasted.
    fn begin(&mut self, stamps: &Stamps) {
        let Some(job) = self.jobs.front().filter(|job| job.transition.is_new()) else { return };
        if let (Change::Put(record), outcome) = job.transition.apply(None, job.now) {
            let outcomes = Outcomes::<T>::from([outcome]);
            let new = Written::of::<T>(&record, self.record.kind, stamps);
            self.next = Exchange::Write(Write { old: None, new, outcomes, withdrawn: 0 });
        }
    }

    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.again.is_none_or(|again| again <= now)
    }

    pub(super) fn command(&self) -> Command {
        let (cmd, is_write) = match &self.next {
            Exchange::Report { server, reads_heartbeat } => {
                let command = reports::read(&self.keys, *server, *reads_heartbeat);
                return Command { ask: self.ask.clone(), ..command };
            }
            Exchange::Read => (redis::cmd("GET").arg(&*self.key).to_owned(), false),
            Exchange::Write(write) => {
                self.jobs.iter().take(write.outcomes.len()).for_each(Job::note_sent);
                (write.command(&self.key), true)
            }
        };
        Command { key: Arc::clone(&self.key), cmd, is_write, ask: self.ask.clone() }
    }

    /// Answers the jobs that have timed out; returns whether any remain.
    pub(super) fn drop_late(&mut self, now: Instant, time_max: Duration, answered: &mut Answered<T>) -> bool {
        let is_late = |job: &Job<T>| now.saturating_duration_since(job.since) >= time_max;
        while self.jobs.front().is_some_and(is_late) {
            self.answer(Err(StoreError::TimedOut), answered);
            // The pending write includes the dropped job, so the next job starts with a read.
            self.next = Exchange::Read;
            self.doubt = None;
        }
        self.is_busy()
    }

    /// Answers the first job.
    fn answer(&mut self, applied: Applied<T>, answered: &mut Answered<T>) {
        self.losses = 0;
        // A lost write may also cover the jobs after it, so only its first outcome is dropped.
        self.tried.retain_mut(|tried| {
            tried.outcomes.pop_front();
            !tried.outcomes.is_empty() || tried.withdrawn > 0
        });
        if let Some(job) = self.jobs.pop_front() {
            job.answer(applied, answered);
        }
    }

    pub(super) fn answer_all(&mut self, error: StoreError, answered: &mut Answered<T>) {
        let withdrawals = self.withdrawals.drain(..);
        withdrawals.chain(self.jobs.drain(..)).for_each(|job| job.answer(Err(error), answered));
    }

    pub(super) fn take(&mut self, reply: EngineReply, context: &ReplyContext<T>, answered: &mut Answered<T>) {
        self.ask = None;
        self.again = None;
        let pauses = std::mem::take(&mut self.pauses);
        match reply {
            EngineReply::Answered(value) => self.take_answer(value, context, answered),
            // It is stored but may be lost again, so its callers get an error.
            EngineReply::Unsafe => self.fail_exchange(StoreError::Unavailable, answered),
            EngineReply::Refused(error) => self.fail_exchange(what_refused(&error), answered),
            EngineReply::Elsewhere(Some(address)) if pauses < PAUSES_MAX => {
                self.pauses = pauses + 1;
                self.ask = Some(address);
            }
            // A slot migration or a fail-over usually ends soon.
            EngineReply::Elsewhere(None) if pauses < PAUSES_MAX => {
                self.pauses = pauses + 1;
                self.again = Some(context.now + PAUSE);
            }
            EngineReply::Elsewhere(_) => self.answer_all(StoreError::Unavailable, answered),
            EngineReply::Lost => self.take_loss(answered),
            EngineReply::Away => self.answer_all(StoreError::Unavailable, answered),
        }
    }

    /// Answers with `error` what the failed exchange was for: after a write its own jobs, and not those that have
    /// joined since, which may only read.
    fn fail_exchange(&mut self, error: StoreError, answered: &mut Answered<T>) {
        match std::mem::replace(&mut self.next, Exchange::Read) {
            Exchange::Write(write) => {
                write.outcomes.iter().for_each(|_| self.answer(Err(error), answered));
                // Its withdrawals are not done either, and are retried later.
                let withdrawn = self.withdrawals.drain(..write.withdrawn.min(self.withdrawals.len()));
                withdrawn.for_each(|job| job.answer(Err(error), answered));
            }
            Exchange::Read | Exchange::Report { .. } => self.answer_all(error, answered),
        }
    }

    fn take_answer(&mut self, value: Value, context: &ReplyContext<T>, answered: &mut Answered<T>) {
        match (std::mem::replace(&mut self.next, Exchange::Read), value) {
            (Exchange::Report { reads_heartbeat, .. }, value) => {
                self.take_report(reads_heartbeat, &value, context)
            }
            (Exchange::Read, Value::Nil) => self.advance(None, context, answered),
            (Exchange::Read, Value::BulkString(bytes)) => self.advance(Some(bytes), context, answered),
            (Exchange::Write(write), Value::Okay | Value::Int(1)) => {
                let new = self.confirm(write, answered);
                self.advance(Some(new.bytes), context, answered);
            }
            // Another server was faster: read again.
            (Exchange::Write(_), Value::Nil | Value::Int(0)) => {}
            _ => self.answer_all(StoreError::Damaged, answered),
        }
    }

    fn take_loss(&mut self, answered: &mut Answered<T>) {
        self.losses += 1;
        if let Exchange::Write(write) = std::mem::replace(&mut self.next, Exchange::Read) {
            self.tried.push(write);
        }
        if self.losses >= LOSSES_MAX {
            self.answer_all(StoreError::Unavailable, answered);
        }
    }

    /// Answers the jobs that a confirmed write covers; returns what was written.
    fn confirm(&mut self, write: Write<T>, answered: &mut Answered<T>) -> Written {
        self.tried.retain(|tried| tried.new.bytes != write.new.bytes);
        write.outcomes.into_iter().for_each(|outcome| self.answer(Ok(outcome), answered));
        self.withdrawals.drain(..write.withdrawn.min(self.withdrawals.len()));
        write.new
    }

    /// Answers the jobs of a lost write if another server's write came after it or instead of it, which cannot be told
    /// apart.
    fn give_up_what_was_overtaken(&mut self, current: Option<&Vec<u8>>, answered: &mut Answered<T>) {
        let is_overtaken = |tried: &&Write<T>| tried.old.as_ref() != current;
        let count = self.tried.iter().filter(is_overtaken).map(|tried| tried.outcomes.len()).max();
        (0..count.unwrap_or(0)).for_each(|_| self.answer(Err(StoreError::Unavailable), answered));
    }

    /// Takes the report of the writer in doubt, or its heartbeat. A live writer whose report does not cover the
    /// response yet is asked again after a pause, until the first job times out.
    fn take_report(&mut self, reads_heartbeat: bool, value: &Value, context: &ReplyContext<T>) {
        let Some(writer) = self.doubt else { return };
        let belief = if reads_heartbeat {
            (*value == Value::Nil && context.is_calm).then_some(Belief::Failed)
        } else {
            reports::covers(value, writer.serial).then_some(Belief::Sent)
        };
        if let Some(belief) = belief {
            self.doubt = None;
            self.believed.push((writer, belief));
            return;
        }
        // The report and the heartbeat are read in turn, with a pause after each pair.
        self.next = Exchange::Report { server: writer.server, reads_heartbeat: !reads_heartbeat };
        if reads_heartbeat {
            self.again = Some(context.now + PAUSE);
        }
    }

    /// Applies the jobs to `current`, the bytes of the record. Answers those that need no write, and prepares the write
    /// of the others.
    fn advance(&mut self, current: Option<Vec<u8>>, context: &ReplyContext<T>, answered: &mut Answered<T>) {
        let is_there = |tried: &Write<T>| Some(&tried.new.bytes) == current.as_ref();
        if let Some(at) = self.tried.iter().position(is_there) {
            let write = self.tried[at].clone();
            if context.waits_for_safety {
                // It is stored, but its durability is unknown. Writing it again makes it durable as required.
                self.next = Exchange::Write(Write { old: current, ..write });
                return;
            }
            self.confirm(write, answered);
        }
        let kind = self.record.kind;
        if !T::KINDS[kind.index()].is_repeatable {
            self.give_up_what_was_overtaken(current.as_ref(), answered);
        }
        let read = |bytes| swap::read::<T>(kind, bytes).ok_or(StoreError::Damaged);
        let Ok(record) = current.as_deref().map(read).transpose() else {
            return self.answer_all(StoreError::Damaged, answered);
        };
        self.withdrawals.extend(context.queue.recall(self.record));
        let mut run = Run::<T>::on(record);
        // A withdrawal that changes nothing is dropped: there is nothing to write.
        self.withdrawals.retain(|withdrawal| run.apply_withdrawal(withdrawal));
        let withdrawn = self.withdrawals.len();
        for job in &self.jobs {
            if let Some(writer) = run.doubt(job, context.server, &self.believed) {
                self.doubt = Some(writer);
                break;
            }
            run.apply(job, context.waits_for_safety);
        }
        let Run { record, outcomes, unchanged, .. } = run;
        let mut outcomes = Outcomes::<T>::from(outcomes);
        // The jobs before the first change need no write.
        outcomes.drain(..unchanged).for_each(|outcome| self.answer(Ok(outcome), answered));
        let is_changed = withdrawn > 0 || !outcomes.is_empty();
        self.next = match (record.filter(|_| is_changed), self.doubt) {
            // The jobs before the one in doubt are written first.
            (Some(record), _) => {
                self.doubt = None;
                let new = Written::of::<T>(&record, kind, context.stamps);
                Exchange::Write(Write { old: current, new, outcomes, withdrawn })
            }
            (None, Some(writer)) => Exchange::Report { server: writer.server, reads_heartbeat: false },
            (None, None) => Exchange::Read,
        };
    }
}

fn what_refused(error: &ServerError) -> StoreError {
    match error.code() {
        "OOM" => StoreError::Full { wait: FULL_TIME },
        _ => StoreError::Unavailable,
    }
}
