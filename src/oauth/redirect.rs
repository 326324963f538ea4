//! Redirect URIs: which can be registered, and which a request may use.
//!
//! They compare byte for byte (RFC 9700, 2.1), except for the port of plain http to this machine: a native app listens
//! on any free port (RFC 8252, 7.3; for `localhost`, OAuth 2.1, 4.1.1).

use std::fmt;
use std::sync::Arc;

/// A valid redirect URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(Arc<str>);

/// Why a text cannot be registered as a redirect URI. Prints as the reason with the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each prints its meaning")]
pub enum RedirectUriError {
    NotAbsolute,
    Character,
    Fragment,
    Executed,
    Userinfo,
    NoHost,
    PlainHttp,
    Wildcard,
    SchemeMissing,
    SystemScheme,
    ResponseParameter(&'static str),
}

impl fmt::Display for RedirectUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RedirectUriError::ResponseParameter(name) => {
                return write!(
                    f,
                    "has the parameter {name} in its query, which every answer may have (RFC 6749, 4.1.2): a client \
                     could not tell the two apart; leave it out, or give it another name"
                );
            }
            RedirectUriError::SchemeMissing => {
                "has a host and a port where its scheme should be; begin it with https://, or with http:// on localhost"
            }
            RedirectUriError::SystemScheme => {
                "has a scheme that belongs to the whole system or to no app, so another program may get the code (RFC \
                 8252, 7.1 and 8.4); use https, or a scheme made of a domain of the app's, such as com.example.app:/cb"
            }
            RedirectUriError::NotAbsolute => "is not an absolute URI; begin it with https://",
            RedirectUriError::Character => "has a character that is not allowed in a URI; percent-encode it",
            RedirectUriError::Fragment => {
                "has a fragment (RFC 6749, 3.1.2); remove the # and everything after it"
            }
            RedirectUriError::Executed => {
                "has a scheme that a browser executes or opens as its own page; use https"
            }
            RedirectUriError::Userinfo => "has a user before its host; remove the user and the @",
            RedirectUriError::NoHost => "has no host, or a host with invalid characters",
            RedirectUriError::PlainHttp => {
                "is plain http, on which anyone can read the code (OAuth 2.1, 1.5); use https, or http with \
                 localhost, a name below it or a loopback address. For tests on a network of their own, \
                 --insecure-http (insecure_http = true in the file) allows http anywhere"
            }
            RedirectUriError::Wildcard => {
                "has a * in its host, and redirect URIs compare byte for byte; register each host separately"
            }
        })
    }
}

/// Schemes whose URIs a browser executes, or shows as its own pages.
const EXECUTED: &[&str] =
    &["javascript", "data", "vbscript", "blob", "filesystem", "file", "about", "view-source", "ws", "wss"];

/// Schemes that every system has a program for, or that cannot be returned to, and generic names that any app may
/// choose. Sorted.
const NO_APPS_OWN: &[&str] = &[
    "acct",
    "android-app",
    "app",
    "auth",
    "callback",
    "callto",
    "chrome",
    "cid",
    "client",
    "content",
    "custom",
    "dav",
    "dns",
    "facetime",
    "feed",
    "ftp",
    "ftps",
    "geo",
    "git",
    "gopher",
    "imap",
    "intent",
    "ios-app",
    "irc",
    "ircs",
    "itms",
    "itms-apps",
    "jar",
    "ldap",
    "ldaps",
    "localhost",
    "login",
    "magnet",
    "mailto",
    "maps",
    "market",
    "mid",
    "mms",
    "mobile",
    "ms-settings",
    "myapp",
    "native",
    "news",
    "nfs",
    "nntp",
    "oauth",
    "oauth2",
    "openid",
    "pop",
    "prefs",
    "redirect",
    "resource",
    "rtsp",
    "search",
    "search-ms",
    "settings",
    "sftp",
    "shell",
    "sip",
    "sips",
    "smb",
    "sms",
    "smsto",
    "ssh",
    "steam",
    "tag",
    "tel",
    "telnet",
    "test",
    "urn",
    "vnc",
    "webcal",
    "x-apple.systempreferences",
    "xmpp",
];

