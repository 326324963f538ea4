//! What the documents quote is the source, what they show is what the server answers, and what they name is
//! there.
//!
//! Quoted source stands in a fence ```` ```rust src/path.rs ````: its lines must stand in that file in that
//! order, a line of `// ...` skipping some. An exchange stands in a fence ```` ```http ```` (or ```` ```http
//! client-app ````), as `support/documents.rs` says. With ```` ```http example ```` the server is configured as in
//! docs/example.toml. The programs of docs/build are checked in `tests/it/book.rs`, the form and the commands of the
//! other chapters in `tests/it/chapters.rs`.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use crate::support::TestServer;
use crate::support::documents::{Fence, Ports, Replay, documents, fences, root};
use crate::support::program::program;
use crate::support::source::{code, code_lines, files, quoted};

/// Fails with the first line of `fence` that does not stand in `source` where it should.
fn check_quote(fence: &Fence, source: &str) {
    let source: Vec<&str> = source.lines().map(str::trim).collect();
    let mut at = 0;
    let mut may_skip = true;
    for (offset, line) in fence.lines.iter().enumerate() {
        let line = line.trim();
        if line == "// ..." {
            may_skip = true;
            continue;
        }
        let place = format!("{}:{}", fence.document, fence.line + 1 + offset);
        let found = if may_skip {
            (at..source.len())
                .filter(|start| source[*start] == line)
                .max_by_key(|start| (lines_standing(fence, offset, &source[*start..]), usize::MAX - start))
        } else {
            (source.get(at) == Some(&line)).then_some(at)
        };
        let expected = source.get(at).filter(|_| !may_skip).map(|line| format!("; there stands `{line}`"));
        let Some(found) = found else {
            panic!("{place}: `{line}` does not stand there in {}{}", fence.info, expected.unwrap_or_default());
        };
        at = found + 1;
        may_skip = false;
    }
}

/// How many lines of the fence, from `offset` to the next that skips, `source` begins with.
fn lines_standing(fence: &Fence, offset: usize, source: &[&str]) -> usize {
    let stretch = fence.lines[offset..].iter().map(|line| line.trim()).take_while(|line| *line != "// ...");
    stretch.zip(source).take_while(|(quoted, line)| quoted == *line).count()
}

#[test]
fn every_quoted_line_stands_in_the_source() {
    let mut quotes = 0;
    for fence in fences() {
        let Some(path) = fence.info.strip_prefix("rust") else { continue };
        let path = path.trim();
        assert!(!path.is_empty(), "{}:{}: a quote must name its file", fence.document, fence.line);
        let source = fs::read_to_string(root().join(path))
            .unwrap_or_else(|error| panic!("{}:{}: {path}: {error}", fence.document, fence.line));
        check_quote(&fence, &source);
        quotes += 1;
    }
    assert!(quotes >= 12, "the walkthrough quotes the source: {quotes}");
}

#[test]
#[should_panic(
    expected = "docs/x.md:4: `let y = 3;` does not stand there in rust src/x.rs; there stands `let y = 2;`"
)]
fn a_drifted_quote_is_named_with_document_and_line() {
    let lines = ["fn f() {", "let x = 1;", "let y = 3;"].map(str::to_owned).to_vec();
    let fence = Fence { document: "docs/x.md".into(), line: 1, info: "rust src/x.rs".into(), lines };
    check_quote(&fence, "fn f() {\n    let x = 1;\n    let y = 2;\n}\n");
}

/// A server as it is without a file, one that is configured as in docs/example.toml, and the exchanges with both.
struct Servers {
    plain: TestServer,
    example: TestServer,
    replay: Replay,
}

impl Servers {
    fn start() -> Servers {
        let text = fs::read_to_string(root().join("docs/example.toml")).expect("docs/example.toml");
        let configured = oauth_from_scratch::config::read(&text, 1).expect("a sound file");
        let example = TestServer::start_with(|config| {
            *config = configured;
            // On a port that is free, and called by it.
            (config.auth_port, config.issuer) = (0, None);
        });
        Servers { plain: TestServer::start(), example, replay: Replay::default() }
    }

