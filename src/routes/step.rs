//! Steps: how a request gets from its endpoint to its response when something has to happen in between.
//!
//! An endpoint is one function from a [`Context`] to a [`Step`]. If it knows the response, the step is [`Step::Done`].
//! Otherwise it returns what one of these gives:
//!
//! ```text
//!   context.ask(transition, then)    the store applies one transition; `then` gets its outcome
//!   context.work(job, then)          the pool runs one job; `then` gets its result
//!   context.join(begin, then)        the same for a job that several requests wait for
//!   context.later(response, delay)   the response is sent after a delay
//!   context.stream(head, open)       the response has no end; `open` makes the source of its content (`stream.rs`)
//! ```
//!
//! `then` is a closure that gives the next step, so a request can take several. Each changes at most one record.
//!
//! With a store that answers at once (memory), `ask` calls `then` at once, and nothing is allocated. Only if the store
//! answers later is the closure boxed, into a [`Parked`] request. The event loop keeps that, serves other connections,
//! and calls [`Routes::resume`] when there is a [`Completion`].
//!
//! A closure must own what it captures, because the request's bytes may have moved when it runs. It gets the request
//! again from the [`Context`] that it is called with.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::reply::cors;
use super::reply::error_response::ErrorResponse;
use super::settings::Limits;
use super::shared::Routes;
use super::stream::{Source, Stream, Waker};
use crate::http::{Request, Response, Status};
use crate::oauth::redirect::RedirectUri;
use crate::oauth::{Timestamp, Transition};
use crate::pool::{Kind, Owner, Pool, PoolError};
use crate::store::{Applied, Caller, StoreError};
use crate::wire::{Notes, Rule};

/// How far a request has come.
#[must_use = "a step that is dropped leaves its request without a response"]
pub enum Step {
    /// Here is the response.
    Done(Response),
    /// The request has to wait; [`Routes::resume`] continues it.
    Parked(Parked),
    /// Here is the head of the response, and the source of its content. Boxed, because few steps are streams.
    Stream(Box<Stream>),
}

/// A request that waits, and how to continue it.
pub struct Parked {
    wait: Wait,
    cors: Option<&'static cors::Policy>,
    /// Scripts of other origins may read the response with cookies ([`Step::allow_with_cookies`]).
    with_cookies: bool,
    /// The client that the request comes from, if the log shows that.
    client: Option<Arc<str>>,
}

enum Wait {
    /// For the store to apply the request's transition.
    Store(Then<Applied>),
    /// For the pool to end the request's job, whose result the closure has access to.
    Pool(Then<Result<(), PoolError>>),
    /// For a delay to pass. The response is boxed so that it does not make every [`Step`] larger.
    Clock(Box<Response>, Duration),
}

type Then<T> = Box<dyn FnOnce(&Context, T) -> Step + Send>;

/// Why a parked request continues.
pub enum Completion {
    /// The store has applied the transition, or failed to.
    Applied(Applied),
    /// The pool has ended the job.
    JobDone,
    /// The source of the stream has content. Never sent to a parked request.
    Ready,
    /// The request has waited for as long as [`Parked::time_max`] allows.
    TimedOut,
}

/// Who sends a request, and where decisions about it are recorded.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// The peer of the connection or, behind a trusted proxy, the one that the proxy names.
    pub peer: IpAddr,
    /// For the wire view; `None` where there is none.
    pub notes: Option<&'a Notes>,
}

impl From<IpAddr> for Sender<'_> {
    fn from(peer: IpAddr) -> Self {
        Sender { peer, notes: None }
    }
}

/// What an endpoint is given for one step of a request.
pub(super) struct Context<'a> {
    pub(super) routes: &'a Routes,
    pub(super) request: &'a Request<'a>,
    /// Who sent the request: the peer of the connection or, behind a trusted proxy, the one that the proxy names.
    pub(super) peer: IpAddr,
    /// The moment of this step.
    pub(super) now: Timestamp,
    /// Where the store and the pool deliver a later answer. For one step only: two transitions under one ticket could
    /// be confused.
    caller: Caller<'a>,
    cors: Option<&'static cors::Policy>,
    notes: Option<&'a Notes>,
}

/// The function of an endpoint, as the table has it.
pub(super) type Endpoint = fn(&Context) -> Step;

