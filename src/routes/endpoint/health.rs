//! `GET /healthz` and `GET /readyz`: for programs that start, watch and replace servers.
//!
//! The first says that the process answers. The second says that it can do its work: that its store answers, too. It
//! asks for a grant that does not exist, with a new random name each time, so that each node of a cluster is asked in
//! turn.

use std::sync::Arc;

use crate::http::message::{FieldValue, Response, Status};
use crate::oauth::{Credential, Transition};
use crate::routes::reply::error_response::RETRY_AFTER;
use crate::routes::reply::json;
use crate::routes::reply::unavailable::{NO_RANDOMNESS, why_unavailable};
use crate::routes::step::{Context, Step};

/// `/healthz`: the process is alive.
pub(crate) fn alive(_: &Context) -> Step {
    Step::Done(ok())
}

/// `/readyz`: whether the store answers, whatever it says.
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
    let text = serde_json::json!({ "status": "unavailable", "reason": reason }).to_string();
    json::response(Status::ServiceUnavailable, text).with("Retry-After", retry_after).because(reason)
}
