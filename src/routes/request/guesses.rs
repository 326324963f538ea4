//! How often each peer has presented a wrong secret, where a person chose the secret (RFC 6749, 2.3.1: such secrets are//! protected against guessing).
//!
//! A wrong secret is forgiven after a time, one after the other. A peer that has `wrong_secrets_max` of them left is
//! refused until one is forgiven. So a peer may be wrong a few times in a row, and after that once in each
//! `wrong_secret_time`. Nobody else is: a client whose secret somebody else guesses at is not locked out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Limits;
use crate::peer::Peer;

/// The peers that presented wrong secrets, and when all of each are forgiven.
pub(crate) struct Guesses {
    wrong_secrets_max: u32,
    wrong_secret_time: Duration,
    peers_max: usize,
    debts: Mutex<Debts>,
}

#[derive(Default)]
struct Debts {
    /// When all of a peer's wrong secrets are forgiven. The order has the same pairs.
    ends: HashMap<Peer, Instant>,
    order: BTreeSet<(Instant, Peer)>,
}

impl Guesses {
    pub(crate) fn new(limits: &Limits) -> Guesses {
        Guesses {
            wrong_secrets_max: limits.wrong_secrets_max,
            wrong_secret_time: limits.wrong_secret_time,
            peers_max: limits.wrong_secret_peers_max,
            debts: Mutex::default(),
        }
    }

    /// Whether `peer` may present another secret.
    ///
    /// # Errors
    /// How long it has to wait, where it may not.
    pub(crate) fn check(&self, peer: Peer, now: Instant) -> Result<(), Duration> {
        self.wait(&self.lock(), peer, now)
    }

    /// Notes that `peer` presented a wrong secret.
    ///
    /// # Errors
    /// How long it has to wait, where it should not have been allowed to. Then nothing is noted.
    pub(crate) fn note(&self, peer: Peer, now: Instant) -> Result<(), Duration> {
        let mut debts = self.lock();
        self.wait(&debts, peer, now)?;
        debts.forgive(now);
        let end = debts.ends.get(&peer).copied().unwrap_or(now) + self.wrong_secret_time;
        if debts.ends.len() >= self.peers_max && !debts.ends.contains_key(&peer) {
            // The peer that would be forgiven soonest makes room.
            debts.pop();
        }
        debts.set(peer, end);
        Ok(())
    }

    fn wait(&self, debts: &Debts, peer: Peer, now: Instant) -> Result<(), Duration> {
        let Some(end) = debts.ends.get(&peer) else { return Ok(()) };
        let allowed = self.wrong_secret_time * self.wrong_secrets_max.saturating_sub(1);
        match end.saturating_duration_since(now).checked_sub(allowed) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Debts> {
        // A panic between the two changes of a table would leave a peer that is forgiven late, or never counted.
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debts {
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

    fn guesses(peers_max: usize) -> Guesses {
        let limits = Limits {
            wrong_secrets_max: 3,
            wrong_secret_time: Duration::from_secs(10),
            wrong_secret_peers_max: peers_max,
            ..Limits::default()
        };
        Guesses::new(&limits)
    }

    #[test]
    fn a_peer_may_be_wrong_a_few_times_and_then_once_in_a_while() {
        let (guesses, start) = (guesses(10), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        // When, and how many seconds the peer has to wait; each time that it need not, it is wrong.
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
            let wait = guesses.check(peer(1), at(seconds)).err().unwrap_or_default();
            assert_eq!(wait, Duration::from_secs(expected), "at {seconds}");
            assert_eq!(guesses.note(peer(1), at(seconds)).is_ok(), expected == 0, "at {seconds}");
        }
        assert_eq!(guesses.check(peer(2), at(0)), Ok(()), "others are not affected");
    }

    #[test]
    fn the_table_has_a_bound_at_which_the_peer_that_is_forgiven_soonest_makes_room() {
        let (guesses, start) = (guesses(2), Instant::now());
        for number in [1, 1, 1, 2, 3] {
            assert_eq!(guesses.note(peer(number), start), Ok(()));
        }
        let debts = guesses.lock();
        assert_eq!((debts.ends.len(), debts.order.len()), (2, 2));
        assert!(debts.ends.contains_key(&peer(1)) && debts.ends.contains_key(&peer(3)));
        drop(debts);
        assert_eq!(guesses.note(peer(2), start + Duration::from_secs(31)), Ok(()));
        assert_eq!(guesses.lock().ends.len(), 1, "what is forgiven leaves nothing behind");
    }
}
