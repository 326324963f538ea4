//! The issuer: what an authorization server calls itself (RFC 8414, 2).

use std::fmt;

use super::authority::{Authority, Origin, Scheme};

/// An issuer identifier. It is kept and given out as it was written: to clients it is a text that they compare.
/// Its origin is compared as RFC 9110, 4.2.3 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    origin: Origin,
    /// Where the path begins.
    path: usize,
}

/// Why a text is no issuer; it prints as the reason with the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "what each means is what it prints")]
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
                "names no host, or something beside a host and a port; write https://auth.example"
            }
            IssuerError::PlainHttp => {
                "is plain http; use https, or http with localhost, a name below it or a loopback address. For tests \
                 on a network of their own, --insecure-http (insecure_http = true in the file) allows http anywhere"
            }
            IssuerError::QueryOrFragment => "has a query or a fragment (RFC 8414, 2); leave it out",
            IssuerError::Character => "holds a character that a URI may not have",
            IssuerError::EmptySegment => {
                "has an empty or dotted segment in its path; write https://auth.example/tenant"
            }
        })
    }
}

impl Issuer {
    /// Reads `text`; plain http is for loopback.
    ///
    /// # Errors
    /// The first thing that an issuer may not be.
    pub fn parse(text: &str) -> Result<Issuer, IssuerError> {
        let issuer = Issuer::parse_insecure(text)?;
        match issuer.is_https() || issuer.origin.is_loopback() {
            true => Ok(issuer),
            false => Err(IssuerError::PlainHttp),
        }
    }

    /// Reads `text`; plain http may be anywhere.
    ///
    /// # Errors
    /// As [`Issuer::parse`], plain http aside.
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
        // A path is put before others; one that ends in a slash is still given out as it was written.
        let segments = text[path..].strip_suffix('/').unwrap_or(&text[path..]).split('/').skip(1);
        if segments.into_iter().any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(IssuerError::EmptySegment);
        }
        Ok(Issuer { text: text.to_owned(), origin: Origin::new(scheme, authority), path })
    }

    /// The issuer as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether clients reach it by TLS, whoever speaks it.
    pub fn is_https(&self) -> bool {
        self.origin.scheme() == Scheme::Https
    }

    /// The origin (RFC 6454).
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path without a slash at its end: what stands before the path of every endpoint.
    pub fn base(&self) -> &str {
        self.text[self.path..].trim_end_matches('/')
    }
}

/// Whether the host is a name of letters, digits, hyphens, underscores and periods, or an IPv6 address.
fn is_plain_host(authority: &Authority) -> bool {
    let host = authority.host();
    host.starts_with('[') || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// One text for all that are the same URL: scheme and host in lower case, no default port, no slash at the end
/// (RFC 3986, 6.2.2 and 6.2.3).
pub(super) fn canonical(issuer: &str) -> String {
    match Issuer::parse_insecure(issuer) {
        Ok(issuer) => format!("{}{}", issuer.origin, issuer.base()),
        // A server's own origin is an issuer, and so is a configured one; the fallback is never taken.
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
    fn plain_http_beyond_loopback_is_an_issuer_only_where_it_is_asked_for() {
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
