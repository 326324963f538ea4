//! The key file: who may have it, what is in it, what becomes of it when two programs or a crash get in the way, and
//! what it does for the dialog's forms.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use crate::support::ledger::{Link, ServerProcess};
use crate::support::program::program;
use crate::support::stores::Folder;
use oauth_from_scratch::crypto::keyring::KeyId;
use oauth_from_scratch::keys::{FILE_BYTES_MAX, KEYS_MAX, KeyFile};
use oauth_from_scratch::system::RealSystem;

fn open(path: &Path) -> Result<KeyFile, String> {
    KeyFile::open(path, &RealSystem::default())
}

fn add_key(path: &Path) -> Result<Vec<KeyId>, String> {
    KeyFile::add_key(path, &RealSystem::default()).map(|keys| keys.ids().collect())
}

/// The identifiers of the keys in the file, the current one first.
fn ids(path: &Path) -> Vec<KeyId> {
    open(path).unwrap_or_else(|error| panic!("{error}")).keyring().ids().collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a key file")
}

fn draft(path: &Path) -> std::path::PathBuf {
    path.with_extension("new")
}

/// What is in a folder, by name.
fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("")).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes a file as its owner's alone.
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file");
    #[cfg(unix)]
    set_mode(path, 0o600);
}

#[test]
fn a_key_file_is_made_once_and_for_its_owner_alone() {
    let folder = Folder::new();
    let path = folder.join("keys");
    assert!(KeyFile::check(&path).expect("it may be made").is_none() && names(&folder).is_empty());
    let made = ids(&path);
    assert_eq!(made.len(), 1);
    let first = text(&path);
    assert_eq!((ids(&path), text(&path)), (made.clone(), first), "it is read");
    assert_eq!(KeyFile::check(&path).unwrap().map(|keys| keys.ids().collect()), Some(made));
    assert_eq!(names(&folder), ["keys"], "nothing is left beside it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    assert_ne!(ids(&folder.join("other")), ids(&path), "keys are random");
    let missing = folder.join("missing/keys");
    for error in [open(&missing).err(), KeyFile::check(&missing).err(), add_key(&missing).err()] {
        assert_eq!(error.as_deref(), Some("its folder does not exist; create the folder first"));
    }
}

#[test]
fn the_key_file_that_the_reference_shows_is_one() {
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");
    let reference = std::fs::read_to_string(reference).expect("docs/reference.md");
    let (_, section) = reference.split_once("## Key file").expect("its section");
    let shown = section.split("```").nth(1).and_then(|fence| fence.strip_prefix("text\n")).expect("a fence");
    let folder = Folder::new();
    write(&folder.join("keys"), shown.as_bytes());
    let found = ids(&folder.join("keys"));
    assert!(found.len() == 2 && shown.contains(&format!("current {}", found[0])), "{found:?}");
}

#[test]
#[cfg(unix)]
fn a_key_file_of_others_to_read_or_change_is_refused() {
    let folder = Folder::new();
    let path = folder.join("keys");
    ids(&path);
    let shown = path.display().to_string();
    let check = |words: &str| {
        for error in [open(&path).err(), KeyFile::check(&path).err(), add_key(&path).err()] {
            let error = error.expect("it is refused");
            assert!(error.contains(words), "{error}");
        }
    };
    let before = text(&path);
    for (mode, verb) in
        [(0o644, "read"), (0o640, "read"), (0o604, "read"), (0o660, "change"), (0o602, "change")]
    {
        set_mode(&path, mode);
        let said = format!(
            "other users of this machine can {verb} it, because it has mode {mode:04o}; run chmod 600 "
        );
        check(&(said + &shown));
    }
    for mode in [0o600, 0o700] {
        set_mode(&path, mode);
        assert!(open(&path).is_ok(), "{mode:o}");
    }
    let within = folder.join("");
    for mode in [0o777, 0o702] {
        set_mode(&within, mode);
        check(&format!(
            "any user of this machine can replace it, because the folder {}",
            within.display().to_string().trim_end_matches('/')
        ));
    }
    set_mode(&within, 0o1777);
    assert!(open(&path).is_ok(), "in a sticky folder others cannot replace it");
    assert_eq!((text(&path), names(&folder)), (before, vec!["keys".to_owned()]), "nothing was changed");
}

#[test]
#[cfg(unix)]
fn a_key_file_that_is_no_file_is_refused() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let good = folder.join("good");
    ids(&good);
    let check = |name: &str, words: &str| {
        for error in [open(&folder.join(name)).err(), add_key(&folder.join(name)).err()] {
            let error = error.unwrap_or_else(|| panic!("{name} is taken"));
            assert!(error.contains(words), "{name}: {error}");
        }
    };
    symlink("good", folder.join("link")).unwrap();
    check(
        "link",
        &format!(
            "it is a symbolic link, and a user who can change the link can change the keys; give {} instead",
            good.canonicalize().unwrap().display()
        ),
    );
    symlink(folder.join("made"), folder.join("dangling")).unwrap();
    check("dangling", "it is a symbolic link");
    std::fs::create_dir(folder.join("folder")).unwrap();
    check("folder", "it is not a regular file; give the path of a regular file");
    let pipe = Command::new("mkfifo").arg("-m600").arg(folder.join("pipe")).status();
    assert!(pipe.expect("there is a mkfifo").success());
    check("pipe", "it is not a regular file; give the path of a regular file");
    // A draft that is a link would be written wherever it leads.
    write(&folder.join("precious"), b"precious");
    for name in ["precious", "made"] {
        symlink(folder.join(name), folder.join("drafted.new")).unwrap();
        check("drafted", "drafted.new: it is a symbolic link");
        std::fs::remove_file(folder.join("drafted.new")).unwrap();
    }
    assert_eq!(text(&folder.join("precious")), "precious");
    let left = ["dangling", "folder", "good", "link", "pipe", "precious"];
    assert_eq!(names(&folder), left, "nothing is made where a link leads");
}

