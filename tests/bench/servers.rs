//! The servers that are compared: started on the first core, measured, and killed when dropped.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::{self, Target, Work};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_oauth-from-scratch");

/// A running server, until it is dropped.
pub struct Server {
    child: Child,
    pub target: Target,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs on these cores alone (`taskset`, from util-linux), where the machine has more than one.
pub fn pinned(cores: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(program);
    command
}

/// Lets this program run on these cores, whatever it ran on before.
pub fn move_to(cores: &str) -> io::Result<()> {
    let own = std::process::id().to_string();
    let status = Command::new("taskset").args(["-p", "-c", cores, &own]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("taskset failed")) }
}

/// This server, with a token in hand.
pub fn own(cores: &str, words: &[&str]) -> io::Result<Server> {
    with_token(own_unasked(cores, words)?)
}

/// The same server, with a token in hand.
pub fn with_token(mut server: Server) -> io::Result<Server> {
    renew_token(&mut server)?;
    Ok(server)
}

/// Gets a new token for it.
pub fn renew_token(server: &mut Server) -> io::Result<()> {
    let flow = load::collect(&server.target, Work::Flow)?;
    server.target.token = load::check(Work::Flow, 1, &flow[1]).expect("a token");
    Ok(())
}

/// The instructions that this server runs from start to end with that many `GET /secure`, as callgrind counts.
pub fn instructions(requests: u64) -> io::Result<u64> {
    let mut command = Command::new("valgrind");
    let output = scratch("callgrind").join("out");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", output.display())).arg(PROGRAM);
    command.stderr(Stdio::piped());
    let mut server = started(command, &["--workers", "1"])?;
    let flow = load::collect(&server.target, Work::Flow)?;
    server.target.token = load::check(Work::Flow, 1, &flow[1]).expect("a token");
    let request = load::request(&server.target, Work::Secure, 0, "");
    let mut socket = TcpStream::connect(server.target.address)?;
    let mut answer = [0; 1024];
    for _ in 0..requests {
        socket.write_all(request.as_bytes())?;
        if !socket.read(&mut answer).is_ok_and(|count| answer[..count].starts_with(b"HTTP/1.1 200")) {
            return Err(io::Error::other("a request was not answered"));
        }
    }
    drop(socket);
    let text = server.finish()?;
    let line = text.lines().find_map(|line| line.split_once("Collected : "));
    line.and_then(|(_, figure)| figure.trim().parse().ok()).ok_or_else(|| io::Error::other(text.clone()))
}

/// This server, release build, as it comes up.
pub fn own_unasked(cores: &str, words: &[&str]) -> io::Result<Server> {
    build(cores, PROGRAM, words)
}

/// The same, with its log to be read in the end.
#[cfg(all(feature = "file-store", feature = "redis-store"))]
pub fn own_heard(cores: &str, words: &[&str]) -> io::Result<Server> {
    let mut command = pinned(cores, PROGRAM);
    command.stderr(Stdio::piped());
    started(command, words)
}

/// The build of this server that lies at `program`, as it comes up.
pub fn build(cores: &str, program: &str, words: &[&str]) -> io::Result<Server> {
    let mut command = pinned(cores, program);
    command.stderr(Stdio::null());
    started(command, words)
}

/// This server, run by `command`, when it has said where it listens.
fn started(mut command: Command, words: &[&str]) -> io::Result<Server> {
    // What is measured is a server without the wire view of the demo, unless it is asked for. Another build may not
    // know the flag.
    let is_own = command.get_args().any(|word| word == PROGRAM);
    command.args(["--client-port", "0", "--auth-port", "0"]).args(words);
    if is_own && !words.contains(&"--wire") {
        command.arg("--no-wire");
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut address = || {
        let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        Ok::<String, io::Error>(line.rsplit(' ').next().unwrap_or_default().to_owned())
    };
    let (client_app, issuer) = (address()?, address()?);
    let port: u16 = issuer.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let redirect_uri = format!("{client_app}/oauth-callback.html");
    Ok(Server { child, target: Target { redirect_uri, ..target(port) } })
}

/// The floor, with these answers to give.
pub fn floor(cores: &str, answers: &[Vec<u8>], token: &str) -> io::Result<Server> {
    let mut command = pinned(cores, std::env::current_exe()?);
    let mut child = command.arg("--floor").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().expect("a pipe").write_all(&join(answers))?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line)?;
    let mut target = target(line.trim().parse().expect("a port"));
    target.token = token.to_owned();
    Ok(Server { child, target })
}

