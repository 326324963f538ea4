//! The engine's nodes: one, or those of a cluster; and an exchange with all of them at once.
//!
//! An exchange sends each node its commands as one pipeline, and then reads the answers of each. So it takes one round
//! trip for any number of commands. A node that fails costs the others at most one timeout.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Client, ConnectionAddr, ConnectionInfo, RedisError, ServerError, ServerErrorKind, Value};

use super::super::location::RedisLocation;
use super::explain::{explain, name_refusal};
use super::node::{Node, lost_step, not_connected};
use super::pipeline::{Answers, Command, EngineReply, Pipeline, Safety};
use super::probe::Probe;
use super::seeds::seeds;
use super::slots::{Address, SlotMap, redirect};
use crate::log::Log;
use crate::system::System;

mod ask;

/// The map of slots is read at most this often: while a node is away or a slot is stuck, each exchange would read it.
const REFRESH_INTERVAL: Duration = Duration::from_millis(50);

/// The nodes; see the module's documentation.
pub(super) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    nodes: HashMap<Address, Node>,
    /// `None` for a single engine.
    slots: Option<SlotMap>,
    /// Slots have moved, or a node has failed: the map must be read again.
    is_stale: bool,
    /// The number of times that the map was read.
    refreshes: usize,
    /// When that was last tried.
    refreshed: Option<Instant>,
    safety: Safety,
    /// The timeout of an answer.
    patience: Duration,
    system: Arc<dyn System>,
    log: Log,
    /// The marker of the next pipeline. The first is random, since other servers use the same nodes.
    next_marker: u64,
    /// The last error code of a refusal, so that it is logged once.
    last_refusal: Option<String>,
    /// A node has reconnected, and may have lost data.
    pub(super) has_returned: bool,
    /// When a node last failed or reconnected.
    trouble: Instant,
    probe: Probe,
    /// Whether a new connection is probed. At startup, the caller probes instead.
    pub(super) probes: bool,
}

impl Cluster {
    /// Connects to the nodes at `location`.
    ///
    /// # Errors
    /// The reason, as text, if no node answers as expected.
    pub(super) fn connect(
        location: &RedisLocation,
        probe: Probe,
        safety: Safety,
        patience: Duration,
        system: Arc<dyn System>,
        log: Log,
    ) -> Result<Cluster, String> {
        if cfg!(not(feature = "redis-tls")) && location.is_tls() {
            return Err("this program was built without TLS; build it with --features redis-tls".to_owned());
        }
        let seeds: Result<Vec<ConnectionInfo>, RedisError> = seeds(location).collect();
        let seeds = seeds.map_err(|error| explain(&error))?;
        let mut first_marker = [0; 8];
        system
            .fill(&mut first_marker)
            .map_err(|error| format!("cannot get random bytes from the system: {error}"))?;
        let trouble = system.monotonic();
        let mut cluster = Cluster {
            seeds,
            nodes: HashMap::new(),
            slots: None,
            is_stale: false,
            refreshes: 0,
            refreshed: None,
            safety,
            patience,
            system,
            log,
            next_marker: u64::from_le_bytes(first_marker),
            last_refusal: None,
            has_returned: false,
            trouble,
            probe,
            probes: false,
        };
        let seed = cluster.first_that_answers()?;
        let info = cluster.ask(&seed, redis::cmd("INFO").arg("cluster"))?;
        if text(&info).lines().any(|line| line.trim() == "cluster_enabled:1") {
            let slots = cluster.best_map(cluster.seed_addresses());
            cluster.slots = Some(slots.ok_or_else(|| format!("{seed} gives no map of the cluster's slots"))?);
        } else if cluster.seeds.len() > 1 {
            return Err(format!("{seed} is no node of a cluster; name one engine, or nodes of a cluster"));
        }
        cluster.has_returned = false;
        Ok(cluster)
    }

    fn first_that_answers(&mut self) -> Result<Address, String> {
        let mut reasons = Vec::new();
        for address in self.seed_addresses() {
            match self.ask(&address, &redis::cmd("PING")) {
                Ok(_) => return Ok(address),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    fn seed_addresses(&self) -> Vec<Address> {
        let address = |seed: &ConnectionInfo| match seed.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Address { host: host.clone(), port: *port })
            }
            _ => None,
        };
        self.seeds.iter().filter_map(address).collect()
    }

    /// Every node that has slots, or the single engine.
    pub(super) fn owners(&self) -> Vec<Address> {
        match &self.slots {
            Some(slots) => slots.owners(),
            None => self.seed_addresses().into_iter().take(1).collect(),
        }
    }

