//! The contract between the rules and the stores: what a kind of record is.
//!
//! A store keeps records by [`Key`] and applies a [`Transition`] to one of them. It does not know what either means.
//! What it must know is asked through the two traits here: when a record expires, who holds it and what it counts as,
//! so that the store can bound how much one holder keeps; its bytes; and, for a transition that hands something out,
//! what undoes it when its answer does not reach the client.
//!
//! A kind is one file or folder of rules. Its transition implements [`Transition`] with that one kind; `kinds!`
//! composes several into one ([`kinds`](super::kinds)).
//!
//! Every kind moves through the same stages, in their order or leaving some out, and never back:
//!
//! ```text
//!   (nothing) ──▶ code ──▶ live ──▶ mark ──▶ (forgotten)
//! ```

use super::key::{Key, Kind};
use super::timestamp::Timestamp;

/// What a store needs to know about a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// What its keys and tables are called: lower-case letters. No two kinds share a name, which never changes.
    pub name: &'static str,
    /// Whether a transition may be applied twice: what it presents is spent the first time, and no two write the same
    /// bytes, since each writes digests of fresh secrets. A store that lost the answer to a write then applies it
    /// again. For other kinds it numbers its writes, and answers that it is unavailable where another write came after
    /// the lost one, so that it is unknown whether that was made.
    pub is_repeatable: bool,
}

/// Who holds a record: a store bounds how many records of a kind one holder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The client; empty for a kind that belongs to no client.
    pub client: &'a str,
    /// The subject; `None` where there is none.
    pub subject: Option<&'a str>,
}

/// What a record counts as. A holder's records of each stage are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It waits to be taken up: a code that has not been redeemed.
    Code = 0,
    /// It is in use.
    Live = 1,
    /// Only the mark is left that there was one, so that it cannot be made again.
    Mark = 2,
}

impl Stage {
    /// How many there are.
    pub const COUNT: usize = 3;
}

/// What a store does with the record.
#[derive(Clone, Debug)]
pub enum Change<R> {
    /// Leave it as it is, or absent.
    Keep,
    /// Put this in its place.
    Put(R),
    /// Remove it. A store may keep its [mark](Record::mark) for a while instead, so a transition that finds a mark does
    /// as one that finds nothing, but that it may not make the record again.
    Forget,
}

impl<R> Change<R> {
    /// The same of another type of record.
    pub fn map<S>(self, wrap: impl FnOnce(R) -> S) -> Change<S> {
        match self {
            Change::Keep => Change::Keep,
            Change::Put(record) => Change::Put(wrap(record)),
            Change::Forget => Change::Forget,
        }
    }
}

/// The one kind of a transition that is to be composed with others.
///
/// # Panics
/// Unless there is one. Kinds are constants, so this fails when the program is compiled.
pub const fn only(kinds: &[KindInfo]) -> KindInfo {
    assert!(kinds.len() == 1, "kinds are composed of transitions with one kind each");
    kinds[0]
}

/// A server on a store that several share, and the number that it gave to one of its transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Random, and different for each process.
    pub server: u64,
    /// Counts up from one.
    pub serial: u64,
}

/// What to assume of the last answer of a record where only its writer knows whether it reached the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// It did.
    Sent,
    /// It did not.
    Failed,
}

/// One record, of whichever kind.
pub trait Record: Clone + Send + Sized + 'static {
    /// The moment from which it is of no use and may be forgotten.
    fn expires(&self) -> Timestamp;

    /// Who holds it. This never changes.
    fn holder(&self) -> Holder<'_>;

    /// What it counts as.
    fn stage(&self) -> Stage;

    /// Until when what made it may be presented again, so that a mark must remain; the past where nothing must.
    fn kept_until(&self) -> Timestamp;

    /// What is left of it at `now` when it makes room for another one of its holder: nothing, or a mark.
    fn make_room(&self, now: Timestamp) -> Change<Self>;

    /// The mark that there was this record, kept at least as long as the record itself, and until `kept_until`.
    fn mark(&self, kept_until: Timestamp) -> Self;

    /// Its bytes, for the stores that outlive the process. They hold no secret.
    fn encode(&self) -> Vec<u8>;

    /// Reads what [`Record::encode`] wrote of a record of this kind; `None` for anything else. The bytes may
    /// have been damaged, or written by others.
    fn decode(kind: Kind, bytes: &[u8]) -> Option<Self>;

    /// When it reached its stage, as far as the record says: only needed for files that were written before stores
    /// kept that moment.
    fn reached(&self) -> Option<Timestamp> {
        None
    }

    /// The moment that orders it among its holder's records of the same stage, if it reaches that stage at `now`. The
    /// first makes room first: of marks, that of the form that is invalid soonest.
    fn ordered_by(&self, now: Timestamp) -> Timestamp {
        match self.stage() {
            Stage::Code | Stage::Live => now,
            Stage::Mark => self.kept_until(),
        }
    }
}

