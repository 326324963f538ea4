//! What a connection borrows from its worker while it is driven: the time, the routes, the logs, the buffers.
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
use crate::routes::{Completion, Content, Next, Parked, Role, Routes, Sender, Step, Stream};
use crate::store::{Caller, Mailbox, Ticket};

/// The response to a request whose endpoint panicked, which is a bug in this program.
const PANICKED: Refusal = Refusal::new(Status::InternalServerError, "the server failed to answer this request");

/// A parked request that can continue.
pub(super) struct Resumable<'a> {
    /// The routes that it began with.
    pub(super) routes: &'a Routes,
    pub(super) parked: Parked,
    /// What it has waited for.
    pub(super) completion: Completion,
}

/// What the connections of a worker share. The driver keeps it beside their table, so that it can lend this to one of
/// them while that one is borrowed from the table.
pub(super) struct Turn {
    pub(super) clock: TurnClock,
    /// The routes that new requests begin with.
    pub(super) routes: Arc<Routes>,
    /// Where the pool, and a store that answers later, put their completions.
    pub(super) mailbox: Arc<dyn Mailbox>,
    /// The number of the last ticket: of the request that is being answered. With it a late completion is not taken for
    /// that of a newer request.
    pub(super) serial: u64,
    pub(super) refusal_log: RefusalLog,
    pub(super) access: AccessLog,
    pub(super) proxies: Proxies,
    pub(super) counts: Counts,
    pub(super) spare: SpareBuffers,
    /// Where bytes are read into, and the content of streams.
    pub(super) scratch: Box<[u8]>,
}

impl Turn {
    /// The monotonic time of this turn.
    pub(super) fn now(&self) -> Instant {
        self.clock.now
    }

    /// The value of the `Date` field of this turn's responses.
    pub(super) fn date(&self) -> &Date {
        &self.clock.date
    }

    /// A ticket for the next step of a request, with a number that is unique in this worker.
    fn next_ticket(&mut self, place: usize) -> Ticket {
        self.serial += 1;
        Ticket { place, serial: self.serial }
    }

    /// Begins to answer `request`, which came from `sender`, by the connection in slot `place`. If it has to wait, its
    /// completion will carry the number in `serial`.
    pub(super) fn begin(&mut self, role: Role, sender: Sender, request: &Request, place: usize) -> Step {
        self.counts.requests += 1;
        let ticket = self.next_ticket(place);
        let sender = Sender { peer: self.proxies.client_of(sender.peer, request), ..sender };
        let (routes, timestamp) = (&self.routes, self.clock.timestamp);
        let caller = Caller { mailbox: &self.mailbox, ticket };
        // Unwind safe: nothing that a panicking endpoint leaves half done is used again. It borrows the request and the
        // routes, and what those share (the store, the source of randomness) holds locks only over complete changes.
        let step = catch_unwind(AssertUnwindSafe(|| routes.begin(role, sender, request, timestamp, caller)));
        let step = step.unwrap_or_else(|_| self.panicked(role, request));
        self.note(role, sender.peer, request, &step);
        step
    }

    /// Continues a parked request. It may be parked again, now with the next ticket.
    pub(super) fn resume(
        &mut self,
        role: Role,
        sender: Sender,
        resumable: Resumable,
        request: &Request,
        place: usize,
    ) -> Step {
        let Resumable { routes, parked, completion } = resumable;
        let ticket = self.next_ticket(place);
        let sender = Sender { peer: self.proxies.client_of(sender.peer, request), ..sender };
        let timestamp = self.clock.timestamp;
        let caller = Caller { mailbox: &self.mailbox, ticket };
        let step = catch_unwind(AssertUnwindSafe(|| {
            routes.resume(parked, completion, sender, request, timestamp, caller)
        }));
        let step = step.unwrap_or_else(|_| self.panicked(role, request));
        self.note(role, sender.peer, request, &step);
        step
    }

    /// Asks the source of `stream` for at most `room` bytes of content. Returns the content, in the worker's shared
    /// buffer, and what the source says. A panic of the source breaks the stream off.
    pub(super) fn fill(&mut self, stream: &mut Stream, room: usize) -> (&[u8], Next) {
        let room = room.min(self.scratch.len());
        let now = self.now();
        let mut content = Content::new(&mut self.scratch[..room]);
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

    /// The response in place of that of an endpoint that panicked.
    #[cold]
    fn panicked(&mut self, role: Role, request: &Request) -> Step {
        self.counts.panics += 1;
        Step::Done(self.routes.refuse(role, PANICKED, Some(request)))
    }

    /// Logs a request that is done: in the access log, and in the refusal log if its response has a reason. A stream is
    /// logged when it ends.
    fn note(&mut self, role: Role, peer: IpAddr, request: &Request, step: &Step) {
        let Step::Done(response) = step else { return };
        if response.reason().is_some() {
            self.refusal_log.note(self.now(), role, Some(request), response);
        }
        self.access.note(role, peer, &self.clock, Some(request), response);
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
        self.refusal_log.note(self.now(), role, request, &response);
        self.access.note(role, peer, &self.clock, request, &response);
        response
    }
}
