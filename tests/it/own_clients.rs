//! The clients of `docs/clients`, as a reader runs them: the page about them shows each one whole, and each gets its
//! answer from a server that is configured by the file beside them. Only the ports are others.
//!
//! What is not installed is skipped, and says so; with `CLIENTS_REQUIRED` set, as in CI, it fails.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::browser::start_or_skip;
use crate::support::documents::{files_shown_whole, root};
#[cfg(unix)]
use crate::support::program::PROGRAM;
use crate::support::standard::decide;
use crate::support::{TestServer, stage};

const PAGE: &str = "docs/try-your-own-client.md";
const FOLDER: &str = "docs/clients";

/// Longer than anything takes, so that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

fn read(file: &str) -> String {
    fs::read_to_string(root().join(FOLDER).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A server that is configured by `clients.toml`, on free ports; `changes` are made in the file's text first.
fn start(changes: &[(&str, &str)]) -> TestServer {
    let mut text = read("clients.toml");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let configured = oauth_from_scratch::config::read(&text, 1).expect("a sound file");
    TestServer::start_with(|config| {
        *config = configured;
        (config.client_port, config.auth_port, config.issuer) = (Some(0), 0, None);
    })
}

/// A folder of a test's own, until it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(parent: &Path) -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("own-clients-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }

    /// Puts `file` there, for `server`, with `changes` in its text; gives its path.
    fn put(&self, file: &str, server: &TestServer, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = read(file).replace("localhost:3001", &server.host());
        for (from, to) in changes {
            text = text.replace(from, to);
        }
        let path = self.0.join(file);
        fs::write(&path, text).expect("a file can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A client that runs, until it is dropped.
struct App {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl App {
    fn start(command: &mut Command) -> App {
        // It opens no browser, and asks no proxy.
        command.env("BROWSER", "true").env("NO_PROXY", "*");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        App { process, output }
    }

    /// The address that it asks the user to open; `None` if it ends without one.
    fn address(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().strip_prefix("Open ").map(str::to_owned)
    }

    /// The rest of what it says, and whether it ended well.
    fn end(mut self) -> (bool, String) {
        let mut text = String::new();
        drop(self.process.stdin.take());
        self.output.read_to_string(&mut text).expect("text");
        self.process.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
        (self.process.wait().expect("it has ended").success(), text)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a GET of `url` with these field lines, as the browser does, and gives all of the answer.
fn get(url: &str, fields: &str) -> String {
    send("GET", url, fields)
}

/// Sends an empty form.
fn post(url: &str, fields: &str) -> String {
    send("POST", url, &format!("{fields}Content-Length: 0\r\n"))
}

fn send(method: &str, url: &str, fields: &str) -> String {
    let (authority, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let mut socket = TcpStream::connect(authority).expect("the app listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    let head = format!("{method} /{path} HTTP/1.1\r\nHost: {authority}\r\n{fields}Connection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).expect("the app reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("the app answers in time");
    answer
}

/// The value of the field `name` of `answer`.
pub fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("{name}: {answer}")).1
}

fn query(url: &str) -> &str {
    url.split_once('?').unwrap_or_else(|| panic!("a query: {url}")).1
}

/// Whether `program` is installed. If not, says that `test` is skipped, or fails where it is required.
pub fn is_installed(test: &str, program: &str) -> bool {
    // Some do not have the flag; then they end with an error of their own.
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    if output.is_err() {
        let is_required = std::env::var_os("CLIENTS_REQUIRED").is_some();
        assert!(!is_required, "{program} is not installed, and is required");
        let _ = writeln!(std::io::stderr(), "{test}: skipped: {program} is not installed");
    }
    output.is_ok()
}

/// Runs the command-line app `command`, decides for its user, and comes back to it with the answer; and once more with
/// the answer to another request, which it must refuse.
fn check_command_line_app(server: &TestServer, mut command: impl FnMut() -> Command) {
    let mut app = App::start(&mut command());
    let url = app.address().expect("an address to open");
    let location = decide(server, query(&url), "authorize");
    assert!(location.starts_with("http://127.0.0.1:"), "{location}");
    get(&location, "");
    let (is_well, said) = app.end();
    assert!(is_well && said.contains("The secret answer is 42"), "{said}");

    let mut app = App::start(&mut command());
    let url = app.address().expect("an address to open");
    let location = decide(server, query(&url), "authorize");
    let begin = location.find("state=").expect("a state") + "state=".len();
    let forged = format!("{}forged{}", &location[..begin], &location[begin..]);
    get(&forged, "");
    let (is_well, said) = app.end();
    assert!(!is_well && said.contains("his is not the answer to this request"), "{said}");
}

#[test]
fn the_page_shows_every_client_whole() {
    assert!(files_shown_whole(PAGE, FOLDER) >= 8, "the clients are found");
}

/// The script of the section "In CI", with something else in place of the build and the reader's tests.
#[test]
#[cfg(unix)]
fn the_script_for_ci_starts_a_server_and_ends_it() {
    let page = fs::read_to_string(root().join(PAGE)).expect("the page");
    let (_, section) = page.split_once("\n## In CI\n").expect("the section");
    let (script, _) =
        section.split_once("```sh\n").and_then(|(_, rest)| rest.split_once("```")).expect("a script");
    let changes = [
        ("cargo build --release", "set -eu"),
        ("target/release/oauth-from-scratch", PROGRAM),
        ("npm test", "echo \"tests of $ISSUER\"; cat ready.json"),
    ];
    let mut script = script.to_owned();
    for (from, to) in changes {
        assert!(script.contains(from), "{from}");
        script = script.replace(from, to);
    }
    let folder = Folder::new(&std::env::temp_dir());
    let lines = |line: &&str| !line.starts_with("issuer = ") && !line.starts_with("client_app_port = ");
    let (text, all) = (read("clients.toml"), read("clients.toml").lines().count());
    let left: Vec<&str> = text.lines().filter(lines).collect();
    assert_eq!(left.len(), all - 2, "the two lines that the page names");
    fs::write(folder.0.join("auth.toml"), left.join("\n")).expect("a file can be written");
    let output = Command::new("sh").args(["-c", &script]).current_dir(&folder.0).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    // The server says where it listens, too.
    let line = |prefix: &str| said.lines().find(|line| line.starts_with(prefix)).unwrap_or_default();
    let issuer = line("tests of ").trim_start_matches("tests of ");
    let ready: serde_json::Value = serde_json::from_str(line("{")).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!((&ready["issuer"], output.status.success()), (&issuer.into(), true), "{output:?}");
    assert_eq!(ready["client_app"], serde_json::Value::Null, "a client must name itself");
}

#[test]
fn the_flow_by_hand_goes_to_the_answer() {
    const TEST: &str = "the_flow_by_hand_goes_to_the_answer";
    if !["bash", "curl", "openssl"].iter().all(|program| is_installed(TEST, program)) {
        return;
    }
    let (server, folder) = (start(&[]), Folder::new(&std::env::temp_dir()));
    let script = folder.put("by-hand.sh", &server, &[]);
    let run = |change: fn(String) -> String| {
        let mut app = App::start(Command::new("bash").arg(&script));
        let url = app.address().expect("an address to open");
        let pasted = change(decide(&server, query(&url), "authorize"));
        writeln!(app.process.stdin.as_mut().expect("a pipe"), "{pasted}").expect("the script reads");
        app.end()
    };
    let (is_well, said) = run(|location| location);
    assert!(is_well && said.contains("{\"answer\":42}"), "{said}");
    let (is_well, said) = run(|location| location.replace("state=", "state=forged"));
    assert!(!is_well && said.contains("That is not the answer"), "{said}");
}

#[test]
fn the_command_line_app_in_python_goes_to_the_answer() {
    if !is_installed("the_command_line_app_in_python_goes_to_the_answer", "python3") {
        return;
    }
    let (server, folder) = (start(&[]), Folder::new(&std::env::temp_dir()));
    let script = folder.put("command-line-app.py", &server, &[]);
    check_command_line_app(&server, || {
        let mut command = Command::new("python3");
        command.arg(&script);
        command
    });
}

#[test]
fn the_command_line_app_in_rust_goes_to_the_answer() {
    let server = start(&[]);
    let program = stage::example_of("command-line-app", &root().join(FOLDER));
    check_command_line_app(&server, || {
        let mut command = Command::new(&program);
        command.arg(format!("http://{}", server.host()));
        command
    });
}

#[test]
fn the_command_line_app_in_go_goes_to_the_answer() {
    if !is_installed("the_command_line_app_in_go_goes_to_the_answer", "go") {
        return;
    }
    let (server, folder) = (start(&[]), Folder::new(&std::env::temp_dir()));
    let source = folder.put("command-line-app.go", &server, &[]);
    let program = folder.0.join("command-line-app");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(&source).status();
    assert!(built.expect("go runs").success(), "it builds");
    check_command_line_app(&server, || Command::new(&program));
}

#[test]
fn the_server_app_in_node_goes_to_the_answer() {
    const TEST: &str = "the_server_app_in_node_goes_to_the_answer";
    let library = root().join("target/clients");
    if !library.join("node_modules/oauth4webapi").is_dir() {
        let words = "oauth4webapi is not installed in target/clients; .ci/run installs it";
        assert!(std::env::var_os("CLIENTS_REQUIRED").is_none(), "{words}");
        let _ = writeln!(std::io::stderr(), "{TEST}: skipped: {words}");
        return;
    }
    let (server, app) = start_server_app("server-app.mjs", "node", &library);

    let begun = get(&app.address, "");
    let cookie = field(&begun, "set-cookie").split(';').next().expect("a pair");
    let location = decide(&server, query(field(&begun, "location")), "authorize");
    let stranger = get(&location, "Cookie: flow=another\r\n");
    assert!(stranger.contains("this browser has begun no flow"), "{stranger}");
    let answer = get(&location, &format!("Cookie: a=b; {cookie}\r\n"));
    assert!(answer.contains("The secret answer is 42"), "{answer}");
    let again = get(&location, &format!("Cookie: {cookie}\r\n"));
    assert!(again.contains("this browser has begun no flow"), "{again}");
}

/// A server app that runs, with its files.
struct ServerApp {
    /// Of its first page.
    address: String,
    _app: App,
    _folder: Folder,
}

/// Starts `file` by `program`, in a folder below `parent`, with a server that knows its port.
fn start_server_app(file: &str, program: &str, parent: &Path) -> (TestServer, ServerApp) {
    /// How often it is started: another program may take its port first.
    const ATTEMPTS: usize = 20;
    let started = (0..ATTEMPTS).find_map(|_| {
        let port =
            TcpListener::bind("localhost:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let authority = format!("localhost:{port}");
        let changes = [("localhost:8001", &*authority)];
        let (server, folder) = (start(&changes), Folder::new(parent));
        folder.put("server-app.json", &server, &changes);
        let mut app = App::start(Command::new(program).arg(folder.put(file, &server, &[])));
        let address = app.address()?;
        Some((server, ServerApp { address, _app: app, _folder: folder }))
    });
    started.expect("it starts")
}

#[test]
fn the_server_app_in_python_keeps_its_tokens_to_itself() {
    if !is_installed("the_server_app_in_python_keeps_its_tokens_to_itself", "python3") {
        return;
    }
    let (server, app) = start_server_app("server-app.py", "python3", &std::env::temp_dir());
    let cookie_of = |answer: &str| {
        let set = field(answer, "set-cookie");
        assert!(set.ends_with("; HttpOnly; SameSite=Lax; Path=/"), "{set}");
        format!("Cookie: a=b; {}\r\n", set.split(';').next().expect("a pair"))
    };
    let sign_in = || {
        let begun = get(&format!("{}sign-in", app.address), "");
        (cookie_of(&begun), decide(&server, query(field(&begun, "location")), "authorize"))
    };
    assert!(get(&app.address, "").contains("Sign in"), "no user is signed in");

    let (before, location) = sign_in();
    let stranger = get(&location, "Cookie: session=another\r\n");
    assert!(stranger.contains("this browser has begun no flow"), "{stranger}");
    let finished = get(&location, &before);
    let cookie = cookie_of(&finished);
    assert!(cookie != before && field(&finished, "location") == "/", "{finished}");
    let again = get(&location, &before);
    assert!(again.contains("this browser has begun no flow"), "{again}");
    let home = get(&app.address, &cookie);
    assert!(home.contains("The secret answer is 42"), "{home}");
    let old = get(&app.address, &before);
    assert!(old.contains("Sign in") && !old.contains("answer"), "the cookie from before: {old}");

    // The access token expires, and the app goes on with the next one.
    server.wait(Duration::from_secs(25 * 60 * 60));
    let home = get(&app.address, &cookie);
    assert!(home.contains("The secret answer is 42"), "{home}");

    let (cookie_of_forged, location) = sign_in();
    let forged = get(&location.replace("state=", "state=forged"), &cookie_of_forged);
    assert!(forged.contains("this is not the answer to this request"), "{forged}");

    let left = post(&format!("{}sign-out", app.address), &cookie);
    assert!(left.starts_with("HTTP/1.0 302"), "{left}");
    let home = get(&app.address, &cookie);
    assert!(home.contains("Sign in") && !home.contains("answer"), "{home}");
}

#[test]
fn the_browser_app_goes_to_the_answer() {
    let Some(browser) = start_or_skip("the_browser_app_goes_to_the_answer") else { return };
    let listener = TcpListener::bind("localhost:0").expect("a port");
    let authority = format!("localhost:{}", listener.local_addr().expect("an address").port());
    let server = start(&[("localhost:8000", &authority)]);
    let page = read("browser-app.html").replace("localhost:3001", &server.host());
    // Ends with the tests.
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { continue };
            let mut head = BufReader::new(&socket).lines().map_while(Result::ok);
            let _ = head.find(String::is_empty);
            let fields = "Content-Type: text/html\r\nConnection: close";
            let _ =
                write!(socket, "HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    let url = format!("http://{authority}/browser-app.html");
    let wait_for = |words: &str| {
        browser.wait_for(words, |browser| browser.text("[role=status]").contains(words).then_some(()));
    };
    browser.goto(&url);
    browser.click("button");
    browser.wait_for("the dialog", |browser| browser.url().contains("/authorize?").then_some(()));
    browser.click("#authorize");
    browser.wait_for("the callback", |browser| browser.url().starts_with(&url).then_some(()));
    wait_for("The secret answer is 42");
    assert_eq!(browser.url(), url, "the code has left the address");
    browser.goto(&format!("{url}?code=stolen&state=forged"));
    wait_for("this is not the answer to a request of this tab");
}
