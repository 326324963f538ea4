//! The rules of a grant as a table: which request is accepted in which phase, and which phase comes next.
//!
//! The operations beside this file decide, each in a function of its own. [`RULES`] gives all their results in one
//! place. `tests/it/grants/rules.rs` plays every request in every phase and compares the outcome and the next phase
//! with the table, and compares the drawing in `docs/11-refresh-and-rotation.md` with it. Where debug assertions are
//! on, and so in every test, each change of a record is also checked against it (`allows`).

use Phase::{Absent, ClientOnly, Granted, Over, Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered};

use super::delivery::Delivery;
use super::state::{Change, Grant, State};

/// The state of a grant without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// There is no record: the grant was never made, or it is forgotten.
    Absent,
    /// The code is issued and not redeemed.
    Granted,
    /// The code is redeemed. The first refresh token is unused.
    Redeemed,
    /// The same, and the response with the tokens did not reach the client.
    RedeemedUndelivered,
    /// A refresh token has been used.
    Rotated,
    /// The same, and the response with the last successor did not reach the client.
    RotatedUndelivered,
    /// The client acts for itself (RFC 6749, 4.4): one access token, no code and no refresh token.
    ClientOnly,
    /// Denied, burnt, expired, replayed, reused or revoked. The record is only a mark that the form was answered.
    Over,
}

/// What is asked of a grant. A credential that the phase does not have is one that this grant never issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    /// The resource owner authorizes the client.
    Authorize,
    /// The resource owner denies the request.
    Deny,
    /// A client asks for a token of its own.
    Issue,
    /// The code with its proofs, within its lifetime.
    Redeem,
    /// The code with a wrong verifier, within its lifetime.
    RedeemUnproven,
    /// The code with its proofs after its lifetime. Tokens are still valid.
    RedeemLate,
    /// The code with its proofs after the lifetime of everything.
    RedeemLast,
    /// Another code that names this grant.
    RedeemWrong,
    /// The code, presented by another client.
    RedeemAsOther,
    /// The current refresh token.
    Rotate,
    /// The previous refresh token, within the grace window.
    RotateAgain,
    /// The previous refresh token, after the grace window.
    RotateReused,
    /// The same, with `refresh_reuse = "until_successor_used"`.
    RotateLost,
    /// A refresh token before the previous one.
    RotateOlder,
    /// The current refresh token after its lifetime.
    RotateExpired,
    /// The current refresh token, for a scope that was not granted.
    RotateTooWide,
    /// A refresh token that names this grant and lacks its mark.
    RotateForged,
    /// The current refresh token, presented by another client.
    RotateAsOther,
    /// An access token, presented to a protected resource.
    Check,
    /// The introspection of an access token.
    Inspect,
    /// The revocation of an access token.
    RevokeAccess,
    /// The revocation of a refresh token.
    RevokeRefresh,
    /// The revocation of an access token by another client.
    RevokeAsOther,
    /// The response to the redemption did not reach the client.
    WithdrawRedemption,
    /// The response to the last rotation did not reach the client.
    WithdrawRotation,
}

/// In any of these phases, this request has this [`Outcome`](super::Outcome), by its name, and leads to this phase;
/// `None` leaves the phase as it is.
pub type Rule = (&'static [Phase], Request, &'static str, Option<Phase>);

const ANY: &[Phase] =
    &[Absent, Granted, Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered, ClientOnly, Over];
const WITH_CODE: &[Phase] = &[Granted, Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered];
const UNSPENT: &[Phase] = &[Granted, RedeemedUndelivered];
const SPENT: &[Phase] = &[Redeemed, Rotated, RotatedUndelivered];
const REFRESHABLE: &[Phase] = &[Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered];
const WITH_ACCESS: &[Phase] = &[Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered, ClientOnly];

