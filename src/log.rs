//! Log lines on standard error or standard output, written by a thread of their own.
//!
//! The event loop must not wait for a paused terminal. So a line goes into a bounded queue; when the queue is full,
//! the line is dropped and counted, and the count is printed when there is room again. Control characters are
//! escaped, so a request can neither forge a line nor control the terminal.
//!
//! An error that repeats must not fill the disk. So lines are rate-limited ([`Log::with_rate`]): each place in the
//! source that logs may write [`BURST`] lines at once, and then one per [`INTERVAL`]. Skipped lines are counted, and
//! the place's next line states the count.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The two logs of a server.
#[derive(Clone)]
pub struct Logs {
    /// Errors and notices for the operator.
    pub errors: Log,
    /// One line per request, if `Config::access_log` is set.
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

/// How long it takes until that place may write one more.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// The recent output of each place in the source that logs; the map is bounded by the number of such places.
struct Rate {
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    places: Mutex<HashMap<&'static Location<'static>, Place>>,
}

struct Place {
    /// The lines that may be written at `since`; each interval after it adds one.
    left: u32,
    since: Instant,
    skipped: u64,
}

impl Rate {
    /// The number of lines skipped before this one if `place` may write a line; `None` if it may not.
    fn admit(&self, place: &'static Location<'static>) -> Option<u64> {
        let now = (self.clock)();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(place).or_insert(Place { left: BURST, since: now, skipped: 0 });
        let passed = now.saturating_duration_since(place.since).as_nanos() / INTERVAL.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed > 0 {
            place.left = place.left.saturating_add(passed).min(BURST);
            // Keep the fraction of the current interval.
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

    /// Takes the number of skipped lines that no line has reported yet.
    fn take_skipped(&self) -> u64 {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.values_mut().map(|place| std::mem::take(&mut place.skipped)).sum()
    }
}

#[derive(Clone)]
enum Sink {
    Queue(Arc<Queue>),
    Kept(Arc<Mutex<Vec<String>>>),
    Held(Arc<Held>),
}

/// Lines that are buffered until [`Log::release`].
struct Held {
    to: Log,
    /// `None` once released: later lines are written at once.
    lines: Mutex<Option<Vec<String>>>,
}

/// Lines on their way to the writer thread. The first line starts it: system calls are cheaper in a process with a
/// single thread, and most processes log nothing.
struct Queue {
    lines: SyncSender<Entry>,
    /// The number of lines that did not fit into the queue.
    dropped: AtomicUsize,
    /// Whether the writer thread runs.
    is_written: AtomicBool,
    writer: Mutex<Option<Writer>>,
    form: Form,
}

/// Gives the time of day.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The format of lines.
#[derive(Clone)]
enum Form {
    /// Unchanged.
    Plain,
    /// With a timestamp in front.
    Timed(Clock),
    /// With a timestamp in front, and in the colour of its first character: a trace on a terminal.
    Coloured(Clock),
    /// Unchanged, because each is a JSON object. The log's own lines are JSON objects as well.
    Json(Clock),
}

impl Form {
    /// Formats `line`.
    fn apply(&self, line: String) -> String {
        match self {
            Form::Timed(clock) => format!("{} {line}", Rfc3339(clock())),
            Form::Coloured(clock) => {
                format!("\x1b[{}m{} {line}\x1b[0m", colour_of(&line), Rfc3339(clock()))
            }
            Form::Plain | Form::Json(_) => line,
        }
    }

    /// The line that reports `count` dropped lines.
    fn missing(&self, count: usize) -> String {
        const WORDS: &str = "more log lines were dropped: they came faster than they could be written";
        match self {
            Form::Json(clock) => {
                let time = Rfc3339(clock());
                format!("{{\"time\":\"{time}\",\"lost_lines\":{count},\"reason\":\"{WORDS}\"}}")
            }
            form => form.apply(format!("({count} {WORDS})")),
        }
    }
}

/// Prints a time as in RFC 3339, in UTC with milliseconds.
pub struct Rfc3339(pub SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The format has four digits for the year.
        const LAST: Duration = Duration::from_millis(253_402_300_799_999);
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default().min(LAST);
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millisecond = since.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }
}

/// The year, month and day that is `days` days after 1970-01-01. Internally a year starts in March, so that the leap
/// day is its last day; 400 years have 146,097 days.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + year_of_era + u64::from(is_next_year), month, day)
}

/// The colour of a line of a trace, as a terminal knows it (ECMA-48, 8.3.117): cyan for a request, green for an answer,
/// red for a refusal, faint for what belongs to the line above.
fn colour_of(line: &str) -> u8 {
    const COLOURS: [(&str, u8); 3] = [("→", 36), ("←", 32), ("✗", 31)];
    const FAINT: u8 = 2;
    COLOURS.iter().find(|(mark, _)| line.starts_with(mark)).map_or(FAINT, |(_, colour)| *colour)
}

/// The receiving end of the queue, with the output.
struct Writer {
    output: Box<dyn io::Write + Send>,
    waiting: Receiver<Entry>,
}

/// What goes through the queue.
enum Entry {
    Line(String),
    /// Acknowledged once every line before it is written.
    Flush(SyncSender<()>),
}

/// Lines are written in batches of about this many bytes at most.
const BATCH_BYTES: usize = 64 * 1024;

impl Log {
    /// A log to standard error with a timestamp on each line. At most `lines_max` lines wait in its queue.
    pub fn to_stderr(lines_max: usize, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Log {
        Log::to(Box::new(io::stderr()), lines_max, Form::Timed(Arc::new(clock)))
    }

    /// The same in colour, for a terminal. The first character of a line says in which (`wire/trace.rs`).
    pub fn to_stderr_in_colour(
        lines_max: usize,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Log {
        Log::to(Box::new(io::stderr()), lines_max, Form::Coloured(Arc::new(clock)))
    }

    /// The same without timestamps, for the message of a program that exits at once.
    pub fn to_stderr_untimed(lines_max: usize) -> Log {
        Log::to(Box::new(io::stderr()), lines_max, Form::Plain)
    }

    /// A log to standard output, without timestamps.
    pub fn to_stdout(lines_max: usize) -> Log {
        Log::to(Box::new(io::stdout()), lines_max, Form::Plain)
    }

    /// A log to standard output in which every line is a JSON object.
    pub fn to_stdout_as_json(lines_max: usize, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Log {
        Log::to(Box::new(io::stdout()), lines_max, Form::Json(Arc::new(clock)))
    }

    fn to(output: Box<dyn io::Write + Send>, lines_max: usize, form: Form) -> Log {
        let (lines, waiting) = sync_channel(lines_max);
        let writer = Mutex::new(Some(Writer { output, waiting }));
        let (dropped, is_written) = (AtomicUsize::new(0), AtomicBool::new(false));
        Log { sink: Sink::Queue(Arc::new(Queue { lines, dropped, is_written, writer, form })), rate: None }
    }

    /// A log that keeps its lines in memory, for tests.
    pub fn kept() -> Log {
        Log { sink: Sink::Kept(Arc::default()), rate: None }
    }

    /// Rate-limits the log for each place in the source, measured by `clock`.
    #[must_use]
    pub fn with_rate(self, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Log {
        let rate = Rate { clock: Box::new(clock), places: Mutex::default() };
        Log { rate: Some(Arc::new(rate)), ..self }
    }

    /// The same log, but its lines are buffered until [`Log::release`] and dropped without it. A start that fails is
    /// then reported in one message, without the log lines of the attempt.
    #[must_use]
    pub fn held(&self) -> Log {
        let held = Held { to: self.clone(), lines: Mutex::new(Some(Vec::new())) };
        Log { sink: Sink::Held(Arc::new(held)), rate: None }
    }

    /// Writes the buffered lines. Later lines are written at once.
    pub fn release(&self) {
        let Sink::Held(held) = &self.sink else { return };
        let lines = held.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        lines.into_iter().flatten().for_each(|line| held.to.unlimited_line(format_args!("{line}")));
    }

    /// The lines of a [`Log::kept`]; empty for other logs.
    pub fn lines(&self) -> Vec<String> {
        match &self.sink {
            Sink::Queue(_) | Sink::Held(_) => Vec::new(),
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Adds a line, unless the calling place exceeds its rate. Never blocks.
    #[track_caller]
    pub fn line(&self, text: fmt::Arguments<'_>) {
        // Not inside the closure below, where it would name the closure.
        let place = Location::caller();
        let rate = match &self.sink {
            Sink::Held(held) => &held.to.rate,
            _ => &self.rate,
        };
        match rate.as_ref().map(|rate| rate.admit(place)) {
            None | Some(Some(0)) => self.unlimited_line(text),
            Some(Some(skipped)) => {
                self.unlimited_line(format_args!("{text} ({skipped} more lines like this one were skipped)"));
            }
            Some(None) => {}
        }
    }

    /// Adds a line without a rate limit. Never blocks. For the access log, and for callers that limit their own lines.
    pub fn unlimited_line(&self, text: fmt::Arguments<'_>) {
        let line = escaped(text);
        match &self.sink {
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).push(line),
            Sink::Held(held) => match &mut *held.lines.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(lines) => lines.push(line),
                None => held.to.unlimited_line(format_args!("{line}")),
            },
            Sink::Queue(queue) => {
                if queue.lines.try_send(Entry::Line(queue.form.apply(line))).is_err() {
                    queue.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Queue::begin(queue);
            }
        }
    }

    /// Blocks until all earlier lines are written, for at most `time_max`. For the end of the program, which a full
    /// pipe that is never read must not prevent.
    pub fn flush(&self, time_max: Duration) {
        let skipped = self.rate.as_ref().map_or(0, |rate| rate.take_skipped());
        if skipped > 0 {
            self.unlimited_line(format_args!("{skipped} more lines like those above were skipped"));
        }
        let Sink::Queue(queue) = &self.sink else { return };
        if !queue.is_written.load(Ordering::Acquire) {
            return;
        }
        let (written, is_written) = sync_channel(1);
        let queue = Arc::clone(queue);
        // A full queue blocks its sender, so a thread sends, which ends with the program. If the writer has ended or
        // this thread cannot start, there is nothing to wait for.
        let sender = std::thread::Builder::new().name("log-flush".to_owned());
        if sender.spawn(move || drop(queue.lines.send(Entry::Flush(written)))).is_ok() {
            let _ = is_written.recv_timeout(time_max);
        }
    }
}

impl Queue {
    /// Starts the writer thread if it does not run yet.
    fn begin(queue: &Arc<Queue>) {
        if queue.is_written.load(Ordering::Acquire) {
            return;
        }
        let Some(writer) = queue.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let counter = Arc::clone(queue);
        let thread = std::thread::Builder::new().name("log".to_owned());
        // If the thread cannot start, lines are dropped and counted, and the server continues.
        let result = thread.spawn(move || write_all(writer.output, &writer.waiting, &counter));
        queue.is_written.store(result.is_ok(), Ordering::Release);
    }
}

/// Formats `text` with control characters escaped as in Rust.
fn escaped(text: fmt::Arguments<'_>) -> String {
    struct Escaped(String);
    impl fmt::Write for Escaped {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for character in text.chars() {
                if character.is_control() {
                    self.0.extend(character.escape_default())
                } else {
                    self.0.push(character)
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

fn write_all(mut output: impl io::Write, waiting: &Receiver<Entry>, queue: &Queue) {
    let mut batch = String::new();
    for entry in waiting {
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
            next = if batch.len() < BATCH_BYTES { waiting.try_recv().ok() } else { None };
        }
        let missing = queue.dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            batch.push_str(&queue.form.missing(missing));
            batch.push('\n');
        }
        // If the output is closed, there is nowhere to report it.
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
    fn a_moment_is_written_as_rfc_3339_has_it() {
        let check = |milliseconds: u64, expected: &str| {
            let time = UNIX_EPOCH + Duration::from_millis(milliseconds);
            assert_eq!(Rfc3339(time).to_string(), expected);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_007, "2000-02-29T00:00:00.007Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(1_767_225_599_999, "2025-12-31T23:59:59.999Z");
        check(1_767_225_600_000, "2026-01-01T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        check(999_999_999_999_999, "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_line_has_its_logs_format_the_count_of_lost_ones_too() {
        let clock: Clock = Arc::new(|| UNIX_EPOCH);
        let timed = Form::Timed(Arc::clone(&clock));
        assert_eq!(timed.apply("a".to_owned()), "1970-01-01T00:00:00.000Z a");
        assert!(timed.missing(3).starts_with("1970-01-01T00:00:00.000Z (3 more log lines"));
        let json = Form::Json(clock);
        assert_eq!(json.apply("{}".to_owned()), "{}");
        let lost: serde_json::Value = serde_json::from_str(&json.missing(3)).expect("JSON");
        assert_eq!((&lost["time"], &lost["lost_lines"]), (&"1970-01-01T00:00:00.000Z".into(), &3.into()));
    }

    #[test]
    fn held_lines_are_written_on_release_and_not_before() {
        let log = Log::kept();
        let failed = log.held();
        failed.line(format_args!("tried in vain"));
        drop(failed);
        let held = log.held();
        held.clone().line(format_args!("tried"));
        assert_eq!(log.lines(), Vec::<String>::new());
        held.release();
        held.clone().line(format_args!("and then"));
        assert_eq!(log.lines(), ["tried", "and then"]);
    }

    #[test]
    fn a_line_too_many_is_counted_and_nobody_waits() {
        let (lines, waiting) = sync_channel(1);
        let (dropped, is_written) = (AtomicUsize::new(0), AtomicBool::new(true));
        // No thread writes, as if the terminal were paused.
        let queue = Arc::new(Queue { lines, dropped, is_written, writer: Mutex::new(None), form: Form::Plain });
        let log = Log { sink: Sink::Queue(Arc::clone(&queue)), rate: None };
        for number in 0..3 {
            log.line(format_args!("{number}"));
        }
        assert!(matches!(waiting.recv(), Ok(Entry::Line(line)) if line == "0"));
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_repeated_line_has_its_own_rate_and_skips_are_counted() {
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
        assert_eq!(last, "again (1000 more lines like this one were skipped)");
        // A day of it.
        for second in 0..86_400 {
            *now.lock().unwrap() = start + INTERVAL + Duration::from_secs(second);
            repeat(&log, 10);
        }
        assert_eq!(count(), BURST as usize + 1440);
        log.flush(Duration::ZERO);
        assert_eq!(kept.lines().last().unwrap(), "599 more lines like those above were skipped");
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
            let log = Log::to(Box::new(Stuck(is_over)), 2, Form::Plain);
            (0..lines).for_each(|number| log.line(format_args!("{number}")));
            // Without a bound this waits for ever: for the writer, or for room in the queue.
            log.flush(Duration::from_millis(10));
            drop(end);
            // With somebody who reads, it waits for what it is to wait for.
            log.flush(Duration::from_secs(60));
        }
    }
}
