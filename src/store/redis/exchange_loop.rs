//! The thread that communicates with the engine. It takes all waiting transitions and sends them in one round trip.
//! Between exchanges it reports which responses were delivered, and checks the engine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Bounds;
use super::super::queue::{Job, Queue, Taken};
use super::batch::{self, Batch};
use super::cluster::Cluster;
use super::sealing::Agreement;
use crate::log::Log;
use crate::oauth::Timestamp;
use crate::oauth::kind::Transition;
use crate::system::System;

/// Maximum transitions that join between two round trips.
const BATCH_MAX: usize = 512;

/// The shortest time between two checks.
const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The state of the thread.
pub(super) struct ExchangeLoop<T: Transition> {
    pub(super) cluster: Cluster,
    pub(super) bounds: Bounds,
    pub(super) batch: Batch<T>,
    /// `None` if the keys are not kept on the engine.
    pub(super) agreement: Option<Agreement>,
    /// When the engine was last checked.
    pub(super) checked: Instant,
    pub(super) check_interval: Duration,
    pub(super) system: Arc<dyn System>,
    pub(super) log: Log,
}

impl<T: Transition> ExchangeLoop<T> {
    /// Runs until the queue is closed and everything in it is answered.
    pub(super) fn run(mut self, queue: &Queue<T>) {
        let mut jobs: Vec<Job<T>> = Vec::new();
        loop {
            let until_check = self.until_check();
            let ExchangeLoop { cluster, batch, bounds, system, log, .. } = &mut self;
            // Transitions that can continue do so at once, together with new ones. Those that wait for a node are
            // retried after a pause and do not delay the others.
            let pause = if batch.is_ready(system.monotonic()) { Duration::ZERO } else { batch::PAUSE };
            let is_idle = batch.len() == 0;
            // An idle server still sends its last report.
            let until_report = batch.report_delay(queue, system.monotonic());
            let patience = if is_idle { until_report.min(until_check) } else { pause };
            let room = bounds.queue_max.saturating_sub(batch.len());
            match room {
                0 => std::thread::sleep(pause),
                _ => match queue.take(&mut jobs, BATCH_MAX.min(room), Some(patience)) {
                    Taken::End if is_idle => {
                        batch.report(cluster, queue, system.monotonic());
                        return;
                    }
                    Taken::End => std::thread::sleep(pause),
                    Taken::Nothing if is_idle && until_report <= until_check => {
                        batch.report(cluster, queue, system.monotonic())
                    }
                    Taken::Jobs | Taken::Nothing => {}
                },
            }
            let now = system.monotonic();
            // A bug that panics costs the current batch, not the thread.
            let applied = catch_unwind(AssertUnwindSafe(|| {
                batch.add(jobs.drain(..));
                batch.advance(cluster, queue, now);
            }));
            if applied.is_err() {
                log.line(format_args!("the store failed to apply a batch; please report this bug"));
                batch.give_up(queue);
                jobs.clear();
                cluster.hang_up();
            }
            // An engine that came back may have forgotten everything.
            let has_returned = std::mem::take(&mut self.cluster.has_returned);
            if has_returned {
                self.batch.forget_report();
            }
            if has_returned || self.until_check().is_zero() {
                self.check();
            }
        }
    }

    /// The time until the next check.
    fn until_check(&self) -> Duration {
        let is_wanted = self.agreement.as_ref().is_some_and(|agreement| agreement.published().is_wanted());
        let interval =
            if is_wanted { self.check_interval.min(CHECK_INTERVAL_MIN) } else { self.check_interval };
        let since = self.system.monotonic().saturating_duration_since(self.checked);
        interval.saturating_sub(since)
    }

    /// Checks whether the engine still keeps what it confirms, and reads the shared sealing key.
    fn check(&mut self) {
        self.checked = self.system.monotonic();
        let time = self.system.wall_clock();
        let (cluster, agreement, now) = (&mut self.cluster, &mut self.agreement, self.checked);
        let checked = catch_unwind(AssertUnwindSafe(|| {
            cluster.probe_all();
            if let Some(agreement) = agreement {
                agreement.renew(cluster, now, Timestamp::from_system_time(time));
            }
        }));
        if checked.is_err() {
            self.log.line(format_args!("the store failed in a check; please report this bug"));
            self.cluster.hang_up();
        }
        // The check may have reconnected a node.
        if std::mem::take(&mut self.cluster.has_returned) {
            self.batch.forget_report();
        }
    }
}
