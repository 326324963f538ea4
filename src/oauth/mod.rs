//! The rules of OAuth, as pure functions: no socket, no clock, no random numbers, no HTTP.
//!
//! What a resource owner allowed one client is one record, the [`Grant`]. Each issued credential names its grant and
//! carries its own secret, so every request concerns exactly one record. Every request is one [`Transition`]: a pure
//! function from the record and the current time to the new record and a named [`Outcome`]. A store only has to apply
//! it atomically.
//!
//! ```text
//!   the resource owner          the client               the client              the bearer of the token
//!   POST /code                  POST /token              POST /token             GET /secure
//!   grant                       redeem                   rotate                  check
//!     │                           │                        │                       │
//!     ▼                           ▼                        ▼                       ▼
//!   (nothing) ──Granted───▶ issued ──Redeemed──▶ live ──Rotated──▶ live ──Active──▶ (unchanged)
//!       │                     │                   │
//!       │ Denied              │ Expired, Burnt    │ Replayed: the code was presented again, with its proofs;
//!       ▼                     ▼                   ▼ Reused: an old refresh token was presented; Revoked
//!      over                  over                over: no credential of the grant is valid any more
//! ```
//!
//! A precondition is a value that only its check can make: a [`VerifiedRedirect`](client::VerifiedRedirect) before a
//! browser is redirected, an [`AuthenticatedClient`](client::AuthenticatedClient) before a code or token is examined,
//! and, inside the grant, the proof that a code matches its client, redirect URI and verifier before tokens are issued.

pub mod allowed_before;
pub mod authorize;
pub mod client;
pub mod client_document;
pub mod client_name;
mod client_secret;
pub mod credential;
pub mod document_url;
pub mod grant;
pub mod issuer;
pub mod key;
pub mod kind;
pub mod kinds;
pub mod lifetimes;
pub mod origin;
pub mod pkce;
pub mod profile;
pub mod question;
pub mod redirect;
pub mod registration;
pub mod resource;
pub mod scope;
pub mod timestamp;

pub use credential::{Credential, GrantId};
pub use grant::{Change, Grant, Outcome, ProtectedResource, TokenLifetimes, Transition};
pub use key::{Id, Key, Kind};
pub use kind::{Holder, Stage};
pub use profile::Profile;
pub use resource::{Audience, Resources};
pub use scope::Scope;
pub use timestamp::Timestamp;