/// `answers` as the floor reads them: each after its length in decimal and a line end.
fn join(answers: &[Vec<u8>]) -> Vec<u8> {
    let mut input = Vec::new();
    for answer in answers {
        input.extend_from_slice(format!("{}\n", answer.len()).as_bytes());
        input.extend_from_slice(answer);
    }
    input
}

/// nginx, where it is installed, giving the same answers from its configuration; it has no codes or tokens,
/// so it takes no part in the flow.
pub fn nginx(cores: &str, answers: &[Vec<u8>], dialog: &[Vec<u8>], token: &str) -> Option<Server> {
    let folder = scratch("nginx");
    let body = |answer: &[u8]| {
        let head = memchr::memmem::find(answer, b"\r\n\r\n").map_or(0, |end| end + 4);
        answer[head..].to_vec()
    };
    fs::write(folder.join("oauth-dialog.html"), body(&dialog[0])).ok()?;
    let secret = String::from_utf8(body(&answers[0])).ok()?;
    let port = free_port();
    let folder_name = folder.display();
    let configuration = format!(
        "worker_processes 1; daemon off; master_process off; pid {folder_name}/pid; error_log /dev/null;\n\
         events {{ worker_connections 20000; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; tcp_nodelay on; open_file_cache max=16;\n\
         types {{ text/html html; }}\n\
         client_body_temp_path {folder_name}; proxy_temp_path {folder_name}; fastcgi_temp_path {folder_name};\n\
         uwsgi_temp_path {folder_name}; scgi_temp_path {folder_name};\n\
         server {{ listen 127.0.0.1:{port}; root {folder_name};\n\
         add_header Cache-Control no-store; add_header Access-Control-Allow-Origin *;\n\
         location = /token {{ default_type application/json; return 400 '{{\"message\":\"Invalid auth token\"}}'; }}\n\
         location = /secure {{ default_type application/json;\n\
         if ($http_authorization != '{token}') {{ return 403 '{{\"message\":\"Unauthorized\"}}'; }}\n\
         return 200 '{secret}'; }} }} }}\n"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, configuration).ok()?;
    let mut command = pinned(cores, "nginx");
    command.arg("-c").arg(&path).stderr(Stdio::null());
    answering(command, port, token)
}

/// Node with Express, as the article has it, where `NODE_PATH` leads to an express.
pub fn express(cores: &str, dialog: &[Vec<u8>]) -> Option<Server> {
    let folder = scratch("express");
    let head = memchr::memmem::find(&dialog[0], b"\r\n\r\n")? + 4;
    fs::write(folder.join("oauth-dialog.html"), &dialog[0][head..]).ok()?;
    let port = free_port();
    let script = format!(
        "const express = require('express'), crypto = require('crypto');\n\
         const app = express(), codes = new Set(), tokens = new Set();\n\
         app.use(express.static({:?}));\n\
         app.post('/code', (req, res) => {{ const code = crypto.randomBytes(48).toString('base64url');\n\
           codes.add(code); res.redirect('http://localhost:3000/oauth-callback.html?code=' + code); }});\n\
         app.post('/token', express.json(), (req, res) => {{ const code = req.body.code;\n\
           res.set('Access-Control-Allow-Origin', '*');\n\
           if (!codes.delete(code)) return res.status(400).json({{ message: 'Invalid auth token' }});\n\
           const token = crypto.randomBytes(48).toString('base64url'); tokens.add(token);\n\
           res.json({{ access_token: token, expires_in: 86400 }}); }});\n\
         app.get('/secure', (req, res) => {{ res.set('Access-Control-Allow-Origin', '*');\n\
           if (!tokens.has(req.get('Authorization'))) return res.status(403).json({{ message: 'Unauthorized' }});\n\
           res.json({{ answer: 42 }}); }});\n\
         app.listen({port}, '127.0.0.1');\n",
        folder.to_str()?
    );
    let path = folder.join("server.js");
    fs::write(&path, script).ok()?;
    let mut command = pinned(cores, "node");
    command.arg(&path).env("NODE_ENV", "production").stderr(Stdio::null());
    let mut server = answering(command, port, "")?;
    let flow = load::collect(&server.target, Work::Flow).ok()?;
    server.target.token = load::check(Work::Flow, 1, &flow[1])?;
    Some(server)
}

