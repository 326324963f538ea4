//! The limits of one connection: its bytes, its requests, and how long each part may take.
//!
//! These settings belong to the codec; a program that uses it combines them with its own. The defaults suit a server on
//! the open network. [`Limits::mistakes`] lists the values that the codec cannot work with.

use std::time::Duration;

/// The upper bound of [`Limits::fields_max`]: the parser's table of field lines is on the stack and has this size.
pub(super) const FIELDS_CAPACITY: usize = 256;

/// Limits of everything that a client can make grow on its connection. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The request line without its CRLF; a longer one is answered 414 (RFC 9112, 3, recommends at least 8000).
    pub request_line_bytes_max: usize,
    /// A request head including its blank line; a longer one is answered 431.
    pub head_bytes_max: usize,
    /// Field lines in one head; more are answered 431.
    pub fields_max: usize,
    /// A request's content after decoding; more is answered 413.
    pub body_bytes_max: usize,
    /// Chunk extensions and trailers of one request together; more are answered 400.
    pub chunk_extra_bytes_max: usize,
    /// Output queued for a client that does not read. At this size no further request of it is read, and its stream
    /// takes no more content.
    pub output_bytes_max: usize,
    /// Requests on one connection; the last one is answered with `Connection: close`.
    pub connection_requests_max: u32,
    /// From the first byte of a head to its blank line; a slower one is answered 408.
    pub head_time_max: Duration,
    /// From the end of the head to the end of the content; slower content is answered 408.
    pub body_time_max: Duration,
    /// The lowest average rate of content, in bytes a second, once `body_grace_time` has passed; slower content is
    /// answered 408.
    pub body_bytes_per_second_min: u32,
    /// How long content may be slower than that.
    pub body_grace_time: Duration,
    /// How long a connection may be idle between requests, and before the first; then it is closed.
    pub idle_time_max: Duration,
    /// How long a client may read nothing of its output; then the connection is dropped.
    pub write_time_max: Duration,
    /// How long input is discarded after a refusal, so that the client has time to read it.
    pub linger_time_max: Duration,
    /// How much input is discarded in that time.
    pub linger_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_line_bytes_max: 8 * 1024,
            // Browsers send the cookies of every program on localhost to all of them, whatever their ports.
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
            // Common proxies keep a connection for 60 seconds. The server must not close first, or a request may be on
            // its way at that moment and be lost.
            idle_time_max: Duration::from_secs(75),
            write_time_max: Duration::from_secs(30),
            linger_time_max: Duration::from_secs(2),
            linger_bytes_max: 1024 * 1024,
        }
    }
}

impl Limits {
    /// The most memory that the buffers of one connection take, in bytes. They grow by doubling, hence the factor.
    pub fn connection_bytes_max(&self) -> usize {
        let bytes =
            self.head_bytes_max.saturating_add(self.body_bytes_max).saturating_add(self.output_bytes_max);
        bytes.saturating_mul(2)
    }

    /// Every value that the codec cannot work with: its name, and what it must be.
    pub fn mistakes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        // A zero duration is always over, and the driver's loop would spin.
        const GREATER_THAN_ZERO: &str = "greater than zero";
        let rules = [
            // Heads are indexed by 16-bit positions.
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
            (!self.head_time_max.is_zero(), "head_time_max", GREATER_THAN_ZERO),
            (!self.body_time_max.is_zero(), "body_time_max", GREATER_THAN_ZERO),
            (!self.body_grace_time.is_zero(), "body_grace_time", GREATER_THAN_ZERO),
            (!self.idle_time_max.is_zero(), "idle_time_max", GREATER_THAN_ZERO),
            (!self.write_time_max.is_zero(), "write_time_max", GREATER_THAN_ZERO),
            (!self.linger_time_max.is_zero(), "linger_time_max", GREATER_THAN_ZERO),
        ];
        rules.into_iter().filter(|(holds, ..)| !holds).map(|(_, name, remedy)| (name, remedy))
    }
}
