//! A file of a test's own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file with a name that no other test of this or another process has, until it is dropped.
pub struct File(PathBuf);

impl File {
    /// One that holds `text`.
    pub fn new(name: &str, text: &str) -> File {
        let file = File::absent(name);
        std::fs::write(&file.0, text).expect("a file for the test");
        file
    }

    /// A path at which there is no file yet.
    pub fn absent(name: &str) -> File {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("oauth-from-scratch-{}-{number}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        File(path)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("a name that is text")
    }

    pub fn exists(&self) -> bool {
        self.0.exists()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
