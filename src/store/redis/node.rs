//! One node of an engine: its connection, and what becomes of it when it fails.
//!
//! A node that fails is left, and asked again after a pause that grows with each failure in a row.
//!
//! Answers carry no name: the third answer belongs to the third command. If one is lost or added on the way, every
//! later answer would be taken for that to another command. So each pipeline ends with an `ECHO` of a marker that
//! is used once. No answer is believed before the marker has been read behind it; a connection that gives
//! something else in its place has lost step, and is dropped.

use std::time::{Duration, Instant};

use redis::{Client, Connection, RedisError, Value};

use super::explain::{explain, name_refusal};
use super::probe::{Fitness, Unfit};
use super::slots::Address;
use crate::log::Log;

/// The pause after a node's first failure; each one after that doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How the error begins of a node that does not let its answers be marked.
pub(super) const ECHO_REFUSED: &str = "it refuses ECHO";

/// A node, and the connection to it, if there is one.
pub(super) struct Node {
    address: Address,
    client: Client,
    connection: Option<Connection>,
    /// What the pipeline that was sent last ends with.
    marker: u64,
    /// How often in a row it failed. To connect is no success yet: an exchange is.
    failures: u32,
    /// How often in a row it took no write for being a replica.
    demotions: u32,
    not_before: Option<Instant>,
    /// Why it may not be written to.
    unfit: Option<Unfit>,
    log: Log,
}

impl Node {
    /// The node at `address`, to which `client` leads. What becomes of it is said in `log`.
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

    /// Connects, if that is not done and it is time. From then on each answer may take `patience`.
    ///
    /// # Errors
    /// In words.
    pub(super) fn connect(&mut self, now: Instant, patience: Duration) -> Result<(), String> {
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return Err("it is away".to_owned());
        }
        // One that has failed is asked for a sign of life first, and not for long: the others wait meanwhile.
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

    /// Drops the connection to a node that failed. It is asked again after a pause.
    pub(super) fn leave(&mut self, now: Instant, reason: &str) {
        let address = &self.address;
        let was_connected = self.connection.take().is_some();
        self.failures = self.failures.saturating_add(1);
        if was_connected && self.failures == 1 {
            // At once: perhaps it was the connection alone.
            self.not_before = None;
            self.log.line(format_args!("the store's engine {address} failed: {reason}"));
            return;
        }
        self.not_before = Some(now + pause(self.failures));
        // The first few, and then one now and then: a night without the engine fills no disk.
        if self.failures.is_power_of_two() {
            let what = if was_connected { "fails again" } else { "cannot be reached" };
            self.log.line(format_args!(
                "the store's engine {address} {what}: {reason}; requests that need it are answered 503"
            ));
        }
    }

    /// Drops the connection, for it is one to a replica. The node is asked again at once, and after a pause if
    /// it is a replica still.
    pub(super) fn look_behind(&mut self, now: Instant) {
        // Every write of a pipeline says so.
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

    /// Takes what a probe came to, and says in the log what has changed.
    pub(super) fn note_fitness(&mut self, fitness: Fitness) {
        let address = &self.address;
        match fitness {
            // Each write finds out by itself.
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

    /// It has taken a write.
    pub(super) fn note_write(&mut self) {
        self.demotions = 0;
    }

    /// Drops the connection.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Sends `commands`, and `marker` behind them, which must differ from every other.
    pub(super) fn send(&mut self, mut commands: Vec<u8>, marker: u64) -> Result<(), RedisError> {
        self.marker = marker;
        redis::cmd("ECHO").arg(marker).write_packed_command(&mut commands);
        self.connection()?.send_packed_command(&commands)
    }

    /// Reads the answers to the `count` commands that were sent last, and the marker.
    ///
    /// # Errors
    /// When the connection fails or has lost step; it must be dropped then.
    pub(super) fn receive(&mut self, count: usize) -> Result<Vec<Value>, RedisError> {
        let marker = self.marker.to_string();
        let connection = self.connection()?;
        let answers = (0..count).map(|_| connection.recv_response()).collect::<Result<Vec<Value>, _>>()?;
        match connection.recv_response()? {
            Value::BulkString(bytes) if bytes == marker.as_bytes() => {}
            // An engine that loads its file refuses all commands alike. Then it does not matter which is whose.
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

/// The pause after this many failures in a row.
fn pause(failures: u32) -> Duration {
    (PAUSE_MIN * 2u32.saturating_pow(failures.min(10))).min(PAUSE_MAX)
}

/// There is no connection.
pub(super) fn not_connected() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected))
}

/// What was read is no answer to what was sent.
pub(super) fn lost_step() -> RedisError {
    failure("its answers do not match the commands; the connection is dropped".to_owned())
}

fn failure(reason: String) -> RedisError {
    RedisError::from(std::io::Error::other(reason))
}
