//! One node of an engine: its connection, and what becomes of it when it fails.
//!
//! A node that fails is left, and asked again after a pause that grows with each failure in a row.

use std::time::{Duration, Instant};

use redis::{Client, Connection, ErrorKind, RedisError, Value};

use super::slots::Address;
use crate::log::Log;

/// The pause after a node's first failure; each one after that doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A node, and the connection to it, if there is one.
pub(super) struct Node {
    address: Address,
    client: Client,
    connection: Option<Connection>,
    failures: u32,
    /// How often in a row it took no write for being a replica.
    demotions: u32,
    not_before: Option<Instant>,
    log: Log,
}

impl Node {
    /// The node at `address`, to which `client` leads. What becomes of it is said in `log`.
    pub(super) fn new(address: Address, client: Client, log: Log) -> Node {
        Node { address, client, connection: None, failures: 0, demotions: 0, not_before: None, log }
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
                self.failures = 0;
                if has_failed {
                    self.log.line(format_args!("the store's engine {} is back", self.address));
                }
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
        self.failures = if was_connected { 1 } else { self.failures.saturating_add(1) };
        if was_connected {
            // At once: perhaps it was the connection alone.
            self.not_before = None;
            self.log.line(format_args!("the store's engine {address} failed: {reason}"));
            return;
        }
        self.not_before = Some(now + pause(self.failures));
        // The first few, and then one now and then: a night without the engine fills no disk.
        if self.failures.is_power_of_two() {
            self.log.line(format_args!(
                "the store's engine {address} cannot be reached: {reason}; requests that need it are answered 503"
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

    /// It has taken a write.
    pub(super) fn note_write(&mut self) {
        self.demotions = 0;
    }

    /// Drops the connection.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), RedisError> {
        self.connection()?.send_packed_command(bytes)
    }

    pub(super) fn receive(&mut self) -> Result<Value, RedisError> {
        self.connection()?.recv_response()
    }

    fn connection(&mut self) -> Result<&mut Connection, RedisError> {
        self.connection.as_mut().ok_or_else(not_connected)
    }
}

/// The pause after so many failures in a row.
fn pause(failures: u32) -> Duration {
    (PAUSE_MIN * 2u32.saturating_pow(failures.min(10))).min(PAUSE_MAX)
}

/// There is no connection.
pub(super) fn not_connected() -> RedisError {
    RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected))
}

/// An error in words that are written here or come from the operating system. An engine, or whatever listens in
/// its place, may repeat in an error what it was sent, and that may be a password.
pub(super) fn explain(error: &RedisError) -> String {
    match error.kind() {
        _ if error.is_timeout() => "it does not answer in time".to_owned(),
        ErrorKind::Io => {
            std::error::Error::source(error).map_or_else(|| CLOSED.to_owned(), ToString::to_string)
        }
        ErrorKind::AuthenticationFailed => {
            "authentication failed; check the user and the password in the location".to_owned()
        }
        ErrorKind::Server(_) | ErrorKind::Extension => {
            name_refusal(error.code().unwrap_or_default()).to_owned()
        }
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => "it does not speak the Redis protocol".to_owned(),
        _ => error.category().to_owned(),
    }
}

const CLOSED: &str = "the connection was closed";

/// What an engine's error with this code says, in words of our own; see [`explain`].
pub(super) fn name_refusal(code: &str) -> &'static str {
    match code {
        "OOM" => "OOM: it holds as much as its maxmemory allows",
        "MISCONF" => "MISCONF: it cannot save to its disk",
        "NOAUTH" => "NOAUTH: it wants a password; put USER:PASSWORD@ before the host in the location",
        "WRONGPASS" => "WRONGPASS: it knows no such user and password; check those in the location",
        "NOPERM" => "NOPERM: its rules (ACL) do not allow this user what the server needs",
        "NOREPLICAS" => "NOREPLICAS: it has too few replicas for its min-replicas-to-write",
        "LOADING" => "LOADING: it is still reading its data",
        "BUSY" => "BUSY: it runs a script that does not end",
        "READONLY" => "READONLY: it is a replica",
        "MASTERDOWN" => "MASTERDOWN: it has lost its master",
        "CLUSTERDOWN" => "CLUSTERDOWN: its cluster is not whole",
        "MOVED" | "ASK" | "TRYAGAIN" => "MOVED: another node has the key",
        "NOPROTO" => "NOPROTO: it does not speak this version of the protocol",
        "NOSCRIPT" | "CROSSSLOT" | "EXECABORT" | "WRONGTYPE" => "it misunderstood a command",
        "ERR" => "ERR: it does not know the command, or cannot do it",
        _ => "it answers with an error that is not known here",
    }
}
