//! What a grant takes: memory, bytes in a file, bytes on an engine; and how long a million take to go.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::key::KINDS_MAX;
use oauth_from_scratch::oauth::{Credential, Outcome};
use oauth_from_scratch::store::file::Waiting;
use oauth_from_scratch::store::redis::{Options, Safety};
use oauth_from_scratch::store::{
    Bounds, FileStore, KeyPrefix, KindBounds, Location, MemoryStore, RedisStore, Store,
};
use oauth_from_scratch::system::{RealSystem, System};

use crate::servers;
use crate::stores::Engine;
use crate::transitions::{LIFETIMES, Maker, START, apply_all};

/// How many grants are made.
const GRANTS: usize = 1_000_000;

/// How many are made at a time.
const BATCH: usize = 5000;

const BOUNDS: Bounds = Bounds {
    kinds: [KindBounds { records_max: 2 * GRANTS, holder_max: 2 * GRANTS }; KINDS_MAX],
    queue_max: 2 * BATCH,
    time_max: Duration::from_secs(60),
};

/// Fills each store, and says what that took.
pub fn grants() -> io::Result<String> {
    servers::move_to("0,1")?;
    let mut text = format!(
        "{GRANTS} grants, each with an access token and a refresh token\n\n\
         | store | bytes each | |\n| --- | --- | --- |\n"
    );
    memory(&mut text)?;
    file(&mut text)?;
    engine(&mut text)?;
    Ok(text)
}

/// Makes the grants in `store` and redeems them; gives an access token now and then.
fn fill(store: &dyn Store) -> io::Result<Vec<Credential>> {
    let mut maker = Maker::new(1);
    let mut some = Vec::new();
    for _ in 0..GRANTS / BATCH {
        let codes: Vec<Credential> = (0..BATCH).map(|_| maker.code()).collect();
        let grants = codes.iter().map(|code| (maker.grant(code, None), START)).collect();
        expect(apply_all(store, grants).iter().all(|applied| *applied == Ok(Outcome::Granted)))?;
        let mut redeem = Vec::new();
        for code in &codes {
            let (transition, tokens) = maker.redeem(code);
            redeem.push((transition, START));
            if redeem.len() == BATCH {
                some.push(tokens.access);
            }
        }
        let applied = apply_all(store, redeem);
        expect(applied.iter().all(|applied| matches!(applied, Ok(Outcome::Redeemed { .. }))))?;
    }
    Ok(some)
}

fn expect(is_so: bool) -> io::Result<()> {
    if is_so { Ok(()) } else { Err(io::Error::other("a store did not keep a grant")) }
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn memory(text: &mut String) -> io::Result<()> {
    let before = resident();
    let store = MemoryStore::new(2 * GRANTS);
    let some = fill(&store)?;
    let bytes = (resident() - before) / GRANTS as u64;
    // Everything has expired. Each call forgets a few, and names are random, so that calls come to every part.
    let later = START.after(LIFETIMES.refresh);
    let mut maker = Maker::new(2);
    let (begun, mut calls, mut worst) = (Instant::now(), 0u64, Duration::ZERO);
    while !store.is_empty() && calls < 10 * GRANTS as u64 {
        for _ in 0..1000 {
            let nothing = maker.code();
            let check = maker.check(&nothing);
            let call = Instant::now();
            let _ = store.apply(&check, later);
            worst = worst.max(call.elapsed());
            calls += 1;
        }
    }
    expect(store.is_empty() && !some.is_empty())?;
    let _ = writeln!(
        text,
        "| memory | {bytes} | a million that have expired are forgotten by {calls} requests in {:.2} s, {:.0} ns each; the \
         longest took {:.0} µs |",
        begun.elapsed().as_secs_f64(),
        begun.elapsed().as_nanos() as f64 / calls as f64,
        worst.as_micros(),
    );
    Ok(())
}

fn file(text: &mut String) -> io::Result<()> {
    let folder = servers::scratch("grants");
    let path = folder.join("grants");
    let system: Arc<dyn System> = Arc::new(RealSystem::default());
    let open = |path: &std::path::Path, waiting| {
        FileStore::open(path, waiting, BOUNDS, [7; 32], Arc::clone(&system), Log::kept())
            .map_err(io::Error::other)
    };
    let begun = Instant::now();
    let store = open(&path, Waiting::ForTheDisk)?;
    let some = fill(&store)?;
    let filled = begun.elapsed();
    // As a process that is killed leaves it.
    let crashed = folder.join("crashed");
    fs::copy(&path, &crashed)?;
    drop(store);
    let bytes = fs::metadata(&path)?.len() / GRANTS as u64;
    let timed = |path: &std::path::Path| -> io::Result<(Duration, FileStore)> {
        let begun = Instant::now();
        let store = open(path, Waiting::ForTheDisk)?;
        Ok((begun.elapsed(), store))
    };
    let (clean, store) = timed(&path)?;
    drop(store);
    let (repaired, store) = timed(&crashed)?;
    let looks = some.iter().map(|token| (Maker::new(3).check(token), START)).collect();
    expect(apply_all(&store, looks).iter().all(|applied| *applied == Ok(Outcome::Active)))?;
    let _ = writeln!(
        text,
        "| file | {bytes} | made in {:.1} s; opened in {:.3} s, after a kill in {:.2} s |",
        filled.as_secs_f64(),
        clean.as_secs_f64(),
        repaired.as_secs_f64(),
    );
    Ok(())
}

fn engine(text: &mut String) -> io::Result<()> {
    let Some(engine) = Engine::start() else {
        text.push_str("| engine | | redis-server is not installed |\n");
        return Ok(());
    };
    let system: Arc<dyn System> = Arc::new(RealSystem::default());
    let Ok(Location::Redis(location)) = Location::parse(&format!("redis://127.0.0.1:{}", engine.port)) else {
        return Err(io::Error::other("this is a location"));
    };
    let key_prefix = KeyPrefix::of_issuer("http://localhost:3001");
    let options = Options::new(key_prefix, Safety::default(), BOUNDS);
    let store = RedisStore::connect(&location, &options, Some([7; 32]), system, Log::kept());
    let store = store.map_err(io::Error::other)?;
    let before = engine.used_memory()?;
    let begun = Instant::now();
    fill(&store)?;
    let bytes = (engine.used_memory()? - before) / GRANTS as u64;
    let _ = writeln!(text, "| engine | {bytes} | made in {:.1} s |", begun.elapsed().as_secs_f64());
    Ok(())
}
