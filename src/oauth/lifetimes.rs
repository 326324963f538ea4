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
