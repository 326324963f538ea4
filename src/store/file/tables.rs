//! The tables in the file, and a batch of transitions applied to them in one write transaction.
//!
//! ```text
//!   records   identifier                       ──▶  its time in the table of pairs, and the encoded record
//!   expiries  (time, identifier)               ──▶  nothing; the first entries are those that expire next
//!   pairs     (pair, stage, time, identifier)  ──▶  the time of its entry in the table of expiries
//!   about     "format", "sealing key"          ──▶  bytes
//! ```
//!
//! Each kind of record has its own first three tables (`format.rs` names them), so a flood of one kind takes no room
//! from another.
//!
//! Every record has exactly one entry in expiries and one in pairs. Both are rewritten when its stage changes. If only
//! its expiry moves (a rotation), its entry is re-queued when its old time comes up, so a rotation costs no second
//! write. Each batch that changes a record of a kind also removes expired ones of that kind.

use std::time::Duration;

use redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, Table, TableError, WriteTransaction,
};

use super::super::queue::Job;
use super::super::{Applied, Bounds, KindBounds, StoreError};
use super::format::{Names, Stored, note_kinds};
use super::pairs::{Counts, Name, PairName, Pairs, Row};
use crate::oauth::key::KINDS_MAX;
use crate::oauth::kind::{Change, Record, Stage, Transition};
use crate::oauth::{Key, Kind, Timestamp};

/// The counts of the pairs of each kind.
pub(super) type AllCounts = [Counts; KINDS_MAX];

/// Maximum records of its own pair that one transition ends. One is enough to keep the limit; a pair that exceeds it,
/// because the limit was lowered, approaches it step by step.
const SHED_PER_TRANSITION: usize = 8;

/// Expired entries that a batch inspects, in addition to two per job.
const FORGET_PER_BATCH: usize = 64;

/// The numbers of all kinds of `T`.
fn kinds<T: Transition>() -> impl Iterator<Item = Kind> {
    (0..T::KINDS.len()).map(Kind::new)
}

/// A kind's records; `None` if the file has no table for the kind yet.
fn open_records<T: Transition>(
    transaction: &ReadTransaction,
    kind: Kind,
) -> Result<Option<ReadOnlyTable<&'static Name, &'static [u8]>>, redb::Error> {
    match transaction.open_table(Names::of::<T>(kind).records()) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The number of records of all kinds.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn count<T: Transition>(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    let mut count = 0;
    for kind in kinds::<T>() {
        count += open_records::<T>(&transaction, kind)?.map_or(Ok(0), |records| records.len())?;
    }
    Ok(count)
}

/// The outcomes of the transitions of `jobs`, which are read-only.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn look<T: Transition>(
    database: &Database,
    jobs: &[Job<T>],
) -> Result<Vec<Applied<T>>, redb::Error> {
    let transaction = database.begin_read()?;
    let mut tables = Vec::with_capacity(T::KINDS.len());
    for kind in kinds::<T>() {
        tables.push(if concerns(jobs, kind) { open_records::<T>(&transaction, kind)? } else { None });
    }
    let look = |job: &Job<T>| -> Result<Applied<T>, redb::Error> {
        let Key { kind, id } = job.transition.key();
        let bytes = tables[kind.index()].as_ref().map(|records| records.get(id.as_bytes())).transpose()?;
        let Some(bytes) = bytes.flatten() else { return Ok(Ok(job.apply(None).1)) };
        Ok(match Stored::decode(kind, bytes.value()) {
            Some(stored) => Ok(job.apply(Some(&stored.record)).1),
            None => Err(StoreError::Damaged),
        })
    };
    jobs.iter().map(look).collect()
}

fn concerns<T: Transition>(jobs: &[Job<T>], kind: Kind) -> bool {
    jobs.iter().any(|job| job.transition.key().kind == kind)
}

