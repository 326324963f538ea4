//! A Redis of the test's own: started on a free port, stopped, cut off, killed and started again.
//!
//! Where `redis-server` is not installed, tests that need one say so and pass, unless `ENGINE_REQUIRED` is set.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oauth_from_scratch::config::KeyPrefix;
use oauth_from_scratch::store::Bounds;
use oauth_from_scratch::store::engine::{Options, Safety};

use super::stores::{CODE_LIFETIME, Folder};

/// Longer than any start or reconfiguration takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is a `redis-server` for `test`.
///
/// # Panics
/// When there is none and there must be.
pub fn is_installed(test: &str) -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
    let is_installed = found.is_ok_and(|status| status.success());
    if !is_installed {
        assert!(std::env::var_os("ENGINE_REQUIRED").is_none(), "redis-server is not installed, and it must be");
        // Past the test runner's capture, which only `print!` and its kind go through.
        let _ = writeln!(std::io::stderr(), "{test}: skipped: redis-server is not installed");
    }
    is_installed
}

/// How a server uses the engine that it has to itself.
pub fn options(safety: Safety, bounds: Bounds) -> Options {
    Options {
        key_prefix: KeyPrefix::parse("oauth").expect("a prefix"),
        safety,
        bounds,
        code_lifetime: CODE_LIFETIME,
        form_lifetime: Duration::from_secs(600),
        // Tests count what is said to the engine.
        check_interval: Duration::from_secs(3600),
    }
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// One `redis-server`.
pub struct Engine {
    pub port: u16,
    folder: Folder,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Engine {
    /// One with these settings beside those that every test needs.
    pub fn start(settings: &[&str]) -> Engine {
        let settings = settings.iter().map(|word| (*word).to_owned()).collect();
        let mut engine = Engine { port: free_port(), folder: Folder::new(), settings, process: None };
        engine.run();
        engine
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A replica of this one that keeps up with it. It says that its link is up, and has what was written before
    /// it came, up to a second before the engine goes on to send it what is written then: so there are two writes.
    pub fn replica(&self) -> Engine {
        let replica = Engine::start(&["--replicaof", &format!("127.0.0.1 {}", self.port)]);
        let has_write = || self.commands("SET probe 1\r\nWAIT 1 100") == ["+OK", ":1"];
        wait_until("the replica keeps up", || has_write() && has_write());
        replica
    }

    /// Starts it, with what its folder has.
    pub fn run(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let mut child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(self.folder.join("."))
            .args(["--save", "", "--daemonize", "no"])
            .args(&self.settings)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections")));
        assert!(is_ready, "redis-server ended before it was ready: {:?}", child.wait());
        // Whoever writes into a full pipe waits; so somebody reads on.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(child);
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
    /// One that knows nobody yet.
    fn node() -> Engine {
        let bus = free_port().to_string();
        Engine::start(&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus])
    }

    /// Three nodes that know each other.
    pub fn start() -> Cluster {
        let nodes: Vec<Engine> = (0..3).map(|_| Cluster::node()).collect();
        let first = nodes[0].port;
        for (node, range) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
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

    /// Gives every node a replica; gives back the replicas, in the same order.
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
        let at = self.settings.iter().position(|word| word == "--cluster-port").expect("a node of a cluster");
        &self.settings[at + 1]
    }

    /// The node's name in its cluster.
    pub fn node_id(&self) -> String {
        self.command("CLUSTER MYID")
    }
}

/// Waits for a condition that another process brings about, and that can only be asked for.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
