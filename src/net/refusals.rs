//! The log of refused requests: one line each, with the exact reason, and only so many a second.
//!
//! Anyone can be refused as often as they like. Written without a bound, that would fill the disk, and cost
//! more than the refusal itself.

use std::time::{Duration, Instant};

use crate::http::message::{Request, Response};
use crate::log::Log;
use crate::routes::Role;

const SECOND: Duration = Duration::from_secs(1);

/// How much of a path a line shows.
const PATH_CHARS_MAX: usize = 64;

/// Writes a line for each refusal, within the bound.
pub(super) struct Refusals {
    log: Log,
    lines_per_second_max: usize,
    second_began: Option<Instant>,
    /// In this second: lines written, and refusals that got none.
    lines: usize,
    unwritten: usize,
}

impl Refusals {
    pub(super) fn new(log: Log, lines_per_second_max: usize) -> Refusals {
        Refusals { log, lines_per_second_max, second_began: None, lines: 0, unwritten: 0 }
    }

    /// Of the request a line names method and path; never the query, a field or the content, where secrets
    /// are.
    pub(super) fn note(&mut self, now: Instant, role: Role, request: Option<&Request>, response: &Response) {
        self.settle(now);
        if self.lines == self.lines_per_second_max {
            self.unwritten += 1;
            return;
        }
        self.second_began.get_or_insert(now);
        self.lines += 1;
        let server = match role {
            Role::ClientApp => "client app",
            Role::AuthorizationServer => "authorization server",
        };
        let (method, path) = request.map_or(("-", "-"), |request| (request.method().token(), request.path()));
        let path = path.get(..PATH_CHARS_MAX).unwrap_or(path);
        let (code, reason) = (response.status.code(), response.reason().unwrap_or("-"));
        self.log.unlimited_line(format_args!("{server}: {method} {path} {code}: {reason}"));
    }

    /// Ends the second that is over by `now`, if one has begun.
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

    /// When the second that has begun is over, if its count is still to be written.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.second_began.filter(|_| self.unwritten > 0).map(|began| began + SECOND)
    }
}