/// Applies the transitions of `jobs` in order and commits them together. Returns their outcomes and the number of
/// changed records. `counts` are the counts of this file's pairs, and are updated.
///
/// # Errors
/// If the file cannot be read or written. Then nothing is stored, or, if the commit itself failed, perhaps all of it.
pub(super) fn apply<T: Transition>(
    database: &Database,
    jobs: &[Job<T>],
    bounds: &Bounds,
    counts: &mut AllCounts,
    durability: Durability,
) -> Result<(Vec<Applied<T>>, usize), redb::Error> {
    let mut transaction = database.begin_write()?;
    // Fails only if there is a savepoint.
    transaction.set_durability(durability)?;
    let (applied, changes) = {
        let mut tables = AllTables::open(&transaction, jobs, bounds, counts)?;
        tables.forget_expired::<T>(jobs)?;
        let mut applied = Vec::with_capacity(jobs.len());
        for job in jobs {
            applied.push(tables.apply(job)?);
        }
        (applied, tables.changes())
    };
    match changes {
        // Nothing to make durable.
        0 => transaction.abort()?,
        _ => transaction.commit()?,
    }
    Ok((applied, changes))
}

/// Makes earlier commits that did not wait for the disk durable.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn make_safe(database: &Database) -> Result<(), redb::Error> {
    Ok(database.begin_write()?.commit()?)
}

/// The tables of the kinds that a batch concerns, by kind.
struct AllTables<'t, 'c>(Vec<Option<Tables<'t, 'c>>>);

impl<'t, 'c> AllTables<'t, 'c> {
    fn open<T: Transition>(
        transaction: &'t WriteTransaction,
        jobs: &[Job<T>],
        bounds: &Bounds,
        counts: &'c mut AllCounts,
    ) -> Result<AllTables<'t, 'c>, redb::Error> {
        let mut all = Vec::with_capacity(T::KINDS.len());
        for (kind, counts) in kinds::<T>().zip(counts) {
            all.push(if concerns(jobs, kind) {
                Some(Tables::open::<T>(transaction, kind, bounds.of(kind), counts)?)
            } else {
                None
            });
        }
        if all.iter().skip(1).any(Option::is_some) {
            note_kinds(transaction)?;
        }
        Ok(AllTables(all))
    }

    fn forget_expired<T: Transition>(&mut self, jobs: &[Job<T>]) -> Result<(), redb::Error> {
        let Some(now) = jobs.iter().map(|job| job.now).max() else { return Ok(()) };
        for tables in self.0.iter_mut().flatten() {
            tables.forget_expired::<T::Record>(now, FORGET_PER_BATCH + 2 * jobs.len())?;
        }
        Ok(())
    }

    fn apply<T: Transition>(&mut self, job: &Job<T>) -> Result<Applied<T>, redb::Error> {
        match self.0.get_mut(job.transition.key().kind.index()) {
            Some(Some(tables)) => tables.apply(job),
            // A kind that this program does not have.
            _ => Ok(Err(StoreError::Damaged)),
        }
    }

    fn changes(&self) -> usize {
        self.0.iter().flatten().map(|tables| tables.changes).sum()
    }
}

/// The tables of one kind.
struct Tables<'t, 'c> {
    kind: Kind,
    bounds: KindBounds,
    records: Table<'t, &'static Name, &'static [u8]>,
    expiries: Table<'t, (u64, &'static Name), ()>,
    pairs: Pairs<'t, 'c>,
    changes: usize,
}

impl<'t, 'c> Tables<'t, 'c> {
    fn open<T: Transition>(
        transaction: &'t WriteTransaction,
        kind: Kind,
        bounds: KindBounds,
        counts: &'c mut Counts,
    ) -> Result<Tables<'t, 'c>, redb::Error> {
        counts.trim();
        let names = Names::of::<T>(kind);
        let (records, expiries) =
            (transaction.open_table(names.records())?, transaction.open_table(names.expiries())?);
        let pairs = Pairs { rows: transaction.open_table(names.pairs())?, counts };
        Ok(Tables { kind, bounds, records, expiries, pairs, changes: 0 })
    }

