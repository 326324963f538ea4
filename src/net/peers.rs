//! The connections of each peer, so that one peer cannot have them all.

use std::collections::HashMap;

use crate::peer::Peer;

/// The slots of each peer's connections. Without a bound nothing is recorded.
pub(super) struct Peers {
    each_max: usize,
    slots: HashMap<Peer, Vec<u32>>,
}

impl Peers {
    /// No connections yet; each peer may have `each_max`, and `usize::MAX` means that there is no bound.
    pub(super) fn new(each_max: usize) -> Peers {
        Peers { each_max, slots: HashMap::new() }
    }

    /// The bound on the connections of one peer; `usize::MAX` means none.
    pub(super) fn each_max(&self) -> usize {
        self.each_max
    }

    /// The slots of `peer` if it has reached its bound, else `None`.
    pub(super) fn all_taken(&self, peer: Peer) -> Option<&[u32]> {
        self.slots.get(&peer).filter(|slots| slots.len() >= self.each_max).map(Vec::as_slice)
    }

    /// Records a connection of `peer` in `slot`.
    pub(super) fn add(&mut self, peer: Peer, slot: usize) {
        if self.each_max < usize::MAX {
            // 32 bits are enough: a process has fewer descriptors.
            self.slots.entry(peer).or_default().push(slot as u32);
        }
    }

    /// Forgets the connection of `peer` in `slot`; does nothing if it was not recorded.
    pub(super) fn remove(&mut self, peer: Peer, slot: usize) {
        let Some(slots) = self.slots.get_mut(&peer) else { return };
        if let Some(at) = slots.iter().position(|other| *other == slot as u32) {
            slots.swap_remove(at);
        }
        if slots.is_empty() {
            self.slots.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::of(text.parse().unwrap())
    }

    #[test]
    fn a_peer_that_has_all_it_may_is_known_until_it_gives_one_back() {
        let mut peers = Peers::new(2);
        let (one, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        peers.add(one, 7);
        assert!(peers.all_taken(one).is_none());
        peers.add(one, 8);
        assert_eq!(peers.all_taken(one), Some(&[7, 8][..]));
        assert!(peers.all_taken(other).is_none());
        peers.remove(one, 7);
        assert!(peers.all_taken(one).is_none());
        peers.remove(one, 8);
        assert!(peers.slots.is_empty(), "a peer that is gone leaves nothing behind");
    }
}
