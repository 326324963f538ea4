//! How the program starts, as its operator and another program see it: names and ports, warnings, and files of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::support::file::File;
use crate::support::program::program;

/// Longer than anything takes, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running program, until it is dropped.
struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(words: &[&str]) -> Program {
        let mut child = program()
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Program { child, output }
    }

    /// The next line of standard output, without its end; empty where the output has ended.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    /// The authorization server's issuer and the port that it listens on, from the lines that it begins with.
    fn issuer_and_port(&mut self) -> (String, u16) {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "it starts: {}", self.errors());
            let Some(rest) = line.strip_prefix("authorization server  ") else { continue };
            let (issuer, port) = rest.split_once(" (on port ").unwrap_or((rest, ""));
            let port = port.trim_end_matches(')').parse().ok();
            let port = port.or_else(|| issuer.rsplit_once(':')?.1.parse().ok()).expect(&line);
            return (issuer.to_owned(), port);
        }
    }

    /// Ends the program and gives what it wrote to standard error.
    fn errors(&mut self) -> String {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let mut errors = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("text");
        errors
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end, which must come at once, and gives its status and standard error.
fn refused(words: &[&str]) -> (i32, String) {
    let output = program().args(words).stdin(Stdio::null()).output().expect("the program starts");
    (output.status.code().expect("an exit status"), String::from_utf8(output.stderr).expect("text"))
}

/// Sends `request` to `port` and gives the answer, which must end the connection.
fn ask(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

const FREE_PORTS: [&str; 4] = ["--client-port", "0", "--auth-port", "0"];

#[test]
fn an_issuer_by_flag_is_in_the_metadata_and_its_port_printed() {
    let words = ["--ready-json", "--issuer", "http://Auth.localhost:8080"];
    let mut program = Program::start(&[&FREE_PORTS[..], &words].concat());
    let ready: serde_json::Value = serde_json::from_str(&program.line()).expect("JSON");
    assert_eq!(ready["issuer"], "http://Auth.localhost:8080");
    let port = ready["auth_port"].as_u64().expect("a port") as u16;
    let get = |path: &str| ask(port, &format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    let metadata = get("/.well-known/oauth-authorization-server");
    assert!(metadata.contains(r#""token_endpoint":"http://auth.localhost:8080/token""#), "{metadata}");
    assert!(metadata.contains(r#""issuer":"http://Auth.localhost:8080""#), "as it was written: {metadata}");
    let errors = program.errors();
    assert!(errors.contains(&format!("the server listens on port {port}: forward the first")), "{errors}");
}

#[test]
fn behind_a_published_port_the_clients_name_is_accepted() {
    let file = File::new("published.toml", "issuer = \"http://localhost:8080\"\n[listen]\nport = 0\n");
    let check = |words: &[&str], host: &str, status: &str| {
        let mut program = Program::start(&[&["--config", file.path()][..], words].concat());
        let (_, port) = program.issuer_and_port();
        let form = "request=x&decision=authorize";
        let answer = ask(
            port,
            &format!(
                "POST /code HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ),
        );
        // The form itself is refused in any case; what is asked here is whether it was read at all.
        assert!(answer.contains(status), "{words:?} {host}: {answer}");
    };
    let (read, unread) = ("This browser sent no cookie", "This server has another address");
    check(&[], "localhost:8080", read);
    check(&["--issuer", "https://auth.example"], "auth.example:443", read);
    check(&["--issuer", "https://auth.example"], "localhost:8080", unread);
    check(&["--issuer", "http://auth:3001", "--insecure-http"], "AUTH:3001", read);
}

#[test]
fn a_port_by_flag_that_contradicts_the_issuer_is_refused() {
    let check = |text: &str, port: &str, more: &[&str], status: i32| {
        let file = File::new("contradiction.toml", text);
        let words = [&["--config", file.path(), "--check-config", "--auth-port", port][..], more].concat();
        let (found, errors) = refused(&words);
        assert_eq!(found, status, "{text} {port} {more:?}: {errors}");
        let words = [&format!("--auth-port {port}: the configuration file says"), "or set --issuer"];
        assert_eq!(words.iter().all(|words| errors.contains(*words)), status == 2, "{errors}");
    };
    let own = "issuer = \"http://localhost:3001\"";
    for port in ["4000", "0"] {
        check(own, port, &[], 2);
    }
    check(own, "3001", &[], 0);
    check(own, "4000", &["--issuer", "http://localhost:4000"], 0);
    check("issuer = \"http://LOCALHOST\"\n[listen]\nport = 80", "81", &[], 2);
    check("issuer = \"https://auth.example\"\n[listen]\nport = 443", "444", &[], 2);
    check("issuer = \"http://localhost:8080\"", "3002", &[], 2);
    // A proxy that speaks https has a port of its own.
    check("issuer = \"https://auth.example\"", "4000", &[], 0);
    check("issuer = \"http://localhost:4000\"", "4000", &[], 0);
    check("", "4000", &[], 0);
}

#[test]
fn a_file_without_an_issuer_is_bound_with_one_by_flag() {
    let file = File::new("anywhere.toml", "[listen]\naddress = \"0.0.0.0\"\n");
    let words = ["--config", file.path(), "--check-config"];
    assert_eq!(refused(&words).0, 2);
    assert_eq!(refused(&[&words[..], &["--issuer", "https://auth.example"]].concat()).0, 0);
}

#[test]
fn what_is_dangerous_is_said_at_every_start() {
    let insecure = File::new("insecure.toml", "insecure_http = true\n[listen]\nport = 0\n");
    let reuse = "[listen]\nport = 0\n[lifetimes]\nrefresh_reuse = \"until_successor_used\"\n";
    let reuse = File::new("reuse.toml", reuse);
    let check = |words: &[&str], said: Option<&str>| {
        let mut program = Program::start(words);
        program.issuer_and_port();
        let errors = program.errors();
        let warnings: Vec<&str> = errors.lines().filter(|line| line.contains("WARNING: ")).collect();
        assert_eq!(warnings.len(), usize::from(said.is_some()), "{words:?}: {errors}");
        assert!(warnings.iter().zip(said).all(|(warning, said)| warning.contains(said)), "{errors}");
    };
    check(&FREE_PORTS, None);
    check(&[&FREE_PORTS[..], &["--bind", "0.0.0.0"]].concat(), Some("the demo has no login"));
    check(&[&FREE_PORTS[..], &["--insecure-http"]].concat(), Some("insecure_http is set"));
    check(&["--config", insecure.path()], Some("insecure_http is set"));
    check(&["--config", reuse.path()], Some("refresh_reuse is"));
    check(&[&FREE_PORTS[..], &["--article"]].concat(), Some("codes and tokens never expire"));
    if cfg!(feature = "lab") {
        let words = [&FREE_PORTS[..], &["--lab-port", "0"]].concat();
        check(&words, Some("a page of this server turns its defences off"));
    }
    assert_eq!(refused(&["--lab", "--config", insecure.path()]).0, 2);
    assert_eq!(refused(&["--article", "--config", insecure.path()]).0, 2);
}

#[test]
fn one_line_of_json_says_where_both_servers_listen() {
    let file = File::absent("ready.json");
    let words = ["--ready-json", "--ready-file", file.path()];
    let mut program = Program::start(&[&FREE_PORTS[..], &words].concat());
    let line = program.line();
    assert_eq!(
        std::fs::read_to_string(file.path()).expect("the file is there before the line"),
        format!("{line}\n")
    );
    let ready: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(ready["process_id"], program.child.id());
    for (port, addresses) in [("auth_port", "auth_addresses"), ("client_port", "client_addresses")] {
        let port = ready[port].as_u64().expect("a port") as u16;
        assert_eq!(ready[addresses][0], format!("127.0.0.1:{port}"));
        assert!(ask(port, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"), "it listens there");
    }
    assert_eq!(ready["issuer"], format!("http://localhost:{}", ready["auth_port"]));
    assert_eq!(ready["client_app"], format!("http://localhost:{}", ready["client_port"]));
    assert!(ready["lab"].is_null());
    program.errors();
    program.child.wait().expect("it ends");
    assert!(!file.exists(), "an orderly end removes it");
}

#[cfg(feature = "lab")]
#[test]
fn one_line_of_json_says_where_the_lab_is() {
    let words = ["--lab-port", "0", "--ready-json"];
    let mut program = Program::start(&[&FREE_PORTS[..], &words].concat());
    let ready: serde_json::Value = serde_json::from_str(&program.line()).expect("JSON");
    let lab = ready["lab"].as_str().expect("the address of the lab");
    let port = lab.strip_prefix("http://localhost:").and_then(|port| port.parse().ok()).expect("a port");
    assert!(ask(port, "GET /rules HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"), "it listens there");
}

#[test]
fn a_server_alone_says_that_it_has_no_client_app() {
    let file = File::new("alone.toml", "[listen]\nport = 0\n");
    let mut program = Program::start(&["--config", file.path(), "--ready-json"]);
    let ready: serde_json::Value = serde_json::from_str(&program.line()).expect("JSON");
    assert!(ready["client_app"].is_null() && ready["client_port"].is_null() && ready["auth_port"].is_u64());
    assert_eq!(ready["client_addresses"], serde_json::json!([]));
}

#[test]
fn a_stale_ready_file_is_removed_by_a_server_that_cannot_start() {
    let file = File::new("stale.json", "{}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (status, _) = refused(&["--client-port", "0", "--auth-port", &port, "--ready-file", file.path()]);
    assert!(status == 1 && !file.exists());
    let (status, errors) = refused(&[&FREE_PORTS[..], &["--ready-file", "/nowhere/ready.json"]].concat());
    assert!(status == 1 && errors.contains("cannot write --ready-file /nowhere/ready.json"), "{errors}");
}

/// A pipe is written to, and neither replaced nor removed.
#[cfg(unix)]
#[test]
fn a_ready_file_may_be_a_pipe() {
    let pipe = File::absent("pipe");
    assert!(Command::new("mkfifo").arg(pipe.path()).status().expect("there is mkfifo").success());
    let _program = Program::start(&[&FREE_PORTS[..], &["--ready-file", pipe.path()]].concat());
    let line = std::fs::read_to_string(pipe.path()).expect("the line");
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|ready| ready["issuer"].is_string()));
    assert!(pipe.exists());
}

#[test]
fn the_end_of_standard_input_ends_the_program_only_if_asked() {
    let mut program = Program::start(&[&FREE_PORTS[..], &["--ready-json", "--end-with-stdin"]].concat());
    program.line();
    let mut input = program.child.stdin.take().expect("a pipe");
    input.write_all(b"what is written is ignored\n").expect("it reads");
    drop(input);
    assert_eq!(program.child.wait().expect("it ends").code(), Some(0));

    let mut program = Program::start(&[&FREE_PORTS[..], &["--ready-json"]].concat());
    let ready: serde_json::Value = serde_json::from_str(&program.line()).expect("JSON");
    drop(program.child.stdin.take());
    let port = ready["auth_port"].as_u64().expect("a port") as u16;
    assert!(ask(port, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"), "it goes on");
}

/// What is tried before the start fails says that requests are answered 503, and there are none.
#[test]
#[cfg(feature = "redis-store")]
fn an_engine_missing_at_the_start_is_one_true_message() {
    // At the first no program listens: it is reserved. The second closes every connection.
    let free = 1;
    let closing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closing_port = closing.local_addr().unwrap().port();
    std::thread::spawn(move || closing.incoming().for_each(drop));
    for location in [
        format!("redis://127.0.0.1:{free}"),
        format!("redis://127.0.0.1:{free},127.0.0.1:{closing_port}"),
        format!("redis://127.0.0.1:{closing_port}"),
    ] {
        // The lines are written by a thread, so one start may end before them.
        for _ in 0..5 {
            let (status, errors) = refused(&[&FREE_PORTS[..], &["--store", &location]].concat());
            assert_eq!((status, errors.lines().count()), (1, 1), "{errors}");
            assert!(errors.starts_with(&format!("oauth-from-scratch: the store {location}: ")), "{errors}");
            // A port may have these digits in it.
            let words = errors.replace(&closing_port.to_string(), "");
            assert!(!words.contains("503"), "{errors}");
        }
    }
}

/// Whether `text` is a moment as RFC 3339 has it, to the millisecond and in UTC.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000Z";
    let is_like = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_like)
}

#[test]
fn with_json_standard_output_has_nothing_else() {
    for more in [&["--ready-json"][..], &[]] {
        let ready = File::absent(&format!("json-{}.json", more.len()));
        let words = ["--log=json", "--ready-file", ready.path(), "--bind", "127.0.0.1", "--insecure-http"];
        let mut program = Program::start(&[&FREE_PORTS[..], &words, more].concat());
        let begin = std::time::Instant::now();
        while !ready.exists() {
            assert!(begin.elapsed() < PATIENCE, "it starts");
            std::thread::yield_now();
        }
        let text = std::fs::read_to_string(ready.path()).expect("the file");
        let ready: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let port = ready["auth_port"].as_u64().expect("a port") as u16;
        let code =
            ask(port, &format!("POST /code HTTP/1.0\r\nHost: localhost:{port}\r\nContent-Length: 0\r\n\r\n"));
        let code = code.split("?code=").nth(1).expect("a code")[..64].to_owned();
        let form = format!("grant_type=authorization_code&code={code}");
        ask(
            port,
            &format!(
                "POST /token HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ),
        );
        ask(port, "GET /secure?token=secret HTTP/1.0\r\nAuthorization: Bearer secret\r\n\r\n");
        ask(port, "nonsense\r\n\r\n");
        let errors = program.errors();
        let mut output = String::new();
        program.output.read_to_string(&mut output).expect("text");
        let lines: Vec<serde_json::Value> = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .collect();
        let lines = &lines[more.len()..];
        assert_eq!(lines.len(), 4, "{output}");
        assert!(
            lines.iter().all(|line| line.is_object() && is_time(line["time"].as_str().unwrap())),
            "{output}"
        );
        assert!(lines.iter().all(|line| line["peer"] == "127.0.0.1"), "{output}");
        let of = |line: usize, key: &str| lines[line][key].clone();
        assert_eq!(
            (of(0, "path"), of(0, "status"), of(0, "client_id")),
            ("/code".into(), 302.into(), "oauth-test-app".into())
        );
        assert_eq!(
            (of(1, "path"), of(1, "status"), of(1, "client_id")),
            ("/token".into(), 200.into(), "oauth-test-app".into())
        );
        assert!(
            (0..3).all(|line| of(line, "duration_ms").as_f64().is_some_and(|time| time >= 0.0)),
            "{output}"
        );
        assert!(of(0, "refused").is_null() && of(1, "refused").is_null());
        assert_eq!((of(2, "status"), of(2, "refused")), (401.into(), "malformed access token".into()));
        assert_eq!((of(3, "method"), of(3, "refused")), ("-".into(), "malformed request line".into()));
        assert!(!output.contains("secret") && !output.contains(&code), "{output}");
        assert!(
            !errors.is_empty()
                && errors.lines().all(|line| line.split_once(' ').is_some_and(|(time, _)| is_time(time))),
            "{errors}"
        );
        let says_where = errors.lines().any(|line| line.contains(" authorization server  http://localhost:"));
        assert_eq!(says_where, more.is_empty(), "{errors}");
    }
}

#[cfg(feature = "wire")]
#[test]
fn a_trace_prints_every_message_without_its_secrets() {
    let mut server = Program::start(&["--client-port", "0", "--auth-port", "0", "--trace"]);
    let (_, port) = server.issuer_and_port();
    let code = "0123456789abcdefghijWXYZ";
    ask(port, &format!("GET /secure?code={code} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    let errors = server.errors();
    let words = "→ #1 authorization-server, connection 1: GET /secure?code=…WXYZ HTTP/1.1";
    assert!(errors.contains(words), "{errors}");
    assert!(
        errors.contains("✗ #1 403 Forbidden in ") && errors.contains(": no access token (RFC 6750, 3;"),
        "{errors}"
    );
    assert!(errors.contains("WARNING: the wire view is on"), "{errors}");
    assert!(!errors.contains('\x1b'), "a pipe has no colours");
}

#[cfg(feature = "wire")]
#[test]
fn a_wire_view_that_others_could_read_is_refused_at_the_start() {
    let check = |words: &[&str], message: &str| {
        let (status, errors) = refused(words);
        assert!(status == 2 && errors.contains(message), "{words:?}: {status} {errors}");
    };
    check(&["--wire", "--bind", "0.0.0.0"], "0.0.0.0 is not loopback; remove --bind, or --wire and --trace");
    check(&["--trace", "--issuer", "https://auth.example"], "the issuer is public");
    check(&["--wire", "--store", "file:grants"], "add --wire-with-lasting-store");
    let (_, errors) =
        refused(&["--check-config", "--wire", "--wire-with-lasting-store", "--store", "file:grants"]);
    assert_eq!(errors, "", "asked for twice");
}
