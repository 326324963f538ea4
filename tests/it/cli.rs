//! The program itself: what it prints, how it refuses, and what it does when descriptors run out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::file::File;
use crate::support::program::{self, PROGRAM, program};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Longer than anything takes, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running program, until it is dropped.
struct Program {
    child: Child,
    client_app: String,
    authorization_server: String,
    /// Kept open, so that the program can go on writing.
    _output: BufReader<ChildStdout>,
}

impl Program {
    fn start(command: &mut Command) -> Program {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut next_line = || {
            let mut line = String::new();
            output.read_line(&mut line).expect("text");
            line
        };
        let mut address = |name: &str| {
            let line = next_line();
            line.strip_prefix(name).unwrap_or_else(|| panic!("{name}: {line}")).trim().to_owned()
        };
        let (client_app, authorization_server) = (address("client app"), address("authorization server"));
        if cfg!(feature = "wire") {
            assert_eq!(address("wire view"), format!("{client_app}/wire"));
        }
        if cfg!(feature = "docs") {
            assert_eq!(address("book"), format!("{client_app}/docs"));
        }
        let next = next_line();
        assert!(next.contains("Open the client app in a browser"), "it says what to do next: {next}");
        Program { child, client_app, authorization_server, _output: output }
    }

    fn connect(&self) -> TcpStream {
        let port = self.authorization_server.rsplit(':').next().unwrap();
        let socket = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end, which must come at once, and gives its status and both outputs.
fn run(words: &[&str]) -> (i32, String, String) {
    let output = program().args(words).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit status"), text(output.stdout), text(output.stderr))
}

#[test]
fn help_and_version_are_printed_and_name_every_flag() {
    let (status, help, errors) = run(&["--help"]);
    assert_eq!((status, errors.as_str()), (0, ""));
    for flag in [
        "--client-port",
        "--auth-port",
        "--bind",
        "--issuer",
        "--insecure-http",
        "--ready-file",
        "--ready-json",
        "--end-with-stdin",
        "--workers",
        "--connections-per-peer",
        "--store",
        "--article",
        "--lab",
        "--lab-port",
        "--store-durability",
        "--keys",
        "--new-key",
        "--log",
        "--www",
        "--help",
        "--version",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    let version = format!("oauth-from-scratch {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), (0, version, String::new()));
}

#[test]
fn a_bad_command_line_ends_in_one_line_and_status_2() {
    for (words, names) in [
        (&["--prot", "1"][..], "--prot"),
        (&["--client-port", "x"], "--client-port"),
        (&["--auth-port"], "--auth-port"),
        (&["--bind", "nowhere"], "--bind"),
        (&["extra"], "argument 1 "),
        #[cfg(not(feature = "lab"))]
        (&["--lab"], "--features lab"),
        #[cfg(not(feature = "wire"))]
        (&["--trace"], "--features wire"),
        #[cfg(feature = "wire")]
        (&["--trace", "--no-wire"], "--no-wire"),
        (&["--check-config", "--keys", "/nowhere/keys", "--new-key"], "--new-key"),
        (&["client-secret", "--check-config"], "client-secret"),
        (&["--new-key", "--print-resource-metadata", "https://a.example"], "--print-resource-metadata"),
        (&["--article", "--bind", "0.0.0.0"], "--bind"),
        (&["--article", "--issuer", "https://auth.example"], "--issuer"),
        (&["--article", "--store", "file:/tmp/grants"], "--store"),
        #[cfg(feature = "lab")]
        (&["--lab", "--bind", "0.0.0.0"], "--bind"),
        #[cfg(feature = "lab")]
        (&["--lab", "--client-port", "3002"], "--lab-port"),
    ] {
        let (status, output, errors) = run(words);
        assert_eq!((status, output.as_str()), (2, ""), "{words:?}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("oauth-from-scratch: ") && errors.contains(names), "{errors}");
    }
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, other, server) in [
        ("--client-port", "--auth-port", "client app"),
        ("--auth-port", "--client-port", "authorization server"),
    ] {
        let (status, output, errors) = run(&[flag, &port, other, "0"]);
        assert_eq!((status, output.as_str()), (1, ""));
        assert_eq!(
            errors,
            format!(
                "oauth-from-scratch: port {port} on 127.0.0.1, for the {server}, is in use by another program; stop \
                 that program, or choose another port with {flag} PORT (0 picks a free one)\n"
            )
        );
    }
}

#[test]
fn an_address_or_a_folder_that_is_not_there_is_named() {
    let ports = ["--client-port", "0", "--auth-port", "0"];
    let (status, _, errors) = run(&[&ports[..], &["--bind", "192.0.2.1"]].concat());
    assert_eq!(status, 1);
    assert!(
        errors.contains("192.0.2.1 is not an address of this machine; give --bind one that is"),
        "{errors}"
    );
    let (status, _, errors) = run(&[&ports[..], &["--www", "no-such-folder"]].concat());
    assert_eq!((status, errors.lines().count()), (1, 1));
    assert!(errors.contains("--www no-such-folder: client-app/index.html cannot be read"), "{errors}");
}

#[test]
fn the_program_serves_from_any_folder_and_prints_its_ports() {
    let mut command = program();
    let program = Program::start(
        command.args(["--client-port", "0", "--auth-port", "0"]).current_dir(std::env::temp_dir()),
    );
    assert!(program.client_app.starts_with("http://localhost:"), "{}", program.client_app);
    let mut socket = program.connect();
    socket.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&program.client_app), "the page leads to the port that was chosen");
}

#[test]
fn a_server_bound_to_one_address_goes_by_it() {
    let mut command = program();
    let program =
        Program::start(command.args(["--client-port", "0", "--auth-port", "0", "--bind", "127.0.0.1"]));
    assert!(program.authorization_server.starts_with("http://localhost:"));
}

/// The program with at most this many descriptors.
#[cfg(target_os = "linux")]
fn program_with_descriptors(count: u32, workers: u32) -> Program {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n \"$1\"; shift; exec \"$@\"", "sh", &count.to_string(), PROGRAM]);
    command.args(["--client-port", "0", "--auth-port", "0", "--workers", &workers.to_string()]);
    Program::start(&mut command)
}

