//! Records of two kinds in one store: grants, and counters that live in the tests alone. Every store keeps both, apart,
//! each by its own rules and within its own bounds, whatever races, fails or crashes.
//!
//! `STORE_SEQUENCES=N` tries more of the random sequences, `DISK_CRASHES=N` more crashes of the simulated disk.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::counter::both::{self, Outcome};
use crate::support::counter::{COUNT_MAX, Outcome as Counted, Transition as Counting};
use crate::support::disk::SimulatedDisk;
use crate::support::engine::{self, Cluster, Engine};
use crate::support::model;
use crate::support::proxy::Proxy;
use crate::support::random::Random;
use crate::support::stores::{self, BOUNDS, Folder, MINUTE, Maker, Reader, START, Tokens};
use crate::support::stores::{apply, apply_all, apply_for};
use crate::support::system::TestSystem;
use crate::support::wait_until;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::key::ID_BYTES;
use oauth_from_scratch::oauth::{self, Credential, Id, Outcome as Granting, Timestamp};
use oauth_from_scratch::store::file::Waiting;
use oauth_from_scratch::store::redis::Safety;
use oauth_from_scratch::store::{
    Applied, Bounds, FileStore, KindBounds, Location, MemoryStore, RedisStore, Store, StoreError,
};
use redb::{Database, ReadableTable, TableDefinition, TableHandle};

const KEY: [u8; 32] = [7; 32];

/// How long a counter lives here.
const LIFETIME: Duration = Duration::from_secs(300);

type Both = dyn Store<both::Transition>;
type BothApplied = Applied<both::Transition>;

/// Two handles of one store: two servers on one engine; where there can be but one, the same twice.
struct Handles {
    one: Arc<Both>,
    other: Arc<Both>,
    /// Different for each case, so that none meets another's records.
    number: u32,
}

