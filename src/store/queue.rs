//! The queue between the event loops and a file or an engine: the store's thread takes all transitions that wait and
//! applies them as one batch.
//!
//! ```text
//!   loop ──submit──▶ ┌───────┐           ┌────────────────┐ ──one commit, or one round trip──▶ disk, engine
//!   loop ──submit──▶ │ queue │ ──batch──▶│ store's thread │
//!   loop ──submit──▶ └───────┘           └────────────────┘ ──put, put, put, wake──▶ the loops' mailboxes
//! ```
//!
//! A redemption or rotation whose response fails or does not reach its client is withdrawn. The withdrawal waits here
//! until the store can apply it, before any other transition of its grant.
//!
//! The next batch gathers while one is being applied. So under load many transitions share a commit, and without load
//! none waits for others.

use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::withdrawals::{Withdrawal, Withdrawals};
use super::{Applied, Caller, Mailbox, StoreError, Ticket};
#[cfg(feature = "redis-store")]
use crate::oauth::Key;
use crate::oauth::Timestamp;
use crate::oauth::kind::{Change, Transition, Writer};

/// Maximum withdrawals in a batch that belong to other grants than its jobs.
const WITHDRAWALS_PER_BATCH: usize = 256;

/// How long failed withdrawals wait for a retry when no other transition comes.
const WITHDRAWAL_RETRY_TIME: Duration = Duration::from_millis(500);

/// The change of a record, and the outcome for the caller.
type Judged<T> = (Change<<T as Transition>::Record>, <T as Transition>::Outcome);

/// A transition that waits for its store, with the caller that waits for its outcome.
pub(super) struct Job<T: Transition> {
    pub(super) transition: T,
    pub(super) now: Timestamp,
    /// When it was submitted.
    pub(super) since: Instant,
    /// Counts up from 1; 0 if the transition issues no tokens. A withdrawal has the number of the job that it undoes.
    pub(super) serial: u64,
    /// The applied record already notes that the response does not reach the client.
    is_withdrawn: Cell<bool>,
    /// A write that covers it has been made or sent, so it may be stored.
    is_sent: Cell<bool>,
    /// `None` for a withdrawal, and once it has been answered.
    waits: Option<(Arc<dyn Mailbox<T>>, Ticket)>,
}

impl<T: Transition> Job<T> {
    fn of_withdrawal(withdrawal: Withdrawal<T>) -> Job<T> {
        let Withdrawal { transition, now, since, serial } = withdrawal;
        let (is_withdrawn, is_sent) = (Cell::new(false), Cell::new(true));
        Job { transition, now, since, serial, is_withdrawn, is_sent, waits: None }
    }

    /// Applies the transition to `record`. If its caller has been abandoned already, the new record notes that, so that
    /// the client's retry, which may be next in the queue, is not taken for a replay.
    pub(super) fn apply(&self, record: Option<&T::Record>) -> Judged<T> {
        self.note_delivery(self.transition.apply(record, self.now))
    }

    /// The same, if the last response of the grant is known to have failed.
    #[cfg(feature = "redis-store")]
    pub(super) fn apply_after_failure(&self, record: Option<&T::Record>) -> Judged<T> {
        self.note_delivery(self.transition.apply_after_failure(record, self.now))
    }

    fn note_delivery(&self, (change, outcome): Judged<T>) -> Judged<T> {
        self.is_withdrawn.set(false);
        let is_abandoned = |(mailbox, ticket): &(Arc<dyn Mailbox<T>>, Ticket)| mailbox.is_abandoned(*ticket);
        let Change::Put(record) = &change else { return (change, outcome) };
        if !self.transition.delivers() || !self.waits.as_ref().is_some_and(is_abandoned) {
            return (change, outcome);
        }
        let withdrawn =
            self.transition.withdrawal().map(|withdrawal| withdrawal.apply(Some(record), self.now).0);
        match withdrawn {
            Some(Change::Put(noted)) => {
                self.is_withdrawn.set(true);
                (Change::Put(noted), outcome)
            }
            _ => (change, outcome),
        }
    }

