//! Grants in Redis or Valkey, one engine or a cluster, which many servers share.
//!
//! One key for each grant, so it does not matter where a cluster keeps it; its expiry is the engine's to see to.
//! A change is a compare-and-swap of that key, so of two servers that are asked the same thing at the same time
//! one is first, and the other finds what the first has made of it. A thread of its own does all the talking: it
//! takes all transitions that have gathered, and asks for them in one round trip. Before each next one it takes
//! those that have come in the meantime, so that a grant that needs many does not hold up the others.
//!
//! What the engine keeps when it fails is its own affair, and depends on how it is configured: that is looked at
//! when the server starts, and said in the log, with the name of the setting.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use redis::Value;

use super::queue::{Job, Queue, Taken};
use super::{Applied, Bounds, Caller, Store};
use crate::log::Log;
use crate::oauth::{Timestamp, Transition};
use crate::system::System;

mod batch;
mod fleet;
mod group;
mod node;
mod pipeline;
mod reports;
mod slots;

use batch::Batch;
use fleet::{Fleet, text};
use pipeline::{Reply, Request};
use slots::Address;

pub use pipeline::Safety;

/// How many transitions join between two round trips at most.
const BATCH_MAX: usize = 512;

/// The oldest engine that knows everything that is asked of it (`SET` with `PXAT`).
const VERSION_MIN: (u32, u32) = (6, 2);
/// The oldest one that knows `WAITAOF`.
const VERSION_OF_WAITAOF: (u32, u32) = (7, 2);

/// The key of the key that seals the dialog's forms.
const SEALING_KEY: &[u8] = b"oauth:sealing-key";

/// Grants on an engine; see the module's page.
pub struct EngineStore {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    sealing_key: [u8; 32],
    system: Arc<dyn System>,
}

/// Why an engine cannot be used.
#[derive(Debug)]
pub struct EngineError(String);

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EngineError {}

impl EngineStore {
    /// Connects to the engine at `urls`, of which more than one are nodes of a cluster. The sealing key is
    /// `fresh_key` if it has none yet. What its configuration puts at risk is said in `log`.
    ///
    /// # Errors
    /// When it cannot be reached, is too old, or does not have what `safety` needs.
    pub fn connect(
        urls: &[String],
        safety: Safety,
        bounds: Bounds,
        fresh_key: [u8; 32],
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<EngineStore, EngineError> {
        // Half of the time of a request, so that there is time for a second try.
        let patience = bounds.time_max / 2;
        let mut fleet = Fleet::connect(urls, safety, patience, Arc::clone(&system), log.clone())
            .map_err(|reason| EngineError(format!("the engine cannot be used: {reason}")))?;
        for address in fleet.owners() {
            check_version(&mut fleet, &address, safety).map_err(EngineError)?;
            for warning in what_is_at_risk(&mut fleet, &address, safety) {
                log.line(format_args!("the store's engine {address}: {warning}"));
            }
        }
        let sealing_key = agree_on_sealing_key(&mut fleet, &fresh_key).ok_or_else(|| {
            EngineError("the engine does not keep the key that seals the dialog's forms".into())
        })?;
        fleet.has_returned = false;
        let mut server = [0; 8];
        system
            .fill(&mut server)
            .map_err(|error| EngineError(format!("the system gives no random bytes: {error}")))?;
        let server = u64::from_le_bytes(server);
        let queue = Arc::new(Queue::new(bounds.queue_max, Some(server)));
        let mut batch = Batch::of(server, bounds.time_max, fleet.waits_for_safety());
        // If the node that has its report is away, it is told later.
        batch.report(&mut fleet, &queue, system.monotonic());
        let talker = Talker { fleet, bounds, batch, sealing_key, system: Arc::clone(&system), log };
        let shared_queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("store-engine".to_owned());
        let thread = thread.spawn(move || talker.run(&shared_queue));
        let thread = thread.map_err(|error| EngineError(format!("the system gives no thread: {error}")))?;
        Ok(EngineStore { queue, thread: Some(thread), sealing_key, system })
    }
}

impl Store for EngineStore {
    fn submit(&self, transition: Transition, now: Timestamp, caller: Caller) -> Option<Applied> {
        self.queue.submit(transition, (now, self.system.monotonic()), caller)
    }

