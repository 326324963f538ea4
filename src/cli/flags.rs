//! The flags: read one by one, and combined with the configuration file, which they override.

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use lexopt::Parser;

use super::error::CliError;
use crate::config::{self, Config, FromFlags, WORKERS_MAX, WireConfig};
use crate::net::LogFormat;
use crate::oauth::issuer::Issuer;
use crate::store::{Backend, Location, LocationError};

/// The default port of the attacker's site.
const LAB_PORT: u16 = 3002;

/// The values of the flags; each overrides the configuration file.
#[derive(Default)]
pub(super) struct Flags {
    pub(super) config: Option<PathBuf>,
    client_port: Option<u16>,
    auth_port: Option<u16>,
    bind: Option<IpAddr>,
    issuer: Option<String>,
    insecure_http: bool,
    workers: Option<usize>,
    connections_per_peer: Option<NonZeroUsize>,
    log: Option<LogFormat>,
    is_article: bool,
    has_lab: bool,
    lab_port: Option<u16>,
    store: Option<Location>,
    store_is_relaxed: Option<bool>,
    keys: Option<PathBuf>,
    ready_file: Option<PathBuf>,
    ready_json: bool,
    ends_with_stdin: bool,
    www: Option<PathBuf>,
    wire: WireConfig,
}

impl Flags {
    /// Reads the flag called `name`, with its value if it takes one.
    pub(super) fn read(&mut self, name: &str, parser: &mut Parser) -> Result<(), CliError> {
        if self.read_switch(name) || self.read_place(name, parser)? || self.read_setting(name, parser)? {
            Ok(())
        } else {
            Err(CliError::Unknown(format!("--{name}")))
        }
    }

    /// Reads a flag without a value. Returns whether it is one.
    fn read_switch(&mut self, name: &str) -> bool {
        match name {
            "insecure-http" => self.insecure_http = true,
            "article" => self.is_article = true,
            "lab" => self.has_lab = true,
            "ready-json" => self.ready_json = true,
            "end-with-stdin" => self.ends_with_stdin = true,
            "wire" => self.wire.is_wanted = Some(true),
            "no-wire" => self.wire.is_wanted = Some(false),
            "wire-with-lasting-store" => self.wire.with_lasting_store = true,
            "trace" => self.wire.traces = true,
            _ => return false,
        }
        true
    }

