//! A Redis of the test's own: started on a free port, stopped, cut off, killed and started again.
//!
//! Where `redis-server` is not installed, tests that need one say so and pass, unless `ENGINE_REQUIRED` is set. So do
//! those that need one that knows WAITAOF, which came with Redis 7.2: that may be another program, which
//! `WAITAOF_ENGINE` names.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oauth_from_scratch::store::redis::{Options, Safety};
use oauth_from_scratch::store::{Bounds, KeyPrefix};

use super::stores::{CODE_LIFETIME, Folder};
use super::wait_until;

/// The program of an engine, unless a test needs another one.
const REDIS: &str = "redis-server";

/// Longer than any start or reconfiguration takes.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often an engine is started on another port, because the one that was free has been taken meanwhile.
const ATTEMPTS: usize = 20;

/// Whether there is a `redis-server` for `test`.
///
/// # Panics
/// When there is none and there must be.
pub fn is_installed(test: &str) -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    let is_installed = found.is_ok_and(|status| status.success());
    if !is_installed {
        assert!(std::env::var_os("ENGINE_REQUIRED").is_none(), "redis-server is not installed, and it must be");
        say_skipped(test, "redis-server is not installed");
    }
    is_installed
}

/// The engine that knows WAITAOF, if there is one for `test`: a `valkey-server` or a new `redis-server`.
///
/// # Panics
/// When there is none and there must be.
pub fn program_with_waitaof(test: &str) -> Option<String> {
    let named = std::env::var("WAITAOF_ENGINE").ok();
    let mut programs = named.into_iter().chain(["valkey-server", "redis-server"].map(str::to_owned));
    let found = programs.find(|program| version_of(program) >= Some((7, 2)));
    if found.is_none() {
        assert!(std::env::var_os("ENGINE_REQUIRED").is_none(), "no engine here knows WAITAOF, and one must");
        say_skipped(test, "no engine here knows WAITAOF (Redis 7.2)");
    }
    found
}

/// Its version, as in `v=7.0.15`.
fn version_of(program: &str) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// How a server uses the engine that it has to itself.
pub fn options(safety: Safety, bounds: Bounds) -> Options {
    Options {
        key_prefix: KeyPrefix::parse("oauth").expect("a prefix"),
        safety,
        bounds,
        lifetime_min: CODE_LIFETIME,
        old_key_lifetime: Duration::from_secs(600),
        // Tests count what is said to the engine.
        check_interval: Duration::from_secs(3600),
    }
}

/// Says that `test` has tested nothing: past the test runner's capture, which only `print!` and its kind go through.
pub fn say_skipped(test: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "{test}: skipped: {reason}");
}

