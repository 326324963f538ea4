//! The event loop: sockets on one side, bytes on the other. The only layer that names mio.
//!
//! A few threads, one for each core, serve both servers. None ever waits for one client: it asks the kernel
//! which sockets have something for it, goes on with each of those as far as it can, and asks again
//! (`Worker::turn`). What a client has sent so far, and what it has not yet taken, is kept in its
//! [`Connection`](crate::http::connection::Connection); so a slow client costs a little memory and nobody's
//! time.
//!
//! Readiness is a hint and comes once (mio's and epoll's edge-triggered contract): after an event, a socket
//! is used until it says `WouldBlock`. When the process runs out of descriptors, accepting pauses until a
//! connection closes or a short time has gone by; it neither spins nor dies.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Config;
use crate::log::Logs;
use crate::routes::{Role, Routes, Site};
use crate::store::{Mailbox as _, Store};
use crate::system::System;

mod access;
mod connections;
mod crowd;
mod deadlines;
mod engine;
mod listeners;
mod moment;
mod peers;
mod refusals;
mod signals;
mod worker;

use worker::{Control, Inbox, Worker};

pub use engine::{Counts, Engine, Readiness, Socket};
pub use listeners::BindError;

/// Why a server could not start.
#[derive(Debug)]
pub enum StartError {
    /// An address could not be listened on.
    Bind(BindError),
    /// The system gives no event queue.
    Events(io::Error),
    /// The system gives no random bytes.
    Randomness(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::Events(error) => write!(f, "the system gives no event queue: {error}"),
            StartError::Randomness(error) => write!(f, "the system gives no random bytes: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::Events(error)
    }
}

/// Both servers, listening.
pub struct Server {
    workers: Vec<Worker>,
    control: Arc<Control>,
    routes: Arc<Routes>,
    addresses: Vec<(Role, SocketAddr)>,
    logs: Logs,
}

/// Ends or wakes a server from another thread.
#[derive(Clone)]
pub struct Handle {
    control: Arc<Control>,
    inboxes: Vec<Arc<Inbox>>,
}

impl Handle {
    /// Makes [`Server::run`] return at once.
    pub fn stop(&self) {
        self.control.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Makes [`Server::run`] return when everything that has been asked for is answered, or
    /// `finish_time_max` has passed. From now on nobody is let in.
    pub fn finish(&self) {
        self.control.finish.store(true, Ordering::Release);
        self.wake();
    }

    /// Makes the server look at its clock: whoever moves a test's clock calls this.
    pub fn wake(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.wake());
    }
}

/// The addresses of both servers, listened on: connections wait until they are served.
pub struct Listening {
    listeners: Vec<listeners::Listener>,
    addresses: Vec<(Role, SocketAddr)>,
    site: Site,
}

impl Listening {
    /// Listens on the addresses of `config`, which has been checked.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub fn bind(config: &Config) -> Result<Listening, StartError> {
        let (listeners, client_port, auth_port) = listeners::bind(config).map_err(StartError::Bind)?;
        let mut addresses = Vec::new();
        for listener in &listeners {
            addresses.push((listener.role, listener.socket.local_addr()?));
        }
        let site = Site::new(config.bind, client_port, auth_port, config.issuer.clone());
        Ok(Listening { listeners, addresses, site })
    }

    /// What both servers know about themselves, the ports that the system picked included.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The servers, which keep grants in `store`.
    ///
    /// # Errors
    /// When the system gives no event queue or no random bytes.
    pub fn serve(
        self,
        config: &Config,
        store: Arc<dyn Store>,
        system: Arc<dyn System>,
        logs: Logs,
    ) -> Result<Server, StartError> {
        let Listening { listeners, addresses, site } = self;
        let routes = Routes::new(config, site, store, Arc::clone(&system)).map_err(StartError::Randomness)?;
        let routes = Arc::new(routes);
        let control = Arc::<Control>::default();
        let mut workers = Vec::new();
        for _ in 0..config.workers {
            let (routes, system) = (Arc::clone(&routes), Arc::clone(&system));
            let make = |mailbox| Engine::new(config, routes, mailbox, system, &logs);
            workers.push(Worker::new(make, Arc::clone(&control))?);
        }
        let inboxes = workers.iter().map(|worker| Arc::clone(worker.inbox())).collect();
        if let Some(first) = workers.first_mut() {
            first.keep_door(listeners, inboxes, &config.limits, logs.errors.clone())?;
        }
        Ok(Server { workers, control, routes, addresses, logs })
    }
}

