//! The address of a client behind a trusted proxy: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Any client can send these fields, so they are used only on connections from proxies that the configuration trusts.
//! Each proxy appends the address that it was connected to from, so the list is read from its end, and the first
//! address that is not a trusted proxy's is the client's. Anything before it comes from the client itself and is
//! ignored.

use std::net::{IpAddr, Ipv4Addr};

use super::networks::Network;
use crate::http::Request;

/// Where a request comes from if the two fields disagree. It is the address of no one. The proxy's own is often one of
/// this machine, whose programs are exempt from some bounds per peer.
const UNCLEAR: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The trusted proxies.
pub(super) struct Proxies(Vec<Network>);

impl Proxies {
    /// Trusts the addresses in `networks`.
    pub(super) fn new(networks: &[Network]) -> Proxies {
        Proxies(networks.to_vec())
    }

    /// Whether `address` is a trusted proxy.
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The address of the client that sent `request`, on a connection from `address`. If both fields are present and
    /// disagree, the proxy has passed on one of them unchecked, so neither is used, and it is [`UNCLEAR`].
    #[inline]
    pub(super) fn client_of(&self, address: IpAddr, request: &Request) -> IpAddr {
        if self.0.is_empty() || !self.trust(address) { address } else { self.forwarded_for(address, request) }
    }

    fn forwarded_for(&self, proxy: IpAddr, request: &Request) -> IpAddr {
        let standard = self.walk(proxy, request.fields("forwarded"), for_parameter);
        let common = self.walk(proxy, request.fields("x-forwarded-for"), Some);
        match (standard, common) {
            (Some(one), Some(other)) if one != other => UNCLEAR,
            (one, other) => one.or(other).unwrap_or(proxy),
        }
    }

    /// The last address in `lines` that is not a trusted proxy's; `None` if there are no lines. An element without an
    /// address (RFC 7239, 6.3) ends the search: the result is then the address of the proxy that wrote it.
    fn walk<'a>(
        &self,
        proxy: IpAddr,
        lines: impl Iterator<Item = &'a [u8]>,
        node: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Option<IpAddr> {
        let lines: Vec<&[u8]> = lines.collect();
        let mut last = None;
        for line in lines.iter().rev() {
            // Only what the proxies appended has to be text. What is before it is not read.
            for element in line.rsplit(|byte| *byte == b',') {
                let element = std::str::from_utf8(element).unwrap_or_default();
                let known = last.unwrap_or(proxy);
                match node(element.trim()).and_then(address_of) {
                    Some(address) if self.trust(address) => last = Some(address),
                    Some(address) => return Some(address),
                    None => return Some(known),
                }
            }
        }
        last
    }
}

/// The value of `for` in an element of `Forwarded`. Commas and semicolons within quoted strings are not supported;
/// the elements that proxies append have none.
fn for_parameter(element: &str) -> Option<&str> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let value = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?.1;
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// The address of a node identifier: with or without brackets and port (RFC 7239, 6).
fn address_of(node: &str) -> Option<IpAddr> {
    let bare = match node.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?.0,
        // A single colon separates a port; an IPv6 address has several.
        None => match node.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => node,
        },
    };
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_clients() {
        let proxies = Proxies::new(&[Network::parse("10.0.0.0/8").unwrap()]);
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let check = |is_standard: bool, lines: &[&str], expected: Option<&str>| {
            let bytes = lines.iter().map(|line| line.as_bytes());
            let found = if is_standard {
                proxies.walk(proxy, bytes, for_parameter)
            } else {
                proxies.walk(proxy, bytes, Some)
            };
            assert_eq!(found, expected.map(|address| address.parse().unwrap()), "{lines:?}");
        };
        check(false, &[], None);
        check(false, &["192.0.2.7"], Some("192.0.2.7"));
        check(false, &["198.51.100.9, 192.0.2.7"], Some("192.0.2.7"));
        check(false, &["192.0.2.7, 10.1.2.3"], Some("192.0.2.7"));
        check(false, &["192.0.2.7", "10.1.2.3,10.1.2.4"], Some("192.0.2.7"));
        check(false, &["192.0.2.7:1234"], Some("192.0.2.7"));
        check(false, &["2001:db8::7"], Some("2001:db8::7"));
        check(false, &["192.0.2.7, unknown"], Some("10.0.0.1"));
        check(false, &["192.0.2.7, nonsense, 10.1.2.3"], Some("10.1.2.3"));
        check(false, &[""], Some("10.0.0.1"));
        check(true, &["for=192.0.2.7;proto=https"], Some("192.0.2.7"));
        check(true, &["For=\"[2001:db8::7]:4711\""], Some("2001:db8::7"));
        check(true, &["for=198.51.100.9, proto=https;FOR=192.0.2.7"], Some("192.0.2.7"));
        check(true, &["for=\"a, for=198.51.100.9, for=192.0.2.7"], Some("192.0.2.7"));
        check(true, &["for=192.0.2.7, for=_hidden"], Some("10.0.0.1"));
        check(true, &["proto=https"], Some("10.0.0.1"));
        let bytes: [&[u8]; 2] = [b"\xff", b"\xff, 192.0.2.7"];
        assert_eq!(proxies.walk(proxy, bytes.into_iter(), Some), Some("192.0.2.7".parse().unwrap()));
    }
}
