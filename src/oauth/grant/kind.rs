//! The grant as a kind of record: when it expires, who holds it, what it counts as, and how it makes room.
//!
//! The holder of a grant is the pair of its subject and its client. If a client acts for itself (RFC 6749, 4.4), there
//! is no subject, and the holder is the client.

use super::super::key::Kind;
use super::super::kind::{Holder, Record, Stage};
use super::super::timestamp::Timestamp;
use super::state::{Change, Grant, State};

impl Record for Grant {
    fn expires(&self) -> Timestamp {
        let ends = match &self.state {
            State::Issued { code } => Some(code.expires),
            State::Live(live) => live.ends(),
            State::Over => None,
        };
        ends.map_or(self.kept_until, |ends| ends.max(self.kept_until))
    }

    fn holder(&self) -> Holder<'_> {
        Holder { client: &self.client, subject: self.subject.as_deref() }
    }

    fn stage(&self) -> Stage {
        match self.state {
            State::Issued { .. } => Stage::Code,
            State::Live(_) => Stage::Live,
            State::Over => Stage::Mark,
        }
    }

    /// The time until which its form could be sent again.
    fn kept_until(&self) -> Timestamp {
        self.kept_until
    }

    fn make_room(&self, now: Timestamp) -> Change {
        match self.state {
            State::Over => Change::Forget,
            State::Issued { .. } | State::Live(_) => self.end(now),
        }
    }

    fn mark(&self, kept_until: Timestamp) -> Grant {
        Grant { kept_until: self.expires().max(kept_until), ..self.with_state(State::Over) }
    }

    fn encode(&self) -> Vec<u8> {
        Grant::encode(self)
    }

    fn decode(_: Kind, bytes: &[u8]) -> Option<Grant> {
        Grant::decode(bytes).ok()
    }

    /// The earliest time of issue of its tokens.
    fn reached(&self) -> Option<Timestamp> {
        let State::Live(live) = &self.state else { return None };
        let refresh = live.refresh.as_ref().map(|refresh| refresh.issued);
        live.tokens.iter().map(|token| token.issued).chain(refresh).min()
    }
}
