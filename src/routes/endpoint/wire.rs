//! `/wire`, `/wire/events` and `/wire/send`: the wire view's page, what it shows, and a request that is sent again.
//!
//! The events are server-sent events (HTML, 9.2): first `hello`, with what the page has to know of this server; then
//! one message for each exchange, from the oldest that is kept. A browser that has lost its connection says which was
//! its last, and gets those after it. A page that has given its connection up says the same in the query (`after`).
//!
//! What is shown has secrets in it, and what is sent is trusted like a person at a command line. So all three are
//! only for this server's own pages: the Host must be loopback, since another name that points at this machine would
//! pass every other check, and a browser must not say that another site asks. Without a wire view, all of it is 404.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{FieldLines, Request, Response, Status};
use crate::oauth::origin::Authority;
use crate::oauth::redirect::is_loopback_host;
use crate::peer::Peer;
use crate::pool::Owner;
use crate::routes::reply::assets::Asset;
use crate::routes::reply::error_response::ErrorResponse;
use crate::routes::reply::json;
use crate::routes::reply::message_page::Notice;
use crate::routes::route::{Feature, Route, page, post};
use crate::routes::shared::{Routes, Sends};
use crate::routes::site::Role;
use crate::routes::step::{Context, Job, Step};
use crate::routes::stream::{Content, Next, SILENCE_MAX, Source};
use crate::wire::{Exchange, Server, Watch, Wire, send};

/// The row of one file of the wire view.
macro_rules! wire_file {
    ($role:ident, $path:literal, $asset:ident) => {
        of_wire(page(Role::$role, $path, |context| serve(context, Role::$role, Asset::$asset)))
    };
}

/// The rows of the wire view.
macro_rules! wire_rows {
    ($role:ident) => {
        &[
            wire_file!($role, "/wire", Wire),
            wire_file!($role, "/wire.css", WireStyle),
            wire_file!($role, "/wire.js", WireScript),
            wire_file!($role, "/wire-model.js", WireModel),
            wire_file!($role, "/wire-words.js", WireWords),
            wire_file!($role, "/wire-formats.js", WireFormats),
            wire_file!($role, "/wire-page.js", WirePage),
            wire_file!($role, "/wire-list.js", WireList),
            wire_file!($role, "/wire-drawing.js", WireDrawing),
            wire_file!($role, "/wire-details.js", WireDetails),
            wire_file!($role, "/wire-difference.js", WireDifference),
            of_wire(page(Role::$role, "/wire/events", |context| events(context, Role::$role))),
            of_wire(Route {
                role: Role::$role,
                ..post("/wire/send", None, |context| send_again(context, Role::$role))
            }),
        ]
    };
}

/// This row, for a server that has a wire view.
const fn of_wire(row: Route) -> Route {
    Route { feature: Some(Feature::Wire), ..row }
}

/// The rows of the table for a wire view that is the client app's.
pub(crate) const OF_CLIENT_APP: &[Route] = wire_rows!(ClientApp);

/// The same for one of the authorization server, where there is no client app.
pub(crate) const OF_AUTHORIZATION_SERVER: &[Route] = wire_rows!(AuthorizationServer);

/// How often a silent stream says that it is still there.
const BEAT: Duration = Duration::from_secs(15);

const _: () =
    assert!(BEAT.as_secs() < SILENCE_MAX.as_secs(), "a silent stream would break off before its next beat");

/// Sends one of the view's files, if there is a wire view.
pub(crate) fn serve(context: &Context, role: Role, asset: Asset) -> Step {
    let pages = &context.routes.pages;
    // A link of another page leads to this page, and shows the other nothing.
    let is_link = asset == Asset::Wire && context.request.field("sec-fetch-dest") == Ok(Some(b"document"));
    let checked = check(context, role).or_else(|refused| match refused {
        Refused::OtherSite(wire) if is_link => Ok(wire),
        refused => Err(refused),
    });
    Step::Done(match checked {
        Ok(_) => pages.serve(asset, context.request),
        Err(Refused::NoWire) => pages.notice(role, Status::NotFound, Notice::NothingHere),
        Err(refused) => pages.notice(role, Status::Forbidden, Notice::OtherName).because(refused.reason()),
    })
}

