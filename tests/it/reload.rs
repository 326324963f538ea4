//! SIGHUP: the configuration is read again, and the server goes on meanwhile.
//!
//! The real program, with a file of the test's own. A test waits for the log's lines: when the last one of a reload
//! is there, every worker uses the new configuration.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::program::{PROGRAM, program, with_hang_up};
use crate::support::{Answer, Client};

/// How long a test waits before it fails: far longer than any server needs.
const PATIENCE: Duration = Duration::from_secs(60);

const HEAD: &str =
    "issuer = \"https://auth.example\"\n[listen]\nport = 0\n[scopes]\nread = \"Read your things.\"\n";

const DONE: &str = "reload: done; requests and connections from now on use the new configuration";
const FAILED: &str = "reload: failed; the configuration stays as it was";

/// A client whose secret is "abc".
fn client(id: &str) -> String {
    format!(
        "[[clients]]\nid = \"{id}\"\nname = \"{id}\"\ngrant_types = [\"client_credentials\"]\nscopes = [\"read\"]\n\
         secret_digest = \"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n"
    )
}

/// The program as nohup starts it.
fn program_that_ignores_hang_up() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", PROGRAM]);
    command
}

/// The running program with a configuration file, until it is dropped.
struct Server {
    child: Child,
    file: PathBuf,
    port: u16,
    lines: Receiver<String>,
}

impl Server {
    fn start(name: &str, text: &str) -> Server {
        Server::start_with(program(), name, text, &["--workers", "2"])
    }

    fn start_with(mut command: Command, name: &str, text: &str, flags: &[&str]) -> Server {
        let file =
            std::env::temp_dir().join(format!("oauth-from-scratch-{}-reload-{name}.toml", std::process::id()));
        std::fs::write(&file, text).expect("a file for the test");
        command.arg("--config").arg(&file).args(flags);
        Server::run(command, file)
    }

