//! Grants in Redis or Valkey, one engine or a cluster, which many servers share.
//!
//! One key for each grant, so it does not matter where a cluster keeps it; its expiry is the engine's to see to.
//! A change is a compare-and-swap of that key, so of two servers that are asked the same thing at the same time
//! one is first, and the other finds what the first has made of it. A thread of its own does all the talking: it
//! takes all transitions that have gathered, and asks for them in one round trip.
//!
//! What the engine keeps when it fails is its own affair, and depends on how it is configured: that is looked at
//! when the server starts, and said in the log, with the name of the setting.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::Value;

use super::queue::{Job, Queue, Taken};
use super::{Applied, Bounds, Caller, Store};
use crate::config::{EngineLocation, KeyPrefix, Lifetimes};
use crate::log::Log;
use crate::oauth::question::SealingKeys;
use crate::oauth::{Digest, Timestamp, Transition};
use crate::system::System;

mod batch;
mod explain;
mod fleet;
mod group;
mod keys;
mod node;
mod pipeline;
mod probe;
mod reports;
mod sealing;
mod seeds;
mod slots;

use batch::Batch;
use fleet::{Fleet, text};
use keys::Keys;
use probe::{Fitness, Probe};
use sealing::{Agreement, Published};
use slots::Address;

pub use pipeline::Safety;

/// How many transitions join between two round trips at most.
const BATCH_MAX: usize = 512;

/// The oldest engine that knows everything that is asked of it (`SET` with `PXAT`).
const VERSION_MIN: (u32, u32) = (6, 2);
/// The oldest one that knows `WAITAOF`.
const VERSION_OF_WAITAOF: (u32, u32) = (7, 2);

/// How a server uses its engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// What every key begins with.
    pub key_prefix: KeyPrefix,
    /// What must have a write before its answer leaves.
    pub safety: Safety,
    /// How much may wait, and how long.
    pub bounds: Bounds,
    /// How long a code is good: no grant is kept for less.
    pub code_lifetime: Duration,
    /// How long one of the dialog's forms is good.
    pub form_lifetime: Duration,
    /// How often the engine's clock, its permissions and its sealing key are looked at again.
    pub check_interval: Duration,
}

impl Options {
    /// With the lifetimes that a configuration has by default.
    pub fn new(key_prefix: KeyPrefix, safety: Safety, bounds: Bounds) -> Options {
        let Lifetimes { code, form, .. } = Lifetimes::default();
        let check_interval = CHECK_INTERVAL;
        Options { key_prefix, safety, bounds, code_lifetime: code, form_lifetime: form, check_interval }
    }
}

/// How often they are looked at by default: strangers' forms do not cause it more often than once a second.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(5);
const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Grants on an engine; see the module's page.
pub struct EngineStore {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    published: Arc<Published>,
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
    /// Connects to the engine at `location`, of which several hosts are nodes of a cluster. The sealing key is
    /// `fresh_key` if it has none yet. What its configuration puts at risk is said in `log`.
    ///
    /// # Errors
    /// When it cannot be reached, is too old, or does not have what the options need.
    pub fn connect(
        location: &EngineLocation,
        options: &Options,
        fresh_key: [u8; 32],
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<EngineStore, EngineError> {
        let Options { key_prefix, safety, bounds, code_lifetime, form_lifetime, check_interval } =
            options.clone();
        let keys = Keys::new(&key_prefix);
        // No other server draws the same.
        let digest = Digest::of(&[&fresh_key[..], b"probe"].concat());
        let name = digest.as_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let probe = Probe::new(keys.clone(), name, code_lifetime + batch::KEPT_LONGER, batch::SWAP, safety);
        // Half of the time of a request, so that there is time for a second try.
        let patience = bounds.time_max / 2;
        let mut fleet = Fleet::connect(location, probe, safety, patience, Arc::clone(&system), log.clone())
            .map_err(|reason| EngineError(format!("the engine cannot be used: {reason}")))?;
        for address in fleet.owners() {
            check_version(&mut fleet, &address, safety).map_err(EngineError)?;
            check_fitness(&mut fleet, &address, &log).map_err(EngineError)?;
            for warning in what_is_at_risk(&mut fleet, &address, safety) {
                log.line(format_args!("the store's engine {address}: {warning}"));
            }
        }
        let now = system.monotonic();
        let agreement = Agreement::reach(&mut fleet, &keys, &fresh_key, (form_lifetime, now), log.clone());
        let agreement = agreement.ok_or_else(|| {
            EngineError("the engine does not keep the key that seals the dialog's forms".into())
        })?;
        let published = agreement.published();
        fleet.has_returned = false;
        fleet.probes = true;
        let mut server = [0; 8];
        system
            .fill(&mut server)
            .map_err(|error| EngineError(format!("the system gives no random bytes: {error}")))?;
        let server = u64::from_le_bytes(server);
        let queue = Arc::new(Queue::new(bounds.queue_max, Some(server)));
        let mut batch = Batch::of(keys, server, bounds.time_max, fleet.waits_for_safety());
        // If the node that has its report is away, it is told later.
        batch.report(&mut fleet, &queue, now);
        let system_too = Arc::clone(&system);
        let talker =
            Talker { fleet, bounds, batch, agreement, checked: now, check_interval, system: system_too, log };
        let shared_queue = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("store-engine".to_owned());
        let thread = thread.spawn(move || talker.run(&shared_queue));
        let thread = thread.map_err(|error| EngineError(format!("the system gives no thread: {error}")))?;
        Ok(EngineStore { queue, thread: Some(thread), published, system })
    }
}

impl Store for EngineStore {
    fn submit(&self, transition: Transition, now: Timestamp, caller: Caller) -> Option<Applied> {
        self.queue.submit(transition, (now, self.system.monotonic()), caller)
    }

