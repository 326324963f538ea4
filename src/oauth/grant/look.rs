//! What a token is good for: for a protected resource that is shown it, and in introspection (RFC 7662). A token
//! of a client that is not registered any more is good for nothing.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::client::Clients;
use super::super::credential::RefreshDigest;
use super::super::outcome::{Description, Lapse, Outcome, TokenKind};
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::super::transition::ProtectedResource;
use super::{Grant, Phase, Standing};
use crate::crypto::digest::Digest;

/// Whether an access token opens `resource`.
pub(in super::super) fn check(
    record: Option<&Grant>,
    presented: &Digest,
    resource: &ProtectedResource,
    now: Timestamp,
) -> Outcome {
    let Some(grant) = record else { return Outcome::Inactive };
    let Phase::Live(live) = &grant.phase else { return Outcome::Inactive };
    let Some(token) = live.find(presented, now) else { return Outcome::Inactive };
    let Some(client) = resource.clients.registered(&grant.client) else { return Outcome::Inactive };
    match grant.permitted(&token.scope, client) {
        Ok(scope) if resource.scope.as_deref().is_none_or(|name| scope.contains(name)) => Outcome::Active,
        Ok(_) => Outcome::TooNarrow,
        Err(_) => Outcome::Inactive,
    }
}

/// What there is to say of a token (RFC 7662, 2.2), to `client`, or to anyone where that is `None`, where there are
/// these `clients`.
pub(in super::super) fn inspect(
    record: Option<&Grant>,
    (access, refresh): (&Digest, &RefreshDigest),
    (client, clients): (Option<&str>, &Clients),
    now: Timestamp,
) -> Outcome {
    let Some(grant) = record.filter(|grant| client.is_none_or(|client| client == &*grant.client)) else {
        return Outcome::Inactive;
    };
    let Some(owner) = clients.registered(&grant.client) else { return Outcome::Inactive };
    let Phase::Live(live) = &grant.phase else { return Outcome::Inactive };
    let describe = |kind, scope: Result<Scope, Lapse>, issued, expires| {
        let Ok(scope) = scope else { return Outcome::Inactive };
        let (client, subject) = (Arc::clone(&grant.client), grant.subject.clone());
        Outcome::Described(Box::new(Description { kind, client, subject, scope, issued, expires }))
    };
    if let Some(token) = live.find(access, now) {
        let scope = grant.permitted(&token.scope, owner).map(Cow::into_owned);
        return describe(TokenKind::Access, scope, token.issued, token.expires);
    }
    match live.refresh.as_ref().filter(|own| now < own.ends()) {
        Some(own) if matches!(own.standing(refresh), Standing::Current) => {
            describe(TokenKind::Refresh, grant.refreshable(owner), own.issued, own.ends())
        }
        _ => Outcome::Inactive,
    }
}
