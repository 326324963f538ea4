//! How long codes, tokens and forms are valid, with the defaults.

use std::time::Duration;

use super::grant::{RefreshReuse, TokenLifetimes};

/// How long codes, tokens and forms are valid.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// An authorization code: at most ten minutes (RFC 6749, 4.1.2), and better a short time.
    pub code: Duration,
    /// The dialog's form, from when it is shown until it is answered.
    pub form: Duration,
    /// Access and refresh tokens.
    pub tokens: TokenLifetimes,
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        const DAY: Duration = Duration::from_secs(86_400);
        Lifetimes {
            code: Duration::from_secs(60),
            form: Duration::from_secs(600),
            tokens: TokenLifetimes {
                // The article's 86,400 seconds.
                access_token: DAY,
                refresh_idle: 14 * DAY,
                refresh: 90 * DAY,
                // Several tabs or machines of one client may take a while to share a new refresh token.
                refresh_grace: Duration::from_secs(60),
                refresh_reuse: RefreshReuse::EndsGrant,
            },
        }
    }
}

/// The longest lifetime of a code (RFC 6749, 4.1.2).
pub const CODE_LIFETIME_MAX: Duration = Duration::from_secs(600);

impl Lifetimes {
    /// Every value that is out of range: its name, and what it must be.
    pub fn mistakes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        const GREATER_THAN_ZERO: &str = "greater than zero";
        let tokens = &self.tokens;
        let rules = [
            (!self.code.is_zero(), "lifetimes.code", GREATER_THAN_ZERO),
            (self.code <= CODE_LIFETIME_MAX, "lifetimes.code", "at most ten minutes (RFC 6749, 4.1.2)"),
            (!self.form.is_zero(), "lifetimes.form", GREATER_THAN_ZERO),
            (!tokens.access_token.is_zero(), "lifetimes.access_token", GREATER_THAN_ZERO),
            (!tokens.refresh.is_zero(), "lifetimes.refresh_token", GREATER_THAN_ZERO),
            (!tokens.refresh_idle.is_zero(), "lifetimes.refresh_token_idle", GREATER_THAN_ZERO),
        ];
        rules.into_iter().filter(|(holds, ..)| !holds).map(|(_, name, remedy)| (name, remedy))
    }
}
