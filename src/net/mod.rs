//! The event loop: sockets on one side, bytes on the other. The only layer that names mio.
//!
//! A few threads, one for each core, serve both servers. None ever waits for one client: it asks the kernel
//! which sockets have something for it, goes on with each of those as far as it can, and asks again
//! (`Worker::turn`). What a client has sent so far, and what it has not yet taken, is kept in its
//! [`Connection`](crate::http::connection::Connection); so a slow client costs a little memory and nobody's
//! time.
//!
//! Readiness is a hint and comes once (mio's and epoll's edge-triggered contract): after an event, a socket
//! is used until it says `WouldBlock`. When the process runs out of descriptors, the connection that has been idle for
//! longest is closed for the next one; where none is idle, accepting pauses until a connection closes or a short time
//! has gone by.

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
mod peers;
mod refusal_log;
mod reload;
mod server;
mod shares;
mod signals;
mod socket;
mod table;
mod tokens;
mod turn;
mod turn_clock;
mod worker;
mod yielding;

pub use counts::Counts;
pub use descriptors::{Descriptors, raise_descriptor_limit};
pub use driver::Driver;
pub use handle::Handle;
pub use listeners::BindError;
pub use server::{Listening, Server, StartError};
pub use signals::survive_file_size_limit;
pub use socket::{Readiness, Socket};
