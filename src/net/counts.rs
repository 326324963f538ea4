//! What a worker has counted since the start, for the log line at the end.

/// How often each of these happened. None of them ends the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections admitted.
    pub connections: u64,
    /// Requests answered, refused ones included.
    pub requests: u64,
    /// Connections refused for want of room: sent a 503, or closed without an answer.
    pub turned_away: u64,
    /// Connections closed to make room: idle ones, and those that held most memory.
    pub evicted: u64,
    /// Connections ended by an error of their socket, such as a reset.
    pub broken: u64,
    /// Connections closed because no memory could be allocated for their bytes.
    pub starved: u64,
    /// Requests whose endpoint panicked.
    pub panics: u64,
}

impl Counts {
    /// Adds the counts of another worker.
    pub(super) fn add(&mut self, other: &Counts) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.turned_away += other.turned_away;
        self.evicted += other.evicted;
        self.broken += other.broken;
        self.starved += other.starved;
        self.panics += other.panics;
    }
}

/// Requests and connections always, the rest only where it is not zero.
impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { connections, requests, turned_away, evicted, broken, starved, panics } = *self;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(f, "{requests} request{}", plural(requests))?;
        write!(f, " on {connections} connection{}", plural(connections))?;
        let failures = [
            (turned_away, "turned away"),
            (evicted, "closed to make room"),
            (broken, "broken off"),
            (starved, "out of memory"),
            (panics, if panics == 1 { "panic" } else { "panics" }),
        ];
        failures
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_no_zeros_and_agrees_in_number() {
        let quiet = Counts { connections: 1, requests: 1, ..Counts::default() };
        assert_eq!(quiet.to_string(), "1 request on 1 connection");
        let busy = Counts { connections: 2, requests: 0, turned_away: 3, panics: 1, ..quiet };
        assert_eq!(busy.to_string(), "0 requests on 2 connections, 3 turned away, 1 panic");
    }
}
