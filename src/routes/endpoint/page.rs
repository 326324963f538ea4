//! The pages, scripts and pictures of both servers, each at a path of its own.

use crate::routes::reply::pages::File;
use crate::routes::step::{Context, Step};

/// Sends `file`, or that the client has it already.
pub(crate) fn serve(context: &Context, file: File) -> Step {
    Step::Done(context.routes.pages.serve(file, context.request))
}
