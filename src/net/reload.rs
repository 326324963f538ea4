//! Reloads the configuration while the server runs.
//!
//! Reading a file may block, so a thread does it, and ends afterwards. It checks the configuration, builds the routes
//! and publishes both. The workers apply them between two turns: once a turn each compares a generation number with the
//! one in use. The last worker to apply them logs what changed, so after that line every new request is answered with
//! the new configuration.
//!
//! One reload runs at a time. Requests for another one in the meantime cause exactly one more after it, because the
//! file may have changed since it was read. A configuration with mistakes changes nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::control::Control;
use super::inbox::Inbox;
use super::settings::Settings;
use crate::log::Log;
use crate::routes::Routes;

/// Reads and checks the configuration. The error is a message for the log; then nothing has changed.
pub(super) type Read = Box<dyn Fn() -> Result<Reread, String> + Send + Sync>;

/// A configuration that was read again.
pub struct Reread {
    /// The settings to use from now on.
    pub settings: Settings,
    /// Lines for the log: one for each group of changes that take effect.
    pub changes: Vec<String>,
    /// Lines for the log: one for each changed key that needs a restart.
    pub restarts: Vec<String>,
}

/// Settings and the routes that were built from them.
pub(super) struct Published {
    pub(super) settings: Settings,
    pub(super) routes: Arc<Routes>,
}

/// Reads the configuration again and publishes it to the workers.
pub(super) struct Reload {
    read: Read,
    control: Arc<Control>,
    inboxes: Vec<Arc<Inbox>>,
    log: Log,
    /// The number of configurations published so far.
    generation: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// What is in use, or about to be.
    published: Arc<Published>,
    is_under_way: bool,
    /// Another reload was requested and follows the current one.
    is_requested: bool,
    /// How many workers have yet to apply what was published.
    workers_left: usize,
    /// Lines to log when the last worker has applied it.
    lines: Vec<String>,
}

