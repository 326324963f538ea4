//! The names and addresses of the servers.
//!
//! They come from the configuration and never from a request. The sender of a request chooses its Host field, and a
//! page under a foreign name that points at this machine sends a Host and an Origin that agree with each other (DNS
//! rebinding).

use std::net::IpAddr;

use crate::oauth::issuer::Issuer;
use crate::oauth::origin::{Authority, Origin};

/// Which of the servers a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client app, which asks for access.
    ClientApp,
    /// The authorization server, which grants it.
    AuthorizationServer,
    /// The attacker's site, only with `--lab`.
    Lab,
}

/// The names and addresses of both servers, as browsers write them.
#[derive(Clone, Debug)]
pub struct Site {
    client_app: Option<String>,
    authorization_server: String,
    issuer: String,
    base: String,
    is_https: bool,
    /// Every origin under which browsers may see the authorization server's pages.
    own_origins: Vec<Origin>,
    /// The same as the values of Host fields, so that the usual spelling is compared without being parsed.
    own_hosts: Vec<String>,
    /// The origin of the attacker's site, if there is one, and every one under which browsers may see it.
    lab: Option<String>,
    lab_origins: Vec<Origin>,
}

impl Site {
    /// The site of servers that listen on `bind` (on both loopback addresses if that is `None`) and these ports;
    /// `client_port` is `None` if there is no client app. Clients reach the authorization server as `issuer`, if given.
    pub fn new(bind: Option<IpAddr>, client_port: Option<u16>, auth_port: u16, issuer: Option<Issuer>) -> Site {
        let names = names(bind);
        // The first name is the canonical one. There must be one, since a page can read a popup of its own origin only.
        let client_app = client_port.map(|port| format!("http://{}", authority(&names[0], port)));
        let own: Vec<String> =
            names.iter().map(|name| format!("http://{}", authority(name, auth_port))).collect();
        let mut own_origins: Vec<Origin> = own.iter().filter_map(|origin| Origin::parse(origin)).collect();
        own_origins.extend(issuer.iter().map(|issuer| issuer.origin().clone()));
        let own_hosts = own_origins.iter().map(Origin::authority).collect();
        let Some(issuer) = issuer else {
            return Site {
                client_app,
                issuer: own[0].clone(),
                authorization_server: own[0].clone(),
                base: String::new(),
                is_https: false,
                own_origins,
                own_hosts,
                lab: None,
                lab_origins: Vec::new(),
            };
        };
        Site {
            client_app,
            authorization_server: issuer.origin().to_string(),
            issuer: issuer.as_str().to_owned(),
            base: issuer.base().to_owned(),
            is_https: issuer.is_https(),
            own_origins,
            own_hosts,
            lab: None,
            lab_origins: Vec::new(),
        }
    }

    /// The same with the attacker's site on this port of the same addresses.
    pub fn with_lab(self, bind: Option<IpAddr>, port: u16) -> Site {
        let origins: Vec<String> =
            names(bind).iter().map(|name| format!("http://{}", authority(name, port))).collect();
        let lab_origins = origins.iter().filter_map(|origin| Origin::parse(origin)).collect();
        Site { lab: origins.into_iter().next(), lab_origins, ..self }
    }

    /// The origin of the attacker's site, if there is one.
    pub fn lab(&self) -> Option<&str> {
        self.lab.as_deref()
    }

    /// The origin that stands for the authorization server's own network in the lab, if there is one: the address that
    /// the attacker's site has without a name.
    pub fn lab_network(&self) -> Option<String> {
        self.lab_origins.get(1).map(Origin::to_string)
    }

    /// Whether `host`, the value of a Host field, names the attacker's site.
    pub fn is_lab_host(&self, host: &str) -> bool {
        Authority::parse(host).is_some_and(|host| self.lab_origins.iter().any(|own| own.has(&host)))
    }

