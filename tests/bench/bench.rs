//! `cargo bench`: what this server costs above the floor of the kernel, and what others cost.
//!
//! Each kind of work runs on each server in turn, a short time at a stretch, and then on each in the opposite order:
//! that is a round. So what the machine does beside, and whether it becomes faster or slower, falls on all of them
//! alike. The server has the first core and its clients the second. The figure that counts is the server's CPU time
//! per request, as a ratio to the floor's in the same round; the table shows the median of the rounds.
//!
//! `cargo bench -- --help` lists what else it measures.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

mod conformance;
#[cfg(target_os = "linux")]
mod floor;
mod footprint;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
mod grants;
mod guesses;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
mod hot;
mod load;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
#[path = "../it/support/random.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod random;
mod servers;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
mod stores;
#[cfg(all(feature = "file-store", feature = "redis-store"))]
#[path = "../it/support/stores.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod transitions;

use load::{Figures, Measured, Work, median};
use servers::Server;

const HELP: &str = "\
Usage: cargo bench [-- WHAT...]

What to measure; without a word, the works:
  works          CPU time per request of each kind of work, as a ratio to the floor
  workers        two workers on two cores, against one
  memory         resident memory at rest, and per idle connection (needs 10,100 descriptors)
  growth         resident memory after millions of requests and of connections (minutes)
  start          from exec to the first answer, and the program's size
  mixed          busy clients beside 10,000 idle and 1,000 slow ones (needs 12,000 descriptors)
  guesses        p99 of GET /secure beside clients that guess at a secret with a slow digest
  instructions   for each GET /secure, in user space (needs valgrind)
  stores         whole flows on memory, file and engine, beside what disk and engine do alone
  grants         what a million grants take, in memory, in a file and on an engine (a minute)
  hot            a flow on an engine beside 250 rotations of one grant, and of 250
  conformance    what this server, nginx and Node answer to the conformance table
  all            all of these but the instructions

With --rounds N, as many rounds [default: 7]; with --alone, without nginx and Express;
with --only NAME, one kind of work; with --beside PROGRAM, another build of this server
too, for before and after.
";

const CONNECTIONS: usize = 64;
const STRETCH: Duration = Duration::from_millis(200);
const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";

