//! Opens the store that the configuration names.

use std::sync::Arc;

use super::{Location, MemoryStore, Store};
use crate::config::Config;
use crate::log::Log;
use crate::system::System;

/// Opens the store that `config` names, for the grants of `issuer`. A new store gets a sealing key from `system`. Logs
/// notices for the operator to `log`.
///
/// # Errors
/// If the store cannot be used: one line with the reason and the remedy.
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
                    "grants are kept in memory and are lost when this process exits; --store file:PATH or \
                     redis://HOST:PORT keeps them"
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
                    None => super::KeyPrefix::of_issuer(issuer),
                },
                safety: Safety {
                    replicas_min: config.store.replicas_min,
                    append_only_file: config.store.waits_for_append_only_file,
                },
                bounds: bounds(config),
                lifetime_min: config.lifetimes.code,
                form_lifetime: config.keys.is_none().then_some(config.lifetimes.form),
                check_interval: CHECK_INTERVAL,
            };
            let (key, system) = (fresh_key(system)?, Arc::clone(system));
            let store = RedisStore::connect(location, &options, key, system, log.clone());
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
    system.fill(&mut key).map_err(|error| format!("cannot get random bytes from the system: {error}"))?;
    Ok(key)
}

#[cfg(not(all(feature = "file-store", feature = "redis-store")))]
fn missing(feature: &str) -> String {
    format!("this program was built without this kind of store; build it with --features {feature}")
}
