//! The program itself: what it prints, how it refuses, and what it does when descriptors run out.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_oauth-from-scratch");
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// Longer than anything takes, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running program, until it is dropped.
struct Program {
    child: Child,
    client_app: String,
    authorization_server: String,
    output: BufReader<ChildStdout>,
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
        let mut origin = |name: &str| {
            let line = next_line();
            line.strip_prefix(name).unwrap_or_else(|| panic!("{name}: {line}")).trim().to_owned()
        };
        let (client_app, authorization_server) = (origin("client app"), origin("authorization server"));
        let next = next_line();
        assert!(next.contains("Open the client app in a browser"), "it says what to do next: {next}");
        Program { child, client_app, authorization_server, output }
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
    let output = Command::new(PROGRAM).args(words).output().expect("the program starts");
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
        "--workers",
        "--connections-per-peer",
        "--store",
        "--store-durability",
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
fn a_command_line_that_cannot_be_followed_ends_in_one_line_and_status_2() {
    for (words, names) in [
        (&["--prot", "1"][..], "--prot"),
        (&["--client-port", "x"], "--client-port"),
        (&["--auth-port"], "--auth-port"),
        (&["--bind", "nowhere"], "--bind"),
        (&["extra"], "the word number 1"),
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
                "oauth-from-scratch: port {port} on 127.0.0.1, for the {server}, is taken by another program; stop \
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
fn the_program_serves_from_any_folder_and_prints_the_ports_it_chose() {
    let mut command = Command::new(PROGRAM);
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
    let mut command = Command::new(PROGRAM);
    let program =
        Program::start(command.args(["--client-port", "0", "--auth-port", "0", "--bind", "127.0.0.1"]));
    assert!(program.authorization_server.starts_with("http://localhost:"));
}

/// Running out of descriptors pauses accepting: those who are in are served, those who wait come in as soon as
/// someone leaves, and the loop does not spin meanwhile: it says so once for each time it tried.
#[cfg(target_os = "linux")]
#[test]
fn running_out_of_descriptors_pauses_accepting() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 32; exec \"$0\" --client-port 0 --auth-port 0", PROGRAM]);
    let mut program = Program::start(&mut command);
    let begin = Instant::now();
    let answer_to = |socket: &mut TcpStream| {
        let mut bytes = [0; 16];
        socket.read_exact(&mut bytes).expect("an answer");
        assert_eq!(&bytes, b"HTTP/1.1 200 OK\r");
    };
    let mut sockets: Vec<TcpStream> = (0..60).map(|_| program.connect()).collect();
    for socket in &mut sockets {
        socket.write_all(GET).unwrap();
    }
    answer_to(&mut sockets[0]);
    // Each that leaves lets one in; the last can only have come in after most of the others have left.
    for mut socket in sockets.drain(..59) {
        let _ = socket.read(&mut [0; 16]);
    }
    answer_to(&mut sockets[0]);
    let paused_at_most = begin.elapsed().as_millis() / 100 + 2 + 60;
    drop(sockets);
    // An orderly end writes what is still to be logged.
    signal(&program, "-TERM");
    let mut errors = String::new();
    program.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let pauses = errors.lines().filter(|line| line.starts_with("accepting pauses with ")).count();
    assert!(pauses >= 1, "the limit was reached: {errors}");
    assert!((pauses as u128) <= paused_at_most, "{pauses} tries in {:?}", begin.elapsed());
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
    let file = File::new(test, patient);
    let mut command = Command::new(PROGRAM);
    let flags = ["--config", file.path(), "--client-port", "0", "--auth-port", "0"];
    let program = Program::start(command.args(flags));
    let mut socket = program.connect();
    socket.write_all(&[GET, &GET[..10]].concat()).unwrap();
    let mut answer = vec![0; 16];
    socket.read_exact(&mut answer).unwrap();
    (program, socket)
}

/// Waits until nobody is let in any more: then the first signal has been heard.
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
fn a_signal_lets_what_was_asked_be_answered_and_then_ends_the_program_with_status_0() {
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
        assert!(errors.starts_with("stopped after 2 requests on "), "{errors}");
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

#[test]
fn the_access_log_is_written_to_standard_output_as_json_too() {
    let mut command = Command::new(PROGRAM);
    command.args(["--client-port", "0", "--auth-port", "0", "--log=json"]);
    let mut program = Program::start(&mut command);
    let mut socket = program.connect();
    socket.write_all(b"GET /nothing?code=secret HTTP/1.0\r\n\r\n").unwrap();
    socket.read_to_end(&mut Vec::new()).unwrap();
    let mut line = String::new();
    program.output.read_line(&mut line).unwrap();
    let json: serde_json::Value = serde_json::from_str(&line).expect("one object a line");
    assert_eq!(
        (&json["method"], &json["path"], &json["status"]),
        (&"GET".into(), &"/nothing".into(), &404.into())
    );
    assert!(!line.contains("secret"), "{line}");
}

/// A configuration file of this test's own, until it is dropped.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("oauth-from-scratch-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).expect("a file for the test");
        File(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a name that is text")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
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
    let file = File::new("check", CONFIGURATION);
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
        "Nothing was started.",
    ] {
        assert!(output.contains(words), "{words}: {output}");
    }
    let (status, output, _) = run(&["--check-config"]);
    assert!(status == 0 && output.contains("port 3000, with the demo client oauth-test-app"), "{output}");
}

