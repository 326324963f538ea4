//! What the driver needs of a socket, so that tests can use another one.

use std::io;

use mio::net::TcpStream;

/// A non-blocking stream socket: a call that would have to wait fails with [`io::ErrorKind::WouldBlock`].
pub trait Socket: io::Read + io::Write {
    /// Closes the sending side; the client reads the end of the stream.
    ///
    /// # Errors
    /// If the connection is already gone.
    fn shut(&mut self) -> io::Result<()>;
}

/// An event of a socket. Readiness is reported once, when it begins, and lasts until a call returns `WouldBlock`; on
/// Linux also until a read does not fill its buffer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readiness {
    /// A read returns something: bytes, the end or an error.
    pub readable: bool,
    /// A write takes some bytes or returns an error.
    pub writable: bool,
    /// The client has closed its side; bytes sent before may still be unread.
    pub read_closed: bool,
}

impl Socket for TcpStream {
    fn shut(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}
