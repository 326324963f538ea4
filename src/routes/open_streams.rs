//! How many streams are open, in all and for each peer, over all workers.
//!
//! A stream holds its connection for as long as its client wants. That connection is never idle, so it is never closed
//! to make room for another. Without a bound, streams could take all connections.
//!
//! Streams begin and end rarely, so one lock for all workers is cheap, and the bounds are exact. (Of the bounds on
//! connections, each worker has its share.) The peer is the client, as a trusted proxy reports it. A peer on loopback
//! has no bound by default: it is this machine, or a proxy on it that reports no client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::peer::Peer;

/// How many streams one peer may have open by default: a quarter of its connections, so that its other requests are
/// answered.
const PEER_STREAMS_MAX: usize = 64;

/// How many streams may be open.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamBounds {
    /// In all.
    pub(super) all_max: usize,
    /// Of one peer; `None` for [`PEER_STREAMS_MAX`], and for no bound on loopback.
    pub(super) peer_max: Option<usize>,
}

impl StreamBounds {
    fn of_peer(&self, address: IpAddr) -> usize {
        let is_loopback = address.to_canonical().is_loopback();
        self.peer_max.unwrap_or(if is_loopback { usize::MAX } else { PEER_STREAMS_MAX })
    }
}

/// The streams that are open.
#[derive(Default)]
pub(super) struct OpenStreams(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: usize,
    /// Peers without a stream are not in it.
    peers: HashMap<Peer, usize>,
}

/// One stream's place among those that may be open. It is free again when this is dropped.
pub(super) struct Place {
    streams: Arc<OpenStreams>,
    peer: Peer,
}

impl OpenStreams {
    /// Takes a place for a stream of the peer at `address`.
    ///
    /// # Errors
    /// The reason, where there is none.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, bounds: StreamBounds) -> Result<Place, &'static str> {
        let peer = Peer::of(address);
        let mut counts = self.lock();
        if counts.all >= bounds.all_max {
            return Err("too many streams are open");
        }
        if counts.peers.get(&peer).is_some_and(|count| *count >= bounds.of_peer(address)) {
            return Err("too many streams of this peer are open");
        }
        counts.all += 1;
        *counts.peers.entry(peer).or_default() += 1;
        Ok(Place { streams: Arc::clone(self), peer })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Poisoning is ignored: no change to the counts can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.streams.lock();
        counts.all -= 1;
        if let Some(count) = counts.peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a place for each of the addresses; gives those for which there was one.
    fn take(streams: &Arc<OpenStreams>, bounds: StreamBounds, addresses: &[&str]) -> Vec<Place> {
        addresses.iter().filter_map(|text| streams.take(text.parse().unwrap(), bounds).ok()).collect()
    }

    #[test]
    fn streams_are_bounded_in_all_and_for_each_peer() {
        let check = |all_max, peer_max, addresses: &[&str], expected| {
            let streams = Arc::<OpenStreams>::default();
            let places = take(&streams, StreamBounds { all_max, peer_max }, addresses);
            assert_eq!(places.len(), expected, "{addresses:?}, {all_max} in all, {peer_max:?} each");
            drop(places);
            let counts = streams.lock();
            assert_eq!((counts.all, counts.peers.len()), (0, 0), "all places are free again");
        };
        let (one, network, loopback) = ("192.0.2.1", ["2001:db8::1", "2001:db8::2"], "127.0.0.1");
        check(3, None, &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], 3);
        check(9, Some(1), &[one, one, "192.0.2.2"], 2);
        check(9, Some(1), &network, 1);
        check(1000, None, &[one; 100], PEER_STREAMS_MAX);
        check(1000, None, &[loopback; 100], 100);
        check(1000, None, &["::ffff:127.0.0.1"; 100], 100);
        check(1000, Some(5), &[loopback; 100], 5);
    }

    #[test]
    fn a_place_is_free_again_when_its_stream_is_over() {
        let streams = Arc::<OpenStreams>::default();
        let bounds = StreamBounds { all_max: 9, peer_max: Some(1) };
        let address = "192.0.2.1".parse().unwrap();
        let place = streams.take(address, bounds).expect("the first");
        assert_eq!(streams.take(address, bounds).err(), Some("too many streams of this peer are open"));
        drop(place);
        assert!(streams.take(address, bounds).is_ok());
        let bounds = StreamBounds { all_max: 0, peer_max: None };
        assert_eq!(streams.take(address, bounds).err(), Some("too many streams are open"));
    }
}
