//! The input and output of one connection.
//!
//! A connection needs buffers only while they contain something. A driver with many connections keeps a few and lends
//! them out, so that ten thousand idle connections hold none. Nothing that one client sent may therefore be readable
//! after the buffers went to another connection: the input is emptied, and the head invalidated.

use std::collections::TryReserveError;

use crate::http::chunked::ChunkedDecoder;
use crate::http::head::Head;
use crate::http::limits::Limits;
use crate::http::refusal::Refusal;

/// Memory beyond this is returned to the system when a buffer is empty, so that one large request does not occupy it
/// for as long as the buffer lives.
const BYTES_KEPT: usize = 16 * 1024;

/// What a connection needs between the first byte of a request and the last byte of the response, and can do without
/// otherwise. See [`Connection::lend`](super::Connection::lend).
#[derive(Default)]
pub struct Buffers {
    input: Vec<u8>,
    /// The start of the current message in the input. Everything before it was answered.
    start: usize,
    output: Vec<u8>,
    /// How many bytes of the output were sent.
    sent: usize,
    /// The head of the current message, once it is complete.
    pub(super) head: Head,
    /// The progress of decoding, where the content is chunked.
    chunks: ChunkedDecoder,
}

impl Buffers {
    /// The memory they take, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Buffers>() + self.input.capacity() + self.output.capacity()
    }

    /// Appends to the input.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        self.input.try_reserve(bytes.len())?;
        self.input.extend_from_slice(bytes);
        Ok(())
    }

    /// The input from the start of the current message.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.input[self.start..]
    }

    /// The same, with the head to parse it into.
    pub(super) fn arrived_and_head(&mut self) -> (&mut [u8], &mut Head) {
        (&mut self.input[self.start..], &mut self.head)
    }

    /// How much of the input follows the head, in bytes. The next message may be part of it.
    pub(super) fn content_arrived(&self) -> usize {
        self.arrived().len().saturating_sub(self.head.length)
    }

    /// Drops `count` bytes from the front of the input.
    pub(super) fn skip(&mut self, count: usize) {
        self.start += count;
    }

    /// Drops the current message, which has `content` bytes after its head.
    pub(super) fn skip_message(&mut self, content: usize) {
        self.start += self.head.length + content;
        self.head.invalidate();
        if self.start == self.input.len() {
            self.drop_input();
        }
    }

    /// Drops everything that a client sent, before the buffers go to another connection.
    pub(super) fn clear(&mut self) {
        self.drop_input();
        self.head.invalidate();
    }

    /// Drops all input.
    pub(super) fn drop_input(&mut self) {
        empty(&mut self.input);
        self.start = 0;
    }

    /// Prepares for chunked content.
    pub(super) fn begin_chunks(&mut self) {
        self.chunks = ChunkedDecoder::default();
    }

    /// Decodes what has arrived of the chunked content. Returns its length once it is complete.
    pub(super) fn decode(&mut self, limits: &Limits) -> Result<Option<usize>, Refusal> {
        let start = self.start + self.head.length;
        let has_ended = self.chunks.decode(&mut self.input[start..], limits)?;
        let slack = self.chunks.take_slack();
        self.input.drain(start + slack.start..start + slack.end);
        Ok(has_ended.then(|| self.chunks.content()))
    }

    /// The output, to append to.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The output that was not sent yet.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// How many bytes were queued since the output was last empty, sent or not.
    pub(super) fn queued(&self) -> usize {
        self.output.len()
    }

    /// How many bytes of the output were not sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Drops `count` bytes from the front of the output. Returns whether it is empty.
    pub(super) fn sent(&mut self, count: usize) -> bool {
        self.sent += count;
        let is_all = self.sent >= self.output.len();
        if is_all {
            empty(&mut self.output);
            self.sent = 0;
        }
        is_all
    }
}

/// Empties a buffer and shrinks it if it is large.
fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > BYTES_KEPT {
        buffer.shrink_to(BYTES_KEPT);
    }
}
