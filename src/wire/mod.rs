//! The wire view: what went over the wire, message by message, and the rule that decided each.
//!
//! It is a debugger for OAuth. Every request and every answer is kept as the exact bytes that were read and written
//! ([`Exchange`]), in a bounded ring ([`Ring`]). Beside them stand the decisions that were made on the way, each with
//! its rule ([`Rule`]): a sentence, the section that asks for it, the line of source that decided, and the test that
//! holds it.
//!
//! ```text
//!   net: bytes read ────▶ Tap ──▶ Exchange ──▶ Wire ──▶ Ring ──▶ the page at /wire, by server-sent events
//!   routes: decisions ──▶ Notes ─────┘            └──▶ --trace, as lines on the terminal
//! ```
//!
//! A connection has a [`Tap`] only where the server has a wire view. Without one, a request passes a few branches and
//! nothing else: no lock is taken and nothing is allocated.
//!
//! What is kept here includes codes, tokens and cookies. So the view is refused except on loopback, and with a store
//! that outlives the process unless the operator asks for it twice (`config/wire.rs`). Its own requests are not
//! recorded, or each would cause the next.

pub mod exchange;
pub mod hub;
pub mod notes;
pub mod recent;
pub mod rule;
pub mod rules;
pub mod send;
pub mod tap;
pub mod trace;

pub use exchange::{Exchange, Server};
pub use hub::{Watch, Wire};
pub use notes::{Decision, Notes};
pub use recent::Ring;
pub use rule::Rule;
pub use tap::Tap;
