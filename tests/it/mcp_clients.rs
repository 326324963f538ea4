//! MCP clients that others wrote, unmodified and with nothing configured but the server's address: the SDK in
//! TypeScript and the one in Python. Each discovers, registers, asks for consent, calls a tool, steps up, refreshes,
//! and copes with a revoked token and a dead identifier.
//!
//! `.ci/run` installs them. Where one is missing, its test says so on the terminal and passes; with `CLIENTS_REQUIRED`
//! set, as CI does, it fails.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::TestServer;

/// The steps that every client takes, in their order.
const STEPS: [&str; 8] =
    ["discovery", "registration", "token", "tools/call", "step-up", "refresh", "revocation", "dead identifier"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether `file` is below `target/clients`; if not, the test that calls is skipped.
pub fn is_installed(test: &str, file: &str) -> bool {
    let is_there = root().join("target/clients").join(file).exists();
    if !is_there {
        let words = format!("{file} is not installed in target/clients; .ci/run installs it");
        assert!(std::env::var_os("CLIENTS_REQUIRED").is_none(), "{words}");
        // Past the test runner's capture, which only `print!` and its kind go through.
        let _ = writeln!(std::io::stderr(), "{test}: skipped: {words}");
    }
    is_there
}

/// Copies the scripts beside the libraries, where Node looks for those.
fn script(name: &str) -> PathBuf {
    let folder = root().join("target/clients");
    for file in ["form-clicker.mjs", name] {
        std::fs::copy(root().join("tests/clients").join(file), folder.join(file)).expect("a script is copied");
    }
    folder.join(name)
}

/// Runs the client against a demo with nothing configured, and requires it to pass these steps.
fn check(command: &mut Command, expected: impl IntoIterator<Item = String>) {
    let server = TestServer::start();
    let address = format!("http://{}/mcp", server.host());
    let output = command.arg(&address).env("NO_PROXY", "*").output().expect("the client starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("passed: ")).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    let log = server.log.lines().join("\n");
    assert!(output.status.success(), "after {passed:?}:\n{errors}\n{log}");
    assert_eq!(passed, expected.into_iter().collect::<Vec<String>>());
}

#[test]
fn the_mcp_sdk_in_typescript_needs_nothing_but_the_address() {
    if is_installed("the_mcp_sdk_in_typescript", "node_modules/@modelcontextprotocol/sdk") {
        let script = script("mcp-typescript.mjs");
        check(Command::new("node").arg(script), STEPS.map(str::to_owned));
    }
}

/// In both eras of the protocol.
#[test]
fn the_mcp_sdk_in_python_needs_nothing_but_the_address() {
    if is_installed("the_mcp_sdk_in_python", "python/bin/python") {
        let python = root().join("target/clients/python/bin/python");
        let steps = ["auto", "legacy"].into_iter().flat_map(|mode| STEPS.map(|step| format!("{mode}: {step}")));
        check(Command::new(python).arg(script("mcp-python.py")), steps);
    }
}
