//! The chunked transfer coding (RFC 9112, 7.1): decoded in place, and encoded.
//!
//! ```text
//! chunked-body = *chunk last-chunk trailer-section CRLF
//! chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
//! last-chunk   = 1*("0") [ chunk-ext ] CRLF
//! ```
//!
//! The decoder moves the data of each chunk over the size lines before it, so that the content becomes contiguous
//! without a second buffer. Chunk extensions and trailers are checked, bounded and dropped: nothing here uses them.
//!
//! A bare LF, a sign before a size, `0x`, or a space within it is refused: lenient parsers disagree about these, and so
//! about where the next request begins. Only whitespace after a size is accepted, as in older grammars.

use super::limits::Limits;
use super::refusal::{CONTENT_TOO_LARGE, Refusal};
use super::syntax::{is_field_byte, is_token_byte};

/// Maximum digits of a chunk's size: enough for 64 bits. Without a bound, a client could send leading zeros forever.
const SIZE_DIGITS_MAX: usize = 16;

/// Decodes the content of one request as it arrives.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// The position of the next byte to read.
    read: usize,
    /// The length of the decoded content, which is at the front.
    written: usize,
    /// The bytes of extensions and trailers so far.
    extra: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Within a chunk's size: how many digits were read, and their value.
    Size {
        digits: usize,
        size: usize,
    },
    /// After a chunk's size, in whitespace before an extension (BWS in RFC 9112, 7.1.1).
    SizeEnd {
        size: usize,
    },
    /// Within a chunk's extensions.
    Extension {
        size: usize,
    },
    /// Before the LF of a size line.
    SizeLf {
        size: usize,
    },
    /// Within a chunk's data, and how many bytes of it are missing.
    Data {
        left: usize,
    },
    /// Before the CR, then the LF, after a chunk's data.
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the blank line at the end.
    TrailerStart,
    /// Within the name, then the value, of a trailer.
    TrailerName,
    TrailerValue,
    /// Before the LF of a trailer line.
    TrailerLf,
    /// Before the LF of the blank line.
    EndLf,
    End,
}

impl Default for State {
    fn default() -> State {
        State::Size { digits: 0, size: 0 }
    }
}

impl ChunkedDecoder {
    /// Decodes what has arrived since the last call. `bytes` begin where the content begins; they are those that the
    /// last call left, and what arrived after them. Returns whether the content is complete.
    ///
    /// # Errors
    /// When the coding is malformed, and when a limit is exceeded.
    pub fn decode(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<bool, Refusal> {
        while self.read < bytes.len() {
            match self.state {
                State::End => break,
                State::Data { left } => self.copy_data(bytes, left),
                state => {
                    let byte = bytes[self.read];
                    self.read += 1;
                    self.state = self.state_after(state, byte, limits)?;
                }
            }
        }
        Ok(matches!(self.state, State::End))
    }

    /// The length of the decoded content at the front of the bytes.
    pub fn content(&self) -> usize {
        self.written
    }

    /// The range after the decoded content that was read and is not needed. The caller must remove it from the bytes,
    /// which keeps a client from filling the buffer with size lines.
    pub fn take_slack(&mut self) -> std::ops::Range<usize> {
        let slack = self.written..self.read;
        self.read = self.written;
        slack
    }

    fn copy_data(&mut self, bytes: &mut [u8], left: usize) {
        let length = left.min(bytes.len() - self.read);
        bytes.copy_within(self.read..self.read + length, self.written);
        self.read += length;
        self.written += length;
        self.state = if length == left { State::DataCr } else { State::Data { left: left - length } };
    }

    /// The state that `byte` leads to: the grammar, with an arm for each production.
    fn state_after(&mut self, state: State, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        Ok(match (state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                return self.add_digit(digits, size, byte, limits);
            }
            (State::Size { digits: 0, .. }, _) => return Err(Refusal::bad_request("a chunk has no size")),
            (State::Size { size, .. } | State::SizeEnd { size }, b'\r') => State::SizeLf { size },
            (State::Size { size, .. } | State::SizeEnd { size }, b' ' | b'\t') => {
                self.count_extra(limits)?;
                State::SizeEnd { size }
            }
            (State::Size { size, .. } | State::SizeEnd { size }, b';') => State::Extension { size },
            (State::Extension { size }, b'\r') => State::SizeLf { size },
            (State::Extension { size }, _) if is_field_byte(byte) => {
                self.count_extra(limits)?;
                State::Extension { size }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::default(),
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => {
                self.count_extra(limits)?;
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_field_byte(byte) => {
                self.count_extra(limits)?;
                State::TrailerValue
            }
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::End,
            (
                State::Size { .. } | State::SizeEnd { .. } | State::Extension { .. } | State::SizeLf { .. },
                _,
            ) => {
                return Err(Refusal::bad_request("malformed size line of a chunk"));
            }
            (State::DataCr | State::DataLf, _) => {
                return Err(Refusal::bad_request("a chunk's data is longer than its size"));
            }
            _ => return Err(Refusal::bad_request("malformed trailer field")),
        })
    }

    fn add_digit(&self, digits: usize, size: usize, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        if digits == SIZE_DIGITS_MAX {
            return Err(Refusal::bad_request("a chunk's size has too many digits"));
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte.to_ascii_lowercase() - b'a' + 10,
        };
        // An overflow is larger than any limit, so it is refused like a size beyond `body_bytes_max`.
        let size = size.checked_mul(16).and_then(|size| size.checked_add(usize::from(digit)));
        match size {
            Some(size) if size <= limits.body_bytes_max - self.written => {
                Ok(State::Size { digits: digits + 1, size })
            }
            _ => Err(CONTENT_TOO_LARGE),
        }
    }

    fn count_extra(&mut self, limits: &Limits) -> Result<(), Refusal> {
        self.extra += 1;
        if self.extra > limits.chunk_extra_bytes_max {
            return Err(Refusal::bad_request("the chunk extensions and trailers are too long"));
        }
        Ok(())
    }
}

/// The most bytes that [`write_chunk`] adds to its data: the size line and the line end.
pub(super) const OVERHEAD_MAX: usize = SIZE_DIGITS_MAX + "\r\n\r\n".len();

/// The end of the content: a chunk without data, and no trailers.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends `data` as one chunk. Empty data appends nothing, since an empty chunk is the last one.
pub(super) fn write_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    let digits = (usize::BITS - data.len().leading_zeros()).div_ceil(4);
    let digit = |place: u32| char::from_digit((data.len() >> (4 * place)) as u32 & 0xf, 16);
    out.extend((0..digits).rev().filter_map(digit).map(|digit| digit as u8));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}
