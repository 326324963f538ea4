//! What the dialog says of a client and of its access: who asks, for how long, and how to revoke it.
//!
//! It says what this server knows, in words for a person. The durations are made when the configuration is loaded; a
//! dialog only chooses among texts.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use super::template::escape_html;
use crate::oauth::client::{Client, ClientOrigin};
use crate::oauth::origin::Authority;
use crate::oauth::redirect::is_loopback_host;
use crate::oauth::{Profile, TokenLifetimes};

/// For how long a client may use what it is given, as HTML.
pub(crate) struct Durations {
    /// For a client that gets no refresh token.
    pub(crate) once: String,
    /// For one that does.
    pub(crate) renewed: String,
}

impl Durations {
    /// The words for these lifetimes.
    pub(crate) fn new(lifetimes: &TokenLifetimes) -> Durations {
        let TokenLifetimes { access_token, refresh_idle, refresh, .. } = *lifetimes;
        let (token, all) = (words(access_token), words(refresh));
        let idle = if refresh_idle < refresh {
            format!(" It loses this right if it does not use it for {}.", words(refresh_idle))
        } else {
            String::new()
        };
        Durations {
            once: format!("For {token}. After that it has to ask you again."),
            renewed: format!("For {token} at a time. It can renew this without asking you, for {all}.{idle}"),
        }
    }
}

/// Who asks, as far as this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker<'a> {
    /// The demo's own client.
    Demo,
    /// A client that the operator has configured. Its name can be trusted.
    Configured,
    /// A client that has registered itself. Only where its answers go is known.
    SelfRegistered,
    /// A client whose metadata is a document that this host has published.
    Document(&'a str),
}

impl<'a> Asker<'a> {
    /// What is known of `client`. Without [`named_by_host`](Profile::named_by_host), each looks like a configured one.
    pub(crate) fn of(client: &'a Client, profile: &Profile) -> Asker<'a> {
        match client.origin {
            ClientOrigin::Demo => Asker::Demo,
            ClientOrigin::SelfRegistered if profile.named_by_host => Asker::SelfRegistered,
            ClientOrigin::Document if profile.named_by_host => Asker::Document(host_of(&client.id)),
            ClientOrigin::Configured | ClientOrigin::SelfRegistered | ClientOrigin::Document => {
                Asker::Configured
            }
        }
    }
}

/// The host of an https URL, and its port if it has one.
fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.split(['/', '?']).next().unwrap_or(authority)
}

impl Asker<'_> {
    /// Whether an unknown person chose the client's name, which may then be that of another app.
    pub(crate) fn is_unverified(self) -> bool {
        matches!(self, Asker::SelfRegistered | Asker::Document(_))
    }

    /// The same, in words. `redirect_uri` is where the answer goes.
    pub(crate) fn words(self, redirect_uri: &str) -> Cow<'static, str> {
        match self {
            Asker::Demo => "The demo app that comes with this server.".into(),
            Asker::Configured if redirect_uri.starts_with("https://") => {
                "An app that the operator of this server has registered. Only its website, named below, gets your \
                 answer."
                    .into()
            }
            // Another program may listen on the port, or claim the scheme (RFC 8252, 8.1 and 8.6).
            Asker::Configured => {
                "An app that the operator of this server has registered. This server cannot check that it is really \
                 this app, so continue only if you have just started it yourself."
                    .into()
            }
            Asker::SelfRegistered => {
                "An app that registered itself with this server, as any app can. Its name has not been checked."
                    .into()
            }
            Asker::Document(host) => {
                let host = escape_html(host);
                format!("An app that describes itself in a document at {host}. Its name has not been checked.").into()
            }
        }
    }

    /// How the person can end the access.
    pub(crate) fn taking_back(self) -> &'static str {
        if self == Asker::Demo {
            "Press “Revoke access” on the app’s page before you leave it."
        } else {
            "Disconnect this server in the app, if the app offers that, or ask the operator of this server to end the \
             app’s access. This server has no page for it yet."
        }
    }
}

