//! Log lines on standard error or standard output, written by a thread of their own.
//!
//! The event loop must not wait for a terminal that someone has paused. So a line goes into a queue of
//! bounded length; when the queue is full the line is counted instead, and the count is printed when there is
//! room again. Control bytes are escaped: a request cannot forge a line, nor drive the terminal.
//!
//! What can happen once can happen ten times a second for a week. So every line has a rate ([`Log::with_rate`]): each
//! place in the source that logs may write [`BURST`] lines at once, and then one in each [`INTERVAL`]. What is
//! skipped is counted, and the place's next line says how many that were.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    /// `None` writes every line.
    rate: Option<Arc<Rate>>,
}

/// How many lines one place in the source may write at once.
pub const BURST: u32 = 10;

/// How often it may write one more.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// What each place in the source has written lately. There are as many entries as there are such places.
struct Rate {
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    places: Mutex<HashMap<&'static Location<'static>, Place>>,
}

struct Place {
    /// How many lines may be written at `since`; one more with each interval after it.
    left: u32,
    since: Instant,
    skipped: u64,
}

impl Rate {
    /// Whether `place` may write a line; if so, how many were skipped before it.
    fn admit(&self, place: &'static Location<'static>) -> Option<u64> {
        let now = (self.clock)();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(place).or_insert(Place { left: BURST, since: now, skipped: 0 });
        let passed = now.saturating_duration_since(place.since).as_nanos() / INTERVAL.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed > 0 {
            place.left = place.left.saturating_add(passed).min(BURST);
            // The rest of an interval that has begun counts.
            place.since =
                INTERVAL.checked_mul(passed).and_then(|time| place.since.checked_add(time)).unwrap_or(now);
        }
        match place.left.checked_sub(1) {
            Some(left) => {
                place.left = left;
                Some(std::mem::take(&mut place.skipped))
            }
            None => {
                place.skipped += 1;
                None
            }
        }
    }

    /// How many lines were skipped and are not mentioned in any line yet.
    fn take_skipped(&self) -> u64 {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.values_mut().map(|place| std::mem::take(&mut place.skipped)).sum()
    }
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
        Log { sink: Sink::Queue(Arc::new(Queue { lines, dropped, is_written, writer })), rate: None }
    }

    /// A log that is kept, for tests to read.
    pub fn kept() -> Log {
        Log { sink: Sink::Kept(Arc::default()), rate: None }
    }

    /// The same log, in which every place in the source has its rate, by `clock`.
    #[must_use]
    pub fn with_rate(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Log {
        let rate = Rate { clock: Box::new(clock), places: Mutex::default() };
        Log { rate: Some(Arc::new(rate)), ..self }
    }

    /// The lines of a log that is kept; none of one that is not.
    pub fn lines(&self) -> Vec<String> {
        match &self.sink {
            Sink::Queue(_) => Vec::new(),
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Adds a line, unless the place that calls this has had its share; never waits.
    #[track_caller]
    pub fn line(&self, text: fmt::Arguments<'_>) {
        // In a closure this would be the closure's own place.
        let place = Location::caller();
        match self.rate.as_ref().map(|rate| rate.admit(place)) {
            None | Some(Some(0)) => self.unlimited_line(text),
            Some(Some(skipped)) => {
                self.unlimited_line(format_args!(
                    "{text} ({skipped} more lines like this one were not written)"
                ));
            }
            Some(None) => {}
        }
    }

    /// Adds a line at no rate; never waits. For lines that were asked for (the access log), and for those whose caller
    /// keeps a bound of its own.
    pub fn unlimited_line(&self, text: fmt::Arguments<'_>) {
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

    /// Waits until what was logged before is written, but no longer than `time_max`: for the end of the program. A
    /// pipe that is full and never read must not keep the program from ending.
    pub fn flush(&self, time_max: Duration) {
        let skipped = self.rate.as_ref().map_or(0, |rate| rate.take_skipped());
        if skipped > 0 {
            self.unlimited_line(format_args!("{skipped} more lines like those above were not written"));
        }
        let Sink::Queue(queue) = &self.sink else { return };
        if !queue.is_written.load(Ordering::Acquire) {
            return;
        }
        let (written, is_written) = sync_channel(1);
        let queue = Arc::clone(queue);
        // A full queue makes its sender wait, so that is left to a thread, which ends with the program. With the
        // writing thread gone, or without a thread for this, there is nothing to wait for.
        let sender = std::thread::Builder::new().name("log-flush".to_owned());
        if sender.spawn(move || drop(queue.lines.send(Entry::Flush(written)))).is_ok() {
            let _ = is_written.recv_timeout(time_max);
        }
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
        let log = Log { sink: Sink::Queue(Arc::clone(&queue)), rate: None };
        for number in 0..3 {
            log.line(format_args!("{number}"));
        }
        assert!(matches!(waiting.recv(), Ok(Entry::Line(line)) if line == "0"));
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_line_that_repeats_has_a_rate_of_its_own_and_what_is_skipped_is_counted() {
        let start = Instant::now();
        let now = Arc::new(Mutex::new(start));
        let clock = Arc::clone(&now);
        let kept = Log::kept();
        let log = kept.clone().with_rate(move || *clock.lock().unwrap());
        let repeat = |log: &Log, times: usize| (0..times).for_each(|_| log.line(format_args!("again")));
        let count = || kept.lines().iter().filter(|line| line.starts_with("again")).count();
        repeat(&log.clone(), 1000);
        assert_eq!(count(), BURST as usize, "however many there are");
        log.line(format_args!("another"));
        assert_eq!(
            kept.lines().last().map(String::as_str),
            Some("another"),
            "each place has a share of its own"
        );
        *now.lock().unwrap() = start + INTERVAL - Duration::from_millis(1);
        repeat(&log, 10);
        assert_eq!(count(), BURST as usize);
        *now.lock().unwrap() = start + INTERVAL;
        repeat(&log, 10);
        let last = kept.lines().pop().unwrap();
        assert_eq!(last, "again (1000 more lines like this one were not written)");
        // A day of it.
        for second in 0..86_400 {
            *now.lock().unwrap() = start + INTERVAL + Duration::from_secs(second);
            repeat(&log, 10);
        }
        assert_eq!(count(), BURST as usize + 1440);
        log.flush(Duration::ZERO);
        assert_eq!(kept.lines().last().unwrap(), "599 more lines like those above were not written");
    }

    /// Standard error as a full pipe that is never read: writing to it waits until the test ends.
    struct Stuck(Receiver<()>);

    impl io::Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flush_ends_in_its_time_though_the_output_is_never_read() {
        for lines in [1, 20] {
            let (end, is_over) = sync_channel(0);
            let log = Log::to(Box::new(Stuck(is_over)), 2);
            (0..lines).for_each(|number| log.line(format_args!("{number}")));
            // Without a bound this waits for ever: for the writer, or for room in the queue.
            log.flush(Duration::from_millis(10));
            drop(end);
            // With somebody who reads, it waits for what it is to wait for.
            log.flush(Duration::from_secs(60));
        }
    }
}
