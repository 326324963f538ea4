//! The text of a key file, which a person can read and edit.
//!
//! ```text
//! # A comment: lines that begin with # and empty lines are skipped.
//! current N8_QD3py SMtC…
//! old     kBdoR47N mdSs…
//! ```
//!
//! A line is one key: the word `current` or `old`, the key's identifier in 8 characters, and its 32 bytes in base64url
//! without padding, which are 43 characters; blanks between them. Exactly one key is current. The identifier is derived
//! from the key, so a line in which either was damaged is refused.
//!
//! Refused are a malformed line, a file without a current key or with two, the same key twice, and more than
//! [`FILE_BYTES_MAX`] or [`KEYS_MAX`]. An error names the line and shows nothing of it, since a key may stand anywhere.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::crypto::keyring::{KEY_BYTES, KeyBytes, KeyId};

/// The most bytes of a key file.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// The most keys of a file: more than anyone adds who removes those that nothing needs.
pub const KEYS_MAX: usize = 32;

/// What a new file begins with.
const HEADER: &str = "\
# Keys of oauth-from-scratch. Keep this file secret: with it, anyone can forge what the server seals.
#
# A line is one key: current or old, its identifier, and 32 random bytes in base64url.
# The current key seals. Each key opens what it sealed, so removing a line invalidates all of that.
# To add a key: oauth-from-scratch --keys FILE --new-key, and then SIGHUP to the servers that run.
";

/// The keys of a file.
pub(super) struct Parsed {
    /// The one that seals.
    pub(super) current: KeyBytes,
    /// Those that only open, in the order of the file.
    pub(super) old: Vec<KeyBytes>,
}

/// Reads the text of a key file.
///
/// # Errors
/// One line that says what is wrong, with the number of the line in the file where there is one.
pub(super) fn parse(text: &[u8]) -> Result<Parsed, String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes, so it is no key file"));
    }
    let (mut current, mut old) = (None, Vec::new());
    let mut seen: Vec<(KeyId, usize)> = Vec::new();
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        let at = |message: String| format!("line {number}: {message}");
        let Some((is_current, id, key)) = read_line(line).map_err(|message| at(message.to_owned()))? else {
            continue;
        };
        if let Some((_, earlier)) = seen.iter().find(|(known, _)| *known == id) {
            return Err(at(format!("this key is in line {earlier} already; remove one of the two")));
        }
        seen.push((id, number));
        if seen.len() > KEYS_MAX {
            return Err(at(format!("more than {KEYS_MAX} keys; remove old ones that nothing needs any more")));
        }
        if !is_current {
            old.push(key);
        } else if current.replace(key).is_some() {
            return Err(at("a second current key; write old instead of current in one of the two".to_owned()));
        }
    }
    match current {
        Some(current) => Ok(Parsed { current, old }),
        None => Err("no key is current; write current instead of old in the line of one".to_owned()),
    }
}

/// Whether the key of a line is current, its identifier and its bytes; `None` for a line without a key.
fn read_line(line: &[u8]) -> Result<Option<(bool, KeyId, KeyBytes)>, &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "not text in UTF-8")?.trim_ascii();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(state), Some(id), Some(key), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("a key is three words: current or old, its identifier, and its bytes in base64url");
    };
    let is_current = match state {
        "current" => true,
        "old" => false,
        _ => return Err("a key begins with the word current or old"),
    };
    let id = KeyId::parse(id).ok_or("the identifier must be 8 characters of base64url")?;
    let mut bytes = [0; KEY_BYTES];
    let decoded = Base64UrlUnpadded::decode(key, &mut bytes).map(<[u8]>::len);
    if decoded != Ok(KEY_BYTES) {
        return Err("the key must be 43 characters of base64url: 32 bytes, without padding");
    }
    if KeyId::of(&bytes) != id {
        return Err("the identifier is not this key's, so one of them was damaged; restore the line");
    }
    Ok(Some((is_current, id, bytes)))
}

/// The text of a new file with one key.
pub(super) fn new_file(key: &KeyBytes) -> String {
    format!("{HEADER}{}", current_line(key))
}

