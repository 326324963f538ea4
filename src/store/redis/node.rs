//! One node of an engine: its connection, and how it recovers from failures.
//!
//! The connection to a failed node is dropped, and made again after a pause that grows with each failure in a row.
//!
//! Answers have no identifiers: the third answer belongs to the third command. After one answer too many or too few,
//! every later answer would be taken for that to another command. So each pipeline ends with an `ECHO` of a marker
//! that is used once. No answer is used before its pipeline's marker has been read. If something else is read in its
//! place, the connection is out of step and is dropped.

use std::time::{Duration, Instant};

use redis::{Client, Connection, RedisError, Value};

use super::explain::{explain, name_refusal};
use super::probe::{Fitness, Unfit};
use super::slots::Address;
use crate::log::Log;

/// The pause after a node's first failure; each further failure doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The beginning of the error if a node refuses the marker.
pub(super) const ECHO_REFUSED: &str = "it refuses ECHO";

/// A node, and the connection to it, if there is one.
pub(super) struct Node {
    address: Address,
    client: Client,
    connection: Option<Connection>,
    /// The marker of the last pipeline.
    marker: u64,
    /// Failures in a row. A successful exchange resets it; a connection alone does not.
    failures: u32,
    /// How often in a row it refused writes because it is a replica.
    demotions: u32,
    not_before: Option<Instant>,
    /// Why it must not be written to.
    unfit: Option<Unfit>,
    log: Log,
}

impl Node {
    /// The node at `address`, to which `client` connects. Failures go to `log`.
    pub(super) fn new(address: Address, client: Client, log: Log) -> Node {
        Node {
            address,
            client,
            connection: None,
            marker: 0,
            failures: 0,
            demotions: 0,
            not_before: None,
            unfit: None,
            log,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Connects, if not connected and the pause is over. Each answer may then take `patience`.
    ///
    /// # Errors
    /// The reason, as text.
    pub(super) fn connect(&mut self, now: Instant, patience: Duration) -> Result<(), String> {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return Err("it is unavailable".to_owned());
        }
        // A node that has failed is pinged first, with a short timeout, because the other nodes wait meanwhile.
        let has_failed = self.failures > 0;
        let first = if has_failed { patience / 4 } else { patience };
        let connected = self.client.get_connection_with_timeout(first).and_then(|mut connection| {
            connection.set_read_timeout(Some(first))?;
            if has_failed {
                redis::cmd("PING").exec(&mut connection)?;
            }
            connection.set_read_timeout(Some(patience))?;
            connection.set_write_timeout(Some(patience))?;
            Ok(connection)
        });
        match connected {
            Ok(connection) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                let reason = explain(&error);
                self.leave(now, &reason);
                Err(reason)
            }
        }
    }

    /// Drops the connection to a node that failed. It is reconnected after a pause.
    pub(super) fn leave(&mut self, now: Instant, reason: &str) {
        let address = &self.address;
        let was_connected = self.connection.take().is_some();
        self.failures = self.failures.saturating_add(1);
        if was_connected && self.failures == 1 {
            // Reconnect at once: perhaps only the connection failed.
            self.not_before = None;
            self.log.line(format_args!("the store's engine {address} failed: {reason}"));
            return;
        }
        self.not_before = Some(now + pause(self.failures));
        // Log ever fewer failures, so that a long outage does not fill the disk.
        if self.failures.is_power_of_two() {
            let what = if was_connected { "fails again" } else { "cannot be reached" };
            self.log.line(format_args!(
                "the store's engine {address} {what}: {reason}; requests that need it are answered 503"
            ));
        }
    }

    /// Drops the connection to a replica. It is reconnected at once, and after a pause if it is still a replica.
    pub(super) fn look_behind(&mut self, now: Instant) {
        // Each refused write of a pipeline calls this; only the first counts.
        if self.connection.take().is_none() {
            return;
        }
        self.demotions = self.demotions.saturating_add(1);
        self.not_before = (self.demotions > 1).then(|| now + pause(self.demotions));
        if self.demotions.is_power_of_two() {
            let address = &self.address;
            self.log.line(format_args!("the store's engine {address} is a replica and takes no grants"));
        }
    }

    /// Whether it would lose what is written to it.
    pub(super) fn is_unfit(&self) -> bool {
        self.unfit.is_some()
    }

    /// Takes the result of a probe; logs changes.
    pub(super) fn note_fitness(&mut self, fitness: Fitness) {
        let address = &self.address;
        match fitness {
            // Each write then gets its own error.
            Fitness::Unknown => {}
            Fitness::Fit | Fitness::Full => {
                if self.unfit.take().is_some() {
                    self.log.line(format_args!("the store's engine {address} keeps grants again"));
                }
            }
            Fitness::Unfit { kind, reason } => {
                if self.unfit.replace(kind) != Some(kind) {
                    self.log.line(format_args!(
                        "the store's engine {address} would lose grants: {reason}; until then, changes are answered 503"
                    ));
                }
            }
        }
    }

    /// Notes that it accepted a write.
    pub(super) fn note_write(&mut self) {
        self.demotions = 0;
    }

    /// Drops the connection.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Sends `commands`, followed by `marker`, which must be unique.
    pub(super) fn send(&mut self, mut commands: Vec<u8>, marker: u64) -> Result<(), RedisError> {
        self.marker = marker;
        redis::cmd("ECHO").arg(marker).write_packed_command(&mut commands);
        self.connection()?.send_packed_command(&commands)
    }

    /// Reads the answers to the last `count` commands, and the marker.
    ///
    /// # Errors
    /// If the connection fails or is out of step; it must then be dropped.
    pub(super) fn receive(&mut self, count: usize) -> Result<Vec<Value>, RedisError> {
        let marker = self.marker.to_string();
        let connection = self.connection()?;
        let answers = (0..count).map(|_| connection.recv_response()).collect::<Result<Vec<Value>, _>>()?;
        match connection.recv_response()? {
            Value::BulkString(bytes) if bytes == marker.as_bytes() => {}
            // An engine that loads its file refuses all commands in the same way, so their order does not matter.
            Value::ServerError(_) if answers.iter().all(|answer| matches!(answer, Value::ServerError(_))) => {}
            Value::ServerError(error) => {
                let reason = format!("{ECHO_REFUSED}: {}", name_refusal(error.code()));
                return Err(failure(reason));
            }
            _ => return Err(lost_step()),
        }
        if std::mem::take(&mut self.failures) > 0 {
            self.log.line(format_args!("the store's engine {} is back", self.address));
        }
        Ok(answers)
    }

    fn connection(&mut self) -> Result<&mut Connection, RedisError> {
        self.connection.as_mut().ok_or_else(not_connected)
    }
}

/// The pause after `failures` in a row.
fn pause(failures: u32) -> Duration {
    (PAUSE_MIN * 2u32.saturating_pow(failures.min(10))).min(PAUSE_MAX)
}

/// The error of a node without a connection.
pub(super) fn not_connected() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected))
}

/// The error of a connection that is out of step.
pub(super) fn lost_step() -> RedisError {
    failure("its answers do not match the commands; the connection is dropped".to_owned())
}

fn failure(reason: String) -> RedisError {
    RedisError::from(std::io::Error::other(reason))
}
