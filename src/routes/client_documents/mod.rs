//! The clients whose metadata is a document at a URL: read when a person is asked, and remembered.
//!
//! ```text
//!   GET /authorize ──▶ a fresh copy? ──yes──▶ the dialog
//!                           │ no
//!                           ▼
//!              a fetch of this URL under way? ──yes──▶ wait for it ──┐
//!                           │ no                                     │
//!                           ▼                                        ▼
//!                 fetch, on a thread of its own ──▶ read ──▶ keep ──▶ the dialog, or why not
//! ```
//!
//! Only `/authorize` and `/code` fetch. Everything else uses the copy that there is, and does without if there is none:
//! a grant has its redirect URI, its scope and its proofs in its own record, so no eviction and no outage of the
//! client's host ends a grant ([`Documents::find`]).
//!
//! Fetches have threads of their own: they wait and compute nothing, so they are not counted against the cores, and
//! never delay the comparison of a secret. A peer has a share of them, and all requests for one URL wait for one fetch.

mod cache;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cache::Cache;

use crate::oauth::Scope;
use crate::oauth::client::{Client, ClientSource};
use crate::oauth::client_document::{self, DOCUMENT_BYTES_MAX, DocumentError};
use crate::oauth::document_url::DocumentUrl;
use crate::outbound::{FetchError, FetchLimits, Fetched, Outbound, Reach, SystemResolver, Tls};
use crate::peer::Peer;
use crate::pool::{Bounds, Kind, Owner, Pool, PoolError};
use crate::store::{Caller, Mailbox, Ticket};
use crate::system::System;

/// The time for one fetch.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);

/// Fetches that run at once, each on a thread.
const RUNNING_MAX: usize = 8;

/// The bounds of fetches. The target of each is its host.
const FETCHES: Bounds =
    Bounds { running_max: RUNNING_MAX, waiting_max: 64, target_waiting_max: 16, peer_waiting_max: 64 };

/// Fetches of one peer, running or waiting. Half of those that may run, so that another peer's begins at once.
const PEER_FETCHES_MAX: usize = RUNNING_MAX / 2;

/// Requests that wait for one fetch, beside the first.
const WAITERS_MAX: usize = 256;

/// Those of one peer. A request whose connection has closed counts until the fetch ends.
const PEER_WAITERS_MAX: usize = 16;

/// Where documents come from.
pub(super) trait Fetch: Send + Sync {
    /// The document at `url`, if `reach` includes the addresses of its host. Blocks.
    ///
    /// # Errors
    /// When there is none, with the reason.
    fn fetch(&self, url: &DocumentUrl, reach: Reach) -> Result<Fetched, FetchError>;
}

impl Fetch for Outbound {
    fn fetch(&self, url: &DocumentUrl, reach: Reach) -> Result<Fetched, FetchError> {
        self.get(url, reach)
    }
}

/// The threads of fetches, and what they fetch with. They outlive a configuration.
#[derive(Clone)]
pub(super) struct Fetches {
    pool: Arc<Pool>,
    kind: Kind,
    fetch: Arc<dyn Fetch>,
    allows_loopback: bool,
}

/// Why a document gives no client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It could not be fetched.
    Unfetched(FetchError),
    /// It is not a client's registration.
    Invalid(DocumentError),
}

/// What a `client_id` is.
pub(super) enum Lookup {
    /// Not the URL of a document.
    NoDocument,
    /// The URL of a document that was read a short time ago.
    Fresh(Arc<Client>),
    /// The URL of a document that has to be fetched.
    Unknown(DocumentUrl),
}

/// Where the result of a fetch is left for those who wait; `None` before it has ended, and if it failed to end.
pub(super) type Arrival = Arc<Mutex<Option<Result<Arc<Client>, Unread>>>>;

/// The clients of documents, under one configuration.
pub(super) struct Documents {
    fetches: Fetches,
    /// Where they may be.
    reach: Reach,
    /// The most that a client may ask for.
    offered: Scope,
    state: Mutex<State>,
    system: Arc<dyn System>,
}

struct State {
    cache: Cache,
    flights: HashMap<Arc<str>, Flight>,
}

