//! How a record is written: a compare-and-swap of its key, or a `SET NX` if the key is new.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use redis::Cmd;

use crate::oauth::Kind;
use crate::oauth::kind::{Record, Transition};

/// Replaces a value if it has not changed.
pub(super) const SWAP: &str = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end \
    redis.call('SET',KEYS[1],ARGV[2],'PXAT',ARGV[3]) return 1";

/// How long a record is kept after it expires, since the engine's clock may be ahead of ours.
pub(super) const KEPT_LONGER: Duration = Duration::from_secs(60);

/// One write of a record, and the jobs that it answers.
pub(super) struct Write<T: Transition> {
    /// The expected current value; `None` for no value.
    pub(super) old: Option<Vec<u8>>,
    /// The new value.
    pub(super) new: Written,
    /// The outcomes of the first jobs if the write is made.
    pub(super) outcomes: Outcomes<T>,
    /// How many of the first withdrawals it covers.
    pub(super) withdrawn: usize,
}

/// The outcomes of the first jobs of a group, in order.
pub(super) type Outcomes<T> = VecDeque<<T as Transition>::Outcome>;

/// A record as bytes, after a [`Stamp`] if its kind needs one, with the time until which the engine keeps it.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) expires: u64,
}

impl<T: Transition> Clone for Write<T> {
    fn clone(&self) -> Write<T> {
        let Write { old, new, outcomes, withdrawn } = self;
        Write { old: old.clone(), new: new.clone(), outcomes: outcomes.clone(), withdrawn: *withdrawn }
    }
}

impl<T: Transition> Write<T> {
    /// The command that performs the write.
    pub(super) fn command(&self, key: &[u8]) -> Cmd {
        let Written { bytes: new, expires } = &self.new;
        match &self.old {
            None => redis::cmd("SET").arg(key).arg(new).arg("NX").arg("PXAT").arg(expires).to_owned(),
            Some(old) => redis::cmd("EVAL").arg(SWAP).arg(1).arg(key).arg(old).arg(new).arg(expires).to_owned(),
        }
    }
}

/// Makes the bytes of a write unique if its record does not: the server, and the number of the write there. Precedes
/// the record's bytes.
pub(super) type Stamp = [u8; 16];

/// The source of one server's stamps.
pub(super) struct Stamps {
    pub(super) server: u64,
    pub(super) last: Cell<u64>,
}

impl Stamps {
    fn next(&self) -> Stamp {
        self.last.set(self.last.get() + 1);
        let mut stamp = [0; 16];
        stamp[..8].copy_from_slice(&self.server.to_be_bytes());
        stamp[8..].copy_from_slice(&self.last.get().to_be_bytes());
        stamp
    }
}

impl Written {
    pub(super) fn of<T: Transition>(record: &T::Record, kind: Kind, stamps: &Stamps) -> Written {
        let expires = record.expires().after(KEPT_LONGER).as_milliseconds();
        let mut bytes = record.encode();
        if !T::KINDS[kind.index()].is_repeatable {
            bytes.splice(0..0, stamps.next());
        }
        Written { bytes, expires }
    }
}

/// Reads the bytes of a [`Written`]; `None` if they are malformed.
pub(super) fn read<T: Transition>(kind: Kind, bytes: &[u8]) -> Option<T::Record> {
    let has_stamp = !T::KINDS[kind.index()].is_repeatable;
    let stamp_len = if has_stamp { size_of::<Stamp>() } else { 0 };
    T::Record::decode(kind, bytes.get(stamp_len..)?)
}
