//! The contract between the rules and the stores: what a kind of record is.
//!
//! A store keeps records by [`Key`] and applies a [`Transition`] to one of them, without knowing what either means. The
//! two traits here tell it what it needs: when a record expires; who holds it and as what it counts, so that the store
//! can limit the records of one holder; its bytes; and the withdrawal of a transition whose response does not reach
//! the client.
//!
//! A kind is one file or folder of rules. Its transition implements [`Transition`] with that one kind; `kinds!`
//! composes several into one ([`kinds`](super::kinds)).
//!
//! Records of every kind move through the same stages in this order. They may skip stages, and never go back:
//!
//! ```text
//!   (nothing) ──▶ code ──▶ live ──▶ mark ──▶ (forgotten)
//! ```

use super::key::{Key, Kind};
use super::timestamp::Timestamp;

/// What a store needs to know about a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// The name of its keys and tables: lower-case letters, unique, and never changed.
    pub name: &'static str,
    /// Whether a store may apply a transition again after it lost the answer to a write. True if the first application
    /// spends the presented credential, and if no two transitions write the same bytes, because each writes digests of
    /// fresh secrets. For other kinds the store numbers its writes, and answers with an error if another write came
    /// after the lost one, because it is then unknown whether the lost one was made.
    pub is_repeatable: bool,
}

/// The holder of a record. A store limits the records of each kind per holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The client; empty for a kind that belongs to no client.
    pub client: &'a str,
    /// The subject; `None` where there is none.
    pub subject: Option<&'a str>,
}

/// The stage of a record. A holder's records are counted separately for each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Pending, such as a code that is not redeemed.
    Code = 0,
    /// In use.
    Live = 1,
    /// Only a mark remains, so that the record cannot be made again.
    Mark = 2,
}

impl Stage {
    /// The number of stages.
    pub const COUNT: usize = 3;
}

/// What a store does with the record.
#[derive(Clone, Debug)]
pub enum Change<R> {
    /// Leave the record unchanged, or absent.
    Keep,
    /// Store this record.
    Put(R),
    /// Remove the record. A store may keep its [mark](Record::mark) for a while instead, so a transition must treat a
    /// mark like a missing record, except that it must not make the record again.
    Forget,
}

impl<R> Change<R> {
    /// Converts the record.
    pub fn map<S>(self, wrap: impl FnOnce(R) -> S) -> Change<S> {
        match self {
            Change::Keep => Change::Keep,
            Change::Put(record) => Change::Put(wrap(record)),
            Change::Forget => Change::Forget,
        }
    }
}

/// The only kind of a transition, for composing it with others.
///
/// # Panics
/// If there is not exactly one. Kinds are constants, so this fails at compile time.
pub const fn only(kinds: &[KindInfo]) -> KindInfo {
    assert!(kinds.len() == 1, "kinds are composed of transitions with one kind each");
    kinds[0]
}

/// One of several servers on a shared store, and the number that it gave to one of its transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Random, and different for each process.
    pub server: u64,
    /// Counts up from one.
    pub serial: u64,
}

/// What to assume about the delivery of a record's last response, if only its writer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// The response was sent.
    Sent,
    /// The response was not sent.
    Failed,
}

/// A record of any kind.
pub trait Record: Clone + Send + Sized + 'static {
    /// When it expires and may be forgotten.
    fn expires(&self) -> Timestamp;

    /// Who holds it. This never changes.
    fn holder(&self) -> Holder<'_>;

    /// Its stage.
    fn stage(&self) -> Stage;

    /// The time until which its form could be sent again, so that a mark must remain; a time in the past if none must.
    fn kept_until(&self) -> Timestamp;

    /// Its replacement if it is evicted at `now` for another record of its holder: nothing, or a mark.
    fn make_room(&self, now: Timestamp) -> Change<Self>;

    /// Its mark, which is kept until `kept_until` and at least as long as the record itself.
    fn mark(&self, kept_until: Timestamp) -> Self;

    /// Its bytes, for the stores that outlive the process. They contain no secret.
    fn encode(&self) -> Vec<u8>;

    /// Decodes a record of this kind; `None` if the bytes are malformed. They may be damaged or written by others.
    fn decode(kind: Kind, bytes: &[u8]) -> Option<Self>;

    /// When it reached its stage, if the record says. Only needed for files from before stores kept that time.
    fn reached(&self) -> Option<Timestamp> {
        None
    }

    /// The time that orders it among its holder's records of the same stage, if it reaches that stage at `now`. The
    /// first is evicted first; for marks, that of the form that expires first.
    fn ordered_by(&self, now: Timestamp) -> Timestamp {
        match self.stage() {
            Stage::Code | Stage::Live => now,
            Stage::Mark => self.kept_until(),
        }
    }
}

