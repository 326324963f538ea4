//! `GET /healthz` and `GET /readyz`: for programs that start, watch and replace servers.
//!
//! The first reports that the process answers (liveness), the second that its store does, too (readiness). It looks up
//! a grant that does not exist, under a new random name each time, so that over time every node of a cluster is asked.

use std::sync::Arc;

use crate::http::{FieldValue, Response, Status};
use crate::json::Object;
use crate::oauth::{Credential, Transition};
use crate::routes::reply::error_response::RETRY_AFTER;
use crate::routes::reply::json;
use crate::routes::reply::unavailable::{NO_RANDOMNESS, why_unavailable};
use crate::routes::step::{Context, Step};

/// `/healthz`.
pub(crate) fn alive(_: &Context) -> Step {
    Step::Done(ok())
}

/// `/readyz`. Any outcome will do: what counts is that there is one.
pub(crate) fn ready(context: &Context) -> Step {
    let Some(token) = context.routes.random().map(Credential::of_new_grant) else {
        return Step::Done(unavailable(NO_RANDOMNESS, RETRY_AFTER));
    };
    context.ask(Transition::check(&token, Arc::clone(&context.routes.resource)), |_, applied| {
        Step::Done(match applied {
            Ok(_) => ok(),
            Err(_) => {
                let (reason, retry_after) = why_unavailable(&applied);
                unavailable(reason, retry_after)
            }
        })
    })
}

fn ok() -> Response {
    json::response(Status::Ok, r#"{"status":"ok"}"#)
}

fn unavailable(reason: &'static str, retry_after: FieldValue) -> Response {
    let text = Object::default().text("reason", reason).text("status", "unavailable").finish();
    json::response(Status::ServiceUnavailable, text).with("Retry-After", retry_after).because(reason)
}
