//! The bounds of the stores that have bounds of their own, memory and a file: how much there may be in all, and how
//! much of one pair of a subject and a client.

use std::sync::Arc;
use std::time::Duration;

use crate::support::stores::{CODE_LIFETIME, Folder, LIFETIMES, MINUTE, Maker, START, Tokens};
use crate::support::stores::{apply, apply_all, bounds, rotated};
use crate::support::system::TestSystem;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::{Credential, Outcome, Timestamp, Transition};
use oauth_from_scratch::store::file::Waiting;
use oauth_from_scratch::store::{Applied, FileStore, MemoryStore, Store, StoreError};

/// Runs `case` on each store, empty and with these bounds.
fn check(grants_max: usize, pair_grants_max: usize, case: impl Fn(&dyn Store)) {
    println!("memory");
    case(&MemoryStore::bounded(grants_max, pair_grants_max));
    println!("file");
    let folder = Folder::new();
    case(&open(&folder, grants_max, pair_grants_max));
}

fn open(folder: &Folder, grants_max: usize, pair_grants_max: usize) -> FileStore {
    let bounds = bounds(grants_max, pair_grants_max);
    let (system, log) = (TestSystem::for_store(), Log::kept());
    FileStore::open(&folder.join("grants"), Waiting::ForNothing, bounds, [7; 32], system, log).expect("a file")
}

fn at(milliseconds: u64) -> Timestamp {
    START.after(Duration::from_millis(milliseconds))
}

fn code(store: &dyn Store, maker: &mut Maker, now: Timestamp) -> Credential {
    let code = maker.code();
    assert_eq!(apply(store, maker.grant(&code, None), now), Ok(Outcome::Granted));
    code
}

fn redeem(store: &dyn Store, maker: &mut Maker, code: &Credential, now: Timestamp) -> Tokens {
    let (redeem, tokens) = maker.redeem(code);
    let applied = apply(store, redeem, now);
    assert!(matches!(applied, Ok(Outcome::Redeemed { .. })), "{applied:?}");
    tokens
}

fn login(store: &dyn Store, maker: &mut Maker, now: Timestamp) -> Tokens {
    let code = code(store, maker, now);
    redeem(store, maker, &code, now)
}

/// Of these tokens, which are good.
fn active(store: &dyn Store, maker: &Maker, tokens: &[Tokens], now: Timestamp) -> Vec<bool> {
    let looks = tokens.iter().map(|tokens| (maker.check(&tokens.access), now)).collect();
    apply_all(store, looks).iter().map(|applied| *applied == Ok(Outcome::Active)).collect()
}

fn is_good(store: &dyn Store, maker: &mut Maker, code: &Credential, now: Timestamp) -> bool {
    let (redeem, _) = maker.redeem(code);
    matches!(apply(store, redeem, now), Ok(Outcome::Redeemed { .. }))
}

#[test]
fn past_the_bound_a_pairs_oldest_grant_ends_and_nobody_elses() {
    check(1000, 3, |store| {
        let mut ada = Maker::of(1, "app", "ada");
        let others = [("app", "bob"), ("web", "ada")];
        let mut others: Vec<(Maker, Tokens)> = (2..)
            .zip(others)
            .map(|(number, (client, subject))| {
                let mut maker = Maker::of(number, client, subject);
                let tokens = login(store, &mut maker, START);
                (maker, tokens)
            })
            .collect();
        // Redeemed in another order than the codes were made in: that is the one that counts.
        let codes: Vec<Credential> = (0..3).map(|number| code(store, &mut ada, at(number))).collect();
        let mut tokens: Vec<Tokens> = Vec::new();
        for (number, code) in (10..).zip(codes.iter().rev()) {
            tokens.push(redeem(store, &mut ada, code, at(number)));
        }
        assert_eq!(active(store, &ada, &tokens, at(20)), [true; 3]);
        for number in 0..3 {
            tokens.push(login(store, &mut ada, at(30 + number)));
            let ended = number as usize + 1;
            let expected: Vec<bool> = (0..ended + 3).map(|number| number >= ended).collect();
            assert_eq!(active(store, &ada, &tokens, at(40)), expected);
        }
        let (rotate, _) = ada.rotate(&tokens[0].refresh);
        assert_eq!(apply(store, rotate, at(40)), Ok(Outcome::Unknown), "the refresh token ends with its grant");
        for (maker, tokens) in &mut others {
            assert_eq!(active(store, maker, std::slice::from_ref(tokens), at(40)), [true]);
        }
    });
}

