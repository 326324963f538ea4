//! The issuer: what an authorization server calls itself (RFC 8414, 2).

use std::fmt;

/// An issuer identifier. It is kept and given out as it was written: to clients it is a text that they compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    /// Where the host begins, and where the path does.
    host: usize,
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
            IssuerError::PlainHttp => "is plain http; use https, or http with localhost or a loopback address",
            IssuerError::QueryOrFragment => "has a query or a fragment (RFC 8414, 2); leave it out",
            IssuerError::Character => "holds a character that a URI may not have",
            IssuerError::EmptySegment => {
                "has an empty or dotted segment in its path; write https://auth.example/tenant"
            }
        })
    }
}

impl Issuer {
    /// Reads `text`.
    ///
    /// # Errors
    /// The first thing that an issuer may not be.
    pub fn parse(text: &str) -> Result<Issuer, IssuerError> {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]?#%@!$&()*+,;='".contains(&byte);
        if !text.bytes().all(is_safe) {
            return Err(IssuerError::Character);
        }
        if text.contains(['?', '#']) {
            return Err(IssuerError::QueryOrFragment);
        }
        let host = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(_), _) => "https://".len(),
            (_, Some(_)) => "http://".len(),
            _ => return Err(IssuerError::Scheme),
        };
        let path = text[host..].find('/').map_or(text.len(), |at| host + at);
        let issuer = Issuer { text: text.to_owned(), host, path };
        issuer.check_host()?;
        // A path is put before others; one that ends in a slash is still given out as it was written.
        let segments = text[path..].strip_suffix('/').unwrap_or(&text[path..]).split('/').skip(1);
        if segments.into_iter().any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(IssuerError::EmptySegment);
        }
        Ok(issuer)
    }

    fn check_host(&self) -> Result<(), IssuerError> {
        let authority = self.authority();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let is_literal = host.starts_with('[') && host.ends_with(']');
        let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        if host.is_empty() || !(is_name || is_literal) || !port.is_none_or(is_port) {
            return Err(IssuerError::Host);
        }
        let is_loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if !self.is_https() && !is_loopback {
            return Err(IssuerError::PlainHttp);
        }
        Ok(())
    }

    /// The issuer as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether clients reach it by TLS, whoever speaks it.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https")
    }

    /// Host and port, as a Host field has them.
    pub fn authority(&self) -> &str {
        &self.text[self.host..self.path]
    }

    /// The origin (RFC 6454).
    pub fn origin(&self) -> &str {
        &self.text[..self.path]
    }

    /// The path without a slash at its end: what stands before the path of every endpoint.
    pub fn base(&self) -> &str {
        self.text[self.path..].trim_end_matches('/')
    }
}

/// One text for all that are the same URL: scheme and host in lower case, no default port, no slash at the end
/// (RFC 3986, 6.2.2 and 6.2.3).
pub(super) fn canonical(issuer: &str) -> String {
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("", issuer));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok()),
        _ => (authority.as_str(), None),
    };
    let port = match (scheme.as_str(), port) {
        ("https", Some(443)) | ("http", Some(80)) | (_, None) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    format!("{scheme}://{host}{port}{}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_kept_as_it_was_written() {
        let check = |text: &str, origin: &str, authority: &str, base: &str| {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!(issuer.as_str(), text);
            assert_eq!((issuer.origin(), issuer.authority(), issuer.base()), (origin, authority, base));
        };
        check("https://a.example", "https://a.example", "a.example", "");
        check("https://a.example/", "https://a.example", "a.example", "");
        check("https://a.example:8443/t/u", "https://a.example:8443", "a.example:8443", "/t/u");
        check("https://a.example/t/", "https://a.example", "a.example", "/t");
        check("http://localhost:3001", "http://localhost:3001", "localhost:3001", "");
        check("http://[::1]:3001", "http://[::1]:3001", "[::1]:3001", "");
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