/// Where an answer goes, for a person who cannot rely on the client's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    /// To this website: its host, and its port if it has one.
    Website(&'a str),
    /// To a program on the person's own machine, at this host and port.
    ThisMachine(&'a str),
    /// To whichever app on the person's device has claimed this scheme.
    App(&'a str),
}

impl Destination<'_> {
    /// The destination of an answer to this redirect URI.
    pub(crate) fn of(redirect_uri: &str) -> Destination<'_> {
        let (scheme, rest) = redirect_uri.split_once(':').unwrap_or((redirect_uri, ""));
        if !["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) {
            return Destination::App(scheme);
        }
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        if Authority::parse(authority).is_some_and(|authority| is_this_machine(authority.host())) {
            Destination::ThisMachine(authority)
        } else {
            Destination::Website(authority)
        }
    }

    /// The heading of the dialog, as HTML: the destination comes before the client's `name`.
    pub(crate) fn heading(self, name: &str) -> String {
        let called = match escape_html(name) {
            name if name.is_empty() => "It gives no name".to_owned(),
            name => format!("It calls itself <bdi>{name}</bdi>"),
        };
        match self {
            Destination::Website(host) => {
                let host = escape_html(host);
                format!(
                    "<h1>Authorize an app at <span class=\"host\">{host}</span>?</h1><p>{called}. Your answer goes to \
                     {host}.</p>"
                )
            }
            Destination::ThisMachine(host) => format!(
                "<h1>Authorize a program at <span class=\"host\">{}</span>?</h1><p>{called}.</p>\
                 <p class=\"caution\">Your answer goes to this computer, and any program on it can pass for this \
                 one. Continue only if you have just started it yourself.</p>",
                escape_html(host)
            ),
            Destination::App(scheme) => format!(
                "<h1>Authorize the app that opens <span class=\"host\">{}:</span> links?</h1><p>{called}.</p>\
                 <p class=\"caution\">Your answer goes to an app on this device, and any app on it can claim this \
                 address. Continue only if you have just started it yourself.</p>",
                escape_html(scheme)
            ),
        }
    }

    /// Only the destination, in place of the name.
    pub(crate) fn words(self) -> Cow<'static, str> {
        match self {
            Destination::Website(host) => format!("an app at {host}").into(),
            Destination::ThisMachine(host) => format!("a program at {host}").into(),
            Destination::App(scheme) => format!("the app that opens {scheme}: links").into(),
        }
    }
}

/// Whether browsers may connect to this machine for `host`. They read more spellings of an address than this server
/// does, such as `0x7f.1` and `2130706433`; no name on the public internet has a last label that begins with a digit.
fn is_this_machine(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.trim_matches(['[', ']']).parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or(host);
            is_loopback_host(host) || last.starts_with(|first: char| first.is_ascii_digit())
        }
    }
}

/// `duration` in the largest unit of which it is a whole number.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(365 * 86_400, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (length, unit) =
        units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length)).unwrap_or((1, "second"));
    match seconds / length {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::lifetimes::Lifetimes;

    #[test]
    fn a_duration_is_in_the_largest_unit_that_fits() {
        let check = |seconds, expected: &str| assert_eq!(words(Duration::from_secs(seconds)), expected);
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "1 minute");
        check(90, "90 seconds");
        check(5400, "90 minutes");
        check(3600, "1 hour");
        check(86_400, "1 day");
        check(90_000, "25 hours");
        check(90 * 86_400, "90 days");
        check(100 * 365 * 86_400, "100 years");
    }

    #[test]
    fn the_durations_are_those_of_the_configuration() {
        let mut lifetimes = Lifetimes::default().tokens;
        let Durations { once, renewed } = Durations::new(&lifetimes);
        assert_eq!(once, "For 1 day. After that it has to ask you again.");
        assert_eq!(
            renewed,
            "For 1 day at a time. It can renew this without asking you, for 90 days. \
             It loses this right if it does not use it for 14 days."
        );
        lifetimes.access_token = Duration::from_secs(600);
        lifetimes.refresh_idle = lifetimes.refresh;
        let renewed = Durations::new(&lifetimes).renewed;
        assert_eq!(renewed, "For 10 minutes at a time. It can renew this without asking you, for 90 days.");
    }

    #[test]
    fn only_a_website_is_known_to_be_the_one_that_asks() {
        let check = |uri: &str, is_known: bool| {
            assert_eq!(Asker::Configured.words(uri).contains("cannot check"), !is_known, "{uri}");
        };
        check("https://app.example/cb", true);
        check("http://127.0.0.1:51234/cb", false);
        check("http://localhost/cb", false);
        check("com.example.app:/cb", false);
    }

    #[test]
    fn a_destination_is_a_website_this_machine_or_an_app() {
        let check = |uri: &str, expected: Destination| assert_eq!(Destination::of(uri), expected, "{uri}");
        check("https://app.example/cb", Destination::Website("app.example"));
        check("HTTPS://app.example:8443?x", Destination::Website("app.example:8443"));
        check("https://localhost.evil.example/", Destination::Website("localhost.evil.example"));
        check("http://localhost:53682/cb", Destination::ThisMachine("localhost:53682"));
        check("https://a.localhost/cb", Destination::ThisMachine("a.localhost"));
        check("http://127.0.0.1?x", Destination::ThisMachine("127.0.0.1"));
        check("http://[::1]:1/cb", Destination::ThisMachine("[::1]:1"));
        for host in
            ["localhost.", "127.9.9.9", "0.0.0.0", "127.1", "2130706433", "0x7f.1", "127.0.0.1.", "[::]"]
        {
            check(&format!("https://{host}/cb"), Destination::ThisMachine(host));
        }
        check("https://[::ffff:127.0.0.1]/cb", Destination::ThisMachine("[::ffff:127.0.0.1]"));
        check("https://192.0.2.1/cb", Destination::Website("192.0.2.1"));
        check("https://[2001:db8::1]/cb", Destination::Website("[2001:db8::1]"));
        check("https://1.2.3.example/cb", Destination::Website("1.2.3.example"));
        check("com.example.app:/cb", Destination::App("com.example.app"));
        check("vscode://app.example/cb", Destination::App("vscode"));
    }
}
