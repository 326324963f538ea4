//! The program: parses the command line, starts the servers, and serves until a signal stops it.
//!
//! Exit status: 0 after an orderly stop, 1 when the server cannot start or fails, 2 for an invalid command line or
//! configuration file.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use oauth_from_scratch::cli::{self, Command};
use oauth_from_scratch::config::Config;
use oauth_from_scratch::keys::KeyFile;
use oauth_from_scratch::log::{Log, Logs};
use oauth_from_scratch::net::{self, Descriptors, Listening, LogFormat, Server};
use oauth_from_scratch::oauth::Credential;
use oauth_from_scratch::oauth::client::{GrantTypes, SecretDigest};
use oauth_from_scratch::oauth::credential::CREDENTIAL_BYTES;
use oauth_from_scratch::oauth::issuer::Issuer;
use oauth_from_scratch::routes;
use oauth_from_scratch::store::{self, Location};
use oauth_from_scratch::system::{RealSystem, System};

mod ready;

use ready::ReadyFile;

/// The exit status for an invalid command line or configuration file.
const USAGE: u8 = 2;

/// How long the program waits on exit for log output that may never be read.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match cli::parse(&words) {
        Ok(Command::Help) => print(cli::HELP),
        Ok(Command::Version) => print(concat!("oauth-from-scratch ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::ClientSecret { is_chosen }) => match client_secret(is_chosen) {
            Ok(text) => print(&text),
            Err(message) => fail(&message, ExitCode::FAILURE),
        },
        Ok(Command::NewKey(path)) => match new_key(&path) {
            Ok(text) => print(&text),
            Err(message) => fail(&message, ExitCode::FAILURE),
        },
        Ok(Command::PrintResourceMetadata(config, uri)) => match resource_metadata(&config, &uri) {
            Ok(text) => print(&text),
            Err(message) => fail(&message, ExitCode::from(USAGE)),
        },
        Ok(Command::CheckConfig(config)) => match describe(&config) {
            Ok(text) => print(&text),
            Err(message) => fail(&message, ExitCode::from(USAGE)),
        },
        Ok(Command::Run(config)) => match run(&config, words) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(&message, ExitCode::FAILURE),
        },
        Err(error) => fail(&error, ExitCode::from(USAGE)),
    }
}

fn run(config: &Config, words: Vec<OsString>) -> Result<(), String> {
    if let Some(folder) = &config.www {
        routes::check_folder(folder).map_err(|error| {
            format!("--www {}: {error}; give a folder like the project's own www", cli::shown_path(folder))
        })?;
    }
    let lines_max = config.limits.log_lines_max;
    let clock = RealSystem::default();
    let day = || RealSystem::default().wall_clock();
    let errors = Log::to_stderr(lines_max, day).with_rate(move || clock.monotonic());
    let access = match config.access_log {
        Some(LogFormat::Json) => Log::to_stdout_as_json(lines_max, day),
        Some(LogFormat::Text) => Log::to_stdout(lines_max),
        None => errors.clone(),
    };
    let logs = Logs { errors, access };
    let result = serve(config, words, &logs);
    logs.errors.flush(FLUSH_TIME_MAX);
    logs.access.flush(FLUSH_TIME_MAX);
    result
}

/// Serves until the server is stopped. The error is one message for the operator.
fn serve(config: &Config, words: Vec<OsString>, logs: &Logs) -> Result<(), String> {
    let ready_file = config.ready_file.as_deref().map(ReadyFile::clear).transpose()?;
    // A store that opens its file relies on this: exceeding the size limit must fail the write, not kill the process.
    net::survive_file_size_limit().map_err(|error| format!("cannot install a signal handler: {error}"))?;
    let config = &within_descriptors(config, &logs.errors, "");
    for remark in config.remarks() {
        logs.errors.line(format_args!("WARNING: {remark}"));
    }
    let (mut server, keys) = start(config, logs)?;
    let trace = config.wire.traces.then(|| trace(config.limits.log_lines_max));
    if let Some(trace) = &trace {
        server.trace_to(trace.clone());
    }
    if config.file.is_some() || keys.is_some() || config.lab.is_some() {
        allow_reloads(&mut server, config, words, keys, &logs.errors);
    }
    // Before the ready line: its reader may send a signal at once.
    server.finish_on_signals().map_err(|error| format!("cannot install signal handlers: {error}"))?;
    if config.ends_with_stdin {
        ready::end_with_stdin(server.handle())?;
    }
    if let Some(file) = &ready_file {
        file.write(&ready::json(&server))?;
    }
    print_ready(config, &server, &logs.errors);
    server.run().map_err(|error| format!("the event queue failed: {error}"))?;
    // Closes the store, which may still log, before the logs are flushed.
    drop(server);
    if let Some(trace) = trace {
        trace.flush(FLUSH_TIME_MAX);
    }
    Ok(())
}

