//! Both servers as a whole: bound to their addresses, run by their workers, stopped.
//!
//! [`Listening::bind`] opens the listening sockets, so that a port that is in use is reported before the store is
//! opened. [`Listening::serve`] makes the workers, and [`Server::run`] runs each in a thread of its own, the first in
//! the caller's. A worker that fails or panics stops the others, because half a server looks healthy from the outside.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::clock::Clock;
use super::control::Control;
use super::counts::Counts;
use super::driver::Driver;
use super::handle::Handle;
use super::inbox::Inbox;
use super::listeners::{self, BindError, Listener};
use super::reload::{Published, Reload, Reread};
use super::settings::Settings;
use super::signals::{self, HangUp};
use super::worker::Worker;
use crate::keys::{KeyFile, Keys};
use crate::log::{Log, Logs};
use crate::pool::Pool;
use crate::routes::{Role, Routes, Site};
use crate::store::Store;
use crate::system::System;

/// Why a server could not start.
#[derive(Debug)]
pub enum StartError {
    /// The server cannot listen on an address.
    Bind(BindError),
    /// The system provides no event queue.
    Events(io::Error),
    /// The system provides no random bytes.
    Randomness(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::Events(error) => write!(f, "cannot create an event queue: {error}"),
            StartError::Randomness(error) => write!(f, "cannot read random bytes from the system: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::Events(error)
    }
}

/// Both servers, ready to run: [`Server::run`] blocks until they are stopped through a [`Handle`] or a signal.
pub struct Server {
    pub(super) workers: Vec<Worker>,
    control: Arc<Control>,
    settings: Settings,
    routes: Arc<Routes>,
    pub(super) reload: Option<Arc<Reload>>,
    addresses: Vec<(Role, SocketAddr)>,
    logs: Logs,
}

/// The listening sockets of both servers. Clients can connect; they wait in the backlog until the server runs.
pub struct Listening {
    listeners: Vec<Listener>,
    addresses: Vec<(Role, SocketAddr)>,
    site: Site,
    key_file: Option<Arc<KeyFile>>,
}

impl Listening {
    /// Listens on the addresses of `settings`, which must have been checked.
    ///
    /// # Errors
    /// If the server cannot listen on one of the addresses.
    pub fn bind(settings: &Settings) -> Result<Listening, StartError> {
        let (listeners, ports) = listeners::bind(settings).map_err(StartError::Bind)?;
        let mut addresses = Vec::new();
        for listener in &listeners {
            addresses.push((listener.role, listener.socket.local_addr()?));
        }
        let site = Site::new(settings.bind, ports.client, ports.auth, settings.issuer.clone());
        let site = match ports.lab {
            Some(port) => site.with_lab(settings.bind, port),
            None => site,
        };
        Ok(Listening { listeners, addresses, site, key_file: None })
    }

    /// Uses the keys of `file` instead of those of the store or of this process.
    pub fn with_key_file(self, file: Arc<KeyFile>) -> Listening {
        Listening { key_file: Some(file), ..self }
    }

    /// The names and origins of both servers, with the ports that the system picked.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The port of the authorization server.
    pub fn auth_port(&self) -> u16 {
        let of =
            |(role, address): &(Role, SocketAddr)| (*role == Role::AuthorizationServer).then(|| address.port());
        // There is always an authorization server.
        self.addresses.iter().find_map(of).unwrap_or_default()
    }

    /// Makes the workers of both servers, with grants in `store` and a pool of their own for slow work.
    ///
    /// # Errors
    /// If the system provides no event queue or no random bytes.
    pub fn serve(
        self,
        settings: &Settings,
        store: Arc<dyn Store>,
        system: Arc<dyn System>,
        logs: Logs,
    ) -> Result<Server, StartError> {
        let pool = Arc::new(Pool::new(settings.limits.pool_threads_max()));
        self.serve_with_pool(settings, store, pool, system, logs)
    }