    fn check(&mut self, fence: &Fence) {
        let (server, address) = match fence.info.as_str() {
            "http" => (&self.plain, self.plain.authorization_server),
            "http client-app" => (&self.plain, self.plain.client_app),
            "http example" => (&self.example, self.example.authorization_server),
            other => panic!("{}:{}: no server is called {other:?}", fence.document, fence.line),
        };
        let ports = Ports {
            client_app: server.client_app.port(),
            authorization_server: server.authorization_server.port(),
        };
        self.replay.check(fence, address, ports);
    }
}

/// Whether a document is about the programs of the book, which are checked in `tests/it/book.rs`.
fn is_of_the_stages(document: &str) -> bool {
    document.starts_with("docs/build/") || document == "docs/exercises.md"
}

#[test]
fn every_exchange_shown_is_what_the_running_server_answers() {
    let mut servers: HashMap<String, Servers> = HashMap::new();
    let mut exchanges = 0;
    for fence in fences().iter().filter(|fence| !is_of_the_stages(&fence.document)) {
        if fence.info == "http" || fence.info.starts_with("http ") {
            servers.entry(fence.document.clone()).or_insert_with(Servers::start).check(fence);
            exchanges += 1;
        }
    }
    assert!(exchanges >= 8, "the walkthrough shows exchanges: {exchanges}");
}

#[test]
fn every_chapter_quotes_the_source_or_shows_an_exchange() {
    let fences = fences();
    for chapter in 1..=14 {
        let is_of_chapter = |fence: &&Fence| fence.document.starts_with(&format!("docs/{chapter}-"));
        let shows = |fence: &Fence| fence.info.starts_with("rust ") || fence.info.starts_with("http");
        assert!(fences.iter().filter(is_of_chapter).any(shows), "chapter {chapter}");
    }
}

#[test]
fn every_source_file_is_named_in_a_document() {
    let documents: String = documents().into_iter().map(|(_, text)| text).collect();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name =
                path.strip_prefix(root().join("src")).expect("below src").to_string_lossy().replace('\\', "/");
            assert!(documents.contains(&name), "src/{name} is named nowhere in docs");
        }
    }
}

#[test]
fn every_source_file_has_its_chapter_in_the_map() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let (_, map) = text.split_once("\n## Which chapter explains it\n").expect("a map of chapters");
    let map = map.split("\n## ").next().unwrap_or(map);
    let entries: Vec<&str> = map.split('`').skip(1).step_by(2).collect();
    let sources: Vec<String> = rust_files()
        .into_iter()
        .filter_map(|(path, _)| path.strip_prefix(root().join("src")).ok().map(PathBuf::from))
        .map(|path| path.to_string_lossy().replace('\\', "/"))
        .collect();
    for name in &sources {
        let is_there =
            entries.iter().any(|entry| entry == name || (entry.ends_with('/') && name.starts_with(entry)));
        assert!(is_there, "src/{name} has no chapter in docs/architecture.md");
    }
    for entry in entries {
        assert!(
            sources.iter().any(|name| name.starts_with(entry)),
            "docs/architecture.md: there is no {entry}"
        );
    }
}

#[test]
fn the_readme_shows_the_flags_as_help_prints_them() {
    let output = program().arg("--help").output().expect("the program starts");
    let help = String::from_utf8(output.stdout).expect("text");
    let (_, flags) = help.split_once("\nFlags:\n").expect("the flags");
    let flags: Vec<&str> = flags.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    let fence = format!("```text\n{}\n```\n", flags.join("\n"));
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    assert!(readme.contains(&fence), "README.md should show this:\n{fence}");
}

