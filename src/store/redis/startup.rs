//! What is checked of each node before the store opens: its version, whether it keeps what it confirms, and which of
//! its settings can lose grants. The last are warnings: an operator may have reasons.

use redis::Value;

use super::cluster::{Cluster, text};
use super::pipeline::Safety;
use super::probe::Fitness;
use super::slots::Address;
use crate::log::Log;

/// The oldest supported version, the first with all commands in use (`SET` with `PXAT`).
const VERSION_MIN: (u32, u32) = (6, 2);
/// The first version with `WAITAOF`.
const VERSION_OF_WAITAOF: (u32, u32) = (7, 2);

/// Checks one node; warnings about its configuration go to `log`.
///
/// # Errors
/// The reason, as text, if the node is too old, does not keep what it confirms, or lacks what `safety` needs.
pub(super) fn check(cluster: &mut Cluster, address: &Address, safety: Safety, log: &Log) -> Result<(), String> {
    check_version(cluster, address, safety)?;
    check_fitness(cluster, address, log)?;
    for warning in what_is_at_risk(cluster, address, safety) {
        log.line(format_args!("the store's engine {address}: {warning}"));
    }
    Ok(())
}

/// Checks that a node keeps what it confirms, before it stores anything.
fn check_fitness(cluster: &mut Cluster, address: &Address, log: &Log) -> Result<(), String> {
    match cluster.probe(address)? {
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

fn check_version(cluster: &mut Cluster, address: &Address, safety: Safety) -> Result<(), String> {
    let info = cluster.ask(address, redis::cmd("INFO").arg("server"))?;
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
    if safety.append_only_file && setting(cluster, address, "appendonly").as_deref() == Some("no") {
        return Err(format!("the engine at {address} has no append-only file to wait for; set appendonly yes"));
    }
    if safety.append_only_file && setting(cluster, address, "appendfsync").as_deref() == Some("no") {
        return Err(format!(
            "the engine at {address} never syncs its append-only file; set appendfsync always or everysec"
        ));
    }
    Ok(())
}

/// The risks of a node's configuration, each with the setting that removes it.
fn what_is_at_risk(cluster: &mut Cluster, address: &Address, safety: Safety) -> Vec<String> {
    let mut risks = Vec::new();
    let Some(append_only) = setting(cluster, address, "appendonly") else {
        return vec![
            "its configuration cannot be read (CONFIG GET), so it is unknown what it keeps".to_owned(),
        ];
    };
    if append_only == "no" {
        risks.push(
            "appendonly is no: a restart forgets what came after the last snapshot, spent codes and revoked tokens \
             included; set appendonly yes"
                .to_owned(),
        );
    } else {
        risks.extend(what_late_syncs_risk(cluster, address, safety));
    }
    if let Some(policy) = setting(cluster, address, "maxmemory-policy").filter(|policy| policy != "noeviction")
    {
        risks.push(format!(
            "maxmemory-policy is {policy}: when memory is full the engine evicts valid grants; set maxmemory-policy \
             noeviction"
        ));
    }
    if setting(cluster, address, "maxmemory").as_deref() == Some("0") {
        risks.push(
            "maxmemory is 0: grants, which are not counted by client here, may take all the memory of the engine's \
             machine; set maxmemory"
                .to_owned(),
        );
    }
    risks
}

/// The risks of an append-only file that is not synced before each answer.
fn what_late_syncs_risk(cluster: &mut Cluster, address: &Address, safety: Safety) -> Vec<String> {
    let mut risks = Vec::new();
    match setting(cluster, address, "appendfsync").as_deref() {
        // Some versions answer WAITAOF after the file is written and before it is synced.
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
    let syncs_late = setting(cluster, address, "no-appendfsync-on-rewrite").as_deref() == Some("yes");
    if syncs_late && !safety.append_only_file {
        risks.push(
            "no-appendfsync-on-rewrite is yes: a machine that fails while the append-only file is rewritten forgets \
             what was answered in that time; set no-appendfsync-on-rewrite no"
                .to_owned(),
        );
    }
    risks
}

fn setting(cluster: &mut Cluster, address: &Address, name: &str) -> Option<String> {
    let answer = cluster.ask(address, redis::cmd("CONFIG").arg("GET").arg(name)).ok()?;
    match answer {
        Value::Array(pair) => pair.get(1).map(text),
        Value::Map(pairs) => pairs.first().map(|(_, value)| text(value)),
        _ => None,
    }
}