/// The parameters of an authorization response (RFC 6749, 4.1.2 and 4.1.2.1; RFC 9207, 2).
const RESPONSE_PARAMETERS: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

impl RedirectUri {
    /// Parses `text` for registration. Plain http is valid for loopback only.
    ///
    /// # Errors
    /// The first reason why it is invalid.
    pub fn parse(text: &str) -> Result<RedirectUri, RedirectUriError> {
        RedirectUri::read(text, false)
    }

    /// Parses `text` for registration. Plain http is valid for every host.
    ///
    /// # Errors
    /// As for [`RedirectUri::parse`], except for plain http.
    pub fn parse_insecure(text: &str) -> Result<RedirectUri, RedirectUriError> {
        RedirectUri::read(text, true)
    }

    fn read(text: &str, allows_http: bool) -> Result<RedirectUri, RedirectUriError> {
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte)) {
            return Err(RedirectUriError::Character);
        }
        let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::NotAbsolute)?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme || rest.is_empty() {
            return Err(RedirectUriError::NotAbsolute);
        }
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        if EXECUTED.iter().any(|executed| scheme.eq_ignore_ascii_case(executed)) {
            return Err(RedirectUriError::Executed);
        }
        if is_host(scheme) && rest.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(RedirectUriError::SchemeMissing);
        }
        if NO_APPS_OWN.iter().any(|system| scheme.eq_ignore_ascii_case(system)) {
            return Err(RedirectUriError::SystemScheme);
        }
        if let Some(name) = response_parameter(text) {
            return Err(RedirectUriError::ResponseParameter(name));
        }
        let is_http = scheme.eq_ignore_ascii_case("http");
        if is_http || scheme.eq_ignore_ascii_case("https") {
            let authority = rest.strip_prefix("//").ok_or(RedirectUriError::NoHost)?;
            check_authority(authority.split(['/', '?']).next().unwrap_or_default(), is_http && !allows_http)?;
        }
        Ok(RedirectUri(text.into()))
    }

    /// The redirect URI of the client app that this program serves itself. Plain http on any configured address.
    pub fn of_client_app(uri: &str) -> RedirectUri {
        RedirectUri(uri.into())
    }

    /// Whether it has a private-use scheme without a period. Another app on the same machine may register the same
    /// scheme and get the code (RFC 8252, 8.4).
    pub fn may_be_claimed_by_another_app(&self) -> bool {
        let scheme = self.0.split(':').next().unwrap_or_default();
        !["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) && !scheme.contains('.')
    }

    /// The registered URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, shared.
    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether a response to `uri` reached the client that registered this URI. The port of plain http does not count:
    /// a client app on a free port has another one after each start.
    pub(super) fn is_place_of(&self, uri: &str) -> bool {
        self.accept(uri).is_some() || split_plain(&self.0).is_some_and(|own| Some(own) == split_plain(uri))
    }

    /// `asked` as a URI, if it equals this one byte for byte, or except for the port of plain http to this machine.
    pub(super) fn accept(&self, asked: &str) -> Option<Arc<str>> {
        if *self.0 == *asked {
            return Some(Arc::clone(&self.0));
        }
        let (own, asked_parts) = (split_loopback(&self.0)?, split_loopback(asked)?);
        (own == asked_parts).then(|| asked.into())
    }

    /// The URI that `asked` is, if it begins with this one or has a host below its host: the comparisons of servers
    /// without [`exact_redirect`](super::profile::Profile::exact_redirect). Only visible ASCII is accepted, as
    /// everywhere.
    pub(super) fn accept_loosely(&self, asked: &str) -> Option<Arc<str>> {
        let is_visible = asked.bytes().all(|byte| byte.is_ascii_graphic());
        let is_near = asked.starts_with(&*self.0) || is_below(asked, &self.0);
        (is_visible && is_near).then(|| asked.into())
    }
}

