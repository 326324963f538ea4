//! Where the store's file is: who else may write there, and whether it is still the file that was opened.
//!
//! The file holds digests of every credential and the server's sealing key. So it is used only if no
//! other user of the machine can read, write or replace it, and only under its own name: a link would make the server
//! write wherever the link leads. This is checked when the file is opened, which refuses, as ssh does with its keys.
//!
//! A file that is unlinked while it is open goes on to take writes, and loses them when it is closed. So its name is
//! looked up before and after each batch of writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::explain::explain_io;
use crate::private_file::{self, Identity, NotOpened, folder_of, identity};

/// The path of the file, and which file was opened there first.
pub(super) struct Place {
    path: PathBuf,
    opened: OnceLock<Identity>,
}

impl Place {
    pub(super) fn new(path: &Path) -> Place {
        Place { path: path.to_owned(), opened: OnceLock::new() }
    }

    /// Opens the file, or makes it if it `may_be_new`. From the second time on it must be the same file.
    ///
    /// # Errors
    /// In words, when the file or its folder is another user's to change, when it is a link, when it is another file
    /// than the last time, or when the system does not open it.
    pub(super) fn open(&self, may_be_new: bool) -> Result<File, String> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = private_file::open(&self.path, &mut options, may_be_new).map_err(|error| match error {
            NotOpened::Io(error) => explain_io(&error),
            NotOpened::Link(target) => is_link(target.as_deref()),
            NotOpened::Unfit(words) => words,
        })?;
        let metadata = file.metadata().map_err(|error| explain_io(&error))?;
        let identity = identity(&metadata);
        // The one that was opened before, or now.
        if *self.opened.get_or_init(|| identity) != identity {
            return Err(format!(
                "another file has taken its place since this server started; put the file back, or restart the \
                 server to begin with the one that is there ({})",
                self.path.display()
            ));
        }
        self.check()?;
        Ok(file)
    }

    /// Makes a new file's name durable, where the system can.
    pub(super) fn keep_name(&self) {
        private_file::sync_folder(&self.path);
    }

    /// Whether the file that was opened still has its name.
    ///
    /// # Errors
    /// In words, when it has been removed or replaced.
    pub(super) fn check(&self) -> Result<(), String> {
        let (found, opened) = (self.path.symlink_metadata(), self.opened.get());
        let what = match &found {
            Ok(found) if opened.is_none_or(|opened| *opened == identity(found)) => return Ok(()),
            Ok(_) => "another file has taken the place of the store's file".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "the store's file was removed".to_owned(),
            Err(error) => format!("the store's file is not to be found ({error})"),
        };
        let path = self.path.display();
        Err(format!(
            "{what} while it was open: {path}; writes would be lost with it and are answered 503; put the file back, \
             or restart this server to begin with what is there now (the file as it was is below /proc/{}/fd on Linux \
             until then)",
            std::process::id()
        ))
    }

    /// What an operator should know of the file that was opened.
    pub(super) fn warning(&self) -> Option<String> {
        let folder = folder_of(&self.path);
        let path = self.path.display();
        if private_file::links(&self.path.symlink_metadata().ok()?) > 1 {
            return Some(format!(
                "the store's file {path} has more than one name (hard links); what is written is seen under all of \
                 them, so none of them is a backup"
            ));
        }
        let mode = private_file::mode(&folder.metadata().ok()?);
        (mode & 0o1020 == 0o020).then(|| {
            format!(
                "the group of the folder {} may replace the store's file; unless only this server is in the group, run \
                 chmod g-w {}",
                folder.display(),
                folder.display()
            )
        })
    }
}

fn is_link(target: Option<&Path>) -> String {
    let target = target.map_or("the file itself".to_owned(), |target| format!("file:{}", target.display()));
    format!(
        "it is a symbolic link, and a user who can change the link can change where grants are; give {target} instead"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_file_is_neither_recreated_nor_mistaken_for_another() {
        let path = std::env::temp_dir().join(format!("oauth-from-scratch-{}-gone", std::process::id()));
        let place = Place::new(&path);
        let error = place.open(false).map(drop).unwrap_err();
        assert!(error.contains("does not exist") && !path.exists(), "{error}");
        assert!(place.open(true).is_ok() && place.open(false).is_ok() && place.check().is_ok());
        let moved = path.with_extension("moved");
        std::fs::rename(&path, &moved).unwrap();
        let error = place.check().unwrap_err();
        assert!(error.contains("was removed while it was open") && place.open(false).is_err(), "{error}");
        drop(Place::new(&path).open(true).unwrap());
        let error = place.check().unwrap_err();
        assert!(error.contains("another file has taken the place"), "{error}");
        let error = place.open(false).map(drop).unwrap_err();
        assert!(error.contains("another file has taken its place since this server started"), "{error}");
        std::fs::rename(&moved, &path).unwrap();
        assert!(place.check().is_ok() && place.open(false).is_ok(), "it is put back");
        std::fs::remove_file(&path).unwrap();
    }
}
