//! The source files of the project, as the tests that check them read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The files of `folder` and below that end in one of `endings`, by their path in the project.
pub fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found.sort();
    found
}

/// The files that the one at `path` declares with `#[cfg(test)]`, so that only unit tests use them.
pub fn test_files(path: &str, text: &str) -> Vec<String> {
    let folder = path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib");
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|after| {
        let (_, name) = after.lines().next()?.strip_suffix(';')?.split_once("mod ")?;
        Some(format!("{folder}/{name}.rs"))
    });
    declared.collect()
}

/// A file's text before its unit tests, which are its last item. A single item for tests, such as a method that a unit
/// test calls, does not end it.
pub fn code(text: &str) -> &str {
    let attribute = "#[cfg(test)]\n";
    let is_tests = |start: &usize| {
        let mut after = text[start + attribute.len()..].lines().map(str::trim_start);
        let item = after.find(|line| !line.starts_with("#[")).unwrap_or_default();
        ["mod tests {", "pub(super) mod tests {", "pub(crate) mod tests {"]
            .iter()
            .any(|start| item.starts_with(start))
    };
    let end = text.match_indices(attribute).map(|(start, _)| start).find(is_tests);
    &text[..end.unwrap_or(text.len())]
}

/// A file's lines before its unit tests, numbered from 1, without comments.
pub fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    code(text).lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("//")
    })
}

/// The string literals of a line that has no escaped quotation mark.
pub fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// Whether `token` is a word, such as a name or a number.
pub fn is_word(token: &str) -> bool {
    token.starts_with(|character: char| character.is_alphabetic() || character == '_')
}

/// The words and marks of code, without comments and without what is quoted.
pub fn tokens(text: &str) -> Vec<String> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            quoted_length(rest)
        } else if first == '\'' {
            let is_character = rest[1..].chars().nth(1) == Some('\'') || rest[1..].starts_with('\\');
            // Past the quoted character, which may be a quote itself, and past the backslash before an escaped one.
            let backslash = usize::from(rest[1..].starts_with('\\'));
            let past = 1 + backslash + rest[1 + backslash..].chars().next().map_or(0, char::len_utf8);
            if is_character {
                rest[past..].find('\'').map_or(rest.len(), |at| past + at + 1)
            } else {
                // A lifetime's.
                tokens.push("'".to_owned());
                1
            }
        } else {
            let length = match rest.find(|character: char| !is_part(character)) {
                Some(0) if rest.starts_with("::") => 2,
                Some(0) => first.len_utf8(),
                Some(length) => length,
                None => rest.len(),
            };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long the string literal is that `text` begins with.
fn quoted_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|(_, character)| {
        let is_end = *character == '"' && !is_escaped;
        is_escaped = *character == '\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[test]
fn a_module_for_unit_tests_is_told_by_its_declaration() {
    let text = "mod a;\n#[cfg(test)]\npub(crate) mod b;\n#[cfg(test)]\nuse x;\n#[cfg(test)]\nmod tests {\n";
    assert_eq!(test_files("src/net/mod.rs", text), ["src/net/b.rs"]);
    assert_eq!(test_files("src/net.rs", text), ["src/net/b.rs"]);
    assert_eq!(test_files("src/lib.rs", text), ["src/b.rs"]);
}

#[test]
fn code_ends_where_the_unit_tests_begin() {
    let check = |text: &str, expected: &str| assert_eq!(code(text), expected, "{text}");
    check("fn f() {}\n", "fn f() {}\n");
    check("fn f() {}\n#[cfg(test)]\nmod tests {\n}\n", "fn f() {}\n");
    check("fn f() {}\n#[cfg(test)]\n#[cfg(unix)]\nmod tests {\n}\n", "fn f() {}\n");
    check("fn f() {}\n#[cfg(test)]\npub(super) mod tests {\n}\n", "fn f() {}\n");
    let item = "#[cfg(test)]\nfn len() {}\nfn f() {}\n";
    check(&format!("{item}#[cfg(test)]\nmod tests {{\n}}\n"), item);
}
