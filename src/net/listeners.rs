//! The listening sockets of both servers.
//!
//! A browser resolves `localhost` to 127.0.0.1 or to ::1, whichever it likes. So both are listened on, under
//! one port; where a machine has no IPv6, the first is enough.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpListener;

use crate::config::Config;
use crate::routes::Role;

/// How often a port that the system picked for 127.0.0.1 may turn out to be taken on ::1.
const PICKS_MAX: usize = 16;

/// A listening socket, and whose it is.
pub(super) struct Listener {
    pub(super) role: Role,
    pub(super) socket: TcpListener,
    /// Whether connections may be waiting.
    pub(super) ready: bool,
}

/// A server's address could not be listened on.
#[derive(Debug)]
pub struct BindError {
    /// Whose address.
    pub role: Role,
    /// Which.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, flag) = match self.role {
            Role::ClientApp => ("client app", "--client-port"),
            Role::AuthorizationServer => ("authorization server", "--auth-port"),
        };
        let (ip, port) = (self.address.ip(), self.address.port());
        match self.error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "port {port} on {ip}, for the {server}, is taken by another program; stop that program, or choose \
                 another port with {flag} PORT (0 picks a free one)"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "port {port} on {ip}, for the {server}, may not be used without privileges; choose a port above \
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

/// Listens for both servers where `config` says. Returns the sockets and the two ports, the client app's
/// first, if there is one.
pub(super) fn bind(config: &Config) -> Result<(Vec<Listener>, Option<u16>, u16), BindError> {
    let mut listeners = Vec::new();
    let mut bind = |role, port| bind_role(config.bind, role, port, &mut listeners);
    // A port that was asked for comes first, lest the system pick that one for the other server.
    let (client_port, auth_port) = match config.client_port {
        Some(port) if port > 0 => {
            let client_port = bind(Role::ClientApp, port)?;
            (Some(client_port), bind(Role::AuthorizationServer, config.auth_port)?)
        }
        any => {
            let auth_port = bind(Role::AuthorizationServer, config.auth_port)?;
            (any.map(|_| bind(Role::ClientApp, 0)).transpose()?, auth_port)
        }
    };
    Ok((listeners, client_port, auth_port))
}

fn bind_role(
    address: Option<IpAddr>,
    role: Role,
    port: u16,
    listeners: &mut Vec<Listener>,
) -> Result<u16, BindError> {
    let listen = |ip: IpAddr, port| {
        let address = SocketAddr::new(ip, port);
        TcpListener::bind(address)
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

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Whether ::1 fails for want of IPv6. Systems name that in many ways; a port that is taken or privileged is
/// named in one.
fn has_no_ipv6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}
