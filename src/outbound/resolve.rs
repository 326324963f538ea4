//! From the name of a host to its addresses.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// Finds the addresses of a host.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, a name or a literal without brackets, with this `port`. May block.
    ///
    /// # Errors
    /// When it cannot be resolved.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the operating system. It understands every spelling of an address that C's does, such as
/// `0x7f.1`, which is why its results are checked and not the names.
#[derive(Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }
}
