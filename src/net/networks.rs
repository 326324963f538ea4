//! Addresses and networks in the configuration, such as `10.0.0.0/8`.

use std::fmt;
use std::net::IpAddr;

/// A network: the addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// The length of the prefix, in bits.
    bits: u8,
}

/// The length of the prefix of all IPv4-mapped addresses, `::ffff:0:0/96`.
const MAPPED_BITS: u8 = 96;

/// The text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "give an IP address or a network, such as \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\"",
        )
    }
}

impl std::error::Error for NetworkError {}

impl Network {
    /// Reads an address, or a network in CIDR notation. An IPv4-mapped one is read as that of IPv4.
    ///
    /// # Errors
    /// For anything else, and for a network whose address has bits set beyond its prefix.
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits {
            None => most,
            // Rust's parser accepts a sign.
            Some(bits) if bits.starts_with('+') => return Err(NetworkError),
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or(NetworkError)?,
        };
        // As `contains` has it, an IPv4-mapped address is one of IPv4.
        let (address, bits, most) = match (address.to_canonical(), bits.checked_sub(MAPPED_BITS)) {
            (mapped @ IpAddr::V4(_), Some(bits)) if address.is_ipv6() => (mapped, bits, 32),
            _ => (address, bits, most),
        };
        let network = Network { address, bits };
        let is_clean = network.bits_of(address).is_some_and(|own| own == first_bits(own, bits, most));
        is_clean.then_some(network).ok_or(NetworkError)
    }

    /// Whether the network contains `address`. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let most: u8 = if self.address.is_ipv4() { 32 } else { 128 };
        let first = |address| Some(first_bits(self.bits_of(address)?, self.bits, most));
        first(address.to_canonical()).is_some_and(|bits| Some(bits) == first(self.address))
    }

    /// The bits of `address`; `None` if it is of the other family.
    fn bits_of(&self, address: IpAddr) -> Option<u128> {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(address)) => Some(u128::from(address.to_bits())),
            (IpAddr::V6(_), IpAddr::V6(address)) => Some(address.to_bits()),
            _ => None,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The first `count` of `most` bits; the others are zero.
fn first_bits(bits: u128, count: u8, most: u8) -> u128 {
    bits.checked_shr(u32::from(most - count))
        .and_then(|bits| bits.checked_shl(u32::from(most - count)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_share_its_first_bits() {
        let check = |network: &str, address: &str, expected: bool| {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        };
        check("127.0.0.1", "127.0.0.1", true);
        check("127.0.0.1", "::ffff:127.0.0.1", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("0.0.0.0/0", "192.0.2.1", true);
        check("0.0.0.0/0", "::1", false);
        check("::ffff:10.0.0.1", "10.0.0.1", true);
        check("::ffff:10.0.0.1", "::ffff:10.0.0.1", true);
        check("::ffff:10.0.0.1", "10.0.0.2", false);
        check("::ffff:10.0.0.0/104", "10.255.0.1", true);
        check("::ffff:10.0.0.0/104", "11.0.0.0", false);
        check("::ffff:0:0/96", "192.0.2.1", true);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::", false);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "proxy",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "10.0.0.0/",
            "::1/129",
            "10.0.0.0/8/8",
            "::ffff:0:0/95",
            "::ffff:10.0.0.1/104",
        ] {
            assert_eq!(Network::parse(text), Err(NetworkError), "{text}");
        }
    }
}
