//! Files that were written before: they open as they are, and the same requests write the same bytes.
//!
//! `support/format-2.txt` holds the rows of a file of the program before there were several kinds of record.

use std::path::Path;
use std::time::Duration;

use crate::support::stores::{BOUNDS, Folder, Maker, START, Tokens, apply};
use crate::support::system::TestSystem;
use oauth_from_scratch::log::Log;
use oauth_from_scratch::oauth::{Credential, Outcome};
use oauth_from_scratch::store::file::Waiting;
use oauth_from_scratch::store::{FileStore, Store};
use redb::{Database, ReadableTable, TableDefinition};

const KEY: [u8; 32] = [7; 32];

/// The rows of a file of format 2, as text: a line for each, with table, key and value.
const FORMAT_2: &str = include_str!("support/format-2.txt");

const RECORDS: TableDefinition<&[u8; 20], &[u8]> = TableDefinition::new("records");
const EXPIRIES: TableDefinition<(u64, &[u8; 20]), ()> = TableDefinition::new("expiries");
const PAIRS: TableDefinition<&[u8; 45], u64> = TableDefinition::new("pairs");
const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// The rows of the file at `path`.
fn rows(path: &Path) -> String {
    let database = Database::open(path).unwrap();
    let read = database.begin_write().unwrap();
    let mut text = String::new();
    for row in read.open_table(RECORDS).unwrap().iter().unwrap() {
        let (key, value) = row.unwrap();
        text += &format!("records {} {}\n", hex(key.value()), hex(value.value()));
    }
    for row in read.open_table(EXPIRIES).unwrap().iter().unwrap() {
        let (due, name) = row.as_ref().unwrap().0.value();
        text += &format!("expiries {due} {}\n", hex(name));
    }
    for row in read.open_table(PAIRS).unwrap().iter().unwrap() {
        let (key, value) = row.unwrap();
        text += &format!("pairs {} {}\n", hex(key.value()), value.value());
    }
    for row in read.open_table(ABOUT).unwrap().iter().unwrap() {
        let (key, value) = row.unwrap();
        text += &format!("about {} {}\n", key.value().replace(' ', "-"), hex(value.value()));
    }
    text
}

/// Writes a file with these rows.
fn write_rows(path: &Path, rows: &str) {
    let database = Database::create(path).unwrap();
    let write = database.begin_write().unwrap();
    {
        let (mut records, mut expiries) =
            (write.open_table(RECORDS).unwrap(), write.open_table(EXPIRIES).unwrap());
        let (mut pairs, mut about) = (write.open_table(PAIRS).unwrap(), write.open_table(ABOUT).unwrap());
        for row in rows.lines() {
            let words: Vec<&str> = row.split(' ').collect();
            match words[..] {
                ["records", key, value] => {
                    let key: [u8; 20] = bytes_of_hex(key).try_into().expect("a name");
                    records.insert(&key, &bytes_of_hex(value)[..]).unwrap();
                }
                ["expiries", due, name] => {
                    let name: [u8; 20] = bytes_of_hex(name).try_into().expect("a name");
                    expiries.insert((due.parse::<u64>().unwrap(), &name), ()).unwrap();
                }
                ["pairs", key, value] => {
                    let key: [u8; 45] = bytes_of_hex(key).try_into().expect("a row");
                    pairs.insert(&key, value.parse::<u64>().unwrap()).unwrap();
                }
                ["about", key, value] => {
                    about.insert(&*key.replace('-', " "), &bytes_of_hex(value)[..]).unwrap();
                }
                _ => panic!("{row}"),
            }
        }
    }
    write.commit().unwrap();
}

/// What the program that wrote `format-2.txt` was asked: a code that waits, tokens, tokens that were rotated, a grant
/// that ended, a form that was refused, and a client's own token. The tokens, and the code.
fn ask_for_each_state(store: &dyn Store) -> (Credential, Tokens, Credential) {
    let mut maker = Maker::new(77);
    let waiting = maker.code();
    assert_eq!(apply(store, maker.grant(&waiting, None), START), Ok(Outcome::Granted));
    let kept_until = Some(START.after(Duration::from_secs(600)));
    let redeemed = |maker: &mut Maker| {
        let code = maker.code();
        assert_eq!(apply(store, maker.grant(&code, kept_until), START), Ok(Outcome::Granted));
        let (redeem, tokens) = maker.redeem(&code);
        assert!(matches!(apply(store, redeem, START), Ok(Outcome::Redeemed { .. })));
        tokens
    };
    let (live, rotated, ended) = (redeemed(&mut maker), redeemed(&mut maker), redeemed(&mut maker));
    let (rotate, _) = maker.rotate(&rotated.refresh);
    assert!(matches!(apply(store, rotate, START), Ok(Outcome::Rotated { .. })));
    assert_eq!(apply(store, maker.revoke(&ended.refresh), START), Ok(Outcome::Revoked));
    let refused = maker.code();
    assert_eq!(apply(store, maker.deny(&refused, kept_until), START), Ok(Outcome::Denied));
    let (issue, own) = maker.issue();
    assert_eq!(apply(store, issue, START), Ok(Outcome::Granted));
    (waiting, live, own)
}

fn open_same(path: &Path) -> FileStore {
    let system = TestSystem::repeating_for_store();
    FileStore::open(path, Waiting::ForTheDisk, BOUNDS, KEY, system, Log::kept()).unwrap()
}

#[test]
fn a_file_of_format_2_opens_unchanged() {
    let folder = Folder::new();
    let (written, before) = (folder.join("written"), folder.join("before"));
    let store = open_same(&written);
    let (waiting, live, own) = ask_for_each_state(&store);
    drop(store);
    assert_eq!(rows(&written), FORMAT_2, "the same requests write the same bytes");

    write_rows(&before, FORMAT_2);
    keep_to_its_owner(&before);
    let store = open_same(&before);
    let maker = Maker::new(78);
    assert_eq!(apply(&store, maker.check(&live.access), START), Ok(Outcome::Active));
    assert_eq!(apply(&store, maker.check(&own), START), Ok(Outcome::Active));
    drop(store);
    assert_eq!(rows(&before), FORMAT_2, "looking changes nothing");
    let store = open_same(&before);
    let mut maker = Maker::new(78);
    let (redeem, _) = maker.redeem(&waiting);
    assert!(matches!(apply(&store, redeem, START), Ok(Outcome::Redeemed { .. })));
    let (rotate, _) = maker.rotate(&live.refresh);
    assert!(matches!(apply(&store, rotate, START), Ok(Outcome::Rotated { .. })));
}

fn keep_to_its_owner(path: &Path) {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}
