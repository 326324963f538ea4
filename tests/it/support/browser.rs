//! A real browser, by the W3C WebDriver protocol: headless Chromium behind `chromedriver`.
//!
//! The protocol is JSON over HTTP/1.1 on loopback, one connection a command, so a few functions over
//! `TcpStream` speak as much of it as these tests need; a client library would bring an async runtime along.
//! Each browser has a driver, a profile and a port of its own, and all of them end with it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use super::app::App;

/// How long a command, or what a test waits for, may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often chromedriver is started. It takes a free port on IPv6 and then the same one on IPv4, where another test
/// may be using it; it ends if so.
const ATTEMPTS: usize = 20;

/// The key under which the protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window, until it is dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: PathBuf,
    app: Option<App>,
}

/// What is not installed.
#[derive(Debug)]
pub struct Missing(pub &'static str);

/// Starts a browser, or says what is missing. Where the environment has `BROWSER_REQUIRED`, as in CI, missing is
/// a failure; elsewhere the test that calls this says on the terminal that it was skipped.
pub fn start_or_skip(test: &str) -> Option<Browser> {
    start_with_or_skip(test, None)
}

/// The same with an app for `scheme` on its machine, which pages of these `origins` may open.
pub fn start_with_app_or_skip(test: &str, scheme: &'static str, origins: &[String]) -> Option<Browser> {
    start_with_or_skip(test, Some((scheme, origins)))
}

fn start_with_or_skip(test: &str, app: Option<(&'static str, &[String])>) -> Option<Browser> {
    match Browser::start(app) {
        Ok(browser) => Some(browser),
        Err(Missing(what)) => {
            assert!(std::env::var_os("BROWSER_REQUIRED").is_none(), "{what} is not installed, and is required");
            // Past the test runner's capture, which only `print!` and its kind go through.
            let _ = writeln!(io::stderr(), "{test}: skipped: {what} is not installed");
            None
        }
    }
}

impl Browser {
    fn start(app: Option<(&'static str, &[String])>) -> Result<Browser, Missing> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let chromium =
            installed(&["chromium", "chromium-browser", "google-chrome"]).ok_or(Missing("chromium"))?;
        installed(&["chromedriver"]).ok_or(Missing("chromedriver"))?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let profile = std::env::temp_dir().join(format!("oauth-from-scratch-{}-{number}", std::process::id()));
        let app = app.map(|(scheme, origins)| App::install(profile.with_extension("app"), scheme, origins));
        let mut command = Command::new("chromedriver");
        if let Some(app) = &app {
            command.env("PATH", app.search_path());
        }
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let (driver, port) = start_driver(&mut command);
        let mut browser = Browser { driver, port, session: String::new(), profile, app };
        browser.open_session(&chromium);
        Ok(browser)
    }

    fn open_session(&mut self, chromium: &str) {
        let profile = format!("--user-data-dir={}", self.profile.display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--window-size=1000,900",
            &profile,
        ];
        let preferences = self.app.as_ref().map_or(json!({}), App::preferences);
        let value = self.send(
            "POST",
            "/session",
            &json!({"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": chromium, "args": arguments, "prefs": preferences},
                "goog:loggingPrefs": {"browser": "ALL"},
            }}}),
        );
        self.session = value["sessionId"].as_str().expect("a session").to_owned();
    }

    /// A command of the session; its value.
    fn command(&self, method: &str, command: &str, parameters: &Value) -> Value {
        self.try_command(method, command, parameters)
            .unwrap_or_else(|error| panic!("{method} {command}: {error}"))
    }

    fn try_command(&self, method: &str, command: &str, parameters: &Value) -> Result<Value, String> {
        let value = self.send(method, &format!("/session/{}{command}", self.session), parameters);
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default())),
            None => Ok(value),
        }
    }

    fn send(&self, method: &str, path: &str, parameters: &Value) -> Value {
        let content = if method == "POST" { parameters.to_string() } else { String::new() };
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            content.len()
        );
        socket.write_all(format!("{head}{content}").as_bytes()).expect("chromedriver reads");
        let answer = read_content(socket);
        let json: Value = serde_json::from_slice(&answer).expect("chromedriver answers in JSON");
        json["value"].clone()
    }

    pub fn goto(&self, url: &str) {
        self.command("POST", "/url", &json!({"url": url}));
    }

    /// Goes back by one page. A script's `history.back()` will not do: the driver runs a script again if its page goes
    /// away meanwhile, and that is one page more.
    pub fn back(&self) {
        self.command("POST", "/back", &json!({}));
    }

    pub fn url(&self) -> String {
        self.command("GET", "/url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// What a script gives with `return`.
    pub fn execute(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    fn element(&self, css: &str) -> String {
        let found = self.command("POST", "/element", &json!({"using": "css selector", "value": css}));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// The text of the one element that `css` selects, as a person sees it.
    pub fn text(&self, css: &str) -> String {
        let element = self.element(css);
        self.command("GET", &format!("/element/{element}/text"), &Value::Null)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Clicks as a person does: on what can be seen. Chromium drops clicks on a page that it has not painted yet;
    /// an invisible frame is never painted.
    pub fn click(&self, css: &str) {
        let is_painted = "return window !== top || performance.getEntriesByType('paint').length > 0";
        self.wait_for("the first paint", |browser| (browser.execute(is_painted) == true).then_some(()));
        let element = self.element(css);
        self.command("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Presses a key, as WebDriver names it, wherever the focus is.
    pub fn press(&self, key: char) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let source = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.command("POST", "/actions", &json!({"actions": [source]}));
    }

    /// The windows there are; the first is the oldest.
    pub fn windows(&self) -> Vec<String> {
        let value = self.command("GET", "/window/handles", &Value::Null);
        value
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|handle| handle.as_str().map(str::to_owned))
            .collect()
    }

    pub fn switch_to(&self, window: &str) {
        self.command("POST", "/window", &json!({"handle": window}));
    }

    /// Closes the window, and waits for its end. Chromium may ignore a close while it changes from one site to another,
    /// and the driver does not ask again.
    pub fn close_window(&self) {
        let window = self.command("GET", "/window", &Value::Null);
        self.wait_for("the window's end", |browser| {
            // An error says that it is still open, or that it has ended meanwhile.
            let _ = browser.try_command("DELETE", "/window", &Value::Null);
            (!browser.windows().iter().any(|open| *open == window)).then_some(())
        });
    }

    /// What a command of the DevTools protocol gives.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.command("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Goes into the page's frame of this number.
    pub fn switch_to_frame(&self, number: usize) {
        self.command("POST", "/frame", &json!({"id": number}));
    }

    /// The window as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let value = self.command("GET", "/screenshot", &Value::Null);
        Base64::decode_vec(value.as_str().unwrap_or_default()).expect("a picture")
    }

    /// What the browser has written to its console since the last time.
    pub fn console(&self) -> Vec<String> {
        let value = self.command("POST", "/se/log", &json!({"type": "browser"}));
        value.as_array().expect("a list").iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// The addresses that its app was opened with so far.
    pub fn opened_in_app(&self) -> Vec<String> {
        self.app.as_ref().map(App::opened).unwrap_or_default()
    }

    /// Waits until `condition` gives something, and fails with `what` when it does not.
    pub fn wait_for<T>(&self, what: &str, condition: impl Fn(&Browser) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            if begin.elapsed() > PATIENCE {
                let page = self.try_command("GET", "/source", &Value::Null);
                panic!("{what} did not happen; the page is {page:?}");
            }
            // Each look is a command to the browser; this only keeps them from crowding out the page.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The window that opened beside `known`.
    pub fn wait_for_window_beside(&self, known: &str) -> String {
        self.wait_for("a second window", |browser| browser.windows().into_iter().find(|window| window != known))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending the session ends Chromium; a test that fails ends both, too.
        if !self.session.is_empty() && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            self.send("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// The first of `programs` that is in the search path.
fn installed(programs: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = programs.iter().flat_map(|program| folders.iter().map(move |folder| folder.join(program)));
    places.find(|place| place.is_file()).map(|place| place.to_string_lossy().into_owned())
}

/// A chromedriver that listens, and its port.
fn start_driver(command: &mut Command) -> (Child, u16) {
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let mut driver = command.spawn().expect("chromedriver starts");
        match read_port(&mut driver) {
            Ok(port) => return (driver, port),
            Err(words) => said = words,
        }
        driver.wait().expect("it has ended");
    }
    panic!("chromedriver ended {ATTEMPTS} times: {said}");
}

/// The port that chromedriver chose, as it says on its standard output; if it ends without one, what it said.
fn read_port(driver: &mut Child) -> Result<u16, String> {
    let mut lines = BufReader::new(driver.stdout.take().expect("a pipe"));
    let mut said = String::new();
    loop {
        let start = said.len();
        let count = lines.read_line(&mut said).expect("chromedriver says something");
        if count == 0 {
            return Err(said);
        }
        let line = said[start..].trim().trim_end_matches('.');
        if let Some((_, port)) = line.rsplit_once("started successfully on port ") {
            // Whatever else it says is read away, so that it never waits for a reader.
            std::thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
            return Ok(port.parse().expect("a port"));
        }
    }
}

/// The content of the one answer that comes on `socket`, by its Content-Length.
fn read_content(socket: TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("chromedriver answers in time");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut content = vec![0; length];
    reader.read_exact(&mut content).expect("the content is whole");
    content
}
