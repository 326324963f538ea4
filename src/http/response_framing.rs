//! The last fields of a response's head: whether the connection is kept, and how long the content is.
//!
//! They are written by hand and not by `format!`, since every response has them.

/// Whether the connection is kept after a response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Persistence {
    /// It closes.
    Close,
    /// It stays open until it has been idle for this many seconds. A client that knows this does not send a request at
    /// the moment of closing. (Keep-Alive is hop-by-hop, so Connection must name it: RFC 9110, 7.6.1.)
    KeepAlive { idle_seconds: u64 },
}

impl Persistence {
    /// Appends the field lines.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Persistence::Close => out.extend_from_slice(b"Connection: close\r\n"),
            Persistence::KeepAlive { idle_seconds } => {
                out.extend_from_slice(b"Connection: keep-alive\r\nKeep-Alive: timeout=");
                out.extend_from_slice(itoa::Buffer::new().format(idle_seconds).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

const CONTENT_LENGTH: &[u8] = b"Content-Length: ";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Every 64-bit number fits in 20 digits.
const DIGITS_MAX: usize = 20;

pub(super) const LAST_LINE_MAX: usize = CONTENT_LENGTH.len() + DIGITS_MAX + HEAD_END.len();

/// The Content-Length line and the blank line after it, written into `room` from its end: one copy appends both.
pub(super) fn last_line(content: usize, room: &mut [u8; LAST_LINE_MAX]) -> &[u8] {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(content).as_bytes();
    let end = LAST_LINE_MAX - HEAD_END.len();
    let start = end - digits.len();
    room[end..].copy_from_slice(HEAD_END);
    room[start..end].copy_from_slice(digits);
    let line = start - CONTENT_LENGTH.len();
    room[line..start].copy_from_slice(CONTENT_LENGTH);
    &room[line..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_written_in_decimal() {
        for number in [0, 9, 10, 42, 65_536, usize::MAX] {
            let expected = format!("Content-Length: {number}\r\n\r\n");
            assert_eq!(last_line(number, &mut [0; _]), expected.as_bytes());
        }
    }
}