/// A job for the pool.
pub(super) struct Job<F> {
    pub(super) kind: Kind,
    pub(super) owner: Owner,
    /// Runs on a thread of the pool, unless the request is given up first.
    pub(super) run: F,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        routes: &'a Routes,
        sender: Sender<'a>,
        request: &'a Request<'a>,
        now: Timestamp,
        caller: Caller<'a>,
        cors: Option<&'static cors::Policy>,
    ) -> Context<'a> {
        let Sender { peer, notes } = sender;
        Context { routes, request, peer, now, caller, cors, notes }
    }

    /// Records for the wire view that `rule` has decided.
    pub(super) fn decide(&self, rule: &'static Rule) {
        if let Some(notes) = self.notes {
            notes.decide(rule);
        }
    }

    /// Records for the wire view which client an authorization request names, and where its answers may go.
    pub(super) fn name_client(&self, id: Option<&str>) {
        let Some(notes) = self.notes else { return };
        notes.begin_authorization();
        if let Some(client) = id.and_then(|id| self.routes.clients.find(id)) {
            notes.name(&client.id, client.redirect_uris.iter().map(RedirectUri::as_str));
        }
    }

    /// Records for the wire view what the store has answered.
    fn note(&self, applied: &Applied) {
        if let (Some(notes), Ok(outcome)) = (self.notes, applied) {
            notes.answer(outcome);
        }
    }

    /// Has the store apply `transition`, and continues with its outcome.
    ///
    /// `then` gets an error if the store failed or did not answer in time. In the second case the transition may have
    /// been applied; the store withdraws it if it can be withdrawn.
    pub(super) fn ask(
        &self,
        transition: Transition,
        then: impl FnOnce(&Context, Applied) -> Step + Send + 'static,
    ) -> Step {
        let client = if self.routes.names_clients { transition.client().cloned() } else { None };
        if let Some(notes) = self.notes {
            notes.ask(transition.operation(), transition.client().map(|client| &**client));
        }
        let applied = self.routes.across_reloads.store.submit(transition, self.now, self.caller);
        match applied.inspect(|applied| self.note(applied)) {
            Some(applied) => then(self, applied).of_client(client),
            None => self.park(Wait::Store(Box::new(then)), client),
        }
    }

    /// Has the pool run `job`, and continues with its result.
    ///
    /// `then` gets an error if the pool has no room for the job, or it did not end in time, or it panicked.
    pub(super) fn work<T: Send + 'static>(
        &self,
        job: Job<impl FnOnce() -> T + Send + 'static>,
        then: impl FnOnce(&Context, Result<T, PoolError>) -> Step + Send + 'static,
    ) -> Step {
        self.work_in(&self.routes.across_reloads.pool, job, then)
    }

    /// The same in another pool than the one that all endpoints share.
    pub(super) fn work_in<T: Send + 'static>(
        &self,
        pool: &Pool,
        job: Job<impl FnOnce() -> T + Send + 'static>,
        then: impl FnOnce(&Context, Result<T, PoolError>) -> Step + Send + 'static,
    ) -> Step {
        let Job { kind, owner, run } = job;
        let (run, result) = keeping_result(run);
        match pool.submit(kind, owner, Box::new(run), self.caller) {
            Err(error) => then(self, Err(error)),
            Ok(()) => {
                let then = move |context: &Context, ended: Result<(), PoolError>| {
                    let take = || result.lock().unwrap_or_else(PoisonError::into_inner).take();
                    then(context, ended.and_then(|()| take().ok_or(PoolError::Panicked)))
                };
                self.park(Wait::Pool(Box::new(then)), None)
            }
        }
    }

    /// Waits for work that other requests may wait for, too, and continues with its result. `begin` joins it: it
    /// registers the caller for the end, and returns the place of the result.
    ///
    /// `then` gets an error if the work cannot begin, did not end in time, or left no result.
    pub(super) fn join<T: Clone + Send + 'static>(
        &self,
        begin: impl FnOnce(Caller) -> Result<Arc<Mutex<Option<T>>>, PoolError>,
        then: impl FnOnce(&Context, Result<T, PoolError>) -> Step + Send + 'static,
    ) -> Step {
        match begin(self.caller) {
            Err(error) => then(self, Err(error)),
            Ok(place) => {
                let then = move |context: &Context, ended: Result<(), PoolError>| {
                    // A result that came just before the time was over counts.
                    let result = place.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    then(context, result.ok_or_else(|| ended.err().unwrap_or(PoolError::Panicked)))
                };
                self.park(Wait::Pool(Box::new(then)), None)
            }
        }
    }

    /// Sends `response` after `delay`. Nothing else on the connection is answered before that.
    pub(super) fn later(&self, response: Response, delay: Duration) -> Step {
        if delay.is_zero() {
            return Step::Done(response);
        }
        self.park(Wait::Clock(Box::new(response), delay), None)
    }

    /// Responds with `head` and the content of the source that `open` makes, as the source gets it. The [`Waker`] is
    /// for the source, or for those that have content for it.
    ///
    /// Past `streams_max` or `peer_streams_max` the response is 503, and `open` is not called.
    pub(super) fn stream<S: Source + 'static>(&self, head: Response, open: impl FnOnce(Waker) -> S) -> Step {
        let Routes { across_reloads, stream_bounds, .. } = self.routes;
        let place = match across_reloads.open_streams.take(self.peer, *stream_bounds) {
            Ok(place) => place,
            Err(reason) => {
                let error = ErrorResponse::new("temporarily_unavailable", reason);
                let error = ErrorResponse { status: Status::ServiceUnavailable, ..error };
                return Step::Done(error.into_response());
            }
        };
        let waker = Waker::new(self.caller);
        let source = Box::new(open(waker.clone()));
        Step::Stream(Box::new(Stream::new(cors::allow(head, self.cors), source, waker, place)))
    }

    fn park(&self, wait: Wait, client: Option<Arc<str>>) -> Step {
        Step::Parked(Parked { wait, cors: self.cors, with_cookies: false, client })
    }
}

