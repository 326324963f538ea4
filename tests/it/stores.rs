//! The contract of a store, held by each of them: one suite, run on memory, on a file, and on an engine where
//! one is installed.
//!
//! `STORE_SEQUENCES=N` tries more of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use crate::support::engine::{self, Cluster, Engine};
use crate::support::model;
use crate::support::random::Random;
use crate::support::stores::{
    BOUNDS, CODE_LIFETIME, Folder, LIFETIMES, MINUTE, Maker, RESOURCES, START, Tokens,
};
use crate::support::stores::{Reader, apply, apply_all, apply_for, bounds, rotated, submit_for};
use crate::support::system::TestSystem;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::kind::Transition as _;
use oauth_from_scratch::oauth::{Credential, Outcome, Timestamp, Transition};
use oauth_from_scratch::store::file::Waiting;
use oauth_from_scratch::store::redis::Safety;
use oauth_from_scratch::store::{Applied, FileStore, Location, MemoryStore, RedisStore, Store, StoreError};

/// One thing that must hold, and how it is tried on two handles of one store (two servers on one engine; where
/// there can be but one, the same twice).
type Case = (&'static str, fn(&Pair));

/// Two handles of one store, and what is known of it.
struct Pair {
    one: Arc<dyn Store>,
    other: Arc<dyn Store>,
    /// Different for each case, so that none meets another's grants.
    number: u32,
}

const SUITE: &[Case] = &[
    ("a code buys tokens once, and the second time ends them", a_code_buys_tokens_once),
    ("twenty racers with one code: one wins", one_code_has_one_winner),
    ("twenty racers with one refresh token: one family is left", one_refresh_token_has_one_successor),
    ("a form makes one grant, however often it is sent", a_form_makes_one_grant),
    ("an answer that reached no client can be had again", an_answer_that_reached_no_client_can_be_had_again),
    ("a repeat that is broken off opens no back door", a_repeat_that_is_broken_off_opens_no_back_door),
    ("a retry that is there already is no replay", a_retry_behind_a_client_that_has_gone_is_no_replay),
    ("what ends is over for everyone at once", what_is_revoked_is_over_for_everyone),
    ("nothing is good a millisecond too long", nothing_is_good_too_long),
    ("a token is for the resources that it was asked for", a_token_is_for_its_resources),
    ("a batch of the same token is answered, each for itself", many_look_at_one_token),
    ("any sequence comes to what the rules alone come to", any_sequence_is_as_the_rules_have_it),
    ("any batch comes to what some order of it comes to", any_batch_is_as_some_order_of_it),
    ("unknown names are unknown, and make nothing", unknown_names_are_unknown),
];

fn run(suite_of: &str, one: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    for (number, (name, case)) in (1..).zip(SUITE) {
        println!("{suite_of}: {name}");
        case(&Pair { one: Arc::clone(one), other: Arc::clone(other), number });
    }
    println!("{suite_of}: {} cases hold", SUITE.len());
}

#[test]
fn memory_keeps_the_contract() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(1_000_000));
    run("memory", &store, &store);
}

#[test]
fn a_file_keeps_the_contract() {
    let folder = Folder::new();
    for waiting in [Waiting::ForTheDisk, Waiting::ForNothing] {
        let path = folder.join(&format!("{waiting:?}"));
        let store = FileStore::open(&path, waiting, BOUNDS, [7; 32], TestSystem::for_store(), Log::kept());
        let store: Arc<dyn Store> = Arc::new(store.expect("a new file"));
        run(&format!("file, waiting {waiting:?}"), &store, &store);
    }
}

