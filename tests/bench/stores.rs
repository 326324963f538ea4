//! What the stores can do: whole flows per second on each, beside what the disk and the engine can do by
//! themselves in the same run.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redb::{Database, TableDefinition};

use crate::load::{self, Work};
use crate::servers::{self, Server};

/// How long each figure is measured for.
const STRETCH: Duration = Duration::from_secs(3);

/// Both cores, for everyone: a store has a thread, and an engine is a process.
const CORES: &str = "0,1";

const CONNECTIONS: [usize; 3] = [1, 64, 512];

/// One line of the table.
struct Line {
    store: String,
    connections: usize,
    flows: f64,
    p50: f64,
    p99: f64,
    /// Tokens checked a second, by nothing but `GET /secure`.
    checks: f64,
}

/// Measures memory, file and, where one is installed, an engine.
pub fn stores() -> io::Result<String> {
    servers::move_to(CORES)?;
    let mut text = String::new();
    let mut lines = Vec::new();
    measure(&mut lines, "memory", &[])?;
    let folder = servers::scratch("stores");
    let file = format!("file:{}", folder.join("full").display());
    let before = commits(&folder.join("bare"))?;
    measure(&mut lines, "file", &["--store", &file])?;
    let (group, own_commit) = grouped(&file)?;
    let after = commits(&folder.join("bare"))?;
    let commit = (before + after) / 2.0;
    let relaxed = format!("file:{}", folder.join("relaxed").display());
    measure(&mut lines, "file, relaxed", &["--store", &relaxed, "--store-durability", "relaxed"])?;
    let busy = find(&lines, "file", 64);
    let _ = writeln!(
        text,
        "a bare durable commit of one record: {:.0} a second, {commit:.0} µs each\n\
         file, 64 connections: {group:.1} flows per commit (bar: at least 8), a commit every {own_commit:.0} µs; p99 \
         {:.1} times that (bar: under 4), {:.1} times a bare commit\n",
        1e6 / commit,
        busy.p99 / own_commit,
        busy.p99 / commit,
    );
    match Engine::start() {
        None => text.push_str("redis-server is not installed: nothing is said of engines\n"),
        Some(engine) => engine_lines(&engine, &mut lines, &mut text)?,
    }
    let mut table =
        "whole flows (code, token, secure), two workers, server, engine and clients on two cores\n\n\
                     | store | connections | flows/s | p50 of a request, µs | p99, µs | /secure alone, requests/s |\n\
                     | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for Line { store, connections, flows, p50, p99, checks } in &lines {
        let _ = writeln!(table, "| {store} | {connections} | {flows:.0} | {p50:.0} | {p99:.0} | {checks:.0} |");
    }
    Ok(format!("{table}\n{text}"))
}

/// Flows per commit, and the time from one commit to the next in microseconds, with 64 connections.
fn grouped(location: &str) -> io::Result<(f64, f64)> {
    let server = servers::own_heard(CORES, &["--workers", "2", "--store", location])?;
    let measured = load::run(&server.target, Work::Flow, 64, STRETCH)?;
    let log = server.finish()?;
    let count = |after: &str| {
        let word = log.split_once(after).and_then(|(_, rest)| rest.split(' ').next());
        word.and_then(|word| word.parse::<f64>().ok()).ok_or_else(|| io::Error::other(log.clone()))
    };
    let commits = count("changes in ")?;
    let flows = measured.requests as f64 / Work::Flow.steps() as f64;
    Ok((flows / commits, measured.wall.as_secs_f64() * 1e6 / commits))
}

fn find<'a>(lines: &'a [Line], store: &str, connections: usize) -> &'a Line {
    let found = lines.iter().find(|line| line.store == store && line.connections == connections);
    found.expect("it was measured")
}

fn measure(lines: &mut Vec<Line>, store: &str, words: &[&str]) -> io::Result<()> {
    let server = servers::own(CORES, &[&["--workers", "2"], words].concat())?;
    for connections in CONNECTIONS {
        lines.push(run(store, &[&server], connections)?);
    }
    Ok(())
}

fn run(store: &str, on: &[&Server], connections: usize) -> io::Result<Line> {
    let targets: Vec<_> = on.iter().map(|server| &server.target).collect();
    let measured = load::run_on(&targets, Work::Flow, connections, STRETCH)?;
    let checks = load::run_on(&targets, Work::Secure, connections, STRETCH / 3)?;
    Ok(Line {
        checks: checks.per_second(),
        store: store.to_owned(),
        connections,
        flows: measured.per_second() / Work::Flow.steps() as f64,
        p50: measured.percentile(0.5),
        p99: measured.percentile(0.99),
    })
}

/// How long one commit takes that waits for the disk, in microseconds: one grant's worth of bytes each.
fn commits(path: &Path) -> io::Result<f64> {
    const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("grants");
    let database = Database::create(path).map_err(io::Error::other)?;
    let (begun, mut count) = (Instant::now(), 0u64);
    while begun.elapsed() < STRETCH {
        let write = database.begin_write().map_err(io::Error::other)?;
        {
            let mut table = write.open_table(TABLE).map_err(io::Error::other)?;
            table.insert(count % 10_000, &[7; 300][..]).map_err(io::Error::other)?;
        }
        write.commit().map_err(io::Error::other)?;
        count += 1;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / count as f64)
}

