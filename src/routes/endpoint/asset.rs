//! The pages, scripts and pictures of both servers, each at a path of its own.

use crate::routes::reply::assets::Asset;
use crate::routes::step::{Context, Step};

/// Sends `asset`, or that the client has it already.
pub(crate) fn serve(context: &Context, asset: Asset) -> Step {
    Step::Done(context.routes.pages.serve(asset, context.request))
}
