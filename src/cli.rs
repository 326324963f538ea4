//! The command line: words to a [`Config`], and every way to get it wrong to one line that says what would do.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::config::{
    self, Config, ConfigError, FromFlags, Issuer, IssuerError, Location, LocationError, LogFormat, Mistakes,
    StoreConfig, WORKERS_MAX,
};

/// What the program was asked to do.
#[derive(Debug)]
pub enum Command {
    /// To serve.
    Run(Box<Config>),
    /// To say what would be served.
    CheckConfig(Box<Config>),
    /// To make a client's secret, or the digest of one that a person chose.
    ClientSecret {
        /// Whether it is chosen already, and stands on standard input.
        is_chosen: bool,
    },
    /// To say how it is used.
    Help,
    /// To say which version it is.
    Version,
}

/// The text of `--help`.
pub const HELP: &str = "\
A small, strict OAuth authorization server from the socket up, made to be read.

Usage: oauth-from-scratch [FLAGS]
       oauth-from-scratch client-secret [--chosen]

Serves a client app and an authorization server. Open the client app's address in a
browser, press its button, authorize it in the dialog, and read the secret answer.
With --config it serves what the file says: your clients, and no demo.

client-secret makes a secret for a client, and prints it, once, with the digest that
belongs into the configuration file. With --chosen it reads a secret that a person chose
from standard input, and prints its digest, a slow one.

Flags:
  --config FILE       read issuer, clients, scopes, limits and lifetimes from FILE (TOML);
                      the flags below come before what it says. SIGHUP reloads it
  --check-config      say what would be served, and serve nothing
  --client-port PORT  the client app's port; 0 picks a free one [default: 3000]
  --auth-port PORT    the authorization server's port; 0 picks a free one [default: 3001]
  --bind ADDRESS      the IP address to listen on [default: 127.0.0.1 and ::1]
  --issuer URL        how clients reach the authorization server, where that is not the
                      port it listens on (a published port, a tunnel, a proxy)
  --insecure-http     allow plain http in issuers and redirect URIs anywhere, not only on
                      loopback: for tests on a network of their own
  --workers N         how many threads serve [default: one for each core]
  --connections-per-peer N
                      how many connections one address (in IPv6, one /64) may have at once
                      [default: 256; no bound on loopback]
  --store LOCATION    where grants are kept: memory, file:PATH, or redis://HOST:PORT
                      [default: memory, where they end with the process]
  --store-durability full|relaxed
                      for a file: whether an answer waits for the disk. Relaxed, the last
                      second of answers is forgotten when the process or the machine
                      fails: spent codes are good again, revoked tokens work
                      [default: full]
  --log[=json]        write a line for each request to standard output, in the common log
                      format or as JSON [default: no]
  --ready-file PATH   once both servers listen, write a line of JSON with issuer, ports,
                      addresses and process id to PATH; the file is removed at the end
  --ready-json        print that line to standard output instead of words
  --end-with-stdin    end when standard input ends, as when the program that started
                      this one is gone
  --www DIR           read the pages from DIR at each request, to edit and reload them
                      [default: the pages in the program]
  --help              print this text
  --version           print the version
";