/// Only the superuser can open such a file at all.
#[test]
#[cfg(target_os = "linux")]
fn a_key_file_that_belongs_to_another_user_is_refused() {
    let folder = Folder::new();
    let path = folder.join("keys");
    ids(&path);
    if std::os::unix::fs::chown(&path, Some(1), None).is_err() {
        let line = "skipped: a_key_file_that_belongs_to_another_user_is_refused needs to run as root";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    let error = open(&path).err().expect("it is refused");
    assert!(error.contains("it is owned by user id 1, who can read and change it; run chown 0 "), "{error}");
}

#[test]
fn a_key_file_that_is_malformed_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = folder.join("keys");
    ids(&path);
    let good = text(&path);
    let line = good.lines().count() + 1;
    let check = |bytes: &[u8], words: &str| {
        write(&path, bytes);
        for error in [open(&path).err(), KeyFile::check(&path).err(), add_key(&path).err()] {
            assert_eq!(error.as_deref(), Some(words));
        }
        assert_eq!((std::fs::read(&path).unwrap(), names(&folder)), (bytes.to_vec(), vec!["keys".to_owned()]));
    };
    check(b"", "no key is current; write current instead of old in the line of one");
    check(
        good.replace("\ncurrent", "\nold").as_bytes(),
        "no key is current; write current instead of old in the line of one",
    );
    let three = "a key is three words: current or old, its identifier, and its bytes in base64url";
    check(format!("{good}what?").as_bytes(), &format!("line {line}: {three}"));
    check(
        &good.as_bytes()[..good.len() - 10],
        &format!("line {}: the key must be 43 characters of base64url: 32 bytes, without padding", line - 1),
    );
    let large = good.clone() + &"#".repeat(FILE_BYTES_MAX);
    check(large.as_bytes(), "it is larger than 65536 bytes, so it is no key file");
    write(&path, good.as_bytes());
    assert!(open(&path).is_ok());
}

#[test]
fn programs_that_start_at_once_have_the_same_keys() {
    const STARTERS: usize = 8;
    let folder = Folder::new();
    for round in 0..30 {
        let path = folder.join(&format!("keys{round}"));
        let barrier = Barrier::new(STARTERS);
        let found: Vec<Vec<KeyId>> = std::thread::scope(|scope| {
            let start = || {
                barrier.wait();
                ids(&path)
            };
            let starters: Vec<_> = (0..STARTERS).map(|_| scope.spawn(start)).collect();
            starters.into_iter().map(|starter| starter.join().expect("it starts")).collect()
        });
        assert!(found.iter().all(|keys| *keys == found[0]) && found[0].len() == 1, "round {round}: {found:?}");
        assert!(!draft(&path).exists(), "round {round}");
    }
}