impl Reload {
    /// A server that runs with what `published` is, whose configuration `read` reads again.
    pub(super) fn new(
        published: Published,
        read: Read,
        control: Arc<Control>,
        inboxes: Vec<Arc<Inbox>>,
        log: Log,
    ) -> Reload {
        let state = State {
            published: Arc::new(published),
            is_under_way: false,
            is_requested: false,
            workers_left: 0,
            lines: Vec::new(),
        };
        Reload { read, control, inboxes, log, generation: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Starts a reload, or schedules one more after the reload that is under way. Does nothing while the server
    /// finishes. Never blocks.
    pub(super) fn request(self: &Arc<Reload>) {
        if self.control.is_finishing() {
            return;
        }
        let mut state = self.state();
        if state.is_under_way {
            state.is_requested = true;
            return;
        }
        state.is_under_way = true;
        drop(state);
        self.start();
    }

    fn start(self: &Arc<Reload>) {
        let reload = Arc::clone(self);
        let thread = std::thread::Builder::new().name("reload".to_owned());
        if let Err(error) = thread.spawn(move || reload.run()) {
            self.fail(&format!("cannot start a thread: {error}"));
        }
    }

    /// The generation that was published last.
    pub(super) fn generation(&self) -> u64 {
        // Relaxed is enough: the settings themselves are read under the lock.
        self.generation.load(Ordering::Relaxed)
    }

    /// The settings that were published last, and their generation. Each worker that takes them calls
    /// [`Reload::confirm`].
    pub(super) fn take(&self) -> (u64, Arc<Published>) {
        let state = self.state();
        (self.generation(), Arc::clone(&state.published))
    }

    /// Records that one more worker uses the settings that were published last.
    pub(super) fn confirm(self: &Arc<Reload>) {
        let mut state = self.state();
        state.workers_left = state.workers_left.saturating_sub(1);
        if state.workers_left == 0 {
            let lines = std::mem::take(&mut state.lines);
            drop(state);
            lines.iter().for_each(|line| self.log_line(line));
            self.end();
        }
    }

    /// The body of the thread.
    fn run(self: Arc<Reload>) {
        // After an uncaught panic no reload could ever run again. Nothing is half done at this point.
        let read = catch_unwind(AssertUnwindSafe(|| (self.read)()));
        match read.unwrap_or_else(|_| {
            Err("reading the configuration panicked, which is a bug in this program".to_owned())
        }) {
            Ok(read) => self.publish(read),
            Err(error) => self.fail(&error),
        }
    }

    fn publish(&self, read: Reread) {
        let Reread { settings, changes, restarts } = read;
        let last = match (changes.is_empty(), restarts.is_empty()) {
            (true, true) => "done; nothing has changed",
            (true, false) => "done; nothing changes before a restart",
            (false, _) => "done; requests and connections from now on use the new configuration",
        };
        let routes = Arc::new(self.take().1.routes.reconfigured(&settings.routes));
        let lines = changes.into_iter().chain(restarts).chain([last.to_owned()]);
        let mut state = self.state();
        state.lines = lines.collect();
        state.workers_left = self.inboxes.len();
        state.published = Arc::new(Published { settings, routes });
        self.generation.fetch_add(1, Ordering::Release);
        drop(state);
        self.inboxes.iter().for_each(|inbox| inbox.begin_turn());
    }

    fn fail(self: &Arc<Reload>, error: &str) {
        error.lines().for_each(|line| self.log_line(line));
        self.log_line("failed; the configuration stays as it was");
        self.end();
    }

    /// Logs a line without a bound on the rate. The caller that requested the reload waits for its last line, and only
    /// those who may send the process a signal can cause one.
    fn log_line(&self, line: &str) {
        self.log.unlimited_line(format_args!("reload: {line}"));
    }

    fn end(self: &Arc<Reload>) {
        let mut state = self.state();
        let is_requested = std::mem::take(&mut state.is_requested) && !self.control.is_finishing();
        state.is_under_way = is_requested;
        drop(state);
        if is_requested {
            self.start();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: no change under it can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::{self, Config};
    use crate::log::Logs;
    use crate::net::Server;
    use crate::net::held_store::HeldStore;
    use crate::store::{Mailbox as _, MemoryStore, Store};
    use crate::system::RealSystem;

    /// How long a test waits before it fails.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn config(access_token_seconds: u32) -> Config {
        let text = format!(
            "[listen]\nport = 0\n[lifetimes]\naccess_token = {access_token_seconds}\n[[clients]]\nid = \"a\"\n\
             name = \"A\"\ngrant_types = [\"client_credentials\"]\n\
             secret_digest = \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n"
        );
        config::read(&text, 2).expect("a sound file")
    }

    /// A server of two workers, which a test drives by hand or runs.
    fn server(
        store: Arc<dyn Store>,
        read: impl Fn() -> Result<Config, String> + Send + Sync + 'static,
    ) -> (Server, SocketAddr, Log) {
        let log = Log::kept();
        let logs = Logs { errors: log.clone(), access: Log::kept() };
        let mut server =
            Server::bind(&config(3600).net_settings(), store, Arc::new(RealSystem::default()), logs).unwrap();
        server.reload_with(config(3600).rereading(move || Ok((read()?, Vec::new()))));
        let address = server.addresses()[0].1;
        (server, address, log)
    }

    fn ask_for_a_token(address: SocketAddr) -> TcpStream {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let content = "grant_type=client_credentials&client_id=a&client_secret=abc";
        let length = content.len();
        let head = "POST /token HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: \
            application/x-www-form-urlencoded";
        socket.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n{content}").as_bytes()).unwrap();
        socket
    }

    #[test]
    fn a_waiting_request_ends_with_the_configuration_it_began_with() {
        let store = Arc::new(HeldStore::new());
        let (mut server, address, log) = server(Arc::<HeldStore>::clone(&store), || Ok(config(60)));
        // The first is kept by the worker that accepts, and the second is dealt to the other.
        let mut sockets: Vec<TcpStream> = (0..2).map(|_| ask_for_a_token(address)).collect();
        while server.workers[0].inbox().load() + server.workers[1].inbox().load() < 2 {
            server.workers[0].turn().unwrap();
        }
        while store.waiting() < 2 {
            server.workers.iter_mut().for_each(|worker| {
                worker.inbox().wake();
                worker.turn().unwrap();
            });
        }
        server.handle().reload();
        // The second worker is woken by what was published, and the log waits for the first.
        server.workers[1].turn().unwrap();
        assert_eq!(log.lines(), [""; 0]);
        server.workers[0].turn().unwrap();
        let lines = log.lines();
        assert!(
            lines.len() == 2 && lines[0] == "reload: lifetimes: access_token 60 s, was 3600 s",
            "{lines:?}"
        );
        sockets.push(ask_for_a_token(address));
        while store.waiting() < 3 {
            server.workers.iter_mut().for_each(|worker| {
                worker.inbox().wake();
                worker.turn().unwrap();
            });
        }
        store.release();
        server.handle().finish();
        server.run().unwrap();
        let seconds: Vec<bool> = sockets
            .into_iter()
            .map(|mut socket| {
                let mut answer = String::new();
                socket.read_to_string(&mut answer).expect("an orderly end");
                assert!(
                    answer.contains(r#""expires_in":3600,"#) || answer.contains(r#""expires_in":60,"#),
                    "{answer}"
                );
                answer.contains(r#""expires_in":60,"#)
            })
            .collect();
        assert_eq!(seconds, [false, false, true], "which say that the token expires in a minute");
    }

    fn wait_until(is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "it does not come to it");
            std::thread::yield_now();
        }
    }

    /// Stops a server however its test ends.
    struct Stopped(crate::net::Handle);

    impl Drop for Stopped {
        fn drop(&mut self) {
            self.0.stop();
        }
    }

    /// Runs the server until `test` has done with its handle.
    fn while_it_runs(mut server: Server, test: impl FnOnce(&crate::net::Handle)) {
        let handle = server.handle();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || server.run());
            let stopped = Stopped(handle);
            test(&stopped.0);
            drop(stopped);
            thread.join().expect("no panic").expect("the event queue works");
        });
    }

