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
        let (listeners, client_port, auth_port) = listeners::bind(config).map_err(StartError::Bind)?;
        let mut addresses = Vec::new();
        for listener in &listeners {
            addresses.push((listener.role, listener.socket.local_addr()?));
        }
        let site = Site::new(config.bind, client_port, auth_port, config.issuer.clone());
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
