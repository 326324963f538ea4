//! Responses without an end: their length is not known when their head is sent, and their content follows in pieces.
//!
//! The driver answers a request with [`Connection::begin_stream`] in place of [`Connection::respond`], and then, as long
//! as [`Connection::is_streaming`]:
//!
//! 1. asks [`Connection::room`] how many bytes the connection takes, and gives it some with [`Connection::push`]; where
//!    there is no room, the client is slow, and whoever makes the content has to wait;
//! 2. ends it with [`Connection::end_stream`], so that the client knows it to be whole, or with
//!    [`Connection::break_stream`], so that the client knows it is not.
//!
//! Requests that the client sends meanwhile wait until the stream has ended. A client that takes nothing of what is
//! queued within `write_time_max` is dropped, as with any other response; while nothing is queued, a stream may be
//! silent for as long as it likes. HTTP/1.0 has no chunked coding: there the end of the connection ends the stream, and a
//! client cannot tell the two ends apart.

use std::time::Instant;

use super::Connection;
use super::state::{Exchange, State};
use crate::http::date::Date;
use crate::http::response::Response;
use crate::http::stream::StreamFraming;

impl Connection {
    /// Queues the head of a response whose content follows by [`Connection::push`], in answer to the request that was
    /// given out. The content of `response` itself is not sent. Where the client gets no content (HEAD, 204) or the server
    /// ends, the response is over at once. A refusal is answered as by [`Connection::respond`].
    pub fn begin_stream(&mut self, response: &Response, date: &Date, now: Instant) {
        if matches!(self.state, State::Answering(Exchange::Refusal)) {
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

    /// Whether a stream has begun and not ended.
    pub fn is_streaming(&self) -> bool {
        matches!(self.state, State::Streaming { .. })
    }

    /// How many bytes of content [`Connection::push`] takes now; 0 without a stream. What is queued counts until all of
    /// it is sent, its framing included, against `output_bytes_max`.
    pub fn room(&self) -> usize {
        let queued = self.buffers.as_ref().map_or(0, |buffers| buffers.queued());
        match self.is_streaming() {
            true => self.limits.output_bytes_max.saturating_sub(queued),
            false => 0,
        }
    }

    /// Queues the first bytes of `content`, as many as there is [`Connection::room`] for, as one piece. Returns how many
    /// these are.
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

    /// Ends the stream: its content is whole. The connection goes on to the next request, or closes. Does nothing where
    /// there is no stream.
    pub fn end_stream(&mut self, now: Instant) {
        let State::Streaming { framing, keep_alive } = self.state else { return };
        let Some(output) = self.output(StreamFraming::OVERHEAD_MAX, now) else { return };
        framing.write_end(output);
        self.end_reply(keep_alive, false, now);
    }

    /// Breaks the stream off: what is queued is sent, and then the connection closes without the mark of an end, so that
    /// the client does not take what it has for the whole. Does nothing where there is no stream.
    pub fn break_stream(&mut self, now: Instant) {
        if self.is_streaming() {
            self.end_reply(false, false, now);
        }
    }
}
