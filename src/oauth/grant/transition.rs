//! A request's effect on a grant, as data: the grant, the presented credential, and what to issue.
//!
//! A route makes a transition once it has the required proofs, and a store applies it. It contains digests and never a
//! secret, so it can be queued, batched, and applied again after a lost race.
//!
//! ```text
//!   route    Transition::redeem(client, code, …)     what needs no record: parsing, authentication
//!              │
//!   store      ▼ apply(record, now)                  what needs the record: is the code unspent, is it this client's
//!              ├──▶ Change     put, keep or forget the record
//!              ▼
//!   route    Outcome                                 the response
//! ```
//!
//! Whatever depends on the record is decided in `apply`, never before. A route that looked first and changed afterwards
//! would leave a gap in which another request can spend the same code. So everything that the new record may need comes
//! along, such as the digests of tokens that are then not issued.
//!
//! The constructors take the types that only a check makes (`AuthenticatedClient`, `Verified`, `Authorization`). So no
//! transition redeems a code for a client that was not authenticated. A redemption or rotation starts with the
//! strictest rules, so a route that forgets [`Transition::under`] refuses too much, and never allows too much.
//!
//! The second half of the file tells the stores what they need to know of a transition ([`kind::Transition`]). A store
//! is generic over that trait and has no rule of OAuth.

use std::sync::Arc;
use std::time::Duration;

use super::super::authorize::Authorization;
use super::super::client::{AuthenticatedClient, Clients};
use super::super::credential::{Credential, Family, GrantId, Successors};
use super::super::key::{Key, Kind};
use super::super::kind::{self, Belief, Holder, KindInfo, Stage, Writer};
use super::super::pkce::Verified;
use super::super::profile::Profile;
use super::super::resource::{Audience, Resources};
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::begin::{Denial, Issue, Permission, deny, issue, permit};
use super::lifetimes::TokenLifetimes;
use super::look::{Look, ProtectedResource};
use super::outcome::Outcome;
use super::presented::Presented;
use super::redeem::{Redemption, redeem};
use super::revoke::revoke;
use super::rotate::{Rotation, rotate};
use super::rules::{self, GrantPhase};
use super::state::{Change, Grant};
use super::target::Target;
use super::withdraw::{Withdrawal, WithdrawnResponse, forestalled, withdraw};

/// One request's effect on one grant.
#[derive(Clone, Debug)]
pub struct Transition {
    /// From the presented credential, so it may name no grant. It finds the record and proves nothing: anyone who has
    /// seen one credential of a grant has it. The action's digests are the proof.
    grant: GrantId,
    action: Action,
}

/// Each operation has a file of its own. Its data is boxed, because a transition is moved from the route to the store
/// and through its queue. The check is small, and by far the most frequent, so it allocates nothing.
#[derive(Clone, Debug)]
enum Action {
    Permit(Box<Permission>),
    Deny(Box<Denial>),
    Issue(Box<Issue>),
    Redeem(Box<Redemption>),
    Rotate(Box<Rotation>),
    Look(Look),
    Revoke(Box<Presented>),
    Withdraw(Box<Withdrawal>),
}

/// What a transition does, without its data: the log and the wire view get this, and no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Stores a grant with its code.
    Permit,
    /// Records a denial, so that the same form cannot grant access later.
    Deny,
    /// Stores a token for the client itself.
    Issue,
    /// Exchanges a code for tokens.
    Redeem,
    /// Exchanges a refresh token for its successor.
    Rotate,
    /// Checks an access token.
    Check,
    /// Describes a token.
    Inspect,
    /// Ends a token.
    Revoke,
    /// Undoes an answer that did not reach its client.
    Withdraw,
}

impl Transition {
    /// The resource owner `subject` authorizes `asked`: a new grant with this code. Until `kept_until` a mark keeps the
    /// form from working twice; `None` for the article's form, which has no fields.
    ///
    /// Takes `asked` by value, so that its scope and its redirect URI are moved and not copied.
    pub fn permit(
        asked: Authorization,
        subject: Arc<str>,
        code: &Credential,
        code_lifetime: Duration,
        kept_until: Option<Timestamp>,
    ) -> Transition {
        let (client, scope, audience, binding) = asked.into_parts();
        let permission = Permission {
            client,
            subject,
            scope,
            audience,
            code: code.digest(),
            binding,
            code_lifetime,
            kept_until,
        };
        Transition { grant: code.grant(), action: Action::Permit(Box::new(permission)) }
    }

