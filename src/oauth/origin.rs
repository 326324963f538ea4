//! Hosts, authorities and origins, normalized so that equivalent ones are equal (RFC 9110, 4.2.3; RFC 3986, 6.2): case,
//! the scheme's default port, the spelling of IPv6 addresses, and percent-encoded unreserved characters do not matter.

use std::net::Ipv6Addr;

/// The schemes of a server's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The scheme that `text` names, in any case (RFC 3986, 3.1).
    pub fn parse(text: &str) -> Option<Scheme> {
        match text {
            _ if text.eq_ignore_ascii_case("http") => Some(Scheme::Http),
            _ if text.eq_ignore_ascii_case("https") => Some(Scheme::Https),
            _ => None,
        }
    }

    /// The scheme as browsers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port of a URL that names none (RFC 9110, 4.2.1 and 4.2.2).
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A host and an optional port, as in a Host field or a URL, normalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `text`. An empty port counts as none (RFC 3986, 6.2.3).
    pub fn parse(text: &str) -> Option<Authority> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (text, ""),
        };
        let port = match port {
            "" => None,
            // Rust's parser accepts a sign.
            port if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            _ => return None,
        };
        Some(Authority { host: canonical_host(host)?, port })
    }

    /// The host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if the text has one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

/// A scheme, a host and a port (RFC 6454, 4). Equal origins are equal values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of a URL with this scheme and authority.
    pub fn new(scheme: Scheme, authority: Authority) -> Origin {
        let port = authority.port.unwrap_or(scheme.default_port());
        Origin { scheme, host: authority.host, port }
    }

    /// Reads an Origin field: a scheme and an authority with nothing after them. Refuses `null`.
    pub fn parse(text: &str) -> Option<Origin> {
        let (scheme, authority) = text.split_once("://")?;
        Some(Origin::new(Scheme::parse(scheme)?, Authority::parse(authority)?))
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; the scheme's default if the URL has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host and port as browsers write them in a Host field: without a default port.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether a request to this origin may have `authority` in its Host field.
    pub fn has(&self, authority: &Authority) -> bool {
        self.host == authority.host && self.port == authority.port.unwrap_or(self.scheme.default_port())
    }

    /// Whether the host is loopback: `localhost`, any name below it (RFC 6761, 6.3), 127.0.0.1 or ::1.
    pub fn is_loopback(&self) -> bool {
        super::redirect::is_loopback_host(&self.host)
    }
}

impl std::fmt::Display for Origin {
    /// As browsers serialize it (RFC 6454, 6.2): without a default port.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// Normalizes `host`; `None` if it is empty or not a host.
fn canonical_host(host: &str) -> Option<String> {
    if let Some(literal) = host.strip_prefix('[') {
        // An address has many spellings; Rust prints the one of RFC 5952.
        let address: Ipv6Addr = literal.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let mut decoded = String::with_capacity(host.len());
    let mut rest = host;
    while let Some(first) = rest.chars().next() {
        let encoded = rest.strip_prefix('%').and_then(|hex| hex.get(..2));
        match encoded.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            // Only unreserved characters equal their encodings (RFC 3986, 6.2.2.2).
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                decoded.push(char::from(byte));
                rest = &rest[3..];
            }
            _ => {
                decoded.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    decoded.make_ascii_lowercase();
    (!decoded.is_empty()).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_an_origin_are_one() {
        let check = |one: &str, other: &str, equal: bool| {
            let (left, right) = (Origin::parse(one), Origin::parse(other));
            assert!(left.is_some() && right.is_some(), "{one} {other}");
            assert_eq!(left == right, equal, "{one} {other}");
        };
        check("https://auth.example", "https://auth.example:443", true);
        check("https://auth.example", "HTTPS://Auth.Example:", true);
        check("https://auth.example", "https://%61uth.example:0443", true);
        check("http://auth.example", "http://auth.example:80", true);
        check("http://[::1]:3001", "http://[0:0:0:0:0:0:0:1]:3001", true);
        check("https://[2001:DB8::7]", "https://[2001:db8:0::7]:443", true);
        check("https://auth.example", "http://auth.example:443", false);
        check("https://auth.example", "https://auth.example:80", false);
        check("https://auth.example", "https://auth.example.", false);
        check("http://localhost:3001", "http://127.0.0.1:3001", false);
        // A reserved character is not its encoding.
        check("https://a!b.example", "https://a%21b.example", false);
    }

    #[test]
    fn what_is_no_origin_is_none() {
        for text in [
            "",
            "null",
            "https",
            "https://",
            "https://:443",
            "ftp://a.example",
            "https://a.example:x",
            "https://a.example:+443",
            "https://a.example:65536",
            "https://[::1",
            "https://[x]",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let check = |text: &str, expected: &str| assert_eq!(Origin::parse(text).unwrap().to_string(), expected);
        check("HTTPS://Auth.Example:443", "https://auth.example");
        check("http://LOCALHOST:3001", "http://localhost:3001");
        check("http://[0::1]:80", "http://[::1]");
    }

    #[test]
    fn localhost_and_the_names_below_it_are_loopback() {
        let check = |text: &str, expected: bool| {
            assert_eq!(Origin::parse(text).unwrap().is_loopback(), expected, "{text}");
        };
        for text in ["localhost", "LocalHost:3001", "auth.localhost", "a.b.localhost:1", "127.0.0.1", "[0::1]"]
        {
            check(&format!("http://{text}"), true);
        }
        for text in
            ["localhost.example", "notlocalhost", "127.0.0.1.example", "192.0.2.1", "[::2]", ".localhost"]
        {
            check(&format!("http://{text}"), false);
        }
    }
}
