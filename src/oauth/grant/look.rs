//! What a token is good for: for a protected resource that is shown it, and in introspection (RFC 7662). A token
//! of a client that is not registered any more is good for nothing.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::client::Clients;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::outcome::{Description, Lapse, Outcome, TokenKind};
use super::presented::Presented;
use super::state::{Grant, Standing, State};
use crate::crypto::digest::Digest;

/// What changes nothing, whatever the record is.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// Whether a token opens a protected resource.
    Check { token: Digest, resource: Arc<ProtectedResource> },
    /// What there is to say of a token, where there are these clients.
    Inspect(Box<Presented>, Arc<Clients>),
}

/// What a token is to open, and the clients that there are when it is presented.
#[derive(Clone, Debug, Default)]
pub struct ProtectedResource {
    /// A token of any other client is inactive.
    pub clients: Arc<Clients>,
    /// The scope that it takes; `None` where any token will do.
    pub scope: Option<Arc<str>>,
}

impl Look {
    /// What it comes to.
    pub(super) fn at(&self, record: Option<&Grant>, now: Timestamp) -> Outcome {
        match self {
            Look::Check { token, resource } => check(record, token, resource, now),
            Look::Inspect(presented, clients) => inspect(record, presented, clients, now),
        }
    }
}

/// Whether an access token opens `resource`.
fn check(record: Option<&Grant>, presented: &Digest, resource: &ProtectedResource, now: Timestamp) -> Outcome {
    let Some(grant) = record else { return Outcome::Inactive };
    let State::Live(live) = &grant.state else { return Outcome::Inactive };
    let Some(token) = live.find(presented, now) else { return Outcome::Inactive };
    let Some(client) = resource.clients.find(&grant.client) else { return Outcome::Inactive };
    match grant.permitted(&token.scope, &client) {
        Ok(scope) if resource.scope.as_deref().is_none_or(|name| scope.contains(name)) => Outcome::Active,
        Ok(_) => Outcome::TooNarrow,
        Err(_) => Outcome::Inactive,
    }
}

/// What there is to say of a token (RFC 7662, 2.2), to a client that may ask about it.
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
