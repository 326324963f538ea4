//! What the engine needs of a socket.

use std::io;

use mio::net::TcpStream;

/// A stream socket that never waits: calls that would, fail with [`io::ErrorKind::WouldBlock`].
pub trait Socket: io::Read + io::Write {
    /// Closes the sending side.
    ///
    /// # Errors
    /// When the connection is gone already.
    fn shut(&mut self) -> io::Result<()>;
}

/// What became possible on a socket. It is said once, when it becomes true; on Linux a read that fills less
/// than its buffer makes it untrue, elsewhere only a call that would wait does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readiness {
    /// There is something to read, or an error to learn of.
    pub readable: bool,
    /// There is room to write, or an error to learn of.
    pub writable: bool,
    /// The client's end has arrived, though bytes may stand before it.
    pub read_closed: bool,
}

impl Socket for TcpStream {
    fn shut(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}
