//! Records in Redis or Valkey, one engine or a cluster, which several servers may share.
//!
//! Each record is one key, so it works on any node of a cluster, and the engine expires it. A change is a compare-and-
//! swap of that key: if two servers change a record at the same time, one wins, and the other applies its transition to
//! the winner's result. One thread does all communication: it takes all transitions that wait and sends them in one
//! round trip.
//!
//! What survives a failure of the engine depends on the engine's configuration. The server checks it at startup and
//! logs each setting that puts grants at risk.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::key_prefix::KeyPrefix;
use super::location::RedisLocation;
use super::queue::Queue;
use super::{Applied, Bounds, Caller, Store};
use crate::crypto::keyring::{KeyBytes, Keyring};
use crate::log::Log;
use crate::oauth::kind::Transition;
use crate::oauth::lifetimes::Lifetimes;
use crate::oauth::{self, Timestamp};
use crate::system::System;

mod batch;
mod cluster;
mod exchange_loop;
mod explain;
mod group;
mod keys;
mod node;
mod pipeline;
mod probe;
mod reports;
mod run;
mod sealing;
mod seeds;
mod slots;
mod startup;
mod swap;

use batch::Batch;
use cluster::Cluster;
use exchange_loop::ExchangeLoop;
use keys::Keys;
use probe::Probe;
use sealing::{Agreement, Published};

pub use pipeline::Safety;

/// How a server uses its engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// The prefix of every key.
    pub key_prefix: KeyPrefix,
    /// How durable a write must be before its response is sent.
    pub safety: Safety,
    /// The limits of the queue.
    pub bounds: Bounds,
    /// The shortest lifetime of a record: that of a code.
    pub lifetime_min: Duration,
    /// How long an old sealing key is still needed after another one has replaced it.
    pub old_key_lifetime: Duration,
    /// The interval between checks of the engine's clock, permissions and sealing key.
    pub check_interval: Duration,
}

impl Options {
    /// Options with the default lifetimes of a configuration.
    pub fn new(key_prefix: KeyPrefix, safety: Safety, bounds: Bounds) -> Options {
        let Lifetimes { code, form, .. } = Lifetimes::default();
        Options {
            key_prefix,
            safety,
            bounds,
            lifetime_min: code,
            old_key_lifetime: form,
            check_interval: CHECK_INTERVAL,
        }
    }
}

/// The default interval. Sealed content with an unknown key shortens it, to a second at least.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Records on an engine; see the module's documentation.
pub struct RedisStore<T: Transition = oauth::Transition> {
    queue: Arc<Queue<T>>,
    thread: Option<JoinHandle<()>>,
    /// The keys that the servers agree on; `None` if they are not kept on the engine.
    published: Option<Arc<Published>>,
    system: Arc<dyn System>,
}

/// Why an engine cannot be used.
#[derive(Debug)]
pub struct ConnectError(String);

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConnectError {}

impl<T: Transition> RedisStore<T> {
    /// Connects to the engine at `location`; several hosts are nodes of a cluster. An engine without a sealing key gets
    /// `fresh_key`; without `fresh_key`, no keys are kept on the engine. Warnings about its configuration go to `log`.
    ///
    /// # Errors
    /// If the engine cannot be reached, is too old, or lacks what the options need.
    pub fn connect(
        location: &RedisLocation,
        options: &Options,
        fresh_key: Option<KeyBytes>,
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<RedisStore<T>, ConnectError> {
        let Options { key_prefix, safety, bounds, lifetime_min, old_key_lifetime, check_interval } =
            options.clone();
        let keys = Keys::new(&key_prefix);
        // Random, so that no two servers share the keys of their reports and probes.
        let mut server = [0; 8];
        system
            .fill(&mut server)
            .map_err(|error| ConnectError(format!("cannot get random bytes from the system: {error}")))?;
        let server = u64::from_le_bytes(server);
        let name = format!("{server:016x}");
        let probe = Probe::new(keys.clone(), name, lifetime_min + swap::KEPT_LONGER, swap::SWAP, safety);
        // Half of a request's time, to leave time for a second try.
        let patience = bounds.time_max / 2;
        let mut cluster = Cluster::connect(location, probe, safety, patience, Arc::clone(&system), log.clone())
            .map_err(|reason| ConnectError(format!("the engine cannot be used: {reason}")))?;
        for address in cluster.owners() {
            startup::check(&mut cluster, &address, safety, &log).map_err(ConnectError)?;
        }
        let now = system.monotonic();
        let mut agreement = None;
        if let Some(fresh_key) = fresh_key {
            agreement = Agreement::reach(&mut cluster, &keys, &fresh_key, old_key_lifetime, now, log.clone());
            if agreement.is_none() {
                let message = "the engine does not keep the sealing key";
                return Err(ConnectError(message.into()));
            }
        }
        let published = agreement.as_ref().map(Agreement::published);
        cluster.has_returned = false;
        cluster.probes = true;
        let queue = Arc::new(Queue::new(bounds.queue_max, Some(server)));
        let mut batch = Batch::of(keys, server, bounds.time_max, cluster.waits_for_safety());
        // If the node that holds the report is unreachable, the report is sent later.
        batch.report(&mut cluster, &queue, now);
        let system_too = Arc::clone(&system);
        let exchange_loop = ExchangeLoop {
            cluster,
            bounds,
            batch,
            agreement,
            checked: now,
            check_interval,
            system: system_too,
            log,
        };
        let shared_queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("store-redis".to_owned());
        let thread = thread.spawn(move || exchange_loop.run(&shared_queue));
        let thread = thread.map_err(|error| ConnectError(format!("cannot start a thread: {error}")))?;
        Ok(RedisStore { queue, thread: Some(thread), published, system })
    }
}

impl<T: Transition> Store<T> for RedisStore<T> {
    fn submit(&self, transition: T, now: Timestamp, caller: Caller<T>) -> Option<Applied<T>> {
        self.queue.submit(transition, now, self.system.monotonic(), caller)
    }

    fn keyring(&self) -> Option<Arc<Keyring>> {
        self.published.as_ref().map(|published| published.keys())
    }

    fn refresh_keyring(&self) {
        if let Some(published) = self.published.as_ref().filter(|published| !published.is_wanted()) {
            published.want();
            self.queue.nudge();
        }
    }
}

impl<T: Transition> Drop for RedisStore<T> {
    /// Applies what was submitted before it returns.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has answered its jobs.
            let _ = thread.join();
        }
    }
}