/// A form that is sent again and again would fill the store otherwise, and lock everybody else out.
#[test]
fn what_makes_no_grant_takes_no_room() {
    let folder = Folder::new();
    let bounds = bounds(2, 1_000_000);
    let path = folder.join("grants");
    let file =
        FileStore::open(&path, Waiting::ForNothing, bounds, [7; 32], TestSystem::for_store(), Log::kept());
    let stores: [Arc<dyn Store>; 2] =
        [Arc::new(MemoryStore::bounded(2, 1_000_000)), Arc::new(file.expect("a new file"))];
    for store in stores {
        let (mut maker, mut maker_of_others) = (Maker::new(1), Maker::new(2));
        let codes = [maker.code(), maker.code(), maker.code()];
        let grant = |code: &Credential| apply(&*store, maker.grant(code, None), START);
        assert_eq!(grant(&codes[0]), Ok(Outcome::Granted));
        for _ in 0..5 {
            assert_eq!(grant(&codes[0]), Ok(Outcome::GrantedAgain));
            assert_eq!(grant(&maker_of_others.code().moved_to(codes[0].grant())), Ok(Outcome::Taken));
        }
        assert_eq!(grant(&codes[1]), Ok(Outcome::Granted), "there is room for two");
        assert!(matches!(grant(&codes[2]), Err(StoreError::Full { .. })), "and for no more");
        assert_eq!(grant(&codes[0]), Ok(Outcome::GrantedAgain), "a form that is sent again needs none");
    }
}

/// A handle of its own on the engine, as another server has it.
fn connect(url: &str, safety: Safety) -> Arc<dyn Store> {
    let Ok(Location::Redis(location)) = Location::parse(url) else { panic!("{url}") };
    // A transition has a minute: nothing here is too slow.
    let store = RedisStore::connect(
        &location,
        &engine::options(safety, BOUNDS),
        Some([7; 32]),
        TestSystem::running_for_store(),
        Log::kept(),
    );
    Arc::new(store.unwrap_or_else(|error| panic!("{url}: {error}")))
}

#[test]
fn an_engine_keeps_the_contract_for_two_servers() {
    if !engine::is_installed("an_engine_keeps_the_contract_for_two_servers") {
        return;
    }
    let engine = Engine::start(&[]);
    let (one, other) = (connect(&engine.url(), Safety::default()), connect(&engine.url(), Safety::default()));
    run("engine", &one, &other);
}

#[test]
fn a_cluster_keeps_the_contract_for_two_servers() {
    if !engine::is_installed("a_cluster_keeps_the_contract_for_two_servers") {
        return;
    }
    let cluster = Cluster::start();
    let (one, other) = (connect(&cluster.url(), Safety::default()), connect(&cluster.url(), Safety::default()));
    run("cluster", &one, &other);
    let sizes: Vec<u64> = (cluster.nodes.iter())
        .map(|node| node.command("DBSIZE").trim_start_matches(':').parse().expect("a number"))
        .collect();
    assert!(sizes.iter().all(|size| *size > 100), "every node has its share: {sizes:?}");
}

#[test]
fn an_engine_with_a_replica_keeps_the_contract_of_stores() {
    if !engine::is_installed("an_engine_with_a_replica_keeps_the_contract_of_stores") {
        return;
    }
    let engine = Engine::start(&[]);
    let _replica = engine.replica();
    let safety = Safety { replicas_min: 1, append_only_file: false };
    let (one, other) = (connect(&engine.url(), safety), connect(&engine.url(), safety));
    run("engine with a replica", &one, &other);
}

/// A grant with tokens.
fn redeemed(pair: &Pair, maker: &mut Maker, now: Timestamp) -> (Credential, Tokens) {
    let code = maker.code();
    assert_eq!(apply(&*pair.one, maker.grant(&code, None), now), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(&*pair.other, redeem, now), Ok(Outcome::Redeemed { .. })));
    (code, tokens)
}

fn is_active(store: &dyn Store, maker: &Maker, token: &Credential, now: Timestamp) -> bool {
    match apply(store, maker.check(token), now) {
        Ok(Outcome::Active) => true,
        Ok(Outcome::Inactive) => false,
        other => panic!("{other:?}"),
    }
}

fn a_code_buys_tokens_once(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    let (code, tokens) = redeemed(pair, &mut maker, START);
    for store in [&pair.one, &pair.other] {
        assert!(is_active(&**store, &maker, &tokens.access, START));
        assert!(!is_active(&**store, &maker, &tokens.refresh, START), "a refresh token opens nothing");
    }
    let (again, _) = maker.redeem(&code);
    assert_eq!(apply(&*pair.one, again, START), Ok(Outcome::Replayed));
    for store in [&pair.one, &pair.other] {
        assert!(!is_active(&**store, &maker, &tokens.access, START));
    }
    let (again, _) = maker.redeem(&code);
    assert_eq!(apply(&*pair.other, again, START), Ok(Outcome::Unknown));
}

