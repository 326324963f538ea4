//! Log lines on standard error or standard output, written by a thread of their own.
//!
//! The event loop must not wait for a paused terminal. So a line goes into a bounded queue; when the queue is full,
//! the line is dropped and counted, and the count is printed when there is room again. Control characters are
//! escaped, so a request can neither forge a line nor control the terminal. So are characters that are not seen, or
//! that change the direction of the text beside them.
//!
//! An error that repeats must not fill the disk. So lines are rate-limited ([`Log::with_rate`]): each place in the
//! source that logs may write [`BURST`] lines at once, and then one per [`INTERVAL`]. Skipped lines are counted, and
//! the place's next line states the count.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

mod form;
mod queue;

pub use form::Rfc3339;

use form::Form;
use queue::Queue;

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
        Log { sink: Sink::Queue(Arc::new(Queue::new(output, lines_max, form))), rate: None }
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
        lines.into_iter().flatten().for_each(|line| held.to.put(line));
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
        self.put(escaped(text));
    }

    /// Adds a line that is a JSON object, without a rate limit. Never blocks. Invisible characters are escaped as in
    /// JSON: with the escapes of the other lines, the object would be malformed.
    pub fn json_line(&self, object: &str) {
        self.put(json_escaped(object));
    }

    fn put(&self, line: String) {
        match &self.sink {
            Sink::Kept(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).push(line),
            Sink::Held(held) => match &mut *held.lines.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(lines) => lines.push(line),
                None => held.to.put(line),
            },
            Sink::Queue(queue) => queue.push(line),
        }
    }

    /// Blocks until all earlier lines are written, for at most `time_max`. For the end of the program, which a full
    /// pipe that is never read must not prevent.
    pub fn flush(&self, time_max: Duration) {
        let skipped = self.rate.as_ref().map_or(0, |rate| rate.take_skipped());
        if skipped > 0 {
            self.unlimited_line(format_args!("{skipped} more lines like those above were skipped"));
        }
        if let Sink::Queue(queue) = &self.sink {
            queue.flush(time_max);
        }
    }
}

/// Formats `text` with control characters and invisible ones escaped as in Rust.
fn escaped(text: fmt::Arguments<'_>) -> String {
    struct Escaped(String);
    impl fmt::Write for Escaped {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for character in text.chars() {
                if is_invisible(character) {
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

/// Escapes the invisible characters of `object`, which can only occur within its strings, by their UTF-16 code units
/// (RFC 8259, 7).
fn json_escaped(object: &str) -> String {
    let mut line = String::with_capacity(object.len());
    for character in object.chars() {
        if !is_invisible(character) {
            line.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\u{unit:04x}");
        }
    }
    line
}

/// The characters that a client's name must not have (`oauth/client_name.rs`), and the line ends of Unicode. Repeated
/// here, because this layer imports no other; a test below compares them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client_name;

    #[test]
    fn a_logged_text_cannot_forge_a_line_nor_drive_the_terminal() {
        let check = |text: &str, expected: &str| {
            let log = Log::kept();
            log.line(format_args!("GET {text} 400"));
            assert_eq!(log.lines(), [format!("GET {expected} 400")]);
        };
        check("/\r\n127.0.0.1 GET / 200\x1b[2J", "/\\r\\n127.0.0.1 GET / 200\\u{1b}[2J");
        check("x=\u{202e}ver\u{2066}", "x=\\u{202e}ver\\u{2066}");
        check("/\u{2028}GET\u{2029}\u{85}", "/\\u{2028}GET\\u{2029}\\u{85}");
        check("\u{200b}\u{feff}\u{e0041}", "\\u{200b}\\u{feff}\\u{e0041}");
        check("/приложение 应用 📦 Vie\u{323}t é", "/приложение 应用 📦 Vie\u{323}t é");
    }

    #[test]
    fn what_a_clients_name_must_not_have_is_escaped() {
        let is_kept = |character: &char| client_name::is_invisible(*character) && !is_invisible(*character);
        let kept: Vec<char> = ('\0'..=char::MAX).filter(is_kept).collect();
        assert_eq!(kept, Vec::<char>::new());
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
}
