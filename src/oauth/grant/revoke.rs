//! Revokes a token, or a grant with all its tokens, at the request of its client (RFC 7009).

use super::super::timestamp::Timestamp;
use super::outcome::Outcome;
use super::presented::Presented;
use super::state::{Change, Grant, Standing, State};

/// Revokes a token at the request of its client (RFC 7009, 2.1): only that token if it is an access token, the whole
/// grant if it is a refresh token.
pub(super) fn revoke(record: Option<&Grant>, presented: &Presented, now: Timestamp) -> (Change, Outcome) {
    let Presented { access, refresh, client } = presented;
    let Some((grant, live)) = record.and_then(|grant| match &grant.state {
        State::Live(live) => Some((grant, live)),
        _ => None,
    }) else {
        return (Change::Keep, Outcome::Unknown);
    };
    let is_access = live.tokens.iter().any(|token| token.digest.matches(access));
    let is_refresh =
        live.refresh.as_ref().is_some_and(|own| !matches!(own.standing(refresh), Standing::Foreign));
    match (is_access, is_refresh) {
        (false, false) => (Change::Keep, Outcome::Unknown),
        _ if client.as_ref() != Some(&grant.client) => (Change::Keep, Outcome::OtherClient),
        (_, true) => (grant.end(now), Outcome::Revoked),
        (true, false) => {
            let mut live = live.clone();
            live.tokens.remove(access);
            let change = if live.tokens.is_empty() && live.refresh.is_none() {
                grant.end(now)
            } else {
                Change::Put(grant.with_state(State::Live(live)))
            };
            (change, Outcome::Revoked)
        }
    }
}