/// A fetch under way.
struct Flight {
    peer: Peer,
    /// When a thread began with it; `None` while it waits for one.
    begun: Option<Instant>,
    arrival: Arrival,
    /// The requests that wait for it, beside the one that caused it.
    waiters: Vec<Waiter>,
}

struct Waiter {
    peer: Peer,
    mailbox: Arc<dyn Mailbox>,
    ticket: Ticket,
}

impl Unread {
    /// Whether it may be different in a moment: the host was not reached, or failed itself.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Unread::Unfetched(FetchError::Status(status)) => *status == 429 || *status >= 500,
            Unread::Unfetched(error) => error.is_of_network(),
            Unread::Invalid(_) => false,
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Unfetched(error) => {
                write!(f, "the client's metadata document could not be fetched: {error}")
            }
            Unread::Invalid(error) => write!(f, "the client's metadata document is not valid: {error}"),
        }
    }
}

impl Fetches {
    /// Fetches from the network. With `allows_loopback`, a document on loopback may be plain http.
    pub(super) fn from_network(allows_loopback: bool, system: Arc<dyn System>) -> Fetches {
        let limits = FetchLimits { time_max: FETCH_TIME_MAX, bytes_max: DOCUMENT_BYTES_MAX };
        let (resolver, tls) = (Box::new(SystemResolver), Tls::default());
        let outbound = Outbound::new(resolver, tls, limits, system);
        Fetches::new(Arc::new(outbound), allows_loopback)
    }

    fn new(fetch: Arc<dyn Fetch>, allows_loopback: bool) -> Fetches {
        let pool = Arc::new(Pool::new(RUNNING_MAX));
        let kind = pool.add_kind(FETCHES);
        Fetches { pool, kind, fetch, allows_loopback }
    }
}

impl Documents {
    /// The clients of documents within `reach`, if they are wanted. They may ask for at most the scope `offered`.
    pub(super) fn open(
        is_wanted: bool,
        fetches: &Fetches,
        reach: Reach,
        offered: Scope,
        system: &Arc<dyn System>,
    ) -> Option<Documents> {
        is_wanted.then(|| Documents::new(fetches.clone(), reach, offered, Arc::clone(system)))
    }

    fn new(fetches: Fetches, reach: Reach, offered: Scope, system: Arc<dyn System>) -> Documents {
        let cache = Cache::new(cache::Bounds::default());
        let state = Mutex::new(State { cache, flights: HashMap::new() });
        Documents { fetches, reach, offered, state, system }
    }

    /// What `client_id` is, for a request that a person is asked about.
    pub(super) fn look_up(&self, client_id: &str) -> Lookup {
        let Some(url) = self.parse(client_id) else { return Lookup::NoDocument };
        match self.lock().cache.fresh(url.as_str(), self.system.monotonic()) {
            Some(client) => Lookup::Fresh(client),
            None => Lookup::Unknown(url),
        }
    }

    /// Fetches the document at `url` for a request of `peer`, or waits for the fetch that is under way. The mailbox of
    /// `caller` gets its ticket when the arrival has its result.
    ///
    /// # Errors
    /// When a bound is reached.
    pub(super) fn fetch(
        self: &Arc<Self>,
        url: DocumentUrl,
        peer: Peer,
        is_loopback: bool,
        caller: Caller,
    ) -> Result<Arrival, PoolError> {
        let (key, host) = (Arc::clone(url.shared()), Arc::from(url.origin().host()));
        let arrival = {
            let mut state = self.lock();
            // Peers on loopback may be a proxy, which sends the requests of many. They have no share of their own.
            if let Some(flight) = state.flights.get_mut(&key) {
                flight.join(peer, is_loopback, caller)?;
                return Ok(Arc::clone(&flight.arrival));
            }
            let of_peer = state.flights.values().filter(|flight| flight.peer == peer).count();
            if of_peer >= PEER_FETCHES_MAX && !is_loopback {
                return Err(PoolError::PeerFull);
            }
            let flight = Flight { peer, begun: None, arrival: Arrival::default(), waiters: Vec::new() };
            let arrival = Arc::clone(&flight.arrival);
            state.flights.insert(Arc::clone(&key), flight);
            arrival
        };
        // If the pool does not take the job, dropping it lands the flight.
        let landing = Landing { documents: Arc::clone(self), key, arrival: Arc::clone(&arrival) };
        let work = move || landing.fetch(&url);
        let owner = Owner { target: host, peer };
        self.fetches.pool.submit(self.fetches.kind, owner, Box::new(work), caller)?;
        Ok(arrival)
    }

