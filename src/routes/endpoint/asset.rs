//! The fixed pages, scripts and pictures of both servers. The table of paths says which is where.

use crate::routes::reply::assets::Asset;
use crate::routes::step::{Context, Step};

/// Sends `asset`, or 304 if the browser has it already.
pub(crate) fn serve(context: &Context, asset: Asset) -> Step {
    Step::Done(context.routes.pages.serve(asset, context.request))
}