    fn run(mut command: Command, file: PathBuf) -> Server {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        while !line.starts_with("authorization server") {
            line.clear();
            assert!(output.read_line(&mut line).expect("text") > 0, "it says where it listens");
        }
        let digits: String =
            line.chars().rev().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        let port = digits.chars().rev().collect::<String>().parse().expect("a port");
        let (sender, lines) = channel();
        let errors = BufReader::new(child.stderr.take().expect("a pipe"));
        // Each line without the time that it begins with.
        let untimed = |line: String| line.split_once("Z ").map_or(line.clone(), |(_, rest)| rest.to_owned());
        std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).map(untimed).try_for_each(|line| sender.send(line))
        });
        Server { child, file, port, lines }
    }

    /// Changes the file, sends SIGHUP, and gives the log's lines about it.
    fn reload(&self, text: &str) -> Vec<String> {
        std::fs::write(&self.file, text).expect("a file for the test");
        self.signal("-HUP");
        self.reload_lines()
    }

    /// The lines about one reload, which end with what came of it.
    fn reload_lines(&self) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a line about the reload");
            if line.starts_with("reload: ") {
                found.push(line);
            }
            if found.last().is_some_and(|line| line == FAILED || line.starts_with("reload: done")) {
                return found;
            }
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("there is a kill").success());
    }

    fn connect(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.port).into())
    }

    /// The answer to a token request of the client called `id`, on a connection of its own.
    fn token(&self, id: &str) -> Answer {
        self.connect().answer_to(&token_request(id))
    }

    /// The exit status and the rest of the log, once the program has ended.
    fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().expect("it ends");
        (status, self.lines.iter().collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

fn token_request(id: &str) -> String {
    let content = format!("grant_type=client_credentials&client_id={id}&client_secret=abc");
    format!(
        "POST /token HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n\
         {content}",
        content.len()
    )
}

#[test]
fn a_reload_changes_clients_while_requests_go_on() {
    let server = Server::start("clients", &(HEAD.to_owned() + &client("a") + &client("c")));
    let mut kept: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for connection in &mut kept {
        assert_eq!(connection.answer_to(&token_request("a")).status, 200);
    }
    // Half of a request is there before the reload, and half of it comes after.
    let request = token_request("b");
    let (first, second) = request.split_at(30);
    kept[0].send(first);
    let lines =
        server.reload(&(HEAD.to_owned() + &client("b") + &client("c").replace("name = \"c\"", "name = \"C\"")));
    assert_eq!(lines, ["reload: clients: added b; removed a; changed c", DONE]);
    kept[0].send(second);
    assert_eq!(kept[0].answer(false).status, 200);
    for connection in &mut kept {
        assert_eq!(connection.answer_to(&token_request("a")).status, 400);
        assert_eq!(connection.answer_to(&token_request("b")).status, 200);
    }
    assert_eq!((server.token("a").status, server.token("b").status, server.token("c").status), (400, 200, 200));
}

#[test]
fn a_reload_of_a_bad_file_changes_nothing_and_logs_its_line() {
    let text = HEAD.to_owned() + &client("a");
    let server = Server::start("unsound", &text);
    let shown = server.file.display().to_string();
    let check = |changed: &str, words: &str| {
        let lines = server.reload(changed);
        assert_eq!((lines.len(), &*lines[1]), (2, FAILED), "{lines:?}");
        assert!(lines[0].starts_with(&format!("reload: {shown}: {words}")), "{lines:?}");
        assert!(!lines[0].contains("hunter2"), "{lines:?}");
        assert_eq!((server.token("a").status, server.token("b").status), (200, 400), "{words}");
    };
    let other = HEAD.to_owned() + &client("b");
    check(&other.replace("port = 0", "prot = 0"), "line 3: unknown key prot in [listen]");
    check(&other.replace("secret_digest = \"sha256:ba", "secret = \"hunter2"), "line 11: secret: ");
    check(
        &other.replace("secret_digest = \"sha256:ba", "secret_digest = \"hunter2"),
        "line 11: secret_digest: ",
    );
    check(
        &other.replace("[scopes]", "[lifetimes]\ncode = 601\n[scopes]"),
        "line 5: the limit lifetimes.code must be",
    );
    check(
        &other.replace("[scopes]", "[limits]\nfields_max = 257\n[scopes]"),
        "line 5: the limit fields_max must be",
    );
    std::fs::remove_file(&server.file).unwrap();
    server.signal("-HUP");
    let lines = server.reload_lines();
    assert!(lines[0].contains(&format!("cannot read --config {shown}")) && lines[1] == FAILED, "{lines:?}");
    assert_eq!(server.reload(&other), ["reload: clients: added b; removed a", DONE]);
    assert_eq!((server.token("a").status, server.token("b").status), (400, 200));
}

#[test]
fn a_file_that_says_the_same_changes_nothing_and_says_so() {
    let text = HEAD.to_owned() + &client("a");
    let server = Server::start("same", &text);
    assert_eq!(server.reload(&text), ["reload: done; nothing has changed"]);
    assert_eq!(server.token("a").status, 200);
}

#[test]
fn changed_lifetimes_hold_for_new_tokens() {
    let text = |seconds: u32| format!("{HEAD}[lifetimes]\naccess_token = {seconds}\n{}", client("a"));
    let server = Server::start("lifetimes", &text(3600));
    assert!(server.token("a").text().contains("\"expires_in\":3600,"));
    assert_eq!(server.reload(&text(60)), ["reload: lifetimes: access_token 60 s, was 3600 s", DONE]);
    assert!(server.token("a").text().contains("\"expires_in\":60,"));
}

#[test]
fn changed_limits_apply_to_new_connections_only() {
    let text = HEAD.to_owned() + &client("a");
    let server = Server::start("limits", &text);
    let mut old = server.connect();
    assert_eq!(old.answer_to(&token_request("a")).status, 200);
    let lines = server.reload(&format!("{text}[limits]\nbody_bytes_max = 10\n"));
    assert_eq!(lines, ["reload: limits: body_bytes_max 10, was 65536", DONE]);
    assert_eq!((server.token("a").status, old.answer_to(&token_request("a")).status), (413, 200));
}

#[test]
fn a_new_bound_on_connections_counts_those_that_are_open() {
    for (key, was) in [("peer_connections_max", 200), ("connections_max", 300)] {
        let text = HEAD.to_owned() + &client("a");
        let limits = "[limits]\npeer_connections_max = 200\nconnections_max = 300\n";
        let server = Server::start_with(program(), key, &(text.clone() + limits), &["--workers", "1"]);
        let mut open: Vec<Client> = (0..2).map(|_| server.connect()).collect();
        open.iter_mut()
            .for_each(|connection| assert_eq!(connection.answer_to(&token_request("a")).status, 200));
        let lines = server.reload(&(text + &limits.replace(&format!("{key} = {was}"), &format!("{key} = 2"))));
        assert_eq!(lines, [&format!("reload: limits: {key} 2, was {was}"), DONE]);
        assert_eq!(server.token("a").status, 200);
        assert!(open[0].rest().is_empty(), "the one that was idle for longest made room");
        assert_eq!(open[1].answer_to(&token_request("a")).status, 200);
    }
}

/// Of 200 descriptors, 200 - 64 - 4 are for connections of one worker.
#[cfg(target_os = "linux")]
#[test]
fn a_reloaded_connection_bound_fits_the_descriptors() {
    let mut command = with_hang_up("sh");
    command.args(["-c", "ulimit -n 200; exec \"$0\" \"$@\"", PROGRAM]);
    let text = HEAD.to_owned() + &client("a");
    let server = Server::start_with(command, "descriptors", &text, &["--workers", "1"]);
    let bounded = |wanted: usize| {
        format!(
            "reload: connections_max is lowered from {wanted} to 116: the process may have 200 open files; raise that \
             limit (ulimit -Hn, or LimitNOFILE= in a systemd unit)"
        )
    };
    assert_eq!(server.reload(&text), [&bounded(16_000), "reload: done; nothing has changed"]);
    let with = |max: usize| format!("{text}[limits]\nconnections_max = {max}\n");
    assert_eq!(server.reload(&with(9)), ["reload: limits: connections_max 9, was 116", DONE]);
    let lines = server.reload(&with(500));
    assert_eq!(lines, [&bounded(500), "reload: limits: connections_max 116, was 9", DONE]);
    assert_eq!(server.token("a").status, 200);
}

#[test]
fn of_many_reloads_each_has_all_of_its_lines() {
    let server = Server::start("many", &(HEAD.to_owned() + &client("a")));
    for number in 0..15 {
        let lifetimes = format!("[lifetimes]\naccess_token = {}\n", 100 + number);
        let lines = server.reload(&(HEAD.to_owned() + &lifetimes + &client("a")));
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (2, Some(DONE)), "{number}: {lines:?}");
    }
}

