//! How the file is arranged: the names of its tables, the number of the arrangement, and how a file of an earlier one
//! is brought into this one.
//!
//! Each kind of record has three tables for itself. Those of the first kind, the grant, are named as in `tables.rs`;
//! those of any other kind have its name after a space (`records session`) and are created by the first batch that
//! changes one. From then on the file has another format number, which programs that support only grants refuse.

use std::borrow::Cow;

use redb::{Database, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use super::pairs::{Counts, Name, PairName, Pairs, Row, RowKey};
use crate::crypto::keyring::KeyBytes;
use crate::oauth::kind::{Record, Stage, Transition};
use crate::oauth::{Kind, Timestamp};

/// The names of one kind's tables; see the module's page.
pub(super) struct Names([Cow<'static, str>; 3]);

impl Names {
    pub(super) fn of<T: Transition>(kind: Kind) -> Names {
        Names(["records", "expiries", "pairs"].map(|name| match kind.index() {
            0 => Cow::Borrowed(name),
            number => Cow::Owned(format!("{name} {}", T::KINDS[number].name)),
        }))
    }

    pub(super) fn records(&self) -> TableDefinition<'_, &'static Name, &'static [u8]> {
        TableDefinition::new(&self.0[0])
    }

    pub(super) fn expiries(&self) -> TableDefinition<'_, (u64, &'static Name), ()> {
        TableDefinition::new(&self.0[1])
    }

    pub(super) fn pairs(&self) -> TableDefinition<'_, &'static RowKey, u64> {
        TableDefinition::new(&self.0[2])
    }
}

const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");

/// The number of this arrangement of tables while there are only grants, and with records of other kinds.
const FORMAT: u64 = 2;
const FORMAT_OF_KINDS: u64 = 3;

/// The grant: the kind of all records in a file of a format before those.
const FIRST: Kind = Kind::new(0);

/// The arrangement before it, which had no pairs: `grants` had the records, without their moments.
const FORMAT_WITHOUT_PAIRS: u64 = 1;
const GRANTS_WITHOUT_PAIRS: TableDefinition<&Name, &[u8]> = TableDefinition::new("grants");

/// What is wrong with a file that opens.
pub(super) enum Foreign {
    /// The database itself says so.
    Database(redb::Error),
    /// Its tables are arranged in another way, with this number.
    Format(u64),
    /// It has records of a kind with this name, which this program does not have.
    Kind(String),
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
pub(super) fn prepare<T: Transition>(database: &Database, fresh_key: KeyBytes) -> Result<KeyBytes, Foreign> {
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
            Some(FORMAT | FORMAT_OF_KINDS) => refuse_other_kinds::<T>(&transaction)?,
            Some(FORMAT_WITHOUT_PAIRS) => {
                add_pairs::<T>(&transaction)?;
                about.insert("format", &FORMAT.to_be_bytes()[..])?;
            }
            Some(other) => return Err(Foreign::Format(other)),
            None => return Err(Foreign::Unknown),
        }
        let key = about.get("sealing key")?.and_then(|found| found.value().try_into().ok());
        key.ok_or(Foreign::Unknown)?
    };
    let names = Names::of::<T>(FIRST);
    transaction.open_table(names.records())?;
    transaction.open_table(names.expiries())?;
    transaction.open_table(names.pairs())?;
    transaction.commit()?;
    Ok(key)
}

/// A newer program may have written a kind that this one does not have, and what it means for grants is not known here.
fn refuse_other_kinds<T: Transition>(transaction: &WriteTransaction) -> Result<(), Foreign> {
    for table in transaction.list_tables()? {
        if let Some(name) = table.name().strip_prefix("records ")
            && !T::KINDS.iter().any(|kind| kind.name == name)
        {
            return Err(Foreign::Kind(name.to_owned()));
        }
    }
    Ok(())
}

/// Notes in the file that it has records of other kinds than the grant.
pub(super) fn note_kinds(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut about = transaction.open_table(ABOUT)?;
    let is_noted = about.get("format")?.is_some_and(|found| found.value() == FORMAT_OF_KINDS.to_be_bytes());
    if !is_noted {
        about.insert("format", &FORMAT_OF_KINDS.to_be_bytes()[..])?;
    }
    Ok(())
}

/// Brings a file of the format before this one into this one. What it cannot read stays unreadable, and goes when it
/// expires.
fn add_pairs<T: Transition>(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    {
        let names = Names::of::<T>(FIRST);
        let old = transaction.open_table(GRANTS_WITHOUT_PAIRS)?;
        let expiries = transaction.open_table(names.expiries())?;
        let mut records = transaction.open_table(names.records())?;
        let mut counts = Counts::default();
        let mut pairs = Pairs { rows: transaction.open_table(names.pairs())?, counts: &mut counts };
        for entry in expiries.iter()? {
            let (entry, _) = entry?;
            let (due, name) = entry.value();
            let Some(bytes) = old.get(name)? else { continue };
            let record = T::Record::decode(FIRST, bytes.value());
            // When it was redeemed is not in the file; the earliest token that there still is comes near.
            let earliest = record.as_ref().and_then(Record::reached);
            let moment = earliest.unwrap_or(Timestamp::from_milliseconds(0)).as_milliseconds();
            if let Some(record) = record {
                let ordered_by = match record.stage() {
                    Stage::Mark => record.kept_until().as_milliseconds(),
                    Stage::Code | Stage::Live => moment,
                };
                let stored = Stored { ordered_by, record };
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
pub(super) struct Stored<R> {
    pub(super) ordered_by: u64,
    pub(super) record: R,
}

impl<R: Record> Stored<R> {
    /// `None` for what cannot be read.
    pub(super) fn decode(kind: Kind, bytes: &[u8]) -> Option<Stored<R>> {
        let (moment, record) = bytes.split_first_chunk()?;
        Some(Stored { ordered_by: u64::from_be_bytes(*moment), record: R::decode(kind, record)? })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.ordered_by.to_be_bytes()[..], &self.record.encode()].concat()
    }

    pub(super) fn row(&self, name: &Name) -> Row {
        let (pair, stage) = (PairName::of(self.record.holder()), self.record.stage());
        Row { pair, stage, ordered_by: self.ordered_by, name: *name }
    }
}
