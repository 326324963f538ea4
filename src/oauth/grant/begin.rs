//! How a grant begins: with a resource owner's yes (RFC 6749, 4.1.2), or with a token for a client that acts for itself
//! (4.4). And a resource owner's no, which is kept so that the same form cannot say yes afterwards.

use std::sync::Arc;
use std::time::Duration;

use super::super::authorize::Binding;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::access_tokens::{AccessToken, AccessTokens};
use super::delivery::Delivery;
use super::outcome::Outcome;
use super::state::{Change, Code, Grant, Live, State};
use crate::crypto::digest::Digest;

/// A resource owner's yes.
#[derive(Clone, Debug)]
pub(super) struct Permission {
    pub(super) client: Arc<str>,
    pub(super) subject: Arc<str>,
    pub(super) scope: Scope,
    pub(super) code: Digest,
    pub(super) binding: Binding,
    pub(super) code_lifetime: Duration,
    pub(super) kept_until: Option<Timestamp>,
}

/// A resource owner's no.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) client: Arc<str>,
    pub(super) subject: Arc<str>,
    pub(super) kept_until: Option<Timestamp>,
}

/// A client that acts for itself.
#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub(super) client: Arc<str>,
    pub(super) scope: Scope,
    pub(super) token: Digest,
    pub(super) lifetime: Duration,
}

/// A new grant with its code. The same form again, while its code waits, is the same answer again.
pub(super) fn permit(record: Option<&Grant>, asked: &Permission, now: Timestamp) -> (Change, Outcome) {
    match record {
        None => (Change::Put(asked.grant(now)), Outcome::Granted),
        Some(grant) if grant.awaits(&asked.code, now) => (Change::Keep, Outcome::GrantedAgain),
        Some(_) => (Change::Keep, Outcome::Taken),
    }
}

/// A mark in the place of the grant that the form would have made.
pub(super) fn refuse(record: Option<&Grant>, asked: &Refusal) -> (Change, Outcome) {
    match record {
        // Where nothing is left of the grant, there is nothing that a second refusal could contradict.
        Some(grant) if grant.is_over() => (Change::Keep, Outcome::Refused),
        Some(_) => (Change::Keep, Outcome::Taken),
        None => {
            (asked.kept_until.map_or(Change::Keep, |until| Change::Put(asked.mark(until))), Outcome::Refused)
        }
    }
}

/// A grant that is one access token, and nothing else (RFC 6749, 4.4.3).
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
            state: State::Issued { code: Arc::new(code) },
            kept_until: self.kept_until.unwrap_or(now),
        }
    }
}

impl Refusal {
    /// All there is of the grant is that it cannot be made any more.
    fn mark(&self, kept_until: Timestamp) -> Grant {
        Grant {
            client: Arc::clone(&self.client),
            subject: Some(Arc::clone(&self.subject)),
            scope: Scope::default(),
            state: State::Over,
            kept_until,
        }
    }
}

impl Issue {
    fn grant(&self, now: Timestamp) -> Grant {
        let expires = now.after(self.lifetime);
        let token = AccessToken { digest: self.token, scope: self.scope.clone(), issued: now, expires };
        let live =
            Live { code: None, refresh: None, tokens: AccessTokens::one(token), delivery: Delivery::Sent };
        Grant {
            client: Arc::clone(&self.client),
            subject: None,
            scope: self.scope.clone(),
            state: State::Live(Box::new(live)),
            kept_until: now,
        }
    }
}
