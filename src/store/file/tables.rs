//! The tables in the file, and a batch of transitions applied to them in one write transaction.
//!
//! ```text
//!   records   name of the grant            ──▶  its moment among its pair's, and the grant, as record.rs writes it
//!   expiries  (moment, name)               ──▶  nothing; so the first entries are those that expire next
//!   pairs     (pair, stage, moment, name)  ──▶  the moment of its entry among the expiries
//!   about     "format", "sealing key"      ──▶  bytes
//! ```
//!
//! Every grant has exactly one entry among the expiries, and one among its pair's. When a code is redeemed both are
//! made again. A grant that a rotation lets live longer finds that out when its time comes; so a rotation costs no
//! second write.

use std::time::Duration;

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};

use super::super::queue::Job;
use super::super::{Applied, Bounds, StoreError};
use super::pairs::{Counts, PAIRS, PairName, Pairs, Row};
use crate::oauth::kind::{Record, Transition as _};
use crate::oauth::{Change, Grant, Stage, Timestamp};

pub(super) type Name = [u8; 20];

const RECORDS: TableDefinition<&Name, &[u8]> = TableDefinition::new("records");
const EXPIRIES: TableDefinition<(u64, &Name), ()> = TableDefinition::new("expiries");
const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");

/// The number of this arrangement of tables.
const FORMAT: u64 = 2;

/// The arrangement before it, which had no pairs: `grants` had the records, without their moments.
const FORMAT_WITHOUT_PAIRS: u64 = 1;
const GRANTS_WITHOUT_PAIRS: TableDefinition<&Name, &[u8]> = TableDefinition::new("grants");

/// How many records of its own pair one transition ends at most. One is enough where the bound holds; a pair that has
/// many more, because the bound was lowered, comes to it little by little.
const SHED_PER_TRANSITION: usize = 8;

/// How many expired entries a batch looks at, beside two for each of its jobs.
const FORGET_PER_BATCH: usize = 64;

/// What is wrong with a file that opens.
pub(super) enum Foreign {
    /// The database itself says so.
    Database(redb::Error),
    /// Its tables are arranged in another way, with this number.
    Format(u64),
    /// It is somebody else's.
    Unknown,
}

impl<E: Into<redb::Error>> From<E> for Foreign {
    fn from(error: E) -> Foreign {
        Foreign::Database(error.into())
    }
}

/// Makes the tables, if they are not there, or rearranges those of an older format; and gives the sealing key that the
/// file has, or `fresh_key`, which it then has.
///
/// # Errors
/// When the file is not one of these, or cannot be read or written.
pub(super) fn prepare(database: &Database, fresh_key: [u8; 32]) -> Result<[u8; 32], Foreign> {
    let transaction = database.begin_write()?;
    let is_new = transaction.list_tables()?.next().is_none();
    let key = {
        let mut about = transaction.open_table(ABOUT)?;
        if is_new {
            about.insert("format", &FORMAT.to_be_bytes()[..])?;
            about.insert("sealing key", &fresh_key[..])?;
        }
        let format = about.get("format")?.and_then(|found| found.value().try_into().ok());
        match format.map(u64::from_be_bytes) {
            Some(FORMAT) => {}
            Some(FORMAT_WITHOUT_PAIRS) => {
                add_pairs(&transaction)?;
                about.insert("format", &FORMAT.to_be_bytes()[..])?;
            }
            Some(other) => return Err(Foreign::Format(other)),
            None => return Err(Foreign::Unknown),
        }
        let key = about.get("sealing key")?.and_then(|found| found.value().try_into().ok());
        key.ok_or(Foreign::Unknown)?
    };
    transaction.open_table(RECORDS)?;
    transaction.open_table(EXPIRIES)?;
    transaction.open_table(PAIRS)?;
    transaction.commit()?;
    Ok(key)
}

