//! How many connections the process has descriptors for.
//!
//! Every open socket takes a descriptor, and the system lets a process have a limited number: often 1,024, which may be
//! raised up to a second limit. So the server raises the first as far as it needs, and takes no more connections than
//! there are descriptors for. It would find out anyway, at a moment when other things need descriptors, too.

use std::io;

/// Descriptors that are not for connections: standard streams, listening sockets, the signals' pipe, the store's file
/// or its connections to an engine, pages read from a folder, and connections that are told 503.
const RESERVED: usize = 64;

/// And for each worker: its event queue, and what wakes it.
const RESERVED_PER_WORKER: usize = 4;

/// How many connections there are descriptors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// At most as many as were wanted.
    pub connections_max: usize,
    /// How many descriptors the process may have.
    pub limit: u64,
}

impl Descriptors {
    fn of(wanted: usize, workers: usize, limit: u64) -> Descriptors {
        let all = usize::try_from(limit).unwrap_or(usize::MAX);
        // Where there are hardly any, connections get half of them.
        let free = all.saturating_sub(reserved(workers)).max(all / 2);
        Descriptors { connections_max: wanted.min(free).max(1), limit }
    }
}

fn reserved(workers: usize) -> usize {
    RESERVED.saturating_add(RESERVED_PER_WORKER.saturating_mul(workers))
}

/// Raises the limit of descriptors for `connections` connections and all else, as far as the system allows.
///
/// # Errors
/// When the system does not tell or set the limit.
pub fn raise_descriptor_limit(connections: usize, workers: usize) -> io::Result<Descriptors> {
    let wanted = connections.saturating_add(reserved(workers));
    let limit = raise(u64::try_from(wanted).unwrap_or(u64::MAX))?;
    Ok(Descriptors::of(connections, workers, limit))
}

#[cfg(unix)]
fn raise(wanted: u64) -> io::Result<u64> {
    rlimit::increase_nofile_limit(wanted)
}

/// Elsewhere sockets are not counted with files.
#[cfg(not(unix))]
fn raise(wanted: u64) -> io::Result<u64> {
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_by_the_descriptors_that_nothing_else_needs() {
        let check = |wanted, workers, limit, expected| {
            assert_eq!(
                Descriptors::of(wanted, workers, limit),
                Descriptors { connections_max: expected, limit }
            );
        };
        check(16_000, 2, 1024, 1024 - 72);
        check(16_000, 2, 1_048_576, 16_000);
        check(16_000, 2, 16_072, 16_000);
        check(16_000, 2, 16_071, 15_999);
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