    fn sealing_key(&self) -> Option<[u8; 32]> {
        Some(self.sealing_key)
    }
}

impl Drop for EngineStore {
    /// What was submitted is applied first.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, its jobs have been answered.
            let _ = thread.join();
        }
    }
}

/// The thread that talks to the engine.
struct Talker {
    fleet: Fleet,
    bounds: Bounds,
    batch: Batch,
    sealing_key: [u8; 32],
    system: Arc<dyn System>,
    log: Log,
}

impl Talker {
    fn run(mut self, queue: &Queue) {
        let mut jobs: Vec<Job> = Vec::new();
        loop {
            let Talker { fleet, batch, bounds, system, log, .. } = &mut self;
            // What can go on does so at once, with what has come in the meantime. What waits for a node is tried
            // again after a pause, and keeps nobody else waiting.
            let pause = if batch.is_ready(system.monotonic()) { Duration::ZERO } else { batch::PAUSE };
            let is_idle = batch.len() == 0;
            // When it becomes quiet, the report is brought up to date.
            let patience = if is_idle { batch.report_delay(queue, system.monotonic()) } else { pause };
            let room = bounds.queue_max.saturating_sub(batch.len());
            match room {
                0 => std::thread::sleep(pause),
                _ => match queue.take(&mut jobs, BATCH_MAX.min(room), Some(patience)) {
                    Taken::End if is_idle => {
                        batch.report(fleet, queue, system.monotonic());
                        return;
                    }
                    Taken::End => std::thread::sleep(pause),
                    Taken::Nothing if is_idle => batch.report(fleet, queue, system.monotonic()),
                    Taken::Jobs | Taken::Nothing => {}
                },
            }
            let now = system.monotonic();
            // A fault of this program, should there be one, costs the batch that met it.
            let applied = catch_unwind(AssertUnwindSafe(|| {
                batch.add(jobs.drain(..));
                batch.advance(fleet, queue, now);
            }));
            if applied.is_err() {
                log.line(format_args!("the store failed in applying a batch; this is a fault of the program"));
                batch.give_up(queue);
                jobs.clear();
                fleet.hang_up();
            }
            if std::mem::take(&mut self.fleet.has_returned) {
                self.batch.forget_report();
                self.keep_sealing_key();
            }
        }
    }

    /// An engine that came back may have forgotten everything; servers that start later are to have the same
    /// key as this one.
    fn keep_sealing_key(&mut self) {
        match agree_on_sealing_key(&mut self.fleet, &self.sealing_key) {
            Some(key) if key != self.sealing_key => self.log.line(format_args!(
                "the store's engine has another key for the dialog's forms than this server; restart this server"
            )),
            Some(_) => {}
            // It is asked again after the next batch.
            None => self.fleet.has_returned = true,
        }
    }
}

/// Puts `key` where there is none, and gives the one that is there then.
fn agree_on_sealing_key(fleet: &mut Fleet, key: &[u8; 32]) -> Option<[u8; 32]> {
    let request = |command: &mut redis::Cmd, is_write| Request {
        key: SEALING_KEY.into(),
        command: command.to_owned(),
        is_write,
        ask: None,
    };
    let set = request(redis::cmd("SET").arg(SEALING_KEY).arg(&key[..]).arg("NX"), true);
    let get = request(redis::cmd("GET").arg(SEALING_KEY), false);
    match fleet.exchange(&[set, get]).pop() {
        Some(Reply::Answered(Value::BulkString(bytes))) => bytes.try_into().ok(),
        _ => None,
    }
}

