//! Why a command line, or the configuration file that it names, is refused: one line for each mistake, with the remedy.
//!
//! An argument may be a misplaced store location, so it may hold a password. A message repeats only what cannot.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, Mistakes};
use crate::oauth::issuer::{Issuer, IssuerError};
use crate::store::LocationError;

/// An invalid command line. Prints as one line with the remedy, or one line for each mistake in the file.
///
/// Any argument may be a misplaced store location with a password in it, so only arguments that cannot be one are
/// repeated.
#[derive(PartialEq, Eq)]
pub enum CliError {
    /// Unknown flag.
    Unknown(String),
    /// The argument at this position, counted from 1, belongs to no flag.
    Stray(usize),
    /// The flag needs a value.
    ValueMissing(String),
    /// The flag takes no value.
    ValueUnwanted(String),
    /// The flag's value is malformed or out of range.
    BadValue {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
        /// A description of valid values.
        wanted: &'static str,
    },
    /// The location of `--store` is invalid.
    BadLocation(LocationError),
    /// A value is out of range, or two values conflict.
    Config(ConfigError),
    /// The configuration file cannot be read.
    Unreadable(PathBuf, String),
    /// The configuration file is a pipe or a similar file, which can be read only once.
    NotRegular(PathBuf),
    /// A reload found arguments that start no server.
    NoServer,
    /// The configuration file has mistakes.
    File(PathBuf, Mistakes),
    /// `--client-port` is given, but the file configures no client app.
    NoClientApp,
    /// The URL of `--issuer` is invalid.
    BadIssuer(IssuerError),
    /// `--auth-port` conflicts with the port in the file's issuer.
    PortOfIssuer {
        /// The port of the flag.
        port: u16,
        /// The issuer of the file.
        issuer: Box<Issuer>,
    },
    /// `--bind` is not loopback, and neither the file nor `--issuer` names the issuer.
    NoIssuer(IpAddr),
    /// `--store-durability` is given without a file store.
    DurabilityWithoutFile,
    /// `--new-key` is given without a key file.
    NewKeyWithoutFile,
    /// `--chosen` is given without `client-secret`.
    Chosen,
    /// Two things to do are given that are done instead of serving.
    TwoCommands,
    /// `--trace` is given with `--no-wire`.
    TraceWithoutWire,
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Unknown(flag) => match shown_flag(flag) {
                Some(flag) => write!(f, "unknown flag {flag:?}; --help lists the flags"),
                None => f.write_str("an argument starts with - but is not a known flag; --help lists the flags"),
            },
            CliError::Stray(number) => {
                write!(f, "argument {number} belongs to no flag; --help lists the flags")
            }
            CliError::ValueMissing(flag) => write!(f, "{flag} needs a value; --help shows which"),
            CliError::ValueUnwanted(flag) => write!(f, "{flag} takes no value; remove it"),
            CliError::BadValue { flag, value, wanted } if is_harmless(value) => {
                write!(f, "{flag} must be {wanted}, got {value:?}")
            }
            CliError::BadValue { flag, wanted, .. } => write!(f, "{flag} must be {wanted}"),
            CliError::BadLocation(error) => write!(f, "--store: {error}"),
            CliError::Config(error) => error.fmt(f),
            CliError::Unreadable(path, error) => {
                write!(f, "cannot read --config {} ({error}); give a readable TOML file", shown_path(path))
            }
            CliError::File(path, mistakes) => {
                let path = shown_path(path);
                let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{path}: {mistake}")).collect();
                f.write_str(&lines.join("\n"))
            }
            CliError::NotRegular(path) => {
                write!(f, "--config {} is not a regular file and cannot be reloaded; restart", shown_path(path))
            }
            CliError::NoServer => f.write_str("the arguments start no server; restart"),
            CliError::BadIssuer(error) => write!(f, "--issuer {error}"),
            CliError::PortOfIssuer { port, issuer } => write!(
                f,
                "--auth-port {port}: the configuration file says issuer = \"{}\", so clients would use port {}; \
                 change the issuer in the file, or set --issuer to the URL that clients use",
                issuer.as_str(),
                issuer.origin().port()
            ),
            CliError::NoIssuer(address) => write!(
                f,
                "--bind {address} is not loopback, and the configuration file has no issuer; add the URL by which \
                 clients reach the server, such as issuer = \"https://auth.example\", or give --issuer URL"
            ),
            CliError::DurabilityWithoutFile => {
                f.write_str("--store-durability requires a file store; give --store file:PATH as well")
            }
            CliError::NewKeyWithoutFile => {
                f.write_str("--new-key requires a key file; give --keys FILE, or keys in the configuration file")
            }
            CliError::Chosen => f.write_str("--chosen is an option of client-secret; write client-secret --chosen"),
            CliError::TwoCommands => f.write_str(
                "client-secret, --check-config, --new-key and --print-resource-metadata are done instead of serving; \
                 give one of them at a time",
            ),
            CliError::TraceWithoutWire => f.write_str("--trace prints what the wire view has; remove --no-wire"),
            CliError::NoClientApp => f.write_str(
                "--client-port requires a client app, and the configuration file has none; remove the flag, or set \
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

/// Whether an argument is too short and too plain to be a store location with a password.
fn is_harmless(word: &str) -> bool {
    const BYTES_MAX: usize = 32;
    word.len() <= BYTES_MAX && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

/// The name of an unknown flag, if it is safe to print.
fn shown_flag(flag: &str) -> Option<&str> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    (is_harmless(flag) && flag.bytes().all(is_part)).then_some(flag)
}

/// Formats a path for a message. Replaces one that looks like a URL, because it may hold a password.
pub fn shown_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.contains("://") || text.contains('@') {
        "(a path with :// or @ in it)".to_owned()
    } else {
        text.into_owned()
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