/// What a reader types must work as it is printed, and must do nothing to the reader's other programs.
#[test]
fn a_shell_example_ends_only_what_it_started() {
    let mut installed_in = String::new();
    let mut shells = 0;
    for fence in fences().iter().filter(|fence| fence.info == "sh") {
        shells += 1;
        for (offset, line) in fence.lines.iter().enumerate() {
            let place = format!("{}:{}: {line}", fence.document, fence.line + 1 + offset);
            let by_name = ["pkill", "killall", "pidof", "pgrep"];
            assert!(!by_name.iter().any(|tool| line.contains(tool)), "{place}\nname a process by its id");
            if line.starts_with("cargo install --path .") {
                installed_in.clone_from(&fence.document);
            }
            let is_run = line.starts_with("oauth-from-scratch ");
            assert!(
                !is_run || installed_in == fence.document,
                "{place}\ninstall it first: cargo install --path ."
            );
            // The servers' JSON has no line end, and the next prompt or answer would stand in its line.
            let prints_json = line.starts_with("curl -s ");
            assert!(!prints_json || line.contains(r"-w '\n'"), "{place}\nend the answer with -w '\\n'");
        }
    }
    assert!(shells >= 5, "the documents have shell examples: {shells}");
}

#[test]
fn the_article_is_named_and_credited_once_where_a_reader_begins() {
    for (document, text) in documents() {
        let text = text.split_whitespace().collect::<Vec<&str>>().join(" ");
        let links = text.matches("[OAuth with Node.js and Express](https://thecodebarbarian.com/").count();
        let expected =
            usize::from(["README.md", "docs/README.md", "docs/1-run-it.md"].contains(&document.as_str()));
        assert_eq!((links, text.matches("Valeri Karpov").count()), (expected, expected), "{document}");
    }
}

/// What a link to a heading of `text` ends in.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|letter| letter.is_alphanumeric() || ['-', '_'].contains(letter)).collect()
    })
}

#[test]
fn every_link_leads_to_a_file_and_its_heading() {
    let mut links = 0;
    for (document, text) in documents() {
        let folder = root().join(&document).parent().expect("a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                assert!(folder.join(path).exists(), "{document}: {target} leads nowhere");
                links += 1;
            }
            let Some((_, anchor)) = target.split_once('#').filter(|_| !path.contains("://")) else { continue };
            let linked = if path.is_empty() { root().join(&document) } else { folder.join(path) };
            let linked = fs::read_to_string(linked).expect("a document");
            assert!(anchors(&linked).any(|known| known == anchor), "{document}: {target} has no such heading");
        }
    }
    assert!(links >= 10, "the documents are linked: {links}");
}

#[test]
fn every_test_that_a_table_names_exists() {
    for (document, least) in [("docs/security.md", 40), ("docs/conformance.md", 100), ("docs/lab.md", 10)] {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        let mut named = 0;
        for (file, test) in text.split('`').filter_map(|word| word.split_once(".rs::")) {
            let path = root().join(format!("{file}.rs"));
            let source =
                fs::read_to_string(path).unwrap_or_else(|error| panic!("{document}: {file}.rs: {error}"));
            assert!(source.contains(&format!("fn {test}()")), "{document} names {file}.rs::{test}");
            named += 1;
        }
        assert!(named >= least, "{document}: {named} tests are named");
    }
}

/// The documents, and what the library says of itself, without what stands in fences.
fn prose() -> Vec<(String, String)> {
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let comments = library.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim_start);
    let mut texts = documents();
    texts.push(("src/lib.rs".to_owned(), comments.collect::<Vec<&str>>().join("\n")));
    for (_, text) in &mut texts {
        // Every second piece is inside a fence.
        *text = text.split("```").step_by(2).collect();
    }
    texts
}

/// Every Rust file of the project's sources, tests and stages, with its text.
fn rust_files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = ["src", "tests", "docs/build/stages"].map(|folder| root().join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((path.clone(), fs::read_to_string(path).expect("text")));
            }
        }
    }
    files
}

/// The words of `line` that could be names of Rust.
fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
}

/// Whether `text` declares the function, type, module, constant or macro `name`.
fn declares(text: &str, name: &str) -> bool {
    let keywords = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static", "macro_rules"];
    text.lines().any(|line| {
        let words: Vec<&str> = identifiers(line.split("//").next().unwrap_or(line)).collect();
        words.windows(2).any(|pair| keywords.contains(&pair[0]) && pair[1] == name)
    })
}

