//! A refresh token for its successor: rotation, retries, and reuse (RFC 6749, 6; RFC 9700, 4.14).

use super::super::scope::{Scope, excerpt};
use super::super::timestamp::Timestamp;
use super::super::transition::{Change, Outcome, Rotation};
use super::{AccessToken, Grant, Live, Phase, Previous, Refresh, Standing};

/// A refresh token for its successor and a new access token (RFC 6749, 6; RFC 9700, 4.14).
pub(in super::super) fn rotate(record: Option<&Grant>, asked: &Rotation, now: Timestamp) -> (Change, Outcome) {
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