fn check_version(fleet: &mut Fleet, address: &Address, safety: Safety) -> Result<(), String> {
    let info = fleet.ask(address, redis::cmd("INFO").arg("server"))?;
    let info = text(&info);
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.trim().parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_old = |(major, minor): (u32, u32)| {
        format!("the engine at {address} is version {version:?}; {major}.{minor} or later is needed")
    };
    if found < VERSION_MIN {
        return Err(is_old(VERSION_MIN));
    }
    if safety.append_only_file && found < VERSION_OF_WAITAOF {
        return Err(format!("{} for wait_for_append_only_file", is_old(VERSION_OF_WAITAOF)));
    }
    fleet
        .ask(address, redis::cmd("EVAL").arg("return 1").arg(0))
        .map_err(|reason| format!("{reason}; the server has to be allowed ECHO, EVAL, GET and SET"))?;
    if safety.append_only_file && setting(fleet, address, "appendonly").as_deref() == Some("no") {
        return Err(format!("the engine at {address} has no append-only file to wait for; set appendonly yes"));
    }
    if safety.append_only_file && setting(fleet, address, "appendfsync").as_deref() == Some("no") {
        return Err(format!(
            "the engine at {address} never syncs its append-only file; set appendfsync always or everysec"
        ));
    }
    Ok(())
}

/// What the configuration of a node lets happen to grants, each with the setting that would not.
fn what_is_at_risk(fleet: &mut Fleet, address: &Address, safety: Safety) -> Vec<String> {
    let mut risks = Vec::new();
    let Some(append_only) = setting(fleet, address, "appendonly") else {
        return vec!["its configuration cannot be read (CONFIG GET), so what it keeps is not known".to_owned()];
    };
    if append_only == "no" {
        risks.push(
            "appendonly is no: a restart forgets what came after the last snapshot, spent codes and revoked tokens \
             included; set appendonly yes"
                .to_owned(),
        );
    } else {
        risks.extend(what_late_syncs_risk(fleet, address, safety));
    }
    if let Some(policy) = setting(fleet, address, "maxmemory-policy").filter(|policy| policy != "noeviction") {
        risks.push(format!(
            "maxmemory-policy is {policy}: short of memory it drops grants that are good; set maxmemory-policy \
             noeviction"
        ));
    }
    risks
}

/// What can be lost of an append-only file that is not synced before each answer.
fn what_late_syncs_risk(fleet: &mut Fleet, address: &Address, safety: Safety) -> Vec<String> {
    let mut risks = Vec::new();
    match setting(fleet, address, "appendfsync").as_deref() {
        // Some versions answer WAITAOF when the file is written and not yet synced.
        Some("everysec") if safety.append_only_file => risks.push(
            "appendfsync is everysec: depending on its version, the engine confirms up to 2 seconds of answers before \
             they are on the disk, and a machine that fails forgets them; set appendfsync always"
                .to_owned(),
        ),
        Some("everysec") => risks.push(
            "appendfsync is everysec: an engine that is killed forgets up to 2 seconds of answers, and a machine that \
             fails as many or more; set appendfsync always"
                .to_owned(),
        ),
        Some("no") => risks.push(
            "appendfsync is no: a machine that fails forgets what its system had not written to the disk, half a \
             minute of answers or more; set appendfsync always"
                .to_owned(),
        ),
        _ => {}
    }
    let syncs_late = setting(fleet, address, "no-appendfsync-on-rewrite").as_deref() == Some("yes");
    if syncs_late && !safety.append_only_file {
        risks.push(
            "no-appendfsync-on-rewrite is yes: a machine that fails while the append-only file is rewritten forgets \
             what was answered in that time; set no-appendfsync-on-rewrite no"
                .to_owned(),
        );
    }
    risks
}

fn setting(fleet: &mut Fleet, address: &Address, name: &str) -> Option<String> {
    let answer = fleet.ask(address, redis::cmd("CONFIG").arg("GET").arg(name)).ok()?;
    match answer {
        Value::Array(pair) => pair.get(1).map(text),
        Value::Map(pairs) => pairs.first().map(|(_, value)| text(value)),
        _ => None,
    }
}
