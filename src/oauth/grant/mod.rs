//! The grant: what a resource owner allowed one client, in one record, and what each request does to it.
//!
//! `state.rs` is the record. A request is a [`Transition`]: data that names the grant, the presented credential and
//! what to issue. Each operation of the protocol is a file with one function, from the record (if there is one), the
//! request and the time to a [`Change`] and an [`Outcome`]; `transition.rs` dispatches to it. All of them are pure, so
//! a store may apply one again after a lost race. [`rules`] is a table of all their results.

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
pub mod rules;
mod state;
mod target;
mod transition;
mod withdraw;

pub use access_tokens::ACCESS_TOKENS_MAX;
pub use lifetimes::{RefreshReuse, TokenLifetimes};
pub use look::ProtectedResource;
pub use outcome::Outcome;
pub use record::RecordError;
pub use state::{Change, Grant};
pub use transition::{Operation, Transition};
