//! Translates an engine's errors into our own messages. An engine, or another program on its port, may repeat in its
//! error text what it was sent, which may be a password or a key; so that text is never printed.

use redis::{ErrorKind, RedisError};

/// The reason of `error`, without any text of the engine.
pub(super) fn explain(error: &RedisError) -> String {
    match error.kind() {
        _ if error.is_timeout() => "it does not answer in time".to_owned(),
        ErrorKind::Io => {
            std::error::Error::source(error).map_or_else(|| CLOSED.to_owned(), ToString::to_string)
        }
        ErrorKind::AuthenticationFailed => {
            "authentication failed; check the user and the password in the location".to_owned()
        }
        ErrorKind::Server(_) | ErrorKind::Extension => {
            name_refusal(error.code().unwrap_or_default()).to_owned()
        }
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => "it does not speak the Redis protocol".to_owned(),
        _ => error.category().to_owned(),
    }
}

const CLOSED: &str = "the connection was closed";

/// Our own description of an engine's error with this code.
pub(super) fn name_refusal(code: &str) -> &'static str {
    match code {
        "OOM" => "OOM: its maxmemory is reached",
        "MISCONF" => "MISCONF: it cannot save to its disk",
        "NOAUTH" => "NOAUTH: it requires a password; put USER:PASSWORD@ before the host in the location",
        "WRONGPASS" => "WRONGPASS: wrong user or password; check those in the location",
        "NOPERM" => "NOPERM: its rules (ACL) do not allow this user what the server needs",
        "NOREPLICAS" => "NOREPLICAS: it has too few replicas for its min-replicas-to-write",
        "LOADING" => "LOADING: it is still reading its data",
        "BUSY" => "BUSY: it is running a script that takes too long",
        "READONLY" => "READONLY: it is a replica",
        "MASTERDOWN" => "MASTERDOWN: it has lost its master",
        "CLUSTERDOWN" => "CLUSTERDOWN: its cluster is incomplete",
        "MOVED" | "ASK" | "TRYAGAIN" => "MOVED: another node has the key",
        "NOPROTO" => "NOPROTO: it does not speak this version of the protocol",
        "NOSCRIPT" | "CROSSSLOT" | "EXECABORT" | "WRONGTYPE" => "it misunderstood a command",
        "ERR" => "ERR: it does not know the command, or cannot do it",
        _ => "it answered with an unknown error",
    }
}
