//! How many connections the process has file descriptors for.
//!
//! Every open socket takes a descriptor, and the system limits how many a process may have: often 1,024, which the
//! process may raise up to a hard limit. So the server raises the limit as far as it needs, and bounds its connections
//! by what is left after its own files. Otherwise it would reach the limit while a file or the store needs a
//! descriptor.

use std::io;

/// Descriptors reserved for everything else: standard streams, listening sockets, signal pipes, the store's file or its
/// connections to an engine, documents that are fetched, and pages read from a folder.
const RESERVED: usize = 64;

/// How many connections of a worker may be open past a bound, to be sent a 503. Further ones are closed without an
/// answer. They are counted apart from the others, so that a peer past its own bound takes no places of other peers.
pub(super) const TURNED_AWAY_MAX: usize = 16;

/// Further descriptors reserved for each worker: its event queue, its waker, and those that it turns away.
const RESERVED_PER_WORKER: usize = 4 + TURNED_AWAY_MAX;

/// How many connections the descriptors allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// How many connections to serve; at most as many as were asked for, at least 1.
    pub connections_max: usize,
    /// How many descriptors the process may have now.
    pub limit: u64,
}

impl Descriptors {
    fn of(wanted: usize, workers: usize, limit: u64) -> Descriptors {
        let all = usize::try_from(limit).unwrap_or(usize::MAX);
        // If the reserve would leave almost none, connections get half of all.
        let free = all.saturating_sub(reserved(workers)).max(all / 2);
        Descriptors { connections_max: wanted.min(free).max(1), limit }
    }
}

fn reserved(workers: usize) -> usize {
    RESERVED.saturating_add(RESERVED_PER_WORKER.saturating_mul(workers))
}

/// Raises the limit of descriptors as far as `connections` connections and `workers` workers need and the system
/// allows.
///
/// # Errors
/// If the system does not report the limit or refuses the change.
pub fn raise_descriptor_limit(connections: usize, workers: usize) -> io::Result<Descriptors> {
    let wanted = connections.saturating_add(reserved(workers));
    let limit = raise(u64::try_from(wanted).unwrap_or(u64::MAX))?;
    Ok(Descriptors::of(connections, workers, limit))
}

#[cfg(unix)]
fn raise(wanted: u64) -> io::Result<u64> {
    rlimit::increase_nofile_limit(wanted)
}

/// Other systems do not count sockets as files.
#[cfg(not(unix))]
fn raise(wanted: u64) -> io::Result<u64> {
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_by_the_free_descriptors() {
        let check = |wanted, workers, limit, expected| {
            assert_eq!(
                Descriptors::of(wanted, workers, limit),
                Descriptors { connections_max: expected, limit }
            );
        };
        check(16_000, 2, 1024, 1024 - 104);
        check(16_000, 2, 1_048_576, 16_000);
        check(16_000, 2, 16_104, 16_000);
        check(16_000, 2, 16_103, 15_999);
        check(16_000, 2, u64::MAX, 16_000);
        check(10, 2, 1024, 10);
        check(16_000, 1000, 1024, 512);
        check(16_000, 2, 32, 16);
        check(16_000, 2, 0, 1);
    }

    #[test]
    #[cfg(unix)]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        let (_, hard) = rlimit::Resource::NOFILE.get().unwrap();
        let room = raise_descriptor_limit(usize::MAX / 2, 1).unwrap();
        assert_eq!(rlimit::Resource::NOFILE.get().unwrap().0, room.limit);
        assert!(room.limit == hard || cfg!(target_os = "macos"), "{room:?}, {hard}");
    }
}
