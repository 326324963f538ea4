//! Transitions of one grant, applied in memory one after the other, so that one swap writes what all of them came to.

use std::time::Duration;

use super::super::queue::Job;
use crate::oauth::grant::Writer;
use crate::oauth::{Change, Grant, Outcome};

/// How long a grant that has ended leaves a mark, at least: longer than any code is good. A write that was late
/// on its way may still arrive, and must not find the place free.
const MARK_KEPT: Duration = Duration::from_secs(600);

/// What is believed of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    Sent,
    Failed,
}

/// Transitions of one grant, applied in memory one after the other.
pub(super) struct Run {
    /// The grant, as they have left it.
    pub(super) record: Option<Grant>,
    pub(super) outcomes: Vec<Outcome>,
    /// How many at the beginning need no write.
    pub(super) unchanged: usize,
    is_changed: bool,
    belief: Belief,
}

impl Run {
    pub(super) fn on(record: Option<Grant>) -> Run {
        Run { record, outcomes: Vec::new(), unchanged: 0, is_changed: false, belief: Belief::Sent }
    }

    /// Notes what is withdrawn; whether that changes anything.
    pub(super) fn begin(&mut self, withdrawal: &Job) -> bool {
        let (Change::Put(grant), _) = withdrawal.apply(self.record.as_ref()) else { return false };
        self.record = Some(grant);
        self.is_changed = true;
        true
    }

    /// The writer whose report decides about `job`, unless it is known what to believe.
    pub(super) fn doubt(&mut self, job: &Job, server: u64, believed: &[(Writer, Belief)]) -> Option<Writer> {
        self.belief = Belief::Sent;
        let writer = job.transition.doubt(self.record.as_ref(), job.now)?;
        // Of its own answers this server has noted those that failed.
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

    pub(super) fn apply(&mut self, job: &Job, waits_for_safety: bool) {
        let (change, outcome) = match self.belief {
            Belief::Sent => job.apply(self.record.as_ref()),
            Belief::Failed => job.apply_after_failure(self.record.as_ref()),
        };
        let marked_until = job.now.after(MARK_KEPT);
        let (record, is_write) = match (change, self.record.take()) {
            // What is said again may have been written by another server, and not be safe yet; and what is to be
            // revoked and is not there may have been revoked a moment ago, and not be safe either.
            (Change::Keep, Some(grant)) => {
                let is_said_again =
                    matches!(outcome, Outcome::GrantedAgain | Outcome::Refused | Outcome::Repeated { .. })
                        || job.transition.is_revocation();
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
        self.is_changed |= is_write;
        if !self.is_changed {
            self.unchanged += 1;
        }
        self.outcomes.push(outcome);
    }
}
