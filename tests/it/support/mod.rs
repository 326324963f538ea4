//! What the socket-level tests share: a server on free ports with a clock of its own, and raw bytes to it.
//!
//! Nothing here waits for a fixed time. A test that is about time moves the server's clock and wakes it; a test that
//! waits for an answer waits in `read`, whose time-out ends a test that would otherwise hang.

pub mod answer;
pub mod app;
#[cfg(all(feature = "client-documents", any(feature = "file-store", feature = "redis-store")))]
pub mod authority;
pub mod browser;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
pub mod counter;
#[cfg(feature = "file-store")]
pub mod disk;
pub mod document_server;
pub mod documents;
#[cfg(feature = "redis-store")]
pub mod engine;
pub mod file;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
pub mod ledger;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
pub mod model;
pub mod program;
#[cfg(feature = "redis-store")]
pub mod proxy;
pub mod random;
#[cfg(feature = "redis-store")]
pub mod simulated_engine;
pub mod source;
pub mod stage;
pub mod standard;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
pub mod stores;
pub mod system;

use std::io::{self, Read, Write};
#[cfg(target_os = "linux")]
use std::net::{Ipv4Addr, SocketAddrV4};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use answer::Answer;
use oauth_from_scratch::config::Config;
use oauth_from_scratch::log::{Log, Logs};
use oauth_from_scratch::net::{Handle, Server, Settings};
use oauth_from_scratch::oauth::Profile;
use oauth_from_scratch::pool::Pool;
use oauth_from_scratch::routes::Role;
use oauth_from_scratch::store::{MemoryStore, Store};
use oauth_from_scratch::system::System;
use system::{RandomSource, TestSystem};

