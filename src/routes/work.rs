//! Slow work that a request waits for, and how the request goes on after it.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Reply, Routes};
use crate::http::Request;
use crate::pool::{self, Kind, Owner};

/// Work for the pool, and what to do when it has ended.
pub(super) struct Work {
    pub(super) kind: Kind,
    pub(super) owner: Owner,
    pub(super) work: pool::Work,
    pub(super) then: Then,
}

/// How a request goes on.
pub(super) type Then = Box<dyn FnOnce(&Routes, &Request) -> Reply + Send>;

impl Work {
    /// `then` is given what `job` came to, or `None` where it has no result because it panicked. A job whose request
    /// has been given up before its turn is left out.
    pub(super) fn new<T: Send + 'static>(
        kind: Kind,
        owner: Owner,
        job: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&Routes, &Request, Option<T>) -> Reply + Send + 'static,
    ) -> Work {
        let result = Arc::new(Mutex::new(None));
        let place = Arc::downgrade(&result);
        let work = move || {
            // The request holds the place for the result as long as somebody waits for it.
            if let Some(place) = place.upgrade() {
                let result = job();
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        };
        let then = move |routes: &Routes, request: &Request| {
            let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
            then(routes, request, result)
        };
        Work { kind, owner, work: Box::new(work), then: Box::new(then) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::peer::Peer;
    use crate::pool::{Bounds, Pool};

    #[test]
    fn a_job_that_nobody_waits_for_any_more_is_left_out() {
        let bounds = Bounds { running_max: 1, waiting_max: 1, subject_waiting_max: 1, peer_waiting_max: 1 };
        let kind = Pool::new(1).add_kind(bounds);
        for is_awaited in [true, false] {
            let has_run = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&has_run);
            let owner = Owner { subject: "shop".into(), peer: Peer::of([192, 0, 2, 1].into()) };
            let never = |_: &Routes, _: &Request, _: Option<()>| unreachable!("nobody answers here");
            let work = Work::new(kind, owner, move || flag.store(true, Ordering::Relaxed), never);
            let waits = is_awaited.then_some(work.then);
            (work.work)();
            drop(waits);
            assert_eq!(has_run.load(Ordering::Relaxed), is_awaited);
        }
    }
}
