//! The named outcomes of transitions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::super::credential::{Family, Salt};
use super::super::resource::Audience;
use super::super::scope::Scope;
use super::super::timestamp::Timestamp;

/// The outcome of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The grant is stored, and its code or token may be issued.
    Granted,
    /// The grant exists already with this code, which is not redeemed yet: the form was submitted again, and the same
    /// code may be issued again.
    GrantedAgain,
    /// The resource owner's denial is stored.
    Denied,
    /// A grant with that identifier exists already: its form was answered before.
    Taken,
    /// The code was valid and is now redeemed; tokens for this scope may be issued.
    Redeemed {
        /// The scope of the tokens.
        scope: Scope,
    },
    /// The code was redeemed before. The grant is revoked with all its tokens (RFC 6749, 4.1.2).
    Replayed,
    /// The code was valid but presented with the wrong redirect URI or verifier. It is now invalid.
    Burnt(Mismatch),
    /// The code was redeemed before and is presented with the wrong redirect URI or verifier. Nothing has changed.
    Mismatch(Mismatch),
    /// The refresh token was the current one; its successor may be issued, with an access token.
    Rotated {
        /// Marks the successor.
        family: Family,
        /// The scope of the access token.
        scope: Scope,
    },
    /// The refresh token was used within the grace window; the same successor may be issued again.
    Repeated {
        /// Marks the successor.
        family: Family,
        /// The salt of the first rotation.
        salt: Salt,
        /// The scope of the access token.
        scope: Scope,
        /// The remaining lifetime of the first rotation's access token; `None` if this request gets its own.
        expires_in: Option<Duration>,
    },
    /// The refresh token was used before. The grant is revoked (RFC 9700, 4.14.2).
    Reused,
    /// The request asks for a scope that was not granted. Nothing has changed.
    TooWide {
        /// The first name that was not granted.
        name: Arc<str>,
    },
    /// The request asks for a resource that was not granted. Nothing has changed.
    OtherTarget {
        /// The URI of the first resource that was not granted.
        uri: Arc<str>,
    },
    /// The code or token belongs to another client. Nothing has changed.
    OtherClient,
    /// The client is no longer registered for what was granted. Nothing has changed.
    Lapsed(Lapse),
    /// The code or refresh token has expired.
    Expired,
    /// The code or token does not exist.
    Unknown,
    /// The token is valid.
    Active,
    /// The token is valid but lacks the required scope.
    TooNarrow {
        /// The scope that it has.
        scope: Scope,
    },
    /// The token is valid for other resources, or for none in particular, and this one needs a token of its own.
    OtherResource,
    /// The token is not valid, for any reason.
    Inactive,
    /// The token is valid, with its description.
    Described(Box<Description>),
    /// The token is revoked.
    Revoked,
    /// The record notes that the last response with tokens did not reach the client.
    Withdrawn,
}

/// Which of a code's bindings does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each prints its meaning")]
pub enum Mismatch {
    RedirectUri,
    RedirectUriMissing,
    Verifier,
    VerifierMissing,
    VerifierUnasked,
}

impl Mismatch {
    /// The reason, for the log and for client developers.
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
#[allow(missing_docs, reason = "each prints its meaning")]
pub enum Lapse {
    GrantType,
    Scope,
    RedirectUri,
    Resource,
}

impl Lapse {
    /// The reason, for the log and for client developers.
    pub fn as_str(self) -> &'static str {
        match self {
            Lapse::GrantType => "the client is no longer registered for the grant type of this grant",
            Lapse::Scope => "the client is no longer registered for any scope of this grant",
            Lapse::Resource => "no resource of this grant is configured on this server any more",
            Lapse::RedirectUri => {
                "the client is no longer registered for the redirect_uri that the code was sent to"
            }
        }
    }
}

/// The two kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Gives access to a protected resource.
    Access,
    /// Is exchanged for its successor and an access token.
    Refresh,
}

/// The description of a valid token (RFC 7662, 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The kind of token.
    pub kind: TokenKind,
    /// The client that it was issued to.
    pub client: Arc<str>,
    /// The subject; `None` if the client acts for itself.
    pub subject: Option<Arc<str>>,
    /// Its scope.
    pub scope: Scope,
    /// The resources that it is for; empty for none in particular.
    pub audience: Audience,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