/// Whether a block of `text` that begins at the margin, and is of the type or trait `owner`, declares `member`: a
/// function, a constant, or a variant on a line of its own.
fn has_member(text: &str, owner: &str, member: &str) -> bool {
    let mut is_inside = false;
    text.lines().any(|line| {
        if !line.starts_with(char::is_whitespace) && line.ends_with('{') {
            let opens = identifiers(line).any(|word| ["impl", "trait", "enum"].contains(&word));
            is_inside = opens && identifiers(line).any(|word| word == owner);
        } else if line == "}" {
            is_inside = false;
        }
        let is_variant = line.strip_prefix("    ").is_some_and(|line| {
            line.strip_prefix(member).is_some_and(|rest| rest.starts_with([',', '(', ' ']))
        });
        is_inside && (is_variant || declares(line, member))
    })
}

/// What is wrong with `word`, which a document has between backticks, if it names a file or something in the source.
/// Files are named from the root, from `src`, from `tests`, from `tests/it` or from the last stage of the book.
fn fault_of_a_name(word: &str, files: &[(PathBuf, String)]) -> Option<String> {
    let word = word.strip_suffix("()").unwrap_or(word);
    let is_name = |part: &str| !part.is_empty() && identifiers(part).next() == Some(part);
    let (path, item) = match word.split_once(".rs::") {
        Some((path, item)) => (format!("{path}.rs"), Some(item)),
        None => (word.to_owned(), None),
    };
    if path.ends_with(".rs") && !path.contains([' ', '*', '<']) {
        let places = ["", "src", "tests", "tests/it", "docs/build/stages/7"]
            .map(|folder| root().join(folder).join(&path));
        let Some((_, text)) = files.iter().find(|(file, _)| places.contains(file)) else {
            return Some(format!("there is no file {path}"));
        };
        return item.filter(|item| !declares(text, item)).map(|item| format!("{path} declares no {item}"));
    }
    if let Some((owner, member)) = word.rsplit_once("::") {
        let owner = owner.rsplit("::").next().unwrap_or(owner);
        let is_path = is_name(owner) && is_name(member);
        let is_type = owner.starts_with(char::is_uppercase);
        let found = files.iter().any(|(_, text)| has_member(text, owner, member));
        return (is_path && is_type && !found).then(|| format!("{owner} has no {member}"));
    }
    None
}

#[test]
fn every_file_and_item_that_a_document_names_exists() {
    let files = rust_files();
    let mut named = 0;
    for (document, text) in prose() {
        for word in text.split('`').skip(1).step_by(2) {
            // To those who build, src is their own project.
            let is_builders = is_of_the_stages(&document) && word.starts_with("src/");
            let word =
                if is_builders { word.replacen("src", "docs/build/stages/7", 1) } else { word.to_owned() };
            let fault = fault_of_a_name(&word, &files);
            assert!(fault.is_none(), "{document}: `{word}`: {}", fault.unwrap_or_default());
            named += usize::from(word.contains(".rs") || word.contains("::"));
        }
    }
    assert!(named >= 400, "the documents name files and items: {named}");
}

#[test]
fn a_name_that_is_not_there_is_told_from_one_that_is() {
    let files = rust_files();
    let fault = |word| fault_of_a_name(word, &files);
    for word in
        ["http/scan.rs", "tests/it/docs.rs::prose", "Worker::turn", "net::Worker::turn()", "a word", "::1"]
    {
        assert_eq!(fault(word), None, "{word}");
    }
    for (word, expected) in [
        ("http/scanner.rs", "there is no file http/scanner.rs"),
        ("tests/it/docs.rs::poetry", "tests/it/docs.rs declares no poetry"),
        ("Server::turn", "Server has no turn"),
        ("Server::turn()", "Server has no turn"),
    ] {
        assert_eq!(fault(word).as_deref(), Some(expected), "{word}");
    }
}