    /// The resource owner `subject` denies `asked`. The same form cannot authorize afterwards.
    pub fn deny(
        asked: &Authorization,
        subject: Arc<str>,
        grant: GrantId,
        kept_until: Option<Timestamp>,
    ) -> Transition {
        let denial = Denial { client: Arc::clone(&asked.client().id), subject, kept_until };
        Transition { grant, action: Action::Deny(Box::new(denial)) }
    }

    /// `client` gets `token` on its own behalf, for `scope` and `lifetime` (RFC 6749, 4.4).
    pub fn issue(
        client: AuthenticatedClient,
        scope: Scope,
        token: &Credential,
        lifetime: Duration,
    ) -> Transition {
        let client = Arc::clone(&client.client().id);
        let audience = Audience::default();
        let issue = Issue { client, scope, audience, token: token.digest(), lifetime };
        Transition { grant: token.grant(), action: Action::Issue(Box::new(issue)) }
    }

    /// `client` presents `code` and gets `token`, and `refresh` with the family that marks it.
    ///
    /// The redirect URI and the verifier are compared when it is applied, because only the record says what the code is
    /// bound to.
    pub fn redeem(
        client: AuthenticatedClient,
        code: &Credential,
        redirect_uri: Option<&str>,
        verified: Option<Verified>,
        token: &Credential,
        refresh: Option<(&Credential, Family)>,
        lifetimes: TokenLifetimes,
    ) -> Transition {
        let redemption = Redemption {
            code: code.digest(),
            client: client.into_shared(),
            redirect_uri: redirect_uri.map(Box::from),
            verified,
            target: Target::default(),
            token: token.digest(),
            // The family is stored beside the digest. It tells an old token of this grant, whose digest is not stored
            // any more, from one that was made up.
            refresh: refresh.map(|(token, family)| (*token.refresh_digest().digest(), family)),
            lifetimes,
            profile: Profile::strict(),
            // Set by the store's queue; a store in memory has none.
            writer: None,
        };
        Transition { grant: code.grant(), action: Action::Redeem(Box::new(redemption)) }
    }

    /// `client` presents `refresh` and gets its `successors`, with the access token for `scope`. Without `scope`, for
    /// everything that was granted and that the client is still registered for.
    ///
    /// The successors are derived from `refresh` and a salt. The record keeps the salt, which is no secret. So a retry
    /// gets the same successors, although no store ever has them.
    pub fn rotate(
        client: AuthenticatedClient,
        refresh: &Credential,
        successors: &Successors,
        scope: Option<Scope>,
        lifetimes: TokenLifetimes,
    ) -> Transition {
        let rotation = Rotation {
            presented: refresh.refresh_digest(),
            client: client.into_shared(),
            scope,
            target: Target::default(),
            salt: successors.salt(),
            successor: successors.refresh_digest(),
            token: successors.access_token().digest(),
            lifetimes,
            profile: Profile::strict(),
            writer: None,
        };
        Transition { grant: refresh.grant(), action: Action::Rotate(Box::new(rotation)) }
    }

    /// Applies the rules of `profile` to a redemption or rotation. Without this call, the rules are those of
    /// [`Profile::strict`]. Other transitions stay as they are.
    pub fn under(mut self, profile: &Profile) -> Transition {
        match &mut self.action {
            Action::Redeem(asked) => asked.profile = *profile,
            Action::Rotate(asked) => {
                asked.profile = *profile;
                if !profile.rotation {
                    // A token that is its own successor stays the current one, so the rules need no second case.
                    asked.successor = *asked.presented.digest();
                }
            }
            // A check has the profile's rules in its resource. No profile changes the rest.
            _ => {}
        }
        self
    }

    /// Restricts the tokens to the resources `asked` for. A redemption or rotation also drops those that are not in
    /// `resources`, the ones that are configured now; `None` asks for all that were granted. A client's own token is
    /// for exactly `asked`; `None` asks for no resource in particular. Other transitions stay as they are.
    pub fn aimed_at(mut self, asked: Option<Audience>, resources: &Arc<Resources>) -> Transition {
        match &mut self.action {
            Action::Issue(issue) => issue.audience = asked.unwrap_or_default(),
            Action::Redeem(redemption) => redemption.target = Target::new(asked, resources),
            Action::Rotate(rotation) => rotation.target = Target::new(asked, resources),
            _ => {}
        }
        self
    }

