//! The location of a store, as given by `--store` or the configuration file.
//!
//! An engine's location may contain a password. So it is parsed strictly, and only the parsed parts are printed:
//! scheme, hosts, ports and database number. An error names what is malformed and never repeats the text.
//!
//! ```text
//!   redis://USER:PASSWORD@HOST:PORT,HOST:PORT/NUMBER
//!           └──────┬─────┘└─────────┬───────┘└──┬──┘
//!             never printed     printed      printed
//! ```

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// The location of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// The memory of the process: grants are lost when it exits.
    #[default]
    Memory,
    /// A file that only this process opens.
    File(PathBuf),
    /// Redis or Valkey, which several servers may share.
    Redis(RedisLocation),
}

/// The location of an engine: one host, or some hosts of a cluster. Prints without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisLocation {
    is_tls: bool,
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<(String, u16)>,
    database: u32,
}

/// Why a text is not a location. Prints as the reason with the remedy, without any part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "what each means is what it prints")]
pub enum LocationError {
    Unknown,
    NotText,
    NoPath,
    PathIsUrl,
    Credentials(&'static str),
    Host(&'static str),
    Port(&'static str),
    Database(&'static str),
}

/// An engine's port if its location has none.
const DEFAULT_PORT: u16 = 6379;

/// The most digits of a database number; no engine has that many databases.
const DATABASE_DIGITS_MAX: usize = 9;

impl Location {
    /// Reads `memory`, `file:PATH`, or `redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/NUMBER]`, with `rediss://`
    /// for TLS. Reserved characters in the user and the password must be percent-encoded.
    ///
    /// # Errors
    /// For anything else, with the part that is malformed.
    pub fn parse(text: &str) -> Result<Location, LocationError> {
        if text == "memory" {
            return Ok(Location::Memory);
        }
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(LocationError::NoPath),
                // A URL after file: may contain a password, and paths are printed.
                _ if path.contains("://") => Err(LocationError::PathIsUrl),
                _ => Ok(Location::File(PathBuf::from(path))),
            };
        }
        let scheme = ["redis://", "rediss://"].into_iter().find(|scheme| text.starts_with(scheme));
        let scheme = scheme.ok_or(LocationError::Unknown)?;
        RedisLocation::parse(scheme, &text[scheme.len()..]).map(Location::Redis)
    }
}

impl RedisLocation {
    fn parse(scheme: &'static str, rest: &str) -> Result<RedisLocation, LocationError> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if tail.contains('@') {
            // An unencoded slash in a password: the tail may be its end.
            return Err(LocationError::Credentials(scheme));
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (user, password) = match credentials {
            None => (None, None),
            Some(text) => read_credentials(text).ok_or(LocationError::Credentials(scheme))?,
        };
        let hosts = hosts.split(',').map(|host| read_host(scheme, host)).collect::<Result<_, _>>()?;
        let database = read_database(tail).ok_or(LocationError::Database(scheme))?;
        Ok(RedisLocation { is_tls: scheme == "rediss://", user, password, hosts, database })
    }

    /// Whether to connect over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The user to authenticate as; `None` for the default user.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password. Never print it.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The hosts with their ports; never empty.
    pub fn hosts(&self) -> &[(String, u16)] {
        &self.hosts
    }

    /// The number of the database.
    pub fn database(&self) -> u32 {
        self.database
    }
}

/// Reads user and password; one of them may be missing, but not both.
#[allow(clippy::type_complexity, reason = "a pair, and whether there is one")]
fn read_credentials(text: &str) -> Option<(Option<String>, Option<String>)> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let password = match password {
        Some(password) => Some(decode(password)?),
        None => None,
    };
    let user = if user.is_empty() { None } else { Some(decode(user)?) };
    let is_something = user.is_some() || password.is_some();
    is_something.then_some((user, password))
}

/// Decodes percent-encoding. `None` if the text is empty, has a delimiter that must be encoded, or is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let is_plain = |c: char| !"@/?#[]%".contains(c) && !c.is_control() && !c.is_whitespace();
    let mut parts = text.split('%');
    let is_first_plain = parts.next().is_some_and(|part| part.chars().all(is_plain));
    let is_escape = |part: &str| {
        let digits = part.get(..2).is_some_and(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits && part[2..].chars().all(is_plain)
    };
    if text.is_empty() || !is_first_plain || !parts.all(is_escape) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(String::from)
}

fn read_host(scheme: &'static str, text: &str) -> Result<(String, u16), LocationError> {
    let (host, port) = match text.rsplit_once(':') {
        // The colon belongs to an IPv6 address.
        Some((_, after)) if after.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = |host: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !host.is_empty() && host.len() <= 253 && host.bytes().all(is_part)
    };
    let host = match literal {
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => address,
        None if is_name(host) => host,
        _ => return Err(LocationError::Host(scheme)),
    };
    let read_port = |port: &str| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            port.parse().ok().filter(|port| *port > 0)
        } else {
            None
        }
    };
    let port = port.map_or(Some(DEFAULT_PORT), read_port).ok_or(LocationError::Port(scheme))?;
    Ok((host.to_owned(), port))
}