/// Applies half of the transitions through each handle, all at the same time.
fn race(pair: &Pair, transitions: Vec<Transition>, now: Timestamp) -> Vec<Applied> {
    let at = |transition| (transition, now);
    let mut ones: Vec<_> = transitions.into_iter().map(at).collect();
    let others = ones.split_off(ones.len() / 2);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| apply_all(&*pair.one, ones));
        let other = scope.spawn(|| apply_all(&*pair.other, others));
        let mut applied = one.join().expect("no panic");
        applied.extend(other.join().expect("no panic"));
        applied
    })
}

fn one_code_has_one_winner(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    for _ in 0..10 {
        let code = maker.code();
        assert_eq!(apply(&*pair.one, maker.grant(&code, None), START), Ok(Outcome::Granted));
        let (racers, tokens): (Vec<_>, Vec<_>) = (0..20).map(|_| maker.redeem(&code)).unzip();
        let applied = race(pair, racers, START);
        let count = |is: fn(&Outcome) -> bool| applied.iter().flatten().filter(|outcome| is(outcome)).count();
        let won = count(|outcome| matches!(outcome, Outcome::Redeemed { .. }));
        let replayed = count(|outcome| matches!(outcome, Outcome::Replayed));
        let late = count(|outcome| matches!(outcome, Outcome::Unknown));
        assert_eq!((won, replayed, late), (1, 1, 18));
        assert!(tokens.iter().all(|tokens| !is_active(&*pair.other, &maker, &tokens.access, START)));
    }
}

fn one_refresh_token_has_one_successor(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    for _ in 0..10 {
        let (_, first) = redeemed(pair, &mut maker, START);
        let (racers, salts): (Vec<_>, Vec<_>) = (0..20).map(|_| maker.rotate(&first.refresh)).unzip();
        let applied = race(pair, racers, START);
        let mut successors: Vec<String> = Vec::new();
        let mut firsts = 0;
        for (outcome, salt) in applied.iter().zip(&salts) {
            let outcome = outcome.as_ref().expect("an outcome");
            firsts += usize::from(matches!(outcome, Outcome::Rotated { .. }));
            let tokens = rotated(&first.refresh, *salt, outcome).expect("every racer is in the grace time");
            assert!(is_active(&*pair.one, &maker, &tokens.access, START));
            successors.push(tokens.refresh.encode());
        }
        successors.dedup();
        assert_eq!((firsts, successors.len()), (1, 1), "one rotation, and one refresh token for them all");
        // One past the grace time, and the family ends.
        let (late, _) = maker.rotate(&first.refresh);
        let then = START.after(LIFETIMES.refresh_grace);
        assert_eq!(apply(&*pair.other, late, then), Ok(Outcome::Reused));
        let successor = Credential::parse(successors[0].as_bytes()).unwrap();
        let (next, _) = maker.rotate(&successor);
        assert!(matches!(apply(&*pair.one, next, then), Ok(Outcome::Unknown)));
    }
}

fn a_form_makes_one_grant(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    let kept_until = Some(START.after(10 * MINUTE));
    let named = maker.code();
    let codes: Vec<Credential> = (0..20).map(|_| maker.code().moved_to(named.grant())).collect();
    let racers = codes.iter().map(|code| maker.grant(code, kept_until)).collect();
    let applied = race(pair, racers, START);
    let won: Vec<usize> = (0..20).filter(|at| applied[*at] == Ok(Outcome::Granted)).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(applied.iter().filter(|applied| **applied == Ok(Outcome::Taken)).count(), 19);
    let again = (0..20).map(|_| maker.grant(&codes[won[0]], kept_until)).collect();
    assert!(race(pair, again, START).iter().all(|applied| *applied == Ok(Outcome::GrantedAgain)), "unspent");
    // Its code is the one that works, and a form that was used stays used when the grant is over.
    let (redeem, tokens) = maker.redeem(&codes[won[0]]);
    assert!(matches!(apply(&*pair.other, redeem, START), Ok(Outcome::Redeemed { .. })));
    assert_eq!(apply(&*pair.one, maker.revoke(&tokens.refresh), START), Ok(Outcome::Revoked));
    let late = START.after(10 * MINUTE - Duration::from_millis(1));
    assert_eq!(apply(&*pair.other, maker.grant(&codes[0], kept_until), late), Ok(Outcome::Taken));
}

