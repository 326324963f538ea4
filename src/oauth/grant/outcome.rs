//! What transitions come to, each with a name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::super::credential::{Family, Salt};
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;

/// What a transition came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The grant stands, and its code or token may be handed out.
    Granted,
    /// The grant is there already, and its code is this one and unspent: the same answer was sent again, and the
    /// same code may be handed out again.
    GrantedAgain,
    /// That the resource owner refused stands.
    Refused,
    /// There is a grant of that name already: the form that makes it was sent before.
    Taken,
    /// The code was good and is spent; tokens for this scope may be handed out.
    Redeemed {
        /// What they are good for.
        scope: Scope,
    },
    /// The code was spent before. The grant is revoked, and every token with it (RFC 6749, 4.1.2).
    Replayed,
    /// The code was good, but did not come with what it is bound to. It is good no longer.
    Burnt(Mismatch),
    /// The code was spent before, and did not come with what it is bound to. Nothing has changed.
    Mismatch(Mismatch),
    /// The refresh token was the current one; its successor may be handed out, with an access token.
    Rotated {
        /// Marks the successor.
        family: Family,
        /// What the access token is good for.
        scope: Scope,
    },
    /// The refresh token was used a moment ago; the same successor may be handed out again.
    Repeated {
        /// Marks the successor.
        family: Family,
        /// What the first rotation was made with.
        salt: Salt,
        /// What the access token is good for.
        scope: Scope,
        /// How long the first rotation's access token is still good; `None` where this request gets its own.
        expires_in: Option<Duration>,
    },
    /// The refresh token was used before. The grant is revoked (RFC 9700, 4.14.2).
    Reused,
    /// A scope was asked for that was not granted. Nothing has changed.
    TooWide {
        /// The first of its names that was not.
        name: Arc<str>,
    },
    /// The code or token is another client's. Nothing has changed.
    OtherClient,
    /// The client was registered for what was granted, and is not any more. Nothing has changed.
    Lapsed(Lapse),
    /// The code or refresh token was good once; its time is over.
    Expired,
    /// There is no such code or token.
    Unknown,
    /// The token is good.
    Active,
    /// The token is good, but not for what is needed.
    TooNarrow,
    /// It is not good, whatever the reason.
    Inactive,
    /// The token is good, and this is what there is to say of it.
    Described(Box<Description>),
    /// The token was good and is no longer.
    Revoked,
    /// It is noted that the last answer with tokens did not reach the client.
    Withdrawn,
}

/// How a code did not come with what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "what each means is what it prints")]
pub enum Mismatch {
    RedirectUri,
    RedirectUriMissing,
    Verifier,
    VerifierMissing,
    VerifierUnasked,
}

impl Mismatch {
    /// The reason, in words for the log and for the developer of a client.
    pub fn as_str(self) -> &'static str {
        match self {
            Mismatch::RedirectUri => {
                "the redirect_uri is not the one that the code was sent to (RFC 6749, 4.1.3)"
            }
            Mismatch::RedirectUriMissing => {
                "the redirect_uri is missing, and the authorization request had one (RFC 6749, 4.1.3)"
            }
            Mismatch::Verifier => "the code_verifier is not that of the code_challenge (RFC 7636, 4.6)",
            Mismatch::VerifierMissing => {
                "the code_verifier is missing, and the authorization request had a code_challenge (RFC 7636, 4.5)"
            }
            Mismatch::VerifierUnasked => {
                "there is a code_verifier, and the authorization request had no code_challenge (RFC 9700, 4.8.2)"
            }
        }
    }
}

/// What a client is no longer registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "what each means is what it prints")]
pub enum Lapse {
    GrantType,
    Scope,
    RedirectUri,
}

impl Lapse {
    /// The reason, in words for the log and for developers of clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Lapse::GrantType => "the client is no longer registered for the grant type of this grant",
            Lapse::Scope => "the client is no longer registered for any scope of this grant",
            Lapse::RedirectUri => {
                "the client is no longer registered for the redirect_uri that the code was sent to"
            }
        }
    }
}

/// The two kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// It opens what it is good for.
    Access,
    /// It is exchanged for another, and an access token.
    Refresh,
}

/// What there is to say of a token that is good (RFC 7662, 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Which kind it is.
    pub kind: TokenKind,
    /// Whose it is.
    pub client: Arc<str>,
    /// Who allowed it; `None` where a client acts for itself.
    pub subject: Option<Arc<str>>,
    /// What it is good for.
    pub scope: Scope,
    /// Since when.
    pub issued: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
