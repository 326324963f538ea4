//! The pool: a few threads for slow jobs of any kind, off the event loop.
//!
//! ```text
//!   loop ──submit──▶ ┌──────────────────────────────┐          ┌─────────┐
//!   loop ──submit──▶ │ a queue for each kind of job │ ──job──▶ │ threads │ ──put_done, wake──▶ the loops' mailboxes
//!   loop ──submit──▶ └──────────────────────────────┘          └─────────┘
//! ```
//!
//! A job is slow if every connection of a worker would stall while the loop runs it: Argon2 takes 20 ms on purpose, a
//! fetch takes as long as another server likes. The code that has such jobs registers a kind of its own
//! with [`Pool::add_kind`], with its own [`Bounds`]. The pool does not know what the job does.
//!
//! What is bounded, and why:
//!
//! - how many jobs of a kind run at once, so that one kind cannot take all threads;
//! - how many wait, in total, per peer (who caused the job) and per target (what it is about, such as a client), so
//!   that neither one attacker nor one popular target fills the queue for everyone;
//! - targets take turns, so a flood of jobs for one target delays those for another by one job.
//!
//! Past a bound, [`Pool::submit`] refuses at once.
//!
//! A job leaves its result where its submitter looks for it. The pool reports only that the job has ended, through the
//! same [`Mailbox`] as the stores. A job that panicked has ended too, and has left no result. Dropping the pool starts
//! no further job and does not wait for those that run, so they cannot delay the end of the program.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::peer::Peer;
use crate::store::{Caller, Mailbox, Ticket};

/// A few threads for slow jobs; see the module's documentation.
pub struct Pool {
    shared: Arc<Shared>,
    threads_max: usize,
}

/// A kind of job, with bounds of its own; for the pool that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(usize);

/// How many jobs of one kind there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Jobs that run at once.
    pub running_max: usize,
    /// Jobs that wait for a thread.
    pub waiting_max: usize,
    /// Waiting jobs with the same target.
    pub target_waiting_max: usize,
    /// Waiting jobs of one peer.
    pub peer_waiting_max: usize,
}

/// What a job is counted against.
#[derive(Clone)]
pub struct Owner {
    /// What the job is about: the client whose secret is compared, the host that is fetched from.
    pub target: Arc<str>,
    /// Who caused it.
    pub peer: Peer,
}

/// What a job does.
pub type Work = Box<dyn FnOnce() + Send>;

/// Why a job was not accepted, or has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// The queue of this kind is full.
    Full,
    /// Too many jobs with this target are waiting.
    TargetFull,
    /// Too many jobs of this peer are waiting.
    PeerFull,
    /// The operating system refused a thread, and the pool has none.
    NoThread,
    /// The job did not end in time. It may still run.
    TimedOut,
    /// The job panicked.
    Panicked,
}

impl PoolError {
    /// The reason, as text, for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            PoolError::Full => "the queue for slow jobs is full",
            PoolError::TargetFull => "too many slow jobs for the same target are waiting",
            PoolError::PeerFull => "too many slow jobs of this peer are waiting",
            PoolError::NoThread => "the operating system refused a thread for slow jobs",
            PoolError::TimedOut => "a slow job of the request did not end in time",
            PoolError::Panicked => "a slow job of the request panicked",
        }
    }
}

struct Shared {
    state: Mutex<State>,
    /// Signalled for each job that is queued, and when the pool closes.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By the index that [`Kind`] holds.
    kinds: Vec<Queue>,
    /// The kind to try first for the next job; advances past each kind that had one, so that kinds take turns.
    turn: usize,
    threads: usize,
    /// Threads that wait for a job.
    idle: usize,
    is_closed: bool,
}

/// The jobs of one kind.
struct Queue {
    bounds: Bounds,
    running: usize,
    waiting: usize,
    /// The targets that have waiting jobs, in the order of their turns; each with its jobs, oldest first.
    targets: VecDeque<(Arc<str>, VecDeque<Job>)>,
}

