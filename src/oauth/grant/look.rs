//! Checks of a token, by the protected resource that it is presented to and in introspection (RFC 7662). A token of a
//! client that is no longer registered is invalid.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::client::Clients;
use super::super::profile::Profile;
use super::super::resource::Audience;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::access_tokens::AccessToken;
use super::outcome::{Description, Lapse, Outcome, TokenKind};
use super::presented::Presented;
use super::state::{Grant, Standing, State};
use super::target::configured;
use crate::crypto::digest::Digest;

/// A transition that never changes the record.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// Checks a token for a protected resource, and describes it if the resource needs that.
    Check { token: Digest, resource: Arc<ProtectedResource>, describes: bool },
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
    /// The URI by which a token's audience must name it; `None` if it is no configured resource, and no audience can
    /// name it.
    pub uri: Option<Arc<str>>,
    /// Whether it also accepts tokens that are for no resource in particular.
    pub accepts_unaddressed: bool,
    /// Whether it accepts every token, whatever that is for: what a profile without
    /// [`audience`](super::super::profile::Profile::audience) does.
    pub accepts_any_audience: bool,
}

impl ProtectedResource {
    /// A resource whose URI is `url`, if that is one of the configured resources. It requires `scope`, and by the rules
    /// of `profile` a token that names it.
    pub fn at(url: &str, clients: &Arc<Clients>, scope: Scope, profile: &Profile) -> ProtectedResource {
        let uri = clients.resources().find(url).map(|own| Arc::clone(own.uri()));
        ProtectedResource {
            clients: Arc::clone(clients),
            scope,
            uri,
            accepts_unaddressed: false,
            accepts_any_audience: !profile.audience,
        }
    }

    /// Whether a token with this audience is for it.
    fn is_named_by(&self, audience: &Audience) -> bool {
        if self.accepts_any_audience {
            return true;
        }
        if audience.is_empty() {
            return self.accepts_unaddressed;
        }
        self.uri.as_deref().is_some_and(|uri| audience.contains(uri))
    }
}

impl Look {
    /// The outcome.
    pub(super) fn at(&self, record: Option<&Grant>, now: Timestamp) -> Outcome {
        match self {
            Look::Check { token, resource, describes } => match check(record, token, resource, now) {
                Err(outcome) => outcome,
                Ok(_) if !describes => Outcome::Active,
                Ok(Checked { grant, token, scope }) => {
                    let (scope, audience) = (scope.into_owned(), token.audience.clone());
                    described(grant, TokenKind::Access, scope, audience, token.issued, token.expires)
                }
            },
            Look::Inspect(presented, clients) => inspect(record, presented, clients, now),
        }
    }
}

/// A token that is valid at the resource that it is presented to, with the scope that it has there.
struct Checked<'a> {
    grant: &'a Grant,
    token: &'a AccessToken,
    scope: Cow<'a, Scope>,
}

/// Checks an access token for `resource`.
fn check<'a>(
    record: Option<&'a Grant>,
    presented: &Digest,
    resource: &ProtectedResource,
    now: Timestamp,
) -> Result<Checked<'a>, Outcome> {
    let Some(grant) = record else { return Err(Outcome::Inactive) };
    let State::Live(live) = &grant.state else { return Err(Outcome::Inactive) };
    let Some(token) = live.find(presented, now) else { return Err(Outcome::Inactive) };
    let Some(client) = resource.clients.find(&grant.client) else { return Err(Outcome::Inactive) };
    let Ok(scope) = grant.permitted(&token.scope, &client) else { return Err(Outcome::Inactive) };
    if !resource.is_named_by(&token.audience) {
        return Err(Outcome::OtherResource);
    }
    if resource.scope.is_within(&scope) {
        Ok(Checked { grant, token, scope })
    } else {
        Err(Outcome::TooNarrow { scope: scope.into_owned() })
    }
}

/// Describes a token (RFC 7662, 2.2) to a client that may introspect it.
fn inspect(record: Option<&Grant>, presented: &Presented, clients: &Clients, now: Timestamp) -> Outcome {
    let Presented { access, refresh, client } = presented;
    let may_ask = |grant: &&Grant| client.as_ref().is_none_or(|client| *client == grant.client);
    let Some(grant) = record.filter(may_ask) else { return Outcome::Inactive };
    let Some(owner) = clients.find(&grant.client) else { return Outcome::Inactive };
    let State::Live(live) = &grant.state else { return Outcome::Inactive };
    let describe = |kind, scope: Result<Scope, Lapse>, audience, issued, expires| match (
        scope,
        configured(audience, clients.resources()),
    ) {
        (Ok(scope), Ok(audience)) => described(grant, kind, scope, audience, issued, expires),
        _ => Outcome::Inactive,
    };
    if let Some(token) = live.find(access, now) {
        let scope = grant.permitted(&token.scope, &owner).map(Cow::into_owned);
        return describe(TokenKind::Access, scope, &token.audience, token.issued, token.expires);
    }
    match live.refresh.as_ref().filter(|own| now < own.ends()) {
        Some(own) if matches!(own.standing(refresh), Standing::Current) => {
            let scope = grant.refreshable(&owner);
            describe(TokenKind::Refresh, scope, &grant.audience, own.issued, own.ends())
        }
        _ => Outcome::Inactive,
    }
}

fn described(
    grant: &Grant,
    kind: TokenKind,
    scope: Scope,
    audience: Audience,
    issued: Timestamp,
    expires: Timestamp,
) -> Outcome {
    let (client, subject) = (Arc::clone(&grant.client), grant.subject.clone());
    Outcome::Described(Box::new(Description { kind, client, subject, scope, audience, issued, expires }))
}