/// A command line that cannot be followed; it prints as one line with the remedy, and a line for each mistake in a
/// file. Any word may be an engine's
/// location that went astray, with a password in it, so it prints only words that cannot be.
#[derive(PartialEq, Eq)]
pub enum CliError {
    /// There is no such flag.
    Unknown(String),
    /// The word with this number, counted from 1, belongs to no flag.
    Stray(usize),
    /// The flag has no value.
    ValueMissing(String),
    /// The flag has a value, and takes none.
    ValueUnwanted(String),
    /// The flag's value is not of its kind.
    BadValue {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        wanted: &'static str,
    },
    /// `--store` names no place.
    BadLocation(LocationError),
    /// The values do not go together.
    Config(ConfigError),
    /// The configuration file cannot be read.
    Unreadable(PathBuf, String),
    /// The configuration file is a pipe or the like, which gives its text once.
    NotRegular(PathBuf),
    /// The words that are read again start no server.
    NoServer,
    /// The configuration file cannot be followed.
    File(PathBuf, Mistakes),
    /// The client app was given a port, and the file has none.
    NoClientApp,
    /// `--issuer` is not one.
    BadIssuer(IssuerError),
    /// `--auth-port` leaves the file's issuer naming another port.
    PortOfIssuer {
        /// The port of the flag.
        port: u16,
        /// The issuer of the file.
        issuer: Box<Issuer>,
    },
    /// The server of the file is bound to where anyone may come in, and the file does not say what it is called.
    NoIssuer(IpAddr),
    /// `--store-durability` stands without a file to keep grants in.
    DurabilityWithoutFile,
    /// `--chosen` stands without `client-secret`.
    Chosen,
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Unknown(flag) => match shown_flag(flag) {
                Some(flag) => write!(f, "there is no flag {flag:?}; --help lists the flags"),
                None => f.write_str("a word starts with - and is no flag; --help lists the flags"),
            },
            CliError::Stray(number) => {
                write!(f, "the word number {number} on the command line belongs to no flag; --help lists the flags")
            }
            CliError::ValueMissing(flag) => write!(f, "{flag} needs a value; --help shows which"),
            CliError::ValueUnwanted(flag) => write!(f, "{flag} takes no value; leave it out"),
            CliError::BadValue { flag, value, wanted } => match is_harmless(value) {
                true => write!(f, "{flag} {value:?} is not {wanted}"),
                false => write!(f, "the value of {flag} is not {wanted}"),
            },
            CliError::BadLocation(error) => write!(f, "--store: {error}"),
            CliError::Config(error) => error.fmt(f),
            CliError::Unreadable(path, error) => {
                write!(f, "--config {} cannot be read ({error}); give a file of TOML", shown_path(path))
            }
            CliError::File(path, mistakes) => {
                let path = shown_path(path);
                let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{path}: {mistake}")).collect();
                f.write_str(&lines.join("\n"))
            }
            CliError::NotRegular(path) => {
                write!(f, "--config {} is not a regular file and cannot be read again; restart", shown_path(path))
            }
            CliError::NoServer => f.write_str("the command line starts no server; restart"),
            CliError::BadIssuer(error) => write!(f, "--issuer {error}"),
            CliError::PortOfIssuer { port, issuer } => write!(
                f,
                "--auth-port {port}: the configuration file says issuer = \"{}\", so clients would use port {}; \
                 change the issuer in the file, or give --issuer URL with the port that clients use",
                issuer.as_str(),
                issuer.origin().port()
            ),
            CliError::NoIssuer(address) => write!(
                f,
                "--bind {address} is not loopback, and the configuration file has no issuer; say in it how clients \
                 reach the server, such as issuer = \"https://auth.example\", or give --issuer URL"
            ),
            CliError::DurabilityWithoutFile => {
                f.write_str("--store-durability is for a file; give --store file:PATH as well")
            }
            CliError::Chosen => f.write_str("--chosen belongs to client-secret; write client-secret --chosen"),
            CliError::NoClientApp => f.write_str(
                "--client-port is for the client app, and the configuration file has none; leave it out, or set \
                 client_app_port in [listen]",
            ),
        }
    }
}

impl fmt::Debug for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CliError({self})")
    }
}

impl std::error::Error for CliError {}

/// Whether a word is too short and too plain to be an engine's location.
fn is_harmless(word: &str) -> bool {
    const BYTES_MAX: usize = 32;
    word.len() <= BYTES_MAX && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

/// The name of a flag that there is not, if it looks like one.
fn shown_flag(flag: &str) -> Option<&str> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    (is_harmless(flag) && flag.bytes().all(is_part)).then_some(flag)
}

/// A path for a message, or what stands in the place of one that looks like a URL.
pub fn shown_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.contains("://") || text.contains('@') {
        true => "(a path with :// or @ in it)".to_owned(),
        false => text.into_owned(),
    }
}

impl From<lexopt::Error> for CliError {
    fn from(error: lexopt::Error) -> CliError {
        match error {
            lexopt::Error::MissingValue { option } => CliError::ValueMissing(option.unwrap_or_default()),
            lexopt::Error::UnexpectedValue { option, .. } => CliError::ValueUnwanted(option),
            _ => CliError::Unknown(String::new()),
        }
    }
}

/// What flags say; each comes before the configuration file.
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
    store: Option<Location>,
    store_is_relaxed: Option<bool>,
    ready_file: Option<PathBuf>,
    ready_json: bool,
    ends_with_stdin: bool,
    www: Option<PathBuf>,
}

/// Reads the words after the program's name, and the configuration file that they name.
///
/// # Errors
/// The first word, or line of the file, that cannot be followed.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, CliError> {
    let mut flags = Flags::default();
    let mut instead = None;
    let (mut only_check, mut is_chosen) = (false, false);
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
            Long("store") => flags.store = Some(location(parser.value()?)?),
            Long("store-durability") => flags.store_is_relaxed = Some(is_relaxed(parser.value()?)?),
            Long("ready-file") => flags.ready_file = Some(PathBuf::from(parser.value()?)),
            Long("ready-json") => flags.ready_json = true,
            Long("end-with-stdin") => flags.ends_with_stdin = true,
            Long("www") => flags.www = Some(PathBuf::from(parser.value()?)),
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
    Ok(if only_check { Command::CheckConfig(config) } else { Command::Run(config) })
}

/// Reads the same `words` again, and the configuration `file` that they name, for a server that is running. May block
/// as long as reading the file does.
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
        // The words have started a server, so they ask for nothing else.
        Command::ClientSecret { .. } | Command::Help | Command::Version => Err(CliError::NoServer),
    }
}

impl Flags {
    /// What the configuration file with this `text`, if there is one, and the flags come to.
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
        config.limits.peer_connections_max = per_peer.or(config.limits.peer_connections_max);
        config.access_log = self.log.or(config.access_log);
        (config.www, config.file) = (self.www, self.config);
        config.ready_file = self.ready_file;
        (config.ready_json, config.ends_with_stdin) = (self.ready_json, self.ends_with_stdin);
        if let Some(location) = self.store {
            // What the file says of its own place is not about this one.
            config.store = StoreConfig { location, ..StoreConfig::default() };
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
        let issuer = match config.insecure_http {
            true => Issuer::parse_insecure(issuer),
            false => Issuer::parse(issuer),
        };
        config.issuer = Some(issuer.map_err(CliError::BadIssuer)?);
        Ok(())
    }
}