/// A request's effect on one record, as data: it can be queued, batched, and applied again after a lost race. It
/// contains digests and never a secret.
pub trait Transition: Clone + Send + Sized + 'static {
    /// The type of record.
    type Record: Record;
    /// The type of outcome.
    type Outcome: Clone + Send + 'static;

    /// All kinds that it may concern. A kind's number is its index here.
    const KINDS: &'static [KindInfo];

    /// The key of the record that it concerns.
    fn key(&self) -> Key;

    /// The outcome of a read-only transition; `None` for the others.
    fn look(&self, record: Option<&Self::Record>, now: Timestamp) -> Option<Self::Outcome>;

    /// The change of `record`, if it exists, at `now`, and the outcome for the caller. Pure. A store applies it
    /// atomically: no other transition of the same record comes between reading and changing it. `belief` is what to
    /// assume about the delivery of the last response, if only its writer knows.
    fn apply_believing(
        &self,
        record: Option<&Self::Record>,
        now: Timestamp,
        belief: Belief,
    ) -> (Change<Self::Record>, Self::Outcome);

    /// Whether it never changes the record.
    fn is_read_only(&self) -> bool;

    /// The holder and stage of the record that it makes if there is none; `None` if it makes none.
    fn new_record(&self) -> Option<(Holder<'_>, Stage)>;

    /// The outcome if the record may have been made before, and its mark may have been evicted.
    fn taken(&self) -> Self::Outcome;

    /// Whether `outcome`, which changed nothing, reports a state that another server may have stored a moment ago. If
    /// responses must wait for durable writes, that write may not be durable yet, so the store writes the record again
    /// first.
    fn restates(&self, outcome: &Self::Outcome) -> bool;

    /// Whether it issues tokens for a credential that may be presented again. The record must then note whether the
    /// response reached the client.
    fn delivers(&self) -> bool {
        false
    }

    /// The withdrawal of a transition that [delivers](Transition::delivers): it notes that the response did not reach
    /// the client. A withdrawal returns itself; all others return `None`. A store applies it before any later
    /// transition of the record.
    fn withdrawal(&self) -> Option<Self> {
        None
    }

    /// Whether it is a [`Transition::withdrawal`].
    fn is_withdrawal(&self) -> bool {
        false
    }

    /// For a withdrawal of a write that `record` does not have: the same record with other bytes, so that the write
    /// does not fit any more if it arrives late. `None` if it could not fit anyway, or could do no harm.
    fn forestalled(&self, _record: &Self::Record) -> Option<Self::Record> {
        None
    }

    /// Sets the server that will know whether the response reached the client, if several share a store.
    fn set_writer(&mut self, _writer: Writer) {}

    /// The writer of the record's last response, if the outcome depends on whether that response reached the client. A
    /// store must ask the writer first.
    fn doubt(&self, _record: Option<&Self::Record>, _now: Timestamp) -> Option<Writer> {
        None
    }

    /// Applies it under the assumption that the last response reached the client, unless the record says otherwise.
    fn apply(&self, record: Option<&Self::Record>, now: Timestamp) -> (Change<Self::Record>, Self::Outcome) {
        self.apply_believing(record, now, Belief::Sent)
    }

    /// Applies it if the last response is known not to have reached the client.
    fn apply_after_failure(
        &self,
        record: Option<&Self::Record>,
        now: Timestamp,
    ) -> (Change<Self::Record>, Self::Outcome) {
        self.apply_believing(record, now, Belief::Failed)
    }

    /// Whether it may make a record.
    fn is_new(&self) -> bool {
        self.new_record().is_some()
    }
}
