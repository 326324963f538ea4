//! Exchanges a refresh token for its successor: rotation, retries, and reuse (RFC 6749, 6; RFC 9700, 4.14).

use std::sync::Arc;

use super::super::client::Client;
use super::super::credential::{RefreshDigest, Salt};
use super::super::kind::{Belief, Writer};
use super::super::profile::Profile;
use super::super::resource::Audience;
use super::super::scope::{Scope, excerpt};
use super::super::timestamp::Timestamp;
use super::access_tokens::AccessToken;
use super::delivery::Delivery;
use super::lifetimes::{RefreshReuse, TokenLifetimes};
use super::outcome::Outcome;
use super::state::{Change, Grant, Live, Previous, Refresh, Standing, State};
use super::target::Target;
use crate::crypto::digest::Digest;

/// A refresh token, presented by an authenticated client.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub(super) presented: RefreshDigest,
    pub(super) client: Arc<Client>,
    pub(super) scope: Option<Scope>,
    pub(super) target: Target,
    pub(super) salt: Salt,
    pub(super) successor: Digest,
    pub(super) token: Digest,
    pub(super) lifetimes: TokenLifetimes,
    pub(super) profile: Profile,
    pub(super) writer: Option<Box<Writer>>,
}

/// Exchanges a refresh token for its successor and a new access token (RFC 6749, 6; RFC 9700, 4.14).
pub(super) fn rotate(
    record: Option<&Grant>,
    asked: &Rotation,
    now: Timestamp,
    belief: Belief,
) -> (Change, Outcome) {
    let Some(found) = Rotatable::of(record) else { return (Change::Keep, Outcome::Unknown) };
    let Rotatable { grant, live, refresh } = found;
    let standing = refresh.standing(&asked.presented);
    if matches!(standing, Standing::Foreign) {
        return (Change::Keep, Outcome::Unknown);
    }
    if grant.client != asked.client.id {
        return (Change::Keep, Outcome::OtherClient);
    }
    if now >= refresh.ends() {
        return (Change::Keep, Outcome::Expired);
    }
    let previous = refresh.previous.as_deref().filter(|_| matches!(standing, Standing::Previous));
    let right = match previous {
        None if matches!(standing, Standing::Current) => Right::Successor,
        Some(previous) => match previous.right(live, asked, now, belief) {
            Some(right) => right,
            None => return (grant.end(now), Outcome::Reused),
        },
        None => return (grant.end(now), Outcome::Reused),
    };
    let permitted = match grant.refreshable(&asked.client) {
        Ok(scope) => scope,
        Err(lapse) => return (Change::Keep, Outcome::Lapsed(lapse)),
    };
    let scope = asked.scope.as_ref().unwrap_or(&permitted);
    if let Some(name) = scope.first_beyond(&permitted).filter(|_| asked.profile.scope_limit) {
        return (Change::Keep, Outcome::TooWide { name: excerpt(name).into() });
    }
    let audience = match asked.target.within(&grant.audience) {
        Ok(audience) => audience,
        Err(outcome) => return (Change::Keep, outcome),
    };
    let access = Access { scope, audience: &audience };
    match right {
        Right::Successor => succeed(found, asked, access, now),
        Right::SameAnswer(previous) => confirm(found, previous, asked, access, now),
        Right::LostAnswer(previous) => complete(found, previous, asked, access, now),
    }
}

/// A grant that has a refresh token: its record, and the parts of it that a rotation reads.
#[derive(Clone, Copy)]
struct Rotatable<'a> {
    grant: &'a Grant,
    live: &'a Live,
    refresh: &'a Refresh,
}

impl<'a> Rotatable<'a> {
    fn of(record: Option<&'a Grant>) -> Option<Rotatable<'a>> {
        let grant = record?;
        let State::Live(live) = &grant.state else { return None };
        live.refresh.as_deref().map(|refresh| Rotatable { grant, live, refresh })
    }

    /// The grant's tokens with this refresh token in place of its own, and with a response that has yet to arrive.
    fn with(self, refresh: Refresh, asked: &Rotation) -> Live {
        Live {
            code: self.live.code.clone(),
            refresh: Some(Box::new(refresh)),
            tokens: self.live.tokens.clone(),
            delivery: Delivery::reported_by(asked.writer.as_deref()),
        }
    }
}

/// What the new access token allows.
#[derive(Clone, Copy)]
struct Access<'a> {
    scope: &'a Scope,
    audience: &'a Audience,
}

