//! The rules of a grant's life: one for each outcome of each operation.

use crate::oauth::Outcome;
use crate::oauth::grant::Operation;
use crate::oauth::grant::outcome::{Lapse, Mismatch};
use crate::wire::rule::{Rule, grants, refuses};

/// The rule by which `operation` has `outcome`; `None` for an outcome that the operation cannot have.
pub fn of_outcome(operation: Operation, outcome: &Outcome) -> Option<&'static Rule> {
    Some(match (operation, outcome) {
        (Operation::Permit, Outcome::Granted) => &CODE_ISSUED,
        (Operation::Issue, Outcome::Granted) => &CLIENT_TOKEN_ISSUED,
        (_, Outcome::GrantedAgain) => &CODE_REPEATED,
        (_, Outcome::Denied) => &DENIED,
        (_, Outcome::Taken) => &FORM_USED,
        (_, Outcome::Redeemed { .. }) => &REDEEMED,
        (_, Outcome::Replayed) => &REPLAYED,
        (_, Outcome::Burnt(mismatch)) => of_mismatch(*mismatch),
        (_, Outcome::Mismatch(_)) => &SPENT_AND_UNPROVEN,
        (_, Outcome::Rotated { .. }) => &ROTATED,
        (_, Outcome::Repeated { .. }) => &ROTATION_REPEATED,
        (_, Outcome::Reused) => &REUSED,
        (_, Outcome::TooWide { .. }) => &TOO_WIDE,
        (Operation::Redeem, Outcome::OtherClient) => &CODE_OF_ANOTHER,
        (Operation::Rotate, Outcome::OtherClient) => &REFRESH_OF_ANOTHER,
        (_, Outcome::OtherClient) => &REVOCATION_OF_ANOTHER,
        (_, Outcome::Lapsed(lapse)) => of_lapse(*lapse),
        (Operation::Redeem, Outcome::Expired) => &CODE_EXPIRED,
        (_, Outcome::Expired) => &REFRESH_EXPIRED,
        (Operation::Redeem, Outcome::Unknown) => &CODE_UNKNOWN,
        (Operation::Rotate, Outcome::Unknown) => &REFRESH_UNKNOWN,
        (_, Outcome::Unknown) => &NOTHING_TO_REVOKE,
        (_, Outcome::Active) => &TOKEN_VALID,
        (_, Outcome::OtherTarget { .. }) => &TARGET_NOT_GRANTED,
        (_, Outcome::OtherResource) => &TOKEN_FOR_ANOTHER,
        (_, Outcome::TooNarrow { .. }) => &TOKEN_TOO_NARROW,
        (Operation::Inspect, Outcome::Inactive) => &DESCRIBED_INACTIVE,
        (_, Outcome::Inactive) => &TOKEN_INVALID,
        (_, Outcome::Described(_)) => &DESCRIBED,
        (_, Outcome::Revoked) => &REVOKED,
        // No request asks for it.
        (_, Outcome::Withdrawn | Outcome::Granted) => return None,
    })
}

fn of_mismatch(mismatch: Mismatch) -> &'static Rule {
    match mismatch {
        Mismatch::RedirectUri => &OTHER_REDIRECT_URI,
        Mismatch::RedirectUriMissing => &REDIRECT_URI_LEFT_OUT,
        Mismatch::Verifier => &WRONG_VERIFIER,
        Mismatch::VerifierMissing => &VERIFIER_LEFT_OUT,
        Mismatch::VerifierUnasked => &VERIFIER_UNASKED,
    }
}

fn of_lapse(lapse: Lapse) -> &'static Rule {
    match lapse {
        Lapse::GrantType => &GRANT_TYPE_LAPSED,
        Lapse::Scope => &SCOPE_LAPSED,
        Lapse::RedirectUri => &REDIRECT_URI_LAPSED,
        Lapse::Resource => &RESOURCE_LAPSED,
    }
}

/// All rules of this file.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    ALL.iter().copied()
}

