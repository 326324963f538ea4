//! The chunked transfer coding (RFC 9112, 7.1): undone where it lies, and written.
//!
//! The decoder is given all of the content's bytes so far, moves the data of each chunk down over the sizes
//! and line ends before it, and so turns the coding into the plain content without a second buffer. Chunk
//! extensions and trailers are read past, checked and bounded: nothing here has a use for them.

use super::limits::Limits;
use super::refusal::{CONTENT_TOO_LARGE, Refusal};
use super::syntax::{is_field_byte, is_token_byte};

/// More hexadecimal digits than any chunk here can need: leading zeros have an end, too.
const SIZE_DIGITS_MAX: usize = 16;

/// Undoes the chunked coding of one request's content, as it arrives.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
    /// Where the next byte to be read stands.
    read: usize,
    /// How much plain content stands before that.
    written: usize,
    /// Bytes of extensions and trailers so far.
    extra: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Within a chunk's size, of which this many digits and this value have been read.
    Size {
        digits: usize,
        size: usize,
    },
    /// Between a chunk's size and its extension, where old grammars allowed spaces.
    SizeEnd {
        size: usize,
    },
    /// Within a chunk's extensions.
    Extension {
        size: usize,
    },
    /// Before the LF that ends the line of a chunk's size.
    SizeLf {
        size: usize,
    },
    /// Within a chunk's data, of which this much is to come.
    Data {
        left: usize,
    },
    /// Before the CR, then the LF, that end a chunk's data.
    DataCr,
    DataLf,
    /// At the start of a trailer's line or of the blank line that ends it all.
    TrailerStart,
    /// Within the name, then the value, of a trailer field.
    TrailerName,
    TrailerValue,
    /// Before the LF that ends a trailer field.
    TrailerLf,
    /// Before the LF that ends it all.
    EndLf,
    End,
}

impl Default for State {
    fn default() -> State {
        State::Size { digits: 0, size: 0 }
    }
}

impl ChunkedDecoder {
    /// Decodes what has arrived since the last call. `bytes` begin where the content begins, and hold what
    /// the last call left in them and whatever came after. Returns whether the content has ended: then
    /// [`ChunkedDecoder::content`] is all of it.
    ///
    /// # Errors
    /// When the coding is malformed, and when a bound of `limits` is passed.
    pub fn decode(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<bool, Refusal> {
        while self.read < bytes.len() {
            match self.state {
                State::End => break,
                State::Data { left } => self.copy_data(bytes, left),
                state => {
                    let byte = bytes[self.read];
                    self.read += 1;
                    self.state = self.step(state, byte, limits)?;
                }
            }
        }
        Ok(matches!(self.state, State::End))
    }

    /// How many bytes of plain content stand at the start of the bytes given.
    pub fn content(&self) -> usize {
        self.written
    }

    /// The stretch after the plain content that has been read and is of no more use. The caller may cut it
    /// out, and says so by this call.
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

    /// The state after `byte`: the grammar, one production an arm.
    fn step(&mut self, state: State, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        Ok(match (state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                return self.add_digit(digits, size, byte, limits);
            }
            (State::Size { digits: 0, .. }, _) => return Err(Refusal::bad("a chunk has no size")),
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
                return Err(Refusal::bad("a chunk's size line is malformed"));
            }
            (State::DataCr | State::DataLf, _) => {
                return Err(Refusal::bad("a chunk's data is longer than its size"));
            }
            _ => return Err(Refusal::bad("a trailer field is malformed")),
        })
    }

    fn add_digit(&self, digits: usize, size: usize, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        if digits == SIZE_DIGITS_MAX {
            return Err(Refusal::bad("a chunk's size has too many digits"));
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte.to_ascii_lowercase() - b'a' + 10,
        };
        // Each size that passed is at most body_bytes_max, so this can overflow only past the bound.
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
        match self.extra > limits.chunk_extra_bytes_max {
            true => Err(Refusal::bad("the chunk extensions and trailers are too long")),
            false => Ok(()),
        }
    }
}

/// The size line and the line end that [`write_chunk`] adds to its data, in bytes, at most.
pub(super) const OVERHEAD_MAX: usize = SIZE_DIGITS_MAX + "\r\n\r\n".len();

/// What ends the content: a chunk without data, and no trailers.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends `data` as one chunk; nothing if there is none, for that would be the last chunk.
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
