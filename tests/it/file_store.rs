//! The file store alone: what it says of files that it cannot use, and what becomes of grants when the disk
//! fails, tears what is written, or loses it.
//!
//! `DISK_CRASHES=N` crashes the simulated disk that often.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::disk::SimulatedDisk;
use crate::support::stores::{BOUNDS, Folder, Maker, START, Tokens, apply, apply_all, bounds, submit_all};
use crate::support::system::TestSystem;
use oauth_from_scratch::crypto::keyring::Keyring;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::{Credential, Outcome, Timestamp};
use oauth_from_scratch::store::file::{OpenError, Waiting};
use oauth_from_scratch::store::{FileStore, Store, StoreError};
use redb::{Database, ReadableTable, TableDefinition};

const KEY: [u8; 32] = [7; 32];

fn open(path: &Path) -> Result<FileStore, OpenError> {
    FileStore::open(path, Waiting::ForTheDisk, BOUNDS, KEY, TestSystem::for_store(), Log::kept())
}

fn on(disk: &SimulatedDisk) -> Result<FileStore, String> {
    let disk = disk.clone();
    FileStore::on(move || disk.clone(), Waiting::ForTheDisk, BOUNDS, KEY, TestSystem::for_store(), Log::kept())
}

fn granted(store: &dyn Store, maker: &mut Maker) -> Credential {
    let code = maker.code();
    assert_eq!(apply(store, maker.grant(&code, None), START), Ok(Outcome::Granted));
    code
}

fn redeemed(store: &dyn Store, maker: &mut Maker) -> (Credential, Tokens) {
    let code = granted(store, maker);
    let (redeem, tokens) = maker.redeem(&code);
    assert!(matches!(apply(store, redeem, START), Ok(Outcome::Redeemed { .. })));
    (code, tokens)
}

