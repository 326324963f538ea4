//! The program: flags to a configuration, both servers started, and served until it is stopped.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use oauth_from_scratch::cli::{self, Command};
use oauth_from_scratch::config::Config;
use oauth_from_scratch::log::{Log, Logs};
use oauth_from_scratch::net::Server;
use oauth_from_scratch::routes;
use oauth_from_scratch::store::MemoryStore;
use oauth_from_scratch::system::RealSystem;

/// The exit status of a command line that cannot be followed.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(cli::HELP),
        Ok(Command::Version) => print(concat!("oauth-from-scratch ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Run(config)) => match run(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(&message, ExitCode::FAILURE),
        },
        Err(error) => fail(&error, ExitCode::from(USAGE)),
    }
}

fn run(config: &Config) -> Result<(), String> {
    if let Some(folder) = &config.www {
        routes::check_folder(folder).map_err(|error| {
            format!("--www {}: {error}; give a folder like the project's own www", folder.display())
        })?;
    }
    let lines_max = config.limits.log_lines_max;
    let errors = Log::to_stderr(lines_max);
    let access = match config.access_log {
        Some(_) => Log::to_stdout(lines_max),
        None => errors.clone(),
    };
    let logs = Logs { errors, access };
    let store = Arc::new(MemoryStore::new(config.limits.grants_max));
    let mut server = Server::bind(config, store, Arc::new(RealSystem::default()), logs.clone())
        .map_err(|error| error.to_string())?;
    print(&format!(
        "client app            {}\n\
         authorization server  {}\n\
         Open the client app in a browser and press its button. Ctrl-C stops both.\n",
        server.site().client_app(),
        server.site().authorization_server(),
    ));
    server.finish_on_signals().map_err(|error| format!("signals cannot be heard: {error}"))?;
    server.run().map_err(|error| format!("the event queue failed: {error}"))?;
    logs.errors.flush();
    logs.access.flush();
    Ok(())
}

fn print(text: &str) -> ExitCode {
    // Whoever closed standard output does not want to read it.
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(message: &dyn fmt::Display, status: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "oauth-from-scratch: {message}");
    status
}