    #[test]
    fn reloads_requested_during_a_reload_become_one_more() {
        let (began, begins) = channel();
        let (go_on, goes_on) = channel::<()>();
        let (channels, reads) = (Mutex::new((began, goes_on)), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&reads);
        let (server, _, log) = server(Arc::new(MemoryStore::new(10)), move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let channels = channels.lock().unwrap();
            channels.0.send(()).map_err(|error| error.to_string())?;
            channels.1.recv().map_err(|error| error.to_string())?;
            Ok(config(3600))
        });
        let reload = server.reload.clone().expect("it was given something to read");
        while_it_runs(server, |handle| {
            handle.reload();
            begins.recv_timeout(PATIENCE).expect("the reload begins");
            (0..5).for_each(|_| handle.reload());
            go_on.send(()).unwrap();
            begins.recv_timeout(PATIENCE).expect("the reload begins");
            go_on.send(()).unwrap();
            wait_until(|| {
                assert!(begins.try_recv().is_err(), "a third begins");
                log.lines().len() >= 2 && !reload.state().is_under_way
            });
            assert_eq!(reads.load(Ordering::Relaxed), 2);
        });
    }

    #[test]
    fn a_server_that_finishes_does_not_reload() {
        let (server, _, log) = server(Arc::new(MemoryStore::new(10)), || Err("it was read".to_owned()));
        let reload = server.reload.clone().expect("it was given something to read");
        server.handle().finish();
        server.handle().reload();
        assert!(!reload.state().is_under_way);
        assert_eq!(log.lines(), [""; 0]);
    }

    #[test]
    fn a_panic_while_reading_fails_one_reload_and_not_the_next() {
        let (server, _, log) = server(Arc::new(MemoryStore::new(10)), || panic!("as the test wants"));
        while_it_runs(server, |handle| {
            for lines in [2, 4] {
                // The second is requested while the first may be under way, which is as good.
                handle.reload();
                wait_until(|| log.lines().len() >= lines);
            }
        });
        let words = ["reload: reading the configuration panicked, which is a bug in this program"; 2];
        let lines = log.lines();
        assert_eq!([&*lines[0], &*lines[2]], words);
        assert_eq!(lines[1], "reload: failed; the configuration stays as it was");
    }
}