#[test]
fn a_rotation_makes_a_grant_no_younger() {
    check(1000, 2, |store| {
        let mut maker = Maker::new(1);
        let first = login(store, &mut maker, at(0));
        let second = login(store, &mut maker, at(1));
        let (rotate, salt) = maker.rotate(&first.refresh);
        let outcome = apply(store, rotate, at(2)).expect("an outcome");
        let rotated = rotated(&first.refresh, salt, &outcome).expect("tokens");
        let third = login(store, &mut maker, at(3));
        assert_eq!(active(store, &maker, &[rotated, second, third], at(4)), [false, true, true]);
    });
}

#[test]
fn a_clients_own_tokens_count_for_the_client_alone() {
    check(1000, 2, |store| {
        let mut maker = Maker::new(1);
        let of_owner = login(store, &mut maker, START);
        let mut issued = Vec::new();
        for number in 0..3 {
            let (issue, token) = maker.issue();
            assert_eq!(apply(store, issue, at(number)), Ok(Outcome::Granted));
            issued.push(token);
        }
        let good = |token: &Credential| apply(store, maker.check(token), at(3)) == Ok(Outcome::Active);
        assert_eq!(issued.iter().map(good).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(active(store, &maker, &[of_owner], at(3)), [true]);
    });
}

#[test]
fn unredeemed_codes_count_apart_and_are_gone_in_their_minute() {
    check(1000, 3, |store| {
        let (mut ada, mut bob) = (Maker::of(1, "app", "ada"), Maker::of(2, "app", "bob"));
        let of_bob = code(store, &mut bob, START);
        let tokens: Vec<Tokens> = (0..3).map(|number| login(store, &mut ada, at(number))).collect();
        let codes: Vec<Credential> = (0..50).map(|number| code(store, &mut ada, at(10 + number))).collect();
        assert_eq!(active(store, &ada, &tokens, at(70)), [true; 3], "codes end no grant");
        assert!(!is_good(store, &mut ada, &codes[46], at(70)), "only the last three are left");
        assert!(is_good(store, &mut ada, &codes[47], at(70)) && is_good(store, &mut bob, &of_bob, at(70)));
        let end = at(58).after(CODE_LIFETIME);
        assert!(!is_good(store, &mut ada, &codes[48], end) && is_good(store, &mut ada, &codes[49], end));
    });
}

#[test]
fn a_code_that_expired_takes_no_place() {
    check(6, 2, |store| {
        // Three pairs fill the store with codes; a minute later three others find room.
        for (minute, names) in [["a", "b", "c"], ["d", "e", "f"]].iter().enumerate() {
            let now = START.after(MINUTE * minute as u32);
            for (number, name) in names.iter().enumerate() {
                let mut maker = Maker::of((10 * minute + number) as u32, "app", name);
                for _ in 0..2 {
                    code(store, &mut maker, now);
                }
            }
            let mut late = Maker::of(99, "app", "late");
            let code = late.code();
            let applied = apply(store, late.grant(&code, None), now.after(Duration::from_millis(59_001)));
            assert_eq!(applied, Err(StoreError::Full { wait: Duration::from_millis(999) }));
        }
    });
}

#[test]
fn a_flood_of_one_pair_leaves_all_others_served() {
    check(400, 100, |store| {
        let mut flood = Maker::of(1, "app", "flood");
        let mut tokens = Vec::new();
        for round in 0..10u64 {
            // Codes that are left lying, and whole flows.
            let codes: Vec<Credential> = (0..200).map(|_| flood.code()).collect();
            let grants = codes.iter().map(|code| (flood.grant(code, None), at(round))).collect();
            assert!(apply_all(store, grants).iter().all(|applied| *applied == Ok(Outcome::Granted)));
            for code in &codes[100..] {
                tokens.push(redeem(store, &mut flood, code, at(round)));
            }
            codes[..100].iter().for_each(|code| assert!(!is_good(store, &mut flood, code, at(round))));
            for (number, (client, subject)) in (10..).zip([("app", "ada"), ("web", "flood")]) {
                let mut other = Maker::of(number + 10 * round as u32, client, subject);
                let tokens = login(store, &mut other, at(round));
                assert_eq!(active(store, &other, &[tokens], at(round)), [true]);
            }
        }
        let good = active(store, &flood, &tokens, at(10));
        assert!(good[900..].iter().all(|good| *good) && !good[..900].iter().any(|good| *good));
    });
}

#[test]
fn revoked_and_expired_grants_make_room_before_valid_ones() {
    check(1000, 3, |store| {
        let mut maker = Maker::new(1);
        let first = login(store, &mut maker, at(0));
        let second = login(store, &mut maker, at(1));
        let third = login(store, &mut maker, at(2));
        assert_eq!(apply(store, maker.revoke(&second.refresh), at(3)), Ok(Outcome::Revoked));
        let fourth = login(store, &mut maker, at(4));
        assert_eq!(active(store, &maker, &[first.clone(), third, fourth], at(5)), [true; 3]);
        // The oldest is kept alive, and the others expire.
        let soon = START.after(LIFETIMES.refresh_idle - Duration::from_secs(1));
        let (rotate, salt) = maker.rotate(&first.refresh);
        let outcome = apply(store, rotate, soon).expect("an outcome");
        let first = rotated(&first.refresh, salt, &outcome).expect("tokens");
        let then = START.after(LIFETIMES.refresh_idle + MINUTE);
        let later: Vec<Tokens> = (0..2).map(|_| login(store, &mut maker, then)).collect();
        assert_eq!(
            active(store, &maker, &[first.clone(), later[0].clone(), later[1].clone()], then),
            [true; 3]
        );
        login(store, &mut maker, then.after(MINUTE));
        assert_eq!(active(store, &maker, &[first, later[1].clone()], then), [false, true]);
    });
}

#[test]
fn a_form_stays_answered_when_its_mark_has_made_room() {
    check(1000, 3, |store| {
        let maker = Maker::new(1);
        let mut names = Maker::new(2);
        let kept = |number: u64| Some(at(600_000 + number));
        // Refused, authorized, and their marks pushed out by those of younger forms.
        let forms: Vec<Credential> = (0..12).map(|_| names.code()).collect();
        for (number, form) in (0..).zip(&forms) {
            let (transition, expected) = match number % 2 {
                0 => (maker.deny(form, kept(number)), Outcome::Denied),
                _ => (maker.grant(form, kept(number)), Outcome::Granted),
            };
            assert_eq!(apply(store, transition, at(number)), Ok(expected));
        }
        for (number, form) in (0..).zip(&forms) {
            let again = maker.grant(form, kept(number));
            // The pair's last three codes are still there and unspent, and come to the same again.
            let expected = if [7, 9, 11].contains(&number) { Outcome::GrantedAgain } else { Outcome::Taken };
            assert_eq!(apply(store, again, at(20)), Ok(expected), "form {number}");
            let other_code = names.code().moved_to(form.grant());
            let other = maker.grant(&other_code, kept(number));
            assert_eq!(apply(store, other, at(20)), Ok(Outcome::Taken), "form {number}");
        }
        // A form that was shown later is accepted, and so is one of another pair.
        let bob = Maker::of(3, "app", "bob");
        assert_eq!(apply(store, maker.grant(&names.code(), kept(20)), at(20)), Ok(Outcome::Granted));
        assert_eq!(apply(store, bob.grant(&names.code(), kept(0)), at(20)), Ok(Outcome::Granted));
    });
}

#[test]
fn a_form_stays_answered_in_a_full_store() {
    check(4, 3, |store| {
        let (maker, mut names) = (Maker::new(1), Maker::new(2));
        let kept = |number: u64| Some(at(600_000 + number));
        let forms: Vec<Credential> = (0..9).map(|_| names.code()).collect();
        let deny =
            |number: usize| apply(store, maker.deny(&forms[number], kept(number as u64)), at(number as u64));
        let grant =
            |number: usize| apply(store, maker.grant(&forms[number], kept(number as u64)), at(number as u64));
        for number in [5, 6, 7] {
            assert_eq!(deny(number), Ok(Outcome::Denied));
        }
        let mut bob = Maker::of(3, "app", "bob");
        let of_bob = code(store, &mut bob, START);
        // Older forms displace no mark, whatever the answer.
        assert_eq!((deny(4), grant(3)), (Ok(Outcome::Taken), Ok(Outcome::Taken)));
        redeem(store, &mut bob, &of_bob, START);
        for number in [5, 6, 7] {
            assert_eq!(grant(number), Ok(Outcome::Taken), "form {number}");
        }
        // A younger form displaces the oldest mark, and that form still counts as answered.
        assert_eq!(deny(8), Ok(Outcome::Denied));
        assert_eq!(
            (grant(5), grant(6), grant(8)),
            (Ok(Outcome::Taken), Ok(Outcome::Taken), Ok(Outcome::Taken))
        );
    });
}

#[test]
fn a_full_store_ends_no_code_that_would_leave_a_mark() {
    check(2, 1, |store| {
        let form_ends = |number: u64| Some(START.after(MINUTE * 10 + Duration::from_secs(number)));
        let mut makers = [(1, "ada"), (2, "bob")].map(|(number, name)| Maker::of(number, "app", name));
        let codes = makers.each_mut().map(Maker::code);
        for (number, (maker, code)) in (0..).zip(makers.iter().zip(&codes)) {
            assert_eq!(apply(store, maker.grant(code, form_ends(number)), START), Ok(Outcome::Granted));
        }
        let [_, bob] = &mut makers;
        let another = bob.code();
        let applied = apply(store, bob.grant(&another, form_ends(2)), START);
        assert!(matches!(applied, Err(StoreError::Full { .. })), "{applied:?}");
        redeem(store, bob, &codes[1], START);
    });
    // Where the mark displaces an older one, there is room.
    check(2, 1, |store| {
        let mut bob = Maker::new(1);
        let codes: Vec<Credential> = (0..5).map(|_| bob.code()).collect();
        for (number, code) in (0..).zip(&codes) {
            let form_ends = Some(START.after(MINUTE * 10 + Duration::from_secs(number)));
            assert_eq!(apply(store, bob.grant(code, form_ends), START), Ok(Outcome::Granted), "{number}");
        }
        redeem(store, &mut bob, &codes[4], START);
    });
}

#[test]
fn a_full_store_says_so_and_has_room_again() {
    check(5, 1, |store| {
        let makers: Vec<Maker> =
            (1..).zip(["a", "b", "c", "d", "e", "f"]).map(|(n, name)| Maker::of(n, "app", name)).collect();
        let mut makers = makers;
        let codes: Vec<Credential> = makers[..5].iter_mut().map(|maker| code(store, maker, START)).collect();
        let newcomer = makers[5].code();
        let full = |wait| Err(StoreError::Full { wait });
        let applied = apply(store, makers[5].grant(&newcomer, None), START);
        assert_eq!(applied, full(CODE_LIFETIME), "and nothing expires before that");
        redeem(store, &mut makers[0], &codes[0], START);
        let again = code(store, &mut makers[1], START);
        assert!(!is_good(store, &mut makers[1], &codes[1], START), "its own code has made room");
        redeem(store, &mut makers[1], &again, START);
        let later = START.after(CODE_LIFETIME);
        assert_eq!(apply(store, makers[5].grant(&newcomer, None), later), Ok(Outcome::Granted));
    });
}

#[test]
fn racers_of_one_pair_leave_it_as_many_grants_as_it_may_have() {
    check(100_000, 4, |store| {
        let all: Vec<Tokens> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4)
                .map(|number| {
                    scope.spawn(move || {
                        let mut maker = Maker::new(number);
                        let mut tokens = Vec::new();
                        for round in 0..40 {
                            let codes: Vec<Credential> = (0..2).map(|_| maker.code()).collect();
                            let grants =
                                codes.iter().map(|code| (maker.grant(code, None), at(round))).collect();
                            apply_all(store, grants);
                            let (redeem, own): (Vec<Transition>, Vec<Tokens>) =
                                codes.iter().map(|code| maker.redeem(code)).unzip();
                            let redeem = redeem.into_iter().map(|redeem| (redeem, at(round))).collect();
                            let applied: Vec<Applied> = apply_all(store, redeem);
                            let redeemed = |applied: &Applied| matches!(applied, Ok(Outcome::Redeemed { .. }));
                            let own = own.into_iter().zip(&applied).filter(|(_, applied)| redeemed(applied));
                            tokens.extend(own.map(|(tokens, _)| tokens));
                        }
                        tokens
                    })
                })
                .collect();
            racers.into_iter().flat_map(|racer| racer.join().expect("no panic")).collect()
        });
        let good = active(store, &Maker::new(9), &all, at(50)).into_iter().filter(|good| *good).count();
        assert!((1..=4).contains(&good) && all.len() > 4, "{good} of {}", all.len());
    });
}

#[test]
fn a_reopened_file_knows_the_order_of_a_pairs_grants() {
    let folder = Folder::new();
    let mut maker = Maker::new(1);
    let mut tokens = Vec::new();
    for round in 0..6 {
        let store = open(&folder, 1000, 5);
        tokens.push(login(&store, &mut maker, at(2 * round)));
        tokens.push(login(&store, &mut maker, at(2 * round + 1)));
        let good = active(&store, &maker, &tokens, at(20));
        let expected: Vec<bool> = (0..tokens.len()).map(|number| number + 5 >= tokens.len()).collect();
        assert_eq!(good, expected);
    }
    // With a lower bound it comes to it little by little.
    let store = open(&folder, 1000, 1);
    let last = login(&store, &mut maker, at(30));
    assert_eq!(active(&store, &maker, &tokens, at(30)), vec![false; 12]);
    assert_eq!(active(&store, &maker, &[last], at(30)), [true]);
    assert_eq!(store.len(), Ok(1));
    let _: Arc<dyn Store> = Arc::new(store);
}
