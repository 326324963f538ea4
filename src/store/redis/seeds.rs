//! From an engine's location to the library's own description of a connection.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError};

use super::super::location::RedisLocation;

/// The connection settings of each host of `location`. The library gets no URL, which it could repeat in an error.
pub(super) fn seeds(location: &RedisLocation) -> impl Iterator<Item = Result<ConnectionInfo, RedisError>> {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(location.database().into());
    if let Some(user) = location.user() {
        login = login.set_username(user);
    }
    if let Some(password) = location.password() {
        login = login.set_password(password);
    }
    location.hosts().iter().map(move |(host, port)| {
        let (host, port) = (host.clone(), *port);
        let address = if location.is_tls() {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        // Closing discards what was not sent: the system would go on sending a write whose answer is given up.
        let tcp = TcpSettings::default().set_nodelay(true).set_linger_time(Duration::ZERO);
        Ok(address.into_connection_info()?.set_redis_settings(login.clone()).set_tcp_settings(tcp))
    })
}