/// Ends the program in order, and gives what it logged.
#[cfg(target_os = "linux")]
fn log_of(mut program: Program) -> String {
    signal(&program, "-TERM");
    let mut errors = String::new();
    program.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    errors
}

/// More silent connections than there are descriptors: each newcomer is answered at once, though no other says or
/// closes anything, and the log does not grow with their number.
#[cfg(target_os = "linux")]
fn check_silent_connections(descriptors: u32, workers: u32, silent: usize) -> String {
    let program = program_with_descriptors(descriptors, workers);
    let mut sockets = Vec::new();
    for round in 0..5 {
        sockets.extend((0..silent / 5).map(|_| program.connect()));
        let mut newcomer = program.connect();
        newcomer.write_all(GET).unwrap();
        let mut bytes = [0; 16];
        newcomer.read_exact(&mut bytes).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(&bytes, b"HTTP/1.1 200 OK\r");
    }
    drop(sockets);
    let log = log_of(program);
    // Two places may say that descriptors run out, each ten times at once; and the start and the end say something.
    assert!(log.lines().count() <= 2 * 10 + 3, "{log}");
    log
}

#[cfg(target_os = "linux")]
#[test]
fn with_few_descriptors_a_newcomer_never_waits() {
    let words =
        "connections_max is lowered from 16000 to 920: the process may have 1024 open files; raise that limit";
    let log = check_silent_connections(1024, 2, 1100);
    assert!(log.contains(words) && !log.contains("accept"), "{log}");
}

/// With so few, the connections do not leave enough for the rest, and accepting itself fails.
#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_the_longest_idle_connection_is_closed() {
    for workers in [1, 2] {
        let log = check_silent_connections(22, workers, 200);
        assert!(log.contains("closed the longest idle connection to make room"), "{log}");
    }
}

