//! How a grant begins: a resource owner authorizes a client (RFC 6749, 4.1.2), or a client acts for itself (4.4). A
//! denial is stored as well, so that the same form cannot authorize afterwards.

use std::sync::Arc;
use std::time::Duration;

use super::super::authorize::Binding;
use super::super::resource::Audience;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::access_tokens::{AccessToken, AccessTokens};
use super::delivery::Delivery;
use super::outcome::Outcome;
use super::state::{Change, Code, Grant, Live, State};
use crate::crypto::digest::Digest;

/// A resource owner authorizes a client.
#[derive(Clone, Debug)]
pub(super) struct Permission {
    pub(super) client: Arc<str>,
    pub(super) subject: Arc<str>,
    pub(super) scope: Scope,
    pub(super) audience: Audience,
    pub(super) code: Digest,
    pub(super) binding: Binding,
    pub(super) code_lifetime: Duration,
    pub(super) kept_until: Option<Timestamp>,
}

/// A resource owner denies a request.
#[derive(Clone, Debug)]
pub(super) struct Denial {
    pub(super) client: Arc<str>,
    pub(super) subject: Arc<str>,
    pub(super) kept_until: Option<Timestamp>,
}

/// A client asks for a token of its own.
#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub(super) client: Arc<str>,
    pub(super) scope: Scope,
    pub(super) audience: Audience,
    pub(super) token: Digest,
    pub(super) lifetime: Duration,
}

/// Makes a new grant with its code. The same form gets the same code again while the code is unredeemed.
pub(super) fn permit(record: Option<&Grant>, asked: &Permission, now: Timestamp) -> (Change, Outcome) {
    match record {
        None => (Change::Put(asked.grant(now)), Outcome::Granted),
        Some(grant) if grant.awaits(&asked.code, now) => (Change::Keep, Outcome::GrantedAgain),
        Some(_) => (Change::Keep, Outcome::Taken),
    }
}

/// Stores a mark in place of the grant that the form would have made.
pub(super) fn deny(record: Option<&Grant>, asked: &Denial) -> (Change, Outcome) {
    match record {
        // The grant has ended, so a second denial is consistent with it, however it ended.
        Some(grant) if grant.is_over() => (Change::Keep, Outcome::Denied),
        Some(_) => (Change::Keep, Outcome::Taken),
        None => {
            (asked.kept_until.map_or(Change::Keep, |until| Change::Put(asked.mark(until))), Outcome::Denied)
        }
    }
}

/// Makes a grant with one access token and no other credential (RFC 6749, 4.4.3).
pub(super) fn issue(record: Option<&Grant>, asked: &Issue, now: Timestamp) -> (Change, Outcome) {
    match record {
        None => (Change::Put(asked.grant(now)), Outcome::Granted),
        Some(_) => (Change::Keep, Outcome::Taken),
    }
}

impl Permission {
    fn grant(&self, now: Timestamp) -> Grant {
        let expires = now.after(self.code_lifetime);
        let code = Code { digest: self.code, binding: self.binding.clone(), expires };
        Grant {
            client: Arc::clone(&self.client),
            subject: Some(Arc::clone(&self.subject)),
            scope: self.scope.clone(),
            audience: self.audience.clone(),
            state: State::Issued { code },
            kept_until: self.kept_until.unwrap_or(now),
        }
    }
}

impl Denial {
    /// A mark: the grant can no longer be made.
    fn mark(&self, kept_until: Timestamp) -> Grant {
        Grant {
            client: Arc::clone(&self.client),
            subject: Some(Arc::clone(&self.subject)),
            scope: Scope::default(),
            audience: Audience::default(),
            state: State::Over,
            kept_until,
        }
    }
}

impl Issue {
    fn grant(&self, now: Timestamp) -> Grant {
        let expires = now.after(self.lifetime);
        let (scope, audience) = (self.scope.clone(), self.audience.clone());
        let token = AccessToken { digest: self.token, scope, audience, issued: now, expires };
        let live =
            Live { code: None, refresh: None, tokens: AccessTokens::one(token), delivery: Delivery::Sent };
        Grant {
            client: Arc::clone(&self.client),
            subject: None,
            scope: self.scope.clone(),
            audience: self.audience.clone(),
            state: State::Live(live),
            kept_until: now,
        }
    }
}
