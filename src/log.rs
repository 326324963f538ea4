//! Log lines on standard error or standard output, written by a thread of their own.
//!
//! The event loop must not wait for a terminal that someone has paused. So a line goes into a queue of
//! bounded length; when the queue is full the line is counted instead, and the count is printed when there is
//! room again. Control bytes are escaped: a request cannot forge a line, nor drive the terminal.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The two logs there are.
#[derive(Clone)]
pub struct Logs {
    /// What went wrong, and what an operator should know.
    pub errors: Log,
    /// A line for each request, where `Config::access_log` wants it.
    pub access: Log,
}

/// Where log lines go. Clones share one queue.
#[derive(Clone)]
pub struct Log {
    sink: Sink,
}

#[derive(Clone)]
enum Sink {
    Queue { lines: SyncSender<Entry>, dropped: Arc<AtomicUsize> },
    Kept(Arc<Mutex<Vec<String>>>),
}

/// What goes through the queue.
enum Entry {
    Line(String),
    /// To be answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// Lines are written together, up to about this many bytes at a time.
const BATCH_BYTES: usize = 64 * 1024;

impl Log {
    /// A log to standard error, of which at most `lines_max` lines wait at a time.
    ///
    /// # Errors
    /// When the thread that writes it cannot be started.
    pub fn to_stderr(lines_max: usize) -> io::Result<Log> {
        Log::to(io::stderr(), lines_max)
    }

    /// The same to standard output.
    ///
    /// # Errors
    /// When the thread that writes it cannot be started.
    pub fn to_stdout(lines_max: usize) -> io::Result<Log> {
        Log::to(io::stdout(), lines_max)
    }

    fn to(output: impl io::Write + Send + 'static, lines_max: usize) -> io::Result<Log> {
        let (lines, queue) = sync_channel(lines_max);
        let dropped = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(output, &queue, &counter))?;
        Ok(Log { sink: Sink::Queue { lines, dropped } })
    }

    /// A log that is kept, for tests to read.
    pub fn kept() -> Log {
        Log { sink: Sink::Kept(Arc::default()) }
    }

    /// The lines of a log that is kept; none of one that is not.
    pub fn lines(&self) -> Vec<String> {
        match &self.sink {
            Sink::Queue { .. } => Vec::new(),
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Adds a line; never waits.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        let line = escaped(text);
        match &self.sink {
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).push(line),
            Sink::Queue { lines, dropped } => {
                if lines.try_send(Entry::Line(line)).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Log {
    /// Waits until what was logged before is written: for the end of the program.
    pub fn flush(&self) {
        if let Sink::Queue { lines, .. } = &self.sink {
            let (written, is_written) = sync_channel(1);
            // With the writing thread gone there is nothing to wait for.
            let _ = lines.send(Entry::Flush(written)).map(|()| is_written.recv());
        }
    }
}

/// `text` with its control characters as Rust escapes them.
fn escaped(text: fmt::Arguments<'_>) -> String {
    struct Escaped(String);
    impl fmt::Write for Escaped {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for character in text.chars() {
                match character.is_control() {
                    true => self.0.extend(character.escape_default()),
                    false => self.0.push(character),
                }
            }
            Ok(())
        }
    }
    let mut line = Escaped(String::new());
    // Writing to a string cannot fail.
    let _ = line.write_fmt(text);
    line.0
}

fn write_all(mut output: impl io::Write, queue: &Receiver<Entry>, dropped: &AtomicUsize) {
    let mut batch = String::new();
    for entry in queue {
        let mut flushed = Vec::new();
        let mut next = Some(entry);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => {
                    batch.push_str(&line);
                    batch.push('\n');
                }
                Entry::Flush(written) => flushed.push(written),
            }
            next = if batch.len() < BATCH_BYTES { queue.try_recv().ok() } else { None };
        }
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(batch, "({missing} more log lines came faster than they could be written)");
        }
        // A closed output leaves nobody to tell.
        let _ = output.write_all(batch.as_bytes()).and_then(|()| output.flush());
        batch.clear();
        for written in flushed {
            let _ = written.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_text_cannot_forge_a_line_nor_drive_the_terminal() {
        let log = Log::kept();
        log.line(format_args!("GET {} 400", "/\r\n127.0.0.1 GET / 200\x1b[2J"));
        assert_eq!(log.lines(), ["GET /\\r\\n127.0.0.1 GET / 200\\u{1b}[2J 400"]);
    }

    #[test]
    fn a_line_too_many_is_counted_and_nobody_waits() {
        let (lines, queue) = sync_channel(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        let log = Log { sink: Sink::Queue { lines, dropped: Arc::clone(&dropped) } };
        for number in 0..3 {
            log.line(format_args!("{number}"));
        }
        assert!(matches!(queue.recv(), Ok(Entry::Line(line)) if line == "0"));
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
    }
}