/// The rules. The first that names a phase and a request applies. `Over` is `Absent` where the form that made the
/// grant can no longer be sent, since nothing needs the mark.
///
/// Beside these, a store ends the oldest grant of a pair that is past its bound, and forgets a record that has
/// expired.
pub const RULES: &[Rule] = &[
    (&[Absent], Request::Authorize, "Granted", Some(Granted)),
    (&[Granted], Request::Authorize, "GrantedAgain", None),
    (ANY, Request::Authorize, "Taken", None),
    (&[Absent], Request::Deny, "Refused", Some(Over)),
    (&[Over], Request::Deny, "Refused", None),
    (ANY, Request::Deny, "Taken", None),
    (&[Absent], Request::Issue, "Granted", Some(ClientOnly)),
    (ANY, Request::Issue, "Taken", None),
    (UNSPENT, Request::Redeem, "Redeemed", Some(Redeemed)),
    (SPENT, Request::Redeem, "Replayed", Some(Over)),
    (ANY, Request::Redeem, "Unknown", None),
    (UNSPENT, Request::RedeemUnproven, "Burnt", Some(Over)),
    (SPENT, Request::RedeemUnproven, "Mismatch", None),
    (ANY, Request::RedeemUnproven, "Unknown", None),
    (&[Granted], Request::RedeemLate, "Expired", Some(Over)),
    (&[RedeemedUndelivered], Request::RedeemLate, "Expired", None),
    (SPENT, Request::RedeemLate, "Replayed", Some(Over)),
    (ANY, Request::RedeemLate, "Unknown", None),
    (&[RedeemedUndelivered], Request::RedeemLast, "Expired", None),
    (WITH_CODE, Request::RedeemLast, "Expired", Some(Absent)),
    (ANY, Request::RedeemLast, "Unknown", None),
    (ANY, Request::RedeemWrong, "Unknown", None),
    (WITH_CODE, Request::RedeemAsOther, "OtherClient", None),
    (ANY, Request::RedeemAsOther, "Unknown", None),
    (REFRESHABLE, Request::Rotate, "Rotated", Some(Rotated)),
    (ANY, Request::Rotate, "Unknown", None),
    (&[Rotated, RotatedUndelivered], Request::RotateAgain, "Repeated", Some(Rotated)),
    (ANY, Request::RotateAgain, "Unknown", None),
    (&[Rotated], Request::RotateReused, "Reused", Some(Over)),
    (&[RotatedUndelivered], Request::RotateReused, "Repeated", Some(Rotated)),
    (ANY, Request::RotateReused, "Unknown", None),
    (&[Rotated], Request::RotateLost, "Rotated", None),
    (&[RotatedUndelivered], Request::RotateLost, "Repeated", Some(Rotated)),
    (ANY, Request::RotateLost, "Unknown", None),
    (&[Rotated, RotatedUndelivered], Request::RotateOlder, "Reused", Some(Over)),
    (ANY, Request::RotateOlder, "Unknown", None),
    (REFRESHABLE, Request::RotateExpired, "Expired", None),
    (ANY, Request::RotateExpired, "Unknown", None),
    (REFRESHABLE, Request::RotateTooWide, "TooWide", None),
    (ANY, Request::RotateTooWide, "Unknown", None),
    (ANY, Request::RotateForged, "Unknown", None),
    (REFRESHABLE, Request::RotateAsOther, "OtherClient", None),
    (ANY, Request::RotateAsOther, "Unknown", None),
    (WITH_ACCESS, Request::Check, "Active", None),
    (ANY, Request::Check, "Inactive", None),
    (WITH_ACCESS, Request::Inspect, "Described", None),
    (ANY, Request::Inspect, "Inactive", None),
    (REFRESHABLE, Request::RevokeAccess, "Revoked", None),
    (&[ClientOnly], Request::RevokeAccess, "Revoked", Some(Absent)),
    (ANY, Request::RevokeAccess, "Unknown", None),
    (REFRESHABLE, Request::RevokeRefresh, "Revoked", Some(Over)),
    (ANY, Request::RevokeRefresh, "Unknown", None),
    (WITH_ACCESS, Request::RevokeAsOther, "OtherClient", None),
    (ANY, Request::RevokeAsOther, "Unknown", None),
    (&[Redeemed], Request::WithdrawRedemption, "Withdrawn", Some(RedeemedUndelivered)),
    (ANY, Request::WithdrawRedemption, "Unknown", None),
    (&[Rotated], Request::WithdrawRotation, "Withdrawn", Some(RotatedUndelivered)),
    (ANY, Request::WithdrawRotation, "Unknown", None),
];

impl Phase {
    /// The phase of `record`, where there is one.
    pub fn of(record: Option<&Grant>) -> Phase {
        let Some(grant) = record else { return Absent };
        let live = match &grant.state {
            State::Issued { .. } => return Granted,
            State::Over => return Over,
            State::Live(live) => live,
        };
        match (live.has_rotated(), live.delivery == Delivery::Failed) {
            _ if live.code.is_none() => ClientOnly,
            (false, false) => Redeemed,
            (false, true) => RedeemedUndelivered,
            (true, false) => Rotated,
            (true, true) => RotatedUndelivered,
        }
    }
}

/// Whether some rule makes `change` of `record`.
pub(super) fn allows(record: Option<&Grant>, change: &Change) -> bool {
    let from = Phase::of(record);
    let leads_to = |to: Phase| {
        from == to || RULES.iter().any(|(phases, _, _, next)| phases.contains(&from) && *next == Some(to))
    };
    match change {
        Change::Keep => true,
        Change::Put(grant) => leads_to(Phase::of(Some(grant))),
        Change::Forget => leads_to(Absent) || leads_to(Over),
    }
}
