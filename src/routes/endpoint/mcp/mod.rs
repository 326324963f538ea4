//! `POST /mcp`: a server of the Model Context Protocol, for the demo. It has two tools, and protects them as an MCP
//! server should (MCP 2026-07-28, Authorization).
//!
//! ```text
//!   POST /mcp {"method":"tools/call","params":{"name":"answer"}}    401  here is where to get a token
//!   the same, with a token that has the scope answer                200  42
//!   POST /mcp {…"name":"question"}, with the same token             403  ask for answer and question
//! ```
//!
//! The transport is Streamable HTTP: each message is a POST, and each response is one JSON object. There are no streams
//! and no sessions, so GET and DELETE are 405. `message.rs` reads messages, `version.rs` says which version of MCP they
//! are in, `answer.rs` answers, and `server.rs` holds what a token must have.
//!
//! The token is checked before anything of the message is answered, and even before it is refused: without a token,
//! nothing here is of use. Tokens are accepted only after `Bearer`; the article's bare ones are for `/secure`.

mod answer;
mod message;
pub(crate) mod server;
mod version;

use std::sync::Arc;

use crate::http::{FieldLines, FieldValue, Request, Response, Status};
use crate::oauth::{Outcome, Transition};
use crate::routes::reply::error_response::error_text;
use crate::routes::reply::json;
use crate::routes::reply::message_page::Notice;
use crate::routes::reply::unavailable::unavailable;
use crate::routes::request::bearer::{Scheme, split};
use crate::routes::site::Role;
use crate::routes::step::{Context, Step};
use crate::store::Applied;
use answer::{RpcResponse, Tool};
use message::Message;
pub(crate) use server::PATH;

/// Reads the message and its token, and has the token checked for what the message asks for.
pub(crate) fn post(context: &Context) -> Step {
    let routes = context.routes;
    let Some(server) = &routes.mcp else {
        return Step::Done(routes.pages.notice(
            Role::AuthorizationServer,
            Status::NotFound,
            Notice::NothingHere,
        ));
    };
    if is_rebound(context) {
        return Step::Done(refuse_other_name());
    }
    let credential = match token(context.request) {
        Ok(token) => routes.profile.parse(token),
        Err(reason) => return Step::Done(refuse(Status::Unauthorized, NO_TOKEN, &server.no_token, reason)),
    };
    let Some(credential) = credential else {
        return Step::Done(refuse(
            Status::Unauthorized,
            BAD_TOKEN,
            &server.bad_token,
            "malformed access token",
        ));
    };
    let read = read(context.request);
    let is_wide = read.as_ref().is_ok_and(|message| Tool::of(message) == Some(Tool::Question));
    let required = if is_wide { &server.wide } else { &server.basic };
    context.ask(Transition::check(&credential, Arc::clone(&required.resource)), move |context, applied| {
        Step::Done(respond(context, read, is_wide, applied))
    })
}

/// The response to a message, once its token is checked.
fn respond(context: &Context, read: Result<Message, RpcResponse>, is_wide: bool, outcome: Applied) -> Response {
    // There was a server when the request began, and this is the same configuration.
    let Some(server) = &context.routes.mcp else { return json::response(Status::NotFound, "{}") };
    match outcome {
        Ok(Outcome::Active) => {}
        Ok(Outcome::Inactive) => {
            let reason = "the token is unknown, expired or revoked, or its client may no longer use it";
            return refuse(Status::Unauthorized, BAD_TOKEN, &server.bad_token, reason);
        }
        Ok(Outcome::OtherResource) => {
            let reason = "the token is for another resource";
            return refuse(Status::Unauthorized, BAD_TOKEN, &server.bad_token, reason);
        }
        Ok(Outcome::TooNarrow { .. }) => {
            let required = if is_wide { &server.wide } else { &server.basic };
            let reason = "the token does not have the scope that the endpoint needs";
            return refuse(Status::Forbidden, TOO_NARROW, &required.too_narrow, reason);
        }
        outcome => return unavailable(&outcome, "the server cannot check tokens at the moment; try again"),
    }
    let answer = read.and_then(|message| match version::check(context.request, &message) {
        Ok(era) => Ok(RpcResponse::to(&message, era)),
        Err(wrong) => Err(RpcResponse::to_wrong_version(message.id.as_ref(), wrong)),
    });
    let RpcResponse { status, text, reason } = answer.unwrap_or_else(|error| error);
    let response = match text {
        Some(text) => json::response(status, text),
        None => Response::new(status, FieldLines::literal("Cache-Control: no-store\r\n")),
    };
    match reason {
        Some(reason) => response.because(reason),
        None => response,
    }
}

/// The message of a request, or the error for it.
fn read(request: &Request) -> Result<Message, RpcResponse> {
    let content_type = request.field("content-type").ok().flatten().unwrap_or_default();
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    if !content_type[..end].trim_ascii().eq_ignore_ascii_case(b"application/json") {
        return Err(RpcResponse::to_other_type());
    }
    Message::read(request.body()).map_err(RpcResponse::to_unreadable)
}

/// The token after `Bearer`, or why there is none.
fn token<'a>(request: &Request<'a>) -> Result<&'a [u8], &'static str> {
    match request.field("authorization").map_err(|_| "more than one Authorization")?.map(split) {
        Some((Scheme::Bearer, token)) => Ok(token),
        Some((Scheme::Bare, _)) => Err("the scheme of Authorization is not Bearer"),
        None => Err("no Authorization"),
    }
}

/// Whether a browser sends the request under a name that is not this server's: a page of that name, which had the
/// browser look up the name again and find this machine (DNS rebinding).
///
/// Pages of other origins that use this server's own name are welcome: their tokens are not the browser's to add.
fn is_rebound(context: &Context) -> bool {
    match context.request.field("origin") {
        Ok(None) => false,
        Ok(Some(_)) => !context.routes.site.is_own_host(context.request.authority_bytes()),
        Err(_) => true,
    }
}

fn refuse_other_name() -> Response {
    const REASON: &str = "a page sends this under a name that is not this server's";
    const TEXT: &str = r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"the Host is not this server's"}}"#;
    json::response(Status::Forbidden, TEXT).because(REASON)
}

const NO_TOKEN: &str = r#"{"message":"Unauthorized"}"#;
const BAD_TOKEN: &str =
    error_text!("Unauthorized", "invalid_token", "the access token is wrong or has expired");
const TOO_NARROW: &str = error_text!("Unauthorized", "insufficient_scope", "the access token lacks a scope");

fn refuse(status: Status, text: &'static str, challenge: &FieldValue, reason: &'static str) -> Response {
    json::response(status, text).with("WWW-Authenticate", challenge.clone()).because(reason)
}