const ALL: &[&Rule] = &[
    &CODE_ISSUED,
    &CODE_REPEATED,
    &DENIED,
    &FORM_USED,
    &CLIENT_TOKEN_ISSUED,
    &REDEEMED,
    &REPLAYED,
    &OTHER_REDIRECT_URI,
    &REDIRECT_URI_LEFT_OUT,
    &WRONG_VERIFIER,
    &VERIFIER_LEFT_OUT,
    &VERIFIER_UNASKED,
    &SPENT_AND_UNPROVEN,
    &CODE_OF_ANOTHER,
    &CODE_EXPIRED,
    &CODE_UNKNOWN,
    &ROTATED,
    &ROTATION_REPEATED,
    &REUSED,
    &TOO_WIDE,
    &TARGET_NOT_GRANTED,
    &REFRESH_OF_ANOTHER,
    &REFRESH_EXPIRED,
    &REFRESH_UNKNOWN,
    &GRANT_TYPE_LAPSED,
    &SCOPE_LAPSED,
    &REDIRECT_URI_LAPSED,
    &RESOURCE_LAPSED,
    &TOKEN_VALID,
    &TOKEN_TOO_NARROW,
    &TOKEN_FOR_ANOTHER,
    &TOKEN_INVALID,
    &DESCRIBED,
    &DESCRIBED_INACTIVE,
    &REVOKED,
    &NOTHING_TO_REVOKE,
    &REVOCATION_OF_ANOTHER,
];

static CODE_ISSUED: Rule = grants!(
    "code issued",
    "The person said yes, the form is this server's own and was not answered before: a grant is stored, and its code \
     goes to the client's redirect URI.",
    "RFC 6749, 4.1.2",
    "oauth/grant/begin.rs",
    "None => (Change::Put(asked.grant(now)), Outcome::Granted)",
    "tests/it/oauth.rs::a_valid_request_gets_a_dialog_then_code_state_and_issuer",
);

static CODE_REPEATED: Rule = grants!(
    "same answer, same code",
    "The same form was sent again while its code is unspent: the browser gets the same redirect, and no second grant \
     is made.",
    "RFC 6749, 4.1.2",
    "oauth/grant/begin.rs",
    "if grant.awaits(&asked.code, now) => (Change::Keep, Outcome::GrantedAgain)",
    "tests/it/oauth.rs::a_repeated_answer_gets_the_same_redirect_until_redeemed",
);

static DENIED: Rule = grants!(
    "access denied",
    "The person said no. The client gets access_denied, and the same form cannot say yes afterwards.",
    "RFC 6749, 4.1.2.1",
    "oauth/grant/begin.rs",
    "(asked.kept_until.map_or(Change::Keep, |until| Change::Put(asked.mark(until))), Outcome::Denied)",
    "tests/it/grants.rs::a_form_works_once_whatever_became_of_its_answer",
);

static FORM_USED: Rule = refuses!(
    "form answered before",
    "A form is answered once. Its code is spent or expired, or its first answer was another one.",
    "RFC 6749, 10.12",
    "oauth/grant/begin.rs",
    "Some(_) => (Change::Keep, Outcome::Taken)",
    "tests/it/oauth.rs::an_answered_form_stays_answered_after_its_code_is_gone",
);

static CLIENT_TOKEN_ISSUED: Rule = grants!(
    "token for the client itself",
    "The client has proved who it is and may act for itself: it gets an access token, and no refresh token.",
    "RFC 6749, 4.4.3",
    "oauth/grant/begin.rs",
    "pub(super) fn issue(record: Option<&Grant>",
    "tests/it/oauth.rs::a_confidential_client_may_act_for_itself",
);

static REDEEMED: Rule = grants!(
    "code redeemed",
    "The code is this client's, unspent and not expired, and the redirect URI and the verifier match what it is bound \
     to. It is spent now, and buys tokens.",
    "RFC 6749, 4.1.3; RFC 7636, 4.6",
    "oauth/grant/redeem.rs",
    "(Change::Put(grant.with_state(State::Live(live))), Outcome::Redeemed { scope })",
    "tests/it/grants.rs::a_code_buys_tokens_and_the_tokens_work",
);

static REPLAYED: Rule = refuses!(
    "code replayed",
    "A code works once. It came a second time with every proof, so one of the two senders is a thief: the grant is \
     revoked with all its tokens.",
    "RFC 6749, 4.1.2",
    "oauth/grant/redeem.rs",
    "(CodeUse::Spent, Ok(_)) if now < grant.expires() => (grant.end(now), Outcome::Replayed)",
    "tests/it/grants.rs::a_second_valid_use_of_a_code_revokes_all_its_tokens",
);