    /// Notes that a write that covers it is about to be made or sent.
    pub(super) fn note_sent(&self) {
        self.is_sent.set(true);
    }

    /// Whether a caller waits. A withdrawal has none, and cannot time out.
    #[cfg(feature = "file-store")]
    pub(super) fn is_awaited(&self) -> bool {
        self.waits.is_some()
    }

    /// Delivers the outcome; [`Answered`] wakes the mailbox later. If the outcome is an error or reaches no client, and
    /// the transition may be stored, it is withdrawn. After an error that holds even if the record noted it: what was
    /// applied last may never have been sent, and an earlier write without the note may be stored.
    pub(super) fn answer(mut self, applied: Applied<T>, answered: &mut Answered<T>) {
        let is_noted = applied.is_ok() && self.is_withdrawn.get();
        let mut is_delivered = applied.is_ok();
        // Retrying does not repair a damaged record.
        let may_be_repeated = !matches!(applied, Err(StoreError::Damaged));
        if let Some((mailbox, ticket)) = self.waits.take() {
            is_delivered &= mailbox.put(ticket, applied);
            answered.add(mailbox);
        }
        if !is_delivered && may_be_repeated && self.is_sent.get() && !is_noted {
            answered.queue.withdraw(&self);
        }
    }
}

impl<T: Transition> Drop for Job<T> {
    /// Answers the caller of a job that a panic dropped.
    fn drop(&mut self) {
        if let Some((mailbox, ticket)) = self.waits.take() {
            mailbox.put(ticket, Err(StoreError::Unavailable));
            mailbox.wake();
        }
    }
}

/// The mailboxes with new deliveries. Wakes each of them once when dropped.
pub(super) struct Answered<'q, T: Transition> {
    mailboxes: Vec<Arc<dyn Mailbox<T>>>,
    queue: &'q Queue<T>,
}

impl<T: Transition> Answered<'_, T> {
    /// For jobs of `queue`.
    pub(super) fn of(queue: &Queue<T>) -> Answered<'_, T> {
        Answered { mailboxes: Vec::new(), queue }
    }

    fn add(&mut self, mailbox: Arc<dyn Mailbox<T>>) {
        // One mailbox per worker, so a linear search is enough.
        if !self.mailboxes.iter().any(|known| Arc::ptr_eq(known, &mailbox)) {
            self.mailboxes.push(mailbox);
        }
    }
}

impl<T: Transition> Drop for Answered<'_, T> {
    fn drop(&mut self) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.wake());
    }
}

/// The queue; see the module's documentation.
pub(super) struct Queue<T: Transition> {
    jobs_max: usize,
    /// This process as a writer: a random number.
    server: Option<u64>,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T: Transition> {
    jobs: Vec<Job<T>>,
    withdrawals: Withdrawals<T>,
    /// The number of the last job.
    serial: u64,
    /// The total of the waits that timed out since failed withdrawals were last retried.
    waited: Duration,
    /// The store's thread sleeps until the next job.
    is_asleep: bool,
    /// The store's thread should return even if there is no job.
    is_nudged: bool,
    is_closed: bool,
    /// After the queue was closed, the remaining withdrawals have been tried a last time.
    is_over: bool,
}

/// What [`Queue::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Some jobs.
    Jobs,
    /// No job came in time, or the thread was nudged.
    Nothing,
    /// The queue is closed and empty.
    End,
}

