//! Reports: up to which response each server knows whether its responses were delivered.
//!
//! A redemption or rotation is stored with its writer: the server, and the number of the transition there. If another
//! server receives the same proofs, that is a replay if the writer's response reached the client, and a retry if not.
//! The writer notes a failed response in the grant, but cannot while it is disconnected. So each server keeps two keys
//! on the engine:
//!
//! ```text
//!   PREFIX:report:SERVER  ──▶  eight bytes: the number up to which every response was sent or is noted as failed
//!   PREFIX:alive:SERVER   ──▶  nothing: the heartbeat; expires soon after the server has lost the engine
//! ```
//!
//! Before it treats a request as a replay, a server reads the writer's report. If the report covers the response, the
//! response was sent. If not, the server waits for the report while the writer is alive. If the writer is not alive,
//! the request is treated as a retry, in favour of the client. Other requests cost no extra reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;

use super::keys::Keys;
use super::pipeline::{Command, EngineReply};
use super::slots::Address;

/// How long a report is kept: longer than the lifetime of refresh tokens.
const REPORT_KEPT: Duration = Duration::from_secs(400 * 86_400);

/// The pause before an idle server reports, and after a failed report.
const QUIET_TIME: Duration = Duration::from_millis(5);
const RETRY_TIME: Duration = Duration::from_millis(500);

/// How often a server renews its heartbeat within its lifetime.
const HEARTBEATS: u32 = 4;

/// The reports of this server.
pub(super) struct Reports {
    keys: Keys,
    server: u64,
    /// The lifetime of the heartbeat.
    alive_time: Duration,
    /// The last report on the engine; `None` before the first, and if the engine may have lost it.
    published: Option<u64>,
    /// When the heartbeat was last renewed.
    heartbeat: Option<Instant>,
    /// The last report failed.
    has_failed: bool,
    /// The nodes that `ASK` redirects name, for the two commands of the next report.
    asks: [Option<Address>; 2],
}

impl Reports {
    /// For `server`, before its first report.
    pub(super) fn of(keys: Keys, server: u64, alive_time: Duration) -> Reports {
        Reports {
            keys,
            server,
            alive_time,
            published: None,
            heartbeat: None,
            has_failed: false,
            asks: [None, None],
        }
    }

    /// Whether the last report failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(super) fn server(&self) -> u64 {
        self.server
    }

    /// The lifetime of the heartbeat.
    pub(super) fn alive_time(&self) -> Duration {
        self.alive_time
    }

    /// Whether a report is due at `now`, if the delivery of all responses up to `settled` is known.
    pub(super) fn is_due(&self, settled: u64, now: Instant) -> bool {
        self.published.is_none_or(|published| published < settled) || self.time_to_heartbeat(now).is_zero()
    }

    /// The time from `now` until an idle server must report.
    pub(super) fn delay(&self, settled: u64, now: Instant) -> Duration {
        if !self.is_due(settled, now) {
            self.time_to_heartbeat(now)
        } else if self.has_failed {
            RETRY_TIME
        } else {
            QUIET_TIME
        }
    }

    fn time_to_heartbeat(&self, now: Instant) -> Duration {
        let next = self.heartbeat.map(|last| last + self.alive_time / HEARTBEATS);
        next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    /// The commands of a report. With `GET` a `SET` is answered like a read and counts as one, so it does not wait for
    /// replicas: a server that needs a lost or late report waits for it.
    pub(super) fn commands(&self, settled: u64) -> [Command; 2] {
        let [report_ask, alive_ask] = self.asks.clone();
        let set = |key: Arc<[u8]>, value: &[u8], kept: Duration, ask| {
            let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
            let cmd = redis::cmd("SET").arg(&*key).arg(value).arg("PX").arg(kept).arg("GET").to_owned();
            Command { key, cmd, is_write: false, ask }
        };
        [
            set(self.keys.report(self.server), &settled.to_be_bytes(), REPORT_KEPT, report_ask),
            set(self.keys.alive(self.server), b"", self.alive_time, alive_ask),
        ]
    }

    /// Takes the replies to a report.
    pub(super) fn take(&mut self, settled: u64, replies: &[EngineReply], now: Instant) {
        self.has_failed = !replies.iter().all(|reply| matches!(reply, EngineReply::Answered(_)));
        for (ask, reply) in self.asks.iter_mut().zip(replies) {
            *ask = if let EngineReply::Elsewhere(address) = reply { address.clone() } else { None };
        }
        if !self.has_failed {
            self.published = Some(settled);
            self.heartbeat = Some(now);
        }
    }

    /// Notes that the engine may have lost the report.
    pub(super) fn forget(&mut self) {
        self.published = None;
    }
}

/// The command that reads the report of `server`, or its heartbeat.
pub(super) fn read(keys: &Keys, server: u64, reads_heartbeat: bool) -> Command {
    let key = if reads_heartbeat { keys.alive(server) } else { keys.report(server) };
    let cmd = redis::cmd("GET").arg(&*key).to_owned();
    Command { key, cmd, is_write: false, ask: None }
}

/// Whether the report in `value` covers the transition with this number. A missing report counts as covering it: the
/// engine has lost it, or the server stopped longer ago than the lifetime of any token.
pub(super) fn covers(value: &Value, serial: u64) -> bool {
    match value {
        Value::BulkString(bytes) => {
            bytes.as_slice().try_into().is_ok_and(|settled| serial <= u64::from_be_bytes(settled))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::key_prefix::KeyPrefix;
    use super::*;

    #[test]
    fn a_report_follows_its_slot_in_the_middle_of_a_move() {
        let keys = Keys::new(&KeyPrefix::of_issuer("https://auth.example"));
        let mut reports = Reports::of(keys, 1, Duration::from_secs(10));
        let heir = Address { host: "heir".to_owned(), port: 7001 };
        let now = Instant::now();
        for (reply, expected) in [
            (EngineReply::Elsewhere(Some(heir.clone())), Some(&heir)),
            (EngineReply::Answered(Value::Nil), None),
            (EngineReply::Elsewhere(None), None),
        ] {
            reports.take(7, &[reply, EngineReply::Answered(Value::Nil)], now);
            let [report, alive] = reports.commands(7);
            assert_eq!((report.ask.as_ref(), alive.ask.as_ref()), (expected, None));
        }
    }
}