#[test]
fn grants_and_the_servers_key_outlive_the_process() {
    let folder = Folder::new();
    let path = folder.join("grants");
    for waiting in [Waiting::ForTheDisk, Waiting::ForNothing] {
        let mut maker = Maker::new(1);
        let open =
            |key| FileStore::open(&path, waiting, BOUNDS, key, TestSystem::for_store(), Log::kept()).unwrap();
        let store = open(KEY);
        let (code, tokens) = redeemed(&store, &mut maker);
        let open_code = granted(&store, &mut maker);
        drop(store);
        let store = open([8; 32]);
        let keys = store.keyring().expect("the file keeps them");
        assert!(keys.ids().eq(Keyring::new(&KEY).ids()), "the key is the file's, not the new process's");
        assert_eq!(apply(&store, maker.check(&tokens.access), START), Ok(Outcome::Active));
        let (redeem, _) = maker.redeem(&open_code);
        assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
        let (redeem, _) = maker.redeem(&code);
        assert_eq!(apply(&store, redeem, START), Ok(Outcome::Replayed));
        drop(store);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let check = |name: &str, words: &str| {
        let error = open(&folder.join(name)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    };
    let first = open(&folder.join("taken")).unwrap();
    check("taken", "another process has the file open; stop that process, or use separate files");
    drop(first);
    assert!(open(&folder.join("taken")).is_ok(), "and when it is stopped, it is free");
    check("missing/grants", "the folder or the file does not exist; create the folder first");
    std::fs::write(folder.join("text"), "these are no grants\n".repeat(1000)).unwrap();
    keep_to_its_owner(&folder.join("text"));
    check("text", "the file is damaged, or not a file of grants");
    std::fs::create_dir(folder.join("folder")).unwrap();
    check("folder", "cannot open the file");

    let others = Database::create(folder.join("others")).unwrap();
    let write = others.begin_write().unwrap();
    write.open_table(TableDefinition::<u64, u64>::new("prices")).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    drop(others);
    keep_to_its_owner(&folder.join("others"));
    check("others", "the file is a database but not one of grants");

    drop(open(&folder.join("newer")).unwrap());
    let newer = Database::open(folder.join("newer")).unwrap();
    let write = newer.begin_write().unwrap();
    let about = TableDefinition::<&str, &[u8]>::new("about");
    write.open_table(about).unwrap().insert("format", &9u64.to_be_bytes()[..]).unwrap();
    write.commit().unwrap();
    drop(newer);
    check("newer", "the file has format 9, which another version of this program has written");
}

/// Rearranges the file as it was before there were pairs: with format 1, in which records had no moment.
fn take_pairs_out(path: &Path) {
    const RECORDS: TableDefinition<&[u8; 20], &[u8]> = TableDefinition::new("records");
    const GRANTS: TableDefinition<&[u8; 20], &[u8]> = TableDefinition::new("grants");
    let database = Database::open(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let (records, mut grants) = (write.open_table(RECORDS).unwrap(), write.open_table(GRANTS).unwrap());
        for record in records.iter().unwrap() {
            let (name, bytes) = record.unwrap();
            grants.insert(name.value(), &bytes.value()[8..]).unwrap();
        }
        let mut about = write.open_table(TableDefinition::<&str, &[u8]>::new("about")).unwrap();
        about.insert("format", &1u64.to_be_bytes()[..]).unwrap();
    }
    assert!(write.delete_table(RECORDS).unwrap());
    assert!(write.delete_table(TableDefinition::<&[u8; 45], u64>::new("pairs")).unwrap());
    write.commit().unwrap();
}

#[test]
fn a_file_of_an_older_format_opens_with_its_grants_in_order() {
    let folder = Folder::new();
    let path = folder.join("grants");
    let mut maker = Maker::new(1);
    let at = |number: u64| START.after(Duration::from_secs(number));
    let store = open(&path).unwrap();
    let mut tokens: Vec<Tokens> = Vec::new();
    for number in 0..8 {
        let code = maker.code();
        assert_eq!(apply(&store, maker.grant(&code, None), at(number)), Ok(Outcome::Granted));
        let (redeem, bought) = maker.redeem(&code);
        assert!(matches!(apply(&store, redeem, at(number)), Ok(Outcome::Redeemed { .. })));
        tokens.push(bought);
    }
    let open_code = maker.code();
    assert_eq!(apply(&store, maker.grant(&open_code, None), at(8)), Ok(Outcome::Granted));
    drop(store);
    take_pairs_out(&path);
    let bounded = || {
        let bounds = bounds(1_000_000, 8);
        FileStore::open(&path, Waiting::ForTheDisk, bounds, KEY, TestSystem::for_store(), Log::kept()).unwrap()
    };
    for round in 0..2 {
        let store = bounded();
        let good = |tokens: &Tokens| apply(&store, maker.check(&tokens.access), at(9)) == Ok(Outcome::Active);
        let expected: Vec<bool> = (0..8 + round).map(|number| number >= round).collect();
        assert_eq!(tokens.iter().map(good).collect::<Vec<_>>(), expected, "round {round}");
        assert_eq!(store.len(), Ok(9 - round as u64));
        if round == 0 {
            let (redeem, bought) = maker.redeem(&open_code);
            assert!(matches!(apply(&store, redeem, at(9)), Ok(Outcome::Redeemed { .. })));
            tokens.push(bought);
        }
    }
    // And it empties, as one of this format does.
    let store = bounded();
    let code = maker.code();
    let later = START.after(Duration::from_secs(10_000));
    assert_eq!(apply(&store, maker.grant(&code, None), later), Ok(Outcome::Granted));
    assert_eq!(store.len(), Ok(1));
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What another program made has the mode that such programs give it.
fn keep_to_its_owner(path: &Path) {
    #[cfg(unix)]
    set_mode(path, 0o600);
    #[cfg(not(unix))]
    let _ = path;
}

#[test]
#[cfg(unix)]
fn a_file_that_other_users_can_reach_is_refused_with_a_remedy() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let path = folder.join("grants");
    let shown = path.display().to_string();
    drop(open(&path).unwrap());
    let check = |path: &Path, words: &str| {
        let error = open(path).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(&path.display().to_string()), "{error}");
    };
    for (mode, words) in [
        (
            0o666,
            format!(
                "other users of this machine can change it, because it has mode 0666; run chmod 600 {shown}"
            ),
        ),
        (
            0o620,
            format!(
                "other users of this machine can change it, because it has mode 0620; run chmod 600 {shown}"
            ),
        ),
        (0o602, "can change it, because it has mode 0602".to_owned()),
        (0o644, "can read it, because it has mode 0644".to_owned()),
        (0o640, "can read it, because it has mode 0640".to_owned()),
    ] {
        set_mode(&path, mode);
        check(&path, &words);
    }
    set_mode(&path, 0o600);
    assert!(open(&path).is_ok());
    set_mode(&path, 0o700);
    assert!(open(&path).is_ok());

    // By a link to a file that is there, and by one to a file that would be made.
    let link = folder.join("link");
    symlink("grants", &link).unwrap();
    check(&link, "it is a symbolic link");
    check(&link, &format!("give file:{}", path.canonicalize().unwrap().display()));
    let dangling = folder.join("dangling");
    symlink(folder.join("made"), &dangling).unwrap();
    check(&dangling, "it is a symbolic link");
    assert!(!folder.join("made").exists(), "nothing is made where a link leads");

    // In a folder that others may write to; where it is sticky they may not replace what is not theirs.
    let shared = folder.join("shared");
    std::fs::create_dir(&shared).unwrap();
    let within = shared.join("grants");
    for mode in [0o777, 0o702] {
        set_mode(&shared, mode);
        check(&within, &format!("the folder {} has mode 0{mode:o}; run chmod o-w", shared.display()));
        assert!(!within.exists());
    }
    for mode in [0o1777, 0o775, 0o755] {
        set_mode(&shared, mode);
        let log = Log::kept();
        let store =
            <FileStore>::open(&within, Waiting::ForTheDisk, BOUNDS, KEY, TestSystem::for_store(), log.clone())
                .unwrap();
        let is_warned = log.lines().iter().any(|line| line.contains("the group of the folder"));
        assert_eq!(is_warned, mode == 0o775, "{mode:o}: {:?}", log.lines());
        drop(store);
    }
    std::fs::hard_link(&within, shared.join("another")).unwrap();
    let log = Log::kept();
    drop(
        <FileStore>::open(&within, Waiting::ForTheDisk, BOUNDS, KEY, TestSystem::for_store(), log.clone())
            .unwrap(),
    );
    assert!(log.lines().iter().any(|line| line.contains("has more than one name")), "{:?}", log.lines());
}

#[test]
#[cfg(unix)]
fn nothing_is_confirmed_to_a_removed_or_replaced_file() {
    for waiting in [Waiting::ForTheDisk, Waiting::ForNothing] {
        let folder = Folder::new();
        let (path, away, other) = (folder.join("grants"), folder.join("away"), folder.join("other"));
        drop(open(&other).unwrap());
        let (log, mut maker) = (Log::kept(), Maker::new(1));
        let store = FileStore::open(&path, waiting, BOUNDS, KEY, TestSystem::for_store(), log.clone()).unwrap();
        let (_, tokens) = redeemed(&store, &mut maker);
        let put_aside = || std::fs::rename(&path, &away).unwrap();
        let check = |maker: &mut Maker, words: &str| {
            let code = maker.code();
            let applied = apply(&store, maker.grant(&code, None), START);
            assert_eq!(applied, Err(StoreError::Unavailable), "{words}");
            let applied = apply(&store, maker.check(&tokens.access), START);
            assert_eq!(applied, Ok(Outcome::Active), "it is still read");
            let last = log.lines().pop().unwrap();
            assert!(last.contains(words) && last.contains("answered 503; put the file back"), "{last}");
        };
        put_aside();
        check(&mut maker, "the store's file was removed while it was open");
        std::fs::copy(&other, &path).unwrap();
        check(&mut maker, "another file has taken the place of the store's file");
        std::fs::rename(&away, &path).unwrap();
        let code = granted(&store, &mut maker);
        assert_eq!(log.lines().pop().unwrap(), "the store's file is back in its place");
        drop(store);
        let (redeem, _) = maker.redeem(&code);
        let store = open(&path).unwrap();
        assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    }
}

#[test]
#[cfg(unix)]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    drop(open(&folder.join("grants")).unwrap());
    let mode = std::fs::metadata(folder.join("grants")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Whatever is wrong with a file: it is refused, or what is asked of it is answered, if only with an error.
#[test]
fn a_damaged_file_makes_nobody_panic() {
    let folder = Folder::new();
    let path = folder.join("grants");
    let mut maker = Maker::new(1);
    let store = open(&path).unwrap();
    let codes: Vec<Credential> = (0..200).map(|_| granted(&store, &mut maker)).collect();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let (mut refused, mut opened) = (0, 0);
    for step in 0..120 {
        let mut bytes = whole.clone();
        match step % 3 {
            0 => bytes.truncate(whole.len() * step / 120),
            1 => bytes[whole.len() * step / 120..][..64].fill(0xff),
            _ => bytes[whole.len() * step / 120] ^= 0x10,
        }
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = open(&path) else {
            refused += 1;
            continue;
        };
        opened += 1;
        let (redeem, _) = maker.redeem(&codes[step]);
        let _ = apply(&store, redeem, START);
        let _ = apply(&store, maker.check(&codes[step]), START);
        let code = maker.code();
        let _ = apply(&store, maker.grant(&code, None), START);
    }
    println!("{refused} refused, {opened} opened");
    assert!(refused > 10 && opened > 10, "{refused} refused, {opened} opened");
}

/// What clients of a store were told, for as long as its disk fails again and again.
#[derive(Default)]
struct Told {
    codes: Vec<Credential>,
    live: Vec<(Credential, Tokens)>,
    over: Vec<(Credential, Tokens)>,
}

impl Told {
    /// Asks for a batch of everything, and notes what was confirmed; what was not is forgotten.
    fn ask(&mut self, store: &dyn Store, maker: &mut Maker) {
        let new: Vec<Credential> = (0..8).map(|_| maker.code()).collect();
        let redeem: Vec<Credential> = self.codes.drain(..self.codes.len().min(6)).collect();
        let revoke: Vec<(Credential, Tokens)> = self.live.drain(..self.live.len() / 4).collect();
        let mut batch: Vec<_> = new.iter().map(|code| maker.grant(code, None)).collect();
        let tokens: Vec<Tokens> = (redeem.iter())
            .map(|code| {
                let (transition, tokens) = maker.redeem(code);
                batch.push(transition);
                tokens
            })
            .collect();
        batch.extend(revoke.iter().map(|(_, tokens)| maker.revoke(&tokens.refresh)));
        let mut applied = apply_all(store, batch.into_iter().map(|each| (each, START)).collect()).into_iter();
        for code in new {
            match applied.next() {
                Some(Ok(outcome)) => {
                    assert_eq!(outcome, Outcome::Granted);
                    self.codes.push(code);
                }
                error => assert_eq!(error, Some(Err(StoreError::Unavailable))),
            }
        }
        for (code, tokens) in redeem.into_iter().zip(tokens) {
            match applied.next() {
                Some(Ok(outcome)) => {
                    assert!(matches!(outcome, Outcome::Redeemed { .. }), "a code is lost: {outcome:?}");
                    self.live.push((code, tokens));
                }
                error => assert_eq!(error, Some(Err(StoreError::Unavailable))),
            }
        }
        for each in revoke {
            match applied.next() {
                Some(Ok(outcome)) => {
                    assert_eq!(outcome, Outcome::Revoked);
                    self.over.push(each);
                }
                error => assert_eq!(error, Some(Err(StoreError::Unavailable))),
            }
        }
    }

    fn hold(&self, store: &dyn Store, maker: &mut Maker, at: &str) -> usize {
        for (_, tokens) in &self.live {
            assert_eq!(apply(store, maker.check(&tokens.access), START), Ok(Outcome::Active), "{at}: lost");
        }
        for (code, tokens) in &self.over {
            assert_eq!(
                apply(store, maker.check(&tokens.access), START),
                Ok(Outcome::Inactive),
                "{at}: is back"
            );
            let (redeem, _) = maker.redeem(code);
            assert_eq!(apply(store, redeem, START), Ok(Outcome::Unknown), "{at}: a code is back");
        }
        self.codes.len() + self.live.len() + self.over.len()
    }
}

fn crashes() -> u64 {
    std::env::var("DISK_CRASHES").ok().and_then(|count| count.parse().ok()).unwrap_or(60)
}

#[test]
fn what_was_confirmed_survives_a_disk_that_tears_writes() {
    let mut lines = 0;
    for seed in 0..crashes() {
        let mut disk = SimulatedDisk::new(seed);
        let (mut told, mut maker) = (Told::default(), Maker::new(seed as u32));
        for round in 0..3 {
            let store = on(&disk).unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error}"));
            lines += told.hold(&store, &mut maker, &format!("seed {seed}, round {round}"));
            (0..4).for_each(|_| told.ask(&store, &mut maker));
            // From some call on nothing reaches the disk any more; then the machine fails.
            disk.fail_after(seed * 7 % 60);
            told.ask(&store, &mut maker);
            let crashed = disk.after_a_crash();
            drop(store);
            disk = crashed;
        }
        let store = on(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        lines += told.hold(&store, &mut maker, &format!("seed {seed}, the end"));
    }
    println!("{} crashes, {lines} facts held", 3 * crashes());
}

#[test]
fn a_pair_keeps_to_its_bound_whatever_the_disk_loses() {
    const MAX: usize = 5;
    for seed in 0..crashes() {
        let mut disk = SimulatedDisk::new(seed);
        let (mut maker, mut all): (_, Vec<Tokens>) = (Maker::new(seed as u32), Vec::new());
        for round in 0..4 {
            let (handle, system) = (disk.clone(), TestSystem::for_store());
            let bounds = bounds(1_000_000, MAX);
            let store = FileStore::on(
                move || handle.clone(),
                Waiting::ForTheDisk,
                bounds,
                KEY,
                Arc::<TestSystem>::clone(&system),
                Log::kept(),
            );
            let store = store.unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error}"));
            let good = |all: &[Tokens], maker: &Maker| -> Vec<bool> {
                let looks = all.iter().map(|tokens| (maker.check(&tokens.access), START)).collect();
                apply_all(&store, looks).iter().map(|applied| *applied == Ok(Outcome::Active)).collect()
            };
            let count = good(&all, &maker).into_iter().filter(|good| *good).count();
            assert!(count <= MAX, "seed {seed}, round {round}: {count} are good");
            (0..MAX + 2).for_each(|_| all.push(redeemed(&store, &mut maker).1));
            let expected: Vec<bool> = (0..all.len()).map(|number| number + MAX >= all.len()).collect();
            assert_eq!(good(&all, &maker), expected, "seed {seed}, round {round}");
            assert!(store.len().unwrap() <= 2 * MAX as u64, "seed {seed}, round {round}");
            // Below the bound a login that fails adds to a count, and leaves it wrong unless that is forgotten.
            for tokens in &all[all.len() - 3..] {
                assert_eq!(apply(&store, maker.revoke(&tokens.refresh), START), Ok(Outcome::Revoked));
            }
            // The disk fails in the middle of some login, and then for some time the store goes on.
            disk.fail_after(seed * 7 % 23);
            for _ in 0..6 {
                let code = maker.code();
                let _ = apply(&store, maker.grant(&code, None), START);
                let (redeem, tokens) = maker.redeem(&code);
                let _ = apply(&store, redeem, START);
                all.push(tokens);
            }
            if round % 2 == 0 {
                disk.mend();
                system.wait(Duration::from_secs(10));
                assert_eq!(good(&all, &maker).len(), all.len());
                system.wait(Duration::from_secs(10));
                (0..MAX).for_each(|_| all.push(redeemed(&store, &mut maker).1));
                let expected: Vec<bool> = (0..all.len()).map(|number| number + MAX >= all.len()).collect();
                assert_eq!(good(&all, &maker), expected, "seed {seed}, round {round}: it goes on");
            }
            let crashed = disk.after_a_crash();
            drop(store);
            disk = crashed;
        }
    }
}

#[test]
fn a_disk_that_fails_for_a_while_is_503_and_loses_nothing() {
    for seed in 0..crashes() {
        let (disk, system) = (SimulatedDisk::new(seed), TestSystem::for_store());
        let (handle, log) = (disk.clone(), Log::kept());
        let store = FileStore::on(
            move || handle.clone(),
            Waiting::ForTheDisk,
            BOUNDS,
            KEY,
            system.clone(),
            log.clone(),
        );
        let store = store.unwrap();
        let (mut told, mut maker) = (Told::default(), Maker::new(seed as u32));
        (0..3).for_each(|_| told.ask(&store, &mut maker));
        disk.fail_after(seed % 25);
        while disk.failures() == 0 {
            told.ask(&store, &mut maker);
        }
        // While it fails, and while it is left alone, nothing is promised.
        let (codes, live, over) = (told.codes.len(), told.live.len(), told.over.len());
        let code = maker.code();
        let applied = apply(&store, maker.grant(&code, None), START);
        assert_eq!(applied, Err(StoreError::Unavailable));
        disk.mend();
        system.wait(Duration::from_secs(10));
        told.hold(&store, &mut maker, &format!("seed {seed}"));
        assert_eq!((told.codes.len(), told.live.len(), told.over.len()), (codes, live, over));
        system.wait(Duration::from_secs(10));
        told.ask(&store, &mut maker);
        assert!(told.codes.len() >= 8, "seed {seed}: the store works again");
        assert!(log.lines().iter().any(|line| line.contains("the store's file")), "{:?}", log.lines());
    }
}

/// Else a stranger with codes of their own making would have the disk to themselves.
#[test]
fn what_changes_nothing_does_not_wait_for_the_disk() {
    let (disk, log) = (SimulatedDisk::new(1), Log::kept());
    let (handle, system) = (disk.clone(), TestSystem::for_store());
    let waiting = Waiting::ForTheDisk;
    let store = FileStore::on(move || handle.clone(), waiting, BOUNDS, KEY, system, log.clone()).unwrap();
    let mut maker = Maker::new(1);
    let (code, _) = redeemed(&store, &mut maker);
    let before = disk.syncs();
    let unknown = maker.code();
    let (redeem, _) = maker.redeem(&unknown);
    assert_eq!(apply(&store, redeem, START), Ok(Outcome::Unknown));
    let (redeem, _) = maker.redeem_without_verifier(&code);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Mismatch(_))));
    assert_eq!(apply(&store, maker.revoke(&unknown), START), Ok(Outcome::Unknown));
    assert_eq!(disk.syncs(), before);
    granted(&store, &mut maker);
    assert!(disk.syncs() > before, "what changes something does");
    drop(store);
    assert_eq!(log.lines(), ["the store's file is closed after 3 changes in 3 commits"]);
}