/// Whether `host` is this machine: `localhost`, a name below it (RFC 6761, 6.3), or a loopback address.
pub fn is_loopback_host(host: &str) -> bool {
    let is_below = |label: &str, name: &str| !label.is_empty() && name.eq_ignore_ascii_case("localhost");
    host.eq_ignore_ascii_case("localhost")
        || host.rsplit_once('.').is_some_and(|(label, name)| is_below(label, name))
        || LOOPBACK_HOSTS.contains(&host)
}

/// Whether the host of `asked` is a name below that of `own`, as a pattern such as `https://*.app.example/*` has it.
fn is_below(asked: &str, own: &str) -> bool {
    fn split(uri: &str) -> Option<(&str, &str)> {
        let (scheme, rest) = uri.split_once("://")?;
        Some((scheme, rest.split(['/', '?', ':', '@']).next()?))
    }
    let (Some((asked_scheme, asked)), Some((scheme, own))) = (split(asked), split(own)) else { return false };
    asked_scheme == scheme && asked.strip_suffix(own).is_some_and(|label| label.ends_with('.'))
}

/// The host of a plain http URI, and the part after its port.
fn split_plain(uri: &str) -> Option<(&str, &str)> {
    let after_scheme = uri.strip_prefix("http://")?;
    let (authority, rest) = after_scheme.split_at(after_scheme.find(['/', '?']).unwrap_or(after_scheme.len()));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    Some((host, rest))
}

/// Whether the text before the first colon is a host rather than a scheme, because a port follows it.
fn is_host(scheme: &str) -> bool {
    scheme.contains('.') || scheme.eq_ignore_ascii_case("localhost")
}

/// The first parameter in the query of `uri` that a response may also have.
fn response_parameter(uri: &str) -> Option<&'static str> {
    let (_, query) = uri.split_once('?')?;
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    names.find_map(|name| RESPONSE_PARAMETERS.into_iter().find(|parameter| *parameter == name))
}

fn check_authority(authority: &str, must_be_loopback: bool) -> Result<(), RedirectUriError> {
    if authority.contains('@') {
        return Err(RedirectUriError::Userinfo);
    }
    let host = if authority.starts_with('[') {
        authority.split_inclusive(']').next().unwrap_or_default()
    } else {
        authority.split(':').next().unwrap_or_default()
    };
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_literal = host.starts_with('[')
        && host.ends_with(']')
        && host[1..host.len() - 1].bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
    let port = authority[host.len()..].strip_prefix(':');
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_whole = authority.len() == host.len() || port.is_some_and(is_port);
    match host {
        "" => Err(RedirectUriError::NoHost),
        host if host.contains('*') => Err(RedirectUriError::Wildcard),
        _ if !(is_name || is_literal) || !is_whole => Err(RedirectUriError::NoHost),
        _ if must_be_loopback && !is_loopback_host(host) => Err(RedirectUriError::PlainHttp),
        _ => Ok(()),
    }
}

/// The hosts on which an app may listen on any port. They do not match each other.
const LOOPBACK_HOSTS: &[&str] = &["127.0.0.1", "[::1]", "localhost"];

/// `http://`, a loopback host, perhaps a port, and the rest: the host and the rest, without the port.
fn split_loopback(uri: &str) -> Option<(&str, &str)> {
    let after_scheme = uri.strip_prefix("http://")?;
    let host = LOOPBACK_HOSTS.iter().find(|host| after_scheme.starts_with(**host))?;
    let after_host = &after_scheme[host.len()..];
    let rest = match after_host.strip_prefix(':') {
        None => after_host,
        Some(with_port) => {
            let digits = with_port.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = with_port.split_at(digits);
            // 1 to 65535, without leading zeros, so that a port has one spelling.
            let is_port = !port.starts_with('0') && port.parse::<u16>().is_ok();
            is_port.then_some(rest)?
        }
    };
    matches!(rest.bytes().next(), None | Some(b'/' | b'?')).then_some((host, rest))
}

