//! Withdraws a response that did not reach its client (`delivery.rs` has the reason).

use super::super::kind::Writer;
use super::delivery::Delivery;
use super::outcome::Outcome;
use super::state::{Change, Grant, Live, State};
use crate::crypto::digest::Digest;

/// A response that did not reach its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Withdrawal {
    pub(super) response: WithdrawnResponse,
    /// The server that gave it. A later response to the same proofs may have been delivered.
    pub(super) writer: Option<Writer>,
}

/// The response that did not reach its client, by the credentials that were exchanged.
#[derive(Clone, Copy, Debug)]
pub(super) enum WithdrawnResponse {
    /// This access token, for this code.
    Redemption { code: Digest, token: Digest },
    /// The successor of this refresh token.
    Rotation { presented: Digest },
}

impl Live {
    /// Whether the withdrawn response is the last one with tokens.
    fn is_last_response(&self, withdrawal: &Withdrawal) -> bool {
        if self.delivery != Delivery::reported_by(withdrawal.writer.as_ref()) {
            return false;
        }
        match &withdrawal.response {
            WithdrawnResponse::Redemption { code, token } => {
                let is_its_code = self.code.as_ref().is_some_and(|own| own.digest.matches(code));
                is_its_code && !self.has_rotated() && self.tokens.iter().any(|own| own.digest.matches(token))
            }
            WithdrawnResponse::Rotation { presented } => {
                let previous = self.refresh.as_ref().and_then(|refresh| refresh.previous.as_ref());
                previous.is_some_and(|previous| previous.digest.matches(presented))
            }
        }
    }
}

/// Notes that a response did not reach its client. Changes nothing if there was a later one.
pub(super) fn withdraw(record: Option<&Grant>, withdrawal: &Withdrawal) -> (Change, Outcome) {
    let Some(grant) = record else { return (Change::Keep, Outcome::Unknown) };
    match &grant.state {
        State::Live(live) if live.is_last_response(withdrawal) => {
            let live = Live { delivery: Delivery::Failed, ..live.clone() };
            (Change::Put(grant.with_state(State::Live(live))), Outcome::Withdrawn)
        }
        _ => (Change::Keep, Outcome::Unknown),
    }
}