impl Server {
    /// Listens on the addresses of `config`, which has been checked, and keeps grants in `store`.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the system gives no event queue or no random bytes.
    pub fn bind(
        config: &Config,
        store: Arc<dyn Store>,
        system: Arc<dyn System>,
        logs: Logs,
    ) -> Result<Server, StartError> {
        Listening::bind(config)?.serve(config, store, system, logs)
    }

    /// Where each server listens.
    pub fn addresses(&self) -> &[(Role, SocketAddr)] {
        &self.addresses
    }

    /// What both servers know about themselves.
    pub fn site(&self) -> &Site {
        self.routes.site()
    }

    /// A handle by which to end the server.
    pub fn handle(&self) -> Handle {
        let inboxes = self.workers.iter().map(|worker| Arc::clone(worker.inbox())).collect();
        Handle { control: Arc::clone(&self.control), inboxes }
    }

    /// On SIGINT, SIGTERM or SIGHUP, does what [`Handle::finish`] does; on a second one, ends the program at once.
    ///
    /// # Errors
    /// When the system does not let signals be heard.
    pub fn finish_on_signals(&mut self) -> io::Result<()> {
        let signals = signals::listen()?;
        match self.workers.first_mut() {
            Some(first) => first.listen_to(signals),
            None => Ok(()),
        }
    }

    /// Serves until [`Handle::stop`] or [`Handle::finish`], and says in the log what there was.
    ///
    /// # Errors
    /// When an event queue itself fails; nothing that a client does makes it fail.
    pub fn run(&mut self) -> io::Result<()> {
        let handle = self.handle();
        let run = |worker: &mut Worker| {
            let _guard = StopOnPanic(&handle);
            let result = worker.run().map(|engine| engine.counts());
            if result.is_err() {
                // Without one of its workers the server would go on as half a server.
                handle.stop();
            }
            result
        };
        let counts: Vec<io::Result<Counts>> = std::thread::scope(|scope| {
            let mut workers = self.workers.iter_mut();
            let first = workers.next();
            let others: Vec<_> = workers.map(|worker| scope.spawn(|| run(worker))).collect();
            let first = first.map(run);
            let others = others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(panicked())));
            first.into_iter().chain(others).collect()
        });
        let mut sum = Counts::default();
        for counts in counts {
            sum.add(&counts?);
        }
        self.logs.errors.line(format_args!("stopped after {sum}"));
        Ok(())
    }
}

/// A worker that panics, which is a fault of this program outside of any handler, takes the others with it:
/// half a server would look like a whole one.
struct StopOnPanic<'a>(&'a Handle);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