    /// Whether `origin`, the value of an Origin field, is the attacker's site.
    pub fn is_lab_origin(&self, origin: &[u8]) -> bool {
        let origin = std::str::from_utf8(origin).ok().and_then(Origin::parse);
        origin.is_some_and(|origin| self.lab_origins.contains(&origin))
    }

    /// The client app's origin (RFC 6454), such as `http://localhost:3000`, if there is a client app.
    pub fn client_app(&self) -> Option<&str> {
        self.client_app.as_deref()
    }

    /// The client app's redirect URI (RFC 6749, 3.1.2).
    pub fn client_app_redirect_uri(&self) -> Option<String> {
        self.client_app.as_ref().map(|origin| format!("{origin}/oauth-callback.html"))
    }

    /// The authorization server's origin, as clients reach it.
    pub fn authorization_server(&self) -> &str {
        &self.authorization_server
    }

    /// The issuer identifier, exactly as configured (RFC 8414, 2; RFC 9207, 2).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer's path, which comes before the path of every endpoint. Often empty; it never ends in a slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The URL of the authorization server's endpoint at `path`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.authorization_server, self.base)
    }

    /// Where the server `role` itself listens, as the value of a Host field; `None` if there is no such server.
    pub fn own_authority(&self, role: Role) -> Option<&str> {
        match role {
            Role::ClientApp => self.client_app.as_deref()?.strip_prefix("http://"),
            // The first is the address that it listens on, whatever the issuer is.
            Role::AuthorizationServer => self.own_hosts.first().map(String::as_str),
            Role::Lab => self.lab.as_deref()?.strip_prefix("http://"),
        }
    }

    /// Whether the authorization server is only on this machine, as its clients see it.
    pub fn is_loopback(&self) -> bool {
        Origin::parse(&self.authorization_server).is_some_and(|origin| origin.is_loopback())
    }

    /// Whether browsers reach the authorization server over TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether `host`, the value of a Host field, names the authorization server, in any spelling (RFC 9110, 4.2.3).
    pub fn is_own_host(&self, host: &[u8]) -> bool {
        let is_own = |host| self.own_origins.iter().any(|own| own.has(&host));
        let parse = || std::str::from_utf8(host).ok().and_then(Authority::parse);
        self.own_hosts.iter().any(|own| own.as_bytes() == host) || parse().is_some_and(is_own)
    }

    /// Whether `origin`, the value of an Origin field, is the authorization server's. `null` is not.
    pub fn is_own_origin(&self, origin: &[u8]) -> bool {
        let origin = std::str::from_utf8(origin).ok().and_then(Origin::parse);
        origin.is_some_and(|origin| self.own_origins.contains(&origin))
    }
}

/// The host names of a server that listens on `bind`; never empty.
fn names(bind: Option<IpAddr>) -> Vec<String> {
    let literal = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let localhost = "localhost".to_owned();
    match bind {
        Some(address) if address.is_loopback() => vec![localhost, literal(address)],
        Some(address) if !address.is_unspecified() => vec![literal(address)],
        _ => vec![localhost, "127.0.0.1".to_owned(), "[::1]".to_owned()],
    }
}

