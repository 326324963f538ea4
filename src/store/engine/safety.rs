//! What an answer waits for.

/// What must have a write before its answer leaves, beside the node's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Safety {
    /// So many replicas (`WAIT`).
    pub replicas_min: u32,
    /// The node's own append-only file, on its disk (`WAITAOF`).
    pub append_only_file: bool,
}
