//! The listening sockets of both servers.
//!
//! Browsers resolve `localhost` to 127.0.0.1 or to ::1, so without a configured address each server listens on both,
//! with the same port. On a machine without IPv6 only 127.0.0.1 is used.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::TcpStream;

use super::settings::Settings;
use crate::routes::Role;

/// How many ports the system may pick for 127.0.0.1 that are in use on ::1 before the server gives up.
const PICKS_MAX: usize = 16;

/// A listening socket of one of the servers.
pub(super) struct Listener {
    pub(super) role: Role,
    pub(super) socket: TcpListener,
    /// Whether its backlog may have connections: an event came, and `accept` has not returned `WouldBlock` since.
    pub(super) ready: bool,
}

/// The server cannot listen on an address.
#[derive(Debug)]
pub struct BindError {
    /// Which server.
    pub role: Role,
    /// Which address.
    pub address: SocketAddr,
    /// The error of the system.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, flag) = match self.role {
            Role::ClientApp => ("client app", "--client-port"),
            Role::AuthorizationServer => ("authorization server", "--auth-port"),
            Role::Lab => ("attacker's site", "--lab-port"),
        };
        let (ip, port) = (self.address.ip(), self.address.port());
        match self.error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "port {port} on {ip}, for the {server}, is in use by another program; stop that program, or choose \
                 another port with {flag} PORT (0 picks a free one)"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "port {port} on {ip}, for the {server}, requires privileges; choose a port above \
                 1023 with {flag} PORT"
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                f,
                "{ip} is not an address of this machine; give --bind one that is, or leave it out for 127.0.0.1 \
                 and ::1"
            ),
            _ => write!(
                f,
                "cannot listen on {}, for the {server}: {}; choose another address with --bind or another port \
                 with {flag}",
                self.address, self.error
            ),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The ports that are listened on.
pub(super) struct Ports {
    pub(super) client: Option<u16>,
    pub(super) auth: u16,
    pub(super) lab: Option<u16>,
}

/// Listens for every server on the addresses of `settings`. Returns the sockets and the ports.
pub(super) fn bind(settings: &Settings) -> Result<(Vec<Listener>, Ports), BindError> {
    let mut listeners = Vec::new();
    let mut bind = |role, port| bind_role(settings.bind, role, port, &mut listeners);
    // Configured ports are bound first, so that the system cannot pick one of them for the other server.
    let configured = settings.lab_port.filter(|port| *port > 0);
    let configured = configured.map(|port| bind(Role::Lab, port)).transpose()?;
    let (client, auth) = match settings.client_port {
        Some(port) if port > 0 => {
            let client_port = bind(Role::ClientApp, port)?;
            (Some(client_port), bind(Role::AuthorizationServer, settings.auth_port)?)
        }
        any => {
            let auth_port = bind(Role::AuthorizationServer, settings.auth_port)?;
            (any.map(|_| bind(Role::ClientApp, 0)).transpose()?, auth_port)
        }
    };
    let lab = match settings.lab_port {
        Some(0) => Some(bind(Role::Lab, 0)?),
        _ => configured,
    };
    Ok((listeners, Ports { client, auth, lab }))
}

/// Listens for `role` on `address` and `port`, or on both loopback addresses. Returns the port, which the system picks
/// if `port` is 0.
fn bind_role(
    address: Option<IpAddr>,
    role: Role,
    port: u16,
    listeners: &mut Vec<Listener>,
) -> Result<u16, BindError> {
    let listen = |ip: IpAddr, port| {
        let address = SocketAddr::new(ip, port);
        TcpListener::bind(address)
            .map(without_delay)
            .and_then(|socket| Ok((socket.local_addr()?.port(), Listener { role, socket, ready: true })))
            .map_err(|error| BindError { role, address, error })
    };
    let mut picks = 0;
    loop {
        let (chosen, first) = listen(address.unwrap_or(Ipv4Addr::LOCALHOST.into()), port)?;
        picks += 1;
        let second = match address {
            Some(_) => None,
            None => match listen(Ipv6Addr::LOCALHOST.into(), chosen) {
                Ok((_, second)) => Some(second),
                Err(error) if has_no_ipv6(&error.error) => None,
                Err(error) if is_taken(&error.error) && port == 0 && picks < PICKS_MAX => continue,
                Err(error) => return Err(error),
            },
        };
        listeners.push(first);
        listeners.extend(second);
        return Ok(chosen);
    }
}

/// Sets TCP_NODELAY on a listening socket, for those that it accepts: responses are written whole, so waiting to fill a
/// packet (Nagle) only delays them. Accepted sockets inherit it, so no connection takes a call of its own.
#[cfg(unix)]
fn without_delay(listener: TcpListener) -> TcpListener {
    use std::os::fd::OwnedFd;
    // mio offers the option on connected sockets only. To the system both are TCP sockets.
    let socket = TcpStream::from(OwnedFd::from(listener));
    // If it fails, responses are slower; nothing else depends on it.
    let _ = socket.set_nodelay(true);
    TcpListener::from(OwnedFd::from(socket))
}

#[cfg(not(unix))]
fn without_delay(listener: TcpListener) -> TcpListener {
    listener
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Whether ::1 failed because there is no IPv6. Systems report that with various errors, so the errors of a port that
/// is in use or privileged are excluded instead.
fn has_no_ipv6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn accepted_sockets_do_not_wait_to_fill_a_packet() {
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Ok(listener) = TcpListener::bind(SocketAddr::new(ip, 0)).map(without_delay) else {
                assert!(ip.is_ipv6(), "IPv4 is everywhere");
                continue;
            };
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            // The connection is in the backlog once the client has it.
            let (socket, address) = listener.accept().unwrap();
            assert_eq!(address, client.local_addr().unwrap());
            assert!(socket.nodelay().unwrap());
        }
    }
}
