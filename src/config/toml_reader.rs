//! Reads TOML key by key, so that every mistake has its line and an unknown key is a mistake.
//!
//! Reading continues after a mistake: [`Mistakes`] collects them all.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;

/// A mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, with the remedy.
    pub message: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for FileError {}

/// The mistakes in a configuration file, in the order of its lines. Prints one per line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<FileError>);

impl Mistakes {
    /// Sorts the mistakes by line.
    pub fn new(mistakes: Vec<FileError>) -> Mistakes {
        let mut sorted = Mistakes::default();
        sorted.note_all(mistakes);
        sorted
    }

    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &FileError> {
        self.0.iter()
    }

    /// Adds a mistake, after those of earlier lines and of the same one.
    // Not inlined, like the functions below: they are called for each of a hundred keys, and the copies would be a
    // large part of the program.
    #[inline(never)]
    pub(super) fn note(&mut self, mistake: FileError) {
        let at = self.0.partition_point(|known| known.line <= mistake.line);
        self.0.insert(at, mistake);
    }

    /// Adds several mistakes.
    #[inline(never)]
    pub(super) fn note_all(&mut self, mistakes: Vec<FileError>) {
        mistakes.into_iter().for_each(|mistake| self.note(mistake));
    }

    /// The value that was read; `None` if it is a mistake, which is added.
    pub(super) fn check<T>(&mut self, read: Result<T, FileError>) -> Option<T> {
        read.map_err(|mistake| self.note(mistake)).ok()
    }

    /// Stores the value that was read in `field`, or adds the mistake.
    pub(super) fn set<T>(&mut self, field: &mut T, read: Result<T, FileError>) {
        if let Some(value) = self.check(read) {
            *field = value;
        }
    }

    /// `value` if there are no mistakes.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Mistakes> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(FileError::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// The text of a file, to find line numbers in.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Text<'_> {
    /// An error at the byte offset `at`.
    pub(super) fn error(self, at: usize, message: impl Into<String>) -> FileError {
        self.locate(at, message.into())
    }

    #[inline(never)]
    fn locate(self, at: usize, message: String) -> FileError {
        let before = self.0.as_bytes().iter().take(at);
        FileError { line: before.filter(|byte| **byte == b'\n').count() + 1, message }
    }
}

/// A table that is being read.
pub(super) struct Table<'a> {
    text: Text<'a>,
    /// The table's name in errors, such as `[listen]`.
    name: &'static str,
    at: usize,
    /// In the order of the file.
    entries: Vec<Entry<'a>>,
    /// Every key that was asked for, to suggest one for an unknown key.
    known: Vec<&'static str>,
}

struct Entry<'a> {
    key: &'a str,
    key_at: usize,
    value: &'a Spanned<DeValue<'a>>,
    is_read: bool,
}

/// A value with its position.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    text: Text<'a>,
    key: &'a str,
    at: usize,
    value: &'a DeValue<'a>,
}

/// The longest key that an error repeats.
const KEY_BYTES_SHOWN_MAX: usize = 64;

impl<'a> Table<'a> {
    #[inline(never)]
    pub(super) fn new(text: Text<'a>, name: &'static str, at: usize, table: &'a DeTable<'a>) -> Table<'a> {
        let mut entries: Vec<Entry> = Vec::new();
        for (key, value) in table {
            let entry = Entry { key: key.get_ref(), key_at: key.span().start, value, is_read: false };
            let place = entries.partition_point(|known| known.key_at < entry.key_at);
            entries.insert(place, entry);
        }
        Table { text, name, at, entries, known: Vec::new() }
    }

    /// The value of `key`, if the table has it.
    #[inline(never)]
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        let text = self.text;
        self.known.push(key);
        let entry = self.entries.iter_mut().find(|entry| entry.key == key)?;
        entry.is_read = true;
        let (at, value) = (entry.value.span().start, entry.value.get_ref());
        Some(Value { text, key: entry.key, at, value })
    }

    /// Every key not read yet with its value, in the order of the file.
    #[inline(never)]
    pub(super) fn take_rest(&mut self) -> Vec<(&'a str, Value<'a>)> {
        let text = self.text;
        let rest = self.entries.iter_mut().filter(|entry| !entry.is_read);
        let take = |entry: &mut Entry<'a>| {
            entry.is_read = true;
            (entry.key, Value { text, key: entry.key, at: entry.key_at, value: entry.value.get_ref() })
        };
        rest.map(take).collect()
    }

    /// An error about the table as a whole.
    pub(super) fn error(&self, message: impl Into<String>) -> FileError {
        self.text.error(self.at, message)
    }

    /// A mistake for each key that was not read. Call it after reading all known keys.
    #[inline(never)]
    pub(super) fn end(self, known: &str) -> Vec<FileError> {
        let unread = self.entries.iter().filter(|entry| !entry.is_read);
        let mistake = |Entry { key, key_at, .. }: &Entry| {
            // A quoted key may be a misplaced store location with a password, so it is not printed.
            let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let is_plain = key.len() <= KEY_BYTES_SHOWN_MAX && key.bytes().all(is_bare);
            let nearest = nearest(key, self.known.iter().copied()).filter(|_| is_plain);
            let suggestion = match nearest {
                Some(known) => format!("did you mean {known}? Otherwise "),
                None => String::new(),
            };
            let key = if is_plain { key } else { "(not shown)" };
            let message = format!("unknown key {key} in {}; {suggestion}the known keys are {known}", self.name);
            self.text.error(*key_at, message)
        };
        unread.map(mistake).collect()
    }
}