/// Streams the exchanges.
pub(crate) fn events(context: &Context, role: Role) -> Step {
    const LINES: FieldLines = FieldLines::literal(
        "Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
    );
    let wire = match check(context, role) {
        Ok((wire, _)) => Arc::clone(wire),
        Err(refused) => return Step::Done(refused.into_error().into_response()),
    };
    let last = last_event(context.request, wire.run());
    let hello = format!("retry: 1000\nevent: hello\ndata: {}\n\n", hello(context.routes, &wire));
    context.stream(Response::new(Status::Ok, LINES), move |waker| Events {
        watch: wire.watch(move || waker.wake()),
        last,
        pending: hello.into_bytes(),
        sent: 0,
        beat: None,
    })
}

/// Sends a request again, as it was edited.
pub(crate) fn send_again(context: &Context, role: Role) -> Step {
    let (sends, server, bytes) = match read_edited(context, role) {
        Ok(edited) => edited,
        Err(error) => return Step::Done(error.into_response()),
    };
    let to = match server {
        Server::ClientApp => Role::ClientApp,
        Server::AuthorizationServer => Role::AuthorizationServer,
        Server::Lab => Role::Lab,
    };
    let Some(authority) = context.routes.site.own_authority(to).map(str::to_owned) else {
        return Step::Done(ErrorResponse::invalid_request("there is no such server").into_response());
    };
    let owner = Owner { target: Arc::from("wire"), peer: Peer::of(context.peer) };
    let run = move || send::send(&authority, &bytes).is_ok();
    context.work_in(&sends.pool, Job { kind: sends.kind, owner, run }, |_, result| {
        Step::Done(match result {
            Ok(true) => json::response(Status::Ok, r#"{"sent":true}"#),
            Ok(false) => unavailable("the server did not answer the request in time"),
            Err(error) => unavailable(error.as_str()),
        })
    })
}

/// The wire view, and what sends a request again for it.
type View = (Arc<Wire>, Sends);

/// Why the wire view is not for this request.
enum Refused<'a> {
    NoWire,
    OtherName,
    OtherSite(&'a View),
}

/// The wire view, for a request that may see it.
fn check<'a>(context: &Context<'a>, role: Role) -> Result<&'a View, Refused<'a>> {
    let request = context.request;
    let wire = context.routes.wire_view(role).ok_or(Refused::NoWire)?;
    if !Authority::parse(request.authority()).is_some_and(|authority| is_loopback_host(authority.host())) {
        return Err(Refused::OtherName);
    }
    match request.field("sec-fetch-site") {
        Ok(None | Some(b"same-origin" | b"none")) => Ok(wire),
        _ => Err(Refused::OtherSite(wire)),
    }
}

impl Refused<'_> {
    fn reason(&self) -> &'static str {
        match self {
            Refused::NoWire => "this server has no wire view",
            Refused::OtherName => "the wire view is asked for under a name that is not loopback",
            Refused::OtherSite(_) => "another site asks for the wire view",
        }
    }

    fn into_error(self) -> ErrorResponse {
        let status = if matches!(self, Refused::NoWire) { Status::NotFound } else { Status::Forbidden };
        ErrorResponse { status, ..ErrorResponse::invalid_request(self.reason()) }
    }
}

