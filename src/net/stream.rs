//! A stream that is open on a connection: when its source is asked for content, and how it ends.
//!
//! The source is asked only while all earlier content has been sent, and then for at most as much as the worker's
//! shared buffer holds. That is the most that waits for a client that does not read; the codec drops such a client
//! after `write_time_max`. A source that always has more is asked [`FILLS_PER_TURN_MAX`] times per turn. One that waits
//! is asked in any case when nothing has been sent for [`SILENCE_MAX`]. If it gives nothing then, the stream breaks
//! off.
//!
//! A stream ends in one of the ways that [`End`] lists. Its source is then dropped, and its place among the open
//! streams is free, even if the client has yet to read the rest. `link/streaming.rs` has what is done on the
//! connection.

use std::time::Instant;

use super::access_log::{AccessLog, StreamEntry};
use super::turn::Turn;
use super::turn_clock::TurnClock;
use crate::http::connection::Connection;
use crate::routes::{Next, SILENCE_MAX, Stream};

/// How often the source of a stream is asked for content in one turn.
pub(super) const FILLS_PER_TURN_MAX: usize = 4;

/// A stream that is open.
pub(super) struct Streaming {
    stream: Box<Stream>,
    /// With it, a notice for an earlier stream in the same slot is not taken for this one's.
    serial: u64,
    /// The source is to be asked for content: it has more, its waker was called, the moment that it named has come, or
    /// nothing has been sent for [`SILENCE_MAX`].
    is_due: bool,
    /// The moment that the source has named.
    until: Instant,
    /// How many bytes of content the source has given.
    bytes: usize,
    /// What the access log says of the request; `None` without an access log.
    entry: Option<StreamEntry>,
}

/// How a stream has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its source was at its end.
    Complete,
    /// Its source broke it off, for this reason.
    Broken(&'static str),
    /// The client closed its side.
    ClientClosed,
    /// Its source gave nothing for [`SILENCE_MAX`].
    Silent,
    /// The client read nothing for `write_time_max`.
    NotRead,
    /// The server shuts down.
    Finished,
    /// The connection was closed: by an error, for its memory, or at the end of the time for a shutdown.
    Closed,
}

impl End {
    /// What the access log says.
    fn as_str(self) -> &'static str {
        match self {
            End::Complete => "complete",
            End::Broken(reason) => reason,
            End::ClientClosed => "the client closed its side",
            End::Silent => "the source gave nothing",
            End::NotRead => "the client did not read",
            End::Finished => "the server stopped",
            End::Closed => "the connection was closed",
        }
    }
}

impl Streaming {
    /// The stream that the request with `serial` began at `now`. Its source is due.
    pub(super) fn new(stream: Box<Stream>, serial: u64, entry: Option<StreamEntry>, now: Instant) -> Streaming {
        Streaming { stream, serial, is_due: true, until: now, bytes: 0, entry }
    }

    /// Asks the source for content for `connection`, and does what it says. Returns how the stream has ended, if it
    /// has.
    pub(super) fn fill(&mut self, connection: &mut Connection, turn: &mut Turn) -> Option<End> {
        let now = turn.now();
        let (content, next) = turn.fill(&mut self.stream, connection.room());
        self.bytes += connection.push(content, now);
        match next {
            // Content that was just queued counts as sent.
            Next::More | Next::Wait { .. } if silent_until(connection) <= now => {
                connection.break_stream(now);
                Some(End::Silent)
            }
            Next::More => {
                self.is_due = true;
                None
            }
            // No timer for a moment that has passed: it would expire in this turn, and the source could name it again.
            Next::Wait { until } => {
                self.is_due = until <= now;
                self.until = until;
                None
            }
            Next::End => {
                connection.end_stream(now);
                Some(End::Complete)
            }
            Next::Broken(reason) => {
                connection.break_stream(now);
                Some(End::Broken(reason))
            }
        }
    }

    /// Logs the stream at its end.
    pub(super) fn note(&self, end: End, access: &AccessLog, clock: &TurnClock) {
        if let Some(entry) = &self.entry {
            access.note_stream(entry, clock, self.bytes, end.as_str());
        }
    }

    /// Whether the source is to be asked for content.
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// When the source is to be asked in any case; `None` if it is due already.
    pub(super) fn deadline(&self, connection: &Connection) -> Option<Instant> {
        (!self.is_due).then(|| self.until.min(silent_until(connection)))
    }

    /// Handles a deadline that has passed by `now`.
    pub(super) fn expire(&mut self, connection: &Connection, now: Instant) {
        self.is_due |= self.deadline(connection).is_some_and(|deadline| deadline <= now);
    }

    /// Notes that the source's waker was called, if this is the stream with `serial`. Returns whether it is.
    pub(super) fn wake(&mut self, serial: u64) -> bool {
        self.is_due |= serial == self.serial;
        serial == self.serial
    }
}

/// When the stream of `connection` will have been silent for too long, unless something is sent before.
fn silent_until(connection: &Connection) -> Instant {
    connection.sent_since() + SILENCE_MAX
}
