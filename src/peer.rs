//! Peers: connections and requests are counted per peer, so that one cannot use up the resources of all.

use std::net::IpAddr;

/// An IPv4 address, or the first 64 bits of an IPv6 address: a network assigns a /64 to one customer, who can use any
/// address in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(u64);

impl Peer {
    /// The peer with `address`.
    pub fn of(address: IpAddr) -> Peer {
        match address.to_canonical() {
            // Distinct from every IPv6 network, because 0::/8 is reserved (RFC 4291, 2.4).
            IpAddr::V4(address) => Peer(u64::from(address.to_bits()) << 8 | 1),
            IpAddr::V6(address) => Peer((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_apart_by_address_and_in_ipv6_by_network() {
        let peer = |text: &str| Peer::of(text.parse().unwrap());
        assert!(peer("192.0.2.1") == peer("::ffff:192.0.2.1"));
        assert!(peer("192.0.2.1") != peer("192.0.2.2"));
        assert!(peer("2001:db8::1") == peer("2001:db8::ffff:1:2:3"));
        assert!(peer("2001:db8::1") != peer("2001:db8:0:1::1"));
        assert!(peer("::1") != peer("0.0.0.1") && peer("::1") != peer("127.0.0.1"));
    }
}
