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

/// A file's text before its unit tests, which are its last item. A single item for tests, such as a method that a unit
/// test calls, does not end it.
pub fn code(text: &str) -> &str {
    let attribute = "#[cfg(test)]\n";
    let is_tests = |start: &usize| {
        let mut after = text[start + attribute.len()..].lines().map(str::trim_start);
        let item = after.find(|line| !line.starts_with("#[")).unwrap_or_default();
        ["mod tests {", "pub(super) mod tests {"].iter().any(|start| item.starts_with(start))
    };
    let end = text.match_indices(attribute).map(|(start, _)| start).find(is_tests);
    &text[..end.unwrap_or(text.len())]
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