    /// Like [`Listening::serve`], with a pool that the caller may share with others.
    ///
    /// # Errors
    /// As for [`Listening::serve`].
    pub fn serve_with_pool(
        self,
        settings: &Settings,
        store: Arc<dyn Store>,
        pool: Arc<Pool>,
        system: Arc<dyn System>,
        logs: Logs,
    ) -> Result<Server, StartError> {
        let Listening { listeners, addresses, site, key_file } = self;
        let system: Arc<dyn System> = Arc::new(Clock::new(system, logs.errors.clone()));
        let keys = Keys::choose(key_file, &store, &*system).map_err(StartError::Randomness)?;
        let routes =
            Arc::new(Routes::with_keys(&settings.routes, site, keys, store, pool, Arc::clone(&system)));
        let control = Arc::<Control>::default();
        let mut workers = Vec::new();
        for _ in 0..settings.workers {
            let (routes, system) = (Arc::clone(&routes), Arc::clone(&system));
            let make = |mailbox| Driver::new(settings, routes, mailbox, system, &logs);
            workers.push(Worker::new(make, Arc::clone(&control))?);
        }
        let inboxes = workers.iter().map(|worker| Arc::clone(worker.inbox())).collect();
        if let Some(first) = workers.first_mut() {
            first.accept_on(listeners, inboxes, &settings.limits, logs.errors.clone())?;
        }
        Ok(Server { workers, control, settings: settings.clone(), routes, reload: None, addresses, logs })
    }
}

impl Server {
    /// Listens on the addresses of `settings`, which must have been checked, and keeps grants in `store`.
    ///
    /// # Errors
    /// As for [`Listening::bind`] and [`Listening::serve`].
    pub fn bind(
        settings: &Settings,
        store: Arc<dyn Store>,
        system: Arc<dyn System>,
        logs: Logs,
    ) -> Result<Server, StartError> {
        Listening::bind(settings)?.serve(settings, store, system, logs)
    }

    /// Like [`Server::bind`], with a pool that the caller may share with others.
    ///
    /// # Errors
    /// As for [`Server::bind`].
    pub fn bind_with_pool(
        settings: &Settings,
        store: Arc<dyn Store>,
        pool: Arc<Pool>,
        system: Arc<dyn System>,
        logs: Logs,
    ) -> Result<Server, StartError> {
        Listening::bind(settings)?.serve_with_pool(settings, store, pool, system, logs)
    }

    /// The addresses that each server listens on, with the ports that the system picked.
    pub fn addresses(&self) -> &[(Role, SocketAddr)] {
        &self.addresses
    }

    /// The names and origins of both servers.
    pub fn site(&self) -> &Site {
        self.routes.site()
    }

    /// A handle that stops, reloads or wakes the server from another thread.
    pub fn handle(&self) -> Handle {
        Handle { control: Arc::clone(&self.control), inboxes: self.inboxes(), reload: self.reload.clone() }
    }

    fn inboxes(&self) -> Vec<Arc<Inbox>> {
        self.workers.iter().map(|worker| Arc::clone(worker.inbox())).collect()
    }

    /// Enables reloading the configuration while the server runs. `read` is called in a thread of its own, so it may
    /// block; it returns checked settings, or a message that says what is wrong. What takes effect only at a restart
    /// must be as in the settings that the server was bound with: the addresses, and the number of workers.
    pub fn reload_with(&mut self, read: impl Fn() -> Result<Reread, String> + Send + Sync + 'static) {
        let published = Published { settings: self.settings.clone(), routes: Arc::clone(&self.routes) };
        let (control, log) = (Arc::clone(&self.control), self.logs.errors.clone());
        let reload = Arc::new(Reload::new(published, Box::new(read), control, self.inboxes(), log));
        self.workers.iter_mut().for_each(|worker| worker.watch_reload(Arc::clone(&reload)));
        self.reload = Some(reload);
    }

    /// Prints each message on the wire to `log`, if there is a wire view.
    pub fn trace_to(&self, log: Log) {
        if let Some(wire) = self.routes.wire() {
            wire.print_to(log);
        }
    }

    /// Installs signal handlers. SIGINT and SIGTERM call [`Handle::finish`]; a second one ends the program at once.
    /// SIGHUP calls [`Handle::reload`] if [`Server::reload_with`] was called before; otherwise it is treated like the
    /// other two.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn finish_on_signals(&mut self) -> io::Result<()> {
        let hang_up = if self.reload.is_some() { HangUp::Reloads } else { HangUp::Ends };
        let signals = signals::listen(hang_up)?;
        if signals.is_hang_up_ignored && hang_up == HangUp::Reloads {
            self.logs.errors.line(format_args!(
                "SIGHUP was ignored when the server started, as under nohup, and stays ignored: it does not reload \
                 the configuration"
            ));
        }
        match self.workers.first_mut() {
            Some(first) => first.watch_signals(signals),
            None => Ok(()),
        }
    }