struct Job {
    /// `None` once a thread has taken it.
    work: Option<Work>,
    peer: Peer,
    mailbox: Arc<dyn Mailbox>,
    ticket: Ticket,
}

impl Drop for Job {
    /// Reports the end here, so that no way for a job to end (it ran, it panicked, the pool was dropped) can leave its
    /// request waiting.
    fn drop(&mut self) {
        self.mailbox.put_done(self.ticket);
        self.mailbox.wake();
    }
}

impl Pool {
    /// A pool of at most `threads_max` threads, each of which starts when a job first needs it. A server whose clients
    /// never cause slow jobs has no such thread.
    pub fn new(threads_max: usize) -> Pool {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new() };
        Pool { shared: Arc::new(shared), threads_max }
    }

    /// Registers a kind of job. Kinds are never removed: register each once.
    pub fn add_kind(&self, bounds: Bounds) -> Kind {
        let kinds = &mut self.shared.lock().kinds;
        kinds.push(Queue { bounds, running: 0, waiting: 0, targets: VecDeque::new() });
        Kind(kinds.len() - 1)
    }

    /// Queues a job. The mailbox of `caller` gets its ticket exactly once, when the job has ended.
    ///
    /// # Errors
    /// When a bound is reached, or there is no thread: then the job is dropped, and the mailbox gets nothing.
    pub fn submit(&self, kind: Kind, owner: Owner, work: Work, caller: Caller) -> Result<(), PoolError> {
        let mut state = self.shared.lock();
        let Some(queue) = state.kinds.get(kind.0) else { return Err(PoolError::Full) };
        queue.check_room(&owner)?;
        let waiting: usize = state.kinds.iter().map(|queue| queue.waiting).sum();
        // Every idle thread will take one of the jobs that wait already; this job needs another.
        if waiting >= state.idle && state.threads < self.threads_max {
            match start_thread(&self.shared) {
                Ok(()) => state.threads += 1,
                Err(_) if state.threads == 0 => return Err(PoolError::NoThread),
                // The job waits for one of the threads that there are.
                Err(_) => {}
            }
        }
        let (mailbox, ticket) = (Arc::clone(caller.mailbox), caller.ticket);
        state.kinds[kind.0].push(owner.target, Job { work: Some(work), peer: owner.peer, mailbox, ticket });
        // Unlocked first, or the thread would wake up only to wait for the lock.
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    /// Reports every waiting job as ended, without running it.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let kinds = std::mem::take(&mut state.kinds);
        drop(state);
        self.shared.changed.notify_all();
        // Without the lock: dropping a job calls its mailbox.
        drop(kinds);
    }
}

fn start_thread(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("pool".to_owned()).spawn(move || shared.run()).map(drop)
}

impl Shared {
    /// The body of a thread: runs one job after another until the pool is dropped.
    fn run(&self) {
        while let Some((kind, mut job)) = self.take() {
            let work = job.work.take();
            // Unwind safe: a job shares only what its closure captures, all of it behind locks that are held over whole
            // changes. The panic hook reports the panic itself.
            let _ = catch_unwind(AssertUnwindSafe(move || work.map(|work| work())));
            if let Some(queue) = self.lock().kinds.get_mut(kind) {
                queue.running -= 1;
            }
            // Reports the end. Counted down first, so that a submitter that reacts at once finds room.
            drop(job);
        }
    }