/// Reads which server the edited request is for, and its bytes; and says what sends it.
///
/// The content must be JSON by name: no page of another origin can send that without a preflight, which this endpoint
/// does not answer.
fn read_edited<'a>(context: &Context<'a>, role: Role) -> Result<(&'a Sends, Server, Vec<u8>), ErrorResponse> {
    let (_, sends) = check(context, role).map_err(Refused::into_error)?;
    let request = context.request;
    if request.field("content-type") != Ok(Some(b"application/json")) {
        return Err(ErrorResponse::invalid_request("the Content-Type is not application/json"));
    }
    let value: Value = serde_json::from_slice(request.body())
        .map_err(|_| ErrorResponse::invalid_request("the content is not valid JSON"))?;
    let server = match value["server"].as_str() {
        Some("client-app") => Server::ClientApp,
        Some("authorization-server") => Server::AuthorizationServer,
        Some("lab") => Server::Lab,
        _ => {
            return Err(ErrorResponse::invalid_request(
                "the server is neither client-app, authorization-server nor lab",
            ));
        }
    };
    let bytes = value["request"]
        .as_str()
        .ok_or_else(|| ErrorResponse::invalid_request("the request is not a string"))?;
    Ok((sends, server, bytes.as_bytes().to_vec()))
}

fn unavailable(reason: &'static str) -> Response {
    let status = Status::ServiceUnavailable;
    ErrorResponse { status, ..ErrorResponse::new("temporarily_unavailable", reason) }.into_response()
}

/// What the page has to know of this server, in milliseconds where it is a time. With an attack lab it has the lab's
/// origin, by which the page tells the attacker's requests from others.
fn hello(routes: &Routes, wire: &Wire) -> Value {
    let tokens = &routes.lifetimes.tokens;
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut hello = json!({
        "run": wire.run(),
        "issuer": routes.site.issuer(),
        "code_ms": milliseconds(routes.lifetimes.code),
        "access_token_ms": milliseconds(tokens.access_token),
        "refresh_token_ms": milliseconds(tokens.refresh),
        "refresh_token_idle_ms": milliseconds(tokens.refresh_idle),
        "refresh_grace_ms": milliseconds(tokens.refresh_grace),
    });
    if let Some(lab) = routes.site.lab() {
        hello["lab"] = lab.into();
    }
    hello
}

/// The number of the last exchange that the browser has got from this process; 0 if it has none.
fn last_event(request: &Request, run: u64) -> u64 {
    let after = || request.query().and_then(|query| query.strip_prefix("after=")).map(str::as_bytes);
    let value = request.field("last-event-id").ok().flatten().or_else(after).unwrap_or_default();
    let pair = std::str::from_utf8(value).ok().and_then(|text| text.split_once('-'));
    match pair.map(|(run, id)| (run.parse::<u64>(), id.parse::<u64>())) {
        Some((Ok(of), Ok(id))) if of == run => id,
        _ => 0,
    }
}

/// The exchanges as server-sent events. What was read from the ring and not taken yet is one exchange at most, so a
/// slow reader costs no more than that; what leaves the ring before it is read is lost for this reader.
struct Events {
    watch: Watch,
    /// The number of the last exchange that was read.
    last: u64,
    pending: Vec<u8>,
    /// How much of it has been taken.
    sent: usize,
    /// When the next beat is due; `None` before the first silence.
    beat: Option<Instant>,
}

impl Source for Events {
    fn fill(&mut self, content: &mut Content, now: Instant) -> Next {
        loop {
            self.sent += content.push(&self.pending[self.sent..]);
            if self.sent < self.pending.len() {
                return Next::More;
            }
            self.sent = 0;
            self.pending.clear();
            let wire = self.watch.wire();
            if let Some(exchange) = wire.after(self.last) {
                self.last = exchange.id;
                self.pending = frame(&exchange, wire.run());
                self.beat = None;
            } else if self.beat.is_some_and(|beat| beat <= now) {
                // A comment, by which proxies and the kernel notice a client that is gone.
                self.pending.extend_from_slice(b":\n\n");
                self.beat = None;
            } else {
                let until = *self.beat.get_or_insert(now + BEAT);
                return Next::Wait { until };
            }
        }
    }
}

/// One event. JSON has no line breaks, which would end the line of data.
fn frame(exchange: &Exchange, run: u64) -> Vec<u8> {
    format!("id: {run}-{}\ndata: {}\n\n", exchange.id, exchange.to_json()).into_bytes()
}
