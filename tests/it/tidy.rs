//! The house rules, as a test that names file, line and remedy. Which layer may import which is in
//! `tests/it/imports.rs`.

use std::fs;
use std::path::Path;

use crate::imports::used_paths;
use crate::support::source::{code, code_lines, files};

/// For each layer, what its files may not name, beside the layers above it (`tests/it/imports.rs`): the wire, the clock
/// and randomness where they do not belong, and what is a layer's own affair.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("src/config/", &["mio", "std::io", "std::fs", "::now()", "getrandom"]),
    ("src/system.rs", &["mio", "std::net"]),
    ("src/private_file.rs", &["mio", "std::net", "::now()", "getrandom"]),
    ("src/keys/", &["mio", "std::net", "Instant", "::now()", "getrandom"]),
    ("src/outbound/", &["mio", "TcpListener", "std::fs", "::now()", "getrandom"]),
    ("src/peer.rs", &["mio", "::now()", "getrandom"]),
    ("src/pool.rs", &["mio", "::now()"]),
    ("src/json.rs", &["mio", "std::net", "std::fs", "::now()", "getrandom"]),
    ("src/log", &["mio", "std::net", "::now()", "getrandom"]),
    ("src/http/", &["mio", "std::net", "std::io", "std::fs", "SystemTime", "::now()", "getrandom"]),
    (
        "src/oauth/",
        &[
            "mio",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "ToSocketAddrs",
            "std::io",
            "std::fs",
            "Instant",
            "::now()",
            "getrandom",
        ],
    ),
    ("src/crypto/", &["mio", "std::net", "std::io", "std::fs", "Instant", "::now()", "getrandom"]),
    ("src/store/", &["mio", "TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs", "::now()", "getrandom"]),
    ("src/routes/", &["mio", "TcpStream", "TcpListener", "::now()", "getrandom"]),
    ("src/wire/", &["mio", "std::fs", "::now()", "getrandom"]),
    ("src/net/", &["::now()", "getrandom"]),
    ("src/cli", &["mio"]),
    ("src/ready.rs", &["mio", "::now()", "getrandom"]),
    ("src/main.rs", &["mio::", "::now()", "getrandom"]),
];

/// Files past this many lines that are not blank, unit tests aside, hold more than one idea.
const LINES_MAX: usize = 450;

/// Whether `line` names `word` as a whole: `mio` is not in `premiom`.
fn names(line: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let begins = !word.starts_with(is_part) || !before.is_some_and(is_part);
        let ends = !word.ends_with(is_part) || !after.is_some_and(is_part);
        begins && ends
    })
}