/// Describes the first difference between `asked` and `registered`, for client developers.
pub(super) fn difference(registered: &str, asked: &str) -> String {
    let at = registered.bytes().zip(asked.bytes()).take_while(|(own, asked)| own == asked).count();
    let around = |uri: &str| {
        let bytes = &uri.as_bytes()[at.saturating_sub(10)..uri.len().min(at + 10)];
        let text = bytes.escape_ascii().to_string();
        let before = if at > 10 { "…" } else { "" };
        let after = if uri.len() > at + 10 { "…" } else { "" };
        format!("{before}{text}{after}")
    };
    format!(
        "redirect_uri differs from the registered one at byte {}: {} is not {}",
        at + 1,
        around(asked),
        around(registered)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for text in [
            "https://app.example/callback",
            "https://app.example",
            "https://app.example:8443/callback?x=y",
            "http://localhost:3000/oauth-callback.html",
            "http://app.localhost:3000/callback",
            "http://a.App.LocalHost/callback",
            "http://127.0.0.1/callback",
            "http://[::1]:8000/callback",
            "com.example.app:/callback",
            "vscode://extension/callback",
            "cursor://anysphere.cursor-retrieval/oauth/callback",
            "https://app.example/callback?tenant=1&Code=2&codes=3&x=code&errors",
            "com.example.app:/callback?x=y",
        ] {
            assert_eq!(RedirectUri::parse(text).map(|uri| uri.as_str().to_owned()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_may_not_be_registered_is_refused_by_name() {
        let check = |text: &str, error: RedirectUriError| {
            assert_eq!(RedirectUri::parse(text), Err(error), "{text}");
        };
        check("", RedirectUriError::NotAbsolute);
        check("/callback", RedirectUriError::NotAbsolute);
        check("app.example/callback", RedirectUriError::NotAbsolute);
        check("1x://app.example", RedirectUriError::NotAbsolute);
        check("https:", RedirectUriError::NotAbsolute);
        check("https://app.example/#", RedirectUriError::Fragment);
        check("https://app.example/a#b", RedirectUriError::Fragment);
        check("javascript:alert(1)", RedirectUriError::Executed);
        check("JavaScript:alert(1)", RedirectUriError::Executed);
        check("data:text/html,x", RedirectUriError::Executed);
        check("file:///etc/passwd", RedirectUriError::Executed);
        check("https://a@app.example/", RedirectUriError::Userinfo);
        check("https:///callback", RedirectUriError::NoHost);
        check("https:callback", RedirectUriError::NoHost);
        check("https://app.example;x/", RedirectUriError::NoHost);
        check("https://app.example:x/", RedirectUriError::NoHost);
        check("https://[::1;]/", RedirectUriError::NoHost);
        check("https://[::1]x/", RedirectUriError::NoHost);
        check("http://app.example/", RedirectUriError::PlainHttp);
        check("http://localhost.app.example/", RedirectUriError::PlainHttp);
        check("http://127.0.0.1.app.example/", RedirectUriError::PlainHttp);
        check("http://notlocalhost/", RedirectUriError::PlainHttp);
        check("http://.localhost/", RedirectUriError::PlainHttp);
        check("https://*.app.example/", RedirectUriError::Wildcard);
        check("https://app.example/a b", RedirectUriError::Character);
        check("https://app.example/\n", RedirectUriError::Character);
        check("https://äpp.example/", RedirectUriError::Character);
        for text in ["localhost:3000/callback", "app.example:8443/callback", "LOCALHOST:80"] {
            check(text, RedirectUriError::SchemeMissing);
        }
        for text in [
            "mailto:a@app.example",
            "tel:5",
            "INTENT://x",
            "urn:ietf:wg:oauth:2.0:oob",
            "ftp://app.example/",
            "localhost:/callback",
            "myapp://callback",
            "oauth:/callback",
            "chrome://settings",
        ] {
            check(text, RedirectUriError::SystemScheme);
        }
    }

    #[test]
    fn a_redirect_uri_has_no_parameter_that_its_answers_have() {
        for name in ["code", "state", "iss", "error", "error_description", "error_uri"] {
            for query in [
                format!("{name}=x"),
                format!("a=b&{name}=x"),
                name.to_owned(),
                format!("a&{name}="),
                format!("%{:02x}{}=x", name.as_bytes()[0], &name[1..]),
            ] {
                for uri in [
                    format!("https://app.example/callback?{query}"),
                    format!("http://127.0.0.1?{query}"),
                    format!("com.example.app:/callback?{query}"),
                ] {
                    let error = RedirectUri::parse(&uri).unwrap_err();
                    assert_eq!(error, RedirectUriError::ResponseParameter(name), "{uri}");
                    assert!(error.to_string().contains(&format!("the parameter {name} ")));
                }
            }
        }
    }

    #[test]
    fn a_scheme_without_a_period_may_be_claimed_by_another_app() {
        let check = |text: &str, expected: bool| {
            assert_eq!(RedirectUri::parse(text).unwrap().may_be_claimed_by_another_app(), expected, "{text}");
        };
        check("vscode://extension/callback", true);
        check("com.example.app:/callback", false);
        check("https://app/callback", false);
        check("HTTP://localhost/callback", false);
    }

    #[test]
    fn the_refused_schemes_are_sorted_and_in_lower_case() {
        assert!(NO_APPS_OWN.is_sorted());
        assert!(NO_APPS_OWN.iter().all(|scheme| !scheme.bytes().any(|byte| byte.is_ascii_uppercase())));
    }

    #[test]
    fn a_plain_http_redirect_uri_beyond_loopback_needs_its_setting() {
        let insecure = |text| RedirectUri::parse_insecure(text).map(|uri| uri.as_str().to_owned());
        for text in ["http://app:8080/callback", "http://192.0.2.1/callback"] {
            assert_eq!(RedirectUri::parse(text), Err(RedirectUriError::PlainHttp), "{text}");
            assert_eq!(insecure(text), Ok(text.to_owned()));
        }
        // The other rules hold all the same.
        assert_eq!(insecure("http://a@app:8080/"), Err(RedirectUriError::Userinfo));
        assert_eq!(insecure("http://*.app/"), Err(RedirectUriError::Wildcard));
    }

    #[test]
    fn redirect_uris_match_exactly_but_for_a_loopback_port() {
        let check = |registered: &str, asked: &str, accepted: bool| {
            let uri = RedirectUri::parse(registered).unwrap();
            assert_eq!(uri.accept(asked).as_deref(), accepted.then_some(asked), "{registered} {asked}");
        };
        let own = "https://app.example/callback";
        check(own, own, true);
        for asked in [
            "https://app.example/callback/",
            "https://app.example/callback?",
            "https://app.example/Callback",
            "https://APP.example/callback",
            "https://app.example:443/callback",
            "https://app.example/./callback",
            "https://app.example/%63allback",
            "http://app.example/callback",
            "https://app.example/callback#x",
            "https://app.example.evil.example/callback",
            "https://app.example@evil.example/callback",
            "",
        ] {
            check(own, asked, false);
        }
        for registered in ["http://127.0.0.1/cb", "http://127.0.0.1:8000/cb"] {
            for port in ["", ":1", ":80", ":8000", ":51234", ":65535"] {
                check(registered, &format!("http://127.0.0.1{port}/cb"), true);
            }
            for port in
                [":", ":0", ":65536", ":080", ":+80", ":8a", ":99999999999", ":80:80", ":80@evil.example"]
            {
                check(registered, &format!("http://127.0.0.1{port}/cb"), false);
            }
            check(registered, "http://127.0.0.1:80/cb/", false);
            check(registered, "http://127.0.0.1:80", false);
            check(registered, "http://127.0.0.2:80/cb", false);
            check(registered, "http://127.0.0.10:80/cb", false);
            check(registered, "http://[::1]:80/cb", false);
            check(registered, "https://127.0.0.1:80/cb", false);
            check(registered, "http://localhost:80/cb", false);
        }
        check("http://[::1]/cb", "http://[::1]:51234/cb", true);
        check("http://[::1]/cb", "http://127.0.0.1:51234/cb", false);
        for registered in ["http://localhost/cb?x", "http://localhost:3118/cb?x"] {
            for port in ["", ":1", ":3118", ":65535"] {
                check(registered, &format!("http://localhost{port}/cb?x"), true);
            }
            for asked in [
                "http://localhost:1/cb",
                "http://localhost:1/cb?y",
                "http://localhost:1/cb/?x",
                "http://localhost:0/cb?x",
                "http://localhost./cb?x",
                "http://localhost.evil.example/cb?x",
                "http://localhost:80@evil.example/cb?x",
                "http://localhostess/cb?x",
                "http://LOCALHOST:1/cb?x",
                "http://a.localhost:1/cb?x",
                "http://127.0.0.1:1/cb?x",
                "https://localhost:1/cb?x",
            ] {
                check(registered, asked, false);
            }
        }
        check("https://localhost:1/cb", "https://localhost:2/cb", false);
        check("http://a.localhost:1/cb", "http://a.localhost:2/cb", false);
        check("https://127.0.0.1:1/cb", "https://127.0.0.1:2/cb", false);
        check("http://127.0.0.1", "http://127.0.0.1:9", true);
        check("http://127.0.0.1?x", "http://127.0.0.1:9?x", true);
    }

    /// The near-misses of exercise 5 of the lab.
    #[test]
    fn a_loose_comparison_accepts_what_resembles_a_redirect_uri() {
        let check = |registered: &str, asked: &str, accepted: bool| {
            let uri = RedirectUri::parse(registered).unwrap();
            assert_eq!(uri.accept_loosely(asked).as_deref(), accepted.then_some(asked), "{registered} {asked}");
            assert_eq!(uri.accept(asked), None, "{asked} is not the registered one");
        };
        let own = "https://app.example";
        check(own, "https://app.example.evil.example/", true);
        check(own, "https://app.example@evil.example/", true);
        check(own, "https://app.example:8443/", true);
        check(own, "https://evil.app.example/caught", true);
        check("https://app.example/cb", "https://app.example/cb/../caught", true);
        check(own, "https://evilapp.example/", false);
        check(own, "http://evil.app.example/", false);
        check(own, "https://evil.example/.app.example", false);
        check(own, "https://evil.app.example/\u{7f}", false);
        check(own, "", false);
    }

    #[test]
    fn the_port_of_plain_http_does_not_say_whose_a_redirect_uri_is() {
        let check = |registered: &str, uri: &str, expected: bool| {
            assert_eq!(
                RedirectUri::parse(registered).unwrap().is_place_of(uri),
                expected,
                "{registered} {uri}"
            );
        };
        let own = "http://localhost:3000/cb?x";
        check(own, own, true);
        check(own, "http://localhost:4000/cb?x", true);
        check(own, "http://localhost/cb?x", true);
        check(own, "http://localhost:4000/cb", false);
        check(own, "http://127.0.0.1:3000/cb?x", false);
        check(own, "https://localhost:3000/cb?x", false);
        check("http://[::1]:1/cb", "http://[::1]/cb", true);
        check("http://[::1]:1/cb", "http://[::2]:1/cb", false);
        check("https://app.example/cb", "https://app.example:8443/cb", false);
        check("com.example.app:/cb", "com.example.app:/cb", true);
    }

    #[test]
    fn a_difference_is_named_by_its_byte() {
        assert_eq!(
            difference("https://app.example/callback", "https://app.example/callback/"),
            "redirect_uri differs from the registered one at byte 29: …e/callback/ is not …e/callback"
        );
        assert_eq!(
            difference("https://a.example/x", "x"),
            "redirect_uri differs from the registered one at byte 1: x is not https://a.…"
        );
    }
}