#[test]
fn a_reload_names_each_key_that_needs_a_restart() {
    let text = HEAD.to_owned() + &client("a");
    let server = Server::start("restart", &text);
    let changed = text
        .replace("auth.example", "other.example")
        .replace("port = 0", "port = 4001\naddress = \"127.0.0.1\"\nworkers = 5\nlog = \"json\"")
        .replace(
            "[scopes]",
            "[limits]\ngrants_max = 9\n[store]\nlocation = \"redis://ada:hunter2@h:1\"\n[scopes]",
        );
    let lines = server.reload(&(changed + &client("b")));
    assert_eq!(
        lines,
        [
            "reload: clients: added b",
            "reload: [limits] grants_max needs a restart: running 1000000, configured 9",
            "reload: issuer needs a restart: running https://auth.example, configured https://other.example",
            "reload: [listen] address needs a restart: running 127.0.0.1 and ::1, configured 127.0.0.1",
            "reload: [listen] port needs a restart: running 0, configured 4001",
            // The flag --workers 2 overrides the file, as it did at startup.
            "reload: [listen] log needs a restart: running none, configured json",
            "reload: [store] location needs a restart: running memory, configured redis://h:1",
            DONE,
        ]
    );
    assert_eq!(server.token("b").status, 200);
    let lines = server.reload(&text.replace("port = 0", "port = 4001"));
    let restart = "reload: [listen] port needs a restart: running 0, configured 4001";
    assert_eq!(lines, ["reload: clients: removed b", restart, DONE]);
    let lines = server.reload(&text.replace("port = 0", "port = 4001"));
    assert_eq!(lines, [restart, "reload: done; nothing changes before a restart"]);
}

