//! The tokens of a worker's event queue: which event belongs to which source.
//!
//! mio returns with each event the number that its source was registered with. The low numbers are fixed; a
//! connection's token is its slot in the table plus [`FIRST_CONNECTION`].

use mio::Token;

/// Another thread put something into the worker's inbox.
pub(super) const WAKER: Token = Token(0);

/// The first listening socket; there are at most four, two addresses for each server.
pub(super) const FIRST_LISTENER: usize = 1;

/// The pipe of SIGHUP.
pub(super) const HANG_UP: Token = Token(14);

/// The pipe of the signals that end the server.
pub(super) const SIGNALS: Token = Token(15);

/// The connection in slot 0.
pub(super) const FIRST_CONNECTION: usize = 16;
