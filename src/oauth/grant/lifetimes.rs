//! Settings: how long the tokens of a grant are valid, and what happens when an old refresh token is presented again.

use std::time::Duration;

/// The lifetimes of a grant's tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenLifetimes {
    /// An access token.
    pub access_token: Duration,
    /// A refresh token that is not used.
    pub refresh_idle: Duration,
    /// All refresh tokens of a grant, from the first on.
    pub refresh: Duration,
    /// How long after its use a refresh token still gets the same response.
    pub refresh_grace: Duration,
    /// What happens when it is presented after that.
    pub refresh_reuse: RefreshReuse,
}

/// What happens when the previous refresh token is presented after the grace window (RFC 9700, 4.14.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshReuse {
    /// The grant ends.
    #[default]
    EndsGrant,
    /// While its successor is unused, it gets a fresh successor that replaces it. If the replaced one is presented, the
    /// grant ends.
    UntilSuccessorUsed,
}
