//! The server's sealing key, as servers that share an engine agree on it.
//!
//! All servers use the key on the engine. If there is none (the engine was flushed or evicted it), each server offers
//! its own, the first one wins, and the others adopt it. A server that adopts a key stores its old one beside it for a
//! while, so that all servers can still open what it sealed. The keys are read again periodically, and soon after
//! something named a key that is not known.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::Value;

use super::cluster::Cluster;
use super::keys::Keys;
use super::pipeline::{Command, EngineReply};
use crate::crypto::keyring::{KeyBytes, KeyId, Keyring};
use crate::log::Log;
use crate::oauth::Timestamp;

/// More old keys than this are forgotten, the oldest first.
const OLD_KEYS_MAX: usize = 4;

/// What the loops read.
pub(super) struct Published {
    keys: RwLock<Arc<Keyring>>,
    is_wanted: AtomicBool,
}

impl Published {
    pub(super) fn keys(&self) -> Arc<Keyring> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that the keys are to be read again.
    pub(super) fn want(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }
}

/// What this server and its engine agreed on.
pub(super) struct Agreement {
    names: Keys,
    current: KeyBytes,
    /// Each with the time until which it is needed.
    old: Vec<(KeyBytes, Instant)>,
    old_key_lifetime: Duration,
    published: Arc<Published>,
    log: Log,
}

/// What the engine has.
struct Found {
    /// It had none, and took ours.
    was_missing: bool,
    current: KeyBytes,
    old: Option<KeyBytes>,
}

impl Agreement {
    /// Takes the key that the engine has, or gives it `fresh`.
    pub(super) fn reach(
        cluster: &mut Cluster,
        names: &Keys,
        fresh: &KeyBytes,
        old_key_lifetime: Duration,
        now: Instant,
        log: Log,
    ) -> Option<Agreement> {
        let found = exchange(cluster, names, fresh)?;
        let published = Published {
            keys: RwLock::new(Arc::new(Keyring::new(&found.current))),
            is_wanted: AtomicBool::new(false),
        };
        let mut agreement = Agreement {
            names: names.clone(),
            current: found.current,
            old: Vec::new(),
            old_key_lifetime,
            published: Arc::new(published),
            log,
        };
        agreement.learn_old(found.old, now);
        agreement.publish();
        Some(agreement)
    }

    pub(super) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// Reads the engine's keys again, and gives it those that it has lost.
    pub(super) fn renew(&mut self, cluster: &mut Cluster, now: Instant, time: Timestamp) {
        self.published.is_wanted.store(false, Ordering::Relaxed);
        let Some(found) = exchange(cluster, &self.names, &self.current) else { return };
        self.old.retain(|(_, until)| now < *until);
        if found.current != self.current {
            self.log.line(format_args!(
                "the store's engine has a new sealing key, {}; this server uses it, and keeps the old one, {}, for {} \
                 more seconds",
                KeyId::of(&found.current),
                KeyId::of(&self.current),
                self.old_key_lifetime.as_secs()
            ));
            let own = std::mem::replace(&mut self.current, found.current);
            self.learn_old(Some(own), now);
            self.leave_old(cluster, &own, time);
        } else if found.was_missing {
            self.log.line(format_args!(
                "the store's engine had lost the sealing key and has it again; it was flushed, restarted or short of \
                 memory, and may have lost grants"
            ));
        }
        self.learn_old(found.old, now);
        self.publish();
    }

    fn learn_old(&mut self, key: Option<KeyBytes>, now: Instant) {
        let Some(key) = key.filter(|key| *key != self.current) else { return };
        if !self.old.iter().any(|(known, _)| *known == key) {
            self.old.push((key, now + self.old_key_lifetime));
        }
        let excess = self.old.len().saturating_sub(OLD_KEYS_MAX);
        self.old.drain(..excess);
    }

    /// Puts the key that was given up where the other servers find it, until it is no longer needed.
    fn leave_old(&self, cluster: &mut Cluster, key: &KeyBytes, time: Timestamp) {
        let name = self.names.old_sealing_key();
        let expires = time.after(self.old_key_lifetime).as_milliseconds();
        let set = redis::cmd("SET").arg(&*name).arg(&key[..]).arg("PXAT").arg(expires).to_owned();
        // If this fails, only what this server sealed with it does not open at the others.
        let _ = cluster.exchange(&[Command { key: name, cmd: set, is_write: true, ask: None }]);
    }

    fn publish(&self) {
        let old = self.old.iter().map(|(key, _)| key);
        let keys = Arc::new(Keyring::new(&self.current).with_old(old));
        *self.published.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

/// Gives the keys that the engine has. Where it has none, `key` is put there first.
fn exchange(cluster: &mut Cluster, names: &Keys, key: &KeyBytes) -> Option<Found> {
    let (current, old) = (names.sealing_key(), names.old_sealing_key());
    let command = |name: &Arc<[u8]>, cmd: &mut redis::Cmd, is_write| Command {
        key: Arc::clone(name),
        cmd: cmd.to_owned(),
        is_write,
        ask: None,
    };
    let get = || command(&current, redis::cmd("GET").arg(&*current), false);
    let get_old = command(&old, redis::cmd("GET").arg(&*old), false);
    let read = |reply: EngineReply| match reply {
        EngineReply::Answered(Value::BulkString(bytes)) => KeyBytes::try_from(bytes).ok(),
        _ => None,
    };
    let mut replies = cluster.exchange(&[get(), get_old]).into_iter();
    let (found, old) = (replies.next()?, read(replies.next()?));
    // A write waits for replicas where answers do, so it is made only where it is needed.
    let was_missing = matches!(found, EngineReply::Answered(Value::Nil));
    if !was_missing {
        return Some(Found { was_missing, current: read(found)?, old });
    }
    let set = command(&current, redis::cmd("SET").arg(&*current).arg(&key[..]).arg("NX"), true);
    let found = cluster.exchange(&[set, get()]).pop()?;
    Some(Found { was_missing, current: read(found)?, old })
}
