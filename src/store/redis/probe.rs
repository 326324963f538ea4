//! Probes whether an engine keeps what it confirms: at startup, at each new connection, and at intervals.
//!
//! An engine whose clock is ahead confirms a write and expires it at once. A missing permission shows only at the first
//! write. So a probe runs every command that a grant needs, with the shortest lifetime of a grant, and reads back
//! what it wrote.
//!
//! ```text
//!   round 1   TIME    SET PREFIX:probe:NAME NX    GET    (WAITAOF)    (WAIT)
//!   round 2   EVAL of the compare-and-swap        GET
//! ```

use std::time::Duration;

use redis::{Cmd, ServerError, ServerErrorKind, Value};

use super::explain::name_refusal;
use super::keys::Keys;
use super::pipeline::Safety;
use crate::oauth::Timestamp;

/// Maximum difference between an engine's clock and ours.
pub(super) const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(30);

/// The result of a probe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    /// It keeps what it confirms.
    Fit,
    /// It is full. It refuses writes itself, and can be read from.
    Full,
    /// It would lose or refuse grants. With the reason and the remedy.
    Unfit { kind: Unfit, reason: String },
    /// It is being reconfigured; each write then gets its own error.
    Unknown,
}

/// Why an engine is unfit for grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Clock,
    Forgets,
    Refuses,
}

/// The probe of an engine; see the module's documentation.
pub(super) struct Probe {
    keys: Keys,
    name: String,
    /// The shortest lifetime of a grant.
    lifetime: Duration,
    /// The script of the compare-and-swap.
    swap: &'static str,
    safety: Safety,
}

impl Probe {
    /// A probe under `keys`. No other server uses `name`; `lifetime` is the shortest lifetime of a grant.
    pub(super) fn new(
        keys: Keys,
        name: String,
        lifetime: Duration,
        swap: &'static str,
        safety: Safety,
    ) -> Probe {
        Probe { keys, name, lifetime, swap, safety }
    }

    /// The probe's key with this number. Each node of a cluster has some of these keys.
    pub(super) fn key(&self, number: u32) -> Vec<u8> {
        self.keys.probe(&self.name, number)
    }

    /// The first round, begun at `now`.
    pub(super) fn first_round(&self, key: &[u8], now: Timestamp) -> Vec<Cmd> {
        let mut round = vec![
            redis::cmd("TIME"),
            redis::cmd("SET")
                .arg(key)
                .arg(first_value(now))
                .arg("NX")
                .arg("PXAT")
                .arg(self.expires(now))
                .to_owned(),
            redis::cmd("GET").arg(key).to_owned(),
        ];
        // Tests the permission; with a timeout that waits for nothing.
        if self.safety.append_only_file {
            round.push(redis::cmd("WAITAOF").arg(0).arg(0).arg(1).to_owned());
        }
        if self.safety.replicas_min > 0 {
            round.push(redis::cmd("WAIT").arg(0).arg(1).to_owned());
        }
        round
    }

    /// The second round, if the answers of the first are as expected.
    ///
    /// # Errors
    /// The verdict, if they are not.
    pub(super) fn second_round(
        &self,
        key: &[u8],
        now: Timestamp,
        answers: &[Value],
    ) -> Result<Vec<Cmd>, Fitness> {
        self.check_errors(&["TIME", "SET", "GET", "WAITAOF or WAIT", "WAIT"], answers)?;
        check_clock(answers.first(), now)?;
        let Some(Value::BulkString(found)) = answers.get(2) else { return Err(self.forgets()) };
        let expires = self.expires(now);
        let swap = redis::cmd("EVAL")
            .arg(self.swap)
            .arg(1)
            .arg(key)
            .arg(found)
            .arg(second_value(now))
            .arg(expires)
            .to_owned();
        Ok(vec![swap, redis::cmd("GET").arg(key).to_owned()])
    }

    /// The verdict after the second round.
    pub(super) fn judge(&self, answers: &[Value]) -> Fitness {
        if let Err(verdict) = self.check_errors(&["EVAL with GET and SET", "GET"], answers) {
            return verdict;
        }
        match answers {
            [_, Value::BulkString(_)] => Fitness::Fit,
            _ => self.forgets(),
        }
    }

    fn check_errors(&self, names: &[&str], answers: &[Value]) -> Result<(), Fitness> {
        for (name, answer) in names.iter().zip(answers) {
            if let Value::ServerError(error) = answer {
                return Err(self.refuses(name, error));
            }
        }
        Ok(())
    }

    fn refuses(&self, name: &str, error: &ServerError) -> Fitness {
        let code = error.code();
        let refusal = name_refusal(code);
        match (code, error.kind()) {
            ("OOM", _) => Fitness::Full,
            ("NOPERM", _) | (_, Some(ServerErrorKind::NoPerm)) => Fitness::Unfit {
                kind: Unfit::Refuses,
                reason: format!("it refuses {name}: {refusal}; {}", self.needs()),
            },
            ("ERR" | "NOAUTH", _) => {
                Fitness::Unfit { kind: Unfit::Refuses, reason: format!("it refuses {name}: {refusal}") }
            }
            _ => Fitness::Unknown,
        }
    }

    fn forgets(&self) -> Fitness {
        let seconds = self.lifetime.as_secs();
        let reason = format!(
            "it confirmed a write with a lifetime of {seconds} s and did not keep it; set maxmemory-policy noeviction \
             and check its clock"
        );
        Fitness::Unfit { kind: Unfit::Forgets, reason }
    }

    /// The remedy for missing permissions: the command that grants them.
    pub(super) fn needs(&self) -> String {
        let wait = if self.safety.replicas_min > 0 { " +wait" } else { "" };
        let wait_aof = if self.safety.append_only_file { " +waitaof" } else { "" };
        format!(
            "allow it with ACL SETUSER USER +ping +echo +info +time +get +set +eval{wait}{wait_aof} ~{}:* (and \
             +cluster|slots +asking for a cluster, +config|get to be warned of settings that lose grants)",
            self.keys.pattern()
        )
    }

    fn expires(&self, now: Timestamp) -> u64 {
        now.after(self.lifetime).as_milliseconds()
    }
}

fn check_clock(answer: Option<&Value>, now: Timestamp) -> Result<(), Fitness> {
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse::<u64>().ok(),
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let Some(Value::Array(parts)) = answer else { return Err(Fitness::Unknown) };
    let Some(theirs) = parts.first().and_then(text) else { return Err(Fitness::Unknown) };
    let ours = now.as_seconds();
    let difference = ours.abs_diff(theirs);
    if difference <= CLOCK_DIFFERENCE_MAX.as_secs() {
        return Ok(());
    }
    let word = if theirs > ours { "ahead of" } else { "behind" };
    let reason = format!(
        "its clock is {difference} s {word} this machine's ({theirs} and {ours} s since 1970), and grants would expire \
         at the wrong time; set both by NTP, to within {} s",
        CLOCK_DIFFERENCE_MAX.as_secs()
    );
    Err(Fitness::Unfit { kind: Unfit::Clock, reason })
}

fn first_value(now: Timestamp) -> String {
    format!("{} first", now.as_milliseconds())
}

fn second_value(now: Timestamp) -> String {
    format!("{} second", now.as_milliseconds())
}