/// Brings a file of the format before this one into this one. What it cannot read stays unreadable, and goes when it
/// expires.
fn add_pairs(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    {
        let old = transaction.open_table(GRANTS_WITHOUT_PAIRS)?;
        let expiries = transaction.open_table(EXPIRIES)?;
        let mut records = transaction.open_table(RECORDS)?;
        let mut counts = Counts::default();
        let mut pairs = Pairs { rows: transaction.open_table(PAIRS)?, counts: &mut counts };
        for entry in expiries.iter()? {
            let (entry, _) = entry?;
            let (due, name) = entry.value();
            let Some(bytes) = old.get(name)? else { continue };
            let grant = Grant::decode(bytes.value()).ok();
            // When it was redeemed is not in the file; the earliest token that there still is comes near.
            let earliest = grant.as_ref().and_then(Record::reached);
            let moment = earliest.unwrap_or(Timestamp::from_milliseconds(0)).as_milliseconds();
            if let Some(grant) = grant {
                let ordered_by = match grant.stage() {
                    Stage::Mark => grant.kept_until().as_milliseconds(),
                    Stage::Code | Stage::Live => moment,
                };
                let stored = Stored { ordered_by, grant };
                pairs.enter(&stored.row(name), due)?;
                records.insert(name, &stored.encode()[..])?;
            } else {
                records.insert(name, &[&moment.to_be_bytes()[..], bytes.value()].concat()[..])?;
            }
            pairs.counts.trim();
        }
    }
    transaction.delete_table(GRANTS_WITHOUT_PAIRS)?;
    Ok(())
}

/// A record and its moment among those of its pair.
struct Stored {
    ordered_by: u64,
    grant: Grant,
}

impl Stored {
    /// `None` for what cannot be read.
    fn decode(bytes: &[u8]) -> Option<Stored> {
        let (moment, record) = bytes.split_first_chunk()?;
        Some(Stored { ordered_by: u64::from_be_bytes(*moment), grant: Grant::decode(record).ok()? })
    }

    fn encode(&self) -> Vec<u8> {
        [&self.ordered_by.to_be_bytes()[..], &self.grant.encode()].concat()
    }

    fn row(&self, name: &Name) -> Row {
        let (pair, stage) = (PairName::of(self.grant.holder()), self.grant.stage());
        Row { pair, stage, ordered_by: self.ordered_by, name: *name }
    }
}

/// How many grants there are.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn count(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    Ok(transaction.open_table(RECORDS)?.len()?)
}

/// What the transitions of `jobs`, which change nothing, come to.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn look(database: &Database, jobs: &[Job]) -> Result<Vec<Applied>, redb::Error> {
    let transaction = database.begin_read()?;
    let records = transaction.open_table(RECORDS)?;
    let look = |job: &Job| -> Result<Applied, redb::Error> {
        let id = job.transition.key().id;
        let Some(bytes) = records.get(id.as_bytes())? else { return Ok(Ok(job.apply(None).1)) };
        Ok(match Stored::decode(bytes.value()) {
            Some(stored) => Ok(job.apply(Some(&stored.grant)).1),
            None => Err(StoreError::Damaged),
        })
    };
    jobs.iter().map(look).collect()
}

/// Applies the transitions of `jobs`, one after the other, and commits them together; gives what they came to, and
/// how many records were changed. `counts` are what is known of this file's pairs, and then of the file as it is
/// changed.
///
/// # Errors
/// When the file cannot be read or written: then nothing of it is stored (or, where the commit itself failed,
/// all of it, perhaps).
pub(super) fn apply(
    database: &Database,
    jobs: &[Job],
    bounds: &Bounds,
    counts: &mut Counts,
    durability: Durability,
) -> Result<(Vec<Applied>, usize), redb::Error> {
    let mut transaction = database.begin_write()?;
    // It fails only where a savepoint was made.
    transaction.set_durability(durability)?;
    let (applied, changes) = {
        let mut tables = Tables::new(&transaction, bounds, counts)?;
        if let Some(now) = jobs.iter().map(|job| job.now).max() {
            tables.forget_expired(now, FORGET_PER_BATCH + 2 * jobs.len())?;
        }
        let mut applied = Vec::with_capacity(jobs.len());
        for job in jobs {
            applied.push(tables.apply(job)?);
        }
        (applied, tables.changes)
    };
    match changes {
        // There is nothing to wait for.
        0 => transaction.abort()?,
        _ => transaction.commit()?,
    }
    Ok((applied, changes))
}