#[test]
fn several_signals_in_a_row_come_to_the_last_file() {
    let server = Server::start("row", &(HEAD.to_owned() + &client("a")));
    for number in 0..20 {
        std::fs::write(&server.file, HEAD.to_owned() + &client(&format!("c{number}"))).unwrap();
        server.signal("-HUP");
    }
    // At the latest the reload after the one that was under way has read it.
    while server.token("c19").status != 200 {
        server.reload_lines();
    }
    assert_eq!(server.token("a").status, 400);
    server.signal("-TERM");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_pipe_that_was_read_once_is_not_read_again() {
    let mut command = program();
    command.args(["--config", "/dev/stdin"]);
    // The file is written before the program starts to read; it is far smaller than a pipe holds.
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all((HEAD.to_owned() + &client("a")).as_bytes()).unwrap();
    drop(writer);
    command.stdin(reader);
    let server = Server::run(command, PathBuf::new());
    server.signal("-HUP");
    let lines = server.reload_lines();
    assert!(lines[0].contains("--config /dev/stdin is not a regular file and cannot be reloaded"), "{lines:?}");
    assert_eq!((&*lines[1], server.token("a").status), (FAILED, 200));
}

/// A connection with half a request that the server has read, with a whole one before it.
fn half_a_request(server: &Server) -> Client {
    let mut connection = server.connect();
    connection.send(&(token_request("a") + "GET / HT"));
    connection.answer(false);
    connection
}

fn wait_for_the_end_to_begin(server: &Server) {
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", server.port)).is_ok() {
        assert!(begin.elapsed() < PATIENCE, "the end begins");
    }
}

#[test]
fn while_the_server_finishes_a_hang_up_is_ignored() {
    let server =
        Server::start_with(program(), "finish", &(HEAD.to_owned() + &client("a")), &["--workers", "1"]);
    std::fs::write(&server.file, "This is not TOML.").unwrap();
    let mut connection = half_a_request(&server);
    server.signal("-TERM");
    wait_for_the_end_to_begin(&server);
    server.signal("-HUP");
    server.signal("-HUP");
    assert_eq!(connection.answer_to("TP/1.1\r\nHost: h\r\n\r\n").status, 200);
    let (status, lines) = server.wait();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("reload: ")), "{lines:?}");
}

#[test]
fn without_a_file_sighup_ends_the_server_like_any_signal() {
    let mut command = program();
    command.args(["--client-port", "0", "--auth-port", "0"]);
    let server = Server::run(command, PathBuf::new());
    let mut connection = half_a_request(&server);
    server.signal("-HUP");
    wait_for_the_end_to_begin(&server);
    assert_eq!(connection.answer_to("TP/1.1\r\nHost: h\r\n\r\n").status, 200);
    assert_eq!(server.wait().0.code(), Some(0));
}

/// Whether SIGHUP is ignored at startup can be learnt only on Linux.
#[cfg(target_os = "linux")]
#[test]
fn a_server_started_with_sighup_ignored_goes_on_ignoring_it() {
    let mut command = program_that_ignores_hang_up();
    command.args(["--client-port", "0", "--auth-port", "0"]);
    let demo = Server::run(command, PathBuf::new());
    let text = HEAD.to_owned() + &client("a");
    let configured = Server::start_with(program_that_ignores_hang_up(), "nohup", &text, &[]);
    for (server, is_told) in [(demo, false), (configured, true)] {
        let mut connection = half_a_request(&server);
        server.signal("-HUP");
        // Were SIGHUP the first signal of the end, this were the second, and the exit status 130.
        server.signal("-TERM");
        wait_for_the_end_to_begin(&server);
        assert_eq!(connection.answer_to("TP/1.1\r\nHost: h\r\n\r\n").status, 200);
        let (status, lines) = server.wait();
        assert_eq!(status.code(), Some(0), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("reload: ")), "{lines:?}");
        let told = lines.iter().any(|line| line.starts_with("SIGHUP was ignored when the server started"));
        assert_eq!(told, is_told, "{lines:?}");
    }
}