/// Binds the server, and opens its keys and its store.
fn start(config: &Config, logs: &Logs) -> Result<(Server, Option<Arc<KeyFile>>), String> {
    let system: Arc<dyn System> = Arc::new(RealSystem::default());
    // Bind first: the store's keys carry the issuer, whose port the system may pick.
    let settings = config.net_settings();
    let listening = Listening::bind(&settings).map_err(|error| error.to_string())?;
    for warning in config.warnings(listening.auth_port()) {
        logs.errors.line(format_args!("WARNING: {warning}"));
    }
    let keys = config.keys.as_deref().map(|path| open_keys(path, &*system)).transpose()?;
    // If startup fails, only the error message is printed, without the log lines of the attempt.
    let store_log = logs.errors.held();
    let store = store::open(&config.store_settings(), listening.site().issuer(), &system, &store_log)?;
    store_log.release();
    if let (Location::Memory, None) = (&config.store.location, config.client_port) {
        logs.errors.line(format_args!(
            "grants are kept in memory and are lost when this process exits; --store file:PATH or redis://HOST:PORT \
             keeps them"
        ));
    }
    let listening = match &keys {
        Some(keys) => listening.with_key_file(Arc::clone(keys)),
        None => listening,
    };
    let server = listening.serve(&settings, store, system, logs.clone());
    Ok((server.map_err(|error| error.to_string())?, keys))
}

/// Lets SIGHUP reload the configuration file and the keys, and a switch of the lab its rules.
fn allow_reloads(
    server: &mut Server,
    config: &Config,
    words: Vec<OsString>,
    keys: Option<Arc<KeyFile>>,
    errors: &Log,
) {
    let (errors, running) = (errors.clone(), config.clone());
    let read = move || {
        let config = match &running.file {
            Some(file) => cli::parse_again(&words, file).map_err(|error| error.to_string())?,
            None => running.clone(),
        };
        let path = running.keys.as_deref().unwrap_or(Path::new(""));
        let stay = |error: String| of_key_file(path, &format!("{error}; the keys stay as they were"));
        let changes = keys.as_ref().map(|keys| keys.reload().map_err(stay));
        let changes = changes.transpose()?.flatten();
        let lab = running.lab.as_ref().map(|(_, lab)| lab.describe());
        Ok((within_descriptors(&config, &errors, "reload: "), changes.into_iter().chain(lab).collect()))
    };
    server.reload_with(config.clone().rereading(read));
    if let Some((_, lab)) = &config.lab {
        let handle = server.handle();
        lab.on_change(move || handle.reload());
    }
}

/// Says where the server listens.
fn print_ready(config: &Config, server: &Server, errors: &Log) {
    match (config.ready_json, config.access_log) {
        (true, _) => print(&ready::json(server)),
        // Standard output carries JSON lines only.
        (false, Some(LogFormat::Json)) => {
            let words = ready::words(server, config.has_wire());
            words.lines().for_each(|line| errors.line(format_args!("{line}")));
            ExitCode::SUCCESS
        }
        (false, _) => print(&ready::words(server, config.has_wire())),
    };
}

/// Opens the key file, or makes it.
fn open_keys(path: &Path, system: &dyn System) -> Result<Arc<KeyFile>, String> {
    KeyFile::open(path, system).map(Arc::new).map_err(|error| of_key_file(path, &error))
}

fn of_key_file(path: &Path, error: &str) -> String {
    format!("the key file {}: {error} (--keys names it)", cli::shown_path(path))
}

/// Adds a key to the key file, for `--new-key`.
fn new_key(path: &Path) -> Result<String, String> {
    let added = KeyFile::add_key(path, &RealSystem::default()).map_err(|error| of_key_file(path, &error))?;
    let (id, count) = (added.current().id(), added.ids().count());
    Ok(format!(
        "added key {id} to {}, as the current one of {count}; send SIGHUP to each server that uses the file\n",
        cli::shown_path(path)
    ))
}

/// Where `--trace` prints: standard error, in colour where that is a terminal and `NO_COLOR` is not set.
fn trace(lines_max: usize) -> Log {
    let day = || RealSystem::default().wall_clock();
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    // The trace is asked for and bounded only by the queue, so it has no rate.
    if io::stderr().is_terminal() && !is_plain {
        Log::to_stderr_in_colour(lines_max, day)
    } else {
        Log::to_stderr(lines_max, day)
    }
}

/// Lowers `connections_max` to what the process has descriptors for. Log lines about it begin with `of`.
fn within_descriptors(config: &Config, log: &Log, of: &str) -> Config {
    let mut config = config.clone();
    let wanted = config.limits.net.connections_max;
    match net::raise_descriptor_limit(wanted, config.workers) {
        Ok(Descriptors { connections_max, limit }) => {
            config.limits.net.connections_max = connections_max;
            if connections_max < wanted {
                log.line(format_args!(
                    "{of}connections_max is lowered from {wanted} to {connections_max}: the process may have {limit} \
                     open files; raise that limit (ulimit -Hn, or LimitNOFILE= in a systemd unit)"
                ));
            }
        }
        Err(error) => log.line(format_args!(
            "{of}cannot read the limit of open files: {error}; when it is reached, idle connections are closed"
        )),
    }
    config
}

