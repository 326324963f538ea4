//! The encoding of commands for one node, and the decoding of its answers. Without a connection.
//!
//! ```text
//!   [ASKING] command   for each command
//!   WAITAOF, WAIT      once for all writes, if responses wait for a disk or for replicas
//! ```
//!
//! Each command has certain types of answer. An answer of another type belongs to another command.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, ServerError, Value};

use super::slots::Address;

/// Where a write must be before its response is sent, in addition to the node's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Safety {
    /// On this many replicas (`WAIT`).
    pub replicas_min: u32,
    /// In the node's append-only file, on its disk (`WAITAOF`).
    pub append_only_file: bool,
}

/// One command on one key.
pub(super) struct Command {
    pub(super) key: Arc<[u8]>,
    pub(super) cmd: Cmd,
    pub(super) is_write: bool,
    /// The node that has the key for now, while its slot migrates (`ASK`).
    pub(super) ask: Option<Address>,
}

/// The result of a [`Command`].
#[derive(Debug)]
pub(super) enum EngineReply {
    /// It was executed; its answer.
    Answered(Value),
    /// Applied, but not yet durable as required.
    Unsafe,
    /// The node refused it.
    Refused(ServerError),
    /// It was not executed, because another node has the key, or none for the moment: retry, there if it is known.
    Elsewhere(Option<Address>),
    /// The connection failed; it is unknown whether it was executed.
    Lost,
    /// It was not sent, because the node is unavailable.
    Away,
}

/// Commands for one node, and how durable their writes must be.
#[derive(Clone, Copy)]
pub(super) struct Pipeline<'a> {
    pub(super) commands: &'a [Command],
    /// The commands of this pipeline, by their indices in `commands`.
    pub(super) indices: &'a [usize],
    pub(super) safety: Safety,
}

/// The answers to a [`Pipeline`].
pub(super) struct Answers {
    /// One for each command.
    pub(super) values: Vec<Value>,
    /// Whether the writes are as durable as required.
    pub(super) is_safe: bool,
}

impl Pipeline<'_> {
    /// The commands as bytes, for a node with the timeout `patience`.
    pub(super) fn encode(self, patience: Duration) -> Vec<u8> {
        let mut bytes = Vec::new();
        for command in self.commands() {
            if command.ask.is_some() {
                redis::cmd("ASKING").write_packed_command(&mut bytes);
            }
            command.cmd.write_packed_command(&mut bytes);
        }
        // Together three quarters of the timeout, so that the node can answer even if it falls short. Half for the
        // file: one that is synced once a second needs more than a second.
        let quarter = patience.as_millis() as u64 / 4;
        if self.waits_for_file() {
            redis::cmd("WAITAOF").arg(1).arg(0).arg(2 * quarter).write_packed_command(&mut bytes);
        }
        if self.waits_for_replicas() {
            redis::cmd("WAIT").arg(self.safety.replicas_min).arg(quarter).write_packed_command(&mut bytes);
        }
        bytes
    }

    /// The number of commands as sent, each of which has one answer.
    pub(super) fn len(self) -> usize {
        let asking = self.commands().filter(|command| command.ask.is_some()).count();
        let waits = usize::from(self.waits_for_file()) + usize::from(self.waits_for_replicas());
        self.indices.len() + asking + waits
    }

    /// Assigns the answers to the commands; `None` if one has a type that its command cannot have.
    pub(super) fn read(self, answers: Vec<Value>) -> Option<Answers> {
        let mut answers = answers.into_iter();
        let mut next = |is_kind: fn(&Value) -> bool| {
            answers.next().filter(|answer| is_kind(answer) || matches!(answer, Value::ServerError(_)))
        };
        let mut values = Vec::with_capacity(self.indices.len());
        for command in self.commands() {
            if command.ask.is_some() {
                next(|answer| matches!(answer, Value::Okay))?;
            }
            values.push(next(if command.is_write { is_written } else { is_read })?);
        }
        let mut is_safe = true;
        if self.waits_for_file() {
            let answer = next(is_pair)?;
            is_safe &= matches!(&answer, Value::Array(counts) if matches!(counts[..], [Value::Int(1..), ..]));
        }
        if self.waits_for_replicas() {
            let answer = next(|answer| matches!(answer, Value::Int(0..)))?;
            is_safe &= matches!(answer, Value::Int(count) if count >= i64::from(self.safety.replicas_min));
        }
        answers.next().is_none().then_some(Answers { values, is_safe })
    }

    fn commands(&self) -> impl Iterator<Item = &Command> {
        self.indices.iter().map(|index| &self.commands[*index])
    }

    fn has_write(&self) -> bool {
        self.commands().any(|command| command.is_write)
    }

    fn waits_for_file(&self) -> bool {
        self.safety.append_only_file && self.has_write()
    }

    fn waits_for_replicas(&self) -> bool {
        self.safety.replicas_min > 0 && self.has_write()
    }
}

