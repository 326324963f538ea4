//! Spare buffers, lent to connections while they have bytes in them.
//!
//! A connection gives its buffers back when they are empty, and the next one takes them while they are still in the
//! processor's cache. So ten thousand idle connections hold no buffers at all.

use crate::http::connection::Buffers;

/// The buffers that no connection holds at the moment.
#[derive(Default)]
#[allow(clippy::vec_box, reason = "lending moves a pointer and copies no buffer")]
pub(super) struct SpareBuffers(Vec<Box<Buffers>>);

impl SpareBuffers {
    /// How many are kept. More would hold memory that only a peak of traffic needed.
    const KEPT_MAX: usize = 64;

    /// Takes spare buffers, or allocates new ones.
    pub(super) fn take(&mut self) -> Box<Buffers> {
        self.0.pop().unwrap_or_default()
    }

    /// Keeps empty buffers for the next connection; past the bound they are freed.
    pub(super) fn put(&mut self, buffers: Box<Buffers>) {
        if self.0.len() < SpareBuffers::KEPT_MAX {
            self.0.push(buffers);
        }
    }
}
