//! The fuzzer's targets over the corpus and over random changes of it: what once broke stays found, and every
//! change is tried a little by everyone who runs the tests. `tests/fuzz/README.md` says how to try it a lot.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

use crate::support::random::Random;

/// How many changed inputs each target is given.
const CHANGES: usize = 20_000;

/// The inputs of a target, in the order of their names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = fs::read_dir(folder).expect("a folder of the corpus");
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("an input")))
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn everything_in_the_corpus_holds() {
    for (name, target) in targets::ALL {
        let inputs = corpus(name);
        assert!(inputs.len() >= 5, "{name} has a corpus");
        for (path, bytes) in inputs {
            let result = std::panic::catch_unwind(|| target(&bytes));
            assert!(result.is_ok(), "{path}");
        }
    }
}

/// Otherwise the corpus would begin with refusals, and the changes of it would find little else.
#[test]
fn the_records_of_the_corpus_are_of_each_format() {
    use oauth_from_scratch::oauth::Grant;
    let mut counts = [0; 2];
    for (path, bytes) in corpus("record") {
        let format = ["format-2-", "format-3-"].into_iter().position(|format| path.contains(format));
        let Some(format) = format else { continue };
        let grant = Grant::decode(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(grant.encode(), bytes, "{path}");
        counts[format] += 1;
    }
    assert_eq!(counts, [3, 3]);
}

#[test]
fn random_changes_of_the_corpus_hold() {
    let mut random = Random::new(1);
    let mut below = move |end: usize| random.index(end);
    const TOKENS: [&[u8]; 12] = [
        b"\r\n",
        b"\n",
        b"\r",
        b":",
        b" ",
        b"\t",
        b"0",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n\r\n",
        b"\0",
        b"%",
    ];
    for (name, target) in targets::ALL {
        let inputs = corpus(name);
        for _ in 0..CHANGES {
            let mut bytes = inputs[below(inputs.len())].1.clone();
            for _ in 0..=below(4) {
                let at = below(bytes.len() + 1);
                match below(4) {
                    0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
                    1 if at < bytes.len() => drop(bytes.drain(at..(at + 1 + below(5)).min(bytes.len()))),
                    2 => {
                        let other = &inputs[below(inputs.len())].1;
                        let from = below(other.len() + 1);
                        bytes.splice(at..at, other[from..].iter().copied());
                    }
                    _ => drop(bytes.splice(at..at, TOKENS[below(TOKENS.len())].iter().copied())),
                }
            }
            let result = std::panic::catch_unwind(|| target(&bytes));
            assert!(result.is_ok(), "{name}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
