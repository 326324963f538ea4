//! What takes too long: when the driver is to look again, and what happens then.

use std::time::{Duration, Instant};

use super::Connection;
use super::state::State;
use crate::http::refusal::Refusal;
use crate::http::start_line::Status;

impl Connection {
    /// When the driver is to call [`Connection::expire`], unless something happens before.
    pub fn deadline(&self) -> Option<Instant> {
        if self.unsent() > 0 {
            return Some(self.sent_since + self.limits.write_time_max);
        }
        let time_max = match self.state {
            State::Idle => self.limits.idle_time_max,
            State::Head => self.limits.head_time_max,
            State::Content(_) => self.content_time_max(),
            State::Lingering { .. } => self.limits.linger_time_max,
            State::Refusing(_) | State::Answering(_) | State::Streaming { .. } => return None,
            State::Closing { .. } | State::Closed => return None,
        };
        Some(self.state_since + time_max)
    }

    /// Ends what has taken too long by `now`: with 408 where a request has begun and the client reads
    /// (RFC 9110, 15.5.9), else without a word. Does nothing before the deadline.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let too_slow = |reason| State::Refusing(Refusal::new(Status::RequestTimeout, reason));
        self.enter(match self.state {
            _ if self.unsent() > 0 => State::Closed,
            State::Head => too_slow("the request head took too long"),
            State::Content(_) => too_slow("the content came too slowly"),
            _ => State::Closed,
        });
    }

    /// How long the content may take, as far as it has come: so much in all, and no slower than a client that means to
    /// send it would. Bytes count once they are content; a chunk's size line is none.
    fn content_time_max(&self) -> Duration {
        let arrived = self.buffers.as_ref().map_or(0, |buffers| buffers.content_arrived());
        let limits = &self.limits;
        let earned = Duration::from_secs_f64(arrived as f64 / f64::from(limits.body_bytes_per_second_min));
        limits.body_time_max.min(limits.body_grace_time + earned)
    }
}
