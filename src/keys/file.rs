//! The key file: made at the first start, read again on request, and given new keys.
//!
//! The file changes in one step, so that it is whole at every moment and a crash leaves the old one or the new one: its
//! next text is written to a draft beside it (`FILE.new`), which is synced and then renamed. A writer holds a lock
//! on the draft. So of two processes that start at once one makes the file, and the other uses it; and of two keys that
//! are added at once none is lost. A draft that a crash left behind is overwritten by the next writer.
//!
//! A reader takes no lock. A file that cannot be used, or whose text is malformed, changes nothing: the keys that were
//! read before stay in use.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::format::{self, FILE_BYTES_MAX, Parsed};
use crate::crypto::keyring::{KeyBytes, Keyring, draw_key};
use crate::private_file::{self, NotOpened, folder_of, identity};
use crate::system::System;

/// How often a draft is opened again because another process renamed it in that moment.
const ATTEMPTS_MAX: u32 = 1000;

/// The keys of a key file, which all requests read.
pub struct KeyFile {
    path: PathBuf,
    keyring: RwLock<Arc<Keyring>>,
}

impl KeyFile {
    /// Reads the file at `path`. If there is none, makes it with one key from the random bytes of `system`.
    ///
    /// # Errors
    /// Words that say what is wrong and what to do, without the path: another user can read or change the file, it is a
    /// link, it is malformed (with the line), or the system refuses.
    pub fn open(path: &Path, system: &dyn System) -> Result<KeyFile, String> {
        let keyring = match KeyFile::check(path)? {
            Some(keyring) => keyring,
            None => make(path, system)?,
        };
        Ok(KeyFile { path: path.to_owned(), keyring: RwLock::new(Arc::new(keyring)) })
    }

    /// Reads the file at `path` and makes none: `None` if there is none yet.
    ///
    /// # Errors
    /// As for [`KeyFile::open`].
    pub fn check(path: &Path) -> Result<Option<Keyring>, String> {
        let text = read(path)?;
        text.map(|text| format::parse(&text).map(|parsed| keyring_of(&parsed))).transpose()
    }

    /// Adds a new key to the file at `path`, which becomes current. Makes the file if there is none. Returns the keys
    /// of the file.
    ///
    /// # Errors
    /// As for [`KeyFile::open`], and if the file is full.
    pub fn add_key(path: &Path, system: &dyn System) -> Result<Keyring, String> {
        // First, so that a file which cannot be used gets no draft beside it.
        read(path)?;
        let key = draw(system)?;
        let draft = Draft::begin(path)?;
        match with_key(path, &key) {
            Ok((text, keyring)) => draft.publish(&text).map(|()| keyring),
            Err(error) => {
                draft.discard();
                Err(error)
            }
        }
    }

    /// The keys as they were last read.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again. Its keys are used from now on. Returns what has changed, if anything.
    ///
    /// # Errors
    /// As for [`KeyFile::open`], and if the file was removed. The keys stay as they were.
    pub fn reload(&self) -> Result<Option<String>, String> {
        let read = KeyFile::check(&self.path)?;
        let read =
            read.ok_or("it was removed; put it back, since what its keys sealed opens with no others")?;
        let changes = changes(&self.keyring(), &read);
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(changes)
    }
}

/// A line about what differs between two rings.
fn changes(old: &Keyring, new: &Keyring) -> Option<String> {
    let (was, is) = (old.current().id(), new.current().id());
    let current = (was != is).then(|| format!("the current key is {is}, was {was}"));
    let only_in = |one: &Keyring, other: &Keyring| -> Vec<String> {
        one.ids().filter(|id| other.find(*id).is_none()).map(|id| id.to_string()).collect()
    };
    let listed = |verb: &str, ids: Vec<String>| (!ids.is_empty()).then(|| format!("{verb} {}", ids.join(", ")));
    let parts = [current, listed("added", only_in(new, old)), listed("removed", only_in(old, new))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("keys: {}", parts.join("; ")))
}

fn keyring_of(parsed: &Parsed) -> Keyring {
    Keyring::new(&parsed.current).with_old(&parsed.old)
}