impl<T: Transition> Queue<T> {
    /// A queue for at most `jobs_max` jobs. Records note `server`, if given, as the writer that issued tokens.
    pub(super) fn new(jobs_max: usize, server: Option<u64>) -> Queue<T> {
        let state = State {
            jobs: Vec::new(),
            withdrawals: Withdrawals::new(jobs_max),
            serial: 0,
            waited: Duration::ZERO,
            is_asleep: false,
            is_nudged: false,
            is_closed: false,
            is_over: false,
        };
        Queue { jobs_max, server, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Queues a transition that was submitted at `now` by the time of day and at `since` by the monotonic clock.
    /// Returns an error at once if the queue is full or closed.
    pub(super) fn submit(
        &self,
        mut transition: T,
        now: Timestamp,
        since: Instant,
        caller: Caller<T>,
    ) -> Option<Applied<T>> {
        let mut state = self.lock();
        if state.is_closed {
            return Some(Err(StoreError::Unavailable));
        }
        if state.jobs.len() >= self.jobs_max {
            return Some(Err(StoreError::Busy));
        }
        let waits = Some((Arc::clone(caller.mailbox), caller.ticket));
        let serial = if !transition.delivers() {
            0
        } else {
            state.serial += 1;
            if let Some(server) = self.server {
                transition.set_writer(Writer { server, serial: state.serial });
            }
            state.serial
        };
        let (is_withdrawn, is_sent) = (Cell::new(false), Cell::new(false));
        state.jobs.push(Job { transition, now, since, serial, is_withdrawn, is_sent, waits });
        let is_asleep = std::mem::take(&mut state.is_asleep);
        drop(state);
        if is_asleep {
            self.changed.notify_one();
        }
        None
    }

    /// Adds the withdrawal of `job` if it issues tokens, or `job` itself if it is a withdrawal.
    fn withdraw(&self, job: &Job<T>) {
        let Some(transition) = job.transition.withdrawal() else { return };
        let mut state = self.lock();
        // A failed withdrawal waits for the next jobs or the retry interval.
        state.withdrawals.is_fresh = !job.transition.is_withdrawal();
        state.withdrawals.add(Withdrawal { transition, now: job.now, since: job.since, serial: job.serial });
    }

    /// Takes the withdrawals of the record with this key, because another job of it is about to be applied.
    #[cfg(feature = "redis-store")]
    pub(super) fn recall(&self, key: Key) -> impl Iterator<Item = Job<T>> + use<T> {
        let taken = self.lock().withdrawals.take(std::iter::once(key), 0);
        taken.into_iter().map(Job::of_withdrawal)
    }

    /// The highest serial number up to which every response with tokens was sent or is noted as failed. `unsettled` is
    /// the lowest number of the jobs that were taken and are not answered.
    #[cfg(feature = "redis-store")]
    pub(super) fn settled(&self, unsettled: Option<u64>) -> u64 {
        let state = self.lock();
        let waiting = state.jobs.iter().map(|job| job.serial).find(|serial| *serial > 0);
        let first = [unsettled, waiting, state.withdrawals.first_serial()].into_iter().flatten().min();
        first.map_or(state.serial, |first| first - 1)
    }

    /// Appends at most `count` jobs, oldest first, to `batch`, after the withdrawals that must be applied before them.
    /// Waits up to `patience` if the queue is empty. Failed withdrawals are included again with the next jobs, and
    /// otherwise every [`WITHDRAWAL_RETRY_TIME`].
    pub(super) fn take(&self, batch: &mut Vec<Job<T>>, count: usize, patience: Option<Duration>) -> Taken {
        let mut state = self.lock();
        while state.jobs.is_empty() && !state.withdrawals.is_fresh {
            if state.is_closed {
                // Retry the remaining withdrawals one last time.
                state.withdrawals.is_fresh =
                    !std::mem::replace(&mut state.is_over, true) && !state.withdrawals.is_empty();
                if state.withdrawals.is_fresh { break } else { return Taken::End }
            }
            let retry = (!state.withdrawals.is_empty()).then_some(WITHDRAWAL_RETRY_TIME);
            let time = [patience, retry].into_iter().flatten().min();
            if time == Some(Duration::ZERO) {
                return Taken::Nothing;
            }
            if std::mem::take(&mut state.is_nudged) {
                return Taken::Nothing;
            }
            state.is_asleep = true;
            state = match time {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let waited = self.changed.wait_timeout(state, time);
                    let (mut state, result) = waited.unwrap_or_else(PoisonError::into_inner);
                    if result.timed_out() && state.jobs.is_empty() && !state.is_closed {
                        state.is_asleep = false;
                        // A caller with a short `patience` waits many times before the retry interval is over.
                        state.waited += time;
                        if state.waited >= WITHDRAWAL_RETRY_TIME {
                            state.waited = Duration::ZERO;
                            state.withdrawals.is_fresh = !state.withdrawals.is_empty();
                        }
                        if patience.is_some_and(|patience| patience <= time) && !state.withdrawals.is_fresh {
                            return Taken::Nothing;
                        }
                    }
                    state
                }
            };
        }
        let count = count.min(state.jobs.len());
        let State { jobs, withdrawals, .. } = &mut *state;
        let names = jobs[..count].iter().map(|job| job.transition.key());
        let first = withdrawals.take(names, WITHDRAWALS_PER_BATCH);
        batch.extend(first.into_iter().map(Job::of_withdrawal));
        batch.extend(jobs.drain(..count));
        Taken::Jobs
    }

    /// Makes the store's thread return from an empty queue.
    #[cfg(feature = "redis-store")]
    pub(super) fn nudge(&self) {
        self.lock().is_nudged = true;
        self.changed.notify_all();
    }

    /// Closes the queue to new jobs. Those that wait can still be taken.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Each change to the state is one call that does not panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::oauth::authorize::AuthorizationRequest;
    use crate::oauth::client::tests::client;
    use crate::oauth::client::{Client, Clients, Credentials, GrantTypes};
    use crate::oauth::credential::{CREDENTIAL_BYTES, SECRET_BYTES};
    use crate::oauth::grant::RefreshReuse;
    use crate::oauth::{self, Credential, Profile, TokenLifetimes, authorize};

    /// Records deliveries and wake-ups.
    #[derive(Default)]
    struct Counter {
        put: Mutex<Vec<(usize, Applied)>>,
        woken: AtomicUsize,
        abandoned: AtomicBool,
    }

    impl Mailbox for Counter {
        fn put(&self, ticket: Ticket, applied: Applied) -> bool {
            self.put.lock().unwrap().push((ticket.place, applied));
            !self.abandoned.load(Ordering::Relaxed)
        }

        fn abandon(&self, _: Ticket) -> bool {
            self.abandoned.store(true, Ordering::Relaxed);
            true
        }

        fn is_abandoned(&self, _: Ticket) -> bool {
            self.abandoned.load(Ordering::Relaxed)
        }

        fn put_done(&self, _: Ticket) {}

        fn put_ready(&self, _: Ticket) {}

        fn wake(&self) {
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn submit(queue: &Queue<oauth::Transition>, counter: &Arc<Counter>, place: usize) -> Option<Applied> {
        let mailbox: Arc<dyn Mailbox> = Arc::<Counter>::clone(counter);
        let token = Credential::of_new_grant([0; CREDENTIAL_BYTES]);
        let caller = Caller { mailbox: &mailbox, ticket: Ticket { place, serial: 0 } };
        let now = Timestamp::from_milliseconds(0);
        queue.submit(oauth::Transition::check(&token, Arc::default()), now, start(), caller)
    }

    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    #[test]
    fn a_batch_is_taken_in_order_and_everyone_is_woken_once() {
        let (queue, counter) = (Queue::new(10, None), Arc::<Counter>::default());
        for place in 0..5 {
            assert!(submit(&queue, &counter, place).is_none());
        }
        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch, 3, None), Taken::Jobs);
        assert_eq!(queue.take(&mut batch, 3, None), Taken::Jobs);
        let mut answered = Answered::of(&queue);
        batch.drain(..).for_each(|job| job.answer(Err(StoreError::TimedOut), &mut answered));
        assert_eq!(counter.woken.load(Ordering::Relaxed), 0, "no wake-up before all is there");
        drop(answered);
        let places: Vec<usize> = counter.put.lock().unwrap().iter().map(|(place, _)| *place).collect();
        assert_eq!((places, counter.woken.load(Ordering::Relaxed)), (vec![0, 1, 2, 3, 4], 1));
        assert_eq!(queue.take(&mut batch, 3, Some(Duration::ZERO)), Taken::Nothing);
    }

    #[test]
    fn a_full_queue_says_so_and_so_does_one_that_is_closed() {
        let (queue, counter) = (Queue::new(2, None), Arc::<Counter>::default());
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
        let (queue, counter) = (Queue::new(2, None), Arc::<Counter>::default());
        assert!(submit(&queue, &counter, 7).is_none());
        drop(queue);
        assert_eq!(*counter.put.lock().unwrap(), [(7, Err(StoreError::Unavailable))]);
        assert_eq!(counter.woken.load(Ordering::Relaxed), 1);
    }

    /// A grant's transition, and the one that redeems its code.
    fn grant_and_redemption() -> [oauth::Transition; 2] {
        const MINUTE: Duration = Duration::from_secs(60);
        let grant_types = GrantTypes { authorization_code: true, ..GrantTypes::default() };
        let client = Client { grant_types, ..client("app", None, &["https://app.example/cb"]) };
        let clients = Clients::new([client]);
        let code = Credential::of_new_grant([1; CREDENTIAL_BYTES]);
        let asked = AuthorizationRequest::default();
        let asked = authorize::check(&clients, &Profile::demo("app"), &asked).unwrap();
        let grant = oauth::Transition::permit(asked, "owner".into(), &code, MINUTE, None);
        let client = clients.authenticate(&Credentials { id: Some("app"), ..Credentials::default() }).unwrap();
        let token = Credential::of_grant(code.grant(), [2; SECRET_BYTES]);
        let lifetimes = TokenLifetimes {
            access_token: MINUTE,
            refresh_idle: MINUTE,
            refresh: MINUTE,
            refresh_grace: MINUTE,
            refresh_reuse: RefreshReuse::EndsGrant,
        };
        [grant, oauth::Transition::redeem(client, &code, None, None, &token, None, lifetimes)]
    }

    /// What was noted is what was applied last, which may never have been sent.
    #[test]
    fn an_abandoned_job_that_fails_is_withdrawn_though_it_was_noted() {
        let (queue, counter) = (Queue::new(10, Some(1)), Arc::<Counter>::default());
        let mailbox: Arc<dyn Mailbox> = Arc::<Counter>::clone(&counter);
        let [grant, redeem] = grant_and_redemption();
        let (Change::Put(record), _) = grant.apply(None, Timestamp::from_milliseconds(0)) else {
            panic!("a grant")
        };
        for (applied, is_withdrawn) in [(Ok(oauth::Outcome::Unknown), false), (Err(StoreError::TimedOut), true)]
        {
            let caller = Caller { mailbox: &mailbox, ticket: Ticket { place: 0, serial: 0 } };
            let now = Timestamp::from_milliseconds(0);
            assert!(queue.submit(redeem.clone(), now, start(), caller).is_none());
            let mut batch = Vec::new();
            assert_eq!(queue.take(&mut batch, 1, None), Taken::Jobs);
            let job = batch.pop().expect("a job");
            job.note_sent();
            mailbox.abandon(Ticket { place: 0, serial: 0 });
            assert!(matches!(job.apply(Some(&record)), (Change::Put(_), _)));
            job.answer(applied, &mut Answered::of(&queue));
            assert_eq!(!queue.lock().withdrawals.is_empty(), is_withdrawn);
        }
    }

    #[test]
    fn a_thread_that_waits_is_told_of_the_next_job_and_of_the_end() {
        let (queue, counter) = (Arc::new(Queue::new(100, None)), Arc::<Counter>::default());
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
