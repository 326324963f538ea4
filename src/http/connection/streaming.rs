//! Responses without an end: the length is unknown when the head is sent, and the content follows in pieces.
//!
//! The driver responds to a request with [`Connection::begin_stream`] instead of [`Connection::respond`]. Then, while
//! [`Connection::is_streaming`]:
//!
//! 1. [`Connection::room`] is how many bytes the connection accepts, and [`Connection::push`] queues them. No room
//!    means that the client is slow, and the source of the content must wait (backpressure);
//! 2. [`Connection::end_stream`] tells the client that the content is complete; [`Connection::break_stream`] lets it
//!    know that it is not.
//!
//! Further requests of the client wait until the stream is over. A client that reads nothing for `write_time_max` while
//! output is queued is dropped, as with any other response. While nothing is queued there is no limit here: the driver
//! limits the silence of a stream, counted from [`Connection::sent_since`]. For HTTP/1.0 the end of the connection ends
//! the content, and a client cannot distinguish the two ends.

use std::time::Instant;

use super::Connection;
use super::state::{State, Unanswered};
use crate::http::date::Date;
use crate::http::response::Response;
use crate::http::stream::StreamFraming;

impl Connection {
    /// Queues the head of a response whose content follows by [`Connection::push`]. The content of `response` itself is
    /// not sent. Where there must be no content (HEAD, 204), and while the server is shutting down, the response is
    /// over at once. A refusal is answered as by [`Connection::respond`].
    pub fn begin_stream(&mut self, response: &Response, date: &Date, now: Instant) {
        if matches!(self.state, State::Answering(Unanswered::Refusal)) {
            return self.respond(response, date, now);
        }
        let Some(reply) = self.begin_reply() else { return };
        let framing = StreamFraming::of(reply.version);
        let keep_alive = reply.keep_alive && framing == StreamFraming::Chunked;
        let persistence = self.persistence(keep_alive);
        let Some(output) = self.output(response.bytes_max(), now) else { return };
        response.write_stream_head(output, date, persistence, framing);
        if reply.omits_content || response.status.has_no_content() {
            return self.end_reply(keep_alive, false, now);
        }
        self.enter(State::Streaming { framing, keep_alive });
        if self.is_finishing {
            self.end_stream(now);
        }
    }

    /// Whether a stream is open. It may end without the driver, by a timeout or [`Connection::finish`].
    pub fn is_streaming(&self) -> bool {
        matches!(self.state, State::Streaming { .. })
    }

    /// How many bytes of content [`Connection::push`] accepts now; 0 when no stream is open. Queued output counts
    /// against `output_bytes_max` until all of it is sent: that keeps the buffer from growing without moving bytes
    /// within it.
    pub fn room(&self) -> usize {
        let queued = self.buffers.as_ref().map_or(0, |buffers| buffers.queued());
        if self.is_streaming() { self.limits.output_bytes_max.saturating_sub(queued) } else { 0 }
    }

    /// Queues as much of the front of `content` as there is [`Connection::room`] for, as one chunk. Returns how many
    /// bytes were accepted.
    pub fn push(&mut self, content: &[u8], now: Instant) -> usize {
        let State::Streaming { framing, .. } = self.state else { return 0 };
        let content = &content[..content.len().min(self.room())];
        if content.is_empty() {
            return 0;
        }
        let Some(output) = self.output(content.len() + StreamFraming::OVERHEAD_MAX, now) else { return 0 };
        framing.write_content(content, output);
        content.len()
    }

    /// Ends the stream: the content is complete. The connection continues with the next request, or closes. Does
    /// nothing when no stream is open.
    pub fn end_stream(&mut self, now: Instant) {
        let State::Streaming { framing, keep_alive } = self.state else { return };
        let Some(output) = self.output(StreamFraming::OVERHEAD_MAX, now) else { return };
        framing.write_end(output);
        self.end_reply(keep_alive, false, now);
    }

    /// Breaks off the stream: what is queued is sent, and then the connection closes without the last chunk, so that
    /// the client does not take truncated content for complete. Does nothing when no stream is open.
    pub fn break_stream(&mut self, now: Instant) {
        if self.is_streaming() {
            self.end_reply(false, false, now);
        }
    }
}
