//! Where grants are kept, and when an answer may leave, as the configuration file says it.

use super::key_prefix::KeyPrefix;
use super::location::Location;
use super::toml_reader::{FileError, Table};

/// Where grants are kept, and when an answer may leave.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {
    /// Where.
    pub location: Location,
    /// Whether answers leave before the disk has what they say. For a file.
    pub is_relaxed: bool,
    /// What every key begins with, if not with the issuer. For an engine.
    pub key_prefix: Option<KeyPrefix>,
    /// How many replicas must have what an answer says before it leaves. For an engine.
    pub replicas_min: u32,
    /// Whether the engine's append-only file must have it on its disk. For an engine.
    pub waits_for_append_only_file: bool,
}

/// Reads the table `[store]`.
///
/// # Errors
/// The first mistake, with its line.
pub(super) fn read(mut table: Table) -> Result<StoreConfig, FileError> {
    let mut store = StoreConfig::default();
    if let Some(value) = table.take("location") {
        let location = Location::parse(value.string()?);
        store.location = location.map_err(|error| value.error(error))?;
    }
    let is_file = matches!(store.location, Location::File(_));
    let is_engine = matches!(store.location, Location::Engine(_));
    if let Some(value) = table.take("durability") {
        store.is_relaxed = match value.string()? {
            "full" => false,
            "relaxed" => true,
            _ => return Err(value.error("give \"full\" or \"relaxed\"")),
        };
        if !is_file {
            return Err(value.error("durability is for a file; set location to file:PATH, or leave it out"));
        }
    }
    const FOR_AN_ENGINE: &str = "this is for an engine; set location to redis://HOST:PORT, or leave it out";
    if let Some(value) = table.take("key_prefix") {
        store.key_prefix = Some(KeyPrefix::parse(value.string()?).map_err(|error| value.error(error))?);
        if !is_engine {
            return Err(value.error(FOR_AN_ENGINE));
        }
    }
    if let Some(value) = table.take("wait_for_replicas") {
        store.replicas_min = value.number()?;
        if !is_engine {
            return Err(value.error(FOR_AN_ENGINE));
        }
    }
    if let Some(value) = table.take("wait_for_append_only_file") {
        store.waits_for_append_only_file = value.boolean()?;
        if !is_engine {
            return Err(value.error(FOR_AN_ENGINE));
        }
    }
    table.end("location, durability, key_prefix, wait_for_replicas and wait_for_append_only_file")?;
    Ok(store)
}
