//! Slow work, off the loop: a few threads do what would keep every connection of a worker waiting.
//!
//! ```text
//!   loop ──submit──▶ ┌──────────────────────────────┐          ┌─────────┐
//!   loop ──submit──▶ │ a queue for each kind of job │ ──job──▶ │ threads │ ──done, wake──▶ the loops' mailboxes
//!   loop ──submit──▶ └──────────────────────────────┘          └─────────┘
//! ```
//!
//! Each kind of job has a bound on how many run at once, so that no kind takes all threads, and on how many wait. A
//! job is counted for a subject (such as a client) and for a peer. Neither may fill the queue alone, and subjects
//! take turns, so a flood of jobs for one subject delays those of another by one job.
//!
//! A job leaves its result where its owner looks for it. The pool says only that the job has ended; a job that
//! panicked has ended, too, and has left no result. When the pool is dropped, no further job begins, and nobody
//! waits for those that run: the end of the program does not depend on them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::peer::Peer;
use crate::store::{Caller, Mailbox, Ticket};

/// What a job does.
pub type Work = Box<dyn FnOnce() + Send>;

/// A few threads for slow work; see the module's page.
pub struct Pool {
    shared: Arc<Shared>,
    threads_max: usize,
}

/// A kind of job, with bounds of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(usize);

/// How many jobs of one kind there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Jobs that run at once.
    pub running_max: usize,
    /// Jobs that wait.
    pub waiting_max: usize,
    /// Jobs of one subject that wait.
    pub subject_waiting_max: usize,
    /// Jobs of one peer that wait.
    pub peer_waiting_max: usize,
}

/// Whom a job is counted for.
#[derive(Clone)]
pub struct Owner {
    /// What the job is about, such as a client.
    pub subject: Arc<str>,
    /// Who caused it.
    pub peer: Peer,
}

/// Why a job was not accepted, or has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// As many jobs of this kind wait as may.
    Full,
    /// As many jobs of this subject wait as may.
    SubjectFull,
    /// As many jobs of this peer wait as may.
    PeerFull,
    /// The system gives no thread.
    NoThread,
    /// The caller has waited for as long as it may. The job may still run.
    TimedOut,
    /// The job panicked.
    Panicked,
}

impl PoolError {
    /// The reason, in words for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            PoolError::Full => "the queue for slow work is full",
            PoolError::SubjectFull => "the queue for slow work holds as many jobs for this client as it may",
            PoolError::PeerFull => "the queue for slow work holds as many jobs for this peer as it may",
            PoolError::NoThread => "the system gives no thread for slow work",
            PoolError::TimedOut => "slow work for the request was not done in time",
            PoolError::Panicked => "slow work for the request failed",
        }
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    kinds: Vec<Queue>,
    /// The kind that is looked at first for the next job.
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
    /// Subjects whose jobs wait, the next one first, each with its jobs in their order.
    subjects: VecDeque<(Arc<str>, VecDeque<Job>)>,
}

struct Job {
    work: Option<Work>,
    peer: Peer,
    mailbox: Arc<dyn Mailbox>,
    ticket: Ticket,
}

impl Drop for Job {
    /// However a job ends, the caller that waits for it hears of it.
    fn drop(&mut self) {
        self.mailbox.put_done(self.ticket);
        self.mailbox.wake();
    }
}

impl Pool {
    /// A pool of at most `threads_max` threads, each of which starts when a job needs it.
    pub fn new(threads_max: usize) -> Pool {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new() };
        Pool { shared: Arc::new(shared), threads_max }
    }

    /// A new kind of job.
    pub fn add_kind(&self, bounds: Bounds) -> Kind {
        let kinds = &mut self.shared.lock().kinds;
        kinds.push(Queue { bounds, running: 0, waiting: 0, subjects: VecDeque::new() });
        Kind(kinds.len() - 1)
    }

    /// Queues a job. The mailbox of `caller` gets its ticket exactly once, when the job has ended.
    ///
    /// # Errors
    /// When a bound is reached, or there is no thread: then the mailbox gets nothing.
    pub fn submit(&self, kind: Kind, owner: Owner, work: Work, caller: Caller) -> Result<(), PoolError> {
        let mut state = self.shared.lock();
        let Some(queue) = state.kinds.get(kind.0) else { return Err(PoolError::Full) };
        queue.check_room(&owner)?;
        let waiting: usize = state.kinds.iter().map(|queue| queue.waiting).sum();
        if waiting >= state.idle && state.threads < self.threads_max {
            match start_thread(&self.shared) {
                Ok(()) => state.threads += 1,
                Err(_) if state.threads == 0 => return Err(PoolError::NoThread),
                Err(_) => {}
            }
        }
        let (mailbox, ticket) = (Arc::clone(caller.mailbox), caller.ticket);
        state.kinds[kind.0].push(owner.subject, Job { work: Some(work), peer: owner.peer, mailbox, ticket });
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let kinds = std::mem::take(&mut state.kinds);
        drop(state);
        self.shared.changed.notify_all();
        drop(kinds);
    }
}