/// A port on which no program listens at the moment. It is below those that the system gives out by itself, so that no
/// connection takes it before it is used, or while its engine is being started again.
pub fn free_port() -> u16 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Processes that test at the same time begin at different places.
        let place = std::process::id().wrapping_mul(7919).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (place % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// One `redis-server`, or another program that is started in the same way.
pub struct Engine {
    program: String,
    pub port: u16,
    folder: Folder,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Engine {
    /// One with these settings beside those that every test needs.
    pub fn start(settings: &[&str]) -> Engine {
        Engine::start_program(REDIS, settings)
    }

    /// The same of another program.
    pub fn start_program(program: &str, settings: &[&str]) -> Engine {
        Engine::start_until(program, || settings.iter().map(|word| (*word).to_owned()).collect())
    }

    /// One that listens on another port, too, which `option` sets.
    pub fn start_with_port(option: &str, settings: &[&str]) -> Engine {
        Engine::start_until(REDIS, || {
            let port = [option.to_owned(), free_port().to_string()];
            port.into_iter().chain(settings.iter().map(|word| (*word).to_owned())).collect()
        })
    }

    fn start_until(program: &str, settings: impl Fn() -> Vec<String>) -> Engine {
        let start = |_| {
            let mut engine = Engine {
                program: program.to_owned(),
                port: free_port(),
                folder: Folder::new(),
                settings: settings(),
                process: None,
            };
            engine.try_run().then_some(engine)
        };
        (0..ATTEMPTS).find_map(start).expect("it starts on a free port")
    }

    /// The value of a setting that it was started with.
    pub fn setting(&self, name: &str) -> &str {
        let at = self.settings.iter().position(|word| word == name).expect("it was started with this");
        &self.settings[at + 1]
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A replica of this one that keeps up with it. It says that its link is up, and has what was written before
    /// it came, up to a second before the engine goes on to send it what is written then: so there are two writes.
    pub fn replica(&self) -> Engine {
        assert_eq!(self.command("CONFIG SET repl-diskless-sync-delay 0"), "+OK");
        let replica = Engine::start(&["--replicaof", &format!("127.0.0.1 {}", self.port)]);
        let has_write = || self.commands("SET probe 1\r\nWAIT 1 100") == ["+OK", ":1"];
        wait_until("the replica keeps up", || has_write() && has_write());
        replica
    }

    /// Starts it, with what its folder has.
    pub fn run(&mut self) {
        // Another test that looks for a free port may hold it for a moment.
        wait_until("the engine starts again", || self.try_run());
    }

    /// Starts it; whether it is ready, or has ended before it was.
    fn try_run(&mut self) -> bool {
        assert!(self.process.is_none(), "it runs already");
        let mut child = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(self.folder.join("."))
            .args(["--save", "", "--daemonize", "no"])
            .args(&self.settings)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut said = String::new();
        let is_ready = lines.by_ref().map_while(Result::ok).any(|line| {
            said.push_str(&(line.clone() + "\n"));
            line.contains("Ready to accept connections")
        });
        if !is_ready {
            // The test's output has it, if the test fails.
            println!("the engine ended before it was ready: {:?}\n{said}", child.wait());
            return false;
        }
        // A writer into a full pipe waits, so a thread keeps reading.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(child);
        true
    }

    /// SIGKILL: nothing is finished.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ends");
        }
    }

    /// It neither answers nor goes away, until [`Engine::go_on`].
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args([name, &id]).status().expect("kill is there");
        assert!(status.success());
    }

    /// Sends one command, of words without spaces, and gives the raw answer's first line, or the whole of a
    /// bulk string.
    pub fn command(&self, words: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        socket.write_all(format!("{words}\r\n").as_bytes()).expect("it reads");
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line).expect("it answers");
        let Some(length) = line.strip_prefix('$').and_then(|length| length.trim().parse::<usize>().ok()) else {
            return line.trim_end().to_owned();
        };
        let mut content = vec![0; length];
        reader.read_exact(&mut content).expect("all of it");
        String::from_utf8_lossy(&content).into_owned()
    }

    /// Sends two commands on one connection, and gives their answers, which must be a line each.
    fn commands(&self, lines: &str) -> [String; 2] {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        socket.write_all(format!("{lines}\r\n").as_bytes()).expect("it reads");
        let mut answers = BufReader::new(socket).lines();
        std::array::from_fn(|_| answers.next().expect("two answers").expect("it answers"))
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.join(".")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A cluster of engines, each with a third of the slots.
pub struct Cluster {
    pub nodes: Vec<Engine>,
}

impl Cluster {
    /// A node without neighbours yet. A busy machine does not make it count as dead.
    fn node() -> Engine {
        let timeout = PATIENCE.as_millis().to_string();
        let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
        Engine::start_with_port("--cluster-port", &settings)
    }

    /// Three nodes that know each other.
    pub fn start() -> Cluster {
        let nodes: Vec<Engine> = (0..3).map(|_| Cluster::node()).collect();
        let first = nodes[0].port;
        for (epoch, (node, range)) in (1..).zip(nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"])) {
            // Each its own, as `redis-cli --cluster create` does. Nodes with the same epoch change it when they meet,
            // and a change in the middle of a slot's move can leave them at odds about the slot for ever.
            assert_eq!(node.command(&format!("CLUSTER SET-CONFIG-EPOCH {epoch}")), "+OK");
            assert_eq!(node.command(&format!("CLUSTER ADDSLOTSRANGE {range}")), "+OK");
            if node.port != first {
                let bus = node.bus_port();
                assert_eq!(nodes[0].command(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port)), "+OK");
            }
        }
        let cluster = Cluster { nodes };
        let knows_all = |node: &Engine| {
            let info = node.command("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
        };
        wait_until("the nodes know each other", || cluster.nodes.iter().all(knows_all));
        cluster
    }

    /// Whether all nodes say the same of which node has which slots.
    pub fn is_agreed(&self) -> bool {
        let check = ["--cluster", "check", &format!("127.0.0.1:{}", self.nodes[0].port)];
        let status = Command::new("redis-cli").args(check).stdout(Stdio::null()).status();
        status.expect("redis-cli is there").success()
    }

    /// Gives every node a replica, which takes over when it has been away for two seconds; gives back the replicas,
    /// in the same order.
    pub fn replicate(&self) -> Vec<Engine> {
        let replicas: Vec<Engine> = self.nodes.iter().map(|_| Cluster::node()).collect();
        for (node, replica) in self.nodes.iter().zip(&replicas) {
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {}", replica.port, replica.bus_port());
            assert_eq!(self.nodes[0].command(&meet), "+OK");
            let id = node.node_id();
            let follow = format!("CLUSTER REPLICATE {id}");
            wait_until("the replica knows its node", || replica.command(&follow) == "+OK");
        }
        let follows = |replica: &Engine| replica.command("INFO replication").contains("master_link_status:up");
        wait_until("the replicas follow", || replicas.iter().all(follows));
        let knows = |node: &Engine| node.command("CLUSTER NODES").matches("slave ").count() == 3;
        let everyone = || self.nodes.iter().chain(&replicas).all(knows);
        wait_until("everyone knows of the replicas", everyone);
        for node in self.nodes.iter().chain(&replicas) {
            assert_eq!(node.command("CONFIG SET cluster-node-timeout 2000"), "+OK");
        }
        replicas
    }

    /// The addresses of all nodes, as one location.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis://{}", hosts.join(","))
    }
}

impl Engine {
    fn bus_port(&self) -> &str {
        self.setting("--cluster-port")
    }

    /// The node's name in its cluster.
    pub fn node_id(&self) -> String {
        self.command("CLUSTER MYID")
    }
}
