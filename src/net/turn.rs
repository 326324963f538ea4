//! What one connection is given for one turn of the loop: the clock, the routes, the logs, and buffers.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::access_log::AccessLog;
use super::buffers::SpareBuffers;
use super::counts::Counts;
use super::forwarded::Proxies;
use super::refusal_log::RefusalLog;
use super::turn_clock::TurnClock;
use crate::config::Limits;
use crate::http::{Date, Refusal, Request, Response, Status};
use crate::routes::{Completion, Parked, Role, Routes, Step};
use crate::store::{Caller, Mailbox, Ticket};

/// A handler panicked, which is a fault of this program and not of the request.
const PANICKED: Refusal =
    Refusal::new(Status::InternalServerError, "the server failed in answering this request");

/// What a connection is given for one turn.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) limits: &'a Limits,
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
    pub(super) fn date(&self) -> &'a Date {
        &self.clock.date
    }

    /// What answers the requests of this turn.
    pub(super) fn routes(&self) -> &'a Arc<Routes> {
        self.routes
    }

    /// A number for the next request, which no other of this worker's has.
    pub(super) fn next_serial(&mut self) -> u64 {
        *self.serial += 1;
        *self.serial
    }

    /// Begins to answer `request`. Where the store or the pool takes its time, it names `ticket` then.
    pub(super) fn begin(&mut self, role: Role, peer: IpAddr, request: &Request, ticket: Ticket) -> Step {
        self.counts.requests += 1;
        let peer = self.proxies.client_of(peer, request);
        let (routes, timestamp) = (self.routes, self.clock.timestamp);
        let caller = Caller { mailbox: self.mailbox, ticket };
        // Nothing that a handler leaves half done is seen again: it borrows the request and the routes, and
        // what those share (the store, the source of randomness) holds its locks over whole changes only.
        let step = catch_unwind(AssertUnwindSafe(|| routes.begin(role, peer, request, timestamp, caller)));
        self.check(role, peer, request, step)
    }

    /// Goes on with a request that was parked, by the `routes` that it began with. It may be parked again, now with
    /// `ticket`.
    pub(super) fn resume(
        &mut self,
        role: Role,
        peer: IpAddr,
        (routes, parked, completion): (&Routes, Parked, Completion),
        request: &Request,
        ticket: Ticket,
    ) -> Step {
        let peer = self.proxies.client_of(peer, request);
        let timestamp = self.clock.timestamp;
        let caller = Caller { mailbox: self.mailbox, ticket };
        let step = catch_unwind(AssertUnwindSafe(|| {
            routes.resume(parked, completion, peer, request, timestamp, caller)
        }));
        self.check(role, peer, request, step)
    }

    /// The step, or the response to the panic of its endpoint; with a line in the logs, if it is done.
    fn check(&mut self, role: Role, peer: IpAddr, request: &Request, step: std::thread::Result<Step>) -> Step {
        let step = step.unwrap_or_else(|_| Step::Done(self.panicked(role, request)));
        if let Step::Done(response) = &step {
            self.note(role, peer, request, response);
        }
        step
    }

    fn panicked(&mut self, role: Role, request: &Request) -> Response {
        self.counts.panics += 1;
        self.routes.refuse(role, PANICKED, Some(request))
    }

    fn note(&mut self, role: Role, peer: IpAddr, request: &Request, response: &Response) {
        if response.reason().is_some() {
            self.refusal_log.note(self.now, role, Some(request), response);
        }
        self.access.note(role, peer, self.clock, Some(request), response);
    }

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