/// What a request does to one record, as data: queued, batched, and applied again after a lost race. It holds digests
/// and never a secret.
pub trait Transition: Clone + Send + Sized + 'static {
    /// What it is applied to.
    type Record: Record;
    /// What it comes to.
    type Outcome: Clone + Send + 'static;

    /// All kinds that it may concern. A kind's number is its place here.
    const KINDS: &'static [KindInfo];

    /// The one record that it concerns.
    fn key(&self) -> Key;

    /// What it comes to, if it changes nothing whatever the record is; the others are applied.
    fn look(&self, record: Option<&Self::Record>, now: Timestamp) -> Option<Self::Outcome>;

    /// What becomes of `record`, the one with that key if there is one, at the moment `now`; and what to tell the
    /// caller. It is pure, and a store applies it atomically: no other transition of the same record comes between
    /// reading the record and changing it. `belief` is what to assume of an answer that only its writer knows of.
    fn apply_believing(
        &self,
        record: Option<&Self::Record>,
        now: Timestamp,
        belief: Belief,
    ) -> (Change<Self::Record>, Self::Outcome);

    /// Whether it never changes the record.
    fn is_read_only(&self) -> bool;

    /// Who will hold the record that it makes where there is none, and what that will count as; `None` where it makes
    /// none.
    fn new_record(&self) -> Option<(Holder<'_>, Stage)>;

    /// The outcome where the record may have been made before, and its mark may have made room since.
    fn taken(&self) -> Self::Outcome;

    /// Whether `outcome`, which changed nothing, reports a state that another server may have stored a moment ago.
    /// Where answers wait for the write to be durable, that write may not be, so the store writes the record again
    /// first.
    fn restates(&self, outcome: &Self::Outcome) -> bool;

    /// Whether it hands out something in exchange for a proof that may be presented again: then the record must note
    /// whether the answer reached the client.
    fn delivers(&self) -> bool {
        false
    }

    /// What notes that the answer of one that [delivers](Transition::delivers) did not reach its client, and for a
    /// withdrawal the same again; `None` for all others. It is applied before anything else that comes for its record.
    fn withdrawal(&self) -> Option<Self> {
        None
    }

    /// Whether it is a [`Transition::withdrawal`].
    fn is_withdrawal(&self) -> bool {
        false
    }

    /// Names the server that will know whether the answer reached the client, where several share a store.
    fn set_writer(&mut self, _writer: Writer) {}

    /// Whom to ask before the transition is applied: the writer of the record's last answer, where the result depends
    /// on whether that answer reached the client.
    fn doubt(&self, _record: Option<&Self::Record>, _now: Timestamp) -> Option<Writer> {
        None
    }

    /// Applies it where every answer is assumed to have reached its client unless the record says otherwise.
    fn apply(&self, record: Option<&Self::Record>, now: Timestamp) -> (Change<Self::Record>, Self::Outcome) {
        self.apply_believing(record, now, Belief::Sent)
    }

    /// Applies it where the last answer is known not to have reached the client.
    fn apply_after_failure(
        &self,
        record: Option<&Self::Record>,
        now: Timestamp,
    ) -> (Change<Self::Record>, Self::Outcome) {
        self.apply_believing(record, now, Belief::Failed)
    }

    /// Whether it may make a record where there is none.
    fn is_new(&self) -> bool {
        self.new_record().is_some()
    }
}
