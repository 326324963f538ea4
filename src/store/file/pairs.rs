//! The records of each pair of a subject and a client, in the file: in the order in which they make room, and counted.
//!
//! The file stores only the order: a row for each record, whose key is a digest of the pair's names, the stage, a time
//! and the identifier. The number of a pair's rows is counted when it is first needed, and then kept in memory by the
//! one thread that writes, so no counter is written with each change. After a failed commit the numbers are discarded.

use std::collections::HashMap;

use redb::{ReadableTable, StorageError, Table};

use crate::crypto::digest::Digest;
use crate::oauth::key::ID_CHARS;
use crate::oauth::{Holder, Stage, Timestamp};

const PAIR_BYTES: usize = 16;
const NAME_BYTES: usize = ID_CHARS;
const ROW_BYTES: usize = PAIR_BYTES + 1 + 8 + NAME_BYTES;

/// The identifier of a record.
pub(super) type Name = [u8; NAME_BYTES];

/// A row's key, compared byte by byte: pair, stage, time, identifier.
pub(super) type RowKey = [u8; ROW_BYTES];

/// Maximum pairs whose counts are kept in memory: a few megabytes.
const COUNTS_MAX: usize = 65_536;

/// Identifies a pair, equally in every process: a prefix of a SHA-256 digest, so that an attacker cannot find two pairs
/// with the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PairName([u8; PAIR_BYTES]);

impl PairName {
    pub(super) fn of(pair: Holder) -> PairName {
        // With the length, client and subject are unambiguous. No subject differs from an empty one.
        let mut text = (pair.client.len() as u64).to_be_bytes().to_vec();
        text.extend_from_slice(pair.client.as_bytes());
        if let Some(subject) = pair.subject {
            text.push(1);
            text.extend_from_slice(subject.as_bytes());
        }
        let mut name = [0; PAIR_BYTES];
        name.copy_from_slice(&Digest::of(&text).as_bytes()[..PAIR_BYTES]);
        PairName(name)
    }
}

/// One record among those of its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) pair: PairName,
    pub(super) stage: Stage,
    pub(super) ordered_by: u64,
    pub(super) name: Name,
}

impl Row {
    fn key(&self) -> RowKey {
        let mut key = [0; ROW_BYTES];
        key[..PAIR_BYTES].copy_from_slice(&self.pair.0);
        key[PAIR_BYTES] = self.stage as u8;
        key[PAIR_BYTES + 1..][..8].copy_from_slice(&self.ordered_by.to_be_bytes());
        key[PAIR_BYTES + 9..].copy_from_slice(&self.name);
        key
    }

    fn read(pair: PairName, stage: Stage, key: &RowKey) -> Row {
        let (mut moment, mut name) = ([0; 8], [0; NAME_BYTES]);
        moment.copy_from_slice(&key[PAIR_BYTES + 1..][..8]);
        name.copy_from_slice(&key[PAIR_BYTES + 9..]);
        Row { pair, stage, ordered_by: u64::from_be_bytes(moment), name }
    }
}

/// The first key that a row of a pair's stage may have, and the last.
fn ends(pair: PairName, stage: Stage) -> (RowKey, RowKey) {
    let key = |ordered_by, byte| Row { pair, stage, ordered_by, name: [byte; NAME_BYTES] }.key();
    (key(0, 0), key(u64::MAX, 0xff))
}

/// The number of records per stage, of the pairs that have been counted.
#[derive(Default)]
pub(super) struct Counts(HashMap<PairName, [u32; Stage::COUNT]>);

impl Counts {
    /// Discards all counts if there are too many.
    pub(super) fn trim(&mut self) {
        if self.0.len() > COUNTS_MAX {
            self.0.clear();
        }
    }
}

/// The table in one write transaction: from a [`Row`] to the time of the record's entry in the table of expiries.
pub(super) struct Pairs<'t, 'c> {
    pub(super) rows: Table<'t, &'static RowKey, u64>,
    pub(super) counts: &'c mut Counts,
}