/// Makes what was committed without waiting for the disk safe.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn make_safe(database: &Database) -> Result<(), redb::Error> {
    Ok(database.begin_write()?.commit()?)
}

/// One write transaction's tables.
struct Tables<'t, 'c> {
    records: Table<'t, &'static Name, &'static [u8]>,
    expiries: Table<'t, (u64, &'static Name), ()>,
    pairs: Pairs<'t, 'c>,
    bounds: &'c Bounds,
    changes: usize,
}

impl<'t, 'c> Tables<'t, 'c> {
    fn new(
        transaction: &'t WriteTransaction,
        bounds: &'c Bounds,
        counts: &'c mut Counts,
    ) -> Result<Tables<'t, 'c>, redb::Error> {
        counts.trim();
        let (records, expiries) = (transaction.open_table(RECORDS)?, transaction.open_table(EXPIRIES)?);
        let pairs = Pairs { rows: transaction.open_table(PAIRS)?, counts };
        Ok(Tables { records, expiries, pairs, bounds, changes: 0 })
    }

    fn apply(&mut self, job: &Job) -> Result<Applied, redb::Error> {
        let now = job.now;
        let name = *job.transition.key().id.as_bytes();
        let bytes = self.records.get(&name)?.map(|bytes| Stored::decode(bytes.value()));
        let stored = match bytes {
            Some(None) => return Ok(Err(StoreError::Damaged)),
            found => found.flatten(),
        };
        let (change, outcome) = job.apply(stored.as_ref().map(|stored| &stored.grant));
        match (change, stored) {
            (Change::Keep, _) | (Change::Forget, None) => return Ok(Ok(outcome)),
            (Change::Forget, Some(stored)) => self.remove(&stored.row(&name))?,
            (Change::Put(grant), Some(stored)) => self.replace(&name, stored, grant, now)?,
            (Change::Put(grant), None) => {
                let stored = self.place(grant, now)?;
                let row = stored.row(&name);
                if let Some(refusal) = self.refuse_new(job, &row, &stored.grant)? {
                    return Ok(refusal);
                }
                self.enter(&row, &stored)?;
                self.shed(row.pair, row.stage, self.bounds.pair_grants_max, now)?;
            }
        }
        self.changes += 1;
        Ok(Ok(outcome))
    }

    /// Why a new record is not made, if it is not: there is no room, or its form may have been answered. A mark makes
    /// room only where as many of younger forms stay; so, where there are that many, all forms as old as the oldest
    /// of them count as answered.
    fn refuse_new(&mut self, job: &Job, row: &Row, grant: &Grant) -> Result<Option<Applied>, redb::Error> {
        let now = job.now;
        let pair_max = self.bounds.pair_grants_max;
        if grant.kept_until() > now && self.pairs.count(row.pair, Stage::Mark)? >= pair_max {
            let oldest = self.pairs.oldest(row.pair, Stage::Mark)?;
            if oldest.is_some_and(|oldest| grant.kept_until().as_milliseconds() <= oldest.ordered_by) {
                return Ok(Some(Ok(job.transition.taken())));
            }
        }
        if !self.is_full()? {
            return Ok(None);
        }
        self.shed(row.pair, row.stage, pair_max.saturating_sub(1), now)?;
        if !self.is_full()? {
            return Ok(None);
        }
        let wait = self
            .first_expiry()?
            .map_or(Duration::ZERO, |(due, _)| Timestamp::from_milliseconds(due).since(now));
        Ok(Some(Err(StoreError::Full { wait })))
    }

