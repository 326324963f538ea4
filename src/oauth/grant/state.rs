//! The grant as a value: what a resource owner allowed one client, and which of its credentials are valid.
//!
//! ```text
//!   (nothing) ──▶ issued ──▶ live ──▶ over ──▶ (forgotten)
//!                   └─────────────────▲
//! ```
//!
//! A grant is *issued* while its code is unredeemed, *live* once it has tokens, and *over* when none of its credentials
//! is valid and only a mark remains that its form was answered. A client that acts for itself gets a live grant at
//! once. No grant returns to an earlier state. `rules.rs` is the table of all transitions.

use std::sync::Arc;

use super::super::authorize::Binding;
use super::super::credential::{Family, RefreshDigest, Salt};
use super::super::kind::{self, Writer};
use super::super::resource::Audience;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::access_tokens::{AccessToken, AccessTokens};
use super::delivery::Delivery;
use crate::crypto::digest::Digest;

/// What a resource owner allowed a client, and which of its credentials are valid.
#[derive(Clone, Debug)]
pub struct Grant {
    pub(super) client: Arc<str>,
    /// The subject; `None` if the client acts for itself (RFC 6749, 4.4).
    pub(super) subject: Option<Arc<str>>,
    /// The widest scope of its tokens.
    pub(super) scope: Scope,
    /// The widest audience of its tokens.
    pub(super) audience: Audience,
    pub(super) state: State,
    /// The record is kept at least until this time, so that its form works only once.
    pub(super) kept_until: Timestamp,
}

/// A store may have millions of grants, so another field is a decision. docs/decisions.md has what one of them cost.
const GRANT_BYTES_MAX: usize = 264;
const _: () = assert!(size_of::<Grant>() <= GRANT_BYTES_MAX);

/// Not boxed, although `Live` is much the largest: most grants are live, and a box would be another cache miss when one
/// ends.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The code is issued and not redeemed.
    Issued { code: Code },
    /// It has tokens.
    Live(Live),
    /// It was denied, burnt, expired or revoked. Final.
    Over,
}

#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) digest: Digest,
    pub(super) binding: Binding,
    pub(super) expires: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Live {
    /// The redeemed code, kept so that its second use is recognised.
    pub(super) code: Option<Code>,
    /// Boxed because it is large, and the article's grants have none.
    pub(super) refresh: Option<Box<Refresh>>,
    pub(super) tokens: AccessTokens,
    /// Whether the last redemption or rotation reached the client.
    pub(super) delivery: Delivery,
}

/// The current refresh token of a grant, and the data to recognise earlier ones.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) current: Digest,
    pub(super) issued: Timestamp,
    /// The token expires at this time if it is unused.
    pub(super) idle_until: Timestamp,
    /// All refresh tokens of the grant expire at this time.
    pub(super) expires: Timestamp,
    pub(super) family: Family,
    pub(super) previous: Option<Box<Previous>>,
}

/// The refresh token before the current one, and the access token that it was exchanged for.
#[derive(Clone, Debug)]
pub(super) struct Previous {
    pub(super) digest: Digest,
    pub(super) rotated: Timestamp,
    pub(super) salt: Salt,
    pub(super) token: Digest,
}

/// How a presented refresh token relates to a grant.
pub(super) enum Standing {
    Current,
    Previous,
    Older,
    Foreign,
}

impl Refresh {
    pub(super) fn standing(&self, presented: &RefreshDigest) -> Standing {
        if !presented.is_of(&self.family) {
            return Standing::Foreign;
        }
        match &self.previous {
            _ if self.current.matches(presented.digest()) => Standing::Current,
            Some(previous) if previous.digest.matches(presented.digest()) => Standing::Previous,
            _ => Standing::Older,
        }
    }

    pub(super) fn ends(&self) -> Timestamp {
        self.idle_until.min(self.expires)
    }
}

impl Live {
    /// Whether its refresh token was ever used.
    pub(super) fn has_rotated(&self) -> bool {
        self.refresh.as_ref().is_some_and(|refresh| refresh.previous.is_some())
    }

    pub(super) fn find(&self, presented: &Digest, now: Timestamp) -> Option<&AccessToken> {
        self.tokens.iter().find(|token| token.digest.matches(presented)).filter(|token| token.expires > now)
    }

    pub(super) fn ends(&self) -> Option<Timestamp> {
        let tokens = self.tokens.iter().map(|token| token.expires);
        tokens.chain(self.refresh.as_deref().map(Refresh::ends)).max()
    }
}

impl Grant {
    /// The writer that knows whether the last response with tokens reached the client; `None` if the record says.
    pub(super) fn writer(&self) -> Option<Writer> {
        match &self.state {
            State::Live(live) => match &live.delivery {
                Delivery::ReportedBy(writer) => Some(**writer),
                Delivery::Sent | Delivery::Failed => None,
            },
            State::Issued { .. } | State::Over => None,
        }
    }

    /// Whether `presented` is its code, unredeemed and unexpired.
    pub(super) fn awaits(&self, presented: &Digest, now: Timestamp) -> bool {
        match &self.state {
            State::Issued { code } => code.digest.matches(presented) && now < code.expires,
            State::Live(_) | State::Over => false,
        }
    }

    /// Whether the record is only a mark.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The same grant in another state.
    pub(super) fn with_state(&self, state: State) -> Grant {
        let Grant { client, subject, scope, audience, state: _, kept_until } = self;
        Grant {
            client: Arc::clone(client),
            subject: subject.clone(),
            scope: scope.clone(),
            audience: audience.clone(),
            state,
            kept_until: *kept_until,
        }
    }

    /// Ends the grant with all its credentials. Leaves a mark while its form could still be sent.
    pub(super) fn end(&self, now: Timestamp) -> Change {
        if self.kept_until > now { Change::Put(self.with_state(State::Over)) } else { Change::Forget }
    }
}

/// What a store does with the record.
pub type Change = kind::Change<Grant>;