fn an_answer_that_reached_no_client_can_be_had_again(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    for seconds in [1, 12, 59, 61, 600] {
        for reader in [Reader::Goes, Reader::HasGone] {
            let later = START.after(Duration::from_secs(seconds));
            let case = format!("{reader:?}, {seconds} s");
            let code = maker.code();
            assert_eq!(apply(&*pair.one, maker.grant(&code, None), START), Ok(Outcome::Granted));
            let (redeem, lost) = maker.redeem(&code);
            let applied = apply_for(reader, &*pair.one, redeem, START);
            assert!(matches!(applied, Ok(Outcome::Redeemed { .. })), "{case}: {applied:?}");
            let (retry, mut tokens) = maker.redeem(&code);
            let applied = apply(&*pair.other, retry, later);
            if later >= START.after(CODE_LIFETIME) {
                assert!(matches!(applied, Ok(Outcome::Expired)), "{case}: {applied:?}");
                (_, tokens) = redeemed(pair, &mut maker, START);
            } else {
                assert!(matches!(applied, Ok(Outcome::Redeemed { .. })), "{case}: {applied:?}");
                assert!(!is_active(&*pair.one, &maker, &lost.access, later), "{case}");
            }
            let (rotate, _) = maker.rotate(&tokens.refresh);
            let applied = apply_for(reader, &*pair.one, rotate, START);
            assert!(matches!(applied, Ok(Outcome::Rotated { .. })), "{case}: {applied:?}");
            let (retry, salt) = maker.rotate(&tokens.refresh);
            let applied = apply(&*pair.other, retry, later).expect("an outcome");
            let second =
                rotated(&tokens.refresh, salt, &applied).unwrap_or_else(|| panic!("{case}: {applied:?}"));
            assert!(is_active(&*pair.one, &maker, &second.access, later), "{case}");
            // That answer arrived: from now on it is judged.
            let (reuse, _) = maker.rotate(&tokens.refresh);
            let then = later.after(LIFETIMES.refresh_grace);
            assert_eq!(apply(&*pair.one, reuse, then), Ok(Outcome::Reused), "{case}");
        }
    }
}

/// A thief rotates, has its answer, and then breaks off a repeat: the answer that it has must stay one that arrived.
fn a_repeat_that_is_broken_off_opens_no_back_door(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    for reader in [Reader::Goes, Reader::HasGone] {
        let (_, tokens) = redeemed(pair, &mut maker, START);
        let (rotate, _) = maker.rotate(&tokens.refresh);
        assert!(matches!(apply(&*pair.one, rotate, START), Ok(Outcome::Rotated { .. })));
        let (repeat, _) = maker.rotate(&tokens.refresh);
        let repeated = submit_for(reader, &*pair.other, vec![(repeat, START)]).wait();
        assert!(matches!(repeated[..], [Ok(Outcome::Repeated { .. })]), "{repeated:?}");
        let (reuse, _) = maker.rotate(&tokens.refresh);
        let then = START.after(LIFETIMES.refresh_grace);
        assert_eq!(apply(&*pair.one, reuse, then), Ok(Outcome::Reused), "{reader:?}");
    }
}