/// Where every connection is busy, the next one waits until one closes.
#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_and_idle_connections_accepting_pauses() {
    let mut program = program_with_descriptors(20, 1);
    let errors = BufReader::new(program.child.stderr.take().unwrap());
    let (sender, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || errors.lines().for_each(|line| drop(sender.send(line.expect("text")))));
    let (mut busy, mut log) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    let mut waiting = 'connect: loop {
        // With half a request behind the first one, a connection is not idle once the first is answered.
        let mut socket = program.connect();
        socket.write_all(&[GET, &GET[..10]].concat()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        loop {
            if socket.read(&mut [0; 16]).is_ok_and(|count| count > 0) {
                busy.push(socket);
                continue 'connect;
            }
            log.extend(told.try_iter());
            if log.iter().any(|line: &String| line.contains("Z accepting pauses: Too many open files")) {
                break 'connect socket;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "accepting pauses: {log:?}");
        }
    };
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    drop(busy.pop().expect("some were accepted"));
    waiting.read_exact(&mut [0; 16]).expect("an answer, when another has left");
    // It looks again ten times a second meanwhile, and does not say so each time.
    signal(&program, "-TERM");
    drop((busy, waiting));
    log.extend(told.iter());
    assert!(log.len() <= 2 * 10 + 3, "{log:?}");
}

/// Sends a signal, as a shell would.
#[cfg(unix)]
fn signal(program: &Program, name: &str) {
    let status = Command::new("kill").args([name, &program.child.id().to_string()]).status();
    assert!(status.expect("there is a kill").success());
}

/// A program with a client that has sent half a request, which the server has read.
#[cfg(unix)]
fn program_with_half_a_request(test: &str) -> (Program, TcpStream) {
    // The rest of the request may take its time, and so may the end.
    let patient = "[listen]\nclient_app_port = 0\n[limits]\nhead_time_max = 600\nfinish_time_max = 600\n\
                   [scopes]\nanswer = \"Read the secret answer.\"\n";
    let file = File::new(&format!("{test}.toml"), patient);
    let mut command = program();
    let flags = ["--config", file.path(), "--client-port", "0", "--auth-port", "0"];
    let program = Program::start(command.args(flags));
    let mut socket = program.connect();
    socket.write_all(&[GET, &GET[..10]].concat()).unwrap();
    let mut answer = vec![0; 16];
    socket.read_exact(&mut answer).unwrap();
    (program, socket)
}

/// Waits until connections are refused: then the first signal has arrived.
#[cfg(unix)]
fn wait_for_the_end_to_begin(program: &Program) {
    let port = program.authorization_server.rsplit(':').next().unwrap();
    let begin = Instant::now();
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "the end begins");
    }
}

#[cfg(unix)]
#[test]
fn after_a_signal_requests_are_answered_and_the_status_is_0() {
    for name in ["-TERM", "-INT"] {
        let (mut program, mut socket) = program_with_half_a_request("orderly");
        signal(&program, name);
        wait_for_the_end_to_begin(&program);
        socket.write_all(&GET[10..]).unwrap();
        let mut rest = String::new();
        socket.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("HTTP/1.1 200 OK\r\n") && rest.contains("\r\nConnection: close\r\n"), "{rest}");
        assert_eq!(program.child.wait().unwrap().code(), Some(0), "{name}");
        let mut errors = String::new();
        program.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains("Z stopped: 2 requests on "), "{errors}");
    }
}

#[cfg(unix)]
#[test]
fn a_second_signal_ends_the_program_at_once() {
    let (mut program, _socket) = program_with_half_a_request("at-once");
    signal(&program, "-TERM");
    wait_for_the_end_to_begin(&program);
    signal(&program, "-TERM");
    assert_eq!(program.child.wait().unwrap().code(), Some(130));
}