static OTHER_REDIRECT_URI: Rule = refuses!(
    "another redirect URI",
    "The redirect_uri of the token request must be the one that the code was sent to, byte for byte. The code is \
     burnt: a guess costs it.",
    "RFC 6749, 4.1.3",
    "oauth/grant/redeem.rs",
    "(Some(uri), _) if *uri != *binding.redirect_uri => return Err(Mismatch::RedirectUri)",
    "tests/it/grants.rs::a_code_that_does_not_come_with_what_it_is_bound_to_is_burnt",
);

static REDIRECT_URI_LEFT_OUT: Rule = refuses!(
    "redirect URI left out",
    "The authorization request named a redirect_uri and has no code_challenge, so the token request must repeat the \
     redirect_uri.",
    "RFC 6749, 4.1.3",
    "oauth/grant/redeem.rs",
    "(None, None) if binding.names_redirect => return Err(Mismatch::RedirectUriMissing)",
    "tests/it/grants.rs::a_code_without_a_challenge_is_bound_to_its_redirect_uri",
);

static WRONG_VERIFIER: Rule = refuses!(
    "verifier does not match",
    "The S256 digest of the code_verifier must be the code_challenge of the authorization request. The code is burnt: \
     the sender has the code and not the verifier.",
    "RFC 7636, 4.6",
    "oauth/grant/redeem.rs",
    "(Some(_), Some(_)) => Err(Mismatch::Verifier)",
    "tests/it/oauth.rs::a_code_is_bound_to_its_client_redirect_uri_and_verifier",
);

static VERIFIER_LEFT_OUT: Rule = refuses!(
    "verifier left out",
    "The authorization request had a code_challenge, so the token request must have the code_verifier. The code is \
     burnt.",
    "RFC 7636, 4.5",
    "oauth/grant/redeem.rs",
    "(Some(_), None) => Err(Mismatch::VerifierMissing)",
    "tests/it/grants.rs::a_code_that_does_not_come_with_what_it_is_bound_to_is_burnt",
);

static VERIFIER_UNASKED: Rule = refuses!(
    "verifier without a challenge",
    "The token request has a code_verifier, but the authorization request had no code_challenge: somebody may have \
     taken it out on the way (PKCE downgrade).",
    "RFC 9700, 4.8.2",
    "oauth/grant/redeem.rs",
    "(None, Some(_)) => Err(Mismatch::VerifierUnasked)",
    "tests/it/grants.rs::a_code_without_a_challenge_refuses_a_verifier",
);

static SPENT_AND_UNPROVEN: Rule = refuses!(
    "spent code without its proofs",
    "The code was used before, and its proofs are wrong: the sender has the code and nothing else. Nothing is revoked, \
     or a thief could end the session of its owner.",
    "OAuth 2.1, 7.5.2",
    "oauth/grant/redeem.rs",
    "(CodeUse::Spent, Err(mismatch)) => (Change::Keep, Outcome::Mismatch(mismatch))",
    "tests/it/grants.rs::a_second_invalid_use_of_a_code_ends_nothing",
);

static CODE_OF_ANOTHER: Rule = refuses!(
    "another client's code",
    "A code is bound to the client that asked for it. Nothing changes: that client can still redeem it.",
    "RFC 6749, 4.1.3",
    "oauth/grant/redeem.rs",
    "if grant.client != asked.client.id {",
    "tests/it/grants.rs::another_client_changes_nothing",
);

static CODE_EXPIRED: Rule = refuses!(
    "code expired",
    "A code is valid for a short time, at most ten minutes.",
    "RFC 6749, 4.1.2",
    "oauth/grant/redeem.rs",
    "(CodeUse::Unspent, _) if now >= code.expires => (grant.end(now), Outcome::Expired)",
    "tests/it/grants.rs::a_code_works_until_the_last_millisecond_of_its_minute",
);

static CODE_UNKNOWN: Rule = refuses!(
    "unknown code",
    "There is no grant with this code: it was never issued, or was burnt or forgotten. A sender that knows only \
     the grant's name changes nothing.",
    "RFC 6749, 5.2",
    "oauth/grant/redeem.rs",
    "return (Change::Keep, Outcome::Unknown);",
    "tests/it/grants.rs::a_wrong_code_changes_nothing",
);