/// The store took so long that the client asked again, and both requests are applied together.
fn a_retry_behind_a_client_that_has_gone_is_no_replay(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    for _ in 0..20 {
        let code = maker.code();
        assert_eq!(apply(&*pair.one, maker.grant(&code, None), START), Ok(Outcome::Granted));
        let (first, _) = maker.redeem(&code);
        let (retry, tokens) = maker.redeem(&code);
        let withdrawal = first.withdrawal().expect("a redemption");
        let first = submit_for(Reader::HasGone, &*pair.one, vec![(first, START)]);
        if first.is_over() {
            // A store that answers at once has no queue in which they could meet.
            assert_eq!(apply(&*pair.one, withdrawal, START), Ok(Outcome::Withdrawn));
        }
        let applied = apply(&*pair.one, retry, START);
        assert!(matches!(applied, Ok(Outcome::Redeemed { .. })), "{applied:?}");
        assert!(matches!(first.wait()[..], [Ok(Outcome::Redeemed { .. })]));
        assert!(is_active(&*pair.one, &maker, &tokens.access, START));
        let (replay, _) = maker.redeem(&code);
        assert_eq!(apply(&*pair.other, replay, START), Ok(Outcome::Replayed), "the second one was delivered");
    }
}

fn what_is_revoked_is_over_for_everyone(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    let (_, tokens) = redeemed(pair, &mut maker, START);
    assert_eq!(apply(&*pair.one, maker.revoke(&tokens.access), START), Ok(Outcome::Revoked));
    assert!(!is_active(&*pair.other, &maker, &tokens.access, START));
    let (rotate, salt) = maker.rotate(&tokens.refresh);
    let outcome = apply(&*pair.other, rotate, START).expect("the refresh token is good still");
    let second = rotated(&tokens.refresh, salt, &outcome).expect("and is exchanged");
    assert_eq!(apply(&*pair.other, maker.revoke(&second.refresh), START), Ok(Outcome::Revoked));
    assert!(!is_active(&*pair.one, &maker, &second.access, START));
    assert_eq!(apply(&*pair.one, maker.revoke(&second.refresh), START), Ok(Outcome::Unknown));
}

