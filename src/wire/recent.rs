//! The last exchanges, bounded in number and in bytes.
//!
//! The oldest make room for new ones. A reader remembers the number of the last exchange that it has read, and asks
//! for the one after it; if that is gone, it gets the oldest that is left and can tell from the number.

use std::collections::VecDeque;

use super::exchange::Exchange;

/// How many exchanges are kept.
pub const EXCHANGES_MAX: usize = 500;

/// How many bytes they may take together.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The last exchanges, oldest first.
#[derive(Default)]
pub struct Ring {
    exchanges: VecDeque<Exchange>,
    bytes: usize,
    /// The number of the last exchange that was added.
    last: u64,
}

impl Ring {
    /// Adds an exchange, which gets the next number. Drops the oldest past the bounds.
    pub fn push(&mut self, mut exchange: Exchange) -> u64 {
        self.last += 1;
        exchange.id = self.last;
        self.bytes += exchange.size();
        self.exchanges.push_back(exchange);
        while self.exchanges.len() > EXCHANGES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.exchanges.pop_front() else { break };
            self.bytes -= oldest.size();
        }
        self.last
    }

    /// The first exchange after the one with the number `id`, which may be any: a reader sends it.
    pub fn after(&self, id: u64) -> Option<&Exchange> {
        let first = self.exchanges.front()?.id;
        let index = id.saturating_add(1).saturating_sub(first);
        self.exchanges.get(usize::try_from(index).ok()?)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::tests::exchange;
    use super::*;

    #[test]
    fn the_oldest_exchange_makes_room_past_the_count() {
        let mut ring = Ring::default();
        for _ in 0..=EXCHANGES_MAX {
            ring.push(exchange(0, b"GET", b"200"));
        }
        assert_eq!(ring.len(), EXCHANGES_MAX);
        assert_eq!(
            ring.after(0).map(|found| found.id),
            Some(2),
            "the first is gone, and the next one stands in"
        );
        assert_eq!(ring.after(2).map(|found| found.id), Some(3));
        assert!(ring.after(EXCHANGES_MAX as u64 + 1).is_none() && ring.after(u64::MAX).is_none());
    }

    #[test]
    fn the_oldest_exchange_makes_room_past_the_bytes() {
        let mut ring = Ring::default();
        let large = vec![b'x'; 32 * 1024];
        for _ in 0..EXCHANGES_MAX {
            ring.push(exchange(0, &large, &large));
            assert!(ring.bytes <= BYTES_MAX);
        }
        assert!((100..200).contains(&ring.len()), "{}", ring.len());
        assert_eq!(ring.bytes, ring.exchanges.iter().map(Exchange::size).sum::<usize>());
    }

    #[test]
    fn an_empty_ring_has_nothing_after_anything() {
        assert!(Ring::default().after(0).is_none() && Ring::default().is_empty());
    }
}
