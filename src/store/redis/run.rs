//! Transitions of one record, applied in memory in order, so that one swap writes the result of all.

use std::time::Duration;

use super::super::queue::Job;
use crate::oauth::kind::{Belief, Change, Record, Stage, Transition, Writer};

/// The minimum lifetime of the mark that an ended record leaves: longer than any code is valid. A delayed write may
/// still arrive and must not find the key free.
const MARK_KEPT: Duration = Duration::from_secs(600);

/// Transitions of one record, applied in memory in order.
pub(super) struct Run<T: Transition> {
    /// The record after them.
    pub(super) record: Option<T::Record>,
    pub(super) outcomes: Vec<T::Outcome>,
    /// The number of transitions before the first that needs a write.
    pub(super) unchanged: usize,
    is_changed: bool,
    belief: Belief,
}

impl<T: Transition> Run<T> {
    pub(super) fn on(record: Option<T::Record>) -> Run<T> {
        Run { record, outcomes: Vec::new(), unchanged: 0, is_changed: false, belief: Belief::Sent }
    }

    /// Applies a withdrawal; returns whether the record must be written for it. Where it has nothing to note, the
    /// withdrawn write may still be under way to the engine, so the record gets other bytes than that write expects.
    /// These say the same, so what only reads need not wait for them.
    pub(super) fn apply_withdrawal(&mut self, withdrawal: &Job<T>) -> bool {
        if let (Change::Put(noted), _) = withdrawal.apply(self.record.as_ref()) {
            self.record = Some(noted);
            self.is_changed = true;
            return true;
        }
        match self.record.as_ref().and_then(|record| withdrawal.transition.forestalled(record)) {
            Some(same) => {
                self.record = Some(same);
                true
            }
            None => false,
        }
    }

    /// The writer whose report decides about `job`; `None` if no report matters, or if `believed` has its result.
    pub(super) fn doubt(&mut self, job: &Job<T>, server: u64, believed: &[(Writer, Belief)]) -> Option<Writer> {
        self.belief = Belief::Sent;
        let writer = job.transition.doubt(self.record.as_ref(), job.now)?;
        // This server has noted its own failed responses in the record.
        if writer.server == server {
            return None;
        }
        match believed.iter().rev().find(|(known, _)| *known == writer) {
            Some((_, belief)) => {
                self.belief = *belief;
                None
            }
            None => Some(writer),
        }
    }

    pub(super) fn apply(&mut self, job: &Job<T>, waits_for_safety: bool) {
        let (change, outcome) = match self.belief {
            Belief::Sent => job.apply(self.record.as_ref()),
            Belief::Failed => job.apply_after_failure(self.record.as_ref()),
        };
        let marked_until = job.now.after(MARK_KEPT);
        let (record, is_write) = match (change, self.record.take()) {
            // The outcome may repeat another server's write of a moment ago, which may not be durable yet.
            (Change::Keep, Some(old)) => (Some(old), waits_for_safety && job.transition.restates(&outcome)),
            (Change::Keep | Change::Forget, None) => (None, false),
            (Change::Put(mark), Some(old)) if mark.stage() == Stage::Mark => {
                (Some(old.mark(mark.expires().max(marked_until))), true)
            }
            (Change::Put(new), _) => (Some(new), true),
            (Change::Forget, Some(old)) => (Some(old.mark(marked_until)), true),
        };
        self.record = record;
        self.is_changed |= is_write;
        if !self.is_changed {
            self.unchanged += 1;
        }
        self.outcomes.push(outcome);
    }
}