/// What a presented refresh token is entitled to.
enum Right<'a> {
    /// A new successor: it is the current token, or its unused successor is replaced.
    Successor,
    /// The same response again: a retry within the grace window.
    SameAnswer(&'a Previous),
    /// The response that did not reach the client.
    LostAnswer(&'a Previous),
}

impl Previous {
    /// What the previous token is entitled to; `None` if this is a reuse.
    fn right(&self, live: &Live, asked: &Rotation, now: Timestamp, belief: Belief) -> Option<Right<'_>> {
        if live.delivery.has_failed(belief) {
            return Some(Right::LostAnswer(self));
        }
        if now < self.rotated.after(asked.lifetimes.refresh_grace) {
            return Some(Right::SameAnswer(self));
        }
        match asked.lifetimes.refresh_reuse {
            RefreshReuse::EndsGrant => None,
            // The successor is unused: once it is used, this token is no longer the previous one.
            RefreshReuse::UntilSuccessorUsed => Some(Right::Successor),
        }
    }
}

/// Makes the presented token the previous one and its successor the current one.
fn succeed(found: Rotatable, asked: &Rotation, access: Access, now: Timestamp) -> (Change, Outcome) {
    let previous =
        Previous { digest: *asked.presented.digest(), rotated: now, salt: asked.salt, token: asked.token };
    let Refresh { expires, family, .. } = *found.refresh;
    let refresh = Refresh {
        current: asked.successor,
        issued: now,
        idle_until: now.after(asked.lifetimes.refresh_idle),
        expires,
        family,
        previous: Some(Box::new(previous)),
    };
    let change = add_token(found.grant, found.with(refresh, asked), asked, access, now);
    (change, Outcome::Rotated { family, scope: access.scope.clone() })
}

/// Repeats the response to the previous token, because it may have been lost. No second refresh token is issued,
/// however often this happens.
fn repeat(
    found: Rotatable,
    previous: &Previous,
    asked: &Rotation,
    access: Access,
    now: Timestamp,
) -> (Change, Outcome) {
    let (family, salt) = (found.refresh.family, previous.salt);
    let is_same = |token: &&AccessToken| token.scope == *access.scope && token.audience == *access.audience;
    match found.live.find(&previous.token, now).filter(is_same) {
        Some(token) => {
            let expires_in = token.expires.since(now);
            (
                Change::Keep,
                Outcome::Repeated { family, salt, scope: access.scope.clone(), expires_in: Some(expires_in) },
            )
        }
        // The retry asks for another scope or resource, or the access token was revoked: issue a new one.
        None => {
            let change = add_token(found.grant, found.live.clone(), asked, access, now);
            (change, Outcome::Repeated { family, salt, scope: access.scope.clone(), expires_in: None })
        }
    }
}

/// Handles the previous token within the grace window. From now on its response counts as delivered: the writer may
/// still withdraw the first response, which must not withdraw this one.
fn confirm(
    found: Rotatable,
    previous: &Previous,
    asked: &Rotation,
    access: Access,
    now: Timestamp,
) -> (Change, Outcome) {
    match found.live.delivery {
        Delivery::ReportedBy(_) => {
            let live = Live { delivery: Delivery::Sent, ..found.live.clone() };
            repeat_with(live, found, previous, asked, access, now)
        }
        Delivery::Sent | Delivery::Failed => repeat(found, previous, asked, access, now),
    }
}

/// Handles the previous token whose response did not reach the client. It gets that response now, and the grace window
/// and the idle lifetime start now.
fn complete(
    found: Rotatable,
    previous: &Previous,
    asked: &Rotation,
    access: Access,
    now: Timestamp,
) -> (Change, Outcome) {
    let Refresh { current, expires, family, .. } = *found.refresh;
    let refresh = Refresh {
        current,
        issued: now,
        idle_until: now.after(asked.lifetimes.refresh_idle),
        expires,
        family,
        previous: Some(Box::new(Previous { rotated: now, ..previous.clone() })),
    };
    repeat_with(found.with(refresh, asked), found, previous, asked, access, now)
}

/// Repeats the response, and stores `live`. The family of the refresh token is still that of `found`.
fn repeat_with(
    live: Live,
    found: Rotatable,
    previous: &Previous,
    asked: &Rotation,
    access: Access,
    now: Timestamp,
) -> (Change, Outcome) {
    match repeat(Rotatable { live: &live, ..found }, previous, asked, access, now) {
        (Change::Keep, outcome) => (Change::Put(found.grant.with_state(State::Live(live))), outcome),
        changed => changed,
    }
}

fn add_token(grant: &Grant, mut live: Live, asked: &Rotation, access: Access, now: Timestamp) -> Change {
    let expires = now.after(asked.lifetimes.access_token);
    let (scope, audience) = (access.scope.clone(), access.audience.clone());
    live.tokens.add(AccessToken { digest: asked.token, scope, audience, issued: now, expires }, now);
    Change::Put(grant.with_state(State::Live(live)))
}