/// Its sender got a 503. If it were applied afterwards, a code would be spent and no client would have the tokens.
#[test]
fn what_has_waited_too_long_is_answered_so_and_never_applied() {
    let (disk, system) = (SimulatedDisk::new(1), TestSystem::for_store());
    let handle = disk.clone();
    let (waiting, clock) = (Waiting::ForTheDisk, system.clone());
    let store = FileStore::on(move || handle.clone(), waiting, BOUNDS, KEY, clock, Log::kept()).unwrap();
    let mut maker = Maker::new(1);
    let mut check = |time: Duration, is_late: bool| {
        let [code, new, other] = [granted(&store, &mut maker), maker.code(), maker.code()];
        let hold = disk.hold();
        let first = submit_all(&store, vec![(maker.grant(&new, None), START)]);
        hold.wait();
        // The disk is busy with the first one; these wait in the queue meanwhile.
        let others = [maker.grant(&other, None), maker.redeem(&code).0].map(|transition| (transition, START));
        let others = submit_all(&store, others.into());
        system.wait(time);
        hold.release();
        let (first, others) = (first.wait(), others.wait());
        // What had begun is done. The others are not, since no request waits for them.
        let again =
            [apply(&store, maker.grant(&new, None), START), apply(&store, maker.grant(&other, None), START)];
        let redeemed = apply(&store, maker.redeem(&code).0, START);
        if is_late {
            assert_eq!(first, [Err(StoreError::TimedOut)], "after {time:?}");
            assert_eq!(others, [Err(StoreError::TimedOut), Err(StoreError::TimedOut)], "after {time:?}");
            assert_eq!(again, [Ok(Outcome::GrantedAgain), Ok(Outcome::Granted)], "after {time:?}");
            assert!(matches!(redeemed, Ok(Outcome::Redeemed { .. })), "the code is still good: {redeemed:?}");
        } else {
            assert_eq!(first, [Ok(Outcome::Granted)], "after {time:?}");
            assert!(matches!(others[..], [Ok(Outcome::Granted), Ok(Outcome::Redeemed { .. })]), "{others:?}");
            assert_eq!(again, [Ok(Outcome::GrantedAgain), Ok(Outcome::GrantedAgain)], "after {time:?}");
            assert_eq!(redeemed, Ok(Outcome::Replayed));
        }
    };
    check(BOUNDS.time_max, true);
    check(BOUNDS.time_max - Duration::from_millis(1), false);
}

