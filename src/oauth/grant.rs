//! The grant: what a resource owner allowed one client, in one record, and what each request does to it.
//!
//! Each function here is one of the operations of the protocol on one record: pure, told the time, with every
//! way it can come out in its result. [`Transition`](super::Transition) is how they are asked for.

use std::sync::Arc;
use std::time::Duration;

use super::authorize::Binding;
use super::pkce::Verified;
use super::scope::{Scope, excerpt};
use super::secret::{Digest, Family, RefreshDigest, Salt};
use super::timestamp::Timestamp;
use super::transition::{Change, Description, Mismatch, Outcome, Redemption, Rotation, TokenKind};

mod pair;
mod record;

pub use pair::{Pair, Stage};
pub use record::RecordError;

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
    Issued { code: Arc<Code>, code_expires: Timestamp },
    /// There are tokens.
    Live(Box<Live>),
    /// It was refused, its code was burnt, or it was revoked. Nothing brings it back.
    Over,
}

#[derive(Clone, Debug)]
struct Code {
    digest: Digest,
    binding: Binding,
}

#[derive(Clone, Debug)]
struct Live {
    /// Kept when the code is spent, so that its second use is known for what it is.
    code: Option<Arc<Code>>,
    /// Boxed, as it is large and the article's grants have none.
    refresh: Option<Box<Refresh>>,
    tokens: Vec<AccessToken>,
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

/// Proof that whoever presents a code has what the code is bound to. Only [`Code::prove`] makes one, and no
/// token is made of a code without it.
struct CodeProven(());

impl Code {
    /// Redirect URI and verifier (RFC 6749, 4.1.3; RFC 7636, 4.6).
    fn prove(&self, redirect_uri: Option<&str>, verified: Option<&Verified>) -> Result<CodeProven, Mismatch> {
        let binding = &self.binding;
        match (redirect_uri, &binding.challenge) {
            (Some(uri), _) if *uri != *binding.redirect_uri => return Err(Mismatch::RedirectUri),
            // OAuth 2.1 (10.2) lets it be left out: the verifier binds the code, and better.
            (None, None) if binding.names_redirect => return Err(Mismatch::RedirectUriMissing),
            _ => {}
        }
        match (&binding.challenge, verified) {
            (None, None) => Ok(CodeProven(())),
            // A verifier for a code without a challenge: somebody took the challenge out (RFC 9700, 2.1.1).
            (None, Some(_)) => Err(Mismatch::VerifierUnasked),
            (Some(_), None) => Err(Mismatch::VerifierMissing),
            (Some(challenge), Some(verified)) if challenge.matches(verified) => Ok(CodeProven(())),
            (Some(_), Some(_)) => Err(Mismatch::Verifier),
        }
    }
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
        code_expires: Timestamp,
        kept_until: Timestamp,
    ) -> Grant {
        let phase = Phase::Issued { code: Arc::new(Code { digest, binding }), code_expires };
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
        let live = Live { code: None, refresh: None, tokens: vec![token] };
        Grant { client, subject: None, scope, phase: Phase::Live(Box::new(live)), kept_until: now }
    }