impl<'a> Value<'a> {
    /// An error about this value.
    pub(super) fn error(&self, message: impl fmt::Display) -> FileError {
        self.describe(&message)
    }

    #[inline(never)]
    fn describe(&self, message: &dyn fmt::Display) -> FileError {
        self.text.locate(self.at, format!("{}: {message}", self.key))
    }

    #[inline(never)]
    fn wanted(&self, wanted: &str) -> FileError {
        self.error(format_args!("expected {wanted}, got a TOML {}", self.value.type_str()))
    }

    #[inline(never)]
    pub(super) fn string(&self) -> Result<&'a str, FileError> {
        self.value.as_str().ok_or_else(|| self.wanted("a string in quotation marks"))
    }

    #[inline(never)]
    pub(super) fn boolean(&self) -> Result<bool, FileError> {
        self.value.as_bool().ok_or_else(|| self.wanted("true or false"))
    }

    /// A whole number of at most nine digits.
    #[inline(never)]
    pub(super) fn number(&self) -> Result<u32, FileError> {
        let integer = self.value.as_integer().ok_or_else(|| self.wanted("a number"))?;
        u32::from_str_radix(integer.as_str(), integer.radix())
            .map_err(|_| self.error("give a number from 0 to 4294967295"))
    }

    #[inline(never)]
    pub(super) fn positive(&self) -> Result<NonZeroU32, FileError> {
        NonZeroU32::new(self.number()?).ok_or_else(|| self.error("give a number of at least 1"))
    }

    #[inline(never)]
    pub(super) fn port(&self) -> Result<u16, FileError> {
        u16::try_from(self.number()?)
            .map_err(|_| self.error("give a port from 0 to 65535, where 0 picks a free one"))
    }

    #[inline(never)]
    pub(super) fn seconds(&self) -> Result<Duration, FileError> {
        self.number().map(|seconds| Duration::from_secs(u64::from(seconds)))
    }

    /// A list of strings, each with its position.
    #[inline(never)]
    pub(super) fn strings(&self) -> Result<Vec<(Value<'a>, &'a str)>, FileError> {
        let array = self.value.as_array().ok_or_else(|| self.wanted("a list of strings in square brackets"))?;
        let member = |member: &'a Spanned<DeValue<'a>>| {
            let value =
                Value { text: self.text, key: self.key, at: member.span().start, value: member.get_ref() };
            Ok((value, value.string()?))
        };
        array.iter().map(member).collect()
    }

    #[inline(never)]
    pub(super) fn table(&self, name: &'static str) -> Result<Table<'a>, FileError> {
        let table = self.value.as_table().ok_or_else(|| self.wanted("a table"))?;
        Ok(Table::new(self.text, name, self.at, table))
    }

    /// The tables of `[[key]]`.
    #[inline(never)]
    pub(super) fn tables(&self, name: &'static str) -> Result<Vec<Table<'a>>, FileError> {
        let wanted = || self.wanted(&format!("tables that each start with {name}"));
        let array = self.value.as_array().ok_or_else(wanted)?;
        let member = |member: &'a Spanned<DeValue<'a>>| {
            let table = member.get_ref().as_table().ok_or_else(wanted)?;
            Ok(Table::new(self.text, name, member.span().start, table))
        };
        array.iter().map(member).collect()
    }
}
