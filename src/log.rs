//! Log lines on standard error or standard output, written by a thread of their own.
//!
//! The event loop must not wait for a terminal that someone has paused. So a line goes into a queue of
//! bounded length; when the queue is full the line is counted instead, and the count is printed when there is
//! room again. Control bytes are escaped: a request cannot forge a line, nor drive the terminal.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    Queue(Arc<Queue>),
    Kept(Arc<Mutex<Vec<String>>>),
}

/// Lines on their way to a thread that begins with the first of them: a process of one thread has cheaper
/// system calls than one of two, and most have nothing to say.
struct Queue {
    lines: SyncSender<Entry>,
    /// Lines that found no room.
    dropped: AtomicUsize,
    /// Whether the thread has begun.
    is_written: AtomicBool,
    writer: Mutex<Option<Writer>>,
}

/// The queue's other end.
struct Writer {
    output: Box<dyn io::Write + Send>,
    waiting: Receiver<Entry>,
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
    pub fn to_stderr(lines_max: usize) -> Log {
        Log::to(Box::new(io::stderr()), lines_max)
    }

    /// The same to standard output.
    pub fn to_stdout(lines_max: usize) -> Log {
        Log::to(Box::new(io::stdout()), lines_max)
    }

    fn to(output: Box<dyn io::Write + Send>, lines_max: usize) -> Log {
        let (lines, waiting) = sync_channel(lines_max);
        let writer = Mutex::new(Some(Writer { output, waiting }));
        let (dropped, is_written) = (AtomicUsize::new(0), AtomicBool::new(false));
        Log { sink: Sink::Queue(Arc::new(Queue { lines, dropped, is_written, writer })) }
    }

    /// A log that is kept, for tests to read.
    pub fn kept() -> Log {
        Log { sink: Sink::Kept(Arc::default()) }
    }

    /// The lines of a log that is kept; none of one that is not.
    pub fn lines(&self) -> Vec<String> {
        match &self.sink {
            Sink::Queue(_) => Vec::new(),
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Adds a line; never waits.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        let line = escaped(text);
        match &self.sink {
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).push(line),
            Sink::Queue(queue) => {
                if queue.lines.try_send(Entry::Line(line)).is_err() {
                    queue.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Queue::begin(queue);
            }
        }
    }

    /// Waits until what was logged before is written: for the end of the program.
    pub fn flush(&self) {
        let Sink::Queue(queue) = &self.sink else { return };
        if !queue.is_written.load(Ordering::Acquire) {
            return;
        }
        let (written, is_written) = sync_channel(1);
        // With the writing thread gone there is nothing to wait for.
        let _ = queue.lines.send(Entry::Flush(written)).map(|()| is_written.recv());
    }
}

impl Queue {
    /// Sees to it that the lines are being written.
    fn begin(queue: &Arc<Queue>) {
        if queue.is_written.load(Ordering::Acquire) {
            return;
        }
        let Some(writer) = queue.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let counter = Arc::clone(queue);
        let thread = std::thread::Builder::new().name("log".to_owned());
        // Where the system has no thread to give, lines are dropped and counted, and the server goes on.
        let result = thread.spawn(move || write_all(writer.output, &writer.waiting, &counter.dropped));
        queue.is_written.store(result.is_ok(), Ordering::Release);
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
        let (lines, waiting) = sync_channel(1);
        let (dropped, is_written) = (AtomicUsize::new(0), AtomicBool::new(true));
        // Nobody writes: it is as if the terminal were paused.
        let queue = Arc::new(Queue { lines, dropped, is_written, writer: Mutex::new(None) });
        let log = Log { sink: Sink::Queue(Arc::clone(&queue)) };
        for number in 0..3 {
            log.line(format_args!("{number}"));
        }
        assert!(matches!(waiting.recv(), Ok(Entry::Line(line)) if line == "0"));
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);
    }
}