/// The text of a file, which was parsed before, with one more key: it is current, and the one that was is old. Comments
/// and all other lines stay as they are.
pub(super) fn with_new_key(text: &str, key: &KeyBytes) -> String {
    let is_current = |line: &&str| line.split_ascii_whitespace().next() == Some("current");
    let change = |line: &str| match Some(line).filter(is_current) {
        Some(line) => format!("{}{}", current_line(key), line.replacen("current", "old    ", 1)),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(change).collect()
}

fn current_line(key: &KeyBytes) -> String {
    format!("current {} {}\n", KeyId::of(key), Base64UrlUnpadded::encode_string(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [KeyBytes; 3] = [[1; 32], [2; 32], [3; 32]];

    fn line(state: &str, key: &KeyBytes) -> String {
        format!("{state} {} {}\n", KeyId::of(key), Base64UrlUnpadded::encode_string(key))
    }

    #[test]
    fn a_file_gives_the_keys_that_were_written_to_it() {
        let check = |text: &str, current: usize, old: &[usize]| {
            let Parsed { current: found, old: others } = parse(text.as_bytes()).expect(text);
            assert!(
                found == KEYS[current] && others.iter().eq(old.iter().map(|index| &KEYS[*index])),
                "{text}"
            );
        };
        let first = new_file(&KEYS[0]);
        check(&first, 0, &[]);
        let commented = first.replace("\ncurrent", "\n# Made in May.\ncurrent");
        let second = with_new_key(&commented, &KEYS[1]);
        check(&second, 1, &[0]);
        assert!(second.contains("# Made in May.\n"), "{second}");
        check(&with_new_key(&second, &KEYS[2]), 2, &[1, 0]);
        check(&with_new_key(first.trim_end(), &KEYS[1]), 1, &[0]);
        // By hand: in another order, with other blanks and line ends.
        let lines =
            line("old", &KEYS[2]) + "\r\n \t\n" + &line("\t current  ", &KEYS[0]).replace('\n', " \r\n");
        check(&(lines + "  # The end.\n" + line("old", &KEYS[1]).trim_end()), 0, &[2, 1]);
    }

    #[test]
    fn what_is_malformed_is_named_by_its_line() {
        let good = new_file(&KEYS[0]);
        let number = good.lines().count() + 1;
        let check = |added: &str, message: &str| {
            let text = good.clone() + added;
            let error = parse(text.as_bytes()).err().unwrap_or_else(|| panic!("{added}: it is taken"));
            assert_eq!(error, format!("line {number}: {message}"), "{added}");
        };
        let three = "a key is three words: current or old, its identifier, and its bytes in base64url";
        let old = line("old", &KEYS[1]);
        let words: Vec<&str> = old.split_ascii_whitespace().collect();
        let [_, id, key] = words[..] else { panic!("three words") };
        check("x", three);
        check(id, three);
        check(&format!("old {id}"), three);
        check(&format!("old {id} {key} {key}"), three);
        check(&format!("old {id} {key} # Comment."), three);
        for state in ["Old", "new", key] {
            check(&format!("{state} {id} {key}"), "a key begins with the word current or old");
        }
        for other in ["AAAAAAA", "AAAAAAAAA", "AAAAAAA=", key] {
            check(&format!("old {other} {key}"), "the identifier must be 8 characters of base64url");
        }
        let length = "the key must be 43 characters of base64url: 32 bytes, without padding";
        for other in [&key[1..], &format!("{key}A"), &format!("{key}="), &format!("+{}", &key[1..]), id] {
            check(&format!("old {id} {other}"), length);
        }
        let damaged = "the identifier is not this key's, so one of them was damaged; restore the line";
        check(&format!("old AAAAAAAA {key}"), damaged);
        check(&format!("old {id} B{}", &key[1..]), damaged);
        check(
            &line("current", &KEYS[1]),
            "a second current key; write old instead of current in one of the two",
        );
        let twice = format!("this key is in line {} already; remove one of the two", number - 1);
        check(&line("old", &KEYS[0]), &twice);
        let no_text = [good.as_bytes(), b"\xff"].concat();
        assert_eq!(parse(&no_text).err(), Some(format!("line {number}: not text in UTF-8")));
    }

    #[test]
    fn a_file_without_a_current_key_or_past_a_bound_is_refused() {
        let check =
            |text: &str, message: &str| assert_eq!(parse(text.as_bytes()).err().as_deref(), Some(message));
        let missing = "no key is current; write current instead of old in the line of one";
        check("", missing);
        check(HEADER, missing);
        check(&line("old", &KEYS[0]), missing);
        let full = new_file(&KEYS[0]);
        let filled = full.clone() + &"#".repeat(FILE_BYTES_MAX - full.len());
        assert!(parse(filled.as_bytes()).is_ok(), "at the bound");
        check(&(filled + "#"), "it is larger than 65536 bytes, so it is no key file");
        let old =
            |count: usize| (0..count).map(|number| line("old", &[number as u8 + 10; 32])).collect::<String>();
        assert!(parse((full.clone() + &old(KEYS_MAX - 1)).as_bytes()).is_ok(), "at the bound");
        let number = full.lines().count() + KEYS_MAX;
        let many = format!("line {number}: more than 32 keys; remove old ones that nothing needs any more");
        check(&(full + &old(KEYS_MAX)), &many);
    }

    /// A key may be anywhere in a malformed line.
    #[test]
    fn no_error_shows_anything_of_the_file() {
        let key = Base64UrlUnpadded::encode_string(b"a key of thirty-two plain letter");
        for text in [key.clone(), format!("old {key} x"), format!("{key} x y"), format!("old AAAAAAAA {key}")] {
            let error = parse(text.as_bytes()).err().expect("it is malformed");
            assert!(!error.contains(&key[..8]), "{error}");
        }
    }
}