/// A disk that is full for a night is not written to by every request of that night.
#[test]
fn a_failing_disk_is_retried_at_growing_intervals() {
    let (disk, system) = (SimulatedDisk::new(1), TestSystem::for_store());
    let handle = disk.clone();
    let (waiting, clock) = (Waiting::ForTheDisk, system.clone());
    let store = FileStore::on(move || handle.clone(), waiting, BOUNDS, KEY, clock, Log::kept()).unwrap();
    let mut maker = Maker::new(1);
    let millisecond = Duration::from_millis(1);
    // Whether the disk is asked when somebody wants a code, and refuses.
    let mut is_asked = || {
        let (before, code) = (disk.failures(), maker.code());
        assert_eq!(apply(&store, maker.grant(&code, None), START), Err(StoreError::Unavailable));
        disk.failures() > before
    };
    disk.fail_after(0);
    for pause in [100, 200, 400, 800, 1600, 3200, 5000, 5000].map(Duration::from_millis) {
        assert!(is_asked(), "it is tried again before it is left alone for {pause:?}");
        assert!(!is_asked(), "at once");
        system.wait(pause - millisecond);
        assert!(!is_asked(), "a millisecond before {pause:?} are over");
        system.wait(millisecond);
    }
    // Half a minute without a failure, and the next one is the first again.
    system.wait(Duration::from_secs(31));
    disk.mend();
    granted(&store, &mut Maker::new(2));
    disk.fail_after(0);
    assert!(is_asked());
    system.wait(Duration::from_millis(99));
    assert!(!is_asked());
    system.wait(millisecond);
    assert!(is_asked());
}

