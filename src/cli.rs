//! The command line: parses the arguments and the configuration file into a [`Config`].
//!
//! Flags override the file. Every mistake becomes one line that names the flag and the remedy.

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::config::{self, Config, FromFlags, Mistakes, WORKERS_MAX, WireConfig};
use crate::net::LogFormat;
use crate::oauth::issuer::Issuer;
use crate::store::{Backend, Location, LocationError};

mod error;

pub use error::{CliError, shown_path};

/// What the program was asked to do.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<Config>),
    /// Check the configuration and print it.
    CheckConfig(Box<Config>),
    /// Add a key to the key file at this path.
    NewKey(PathBuf),
    /// Generate a client's secret, or the digest of one that a person chose.
    ClientSecret {
        /// Whether to read the secret from standard input.
        is_chosen: bool,
    },
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// The default port of the attacker's site.
const LAB_PORT: u16 = 3002;

/// The text of `--help`.
pub const HELP: &str = "\
A small, strict OAuth authorization server from the socket up, made to be read.

Usage: oauth-from-scratch [FLAGS]
       oauth-from-scratch client-secret [--chosen]

Serves a client app and an authorization server. Open the client app's address in a
browser, press its button, authorize it in the dialog, and read the secret answer.
With --config it serves your clients from a configuration file, without the demo.

client-secret generates a secret for a client and prints it once, with the digest to put
into the configuration file. With --chosen it reads a secret that a person chose from
standard input, and prints its Argon2 digest.

Flags:
  --config FILE       read issuer, clients, scopes, limits and lifetimes from FILE (TOML);
                      the flags below override it. SIGHUP reloads it
  --check-config      check the configuration, print it and exit
  --client-port PORT  the client app's port; 0 picks a free one [default: 3000]
  --auth-port PORT    the authorization server's port; 0 picks a free one [default: 3001]
  --bind ADDRESS      the IP address to listen on [default: 127.0.0.1 and ::1]
  --issuer URL        the URL by which clients reach the authorization server, where it
                      differs from the listening address (published port, tunnel, proxy)
  --insecure-http     allow plain http in issuers and redirect URIs on any host, not only
                      on loopback: for tests on an isolated network
  --workers N         the number of worker threads [default: one per core]
  --connections-per-peer N
                      the maximum of open connections per address (in IPv6, per /64)
                      [default: 256; unlimited on loopback]
  --article           follow the article to the letter, with its holes: codes of ten digits,
                      tokens of fifty, nothing expires, no check against forged forms, no
                      PKCE. For lessons, on loopback only, with the demo and the store memory
  --lab               serve the attack lab too: the attacker's site, whose exercises turn one
                      defence off, steal for real, and turn it on again. As --article, for
                      lessons on loopback only, with the demo and the store memory
  --lab-port PORT     the port of the attacker's site; 0 picks a free one [default: 3002]
  --store LOCATION    where grants are stored: memory, file:PATH, or redis://HOST:PORT
                      [default: memory, lost when the process exits]
  --store-durability full|relaxed
                      for a file: whether an answer waits for the disk. With relaxed, a
                      crash loses the last second: codes that were used and tokens that
                      were revoked are valid again
                      [default: full]
  --keys FILE         keep the server's keys in FILE, so that forms outlive a restart with any
                      store; made at the first start, for its owner alone. SIGHUP reloads it
                      [default: with the store; for memory, lost when the process exits]
  --new-key           add a key to the file of --keys, which seals from then on while the
                      others still open, and exit
  --log[=json]        write a line for each request to standard output, in the common log
                      format or as JSON [default: no]
  --ready-file PATH   once both servers listen, write a line of JSON with issuer, ports,
                      addresses and process id to PATH; the file is removed on exit
  --ready-json        print that line to standard output instead of text
  --end-with-stdin    stop when standard input is closed, for example because the parent
                      process has exited
  --www DIR           read the pages from DIR at each request, to edit and reload them
                      [default: the pages in the program]
  --wire              show every message on the wire, with its secrets, at /wire: for
                      developing a client; on loopback only [default: in the demo]
  --no-wire           do not, in the demo
  --trace             print every message on standard error as well, without secrets
  --wire-with-lasting-store
                      allow --wire with a store that outlives the process
  --help              print this text
  --version           print the version
