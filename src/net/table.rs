//! The open connections, by slot.

use std::time::Instant;

use super::link::Link;
use super::socket::Socket;

/// The connections by slot. Slots are used again, the last freed first, so their number is that of the most
/// connections that were ever open at once.
pub(super) struct Table<S> {
    slots: Vec<Option<Link<S>>>,
    free: Vec<usize>,
}

impl<S: Socket> Table<S> {
    pub(super) fn new() -> Table<S> {
        Table { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn at(&mut self, slot: usize) -> Option<&mut Link<S>> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Every slot that a connection may be in.
    pub(super) fn slots(&self) -> std::ops::Range<usize> {
        0..self.slots.len()
    }

    /// Of these slots, the one whose connection has been idle for longest, and since when.
    pub(super) fn oldest_idle(&self, slots: impl Iterator<Item = usize>) -> Option<(usize, Instant)> {
        let idle = slots.filter_map(|slot| Some((slot, self.slots.get(slot)?.as_ref()?.idle_since()?)));
        idle.min_by_key(|(_, since)| *since)
    }

    /// Every idle connection, and since when it has been idle.
    pub(super) fn all_idle(&self) -> Vec<(usize, Instant)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, link)| Some((slot, link.as_ref()?.idle_since()?))).collect()
    }

    /// Every connection that holds buffers, and how much memory they take.
    pub(super) fn all_buffered(&self) -> Vec<(usize, usize)> {
        let slots = self.slots.iter().enumerate();
        let counted = slots.filter_map(|(slot, link)| Some((slot, link.as_ref()?.counted())));
        counted.filter(|(_, bytes)| *bytes > 0).collect()
    }

    /// The slot that the next connection will have.
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

    pub(super) fn remove(&mut self, slot: usize) -> Option<Link<S>> {
        let link = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some(link)
    }
}