    /// Serves until [`Handle::stop`] or [`Handle::finish`], and logs a summary at the end.
    ///
    /// # Errors
    /// If an event queue fails or a worker panics. No client can cause the first.
    pub fn run(&mut self) -> io::Result<()> {
        let handle = self.handle();
        let run = |worker: &mut Worker| {
            let _guard = StopOnPanic(&handle);
            let result = worker.run().map(|driver| driver.counts());
            if result.is_err() {
                // The clients of this worker would hang while the others are served.
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
        self.logs.errors.line(format_args!("stopped: {sum}"));
        Ok(())
    }
}

/// Stops all workers if one panics. That is a bug outside of the endpoints, whose panics are caught for each request;
/// half a server would look healthy from the outside.
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
    use std::time::Duration;

    use super::super::held_store::HeldStore;
    use super::*;
    use crate::crypto::password;
    use crate::peer::Peer;
    use crate::pool::{Bounds, Owner};
    use crate::routes::Limits;
    use crate::store::{Caller, Mailbox, MemoryStore, Ticket};
    use crate::system::RealSystem;
    use crate::system::tests::{Pace, TestSystem};

    /// A server whose workers are driven by hand, and where its authorization server listens.
    fn server(workers: usize, store: Arc<dyn Store>) -> (Server, SocketAddr) {
        server_with(Limits::default(), workers, store, Arc::new(RealSystem::default()))
    }

    fn server_with(
        limits: Limits,
        workers: usize,
        store: Arc<dyn Store>,
        system: Arc<dyn System>,
    ) -> (Server, SocketAddr) {
        let routes = crate::routes::Settings { limits, ..crate::routes::Settings::default() };
        let settings = Settings { client_port: None, auth_port: 0, workers, routes, ..Settings::default() };
        let logs = Logs { errors: Log::kept(), access: Log::kept() };
        let server = Server::bind(&settings, store, system, logs).unwrap();
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
    fn clients_connected_at_the_stop_are_answered_by_any_worker() {
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

    /// The first read takes half of them. If the server closed after those, the kernel would reset the connection.
    #[test]
    fn all_requests_sent_before_the_stop_are_answered() {
        const COUNT: usize = 512;
        let (mut server, address) = server(1, Arc::new(MemoryStore::new(10)));
        let mut client = connect(address);
        let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(17));
        assert_eq!(request.len() * COUNT, 2 * 16_384);
        client.write_all(request.repeat(COUNT).as_bytes()).unwrap();
        server.handle().finish();
        let reader = std::thread::spawn(move || read_all(client));
        server.run().unwrap();
        let answers = reader.join().unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), COUNT);
        assert_eq!(answers.matches("\r\nConnection: close\r\n").count(), 1, "the last one's");
    }

