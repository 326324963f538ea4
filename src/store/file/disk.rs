//! The file while it is open: used by both of the store's threads, closed when it fails, and opened again.
//!
//! After a disk error the database refuses further work, because its memory may no longer match the file. So it is
//! closed and reopened. If that fails, or if writes keep failing (a full disk), retries back off exponentially; reads
//! continue meanwhile if they can. Requests that need what does not work get [`StoreError::Unavailable`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redb::Database;

use super::super::StoreError;
use super::place::Place;
use crate::log::Log;

/// The pause after the first failure; each further failure doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A failure this long after the last one counts as the first.
const CALM: Duration = Duration::from_secs(30);

/// Opens the file; the error is the reason, as text.
pub(super) type Open = Box<dyn Fn() -> Result<Database, String> + Send + Sync>;

/// What a caller does with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// The file while it is open; see the module's documentation.
pub(super) struct Disk {
    open: Open,
    /// `None` for a test's storage, which has no path.
    place: Option<Arc<Place>>,
    database: RwLock<Option<Database>>,
    trouble: Mutex<Trouble>,
    pub(super) log: Log,
}

/// Recent failures, which set the pauses before retries.
#[derive(Default)]
struct Trouble {
    last: Option<Instant>,
    pause: Duration,
    /// The end of the pause in opening, and in writing.
    no_opening_until: Option<Instant>,
    no_writing_until: Option<Instant>,
    /// Another file, or none, has the file's name.
    is_displaced: bool,
}

impl Trouble {
    /// Counts a failure at `now`; returns the end of the pause before the next try.
    fn note(&mut self, now: Instant) -> Instant {
        let is_calm = self.last.is_none_or(|last| now.saturating_duration_since(last) > CALM);
        self.pause = if is_calm { PAUSE_MIN } else { (self.pause * 2).min(PAUSE_MAX) };
        self.last = Some(now);
        now + self.pause
    }
}

impl Disk {
    /// For the open `database`, how to reopen it, and where its file is.
    pub(super) fn new(database: Database, open: Open, place: Option<Arc<Place>>, log: Log) -> Disk {
        Disk { open, place, database: RwLock::new(Some(database)), trouble: Mutex::default(), log }
    }

    /// Does `work` with the database at `now`. A closed database is reopened first, once its pause is over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database is closed, or fails and is closed now. Also for a write if another
    /// file has its name: then it stays open, so that it can be read and moved back.
    pub(super) fn with<T>(
        &self,
        access: Access,
        now: Instant,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.make_ready(access, now)?;
        self.check_place(access)?;
        let failure = {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = &*database else { return Err(StoreError::Unavailable) };
            // A damaged file may make the database panic. It is then closed and reopened, so no half-updated memory is
            // used again.
            match catch_unwind(AssertUnwindSafe(|| work(database))) {
                // A write is safe only if the file still has its name afterwards.
                Ok(Ok(done)) => return self.check_place(access).map(|()| done),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the database panicked".to_owned(),
            }
        };
        self.close(access, now, &failure);
        Err(StoreError::Unavailable)
    }

    fn make_ready(&self, access: Access, now: Instant) -> Result<(), StoreError> {
        let is_open = || self.database.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if access == Access::Read && is_open() {
            return Ok(());
        }
        // One thread at a time opens it; the other waits here for the result.
        let mut trouble = self.trouble();
        let is_put_off = |until: Option<Instant>| until.is_some_and(|until| now < until);
        if access == Access::Write && is_put_off(trouble.no_writing_until) {
            return Err(StoreError::Unavailable);
        }
        if is_open() {
            return Ok(());
        }
        if is_put_off(trouble.no_opening_until) {
            return Err(StoreError::Unavailable);
        }
        let opened = catch_unwind(AssertUnwindSafe(|| (self.open)()));
        match opened.unwrap_or_else(|_| Err("the database panicked".to_owned())) {
            Ok(database) => {
                *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
                self.log.line(format_args!("the store's file is open again"));
                Ok(())
            }
            Err(message) => {
                trouble.no_opening_until = Some(trouble.note(now));
                let pause = trouble.pause;
                self.log.line(format_args!("{message}; retrying in {pause:?}"));
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Fails if the next process that opens the file by its name would not find a write.
    fn check_place(&self, access: Access) -> Result<(), StoreError> {
        let Some(place) = self.place.as_ref().filter(|_| access == Access::Write) else { return Ok(()) };
        let (checked, mut trouble) = (place.check(), self.trouble());
        let was_displaced = std::mem::replace(&mut trouble.is_displaced, checked.is_err());
        match checked {
            Ok(()) if was_displaced => self.log.line(format_args!("the store's file is back in its place")),
            Ok(()) => {}
            Err(message) => {
                self.log.line(format_args!("{message}"));
                return Err(StoreError::Unavailable);
            }
        }
        Ok(())
    }

    fn close(&self, access: Access, now: Instant, failure: &str) {
        // Locked to the end, so that no other thread opens the file before it is closed.
        let mut trouble = self.trouble();
        let taken = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(database) = taken else { return };
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
        let until = trouble.note(now);
        if access == Access::Write {
            trouble.no_writing_until = Some(until);
        }
        let pause = trouble.pause;
        self.log.line(format_args!(
            "the store's file failed: {failure}; reopening it; requests that need it get 503 for {pause:?}"
        ));
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_whose_file_loses_its_name_meanwhile_is_not_confirmed() {
        let path = std::env::temp_dir().join(format!("oauth-from-scratch-{}-meanwhile", std::process::id()));
        let place = Arc::new(Place::new(&path));
        drop(place.open(true).unwrap());
        let database = Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).unwrap();
        let never = Box::new(|| Err("it stays open".to_owned()));
        let disk = Disk::new(database, never, Some(place), Log::kept());
        let now = Instant::now();
        assert_eq!(disk.with(Access::Write, now, |_| Ok(1)), Ok(1));
        let removed = disk.with(Access::Write, now, |_| {
            std::fs::remove_file(&path).unwrap();
            Ok(2)
        });
        assert_eq!(removed, Err(StoreError::Unavailable));
        assert!(disk.log.lines()[0].contains("was removed while it was open"), "{:?}", disk.log.lines());
        assert_eq!(disk.with(Access::Read, now, |_| Ok(3)), Ok(3));
    }
}