/// How long a test waits for bytes before it fails: far longer than any server needs.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Waits for a condition that another process or thread brings about, and that can only be asked for.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Both servers on free ports, until it is dropped.
pub struct TestServer {
    /// The authorization server's, where there is no client app.
    pub client_app: SocketAddr,
    pub authorization_server: SocketAddr,
    pub log: Log,
    pub access: Log,
    /// Every address that is listened on.
    pub addresses: Vec<(Role, SocketAddr)>,
    /// The server's pool for slow work, which a test may keep busy.
    pub pool: Arc<Pool>,
    pub system: Arc<TestSystem>,
    store: Arc<dyn Store>,
    /// The same, if it is the one in memory.
    memory: Option<Arc<MemoryStore>>,
    handle: Handle,
    /// What a reload reads.
    file: Arc<Mutex<Config>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl TestServer {
    /// Servers with the default limits.
    pub fn start() -> TestServer {
        TestServer::start_with(|_| {})
    }

    /// Servers whose configuration `change` has changed.
    pub fn start_with(change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::start_on(change, RandomSource::Works)
    }

    /// Servers whose random number generator fails.
    pub fn start_without_random_bytes() -> TestServer {
        TestServer::start_on(|_| {}, RandomSource::Fails)
    }

    /// Servers whose random number generator panics, as a fault in a handler would.
    pub fn start_with_panicking_random_source() -> TestServer {
        TestServer::start_on(|_| {}, RandomSource::Panics)
    }

    /// Reloads the configuration, changed by `change`, and waits until every worker uses it.
    pub fn reload(&self, change: impl FnOnce(&mut Config)) {
        change(&mut self.file.lock().unwrap());
        let done = || self.log.lines().iter().filter(|line| line.starts_with("reload: done")).count();
        let (before, begin) = (done(), Instant::now());
        self.handle.reload();
        while done() == before {
            assert!(begin.elapsed() < PATIENCE, "the reload ends");
            std::thread::yield_now();
        }
    }

    /// Begins an orderly end.
    pub fn finish(&self) {
        self.handle.finish();
    }

    /// Waits for the end, and gives the log.
    pub fn join(mut self) -> Log {
        let result = self.thread.take().expect("a server ends once").join();
        result.expect("the server does not panic").expect("the event queue works");
        self.log.clone()
    }

    /// Ends this server and starts another that is configured as `config` says, with the same grants and clock.
    pub fn restart_with(self, config: &Config) -> TestServer {
        let (system, store, memory) = (Arc::clone(&self.system), Arc::clone(&self.store), self.memory.clone());
        drop(self);
        let mut server = TestServer::run(config, system, store);
        server.memory = memory;
        server
    }

    fn start_on(change: impl FnOnce(&mut Config), random: RandomSource) -> TestServer {
        let mut config = Config { client_port: Some(0), auth_port: 0, ..Config::default() };
        change(&mut config);
        let system = TestSystem::with(random, 0);
        let store = Arc::new(MemoryStore::bounded(
            config.limits.store.grants_max,
            config.limits.store.pair_grants_max(),
        ));
        let mut server = TestServer::run(&config, system, Arc::<MemoryStore>::clone(&store));
        server.memory = Some(store);
        server
    }

    /// Servers that are configured as `config` says, with this store.
    pub fn start_in(config: &Config, store: Arc<dyn Store>) -> TestServer {
        TestServer::run(config, TestSystem::with(RandomSource::Works, 0), store)
    }

    /// Servers that are configured as `config` says, under a `profile` that no configuration has.
    pub fn start_under(config: &Config, profile: Profile) -> TestServer {
        let mut settings = config.net_settings();
        settings.routes.profile = profile;
        TestServer::run_with(
            config,
            &settings,
            TestSystem::with(RandomSource::Works, 0),
            Arc::new(MemoryStore::new(100)),
        )
    }

    fn run(config: &Config, system: Arc<TestSystem>, store: Arc<dyn Store>) -> TestServer {
        TestServer::run_with(config, &config.net_settings(), system, store)
    }

    fn run_with(
        config: &Config,
        settings: &Settings,
        system: Arc<TestSystem>,
        store: Arc<dyn Store>,
    ) -> TestServer {
        config.check().expect("a sound configuration");
        let (log, access) = (Log::kept(), Log::kept());
        let logs = Logs { errors: log.clone(), access: access.clone() };
        let shared_system: Arc<dyn System> = Arc::<TestSystem>::clone(&system);
        let pool = Arc::new(Pool::new(config.limits.net.pool_threads_max()));
        let mut server =
            Server::bind_with_pool(settings, Arc::clone(&store), Arc::clone(&pool), shared_system, logs)
                .expect("free ports");
        let file = Arc::new(Mutex::new(config.clone()));
        let read = Arc::clone(&file);
        let read = move || Ok((read.lock().unwrap().clone(), Vec::new()));
        server.reload_with(config.clone().rereading(read));
        if let Some((_, lab)) = &config.lab {
            let handle = server.handle();
            lab.on_change(move || handle.reload());
        }
        let addresses = server.addresses().to_vec();
        let first =
            |role| addresses.iter().find(|(of, _)| *of == role).or(addresses.first()).expect("an address").1;
        TestServer {
            client_app: first(Role::ClientApp),
            authorization_server: first(Role::AuthorizationServer),
            log,
            access,
            addresses: addresses.clone(),
            pool,
            system,
            store,
            memory: None,
            handle: server.handle(),
            file,
            thread: Some(std::thread::spawn(move || server.run())),
        }
    }

    /// How many records its store has.
    pub fn records(&self) -> usize {
        self.memory.as_ref().expect("the store in memory").len()
    }

    /// Lets `time` go by on the server's clock.
    pub fn wait(&self, time: Duration) {
        self.system.wait(time);
        self.handle.wake();
    }

    /// Sets the time of day ahead of the time that has passed, or back to it; and lets a moment go by, in which every
    /// worker reads it.
    pub fn set_clock_ahead(&self, time: Duration) {
        self.system.set_ahead(time);
        self.wait(Duration::from_millis(2));
    }

    /// A connection to the authorization server.
    pub fn connect(&self) -> Client {
        Client::connect(self.authorization_server)
    }

    /// A connection to the client app.
    pub fn connect_to_client_app(&self) -> Client {
        Client::connect(self.client_app)
    }

    /// Sends `request` to the authorization server and gives the one answer to it.
    pub fn answer_to(&self, request: &str) -> Answer {
        self.connect().answer_to(request)
    }

    /// The authorization server's `host:port`, as browsers write it.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.authorization_server.port())
    }

    /// A new code, by way of `POST /code`.
    pub fn code(&self) -> String {
        let answer = self.answer_to(&format!(
            "POST /code HTTP/1.1\r\nHost: {}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\r\n",
            self.host()
        ));
        let location = answer.field("location").unwrap_or_else(|| panic!("no Location: {answer:?}"));
        location.split_once("code=").expect("a code").1.to_owned()
    }

