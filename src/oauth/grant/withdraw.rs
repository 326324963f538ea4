//! Withdraws a response that did not reach its client (`delivery.rs` has the reason).

use std::time::Duration;

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

/// Notes that a response did not reach its client. Changes nothing if there was a later one, or if the response was
/// never stored ([`forestalled`]).
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

/// The grant with other bytes, kept a millisecond longer, where the withdrawn response is not in it and the credential
/// that was exchanged for it is still unspent: the write of that response may still be under way, and would spend it.
/// Once another response has spent it, the late write does not fit, and the grant stays as that writer knows it.
pub(super) fn forestalled(grant: &Grant, withdrawal: &Withdrawal) -> Option<Grant> {
    let is_unspent = match (&grant.state, &withdrawal.response) {
        (State::Issued { code }, WithdrawnResponse::Redemption { code: presented, .. }) => {
            code.digest.matches(presented)
        }
        (State::Live(live), WithdrawnResponse::Redemption { code: presented, token }) => {
            let is_its_code = live.code.as_ref().is_some_and(|own| own.digest.matches(presented));
            let has_it = live.tokens.iter().any(|own| own.digest.matches(token));
            is_its_code && !live.has_rotated() && live.delivery == Delivery::Failed && !has_it
        }
        (State::Live(live), WithdrawnResponse::Rotation { presented }) => {
            live.refresh.as_ref().is_some_and(|refresh| refresh.current.matches(presented))
        }
        (State::Issued { .. }, WithdrawnResponse::Rotation { .. }) | (State::Over, _) => false,
    };
    let kept_until = grant.kept_until.after(Duration::from_millis(1));
    is_unspent.then(|| Grant { kept_until, ..grant.clone() })
}