#[test]
fn no_layer_names_what_it_must_not() {
    let sources = files("src", &[".rs"]);
    let mut broken = Vec::new();
    for (path, text) in &sources {
        if path == "src/lib.rs" {
            continue;
        }
        let (_, forbidden) = FORBIDDEN
            .iter()
            .find(|(layer, _)| path.starts_with(layer))
            .unwrap_or_else(|| panic!("{path} belongs to no layer; say in tests/it/tidy.rs what it may name"));
        for (number, line) in code_lines(text) {
            for word in forbidden.iter().filter(|word| names(line, word)) {
                broken
                    .push(format!("{path}:{number}: names `{word}`, which its layer may not: {}", line.trim()));
            }
        }
        // A line with braces does not show whole paths.
        for used in used_paths(code(text)) {
            for word in forbidden.iter().filter(|word| names(&used, word)) {
                broken.push(format!("{path}: uses {used}, and its layer may not name `{word}`"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    for (layer, _) in FORBIDDEN {
        assert!(
            sources.iter().any(|(path, _)| path.starts_with(layer)),
            "{layer} is gone; take it out of FORBIDDEN"
        );
    }
}

#[test]
fn each_of_these_packages_is_named_in_one_place() {
    for (path, text) in files("src", &[".rs"]) {
        for (number, line) in code_lines(&text) {
            let allowed = |word: &str, layer: &str| !names(line, word) || path.starts_with(layer);
            assert!(allowed("mio", "src/net/"), "{path}:{number}: {line}");
            assert!(allowed("::now()", "src/system.rs"), "{path}:{number}: {line}");
            assert!(allowed("getrandom", "src/system.rs"), "{path}:{number}: {line}");
            assert!(allowed("ring::", "src/crypto/hash.rs"), "{path}:{number}: {line}");
            assert!(allowed("argon2", "src/crypto/password.rs"), "{path}:{number}: {line}");
            assert!(allowed("rustls", "src/outbound/tls.rs"), "{path}:{number}: {line}");
        }
    }
}

/// Which rules hold is asked of the profile (`src/oauth/profile.rs`), which only the configuration chooses.
#[test]
fn no_rule_asks_whether_it_serves_the_article_or_the_demo() {
    // These choose the profile, or name the demo's client in a page or an example.
    let may_name = ["src/oauth/profile.rs", "src/routes/demo.rs", "src/config/", "src/cli", "src/main.rs"];
    let exports = ["src/routes/mod.rs", "src/routes/settings.rs", "src/routes/reply/pages.rs"];
    let may_ask = [may_name.as_slice(), &exports].concat();
    for (path, text) in files("src", &[".rs"]) {
        if may_ask.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            let words = ["is_article", "Profile::article", "CLIENT_ID", "DEMO_CLIENT_ID"];
            let asks = words.iter().any(|word| names(line, word));
            assert!(!asks, "{path}:{number}: ask a field of the profile instead: {}", line.trim());
        }
    }
}

#[test]
fn no_file_holds_more_than_one_idea() {
    for (path, text) in files("src", &[".rs"]) {
        let lines = code(&text).lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines; look for the second idea in it");
    }
}

#[test]
fn no_line_of_the_source_is_longer_than_120_columns() {
    let pages = files("www", &[".html", ".css", ".js", ".svg"]);
    for (path, text) in [files("src", &[".rs"]), pages].concat() {
        for (number, line) in (1..).zip(text.lines()) {
            let columns = line.chars().count();
            assert!(columns <= 120, "{path}:{number}: {columns} columns; break the line: {}", line.trim());
        }
    }
}

/// A test's name is a sentence that fits beside the path of its file in a table.
#[test]
fn names_of_tests_have_at_most_60_characters() {
    const NAME_CHARS_MAX: usize = 60;
    let mut count = 0;
    for (path, text) in [files("src", &[".rs"]), files("tests", &[".rs"])].concat() {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
            if let (true, Some(name)) = (is_test, name) {
                let length = name.chars().count();
                assert!(
                    length <= NAME_CHARS_MAX,
                    "{path}: {name} has {length} characters; give it a shorter name"
                );
                count += 1;
            }
            // Other attributes may stand between the two lines.
            is_test = line == "#[test]" || (is_test && line.starts_with("#["));
        }
    }
    assert!(count > 500, "only {count} tests were found");
}

#[test]
fn every_log_line_that_can_repeat_has_a_rate() {
    // The places that may log at no rate, each with its own bound: the access log was asked for, the refusals count
    // what is past their bound, a reload takes a signal, and a trace was asked for.
    let bounded = [
        "src/log.rs",
        "src/net/access_log.rs",
        "src/net/refusal_log.rs",
        "src/net/reload.rs",
        "src/wire/trace.rs",
    ];
    for (path, text) in files("src", &[".rs"]) {
        for (number, line) in code_lines(&text) {
            let is_bounded = !names(line, "unlimited_line") || bounded.contains(&&*path);
            assert!(is_bounded, "{path}:{number}: this line has no rate; log it with Log::line: {line}");
            // A log that is made here and outlives its line.
            let is_rated = !line.contains("= Log::to_stderr(") || path != "src/main.rs";
            let is_rated =
                is_rated || line.contains(".with_rate(") || line.contains("Log::to_stderr_untimed(1)");
            assert!(is_rated, "{path}:{number}: this log has no rate; make it with Log::with_rate: {line}");
        }
    }
}

#[test]
fn secrets_have_no_derived_debug_and_no_code_is_unsafe_or_todo() {
    for (path, text) in files("src", &[".rs"]) {
        let mut derives = "";
        for (number, line) in code_lines(&text) {
            let at = format!("{path}:{number}: {}", line.trim());
            let is_secret = ["Credential", "Digest", "GrantId", "SealingKey", "Keyring", "MacKey", "KeyFile"]
                .iter()
                .any(|name| line.contains(&format!("struct {name}")));
            assert!(!(is_secret && derives.contains("Debug")), "{at}: a derived Debug would print it");
            assert!(!names(line, "unsafe"), "{at}");
            for word in ["todo!", "unimplemented!", "dbg!", "println!", "eprintln!"] {
                assert!(!line.contains(word), "{at}: {word}");
            }
            if line.trim_start().starts_with("#[derive") {
                derives = line;
            } else if !line.trim_start().starts_with("#[") {
                derives = "";
            }
        }
        assert!(!text.contains(&["TO", "DO"].concat()) && !text.contains(&["FIX", "ME"].concat()), "{path}");
    }
}

/// Every function that compares something secret, by its file and its first words.
const COMPARISONS: &[(&str, &str)] = &[
    ("src/crypto/digest.rs", "fn matches(&self, other: &Digest)"),
    ("src/oauth/allowed_before.rs", "fn matches(&self, other: &Mark)"),
    ("src/oauth/credential.rs", "fn is_of(&self, family: &Family)"),
    ("src/oauth/credential.rs", "fn eq(&self, other: &Salt)"),
    ("src/oauth/credential.rs", "fn eq(&self, other: &Family)"),
    ("src/oauth/pkce.rs", "fn matches(&self, verified: &Verified)"),
    ("src/crypto/seal.rs", "fn opens("),
];

/// The types that hold a secret, or what a secret comes to.
const SECRETS: &[&str] = &[
    "Credential",
    "Digest",
    "RefreshDigest",
    "Salt",
    "Family",
    "Challenge",
    "Verified",
    "SealingKey",
    "Keyring",
    "MacKey",
    "Mark",
    "SecretDigest",
];

/// How long a comparison takes shows in the time of the answer. No test can measure that, so this one reads the
/// source.
#[test]
fn secrets_are_compared_in_constant_time_and_in_no_other_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, function) in COMPARISONS {
        let text = fs::read_to_string(root.join(path)).expect("text");
        let (_, rest) = text.split_once(function).unwrap_or_else(|| panic!("{path} has no `{function}`"));
        let body: String = rest.split("\n    }\n").next().unwrap_or(rest).split_whitespace().collect();
        let is_constant = body.contains(".ct_eq(") && !body.contains("==") && !body.contains("!=");
        assert!(is_constant, "{path}: `{function}` must compare by ct_eq and by nothing else");
    }
    let mut found = 0;
    let mut sources = files("src/oauth", &[".rs"]);
    sources.extend(files("src/crypto", &[".rs"]));
    for (path, text) in sources {
        let mut derives = "";
        for (number, line) in code_lines(&text) {
            let line = line.trim_start();
            let is_definition = |name: &&&str| {
                let rest = line.split_once(&format!("struct {name}")).map(|(_, rest)| rest);
                rest.is_some_and(|rest| rest.starts_with(['(', ' ', '<']))
            };
            if let Some(name) = SECRETS.iter().find(is_definition) {
                let at = format!("{path}:{number}");
                assert!(
                    !derives.contains("PartialEq"),
                    "{at}: a derived == of {name} stops at the first difference"
                );
                found += 1;
            }
            if line.starts_with("#[derive") {
                derives = line;
            } else if !line.starts_with("#[") {
                derives = "";
            }
        }
    }
    assert_eq!(found, SECRETS.len(), "each of the types is found");
}

#[test]
fn no_panic_is_reachable_without_its_reason() {
    for (path, text) in files("src", &[".rs"]) {
        for (number, line) in code_lines(&text) {
            for word in [".unwrap()", ".expect(", "panic!(", "unreachable!("] {
                assert!(!line.contains(word), "{path}:{number}: {word} can end the server: {}", line.trim());
            }
        }
    }
}

#[test]
fn pages_load_nothing_from_other_hosts_and_run_nothing_inline() {
    let pages = files("www", &[".html", ".css", ".js", ".svg"]);
    assert!(pages.len() >= 9, "all pages are looked at");
    for (path, text) in pages {
        for (number, line) in text.lines().enumerate() {
            let at = format!("{path}:{}: {}", number + 1, line.trim());
            let addresses = line.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !addresses.contains("http://") && !addresses.contains("https://"),
                "{at}: an address is written in"
            );
            for port in ["3000", "3001"] {
                assert!(!line.contains(port), "{at}: a port is written in");
            }
            if path.ends_with(".html") {
                for word in
                    [" style=", "<style", "<script>", " onclick=", " onload=", " onsubmit=", "javascript:"]
                {
                    assert!(!line.contains(word), "{at}: the page's policy forbids {word}");
                }
            }
        }
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("a manifest");
    let section = manifest.split("[dependencies]").nth(1).expect("dependencies").split("\n[").next().unwrap();
    let lines: Vec<&str> = section.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut count = 0;
    for pair in lines.windows(2) {
        if !pair[1].starts_with('#') {
            assert!(pair[0].starts_with("# "), "`{}` needs a line above it that says why", pair[1]);
            count += 1;
        }
    }
    assert!(count >= 3, "the dependencies are found");
}

#[test]
fn ci_builds_with_the_oldest_rust_that_is_promised() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    let manifest = read("Cargo.toml");
    let promised = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let image = format!("container: rust:{}-", promised.expect("a rust-version").trim_matches('"'));
    assert!(read(".github/workflows/ci.yml").contains(&image), ".github/workflows/ci.yml has no `{image}…`");
}

/// The test runner captures what `println!` prints, and shows it only where the test fails. A skip is to be seen.
#[test]
fn a_test_that_is_skipped_says_so_past_the_test_runners_capture() {
    let mut said = 0;
    for (path, text) in files("tests", &["rs"]).into_iter().filter(|(path, _)| !path.ends_with("tidy.rs")) {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| line.contains("skipped: ")) {
            let place = format!("{}:{}: {line}", path, index + 1);
            assert!(!line.contains("println!"), "{place}\nwrite to std::io::stderr() with writeln!");
            said += usize::from(line.contains("writeln!"));
        }
    }
    assert!(said >= 4, "tests say what they skip: {said}");
}
