//! The grant: what a resource owner allowed one client, in one record, and what each request does to it.
//!
//! `state.rs` is the record. A request is a [`Transition`]: data that names the grant, what was presented and what is
//! to be handed out. Each operation of the protocol is a file with one function, from the record (if there is one), the
//! request and now to a [`Change`] and an [`Outcome`]; `transition.rs` dispatches to it. All of them are pure, so a
//! store may apply one again after a lost race.

mod access_tokens;
mod begin;
mod delivery;
mod kind;
mod lifetimes;
mod look;
pub mod outcome;
mod presented;
mod record;
mod redeem;
mod registration;
mod revoke;
mod rotate;
mod state;
mod transition;
mod withdraw;

pub use access_tokens::ACCESS_TOKENS_MAX;
pub use lifetimes::{RefreshReuse, TokenLifetimes};
pub use look::ProtectedResource;
pub use outcome::Outcome;
pub use record::RecordError;
pub use state::{Change, Grant};
pub use transition::Transition;