    /// A grant that comes to its stage at `now`, and its place there.
    fn place(&self, grant: Grant, now: Timestamp) -> Result<Stored, redb::Error> {
        let (moment, stage) = (grant.ordered_by(now), grant.stage());
        let ordered_by = match stage {
            Stage::Mark => moment.as_milliseconds(),
            Stage::Code | Stage::Live => {
                self.pairs.moment_after_all(PairName::of(grant.holder()), stage, moment)?
            }
        };
        Ok(Stored { ordered_by, grant })
    }

    fn is_full(&self) -> Result<bool, redb::Error> {
        Ok(self.records.len()? >= self.bounds.grants_max as u64)
    }

    fn enter(&mut self, row: &Row, stored: &Stored) -> Result<(), redb::Error> {
        let due = stored.grant.expires().as_milliseconds();
        self.pairs.enter(row, due)?;
        self.expiries.insert((due, &row.name), ())?;
        self.records.insert(&row.name, &stored.encode()[..])?;
        Ok(())
    }

    /// Takes a record out of its pair and of the expiries.
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

    fn replace(
        &mut self,
        name: &Name,
        before: Stored,
        grant: Grant,
        now: Timestamp,
    ) -> Result<(), redb::Error> {
        if before.grant.stage() == grant.stage() {
            let stored = Stored { ordered_by: before.ordered_by, grant };
            self.records.insert(name, &stored.encode()[..])?;
            return Ok(());
        }
        self.leave(&before.row(name))?;
        let stored = self.place(grant, now)?;
        let row = stored.row(name);
        self.enter(&row, &stored)?;
        self.shed(row.pair, row.stage, self.bounds.pair_grants_max, now)
    }

    /// Ends the oldest records of a pair's stage, as long as there are more than `kept`.
    fn shed(&mut self, pair: PairName, stage: Stage, kept: usize, now: Timestamp) -> Result<(), redb::Error> {
        for _ in 0..SHED_PER_TRANSITION {
            if self.pairs.count(pair, stage)? <= kept {
                break;
            }
            let Some(row) = self.pairs.oldest(pair, stage)? else { break };
            self.end(&row, now)?;
            self.changes += 1;
        }
        Ok(())
    }

    /// Ends the record of `row`, and leaves its mark where its form may still come back.
    fn end(&mut self, row: &Row, now: Timestamp) -> Result<(), redb::Error> {
        let found = self.records.get(&row.name)?.map(|bytes| Stored::decode(bytes.value()));
        self.leave(row)?;
        match found {
            Some(Some(stored)) if stored.row(&row.name) == *row => match stored.grant.make_room(now) {
                Change::Put(mark) => {
                    let stored = self.place(mark, now)?;
                    self.enter(&stored.row(&row.name), &stored)?;
                    self.shed(row.pair, Stage::Mark, self.bounds.pair_grants_max, now)?;
                }
                Change::Forget | Change::Keep => drop(self.records.remove(&row.name)?),
            },
            // A row without its record, or of a record that cannot be read: the row goes, and with it the record's
            // entry among the expiries; so the record has to go, too.
            Some(None) => drop(self.records.remove(&row.name)?),
            Some(Some(_)) | None => {}
        }
        Ok(())
    }

    /// Lets go of what has expired by `now`, as far as `entries` entries go.
    fn forget_expired(&mut self, now: Timestamp, entries: usize) -> Result<(), redb::Error> {
        for _ in 0..entries {
            let Some((due, name)) = self.first_expiry()? else { break };
            if due > now.as_milliseconds() {
                break;
            }
            self.expiries.remove((due, &name))?;
            let stored = self.records.get(&name)?.and_then(|bytes| Stored::decode(bytes.value()));
            let row = stored.as_ref().map(|stored| stored.row(&name));
            match (stored.map(|stored| stored.grant.expires()).filter(|expires| *expires > now), row) {
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
