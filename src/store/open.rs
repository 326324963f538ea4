//! From what the configuration says to a store.

use std::sync::Arc;

use super::{MemoryStore, Store};
use crate::config::{Config, Location};
use crate::log::Log;
use crate::system::System;

/// The store that `config` names, for the grants of `issuer`, with random bytes of `system` for its key, and what an
/// operator should know of it in
/// `log`.
///
/// # Errors
/// In one line, when it cannot be used: what is wrong, and what would do.
#[cfg_attr(
    not(feature = "redis-store"),
    allow(unused_variables, reason = "only an engine's keys carry the issuer; memory draws nothing")
)]
pub fn open(
    config: &Config,
    issuer: &str,
    system: &Arc<dyn System>,
    log: &Log,
) -> Result<Arc<dyn Store>, String> {
    match &config.store.location {
        Location::Memory => {
            if config.client_port.is_none() {
                log.line(format_args!(
                    "grants are kept in memory and end with this process; --store file:PATH or redis://HOST:PORT \
                     keeps them"
                ));
            }
            Ok(Arc::new(MemoryStore::bounded(config.limits.grants_max, config.pair_grants_max())))
        }
        #[cfg(feature = "file-store")]
        Location::File(path) => {
            use super::file::{FileStore, Waiting};
            let waiting = if config.store.is_relaxed { Waiting::ForNothing } else { Waiting::ForTheDisk };
            let (key, system) = (fresh_key(system)?, Arc::clone(system));
            let store = FileStore::open(path, waiting, bounds(config), key, system, log.clone());
            Ok(Arc::new(store.map_err(|error| format!("{error} (--store names it)"))?))
        }
        #[cfg(feature = "redis-store")]
        Location::Redis(location) => {
            use super::redis::{CHECK_INTERVAL, Options, RedisStore, Safety};
            let options = Options {
                key_prefix: match &config.store.key_prefix {
                    Some(prefix) => prefix.clone(),
                    None => crate::config::KeyPrefix::of_issuer(issuer),
                },
                safety: Safety {
                    replicas_min: config.store.replicas_min,
                    append_only_file: config.store.waits_for_append_only_file,
                },
                bounds: bounds(config),
                lifetime_min: config.lifetimes.code,
                form_lifetime: config.lifetimes.form,
                check_interval: CHECK_INTERVAL,
            };
            let (key, system) = (fresh_key(system)?, Arc::clone(system));
            let store = RedisStore::connect(location, &options, key, system, log.clone());
            let store = store.map_err(|error| format!("the store {location}: {error} (--store names it)"))?;
            log.line(format_args!(
                "grants on an engine have no bound for each client: one client's flood fills the engine for all; set \
                 maxmemory, and limit the requests of each address at the proxy"
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
fn bounds(config: &Config) -> super::Bounds {
    use super::KindBounds;
    use crate::oauth::key::KINDS_MAX;

    let limits = &config.limits;
    super::Bounds {
        kinds: [KindBounds { records_max: limits.grants_max, holder_max: config.pair_grants_max() }; KINDS_MAX],
        queue_max: limits.store_queue_max,
        time_max: limits.store_time_max,
    }
}

#[cfg(any(feature = "file-store", feature = "redis-store"))]
fn fresh_key(system: &Arc<dyn System>) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    system.fill(&mut key).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(key)
}

#[cfg(not(all(feature = "file-store", feature = "redis-store")))]
fn missing(feature: &str) -> String {
    format!("this program was built without such stores; build it with --features {feature}")
}
