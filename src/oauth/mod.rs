//! The rules of the flow, as pure functions: no socket, no clock, no dice, no HTTP.
//!
//! What a resource owner allowed one client is one record, the [`Grant`]. Each credential that is handed out
//! names its grant and carries a secret of its own, so every request concerns exactly one record, and every
//! request is one [`Transition`]: a pure function from the record, and now, to what becomes of the record and
//! an [`Outcome`] with a name. A store has nothing to do but apply it atomically.
//!
//! ```text
//!   POST /code              POST /token              GET /secure
//!   Grant                   Redeem                   Check
//!     │                       │                        │
//!     ▼                       ▼                        ▼
//!   (nothing) ──Granted──▶ issued ──Redeemed──▶ redeemed ──Active──▶ (unchanged)
//!                             │                    │
//!                          Expired              Replayed: the code came back, so it was stolen from
//!                             ▼                    ▼      someone; the token it bought ends with it
//!                         forgotten            forgotten                      (RFC 6749, 4.1.2)
//! ```

pub mod grant;
pub mod secret;

pub use grant::{Change, Grant, Outcome, Timestamp, Transition};
pub use secret::{Credential, Digest, GrantId};
