//! The issuer identifier of an authorization server (RFC 8414, 2).

use std::fmt;

use super::origin::{Authority, Origin, Scheme};

/// An issuer identifier. It is published exactly as configured, because clients compare it as a string. Its origin is
/// compared as in RFC 9110, 4.2.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    origin: Origin,
    /// The offset of the path in `text`.
    path: usize,
}

/// Why a text is not an issuer. Prints as the reason with the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each prints its meaning")]
pub enum IssuerError {
    Scheme,
    Host,
    PlainHttp,
    QueryOrFragment,
    Character,
    EmptySegment,
}

impl fmt::Display for IssuerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IssuerError::Scheme => "does not begin with https:// (RFC 8414, 2)",
            IssuerError::Host => {
                "has no valid host and port, or has user information; write https://auth.example"
            }
            IssuerError::PlainHttp => {
                "is plain http; use https, or http with localhost, a name below it or a loopback address. For tests \
                 on an isolated network, --insecure-http (insecure_http = true in the file) allows http on any host"
            }
            IssuerError::QueryOrFragment => "has a query or a fragment (RFC 8414, 2); remove it",
            IssuerError::Character => "has a character that is not allowed in a URI",
            IssuerError::EmptySegment => {
                "has an empty, . or .. segment in its path; write https://auth.example/tenant"
            }
        })
    }
}

impl Issuer {
    /// Reads an issuer; plain http is allowed on loopback only.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Issuer, IssuerError> {
        let issuer = Issuer::parse_insecure(text)?;
        if issuer.is_https() || issuer.origin.is_loopback() { Ok(issuer) } else { Err(IssuerError::PlainHttp) }
    }

    /// Reads an issuer; plain http is allowed on any host.
    ///
    /// # Errors
    /// As [`Issuer::parse`], except [`IssuerError::PlainHttp`].
    pub fn parse_insecure(text: &str) -> Result<Issuer, IssuerError> {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]?#%@!$&()*+,;='".contains(&byte);
        if !text.bytes().all(is_safe) {
            return Err(IssuerError::Character);
        }
        if text.contains(['?', '#']) {
            return Err(IssuerError::QueryOrFragment);
        }
        let (scheme, rest) = text.split_once("://").ok_or(IssuerError::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(IssuerError::Scheme)?;
        let path = rest.find('/').map_or(text.len(), |at| text.len() - rest.len() + at);
        let authority = &text[text.len() - rest.len()..path];
        let authority = Authority::parse(authority).filter(is_plain_host).ok_or(IssuerError::Host)?;
        // The path becomes the prefix of every endpoint's. One slash at its end is allowed.
        let segments = text[path..].strip_suffix('/').unwrap_or(&text[path..]).split('/').skip(1);
        if segments.into_iter().any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(IssuerError::EmptySegment);
        }
        Ok(Issuer { text: text.to_owned(), origin: Origin::new(scheme, authority), path })
    }

    /// The issuer as configured.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether clients reach it over TLS, which a proxy may terminate.
    pub fn is_https(&self) -> bool {
        self.origin.scheme() == Scheme::Https
    }

    /// The origin (RFC 6454).
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path without a trailing slash: the prefix of every endpoint's path.
    pub fn base(&self) -> &str {
        self.text[self.path..].trim_end_matches('/')
    }
}

/// Whether the host is a name of letters, digits, hyphens, underscores and periods, or an IPv6 address.
fn is_plain_host(authority: &Authority) -> bool {
    let host = authority.host();
    host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// The same text for equivalent URLs: scheme and host in lower case, no default port, no trailing slash (RFC 3986,
/// 6.2.2 and 6.2.3).
pub fn canonical(issuer: &str) -> String {
    match Issuer::parse_insecure(issuer) {
        Ok(issuer) => format!("{}{}", issuer.origin, issuer.base()),
        // Unreachable: callers pass a parsed issuer or the server's own origin.
        Err(_) => issuer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_kept_as_it_was_written() {
        let check = |text: &str, origin: &str, base: &str| {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!(issuer.as_str(), text);
            assert_eq!((issuer.origin().to_string(), issuer.base()), (origin.to_owned(), base));
        };
        check("https://a.example", "https://a.example", "");
        check("https://a.example/", "https://a.example", "");
        check("https://a.example:8443/t/u", "https://a.example:8443", "/t/u");
        check("https://a.example/t/", "https://a.example", "/t");
        check("http://localhost:3001", "http://localhost:3001", "");
        check("http://[::1]:3001", "http://[::1]:3001", "");
        check("HTTPS://A.Example:443/T", "https://a.example", "/T");
        check("https://a.example:/t", "https://a.example", "/t");
        check("http://LOCALHOST:3001", "http://localhost:3001", "");
        check("http://[0:0::1]:3001", "http://[::1]:3001", "");
        check("http://auth.localhost:3001", "http://auth.localhost:3001", "");
    }

    #[test]
    fn a_plain_http_issuer_beyond_loopback_needs_its_setting() {
        for text in ["http://auth:3001", "http://auth_server", "http://192.0.2.1:3001/t"] {
            assert_eq!(Issuer::parse(text), Err(IssuerError::PlainHttp), "{text}");
            assert!(Issuer::parse_insecure(text).is_ok_and(|issuer| !issuer.is_https()), "{text}");
        }
    }

    #[test]
    fn what_is_no_issuer_is_refused_by_name() {
        let check = |text: &str, error: IssuerError| assert_eq!(Issuer::parse(text), Err(error), "{text}");
        check("", IssuerError::Scheme);
        check("a.example", IssuerError::Scheme);
        check("ftp://a.example", IssuerError::Scheme);
        check("https://", IssuerError::Host);
        check("https:///x", IssuerError::Host);
        check("https://u@a.example", IssuerError::Host);
        check("https://a.example:x", IssuerError::Host);
        check("https://a.example:70000", IssuerError::Host);
        check("https://a.example:+443", IssuerError::Host);
        check("https://a!b.example", IssuerError::Host);
        check("https://[x]", IssuerError::Host);
        check("http://a.example", IssuerError::PlainHttp);
        check("http://localhost.example", IssuerError::PlainHttp);
        check("https://a.example?x", IssuerError::QueryOrFragment);
        check("https://a.example/#x", IssuerError::QueryOrFragment);
        check("https://a.example/\"", IssuerError::Character);
        check("https://a.example/a b", IssuerError::Character);
        check("https://a.example//x", IssuerError::EmptySegment);
        check("https://a.example/x/../y", IssuerError::EmptySegment);
    }
}
