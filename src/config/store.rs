//! Where grants are kept, as a flag or the configuration file says it.

use std::fmt;
use std::path::PathBuf;

use super::toml_reader::{FileError, Table};

/// Where grants are kept, and when an answer may leave.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {
    /// Where.
    pub location: Location,
    /// Whether answers leave before the disk has what they say. For a file.
    pub is_relaxed: bool,
    /// How many replicas must have what an answer says before it leaves. For an engine.
    pub replicas_min: u32,
    /// Whether the engine's append-only file must have it on its disk. For an engine.
    pub waits_for_append_only_file: bool,
}

/// A place for grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// The process's memory: grants end with it.
    #[default]
    Memory,
    /// A file of this process's own.
    File(PathBuf),
    /// Redis or Valkey, which many servers share.
    Engine(EngineUrls),
}

/// The addresses of an engine: one, or some of a cluster's.
#[derive(Clone, PartialEq, Eq)]
pub struct EngineUrls {
    urls: Vec<String>,
    shown: String,
}

impl EngineUrls {
    /// A URL for each host, with user and password, if there are any.
    pub fn as_slice(&self) -> &[String] {
        &self.urls
    }
}

impl fmt::Display for EngineUrls {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for EngineUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineUrls({})", self.shown)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Memory => f.write_str("memory"),
            Location::File(path) => write!(f, "file:{}", path.display()),
            Location::Engine(urls) => urls.fmt(f),
        }
    }
}

/// What a location may be.
pub(crate) const LOCATIONS: &str =
    "memory, file:PATH, or redis://HOST:PORT (rediss:// for TLS; more hosts of a cluster after commas)";

impl Location {
    /// Reads `memory`, `file:PATH`, or `redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/NUMBER]`.
    ///
    /// # Errors
    /// For anything else, with no word about it: there may be a password in it.
    pub fn parse(text: &str) -> Result<Location, LocationError> {
        if text == "memory" {
            return Ok(Location::Memory);
        }
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.is_empty() {
                true => Err(LocationError),
                false => Ok(Location::File(PathBuf::from(path))),
            };
        }
        let scheme = ["redis://", "rediss://"].into_iter().find(|scheme| text.starts_with(scheme));
        let scheme = scheme.ok_or(LocationError)?;
        let rest = &text[scheme.len()..];
        let (authority, number) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let is_host = |host: &str| !host.is_empty() && !host.contains(['?', '#', ' ']);
        if !hosts.split(',').all(is_host) {
            return Err(LocationError);
        }
        let urls = hosts.split(',').map(|host| format!("{scheme}{user}{host}{number}")).collect();
        Ok(Location::Engine(EngineUrls { urls, shown: format!("{scheme}{hosts}{number}") }))
    }
}

/// A text is no location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocationError;

/// Reads the table `[store]`.
///
/// # Errors
/// The first mistake, with its line.
pub(super) fn read(mut table: Table) -> Result<StoreConfig, FileError> {
    let mut store = StoreConfig::default();
    if let Some(value) = table.take("location") {
        let location = Location::parse(value.string()?);
        store.location = location.map_err(|_| value.error(format_args!("give {LOCATIONS}")))?;
    }
    let is_file = matches!(store.location, Location::File(_));
    let is_engine = matches!(store.location, Location::Engine(_));
    if let Some(value) = table.take("durability") {
        store.is_relaxed = match value.string()? {
            "full" => false,
            "relaxed" => true,
            _ => return Err(value.error("give \"full\" or \"relaxed\"")),
        };
        if !is_file {
            return Err(value.error("durability is for a file; set location to file:PATH, or leave it out"));
        }
    }
    const FOR_AN_ENGINE: &str = "this is for an engine; set location to redis://HOST:PORT, or leave it out";
    if let Some(value) = table.take("wait_for_replicas") {
        store.replicas_min = value.number()?;
        if !is_engine {
            return Err(value.error(FOR_AN_ENGINE));
        }
    }
    if let Some(value) = table.take("wait_for_append_only_file") {
        store.waits_for_append_only_file = value.boolean()?;
        if !is_engine {
            return Err(value.error(FOR_AN_ENGINE));
        }
    }
    table.end("location, durability, wait_for_replicas and wait_for_append_only_file")?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_memory_a_file_or_an_engine() {
        let check = |text: &str, shown: &str, urls: &[&str]| {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.to_string(), shown);
            if let Location::Engine(engine) = location {
                assert_eq!(engine.as_slice(), urls);
                assert!(!format!("{engine:?}").contains("secret"));
            }
        };
        check("memory", "memory", &[]);
        check("file:grants.redb", "file:grants.redb", &[]);
        check("file:///var/lib/grants", "file:/var/lib/grants", &[]);
        check("redis://localhost", "redis://localhost", &["redis://localhost"]);
        check("rediss://ada:secret@h:1/2", "rediss://h:1/2", &["rediss://ada:secret@h:1/2"]);
        check("redis://:secret@a:1,b:2", "redis://a:1,b:2", &["redis://:secret@a:1", "redis://:secret@b:2"]);
        for text in ["", "disk", "file:", "redis://", "redis://a,,b", "http://a", "redis://a b", "memory "] {
            assert_eq!(Location::parse(text), Err(LocationError), "{text}");
        }
    }
}