type Case = (&'static str, fn(&Handles));

const SUITE: &[Case] = &[
    ("twenty racers start one counter: one wins", racers_start_one_counter),
    ("every addition of racers counts once", every_addition_counts_once),
    ("twenty racers with one count: one wins", one_count_has_one_winner),
    ("an answer that reached no client can be had again", a_lost_answer_can_be_had_again),
    ("a counter keeps its own bound", a_counter_keeps_its_own_bound),
    ("a grant and a counter may share an identifier", kinds_may_share_an_identifier),
    ("a counter expires when its own rules say so", a_counter_expires),
    ("any sequence of both comes to what the rules alone come to", any_sequence_is_as_the_rules_have_it),
    ("any batch of both comes to what some order of it comes to", any_batch_is_as_some_order_of_it),
    ("a request of three steps may stop after each", a_request_may_stop_after_each_step),
];

fn run(suite_of: &str, one: &Arc<Both>, other: &Arc<Both>) {
    for (number, (name, case)) in (1..).zip(SUITE) {
        println!("{suite_of}: {name}");
        case(&Handles { one: Arc::clone(one), other: Arc::clone(other), number });
    }
}

#[test]
fn memory_keeps_the_contract_for_two_kinds() {
    let bounds = |_| KindBounds { records_max: 1_000_000, holder_max: 1_000_000 };
    let store: Arc<Both> = Arc::new(MemoryStore::with_bounds(bounds));
    run("memory", &store, &store);
}

#[test]
fn a_file_keeps_the_contract_for_two_kinds() {
    let folder = Folder::new();
    for waiting in [Waiting::ForTheDisk, Waiting::ForNothing] {
        let path = folder.join(&format!("{waiting:?}"));
        let store = FileStore::open(&path, waiting, BOUNDS, KEY, TestSystem::for_store(), Log::kept());
        let store: Arc<Both> = Arc::new(store.expect("a new file"));
        run(&format!("file, waiting {waiting:?}"), &store, &store);
    }
}

/// A handle of its own on the engine, as another server has it.
fn connect(url: &str, safety: Safety) -> Arc<Both> {
    let Ok(Location::Redis(location)) = Location::parse(url) else { panic!("{url}") };
    let options = engine::options(safety, BOUNDS);
    let store =
        RedisStore::connect(&location, &options, Some(KEY), TestSystem::running_for_store(), Log::kept());
    Arc::new(store.unwrap_or_else(|error| panic!("{url}: {error}")))
}

#[test]
fn an_engine_keeps_the_contract_for_two_kinds() {
    if !engine::is_installed("an_engine_keeps_the_contract_for_two_kinds") {
        return;
    }
    let engine = Engine::start(&[]);
    run("engine", &connect(&engine.url(), Safety::default()), &connect(&engine.url(), Safety::default()));
}

#[test]
fn a_cluster_keeps_the_contract_for_two_kinds() {
    if !engine::is_installed("a_cluster_keeps_the_contract_for_two_kinds") {
        return;
    }
    let cluster = Cluster::start();
    run("cluster", &connect(&cluster.url(), Safety::default()), &connect(&cluster.url(), Safety::default()));
}

#[test]
fn an_engine_with_a_replica_keeps_the_contract_for_two_kinds() {
    if !engine::is_installed("an_engine_with_a_replica_keeps_the_contract_for_two_kinds") {
        return;
    }
    let engine = Engine::start(&[]);
    let _replica = engine.replica();
    let safety = Safety { replicas_min: 1, append_only_file: false };
    run("engine with a replica", &connect(&engine.url(), safety), &connect(&engine.url(), safety));
}

/// The identifier of a counter that no other has.
fn id(maker: &mut Maker) -> Id {
    Id::new(maker.draw::<ID_BYTES>())
}

/// What a counter's transition comes to.
fn count(store: &Both, transition: Counting, now: Timestamp) -> Result<Counted, StoreError> {
    apply(store, transition.into(), now).map(|outcome| outcome.try_into().expect("a counter's outcome"))
}

/// What a grant's transition comes to.
fn grant(store: &Both, transition: oauth::Transition, now: Timestamp) -> Result<Granting, StoreError> {
    apply(store, transition.into(), now).map(|outcome| outcome.try_into().expect("a grant's outcome"))
}

/// A counter that counts nothing yet.
fn started(store: &Both, maker: &mut Maker) -> Id {
    let id = id(maker);
    assert_eq!(count(store, Counting::start(id, "ada", LIFETIME, None), START), Ok(Counted::Started));
    id
}

/// All of `transitions`, from as many threads, on both handles.
fn race(handles: &Handles, transitions: Vec<Counting>) -> Vec<Counted> {
    std::thread::scope(|scope| {
        let racers: Vec<_> = (transitions.into_iter().enumerate())
            .map(|(number, transition)| {
                let store = if number % 2 == 0 { &handles.one } else { &handles.other };
                scope.spawn(move || count(&**store, transition, START).expect("an outcome"))
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("no panic")).collect()
    })
}

fn racers_start_one_counter(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    let id = id(&mut maker);
    let subjects: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let start = |subject: &String| Counting::start(id, subject, LIFETIME, None);
    let counted = race(handles, subjects.iter().map(start).collect());
    assert_eq!(counted.iter().filter(|outcome| **outcome == Counted::Started).count(), 1);
    assert_eq!(counted.iter().filter(|outcome| **outcome == Counted::Taken).count(), 19);
}

fn every_addition_counts_once(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    for _ in 0..5 {
        let id = started(&*handles.one, &mut maker);
        let counted = race(handles, (0..20).map(|_| Counting::add(id, 1)).collect());
        let counts: HashSet<u64> = counted
            .iter()
            .map(|outcome| match outcome {
                Counted::Count(count) => *count,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(counts, (1..=20).collect(), "each saw a count of its own");
        assert_eq!(count(&*handles.other, Counting::read(id), START), Ok(Counted::Count(20)));
    }
}

fn one_count_has_one_winner(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    for _ in 0..5 {
        let id = started(&*handles.one, &mut maker);
        let counted = race(handles, (0..20).map(|_| Counting::take(id, 0)).collect());
        let of = |expected: Counted| counted.iter().filter(|outcome| **outcome == expected).count();
        assert_eq!((of(Counted::Count(1)), of(Counted::Replayed), of(Counted::Unknown)), (1, 1, 18));
        assert_eq!(count(&*handles.one, Counting::read(id), START), Ok(Counted::Unknown));
    }
}

fn a_lost_answer_can_be_had_again(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    for reader in [Reader::Goes, Reader::HasGone] {
        let id = started(&*handles.one, &mut maker);
        for presented in 0..3 {
            let lost = apply_for(reader, &*handles.one, Counting::take(id, presented).into(), START);
            assert_eq!(lost, Ok(Outcome::Counter(Counted::Count(presented + 1))), "{reader:?}");
            let again = count(&*handles.other, Counting::take(id, presented), START);
            assert_eq!(again, Ok(Counted::Count(presented + 1)), "{reader:?}");
        }
        assert_eq!(
            count(&*handles.one, Counting::take(id, 2), START),
            Ok(Counted::Replayed),
            "that one arrived"
        );
    }
}

fn a_counter_keeps_its_own_bound(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    let id = started(&*handles.one, &mut maker);
    assert_eq!(count(&*handles.one, Counting::add(id, COUNT_MAX), START), Ok(Counted::Count(COUNT_MAX)));
    assert_eq!(count(&*handles.other, Counting::add(id, 1), START), Ok(Counted::TooMuch));
    assert_eq!(count(&*handles.one, Counting::read(id), START), Ok(Counted::Count(COUNT_MAX)));
}

fn kinds_may_share_an_identifier(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    let code = maker.code();
    let id = code.grant();
    assert_eq!(count(&*handles.one, Counting::start(id, "ada", LIFETIME, None), START), Ok(Counted::Started));
    assert_eq!(grant(&*handles.other, maker.grant(&code, None), START), Ok(Granting::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    // Together, so that a store that looked at the identifier alone would mix them.
    let batch = [Counting::add(id, 3).into(), redeem.into(), Counting::take(id, 3).into()];
    let applied = apply_all(&*handles.one, batch.map(|transition| (transition, START)).into());
    let [Ok(Outcome::Counter(added)), Ok(Outcome::Grant(redeemed)), Ok(Outcome::Counter(taken))] = &applied[..]
    else {
        panic!("{applied:?}");
    };
    assert!(matches!(redeemed, Granting::Redeemed { .. }), "{redeemed:?}");
    assert_eq!((added, taken), (&Counted::Count(3), &Counted::Count(4)));
    assert_eq!(count(&*handles.other, Counting::end(id), START), Ok(Counted::Ended));
    assert_eq!(grant(&*handles.one, maker.check(&tokens.access), START), Ok(Granting::Active));
}

fn a_counter_expires(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    let id = started(&*handles.one, &mut maker);
    let end = START.after(LIFETIME);
    let just_before = Timestamp::from_milliseconds(end.as_milliseconds() - 1);
    assert_eq!(count(&*handles.one, Counting::read(id), just_before), Ok(Counted::Count(0)));
    assert_eq!(count(&*handles.other, Counting::read(id), end), Ok(Counted::Unknown));
    assert_eq!(count(&*handles.other, Counting::add(id, 1), end), Ok(Counted::Unknown));
}

/// What random clients may ask for next, of both kinds. Some counters have the identifier of a grant.
struct Player {
    maker: Maker,
    random: Random,
    codes: Vec<Credential>,
    tokens: Vec<Tokens>,
    counters: Vec<Id>,
}

impl Player {
    fn new(number: u32) -> Player {
        let (codes, tokens, counters) = (Vec::new(), Vec::new(), Vec::new());
        Player { maker: Maker::new(number), random: Random::new(number.into()), codes, tokens, counters }
    }

    fn one_of<V: Clone>(&mut self, values: &[V]) -> Option<V> {
        values.get(self.random.index(values.len())).cloned()
    }

    fn ask_a_grant(&mut self) -> oauth::Transition {
        let (codes, tokens) = (self.codes.clone(), self.tokens.clone());
        let code = self.one_of(&codes).unwrap_or_else(|| self.maker.code());
        match (self.random.below(8), self.one_of(&tokens)) {
            (0..=2, _) | (_, None) => {
                let code = self.maker.code();
                self.codes.push(code.clone());
                self.maker.grant(&code, None)
            }
            (3..=5, _) => {
                let (redeem, tokens) = self.maker.redeem(&code);
                self.tokens.push(tokens);
                redeem
            }
            (6, Some(tokens)) => self.maker.revoke(&tokens.access),
            (_, Some(tokens)) => self.maker.check(&tokens.access),
        }
    }

    fn ask_a_counter(&mut self) -> Counting {
        let (counters, codes) = (self.counters.clone(), self.codes.clone());
        let id = self.one_of(&counters).unwrap_or_else(|| id(&mut self.maker));
        match self.random.below(10) {
            0..=2 => {
                let shared = self.one_of(&codes).map(|code| code.grant());
                let id = shared
                    .filter(|id| !self.counters.contains(id))
                    .unwrap_or_else(|| self::id(&mut self.maker));
                self.counters.push(id);
                let kept_until = self.random.one_in(2).then(|| START.after(2 * LIFETIME));
                Counting::start(id, "ada", LIFETIME, kept_until)
            }
            3..=5 => Counting::add(id, 1),
            6 | 7 => Counting::take(id, self.random.below(3)),
            8 => Counting::read(id),
            _ => Counting::end(id),
        }
    }
}

impl model::Player<both::Transition> for Player {
    fn ask(&mut self) -> both::Transition {
        if self.random.one_in(2) { self.ask_a_grant().into() } else { self.ask_a_counter().into() }
    }

    fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

fn any_sequence_is_as_the_rules_have_it(handles: &Handles) {
    model::check_sequences([&*handles.one, &*handles.other], |seed| {
        Player::new(handles.number * 100_000 + seed)
    });
}

fn any_batch_is_as_some_order_of_it(handles: &Handles) {
    model::check_batches(&*handles.one, |seed| Player::new(handles.number * 100_000 + seed));
}

/// A request that takes three steps, each of which changes one record: it starts a counter for its subject, counts the
/// grant, and makes the grant. A counter that counts a grant that was never made is harmless; a grant that is not
/// counted is not.
struct Request {
    counter: Id,
    code: Credential,
}

impl Request {
    const STEPS: usize = 3;

    /// Does the first `steps` steps. Each begins when the one before it has been confirmed.
    fn stop_after(&self, steps: usize, store: &Both, maker: &Maker) -> Result<(), StoreError> {
        if steps >= 1 {
            apply(store, Counting::start(self.counter, "ada", LIFETIME, None).into(), START)?;
        }
        if steps >= 2 {
            apply(store, Counting::add(self.counter, 1).into(), START)?;
        }
        if steps >= 3 {
            apply(store, maker.grant(&self.code, None).into(), START)?;
        }
        Ok(())
    }

    /// Whether there is the grant. If so, it must be counted.
    fn check(&self, store: &Both, maker: &mut Maker) -> bool {
        let count = match count(store, Counting::read(self.counter), START) {
            Ok(Counted::Count(count)) => count,
            Ok(Counted::Unknown) => 0,
            other => panic!("{other:?}"),
        };
        let (redeem, _) = maker.redeem(&self.code);
        let is_made = match grant(store, redeem, START) {
            Ok(Granting::Redeemed { .. } | Granting::Replayed) => true,
            Ok(Granting::Unknown) => false,
            other => panic!("{other:?}"),
        };
        assert!(count > 0 || !is_made, "a grant that nothing counts");
        is_made
    }
}

fn a_request_may_stop_after_each_step(handles: &Handles) {
    let mut maker = Maker::new(handles.number);
    for steps in 0..=Request::STEPS {
        let request = Request { counter: id(&mut maker), code: maker.code() };
        request.stop_after(steps, &*handles.one, &maker).expect("room and time");
        assert_eq!(request.check(&*handles.other, &mut maker), steps == Request::STEPS, "after {steps} steps");
    }
}

/// A store for at most `records_max` of each kind, and `holder_max` of each holder.
fn bounded(folder: &Folder, records_max: usize, holder_max: usize) -> [Arc<Both>; 2] {
    let memory: Arc<Both> = Arc::new(MemoryStore::with_bounds(|_| KindBounds { records_max, holder_max }));
    let (bounds, system) = (stores::bounds(records_max, holder_max), TestSystem::for_store());
    let path = folder.join("bounded");
    let file = FileStore::open(&path, Waiting::ForNothing, bounds, KEY, system, Log::kept());
    [memory, Arc::new(file.expect("a new file"))]
}

#[test]
fn a_flood_of_one_kind_takes_no_room_from_another() {
    let folder = Folder::new();
    for store in bounded(&folder, 5, 5) {
        let (mut ada, mut bob) = (Maker::of(1, "app", "ada"), Maker::of(2, "app", "bob"));
        let start = |maker: &mut Maker, subject: &str| {
            count(&*store, Counting::start(id(maker), subject, LIFETIME, None), START)
        };
        for _ in 0..20 {
            assert_eq!(start(&mut ada, "ada"), Ok(Counted::Started), "the oldest of its own makes room");
        }
        assert!(
            matches!(start(&mut ada, "bob"), Err(StoreError::Full { .. })),
            "there is no room for another's"
        );
        for _ in 0..20 {
            let code = ada.code();
            assert_eq!(grant(&*store, ada.grant(&code, None), START), Ok(Granting::Granted));
        }
        let code = bob.code();
        assert!(matches!(grant(&*store, bob.grant(&code, None), START), Err(StoreError::Full { .. })));
        // What has expired makes room, each for its own kind.
        let then = START.after(MINUTE);
        assert_eq!(grant(&*store, bob.grant(&code, None), then), Ok(Granting::Granted), "codes live a minute");
        let late = Counting::start(id(&mut ada), "bob", LIFETIME, None);
        assert!(
            matches!(count(&*store, late.clone(), then), Err(StoreError::Full { .. })),
            "counters live five"
        );
        assert_eq!(count(&*store, late, START.after(LIFETIME)), Ok(Counted::Started));
    }
}

#[test]
fn a_holder_has_its_bound_for_each_kind() {
    let folder = Folder::new();
    for store in bounded(&folder, 1000, 3) {
        let mut maker = Maker::of(1, "", "ada");
        let counters: Vec<Id> = (0..5).map(|_| started(&*store, &mut maker)).collect();
        let codes: Vec<Credential> = (0..3).map(|_| maker.code()).collect();
        for code in &codes {
            assert_eq!(grant(&*store, maker.grant(code, None), START), Ok(Granting::Granted));
        }
        let is_there = |id: &Id| count(&*store, Counting::read(*id), START) == Ok(Counted::Count(0));
        let there: Vec<bool> = counters.iter().map(is_there).collect();
        assert_eq!(there, [false, false, true, true, true], "the last three");
        for code in &codes {
            let (redeem, _) = maker.redeem(code);
            assert!(matches!(grant(&*store, redeem, START), Ok(Granting::Redeemed { .. })));
        }
    }
}

fn open<T: oauth::kind::Transition>(path: &Path) -> Result<FileStore<T>, String> {
    let opened = FileStore::open(path, Waiting::ForTheDisk, BOUNDS, KEY, TestSystem::for_store(), Log::kept());
    opened.map_err(|error| error.to_string())
}

fn format_of(path: &Path) -> (u64, Vec<String>) {
    let database = Database::open(path).unwrap();
    let read = database.begin_write().unwrap();
    let mut names: Vec<String> = read.list_tables().unwrap().map(|table| table.name().to_owned()).collect();
    names.sort();
    let about = read.open_table(TableDefinition::<&str, &[u8]>::new("about")).unwrap();
    let format = about.get("format").unwrap().unwrap().value().try_into().unwrap();
    (u64::from_be_bytes(format), names)
}

#[test]
fn a_file_of_grants_takes_a_second_kind_when_one_is_written() {
    let folder = Folder::new();
    let path = folder.join("grants");
    let mut maker = Maker::new(1);
    let code = maker.code();
    let store = open::<oauth::Transition>(&path).unwrap();
    assert_eq!(apply(&store, maker.grant(&code, None), START), Ok(Granting::Granted));
    drop(store);
    let grants_alone = (2, ["about", "expiries", "pairs", "records"].map(str::to_owned).to_vec());
    assert_eq!(format_of(&path), grants_alone);

    // A program with counters that writes none leaves the file as it is.
    let store = open::<both::Transition>(&path).unwrap();
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(grant(&store, redeem, START), Ok(Granting::Redeemed { .. })));
    let counter = id(&mut maker);
    assert_eq!(count(&store, Counting::read(counter), START), Ok(Counted::Unknown));
    assert_eq!(count(&store, Counting::add(counter, 1), START), Ok(Counted::Unknown));
    drop(store);
    assert_eq!(format_of(&path), grants_alone);
    let store = open::<oauth::Transition>(&path).unwrap();
    assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Granting::Active));
    drop(store);

    let store = open::<both::Transition>(&path).unwrap();
    assert_eq!(count(&store, Counting::start(counter, "ada", LIFETIME, None), START), Ok(Counted::Started));
    assert_eq!(store.len(), Ok(2));
    drop(store);
    let (format, names) = format_of(&path);
    assert_eq!(format, 3);
    assert!(names.iter().any(|name| name == "records counter"), "{names:?}");
    let error = open::<oauth::Transition>(&path).map(drop).unwrap_err();
    assert!(error.contains("the file has records of the kind \"counter\", which another version"), "{error}");
    let store = open::<both::Transition>(&path).unwrap();
    assert_eq!(count(&store, Counting::read(counter), START), Ok(Counted::Count(0)));
    assert_eq!(grant(&store, maker.check(&tokens.access), START), Ok(Granting::Active));
}

fn crashes() -> u64 {
    std::env::var("DISK_CRASHES").ok().and_then(|count| count.parse().ok()).unwrap_or(60)
}

fn on(disk: &SimulatedDisk) -> FileStore<both::Transition> {
    let disk = disk.clone();
    let opened = FileStore::on(
        move || disk.clone(),
        Waiting::ForTheDisk,
        BOUNDS,
        KEY,
        TestSystem::for_store(),
        Log::kept(),
    );
    opened.expect("what survives is a file")
}

/// What was confirmed of counters, and what may have happened without being confirmed.
#[derive(Default)]
struct Told(BTreeMap<Id, [u64; 2]>);

impl Told {
    /// Starts a counter and adds to all of them, in one batch with a grant.
    fn ask(&mut self, store: &Both, maker: &mut Maker) {
        let (new, code) = (id(maker), maker.code());
        let mut batch: Vec<both::Transition> =
            vec![maker.grant(&code, None).into(), Counting::start(new, "ada", LIFETIME, None).into()];
        batch.extend(self.0.keys().map(|id| both::Transition::from(Counting::add(*id, 1))));
        let applied = apply_all(store, batch.into_iter().map(|transition| (transition, START)).collect());
        for ([least, most], applied) in self.0.values_mut().zip(&applied[2..]) {
            *most += 1;
            if applied.is_ok() {
                *least += 1;
            }
        }
        if applied[1] == Ok(Outcome::Counter(Counted::Started)) {
            self.0.insert(new, [0, 0]);
        }
    }

    /// Holds the store to it.
    fn hold(&mut self, store: &Both, at: &str) {
        for (id, [least, most]) in &mut self.0 {
            let Ok(Counted::Count(count)) = count(store, Counting::read(*id), START) else {
                panic!("{at}: a counter is lost");
            };
            assert!((*least..=*most).contains(&count), "{at}: {count}, not {least} to {most}");
            (*least, *most) = (count, count);
        }
    }
}

#[test]
fn confirmed_records_of_both_kinds_survive_a_disk_that_tears() {
    for seed in 0..crashes() {
        let mut disk = SimulatedDisk::new(seed);
        let (mut told, mut maker) = (Told::default(), Maker::new(seed as u32));
        let mut requests: Vec<(Request, bool)> = Vec::new();
        for round in 0..3 {
            let at = format!("seed {seed}, round {round}");
            let store = on(&disk);
            told.hold(&store, &at);
            for (request, is_confirmed) in &requests {
                let is_made = request.check(&store, &mut maker);
                assert!(is_made || !is_confirmed, "{at}: a grant is lost");
            }
            (0..3).for_each(|_| told.ask(&store, &mut maker));
            // From some call on nothing reaches the disk any more, in the middle of some request; then the machine
            // fails.
            disk.fail_after(seed * 7 % 60);
            told.ask(&store, &mut maker);
            let request = Request { counter: id(&mut maker), code: maker.code() };
            let is_confirmed = request.stop_after(Request::STEPS, &store, &maker).is_ok();
            requests.push((request, is_confirmed));
            let crashed = disk.after_a_crash();
            drop(store);
            disk = crashed;
        }
    }
}

/// A request is stopped after each of its steps by a crash, and not by the client.
#[test]
fn a_crash_after_any_step_of_a_request_leaves_what_is_harmless() {
    for steps in 0..=Request::STEPS {
        let (disk, mut maker) = (SimulatedDisk::new(steps as u64), Maker::new(steps as u32));
        let request = Request { counter: id(&mut maker), code: maker.code() };
        let store = on(&disk);
        request.stop_after(steps, &store, &maker).expect("the disk works");
        let crashed = disk.after_a_crash();
        drop(store);
        let store = on(&crashed);
        assert_eq!(request.check(&store, &mut maker), steps == Request::STEPS, "after {steps} steps");
    }
}

/// Two servers add to one counter, and one of them loses connections with answers on their way. What it wrote looks
/// like what the other writes, and must not be taken for it.
#[test]
fn an_addition_whose_answer_is_lost_counts_once() {
    if !engine::is_installed("an_addition_whose_answer_is_lost_counts_once") {
        return;
    }
    let engine = Engine::start(&[]);
    let proxy = Proxy::to(&engine);
    let (one, other) = (connect(&engine.url(), Safety::default()), connect(&proxy.url(), Safety::default()));
    let mut maker = Maker::new(1);
    for cut in 0..60 {
        let id = started(&*one, &mut maker);
        let (least, most) = (AtomicU64::new(0), AtomicU64::new(0));
        proxy.cut_after(cut % 7);
        let add = |store: &Both| {
            for _ in 0..30 {
                most.fetch_add(1, Ordering::Relaxed);
                if count(store, Counting::add(id, 1), START).is_ok() {
                    least.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| add(&*one));
            scope.spawn(|| add(&*other));
        });
        let (least, most) = (least.into_inner(), most.into_inner());
        let Ok(Counted::Count(count)) = count(&*one, Counting::read(id), START) else { panic!("it is there") };
        assert!((least..=most).contains(&count), "cut {cut}: {count}, not {least} to {most}");
    }
}

/// What an engine needs in order to forget nothing that it has confirmed when it is killed.
const DURABLE: [&str; 6] = ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "1gb"];

#[test]
fn confirmed_records_of_both_kinds_survive_a_killed_engine() {
    if !engine::is_installed("confirmed_records_of_both_kinds_survive_a_killed_engine") {
        return;
    }
    let mut engine = Engine::start(&DURABLE);
    let store = connect(&engine.url(), Safety::default());
    let (mut told, mut maker) = (Told::default(), Maker::new(1));
    let mut requests: Vec<(Request, bool)> = Vec::new();
    for round in 0..3 {
        (0..5).for_each(|_| told.ask(&*store, &mut maker));
        let request = Request { counter: id(&mut maker), code: maker.code() };
        let is_confirmed = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                told.ask(&*store, &mut maker);
                request.stop_after(Request::STEPS, &*store, &maker).is_ok()
            });
            engine.kill();
            asked.join().expect("no panic")
        });
        requests.push((request, is_confirmed));
        engine.run();
        wait_for(&*store);
        told.hold(&*store, &format!("round {round}"));
        for (request, is_confirmed) in &requests {
            assert!(request.check(&*store, &mut maker) || !is_confirmed, "round {round}: a grant is lost");
        }
    }
}

