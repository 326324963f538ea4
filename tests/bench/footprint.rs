//! What the server takes beside time on the CPU: memory, a moment to start, room on the disk; and how two
//! workers share the work, and what idle and slow clients cost the busy ones.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::load::{self, Work, median};
use crate::servers::{self, PROGRAM, Server};
use crate::{CLIENT_CORE, CONNECTIONS, SERVER_CORE, STRETCH, stretch};

const IDLE: usize = 10_000;
const SLOW: usize = 1_000;
const MILLION: u64 = 1_000_000;

/// Connections that have asked once and say nothing more.
fn idle_connections(server: &Server, count: usize) -> io::Result<Vec<TcpStream>> {
    let request = load::request(&server.target, Work::Secure, 0, "");
    let mut connections = Vec::new();
    let mut answer = [0; 1024];
    for _ in 0..count {
        let mut socket = TcpStream::connect(server.target.address)?;
        socket.write_all(request.as_bytes())?;
        if !socket.read(&mut answer).is_ok_and(|count| answer[..count].starts_with(b"HTTP/1.1 200")) {
            return Err(io::Error::other("an idle connection's first request was not answered"));
        }
        connections.push(socket);
    }
    Ok(connections)
}

/// Runs a work until the server has answered that many requests.
fn answered(server: &Server, work: Work, requests: u64) -> io::Result<()> {
    let mut done = 0;
    while done < requests {
        done += load::run(&server.target, work, CONNECTIONS, Duration::from_secs(1))?.requests;
    }
    Ok(())
}

/// At rest, and with idle connections.
pub fn memory() -> io::Result<String> {
    let server = servers::own(SERVER_CORE, &["--workers", "1"])?;
    let at_rest = server.resident();
    let idle = idle_connections(&server, IDLE)?;
    let with_idle = server.resident();
    drop(idle);
    Ok(format!(
        "resident memory, one worker\n\n| when | KiB |\n| --- | --- |\n| at rest (bar 4096) | {} |\n\
         | with {IDLE} idle connections | {} |\n| for each of them, in bytes (bar 300) | {} |\n",
        at_rest / 1024,
        with_idle / 1024,
        (with_idle - at_rest) / IDLE as u64,
    ))
}

/// At rest, and after millions of requests and of connections.
pub fn growth() -> io::Result<String> {
    let server = servers::own(SERVER_CORE, &["--workers", "1"])?;
    let mut text = format!(
        "resident memory, one worker\n\n| when | KiB |\n| --- | --- |\n| at rest (bar 4096) | {} |\n",
        server.resident() / 1024
    );
    for (work, what) in [(Work::Pipelined, "requests"), (Work::Connect, "connections")] {
        for millions in 1..=2 {
            answered(&server, work, MILLION)?;
            let _ = writeln!(text, "| after {millions} million {what} | {} |", server.resident() / 1024);
        }
    }
    Ok(text)
}

/// From `exec` to the first answer.
pub fn start(rounds: usize) -> io::Result<String> {
    let (mut own, mut floor) = (Vec::new(), Vec::new());
    let answers = {
        let server = servers::own(SERVER_CORE, &[])?;
        load::collect(&server.target, Work::Dialog)?
    };
    for _ in 0..rounds * 5 {
        let begun = Instant::now();
        let server = servers::own_unasked(SERVER_CORE, &[])?;
        load::collect(&server.target, Work::Dialog)?;
        own.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let server = servers::floor(SERVER_CORE, &answers, "")?;
        load::collect(&server.target, Work::Dialog)?;
        floor.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let ratios = own.iter().zip(&floor).map(|(own, floor)| own / floor).collect();
    let size = fs::metadata(PROGRAM)?.len();
    Ok(format!(
        "| from exec to the first answer | |\n| --- | --- |\n| this server, ms | {:.2} |\n| the floor, ms | {:.2} |\n\
         | of the floor (bar 1.5) | {:.2} |\n| the program, KiB (bar 1331, built without stores) | {} |\n",
        median(own),
        median(floor),
        median(ratios),
        size / 1024
    ))
}

/// Two workers on two cores, with the load beside them, against one.
///
/// A worker that is not kept busy hears of one request at a time, and pays a system call for that; so what two
/// workers cost depends on whether there is work for two. Both are shown: as many connections as keep one
/// worker busy, and as many as keep two busy. What the first alone comes to is shown by two floors, which
/// share nothing, against one.
pub fn workers(rounds: usize) -> io::Result<String> {
    let both = format!("{SERVER_CORE},{CLIENT_CORE}");
    // The clients, too, go where there is room.
    servers::move_to(&both)?;
    let mut one = servers::own(&both, &["--workers", "1"])?;
    let mut two = servers::own(&both, &["--workers", "2"])?;
    let answers = load::collect(&one.target, Work::Secure)?;
    let floors = [
        servers::floor(&both, &answers, &one.target.token)?,
        servers::floor(&both, &answers, &one.target.token)?,
    ];
    let mut text = "two workers on two cores, the load beside them\n\n\
         | connections | work | CPU per request, of one worker's (bar 1.10) | the less busy worker's CPU time, of the \
         busier one's |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for connections in [CONNECTIONS, 8 * CONNECTIONS] {
        for work in [Work::Secure, Work::Pipelined, Work::Flow] {
            // The flows before have ended the grant of the last token.
            servers::renew_token(&mut one)?;
            servers::renew_token(&mut two)?;
            let (ratio, share) = two_of_one(&one, &two, work, connections, rounds)?;
            let _ = writeln!(text, "| {connections} | {} | {ratio:.3} | {share:.2} |", work.name());
        }
        for work in [Work::Secure, Work::Pipelined] {
            let ratio = two_floors_of_one(&floors, work, connections, rounds)?;
            let _ = writeln!(text, "| {connections} | {}, two floors | {ratio:.3} | |", work.name());
        }
    }
    Ok(text)
}