    fn apply<T: Transition>(&mut self, job: &Job<T>) -> Result<Applied<T>, redb::Error> {
        let now = job.now;
        let name = *job.transition.key().id.as_bytes();
        let bytes = self.records.get(&name)?.map(|bytes| Stored::decode(self.kind, bytes.value()));
        let stored: Option<Stored<T::Record>> = match bytes {
            Some(None) => return Ok(Err(StoreError::Damaged)),
            found => found.flatten(),
        };
        let (change, outcome) = job.apply(stored.as_ref().map(|stored| &stored.record));
        match (change, stored) {
            (Change::Keep, _) | (Change::Forget, None) => return Ok(Ok(outcome)),
            (Change::Forget, Some(stored)) => self.remove(&stored.row(&name))?,
            (Change::Put(record), Some(stored)) => self.replace(&name, stored, record, now)?,
            (Change::Put(record), None) => {
                let stored = self.place(record, now)?;
                let row = stored.row(&name);
                if let Some(refusal) = self.refuse_new(job, &row, &stored.record)? {
                    return Ok(refusal);
                }
                self.enter(&row, &stored)?;
                self.shed::<T::Record>(row.pair, row.stage, self.bounds.holder_max, now)?;
            }
        }
        self.changes += 1;
        Ok(Ok(outcome))
    }

    /// Why a new record cannot be made: the store is full, or its form may have been answered. A mark is evicted only
    /// if the pair keeps its limit of younger marks. So at that limit, all forms as old as the oldest remaining mark
    /// count as answered.
    fn refuse_new<T: Transition>(
        &mut self,
        job: &Job<T>,
        row: &Row,
        record: &T::Record,
    ) -> Result<Option<Applied<T>>, redb::Error> {
        let now = job.now;
        let pair_max = self.bounds.holder_max;
        if record.kept_until() > now && self.pairs.count(row.pair, Stage::Mark)? >= pair_max {
            let oldest = self.pairs.oldest(row.pair, Stage::Mark)?;
            if oldest.is_some_and(|oldest| record.kept_until().as_milliseconds() <= oldest.ordered_by) {
                return Ok(Some(Ok(job.transition.taken())));
            }
        }
        if !self.is_full()? {
            return Ok(None);
        }
        if self.makes_room::<T::Record>(row.pair, row.stage, now)? {
            self.shed::<T::Record>(row.pair, row.stage, pair_max.saturating_sub(1), now)?;
        }
        if !self.is_full()? {
            return Ok(None);
        }
        let wait = self
            .first_expiry()?
            .map_or(Duration::ZERO, |(due, _)| Timestamp::from_milliseconds(due).since(now));
        Ok(Some(Err(StoreError::Full { wait })))
    }

    /// Whether ending the oldest record of a pair's stage makes room: it leaves no mark, or its mark displaces an older
    /// one.
    fn makes_room<R: Record>(
        &mut self,
        pair: PairName,
        stage: Stage,
        now: Timestamp,
    ) -> Result<bool, redb::Error> {
        if self.pairs.count(pair, Stage::Mark)? >= self.bounds.holder_max {
            return Ok(true);
        }
        let Some(row) = self.pairs.oldest(pair, stage)? else { return Ok(false) };
        let found =
            self.records.get(&row.name)?.and_then(|bytes| Stored::<R>::decode(self.kind, bytes.value()));
        // One that cannot be read leaves nothing either.
        Ok(found.is_none_or(|stored| !matches!(stored.record.make_room(now), Change::Put(_))))
    }

    /// Determines the order of a record, which reaches its stage at `now`, among those of its pair.
    fn place<R: Record>(&self, record: R, now: Timestamp) -> Result<Stored<R>, redb::Error> {
        let (moment, stage) = (record.ordered_by(now), record.stage());
        let ordered_by = match stage {
            Stage::Mark => moment.as_milliseconds(),
            Stage::Code | Stage::Live => {
                self.pairs.moment_after_all(PairName::of(record.holder()), stage, moment)?
            }
        };
        Ok(Stored { ordered_by, record })
    }

    fn is_full(&self) -> Result<bool, redb::Error> {
        Ok(self.records.len()? >= self.bounds.records_max as u64)
    }

    fn enter<R: Record>(&mut self, row: &Row, stored: &Stored<R>) -> Result<(), redb::Error> {
        let due = stored.record.expires().as_milliseconds();
        self.pairs.enter(row, due)?;
        self.expiries.insert((due, &row.name), ())?;
        self.records.insert(&row.name, &stored.encode()[..])?;
        Ok(())
    }

