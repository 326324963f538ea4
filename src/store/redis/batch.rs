//! A batch of transitions on an engine: read, apply the rules, and swap if nothing has changed in between.
//!
//! ```text
//!   round 1   GET the record of each that is about one      SET NX each that makes one
//!   round 2   compare-and-swap each that was changed       (those that only looked are answered)
//!   round 3   … again, for those where another server was faster
//! ```
//!
//! A new record takes one round trip, a look takes one, a change takes two; and a round trip is shared by all
//! that has gathered. Transitions of one record are applied in memory, one after the other, and the result of all
//! is written in one swap: a record that many ask for costs as many round trips as one that is asked for once. Each
//! is answered when the swap is confirmed; if another server was faster, all of them are applied again to what it
//! wrote. Between two exchanges new transitions join.
//!
//! A transition that would end a grant for a replay may depend on whether the answer of another server reached its
//! client. Then that server's report is read first (`reports.rs`).
//!
//! If a connection is lost it is unknown whether a swap was made. So the bytes to write are remembered: if the record
//! has them afterwards, the swap was made, because no other write has the same bytes. A grant's digests are of secrets
//! that no other transition has; a kind without such digests is written with a stamp (`swap.rs`). If the record has
//! another write, a grant's transition is applied again, since the proof that it presents counts once; one of a kind
//! without such proofs is answered that the store is unavailable. And a swap may be made later still, by bytes that the
//! network has held back. So nothing is ever removed: a record that has ended leaves a mark, which such a write finds,
//! and the engine forgets it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::StoreError;
use super::super::queue::{Answered, Job, Queue};
use super::cluster::Cluster;
use super::group::{Context, Group};
use super::keys::Keys;
use super::pipeline::Command;
use super::reports::Reports;
use super::swap::Stamps;
use crate::oauth::Key;
use crate::oauth::kind::Transition;

pub(super) use super::group::PAUSE;

/// How many times the time of a transition a server counts as alive after it has said so.
const ALIVE_TIMES: u32 = 2;

/// The transitions that are on their way.
pub(super) struct Batch<T: Transition> {
    keys: Keys,
    groups: Vec<Group<T>>,
    reports: Reports,
    stamps: Stamps,
    /// How long a transition may take from when it was submitted.
    time_max: Duration,
    /// Whether more must have a write than the node's memory, before anything is said of it.
    waits_for_safety: bool,
}

impl<T: Transition> Batch<T> {
    /// Without transitions, on behalf of `server`, of records that have these keys.
    pub(super) fn of(keys: Keys, server: u64, time_max: Duration, waits_for_safety: bool) -> Batch<T> {
        let reports = Reports::of(keys.clone(), server, ALIVE_TIMES * time_max);
        let stamps = Stamps { server, last: Cell::new(0) };
        Batch { keys, groups: Vec::new(), reports, stamps, time_max, waits_for_safety }
    }

    /// How many transitions there are.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.jobs.len() + group.withdrawals.len()).sum()
    }

    /// The number up to which all is known.
    fn settled(&self, queue: &Queue<T>) -> u64 {
        let jobs = self.groups.iter().flat_map(|group| group.jobs.iter().chain(&group.withdrawals));
        queue.settled(jobs.map(|job| job.serial).filter(|serial| *serial > 0).min())
    }

    /// How long from `now` the engine is to be told of this server's answers, and that it is alive.
    pub(super) fn report_delay(&self, queue: &Queue<T>, now: Instant) -> Duration {
        self.reports.delay(self.settled(queue), now)
    }

    /// Tells the engine how far this server has come, if it is time.
    pub(super) fn report(&mut self, cluster: &mut Cluster, queue: &Queue<T>, now: Instant) {
        let settled = self.settled(queue);
        if self.reports.is_due(settled, now) {
            let replies = cluster.exchange(&self.reports.commands(settled));
            self.reports.take(settled, &replies, now);
        }
    }

    /// The engine may have lost the report.
    pub(super) fn forget_report(&mut self) {
        self.reports.forget();
    }

    /// Answers all transitions that the store is not there, and starts over.
    pub(super) fn give_up(&mut self, queue: &Queue<T>) {
        let mut answered = Answered::of(queue);
        for mut group in self.groups.drain(..) {
            group.answer_all(StoreError::Unavailable, &mut answered);
        }
    }

    /// Takes more transitions, each behind those that are about the same record.
    pub(super) fn add(&mut self, jobs: impl Iterator<Item = Job<T>>) {
        let places = self.groups.iter().enumerate().map(|(place, group)| (group.record, place));
        // Ordered, not hashed: identifiers come from requests, and a stranger can choose ones that collide.
        let mut places: BTreeMap<Key, usize> = places.collect();
        for job in jobs {
            let record = job.transition.key();
            let place = *places.entry(record).or_insert(self.groups.len());
            match self.groups.get_mut(place) {
                Some(group) => group.add(job),
                None => self.groups.push(Group::of(&self.keys, &self.stamps, record, job)),
            }
        }
    }

    /// Whether some of them can go on at the moment `now`; the others wait for a node that has their key.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.groups.iter().any(|group| group.is_ready(now))
    }

    /// Goes on with all transitions of `queue` that can, by one exchange. None takes longer than its time from when
    /// it was submitted, give or take one round trip.
    pub(super) fn advance(&mut self, cluster: &mut Cluster, queue: &Queue<T>, now: Instant) {
        // The callers are woken when this is dropped.
        let mut answered = Answered::of(queue);
        let time_max = self.time_max;
        self.groups.retain_mut(|group| group.drop_late(now, time_max, &mut answered));
        let news = Some(self.settled(queue)).filter(|settled| self.reports.is_due(*settled, now));
        let mut ready: Vec<&mut Group<T>> =
            self.groups.iter_mut().filter(|group| group.is_ready(now)).collect();
        let mut commands: Vec<Command> = ready.iter().map(|group| group.command()).collect();
        if commands.is_empty() {
            return;
        }
        commands.extend(news.into_iter().flat_map(|settled| self.reports.commands(settled)));
        let mut replies = cluster.exchange(&commands);
        if let Some(settled) = news {
            self.reports.take(settled, &replies.split_off(ready.len()), now);
        }
        // A server whose own report is refused cannot tell whether those of others are.
        let is_calm = cluster.has_been_calm_for(self.reports.alive_time(), now) && !self.reports.has_failed();
        let context = Context {
            queue,
            server: self.reports.server(),
            stamps: &self.stamps,
            waits_for_safety: self.waits_for_safety,
            is_calm,
            now,
        };
        for (group, reply) in ready.iter_mut().zip(replies) {
            group.take(reply, &context, &mut answered);
        }
        self.groups.retain(Group::is_busy);
    }
}
