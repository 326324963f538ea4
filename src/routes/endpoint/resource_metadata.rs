//! `GET /.well-known/oauth-protected-resource` and the paths below it: what a client needs to know of a protected
//! resource, as JSON (RFC 9728): its name, its scopes, and this server as the one to ask for tokens.
//!
//! A client that was refused by a resource at `https://HOST/PATH` asks `https://HOST` for
//! `/.well-known/oauth-protected-resource/PATH` (3.1). So this server answers for the resources on its own origin. A
//! path for which there is no document is a plain 404, as everywhere below `/.well-known/`: clients probe.

use crate::http::{Body, Response, Status};
use crate::routes::endpoint::metadata::document_lines;
use crate::routes::step::{Context, Step};

/// Sends the document at the path of the request.
pub(crate) fn show(context: &Context) -> Step {
    let found = context.routes.resource_documents.find(context.request.path_bytes());
    // Never `None`: without a document there is no route that leads here (`Routes::find`).
    let body = found.map_or(Body::Own(b"{}".into()), |document| Body::Shared(document.clone()));
    Step::Done(Response::new(Status::Ok, document_lines(&context.routes.site)).with_body(body))
}
