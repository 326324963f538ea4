//! Redeems a code for tokens (RFC 6749, 4.1.3): the required proof, and the effect of a second use.

use std::sync::Arc;

use super::super::client::Client;
use super::super::credential::Family;
use super::super::kind::{Belief, Record, Writer};
use super::super::pkce::Verified;
use super::super::profile::Profile;
use super::super::resource::Audience;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;
use super::access_tokens::{AccessToken, AccessTokens};
use super::delivery::Delivery;
use super::lifetimes::TokenLifetimes;
use super::outcome::{Mismatch, Outcome};
use super::state::{Change, Code, Grant, Live, Refresh, State};
use super::target::Target;
use crate::crypto::digest::Digest;

/// Proof that a code was presented with what it is bound to. Only [`Code::prove`] makes one, and no tokens are issued
/// for a code without it.
struct CodeProven<'a>(&'a Code);

impl Code {
    /// Checks redirect URI and verifier (RFC 6749, 4.1.3; RFC 7636, 4.6).
    fn prove(&self, asked: &Redemption) -> Result<CodeProven<'_>, Mismatch> {
        let binding = &self.binding;
        let (redirect_uri, verified) = (asked.redirect_uri.as_deref(), asked.verified.as_ref());
        match (redirect_uri, &binding.challenge) {
            (Some(uri), _) if *uri != *binding.redirect_uri => return Err(Mismatch::RedirectUri),
            // OAuth 2.1 (10.2) allows omitting it if the verifier binds the code.
            (None, None) if binding.names_redirect => return Err(Mismatch::RedirectUriMissing),
            _ => {}
        }
        if !asked.profile.pkce {
            return Ok(CodeProven(self));
        }
        match (&binding.challenge, verified) {
            (None, None) => Ok(CodeProven(self)),
            // Someone may have removed the challenge from the authorization request (RFC 9700, 2.1.1).
            (None, Some(_)) => Err(Mismatch::VerifierUnasked),
            (Some(_), None) => Err(Mismatch::VerifierMissing),
            (Some(challenge), Some(verified)) if challenge.matches(verified) => Ok(CodeProven(self)),
            (Some(_), Some(_)) => Err(Mismatch::Verifier),
        }
    }
}

/// A code, presented by an authenticated client.
#[derive(Clone, Debug)]
pub(super) struct Redemption {
    pub(super) code: Digest,
    pub(super) client: Arc<Client>,
    pub(super) redirect_uri: Option<Box<str>>,
    pub(super) verified: Option<Verified>,
    pub(super) target: Target,
    pub(super) token: Digest,
    pub(super) refresh: Option<(Digest, Family)>,
    pub(super) lifetimes: TokenLifetimes,
    pub(super) profile: Profile,
    pub(super) writer: Option<Box<Writer>>,
}

/// Redeems a code for tokens (RFC 6749, 4.1.3).
pub(super) fn redeem(
    record: Option<&Grant>,
    asked: &Redemption,
    now: Timestamp,
    belief: Belief,
) -> (Change, Outcome) {
    let code = record.and_then(|grant| match &grant.state {
        State::Issued { code } => Some(code),
        State::Live(live) => live.code.as_ref(),
        State::Over => None,
    });
    // A sender with the grant's identifier but not its code must change nothing, least of all revoke the grant.
    let (Some(grant), Some(code)) = (record, code.filter(|code| code.digest.matches(&asked.code))) else {
        return (Change::Keep, Outcome::Unknown);
    };
    if grant.client != asked.client.id {
        return (Change::Keep, Outcome::OtherClient);
    }
    let proven = code.prove(asked);
    match (code_use(grant, asked, belief), proven) {
        (CodeUse::Unspent, _) if now >= code.expires => (grant.end(now), Outcome::Expired),
        // The retry of a client that never got its tokens.
        (CodeUse::Repeatable, _) if now >= code.expires => (Change::Keep, Outcome::Expired),
        (CodeUse::Unspent | CodeUse::Repeatable, Ok(proven)) => {
            let (scope, audience) = match entitled(grant, code, asked) {
                Ok(entitled) => entitled,
                Err(outcome) => return (Change::Keep, outcome),
            };
            let live = first_tokens(proven, grant, &scope, audience, asked, now);
            (Change::Put(grant.with_state(State::Live(live))), Outcome::Redeemed { scope })
        }
        // A single guess, so that a stolen code cannot be tried again.
        (CodeUse::Unspent | CodeUse::Repeatable, Err(mismatch)) => (grant.end(now), Outcome::Burnt(mismatch)),
        // A second use: the thief's, or that of the client from which the code was stolen (RFC 6749, 4.1.2).
        (CodeUse::Spent, Ok(_)) if now < grant.expires() => (grant.end(now), Outcome::Replayed),
        (CodeUse::Spent, Ok(_)) => (Change::Forget, Outcome::Expired),
        // The code without its proofs. Ending the grant would let a thief log the owner out (OAuth 2.1, 7.5.2).
        (CodeUse::Spent, Err(mismatch)) => (Change::Keep, Outcome::Mismatch(mismatch)),
    }
}

/// The scope and the resources that the client gets for its code.
fn entitled(grant: &Grant, code: &Code, asked: &Redemption) -> Result<(Scope, Audience), Outcome> {
    let scope = grant.redeemable(code, &asked.client, &asked.profile).map_err(Outcome::Lapsed)?;
    Ok((scope, asked.target.within(&grant.audience)?))
}

/// How the correct code relates to its grant.
enum CodeUse {
    Unspent,
    /// Redeemed for tokens that did not reach the client; or redeemed, and valid again
    /// ([`Profile::single_use_codes`]).
    Repeatable,
    Spent,
}

fn code_use(grant: &Grant, asked: &Redemption, belief: Belief) -> CodeUse {
    match &grant.state {
        State::Issued { .. } => CodeUse::Unspent,
        State::Live(_) if !asked.profile.single_use_codes => CodeUse::Repeatable,
        // A rotation proves that the client got the tokens of its code.
        State::Live(live) if !live.has_rotated() && live.delivery.has_failed(belief) => CodeUse::Repeatable,
        State::Live(_) | State::Over => CodeUse::Spent,
    }
}

/// The state of `grant` once its code is redeemed.
fn first_tokens(
    CodeProven(code): CodeProven,
    grant: &Grant,
    scope: &Scope,
    audience: Audience,
    asked: &Redemption,
    now: Timestamp,
) -> Live {
    let expires = now.after(asked.lifetimes.access_token);
    let token = AccessToken { digest: asked.token, scope: scope.clone(), audience, issued: now, expires };
    let refresh = asked.refresh.map(|(current, family)| Refresh {
        current,
        issued: now,
        idle_until: now.after(asked.lifetimes.refresh_idle),
        expires: now.after(asked.lifetimes.refresh),
        family,
        previous: None,
    });
    let refresh = refresh.map(Box::new);
    let tokens = match &grant.state {
        // What the code was exchanged for before stays valid.
        State::Live(earlier) if !asked.profile.single_use_codes => earlier.tokens.with(token, now),
        _ => AccessTokens::one(token),
    };
    let delivery = Delivery::reported_by(asked.writer.as_deref());
    Live { code: Some(code.clone()), refresh, tokens, delivery }
}
