//! How far each server has come in knowing what became of its answers.
//!
//! A redemption or rotation is stored with its writer: the server, and the number of the transition there. When the
//! same proofs come back to another server, that is a replay if the writer's answer reached the client, and a retry
//! if it did not. The writer notes a failed answer in the grant, but it cannot do so while it is cut off. So each
//! server keeps two keys on the engine:
//!
//! ```text
//!   PREFIX:report:SERVER  ──▶  up to which number all its answers have left it, or are noted as failed: eight bytes
//!   PREFIX:alive:SERVER   ──▶  nothing; it expires soon after the server has lost the engine
//! ```
//!
//! A server that judges a replay reads the report. If the report covers the answer, the answer arrived. If not, the
//! server waits for the writer to report, as long as the writer is alive. If it is not alive, the answer is unknown,
//! and the client gets the benefit of the doubt. Only this case costs extra reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;

use super::keys::Keys;
use super::pipeline::{Command, Reply};

/// How long a report outlives its server: longer than refresh tokens do.
const REPORT_KEPT: Duration = Duration::from_secs(400 * 86_400);

/// How long it is quiet before the last answers are reported, and how long after a failure.
const QUIET_TIME: Duration = Duration::from_millis(5);
const RETRY_TIME: Duration = Duration::from_millis(500);

/// How often a server says that it is alive while that holds.
const BEATS: u32 = 4;

/// What this server says of itself.
pub(super) struct Reports {
    keys: Keys,
    server: u64,
    /// How long a server is taken to be alive after it has said so.
    alive_time: Duration,
    /// What the engine has; `None` before the first report, and when the engine may have lost it.
    published: Option<u64>,
    /// When the engine was last told that this server is alive.
    beat: Option<Instant>,
    /// The engine did not take the last report.
    has_failed: bool,
}

impl Reports {
    /// Those of `server`, which has said nothing yet.
    pub(super) fn of(keys: Keys, server: u64, alive_time: Duration) -> Reports {
        Reports { keys, server, alive_time, published: None, beat: None, has_failed: false }
    }

    /// Whether the engine did not take the last report.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(super) fn server(&self) -> u64 {
        self.server
    }

    /// How long a server is taken to be alive after it has said so.
    pub(super) fn alive_time(&self) -> Duration {
        self.alive_time
    }

    /// Whether the engine is to be told something at the moment `now`, when all up to `settled` is known.
    pub(super) fn is_due(&self, settled: u64, now: Instant) -> bool {
        self.published.is_none_or(|published| published < settled) || self.time_to_beat(now).is_zero()
    }

    /// How long from `now` the engine is to be told, when nothing else is asked of it before.
    pub(super) fn delay(&self, settled: u64, now: Instant) -> Duration {
        match self.is_due(settled, now) {
            true if self.has_failed => RETRY_TIME,
            true => QUIET_TIME,
            false => self.time_to_beat(now),
        }
    }

    fn time_to_beat(&self, now: Instant) -> Duration {
        let next = self.beat.map(|beat| beat + self.alive_time / BEATS);
        next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    /// Tells the engine. `GET` makes the answers a read's, so nothing waits for replicas: a report that is lost, or
    /// late, is waited for.
    pub(super) fn commands(&self, settled: u64) -> [Command; 2] {
        let set = |key: Arc<[u8]>, value: &[u8], kept: Duration| {
            let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
            let cmd = redis::cmd("SET").arg(&*key).arg(value).arg("PX").arg(kept).arg("GET").to_owned();
            Command { key, cmd, is_write: false, ask: None }
        };
        [
            set(self.keys.report(self.server), &settled.to_be_bytes(), REPORT_KEPT),
            set(self.keys.alive(self.server), b"", self.alive_time),
        ]
    }

    /// Takes what came of it.
    pub(super) fn take(&mut self, settled: u64, replies: &[Reply], now: Instant) {
        self.has_failed = !replies.iter().all(|reply| matches!(reply, Reply::Answered(_)));
        if !self.has_failed {
            self.published = Some(settled);
            self.beat = Some(now);
        }
    }

    /// The engine may have lost it.
    pub(super) fn forget(&mut self) {
        self.published = None;
    }
}

/// Asks for the report of `server`, or whether it is alive.
pub(super) fn read(keys: &Keys, server: u64, is_alive: bool) -> Command {
    let key = if is_alive { keys.alive(server) } else { keys.report(server) };
    let cmd = redis::cmd("GET").arg(&*key).to_owned();
    Command { key, cmd, is_write: false, ask: None }
}

/// Whether the report in `value` covers the transition with this number. Where there is none, the engine has lost
/// it, or the server stopped longer ago than any token lives: then the answer counts as one that arrived.
pub(super) fn covers(value: &Value, serial: u64) -> bool {
    match value {
        Value::BulkString(bytes) => {
            bytes.as_slice().try_into().is_ok_and(|settled| serial <= u64::from_be_bytes(settled))
        }
        _ => true,
    }
}
