//! Who holds a grant, and what it counts as: what a store needs to know to bound how much one holder may keep.
//!
//! A grant belongs to a pair: the subject who allowed it and the client it was given to. Where a client acts for
//! itself (RFC 6749, 4.4) there is no subject, and the grant belongs to the client alone.

use super::super::timestamp::Timestamp;
use super::state::{Change, Grant, State};

/// The holder of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The client.
    pub client: &'a str,
    /// Who allowed it; `None` where the client acts for itself.
    pub subject: Option<&'a str>,
}

/// What a record counts as. Each is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A code that has not been redeemed.
    Code = 0,
    /// A grant that has tokens.
    Live = 1,
    /// A mark that an answered form stays answered.
    Mark = 2,
}

impl Stage {
    /// How many there are.
    pub const COUNT: usize = 3;
}

impl Grant {
    /// Who holds it.
    pub fn pair(&self) -> Pair<'_> {
        Pair { client: &self.client, subject: self.subject.as_deref() }
    }

    /// What it counts as.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Issued { .. } => Stage::Code,
            State::Live(_) => Stage::Live,
            State::Over => Stage::Mark,
        }
    }

    /// Until when the form that made it may come back.
    pub fn kept_until(&self) -> Timestamp {
        self.kept_until
    }

    /// The moment by which it is ordered among its pair's records of the same stage, if it reaches that stage at
    /// `now`. Marks are ordered by the age of their forms, so that the ones that go first are the oldest forms'.
    pub fn ordered_by(&self, now: Timestamp) -> Timestamp {
        match self.state {
            State::Issued { .. } | State::Live(_) => now,
            State::Over => self.kept_until,
        }
    }

    /// The earliest moment at which one of its tokens was issued; `None` where there is none.
    pub fn earliest_token(&self) -> Option<Timestamp> {
        let State::Live(live) = &self.state else { return None };
        let refresh = live.refresh.as_ref().map(|refresh| refresh.issued);
        live.tokens.iter().map(|token| token.issued).chain(refresh).min()
    }

    /// What is left of it at `now` when it makes room for another one of its pair.
    pub fn make_room(&self, now: Timestamp) -> Change {
        match self.state {
            State::Over => Change::Forget,
            State::Issued { .. } | State::Live(_) => self.end(now),
        }
    }
}