static ROTATED: Rule = grants!(
    "refresh token rotated",
    "The refresh token is the current one of its grant and this client's: its successor and a new access token are \
     issued.",
    "RFC 6749, 6; RFC 9700, 4.14.2",
    "oauth/grant/rotate.rs",
    "(change, Outcome::Rotated { family, scope: access.scope.clone() })",
    "tests/it/grants.rs::a_refresh_token_is_rotated_at_every_use",
);

static ROTATION_REPEATED: Rule = grants!(
    "rotation repeated",
    "The previous refresh token came again within the grace time, or its answer was lost: the same successor is issued \
     again, so that a retry ends no session.",
    "RFC 9700, 4.14.2",
    "oauth/grant/rotate.rs",
    "if now < self.rotated.after(asked.lifetimes.refresh_grace) {",
    "tests/it/grants.rs::every_retry_within_the_grace_gets_the_same_successor",
);

static REUSED: Rule = refuses!(
    "refresh token reused",
    "A refresh token works once. This one was replaced before, so the client or a thief has an old copy: the grant is \
     revoked with all its tokens.",
    "RFC 9700, 4.14.2",
    "oauth/grant/rotate.rs",
    "None => return (grant.end(now), Outcome::Reused)",
    "tests/it/grants.rs::reuse_after_the_grace_window_revokes_the_grant",
);

static TOO_WIDE: Rule = refuses!(
    "scope widened at a refresh",
    "A refresh may ask for less than was granted, never for more. The refresh token is not spent.",
    "RFC 6749, 6",
    "oauth/grant/rotate.rs",
    "if let Some(name) = scope.first_beyond(&permitted)",
    "tests/it/grants.rs::scope_may_narrow_for_one_access_token_and_never_widens",
);

static TARGET_NOT_GRANTED: Rule = refuses!(
    "resource not granted",
    "A token request may name the resources that were granted, or fewer. The code or refresh token is not spent.",
    "RFC 8707, 2.2",
    "oauth/grant/target.rs",
    "return Err(Outcome::OtherTarget",
    "tests/it/resources.rs::a_token_is_for_resources_that_were_granted",
);

static REFRESH_OF_ANOTHER: Rule = refuses!(
    "another client's refresh token",
    "A refresh token is bound to the client that it was issued to. Nothing changes.",
    "RFC 6749, 6",
    "oauth/grant/rotate.rs",
    "if grant.client != asked.client.id {",
    "tests/it/grants.rs::another_client_changes_nothing",
);

static REFRESH_EXPIRED: Rule = refuses!(
    "refresh token expired",
    "A refresh token expires when it is not used for some time, and after a longer time in any case.",
    "RFC 9700, 4.14.2",
    "oauth/grant/rotate.rs",
    "if now >= refresh.ends() {",
    "tests/it/grants.rs::a_refresh_token_has_an_idle_and_an_absolute_lifetime",
);

static REFRESH_UNKNOWN: Rule = refuses!(
    "unknown refresh token",
    "No grant has or had this refresh token. One that was made up revokes nothing.",
    "RFC 6749, 5.2",
    "oauth/grant/rotate.rs",
    "if matches!(standing, Standing::Foreign) {",
    "tests/it/grants.rs::a_refresh_token_that_was_made_up_revokes_nothing",
);

static GRANT_TYPE_LAPSED: Rule = refuses!(
    "grant type withdrawn",
    "The client is no longer registered for this grant type, so its old grants give nothing either.",
    "RFC 6749, 5.2",
    "oauth/grant/registration.rs",
    "return Err(Lapse::GrantType);",
    "tests/it/grants.rs::the_clients_present_registration_bounds_its_old_grants",
);

static SCOPE_LAPSED: Rule = refuses!(
    "scopes withdrawn",
    "The client is no longer registered for any scope of the grant.",
    "RFC 6749, 5.2",
    "oauth/grant/registration.rs",
    "{ Err(Lapse::Scope) }",
    "tests/it/grants.rs::the_clients_present_registration_bounds_its_old_grants",
);

