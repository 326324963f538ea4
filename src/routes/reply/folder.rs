//! `--www DIR`: assets read from a folder at each request, so that a learner edits a page and reloads.
//!
//! Reading blocks the event loop. That is acceptable for a person at one browser, and the only reason why the option is
//! not for production.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::assets::Asset;

/// A folder that has every asset at its path.
pub(crate) struct Folder {
    path: PathBuf,
    /// A larger file is refused.
    bytes_max: u64,
}

/// An asset cannot be read from the folder given with `--www`.
#[derive(Debug)]
pub struct PageMissing {
    /// Its path below the folder.
    pub path: &'static str,
    /// The system's reason.
    pub error: io::Error,
}

impl fmt::Display for PageMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read ({})", self.path, self.error)
    }
}

impl std::error::Error for PageMissing {}

/// Checks that `folder` has every asset. Called at startup, so that a mistyped path is found then and not by a browser.
///
/// # Errors
/// The first file that cannot be read.
pub fn check_folder(folder: &Path) -> Result<(), PageMissing> {
    for asset in Asset::ALL.iter().copied() {
        let path = asset.source().path;
        File::open(folder.join(path)).map_err(|error| PageMissing { path, error })?;
    }
    Ok(())
}

impl Folder {
    /// The folder at `path`, from which no file of more than `bytes_max` bytes is read.
    pub(crate) fn new(path: PathBuf, bytes_max: u64) -> Folder {
        Folder { path, bytes_max }
    }

    /// The content of `asset` at this moment.
    ///
    /// # Errors
    /// When it cannot be read, is not UTF-8 or is too large.
    pub(crate) fn read(&self, asset: Asset) -> io::Result<String> {
        let mut text = String::new();
        let file = File::open(self.path.join(asset.source().path))?;
        file.take(self.bytes_max + 1).read_to_string(&mut text)?;
        if text.len() as u64 > self.bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large"));
        }
        Ok(text)
    }
}
