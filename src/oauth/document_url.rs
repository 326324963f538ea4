//! Client identifiers that are URLs: which `client_id` says where its client's metadata is
//! (draft-ietf-oauth-client-id-metadata-document, 3).
//!
//! Such a URL is compared as it is written and fetched as it is written, so each has one spelling here: no userinfo, no
//! dot segments, no fragment, and nothing that a program on the way may rewrite. The root of a host is not accepted:
//! the draft advises against it, and clients do not send it.

use std::sync::Arc;

use super::origin::{Authority, Origin, Scheme};

/// The URL of a client's metadata document, and the client's identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentUrl {
    text: Arc<str>,
    origin: Origin,
    /// The offset of the path in `text`.
    path: usize,
}

/// The longest URL, in bytes. It becomes part of every grant of its client.
pub const DOCUMENT_URL_BYTES_MAX: usize = 512;

impl DocumentUrl {
    /// Reads a `client_id`; `None` if it is not the URL of a document. Plain http is valid only for loopback names,
    /// and only with `allows_loopback`, which is for a server whose issuer is on loopback itself.
    pub fn parse(client_id: &str, allows_loopback: bool) -> Option<DocumentUrl> {
        let (scheme, rest) = match client_id.split_once("://")? {
            ("https", rest) => (Scheme::Https, rest),
            ("http", rest) if allows_loopback => (Scheme::Http, rest),
            _ => return None,
        };
        if client_id.len() > DOCUMENT_URL_BYTES_MAX || !has_only_url_characters(rest) {
            return None;
        }
        let authority = &rest[..rest.find('/')?];
        let path = client_id.len() - rest.len() + authority.len();
        let origin = Origin::new(scheme, plain_authority(authority)?);
        let is_secure = scheme == Scheme::Https || origin.is_loopback();
        let (segments, _) = client_id[path..].split_once('?').unwrap_or((&client_id[path..], ""));
        let has_dots = segments.split('/').any(is_dot_segment);
        let is_document = is_secure && segments != "/" && !has_dots;
        is_document.then(|| DocumentUrl { text: client_id.into(), origin, path })
    }

    /// The URL as written, which is the `client_id`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, shared.
    pub fn shared(&self) -> &Arc<str> {
        &self.text
    }

    /// Where the document is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path and the query: the target of a request for the document.
    pub fn target(&self) -> &str {
        &self.text[self.path..]
    }
}

/// Whether `text` has only characters of a URL without a fragment (RFC 3986, 2 and 3.5), with each percent sign before
/// two hexadecimal digits.
fn has_only_url_characters(text: &str) -> bool {
    let is_url_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    let is_encoded = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    text.bytes().all(is_url_byte) && text.split('%').skip(1).all(is_encoded)
}

/// Reads a host and perhaps a port, without userinfo; `None` for any other spelling of them than the usual one.
fn plain_authority(text: &str) -> Option<Authority> {
    let authority = Authority::parse(text)?;
    let host = authority.host();
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let port = authority.port().map(|port| format!(":{port}")).unwrap_or_default();
    let is_as_written = text.eq_ignore_ascii_case(&format!("{host}{port}"));
    (is_as_written && (is_name || host.starts_with('['))).then_some(authority)
}

/// Whether a browser or a server may drop this segment of a path (RFC 3986, 5.2.4), percent-encoded or not.
fn is_dot_segment(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_document_is_https_with_a_path() {
        let check = |text: &str, origin: &str, target: &str| {
            let url = DocumentUrl::parse(text, false).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((url.as_str(), url.origin().to_string().as_str(), url.target()), (text, origin, target));
        };
        check("https://app.example/client.json", "https://app.example", "/client.json");
        check("https://App.example:8443/a/b?v=2", "https://app.example:8443", "/a/b?v=2");
        check("https://app.example/a%20b/", "https://app.example", "/a%20b/");
        check("https://app.example//", "https://app.example", "//");
        check("https://[2001:db8::1]/c", "https://[2001:db8::1]", "/c");
        check("https://app.example/a..b/...", "https://app.example", "/a..b/...");
        check("https://app.example:443/c", "https://app.example", "/c");
        check("https://app.example/c?../x", "https://app.example", "/c?../x");
    }

    #[test]
    fn what_is_not_the_url_of_a_document_is_refused() {
        for text in [
            "",
            "app",
            "https://",
            "https://app.example",
            "https://app.example/",
            "https://app.example?x",
            "https://app.example/?x",
            "HTTPS://app.example/c",
            "http://app.example/c",
            "http://localhost/c",
            "ftp://app.example/c",
            "javascript://app.example/c",
            "https:app.example/c",
            "https:///c",
            "https://:443/c",
            "https://app.example:/c",
            "https://app.example:0443/c",
            "https://app.example:65536/c",
            "https://app.example:x/c",
            "https://user@app.example/c",
            "https://user:password@app.example/c",
            "https://@app.example/c",
            "https://app.example/c#",
            "https://app.example/c#fragment",
            "https://app.example/./c",
            "https://app.example/../c",
            "https://app.example/a/..",
            "https://app.example/%2e/c",
            "https://app.example/.%2E/c",
            "https://app.example/a b",
            "https://app.example/a\\b",
            "https://app.example/é",
            "https://app.example/\n",
            "https://app.example/%",
            "https://app.example/%2",
            "https://app.example/%zz",
            "https://app%2eexample/c",
            "https://app_1!.example/c",
            "https://[2001:DB8:0::1]/c",
            "https://[::1/c",
        ] {
            assert_eq!(DocumentUrl::parse(text, false), None, "{text}");
        }
        let long = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        assert!(DocumentUrl::parse(&long(DOCUMENT_URL_BYTES_MAX), false).is_some());
        assert_eq!(DocumentUrl::parse(&long(DOCUMENT_URL_BYTES_MAX + 1), false), None);
    }

    #[test]
    fn plain_http_is_for_loopback_on_loopback() {
        for text in
            ["http://localhost:6274/c", "http://127.0.0.1:1/c", "http://[::1]/c", "http://a.localhost/c"]
        {
            assert!(DocumentUrl::parse(text, true).is_some(), "{text}");
            assert_eq!(DocumentUrl::parse(text, false), None, "{text}");
        }
        for text in
            ["http://app.example/c", "http://10.0.0.1/c", "http://localhost.example/c", "ftp://localhost/c"]
        {
            assert_eq!(DocumentUrl::parse(text, true), None, "{text}");
        }
    }
}
