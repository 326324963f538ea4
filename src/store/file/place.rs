//! Where the store's file is: who else may write there, and whether it is still the file that was opened.
//!
//! The file holds digests of every credential and the key that seals the dialog's forms. So it is used only if no
//! other user of the machine can read, write or replace it, and only under its own name: a link would make the server
//! write wherever the link leads. This is checked when the file is opened, which refuses, as ssh does with its keys.
//!
//! A file that is unlinked while it is open goes on to take writes, and loses them when it is closed. So its name is
//! looked up before and after each batch of writes.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use super::explain_io;

/// The path of the file, and which file was opened there first.
pub(super) struct Place {
    path: PathBuf,
    opened: OnceLock<Identity>,
}

/// What tells a file from every other one, now and before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// An inode's number is used again.
    created: Option<SystemTime>,
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
        check_folder(&self.path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match self.path.symlink_metadata() {
            Ok(found) if found.is_symlink() => return Err(is_link(&self.path)),
            // Does not follow a link that has been put there since.
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_new => options.create_new(true),
            _ => &mut options,
        };
        let file = options.open(&self.path).map_err(|error| explain_io(&error))?;
        let metadata = file.metadata().map_err(|error| explain_io(&error))?;
        check_file(&self.path, &metadata)?;
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

    /// Sees to it that a new file's name is on the disk, too. Some systems cannot; there the name is safe anyway, or
    /// cannot be made so.
    pub(super) fn keep_name(&self) {
        if cfg!(unix) {
            let _ = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        }
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
            "{what} while it was open: {path}; writes would be lost with it and are answered 503; put the file back, or \
             restart this server to begin with what is there now (the file as it was is below /proc/{}/fd on Linux \
             until then)",
            std::process::id()
        ))
    }

    /// What an operator should know of the file that was opened.
    pub(super) fn warning(&self) -> Option<String> {
        let folder = folder_of(&self.path);
        let path = self.path.display();
        if links(&self.path.symlink_metadata().ok()?) > 1 {
            return Some(format!(
                "the store's file {path} has more than one name (hard links); what is written is seen under all of \
                 them, so none of them is a backup"
            ));
        }
        let mode = mode(&folder.metadata().ok()?);
        (mode & 0o1020 == 0o020).then(|| {
            format!(
                "the group of the folder {} may replace the store's file; unless the group is this server's alone, run \
                 chmod g-w {}",
                folder.display(),
                folder.display()
            )
        })
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_link(path: &Path) -> String {
    let target = path.canonicalize().or_else(|_| path.read_link());
    let target = target.map_or("the file itself".to_owned(), |target| format!("file:{}", target.display()));
    format!("it is a symbolic link, and who may change the link may change where grants are; name {target}")
}

/// Who may write to the folder may put another file in the place of this one; where the folder is sticky, as /tmp is,
/// only in the place of their own.
fn check_folder(path: &Path) -> Result<(), String> {
    let folder = folder_of(path);
    // One that is not there is what opening the file complains of.
    let Ok(metadata) = folder.metadata() else { return Ok(()) };
    let mode = mode(&metadata);
    match mode & 0o1002 == 0o002 {
        true => Err(format!(
            "every user of this machine may replace it, for the folder {} has mode {:04o}; run chmod o-w {}",
            folder.display(),
            mode & 0o7777,
            folder.display()
        )),
        false => Ok(()),
    }
}

fn check_file(path: &Path, metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("it is no regular file; name one".to_owned());
    }
    match mode(metadata) & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(format!(
            "other users of this machine may {} it, for it has mode {mode:04o}; run chmod 600 {}",
            if mode & 0o022 == 0 { "read" } else { "change" },
            path.display()
        )),
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    Identity { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}

#[cfg(unix)]
fn links(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

/// Elsewhere std tells of a file's identity no more than when it was made, and nothing of who may do what.
#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Identity {
    Identity { device: 0, inode: 0, created: metadata.created().ok() }
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0o600
}

#[cfg(not(unix))]
fn links(_: &Metadata) -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_gone_away_is_not_created_again_nor_another_taken_for_it() {
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
