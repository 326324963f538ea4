//! What a connection borrows from its worker for one turn: the time, the routes, the logs, the buffers.
//!
//! The calls into the endpoints are here, because each needs the same care: the request's number, the client's address
//! as a trusted proxy reports it, a panic caught, and a log line for each response. So are those into the sources of
//! streams.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::access_log::{AccessLog, StreamEntry};
use super::buffers::SpareBuffers;
use super::counts::Counts;
use super::forwarded::Proxies;
use super::refusal_log::RefusalLog;
use super::turn_clock::TurnClock;
use crate::http::{Date, Refusal, Request, Response, Status};
use crate::routes::{self, Completion, Content, Next, Parked, Role, Routes, Sender, Step, Stream};
use crate::store::{Caller, Mailbox, Ticket};

/// The response to a request whose endpoint panicked, which is a bug in this program.
const PANICKED: Refusal = Refusal::new(Status::InternalServerError, "the server failed to answer this request");

/// Borrowed by each connection while it is driven. A struct of references, so that the driver can lend its fields while
/// the connection itself is borrowed from the driver's table.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) limits: &'a routes::Limits,
    pub(super) clock: &'a TurnClock,
    pub(super) routes: &'a Arc<Routes>,
    pub(super) mailbox: &'a Arc<dyn Mailbox>,
    pub(super) serial: &'a mut u64,
    pub(super) refusal_log: &'a mut RefusalLog,
    pub(super) access: &'a AccessLog,
    pub(super) proxies: &'a Proxies,
    pub(super) counts: &'a mut Counts,
    pub(super) spare: &'a mut SpareBuffers,
    pub(super) scratch: &'a mut [u8],
}

impl<'a> Turn<'a> {
    /// The value of the `Date` field of this turn's responses.
    pub(super) fn date(&self) -> &'a Date {
        &self.clock.date
    }

    /// The routes that new requests of this turn begin with.
    pub(super) fn routes(&self) -> &'a Arc<Routes> {
        self.routes
    }

    /// A number for the next request, unique in this worker.
    pub(super) fn next_serial(&mut self) -> u64 {
        *self.serial += 1;
        *self.serial
    }

    /// Begins to answer `request`, which came from `sender`, by its connection. If it has to wait, its completion will
    /// carry `ticket`.
    pub(super) fn begin(&mut self, role: Role, sender: Sender, request: &Request, ticket: Ticket) -> Step {
        self.counts.requests += 1;
        let sender = Sender { peer: self.proxies.client_of(sender.peer, request), ..sender };
        let (routes, timestamp) = (self.routes, self.clock.timestamp);
        let caller = Caller { mailbox: self.mailbox, ticket };
        // Unwind safe: nothing that a panicking endpoint leaves half done is used again. It borrows the request and the
        // routes, and what those share (the store, the source of randomness) holds locks only over complete changes.
        let step = catch_unwind(AssertUnwindSafe(|| routes.begin(role, sender, request, timestamp, caller)));
        self.check(role, sender.peer, request, step)
    }

    /// Continues a parked request, whose completion has arrived, with the `routes` that it began with. It may be parked
    /// again, now with `ticket`.
    pub(super) fn resume(
        &mut self,
        role: Role,
        sender: Sender,
        (routes, parked, completion): (&Routes, Parked, Completion),
        request: &Request,
        ticket: Ticket,
    ) -> Step {
        let sender = Sender { peer: self.proxies.client_of(sender.peer, request), ..sender };
        let timestamp = self.clock.timestamp;
        let caller = Caller { mailbox: self.mailbox, ticket };
        let step = catch_unwind(AssertUnwindSafe(|| {
            routes.resume(parked, completion, sender, request, timestamp, caller)
        }));
        self.check(role, sender.peer, request, step)
    }

    /// Turns a panic of the endpoint into a response, and logs the request if it is done. A stream is logged when it
    /// ends.
    fn check(&mut self, role: Role, peer: IpAddr, request: &Request, step: std::thread::Result<Step>) -> Step {
        let step = step.unwrap_or_else(|_| Step::Done(self.panicked(role, request)));
        if let Step::Done(response) = &step {
            self.note(role, peer, request, response);
        }
        step
    }

    /// Asks the source of `stream` for at most `room` bytes of content. Returns the content, in the worker's shared
    /// buffer, and what the source says. A panic of the source breaks the stream off.
    pub(super) fn fill(&mut self, stream: &mut Stream, room: usize) -> (&[u8], Next) {
        let room = room.min(self.scratch.len());
        let mut content = Content::new(&mut self.scratch[..room]);
        let now = self.now;
        // Unwind safe: after a panic the source is dropped, and none of its content is used.
        let filled = catch_unwind(AssertUnwindSafe(|| (stream.fill(&mut content, now), content.len())));
        let (next, length) = filled.unwrap_or_else(|_| {
            self.counts.panics += 1;
            (Next::Broken(PANICKED.reason), 0)
        });
        (&self.scratch[..length], next)
    }

    /// What the access log keeps of a request whose response is a stream, until it ends; `None` without an access log.
    pub(super) fn stream_entry(
        &self,
        role: Role,
        peer: IpAddr,
        request: &Request,
        stream: &Stream,
    ) -> Option<StreamEntry> {
        let peer = self.proxies.client_of(peer, request);
        self.access.stream_entry(role, peer, request, stream.head(), stream.client())
    }

    fn panicked(&mut self, role: Role, request: &Request) -> Response {
        self.counts.panics += 1;
        self.routes.refuse(role, PANICKED, Some(request))
    }

    /// Logs a response: in the access log, and in the refusal log if it has a reason.
    fn note(&mut self, role: Role, peer: IpAddr, request: &Request, response: &Response) {
        if response.reason().is_some() {
            self.refusal_log.note(self.now, role, Some(request), response);
        }
        self.access.note(role, peer, self.clock, Some(request), response);
    }

    /// Answers a request that no endpoint sees, because the HTTP connection refused it. `request` is `None` if its head
    /// could not be parsed.
    pub(super) fn refuse(
        &mut self,
        role: Role,
        peer: IpAddr,
        refusal: Refusal,
        request: Option<&Request>,
    ) -> Response {
        self.counts.requests += 1;
        let peer = request.map_or(peer, |request| self.proxies.client_of(peer, request));
        let response = self.routes.refuse(role, refusal, request);
        self.refusal_log.note(self.now, role, request, &response);
        self.access.note(role, peer, self.clock, request, &response);
        response
    }
}