    /// Whether no node has failed in the last `time` before `now`.
    pub(super) fn has_been_calm_for(&self, time: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.trouble) >= time
    }

    /// Whether a write must reach a disk or replicas.
    pub(super) fn waits_for_safety(&self) -> bool {
        self.safety != Safety::default()
    }

    /// The slot map of the first of these nodes whose map is complete, or else the most complete one: a node that has
    /// just restarted may not know the others yet.
    fn best_map(&mut self, addresses: Vec<Address>) -> Option<SlotMap> {
        let mut best: Option<SlotMap> = None;
        for address in addresses {
            let Ok(answer) = self.ask(&address, redis::cmd("CLUSTER").arg("SLOTS")) else { continue };
            let Some(slots) = SlotMap::parse(&answer, &address) else { continue };
            let is_whole = slots.is_whole();
            if best.as_ref().is_none_or(|best| best.len() < slots.len()) {
                best = Some(slots);
            }
            if is_whole {
                break;
            }
        }
        best
    }

    /// Reads the map of slots again, if it is stale. Each time another node is asked first: a node that is partitioned
    /// from the others may have an old map without knowing.
    fn refresh(&mut self) {
        if !self.is_stale || self.slots.is_none() {
            return;
        }
        let now = self.system.monotonic();
        if self.refreshed.is_some_and(|last| now.saturating_duration_since(last) < REFRESH_INTERVAL) {
            return;
        }
        self.is_stale = false;
        let mut known = self.owners();
        for seed in self.seed_addresses() {
            if !known.contains(&seed) {
                known.push(seed);
            }
        }
        self.refreshes = self.refreshes.wrapping_add(1);
        let first = self.refreshes % known.len().max(1);
        known.rotate_left(first);
        if let Some(slots) = self.best_map(known) {
            self.nodes.retain(|address, node| node.is_connected() || slots.owners().contains(address));
            self.slots = Some(slots);
            // Clears what failures during the read have set.
            self.is_stale = false;
        }
        // From the end of the read, which takes long where a node hangs.
        self.refreshed = Some(self.system.monotonic());
    }

    /// Sends each command to the node with its key; returns a reply to each.
    pub(super) fn exchange(&mut self, commands: &[Command]) -> Vec<EngineReply> {
        self.refresh();
        let now = self.system.monotonic();
        let mut replies: Vec<EngineReply> = commands.iter().map(|_| EngineReply::Away).collect();
        let mut sent: Vec<(Address, Vec<usize>)> = Vec::new();
        for (address, indices) in self.by_node(commands) {
            if self.make_ready(&address, now).is_err() {
                self.is_stale = true;
                continue;
            }
            let is_unfit = self.nodes.get(&address).is_some_and(Node::is_unfit);
            // An unfit node would lose writes, so it only gets reads.
            let indices: Vec<usize> =
                indices.into_iter().filter(|index| !is_unfit || !commands[*index].is_write).collect();
            if indices.is_empty() {
                continue;
            }
            let pipeline = Pipeline { commands, indices: &indices, safety: self.safety };
            match self.send(&address, pipeline.encode(self.patience)) {
                Ok(()) => sent.push((address, indices)),
                Err(error) => {
                    // Part of it may have been sent.
                    indices.iter().for_each(|index| replies[*index] = EngineReply::Lost);
                    self.leave(&address, now, &explain(&error));
                }
            }
        }
        for (address, indices) in sent {
            indices.iter().for_each(|index| replies[*index] = EngineReply::Lost);
            let pipeline = Pipeline { commands, indices: &indices, safety: self.safety };
            if let Err(error) = self.receive_all(&address, pipeline, &mut replies) {
                self.leave(&address, now, &explain(&error));
            }
        }
        replies
    }

    /// Groups the commands by node. Commands without a node are omitted, and make the map stale.
    fn by_node(&mut self, commands: &[Command]) -> Vec<(Address, Vec<usize>)> {
        let mut by_node: Vec<(Address, Vec<usize>)> = Vec::new();
        let single = self.owners().into_iter().next();
        for (index, command) in commands.iter().enumerate() {
            let owner = match (&command.ask, &self.slots) {
                (Some(address), _) => Some(address),
                (None, Some(slots)) => slots.owner(&command.key),
                (None, None) => single.as_ref(),
            };
            let Some(owner) = owner else {
                self.is_stale = true;
                continue;
            };
            match by_node.iter_mut().find(|(address, _)| address == owner) {
                Some((_, indices)) => indices.push(index),
                None => by_node.push((owner.clone(), vec![index])),
            }
        }
        by_node
    }

    /// Reads the answers of one node. Uses none of them unless all have been read and have the expected types.
    fn receive_all(
        &mut self,
        address: &Address,
        pipeline: Pipeline,
        replies: &mut [EngineReply],
    ) -> Result<(), RedisError> {
        let answers = self.receive(address, pipeline.len())?;
        let Answers { values, is_safe } = pipeline.read(answers).ok_or_else(lost_step)?;
        let Pipeline { commands, indices, .. } = pipeline;
        let is_taken = |(index, answer): (&usize, &Value)| {
            commands[*index].is_write && !matches!(answer, Value::ServerError(_))
        };
        if indices.iter().zip(&values).any(is_taken)
            && let Some(node) = self.nodes.get_mut(address)
        {
            node.note_write();
        }
        for (index, answer) in indices.iter().zip(values) {
            replies[*index] = match answer {
                Value::ServerError(error) => self.redirected(address, error),
                _ if commands[*index].is_write && !is_safe => EngineReply::Unsafe,
                value => EngineReply::Answered(value),
            };
        }
        Ok(())
    }

    fn redirected(&mut self, address: &Address, error: ServerError) -> EngineReply {
        match error.kind() {
            Some(ServerErrorKind::Ask) => {
                EngineReply::Elsewhere(error.details().and_then(|details| redirect(details, address)))
            }
            // Without a cluster, a name may lead to another node after a fail-over.
            Some(ServerErrorKind::ReadOnly) if self.slots.is_none() => {
                self.look_behind(address);
                EngineReply::Elsewhere(None)
            }
            Some(
                ServerErrorKind::Moved
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly,
            ) => {
                self.is_stale = true;
                EngineReply::Elsewhere(None)
            }
            _ => {
                if self.last_refusal.as_deref() != Some(error.code()) {
                    self.last_refusal = Some(error.code().to_owned());
                    self.log.line(format_args!(
                        "the store's engine {address} refuses: {}",
                        name_refusal(error.code())
                    ));
                }
                EngineReply::Refused(error)
            }
        }
    }

    /// Connects to the node if it is not connected and its pause is over.
    fn make_ready(&mut self, address: &Address, now: Instant) -> Result<(), String> {
        if !self.nodes.contains_key(address) {
            let client = self.client(address).map_err(|error| explain(&error))?;
            self.nodes.insert(address.clone(), Node::new(address.clone(), client, self.log.clone()));
        }
        let Some(node) = self.nodes.get_mut(address) else { return Ok(()) };
        if node.is_connected() {
            return Ok(());
        }
        let connected = node.connect(now, self.patience);
        self.trouble = now;
        if connected.is_err() {
            self.is_stale = true;
            return connected;
        }
        self.has_returned = true;
        if self.probes {
            let fitness = self.probe_connected(address, now)?;
            if let Some(node) = self.nodes.get_mut(address) {
                node.note_fitness(fitness);
            }
        }
        Ok(())
    }

    fn client(&self, address: &Address) -> Result<Client, RedisError> {
        // All nodes have the same settings, except for the address.
        let Some(seed) = self.seeds.first() else {
            return Err(RedisError::from(std::io::Error::other("no seed")));
        };
        let addr = match seed.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: address.host.clone(), port: address.port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(address.host.clone(), address.port),
        };
        Client::open(seed.clone().set_addr(addr))
    }

    /// Disconnects a node that failed. Another node may have taken over its slots.
    fn leave(&mut self, address: &Address, now: Instant, reason: &str) {
        self.is_stale = true;
        self.trouble = now;
        if let Some(node) = self.nodes.get_mut(address) {
            node.leave(now, reason);
        }
    }

    /// Reconnects to `address`, because the node there has become a replica and the name may lead to another one.
    fn look_behind(&mut self, address: &Address) {
        let now = self.system.monotonic();
        if let Some(node) = self.nodes.get_mut(address) {
            node.look_behind(now);
        }
    }

    /// Drops every connection. Unread answers would be taken for those to later commands.
    pub(super) fn hang_up(&mut self) {
        self.nodes.values_mut().for_each(Node::hang_up);
    }

    fn send(&mut self, address: &Address, commands: Vec<u8>) -> Result<(), RedisError> {
        let marker = self.next_marker;
        self.next_marker = marker.wrapping_add(1);
        self.nodes.get_mut(address).ok_or_else(not_connected)?.send(commands, marker)
    }

    fn receive(&mut self, address: &Address, count: usize) -> Result<Vec<Value>, RedisError> {
        self.nodes.get_mut(address).ok_or_else(not_connected)?.receive(count)
    }
}

/// The text of an answer; empty if it is not text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::VerbatimString { text, .. } => text.clone(),
        _ => String::new(),
    }
}