/// Starts a server that listens on `port`; `None` when it isn't installed or does not come up.
fn answering(mut command: Command, port: u16, token: &str) -> Option<Server> {
    let child = command.spawn().ok()?;
    let mut server = Server { child, target: Target { token: token.to_owned(), ..target(port) } };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        if TcpStream::connect(server.target.address).is_ok() {
            return Some(server);
        }
        if server.child.try_wait().ok()?.is_some() {
            return None;
        }
        std::thread::yield_now();
    }
    None
}

fn target(port: u16) -> Target {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Target { address, host: format!("localhost:{port}"), token: String::new(), redirect_uri: String::new() }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// An empty folder of this run's own, in cargo's folder for such things.
pub fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}

/// A server that gets so much of a core and no more, until this is dropped.
#[cfg(all(feature = "file-store", feature = "redis-store"))]
pub struct Held(PathBuf);

#[cfg(all(feature = "file-store", feature = "redis-store"))]
impl Held {
    /// Holds `server` to this share of a core, where the system lets us (control groups, version 1 or 2).
    pub fn to(server: &Server, share: f64) -> io::Result<Held> {
        const PERIOD: u64 = 20_000;
        let quota = (PERIOD as f64 * share) as u64;
        let name = format!("oauth-bench-{}", server.child.id());
        let (first, second) =
            (Path::new("/sys/fs/cgroup/cpu").join(&name), Path::new("/sys/fs/cgroup").join(&name));
        let held = match fs::create_dir(&first) {
            Ok(()) => {
                let held = Held(first);
                fs::write(held.0.join("cpu.cfs_period_us"), PERIOD.to_string())?;
                fs::write(held.0.join("cpu.cfs_quota_us"), quota.to_string())?;
                held
            }
            Err(_) => {
                fs::create_dir(&second)?;
                let held = Held(second);
                fs::write(held.0.join("cpu.max"), format!("{quota} {PERIOD}"))?;
                held
            }
        };
        fs::write(held.0.join("cgroup.procs"), server.child.id().to_string())?;
        Ok(held)
    }
}

#[cfg(all(feature = "file-store", feature = "redis-store"))]
impl Drop for Held {
    fn drop(&mut self) {
        // It is empty once its server is gone or moved; what is left is an empty folder of the system's.
        let processes = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        let root = self.0.parent().unwrap_or(Path::new("/sys/fs/cgroup")).join("cgroup.procs");
        processes.lines().for_each(|process| drop(fs::write(&root, process)));
        let _ = fs::remove_dir(&self.0);
    }
}

/// The CPU time of each thread of a process.
pub fn cpu_of(process: u32) -> Vec<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = threads.map(|thread| thread.path()).collect();
    paths.sort();
    let cpu = |path: &PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|figure| figure.parse::<u64>().ok()).unwrap_or(0)
    };
    paths.iter().map(|path| Duration::from_nanos(cpu(path))).collect()
}

impl Server {
    /// Lets the server end in order, and gives its log.
    pub fn finish(mut self) -> io::Result<String> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let mut log = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut log)?;
        }
        Ok(log)
    }

    /// The CPU time that all of the server's threads have had, user and system together (schedstat of proc(5):
    /// in nanoseconds).
    pub fn cpu(&self) -> Duration {
        self.cpu_by_thread().iter().sum()
    }

    /// The same for each thread, in the order in which they were started.
    pub fn cpu_by_thread(&self) -> Vec<Duration> {
        cpu_of(self.child.id())
    }

    /// The server's resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    }
}