    /// `token` is presented to `resource`, which learns whether it is valid there.
    pub fn check(token: &Credential, resource: Arc<ProtectedResource>) -> Transition {
        let look = Look::Check { token: token.digest(), resource, describes: false };
        Transition { grant: token.grant(), action: Action::Look(look) }
    }

    /// The same for a resource that also needs to know whose token it is, and which scope it has. Separate, because the
    /// description is a copy, which most checks do not need.
    pub fn check_and_describe(token: &Credential, resource: Arc<ProtectedResource>) -> Transition {
        let look = Look::Check { token: token.digest(), resource, describes: true };
        Transition { grant: token.grant(), action: Action::Look(look) }
    }

    /// `client`, which is confidential, introspects `token`. `clients` are the clients that are registered now: the
    /// token may be of a client that is not, and is then inactive.
    pub fn inspect(client: AuthenticatedClient, token: &Credential, clients: Arc<Clients>) -> Transition {
        let client = client.client();
        // A client that may inspect every token is left out: the rules compare the token's client with nothing.
        let client = (!client.inspects_all).then(|| Arc::clone(&client.id));
        let look = Look::Inspect(Presented::new(token, client), clients);
        Transition { grant: token.grant(), action: Action::Look(look) }
    }

    /// `client` revokes `token`, which may be of either kind: only the record tells which (RFC 7009, 2.1).
    pub fn revoke(client: AuthenticatedClient, token: &Credential) -> Transition {
        let client = Some(Arc::clone(&client.client().id));
        Transition { grant: token.grant(), action: Action::Revoke(Presented::new(token, client)) }
    }
}

/// For the log and the wire view.
impl Transition {
    /// What it does.
    pub fn operation(&self) -> Operation {
        match &self.action {
            Action::Permit(_) => Operation::Permit,
            Action::Deny(_) => Operation::Deny,
            Action::Issue(_) => Operation::Issue,
            Action::Redeem(_) => Operation::Redeem,
            Action::Rotate(_) => Operation::Rotate,
            Action::Look(Look::Check { .. }) => Operation::Check,
            Action::Look(Look::Inspect(..)) => Operation::Inspect,
            Action::Revoke(_) => Operation::Revoke,
            Action::Withdraw(_) => Operation::Withdraw,
        }
    }

    /// The client of the request, if it names one.
    pub fn client(&self) -> Option<&Arc<str>> {
        match &self.action {
            Action::Permit(permission) => Some(&permission.client),
            Action::Deny(denial) => Some(&denial.client),
            Action::Issue(issue) => Some(&issue.client),
            Action::Redeem(redemption) => Some(&redemption.client.id),
            Action::Rotate(rotation) => Some(&rotation.client.id),
            Action::Revoke(presented) | Action::Look(Look::Inspect(presented, _)) => presented.client.as_ref(),
            Action::Look(Look::Check { .. }) | Action::Withdraw(_) => None,
        }
    }
}

impl kind::Transition for Transition {
    type Record = Grant;
    type Outcome = Outcome;

    /// Repeatable: a code or refresh token is spent by its first use, and each write has digests of fresh secrets. So
    /// after a lost answer, a store can tell whether its write was made.
    const KINDS: &'static [KindInfo] = &[KindInfo { name: "grant", is_repeatable: true }];

    fn key(&self) -> Key {
        Key { kind: Kind::new(0), id: self.grant }
    }

    /// A store asks this first. For a check it then needs neither a copy of the record nor a write.
    fn look(&self, record: Option<&Grant>, now: Timestamp) -> Option<Outcome> {
        match &self.action {
            Action::Look(look) => Some(look.at(record, now)),
            _ => None,
        }
    }