/// What the command line asks for.
struct Options {
    rounds: usize,
    alone: bool,
    only: Option<String>,
    beside: Option<String>,
    what: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let result = match words.first().map(String::as_str) {
        #[cfg(target_os = "linux")]
        Some("--floor") => floor::run(),
        Some("--help") => {
            print!("{HELP}");
            Ok(())
        }
        Some("--pinned") => measure(&words[1..]),
        _ => return pin(&words),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program again on the clients' core: pinning oneself would take a system call that std has not.
fn pin(words: &[String]) -> ExitCode {
    let program = std::env::current_exe().expect("this program has a path");
    match servers::pinned(CLIENT_CORE, program).arg("--pinned").args(words).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: taskset, of util-linux, is needed to keep server and clients apart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &[String]) -> io::Result<()> {
    let mut options = Options { rounds: 7, alone: false, only: None, beside: None, what: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => options.rounds = words.next().and_then(|n| n.parse().ok()).unwrap_or(7).max(1),
            "--alone" => options.alone = true,
            "--only" => options.only = words.next().cloned(),
            "--beside" => options.beside = words.next().cloned(),
            what => options.what.push(what.to_owned()),
        }
    }
    if options.what.is_empty() {
        options.what.push("works".to_owned());
    }
    if options.what == ["all"] {
        options.what = ["works", "workers", "memory", "growth", "start", "mixed", "guesses", "conformance"]
            .map(str::to_owned)
            .to_vec();
    }
    for what in &options.what {
        let report = match what.as_str() {
            "works" => works(&options)?,
            "workers" => footprint::workers(options.rounds)?,
            "memory" => footprint::memory()?,
            "growth" => footprint::growth()?,
            "start" => footprint::start(options.rounds)?,
            "instructions" => footprint::instructions()?,
            "conformance" => conformance::compare()?,
            #[cfg(all(feature = "file-store", feature = "redis-store"))]
            "stores" => stores::stores()?,
            #[cfg(all(feature = "file-store", feature = "redis-store"))]
            "grants" => grants::grants()?,
            #[cfg(all(feature = "file-store", feature = "redis-store"))]
            "hot" => hot::hot()?,
            "mixed" => footprint::mixed(options.rounds)?,
            "guesses" => guesses::guesses(options.rounds)?,
            other => {
                return Err(io::Error::other(format!(
                    "there is nothing called {other:?} to measure; see --help"
                )));
            }
        };
        print!("{report}");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{what}.txt"));
        std::fs::write(&path, report)?;
        println!("(written to {})\n", path.display());
    }
    Ok(())
}

/// What one stretch of a work on a server came to.
struct Stretch {
    cpu_per_request: f64,
    measured: Measured,
}

fn stretch(server: &Server, work: Work, connections: usize) -> io::Result<Stretch> {
    let before = server.cpu();
    let measured = load::run(&server.target, work, connections, STRETCH)?;
    let cpu = server.cpu() - before;
    Ok(Stretch { cpu_per_request: cpu.as_nanos() as f64 / measured.requests as f64, measured })
}

fn works(options: &Options) -> io::Result<String> {
    let mut own = servers::own(SERVER_CORE, &["--workers", "1"])?;
    let token = own.target.token.clone();
    let dialog = load::collect(&own.target, Work::Dialog)?;
    let secure = load::collect(&own.target, Work::Secure)?;
    let mut others = Vec::new();
    if let Some(program) = &options.beside {
        others
            .push(("beside", servers::with_token(servers::build(SERVER_CORE, program, &["--workers", "1"])?)?));
    }
    if !options.alone {
        others.extend(servers::nginx(SERVER_CORE, &secure, &dialog, &token).map(|server| ("nginx", server)));
        others.extend(servers::express(SERVER_CORE, &dialog).map(|server| ("express", server)));
    }
    let mut ratios: Figures<f64> = Figures::new();
    let mut stretches: Figures<Stretch> = Figures::new();
    let chosen = |work: &Work| options.only.as_deref().is_none_or(|only| work.name() == only);
    for work in Work::ALL.into_iter().filter(chosen) {
        // One client has run more flows than it may have grants, so its oldest token has made room for theirs.
        servers::renew_token(&mut own)?;
        for (_, server) in others.iter_mut().filter(|(name, _)| *name == "beside") {
            servers::renew_token(server)?;
        }
        let floor = servers::floor(SERVER_CORE, &load::collect(&own.target, work)?, &token)?;
        let mut servers = vec![("floor", &floor), ("own", &own)];
        servers.extend(others.iter().map(|(name, server)| (*name, server)));
        servers.retain(|(name, _)| work.is_for(name));
        for round in 0..options.rounds + 1 {
            let mut cpu: BTreeMap<&str, f64> = BTreeMap::new();
            for (name, server) in servers.iter().chain(servers.iter().rev()) {
                let stretch = stretch(server, work, CONNECTIONS)?;
                *cpu.entry(name).or_default() += stretch.cpu_per_request;
                // The first round warms caches and tables.
                if round > 0 {
                    stretches.entry((name, work)).or_default().push(stretch);
                }
            }
            if round > 0 {
                for (name, _) in &servers {
                    ratios.entry((name, work)).or_default().push(cpu[name] / cpu["floor"]);
                }
            }
        }
    }
    Ok(table(&ratios, &stretches, options.rounds))
}

fn table(ratios: &Figures<f64>, stretches: &Figures<Stretch>, rounds: usize) -> String {
    let mut text = format!(
        "one worker, {CONNECTIONS} connections, median of {rounds} rounds; CPU is the server's, per request\n\n\
         | work | server | CPU, of the floor | bar | CPU, ns | requests/s | p50, µs | p99, µs | p99.9, µs |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for (key, ratios) in ratios {
        let (name, work) = *key;
        let of = |figure: fn(&Stretch) -> f64| median(stretches[key].iter().map(figure).collect());
        let bar = if name == "own" { format!("{:.2}", work.bar()) } else { String::new() };
        let _ = writeln!(
            text,
            "| {} | {name} | {:.3} | {bar} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            work.name(),
            median(ratios.clone()),
            of(|s| s.cpu_per_request),
            of(|s| s.measured.per_second()),
            of(|s| s.measured.percentile(0.5)),
            of(|s| s.measured.percentile(0.99)),
            of(|s| s.measured.percentile(0.999)),
        );
    }
    text
}
