//! A small, strict OAuth authorization server from the socket up, made to be read.
//!
//! The layers. What each may import is a table in the test `tests/it/imports.rs`, which holds them to it:
//!
//! ```text
//! main ── cli ── config          what to run; composes the settings of each layer
//!  └─ net                        sockets <-> bytes: the mio loop, deadlines, buffers; alone in naming mio
//!      └─ routes                 one file per endpoint: request -> step -> response
//!          ├─ http               bytes <-> messages: no socket, no clock, no OAuth
//!          ├─ oauth              the rules, pure: no socket, clock, randomness or HTTP
//!          └─ store              where grants live; applies the rules' transitions
//! outbound                       requests that the server sends: clients' documents, only from checked addresses
//! keys                           where the server's keys are kept: a key file, the store, or this process
//! wire                           what went over the wire, and the rule that decided it
//! pool                           slow work, off the loop; answers through the stores' mailbox
//! crypto                         digests, password hashes and seals; alone in naming ring and argon2
//! peer                           the peer of a connection, as it is counted
//! private_file                   files that hold secrets: no other user may read, change or replace them
//! system                         the only source of time and random bytes, behind a trait
//! json                           objects, written
//! log                            lines on standard error or output, written without blocking the loop
//! ```
//!
//! An order to read it in: [`oauth`] says what all of it is for; then [`net`], beginning with `Worker::turn` in
//! `net/worker.rs`; [`http`], beginning with the drawing at its top; [`routes`], one endpoint after the other; and
//! last what connects them, [`config`], [`system`] and `main.rs`. Part II of the book in `docs` explains the same
//! layers in the same order.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod crypto;
pub mod http;
pub mod json;
pub mod keys;
pub mod log;
pub mod net;
pub mod oauth;
pub mod outbound;
pub mod peer;
pub mod pool;
pub mod private_file;
pub mod routes;
pub mod store;
pub mod system;
#[cfg(feature = "wire")]
pub mod wire;
#[cfg(not(feature = "wire"))]
#[path = "wire/absent.rs"]
pub mod wire;
