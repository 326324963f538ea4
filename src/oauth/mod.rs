//! The rules, as pure functions: no socket, no clock, no dice, no HTTP.
//!
//! What a resource owner allowed one client is one record, the [`Grant`]. Each credential that is handed out
//! names its grant and carries a secret of its own, so every request concerns exactly one record, and every
//! request is one [`Transition`]: a pure function from the record, and now, to what becomes of the record and
//! an [`Outcome`] with a name. A store has nothing to do but apply it atomically.
//!
//! ```text
//!   the resource owner          the client               the client              whoever has the token
//!   POST /code                  POST /token              POST /token             GET /secure
//!   grant                       redeem                   rotate                  check
//!     │                           │                        │                       │
//!     ▼                           ▼                        ▼                       ▼
//!   (nothing) ──Granted───▶ issued ──Redeemed──▶ live ──Rotated──▶ live ──Active──▶ (unchanged)
//!       │                     │                   │
//!       │ Refused             │ Expired, Burnt    │ Replayed: the code came back, rightly;
//!       ▼                     ▼                   ▼ Reused: an old refresh token came back; Revoked
//!      over                  over                over: nothing of the grant is good any more
//! ```
//!
//! What must be true before something is done is shown by a value that only the check can make: a
//! [`VerifiedRedirect`](client::VerifiedRedirect) before anyone is redirected, an
//! [`AuthenticatedClient`](client::AuthenticatedClient) before a code or token is looked at, and, inside the
//! grant, the proof that a code came with what it is bound to before a token is made of it.

pub mod authorize;
pub mod client;
mod client_secret;
pub mod credential;
pub mod grant;
pub mod key;
pub mod kind;
pub mod kinds;
pub mod pkce;
pub mod question;
pub mod redirect;
pub mod scope;
pub mod timestamp;

pub use credential::{Credential, GrantId};
pub use grant::{Change, Grant, Outcome, ProtectedResource, TokenLifetimes, Transition};
pub use key::{Id, Key, Kind};
pub use kind::{Holder, Stage};
pub use scope::Scope;
pub use timestamp::Timestamp;