/// The CPU time per request of `two`, of that of `one`; and how evenly its two busiest threads share it.
fn two_of_one(
    one: &Server,
    two: &Server,
    work: Work,
    connections: usize,
    rounds: usize,
) -> io::Result<(f64, f64)> {
    let (mut ratios, mut shares) = (Vec::new(), Vec::new());
    for round in 0..rounds + 1 {
        let of_one = stretch(one, work, connections)?.cpu_per_request;
        let before = two.cpu_by_thread();
        let of_two = stretch(two, work, connections)?.cpu_per_request;
        let after = two.cpu_by_thread();
        let mut each: Vec<f64> = after.iter().zip(&before).map(|(a, b)| (*a - *b).as_secs_f64()).collect();
        each.sort_by(f64::total_cmp);
        if round > 0 {
            ratios.push(of_two / of_one);
            shares.push(each[each.len() - 2] / each[each.len() - 1]);
        }
    }
    Ok((median(ratios), median(shares)))
}

fn two_floors_of_one(floors: &[Server; 2], work: Work, connections: usize, rounds: usize) -> io::Result<f64> {
    let mut ratios = Vec::new();
    for round in 0..rounds + 1 {
        let of_one = stretch(&floors[0], work, connections)?.cpu_per_request;
        let before = floors[0].cpu() + floors[1].cpu();
        let targets = [&floors[0].target, &floors[1].target];
        let measured = load::run_on(&targets, work, connections, STRETCH)?;
        let cpu = floors[0].cpu() + floors[1].cpu() - before;
        if round > 0 {
            ratios.push(cpu.as_nanos() as f64 / measured.requests as f64 / of_one);
        }
    }
    Ok(median(ratios))
}

/// Instructions in user space for each `GET /secure`, where valgrind is installed: the difference between a run with
/// requests and one without. Under it SHA-256 runs in software, which takes a third of them: valgrind hides the
/// processor's own instructions for it.
pub fn instructions() -> io::Result<String> {
    const REQUESTS: u64 = 5_000;
    let none = servers::instructions(0)?;
    let many = servers::instructions(REQUESTS)?;
    Ok(format!(
        "| instructions per GET /secure, in user space (bar 6000) |\n| --- |\n| {} |\n",
        many.saturating_sub(none) / REQUESTS
    ))
}

/// Busy clients alone, and among idle and slow ones.
pub fn mixed(rounds: usize) -> io::Result<String> {
    let server = servers::own(SERVER_CORE, &["--workers", "1"])?;
    let p99 = || -> io::Result<(f64, f64)> {
        let mut figures = Vec::new();
        for _ in 0..rounds {
            let measured = load::run(&server.target, Work::Secure, CONNECTIONS, STRETCH)?;
            figures.push((measured.percentile(0.5), measured.percentile(0.99)));
        }
        let (p50, p99): (Vec<f64>, Vec<f64>) = figures.into_iter().unzip();
        Ok((median(p50), median(p99)))
    };
    load::run(&server.target, Work::Secure, CONNECTIONS, STRETCH)?;
    let alone = p99()?;
    let idle = idle_connections(&server, IDLE)?;
    let mut slow = idle_connections(&server, SLOW)?;
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let among = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A byte of a request now and then, each connection in its turn, well below any deadline's mercy.
            let request = load::request(&server.target, Work::Secure, 0, "");
            for byte in request.as_bytes() {
                for socket in &mut slow {
                    if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let _ = socket.write_all(&[*byte]);
                    std::thread::park_timeout(Duration::from_micros(200));
                }
            }
        });
        let among = p99();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        among
    })?;
    drop(idle);
    Ok(format!(
        "| {CONNECTIONS} busy clients | p50, µs | p99, µs |\n| --- | --- | --- |\n| alone | {:.0} | {:.0} |\n\
         | beside {IDLE} idle and {SLOW} slow ones | {:.0} | {:.0} |\n| ratio (bar 2) | {:.2} | {:.2} |\n",
        alone.0,
        alone.1,
        among.0,
        among.1,
        among.0 / alone.0,
        among.1 / alone.1
    ))
}
