//! `GET /healthz` and `GET /readyz`: for programs that start, watch and replace servers.
//!
//! The first says that the process answers. The second says that it can do its work: that its store answers, too. It
//! asks for a grant that does not exist, with a new random name each time, so that each node of a cluster is asked in
//! turn.

use super::{Continuation, NO_RANDOMNESS, RETRY_AFTER, Reply, Routes, json, why_unavailable};
use crate::http::{FieldValue, Response, Status};
use crate::oauth::{Credential, Transition};
use crate::store::Applied;

/// The process is alive.
pub(super) fn alive() -> Response {
    json::answer(Status::Ok, r#"{"status":"ok"}"#)
}

/// Asks the store for a grant that does not exist.
pub(super) fn ask(routes: &Routes) -> Reply {
    match routes.random().map(Credential::of_new_grant) {
        Some(token) => Reply::After(Transition::check(&token, routes.secure.resource()), Continuation::Ready),
        None => Reply::Now(unavailable(NO_RANDOMNESS, RETRY_AFTER)),
    }
}

/// Whether the store has answered, whatever it said.
pub(super) fn answer(applied: Applied) -> Response {
    match applied {
        Ok(_) => alive(),
        Err(_) => {
            let (reason, retry_after) = why_unavailable(&applied);
            unavailable(reason, retry_after)
        }
    }
}

fn unavailable(reason: &'static str, retry_after: FieldValue) -> Response {
    let text = serde_json::json!({ "status": "unavailable", "reason": reason }).to_string();
    json::answer(Status::ServiceUnavailable, text).with("Retry-After", retry_after).because(reason)
}