    /// A new access token, by way of `POST /code` and `POST /token`.
    pub fn token(&self) -> String {
        let answer = self.answer_to(&token_request(&self.code()));
        let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        json["access_token"].as_str().expect("a token").to_owned()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.handle.stop();
        let Some(thread) = self.thread.take() else { return };
        let result = thread.join();
        if !std::thread::panicking() {
            result.expect("the server does not panic").expect("the event queue works");
        }
    }
}

/// One `read`, repeated where a signal interrupts it: a socket with a timeout is not read again by the system.
pub fn read_some(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The article's request for a token.
pub fn token_request(code: &str) -> String {
    json_request(&format!(r#"{{"code":"{code}"}}"#))
}

/// A `POST /token` with this content as JSON.
pub fn json_request(content: &str) -> String {
    let length = content.len();
    format!(
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{content}"
    )
}

/// A `POST /token` with this content as a form.
pub fn form_request(content: &str) -> String {
    let length = content.len();
    format!(
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{content}"
    )
}

/// A `GET /secure` with this Authorization.
pub fn secure_request(authorization: &str) -> String {
    format!("GET /secure HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\n\r\n")
}

/// A raw connection.
pub struct Client {
    pub socket: TcpStream,
    arrived: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).expect("a server listens"))
    }

    /// A connection from another address of this machine; on Linux all of 127.0.0.0/8 are its own.
    #[cfg(target_os = "linux")]
    pub fn connect_from(source: Ipv4Addr, port: u16) -> Client {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let own = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&own, &SocketAddrV4::new(source, 0)).expect("an address of this machine");
        connect(&own, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).expect("a server listens");
        Client::over(TcpStream::from(own))
    }

    fn over(socket: TcpStream) -> Client {
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        socket.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
        socket.set_nodelay(true).expect("an option can be set");
        Client { socket, arrived: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Says that nothing more will be sent.
    pub fn end(&mut self) {
        self.socket.shutdown(Shutdown::Write).expect("the connection is open");
    }

    pub fn answer_to(&mut self, request: &str) -> Answer {
        self.send(request);
        let is_head = request.starts_with("HEAD ");
        self.answer(is_head)
    }

    /// The next answer; `to_head` says that it has no content, whatever its length field says.
    pub fn answer(&mut self, to_head: bool) -> Answer {
        loop {
            if let Some((answer, length)) = Answer::parse(&self.arrived, to_head) {
                self.arrived.drain(..length);
                return answer;
            }
            let mut bytes = [0; 4096];
            let count = read_some(&mut self.socket, &mut bytes).expect("the server answers in time");
            let so_far = String::from_utf8_lossy(&self.arrived).into_owned();
            assert!(count > 0, "the server closed before its answer was whole: {so_far:?}");
            self.arrived.extend_from_slice(&bytes[..count]);
        }
    }

    /// All answers until the server closes; `to_head` says that they have no content.
    pub fn answers_until_close(&mut self, to_head: bool) -> Vec<Answer> {
        let mut bytes = std::mem::take(&mut self.arrived);
        // A reset after the last answer is an end, too.
        let _ = self.socket.read_to_end(&mut bytes);
        let (mut answers, mut rest) = (Vec::new(), &bytes[..]);
        while let Some((answer, length)) = Answer::parse(rest, to_head) {
            answers.push(answer);
            rest = &rest[length..];
        }
        assert_eq!(String::from_utf8_lossy(rest), "", "nothing but whole answers");
        answers
    }

    /// All bytes until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.arrived);
        self.socket.read_to_end(&mut bytes).expect("the server closes in time");
        bytes
    }

    /// Fails where anything has arrived.
    pub fn expect_nothing_yet(&mut self) {
        self.socket.set_nonblocking(true).expect("an option can be set");
        let arrived = self.socket.read(&mut [0]).map_err(|error| error.kind());
        self.socket.set_nonblocking(false).expect("an option can be set");
        assert_eq!((arrived, self.arrived.len()), (Err(io::ErrorKind::WouldBlock), 0));
    }

    /// Fails unless the server closes, in whatever manner, without another byte.
    pub fn expect_close(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.arrived), "", "nothing comes before the close");
        let mut byte = [0];
        match read_some(&mut self.socket, &mut byte) {
            Ok(count) => assert_eq!(count, 0, "the server sent another byte"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "the server closes in time"),
        }
    }
}
