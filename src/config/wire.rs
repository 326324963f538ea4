//! Whether there is a wire view, and where there must be none.
//!
//! The view shows codes, tokens and cookies to everyone who can reach this machine's loopback. So it is part of the
//! demo, which anyone who can reach it may use anyway; elsewhere it has to be asked for. It is refused where others
//! than this machine reach the server, and with grants that outlive the process unless that is asked for, too: those
//! are seldom made up.

use super::{Config, ConfigError};
use crate::store::Location;

impl Config {
    /// Whether the server has a wire view.
    pub fn has_wire(&self) -> bool {
        match self.wire.is_wanted {
            Some(is_wanted) => is_wanted,
            None => {
                self.wire.traces
                    || (self.client_port.is_some() && self.wire_mistake().is_none() && !self.lasts())
            }
        }
    }

    /// Whether grants outlive the process.
    fn lasts(&self) -> bool {
        self.store.location != Location::Memory
    }

    /// Why there cannot be a wire view; `None` where there can.
    pub(super) fn wire_mistake(&self) -> Option<ConfigError> {
        if !cfg!(feature = "wire") {
            return Some(ConfigError::NotBuiltIn("the wire view", "wire"));
        }
        if let Some(address) = self.bind.filter(|address| !address.is_loopback()) {
            return Some(ConfigError::WireBeyondLoopback(address));
        }
        if self.issuer.as_ref().is_some_and(|issuer| !issuer.origin().is_loopback()) {
            return Some(ConfigError::WireOfPublicIssuer);
        }
        (self.lasts() && !self.wire.with_lasting_store).then_some(ConfigError::WireOfLastingStore)
    }
}

#[cfg(feature = "wire")]
#[cfg(test)]
mod tests {
    use super::super::WireConfig;
    use super::*;
    use crate::oauth::issuer::Issuer;

    #[test]
    fn the_wire_view_is_in_the_demo_and_elsewhere_on_request() {
        let check = |change: fn(&mut Config), expected: bool| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!((config.has_wire(), config.check()), (expected, Ok(())));
        };
        check(|_| {}, true);
        check(|config| config.bind = "127.0.0.1".parse().ok(), true);
        check(|config| config.issuer = Issuer::parse("http://localhost:3001").ok(), true);
        check(|config| config.wire.is_wanted = Some(false), false);
        check(|config| config.client_port = None, false);
        check(|config| (config.client_port, config.wire.is_wanted) = (None, Some(true)), true);
        check(|config| (config.client_port, config.wire.traces) = (None, true), true);
        check(|config| config.bind = "0.0.0.0".parse().ok(), false);
        check(|config| config.issuer = Issuer::parse("https://auth.example").ok(), false);
        check(|config| config.store.location = Location::File("grants".into()), false);
    }

    #[test]
    fn a_wire_view_that_others_could_read_is_refused() {
        let check = |change: fn(&mut Config), words: &str| {
            let mut config = Config::default();
            config.wire.is_wanted = Some(true);
            change(&mut config);
            let message = config.check().expect_err(words).to_string();
            assert!(message.contains(words), "{message}");
            config.wire = WireConfig { traces: true, ..WireConfig::default() };
            assert!(config.check().is_err(), "the same for --trace");
        };
        check(|config| config.bind = "0.0.0.0".parse().ok(), "0.0.0.0 is not loopback");
        check(|config| config.issuer = Issuer::parse("https://auth.example").ok(), "the issuer is public");
        check(|config| config.store.location = Location::File("grants".into()), "--wire-with-lasting-store");
    }

    #[test]
    fn a_wire_view_of_a_lasting_store_is_asked_for_twice() {
        let check = |is_wanted: Option<bool>, traces: bool, client_port: Option<u16>, expected: bool| {
            let mut config = Config { client_port, ..Config::default() };
            config.store.location = Location::File("grants".into());
            config.wire = WireConfig { is_wanted, with_lasting_store: true, traces };
            assert_eq!((config.has_wire(), config.check()), (expected, Ok(())));
            let warns = config.warnings(3001).iter().any(|warning| warning.contains("the wire view is on"));
            assert_eq!(warns, expected, "the log says so at every start");
        };
        for client_port in [Some(3000), None] {
            check(Some(true), false, client_port, true);
            check(None, true, client_port, true);
            check(None, false, client_port, false);
            check(Some(false), false, client_port, false);
        }
    }
}