/// Wraps `run` so that it leaves its result where the parked request can take it. If that request is given up, the
/// place is dropped with it, and `run` is skipped.
fn keeping_result<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> (impl FnOnce() + Send + 'static, Arc<Mutex<Option<T>>>) {
    let result = Arc::new(Mutex::new(None));
    let place = Arc::downgrade(&result);
    let job = move || {
        if let Some(place) = place.upgrade() {
            let result = run();
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    (job, result)
}

impl Step {
    /// Names `client` in the log, unless a later step of the request has named one.
    fn of_client(self, client: Option<Arc<str>>) -> Step {
        match (client, self) {
            (None, step) => step,
            (client, Step::Done(response)) if response.client().is_none() => {
                Step::Done(response.of_client(client))
            }
            (client, Step::Parked(parked)) => {
                Step::Parked(Parked { client: parked.client.clone().or(client), ..parked })
            }
            (client, Step::Stream(mut stream)) => {
                stream.set_client(client);
                Step::Stream(stream)
            }
            (_, step) => step,
        }
    }

    /// Lets scripts of other origins read the response as `cors` allows, by fields of its head. A parked request gets
    /// them when it resumes; a stream already has them.
    pub(super) fn allow(self, cors: Option<&'static cors::Policy>) -> Step {
        match self {
            Step::Done(response) => Step::Done(cors::allow(response, cors)),
            step => step,
        }
    }

    /// Lets scripts of the origin that sent `request` read the response, cookies and all: that of a parked request when
    /// it resumes.
    pub(super) fn allow_with_cookies(self, request: &Request) -> Step {
        match self {
            Step::Done(response) => Step::Done(cors::allow_with_cookies(response, request)),
            Step::Parked(parked) => Step::Parked(Parked { with_cookies: true, ..parked }),
            Step::Stream(stream) => Step::Stream(stream),
        }
    }
}

impl Parked {
    /// Whether the request waits for the store. If so, giving it up may leave a transition to withdraw.
    pub fn waits_for_store(&self) -> bool {
        matches!(self.wait, Wait::Store(_))
    }

    /// How long the request may wait before it is resumed with [`Completion::TimedOut`].
    pub fn time_max(&self, limits: &Limits) -> Duration {
        match self.wait {
            Wait::Store(_) => limits.store_time_max,
            Wait::Pool(_) => limits.pool_time_max,
            Wait::Clock(_, delay) => delay,
        }
    }
}

impl Routes {
    /// Continues the `request` that was `parked`, which may be parked again. Call it on the [`Routes`] that parked
    /// it, so that one configuration answers the whole request.
    pub fn resume(
        &self,
        parked: Parked,
        completion: Completion,
        sender: Sender,
        request: &Request,
        now: Timestamp,
        caller: Caller,
    ) -> Step {
        let Parked { wait, cors, with_cookies, client } = parked;
        let context = Context::new(self, sender, request, now, caller, cors);
        let step = match (wait, completion) {
            (Wait::Store(then), Completion::Applied(applied)) => {
                context.note(&applied);
                then(&context, applied)
            }
            (Wait::Store(then), Completion::TimedOut | Completion::JobDone | Completion::Ready) => {
                then(&context, Err(StoreError::TimedOut))
            }
            (Wait::Pool(then), Completion::JobDone) => then(&context, Ok(())),
            (Wait::Pool(then), Completion::TimedOut | Completion::Applied(_) | Completion::Ready) => {
                then(&context, Err(PoolError::TimedOut))
            }
            (Wait::Clock(response, _), _) => Step::Done(*response),
        };
        let step = step.of_client(client).allow(cors);
        if with_cookies { step.allow_with_cookies(request) } else { step }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use super::*;
    use crate::http::connection::{Connection, Event};
    use crate::http::{FieldLines, Status};
    use crate::oauth::{Credential, Outcome};
    use crate::peer::Peer;
    use crate::pool::Bounds;
    use crate::routes::{Settings, Site};
    use crate::store::{Mailbox, MemoryStore, Store, Ticket};
    use crate::system::RealSystem;

    /// Takes every transition and answers at once, or leaves the answer to the test.
    struct CountingStore {
        memory: MemoryStore,
        answers_at_once: bool,
        submitted: AtomicUsize,
    }

    impl Store for CountingStore {
        fn submit(&self, transition: Transition, now: Timestamp, caller: Caller) -> Option<Applied> {
            let place = self.submitted.fetch_add(1, Ordering::Relaxed);
            assert!(self.answers_at_once || caller.ticket.place == place, "each step has a ticket of its own");
            let applied = self.memory.apply(&transition, now);
            self.answers_at_once.then_some(applied)
        }
    }

    /// Delivers the end of a job.
    struct Ended(Sender<()>);

    impl Mailbox for Ended {
        fn put(&self, _: Ticket, _: Applied) -> bool {
            unreachable!("the test answers for the store")
        }

        fn abandon(&self, _: Ticket) -> bool {
            unreachable!("nothing is abandoned here")
        }

        fn is_abandoned(&self, _: Ticket) -> bool {
            false
        }

        fn put_done(&self, _: Ticket) {
            self.0.send(()).expect("the test listens");
        }

        fn put_ready(&self, _: Ticket) {}

        fn wake(&self) {}
    }

    /// One request, and all that it waits for.
    pub(crate) struct Harness {
        pub(crate) routes: Routes,
        store: Arc<CountingStore>,
        connection: Connection,
        mailbox: Arc<dyn Mailbox>,
        ended: Receiver<()>,
    }

    impl Harness {
        fn new(answers_at_once: bool) -> Harness {
            Harness::with_request(answers_at_once, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        }

        pub(crate) fn with_request(answers_at_once: bool, request: &[u8]) -> Harness {
            let (memory, submitted) = (MemoryStore::new(10), AtomicUsize::new(0));
            let store = Arc::new(CountingStore { memory, answers_at_once, submitted });
            let (site, pool) = (Site::new(None, None, 3001, None), Arc::new(Pool::new(1)));
            let shared = Arc::<CountingStore>::clone(&store);
            let system = Arc::new(RealSystem::default());
            let routes = Routes::new(&Settings::default(), site, shared, pool, system).expect("random bytes");
            let mut connection = Connection::new(Arc::default(), Instant::now());
            connection.receive(request, Instant::now());
            let (sender, ended) = channel();
            Harness { routes, store, connection, mailbox: Arc::new(Ended(sender)), ended }
        }

        /// Runs `endpoint` on the request, resumes it with a completion of `next` each time it is parked, and gives its
        /// response.
        pub(crate) fn run(
            &mut self,
            endpoint: Endpoint,
            mut next: impl FnMut(&Receiver<()>) -> Completion,
        ) -> Response {
            let Event::Request(request) = self.connection.next_event(Instant::now()) else {
                panic!("a request")
            };
            let sender = super::Sender::from(IpAddr::from(Ipv4Addr::LOCALHOST));
            let now = Timestamp::from_milliseconds(0);
            let caller = |place| Caller { mailbox: &self.mailbox, ticket: Ticket { place, serial: 0 } };
            let mut step = endpoint(&Context::new(&self.routes, sender, &request, now, caller(0), None));
            for place in 1.. {
                match step {
                    Step::Done(response) => return response,
                    Step::Stream(_) => unreachable!("no endpoint that runs here has a stream"),
                    Step::Parked(parked) => {
                        let completion = next(&self.ended);
                        step = self.routes.resume(parked, completion, sender, &request, now, caller(place));
                    }
                }
            }
            unreachable!("a request has an end")
        }
    }

    /// Looks up two grants in turn, and is done when neither exists.
    fn ask_twice(context: &Context) -> Step {
        context.ask(look_for(1, context), |context, applied| {
            let Ok(Outcome::Inactive) = applied else { return failed(applied) };
            context.ask(look_for(2, context), |_, applied| match applied {
                Ok(Outcome::Inactive) => done("both"),
                applied => failed(applied),
            })
        })
    }

    fn look_for(number: u8, context: &Context) -> Transition {
        let token = Credential::of_new_grant([number; 48]);
        Transition::check(&token, Arc::clone(&context.routes.resource))
    }

    fn done(reason: &'static str) -> Step {
        Step::Done(Response::new(Status::Ok, FieldLines::NONE).because(reason))
    }

    fn failed(applied: Applied) -> Step {
        Step::Done(Response::new(Status::ServiceUnavailable, FieldLines::NONE).because(format!("{applied:?}")))
    }

    #[test]
    fn a_store_that_answers_at_once_parks_no_request() {
        let mut harness = Harness::new(true);
        let response = harness.run(ask_twice, |_| unreachable!("nothing is parked"));
        assert_eq!((response.reason(), harness.store.submitted.load(Ordering::Relaxed)), (Some("both"), 2));
    }

    #[test]
    fn a_request_may_be_parked_at_each_of_its_steps() {
        let response = Harness::new(false).run(ask_twice, |_| Completion::Applied(Ok(Outcome::Inactive)));
        assert_eq!(response.reason(), Some("both"));
        for late in 0..2 {
            let mut step = 0..;
            let response = Harness::new(false).run(ask_twice, |_| match step.next() {
                Some(step) if step < late => Completion::Applied(Ok(Outcome::Inactive)),
                _ => Completion::TimedOut,
            });
            assert_eq!(response.reason(), Some("Err(TimedOut)"), "step {late} takes too long");
        }
    }

    fn bounds(waiting_max: usize) -> Bounds {
        Bounds { running_max: 1, waiting_max, target_waiting_max: 1, peer_waiting_max: 1 }
    }

    /// Has the pool run `run`, and is done when it has a result.
    fn work(context: &Context, bounds: Bounds, run: fn() -> &'static str) -> Step {
        let kind = context.routes.across_reloads.pool.add_kind(bounds);
        let owner = Owner { target: "a".into(), peer: Peer::of(context.peer) };
        context.work(Job { kind, owner, run }, |_, result| done(result.unwrap_or_else(PoolError::as_str)))
    }

    #[test]
    fn a_job_has_a_result_or_a_reason_why_not() {
        let wait = |ended: &Receiver<()>| {
            ended.recv_timeout(Duration::from_secs(20)).expect("the job ends");
            Completion::JobDone
        };
        let response = Harness::new(true).run(|context| work(context, bounds(1), || "the result"), wait);
        assert_eq!(response.reason(), Some("the result"));
        let response =
            Harness::new(true).run(|context| work(context, bounds(1), || panic!("on purpose")), wait);
        assert_eq!(response.reason(), Some(PoolError::Panicked.as_str()));
        let late = |_: &Receiver<()>| Completion::TimedOut;
        let response = Harness::new(true).run(|context| work(context, bounds(1), || "too late"), late);
        assert_eq!(response.reason(), Some(PoolError::TimedOut.as_str()));
        let response = Harness::new(true).run(|context| work(context, bounds(0), || "never"), wait);
        assert_eq!(response.reason(), Some(PoolError::Full.as_str()));
    }

    #[test]
    fn shared_work_has_a_result_if_it_came_before_the_end() {
        const CASES: [(Option<&str>, Completion, &str); 4] = [
            (Some("the result"), Completion::JobDone, "the result"),
            (Some("the result"), Completion::TimedOut, "the result"),
            (None, Completion::JobDone, PoolError::Panicked.as_str()),
            (None, Completion::TimedOut, PoolError::TimedOut.as_str()),
        ];
        fn wait_for<const CASE: usize>(context: &Context) -> Step {
            let place = Arc::new(Mutex::new(CASES[CASE].0));
            context.join(|_| Ok(place), |_, result| done(result.unwrap_or_else(PoolError::as_str)))
        }
        let endpoints: [Endpoint; 4] = [wait_for::<0>, wait_for::<1>, wait_for::<2>, wait_for::<3>];
        for (endpoint, (_, completion, expected)) in endpoints.into_iter().zip(CASES) {
            let mut completion = Some(completion);
            let response = Harness::new(true).run(endpoint, |_| completion.take().expect("one wait"));
            assert_eq!(response.reason(), Some(expected));
        }
    }

    #[test]
    fn a_job_is_skipped_once_its_request_is_given_up() {
        for is_awaited in [true, false] {
            let has_run = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&has_run);
            let (job, result) = keeping_result(move || flag.store(true, Ordering::Relaxed));
            let waits = is_awaited.then_some(result);
            job();
            drop(waits);
            assert_eq!(has_run.load(Ordering::Relaxed), is_awaited);
        }
    }
}
