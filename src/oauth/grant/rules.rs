//! The rules of a grant as a table: what each event leads to in each phase, and which phase comes next.
//!
//! The operations beside this file decide, each in a function of its own. [`RULES`] gives all their results in one
//! place. `tests/it/grants/rules.rs` plays every event in every phase and compares the outcome and the next phase
//! with the table, and compares the drawing in `docs/11-refresh-and-rotation.md` with it. Where debug assertions are
//! on, and so in every test, each change of a record is also checked against it (`allows`).

use GrantPhase::{
    Absent, ClientOnly, Granted, Over, Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered,
};

use super::delivery::Delivery;
use super::state::{Change, Grant, State};

/// The state of a grant without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantPhase {
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

/// What happens to a grant. A credential that the phase does not have is one that this grant never issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantEvent {
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

/// In any of these phases, this event has this [`Outcome`](super::Outcome), by its name, and leads to this phase;
/// `None` leaves the phase as it is.
pub type Rule = (&'static [GrantPhase], GrantEvent, &'static str, Option<GrantPhase>);

const ANY: &[GrantPhase] =
    &[Absent, Granted, Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered, ClientOnly, Over];
const WITH_CODE: &[GrantPhase] = &[Granted, Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered];
const UNSPENT: &[GrantPhase] = &[Granted, RedeemedUndelivered];
const SPENT: &[GrantPhase] = &[Redeemed, Rotated, RotatedUndelivered];
const REFRESHABLE: &[GrantPhase] = &[Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered];
const WITH_ACCESS: &[GrantPhase] = &[Redeemed, RedeemedUndelivered, Rotated, RotatedUndelivered, ClientOnly];

/// The rules. The first that names a phase and an event applies. Where a rule says `Over`, the grant becomes `Absent`
/// instead if the form that made it can no longer be sent: then no mark is needed.
///
/// Beside these, a store ends the oldest grant of a pair that is past its bound, and forgets a record that has
/// expired.
pub const RULES: &[Rule] = &[
    (&[Absent], GrantEvent::Authorize, "Granted", Some(Granted)),
    (&[Granted], GrantEvent::Authorize, "GrantedAgain", None),
    (ANY, GrantEvent::Authorize, "Taken", None),
    (&[Absent], GrantEvent::Deny, "Denied", Some(Over)),
    (&[Over], GrantEvent::Deny, "Denied", None),
    (ANY, GrantEvent::Deny, "Taken", None),
    (&[Absent], GrantEvent::Issue, "Granted", Some(ClientOnly)),
    (ANY, GrantEvent::Issue, "Taken", None),
    (UNSPENT, GrantEvent::Redeem, "Redeemed", Some(Redeemed)),
    (SPENT, GrantEvent::Redeem, "Replayed", Some(Over)),
    (ANY, GrantEvent::Redeem, "Unknown", None),
    (UNSPENT, GrantEvent::RedeemUnproven, "Burnt", Some(Over)),
    (SPENT, GrantEvent::RedeemUnproven, "Mismatch", None),
    (ANY, GrantEvent::RedeemUnproven, "Unknown", None),
    (&[Granted], GrantEvent::RedeemLate, "Expired", Some(Over)),
    (&[RedeemedUndelivered], GrantEvent::RedeemLate, "Expired", None),
    (SPENT, GrantEvent::RedeemLate, "Replayed", Some(Over)),
    (ANY, GrantEvent::RedeemLate, "Unknown", None),
    (&[RedeemedUndelivered], GrantEvent::RedeemLast, "Expired", None),
    (WITH_CODE, GrantEvent::RedeemLast, "Expired", Some(Absent)),
    (ANY, GrantEvent::RedeemLast, "Unknown", None),
    (ANY, GrantEvent::RedeemWrong, "Unknown", None),
    (WITH_CODE, GrantEvent::RedeemAsOther, "OtherClient", None),
    (ANY, GrantEvent::RedeemAsOther, "Unknown", None),
    (REFRESHABLE, GrantEvent::Rotate, "Rotated", Some(Rotated)),
    (ANY, GrantEvent::Rotate, "Unknown", None),
    (&[Rotated, RotatedUndelivered], GrantEvent::RotateAgain, "Repeated", Some(Rotated)),
    (ANY, GrantEvent::RotateAgain, "Unknown", None),
    (&[Rotated], GrantEvent::RotateReused, "Reused", Some(Over)),
    (&[RotatedUndelivered], GrantEvent::RotateReused, "Repeated", Some(Rotated)),
    (ANY, GrantEvent::RotateReused, "Unknown", None),
    (&[Rotated], GrantEvent::RotateLost, "Rotated", None),
    (&[RotatedUndelivered], GrantEvent::RotateLost, "Repeated", Some(Rotated)),
    (ANY, GrantEvent::RotateLost, "Unknown", None),
    (&[Rotated, RotatedUndelivered], GrantEvent::RotateOlder, "Reused", Some(Over)),
    (ANY, GrantEvent::RotateOlder, "Unknown", None),
    (REFRESHABLE, GrantEvent::RotateExpired, "Expired", None),
    (ANY, GrantEvent::RotateExpired, "Unknown", None),
    (REFRESHABLE, GrantEvent::RotateTooWide, "TooWide", None),
    (ANY, GrantEvent::RotateTooWide, "Unknown", None),
    (ANY, GrantEvent::RotateForged, "Unknown", None),
    (REFRESHABLE, GrantEvent::RotateAsOther, "OtherClient", None),
    (ANY, GrantEvent::RotateAsOther, "Unknown", None),
    (WITH_ACCESS, GrantEvent::Check, "Active", None),
    (ANY, GrantEvent::Check, "Inactive", None),
    (WITH_ACCESS, GrantEvent::Inspect, "Described", None),
    (ANY, GrantEvent::Inspect, "Inactive", None),
    (REFRESHABLE, GrantEvent::RevokeAccess, "Revoked", None),
    (&[ClientOnly], GrantEvent::RevokeAccess, "Revoked", Some(Absent)),
    (ANY, GrantEvent::RevokeAccess, "Unknown", None),
    (REFRESHABLE, GrantEvent::RevokeRefresh, "Revoked", Some(Over)),
    (ANY, GrantEvent::RevokeRefresh, "Unknown", None),
    (WITH_ACCESS, GrantEvent::RevokeAsOther, "OtherClient", None),
    (ANY, GrantEvent::RevokeAsOther, "Unknown", None),
    (&[Redeemed], GrantEvent::WithdrawRedemption, "Withdrawn", Some(RedeemedUndelivered)),
    (ANY, GrantEvent::WithdrawRedemption, "Unknown", None),
    (&[Rotated], GrantEvent::WithdrawRotation, "Withdrawn", Some(RotatedUndelivered)),
    (ANY, GrantEvent::WithdrawRotation, "Unknown", None),
];

impl GrantPhase {
    /// The phase of `record`, where there is one.
    pub fn of(record: Option<&Grant>) -> GrantPhase {
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
    let from = GrantPhase::of(record);
    let leads_to = |to: GrantPhase| {
        from == to || RULES.iter().any(|(phases, _, _, next)| phases.contains(&from) && *next == Some(to))
    };
    match change {
        Change::Keep => true,
        Change::Put(grant) => leads_to(GrantPhase::of(Some(grant))),
        Change::Forget => leads_to(Absent) || leads_to(Over),
    }
}