    /// From when on the grant is good for nothing and may be forgotten.
    pub fn expires(&self) -> Timestamp {
        let ends = match &self.phase {
            Phase::Issued { code_expires, .. } => Some(*code_expires),
            Phase::Live(live) => live.ends(),
            Phase::Over => None,
        };
        ends.map_or(self.kept_until, |ends| ends.max(self.kept_until))
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

/// A code for tokens (RFC 6749, 4.1.3).
pub(super) fn redeem(record: Option<&Grant>, asked: &Redemption, now: Timestamp) -> (Change, Outcome) {
    let code = record.and_then(|grant| match &grant.phase {
        Phase::Issued { code, .. } => Some(code),
        Phase::Live(live) => live.code.as_ref(),
        Phase::Over => None,
    });
    // Whoever knows a grant's name without its code may change nothing, least of all revoke it.
    let (Some(grant), Some(code)) = (record, code.filter(|code| code.digest.matches(&asked.code))) else {
        return (Change::Keep, Outcome::Unknown);
    };
    if grant.client != asked.client {
        return (Change::Keep, Outcome::OtherClient);
    }
    let proven = code.prove(asked.redirect_uri.as_deref(), asked.verified.as_ref());
    match (&grant.phase, proven) {
        (Phase::Issued { code_expires, .. }, _) if now >= *code_expires => (grant.end(now), Outcome::Expired),
        (Phase::Issued { .. }, Ok(proven)) => {
            let phase = Phase::Live(Box::new(first_tokens(proven, grant, code, asked, now)));
            (Change::Put(Grant { phase, ..grant.clone() }), Outcome::Redeemed { scope: grant.scope.clone() })
        }
        // One guess, and no more.
        (Phase::Issued { .. }, Err(mismatch)) => (grant.end(now), Outcome::Burnt(mismatch)),
        // It was used before: by a thief, or by the client from whom it was stolen (RFC 6749, 4.1.2).
        (_, Ok(_)) if now < grant.expires() => (grant.end(now), Outcome::Replayed),
        (_, Ok(_)) => (Change::Forget, Outcome::Expired),
        // Somebody has the code and nothing else. To end the grant for that would help them (OAuth 2.1, 7.5.2).
        (_, Err(mismatch)) => (Change::Keep, Outcome::Mismatch(mismatch)),
    }
}

fn first_tokens(_: CodeProven, grant: &Grant, code: &Arc<Code>, asked: &Redemption, now: Timestamp) -> Live {
    let expires = now.after(asked.lifetimes.access_token);
    let token = AccessToken { digest: asked.token, scope: grant.scope.clone(), issued: now, expires };
    let refresh = asked.refresh.map(|(current, family)| Refresh {
        current,
        issued: now,
        idle_until: now.after(asked.lifetimes.refresh_idle),
        expires: now.after(asked.lifetimes.refresh),
        family,
        previous: None,
    });
    let refresh = refresh.map(Box::new);
    Live { code: Some(Arc::clone(code)), refresh, tokens: vec![token] }
}

/// A refresh token for its successor and a new access token (RFC 6749, 6; RFC 9700, 4.14).
pub(super) fn rotate(record: Option<&Grant>, asked: &Rotation, now: Timestamp) -> (Change, Outcome) {
    let Some((grant, live, refresh)) = with_refresh(record) else { return (Change::Keep, Outcome::Unknown) };
    let standing = refresh.standing(&asked.presented);
    if matches!(standing, Standing::Foreign) {
        return (Change::Keep, Outcome::Unknown);
    }
    if grant.client != asked.client {
        return (Change::Keep, Outcome::OtherClient);
    }
    if now >= refresh.ends() {
        return (Change::Keep, Outcome::Expired);
    }
    let previous = refresh.previous.as_deref().filter(|_| matches!(standing, Standing::Previous));
    let previous = previous.filter(|previous| now < previous.rotated.after(asked.lifetimes.refresh_grace));
    if previous.is_none() && !matches!(standing, Standing::Current) {
        return (grant.end(now), Outcome::Reused);
    }
    let scope = asked.scope.as_ref().unwrap_or(&grant.scope);
    if let Some(name) = scope.first_beyond(&grant.scope) {
        return (Change::Keep, Outcome::TooWide { name: excerpt(name).into() });
    }
    match previous {
        Some(previous) => repeat(grant, live, (refresh, previous), asked, scope, now),
        None => succeed(grant, live, refresh, asked, scope, now),
    }
}

fn with_refresh(record: Option<&Grant>) -> Option<(&Grant, &Live, &Refresh)> {
    let grant = record?;
    let Phase::Live(live) = &grant.phase else { return None };
    live.refresh.as_deref().map(|refresh| (grant, &**live, refresh))
}

/// The current refresh token: its successor takes its place.
fn succeed(
    grant: &Grant,
    live: &Live,
    refresh: &Refresh,
    asked: &Rotation,
    scope: &Scope,
    now: Timestamp,
) -> (Change, Outcome) {
    let previous = Previous { digest: refresh.current, rotated: now, salt: asked.salt, token: asked.token };
    let refresh = Refresh {
        current: asked.successor,
        issued: now,
        idle_until: now.after(asked.lifetimes.refresh_idle),
        previous: Some(Box::new(previous)),
        ..refresh.clone()
    };
    let family = refresh.family;
    let live = Live { refresh: Some(Box::new(refresh)), ..live.clone() };
    let change = add_token(grant, live, asked, scope, now);
    (change, Outcome::Rotated { family, scope: scope.clone() })
}

/// The one before it, again: the answer may have been lost on its way, so it is given once more. No second
/// refresh token comes of it, however often.
fn repeat(
    grant: &Grant,
    live: &Live,
    (refresh, previous): (&Refresh, &Previous),
    asked: &Rotation,
    scope: &Scope,
    now: Timestamp,
) -> (Change, Outcome) {
    let (family, salt) = (refresh.family, previous.salt);
    match live.find(&previous.token, now).filter(|token| token.scope == *scope) {
        Some(token) => {
            let expires_in = token.expires.since(now);
            (
                Change::Keep,
                Outcome::Repeated { family, salt, scope: scope.clone(), expires_in: Some(expires_in) },
            )
        }
        // The retry asks for another scope, or the token was revoked by itself: it gets a token of its own.
        None => {
            let change = add_token(grant, live.clone(), asked, scope, now);
            (change, Outcome::Repeated { family, salt, scope: scope.clone(), expires_in: None })
        }
    }
}

fn add_token(grant: &Grant, mut live: Live, asked: &Rotation, scope: &Scope, now: Timestamp) -> Change {
    let expires = now.after(asked.lifetimes.access_token);
    live.add(AccessToken { digest: asked.token, scope: scope.clone(), issued: now, expires }, now);
    Change::Put(Grant { phase: Phase::Live(Box::new(live)), ..grant.clone() })
}

/// Whether an access token is good, and for `needed`, if that is given.
pub(super) fn check(
    record: Option<&Grant>,
    presented: &Digest,
    needed: Option<&str>,
    now: Timestamp,
) -> Outcome {
    let Some(Phase::Live(live)) = record.map(|grant| &grant.phase) else { return Outcome::Inactive };
    match live.find(presented, now) {
        Some(token) if needed.is_none_or(|name| token.scope.contains(name)) => Outcome::Active,
        Some(_) => Outcome::TooNarrow,
        None => Outcome::Inactive,
    }
}

/// What there is to say of a token (RFC 7662, 2.2), to `client`, or to anyone where that is `None`.
pub(super) fn inspect(
    record: Option<&Grant>,
    (access, refresh): (&Digest, &RefreshDigest),
    client: Option<&str>,
    now: Timestamp,
) -> Outcome {
    let Some(grant) = record.filter(|grant| client.is_none_or(|client| client == &*grant.client)) else {
        return Outcome::Inactive;
    };
    let Phase::Live(live) = &grant.phase else { return Outcome::Inactive };
    let describe = |kind, scope: &Scope, issued, expires| {
        let (client, subject) = (Arc::clone(&grant.client), grant.subject.clone());
        Outcome::Described(Box::new(Description {
            kind,
            client,
            subject,
            scope: scope.clone(),
            issued,
            expires,
        }))
    };
    if let Some(token) = live.find(access, now) {
        return describe(TokenKind::Access, &token.scope, token.issued, token.expires);
    }
    match live.refresh.as_ref().filter(|own| now < own.ends()) {
        Some(own) if matches!(own.standing(refresh), Standing::Current) => {
            describe(TokenKind::Refresh, &grant.scope, own.issued, own.ends())
        }
        _ => Outcome::Inactive,
    }
}

/// The end of a token, at the wish of `client` (RFC 7009, 2.1): of an access token by itself, of a refresh
/// token with all that came of its grant.
pub(super) fn revoke(
    record: Option<&Grant>,
    (access, refresh): (&Digest, &RefreshDigest),
    client: &str,
    now: Timestamp,
) -> (Change, Outcome) {
    let Some((grant, live)) = record.and_then(|grant| match &grant.phase {
        Phase::Live(live) => Some((grant, live)),
        _ => None,
    }) else {
        return (Change::Keep, Outcome::Unknown);
    };
    let is_access = live.tokens.iter().any(|token| token.digest.matches(access));
    let is_refresh =
        live.refresh.as_ref().is_some_and(|own| !matches!(own.standing(refresh), Standing::Foreign));
    match (is_access, is_refresh) {
        (false, false) => (Change::Keep, Outcome::Unknown),
        _ if *client != *grant.client => (Change::Keep, Outcome::OtherClient),
        (_, true) => (grant.end(now), Outcome::Revoked),
        (true, false) => {
            let mut live = live.clone();
            live.tokens.retain(|token| !token.digest.matches(access));
            let change = match live.tokens.is_empty() && live.refresh.is_none() {
                true => grant.end(now),
                false => Change::Put(Grant { phase: Phase::Live(live), ..grant.clone() }),
            };
            (change, Outcome::Revoked)
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
}
