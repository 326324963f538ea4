//! The tables in the file, and a batch of transitions applied to them in one write transaction.
//!
//! ```text
//!   grants    name of the grant         ──▶  the grant, as record.rs writes it
//!   expiries  (moment, name)            ──▶  nothing; so the first entries are those that expire next
//!   about     "format", "sealing key"   ──▶  bytes
//! ```
//!
//! Every grant has exactly one entry among the expiries. As in memory, one that lives longer than it was entered
//! for finds that out when its time comes; so a rotation costs no second write.

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};

use super::super::queue::Job;
use super::super::{Applied, StoreError};
use crate::oauth::{Change, Grant, GrantId, Timestamp};

type Name = [u8; 20];

const GRANTS: TableDefinition<&Name, &[u8]> = TableDefinition::new("grants");
const EXPIRIES: TableDefinition<(u64, &Name), ()> = TableDefinition::new("expiries");
const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");

/// The number of this arrangement of tables.
const FORMAT: u64 = 1;

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

/// Makes the tables, if they are not there, and gives the sealing key that the file has, or `fresh_key`, which
/// it then has.
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
            Some(other) => return Err(Foreign::Format(other)),
            None => return Err(Foreign::Unknown),
        }
        let key = about.get("sealing key")?.and_then(|found| found.value().try_into().ok());
        key.ok_or(Foreign::Unknown)?
    };
    transaction.open_table(GRANTS)?;
    transaction.open_table(EXPIRIES)?;
    transaction.commit()?;
    Ok(key)
}

/// How many grants there are.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn count(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_read()?;
    Ok(transaction.open_table(GRANTS)?.len()?)
}

/// What the transitions of `jobs`, which change nothing, come to.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn look(database: &Database, jobs: &[Job]) -> Result<Vec<Applied>, redb::Error> {
    let transaction = database.begin_read()?;
    let grants = transaction.open_table(GRANTS)?;
    let look = |job: &Job| -> Result<Applied, redb::Error> {
        let Some(name) = name(job.transition.grant_id()) else { return Ok(Err(StoreError::Damaged)) };
        let record = grants.get(&name)?.map(|bytes| Grant::decode(bytes.value())).transpose();
        Ok(match record {
            Ok(record) => Ok(job.apply(record.as_ref()).1),
            Err(_) => Err(StoreError::Damaged),
        })
    };
    jobs.iter().map(look).collect()
}

/// Applies the transitions of `jobs`, one after the other, and commits them together; gives what they came to, and
/// how many records were changed. At most `grants_max` grants are kept.
///
/// # Errors
/// When the file cannot be read or written: then nothing of it is stored (or, where the commit itself failed,
/// all of it, perhaps).
pub(super) fn apply(
    database: &Database,
    jobs: &[Job],
    grants_max: u64,
    durability: Durability,
) -> Result<(Vec<Applied>, usize), redb::Error> {
    let mut transaction = database.begin_write()?;
    // It fails only where a savepoint was made.
    transaction.set_durability(durability)?;
    let (applied, changes) = {
        let mut batch = Batch::new(&transaction, grants_max)?;
        if let Some(now) = jobs.iter().map(|job| job.now).max() {
            batch.forget_expired(now, FORGET_PER_BATCH + 2 * jobs.len())?;
        }
        let mut applied = Vec::with_capacity(jobs.len());
        for job in jobs {
            applied.push(batch.apply(job)?);
        }
        (applied, batch.changes)
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

fn name(id: GrantId) -> Option<Name> {
    id.as_bytes().try_into().ok()
}

/// One write transaction's tables.
struct Batch<'t> {
    grants: Table<'t, &'static Name, &'static [u8]>,
    expiries: Table<'t, (u64, &'static Name), ()>,
    grants_max: u64,
    changes: usize,
}

impl<'t> Batch<'t> {
    fn new(transaction: &'t WriteTransaction, grants_max: u64) -> Result<Batch<'t>, redb::Error> {
        let (grants, expiries) = (transaction.open_table(GRANTS)?, transaction.open_table(EXPIRIES)?);
        Ok(Batch { grants, expiries, grants_max, changes: 0 })
    }

    fn apply(&mut self, job: &Job) -> Result<Applied, redb::Error> {
        let Some(name) = name(job.transition.grant_id()) else { return Ok(Err(StoreError::Damaged)) };
        let record = self.grants.get(&name)?.map(|bytes| Grant::decode(bytes.value())).transpose();
        let Ok(record) = record else { return Ok(Err(StoreError::Damaged)) };
        let (change, outcome) = job.apply(record.as_ref());
        match change {
            Change::Keep => return Ok(Ok(outcome)),
            Change::Forget => {
                self.grants.remove(&name)?;
            }
            Change::Put(grant) => {
                if record.is_none() {
                    // The entries are never fewer than the grants.
                    if self.expiries.len()? >= self.grants_max {
                        return Ok(Err(StoreError::Full));
                    }
                    self.expiries.insert((grant.expires().as_milliseconds(), &name), ())?;
                }
                self.grants.insert(&name, &grant.encode()[..])?;
            }
        }
        self.changes += 1;
        Ok(Ok(outcome))
    }

    /// Lets go of what has expired by `now`, as far as `entries` entries go.
    fn forget_expired(&mut self, now: Timestamp, entries: usize) -> Result<(), redb::Error> {
        for _ in 0..entries {
            let Some((due, name)) = self.first_expiry()? else { break };
            if due > now.as_milliseconds() {
                break;
            }
            let grant = self.grants.get(&name)?.and_then(|bytes| Grant::decode(bytes.value()).ok());
            self.expiries.remove((due, &name))?;
            match grant.map(|grant| grant.expires()).filter(|expires| *expires > now) {
                Some(later) => drop(self.expiries.insert((later.as_milliseconds(), &name), ())?),
                None => drop(self.grants.remove(&name)?),
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