    /// Reads a flag that says where something is: an address, a file, a store. Returns whether it is one.
    fn read_place(&mut self, name: &str, parser: &mut Parser) -> Result<bool, CliError> {
        match name {
            "config" => self.config = Some(PathBuf::from(value(parser)?)),
            "client-port" => self.client_port = Some(port("--client-port", value(parser)?)?),
            "auth-port" => self.auth_port = Some(port("--auth-port", value(parser)?)?),
            "lab-port" => self.lab_port = Some(port("--lab-port", value(parser)?)?),
            "bind" => {
                let wanted = "an IP address, such as 127.0.0.1 or ::1";
                self.bind = Some(parsed("--bind", value(parser)?, wanted)?);
            }
            "issuer" => self.issuer = Some(value(parser)?.to_string_lossy().into_owned()),
            "store" => self.store = Some(location(value(parser)?)?),
            "keys" => self.keys = Some(PathBuf::from(value(parser)?)),
            "ready-file" => self.ready_file = Some(PathBuf::from(value(parser)?)),
            "www" => self.www = Some(PathBuf::from(value(parser)?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads one of the remaining flags. Returns whether it is one.
    fn read_setting(&mut self, name: &str, parser: &mut Parser) -> Result<bool, CliError> {
        match name {
            "workers" => {
                let wanted = "a number of threads, such as 2";
                self.workers = Some(parsed("--workers", value(parser)?, wanted)?);
            }
            "connections-per-peer" => {
                let wanted = "a number of connections, at least 1";
                self.connections_per_peer = Some(parsed("--connections-per-peer", value(parser)?, wanted)?);
            }
            "store-durability" => self.store_is_relaxed = Some(is_relaxed(value(parser)?)?),
            "log" => self.log = Some(log_format(parser.optional_value())?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Combines the flags with the configuration file, whose `text` is given if there is one.
    pub(super) fn into_config(self, text: Option<&str>) -> Result<Config, CliError> {
        let mut config = self.read_config(text)?;
        self.set_issuer(&mut config)?;
        self.set_addresses(&mut config)?;
        config.workers = self.workers.unwrap_or(config.workers);
        let per_peer = self.connections_per_peer.map(NonZeroUsize::get);
        config.limits.net.peer_connections_max = per_peer.or(config.limits.net.peer_connections_max);
        config.access_log = self.log.or(config.access_log);
        config.is_article = self.is_article;
        if self.has_lab || self.lab_port.is_some() {
            config.add_lab(self.lab_port.unwrap_or(LAB_PORT));
            // Workers reload one by one; with one, a switch that the page has seen holds for every request.
            config.workers = self.workers.unwrap_or(1);
        }
        if self.wire.traces && self.wire.is_wanted == Some(false) {
            return Err(CliError::TraceWithoutWire);
        }
        // A trace needs the view, whatever the file says.
        let traced = self.wire.traces.then_some(true);
        config.wire.is_wanted = self.wire.is_wanted.or(traced).or(config.wire.is_wanted);
        config.wire.with_lasting_store |= self.wire.with_lasting_store;
        config.wire.traces = self.wire.traces;
        self.set_store(&mut config)?;
        config.keys = self.keys.or(config.keys);
        (config.www, config.file, config.ready_file) = (self.www, self.config, self.ready_file);
        (config.ready_json, config.ends_with_stdin) = (self.ready_json, self.ends_with_stdin);
        Ok(config)
    }

    /// The configuration of the file, or that of the demo.
    fn read_config(&self, text: Option<&str>) -> Result<Config, CliError> {
        let (Some(path), Some(text)) = (&self.config, text) else {
            return Ok(Config { workers: cores(), insecure_http: self.insecure_http, ..Config::default() });
        };
        let (workers, has_issuer) = (cores(), self.issuer.is_some());
        let from_flags = FromFlags { workers, insecure_http: self.insecure_http, has_issuer };
        config::read_beside(text, from_flags).map_err(|error| CliError::File(path.clone(), error))
    }

    /// The addresses of the flags, which must fit the file's issuer.
    fn set_addresses(&self, config: &mut Config) -> Result<(), CliError> {
        if self.client_port.is_some() && config.client_port.is_none() {
            return Err(CliError::NoClientApp);
        }
        config.client_port = self.client_port.or(config.client_port);
        if let (Some(port), Some(issuer), None) = (self.auth_port, &config.issuer, &self.issuer)
            && contradicts(issuer, config.auth_port, port)
        {
            return Err(CliError::PortOfIssuer { port, issuer: Box::new(issuer.clone()) });
        }
        config.auth_port = self.auth_port.unwrap_or(config.auth_port);
        config.bind = self.bind.or(config.bind);
        if let (Some(address), Some(_), None) = (self.bind, &self.config, &config.issuer)
            && !address.is_loopback()
        {
            return Err(CliError::NoIssuer(address));
        }
        Ok(())
    }

    /// The store of the flags.
    fn set_store(&self, config: &mut Config) -> Result<(), CliError> {
        if let Some(location) = &self.store {
            // The file's other [store] keys belong to the file's location, which this flag replaces.
            config.store = Backend { location: location.clone(), ..Backend::default() };
        }
        if let Some(is_relaxed) = self.store_is_relaxed {
            if !matches!(config.store.location, Location::File(_)) {
                return Err(CliError::DurabilityWithoutFile);
            }
            config.store.is_relaxed = is_relaxed;
        }
        Ok(())
    }

    /// The issuer of the flag, which overrides the file's.
    fn set_issuer(&self, config: &mut Config) -> Result<(), CliError> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        let issuer = if config.insecure_http { Issuer::parse_insecure(issuer) } else { Issuer::parse(issuer) };
        config.issuer = Some(issuer.map_err(CliError::BadIssuer)?);
        Ok(())
    }
}

/// Whether clients that follow `issuer` miss the server once it listens on `port` instead of the file's `file_port`.
/// An https issuer means a proxy in front, so its port need not match.
fn contradicts(issuer: &Issuer, file_port: u16, port: u16) -> bool {
    let named = issuer.origin().port();
    port != file_port && port != named && (named == file_port || !issuer.is_https())
}

/// The value of the flag that was read last.
// Not inlined: the copies would be a large part of reading the flags.
#[inline(never)]
fn value(parser: &mut Parser) -> Result<OsString, CliError> {
    Ok(parser.value()?)
}

/// The default number of workers: one per core.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX))
}

fn log_format(value: Option<OsString>) -> Result<LogFormat, CliError> {
    let value = value.map(|value| value.to_string_lossy().into_owned());
    match value.as_deref() {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => {
            let (flag, wanted) = ("--log", "given as --log or --log=json");
            Err(CliError::BadValue { flag, value: other.to_owned(), wanted })
        }
    }
}

fn location(value: OsString) -> Result<Location, CliError> {
    // A lossy conversion would change the password or the path.
    let text = value.to_str().ok_or(LocationError::NotText);
    text.and_then(Location::parse).map_err(CliError::BadLocation)
}

fn is_relaxed(value: OsString) -> Result<bool, CliError> {
    let (flag, wanted) = ("--store-durability", "full or relaxed");
    match &*value.to_string_lossy() {
        "full" => Ok(false),
        "relaxed" => Ok(true),
        other => Err(CliError::BadValue { flag, value: other.to_owned(), wanted }),
    }
}

fn port(flag: &'static str, value: OsString) -> Result<u16, CliError> {
    let wanted = "a port from 0 to 65535, where 0 picks a free one";
    // Rust's parser accepts a sign.
    if value.to_string_lossy().starts_with('+') {
        Err(CliError::BadValue { flag, value: value.to_string_lossy().into_owned(), wanted })
    } else {
        parsed(flag, value, wanted)
    }
}

fn parsed<T: std::str::FromStr>(
    flag: &'static str,
    value: OsString,
    wanted: &'static str,
) -> Result<T, CliError> {
    let value = value.to_string_lossy();
    value.parse().map_err(|_| CliError::BadValue { flag, value: value.into_owned(), wanted })
}
