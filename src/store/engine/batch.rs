//! A batch of transitions on an engine: read, apply the rules, and swap if nothing has changed in between.
//!
//! ```text
//!   round 1   GET the grant of each that is about one      SET NX each that makes one
//!   round 2   compare-and-swap each that was changed       (those that only looked are answered)
//!   round 3   … again, for those where another server was faster
//! ```
//!
//! A new grant takes one round trip, a look takes one, a change takes two; and a round trip is shared by all
//! that has gathered. Transitions of one grant are applied in memory, one after the other, and the result of all
//! is written in one swap: a grant that many ask for costs as many round trips as one that is asked for once. Each
//! is answered when the swap is confirmed; if another server was faster, all of them are applied again to what it
//! wrote. Between two exchanges new transitions join.
//!
//! Where a connection is lost on the way it is not known whether a swap was made. So what was to be written is
//! remembered: if it stands there afterwards, it was made, for its digests are of secrets that no other transition
//! has. And it may be made later still, by bytes that the network has held back. So nothing is ever removed: a
//! grant that has ended leaves a mark, which such a write finds, and the engine forgets it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::queue::{Answered, Job};
use super::fleet::Fleet;
use super::group::Group;
use super::pipeline::Request;
use crate::oauth::GrantId;

pub(super) use super::group::PAUSE;

/// The transitions that are on their way.
#[derive(Default)]
pub(super) struct Batch {
    groups: Vec<Group>,
}

impl Batch {
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
                None => self.groups.push(Group::of(id, job, waits_for_safety)),
            }
        }
    }

    /// Whether some of them can go on at the moment `now`; the others wait for a node that has their key.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.groups.iter().any(|group| group.is_ready(now))
    }

    /// Goes on with all transitions that can, by one exchange. None takes longer than `time_max` from when it was
    /// submitted, give or take one round trip.
    pub(super) fn advance(&mut self, fleet: &mut Fleet, time_max: Duration, now: Instant) {
        // The callers are woken when this is dropped.
        let mut answered = Answered::default();
        self.groups.retain_mut(|group| group.drop_late(now, time_max, &mut answered));
        let mut ready: Vec<&mut Group> = self.groups.iter_mut().filter(|group| group.is_ready(now)).collect();
        let requests: Vec<Request> = ready.iter().map(|group| group.request()).collect();
        if requests.is_empty() {
            return;
        }
        let replies = fleet.exchange(&requests);
        for (group, reply) in ready.iter_mut().zip(replies) {
            group.take(reply, now, &mut answered);
        }
        self.groups.retain(|group| !group.jobs.is_empty());
    }
}
