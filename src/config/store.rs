//! Where grants are kept, and when an answer may leave, as the configuration file says it.

use super::key_prefix::KeyPrefix;
use super::location::Location;
use super::toml_reader::{Mistakes, Table, Value};

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

/// Reads the table `[store]`. What is for another kind of place than the table names is a mistake.
pub(super) fn read(mut table: Table, mistakes: &mut Mistakes) -> StoreConfig {
    let mut store = StoreConfig::default();
    let (mut is_file, mut is_engine) = (false, false);
    if let Some(value) = table.take("location") {
        let location =
            value.string().and_then(|text| Location::parse(text).map_err(|error| value.error(error)));
        match mistakes.check(location) {
            Some(location) => store.location = location,
            // Whatever else is said may be right for the place that was meant.
            None => (is_file, is_engine) = (true, true),
        }
    }
    is_file |= matches!(store.location, Location::File(_));
    is_engine |= matches!(store.location, Location::Redis(_));
    if let Some(value) = table.take("durability") {
        let is_relaxed = value.string().and_then(|text| match text {
            "full" => Ok(false),
            "relaxed" => Ok(true),
            _ => Err(value.error("give \"full\" or \"relaxed\"")),
        });
        let unfit = || value.error("durability is for a file; set location to file:PATH, or leave it out");
        let is_relaxed = is_relaxed.and_then(|it| if is_file { Ok(it) } else { Err(unfit()) });
        mistakes.set(&mut store.is_relaxed, is_relaxed);
    }
    const FOR_AN_ENGINE: &str = "this is for an engine; set location to redis://HOST:PORT, or leave it out";
    let fits = |value: &Value| if is_engine { Ok(()) } else { Err(value.error(FOR_AN_ENGINE)) };
    if let Some(value) = table.take("key_prefix") {
        let prefix = value.string().and_then(|text| KeyPrefix::parse(text).map_err(|error| value.error(error)));
        mistakes.set(&mut store.key_prefix, prefix.and_then(|prefix| fits(&value).map(|()| Some(prefix))));
    }
    if let Some(value) = table.take("wait_for_replicas") {
        let number = value.number().and_then(|number| fits(&value).map(|()| number));
        mistakes.set(&mut store.replicas_min, number);
    }
    if let Some(value) = table.take("wait_for_append_only_file") {
        let waits = value.boolean().and_then(|waits| fits(&value).map(|()| waits));
        mistakes.set(&mut store.waits_for_append_only_file, waits);
    }
    let known = "location, durability, key_prefix, wait_for_replicas and wait_for_append_only_file";
    mistakes.note_all(table.end(known));
    store
}
