//! What a token is good for: for a protected resource that is shown it, and in introspection (RFC 7662).

use std::sync::Arc;

use super::super::scope::Scope;
use super::super::secret::{Digest, RefreshDigest};
use super::super::timestamp::Timestamp;
use super::super::transition::{Description, Outcome, TokenKind};
use super::{Grant, Phase, Standing};

/// Whether an access token is good, and for `needed`, if that is given.
pub(in super::super) fn check(
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
pub(in super::super) fn inspect(
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
