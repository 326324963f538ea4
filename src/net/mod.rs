//! The event loop: sockets on one side, bytes on the other. The only layer that names mio.
//!
//! Both servers are served by a few threads, the workers, one per core by default. A worker never blocks on one
//! client: it asks the kernel which sockets are ready, makes as much progress on each as it can, and asks again
//! (`Worker::turn`). What a client has sent so far, and what it has not yet read, is kept in its
//! [`Connection`](crate::http::connection::Connection), so a slow client costs a little memory and delays no other
//! client.
//!
//! One request passes through these files:
//!
//! ```text
//! listeners -> acceptor -> inbox -> worker -> driver -> link <-> http::connection
//!                                                       |
//!                                                       turn -> routes
//! ```
//!
//! The `acceptor`, which belongs to the first worker, accepts the connection and assigns it to the worker with the
//! fewest, through that worker's `inbox`. The `worker` receives events from the kernel and passes them to its `driver`.
//! The driver keeps a `table` of `link`s, each a socket with the HTTP state of its connection, and drives those that
//! are ready. A link reads, lets the endpoints answer, and writes. A request that waits for the store or the pool stays
//! in its link; its completion arrives in the inbox.
//!
//! Readiness is edge-triggered, in mio as in epoll: an event is reported once, so a socket is used until a call returns
//! `WouldBlock`. When the process runs out of descriptors, the longest idle connection is closed for the next client.
//! Where none is idle, accepting pauses until a connection closes or a short time has passed.
//!
//! What this layer refuses: connections past the bounds (503, or closed without an answer), bytes past the memory
//! bound (the connection that holds most is closed), and addresses that a client claims in `Forwarded` without being a
//! trusted proxy.

mod acceptor;
mod access_log;
mod buffers;
mod clock;
mod control;
mod counts;
mod deadlines;
mod descriptors;
mod driver;
mod eviction;
mod forwarded;
mod handle;
#[cfg(test)]
mod held_store;
mod inbox;
mod link;
mod listeners;
mod networks;
mod peers;
mod refusal_log;
mod reload;
mod server;
mod settings;
mod shares;
mod signals;
mod socket;
mod stream;
mod table;
mod tokens;
mod turn;
mod turn_clock;
mod worker;
mod yielding;

pub use access_log::LogFormat;
pub use counts::Counts;
pub use descriptors::{Descriptors, raise_descriptor_limit};
pub use driver::Driver;
pub use handle::Handle;
pub use listeners::BindError;
pub use networks::{Network, NetworkError};
pub use reload::Reread;
pub use server::{Listening, Server, StartError};
pub use settings::{Limits, PEER_CONNECTIONS_MAX, Settings};
pub use signals::survive_file_size_limit;
pub use socket::{Readiness, Socket};