    fn apply_believing(&self, record: Option<&Grant>, now: Timestamp, belief: Belief) -> (Change, Outcome) {
        let (change, outcome) = match &self.action {
            Action::Look(look) => (Change::Keep, look.at(record, now)),
            Action::Permit(permission) => permit(record, permission, now),
            Action::Deny(denial) => deny(record, denial),
            Action::Issue(asked) => issue(record, asked, now),
            Action::Redeem(redemption) => redeem(record, redemption, now, belief),
            Action::Rotate(rotation) => rotate(record, rotation, now, belief),
            Action::Revoke(presented) => revoke(record, presented, now),
            Action::Withdraw(withdrawal) => withdraw(record, withdrawal),
        };
        // The operations decide without the table of rules. In debug builds, each result is checked against it.
        debug_assert!(rules::allows(record, &change), "{:?}: {outcome:?}", GrantPhase::of(record));
        (change, outcome)
    }

    /// A file applies these to its last commit, without waiting for the writes in progress.
    fn is_read_only(&self) -> bool {
        matches!(self.action, Action::Look(_))
    }

    /// Known without the record, so that a full store can make room before it applies the transition.
    fn new_record(&self) -> Option<(Holder<'_>, Stage)> {
        match &self.action {
            Action::Permit(permission) => {
                let holder = Holder { client: &permission.client, subject: Some(&permission.subject) };
                Some((holder, Stage::Code))
            }
            // Nothing was granted, but the form must not work a second time.
            Action::Deny(denial) => {
                let holder = Holder { client: &denial.client, subject: Some(&denial.subject) };
                Some((holder, Stage::Mark))
            }
            Action::Issue(issue) => Some((Holder { client: &issue.client, subject: None }, Stage::Live)),
            Action::Redeem(_)
            | Action::Rotate(_)
            | Action::Look(_)
            | Action::Revoke(_)
            | Action::Withdraw(_) => None,
        }
    }

    /// The form may have been answered before. If it was not, its user must answer a new one. The other error would be
    /// worse: a form that was denied, or whose code was used, could authorize again.
    fn taken(&self) -> Outcome {
        Outcome::Taken
    }

    /// A form that is sent again, a repeated rotation, and a revocation of a token that may just have been revoked.
    /// Each reports something as stored, and stores nothing itself.
    fn restates(&self, outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::GrantedAgain | Outcome::Denied | Outcome::Repeated { .. })
            || matches!(self.action, Action::Revoke(_))
    }

    /// True for a redemption or a rotation: only these spend the credential that a retry presents. If another response
    /// is lost, the same request can be sent again with the same effect.
    fn delivers(&self) -> bool {
        matches!(self.action, Action::Redeem(_) | Action::Rotate(_))
    }

    /// Names the lost response by its access token, or by the refresh token that it replaced, and by its writer. So a
    /// withdrawal that comes late does not withdraw the response to a retry.
    fn withdrawal(&self) -> Option<Transition> {
        let withdrawal = match &self.action {
            Action::Redeem(asked) => Withdrawal {
                response: WithdrawnResponse::Redemption { code: asked.code, token: asked.token },
                writer: asked.writer.as_deref().copied(),
            },
            Action::Rotate(asked) => Withdrawal {
                response: WithdrawnResponse::Rotation { presented: *asked.presented.digest() },
                writer: asked.writer.as_deref().copied(),
            },
            Action::Withdraw(withdrawal) => **withdrawal,
            _ => return None,
        };
        Some(Transition { grant: self.grant, action: Action::Withdraw(Box::new(withdrawal)) })
    }

    fn is_withdrawal(&self) -> bool {
        matches!(self.action, Action::Withdraw(_))
    }

    fn forestalled(&self, grant: &Grant) -> Option<Grant> {
        match &self.action {
            Action::Withdraw(withdrawal) => forestalled(grant, withdrawal),
            _ => None,
        }
    }

    fn set_writer(&mut self, writer: Writer) {
        match &mut self.action {
            Action::Redeem(asked) => asked.writer = Some(Box::new(writer)),
            Action::Rotate(asked) => asked.writer = Some(Box::new(writer)),
            _ => {}
        }
    }

    /// The writer of the grant's last response, if the transition ends the grant only if that response was delivered.
    /// Asking the writer takes a round trip, so both answers are tried first, and it is asked only if they differ.
    fn doubt(&self, record: Option<&Grant>, now: Timestamp) -> Option<Writer> {
        let writer = record?.writer()?;
        let ends = |outcome: &Outcome| matches!(outcome, Outcome::Replayed | Outcome::Reused);
        let is_in_doubt = ends(&self.apply(record, now).1) && !ends(&self.apply_after_failure(record, now).1);
        is_in_doubt.then_some(writer)
    }
}