    #[test]
    fn a_connection_handed_over_at_the_stop_gets_connection_close() {
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
        // The second worker learns of both while the listening sockets are still open.
        server.workers[1].turn().unwrap();
        let answer = read_all(clients.remove(1));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer:?}");
    }

    #[test]
    fn a_worker_frees_a_descriptor_for_another_worker() {
        let (mut server, address) = server(2, Arc::new(MemoryStore::new(10)));
        let mut clients: Vec<TcpStream> = (0..2).map(|_| connect(address)).collect();
        // The first is kept, the second is dealt.
        while server.workers[0].inbox().load() + server.workers[1].inbox().load() < 2 {
            server.workers[0].turn().unwrap();
        }
        server.workers[1].turn().unwrap();
        let inboxes: Vec<_> = server.workers.iter().map(|worker| Arc::clone(worker.inbox())).collect();
        inboxes[1].request_eviction(&inboxes[0]);
        server.workers[1].turn().unwrap();
        assert_eq!((inboxes[0].load(), inboxes[1].load()), (1, 0));
        assert!(inboxes[0].take_freed(), "the other one is told");
        assert_eq!(read_all(clients.remove(1)), "", "the idle connection is closed");
    }

    #[test]
    fn requests_behind_a_waiting_one_are_answered_at_the_stop() {
        let store = Arc::new(HeldStore::new());
        let (mut server, address) = server(1, Arc::<HeldStore>::clone(&store));
        let mut client = connect(address);
        client
            .write_all(b"GET /secure HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ")
            .and_then(|()| client.write_all(format!("{}\r\n\r\n", "A".repeat(64)).as_bytes()))
            .unwrap();
        while store.waiting() == 0 {
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
        act: impl FnOnce(TcpStream, &TestSystem) -> Option<TcpStream>,
        reaches: bool,
        beginning: &str,
    ) {
        let store = Arc::new(HeldStore::new());
        let clock = TestSystem::at(Pace::Real);
        let (mut server, address) =
            server_with(limits, 1, Arc::<HeldStore>::clone(&store), Arc::<TestSystem>::clone(&clock));
        let mut client = connect(address);
        let head = "GET /secure HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ";
        client.write_all(format!("{head}{}\r\n\r\n", "A".repeat(64)).as_bytes()).unwrap();
        while store.waiting() == 0 {
            server.workers[0].turn().unwrap();
        }
        let client = act(client, &clock);
        while !reaches && !store.is_abandoned() {
            server.workers[0].turn().unwrap();
        }
        assert_eq!(store.is_abandoned(), !reaches);
        for (applied, mailbox, ticket) in store.take() {
            assert_eq!(mailbox.put(ticket, applied), reaches, "what the store is told");
            assert!(!mailbox.is_abandoned(ticket), "nothing is kept of a request that is answered");
            mailbox.wake();
        }
        server.handle().finish();
        server.run().unwrap();
        if let Some(client) = client {
            let answer = read_all(client);
            assert!(answer.starts_with(beginning) && answer.is_empty() == beginning.is_empty(), "{answer:?}");
        }
    }

    /// What a client is told and what the store is told exclude each other: no client gets an answer that is withdrawn.
    #[test]
    fn a_store_learns_whether_its_answer_reaches_the_client() {
        let answer = "HTTP/1.1 401 Unauthorized\r\n";
        check_abandoned(Limits::default(), |client, _| Some(client), true, answer);
        let half_closes = |client: TcpStream, _: &TestSystem| {
            client.shutdown(std::net::Shutdown::Write).unwrap();
            Some(client)
        };
        check_abandoned(Limits::default(), half_closes, true, answer);
        let gives_up = |client: TcpStream, clock: &TestSystem| {
            clock.wait(Duration::from_secs(2));
            client.shutdown(std::net::Shutdown::Write).unwrap();
            Some(client)
        };
        check_abandoned(Limits::default(), gives_up, false, "");
        let impatient = Limits { store_time_max: Duration::from_millis(1), ..Limits::default() };
        check_abandoned(impatient, |client, _| Some(client), false, "HTTP/1.1 503 Service Unavailable\r\n");
    }

    #[test]
    fn a_connection_that_closes_before_its_delivery_leaves_no_mark() {
        let store = Arc::new(HeldStore::new());
        let clock = TestSystem::at(Pace::Real);
        let patient = Limits { store_time_max: Duration::from_secs(1000), ..Limits::default() };
        let time = Settings::default().limits.finish_time_max;
        let (mut server, address) =
            server_with(patient, 1, Arc::<HeldStore>::clone(&store), Arc::<TestSystem>::clone(&clock));
        let mut client = connect(address);
        let head = "GET /secure HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ";
        client.write_all(format!("{head}{}\r\n\r\n", "A".repeat(64)).as_bytes()).unwrap();
        while store.waiting() == 0 {
            server.workers[0].turn().unwrap();
        }
        server.handle().finish();
        server.workers[0].turn().unwrap();
        store.release();
        clock.wait(time);
        assert_eq!(server.workers[0].close_before_delivery(), (1, 0));
    }

    /// A client whose secret a person chose, with a digest of "secret" that is as quick as such a digest may be.
    const CHOSEN: &str = r#"
        issuer = "http://localhost:3001"
        [scopes]
        other = "Do something else."
        [[clients]]
        id = "robot"
        name = "The Robot"
        scopes = ["other"]
        grant_types = ["client_credentials"]
        secret_digest = "DIGEST"
    "#;

    /// Keeps the only thread of `pool` busy, until what comes back is dropped.
    fn block(pool: &Pool) -> std::sync::mpsc::Sender<()> {
        let bounds = Bounds { running_max: 1, waiting_max: 1, target_waiting_max: 1, peer_waiting_max: 1 };
        let unread: Arc<dyn Mailbox> = Arc::new(());
        let ((release, released), (begin, begun)) =
            (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel());
        let work = move || {
            let _ = begin.send(());
            let _ = released.recv();
        };
        let owner = Owner { target: "the test".into(), peer: Peer::of([192, 0, 2, 1].into()) };
        let caller = Caller { mailbox: &unread, ticket: Ticket { place: 0, serial: 0 } };
        pool.submit(pool.add_kind(bounds), owner, Box::new(work), caller).unwrap();
        begun.recv().unwrap();
        release
    }

    /// What a client does while its request waits for the pool, and what the store must learn of it when the request
    /// goes on to the store.
    fn check_abandoned_in_the_pool(act: impl FnOnce(TcpStream) -> Option<TcpStream>) {
        let digest = password::hash_cheaply("secret", [7; 16]).unwrap();
        let mut config = crate::config::read(&CHOSEN.replace("DIGEST", &digest), 1).unwrap();
        (config.client_port, config.auth_port) = (None, 0);
        let store = Arc::new(HeldStore::new());
        let pool = Arc::new(Pool::new(1));
        let logs = Logs { errors: Log::kept(), access: Log::kept() };
        let (shared, system) = (Arc::<HeldStore>::clone(&store), Arc::new(RealSystem::default()));
        let mut server =
            Server::bind_with_pool(&config.net_settings(), shared, Arc::clone(&pool), system, logs).unwrap();
        let release = block(&pool);
        let mut client = connect(server.addresses()[0].1);
        let form = "grant_type=client_credentials&client_id=robot&client_secret=secret";
        let head = "POST /token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ";
        client.write_all(format!("{head}{}\r\n\r\n{form}", form.len()).as_bytes()).unwrap();
        while server.workers[0].driver().counts().requests == 0 {
            server.workers[0].turn().unwrap();
        }
        let client = act(client);
        let inbox = Arc::clone(server.workers[0].inbox());
        assert_eq!(inbox.abandoned(), 0, "what waits for the pool is not abandoned");
        drop(release);
        while store.waiting() == 0 {
            server.workers[0].turn().unwrap();
        }
        assert_eq!(inbox.abandoned(), 0);
        for (applied, mailbox, ticket) in store.take() {
            assert!(mailbox.put(ticket, applied), "what the store is told");
            mailbox.wake();
        }
        assert_eq!(inbox.abandoned(), 0, "nothing is kept of a request that is answered");
        server.handle().finish();
        server.run().unwrap();
        if let Some(client) = client {
            let answer = read_all(client);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        }
    }

    /// It closed its side soon after its request, so it may read on.
    #[test]
    fn a_half_closed_client_gets_the_answer_it_waits_for() {
        check_abandoned_in_the_pool(Some);
        let closes = |client: TcpStream| {
            drop(client);
            None
        };
        check_abandoned_in_the_pool(closes);
        let half_closes = |client: TcpStream| {
            client.shutdown(std::net::Shutdown::Write).unwrap();
            Some(client)
        };
        check_abandoned_in_the_pool(half_closes);
    }

    #[test]
    fn pipelined_requests_of_a_half_closed_client_are_all_answered() {
        let store = Arc::new(HeldStore::new());
        let (mut server, address) = server(1, Arc::<HeldStore>::clone(&store));
        let mut client = connect(address);
        let token = "A".repeat(64);
        let secure =
            format!("GET /secure HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        client.write_all(format!("{secure}{}", GET.repeat(40)).as_bytes()).unwrap();
        while store.waiting() == 0 {
            server.workers[0].turn().unwrap();
        }
        client.shutdown(std::net::Shutdown::Write).unwrap();
        server.handle().finish();
        server.workers[0].turn().unwrap();
        store.release();
        server.run().unwrap();
        assert_eq!(read_all(client).matches("HTTP/1.1 200 OK\r\n").count(), 40);
    }
}
