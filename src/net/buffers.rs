//! Buffers for the connections that have bytes in them.

use crate::http::connection::Buffers;

/// Buffers that no connection holds at the moment. Connections that have nothing in them hold none, so ten
/// thousand idle ones need no more memory than the few that are busy at one time.
#[derive(Default)]
#[allow(clippy::vec_box, reason = "they go back and forth as a pointer, without being copied")]
pub(super) struct SpareBuffers(Vec<Box<Buffers>>);

impl SpareBuffers {
    /// More than this many would only be memory that a rush once needed.
    const KEPT_MAX: usize = 64;

    pub(super) fn take(&mut self) -> Box<Buffers> {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn put(&mut self, buffers: Box<Buffers>) {
        if self.0.len() < SpareBuffers::KEPT_MAX {
            self.0.push(buffers);
        }
    }
}
