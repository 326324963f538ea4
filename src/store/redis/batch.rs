//! A batch of transitions on an engine: read, apply the rules, and swap if nothing has changed in between.
//!
//! ```text
//!   round 1   GET each existing record        SET NX each new one
//!   round 2   compare-and-swap each changed record      (read-only transitions are answered)
//!   round 3   … again, where another server was faster
//! ```
//!
//! A new record takes one round trip, a read one, and a change two. All transitions that wait share a round trip.
//! Transitions of one record are applied in memory in order, and one swap writes the result of all, so a record with
//! many requests takes no more round trips than one with a single request. They are answered when the swap is
//! confirmed. If another server was faster, all are applied again to its result. New transitions join between two
//! exchanges.
//!
//! Whether a transition is a replay, which ends the grant, may depend on whether another server's response reached its
//! client. Then that server's report is read first (`reports.rs`).
//!
//! If a connection is lost, it is unknown whether a swap was made. So the written bytes are kept: if the record has
//! them afterwards, the swap was made, because no two writes have the same bytes. (A grant has digests of fresh
//! secrets; a kind without such digests is written with a stamp, `swap.rs`.) If the record has other bytes, a grant's
//! transition is applied again, because its proof is accepted only once. A transition of a kind without such proofs is
//! answered with an error. A lost swap may also arrive much later, delayed by the network. So no record is ever
//! deleted: an ended one leaves a mark, which the delayed write finds, and which the engine expires. And a withdrawal
//! that finds its write missing and the credential unspent changes the bytes of the record, for which the delayed swap
//! was made. (Two such changes may be equal; each confirms the other, since they say the same.)

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::StoreError;
use super::super::queue::{Answered, Job, Queue};
use super::cluster::Cluster;
use super::group::{Group, ReplyContext};
use super::keys::Keys;
use super::pipeline::Command;
use super::reports::Reports;
use super::swap::Stamps;
use crate::oauth::Key;
use crate::oauth::kind::Transition;

pub(super) use super::group::PAUSE;

/// A server counts as alive for this many times the timeout of a transition after its last heartbeat.
const ALIVE_TIMES: u32 = 2;

/// The transitions that are being applied.
pub(super) struct Batch<T: Transition> {
    keys: Keys,
    groups: Vec<Group<T>>,
    reports: Reports,
    stamps: Stamps,
    /// The timeout of a transition, from its submission.
    time_max: Duration,
    /// Whether a write must reach a disk or replicas before its response.
    waits_for_safety: bool,
}

impl<T: Transition> Batch<T> {
    /// An empty batch of `server`, for records with these keys.
    pub(super) fn of(keys: Keys, server: u64, time_max: Duration, waits_for_safety: bool) -> Batch<T> {
        let reports = Reports::of(keys.clone(), server, ALIVE_TIMES * time_max);
        let stamps = Stamps { server, last: Cell::new(0) };
        Batch { keys, groups: Vec::new(), reports, stamps, time_max, waits_for_safety }
    }

    /// The number of transitions.
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.jobs.len() + group.withdrawals.len()).sum()
    }

    /// The highest serial number up to which the delivery of every response is known.
    fn settled(&self, queue: &Queue<T>) -> u64 {
        let jobs = self.groups.iter().flat_map(|group| group.jobs.iter().chain(&group.withdrawals));
        queue.settled(jobs.map(|job| job.serial).filter(|serial| *serial > 0).min())
    }

    /// The time from `now` until the next report is due.
    pub(super) fn report_delay(&self, queue: &Queue<T>, now: Instant) -> Duration {
        self.reports.delay(self.settled(queue), now)
    }

    /// Sends this server's report, if it is due.
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

    /// Answers all transitions with an error, and starts over.
    pub(super) fn give_up(&mut self, queue: &Queue<T>) {
        let mut answered = Answered::of(queue);
        for mut group in self.groups.drain(..) {
            group.answer_all(StoreError::Unavailable, &mut answered);
        }
    }

    /// Adds transitions, each after those of the same record.
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

    /// Whether some transitions can continue at `now`. The others wait for a node with their key.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.groups.iter().any(|group| group.is_ready(now))
    }

    /// Continues all transitions that can, by one exchange. A transition exceeds its timeout by at most one round trip.
    pub(super) fn advance(&mut self, cluster: &mut Cluster, queue: &Queue<T>, now: Instant) {
        // Wakes the callers when it is dropped.
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
        // If this server's report is refused, those of other servers may be refused as well.
        let is_calm = cluster.has_been_calm_for(self.reports.alive_time(), now) && !self.reports.has_failed();
        let context = ReplyContext {
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