#[test]
fn a_mistake_in_a_configuration_file_is_named_by_file_and_line_with_status_2() {
    let check = |name: &str, from: &str, to: &str, words: &str| {
        let file = File::new(name, &CONFIGURATION.replace(from, to));
        let (status, output, errors) = run(&["--config", file.path()]);
        assert_eq!((status, &*output, errors.lines().count()), (2, "", 1), "{errors}");
        let expected = format!("oauth-from-scratch: {}: {words}", file.path());
        assert!(errors.starts_with(&expected), "{errors}");
    };
    check("key", "port = 0", "prot = 0", "line 4: there is no key prot in [listen]");
    check("id", "\"robot\"", "\"app\"", "line 13: id: there is another client called \"app\"");
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
        "line 15: secret: a secret does not stand in a file",
    );
    let file = File::new("port", CONFIGURATION);
    let (status, _, errors) = run(&["--config", file.path(), "--client-port", "0"]);
    assert!(status == 2 && errors.contains("the configuration file has none"), "{errors}");
    let file = File::new("issuer", &CONFIGURATION.replace("issuer = \"https://auth.example\"", ""));
    let (status, _, errors) = run(&["--config", file.path(), "--bind", "0.0.0.0"]);
    assert!(status == 2 && errors.contains("--bind 0.0.0.0 is not loopback"), "{errors}");
    let file = File::new("limits", &CONFIGURATION.replace("[scopes]", "[limits]\nfields_max = 65\n[scopes]"));
    let (status, _, errors) = run(&["--config", file.path()]);
    let expected = format!("{}: line 6: the limit fields_max must be 1 to 64", file.path());
    assert!(status == 2 && errors.contains(&expected), "{errors}");
}

#[test]
fn a_checked_configuration_names_all_its_mistakes() {
    let broken = CONFIGURATION
        .replace("port = 0", "prot = 0")
        .replace("/callback", "/callback?state=x")
        .replace("scopes = [\"read\"]", "scopes = [\"reed\"]")
        .replace("secret_digest = \"sha256:ba", "secret_digest = \"sha256:xx");
    let file = File::new("mistakes", &broken);
    let expected = [
        "line 4: there is no key prot in [listen]; did you mean port? It may have",
        "line 10: redirect_uris: \"https://app.example/callback?state=x\" has the parameter state in its query",
        "line 11: scopes: there is no scope \"reed\" in [scopes]; did you mean \"read\"? Otherwise add it there",
        "line 15: secret_digest: this is no digest of a secret",
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
    let file = File::new("all-limits", &CONFIGURATION.replace("[scopes]", limits));
    let (status, _, errors) = run(&["--config", file.path(), "--check-config"]);
    let lines: Vec<&str> =
        errors.lines().filter_map(|line| line.split_once(".toml: ")).map(|(_, it)| it).collect();
    assert_eq!(status, 2);
    let [fields, connections] = lines[..] else { panic!("{errors}") };
    assert!(fields.starts_with("line 6: the limit fields_max must be "), "{errors}");
    assert_eq!(connections, "line 7: the limit connections_max must be at least 1");
}

#[test]
fn a_checked_configuration_lines_up_whatever_the_length_of_an_id() {
    let id = "a-client-with-an-id-that-is-longer-than-any-word-of-ours";
    let file = File::new("long", &CONFIGURATION.replace("\"robot\"", &format!("{id:?}")));
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
    let file = File::new("scheme", &text);
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
    assert!(told.iter().any(|line| line.starts_with(words)), "{told:?}");
}

#[test]
fn a_configured_server_comes_up_by_its_issuer_without_a_client_app() {
    let file = File::new("serve", CONFIGURATION);
    let mut child = Command::new(PROGRAM)
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
    assert!(told.starts_with("grants are kept in memory and end with this process; --store"), "{told}");
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
        "made",
        &CONFIGURATION
            .replace("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &digest),
    );
    assert_eq!(run(&["--config", file.path(), "--check-config"]).0, 0);
}

#[test]
fn the_digest_of_a_secret_that_a_person_chose_is_a_slow_one() {
    let digest_of = |input: &str| {
        let mut child = Command::new(PROGRAM)
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
    assert_eq!(run(&["--config", File::new("chosen", &text).path(), "--check-config"]).0, 0);
    assert_eq!(digest_of("\n").0, Some(1));
}

/// There is memory for the program and not for what one client sends: that one's connection ends, and is counted.
#[cfg(target_os = "linux")]
#[test]
fn no_memory_for_a_content_ends_that_one_connection_and_nothing_else() {
    let text = format!("{CONFIGURATION}\n[limits]\nbody_bytes_max = 1000000000\n");
    let file = File::new("memory", &text);
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
    assert!(output.status.success() && log.contains(" 1 without memory, 0 panics"), "{log}");
}
