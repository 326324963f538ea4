//! Which event of a worker's queue is about what.

use mio::Token;

/// The waker's token; listeners have those from 1, connections those from [`FIRST_CONNECTION`].
pub(super) const WAKER: Token = Token(0);
pub(super) const FIRST_LISTENER: usize = 1;
pub(super) const HANG_UP: Token = Token(14);
pub(super) const SIGNALS: Token = Token(15);
pub(super) const FIRST_CONNECTION: usize = 16;
