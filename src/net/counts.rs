//! What a worker has counted since the start.

/// How often what happened; nothing of it is lost, and nothing of it ends the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were let in.
    pub connections: u64,
    /// Requests that were answered, refused ones included.
    pub requests: u64,
    /// Connections that were told 503, or closed without a word, for want of room.
    pub turned_away: u64,
    /// Connections that were closed to make room: idle ones, and those that held most memory.
    pub evicted: u64,
    /// Connections that an error of the socket ended: a reset, no memory.
    pub broken: u64,
    /// Connections that were given up for want of memory for their bytes.
    pub starved: u64,
    /// Requests whose handler panicked.
    pub panics: u64,
}

impl Counts {
    /// Adds another worker's.
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

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { connections, requests, turned_away, evicted, broken, starved, panics } = self;
        write!(
            f,
            "{requests} requests on {connections} connections; {turned_away} turned away, {evicted} closed to \
             make room, {broken} broken off, {starved} without memory, {panics} panics"
        )
    }
}