/// Reads the number in `/NUMBER`; 0 if there is none.
fn read_database(tail: &str) -> Option<u32> {
    let digits = match tail.strip_prefix('/') {
        None if tail.is_empty() => return Some(0),
        None => return None,
        Some("") => return Some(0),
        Some(digits) => digits,
    };
    let is_number = digits.len() <= DATABASE_DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Memory => f.write_str("memory"),
            Location::File(path) => write!(f, "file:{}", path.display()),
            Location::Redis(engine) => engine.fmt(f),
        }
    }
}

impl fmt::Display for RedisLocation {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_tls { "rediss://" } else { "redis://" })?;
        for (index, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?
            } else {
                write!(f, "{comma}{host}:{port}")?
            }
        }
        match self.database {
            0 => Ok(()),
            number => write!(f, "/{number}"),
        }
    }
}

impl fmt::Debug for RedisLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisLocation({self})")
    }
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocationError::Unknown => f.write_str(
                "unknown kind of store; expected memory, file:PATH or redis://HOST:PORT (rediss:// for TLS; further \
                 hosts of a cluster after commas)",
            ),
            LocationError::NotText => f.write_str("the location is not UTF-8 text"),
            LocationError::NoPath => f.write_str("the location starts with file: but has no path"),
            LocationError::PathIsUrl => f.write_str(
                "the location starts with file: but its path contains ://; give a path, or remove file: before a URL",
            ),
            LocationError::Credentials(scheme) => write!(
                f,
                "the location starts with {scheme} but its user or password is malformed; write USER:PASSWORD@ before \
                 the host, with / @ ? # % [ ] and spaces percent-encoded (%2F for /)"
            ),
            LocationError::Host(scheme) => write!(
                f,
                "the location starts with {scheme} but has no valid host; write {scheme}HOST:PORT, and percent-encode \
                 / @ ? # in a password (%2F for /)"
            ),
            LocationError::Port(scheme) => write!(
                f,
                "the location starts with {scheme} but has a port that is not a number from 1 to 65535; write \
                 {scheme}HOST:PORT, and percent-encode / @ ? # in a password (%2F for /)"
            ),
            LocationError::Database(scheme) => write!(
                f,
                "the location starts with {scheme} but has something other than /NUMBER, the database, after its hosts"
            ),
        }
    }
}

impl std::error::Error for LocationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_memory_a_file_or_an_engine() {
        let check = |text: &str, shown: &str| {
            let location = Location::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(location.to_string(), shown);
        };
        check("memory", "memory");
        check("file:grants.redb", "file:grants.redb");
        check("file:///var/lib/grants", "file:/var/lib/grants");
        check("redis://localhost", "redis://localhost:6379");
        check("redis://localhost/", "redis://localhost:6379");
        check("rediss://ada:secret@h:1/2", "rediss://h:1/2");
        check("redis://:secret@a:1,b,[::1],[::1]:7", "redis://a:1,b:6379,[::1]:6379,[::1]:7");
    }

    #[test]
    fn an_engines_location_is_taken_apart() {
        let check =
            |text: &str, user: Option<&str>, password: Option<&str>, host: (&str, u16), database: u32| {
                let Ok(Location::Redis(engine)) = Location::parse(text) else { panic!("{text}") };
                assert_eq!((engine.user(), engine.password()), (user, password), "{text}");
                assert_eq!((engine.hosts()[0].0.as_str(), engine.hosts()[0].1), host, "{text}");
                assert_eq!(engine.database(), database, "{text}");
            };
        check("redis://h", None, None, ("h", 6379), 0);
        check("redis://ada@h:1", Some("ada"), None, ("h", 1), 0);
        check("redis://:p@h:1/3", None, Some("p"), ("h", 1), 3);
        check("redis://a%40b:p%2F%3a:%25!@h", Some("a@b"), Some("p/::%!"), ("h", 6379), 0);
        check("redis://:%C3%A9é@[::1]:5", None, Some("éé"), ("::1", 5), 0);
    }

    #[test]
    fn a_malformed_location_is_named_by_its_kind() {
        let check = |text: &str, error: LocationError| assert_eq!(Location::parse(text), Err(error), "{text}");
        for text in
            ["", "disk", "http://a", "memory ", "REDIS://h", "redis:/h", "redis:h", "redis//h", " redis://h"]
        {
            check(text, LocationError::Unknown);
        }
        check("file:", LocationError::NoPath);
        check("file://", LocationError::NoPath);
        check("file:redis://:p@h", LocationError::PathIsUrl);
        for rest in [
            ":p/q@h", ":p?q@h", ":p#q@h", "u:p@q@h", ":%@h", ":%4@h", ":%zz@h", "@h", ":@h", ":p q@h", ":%FF@h",
        ] {
            check(&format!("redis://{rest}"), LocationError::Credentials("redis://"));
        }
        for rest in ["", "a,,b", "a b", "%41", ":6379", "p@", "[::1", "[x]", "::1", "a;b", "é"] {
            check(&format!("rediss://{rest}"), LocationError::Host("rediss://"));
        }
        for rest in ["h:", "h:0", "h:65536", "h:+1", "h:p", "a:1,b:x"] {
            check(&format!("redis://{rest}"), LocationError::Port("redis://"));
        }
        for rest in ["h/x", "h/1/2", "h/-1", "h/1234567890", "h?x", "h#x", "h/1?x", "h/1#insecure"] {
            check(&format!("redis://{rest}"), LocationError::Database("redis://"));
        }
    }
}