    /// Waits for the next job and takes it, with the index of its kind; `None` when the pool is closed.
    fn take(&self) -> Option<(usize, Job)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(next) = state.next() {
                return Some(next);
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoning is ignored: no change to the state can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the next job that may run: kinds take turns, and within a kind, targets do.
    fn next(&mut self) -> Option<(usize, Job)> {
        let count = self.kinds.len();
        let kind =
            (0..count).map(|offset| (self.turn + offset) % count).find(|kind| self.kinds[*kind].may_run())?;
        let job = self.kinds[kind].pop()?;
        self.turn = (kind + 1) % count;
        Some((kind, job))
    }
}

impl Queue {
    fn check_room(&self, owner: &Owner) -> Result<(), PoolError> {
        let jobs = || self.targets.iter().flat_map(|(_, jobs)| jobs);
        let of_target = self.targets.iter().find(|(target, _)| *target == owner.target);
        if self.waiting >= self.bounds.waiting_max {
            Err(PoolError::Full)
        } else if of_target.is_some_and(|(_, jobs)| jobs.len() >= self.bounds.target_waiting_max) {
            Err(PoolError::TargetFull)
        } else if jobs().filter(|job| job.peer == owner.peer).count() >= self.bounds.peer_waiting_max {
            Err(PoolError::PeerFull)
        } else {
            Ok(())
        }
    }

    fn may_run(&self) -> bool {
        self.waiting > 0 && self.running < self.bounds.running_max
    }

    fn push(&mut self, target: Arc<str>, job: Job) {
        self.waiting += 1;
        match self.targets.iter_mut().find(|(known, _)| *known == target) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.targets.push_back((target, VecDeque::from([job]))),
        }
    }

    /// Takes the next job, which counts as running from now on.
    fn pop(&mut self) -> Option<Job> {
        let (target, mut jobs) = self.targets.pop_front()?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            self.targets.push_back((target, jobs));
        }
        self.waiting -= 1;
        self.running += 1;
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::Applied;

    /// Records which jobs have ended.
    struct Ended(Sender<usize>);

    impl Mailbox for Ended {
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

    struct Harness {
        pool: Pool,
        mailbox: Arc<dyn Mailbox>,
        ended: Receiver<usize>,
        /// The places of the jobs that ran.
        say: Sender<usize>,
        said: Receiver<usize>,
    }

    /// Long enough for any thread to be scheduled.
    const PATIENCE: Duration = Duration::from_secs(20);

    impl Harness {
        fn new(threads: usize) -> Harness {
            let ((sender, ended), (say, said)) = (channel(), channel());
            Harness { pool: Pool::new(threads), mailbox: Arc::new(Ended(sender)), ended, say, said }
        }

        fn submit(&self, kind: Kind, owner: Owner, place: usize, work: Work) -> Result<(), PoolError> {
            let caller = Caller { mailbox: &self.mailbox, ticket: Ticket { place, serial: 0 } };
            self.pool.submit(kind, owner, work, caller)
        }

        /// Submits a job that says its place.
        fn say(&self, kind: Kind, owner: Owner, place: usize) -> Result<(), PoolError> {
            let sender = self.say.clone();
            let work = move || sender.send(place).expect("the test listens");
            self.submit(kind, owner, place, Box::new(work))
        }

        /// Submits a job that runs until the returned sender is dropped; it runs when this returns.
        fn block(&self, kind: Kind, place: usize) -> Sender<()> {
            let ((release, released), (begin, begun)) = (channel::<()>(), channel());
            let work: Work = Box::new(move || {
                let _ = begin.send(());
                let _ = released.recv();
            });
            self.submit(kind, owner("blocked", 0), place, work).expect("room for it");
            begun.recv_timeout(PATIENCE).expect("it begins");
            release
        }

        fn ended(&self, count: usize) -> Vec<usize> {
            (0..count).map(|_| self.ended.recv_timeout(PATIENCE).expect("a job ends")).collect()
        }

        fn said(&self) -> Vec<usize> {
            self.said.try_iter().collect()
        }
    }

    /// The client at the address 192.0.2.`peer`, which asks for `target`.
    fn owner(target: &str, peer: u8) -> Owner {
        Owner { target: target.into(), peer: Peer::of([192, 0, 2, peer].into()) }
    }

    fn bounds(running_max: usize) -> Bounds {
        Bounds { running_max, waiting_max: 6, target_waiting_max: 4, peer_waiting_max: 3 }
    }

