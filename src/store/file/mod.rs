//! Records in a file, which outlive the process: an embedded database (redb), and two threads that use it.
//!
//! One thread writes: it takes all transitions that wait, applies them in one write transaction, and waits for the disk
//! once (*group commit*). Then it answers all of them. The other thread reads: it checks tokens against the last
//! commit, without waiting for the disk. Since a token is issued only after its commit, a client's token is always
//! found there.
//!
//! A lock keeps a second process from opening the file. The file holds digests and the server's sealing key, so only
//! its owner may read it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{Database, Durability, StorageBackend};

use super::queue::{Answered, Job, Queue, Taken};
use super::{Applied, Bounds, Caller, Store, StoreError};
use crate::crypto::keyring::{KeyBytes, Keyring};
use crate::log::Log;
use crate::oauth::kind::Transition;
use crate::oauth::{self, Timestamp};
use crate::system::System;

mod disk;
mod explain;
mod format;
mod pairs;
mod place;
mod tables;

use disk::{Access, Disk, Open};
use explain::{DAMAGED, explain, explain_foreign};
use place::Place;
use tables::AllCounts;

/// Maximum transitions that share a commit, so that the first does not wait too long for the last.
const BATCH_MAX: usize = 1024;

/// The size of the database's cache, in bytes.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// How long an answered change may be in memory only, if responses do not wait for the disk.
const RELAXED_TIME: Duration = Duration::from_secs(1);

/// When a response may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    /// When its change is on the disk. It survives a crash of the process or the kernel, and a power cut.
    #[default]
    ForTheDisk,
    /// At once; its change is on the disk within a second. A crash within that second loses it: used codes and revoked
    /// tokens are then valid again.
    ForNothing,
}

/// Records in a file; see the module's documentation.
pub struct FileStore<T: Transition = oauth::Transition> {
    reads: Arc<Queue<T>>,
    writes: Arc<Queue<T>>,
    threads: Vec<JoinHandle<()>>,
    keyring: Arc<Keyring>,
    common: Arc<Common>,
}

/// Why a file cannot be used, and what to do.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store {}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for OpenError {}

/// Where a store's database comes from.
struct Source<F> {
    /// Opens it the first time, and creates it if there is none.
    open: F,
    /// Opens it again after a failure.
    reopen: Open,
    /// `None` for a test's storage, which has no path.
    place: Option<Arc<Place>>,
}

/// What both threads share.
struct Common {
    disk: Disk,
    system: Arc<dyn System>,
    bounds: Bounds,
    /// The number of commits, and of the records that they changed.
    commits: AtomicU64,
    changes: AtomicU64,
}

impl<T: Transition> FileStore<T> {
    /// Opens or creates the file at `path`. A new file gets `fresh_key` as its sealing key.
    ///
    /// # Errors
    /// [`OpenError`] if another process has the file open, if it is damaged or not a file of grants, or if the system
    /// refuses to open it.
    pub fn open(
        path: &Path,
        waiting: Waiting,
        bounds: Bounds,
        fresh_key: KeyBytes,
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<FileStore<T>, OpenError> {
        let place = Arc::new(Place::new(path));
        let (first, second) = (Arc::clone(&place), Arc::clone(&place));
        // A file that disappears while the server runs is not created again: that would lose its grants silently.
        let reopen = Box::new(move || open_file(&second, false));
        let open = || {
            let database = open_file(&first, true)?;
            first.warning().iter().for_each(|warning| log.line(format_args!("{warning}")));
            Ok(database)
        };
        let source = Source { open, reopen, place: Some(place) };
        FileStore::from_source(source, waiting, bounds, fresh_key, system, log.clone())
            .map_err(|reason| OpenError { path: path.to_owned(), reason })
    }

    /// The same on storage that `backend` returns each time it is opened, for tests of failing disks.
    ///
    /// # Errors
    /// The reason, as text.
    pub fn on<B: StorageBackend>(
        backend: impl Fn() -> B + Clone + Send + Sync + 'static,
        waiting: Waiting,
        bounds: Bounds,
        fresh_key: KeyBytes,
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<FileStore<T>, String> {
        let open = move || builder().create_with_backend(backend()).map_err(|error| explain(&error));
        let source = Source { open: open.clone(), reopen: Box::new(open), place: None };
        FileStore::from_source(source, waiting, bounds, fresh_key, system, log)
    }

    fn from_source(
        source: Source<impl FnOnce() -> Result<Database, String>>,
        waiting: Waiting,
        bounds: Bounds,
        fresh_key: KeyBytes,
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<FileStore<T>, String> {
        // The database reports a damaged file by an error or by a panic.
        let prepared = catch_unwind(AssertUnwindSafe(|| {
            let database = (source.open)()?;
            let sealing_key = format::prepare::<T>(&database, fresh_key).map_err(explain_foreign)?;
            Ok((database, sealing_key))
        }));
        let (database, sealing_key) = prepared.unwrap_or_else(|_| Err(DAMAGED.to_owned()))?;
        let mut writer = [0; 8];
        system
            .fill(&mut writer)
            .map_err(|error| format!("cannot get random bytes from the system: {error}"))?;
        let writer = u64::from_le_bytes(writer);
        let disk = Disk::new(database, source.reopen, source.place, log);
        let (commits, changes) = (AtomicU64::new(0), AtomicU64::new(0));
        let common = Arc::new(Common { disk, system, bounds, commits, changes });
        let reads = Arc::new(Queue::new(bounds.queue_max, None));
        let writes = Arc::new(Queue::new(bounds.queue_max, Some(writer)));
        let keyring = Arc::new(Keyring::new(&sealing_key));
        let mut store = FileStore { reads, writes, threads: Vec::new(), keyring, common };
        store.begin("store-reader", Arc::clone(&store.reads), Common::read_on)?;
        let write = move |common: &Common, queue: &Queue<T>| common.write_on(queue, waiting);
        store.begin("store-writer", Arc::clone(&store.writes), write)?;
        Ok(store)
    }

    fn begin(
        &mut self,
        name: &str,
        queue: Arc<Queue<T>>,
        run: impl Fn(&Common, &Queue<T>) + Send + 'static,
    ) -> Result<(), String> {
        let common = Arc::clone(&self.common);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&common, &queue));
        self.threads.push(thread.map_err(|error| format!("cannot start a thread: {error}"))?);
        Ok(())
    }

    /// The number of records in the file, including expired ones that are not forgotten yet.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn len(&self) -> Result<u64, StoreError> {
        self.common.disk.with(Access::Read, self.common.system.monotonic(), tables::count::<T>)
    }

