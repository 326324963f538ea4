//! The bytes of one connection: those that arrived, and those to send.
//!
//! A connection needs buffers only while there is a byte in them. A driver with many connections keeps a few and lends
//! them, so that ten thousand idle connections hold none.

use std::collections::TryReserveError;

use crate::http::chunked::ChunkedDecoder;
use crate::http::head::Head;
use crate::http::limits::Limits;
use crate::http::refusal::Refusal;

/// A buffer larger than this is given back to the system when it is empty, so that one large request does not cost
/// memory for as long as the buffer is kept.
const BYTES_KEPT: usize = 16 * 1024;

/// What a connection needs while there is a byte in it. A driver with many connections keeps a few of these and lends
/// them ([`Connection::lend`](super::Connection::lend)).
#[derive(Default)]
pub struct Buffers {
    input: Vec<u8>,
    /// Where the message being read begins in the input. What is before it has been answered.
    start: usize,
    output: Vec<u8>,
    /// How many bytes of the output were sent.
    sent: usize,
    /// What the head of the message being read says, once it is complete.
    pub(super) head: Head,
    /// How far the content is decoded, if it is chunked.
    chunks: ChunkedDecoder,
}

impl Buffers {
    /// How much memory they take, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Buffers>() + self.input.capacity() + self.output.capacity()
    }

    /// Appends bytes that arrived to the input.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        self.input.try_reserve(bytes.len())?;
        self.input.extend_from_slice(bytes);
        Ok(())
    }

    /// The input from the beginning of the message being read.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.input[self.start..]
    }

    /// The same, to read a head from into [`Buffers::head`].
    pub(super) fn arrived_and_head(&mut self) -> (&mut [u8], &mut Head) {
        (&mut self.input[self.start..], &mut self.head)
    }

    /// How many bytes have arrived after the head.
    pub(super) fn content_arrived(&self) -> usize {
        self.arrived().len().saturating_sub(self.head.length)
    }

    /// Drops so many bytes from the beginning of the input, which are answered or count for nothing.
    pub(super) fn skip(&mut self, count: usize) {
        self.start += count;
    }

    /// Drops the message that was read, with so many bytes of content; if nothing is after it, its memory, too.
    pub(super) fn skip_message(&mut self, content: usize) {
        self.start += self.head.length + content;
        self.head.invalidate();
        if self.start == self.input.len() {
            self.drop_input();
        }
    }

    /// Drops all input.
    pub(super) fn drop_input(&mut self) {
        empty(&mut self.input);
        self.start = 0;
    }

    /// Begins to decode the chunked content that comes next.
    pub(super) fn begin_chunks(&mut self) {
        self.chunks = ChunkedDecoder::default();
    }

    /// Decodes what has arrived of the chunked content. Its length, once all of it has arrived.
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

    /// The bytes to send next.
    pub(super) fn outgoing(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// How many bytes were queued since the output was last empty.
    pub(super) fn queued(&self) -> usize {
        self.output.len()
    }

    /// How many bytes are to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Drops so many bytes from the beginning of what is to be sent. Whether that was all.
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

/// Empties a buffer, and lets its memory go if it is large.
fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > BYTES_KEPT {
        buffer.shrink_to(BYTES_KEPT);
    }
}