fn panicked() -> io::Error {
    io::Error::other("a worker panicked")
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Limits};
    use crate::log::Log;
    use crate::oauth::{Timestamp, Transition};
    use crate::store::{Applied, Caller, Mailbox, MemoryStore, Ticket};
    use crate::system::RealSystem;

    type Letter = (Applied, Arc<dyn Mailbox>, Ticket);

    /// A store that answers when it is told to.
    struct Held {
        memory: MemoryStore,
        waiting: Mutex<Vec<Letter>>,
    }

    impl Held {
        fn release(&self) {
            for (applied, mailbox, ticket) in self.waiting.lock().unwrap().drain(..) {
                mailbox.put(ticket, applied);
                mailbox.wake();
            }
        }
    }

    impl Store for Held {
        fn submit(&self, transition: Transition, now: Timestamp, caller: Caller) -> Option<Applied> {
            let applied = self.memory.apply(&transition, now);
            self.waiting.lock().unwrap().push((applied, Arc::clone(caller.mailbox), caller.ticket));
            None
        }
    }

    /// A server whose workers are driven by hand, and where its authorization server listens.
    fn server(workers: usize, store: Arc<dyn Store>) -> (Server, SocketAddr) {
        server_with(Limits::default(), workers, store)
    }

    fn server_with(limits: Limits, workers: usize, store: Arc<dyn Store>) -> (Server, SocketAddr) {
        let config = Config { client_port: None, auth_port: 0, workers, limits, ..Config::default() };
        let logs = Logs { errors: Log::kept(), access: Log::kept() };
        let server = Server::bind(&config, store, Arc::new(RealSystem::default()), logs).unwrap();
        let address = server.addresses()[0].1;
        (server, address)
    }

    fn connect(address: SocketAddr) -> TcpStream {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        socket
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// Everything up to the end, which must not be a reset.
    fn read_all(mut socket: TcpStream) -> String {
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an orderly end");
        answer
    }

    #[test]
    fn whoever_has_connected_when_the_end_begins_is_answered_by_whichever_worker() {
        let (mut server, address) = server(2, Arc::new(MemoryStore::new(10)));
        let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(address)).collect();
        for client in &mut clients {
            client.write_all(GET.as_bytes()).unwrap();
        }
        server.handle().finish();
        // The second worker looks first.
        server.workers[1].turn().unwrap();
        // Then each serves until it has ended.
        server.run().unwrap();
        for client in clients {
            let answer = read_all(client);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer:?}");
        }
    }

    #[test]
    fn who_is_dealt_to_another_worker_as_the_end_begins_is_told_that_the_answer_is_the_last() {
        let (mut server, address) = server(2, Arc::new(MemoryStore::new(10)));
        let mut clients: Vec<TcpStream> = (0..2).map(|_| connect(address)).collect();
        for client in &mut clients {
            client.write_all(GET.as_bytes()).unwrap();
        }
        // The first is kept, the second is dealt.
        while server.workers[0].inbox().load() + server.workers[1].inbox().load() < 2 {
            server.workers[0].turn().unwrap();
        }
        server.handle().finish();
        // The second worker hears of both before the door is shut.
        server.workers[1].turn().unwrap();
        let answer = read_all(clients.remove(1));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer:?}");
    }

    #[test]
    fn what_was_sent_behind_a_request_that_waits_for_the_store_is_answered_at_the_end() {
        let store = Arc::new(Held { memory: MemoryStore::new(10), waiting: Mutex::default() });
        let (mut server, address) = server(1, Arc::<Held>::clone(&store));
        let mut client = connect(address);
        client
            .write_all(b"GET /secure HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ")
            .and_then(|()| client.write_all(format!("{}\r\n\r\n", "A".repeat(64)).as_bytes()))
            .unwrap();
        while store.waiting.lock().unwrap().is_empty() {
            server.workers[0].turn().unwrap();
        }
        client.write_all(GET.as_bytes()).unwrap();
        server.handle().finish();
        server.workers[0].turn().unwrap();
        store.release();
        server.run().unwrap();
        let answer = read_all(client);
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer:?}");
        assert!(answer.contains("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        assert_eq!(answer.matches("\r\nConnection: close\r\n").count(), 1, "the last one's: {answer:?}");
    }

    /// What a client does while its request waits for the store, and what the store must learn of it.
    fn check_abandoned(
        limits: Limits,
        act: impl FnOnce(TcpStream) -> Option<TcpStream>,
        expected: (bool, &str),
    ) {
        let store = Arc::new(Held { memory: MemoryStore::new(10), waiting: Mutex::default() });
        let (mut server, address) = server_with(limits, 1, Arc::<Held>::clone(&store));
        let mut client = connect(address);
        let head = "GET /secure HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ";
        client.write_all(format!("{head}{}\r\n\r\n", "A".repeat(64)).as_bytes()).unwrap();
        while store.waiting.lock().unwrap().is_empty() {
            server.workers[0].turn().unwrap();
        }
        let client = act(client);
        let (reaches, beginning) = expected;
        let is_abandoned = || {
            let waiting = store.waiting.lock().unwrap();
            waiting.iter().all(|(_, mailbox, ticket)| mailbox.is_abandoned(*ticket))
        };
        while !reaches && !is_abandoned() {
            server.workers[0].turn().unwrap();
        }
        assert_eq!(is_abandoned(), !reaches);
        for (applied, mailbox, ticket) in store.waiting.lock().unwrap().drain(..) {
            assert_eq!(mailbox.put(ticket, applied), reaches, "what the store is told");
            assert!(!mailbox.is_abandoned(ticket), "nothing is kept of a request that is answered");
            mailbox.wake();
        }
        server.handle().finish();
        server.run().unwrap();
        if let Some(client) = client {
            let answer = read_all(client);
            assert!(answer.starts_with(beginning), "{answer:?}");
        }
    }

    #[test]
    fn a_store_learns_whether_its_answer_can_still_reach_the_client() {
        let answer = "HTTP/1.1 401 Unauthorized\r\n";
        check_abandoned(Limits::default(), Some, (true, answer));
        let closes = |client: TcpStream| {
            drop(client);
            None
        };
        check_abandoned(Limits::default(), closes, (false, ""));
        // It may read on, and most that close their side do not.
        let half_closes = |client: TcpStream| {
            client.shutdown(std::net::Shutdown::Write).unwrap();
            Some(client)
        };
        check_abandoned(Limits::default(), half_closes, (false, answer));
        let impatient = Limits { store_time_max: Duration::from_millis(1), ..Limits::default() };
        check_abandoned(impatient, Some, (false, "HTTP/1.1 503 Service Unavailable\r\n"));
    }
}
