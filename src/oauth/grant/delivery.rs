//! Whether the tokens of a grant reached its client, as far as a server can know.
//!
//! A redemption or rotation is stored before its answer leaves. Where the answer does not leave (the store was
//! too slow, or a write is not as durable as required, or the client has gone), the client still has what it
//! presented, and will present it again. To take that for a replay would punish the client for an outage of
//! ours. So the transition is *withdrawn*: the record notes that its last answer was not delivered, and what was
//! presented can be presented again for as long as it lives.
//!
//! A server can withdraw only what it knows of. Of several servers on one store, one may have stored a rotation
//! and lost its network before it could note that the answer failed. So such a record names its [`Writer`], and
//! before another server judges a replay it finds out how far that writer has reported.

use super::super::outcome::Outcome;
use super::super::transition::Change;
use super::{Grant, Live, Phase};
use crate::crypto::digest::Digest;

/// A server on a store that several share, and the number that it gave to one of its transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Random, and different for each process.
    pub server: u64,
    /// Counts up from one.
    pub serial: u64,
}

/// Whether the last answer with tokens of a grant reached its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It left the server.
    Sent,
    /// It did not.
    Failed,
    /// Its writer knows.
    ReportedBy(Box<Writer>),
}

/// What to take for true where only the writer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Belief {
    /// The answer reached the client.
    Sent,
    /// It did not.
    Failed,
}

impl Delivery {
    /// As it is known when a transition is applied, which has a writer where several servers share the store.
    pub(super) fn reported_by(writer: Option<&Writer>) -> Delivery {
        writer.map_or(Delivery::Sent, |writer| Delivery::ReportedBy(Box::new(*writer)))
    }

    pub(super) fn has_failed(&self, belief: Belief) -> bool {
        match self {
            Delivery::Sent => false,
            Delivery::Failed => true,
            Delivery::ReportedBy(_) => belief == Belief::Failed,
        }
    }
}

/// An answer that did not reach its client.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Withdrawal {
    pub(in super::super) answer: Answer,
    /// Who gave it. Another answer to the same proofs may have arrived since.
    pub(in super::super) writer: Option<Writer>,
}

/// What was answered with tokens.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Answer {
    /// This access token, for this code.
    Redemption { code: Digest, token: Digest },
    /// The answer to this refresh token.
    Rotation { presented: Digest },
}

impl Live {
    pub(super) fn has_rotated(&self) -> bool {
        self.refresh.as_ref().is_some_and(|refresh| refresh.previous.is_some())
    }

    /// Whether the answer in question is the last one that handed out tokens.
    fn is_last_answer(&self, withdrawal: &Withdrawal) -> bool {
        if self.delivery != Delivery::reported_by(withdrawal.writer.as_ref()) {
            return false;
        }
        match &withdrawal.answer {
            Answer::Redemption { code, token } => {
                let is_its_code = self.code.as_ref().is_some_and(|own| own.digest.matches(code));
                is_its_code && !self.has_rotated() && self.tokens.iter().any(|own| own.digest.matches(token))
            }
            Answer::Rotation { presented } => {
                let previous = self.refresh.as_ref().and_then(|refresh| refresh.previous.as_ref());
                previous.is_some_and(|previous| previous.digest.matches(presented))
            }
        }
    }
}

impl Grant {
    /// Who knows whether the last answer with tokens reached the client, if this record does not say.
    pub(in super::super) fn writer(&self) -> Option<Writer> {
        match &self.phase {
            Phase::Live(live) => match &live.delivery {
                Delivery::ReportedBy(writer) => Some(**writer),
                Delivery::Sent | Delivery::Failed => None,
            },
            Phase::Issued { .. } | Phase::Over => None,
        }
    }
}

/// Notes that an answer did not reach its client. A later answer that did makes it a matter of the past.
pub(in super::super) fn withdraw(record: Option<&Grant>, withdrawal: &Withdrawal) -> (Change, Outcome) {
    let Some(grant) = record else { return (Change::Keep, Outcome::Unknown) };
    match &grant.phase {
        Phase::Live(live) if live.is_last_answer(withdrawal) => {
            let live = Live { delivery: Delivery::Failed, ..(**live).clone() };
            let grant = Grant { phase: Phase::Live(Box::new(live)), ..grant.clone() };
            (Change::Put(grant), Outcome::Withdrawn)
        }
        _ => (Change::Keep, Outcome::Unknown),
    }
}