/// Whether `issuer`, beside which the file has `file_port`, names a port that clients cannot use once the server
/// listens on `port` instead. Behind a proxy, which alone speaks https, the two have nothing to do with each other.
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

/// As many workers as there are cores.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX))
}

fn log_format(value: Option<OsString>) -> Result<LogFormat, CliError> {
    let value = value.map(|value| value.to_string_lossy().into_owned());
    match value.as_deref() {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => {
            let (flag, wanted) = ("--log", "a form of log; give --log or --log=json");
            Err(CliError::BadValue { flag, value: other.to_owned(), wanted })
        }
    }
}

fn location(value: OsString) -> Result<Location, CliError> {
    // A password is text, and a path that is not would be another path.
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
    let wanted = "a port; give a number from 0 to 65535, where 0 picks a free one";
    // Rust's parser would take a sign.
    match value.to_string_lossy().starts_with('+') {
        true => Err(CliError::BadValue { flag, value: value.to_string_lossy().into_owned(), wanted }),
        false => read(flag, value, wanted),
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
        assert_eq!((config.workers, config.peer_connections_max()), (3, 9));
        let Ok(Command::Run(config)) = parse_words("--store file:/tmp/x --store-durability relaxed") else {
            panic!("a command to run");
        };
        assert_eq!((config.store.location, config.store.is_relaxed), (Location::File("/tmp/x".into()), true));
        let Ok(Command::Run(config)) = parse_words("--bind 192.0.2.1") else { panic!("a command to run") };
        assert_eq!(config.peer_connections_max(), crate::config::PEER_CONNECTIONS_MAX);
        let Ok(Command::Run(config)) = parse_words("") else { panic!("a command to run") };
        assert_eq!(config.peer_connections_max(), usize::MAX);
        assert!(matches!(parse_words("--help"), Ok(Command::Help)));
        assert!(matches!(parse_words("--version"), Ok(Command::Version)));
    }

    #[test]
    fn a_command_line_that_cannot_be_followed_is_refused_in_one_line() {
        let check = |words: &str, message: &str| {
            assert_eq!(parse_words(words).map(|_| ()).unwrap_err().to_string(), message, "{words}");
        };
        const PORT: &str = "is not a port; give a number from 0 to 65535, where 0 picks a free one";
        check("--prot 1", "there is no flag \"--prot\"; --help lists the flags");
        check("-x", "there is no flag \"-x\"; --help lists the flags");
        check("--chosen", "--chosen belongs to client-secret; write client-secret --chosen");
        check(
            "--config /nowhere",
            "--config /nowhere cannot be read (No such file or directory (os error 2)); give a file of TOML",
        );
        check("start", "the word number 1 on the command line belongs to no flag; --help lists the flags");
        let stray = "the word number 4 on the command line belongs to no flag; --help lists the flags";
        check("--auth-port=7 --workers 2 redis://:p@h --log", stray);
        check("--auth-port", "--auth-port needs a value; --help shows which");
        check("--help=yes", "--help takes no value; leave it out");
        check("--client-port http", &format!("--client-port \"http\" {PORT}"));
        check("--client-port 65536", &format!("--client-port \"65536\" {PORT}"));
        check("--auth-port -1", &format!("--auth-port \"-1\" {PORT}"));
        check("--auth-port +1", &format!("--auth-port \"+1\" {PORT}"));
        check(
            "--store disk",
            "--store: the location is none of memory, file:PATH and redis://HOST:PORT (rediss:// for TLS; more hosts \
             of a cluster after commas)",
        );
        check("--store-durability low --store file:x", "--store-durability \"low\" is not full or relaxed");
        let alone = "--store-durability is for a file; give --store file:PATH as well";
        check("--store-durability relaxed", alone);
        check("--log=xml", "--log \"xml\" is not a form of log; give --log or --log=json");
        check("--issuer auth.example", "--issuer does not begin with https:// (RFC 8414, 2)");
        check(
            "--issuer http://auth:3001",
            "--issuer is plain http; use https, or http with localhost, a name below it or a loopback address. For \
             tests on a network of their own, --insecure-http (insecure_http = true in the file) allows http anywhere",
        );
        check("--workers 0", "--workers 0 cannot be; give a number from 1 to 1024");
        check("--workers two", "--workers \"two\" is not a number of threads, such as 2");
        check(
            "--connections-per-peer 0",
            "--connections-per-peer \"0\" is not a number of connections, at least 1",
        );
        check("--bind localhost", "--bind \"localhost\" is not an IP address, such as 127.0.0.1 or ::1");
        check(
            "--client-port 4000 --auth-port 4000",
            "--client-port and --auth-port are both 4000; give each server a port of its own",
        );
    }
}
