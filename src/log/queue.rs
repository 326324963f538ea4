//! The queue of a log, and the thread that writes what is in it.
//!
//! [`Queue::push`] never waits for the output: past the bound, a line is lost and counted. The first line starts the
//! thread: system calls are cheaper in a process with a single thread, and most processes log nothing. The thread
//! writes in batches, and ends with the program.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::form::Form;

/// Lines are written in batches of about this many bytes at most.
const BATCH_BYTES: usize = 64 * 1024;

/// Lines on their way to an output.
pub(super) struct Queue {
    form: Form,
    lines_max: usize,
    state: Mutex<State>,
    /// Signalled when there is a line for a writer that waits.
    has_line: Condvar,
    /// Signalled after each batch.
    is_written: Condvar,
}

struct State {
    lines: VecDeque<String>,
    /// How many lines were lost since the last batch.
    lost: usize,
    /// How many lines were accepted, and how many of those are written, since the start.
    accepted: u64,
    written: u64,
    writer: Writer,
}

enum Writer {
    /// It has not been started; here is its output.
    New(Box<dyn io::Write + Send>),
    /// It waits for a line.
    Waiting,
    /// It writes.
    Busy,
    /// The system refused the thread. Lines fill the queue and are lost; the server goes on.
    Failed,
}

impl Queue {
    /// A queue of at most `lines_max` lines in front of `output`.
    pub(super) fn new(output: Box<dyn io::Write + Send>, lines_max: usize, form: Form) -> Queue {
        let writer = Writer::New(output);
        let state = State { lines: VecDeque::new(), lost: 0, accepted: 0, written: 0, writer };
        let (has_line, is_written) = (Condvar::new(), Condvar::new());
        Queue { form, lines_max, state: Mutex::new(state), has_line, is_written }
    }

    /// Adds a line, or counts it as lost. Does not wait for the output.
    pub(super) fn push(self: &Arc<Queue>, line: String) {
        let line = self.form.apply(line);
        let mut state = self.lock();
        if state.lines.len() >= self.lines_max {
            state.lost += 1;
            return;
        }
        state.lines.push_back(line);
        state.accepted += 1;
        match std::mem::replace(&mut state.writer, Writer::Busy) {
            Writer::New(output) => self.start(output, state),
            Writer::Waiting => self.has_line.notify_one(),
            writer => state.writer = writer,
        }
    }

    fn start(self: &Arc<Queue>, output: Box<dyn io::Write + Send>, mut state: MutexGuard<State>) {
        let queue = Arc::clone(self);
        let thread = std::thread::Builder::new().name("log".to_owned());
        if thread.spawn(move || queue.write_all(output)).is_err() {
            state.writer = Writer::Failed;
        }
    }

    /// Blocks until all earlier lines are written, for at most `time_max`.
    pub(super) fn flush(&self, time_max: Duration) {
        let state = self.lock();
        let accepted = state.accepted;
        let is_due = |state: &mut State| state.written < accepted && !matches!(state.writer, Writer::Failed);
        // The result is the lock, which is not needed, and whether the time is over.
        let _ = self.is_written.wait_timeout_while(state, time_max, is_due);
    }

    fn write_all(&self, mut output: Box<dyn io::Write + Send>) {
        loop {
            let (lines, lost) = self.next_batch();
            let mut batch = String::new();
            let lost = (lost > 0).then(|| self.form.missing(lost));
            for line in lines.iter().chain(&lost) {
                batch.push_str(line);
                batch.push('\n');
            }
            // If the output is closed, there is nowhere to report it.
            let _ = output.write_all(batch.as_bytes()).and_then(|()| output.flush());
            self.lock().written += lines.len() as u64;
            self.is_written.notify_all();
        }
    }

    /// The next lines, and how many were lost since the last call. Waits for the first line.
    fn next_batch(&self) -> (Vec<String>, usize) {
        let mut state = self.lock();
        while state.lines.is_empty() {
            state.writer = Writer::Waiting;
            state = self.has_line.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Busy;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some(line) = state.lines.pop_front()
        {
            bytes += line.len();
            batch.push(line);
        }
        (batch, std::mem::take(&mut state.lost))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: no change under it panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel, sync_channel};

    use super::*;

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
    fn a_line_too_many_is_counted_and_nobody_waits() {
        let queue = Arc::new(Queue::new(Box::new(io::sink()), 1, Form::Plain));
        // No thread writes, as if the terminal were paused.
        queue.lock().writer = Writer::Failed;
        (0..3).for_each(|number| queue.push(number.to_string()));
        let state = queue.lock();
        assert_eq!((&state.lines[0][..], state.lines.len(), state.lost), ("0", 1, 2));
        drop(state);
        assert_eq!(queue.next_batch(), (vec!["0".to_owned()], 2));
    }

    #[test]
    fn every_line_is_written_once_and_in_order() {
        struct Sent(std::sync::mpsc::Sender<Vec<u8>>);
        impl io::Write for Sent {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, written) = channel();
        let queue = Arc::new(Queue::new(Box::new(Sent(sender)), 10_000, Form::Plain));
        let long = "x".repeat(100);
        let mut expected = String::new();
        for number in 0..3000 {
            queue.push(format!("{number} {long}"));
            expected.push_str(&format!("{number} {long}\n"));
            if number % 1000 == 0 {
                queue.flush(Duration::from_secs(60));
            }
        }
        queue.flush(Duration::from_secs(60));
        assert!(written.try_iter().flatten().eq(expected.into_bytes()));
    }

    #[test]
    fn a_flush_ends_in_its_time_though_the_output_is_never_read() {
        for lines in [1, 20] {
            let (end, is_over) = sync_channel(0);
            let queue = Arc::new(Queue::new(Box::new(Stuck(is_over)), 2, Form::Plain));
            (0..lines).for_each(|number: u8| queue.push(number.to_string()));
            // Without a bound this waits for ever.
            queue.flush(Duration::from_millis(10));
            drop(end);
            // With somebody who reads, it waits for what it is to wait for.
            queue.flush(Duration::from_secs(60));
            assert!(queue.lock().lines.is_empty());
        }
    }
}