/// Waits for the end of the program, which must come.
fn wait_for_the_end(child: &mut Child) -> std::process::ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is this test's own") {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the program ends");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A standard error that takes no byte more, and the end at which it is never read.
#[cfg(unix)]
fn full_standard_error() -> (Stdio, std::os::unix::net::UnixStream) {
    let (reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (Stdio::from(std::os::fd::OwnedFd::from(writer)), reader)
}

#[cfg(unix)]
#[test]
fn the_program_ends_though_nobody_reads_its_standard_error() {
    // At a signal, with something to log.
    let (standard_error, _never_read) = full_standard_error();
    let mut child = program()
        .args(["--client-port", "0", "--auth-port", "0"])
        .stdout(Stdio::piped())
        .stderr(standard_error)
        .spawn()
        .expect("the program starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = [String::new(), String::new(), String::new()];
    for line in &mut lines {
        output.read_line(line).expect("text");
    }
    let authorization_server = lines[1].trim().to_owned();
    let mut program = Program { child, client_app: String::new(), authorization_server, _output: output };
    // With an answer it serves, so it handles signals.
    let mut socket = program.connect();
    socket.write_all(GET).unwrap();
    socket.read_exact(&mut [0; 16]).unwrap();
    signal(&program, "-TERM");
    assert_eq!(wait_for_the_end(&mut program.child).code(), Some(0));
    // And where it cannot start, with an error to print.
    let (standard_error, _never_read) = full_standard_error();
    let mut child = program::program().arg("--nonsense").stderr(standard_error).spawn().expect("it starts");
    assert_eq!(wait_for_the_end(&mut child).code(), Some(2));
}

const CONFIGURATION: &str = r#"
issuer = "https://auth.example"
[listen]
port = 0
[scopes]
read = "Read your things."
[[clients]]
id = "app"
name = "The App"
redirect_uris = ["https://app.example/callback"]
scopes = ["read"]
[[clients]]
id = "robot"
name = "The Robot"
secret_digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
grant_types = ["client_credentials"]
"#;

#[test]
fn a_configuration_is_checked_and_told_without_serving_it() {
    let file = File::new("check.toml", CONFIGURATION);
    let (status, output, errors) = run(&["--config", file.path(), "--check-config", "--workers", "3"]);
    assert_eq!((status, &*errors), (0, ""));
    for words in [
        "port 0 on 127.0.0.1 and ::1",
        "https://auth.example",
        "none, and no demo client",
        "workers               3",
        "scope read            Read your things.",
        "The App, public; authorization_code; read",
        "returns to https://app.example/callback",
        "The Robot, confidential; client_credentials; no scope",
        "Configuration OK (check only).",
    ] {
        assert!(output.contains(words), "{words}: {output}");
    }
    let (status, output, _) = run(&["--check-config"]);
    assert!(status == 0 && output.contains("port 3000, with the demo client oauth-test-app"), "{output}");
}

#[test]
fn a_mistake_in_a_file_is_named_by_line_with_status_2() {
    let check = |name: &str, from: &str, to: &str, words: &str| {
        let file = File::new(&format!("{name}.toml"), &CONFIGURATION.replace(from, to));
        let (status, output, errors) = run(&["--config", file.path()]);
        assert_eq!((status, &*output, errors.lines().count()), (2, "", 1), "{errors}");
        let expected = format!("oauth-from-scratch: {}: {words}", file.path());
        assert!(errors.starts_with(&expected), "{errors}");
    };
    check("key", "port = 0", "prot = 0", "line 4: unknown key prot in [listen]");
    check("id", "\"robot\"", "\"app\"", "line 13: id: another client has the id \"app\"");
    check(
        "uri",
        "/callback",
        "/#callback",
        "line 10: redirect_uris: \"https://app.example/#callback\" has a fragment",
    );
    check(
        "secret",
        "secret_digest = \"sha256:ba78",
        "secret = \"",
        "line 15: secret: do not put secrets in this file",
    );
    let file = File::new("port.toml", CONFIGURATION);
    let (status, _, errors) = run(&["--config", file.path(), "--client-port", "0"]);
    assert!(status == 2 && errors.contains("the configuration file has none"), "{errors}");
    let file = File::new("issuer.toml", &CONFIGURATION.replace("issuer = \"https://auth.example\"", ""));
    let (status, _, errors) = run(&["--config", file.path(), "--bind", "0.0.0.0"]);
    assert!(status == 2 && errors.contains("--bind 0.0.0.0 is not loopback"), "{errors}");
    let file =
        File::new("limits.toml", &CONFIGURATION.replace("[scopes]", "[limits]\nfields_max = 257\n[scopes]"));
    let (status, _, errors) = run(&["--config", file.path()]);
    let expected = format!("{}: line 6: the limit fields_max must be 1 to 256", file.path());
    assert!(status == 2 && errors.contains(&expected), "{errors}");
}

#[test]
fn a_checked_configuration_names_all_its_mistakes() {
    let broken = CONFIGURATION
        .replace("port = 0", "prot = 0")
        .replace("/callback", "/callback?state=x")
        .replace("scopes = [\"read\"]", "scopes = [\"reed\"]")
        .replace("secret_digest = \"sha256:ba", "secret_digest = \"sha256:xx");
    let file = File::new("mistakes.toml", &broken);
    let expected = [
        "line 4: unknown key prot in [listen]; did you mean port? Otherwise the known keys are",
        "line 10: redirect_uris: \"https://app.example/callback?state=x\" has the parameter state in its query",
        "line 11: scopes: unknown scope \"reed\"; did you mean \"read\"? Otherwise add it to [scopes]",
        "line 15: secret_digest: malformed secret digest",
    ];
    for words in [&["--config", file.path()][..], &["--config", file.path(), "--check-config"]] {
        let (status, output, errors) = run(words);
        assert_eq!((status, &*output, errors.lines().count()), (2, "", expected.len()), "{errors}");
        for (line, expected) in errors.lines().zip(expected) {
            let expected = format!("oauth-from-scratch: {}: {expected}", file.path());
            assert!(line.starts_with(&expected), "{line}");
        }
    }
    // What does not fit together is found when each value could be read.
    let limits = "[limits]\nfields_max = 0\nconnections_max = 0\n[scopes]";
    let file = File::new("all-limits.toml", &CONFIGURATION.replace("[scopes]", limits));
    let (status, _, errors) = run(&["--config", file.path(), "--check-config"]);
    let lines: Vec<&str> =
        errors.lines().filter_map(|line| line.split_once(".toml: ")).map(|(_, it)| it).collect();
    assert_eq!(status, 2);
    let [fields, connections] = lines[..] else { panic!("{errors}") };
    assert!(fields.starts_with("line 6: the limit fields_max must be "), "{errors}");
    assert_eq!(connections, "line 7: the limit connections_max must be at least 1");
}

#[test]
fn a_checked_configuration_lines_up_for_ids_of_any_length() {
    let id = "a-client-with-an-id-that-is-longer-than-any-word-of-ours";
    let file = File::new("long.toml", &CONFIGURATION.replace("\"robot\"", &format!("{id:?}")));
    let (status, output, errors) = run(&["--config", file.path(), "--check-config"]);
    assert_eq!((status, &*errors), (0, ""));
    let column = output.lines().find_map(|line| line.find("The Robot,")).expect(&output);
    assert_eq!(column, "client ".len() + id.len() + 2, "{output}");
    for (name, value) in [
        ("authorization server", "port 0"),
        ("workers", ""),
        ("scope read", "Read your things."),
        ("client app ", "The App, public"),
        ("   ", "returns to"),
    ] {
        let line = output.lines().find(|line| line.starts_with(name) && line.contains(value)).expect(name);
        let (before, after) = line.split_at(column);
        assert!(before.ends_with(' ') && !after.starts_with(' ') && after.starts_with(value), "{line}");
    }
}

#[test]
fn a_scheme_that_another_app_may_claim_is_served_with_a_warning() {
    let text = CONFIGURATION.replace("https://app.example/callback", "vscode://publisher.extension/callback");
    let file = File::new("scheme.toml", &text);
    let words =
        "WARNING: the client \"app\": the redirect URI vscode://publisher.extension/callback has a scheme";
    let (status, output, errors) = run(&["--config", file.path(), "--check-config"]);
    assert_eq!((status, &*errors), (0, ""));
    assert!(output.contains(words), "{output}");
    let mut child = Command::new(PROGRAM)
        .args(["--config", file.path()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let told = BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let told: Vec<String> = told.take(2).collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    // A time comes first.
    assert!(told.iter().any(|line| line.contains(words)), "{told:?}");
}

#[test]
fn a_configured_server_starts_by_its_issuer_without_client_app() {
    let file = File::new("serve.toml", CONFIGURATION);
    let mut child = program()
        .args(["--config", file.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
    let mut told = String::new();
    BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut told).expect("text");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(
        told.contains("Z grants are kept in memory and are lost when this process exits; --store"),
        "{told}"
    );
    let port = line.strip_prefix("authorization server  https://auth.example (on port ");
    let port: u16 = port.and_then(|rest| rest.strip_suffix(")\n")).expect(&line).parse().expect(&line);
    assert_ne!(port, 0, "the one that was picked");
}

#[test]
fn a_client_secret_is_made_with_the_digest_that_the_file_wants() {
    let (status, output, _) = run(&["client-secret"]);
    assert_eq!(status, 0);
    let value = |name: &str| {
        let line =
            output.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{output}"));
        line.trim().to_owned()
    };
    let (digest, secret) = (value("secret_digest "), value("secret "));
    assert_eq!(secret.len(), 64);
    assert_eq!(oauth_from_scratch::oauth::client::SecretDigest::of(&secret).to_string(), digest);
    assert_ne!(run(&["client-secret"]).1, output, "another each time");
    let file = File::new(
        "made.toml",
        &CONFIGURATION
            .replace("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &digest),
    );
    assert_eq!(run(&["--config", file.path(), "--check-config"]).0, 0);
}

#[test]
fn the_digest_of_a_secret_that_a_person_chose_is_a_slow_one() {
    let digest_of = |input: &str| {
        let mut child = program()
            .args(["client-secret", "--chosen"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, output) = digest_of("correct horse\n");
    assert!(status == Some(0) && !output.contains("horse"), "{output}");
    let digest = output.lines().next().unwrap().strip_prefix("secret_digest").unwrap().trim().to_owned();
    assert!(digest.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{digest}");
    let text = CONFIGURATION
        .replace("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &digest);
    assert_eq!(run(&["--config", File::new("chosen.toml", &text).path(), "--check-config"]).0, 0);
    assert_eq!(digest_of("\n").0, Some(1));
}

/// There is memory for the program and not for what one client sends: that one's connection ends, and is counted.
#[cfg(target_os = "linux")]
#[test]
fn running_out_of_memory_for_content_ends_one_connection() {
    let text = format!("{CONFIGURATION}\n[limits]\nbody_bytes_max = 1000000000\n");
    let file = File::new("memory.toml", &text);
    let mut child = Command::new("sh")
        .args([
            "-c",
            "ulimit -v 200000 && exec \"$@\"",
            "sh",
            PROGRAM,
            "--workers",
            "1",
            "--config",
            file.path(),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
    let port: u16 = line.rsplit(' ').next().unwrap().trim_end_matches(")\n").parse().expect(&line);
    let connect = || {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let mut bystander = connect();
    let mut greedy = connect();
    greedy.write_all(b"POST /token HTTP/1.1\r\nHost: h\r\nContent-Length: 900000000\r\n\r\n").unwrap();
    let piece = vec![b'x'; 1 << 20];
    let pieces = (0..900).take_while(|_| greedy.write_all(&piece).is_ok()).count();
    assert!(pieces < 200, "the connection ended when memory did: {pieces} MiB");
    bystander.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    bystander.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let status = Command::new("kill").arg(child.id().to_string()).status();
    assert!(status.expect("there is a kill").success());
    let output = child.wait_with_output().expect("it ends");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && log.contains(", 1 out of memory") && !log.contains("panic"), "{log}");
}