impl Pairs<'_, '_> {
    pub(super) fn enter(&mut self, row: &Row, due: u64) -> Result<(), StorageError> {
        // Count before the row exists, or it would be counted twice.
        self.count_all(row.pair)?;
        if self.rows.insert(&row.key(), due)?.is_none() {
            self.change(row, 1);
        }
        Ok(())
    }

    /// Removes a row, and returns its time in the table of expiries.
    pub(super) fn leave(&mut self, row: &Row) -> Result<Option<u64>, StorageError> {
        self.count_all(row.pair)?;
        let due = self.rows.remove(&row.key())?.map(|due| due.value());
        if due.is_some() {
            self.change(row, -1);
        }
        Ok(due)
    }

    /// Changes the expiry time of an existing row.
    pub(super) fn enter_again(&mut self, row: &Row, due: u64) -> Result<(), StorageError> {
        self.rows.insert(&row.key(), due).map(drop)
    }

    pub(super) fn count(&mut self, pair: PairName, stage: Stage) -> Result<usize, StorageError> {
        Ok(self.count_all(pair)?[stage as usize] as usize)
    }

    /// The first row of a pair's stage.
    pub(super) fn oldest(&self, pair: PairName, stage: Stage) -> Result<Option<Row>, StorageError> {
        let (first, last) = ends(pair, stage);
        let found = self.rows.range::<&RowKey>(&first..=&last)?.next().transpose()?;
        Ok(found.map(|(key, _)| Row::read(pair, stage, key.value())))
    }

    /// The time of a record that reaches a stage at `now`: later than all others there, so that the order is that of
    /// arrival even if the clock does not advance.
    pub(super) fn moment_after_all(
        &self,
        pair: PairName,
        stage: Stage,
        now: Timestamp,
    ) -> Result<u64, StorageError> {
        let (first, last) = ends(pair, stage);
        let found = self.rows.range::<&RowKey>(&first..=&last)?.next_back().transpose()?;
        let newest = found.map(|(key, _)| Row::read(pair, stage, key.value()).ordered_by);
        let now = now.as_milliseconds();
        Ok(newest.map_or(now, |newest| now.max(newest.saturating_add(1))))
    }

    fn count_all(&mut self, pair: PairName) -> Result<[u32; Stage::COUNT], StorageError> {
        if let Some(counts) = self.counts.0.get(&pair) {
            return Ok(*counts);
        }
        let (mut first, mut last) = ([0; ROW_BYTES], [0xff; ROW_BYTES]);
        first[..PAIR_BYTES].copy_from_slice(&pair.0);
        last[..PAIR_BYTES].copy_from_slice(&pair.0);
        let mut counts = [0; Stage::COUNT];
        for row in self.rows.range::<&RowKey>(&first..=&last)? {
            // A damaged file may have an invalid stage.
            if let Some(count) = counts.get_mut(usize::from(row?.0.value()[PAIR_BYTES])) {
                *count += 1;
            }
        }
        self.counts.0.insert(pair, counts);
        Ok(counts)
    }

    fn change(&mut self, row: &Row, by: i32) {
        if let Some(counts) = self.counts.0.get_mut(&row.pair) {
            let count = &mut counts[row.stage as usize];
            *count = count.saturating_add_signed(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_pairs_have_different_names() {
        let pair = |client, subject| PairName::of(Holder { client, subject });
        let names = [
            pair("app", None),
            pair("app", Some("")),
            pair("app", Some("ada")),
            pair("appa", Some("da")),
            pair("appada", None),
            pair("", Some("appada")),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{at}");
        }
        assert_eq!(names[2], pair("app", Some("ada")));
    }

    #[test]
    fn rows_are_ordered_by_stage_then_moment() {
        let pair = PairName([7; PAIR_BYTES]);
        let key = |stage, ordered_by, name| Row { pair, stage, ordered_by, name: [name; NAME_BYTES] }.key();
        assert!(key(Stage::Code, 256, 1) > key(Stage::Code, 255, 9));
        assert!(key(Stage::Live, 1, 1) > key(Stage::Code, u64::MAX, 255));
        assert!(key(Stage::Live, 1, 2) > key(Stage::Live, 1, 1));
    }
}
