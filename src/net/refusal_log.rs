//! The log of refused requests: one line each with the exact reason, at a bounded rate.
//!
//! Any client can cause refusals at any rate. Without the bound they would fill the disk, and writing a line costs more
//! than the refusal itself. Refusals past the bound are counted, and the count is logged when the second is over.

use std::time::{Duration, Instant};

use crate::http::{Request, Response};
use crate::log::Log;
use crate::routes::Role;

const SECOND: Duration = Duration::from_secs(1);

/// How much of a path a line shows, in bytes.
const PATH_BYTES_MAX: usize = 64;

/// Writes a line for each refusal, up to a number per second.
pub(super) struct RefusalLog {
    log: Log,
    lines_per_second_max: usize,
    second_began: Option<Instant>,
    /// Lines written in this second, and refusals past the bound.
    lines: usize,
    unwritten: usize,
}

impl RefusalLog {
    /// A log with at most `lines_per_second_max` lines a second.
    pub(super) fn new(log: Log, lines_per_second_max: usize) -> RefusalLog {
        RefusalLog { log, lines_per_second_max, second_began: None, lines: 0, unwritten: 0 }
    }

    /// Changes the bound, also for the current second.
    pub(super) fn set_lines_per_second_max(&mut self, lines_per_second_max: usize) {
        self.lines_per_second_max = lines_per_second_max;
    }

    /// Logs the refusal `response`. A line has the method and the path; the query, header fields and content may
    /// contain secrets and stay out.
    pub(super) fn note(&mut self, now: Instant, role: Role, request: Option<&Request>, response: &Response) {
        self.settle(now);
        // `>=` because the bound may have been lowered within this second.
        if self.lines >= self.lines_per_second_max {
            self.unwritten += 1;
            return;
        }
        self.second_began.get_or_insert(now);
        self.lines += 1;
        let server = match role {
            Role::ClientApp => "client app",
            Role::AuthorizationServer => "authorization server",
            Role::Lab => "attacker's site",
        };
        let (method, path) = request.map_or(("-", "-"), |request| (request.method().token(), request.path()));
        let path = path.get(..PATH_BYTES_MAX).unwrap_or(path);
        let (code, reason) = (response.status.code(), response.reason().unwrap_or("-"));
        self.log.unlimited_line(format_args!("{server}: {method} {path} {code}: {reason}"));
    }

    /// Logs the count of refusals past the bound, if the current second is over by `now`.
    pub(super) fn settle(&mut self, now: Instant) {
        let Some(began) = self.second_began else { return };
        if now.saturating_duration_since(began) < SECOND {
            return;
        }
        if self.unwritten > 0 {
            self.log
                .unlimited_line(format_args!("{} more requests were refused within a second", self.unwritten));
        }
        (self.second_began, self.lines, self.unwritten) = (None, 0, 0);
    }

    /// When to call [`RefusalLog::settle`]; `None` if there is no count to log.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.second_began.filter(|_| self.unwritten > 0).map(|began| began + SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{FieldLines, Status};

    #[test]
    fn a_bound_that_is_lowered_within_a_second_holds_in_it() {
        let (log, now) = (Log::kept(), Instant::now());
        let mut refusal_log = RefusalLog::new(log.clone(), 10);
        let response = Response::new(Status::BadRequest, FieldLines::literal("")).because("a reason");
        let note = |refusal_log: &mut RefusalLog| refusal_log.note(now, Role::ClientApp, None, &response);
        (0..3).for_each(|_| note(&mut refusal_log));
        refusal_log.set_lines_per_second_max(2);
        (0..4).for_each(|_| note(&mut refusal_log));
        assert_eq!(log.lines().len(), 3);
        refusal_log.settle(now + SECOND);
        assert_eq!(log.lines()[3], "4 more requests were refused within a second");
    }
}