    fn sealing_keys(&self) -> Option<Arc<SealingKeys>> {
        Some(self.published.keys())
    }

    fn refresh_sealing_keys(&self) {
        if !self.published.is_wanted() {
            self.published.want();
            self.queue.nudge();
        }
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
    agreement: Agreement,
    /// When the engine was last looked at for more than its answers.
    checked: Instant,
    check_interval: Duration,
    system: Arc<dyn System>,
    log: Log,
}

impl Talker {
    fn run(mut self, queue: &Queue) {
        let mut jobs: Vec<Job> = Vec::new();
        loop {
            let until_check = self.until_check();
            let Talker { fleet, batch, bounds, system, log, .. } = &mut self;
            // What can go on does so at once, with what has come in the meantime. What waits for a node is tried
            // again after a pause, and keeps nobody else waiting.
            let pause = if batch.is_ready(system.monotonic()) { Duration::ZERO } else { batch::PAUSE };
            let is_idle = batch.len() == 0;
            // When it becomes quiet, the report is brought up to date.
            let until_report = batch.report_delay(queue, system.monotonic());
            let patience = if is_idle { until_report.min(until_check) } else { pause };
            let room = bounds.queue_max.saturating_sub(batch.len());
            match room {
                0 => std::thread::sleep(pause),
                _ => match queue.take(&mut jobs, BATCH_MAX.min(room), Some(patience)) {
                    Taken::End if is_idle => {
                        batch.report(fleet, queue, system.monotonic());
                        return;
                    }
                    Taken::End => std::thread::sleep(pause),
                    Taken::Nothing if is_idle && until_report <= until_check => {
                        batch.report(fleet, queue, system.monotonic())
                    }
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
            // An engine that came back may have forgotten everything.
            let has_returned = std::mem::take(&mut self.fleet.has_returned);
            if has_returned {
                self.batch.forget_report();
            }
            if has_returned || self.until_check().is_zero() {
                self.check();
            }
        }
    }

    /// How long it is until the engine is looked at again.
    fn until_check(&self) -> Duration {
        let interval = match self.agreement.published().is_wanted() {
            true => self.check_interval.min(CHECK_INTERVAL_MIN),
            false => self.check_interval,
        };
        let since = self.system.monotonic().saturating_duration_since(self.checked);
        interval.saturating_sub(since)
    }

    /// Looks whether the engine still keeps what it confirms, and which key everyone seals forms with.
    fn check(&mut self) {
        self.checked = self.system.monotonic();
        let time = self.system.wall_clock();
        let (fleet, agreement, now) = (&mut self.fleet, &mut self.agreement, self.checked);
        let checked = catch_unwind(AssertUnwindSafe(|| {
            fleet.probe_all();
            agreement.renew(fleet, now, Timestamp::from_system_time(time));
        }));
        if checked.is_err() {
            self.log.line(format_args!("the store failed in a check; this is a fault of the program"));
            self.fleet.hang_up();
        }
        // The check itself may have connected.
        if std::mem::take(&mut self.fleet.has_returned) {
            self.batch.forget_report();
        }
    }
}

/// Whether a node keeps what it confirms, before anything is confirmed by it.
fn check_fitness(fleet: &mut Fleet, address: &Address, log: &Log) -> Result<(), String> {
    match fleet.probe(address)? {
        Fitness::Fit | Fitness::Unknown => Ok(()),
        Fitness::Unfit { reason, .. } => Err(format!("the engine at {address} cannot be used: {reason}")),
        Fitness::Full => {
            log.line(format_args!(
                "the store's engine {address} is full; new grants are 503 until some expire, or maxmemory is raised"
            ));
            Ok(())
        }
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
    if setting(fleet, address, "maxmemory").as_deref() == Some("0") {
        risks.push(
            "maxmemory is 0: grants, which are not counted by client here, may take all the memory of the engine's \
             machine; set maxmemory"
                .to_owned(),
        );
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
