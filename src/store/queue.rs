//! What stands between the loops and a store that takes its time: transitions wait here, and a thread takes
//! all that have gathered and applies them as one batch.
//!
//! ```text
//!   loop ──submit──▶ ┌───────┐           ┌────────────────┐ ──one commit, or one round trip──▶ disk, engine
//!   loop ──submit──▶ │ queue │ ──batch──▶│ store's thread │
//!   loop ──submit──▶ └───────┘           └────────────────┘ ──put, put, put, wake──▶ the loops' mailboxes
//! ```
//!
//! While a batch is on its way the next one gathers, so under load a commit is shared by all who came during
//! the one before it, and without load nobody waits for company.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Applied, Caller, Mailbox, StoreError, Ticket};
use crate::oauth::{Timestamp, Transition};

/// A transition that waits for its store, and whoever waits for its outcome.
pub(super) struct Job {
    pub(super) transition: Transition,
    pub(super) now: Timestamp,
    /// When it was submitted.
    pub(super) since: Instant,
    /// `None` once it has been answered.
    waits: Option<(Arc<dyn Mailbox>, Ticket)>,
}

impl Job {
    /// Tells whoever waits. They look when their mailbox is woken, which is left to [`Answered`].
    pub(super) fn answer(mut self, applied: Applied, answered: &mut Answered) {
        if let Some((mailbox, ticket)) = self.waits.take() {
            mailbox.put(ticket, applied);
            answered.add(mailbox);
        }
    }
}

impl Drop for Job {
    /// Nobody waits for a job that a panic dropped.
    fn drop(&mut self) {
        if let Some((mailbox, ticket)) = self.waits.take() {
            mailbox.put(ticket, Err(StoreError::Unavailable));
            mailbox.wake();
        }
    }
}

/// The mailboxes that something was put into, each of which is woken once, when this is dropped.
#[derive(Default)]
pub(super) struct Answered(Vec<Arc<dyn Mailbox>>);

impl Answered {
    fn add(&mut self, mailbox: Arc<dyn Mailbox>) {
        // There are as many as workers: a few.
        if !self.0.iter().any(|known| Arc::ptr_eq(known, &mailbox)) {
            self.0.push(mailbox);
        }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.iter().for_each(|mailbox| mailbox.wake());
    }
}

/// The queue; see the module's page.
pub(super) struct Queue {
    jobs_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// The store's thread waits to be told of the next job.
    is_asleep: bool,
    is_closed: bool,
}

/// What the store's thread got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Some jobs.
    Jobs,
    /// None came in the time that it was to wait.
    Nothing,
    /// There will be no more.
    End,
}

impl Queue {
    /// A queue for at most `jobs_max` jobs.
    pub(super) fn new(jobs_max: usize) -> Queue {
        Queue { jobs_max, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts a transition into the queue, of a moment `now` that was `since` by the other clock. It waits there,
    /// unless there is an answer to it at once: that there is no room.
    pub(super) fn submit(
        &self,
        transition: Transition,
        (now, since): (Timestamp, Instant),
        caller: Caller,
    ) -> Option<Applied> {
        let mut state = self.lock();
        if state.is_closed {
            return Some(Err(StoreError::Unavailable));
        }
        if state.jobs.len() >= self.jobs_max {
            return Some(Err(StoreError::Busy));
        }
        let waits = Some((Arc::clone(caller.mailbox), caller.ticket));
        state.jobs.push(Job { transition, now, since, waits });
        let is_asleep = std::mem::take(&mut state.is_asleep);
        drop(state);
        if is_asleep {
            self.changed.notify_one();
        }
        None
    }

    /// Moves what has gathered, at most `count` jobs, the oldest first, to the end of `batch`; waits for it if
    /// there is nothing, but no longer than `patience`.
    pub(super) fn take(&self, batch: &mut Vec<Job>, count: usize, patience: Option<Duration>) -> Taken {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.is_closed {
                return Taken::End;
            }
            state.is_asleep = true;
            state = match patience {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let waited = self.changed.wait_timeout(state, time);
                    let (mut state, result) = waited.unwrap_or_else(PoisonError::into_inner);
                    if result.timed_out() && state.jobs.is_empty() && !state.is_closed {
                        state.is_asleep = false;
                        return Taken::Nothing;
                    }
                    state
                }
            };
        }
        let count = count.min(state.jobs.len());
        batch.extend(state.jobs.drain(..count));
        Taken::Jobs
    }