";

/// The values of the flags; each overrides the configuration file.
#[derive(Default)]
struct Flags {
    config: Option<PathBuf>,
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

/// Parses the arguments without the program's name, and reads the configuration file that they name.
///
/// # Errors
/// The first invalid argument, or every mistake in the file.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, CliError> {
    let mut flags = Flags::default();
    // A command other than serving.
    let mut instead = None;
    let (mut only_check, mut is_chosen, mut adds_key) = (false, false, false);
    let words: Vec<OsString> = words.into_iter().collect();
    let count = words.len();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(word) = parser.next()? {
        match word {
            Long("config") => flags.config = Some(PathBuf::from(parser.value()?)),
            Long("check-config") => only_check = true,
            Long("client-port") => flags.client_port = Some(port("--client-port", parser.value()?)?),
            Long("auth-port") => flags.auth_port = Some(port("--auth-port", parser.value()?)?),
            Long("bind") => {
                let wanted = "an IP address, such as 127.0.0.1 or ::1";
                flags.bind = Some(read("--bind", parser.value()?, wanted)?);
            }
            Long("issuer") => flags.issuer = Some(parser.value()?.to_string_lossy().into_owned()),
            Long("insecure-http") => flags.insecure_http = true,
            Long("workers") => {
                let wanted = "a number of threads, such as 2";
                flags.workers = Some(read("--workers", parser.value()?, wanted)?);
            }
            Long("connections-per-peer") => {
                let wanted = "a number of connections, at least 1";
                flags.connections_per_peer = Some(read("--connections-per-peer", parser.value()?, wanted)?);
            }
            Long("log") => flags.log = Some(log_format(parser.optional_value())?),
            Long("article") => flags.is_article = true,
            Long("lab") => flags.has_lab = true,
            Long("lab-port") => flags.lab_port = Some(port("--lab-port", parser.value()?)?),
            Long("store") => flags.store = Some(location(parser.value()?)?),
            Long("store-durability") => flags.store_is_relaxed = Some(is_relaxed(parser.value()?)?),
            Long("keys") => flags.keys = Some(PathBuf::from(parser.value()?)),
            Long("new-key") => adds_key = true,
            Long("ready-file") => flags.ready_file = Some(PathBuf::from(parser.value()?)),
            Long("ready-json") => flags.ready_json = true,
            Long("end-with-stdin") => flags.ends_with_stdin = true,
            Long("www") => flags.www = Some(PathBuf::from(parser.value()?)),
            Long("wire") => flags.wire.is_wanted = Some(true),
            Long("no-wire") => flags.wire.is_wanted = Some(false),
            Long("wire-with-lasting-store") => flags.wire.with_lasting_store = true,
            Long("trace") => flags.wire.traces = true,
            Long("help") | Short('h') => instead = Some(Command::Help),
            Long("version") | Short('V') => instead = Some(Command::Version),
            Value(word) if word == "client-secret" => {
                instead = Some(Command::ClientSecret { is_chosen: false });
            }
            Long("chosen") => is_chosen = true,
            Long(flag) => return Err(CliError::Unknown(format!("--{flag}"))),
            Short(flag) => return Err(CliError::Unknown(format!("-{flag}"))),
            Value(_) => {
                let rest = parser.try_raw_args().map_or(0, |rest| rest.as_slice().len());
                return Err(CliError::Stray(count.saturating_sub(rest)));
            }
        }
    }
    match instead {
        Some(Command::ClientSecret { .. }) => return Ok(Command::ClientSecret { is_chosen }),
        _ if is_chosen => return Err(CliError::Chosen),
        Some(command) => return Ok(command),
        None => {}
    }
    let path = flags.config.clone();
    let text = path.as_deref().map(read_file).transpose()?;
    let config = Box::new(flags.into_config(text.as_deref())?);
    match (path, text, config.mistakes()) {
        (Some(path), Some(text), mistakes) if !mistakes.is_empty() => {
            let located = mistakes.iter().map(|mistake| config::locate(&text, mistake)).collect();
            return Err(CliError::File(path, Mistakes::new(located)));
        }
        _ => config.check().map_err(CliError::Config)?,
    }
    if adds_key {
        return config.keys.map(Command::NewKey).ok_or(CliError::NewKeyWithoutFile);
    }
    Ok(if only_check { Command::CheckConfig(config) } else { Command::Run(config) })
}