#[test]
fn of_keys_that_are_added_at_once_none_is_lost() {
    const WRITERS: usize = 8;
    let folder = Folder::new();
    let path = folder.join("keys");
    let barrier = Barrier::new(WRITERS);
    let added: Vec<KeyId> = std::thread::scope(|scope| {
        let add = || {
            barrier.wait();
            add_key(&path).expect("there is room")[0]
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(add)).collect();
        writers.into_iter().map(|writer| writer.join().expect("it ends")).collect()
    });
    let found = ids(&path);
    assert_eq!(found.len(), WRITERS);
    assert!(added.iter().all(|id| found.contains(id)), "{added:?} {found:?}");
}

/// A process that ends between writing the draft and renaming it leaves any part of it.
#[test]
fn a_draft_that_a_crash_left_behind_does_no_harm() {
    let folder = Folder::new();
    let other = folder.join("other");
    ids(&other);
    let whole = text(&other);
    for length in [0, 1, whole.len() / 2, whole.len(), 3 * whole.len()] {
        let left = whole.repeat(3).into_bytes()[..length].to_vec();
        let path = folder.join(&format!("keys{length}"));
        write(&draft(&path), &left);
        let made = ids(&path);
        assert!(!made.contains(&ids(&other)[0]) && !draft(&path).exists(), "{length}: it is overwritten");
        write(&draft(&path), &left);
        assert_eq!(ids(&path), made, "{length}: the file is what counts");
        let added = add_key(&path).expect("there is room");
        assert_eq!((&added[1..], ids(&path)), (&made[..], added.clone()), "{length}");
        assert!(!draft(&path).exists(), "{length}");
    }
}

#[test]
fn a_file_takes_keys_up_to_its_bound() {
    let folder = Folder::new();
    let path = folder.join("keys");
    let mut added = ids(&path);
    while added.len() < KEYS_MAX {
        let more = add_key(&path).expect("there is room");
        assert_eq!(&more[1..], added, "the new one comes first");
        added = more;
    }
    let full = text(&path);
    let error = add_key(&path).expect_err("it is full");
    assert!(error.starts_with("no key is added: line ") && error.contains("more than 32 keys"), "{error}");
    assert_eq!((text(&path), ids(&path), names(&folder)), (full, added, vec!["keys".to_owned()]));
}

