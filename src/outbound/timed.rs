//! One deadline over many reads and writes of a blocking socket.
//!
//! A socket's own timeouts are for one operation, and a server that sends a byte a second never exceeds them. So the
//! time that is left is set before each operation.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::system::System;

/// The end of the time for a fetch.
pub(super) struct Deadline<'a> {
    system: &'a dyn System,
    end: Instant,
}

impl<'a> Deadline<'a> {
    /// The moment `time_max` from now.
    pub(super) fn new(system: &'a dyn System, time_max: Duration) -> Deadline<'a> {
        Deadline { system, end: system.monotonic() + time_max }
    }

    /// The time that is left; never zero.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if there is none.
    pub(super) fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(self.system.monotonic());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// A socket whose reads and writes fail after a deadline.
pub(super) struct Timed<'a> {
    stream: TcpStream,
    deadline: &'a Deadline<'a>,
}

impl<'a> Timed<'a> {
    pub(super) fn new(stream: TcpStream, deadline: &'a Deadline<'a>) -> Timed<'a> {
        Timed { stream, deadline }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.deadline.left()?))?;
        self.stream.read(bytes)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.deadline.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
