//! The open connections of a worker, by slot.
//!
//! A slot is the index that a connection keeps for its lifetime; the event queue, the deadlines and the tickets of
//! requests refer to it. Slots are reused, so a ticket also has a serial number.

use std::time::Instant;

use super::link::Link;
use super::socket::Socket;

/// The links by slot. The slot freed last is reused first, so there are never more slots than connections were open at
/// once.
pub(super) struct Table<S> {
    slots: Vec<Option<Link<S>>>,
    free: Vec<usize>,
}

impl<S: Socket> Table<S> {
    /// An empty table.
    pub(super) fn new() -> Table<S> {
        Table { slots: Vec::new(), free: Vec::new() }
    }

    /// How many connections are open.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The link in `slot`; `None` if its connection is closed.
    pub(super) fn at(&mut self, slot: usize) -> Option<&mut Link<S>> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// All slots, the free ones included.
    pub(super) fn slots(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }

    /// Of `slots`, the one whose connection has been idle for longest, and since when; `None` if none is idle.
    pub(super) fn oldest_idle(&self, slots: impl Iterator<Item = usize>) -> Option<(usize, Instant)> {
        let idle = slots.filter_map(|slot| Some((slot, self.slots.get(slot)?.as_ref()?.idle_since()?)));
        idle.min_by_key(|(_, since)| *since)
    }

    /// Every idle connection, and since when it has been idle.
    pub(super) fn all_idle(&self) -> Vec<(usize, Instant)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, link)| Some((slot, link.as_ref()?.idle_since()?))).collect()
    }

    /// Every connection that holds buffers, and their size in bytes.
    pub(super) fn all_buffered(&self) -> Vec<(usize, usize)> {
        let slots = self.slots.iter().enumerate();
        let counted = slots.filter_map(|(slot, link)| Some((slot, link.as_ref()?.counted())));
        counted.filter(|(_, bytes)| *bytes > 0).collect()
    }

    /// The slot of the next connection.
    pub(super) fn next_slot(&self) -> usize {
        self.free.last().copied().unwrap_or(self.slots.len())
    }

    /// Puts a connection into [`Table::next_slot`].
    pub(super) fn insert(&mut self, link: Link<S>) {
        match self.free.pop() {
            Some(slot) => self.slots[slot] = Some(link),
            None => self.slots.push(Some(link)),
        }
    }

    /// Takes the link out of `slot`, and frees the slot.
    pub(super) fn remove(&mut self, slot: usize) -> Option<Link<S>> {
        let link = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some(link)
    }
}