#[test]
fn reloaded_keys_take_over_and_a_malformed_file_changes_none() {
    let folder = Folder::new();
    let path = folder.join("keys");
    let file = open(&path).expect("a new file");
    let first = file.keyring().current().id();
    assert_eq!(file.reload(), Ok(None));
    let second = add_key(&path).expect("there is room")[0];
    assert_eq!(file.keyring().current().id(), first, "not before it is read");
    let said = format!("keys: the current key is {second}, was {first}; added {second}");
    assert_eq!(file.reload(), Ok(Some(said)));
    let both = || file.keyring().ids().eq([second, first]);
    assert!(both());
    let good = text(&path);
    let broken = [good.replace("current", "currant"), good.replace("old ", "older "), String::new()];
    for bad in broken {
        write(&path, bad.as_bytes());
        assert!(file.reload().is_err() && both(), "{bad}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = file.reload().expect_err("it was removed");
    assert!(error.starts_with("it was removed; put it back") && both() && !path.exists(), "{error}");
    let without_first: String =
        good.lines().filter(|line| !line.starts_with("old")).map(|line| format!("{line}\n")).collect();
    write(&path, without_first.as_bytes());
    assert_eq!(file.reload(), Ok(Some(format!("keys: removed {first}"))));
    assert!(file.keyring().find(first).is_none());
}

/// With the program itself, whose grants are in memory.
#[test]
fn a_form_from_before_a_restart_is_good_where_its_key_is_kept() {
    let folder = Folder::new();
    let path = folder.join("keys").display().to_string();
    for (flags, expected) in [(&["--keys", &path][..], 302), (&[], 400)] {
        let mut first = ServerProcess::start(flags);
        let (cookie, sealed) = Link::new(first.port).dialog();
        first.kill();
        let second = ServerProcess::start(flags);
        let (status, answer) = Link::new(second.port).authorize(&cookie, &sealed);
        assert_eq!(status, expected, "{flags:?}: {answer}");
    }
}

/// Runs the program to its end, and gives its status and what it prints.
fn run(words: &[&str]) -> (i32, String) {
    let output = program().args(words).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit status"), text(output.stdout) + &text(output.stderr))
}

#[test]
fn a_key_is_added_by_flag_and_the_file_is_checked_by_flag() {
    let folder = Folder::new();
    let (path, configured) = (folder.join("keys"), folder.join("auth.toml"));
    let shown = path.display().to_string();
    std::fs::write(&configured, format!("keys = \"{shown}\"\n[listen]\nport = 0\n")).unwrap();
    let config = configured.display().to_string();
    let (status, said) = run(&["--config", &config, "--check-config"]);
    assert!(status == 0 && said.contains(&format!("{shown}: made at the first start\n")), "{said}");
    assert!(!path.exists(), "it is only checked");
    for count in [1, 2] {
        let words =
            if count == 1 { ["--config", &config, "--new-key"] } else { ["--keys", &shown, "--new-key"] };
        let (status, said) = run(&words);
        let id = ids(&path)[0];
        let expected = format!("added key {id} to {shown}, as the current one of {count}; send SIGHUP ");
        assert!(status == 0 && said.starts_with(&expected), "{said}");
    }
    let (_, said) = run(&["--keys", &shown, "--check-config"]);
    assert!(said.contains(&format!("{shown}: 2 in it, current {}\n", ids(&path)[0])), "{said}");
    write(&path, b"current\n");
    for (words, expected) in
        [(&["--check-config"][..], 2), (&["--new-key"], 1), (&["--client-port=0", "--auth-port=0"], 1)]
    {
        let (status, said) = run(&[&["--keys", &shown], words].concat());
        let line = format!("oauth-from-scratch: the key file {shown}: line 1: a key is three words");
        assert!(
            status == expected && said.starts_with(&line) && said.lines().count() == 1,
            "{words:?}: {said}"
        );
    }
    let (status, said) = run(&["--new-key"]);
    assert!(status == 2 && said.contains("--new-key requires a key file; give --keys FILE"), "{said}");
}

/// With the program itself, and a file of keys alone: there is no configuration to read again.
#[test]
#[cfg(unix)]
fn a_hang_up_has_the_key_file_read_again() {
    let folder = Folder::new();
    let path = folder.join("keys");
    let shown = path.display().to_string();
    let server = ServerProcess::start_as(program(), &["--keys", &shown]);
    let link = || Link::new(server.port);
    let (cookie, early) = link().dialog();
    let first = ids(&path)[0];
    assert!(early.starts_with(&first.to_string()), "a form names its key");
    assert_eq!(run(&["--keys", &shown, "--new-key"]).0, 0);
    let second = ids(&path)[0];
    server.signal("-HUP");
    server.wait_for_words(&format!("reload: keys: the current key is {second}, was {first}; added {second}"));
    server.wait_for_words("reload: done; requests and connections from now on use the new configuration");
    let (late_cookie, late) = link().dialog();
    assert!(late.starts_with(&second.to_string()), "the new key seals");
    assert_eq!(link().authorize(&cookie, &early).0, 302, "and the old one still opens");
    assert_eq!(link().authorize(&late_cookie, &late).0, 302);
    let good = text(&path);
    write(&path, good.replace("current ", "currant ").as_bytes());
    server.signal("-HUP");
    server.wait_for_words(
        "a key begins with the word current or old; the keys stay as they were (--keys names it)",
    );
    server.wait_for_words("reload: failed; the configuration stays as it was");
    let (cookie, sealed) = link().dialog();
    assert!(sealed.starts_with(&second.to_string()));
    assert_eq!(link().authorize(&cookie, &sealed).0, 302);
    let log = server.log();
    let keys =
        good.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit(' ').next().expect("a key"));
    assert_eq!(
        keys.filter(|key| key.len() == 43 && !log.contains(&key[..8])).count(),
        2,
        "no key is logged: {log}"
    );
}
