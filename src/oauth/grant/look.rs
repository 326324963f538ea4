//! Checks of a token, by the protected resource that it is presented to and in introspection (RFC 7662). A token of a
//! client that is no longer registered is invalid.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::client::Clients;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::outcome::{Description, Lapse, Outcome, TokenKind};
use super::presented::Presented;
use super::state::{Grant, Standing, State};
use crate::crypto::digest::Digest;

/// A transition that never changes the record.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// Checks a token for a protected resource.
    Check { token: Digest, resource: Arc<ProtectedResource> },
    /// Describes a token, given the clients that are registered now.
    Inspect(Box<Presented>, Arc<Clients>),
}

/// What a protected resource requires of a token, and the clients that are registered when it is presented.
#[derive(Clone, Debug, Default)]
pub struct ProtectedResource {
    /// A token of any other client is inactive.
    pub clients: Arc<Clients>,
    /// The required scope; a token must have all its names. Empty accepts any valid token.
    pub scope: Scope,
}

impl Look {
    /// The outcome.
    pub(super) fn at(&self, record: Option<&Grant>, now: Timestamp) -> Outcome {
        match self {
            Look::Check { token, resource } => check(record, token, resource, now),
            Look::Inspect(presented, clients) => inspect(record, presented, clients, now),
        }
    }
}

/// Checks an access token for `resource`.
fn check(record: Option<&Grant>, presented: &Digest, resource: &ProtectedResource, now: Timestamp) -> Outcome {
    let Some(grant) = record else { return Outcome::Inactive };
    let State::Live(live) = &grant.state else { return Outcome::Inactive };
    let Some(token) = live.find(presented, now) else { return Outcome::Inactive };
    let Some(client) = resource.clients.find(&grant.client) else { return Outcome::Inactive };
    match grant.permitted(&token.scope, &client) {
        Ok(scope) if resource.scope.is_within(&scope) => Outcome::Active,
        Ok(_) => Outcome::TooNarrow,
        Err(_) => Outcome::Inactive,
    }
}

/// Describes a token (RFC 7662, 2.2) to a client that may introspect it.
fn inspect(record: Option<&Grant>, presented: &Presented, clients: &Clients, now: Timestamp) -> Outcome {
    let Presented { access, refresh, client } = presented;
    let may_ask = |grant: &&Grant| client.as_ref().is_none_or(|client| *client == grant.client);
    let Some(grant) = record.filter(may_ask) else { return Outcome::Inactive };
    let Some(owner) = clients.find(&grant.client) else { return Outcome::Inactive };
    let State::Live(live) = &grant.state else { return Outcome::Inactive };
    let describe = |kind, scope: Result<Scope, Lapse>, issued, expires| {
        let Ok(scope) = scope else { return Outcome::Inactive };
        let (client, subject) = (Arc::clone(&grant.client), grant.subject.clone());
        Outcome::Described(Box::new(Description { kind, client, subject, scope, issued, expires }))
    };
    if let Some(token) = live.find(access, now) {
        let scope = grant.permitted(&token.scope, &owner).map(Cow::into_owned);
        return describe(TokenKind::Access, scope, token.issued, token.expires);
    }
    match live.refresh.as_ref().filter(|own| now < own.ends()) {
        Some(own) if matches!(own.standing(refresh), Standing::Current) => {
            describe(TokenKind::Refresh, grant.refreshable(&owner), own.issued, own.ends())
        }
        _ => Outcome::Inactive,
    }
}
