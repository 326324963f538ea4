//! Whether an engine keeps what it confirms: asked at the start, at each new connection, and now and then.
//!
//! An engine whose clock is ahead confirms a write and drops it at once; one that lacks a permission says so at the
//! first write only. So a probe runs every command that a grant needs, with the shortest lifetime that one has, and
//! reads back what it wrote.
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

/// How far an engine's clock may be from ours.
pub(super) const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(30);

/// What a probe came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    /// It keeps what it confirms.
    Fit,
    /// It has no room. It refuses writes by itself, and may be read from.
    Full,
    /// It would lose grants, or refuse them. In words, with the remedy.
    Unfit { kind: Unfit, reason: String },
    /// It is being reconfigured; it says so by itself at each write.
    Unknown,
}

/// Why an engine is not fit for grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Clock,
    Forgets,
    Refuses,
}

/// What is asked of every engine; see the module's page.
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
    /// A probe under `keys`, whose `name` no other server uses, where no grant is kept for less than `lifetime`.
    pub(super) fn new(
        keys: Keys,
        name: String,
        lifetime: Duration,
        swap: &'static str,
        safety: Safety,
    ) -> Probe {
        Probe { keys, name, lifetime, swap, safety }
    }

    /// The probe's key with this number: of a cluster's nodes, each has some of them.
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
        // Whether these may be asked; they wait for nothing.
        if self.safety.append_only_file {
            round.push(redis::cmd("WAITAOF").arg(0).arg(0).arg(1).to_owned());
        }
        if self.safety.replicas_min > 0 {
            round.push(redis::cmd("WAIT").arg(0).arg(1).to_owned());
        }
        round
    }

    /// The second round, if the first one's answers allow one.
    ///
    /// # Errors
    /// The verdict, if they do not.
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

    /// What the second round came to.
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
            "it confirmed a write that is to last {seconds} s and did not keep it; set maxmemory-policy noeviction and \
             check its clock"
        );
        Fitness::Unfit { kind: Unfit::Forgets, reason }
    }

    /// What an engine's rules must allow, as the command that allows it.
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