fn draw(system: &dyn System) -> Result<KeyBytes, String> {
    draw_key(|bytes| system.fill(bytes))
        .map_err(|error| format!("cannot get random bytes from the system: {error}"))
}

/// The next text of the file, with `key` added, and its keys.
fn with_key(path: &Path, key: &KeyBytes) -> Result<(String, Keyring), String> {
    let text = match read(path)? {
        Some(text) => {
            format::parse(&text)?;
            format::with_new_key(&String::from_utf8_lossy(&text), key)
        }
        None => format::new_file(key),
    };
    let parsed = format::parse(text.as_bytes()).map_err(|error| format!("no key is added: {error}"))?;
    Ok((text, keyring_of(&parsed)))
}

/// Makes the file, unless another process has done so by now; gives its keys.
fn make(path: &Path, system: &dyn System) -> Result<Keyring, String> {
    let key = draw(system)?;
    let draft = Draft::begin(path)?;
    if let Some(keyring) = KeyFile::check(path)? {
        draft.discard();
        return Ok(keyring);
    }
    draft.publish(&format::new_file(&key))?;
    Ok(Keyring::new(&key))
}

/// The text of the file; `None` if there is none. Of a file that is too large, no more than shows that it is.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let file = match private_file::open(path, OpenOptions::new().read(true), false) {
        Err(NotOpened::Io(error)) if is_missing(&error) && folder_of(path).is_dir() => return Ok(None),
        opened => opened.map_err(explain)?,
    };
    private_file::check_owner(path, &file).map_err(explain)?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(|error| explain(error.into()))?;
    Ok(Some(text))
}

fn explain(error: NotOpened) -> String {
    match error {
        NotOpened::Io(error) => match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist; create the folder first".to_owned(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                format!("permission denied ({error}); it must be readable, and be in a folder that is writable")
            }
            _ => format!("cannot read or write it: {error}"),
        },
        NotOpened::Link(target) => {
            let target = target.map_or("the file itself".to_owned(), |target| target.display().to_string());
            format!(
                "it is a symbolic link, and a user who can change the link can change the keys; give {target} instead"
            )
        }
        NotOpened::Unfit(words) => words,
    }
}

/// The file's next text, and the right to write it: no other process has a draft of the same file.
struct Draft {
    file: File,
    path: PathBuf,
    of: PathBuf,
}

impl Draft {
    /// Waits for other writers of the file at `of`.
    fn begin(of: &Path) -> Result<Draft, String> {
        let mut path = of.as_os_str().to_owned();
        path.push(".new");
        let path = PathBuf::from(path);
        let failed = |error: NotOpened| format!("its draft {}: {}", path.display(), explain(error));
        let mut last = io::ErrorKind::NotFound.into();
        for _ in 0..ATTEMPTS_MAX {
            match private_file::open(&path, OpenOptions::new().read(true).write(true), true) {
                Ok(file) => {
                    file.lock().map_err(|error| failed(error.into()))?;
                    // Renamed or removed by the process that had the lock before: this is no draft any more. And a
                    // link that was put there in this moment leads to another file.
                    if has_name(&file, &path) {
                        private_file::check_owner(&path, &file).map_err(failed)?;
                        return Ok(Draft { file, path, of: of.to_owned() });
                    }
                }
                // Made, or renamed, by another process in this moment.
                Err(NotOpened::Io(error))
                    if is_missing(&error) || error.kind() == io::ErrorKind::AlreadyExists =>
                {
                    last = error;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(last.into()))
    }

    /// Writes `text` and makes the draft the file, durably.
    fn publish(mut self, text: &str) -> Result<(), String> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.sync_all())
            .and_then(|()| std::fs::rename(&self.path, &self.of));
        written.map_err(|error| format!("its draft {}: {error}", self.path.display()))?;
        private_file::sync_folder(&self.of);
        Ok(())
    }

    fn discard(self) {
        // One that stays is overwritten by the next writer.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn has_name(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(opened), Ok(named)) => identity(&opened) == identity(&named),
        _ => false,
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
