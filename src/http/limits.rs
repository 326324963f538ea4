//! The bounds of one connection: its bytes, its requests, and the times it may take.
//!
//! The codec owns these settings, and whoever embeds it composes them with its own. The defaults suit a server on
//! the open network. [`Limits::mistakes`] names every value that the codec could not keep.

use std::time::Duration;

/// The most field lines a head may have, whatever [`Limits::fields_max`] says: the parser's table of field lines is
/// on the stack and has this size.
pub(super) const FIELDS_CAPACITY: usize = 256;

/// The bounds of everything that a client can make grow on its connection: bytes, counts and waiting times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The request line without its CRLF, in bytes; past it the answer is 414 (RFC 9112, 3: at least 8000).
    pub request_line_bytes_max: usize,
    /// A whole request head with its blank line, in bytes; past it the answer is 431.
    pub head_bytes_max: usize,
    /// Field lines in one head; past it the answer is 431.
    pub fields_max: usize,
    /// A request's content once decoded, in bytes; past it the answer is 413.
    pub body_bytes_max: usize,
    /// Chunk extensions and trailers of one request together, in bytes; past it the answer is 400.
    pub chunk_extra_bytes_max: usize,
    /// Responses waiting for a client that does not read, in bytes, before no further request of it is read.
    pub output_bytes_max: usize,
    /// Requests on one connection; the last is answered with `Connection: close`.
    pub connection_requests_max: u32,
    /// From the first byte of a head to its blank line; past it the answer is 408.
    pub head_time_max: Duration,
    /// From the end of the head to the end of the content; past it the answer is 408.
    pub body_time_max: Duration,
    /// How slowly content may come, in bytes a second, once `body_grace_time` has passed; the answer is 408.
    pub body_bytes_per_second_min: u32,
    /// How long content may come more slowly than that.
    pub body_grace_time: Duration,
    /// Between requests, and before the first; past it the connection is closed.
    pub idle_time_max: Duration,
    /// Between two moments at which a client took some of its response; past it the connection is dropped.
    pub write_time_max: Duration,
    /// How long input is discarded after a refusal, so that the client has time to read it.
    pub linger_time_max: Duration,
    /// How many bytes of input are discarded in that time.
    pub linger_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_line_bytes_max: 8 * 1024,
            // Browsers send the cookies of all programs on localhost to each of them.
            head_bytes_max: 48 * 1024,
            fields_max: 100,
            body_bytes_max: 64 * 1024,
            chunk_extra_bytes_max: 4 * 1024,
            output_bytes_max: 256 * 1024,
            connection_requests_max: 100_000,
            head_time_max: Duration::from_secs(10),
            body_time_max: Duration::from_secs(30),
            body_bytes_per_second_min: 1024,
            body_grace_time: Duration::from_secs(5),
            // Longer than the 60 seconds for which common proxies keep a connection. If the server closed first, the
            // proxy might send a request into a connection that is closing.
            idle_time_max: Duration::from_secs(75),
            write_time_max: Duration::from_secs(30),
            linger_time_max: Duration::from_secs(2),
            linger_bytes_max: 1024 * 1024,
        }
    }
}

impl Limits {
    /// What one connection's buffers may take, in bytes. They grow by doubling.
    pub fn connection_bytes_max(&self) -> usize {
        let bytes =
            self.head_bytes_max.saturating_add(self.body_bytes_max).saturating_add(self.output_bytes_max);
        bytes.saturating_mul(2)
    }

    /// Every value that the codec cannot keep, by its name, with what it must be.
    pub fn mistakes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        // A time of zero would be over whenever it is looked at, and the driver's loop would spin.
        const MORE_THAN_NOTHING: &str = "more than nothing";
        let rules = [
            // A head's parts are remembered as 16-bit positions.
            (self.head_bytes_max <= usize::from(u16::MAX), "head_bytes_max", "at most 65,535 bytes"),
            (
                self.request_line_bytes_max < self.head_bytes_max,
                "request_line_bytes_max",
                "less than head_bytes_max",
            ),
            ((1..=FIELDS_CAPACITY).contains(&self.fields_max), "fields_max", "1 to 256"),
            (self.connection_requests_max > 0, "connection_requests_max", "at least 1"),
            (self.body_bytes_per_second_min > 0, "body_bytes_per_second_min", "at least 1 byte"),
            (self.output_bytes_max > 0, "output_bytes_max", "at least 1 byte"),
            (!self.head_time_max.is_zero(), "head_time_max", MORE_THAN_NOTHING),
            (!self.body_time_max.is_zero(), "body_time_max", MORE_THAN_NOTHING),
            (!self.body_grace_time.is_zero(), "body_grace_time", MORE_THAN_NOTHING),
            (!self.idle_time_max.is_zero(), "idle_time_max", MORE_THAN_NOTHING),
            (!self.write_time_max.is_zero(), "write_time_max", MORE_THAN_NOTHING),
            (!self.linger_time_max.is_zero(), "linger_time_max", MORE_THAN_NOTHING),
        ];
        rules.into_iter().filter(|(holds, ..)| !holds).map(|(_, name, remedy)| (name, remedy))
    }
}
