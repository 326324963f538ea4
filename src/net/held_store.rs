//! A store whose answers a test holds back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::oauth::{Timestamp, Transition};
use crate::store::{Applied, Caller, Mailbox, MemoryStore, Store, Ticket};

/// What a transition came to, whose mailbox it is for, and for which request.
pub(super) type HeldAnswer = (Applied, Arc<dyn Mailbox>, Ticket);

/// A store that answers when it is told to.
pub(super) struct HeldStore {
    memory: MemoryStore,
    waiting: Mutex<Vec<HeldAnswer>>,
}

impl HeldStore {
    /// An empty store, where no transition waits.
    pub(super) fn new() -> HeldStore {
        HeldStore { memory: MemoryStore::new(10), waiting: Mutex::default() }
    }

    fn answers(&self) -> MutexGuard<'_, Vec<HeldAnswer>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many transitions wait for their answer.
    pub(super) fn waiting(&self) -> usize {
        self.answers().len()
    }

    /// Whether no client waits any more for any of the answers.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answers().iter().all(|(_, mailbox, ticket)| mailbox.is_abandoned(*ticket))
    }

    /// The answers that are held back, for the test to give.
    pub(super) fn take(&self) -> Vec<HeldAnswer> {
        std::mem::take(&mut self.answers())
    }

    /// Gives all that wait their answers.
    pub(super) fn release(&self) {
        for (applied, mailbox, ticket) in self.take() {
            mailbox.put(ticket, applied);
            mailbox.wake();
        }
    }
}

impl Store for HeldStore {
    fn submit(&self, transition: Transition, now: Timestamp, caller: Caller) -> Option<Applied> {
        let applied = self.memory.apply(&transition, now);
        self.answers().push((applied, Arc::clone(caller.mailbox), caller.ticket));
        None
    }
}