#[test]
fn an_engine_killed_after_any_step_leaves_a_harmless_state() {
    if !engine::is_installed("an_engine_killed_after_any_step_leaves_a_harmless_state") {
        return;
    }
    let mut engine = Engine::start(&DURABLE);
    let store = connect(&engine.url(), Safety::default());
    let mut maker = Maker::new(1);
    for steps in 0..=Request::STEPS {
        let request = Request { counter: id(&mut maker), code: maker.code() };
        request.stop_after(steps, &*store, &maker).expect("the engine works");
        engine.kill();
        engine.run();
        wait_for(&*store);
        assert_eq!(request.check(&*store, &mut maker), steps == Request::STEPS, "after {steps} steps");
    }
}

/// Returns when the store has its engine again.
fn wait_for(store: &Both) {
    let nothing = id(&mut Maker::new(9));
    wait_until("the store has its engine", || count(store, Counting::read(nothing), START).is_ok());
}

/// Each kind may have other bounds.
#[test]
fn bounds_are_by_kind() {
    let mut bounds: Bounds = BOUNDS;
    bounds.kinds[1] = KindBounds { records_max: 1, holder_max: 1 };
    let disk = SimulatedDisk::new(1);
    let store: FileStore<both::Transition> = FileStore::on(
        move || disk.clone(),
        Waiting::ForTheDisk,
        bounds,
        KEY,
        TestSystem::for_store(),
        Log::kept(),
    )
    .unwrap();
    let mut maker = Maker::new(1);
    for _ in 0..5 {
        let code = maker.code();
        assert_eq!(grant(&store, maker.grant(&code, None), START), Ok(Granting::Granted));
    }
    let start = |subject, maker: &mut Maker| -> BothApplied {
        apply(&store, Counting::start(id(maker), subject, LIFETIME, None).into(), START)
    };
    assert!(start("ada", &mut maker).is_ok());
    assert!(matches!(start("bob", &mut maker), Err(StoreError::Full { .. })));
}
