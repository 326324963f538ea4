//! A rate limit per peer: for wrong secrets, where people chose them (RFC 6749, 2.3.1), and for registrations.
//!
//! It is a leaky bucket. Each event of a peer leaves `each_time` after the one before it, and a peer with `burst_max`
//! of them is refused until one has left. So a peer may do a few in a row, and then one in each `each_time`. There is
//! no limit per client, which would let anyone lock a client out by guessing.
//!
//! Only the time at which a bucket will be empty is stored. The number of buckets is bounded.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::Peer;

/// The buckets of all peers.
pub(crate) struct PeerRate {
    burst_max: u32,
    each_time: Duration,
    peers_max: usize,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    /// When each peer's bucket is empty.
    ends: HashMap<Peer, Instant>,
    /// The same pairs, soonest first.
    order: BTreeSet<(Instant, Peer)>,
}

impl PeerRate {
    /// Each peer may do `burst_max` in a row, and one more in each `each_time`. At most `peers_max` buckets are
    /// kept, one for each peer.
    pub(crate) fn new(burst_max: u32, each_time: Duration, peers_max: usize) -> PeerRate {
        PeerRate { burst_max, each_time, peers_max, buckets: Mutex::default() }
    }

    /// Checks that the bucket of `peer` has room.
    ///
    /// # Errors
    /// How long it must wait first.
    pub(crate) fn check(&self, peer: Peer, now: Instant) -> Result<(), Duration> {
        self.wait(&self.lock(), peer, now)
    }

    /// Puts one event into the bucket of `peer`.
    ///
    /// # Errors
    /// How long it must wait, if the bucket is full; then nothing is recorded.
    pub(crate) fn note(&self, peer: Peer, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.lock();
        self.wait(&buckets, peer, now)?;
        buckets.forgive(now);
        let end = buckets.ends.get(&peer).copied().unwrap_or(now) + self.each_time;
        if buckets.ends.len() >= self.peers_max && !buckets.ends.contains_key(&peer) {
            // The bucket that will be empty soonest makes room, since it limits least.
            buckets.pop();
        }
        buckets.set(peer, end);
        Ok(())
    }

    /// An error is how long `peer` must wait until its bucket has room for one more.
    fn wait(&self, buckets: &Buckets, peer: Peer, now: Instant) -> Result<(), Duration> {
        let Some(end) = buckets.ends.get(&peer) else { return Ok(()) };
        let allowed = self.each_time * self.burst_max.saturating_sub(1);
        match end.saturating_duration_since(now).checked_sub(allowed) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        // Poisoning is ignored: the worst that a panic between the two tables' changes leaves is a peer that is not
        // limited.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn forgive(&mut self, now: Instant) {
        while self.order.first().is_some_and(|(end, _)| *end <= now) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, peer)) = self.order.pop_first() {
            self.ends.remove(&peer);
        }
    }

    fn set(&mut self, peer: Peer, end: Instant) {
        if let Some(old) = self.ends.insert(peer, end) {
            self.order.remove(&(old, peer));
        }
        self.order.insert((end, peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> Peer {
        Peer::of([192, 0, 2, number].into())
    }

    fn rate(peers_max: usize) -> PeerRate {
        PeerRate::new(3, Duration::from_secs(10), peers_max)
    }

    #[test]
    fn a_peer_may_be_wrong_a_few_times_and_then_once_in_a_while() {
        let (rate, start) = (rate(10), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        // The second, and how long the peer must wait then; if it need not wait, it is wrong once more.
        let cases = [
            (0, 0),
            (0, 0),
            (0, 0),
            (0, 10),
            (4, 6),
            (9, 1),
            (10, 0),
            (10, 10),
            (41, 0),
            (41, 0),
            (41, 0),
            (41, 10),
        ];
        for (seconds, expected) in cases {
            let wait = rate.check(peer(1), at(seconds)).err().unwrap_or_default();
            assert_eq!(wait, Duration::from_secs(expected), "at {seconds}");
            assert_eq!(rate.note(peer(1), at(seconds)).is_ok(), expected == 0, "at {seconds}");
        }
        assert_eq!(rate.check(peer(2), at(0)), Ok(()), "others are not affected");
    }

    #[test]
    fn at_the_bound_the_peer_that_is_forgiven_soonest_makes_room() {
        let (rate, start) = (rate(2), Instant::now());
        for number in [1, 1, 1, 2, 3] {
            assert_eq!(rate.note(peer(number), start), Ok(()));
        }
        let buckets = rate.lock();
        assert_eq!((buckets.ends.len(), buckets.order.len()), (2, 2));
        assert!(buckets.ends.contains_key(&peer(1)) && buckets.ends.contains_key(&peer(3)));
        drop(buckets);
        assert_eq!(rate.note(peer(2), start + Duration::from_secs(31)), Ok(()));
        assert_eq!(rate.lock().ends.len(), 1, "what is forgiven leaves nothing behind");
    }
}
