//! The command line: parses the arguments and the configuration file into a [`Config`].
//!
//! Flags override the file (`cli/flags.rs`). Every mistake becomes one line that names the flag and the remedy.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lexopt::prelude::*;

use crate::config::{self, Config, Mistakes};

mod error;
mod flags;
mod help;

pub use error::{CliError, shown_path};
pub use help::HELP;

use flags::Flags;

/// What the program was asked to do.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<Config>),
    /// Check the configuration and print it.
    CheckConfig(Box<Config>),
    /// Print the metadata of the resource with this URI.
    PrintResourceMetadata(Box<Config>, String),
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

/// The arguments, as far as they have been read.
#[derive(Default)]
struct Arguments {
    flags: Flags,
    /// A command other than serving.
    instead: Option<Command>,
    is_chosen: bool,
    only_checks: bool,
    adds_key: bool,
    /// The resource whose metadata is printed.
    printed: Option<String>,
}

/// Parses the arguments without the program's name, and reads the configuration file that they name.
///
/// # Errors
/// The first invalid argument, or every mistake in the file.
pub fn parse(words: &[OsString]) -> Result<Command, CliError> {
    let Arguments { flags, instead, is_chosen, only_checks, adds_key, printed } = Arguments::read(words)?;
    let is_secret = matches!(instead, Some(Command::ClientSecret { .. }));
    let asked = [is_secret, only_checks, adds_key, printed.is_some()];
    if (instead.is_none() || is_secret) && asked.iter().filter(|is_asked| **is_asked).count() > 1 {
        return Err(CliError::TwoCommands);
    }
    match instead {
        Some(Command::ClientSecret { .. }) => return Ok(Command::ClientSecret { is_chosen }),
        _ if is_chosen => return Err(CliError::Chosen),
        Some(command) => return Ok(command),
        None => {}
    }
    let config = Box::new(read_config(flags)?);
    if adds_key {
        return config.keys.map(Command::NewKey).ok_or(CliError::NewKeyWithoutFile);
    }
    Ok(match printed {
        Some(uri) => Command::PrintResourceMetadata(config, uri),
        None if only_checks => Command::CheckConfig(config),
        None => Command::Run(config),
    })
}

impl Arguments {
    fn read(words: &[OsString]) -> Result<Arguments, CliError> {
        let mut read = Arguments::default();
        let mut parser = lexopt::Parser::from_args(words.to_vec());
        while let Some(word) = parser.next()? {
            match word {
                Long("check-config") => read.only_checks = true,
                Long("new-key") => read.adds_key = true,
                Long("print-resource-metadata") => {
                    read.printed = Some(parser.value()?.to_string_lossy().into_owned());
                }
                Long("chosen") => read.is_chosen = true,
                Long("help") | Short('h') => read.instead = Some(Command::Help),
                Long("version") | Short('V') => read.instead = Some(Command::Version),
                Value(word) if word == "client-secret" => {
                    read.instead = Some(Command::ClientSecret { is_chosen: false });
                }
                Long(name) => {
                    let name = name.to_owned();
                    read.flags.read(&name, &mut parser)?;
                }
                Short(flag) => return Err(CliError::Unknown(format!("-{flag}"))),
                Value(_) => {
                    let rest = parser.try_raw_args().map_or(0, |rest| rest.as_slice().len());
                    return Err(CliError::Stray(words.len().saturating_sub(rest)));
                }
            }
        }
        Ok(read)
    }
}

/// The configuration of `flags` and of the file that they name, checked.
fn read_config(flags: Flags) -> Result<Config, CliError> {
    let path = flags.config.clone();
    let text = path.as_deref().map(read_file).transpose()?;
    let config = flags.into_config(text.as_deref())?;
    match (path, text, config.mistakes()) {
        (Some(path), Some(text), mistakes) if !mistakes.is_empty() => {
            let located = mistakes.iter().map(|mistake| config::locate(&text, mistake)).collect();
            Err(CliError::File(path, Mistakes::new(located)))
        }
        _ => config.check().map(|()| config).map_err(CliError::Config),
    }
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
    match parse(words)? {
        Command::Run(config) | Command::CheckConfig(config) => Ok(*config),
        // These arguments have started a server, so this cannot happen.
        Command::PrintResourceMetadata(..)
        | Command::NewKey(_)
        | Command::ClientSecret { .. }
        | Command::Help
        | Command::Version => Err(CliError::NoServer),
    }
}

fn read_file(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Unreadable(path.to_owned(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Location;

    fn parse_words(words: &str) -> Result<Command, CliError> {
        parse(&words.split_whitespace().map(OsString::from).collect::<Vec<OsString>>())
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
