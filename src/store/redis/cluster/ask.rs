//! Requests to a single node: about its configuration, and whether it keeps what it confirms.

use std::time::Instant;

use redis::{Cmd, ServerError, Value};

use super::super::explain::{explain, name_refusal};
use super::super::node::ECHO_REFUSED;
use super::super::probe::Fitness;
use super::super::slots::Address;
use super::Cluster;
use crate::oauth::Timestamp;

impl Cluster {
    /// Sends one command to one node.
    ///
    /// # Errors
    /// The reason, as text.
    pub(in super::super) fn ask(&mut self, address: &Address, command: &Cmd) -> Result<Value, String> {
        let named = |reason: String| format!("{address}: {reason}");
        let now = self.system.monotonic();
        self.make_ready(address, now).map_err(named)?;
        match self.ask_all(address, std::slice::from_ref(command), now).map(|mut answers| answers.pop()) {
            Ok(Some(Value::ServerError(error))) => Err(named(self.explain_refusal(command, &error))),
            Ok(value) => Ok(value.unwrap_or(Value::Nil)),
            Err(reason) => Err(named(reason)),
        }
    }

    /// Which command a node refused, why, and the remedy.
    fn explain_refusal(&self, command: &Cmd, error: &ServerError) -> String {
        let refusal = name_refusal(error.code());
        let name = match command.args_iter().next() {
            Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name),
            _ => "a command".into(),
        };
        match error.code() {
            "NOPERM" => format!("it refuses {name}: {refusal}; {}", self.probe.needs()),
            _ => format!("it refuses {name}: {refusal}"),
        }
    }

    /// Probes whether a node keeps what it confirms.
    ///
    /// # Errors
    /// The reason, as text, if the node fails.
    pub(in super::super) fn probe(&mut self, address: &Address) -> Result<Fitness, String> {
        let now = self.system.monotonic();
        self.make_ready(address, now)?;
        self.probe_connected(address, now)
    }

    pub(super) fn probe_connected(&mut self, address: &Address, now: Instant) -> Result<Fitness, String> {
        let Some(key) = self.probe_key(address) else { return Ok(Fitness::Unknown) };
        let time = Timestamp::from_system_time(self.system.wall_clock());
        let answers = self.ask_all(address, &self.probe.first_round(&key, time), now)?;
        match self.probe.second_round(&key, time, &answers) {
            Err(verdict) => Ok(verdict),
            Ok(round) => {
                let answers = self.ask_all(address, &round, now)?;
                Ok(self.probe.judge(&answers))
            }
        }
    }

    /// A probe's key in a slot of this node.
    fn probe_key(&self, address: &Address) -> Option<Vec<u8>> {
        const TRIES: u32 = 1 << 16;
        let Some(slots) = &self.slots else { return Some(self.probe.key(0)) };
        (0..TRIES).map(|number| self.probe.key(number)).find(|key| slots.owner(key) == Some(address))
    }

    /// Probes every node that has slots; logs changes.
    pub(in super::super) fn probe_all(&mut self) {
        for address in self.owners() {
            let fitness = self.probe(&address);
            if let (Ok(fitness), Some(node)) = (fitness, self.nodes.get_mut(&address)) {
                node.note_fitness(fitness);
            }
        }
    }

    /// Sends several commands to a connected node in one pipeline.
    fn ask_all(&mut self, address: &Address, commands: &[Cmd], now: Instant) -> Result<Vec<Value>, String> {
        let mut bytes = Vec::new();
        commands.iter().for_each(|command| command.write_packed_command(&mut bytes));
        let sent = self.send(address, bytes);
        sent.and_then(|()| self.receive(address, commands.len())).map_err(|error| {
            let reason = explain(&error);
            self.leave(address, now, &reason);
            if reason.starts_with(ECHO_REFUSED) { format!("{reason}; {}", self.probe.needs()) } else { reason }
        })
    }
}