/// Generates a client's secret with its digest for the configuration file. The secret has at least 256 random bits,
/// so SHA-256 is enough. With `is_chosen`, reads a secret from standard input and gives its Argon2 digest.
fn client_secret(is_chosen: bool) -> Result<String, String> {
    let mut random = [0; CREDENTIAL_BYTES];
    RealSystem::default()
        .fill(&mut random)
        .map_err(|error| format!("cannot get random bytes from the system: {error}"))?;
    if is_chosen {
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|error| format!("cannot read standard input: {error}"))?;
        let secret = line.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err("no secret on standard input; write it there as one line".to_owned());
        }
        let mut salt = [0; 16];
        salt.copy_from_slice(&random[..16]);
        let digest = SecretDigest::of_chosen(secret, salt)?;
        return Ok(format!("secret_digest  {digest}\nPut the digest into the configuration file.\n"));
    }
    let secret = Credential::of_new_grant(random).encode();
    Ok(format!(
        "secret         {secret}\n\
         secret_digest  {}\n\
         Give the secret to the client; it is not stored and not shown again. Put the digest into the configuration \
         file.\n",
        SecretDigest::of(&secret)
    ))
}

/// The metadata document of the resource `uri`, for `--print-resource-metadata`.
fn resource_metadata(config: &Config, uri: &str) -> Result<String, String> {
    let site = routes::Site::new(config.bind, config.client_port, config.auth_port, config.issuer.clone());
    let document = routes::resource_metadata(&config.routes_settings(), &site, uri);
    document.map(|document| document + "\n").map_err(|known| {
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("the resources are {known}") };
        format!("--print-resource-metadata: {uri:?} is not a configured resource; {known}")
    })
}

/// Describes the configuration for `--check-config`. The error is a key file that cannot be used.
fn describe(config: &Config) -> Result<String, String> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut line = |name: &str, value: &str| lines.push((name.to_owned(), value.to_owned()));
    let address = config.bind.map_or("127.0.0.1 and ::1".to_owned(), |address| address.to_string());
    line("authorization server", &format!("port {} on {address}", config.auth_port));
    line("issuer", config.issuer.as_ref().map_or("its own origin", Issuer::as_str));
    match config.client_port {
        Some(port) => {
            line("client app", &format!("port {port}, with the demo client {}", routes::DEMO_CLIENT_ID))
        }
        None => line("client app", "none, and no demo client"),
    }
    line("workers", &config.workers.to_string());
    line("grants", &config.store.location.to_string());
    if let Some(path) = &config.keys {
        let found = KeyFile::check(path).map_err(|error| of_key_file(path, &error))?;
        let state = match found {
            Some(keys) => format!("{} in it, current {}", keys.ids().count(), keys.current().id()),
            None => "made at the first start".to_owned(),
        };
        line("keys", &format!("{}: {state}", cli::shown_path(path)));
    }
    for (name, sentence) in &config.scopes {
        line(&format!("scope {name}"), sentence);
    }
    for resource in &config.resources {
        line(&format!("resource {}", resource.name()), resource.uri());
    }
    for client in &config.clients {
        let kind = if client.is_confidential() { "confidential" } else { "public" };
        let GrantTypes { authorization_code, refresh_token, client_credentials } = client.grant_types;
        let kinds = [
            (authorization_code, "authorization_code"),
            (refresh_token, "refresh_token"),
            (client_credentials, "client_credentials"),
        ];
        let kinds: Vec<&str> = kinds.iter().filter(|(may, _)| *may).map(|(_, name)| *name).collect();
        let scope = if client.scope.as_str().is_empty() { "no scope" } else { client.scope.as_str() };
        line(
            &format!("client {}", client.id),
            &format!("{}, {kind}; {}; {scope}", client.name, kinds.join(", ")),
        );
        client.redirect_uris.iter().for_each(|uri| line("", &format!("returns to {}", uri.as_str())));
    }
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default() + 2;
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<width$}{value}\n")).collect();
    let said = config.warnings(config.auth_port).into_iter().chain(config.remarks());
    said.for_each(|warning| text.push_str(&format!("WARNING: {warning}\n")));
    text.push_str("Configuration OK (check only).\n");
    Ok(text)
}

fn print(text: &str) -> ExitCode {
    // A closed standard output is no reason to panic.
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(message: &dyn fmt::Display, status: ExitCode) -> ExitCode {
    // Written by a log's thread, because standard error may be a full pipe that is never read.
    let log = Log::to_stderr_untimed(1);
    for line in message.to_string().lines() {
        log.line(format_args!("oauth-from-scratch: {line}"));
        log.flush(FLUSH_TIME_MAX);
    }
    status
}