fn start_thread(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("pool".to_owned()).spawn(move || shared.run()).map(drop)
}

impl Shared {
    /// A thread's life: one job after the other, until the pool is dropped.
    fn run(&self) {
        while let Some((kind, mut job)) = self.take() {
            let work = job.work.take();
            // A job shares nothing with others but what its closure shares, and that holds locks over whole changes
            // only. The panic itself is reported by the panic hook.
            let _ = catch_unwind(AssertUnwindSafe(move || work.map(|work| work())));
            if let Some(queue) = self.lock().kinds.get_mut(kind) {
                queue.running -= 1;
            }
            // Now its owner hears of it, and finds room for the next.
            drop(job);
        }
    }

    /// The next job, with the index of its kind; `None` at the end.
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
        // No change to the state panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next job that may run: of the kinds in turn, and in each of the subjects in turn.
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
        let jobs = || self.subjects.iter().flat_map(|(_, jobs)| jobs);
        let of_subject = self.subjects.iter().find(|(subject, _)| *subject == owner.subject);
        if self.waiting >= self.bounds.waiting_max {
            Err(PoolError::Full)
        } else if of_subject.is_some_and(|(_, jobs)| jobs.len() >= self.bounds.subject_waiting_max) {
            Err(PoolError::SubjectFull)
        } else if jobs().filter(|job| job.peer == owner.peer).count() >= self.bounds.peer_waiting_max {
            Err(PoolError::PeerFull)
        } else {
            Ok(())
        }
    }

    fn may_run(&self) -> bool {
        self.waiting > 0 && self.running < self.bounds.running_max
    }

    fn push(&mut self, subject: Arc<str>, job: Job) {
        self.waiting += 1;
        match self.subjects.iter_mut().find(|(known, _)| *known == subject) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.subjects.push_back((subject, VecDeque::from([job]))),
        }
    }

    /// The next job, which runs from now on.
    fn pop(&mut self) -> Option<Job> {
        let (subject, mut jobs) = self.subjects.pop_front()?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            self.subjects.push_back((subject, jobs));
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

    /// Passes on which jobs have ended.
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

        fn wake(&self) {}
    }

    struct Harness {
        pool: Pool,
        mailbox: Arc<dyn Mailbox>,
        ended: Receiver<usize>,
        /// What the jobs that ran have said.
        said: (Sender<usize>, Receiver<usize>),
    }

    /// Long enough for any thread to come to its turn.
    const PATIENCE: Duration = Duration::from_secs(20);

    impl Harness {
        fn new(threads: usize) -> Harness {
            let (sender, ended) = channel();
            Harness { pool: Pool::new(threads), mailbox: Arc::new(Ended(sender)), ended, said: channel() }
        }

        fn submit(&self, kind: Kind, owner: (&str, u8), place: usize, work: Work) -> Result<(), PoolError> {
            let owner = Owner { subject: owner.0.into(), peer: Peer::of([192, 0, 2, owner.1].into()) };
            let caller = Caller { mailbox: &self.mailbox, ticket: Ticket { place, serial: 0 } };
            self.pool.submit(kind, owner, work, caller)
        }

        /// A job that says its place.
        fn say(&self, kind: Kind, owner: (&str, u8), place: usize) -> Result<(), PoolError> {
            let sender = self.said.0.clone();
            let work = move || sender.send(place).expect("somebody listens");
            self.submit(kind, owner, place, Box::new(work))
        }

        /// A job that runs until what comes back is dropped. It runs when this returns.
        fn block(&self, kind: Kind, place: usize) -> Sender<()> {
            let ((release, released), (begin, begun)) = (channel::<()>(), channel());
            let work: Work = Box::new(move || {
                let _ = begin.send(());
                let _ = released.recv();
            });
            self.submit(kind, ("blocked", 0), place, work).expect("room for it");
            begun.recv_timeout(PATIENCE).expect("it begins");
            release
        }

        fn ended(&self, count: usize) -> Vec<usize> {
            (0..count).map(|_| self.ended.recv_timeout(PATIENCE).expect("a job ends")).collect()
        }

        fn said(&self) -> Vec<usize> {
            self.said.1.try_iter().collect()
        }
    }

    fn bounds(running_max: usize) -> Bounds {
        Bounds { running_max, waiting_max: 6, subject_waiting_max: 4, peer_waiting_max: 3 }
    }

    #[test]
    fn subjects_take_turns_and_every_job_is_done_once() {
        let harness = Harness::new(1);
        let kind = harness.pool.add_kind(bounds(1));
        let release = harness.block(kind, 0);
        for (place, owner) in
            [("a", 1), ("a", 1), ("a", 1), ("a", 2), ("b", 2), ("c", 2)].into_iter().enumerate()
        {
            harness.say(kind, owner, place + 1).expect("room for it");
        }
        drop(release);
        assert_eq!(harness.ended(7), [0, 1, 5, 6, 2, 3, 4], "a, b, c, and the rest of a");
        assert_eq!(harness.said(), [1, 5, 6, 2, 3, 4]);
    }

    #[test]
    fn no_peer_and_no_subject_fills_the_queue_and_past_its_bound_a_job_is_refused_at_once() {
        let harness = Harness::new(1);
        let kind = harness.pool.add_kind(bounds(1));
        let release = harness.block(kind, 0);
        let results: Vec<Result<(), PoolError>> =
            [("a", 1), ("a", 1), ("a", 1), ("a", 1), ("a", 2), ("a", 2), ("b", 2), ("b", 3), ("b", 4)]
                .into_iter()
                .map(|owner| harness.say(kind, owner, 1))
                .collect();
        let (peer, subject, full) = (PoolError::PeerFull, PoolError::SubjectFull, PoolError::Full);
        let expected = [Ok(()), Ok(()), Ok(()), Err(peer), Ok(()), Err(subject), Ok(()), Ok(()), Err(full)];
        assert_eq!(results, expected);
        drop(release);
        assert_eq!(harness.ended(7), [0, 1, 1, 1, 1, 1, 1], "what was refused is not answered twice");
        harness.say(kind, ("a", 1), 8).expect("there is room again");
        assert_eq!(harness.ended(1), [8]);
    }

    #[test]
    fn a_kind_whose_jobs_hang_leaves_the_threads_past_its_bound_to_the_others() {
        let harness = Harness::new(2);
        let (hanging, other) = (harness.pool.add_kind(bounds(1)), harness.pool.add_kind(bounds(2)));
        let release = harness.block(hanging, 0);
        harness.say(hanging, ("a", 1), 1).expect("room for it");
        harness.say(other, ("a", 1), 2).expect("room for it");
        harness.say(other, ("a", 1), 3).expect("room for it");
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
        harness.submit(kind, ("a", 1), 1, Box::new(|| panic!("as the test wants"))).expect("room for it");
        harness.say(kind, ("a", 1), 2).expect("room for it");
        assert_eq!((harness.ended(2), harness.said()), (vec![1, 2], vec![2]));
    }

    #[test]
    fn a_dropped_pool_waits_for_no_job_and_begins_none() {
        let harness = Harness::new(1);
        let kind = harness.pool.add_kind(bounds(1));
        let release = harness.block(kind, 0);
        harness.say(kind, ("a", 1), 1).expect("room for it");
        let Harness { pool, ended, said, .. } = harness;
        let shared = Arc::downgrade(&pool.shared);
        drop(pool);
        assert_eq!(ended.recv_timeout(PATIENCE), Ok(1), "what waited is answered, without having run");
        drop(release);
        assert_eq!(ended.recv_timeout(PATIENCE), Ok(0), "what ran ends later");
        assert_eq!(said.1.try_iter().count(), 0);
        let end = Instant::now() + PATIENCE;
        while shared.strong_count() > 0 {
            assert!(Instant::now() < end, "its thread ends");
            std::thread::yield_now();
        }
    }
}
