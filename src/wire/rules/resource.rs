//! The rules of the protected resource, of HTTP, and of a server that cannot answer at the moment.

use crate::wire::rule::{Rule, grants, reason, refuses};

/// A preflight, which a browser sends before a script's request to another origin.
pub static PREFLIGHT: Rule = grants!(
    "preflight answered",
    "A script of any origin may send this request, without the browser's cookies. The browser asks before it sends it.",
    "Fetch, CORS preflight",
    "routes/mod.rs",
    "Step::Done(cors::preflight(policy, route.allow))",
    "tests/it/contract.rs::preflights_are_answered_for_any_origin_without_credentials",
);

/// For a message that is refused for a reason without a rule of its own: the codec has many, and one rule.
pub(super) static UNKNOWN: Rule = refuses!(
    "message not served",
    "The message is not valid HTTP/1.1, too long, too slow, or of a kind that this server does not serve. Nothing \
     after it on this connection is read as a request.",
    "RFC 9112, 2.2; RFC 9110, 15.5",
    "http/connection.rs",
    "Event::Refused(refusal, self.request(0).filter(|request| request.head.has_target))",
    "tests/it/http.rs::malformed_lines_are_refused",
);

/// What is refused at the resource and by HTTP, by its reason.
pub(super) const REFUSALS: &[Rule] = &[
    reason!(
        "no Authorization",
        "no access token",
        "The resource is for those who have an access token. The answer says how to present one.",
        "RFC 6750, 3",
        "routes/endpoint/secure.rs",
        "Step::Done(refuse_without_token(routes, \"no Authorization\"))",
        "tests/it/refusals.rs::no_token_or_a_wrong_one_gets_no_answer",
    ),
    reason!(
        "the scheme of Authorization is not Bearer",
        "Bearer only",
        "An access token is presented with the Bearer scheme.",
        "RFC 6750, 2.1",
        "routes/endpoint/secure.rs",
        "if scheme == Scheme::Bare && !routes.profile.bare_tokens {",
        "tests/it/refusals.rs::without_the_demo_secure_takes_only_bearer_tokens",
    ),
    reason!(
        "there is no valid token after Bearer in Authorization (RFC 6750, 2.1)",
        "Bearer malformed",
        "After Bearer there must be one token of the allowed characters.",
        "RFC 6750, 2.1",
        "routes/endpoint/secure.rs",
        "Scheme::Bearer if !is_token68(token) => {",
        "tests/it/refusals.rs::no_token_or_a_wrong_one_gets_no_answer",
    ),
    reason!(
        "malformed access token",
        "access token malformed",
        "This server never issued a token of this form.",
        "RFC 6750, 3.1",
        "routes/endpoint/secure.rs",
        "_ => refuse(routes, scheme, \"malformed access token\")",
        "tests/it/refusals.rs::no_token_or_a_wrong_one_gets_no_answer",
    ),
    reason!(
        "the endpoint does not support this method",
        "another method",
        "The endpoint exists, but not for this method. Allow says for which.",
        "RFC 9110, 15.5.6",
        "routes/mod.rs",
        "let step = if !route.methods.contains(&method) {",
        "tests/it/contract.rs::an_answer_to_head_has_the_fields_of_the_answer_to_get",
    ),
    reason!(
        "the store is full",
        "store full",
        "The store has as many grants as it may have. There is room when one expires.",
        "RFC 9110, 15.6.4",
        "store/contract.rs",
        "StoreError::Full { .. } => \"the store is full\"",
        "tests/it/flow.rs::a_full_store_says_when_to_retry_and_has_room_then",
    ),
    reason!(
        "too many requests wait for the store",
        "store busy",
        "More requests wait for the store than may wait.",
        "RFC 9110, 15.6.4",
        "store/contract.rs",
        "StoreError::Busy => ",
        "src/store/queue.rs::a_full_queue_says_so_and_so_does_one_that_is_closed",
    ),
    reason!(
        "the store is unavailable",
        "store unavailable",
        "The store cannot store, so nothing is promised.",
        "RFC 9110, 15.6.4",
        "store/contract.rs",
        "StoreError::Unavailable => ",
        "tests/it/simulation.rs::a_store_that_fails_or_falls_silent_leaves_nobody_waiting",
    ),
    reason!(
        "the store did not answer in time",
        "store too slow",
        "The store did not answer in time. What it applies now is withdrawn.",
        "RFC 9110, 15.6.4",
        "store/contract.rs",
        "StoreError::TimedOut => ",
        "tests/it/simulation.rs::a_store_that_fails_or_falls_silent_leaves_nobody_waiting",
    ),
    reason!(
        "the store has a damaged record",
        "record damaged",
        "The record of the grant cannot be read, so nothing is decided by it.",
        "RFC 9110, 15.6.4",
        "store/contract.rs",
        "StoreError::Damaged => ",
        "tests/it/grants.rs::a_record_is_read_whole_or_not_at_all",
    ),
    reason!(
        "the random number generator failed",
        "no randomness",
        "Without random bytes no secret is made.",
        "RFC 6749, 10.10",
        "routes/reply/unavailable.rs",
        "NO_RANDOMNESS: &str = ",
        "tests/it/flow.rs::without_random_numbers_nothing_is_handed_out",
    ),
    reason!(
        "the server failed to answer this request",
        "fault in the server",
        "An endpoint panicked, which is a bug in this program. Please report it with these bytes.",
        "RFC 9110, 15.6.1",
        "net/turn.rs",
        "let step = step.unwrap_or_else(|_| Step::Done(self.panicked(role, request)));",
        "tests/it/slow_work.rs::a_job_that_panics_is_answered_500_and_the_next_one_is_done",
    ),
];