    /// Lets in no more jobs. Those that wait can still be taken.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change to the state is one call that does not panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::oauth::Credential;
    use crate::oauth::secret::CREDENTIAL_BYTES;

    /// Counts what is put and how often it is woken.
    #[derive(Default)]
    struct Counter {
        put: Mutex<Vec<(usize, Applied)>>,
        woken: AtomicUsize,
    }

    impl Mailbox for Counter {
        fn put(&self, ticket: Ticket, applied: Applied) {
            self.put.lock().unwrap().push((ticket.place, applied));
        }

        fn put_done(&self, _: Ticket) {}

        fn wake(&self) {
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn submit(queue: &Queue, counter: &Arc<Counter>, place: usize) -> Option<Applied> {
        let mailbox: Arc<dyn Mailbox> = Arc::<Counter>::clone(counter);
        let token = Credential::of_new_grant([0; CREDENTIAL_BYTES]);
        let caller = Caller { mailbox: &mailbox, ticket: Ticket { place, serial: 0 } };
        let now = (Timestamp::from_milliseconds(0), start());
        queue.submit(Transition::check(&token, None), now, caller)
    }

    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    #[test]
    fn what_has_gathered_is_taken_in_its_order_and_everyone_is_woken_once() {
        let (queue, counter) = (Queue::new(10), Arc::<Counter>::default());
        for place in 0..5 {
            assert!(submit(&queue, &counter, place).is_none());
        }
        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch, 3, None), Taken::Jobs);
        assert_eq!(queue.take(&mut batch, 3, None), Taken::Jobs);
        let mut answered = Answered::default();
        batch.drain(..).for_each(|job| job.answer(Err(StoreError::Full), &mut answered));
        assert_eq!(counter.woken.load(Ordering::Relaxed), 0, "nobody looks before all is there");
        drop(answered);
        let places: Vec<usize> = counter.put.lock().unwrap().iter().map(|(place, _)| *place).collect();
        assert_eq!((places, counter.woken.load(Ordering::Relaxed)), (vec![0, 1, 2, 3, 4], 1));
        assert_eq!(queue.take(&mut batch, 3, Some(Duration::ZERO)), Taken::Nothing);
    }

    #[test]
    fn a_full_queue_says_so_and_so_does_one_that_is_closed() {
        let (queue, counter) = (Queue::new(2), Arc::<Counter>::default());
        assert!(submit(&queue, &counter, 0).is_none() && submit(&queue, &counter, 1).is_none());
        assert_eq!(submit(&queue, &counter, 2), Some(Err(StoreError::Busy)));
        queue.close();
        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch, 9, None), Taken::Jobs, "what waits is still taken");
        assert_eq!(submit(&queue, &counter, 3), Some(Err(StoreError::Unavailable)));
        assert_eq!(queue.take(&mut batch, 9, None), Taken::End);
    }

    #[test]
    fn a_job_that_is_lost_is_answered_all_the_same() {
        let (queue, counter) = (Queue::new(2), Arc::<Counter>::default());
        assert!(submit(&queue, &counter, 7).is_none());
        drop(queue);
        assert_eq!(*counter.put.lock().unwrap(), [(7, Err(StoreError::Unavailable))]);
        assert_eq!(counter.woken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_thread_that_waits_is_told_of_the_next_job_and_of_the_end() {
        let (queue, counter) = (Arc::new(Queue::new(100)), Arc::<Counter>::default());
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| {
                let (mut batch, mut count) = (Vec::new(), 0);
                while queue.take(&mut batch, 100, None) == Taken::Jobs {
                    count += batch.len();
                    batch.clear();
                }
                count
            });
            for place in 0..50 {
                assert!(submit(&queue, &counter, place).is_none());
                std::thread::yield_now();
            }
            queue.close();
            assert_eq!(taken.join().unwrap(), 50);
        });
    }
}