fn nothing_is_good_too_long(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    let code = maker.code();
    assert_eq!(apply(&*pair.one, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (late, _) = maker.redeem(&code);
    assert!(matches!(
        apply(&*pair.one, late, START.after(CODE_LIFETIME)),
        Ok(Outcome::Expired | Outcome::Unknown)
    ));
    let (_, tokens) = redeemed(pair, &mut maker, START);
    let end = START.after(LIFETIMES.access_token);
    let just_before = Timestamp::from_milliseconds(end.as_milliseconds() - 1);
    assert!(is_active(&*pair.one, &maker, &tokens.access, just_before));
    assert!(!is_active(&*pair.other, &maker, &tokens.access, end));
}

fn a_token_is_for_its_resources(pair: &Pair) {
    let [one, two] = RESOURCES;
    let check = |maker: &Maker, token: &Credential, at_one: Outcome, at_two: Outcome| {
        for store in [&pair.one, &pair.other] {
            assert_eq!(apply(&**store, maker.check_at(one, token), START), Ok(at_one.clone()));
            assert_eq!(apply(&**store, maker.check_at(two, token), START), Ok(at_two.clone()));
        }
    };
    let mut maker = Maker::new(pair.number);
    maker.resources = &RESOURCES;
    let code = maker.code();
    assert_eq!(apply(&*pair.one, maker.grant(&code, None), START), Ok(Outcome::Granted));
    let (redeem, tokens) = maker.redeem(&code);
    let applied = apply(&*pair.other, maker.aimed_at(redeem, &[two]), START);
    assert!(matches!(applied, Ok(Outcome::Redeemed { .. })), "{applied:?}");
    check(&maker, &tokens.access, Outcome::OtherResource, Outcome::Active);
    // The refresh token kept both.
    let (rotate, salt) = maker.rotate(&tokens.refresh);
    let applied = apply(&*pair.one, maker.aimed_at(rotate, &[one]), START).expect("an outcome");
    let second = rotated(&tokens.refresh, salt, &applied).expect("it was rotated");
    check(&maker, &second.access, Outcome::Active, Outcome::OtherResource);
    check(&maker, &tokens.access, Outcome::OtherResource, Outcome::Active);
    let (rotate, salt) = maker.rotate(&second.refresh);
    let applied = apply(&*pair.other, rotate, START).expect("an outcome");
    let third = rotated(&second.refresh, salt, &applied).expect("it was rotated");
    check(&maker, &third.access, Outcome::Active, Outcome::Active);

    maker.resources = &RESOURCES[..1];
    let (_, tokens) = redeemed(pair, &mut maker, START);
    check(&maker, &tokens.access, Outcome::Active, Outcome::OtherResource);
    let (rotate, _) = maker.rotate(&tokens.refresh);
    let applied = apply(&*pair.other, maker.aimed_at(rotate, &[two]), START);
    assert!(matches!(applied, Ok(Outcome::OtherTarget { .. })), "it was not granted: {applied:?}");
}

fn many_look_at_one_token(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    let (_, tokens) = redeemed(pair, &mut maker, START);
    let looks = (0..1000).map(|_| maker.check(&tokens.access)).collect();
    assert!(race(pair, looks, START).iter().all(|applied| *applied == Ok(Outcome::Active)));
}

fn unknown_names_are_unknown(pair: &Pair) {
    let mut maker = Maker::new(pair.number);
    for _ in 0..50 {
        let nothing = maker.code();
        let (redeem, _) = maker.redeem(&nothing);
        assert_eq!(apply(&*pair.one, redeem, START), Ok(Outcome::Unknown));
        let (rotate, _) = maker.rotate(&nothing);
        assert_eq!(apply(&*pair.one, rotate, START), Ok(Outcome::Unknown));
        assert_eq!(apply(&*pair.one, maker.revoke(&nothing), START), Ok(Outcome::Unknown));
        assert!(!is_active(&*pair.one, &maker, &nothing, START));
        // Had anything been made, the name would be taken.
        assert_eq!(apply(&*pair.other, maker.grant(&nothing, None), START), Ok(Outcome::Granted));
    }
}

/// What a random client may ask for next.
struct Player {
    maker: Maker,
    random: Random,
    codes: Vec<Credential>,
    tokens: Vec<Tokens>,
}

impl Player {
    fn new(number: u32) -> Player {
        let maker = Maker::new(number);
        Player { maker, random: Random::new(number.into()), codes: Vec::new(), tokens: Vec::new() }
    }

    /// The request for all resources, or for one of them, which may not have been granted.
    fn aim(&mut self, request: Transition) -> Transition {
        match self.random.below(4) {
            0 => self.maker.aimed_at(request, &RESOURCES[..1]),
            1 => self.maker.aimed_at(request, &RESOURCES[1..]),
            _ => request,
        }
    }
}

impl model::Player<Transition> for Player {
    fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    fn ask(&mut self) -> Transition {
        let code = |player: &mut Player| match player.codes.len() {
            0 => player.maker.code(),
            count => {
                let at = player.random.index(count);
                player.codes[at].clone()
            }
        };
        let tokens = |player: &mut Player| match player.tokens.len() {
            0 => Tokens { access: player.maker.code(), refresh: player.maker.code() },
            count => {
                let at = player.random.index(count);
                player.tokens[at].clone()
            }
        };
        match self.random.below(12) {
            0..=2 => {
                let code = self.maker.code();
                self.codes.push(code.clone());
                self.maker.resources = &RESOURCES[..self.random.index(3)];
                self.maker.grant(&code, None)
            }
            3..=5 => {
                let code = code(self);
                let (redeem, tokens) = self.maker.redeem(&code);
                self.tokens.push(tokens);
                self.aim(redeem)
            }
            6 | 7 => {
                let presented = tokens(self).refresh;
                let (rotate, salt) = self.maker.rotate(&presented);
                // As though it was rotated with this salt; if it was not, no client has these tokens.
                let access = presented.successors(salt).access_token().clone();
                self.tokens.push(Tokens { access, refresh: presented });
                self.aim(rotate)
            }
            8 => {
                let tokens = tokens(self);
                let token = if self.random.one_in(2) { &tokens.access } else { &tokens.refresh };
                self.maker.revoke(token)
            }
            _ => {
                let token = tokens(self).access;
                self.maker.check(&token)
            }
        }
    }
}

fn any_sequence_is_as_the_rules_have_it(pair: &Pair) {
    model::check_sequences([&*pair.one, &*pair.other], |seed| Player::new(pair.number * 100_000 + seed));
}

fn any_batch_is_as_some_order_of_it(pair: &Pair) {
    model::check_batches(&*pair.one, |seed| Player::new(pair.number * 100_000 + seed));
}