    /// Whether the host of `url` has had at least `time` to answer the fetch that is under way. A fetch that waits for
    /// a thread says nothing about the host.
    pub(super) fn is_silent(&self, url: &DocumentUrl, time: Duration) -> bool {
        let begun = self.lock().flights.get(url.as_str()).and_then(|flight| flight.begun);
        begun.is_some_and(|begun| self.system.monotonic().saturating_duration_since(begun) >= time)
    }

    /// The copy of the document at `url`, fresh or not.
    pub(super) fn copy(&self, url: &DocumentUrl) -> Option<Arc<Client>> {
        self.lock().cache.any(url.as_str(), self.system.monotonic())
    }

    fn parse(&self, client_id: &str) -> Option<DocumentUrl> {
        DocumentUrl::parse(client_id, self.fetches.allows_loopback)
    }

    /// Fetches and reads the document at `url`, and keeps it if it is valid.
    fn read(&self, url: &DocumentUrl) -> Result<Arc<Client>, Unread> {
        let fetched = self.fetches.fetch.fetch(url, self.reach);
        let now = self.system.monotonic();
        let answer = match fetched {
            Ok(answer) => answer,
            Err(error) => {
                let cache = &mut self.lock().cache;
                if error.is_final() {
                    cache.remove(url.as_str());
                }
                let stale = cache.any(url.as_str(), now).filter(|_| error.is_of_network());
                return stale.ok_or(Unread::Unfetched(error));
            }
        };
        match client_document::read(url, &answer.content, &self.offered) {
            Ok(client) => {
                let client = Arc::new(client);
                let (bytes, lifetime) = (answer.content.len(), answer.fresh_for);
                self.lock().cache.keep(url, Arc::clone(&client), bytes, lifetime, now);
                Ok(client)
            }
            Err(error) => {
                self.lock().cache.remove(url.as_str());
                Err(Unread::Invalid(error))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoning is ignored: a change that a panic left incomplete costs a fetch at most.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Adds a request of `peer` to those that wait.
    ///
    /// # Errors
    /// When a bound is reached.
    fn join(&mut self, peer: Peer, is_loopback: bool, caller: Caller) -> Result<(), PoolError> {
        let of_peer = self.waiters.iter().filter(|waiter| waiter.peer == peer).count();
        if of_peer >= PEER_WAITERS_MAX && !is_loopback {
            return Err(PoolError::PeerFull);
        }
        if self.waiters.len() >= WAITERS_MAX {
            return Err(PoolError::TargetFull);
        }
        self.waiters.push(Waiter { peer, mailbox: Arc::clone(caller.mailbox), ticket: caller.ticket });
        Ok(())
    }
}

/// Ends a flight when it is dropped, whatever has become of its fetch.
struct Landing {
    documents: Arc<Documents>,
    key: Arc<str>,
    arrival: Arrival,
}

impl Landing {
    fn fetch(self, url: &DocumentUrl) {
        let now = self.documents.system.monotonic();
        if let Some(flight) = self.documents.lock().flights.get_mut(&self.key) {
            flight.begun = Some(now);
        }
        let result = self.documents.read(url);
        *self.arrival.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let flight = self.documents.lock().flights.remove(&self.key);
        for Waiter { mailbox, ticket, .. } in flight.into_iter().flat_map(|flight| flight.waiters) {
            mailbox.put_done(ticket);
            mailbox.wake();
        }
    }
}

impl ClientSource for Documents {
    /// The client of a document, for its grants: as it was last read, or with nothing but its identifier. No one can
    /// authorize such a client, since it has no redirect URI.
    fn find(&self, id: &str) -> Option<Arc<Client>> {
        let url = self.parse(id)?;
        Some(self.copy(&url).unwrap_or_else(|| Arc::new(client_document::unread(&url, &self.offered))))
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("offered", &self.offered).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::oauth::Profile;
    use crate::oauth::authorize::{AuthorizationRequest, check};
    use crate::oauth::client::Clients;
    use crate::store::Applied;
    use crate::system::tests::TestSystem;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Records which tickets are done.
    struct Done(Sender<usize>);

    impl Mailbox for Done {
        fn put(&self, _: Ticket, _: Applied) -> bool {
            unreachable!("no store answers here")
        }

        fn abandon(&self, _: Ticket) -> bool {
            unreachable!("only what the store does may be abandoned")
        }

        fn is_abandoned(&self, _: Ticket) -> bool {
            false
        }

        fn put_done(&self, ticket: Ticket) {
            let _ = self.0.send(ticket.place);
        }

        fn put_ready(&self, _: Ticket) {}

        fn wake(&self) {}
    }

    /// Says that a fetch has begun, and gives what the test says, in its order.
    struct Scripted {
        begun: Mutex<Sender<String>>,
        answers: Mutex<Receiver<Result<String, FetchError>>>,
    }

    impl Fetch for Scripted {
        fn fetch(&self, url: &DocumentUrl, _: Reach) -> Result<Fetched, FetchError> {
            self.begun.lock().unwrap().send(url.as_str().to_owned()).unwrap();
            let answer = self.answers.lock().unwrap().recv_timeout(PATIENCE).expect("no more answers");
            answer.map(|content| Fetched { content: content.into_bytes(), fresh_for: None })
        }
    }

    struct Harness {
        documents: Arc<Documents>,
        clock: Arc<TestSystem>,
        mailbox: Arc<dyn Mailbox>,
        done: Receiver<usize>,
        begun: Receiver<String>,
        answers: Sender<Result<String, FetchError>>,
    }

    const URL: &str = "https://app.example/client.json";

    fn document(url: &str) -> String {
        format!(r#"{{"client_id":"{url}","redirect_uris":["https://app.example/cb"]}}"#)
    }

    impl Harness {
        fn new() -> Harness {
            let ((begin, begun), (answers, answered), (sender, done)) = (channel(), channel(), channel());
            let fetch = Scripted { begun: Mutex::new(begin), answers: Mutex::new(answered) };
            let clock = TestSystem::new();
            let offered = Scope::parse("answer").unwrap();
            let fetches = Fetches::new(Arc::new(fetch), false);
            let documents =
                Arc::new(Documents::new(fetches, Reach::Internet, offered, Arc::<TestSystem>::clone(&clock)));
            Harness { documents, clock, mailbox: Arc::new(Done(sender)), done, begun, answers }
        }

        fn fetch(&self, url: &str, peer: u8, place: usize) -> Result<Arrival, PoolError> {
            self.fetch_from(IpAddr::from([192, 0, 2, peer]), url, place)
        }

        fn fetch_from(&self, peer: IpAddr, url: &str, place: usize) -> Result<Arrival, PoolError> {
            let caller = Caller { mailbox: &self.mailbox, ticket: Ticket { place, serial: 0 } };
            let url = DocumentUrl::parse(url, false).expect(url);
            self.documents.fetch(url, Peer::of(peer), peer.is_loopback(), caller)
        }

        /// Fetches `URL`, for which its host gives `answer`; the result.
        fn fetch_with(&self, answer: Result<String, FetchError>) -> Result<Arc<Client>, Unread> {
            self.fetch_at(URL, answer)
        }

        fn fetch_at(&self, url: &str, answer: Result<String, FetchError>) -> Result<Arc<Client>, Unread> {
            self.answers.send(answer).unwrap();
            let arrival = self.fetch(url, 1, 0).expect("room for it");
            self.done(1);
            arrival.lock().unwrap().clone().expect("a result")
        }

        fn done(&self, count: usize) -> Vec<usize> {
            let mut places: Vec<usize> =
                (0..count).map(|_| self.done.recv_timeout(PATIENCE).expect("a ticket")).collect();
            places.sort_unstable();
            places
        }

        fn is_fresh(&self) -> bool {
            matches!(self.documents.look_up(URL), Lookup::Fresh(_))
        }

        fn wait(&self, time: Duration) {
            self.clock.wait(time);
        }
    }

    #[test]
    fn requests_for_one_url_wait_for_one_fetch() {
        let harness = Harness::new();
        let arrivals = [0, 1, 2].map(|place| harness.fetch(URL, place as u8, place).expect("room for it"));
        harness.begun.recv_timeout(PATIENCE).expect("a fetch");
        harness.answers.send(Ok(document(URL))).unwrap();
        assert_eq!(harness.done(3), [0, 1, 2]);
        for arrival in arrivals {
            let client = arrival.lock().unwrap().clone().expect("a result").expect("a client");
            assert_eq!(&*client.id, URL);
        }
        assert!(harness.begun.try_recv().is_err(), "one fetch");
        assert!(harness.is_fresh() && harness.documents.lock().flights.is_empty());
    }

    #[test]
    fn a_peer_has_half_of_the_fetches() {
        let harness = Harness::new();
        let url = |number: usize| format!("https://app{number}.example/c");
        for place in 0..PEER_FETCHES_MAX {
            assert!(harness.fetch(&url(place), 1, place).is_ok());
        }
        assert_eq!(harness.fetch(&url(100), 1, 100).err(), Some(PoolError::PeerFull));
        assert!(harness.fetch(&url(0), 1, 50).is_ok(), "to wait for one that is under way takes no share");
        assert!(harness.fetch(&url(100), 2, 51).is_ok());
        let begun: Vec<String> =
            (0..=PEER_FETCHES_MAX).map(|_| harness.begun.recv_timeout(PATIENCE).unwrap()).collect();
        assert!(begun.contains(&url(100)), "the other peer's begins at once");
        for _ in 0..=PEER_FETCHES_MAX {
            harness.answers.send(Err(FetchError::TimedOut)).unwrap();
        }
        harness.done(PEER_FETCHES_MAX + 2);
        assert!(harness.fetch(&url(100), 1, 0).is_ok(), "its share is free again");
        harness.answers.send(Err(FetchError::TimedOut)).unwrap();
        harness.done(1);
    }

    #[test]
    fn one_peer_does_not_keep_others_from_waiting_for_a_fetch() {
        let harness = Harness::new();
        let mut place = 0;
        let mut join = |peer: IpAddr| {
            place += 1;
            harness.fetch_from(peer, URL, place).err()
        };
        let (first, other, proxy) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), [127, 0, 0, 1].into());
        assert_eq!(join(first), None, "it begins the fetch");
        for (peer, count, refusal) in [
            (first, PEER_WAITERS_MAX, PoolError::PeerFull),
            (other, PEER_WAITERS_MAX, PoolError::PeerFull),
            (proxy, WAITERS_MAX - 2 * PEER_WAITERS_MAX, PoolError::TargetFull),
        ] {
            for _ in 0..count {
                assert_eq!(join(peer), None, "{peer}");
            }
            assert_eq!(join(peer), Some(refusal), "{peer}");
        }
        assert_eq!(join([192, 0, 2, 3].into()), Some(PoolError::TargetFull));
        harness.answers.send(Err(FetchError::TimedOut)).unwrap();
        harness.done(1 + WAITERS_MAX);
    }

    /// It may be a proxy. The bound on all fetches is its bound.
    #[test]
    fn a_peer_on_loopback_has_no_share_of_its_own() {
        let harness = Harness::new();
        let count = 2 * PEER_FETCHES_MAX;
        for place in 0..count {
            let url = format!("https://app{place}.example/c");
            assert!(harness.fetch_from(IpAddr::from([127, 0, 0, 1]), &url, place).is_ok(), "{place}");
            harness.answers.send(Err(FetchError::TimedOut)).unwrap();
        }
        harness.done(count);
    }

    #[test]
    fn documents_fill_the_cache_with_their_own_bytes() {
        let harness = Harness::new();
        let url = |number: usize| format!("https://app{number}.example/c");
        let fetch = |number: usize| {
            let sound = document(&url(number));
            let padded = format!("{sound}{}", " ".repeat(DOCUMENT_BYTES_MAX - sound.len()));
            assert!(harness.fetch_at(&url(number), Ok(padded)).is_ok());
            harness.wait(Duration::from_millis(1));
        };
        let is_fresh = |number: usize| matches!(harness.documents.look_up(&url(number)), Lookup::Fresh(_));
        (0..200).for_each(fetch);
        assert!(is_fresh(0) && is_fresh(199));
        fetch(200);
        assert!(is_fresh(0) && !is_fresh(1) && is_fresh(200), "the least recently used has made room");
    }

    #[test]
    fn a_fetch_that_panics_ends_for_all_who_wait() {
        let harness = Harness::new();
        let arrivals = [0, 1].map(|place| harness.fetch(URL, 1, place).expect("room for it"));
        harness.begun.recv_timeout(PATIENCE).expect("a fetch");
        // The scripted fetch panics where its script has ended.
        let Harness { answers, done, documents, .. } = harness;
        drop(answers);
        for _ in 0..2 {
            done.recv_timeout(PATIENCE).expect("a ticket");
        }
        assert!(
            arrivals.iter().all(|arrival| !arrival.lock().unwrap_or_else(PoisonError::into_inner).is_some())
        );
        assert!(documents.lock().flights.is_empty());
    }

    #[test]
    fn errors_and_invalid_documents_are_never_kept() {
        let harness = Harness::new();
        for answer in [
            Err(FetchError::TimedOut),
            Err(FetchError::Status(404)),
            Err(FetchError::Status(500)),
            Ok(document("https://evil.example/client.json")),
            Ok("{".to_owned()),
        ] {
            assert!(harness.fetch_with(answer).is_err());
            assert!(!harness.is_fresh());
        }
        assert!(harness.fetch_with(Ok(document(URL))).is_ok());
        assert!(harness.is_fresh());
    }

    #[test]
    fn a_stale_copy_serves_only_where_the_network_failed() {
        let check = |answer: Result<String, FetchError>, serves: bool, stays: bool| {
            let harness = Harness::new();
            assert!(harness.fetch_with(Ok(document(URL))).is_ok());
            harness.wait(cache::FRESH_MIN);
            assert!(!harness.is_fresh());
            let name = format!("{answer:?}");
            assert_eq!(harness.fetch_with(answer).is_ok(), serves, "{name}");
            let is_known = |harness: &Harness| !harness.documents.find(URL).unwrap().redirect_uris.is_empty();
            assert_eq!(is_known(&harness), stays, "{name}");
            assert!(!harness.is_fresh(), "{name}");
            harness.wait(cache::STALE_MAX);
            assert!(harness.fetch_with(Err(FetchError::TimedOut)).is_err() && !is_known(&harness));
        };
        for error in [FetchError::Unresolved, FetchError::Unreachable, FetchError::TimedOut, FetchError::Broken]
        {
            check(Err(error), true, true);
        }
        for error in [
            FetchError::ForbiddenAddress,
            FetchError::Tls("x"),
            FetchError::NotJson,
            FetchError::TooLarge,
            FetchError::Status(302),
            FetchError::Status(500),
        ] {
            check(Err(error), false, true);
        }
        check(Err(FetchError::Status(404)), false, false);
        check(Err(FetchError::Status(410)), false, false);
        check(Ok(document("https://evil.example/client.json")), false, false);
    }

    #[test]
    fn a_client_whose_document_is_not_known_keeps_its_grants() {
        let harness = Harness::new();
        let client = harness.documents.find(URL).expect("a client");
        let types = client.grant_types;
        assert!(types.authorization_code && types.refresh_token && !types.client_credentials);
        assert!(!client.is_confidential() && client.scope.as_str() == "answer");
        assert!(client.has_redirect_uri("https://app.example/cb", &Profile::strict()));
        // Nothing can be authorized for it.
        let clients = Clients::default().with_source(Arc::<Documents>::clone(&harness.documents));
        let request = AuthorizationRequest {
            client_id: Some(URL),
            redirect_uri: Some("https://app.example/cb"),
            response_type: Some("code"),
            ..AuthorizationRequest::default()
        };
        let refusal = check(&clients, &Profile::strict(), &request).expect_err("no redirect URI is verified");
        assert!(format!("{refusal:?}").contains("has no redirect URI"), "{refusal:?}");
        for other in ["app", "http://localhost/c", "https://app.example/"] {
            assert!(harness.documents.find(other).is_none(), "{other}");
        }
        // What is known counts.
        assert!(harness.fetch_with(Ok(document(URL))).is_ok());
        let client = harness.documents.find(URL).expect("a client");
        assert!(!client.has_redirect_uri("https://other.example/cb", &Profile::strict()));
        assert!(!client.grant_types.refresh_token);
    }
}
