//! A stage of the book as a process on free ports: the example that cargo built, or a reader's own program.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::Client;
use super::documents::{Ports, root};

/// How many stages there are. The last one is two servers.
pub const STAGES: usize = 7;

/// The stage after the last: that one with the exercises' solutions.
pub const SOLUTIONS: usize = STAGES + 1;

/// The folder of this stage, from the project's root.
pub fn folder(number: usize) -> String {
    match number {
        SOLUTIONS => "docs/build/stages/solutions".to_owned(),
        _ => format!("docs/build/stages/{number}"),
    }
}

/// A running stage, until it is dropped.
pub struct Stage {
    process: Child,
    ports: Ports,
    // A stage that cannot print panics, so the pipe stays open.
    _output: BufReader<ChildStdout>,
}

impl Stage {
    /// Starts the stage of this chapter; with `BOOK_PROGRAM` in the environment, the program that it names.
    pub fn start(number: usize) -> Stage {
        Stage::start_with(number, &[])
    }

    /// The same, with more arguments after the ports.
    pub fn start_with(number: usize, more: &[&str]) -> Stage {
        let program = std::env::var_os("BOOK_PROGRAM").unwrap_or_else(|| example(number));
        let mut process = Command::new(&program)
            .args([&["0", "0"], more].concat())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut port = || {
            let mut line = String::new();
            output.read_line(&mut line).expect("the stage says where it listens");
            let port = line.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            port.unwrap_or_else(|| panic!("stage {number} says {line:?}, and should end with its port"))
        };
        // Before the last chapter no server listens at the client app's address.
        let client_app = if number >= STAGES { port() } else { 3000 };
        let ports = Ports { client_app, authorization_server: port() };
        Stage { process, ports, _output: output }
    }

    pub fn ports(&self) -> Ports {
        self.ports
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.authorization_server))
    }

    pub fn client_app_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.client_app))
    }

    /// A connection to the stage; to its authorization server where there are two.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The example of this stage.
fn example(number: usize) -> OsString {
    example_of(&example_name(number), &root().join(folder(number)))
}

/// The example `name`, whose source is in `folder`. `cargo test` builds all examples, `cargo test --test it` none; then
/// they are built here.
pub fn example_of(name: &str, folder: &Path) -> OsString {
    static BUILD: Mutex<()> = Mutex::new(());
    let test = std::env::current_exe().expect("a path");
    let profile = test.parent().and_then(Path::parent).expect("target/debug/deps");
    let program = profile.join("examples").join(name.to_owned() + std::env::consts::EXE_SUFFIX);
    // One build makes all of them current, for those who wait here.
    let _build = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    if !is_current(&program, folder) {
        build(profile);
    }
    program.into_os_string()
}

fn example_name(number: usize) -> String {
    match number {
        SOLUTIONS => "solutions".to_owned(),
        _ => format!("stage{number}"),
    }
}

/// Whether `program` is there and no file in the folder of its source is newer.
fn is_current(program: &Path, folder: &Path) -> bool {
    let modified = |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified());
    let Ok(built) = modified(program.to_owned()) else { return false };
    let entries = std::fs::read_dir(folder).expect("the folder of an example");
    let changed = entries.map(|entry| modified(entry.expect("an entry").path()).expect("a time"));
    changed.max().unwrap_or(SystemTime::UNIX_EPOCH) <= built
}

/// Builds the examples as these tests were built.
fn build(profile: &Path) {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(["build", "--quiet", "--offline", "--examples", "--target-dir"]);
    command.arg(profile.parent().expect("target"));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    command.arg("--no-default-features").arg("--features").arg(
        [
            ("file-store", cfg!(feature = "file-store")),
            ("redis-store", cfg!(feature = "redis-store")),
            ("docs", cfg!(feature = "docs")),
        ]
        .into_iter()
        .filter_map(|(name, is_on)| is_on.then_some(name))
        .collect::<Vec<&str>>()
        .join(","),
    );
    assert!(command.status().expect("cargo runs").success(), "cargo build --examples");
}
