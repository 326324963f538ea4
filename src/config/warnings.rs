//! Warnings at every start about a configuration that is valid but dangerous.

use super::Config;
use crate::oauth::grant::RefreshReuse;
use crate::oauth::origin::Scheme;

impl Config {
    /// Warns of what is dangerous about this configuration, one sentence each. The authorization server listens on
    /// `auth_port`; 0 means that the port is not known yet.
    pub fn warnings(&self, auth_port: u16) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_article {
            warnings.push(
                "--article: this server follows the article to the letter and gives up defences that apps depend on. \
                 Codes are ten digits, which can be guessed; codes and tokens never expire; the dialog can be framed, \
                 and its form forged by any page; there is no PKCE and no iss. It is for lessons on this machine: give \
                 it nothing that matters"
                    .to_owned(),
            );
        }
        if self.lab.is_some() {
            warnings.push(
                "--lab: a page of this server turns its defences off, for exercises on this machine; give it nothing \
                 that matters"
                    .to_owned(),
            );
        }
        if self.insecure_http {
            warnings.push(
                "insecure_http is set: issuers and redirect URIs may be plain http on any host, so anyone on the \
                 network path can read codes and tokens; use it for tests only"
                    .to_owned(),
            );
        }
        if self.lifetimes.tokens.refresh_reuse == RefreshReuse::UntilSuccessorUsed {
            warnings.push(
                "refresh_reuse is \"until_successor_used\": a replaced refresh token gets a fresh successor even after \
                 the grace window, while its successor is unused. So a stolen one works until the client refreshes \
                 again; use it only if clients lose answers, as on bad networks"
                    .to_owned(),
            );
        }
        if let (Some(_), Some(address)) = (self.client_port, self.bind.filter(|address| !address.is_loopback()))
        {
            warnings.push(format!(
                "the demo has no login and listens on {address}: anyone who can reach port {auth_port} of this \
                 machine can authorize apps as {:?} and get tokens; remove --bind to serve only this machine",
                self.resource_owner
            ));
        }
        // The demo's view shows what anyone on this machine can have from the demo anyway.
        if self.has_wire() && (self.wire.is_wanted == Some(true) || self.wire.traces) {
            warnings.push(
                "the wire view is on: every user and program of this machine can read codes, tokens and clients' \
                 secrets at /wire; remove --wire and --trace when you have seen enough"
                    .to_owned(),
            );
        }
        if let Some(issuer) = &self.issuer
            && issuer.origin().scheme() == Scheme::Http
            && ![0, issuer.origin().port()].contains(&auth_port)
        {
            warnings.push(format!(
                "clients use port {} (issuer {}), but the server listens on port {auth_port}: forward the first to \
                 the second",
                issuer.origin().port(),
                issuer.as_str()
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::issuer::Issuer;

    #[test]
    fn what_is_dangerous_is_said_and_nothing_else() {
        let check = |change: fn(&mut Config), words: &[&str]| {
            let mut config = Config::default();
            change(&mut config);
            let warnings = config.warnings(3001);
            assert_eq!(warnings.len(), words.len(), "{warnings:?}");
            for (warning, words) in warnings.iter().zip(words) {
                assert!(warning.contains(words), "{words}: {warning}");
            }
        };
        check(|_| {}, &[]);
        check(|config| config.bind = "::1".parse().ok(), &[]);
        check(|config| config.bind = "0.0.0.0".parse().ok(), &["no login and listens on 0.0.0.0"]);
        check(|config| (config.bind, config.client_port) = ("0.0.0.0".parse().ok(), None), &[]);
        check(|config| config.is_article = true, &["gives up defences"]);
        check(|config| config.insecure_http = true, &["insecure_http is set"]);
        let reuses = |config: &mut Config| {
            config.lifetimes.tokens.refresh_reuse = RefreshReuse::UntilSuccessorUsed;
        };
        check(reuses, &["refresh_reuse is"]);
        check(|config| config.wire.is_wanted = Some(true), &["the wire view is on"]);
        check(|config| (config.wire.traces, config.client_port) = (true, None), &["the wire view is on"]);
        check(|config| config.issuer = Issuer::parse("http://localhost:3001").ok(), &[]);
        check(|config| config.issuer = Issuer::parse("https://auth.example").ok(), &[]);
        check(|config| config.issuer = Issuer::parse("http://localhost:8080").ok(), &["use port 8080"]);
    }
}