/// `cargo test --test it -- stores:: a_test`: the target, the modules and the tests must be there, or cargo runs
/// nothing.
#[test]
fn every_test_that_a_command_selects_exists() {
    let files = rust_files();
    let mut selected = 0;
    for (document, text) in documents() {
        for (index, line) in text.lines().enumerate() {
            let Some((_, command)) = line.split_once("cargo test ") else { continue };
            let command = command.split(['`', '#', '|', '&', ';']).next().unwrap_or(command);
            let mut words = command.split_whitespace();
            let place = format!("{document}:{}: {line}", index + 1);
            while let Some(word) = words.next() {
                let file = |path: String| root().join(path).exists();
                if word == "--test" {
                    let target = words.next().unwrap_or_default();
                    let is_there =
                        file(format!("tests/{target}/main.rs")) || file(format!("tests/{target}.rs"));
                    assert!(is_there, "{place}\nthere is no target {target}");
                } else if let Some((module, test)) = word.split_once("::") {
                    assert!(file(format!("tests/it/{module}.rs")), "{place}\nthere is no tests/it/{module}.rs");
                    let is_there = test.is_empty() || files.iter().any(|(_, text)| declares(text, test));
                    assert!(is_there, "{place}\nthere is no test {test}");
                    selected += 1;
                }
            }
        }
    }
    assert!(selected >= 4, "the documents select tests: {selected}");
}

#[test]
fn every_row_of_conformance_names_a_test_or_says_why_not() {
    let text = fs::read_to_string(root().join("docs/conformance.md")).expect("docs/conformance.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section"));
    let rows: Vec<&str> = rows.filter(|line| !line.starts_with("| ---")).collect();
    for row in &rows {
        let shown_by = row.split(" | ").nth(2).unwrap_or_else(|| panic!("three columns: {row}"));
        assert!(shown_by.contains(".rs::") || shown_by.starts_with("not applicable: "), "{row}");
    }
    let tested = rows.iter().filter(|row| row.contains(".rs::")).count();
    let words = format!("There are {} rows; {tested} name a test.", rows.len());
    assert!(text.contains(&words), "docs/conformance.md should say: {words}");
}

#[test]
fn the_reference_has_every_flag_every_key_and_every_path() {
    let reference = fs::read_to_string(root().join("docs/reference.md")).expect("docs/reference.md");
    let source = |path: &str| fs::read_to_string(root().join(path)).expect(path);
    let mut found = 0;
    let mut require = |what: &str| {
        assert!(reference.contains(what), "docs/reference.md does not have {what}");
        found += 1;
    };
    for line in oauth_from_scratch::cli::HELP.lines() {
        if let Some(flag) = line.strip_prefix("  --") {
            require(&format!("`--{}", flag.split([' ', '[']).next().unwrap_or(flag)));
        }
    }
    let file = source("src/config/file.rs");
    let code = code(&file).to_owned() + &source("src/config/store.rs");
    let taken = code.split("take(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let listed = code.split("(\"").skip(1).filter_map(|rest| rest.split_once("\", &mut ")).map(|(key, _)| key);
    const TABLES: [&str; 7] =
        ["listen", "limits", "lifetimes", "store", "clients", "client_documents", "resources"];
    for key in taken.chain(listed).filter(|key| !TABLES.contains(key)) {
        require(&format!("`{key}`").replace("`scopes`", "`[scopes]`"));
    }
    // The rows of the table, those that are beside their endpoints, and the constants that are paths in them.
    let mut sources = files("src/routes", &["/table.rs", "/resource_documents.rs"]);
    sources.extend(["src/routes/endpoint", "src/routes/lab"].iter().flat_map(|folder| files(folder, &[".rs"])));
    for (_, text) in sources {
        let is_path = |text: &&str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-".contains(&byte);
            text.starts_with('/') && text.bytes().all(is_part)
        };
        for path in code_lines(&text).flat_map(|(_, line)| quoted(line)).filter(is_path) {
            require(&format!("{path}`"));
        }
    }
    assert!(found > 120, "flags, keys and paths: {found}");
}