/// Steady traffic for two hours, by a clock of its own: what expires leaves the file, and the file stays as it is.
#[test]
fn the_file_stays_bounded_under_steady_traffic() {
    let folder = Folder::new();
    let path = folder.join("grants");
    let store =
        FileStore::open(&path, Waiting::ForNothing, BOUNDS, KEY, TestSystem::for_store(), Log::kept()).unwrap();
    let mut maker = Maker::new(1);
    let (mut sizes, mut counts) = (Vec::new(), Vec::new());
    let per_step = 40;
    // Ten seconds a step.
    for step in 0..720u64 {
        let now = START.after(Duration::from_secs(10 * step));
        let at = |transition| (transition, now);
        let codes: Vec<Credential> = (0..per_step).map(|_| maker.code()).collect();
        let grants = codes.iter().map(|code| at(maker.grant(code, None))).collect();
        assert!(apply_all(&store, grants).iter().all(|applied| *applied == Ok(Outcome::Granted)));
        // Half of the codes are redeemed, the other half expire.
        let redeem = codes[..per_step / 2].iter().map(|code| at(maker.redeem(code).0)).collect();
        assert!(
            apply_all(&store, redeem).iter().all(|applied| matches!(applied, Ok(Outcome::Redeemed { .. })))
        );
        if step % 30 == 29 {
            sizes.push(std::fs::metadata(&path).unwrap().len());
            counts.push(store.len().unwrap());
        }
    }
    println!("file size by 5 minutes: {sizes:?}; grants: {counts:?}");
    // A refresh token lives for 1,000 seconds without use: 100 steps, each with 20 redeemed grants.
    assert!(counts.iter().all(|count| *count < 3_000), "{counts:?}");
    // It grows by doubling. When it does depends on how many share a commit and when the disk follows, and so on the
    // machine: once may be late. If what leaves it made no room, it would be almost five times as large.
    assert!(sizes[23] <= 2 * sizes[4], "it goes on growing: {sizes:?}");
    // When only one client still comes, it empties.
    let later = Timestamp::from_milliseconds(START.as_milliseconds() + 10 * 3_600_000);
    for _ in 0..200 {
        let code = maker.code();
        apply(&store, maker.grant(&code, None), later).unwrap();
    }
    assert!(store.len().unwrap() <= 200, "{} grants are left", store.len().unwrap());
}
