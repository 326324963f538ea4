//! The grant: what a resource owner allowed one client, in one record, and what each request does to it.
//!
//! Each function here is one of the operations of the protocol on one record: pure, told the time, with every
//! way it can come out in its result. [`Transition`](super::Transition) is how they are asked for.

use std::sync::Arc;
use std::time::Duration;

use super::authorize::Binding;
use super::credential::{Family, RefreshDigest, Salt};
use super::scope::Scope;
use super::timestamp::Timestamp;
use super::transition::Change;
use crate::crypto::digest::Digest;
use delivery::Delivery;

mod delivery;
mod look;
mod pair;
mod record;
mod redeem;
mod registration;
mod revoke;
mod rotate;

pub use delivery::Writer;
pub use pair::{Pair, Stage};
pub use record::RecordError;

pub(super) use delivery::{Answer, Belief, Withdrawal, withdraw};
pub(super) use look::{check, inspect};
pub(super) use redeem::redeem;
pub(super) use revoke::revoke;
pub(super) use rotate::rotate;

/// How many access tokens of one grant are good at a time; the oldest makes room for one more.
pub const ACCESS_TOKENS_MAX: usize = 16;

/// What a resource owner allowed a client, and how far the client has come in using it.
#[derive(Clone, Debug)]
pub struct Grant {
    client: Arc<str>,
    /// Who allowed it; `None` where a client acts for itself (RFC 6749, 4.4).
    subject: Option<Arc<str>>,
    /// The most that any of its tokens is good for.
    scope: Scope,
    phase: Phase,
    /// The record outlives its use until then: the form that made it works once.
    kept_until: Timestamp,
}

#[derive(Clone, Debug)]
enum Phase {
    /// The code has been handed out.
    Issued { code: Arc<Code> },
    /// There are tokens.
    Live(Box<Live>),
    /// It was refused, its code was burnt, or it was revoked. Nothing brings it back.
    Over,
}

#[derive(Clone, Debug)]
struct Code {
    digest: Digest,
    binding: Binding,
    expires: Timestamp,
}

#[derive(Clone, Debug)]
struct Live {
    /// Kept when the code is spent, so that its second use is known for what it is.
    code: Option<Arc<Code>>,
    /// Boxed, as it is large and the article's grants have none.
    refresh: Option<Box<Refresh>>,
    tokens: Vec<AccessToken>,
    /// Whether the last redemption or rotation reached the client.
    delivery: Delivery,
}

#[derive(Clone, Debug)]
struct AccessToken {
    digest: Digest,
    scope: Scope,
    issued: Timestamp,
    expires: Timestamp,
}

/// The one refresh token of a grant that is good, and what is needed to know the others.
#[derive(Clone, Debug)]
struct Refresh {
    current: Digest,
    issued: Timestamp,
    /// Unless it is used by then.
    idle_until: Timestamp,
    /// Used or not.
    expires: Timestamp,
    family: Family,
    previous: Option<Box<Previous>>,
}

/// The refresh token before the current one, and what it was exchanged for.
#[derive(Clone, Debug)]
struct Previous {
    digest: Digest,
    rotated: Timestamp,
    salt: Salt,
    token: Digest,
}

/// What a presented refresh token is to a grant.
enum Standing {
    Current,
    Previous,
    Older,
    Foreign,
}

impl Refresh {
    fn standing(&self, presented: &RefreshDigest) -> Standing {
        if !presented.is_of(&self.family) {
            return Standing::Foreign;
        }
        match &self.previous {
            _ if self.current.matches(presented.digest()) => Standing::Current,
            Some(previous) if previous.digest.matches(presented.digest()) => Standing::Previous,
            _ => Standing::Older,
        }
    }

    fn ends(&self) -> Timestamp {
        self.idle_until.min(self.expires)
    }
}

impl Live {
    /// Adds a token, and lets go of those that are no longer good or too many.
    fn add(&mut self, token: AccessToken, now: Timestamp) {
        self.tokens.retain(|old| old.expires > now);
        if self.tokens.len() == ACCESS_TOKENS_MAX {
            self.tokens.remove(0);
        }
        self.tokens.push(token);
    }

