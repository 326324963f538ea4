//! Whose connections they are: counted by peer, so that one peer cannot have them all.

use std::collections::HashMap;

use crate::peer::Peer;

/// The slots of each peer's connections. Where there is no bound, nothing is kept.
pub(super) struct Peers {
    each_max: usize,
    slots: HashMap<Peer, Vec<u32>>,
}

impl Peers {
    pub(super) fn new(each_max: usize) -> Peers {
        Peers { each_max, slots: HashMap::new() }
    }

    /// The bound on each peer's connections; `usize::MAX` means none.
    pub(super) fn each_max(&self) -> usize {
        self.each_max
    }

    /// The peer's slots, if they are as many as it may have.
    pub(super) fn all_taken(&self, peer: Peer) -> Option<&[u32]> {
        self.slots.get(&peer).filter(|slots| slots.len() >= self.each_max).map(Vec::as_slice)
    }

    pub(super) fn add(&mut self, peer: Peer, slot: usize) {
        if self.each_max < usize::MAX {
            // There are not as many descriptors as 32 bits can count.
            self.slots.entry(peer).or_default().push(slot as u32);
        }
    }

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