    /// Whether the file has no records.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }
}

impl<T: Transition> Store<T> for FileStore<T> {
    fn submit(&self, transition: T, now: Timestamp, caller: Caller<T>) -> Option<Applied<T>> {
        let queue = if transition.is_read_only() { &self.reads } else { &self.writes };
        queue.submit(transition, now, self.common.system.monotonic(), caller)
    }

    fn keyring(&self) -> Option<Arc<Keyring>> {
        Some(Arc::clone(&self.keyring))
    }
}

impl<T: Transition> Drop for FileStore<T> {
    /// Applies what was submitted before it returns.
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
        for thread in self.threads.drain(..) {
            // A panic of the thread has answered its jobs.
            let _ = thread.join();
        }
        let Common { disk, commits, changes, .. } = &*self.common;
        let (commits, changes) = (commits.load(Ordering::Relaxed), changes.load(Ordering::Relaxed));
        disk.log.line(format_args!("the store's file is closed after {changes} changes in {commits} commits"));
    }
}

impl Common {
    fn read_on<T: Transition>(&self, queue: &Queue<T>) {
        let mut batch = Vec::new();
        while queue.take(&mut batch, BATCH_MAX, None) == Taken::Jobs {
            self.answer_all(queue, &mut batch, Access::Read, tables::look);
        }
    }

    fn write_on<T: Transition>(&self, queue: &Queue<T>, waiting: Waiting) {
        let durability = match waiting {
            Waiting::ForTheDisk => Durability::Immediate,
            Waiting::ForNothing => Durability::None,
        };
        let mut batch = Vec::new();
        let mut counts = AllCounts::default();
        // Since when a commit is in memory only.
        let mut unsafe_since: Option<Instant> = None;
        loop {
            let patience = unsafe_since.map(|since| {
                RELAXED_TIME.saturating_sub(self.system.monotonic().saturating_duration_since(since))
            });
            let taken = match patience {
                Some(Duration::ZERO) => Taken::Nothing,
                patience => queue.take(&mut batch, BATCH_MAX, patience),
            };
            match taken {
                Taken::Jobs => {
                    let apply = |database: &Database, jobs: &[Job<T>]| {
                        // Taken, so that an error or a panic discards the counts; they are then counted again.
                        let mut known = std::mem::take(&mut counts);
                        let (applied, changes) =
                            tables::apply(database, jobs, &self.bounds, &mut known, durability)?;
                        counts = known;
                        self.commits.fetch_add(u64::from(changes > 0), Ordering::Relaxed);
                        self.changes.fetch_add(changes as u64, Ordering::Relaxed);
                        Ok(applied)
                    };
                    self.answer_all(queue, &mut batch, Access::Write, apply);
                    if waiting == Waiting::ForNothing {
                        unsafe_since.get_or_insert_with(|| self.system.monotonic());
                    }
                }
                Taken::Nothing | Taken::End => {
                    if unsafe_since.take().is_some() {
                        let _ = self.disk.with(Access::Write, self.system.monotonic(), tables::make_safe);
                    }
                    if taken == Taken::End {
                        return;
                    }
                }
            }
        }
    }

    fn is_late<T: Transition>(&self, job: &Job<T>, now: Instant) -> bool {
        job.is_awaited() && now.saturating_duration_since(job.since) >= self.bounds.time_max
    }

    /// Does `work` for the jobs that have not timed out, and answers all of them.
    fn answer_all<T: Transition>(
        &self,
        queue: &Queue<T>,
        batch: &mut Vec<Job<T>>,
        access: Access,
        work: impl FnOnce(&Database, &[Job<T>]) -> Result<Vec<Applied<T>>, redb::Error>,
    ) {
        let mut answered = Answered::of(queue);
        let now = self.system.monotonic();
        // Its client has been answered 503, so it must not be applied.
        for late in batch.extract_if(.., |job| self.is_late(job, now)) {
            late.answer(Err(StoreError::TimedOut), &mut answered);
        }
        if batch.is_empty() {
            return;
        }
        let work = |database: &Database| {
            // From here on the changes may be stored, even if the commit reports an error.
            batch.iter().for_each(Job::note_sent);
            work(database, batch)
        };
        match self.disk.with(access, now, work) {
            Ok(applied) => {
                // The disk may have taken longer than a client waits.
                let now = self.system.monotonic();
                for (job, applied) in batch.drain(..).zip(applied) {
                    let applied = if self.is_late(&job, now) { Err(StoreError::TimedOut) } else { applied };
                    job.answer(applied, &mut answered);
                }
            }
            Err(error) => batch.drain(..).for_each(|job| job.answer(Err(error), &mut answered)),
        }
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_file(place: &Place, may_be_new: bool) -> Result<Database, String> {
    let file = place.open(may_be_new)?;
    place.keep_name();
    let backend = FileBackend::new(file).map_err(|error| explain(&error))?;
    builder().create_with_backend(backend).map_err(|error| explain(&error))
}