/// A Redis of this run's own.
pub struct Engine {
    process: Child,
    pub port: u16,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Engine {
    /// In memory alone, as `redis-benchmark` measures it, too.
    pub fn start() -> Option<Engine> {
        let port = servers::free_port();
        let mut command = servers::pinned(CORES, "redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        let mut process =
            command.arg(servers::scratch("engine")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Engine { process, port });
            }
            if process.try_wait().ok()?.is_some() {
                return None;
            }
            std::thread::yield_now();
        }
        None
    }

    /// Operations a second that `redis-benchmark` gets with 64 connections, without pipelining.
    fn benchmark(&self, command: &[&str]) -> io::Result<f64> {
        let output = Command::new("redis-benchmark")
            .args(["-p", &self.port.to_string(), "-c", "64", "-n", "150000", "-r", "100000", "--csv"])
            .args(command)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().last().unwrap_or_default();
        let figure = line.rsplit_once("\",\"").and_then(|_| line.split("\",\"").nth(1));
        let figure = figure.and_then(|figure| figure.trim_matches('"').parse().ok());
        figure.ok_or_else(|| io::Error::other(format!("redis-benchmark says {text:?}")))
    }

    /// The memory that it says it uses, in bytes.
    pub fn used_memory(&self) -> io::Result<u64> {
        let output =
            Command::new("redis-cli").args(["-p", &self.port.to_string(), "info", "memory"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let figure = text.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
        figure.ok_or_else(|| io::Error::other("redis-cli does not say how much memory is used"))
    }

    fn cpu(&self) -> Duration {
        servers::cpu_of(self.process.id()).iter().sum()
    }
}

/// What the store sends for one flow: a new grant, a look and a swap for its redemption, a look for its token.
fn engine_lines(engine: &Engine, lines: &mut Vec<Line>, text: &mut String) -> io::Result<()> {
    let value = "x".repeat(300);
    let set = engine.benchmark(&["set", "grant:__rand_int__", &value, "NX", "PXAT", "4102444800000"])?;
    let get = engine.benchmark(&["get", "grant:__rand_int__"])?;
    let swap = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end \
                redis.call('SET',KEYS[1],ARGV[2],'PXAT',ARGV[3]) return 1";
    let swap = engine.benchmark(&["eval", swap, "1", "grant:__rand_int__", &value, &value, "4102444800000"])?;
    let bare = 1.0 / (1.0 / set + 2.0 / get + 1.0 / swap);
    let location = format!("redis://127.0.0.1:{}", engine.port);
    let words = ["--workers", "2", "--store", &location];
    let (one, other) = (servers::own(CORES, &words)?, servers::own(CORES, &words)?);
    for connections in CONNECTIONS {
        lines.push(run("engine", &[&one], connections)?);
    }
    let flows = find(lines, "engine", 64).flows;
    let before = (engine.cpu(), one.cpu() + other.cpu());
    let targets = [&one.target, &other.target];
    let measured = load::run_on(&targets, Work::Flow, 64, STRETCH)?;
    let both = measured.per_second() / Work::Flow.steps() as f64;
    let count = measured.requests as f64 / Work::Flow.steps() as f64;
    let (engine_cpu, servers_cpu) = (engine.cpu() - before.0, one.cpu() + other.cpu() - before.1);
    let per_flow = |cpu: Duration| cpu.as_secs_f64() * 1e6 / count;
    let share = |cpu: Duration| cpu.as_secs_f64() / measured.wall.as_secs_f64();
    let _ = writeln!(
        text,
        "redis-benchmark, 64 connections, no pipelining: SET NX {set:.0}, GET {get:.0}, swap {swap:.0} a second; the \
         four of a flow {bare:.0} times a second\n\
         engine, 64 connections: {:.2} of that (bar: at least 0.5)\n\
         two servers on one engine: {:.2} of one (bar: at least 1.5, or the limit shown: of the two cores the servers \
         had {:.2} and the engine {:.2}, the clients the rest; that is {:.1} and {:.1} µs for each flow)",
        flows / bare,
        both / flows,
        share(servers_cpu),
        share(engine_cpu),
        per_flow(servers_cpu),
        per_flow(engine_cpu),
    );
    lines.push(run("engine, two servers", &[&one, &other], 64)?);
    match held(&one, &other) {
        Ok((one, both)) => {
            let _ = writeln!(
                text,
                "held to a fifth of a core each, so that there are cores to spare: one server {one:.0} flows/s, two \
                 {both:.0}: {:.2} of one",
                both / one,
            );
        }
        Err(error) => {
            let _ = writeln!(text, "servers cannot be held to a share of a core here: {error}");
        }
    }
    Ok(())
}

/// Flows a second of one server, and of both, where a server is what there is too little of.
fn held(one: &Server, other: &Server) -> io::Result<(f64, f64)> {
    let _held = [servers::Held::to(one, 0.2)?, servers::Held::to(other, 0.2)?];
    let alone = run("", &[one], 64)?.flows;
    let both = run("", &[one, other], 64)?.flows;
    Ok((alone, both))
}
