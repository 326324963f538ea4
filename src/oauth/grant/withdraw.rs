//! The withdrawal of an answer that did not reach its client (`delivery.rs` says why).

use super::super::kind::Writer;
use super::delivery::Delivery;
use super::outcome::Outcome;
use super::state::{Change, Grant, Live, State};
use crate::crypto::digest::Digest;

/// An answer that did not reach its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Withdrawal {
    pub(super) answer: Answer,
    /// Who gave it. Another answer to the same proofs may have arrived since.
    pub(super) writer: Option<Writer>,
}

/// What was answered with tokens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// This access token, for this code.
    Redemption { code: Digest, token: Digest },
    /// The answer to this refresh token.
    Rotation { presented: Digest },
}

impl Live {
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

/// Notes that an answer did not reach its client. A later answer that did makes it a matter of the past.
pub(super) fn withdraw(record: Option<&Grant>, withdrawal: &Withdrawal) -> (Change, Outcome) {
    let Some(grant) = record else { return (Change::Keep, Outcome::Unknown) };
    match &grant.state {
        State::Live(live) if live.is_last_answer(withdrawal) => {
            let live = Live { delivery: Delivery::Failed, ..(**live).clone() };
            let grant = Grant { state: State::Live(Box::new(live)), ..grant.clone() };
            (Change::Put(grant), Outcome::Withdrawn)
        }
        _ => (Change::Keep, Outcome::Unknown),
    }
}
