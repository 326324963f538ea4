//! Files that hold secrets: used only if no other user of the machine can read, change or replace them.
//!
//! A file must be readable and writable only by its owner. Its folder must not let every user replace it. Its name
//! must not be a symbolic link, which would make the server write wherever the link leads. Anything else is refused, as
//! ssh does with its keys, in words that say what to do.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why a file was not opened.
#[derive(Debug)]
pub enum NotOpened {
    /// The system refuses.
    Io(io::Error),
    /// It is a symbolic link, which leads to this file, if to any.
    Link(Option<PathBuf>),
    /// Others can change or read it, or it is no file: what is wrong, and what to do.
    Unfit(String),
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> NotOpened {
        NotOpened::Io(error)
    }
}

/// Opens the file at `path` with `options`. If it does not exist and `may_be_new`, creates it with access only for its
/// owner.
///
/// # Errors
/// [`NotOpened`] if another user can read, change or replace it, if it is not a regular file, or if the system refuses.
pub fn open(path: &Path, options: &mut OpenOptions, may_be_new: bool) -> Result<File, NotOpened> {
    check_folder(path)?;
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => {
            return Err(NotOpened::Link(path.canonicalize().or_else(|_| path.read_link()).ok()));
        }
        // Opening a pipe would wait for its other end. The system says what is wrong with a folder.
        Ok(found) if !found.is_file() && !found.is_dir() => return Err(not_regular()),
        // Does not follow a link that has been put there since.
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_new => {
            options.create_new(true);
        }
        _ => {}
    }
    let file = options.open(path)?;
    check_file(path, &file.metadata()?)?;
    Ok(file)
}

/// The folder that `path` is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a new name in the folder of `path` durable. Some systems cannot; there the name is safe anyway, or cannot be
/// made so.
pub fn sync_folder(path: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
    }
}

/// Users who can write to the folder can put another file in the place of this one; where the folder is sticky, as
/// /tmp is, only in the place of their own.
fn check_folder(path: &Path) -> Result<(), NotOpened> {
    let folder = folder_of(path);
    // If it does not exist, opening the file says so.
    let Ok(metadata) = folder.metadata() else { return Ok(()) };
    let mode = mode(&metadata);
    if mode & 0o1002 != 0o002 {
        return Ok(());
    }
    Err(NotOpened::Unfit(format!(
        "any user of this machine can replace it, because the folder {} has mode {:04o}; run chmod o-w {}",
        folder.display(),
        mode & 0o7777,
        folder.display()
    )))
}

fn check_file(path: &Path, metadata: &Metadata) -> Result<(), NotOpened> {
    if !metadata.is_file() {
        return Err(not_regular());
    }
    let mode = mode(metadata) & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(NotOpened::Unfit(format!(
        "other users of this machine can {} it, because it has mode {mode:04o}; run chmod 600 {}",
        if mode & 0o022 == 0 { "read" } else { "change" },
        path.display()
    )))
}

fn not_regular() -> NotOpened {
    NotOpened::Unfit("it is not a regular file; give the path of a regular file".to_owned())
}

/// What distinguishes a file from every other one, past and present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    /// An inode's number is used again.
    created: Option<SystemTime>,
}

/// Which file this is.
#[cfg(unix)]
pub fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    Identity { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
}

/// Its permissions.
#[cfg(unix)]
pub fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}

/// How many names it has.
#[cfg(unix)]
pub fn links(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

/// Checks that `file` belongs to the user of this process. The mode refuses all others but the superuser, whom no mode
/// stops; so this is for a server that runs as root. It needs /proc, which names the process's user.
///
/// # Errors
/// [`NotOpened::Unfit`] if it belongs to another user.
#[cfg(unix)]
pub fn check_owner(path: &Path, file: &File) -> Result<(), NotOpened> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = file.metadata()?.uid();
    let Ok(own) = Path::new("/proc/self").metadata() else { return Ok(()) };
    if owner == own.uid() {
        return Ok(());
    }
    Err(NotOpened::Unfit(format!(
        "it is owned by user id {owner}, who can read and change it; run chown {} {}",
        own.uid(),
        path.display()
    )))
}

/// Elsewhere std says no more of a file's identity than when it was made, and nothing of who may do what.
#[cfg(not(unix))]
pub fn identity(metadata: &Metadata) -> Identity {
    Identity { device: 0, inode: 0, created: metadata.created().ok() }
}

/// Its permissions, which are not known here.
#[cfg(not(unix))]
pub fn mode(_: &Metadata) -> u32 {
    0o600
}

/// How many names it has, which is not known here.
#[cfg(not(unix))]
pub fn links(_: &Metadata) -> u64 {
    1
}

/// Its owner is not known here.
#[cfg(not(unix))]
pub fn check_owner(_: &Path, _: &File) -> Result<(), NotOpened> {
    Ok(())
}