static REDIRECT_URI_LAPSED: Rule = refuses!(
    "redirect URI withdrawn",
    "The redirect URI that the code was sent to is no longer registered.",
    "RFC 6749, 5.2",
    "oauth/grant/registration.rs",
    "Err(Lapse::RedirectUri)",
    "tests/it/grants.rs::the_clients_present_registration_bounds_its_old_grants",
);

static RESOURCE_LAPSED: Rule = refuses!(
    "resources withdrawn",
    "No resource of the grant is configured any more, so a token would open nothing.",
    "RFC 8707, 2",
    "oauth/grant/target.rs",
    "{ Err(Lapse::Resource) }",
    "tests/it/resources.rs::a_resource_that_is_removed_ends_its_tokens",
);

static TOKEN_VALID: Rule = grants!(
    "access token valid",
    "The token belongs to a live grant of a registered client, has not expired, and has the scope that the resource \
     requires.",
    "RFC 6750, 2.1",
    "oauth/grant/look.rs",
    "if resource.scope.is_within(&scope) {",
    "tests/it/grants.rs::a_code_buys_tokens_and_the_tokens_work",
);

static TOKEN_TOO_NARROW: Rule = refuses!(
    "scope too narrow",
    "The token is valid, but lacks the scope that the resource requires.",
    "RFC 6750, 3.1",
    "oauth/grant/look.rs",
    "Err(Outcome::TooNarrow { scope: scope.into_owned() })",
    "tests/it/oauth.rs::a_refresh_may_narrow_the_scope_of_its_access_token_only",
);

static TOKEN_FOR_ANOTHER: Rule = refuses!(
    "token for another resource",
    "The token is valid, but was not issued for this resource: somebody may have passed it on.",
    "RFC 8707, 3; RFC 9700, 2.3",
    "oauth/grant/look.rs",
    "return Err(Outcome::OtherResource);",
    "tests/it/resources.rs::a_token_for_one_resource_does_not_open_another",
);

static TOKEN_INVALID: Rule = refuses!(
    "access token invalid",
    "The token is unknown, expired or revoked, or its client may no longer use it.",
    "RFC 6750, 3.1",
    "oauth/grant/look.rs",
    "let Some(token) = live.find(presented, now) else { return Err(Outcome::Inactive) };",
    "tests/it/grants.rs::a_token_ends_with_its_lifetime",
);

static DESCRIBED: Rule = grants!(
    "token described",
    "The client may ask about the token, and the token is valid.",
    "RFC 7662, 2.2",
    "oauth/grant/look.rs",
    "Outcome::Described(Box::new(Description",
    "tests/it/grants.rs::a_client_may_introspect_its_own_a_resource_server_any_token",
);

static DESCRIBED_INACTIVE: Rule = grants!(
    "token inactive",
    "The token is invalid, or the client may not ask about it. Both have the same answer, so that no client learns of \
     others' tokens.",
    "RFC 7662, 2.2",
    "oauth/grant/look.rs",
    "let Some(grant) = record.filter(may_ask) else { return Outcome::Inactive };",
    "tests/it/oauth.rs::introspection_describes_valid_tokens_and_no_others",
);

static REVOKED: Rule = grants!(
    "token revoked",
    "The token is this client's. Revoking an access token ends only that token; revoking a refresh token ends its \
     grant.",
    "RFC 7009, 2.1",
    "oauth/grant/revoke.rs",
    "(_, true) => (grant.end(now), Outcome::Revoked)",
    "tests/it/grants.rs::revoking_a_refresh_token_ends_the_grant_an_access_token_not",
);

static NOTHING_TO_REVOKE: Rule = grants!(
    "nothing to revoke",
    "The token is unknown or ended before. The answer is the same as for one that is revoked now.",
    "RFC 7009, 2.2",
    "oauth/grant/revoke.rs",
    "(false, false) => (Change::Keep, Outcome::Unknown)",
    "tests/it/oauth.rs::revocation_of_any_token_answers_200_with_an_empty_object",
);

static REVOCATION_OF_ANOTHER: Rule = refuses!(
    "another client's token",
    "A client revokes its own tokens only. The answer does not say so.",
    "RFC 7009, 2.1",
    "oauth/grant/revoke.rs",
    "_ if client.as_ref() != Some(&grant.client) => (Change::Keep, Outcome::OtherClient)",
    "tests/it/grants.rs::another_client_changes_nothing",
);