/// `name:port`, or the name alone for http's default port, as browsers write it.
fn authority(name: &str, port: u16) -> String {
    match port {
        80 => name.to_owned(),
        port => format!("{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_follow_from_the_address_and_the_port() {
        let check = |bind: &str, port, origin: &str, own: &[&str], foreign: &[&str]| {
            let site = Site::new(bind.parse().ok(), Some(4000), port, None);
            assert_eq!(site.authorization_server(), origin);
            own.iter().for_each(|host| assert!(site.is_own_host(host.as_bytes()), "{bind}: {host}"));
            foreign.iter().for_each(|host| assert!(!site.is_own_host(host.as_bytes()), "{bind}: {host}"));
        };
        check(
            "",
            3001,
            "http://localhost:3001",
            &["localhost:3001", "LOCALHOST:3001", "127.0.0.1:3001", "[::1]:3001"],
            &["localhost", "localhost:3000", "rebound.example:3001", "", "127.0.0.2:3001", "localhost:3001 "],
        );
        check("127.0.0.1", 80, "http://localhost", &["localhost", "localhost:80", "127.0.0.1"], &["[::1]"]);
        check("0.0.0.0", 3001, "http://localhost:3001", &["127.0.0.1:3001"], &["0.0.0.0:3001"]);
        check("192.0.2.7", 3001, "http://192.0.2.7:3001", &["192.0.2.7:3001"], &["localhost:3001"]);
        check("2001:db8::7", 3001, "http://[2001:db8::7]:3001", &["[2001:DB8::7]:3001"], &["[::1]:3001"]);
    }

    #[test]
    fn only_its_own_origin_is_its_own() {
        let site = Site::new(None, Some(3000), 3001, None);
        assert_eq!(
            site.client_app_redirect_uri().as_deref(),
            Some("http://localhost:3000/oauth-callback.html")
        );
        assert!(site.is_own_origin(b"http://localhost:3001"));
        assert!(site.is_own_origin(b"http://127.0.0.1:3001"));
        for origin in ["null", "", "https://localhost:3001", "http://localhost:3000", "http://localhost:3001/"]
        {
            assert!(!site.is_own_origin(origin.as_bytes()), "{origin}");
        }
        assert!(!site.is_own_origin(b"http://localhost:3001\xff") && !site.is_own_host(b"localhost:3001\xff"));
    }

    #[test]
    fn an_issuer_is_one_more_name_and_the_first() {
        let issuer = Issuer::parse("https://auth.example/t/").ok();
        let site = Site::new("0.0.0.0".parse().ok(), None, 3001, issuer);
        assert_eq!((site.issuer(), site.base()), ("https://auth.example/t/", "/t"));
        assert_eq!((site.authorization_server(), site.client_app()), ("https://auth.example", None));
        assert!(site.is_https() && site.is_own_host(b"auth.example") && site.is_own_host(b"localhost:3001"));
        assert!(site.is_own_origin(b"https://auth.example") && !site.is_own_origin(b"http://auth.example"));
    }

    #[test]
    fn every_spelling_of_its_name_is_its_own() {
        let check = |issuer: &str, own: &[&str], foreign: &[&str]| {
            let site = Site::new(None, None, 3001, Issuer::parse(issuer).ok());
            own.iter().for_each(|host| assert!(site.is_own_host(host.as_bytes()), "{issuer}: {host}"));
            foreign.iter().for_each(|host| assert!(!site.is_own_host(host.as_bytes()), "{issuer}: {host}"));
            assert_eq!(site.issuer(), issuer, "it is given out as it was written");
        };
        let own = ["auth.example", "auth.example:443", "AUTH.example:", "%61uth.example", "auth.example:0443"];
        let foreign = ["auth.example:80", "auth.example:3001", "auth.example.", "evil.example:443", ":443"];
        for issuer in ["https://auth.example", "https://Auth.Example:443", "HTTPS://auth.example:"] {
            check(issuer, &own, &foreign);
            let site = Site::new(None, None, 3001, Issuer::parse(issuer).ok());
            assert_eq!(site.authorization_server(), "https://auth.example");
            assert!(
                site.is_own_origin(b"https://auth.example") && site.is_own_origin(b"https://auth.example:443")
            );
            assert!(
                !site.is_own_origin(b"https://auth.example:80") && !site.is_own_origin(b"http://auth.example")
            );
        }
        check("http://auth.localhost:80", &["auth.localhost", "auth.localhost:80"], &["auth.localhost:443"]);
        check("http://[0:0::1]:9", &["[::1]:9", "[0:0:0:0:0:0:0:1]:9"], &["[::2]:9", "[::1]"]);
    }
}