/// An answer to `GET`.
fn is_read(answer: &Value) -> bool {
    matches!(answer, Value::BulkString(_) | Value::Nil)
}

/// An answer to `SET`, or to the swap.
fn is_written(answer: &Value) -> bool {
    matches!(answer, Value::Okay | Value::Nil | Value::Int(0 | 1))
}

/// An answer to `WAITAOF`.
fn is_pair(answer: &Value) -> bool {
    matches!(answer, Value::Array(counts) if matches!(counts[..], [Value::Int(0..), Value::Int(0..)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A read, a write that was redirected by `ASK`, and another read.
    fn commands() -> Vec<Command> {
        let command = |is_write, ask| Command {
            key: Arc::from(&b"k"[..]),
            cmd: redis::cmd(if is_write { "SET" } else { "GET" }),
            is_write,
            ask,
        };
        let node = Address { host: "a".to_owned(), port: 1 };
        vec![command(false, None), command(true, Some(node)), command(false, None)]
    }

    fn answers() -> Vec<Value> {
        let pair = Value::Array(vec![Value::Int(1), Value::Int(0)]);
        vec![Value::Nil, Value::Okay, Value::Int(1), Value::BulkString(b"v".to_vec()), pair, Value::Int(2)]
    }

    fn check(answers: Vec<Value>, safe: Option<bool>) {
        let safety = Safety { replicas_min: 2, append_only_file: true };
        let pipeline = Pipeline { commands: &commands(), indices: &[0, 1, 2], safety };
        assert_eq!(pipeline.len(), 6);
        let said = format!("{answers:?}");
        let read = pipeline.read(answers);
        assert_eq!(read.as_ref().map(|read| read.is_safe), safe, "{said}");
        assert!(read.is_none_or(|read| read.values.len() == 3), "{said}");
    }

    #[test]
    fn answers_of_their_kind_are_read_and_those_of_another_are_not() {
        check(answers(), Some(true));
        let with = |at: usize, value: Value| {
            let mut answers = answers();
            answers[at] = value;
            answers
        };
        check(with(4, Value::Array(vec![Value::Int(0), Value::Int(0)])), Some(false));
        check(with(5, Value::Int(1)), Some(false));
        let ints = |text: &[i64]| Value::Array(text.iter().map(|count| Value::Int(*count)).collect());
        let wrong = [
            (0, vec![Value::Okay, Value::Int(1), ints(&[1, 0])]),
            (1, vec![Value::Nil, Value::Int(1), Value::BulkString(b"v".to_vec())]),
            (2, vec![Value::Int(2), Value::BulkString(b"v".to_vec()), ints(&[1, 0])]),
            (3, vec![Value::Okay, Value::Int(0), ints(&[])]),
            (4, vec![Value::Nil, Value::Int(1), ints(&[1]), ints(&[1, 0, 0]), ints(&[-1, 0])]),
            (5, vec![Value::Nil, Value::Okay, Value::Int(-1), ints(&[1, 0])]),
        ];
        for (at, values) in wrong {
            values.into_iter().for_each(|value| check(with(at, value), None));
        }
    }

    #[test]
    fn one_answer_more_or_less_is_noticed() {
        for at in 0..6 {
            let mut fewer = answers();
            fewer.remove(at);
            check(fewer, None);
            let mut more = answers();
            more.insert(at, Value::Nil);
            check(more, None);
        }
    }
}
