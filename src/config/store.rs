//! The table `[store]`: where grants are stored, and how durable a change must be before its response is sent.

use super::toml_reader::{Mistakes, Table, Value};
use crate::store::{Backend, KeyPrefix, Location};

/// Reads the table `[store]`. Refuses keys that do not apply to the kind of its location.
pub(super) fn read(mut table: Table, mistakes: &mut Mistakes) -> Backend {
    let mut store = Backend::default();
    let (mut is_file, mut is_engine) = (false, false);
    if let Some(value) = table.take("location") {
        let location =
            value.string().and_then(|text| Location::parse(text).map_err(|error| value.error(error)));
        match mistakes.check(location) {
            Some(location) => store.location = location,
            // The kind is unknown, so report no further mistakes because of it.
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
        let unfit =
            || value.error("durability applies to a file; set location to file:PATH, or remove this key");
        let is_relaxed = is_relaxed.and_then(|it| if is_file { Ok(it) } else { Err(unfit()) });
        mistakes.set(&mut store.is_relaxed, is_relaxed);
    }
    const FOR_AN_ENGINE: &str =
        "this key applies to an engine; set location to redis://HOST:PORT, or remove this key";
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
