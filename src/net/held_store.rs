//! For tests: a store that holds its answers back until a test releases them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::oauth::{Timestamp, Transition};
use crate::store::{Applied, Caller, Mailbox, MemoryStore, Store, Ticket};

/// The outcome of a transition, with the mailbox and the ticket of the request that waits for it.
pub(super) type HeldAnswer = (Applied, Arc<dyn Mailbox>, Ticket);

/// A store that answers when a test says so.
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

    /// Whether the clients of all held answers have given up.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answers().iter().all(|(_, mailbox, ticket)| mailbox.is_abandoned(*ticket))
    }

    /// Takes the answers that are held back; the test delivers them.
    pub(super) fn take(&self) -> Vec<HeldAnswer> {
        std::mem::take(&mut self.answers())
    }

    /// Delivers all answers that are held back.
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