    #[test]
    fn targets_take_turns_and_every_job_is_done_once() {
        let harness = Harness::new(1);
        let kind = harness.pool.add_kind(bounds(1));
        let release = harness.block(kind, 0);
        for (index, (target, peer)) in
            [("a", 1), ("a", 1), ("a", 1), ("a", 2), ("b", 2), ("c", 2)].into_iter().enumerate()
        {
            harness.say(kind, owner(target, peer), index + 1).expect("room for it");
        }
        drop(release);
        assert_eq!(harness.ended(7), [0, 1, 5, 6, 2, 3, 4], "a, b, c, and the rest of a");
        assert_eq!(harness.said(), [1, 5, 6, 2, 3, 4]);
    }

    #[test]
    fn no_peer_and_no_target_fills_the_queue() {
        let harness = Harness::new(1);
        let kind = harness.pool.add_kind(bounds(1));
        let release = harness.block(kind, 0);
        let results: Vec<Result<(), PoolError>> =
            [("a", 1), ("a", 1), ("a", 1), ("a", 1), ("a", 2), ("a", 2), ("b", 2), ("b", 3), ("b", 4)]
                .into_iter()
                .map(|(target, peer)| harness.say(kind, owner(target, peer), 1))
                .collect();
        let (peer, target, full) = (PoolError::PeerFull, PoolError::TargetFull, PoolError::Full);
        let expected = [Ok(()), Ok(()), Ok(()), Err(peer), Ok(()), Err(target), Ok(()), Ok(()), Err(full)];
        assert_eq!(results, expected);
        drop(release);
        assert_eq!(harness.ended(7), [0, 1, 1, 1, 1, 1, 1], "what was refused is not answered twice");
        harness.say(kind, owner("a", 1), 8).expect("there is room again");
        assert_eq!(harness.ended(1), [8]);
    }

    #[test]
    fn a_kind_that_hangs_leaves_threads_and_room_to_the_others() {
        let harness = Harness::new(2);
        let hanging = harness.pool.add_kind(Bounds { waiting_max: 1, ..bounds(1) });
        let other = harness.pool.add_kind(bounds(2));
        let release = harness.block(hanging, 0);
        harness.say(hanging, owner("a", 1), 1).expect("room for it");
        assert_eq!(
            harness.say(hanging, owner("b", 2), 4),
            Err(PoolError::Full),
            "bounds are those of the kind"
        );
        harness.say(other, owner("a", 1), 2).expect("room for it");
        harness.say(other, owner("a", 1), 3).expect("room for it");
        assert_eq!((harness.ended(2), harness.said()), (vec![2, 3], vec![2, 3]));
        drop(release);
        let mut ended = harness.ended(2);
        ended.sort_unstable();
        assert_eq!(ended, [0, 1]);
    }

    #[test]
    fn a_job_that_panics_has_ended_and_its_thread_goes_on() {
        let harness = Harness::new(1);
        let kind = harness.pool.add_kind(bounds(1));
        harness.submit(kind, owner("a", 1), 1, Box::new(|| panic!("as the test wants"))).expect("room for it");
        harness.say(kind, owner("a", 1), 2).expect("room for it");
        assert_eq!((harness.ended(2), harness.said()), (vec![1, 2], vec![2]));
    }

    #[test]
    fn a_dropped_pool_waits_for_no_job_and_begins_none() {
        let harness = Harness::new(1);
        let kind = harness.pool.add_kind(bounds(1));
        let release = harness.block(kind, 0);
        harness.say(kind, owner("a", 1), 1).expect("room for it");
        let Harness { pool, ended, said, .. } = harness;
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        assert_eq!(ended.recv_timeout(PATIENCE), Ok(1), "what waited is answered, without having run");
        drop(release);
        assert_eq!(ended.recv_timeout(PATIENCE), Ok(0), "what ran ends later");
        assert_eq!(said.try_iter().count(), 0);
        let end = Instant::now() + PATIENCE;
        while shared.strong_count() > 0 {
            assert!(Instant::now() < end, "its thread ends");
            std::thread::yield_now();
        }
    }
}
