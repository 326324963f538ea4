//! `GET /rules` and `POST /rules/switch` on the attacker's site: which defences are on, and the switch for each
//! (only with `--lab`).
//!
//! The first says which rules the server applies now, as JSON. The second takes a form, `rule=NAME&on=true` or
//! `on=false`, switches one, and is answered at once; the first shows when it has taken effect. Only the lab's own page
//! may switch: a page of another site that could would turn the defences of a running server off.

use crate::http::form::Form;
use crate::http::{Response, Status};
use crate::routes::endpoint::asset::serve;
use crate::routes::reply::assets::Asset;
use crate::routes::reply::error_response::{INVALID_REQUEST, error};
use crate::routes::reply::json;
use crate::routes::route::{Errors, Route, page, post};
use crate::routes::site::Role;
use crate::routes::step::{Context, Step};

/// The rows of the table for the attacker's site.
pub(crate) const ROWS: &[Route] = &[
    page(Role::Lab, "/", |context| serve(context, Asset::Lab)),
    page(Role::Lab, "/index.html", |context| serve(context, Asset::Lab)),
    page(Role::Lab, "/lab.js", |context| serve(context, Asset::LabScript)),
    page(Role::Lab, "/attacks.js", |context| serve(context, Asset::LabAttacks)),
    page(Role::Lab, "/shop.html", |context| serve(context, Asset::LabShop)),
    page(Role::Lab, "/shop-callback.html", |context| serve(context, Asset::LabShop)),
    page(Role::Lab, "/shop-account.html", |context| serve(context, Asset::LabShop)),
    page(Role::Lab, "/shop.js", |context| serve(context, Asset::LabShopScript)),
    page(Role::Lab, "/style.css", |context| serve(context, Asset::Style)),
    page(Role::Lab, "/icon.svg", |context| serve(context, Asset::Icon)),
    Route { errors: Errors::Json, ..page(Role::Lab, "/rules", show) },
    Route { role: Role::Lab, ..post("/rules/switch", None, switch) },
];

/// Every defence by its name, and whether it is on.
pub(crate) fn show(context: &Context) -> Step {
    let mut profile = context.routes.profile;
    let members = profile.defences().map(|(name, holds)| (name.to_owned(), (*holds).into()));
    let members: serde_json::Map<_, _> = members.into_iter().collect();
    Step::Done(json::response(Status::Ok, serde_json::Value::Object(members).to_string()))
}

/// Switches one.
pub(crate) fn switch(context: &Context) -> Step {
    let Some(lab) = &context.routes.lab else { return Step::Done(refuse(Status::NotFound, "there is no lab")) };
    if !is_own_page(context) {
        return Step::Done(refuse(Status::Forbidden, "only the page of the lab can switch a rule"));
    }
    let form = Form::parse(context.request.body());
    let is_on = match form.value("on") {
        Ok(Some("true")) => true,
        Ok(Some("false")) => false,
        _ => return Step::Done(refuse(Status::BadRequest, "on is neither true nor false")),
    };
    let rule = form.value("rule").ok().flatten().unwrap_or_default();
    if lab.switch(rule, is_on) {
        Step::Done(json::response(Status::Ok, "{}"))
    } else {
        Step::Done(refuse(Status::BadRequest, "there is no rule of this name"))
    }
}

/// Whether the lab's page sent the request, or no page at all. The Host is compared too: under a foreign name that
/// points at this machine, the other fields agree with each other (DNS rebinding).
pub(crate) fn is_own_page(context: &Context) -> bool {
    let (site, request) = (&context.routes.site, context.request);
    let (Ok(fetch_site), Ok(origin)) = (request.field("sec-fetch-site"), request.field("origin")) else {
        return false;
    };
    let is_same = fetch_site.is_none_or(|fetch_site| fetch_site == b"same-origin");
    site.is_lab_host(request.authority()) && is_same && origin.is_none_or(|origin| site.is_lab_origin(origin))
}

/// An error of the lab's own endpoints.
pub(crate) fn refuse(status: Status, reason: &'static str) -> Response {
    error(status, reason, INVALID_REQUEST, reason).because(reason)
}