    fn find(&self, presented: &Digest, now: Timestamp) -> Option<&AccessToken> {
        self.tokens.iter().find(|token| token.digest.matches(presented)).filter(|token| token.expires > now)
    }

    fn ends(&self) -> Option<Timestamp> {
        let tokens = self.tokens.iter().map(|token| token.expires);
        tokens.chain(self.refresh.as_deref().map(Refresh::ends)).max()
    }
}

impl Grant {
    /// A grant whose code, with this digest, has been handed out.
    pub(super) fn issued(
        client: Arc<str>,
        subject: Arc<str>,
        scope: Scope,
        (digest, binding): (Digest, Binding),
        expires: Timestamp,
        kept_until: Timestamp,
    ) -> Grant {
        let phase = Phase::Issued { code: Arc::new(Code { digest, binding, expires }) };
        Grant { client, subject: Some(subject), scope, phase, kept_until }
    }

    /// A grant that its resource owner refused: all there is of it is that it cannot be made any more.
    pub(super) fn refused(client: Arc<str>, subject: Arc<str>, kept_until: Timestamp) -> Grant {
        Grant { client, subject: Some(subject), scope: Scope::default(), phase: Phase::Over, kept_until }
    }

    /// What a client gets on its own behalf (RFC 6749, 4.4): a token, and nothing else.
    pub(super) fn of_client(
        client: Arc<str>,
        scope: Scope,
        token: Digest,
        now: Timestamp,
        expires: Timestamp,
    ) -> Grant {
        let token = AccessToken { digest: token, scope: scope.clone(), issued: now, expires };
        let live = Live { code: None, refresh: None, tokens: vec![token], delivery: Delivery::Sent };
        Grant { client, subject: None, scope, phase: Phase::Live(Box::new(live)), kept_until: now }
    }

    /// From when on the grant is good for nothing and may be forgotten.
    pub fn expires(&self) -> Timestamp {
        let ends = match &self.phase {
            Phase::Issued { code } => Some(code.expires),
            Phase::Live(live) => live.ends(),
            Phase::Over => None,
        };
        ends.map_or(self.kept_until, |ends| ends.max(self.kept_until))
    }

    /// Whether its code is this one, and can still be redeemed for the first time.
    pub(super) fn awaits(&self, presented: &Digest, now: Timestamp) -> bool {
        match &self.phase {
            Phase::Issued { code } => code.digest.matches(presented) && now < code.expires,
            Phase::Live(_) | Phase::Over => false,
        }
    }

    /// Whether it is nothing but a mark that there was a grant.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// The mark that there was this grant, kept at least as long as it would have been, and until `kept_until`.
    pub fn mark(&self, kept_until: Timestamp) -> Grant {
        Grant { phase: Phase::Over, kept_until: self.expires().max(kept_until), ..self.clone() }
    }

    /// The end of the grant and of every token there is of it.
    fn end(&self, now: Timestamp) -> Change {
        match self.kept_until > now {
            true => Change::Put(Grant { phase: Phase::Over, ..self.clone() }),
            false => Change::Forget,
        }
    }
}

/// How long what comes of a grant is good.
#[derive(Clone, Copy, Debug)]
pub struct TokenLifetimes {
    /// An access token.
    pub access_token: Duration,
    /// A refresh token that is not used.
    pub refresh_idle: Duration,
    /// All refresh tokens of a grant, from the first on.
    pub refresh: Duration,
    /// How long after its use a refresh token still gets the same answer.
    pub refresh_grace: Duration,
    /// What becomes of one that comes back later than that.
    pub refresh_reuse: RefreshReuse,
}

/// What becomes of the previous refresh token when it is presented after the grace window (RFC 9700, 4.14.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshReuse {
    /// The grant ends.
    #[default]
    EndsGrant,
    /// While its successor is unused, it gets a fresh successor in the place of that one. The replaced successor
    /// ends the grant when it is presented.
    UntilSuccessorUsed,
}