/// Parses the same `words` again for a reload of the configuration `file` that they name. Blocks while it reads the
/// file.
///
/// # Errors
/// As [`parse`].
pub fn parse_again(words: &[OsString], file: &Path) -> Result<Config, CliError> {
    let metadata = std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
    if !metadata.is_file() {
        return Err(CliError::NotRegular(file.to_owned()));
    }
    match parse(words.iter().cloned())? {
        Command::Run(config) | Command::CheckConfig(config) => Ok(*config),
        // These arguments have started a server, so this cannot happen.
        Command::NewKey(_) | Command::ClientSecret { .. } | Command::Help | Command::Version => {
            Err(CliError::NoServer)
        }
    }
}

impl Flags {
    /// Combines the flags with the configuration file, whose `text` is given if there is one.
    fn into_config(self, text: Option<&str>) -> Result<Config, CliError> {
        let mut config = match (&self.config, text) {
            (Some(path), Some(text)) => {
                let (workers, has_issuer) = (cores(), self.issuer.is_some());
                let from_flags = FromFlags { workers, insecure_http: self.insecure_http, has_issuer };
                config::read_beside(text, from_flags).map_err(|error| CliError::File(path.clone(), error))?
            }
            _ => Config { workers: cores(), insecure_http: self.insecure_http, ..Config::default() },
        };
        self.set_issuer(&mut config)?;
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
        config.workers = self.workers.unwrap_or(config.workers);
        let per_peer = self.connections_per_peer.map(NonZeroUsize::get);
        config.limits.net.peer_connections_max = per_peer.or(config.limits.net.peer_connections_max);
        config.access_log = self.log.or(config.access_log);
        (config.www, config.file) = (self.www, self.config);
        config.keys = self.keys.or(config.keys);
        config.is_article = self.is_article;
        if self.has_lab || self.lab_port.is_some() {
            config.add_lab(self.lab_port.unwrap_or(LAB_PORT));
            // Workers reload one by one; with one, a switch that the page has seen holds for every request.
            config.workers = self.workers.unwrap_or(1);
        }
        config.ready_file = self.ready_file;
        (config.ready_json, config.ends_with_stdin) = (self.ready_json, self.ends_with_stdin);
        config.wire.is_wanted = self.wire.is_wanted.or(config.wire.is_wanted);
        config.wire.with_lasting_store |= self.wire.with_lasting_store;
        config.wire.traces = self.wire.traces;
        if let Some(location) = self.store {
            // The file's other [store] keys belong to the file's location, which this flag replaces.
            config.store = Backend { location, ..Backend::default() };
        }
        if let Some(is_relaxed) = self.store_is_relaxed {
            if !matches!(config.store.location, Location::File(_)) {
                return Err(CliError::DurabilityWithoutFile);
            }
            config.store.is_relaxed = is_relaxed;
        }
        Ok(config)
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

fn read_file(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Unreadable(path.to_owned(), error.to_string())
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
        read(flag, value, wanted)
    }
}

fn read<T: std::str::FromStr>(
    flag: &'static str,
    value: OsString,
    wanted: &'static str,
) -> Result<T, CliError> {
    let value = value.to_string_lossy();
    value.parse().map_err(|_| CliError::BadValue { flag, value: value.into_owned(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Command, CliError> {
        parse(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_become_a_configuration() {
        let Ok(Command::Run(config)) = parse_words("--client-port 0 --auth-port=4001 --bind ::1 --www pages")
        else {
            panic!("a command to run");
        };
        assert_eq!((config.client_port, config.auth_port), (Some(0), 4001));
        assert_eq!(config.bind, Some("::1".parse().unwrap()));
        assert_eq!(config.www, Some(PathBuf::from("pages")));
        let Ok(Command::Run(config)) = parse_words("--workers 3 --connections-per-peer 9 --bind 192.0.2.1")
        else {
            panic!("a command to run");
        };
        assert_eq!((config.workers, config.net_settings().peer_connections_max()), (3, 9));
        let Ok(Command::Run(config)) = parse_words("--store file:/tmp/x --store-durability relaxed") else {
            panic!("a command to run");
        };
        assert_eq!((config.store.location, config.store.is_relaxed), (Location::File("/tmp/x".into()), true));
        let Ok(Command::Run(config)) = parse_words("--bind 192.0.2.1") else { panic!("a command to run") };
        assert_eq!(config.net_settings().peer_connections_max(), crate::net::PEER_CONNECTIONS_MAX);
        let Ok(Command::Run(config)) = parse_words("") else { panic!("a command to run") };
        assert_eq!(config.net_settings().peer_connections_max(), usize::MAX);
        assert!(matches!(parse_words("--help"), Ok(Command::Help)));
        assert!(matches!(parse_words("--version"), Ok(Command::Version)));
    }

    #[test]
    fn a_bad_command_line_is_refused_in_one_line() {
        let check = |words: &str, message: &str| {
            assert_eq!(parse_words(words).map(|_| ()).unwrap_err().to_string(), message, "{words}");
        };
        let port = |flag: &str, value: &str| {
            format!("{flag} must be a port from 0 to 65535, where 0 picks a free one, got {value:?}")
        };
        check("--prot 1", "unknown flag \"--prot\"; --help lists the flags");
        check("-x", "unknown flag \"-x\"; --help lists the flags");
        check("--chosen", "--chosen is an option of client-secret; write client-secret --chosen");
        check(
            "--config /nowhere",
            "cannot read --config /nowhere (No such file or directory (os error 2)); give a readable TOML file",
        );
        check("start", "argument 1 belongs to no flag; --help lists the flags");
        let stray = "argument 4 belongs to no flag; --help lists the flags";
        check("--auth-port=7 --workers 2 redis://:p@h --log", stray);
        check("--auth-port", "--auth-port needs a value; --help shows which");
        check("--help=yes", "--help takes no value; remove it");
        check("--client-port http", &port("--client-port", "http"));
        check("--client-port 65536", &port("--client-port", "65536"));
        check("--auth-port -1", &port("--auth-port", "-1"));
        check("--auth-port +1", &port("--auth-port", "+1"));
        check(
            "--store disk",
            "--store: unknown kind of store; expected memory, file:PATH or redis://HOST:PORT (rediss:// for TLS; \
             further hosts of a cluster after commas)",
        );
        check(
            "--store-durability low --store file:x",
            "--store-durability must be full or relaxed, got \"low\"",
        );
        let alone = "--store-durability requires a file store; give --store file:PATH as well";
        check("--store-durability relaxed", alone);
        check("--log=xml", "--log must be given as --log or --log=json, got \"xml\"");
        check("--issuer auth.example", "--issuer does not begin with https:// (RFC 8414, 2)");
        check(
            "--issuer http://auth:3001",
            "--issuer is plain http; use https, or http with localhost, a name below it or a loopback address. For \
             tests on an isolated network, --insecure-http (insecure_http = true in the file) allows http on any host",
        );
        check("--workers 0", "--workers must be 1 to 1024, got 0");
        check("--workers two", "--workers must be a number of threads, such as 2, got \"two\"");
        check(
            "--connections-per-peer 0",
            "--connections-per-peer must be a number of connections, at least 1, got \"0\"",
        );
        check("--bind localhost", "--bind must be an IP address, such as 127.0.0.1 or ::1, got \"localhost\"");
        check(
            "--client-port 4000 --auth-port 4000",
            "--client-port and --auth-port are both 4000; give each server its own port",
        );
    }
}
