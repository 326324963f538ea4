//! Which store keeps the records, and what it promises before a response is sent.

use super::key_prefix::KeyPrefix;
use super::location::Location;

/// Where grants are stored, and how durable a change must be before its response is sent.
#[derive(Clone, Debug, Default)]
pub struct Backend {
    /// The location.
    pub location: Location,
    /// Whether responses are sent before the change is on the disk. For a file.
    pub is_relaxed: bool,
    /// The prefix of every key; `None` for one derived from the issuer. For an engine.
    pub key_prefix: Option<KeyPrefix>,
    /// The number of replicas that must have the change before the response is sent. For an engine.
    pub replicas_min: u32,
    /// Whether the engine's append-only file must be synced before the response is sent. For an engine.
    pub waits_for_append_only_file: bool,
}
