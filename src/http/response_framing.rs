//! The last lines of an answer's head: what becomes of the connection, and how long the content is.

/// What becomes of the connection after an answer, as the answer says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Persistence {
    /// It closes.
    Close,
    /// It stays open, and closes after this many idle seconds. A client that knows that does not send a request into
    /// the closing. (Keep-Alive is a field of the connection, so Connection has to name it: RFC 9110, 7.6.1.)
    KeepAlive { idle_seconds: u64 },
}

impl Persistence {
    /// Appends the field lines that say it.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Persistence::Close => out.extend_from_slice(b"Connection: close\r\n"),
            Persistence::KeepAlive { idle_seconds } => {
                out.extend_from_slice(b"Connection: keep-alive\r\nKeep-Alive: timeout=");
                out.extend_from_slice(decimal(idle_seconds, &mut [0; _]));
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

const CONTENT_LENGTH: &[u8] = b"Content-Length: ";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// 20 digits hold every 64-bit number.
const DIGITS_MAX: usize = 20;

pub(super) const LAST_LINE_MAX: usize = CONTENT_LENGTH.len() + DIGITS_MAX + HEAD_END.len();

/// `number` in decimal digits; written to the end of `room`, from right to left.
fn decimal(mut number: u64, room: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = DIGITS_MAX;
    loop {
        start -= 1;
        room[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[start..];
        }
    }
}

/// The head's last line, with the end of the head; written to the end of `room`, from right to left.
pub(super) fn last_line(content: usize, room: &mut [u8; LAST_LINE_MAX]) -> &[u8] {
    let mut digits = [0; DIGITS_MAX];
    let digits = decimal(content as u64, &mut digits);
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