    /// Removes a record's entries in pairs and expiries.
    fn leave(&mut self, row: &Row) -> Result<(), redb::Error> {
        if let Some(due) = self.pairs.leave(row)? {
            self.expiries.remove((due, &row.name))?;
        }
        Ok(())
    }

    fn remove(&mut self, row: &Row) -> Result<(), redb::Error> {
        self.leave(row)?;
        self.records.remove(&row.name)?;
        Ok(())
    }

    fn replace<R: Record>(
        &mut self,
        name: &Name,
        before: Stored<R>,
        record: R,
        now: Timestamp,
    ) -> Result<(), redb::Error> {
        if before.record.stage() == record.stage() {
            let stored = Stored { ordered_by: before.ordered_by, record };
            self.records.insert(name, &stored.encode()[..])?;
            return Ok(());
        }
        self.leave(&before.row(name))?;
        let stored = self.place(record, now)?;
        let row = stored.row(name);
        self.enter(&row, &stored)?;
        self.shed::<R>(row.pair, row.stage, self.bounds.holder_max, now)
    }

    /// Ends the oldest records of a pair's stage until at most `kept` remain.
    fn shed<R: Record>(
        &mut self,
        pair: PairName,
        stage: Stage,
        kept: usize,
        now: Timestamp,
    ) -> Result<(), redb::Error> {
        for _ in 0..SHED_PER_TRANSITION {
            if self.pairs.count(pair, stage)? <= kept {
                break;
            }
            let Some(row) = self.pairs.oldest(pair, stage)? else { break };
            self.end::<R>(&row, now)?;
            self.changes += 1;
        }
        Ok(())
    }

    /// Ends the record of `row`. Leaves its mark if its form could still be sent.
    fn end<R: Record>(&mut self, row: &Row, now: Timestamp) -> Result<(), redb::Error> {
        let found = self.records.get(&row.name)?.map(|bytes| Stored::<R>::decode(self.kind, bytes.value()));
        self.leave(row)?;
        match found {
            Some(Some(stored)) if stored.row(&row.name) == *row => match stored.record.make_room(now) {
                Change::Put(mark) => {
                    let stored = self.place(mark, now)?;
                    self.enter(&stored.row(&row.name), &stored)?;
                    self.shed::<R>(row.pair, Stage::Mark, self.bounds.holder_max, now)?;
                }
                Change::Forget | Change::Keep => drop(self.records.remove(&row.name)?),
            },
            // The record is missing or cannot be read. Its row is removed together with its entry in expiries, so the
            // record must be removed too.
            Some(None) => drop(self.records.remove(&row.name)?),
            Some(Some(_)) | None => {}
        }
        Ok(())
    }

    /// Removes records that have expired by `now`; inspects at most `entries` entries.
    fn forget_expired<R: Record>(&mut self, now: Timestamp, entries: usize) -> Result<(), redb::Error> {
        for _ in 0..entries {
            let Some((due, name)) = self.first_expiry()? else { break };
            if due > now.as_milliseconds() {
                break;
            }
            self.expiries.remove((due, &name))?;
            let stored =
                self.records.get(&name)?.and_then(|bytes| Stored::<R>::decode(self.kind, bytes.value()));
            let row = stored.as_ref().map(|stored| stored.row(&name));
            match (stored.map(|stored| stored.record.expires()).filter(|expires| *expires > now), row) {
                (Some(later), Some(row)) => {
                    let later = later.as_milliseconds();
                    self.expiries.insert((later, &name), ())?;
                    self.pairs.enter_again(&row, later)?;
                }
                (_, row) => {
                    self.records.remove(&name)?;
                    if let Some(row) = row {
                        self.pairs.leave(&row)?;
                    }
                }
            }
            self.changes += 1;
        }
        Ok(())
    }

    fn first_expiry(&self) -> Result<Option<(u64, Name)>, redb::Error> {
        Ok(self.expiries.first()?.map(|(key, _)| {
            let (due, name) = key.value();
            (due, *name)
        }))
    }
}
