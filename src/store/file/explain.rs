//! Errors of the file and its database in our own words, with the remedy.

use std::io;

use redb::{DatabaseError, StorageError};

use super::format::Foreign;

pub(super) const DAMAGED: &str =
    "the file is damaged, or not a file of grants; restore a backup, or name another file";

pub(super) fn explain(error: &DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            "another process has the file open; stop that process, or use separate files".to_owned()
        }
        DatabaseError::UpgradeRequired(version) => {
            format!("the file has format {version} of the database redb, which this program does not read")
        }
        DatabaseError::Storage(StorageError::Io(error)) => explain_io(error),
        DatabaseError::Storage(StorageError::Corrupted(what)) => format!("{DAMAGED} ({what})"),
        other => format!("cannot open the file: {other}"),
    }
}

pub(super) fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the folder or the file does not exist; create the folder first".to_owned(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => format!("{DAMAGED} ({error})"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("permission denied ({error}); use a folder that this process may write to")
        }
        _ => format!("cannot open the file: {error}"),
    }
}

pub(super) fn explain_foreign(foreign: Foreign) -> String {
    match foreign {
        Foreign::Format(format) => {
            format!("the file has format {format}, which another version of this program has written")
        }
        Foreign::Kind(name) => {
            format!(
                "the file has records of the kind {name:?}, which another version of this program has written"
            )
        }
        Foreign::Unknown | Foreign::Database(redb::Error::TableTypeMismatch { .. }) => {
            "the file is a database but not one of grants; name another file".to_owned()
        }
        Foreign::Database(redb::Error::Corrupted(what)) => format!("{DAMAGED} ({what})"),
        Foreign::Database(redb::Error::Io(error)) => explain_io(&error),
        Foreign::Database(error) => format!("cannot open the file: {error}"),
    }
}
