//! Timeouts: when the next one is due, and what it does.
//!
//! Each state has a limit of its own, so that a client cannot hold a connection by being slow in a new way: sending a
//! head or content byte by byte, reading nothing, or saying nothing.

use std::time::{Duration, Instant};

use super::Connection;
use super::state::State;
use crate::http::refusal::Refusal;
use crate::http::start_line::Status;

impl Connection {
    /// When the driver must call [`Connection::expire`], unless something else happens before. `None` while the
    /// connection waits for the application.
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

    /// Handles a deadline that has passed. A request that has begun is answered 408 (RFC 9110, 15.5.9); otherwise, and
    /// where the client does not read, the connection is closed without a response. Does nothing before the deadline.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let too_slow = |reason| State::Refusing(Refusal::new(Status::RequestTimeout, reason));
        self.enter(match self.state {
            _ if self.unsent() > 0 => State::Closed,
            State::Head => too_slow("the request head took too long"),
            State::Content(_) => too_slow("the content arrived too slowly"),
            _ => State::Closed,
        });
    }

    /// How long the content may take, given how much has arrived: a grace time, and then as long as the lowest rate
    /// allows, up to a fixed maximum. Only decoded content counts; a client could send size lines forever.
    fn content_time_max(&self) -> Duration {
        let arrived = self.buffers.as_ref().map_or(0, |buffers| buffers.content_arrived());
        let limits = &self.limits;
        let earned = Duration::from_secs_f64(arrived as f64 / f64::from(limits.body_bytes_per_second_min));
        limits.body_time_max.min(limits.body_grace_time + earned)
    }
}
