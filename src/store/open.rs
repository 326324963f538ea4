//! Opens the store that the settings name.

use std::sync::Arc;

use super::{Location, MemoryStore, Settings, Store};
#[cfg(any(feature = "file-store", feature = "redis-store"))]
use crate::crypto::keyring::{KeyBytes, draw_key};
use crate::log::Log;
use crate::system::System;

/// Opens the store that `settings` name, for the grants of `issuer`. A new store gets a sealing key from `system`. Logs
/// notices for the operator to `log`.
///
/// # Errors
/// If the store cannot be used: one line with the reason and the remedy.
#[cfg_attr(
    not(feature = "redis-store"),
    allow(unused_variables, reason = "only an engine's keys carry the issuer; memory draws nothing")
)]
pub fn open(
    settings: &Settings,
    issuer: &str,
    system: &Arc<dyn System>,
    log: &Log,
) -> Result<Arc<dyn Store>, String> {
    let Settings { backend, lifetimes, .. } = settings;
    let bounds = settings.bounds();
    match &backend.location {
        Location::Memory => Ok(Arc::new(MemoryStore::with_bounds(|number| bounds.kinds[number]))),
        #[cfg(feature = "file-store")]
        Location::File(path) => {
            use super::file::{FileStore, Waiting};
            let waiting = if backend.is_relaxed { Waiting::ForNothing } else { Waiting::ForTheDisk };
            let (fresh_key, system) = (fresh_key(system)?, Arc::clone(system));
            let store = FileStore::open(path, waiting, bounds, fresh_key, system, log.clone());
            Ok(Arc::new(store.map_err(|error| format!("{error} (--store names it)"))?))
        }
        #[cfg(feature = "redis-store")]
        Location::Redis(location) => {
            use super::redis::{CHECK_INTERVAL, Options, RedisStore, Safety};
            let options = Options {
                key_prefix: match &backend.key_prefix {
                    Some(prefix) => prefix.clone(),
                    None => super::KeyPrefix::of_issuer(issuer),
                },
                safety: Safety {
                    replicas_min: backend.replicas_min,
                    append_only_file: backend.waits_for_append_only_file,
                },
                bounds,
                lifetime_min: lifetimes.code,
                old_key_lifetime: lifetimes.form,
                check_interval: CHECK_INTERVAL,
            };
            let fresh_key = if settings.keeps_keys { Some(fresh_key(system)?) } else { None };
            let store = RedisStore::connect(location, &options, fresh_key, Arc::clone(system), log.clone());
            let store = store.map_err(|error| format!("the store {location}: {error} (--store names it)"))?;
            log.line(format_args!(
                "an engine has no limit of grants per client: one client can fill it for all; set maxmemory, and limit \
                 the request rate per address at the proxy"
            ));
            Ok(Arc::new(store))
        }
        #[cfg(not(feature = "file-store"))]
        Location::File(_) => Err(missing("file-store")),
        #[cfg(not(feature = "redis-store"))]
        Location::Redis(_) => Err(missing("redis-store")),
    }
}

#[cfg(any(feature = "file-store", feature = "redis-store"))]
fn fresh_key(system: &Arc<dyn System>) -> Result<KeyBytes, String> {
    draw_key(|bytes| system.fill(bytes))
        .map_err(|error| format!("cannot get random bytes from the system: {error}"))
}

#[cfg(not(all(feature = "file-store", feature = "redis-store")))]
fn missing(feature: &str) -> String {
    format!("this program was built without this kind of store; build it with --features {feature}")
}
