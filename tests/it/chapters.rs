//! Part II of the book (docs/1-… to docs/14-…) has its form, and what it tells a reader to do goes as it says.
//!
//! - **Run it**: a fence ```` ```sh ```` starts the server, ```` ```console ```` is typed in a second terminal. A line
//!   that begins with `$ ` is a command, a line that begins with `> ` continues it, and the lines below are what is
//!   printed; `‹name›` stands for anything, and `...` skips lines. The shell is the same for the whole section. Each
//!   `sh` fence kills what the one before has started; where there is none, `cargo run` is meant.
//! - **Break it**: a fence ```` ```diff PATH ```` changes the source, and the test that is named below it must fail
//!   then. That its lines are in the source is tested always; that the test fails, when asked for, since each takes a
//!   build: `cargo test --test it -- --ignored chapters::`, for one chapter with `CHAPTER=7` in the environment.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::own_clients::is_installed;
use crate::support::documents::{Fence, Ports, Replay, changed, documents, fences, root};
use crate::support::program::PROGRAM;

const CHAPTERS: usize = 14;

/// The chapters of Part II: number, document, text.
fn chapters() -> Vec<(usize, String, String)> {
    let number = |document: &str| document.strip_prefix("docs/")?.split_once('-')?.0.parse().ok();
    let mut chapters: Vec<_> = documents()
        .into_iter()
        .filter_map(|(document, text)| Some((number(&document)?, document, text)))
        .collect();
    chapters.sort();
    assert_eq!(chapters.len(), CHAPTERS);
    chapters
}

/// The lines of the section `title` of `text`, by their numbers in it: first, and one past the last.
fn section(text: &str, title: &str) -> Option<(usize, usize)> {
    let first = text.lines().position(|line| line == title)? + 1;
    let rest = text.lines().skip(first).position(|line| line.starts_with("## "));
    Some((first, rest.map_or(text.lines().count(), |rest| first + rest)))
}

/// The fences of `document` in its section `title`.
fn fences_in(document: &str, text: &str, title: &str) -> Vec<Fence> {
    let (first, end) = section(text, title).unwrap_or_else(|| panic!("{document} has no {title:?}"));
    let is_inside = |fence: &Fence| fence.document == document && (first..end).contains(&fence.line);
    fences().into_iter().filter(is_inside).collect()
}

#[test]
fn each_chapter_says_shows_runs_and_breaks() {
    for (_, document, text) in chapters() {
        for part in
            ["\n```mermaid\n", "\n*In words: ", "\n## Run it\n", "\n## Break it\n", "\nRead on: ", "\nNext: ["]
        {
            assert!(text.contains(part), "{document} has no {part:?}");
        }
        let head = text.split("\n## ").next().unwrap_or_default();
        assert!(head.contains("minutes.** Afterwards you "), "{document} says what a reader knows afterwards");
    }
}

/// A drawing is of no use to those who cannot see it, or who read the text as it is.
#[test]
fn every_drawing_is_put_into_words() {
    for (document, text) in documents() {
        let (drawings, words) = (text.matches("\n```mermaid\n").count(), text.matches("\n*In words: ").count());
        assert_eq!(drawings, words, "{document}: drawings, and paragraphs that begin with *In words:");
    }
}

/// From chapter 8 on each chapter answers an attack, or a failure.
#[test]
fn a_chapter_that_adds_a_defence_begins_with_its_attack() {
    for (number, document, text) in chapters() {
        let head = text.split("\n## ").next().unwrap_or_default();
        let begins = head.contains("\n**The attack:** ") || head.contains("\n**The failure:** ");
        assert!(begins || number < 8, "{document} begins with an attack or a failure");
    }
}

/// A chapter names exercises by their titles, in `*…*` between its link to the lab and the end of the paragraph.
#[test]
fn an_exercise_of_the_lab_that_a_chapter_names_is_there() {
    let lab = fs::read_to_string(root().join("docs/lab.md")).expect("docs/lab.md").to_lowercase();
    let mut named = 0;
    for (_, document, text) in chapters() {
        let Some((_, rest)) = text.split_once("attack lab](lab.md)") else { continue };
        let rest = rest.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        for title in rest.split('*').skip(1).step_by(2) {
            assert!(lab.contains(&format!(". {} (", title.to_lowercase())), "{document}: {title}");
            named += 1;
        }
    }
    assert!(named >= 7, "exercises are named: {named}");
}

/// Those who have not read the article must learn what it is, wherever they begin.
#[test]
fn the_article_is_linked_where_a_document_first_mentions_it() {
    let introduced = ["README.md", "docs/README.md", "docs/1-run-it.md"];
    for (document, text) in documents().into_iter().filter(|(name, _)| !introduced.contains(&name.as_str())) {
        let text = text.split_once('\n').unwrap_or_default().1.split("\nRead on: ").next().unwrap_or_default();
        let prose: String = text.split("```").step_by(2).collect();
        let words = prose.split_whitespace().collect::<Vec<&str>>().join(" ");
        let Some(at) = words.find("he article") else { continue };
        let (before, after) = (&words[..at - 1], &words[at..]);
        let target = after.strip_prefix("he article](").and_then(|rest| rest.split(')').next());
        let is_right = target.is_some_and(|target| target.ends_with("README.md#the-article"));
        assert!(
            before.ends_with('[') && is_right,
            "{document}: link it here: {}",
            &after[..after.len().min(60)]
        );
    }
}

/// Programs of a session that run in the background, until it is dropped.
struct Background(Vec<Child>);

impl Background {
    fn kill(&mut self) {
        for mut process in self.0.drain(..) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder with `docs/example.toml` and ports of its own, in which a chapter's commands run.
struct Session {
    folder: PathBuf,
    /// Those that stand for 3000, 3001, 3002 and 6379.
    ports: [u16; 4],
    background: Background,
}

/// The ports that the documents name, and the others that are free at the moment. Not those that the system gives to
/// clients, of which other tests have many.
fn free_ports() -> [u16; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(64);
    std::array::from_fn(|_| {
        loop {
            let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = 20_000 + u16::try_from(number % 10_000).unwrap_or_default();
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}

impl Session {
    fn new(number: usize) -> Session {
        let folder = std::env::temp_dir().join(format!("chapter-{number}-{}", std::process::id()));
        let session = Session { folder, ports: free_ports(), background: Background(Vec::new()) };
        fs::create_dir_all(session.folder.join("docs")).expect("a folder can be made");
        let example = fs::read_to_string(root().join("docs/example.toml")).expect("docs/example.toml");
        let example = session.fill(&example);
        fs::write(session.folder.join("docs/example.toml"), example).expect("a file can be written");
        session
    }

    /// `text` with the ports of this session.
    fn fill(&self, text: &str) -> String {
        let [client_app, first, second, engine] = self.ports.map(|port| port.to_string());
        let named = [("3000", client_app), ("3001", first), ("3002", second), ("6379", engine)];
        named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// A shell in this folder, for which `cargo run --` is the program that these tests are of. With `replaced` it
    /// becomes that program.
    fn shell(&self, script: &str, replaced: bool) -> Command {
        let ports = self.fill("--client-port 3000 --auth-port 3001");
        let (open, close) = if replaced { ("{", "; }") } else { ("(", ")") };
        let cargo = format!(
            "cargo() {open} shift; [ \"$1\" = -- ] && shift; case \"$*\" in\n\
             *-port*|*--config*|*secret*) exec '{PROGRAM}' \"$@\" ;;\n\
             *) exec '{PROGRAM}' \"$@\" {ports} ;; esac {close}\n"
        );
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!("exec 2>&1\n{cargo}{script}")).current_dir(&self.folder);
        command.env("NO_PROXY", "*");
        command
    }

    /// Starts the program of `line`, and waits until it says that it is ready.
    fn start(&mut self, place: &str, line: &str) {
        let mut command = self.shell(&self.fill(line.trim_end_matches(" &")), true);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("bash runs");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        self.background.0.push(process);
        let is_ready = |line: &String| {
            let is_address = line.starts_with("authorization server ") && line.contains(" http");
            is_address || line.contains("Ready to accept connections")
        };
        let mut before = Vec::new();
        let ready = output.by_ref().map_while(Result::ok).find(|line| {
            before.push(line.clone());
            is_ready(line)
        });
        assert!(ready.is_some(), "{place}: {line}: {before:?}");
        // What it still says must go somewhere.
        std::thread::spawn(move || output.map_while(Result::ok).for_each(drop));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.background.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A command with what it prints.
struct Typed {
    command: String,
    printed: Vec<String>,
}

fn typed(fence: &Fence) -> Vec<Typed> {
    let mut typed: Vec<Typed> = Vec::new();
    for line in &fence.lines {
        if let Some(command) = line.strip_prefix("$ ") {
            typed.push(Typed { command: command.to_owned(), printed: Vec::new() });
            continue;
        }
        let place = format!("{}:{}", fence.document, fence.line);
        let last = typed.last_mut().unwrap_or_else(|| panic!("{place}: begin with a command"));
        match line.strip_prefix("> ") {
            Some(more) if last.printed.is_empty() => last.command += &format!("\n{more}"),
            _ => last.printed.push(line.clone()),
        }
    }
    typed
}

/// Stands between what two commands print.
const MARK: char = '\u{1e}';

/// Does what the section "Run it" of this chapter says, and compares what is printed.
fn check_session(number: usize, needs: &[&str]) {
    let test = format!("chapters::chapter_{number}_runs_as_shown");
    if !["bash", "curl"].iter().chain(needs).all(|program| is_installed(&test, program)) {
        return;
    }
    let (_, document, text) = chapters().swap_remove(number - 1);
    let steps = fences_in(&document, &text, "## Run it");
    let (mut session, mut replay) = (Session::new(number), Replay::default());
    let ports = Ports { client_app: session.ports[0], authorization_server: session.ports[1] };
    // One shell for all of it, since a variable is set in one fence and used in another.
    let mut shell =
        session.shell("while IFS= read -r -d $'\\x1e' line; do eval \"$line\"; printf '\\x1e'; done", false);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash runs");
    let mut input = shell.stdin.take().expect("a pipe");
    let mut output = BufReader::new(shell.stdout.take().expect("a pipe"));
    let mut commands = 0;
    if !steps.iter().any(|fence| fence.info == "sh") {
        session.start(&document, "cargo run");
    }
    for fence in &steps {
        match fence.info.as_str() {
            "sh" => {
                session.background.kill();
                let place = format!("{document}:{}", fence.line);
                let servers = fence.lines.iter().filter(|line| !line.starts_with("cargo test "));
                servers.for_each(|line| session.start(&place, line));
            }
            "console" => {
                for Typed { command, printed } in typed(fence) {
                    let place = format!("{document}:{}: {command}", fence.line);
                    let (command, mut answer) = (session.fill(&command), Vec::new());
                    write!(input, "{command}{MARK}").expect("the shell reads");
                    output.read_until(MARK as u8, &mut answer).expect("the shell answers");
                    let answer = String::from_utf8_lossy(&answer).replace("\r\n", "\n");
                    let answer = answer.trim_end_matches([MARK, '\n']);
                    replay.check_lines(&place, &printed, answer, ports);
                    commands += 1;
                }
            }
            _ => {}
        }
    }
    drop(input);
    let _ = shell.wait();
    assert!(commands > 0, "{document}: there is something to run");
}

macro_rules! sessions {
    ($($name:ident: $number:literal $needs:expr;)+) => {
        $(#[test]
        fn $name() {
            check_session($number, &$needs);
        })+
    };
}

sessions! {
    chapter_1_runs_as_shown: 1 [];
    chapter_2_runs_as_shown: 2 [];
    chapter_3_runs_as_shown: 3 [];
    chapter_4_runs_as_shown: 4 [];
    chapter_5_runs_as_shown: 5 [];
    chapter_6_runs_as_shown: 6 [];
    chapter_8_runs_as_shown: 8 [];
    chapter_9_runs_as_shown: 9 [];
    chapter_10_runs_as_shown: 10 ["openssl"];
    chapter_11_runs_as_shown: 11 [];
    chapter_12_runs_as_shown: 12 [];
}

#[cfg(feature = "file-store")]
sessions! {
    chapter_13_runs_as_shown: 13 [];
}

#[cfg(feature = "redis-store")]
sessions! {
    chapter_14_runs_as_shown: 14 ["redis-server"];
}

/// A change that a chapter proposes, and the test that must fail then, as `module` and `name`.
struct Break {
    place: String,
    path: String,
    change: Vec<String>,
    test: (String, String),
}

fn breaks() -> Vec<Break> {
    let mut breaks = Vec::new();
    for (_, document, text) in chapters() {
        let fences = fences_in(&document, &text, "## Break it");
        let lines: Vec<&str> = text.lines().collect();
        let before = breaks.len();
        for fence in &fences {
            let Some(path) = fence.info.strip_prefix("diff ") else { continue };
            let place = format!("{document}:{}", fence.line);
            let below = lines[fence.line + fence.lines.len() + 1..].join("\n");
            let named = below
                .split('`')
                .find_map(|word| word.strip_prefix("tests/it/").and_then(|test| test.split_once(".rs::")));
            let (module, name) = named.unwrap_or_else(|| panic!("{place}: name the test that fails"));
            let test = (module.to_owned(), name.to_owned());
            breaks.push(Break { place, path: path.to_owned(), change: fence.lines.clone(), test });
        }
        assert!(breaks.len() > before, "{document} says what to change");
    }
    breaks
}

/// The text of the file with the change.
fn broken(of: &Break) -> String {
    let text =
        fs::read_to_string(root().join(&of.path)).unwrap_or_else(|error| panic!("{}: {error}", of.place));
    let mut changed_text = text.clone();
    for change in of.change.split(|line| line == "@@") {
        changed_text =
            changed(&changed_text, change).unwrap_or_else(|fault| panic!("{}: {}: {fault}", of.place, of.path));
    }
    assert_ne!(text, changed_text, "{}: a change", of.place);
    changed_text
}

#[test]
fn what_a_chapter_proposes_to_break_is_in_the_source() {
    for of in breaks() {
        broken(&of);
        let (module, name) = &of.test;
        let path = root().join(format!("tests/it/{module}.rs"));
        let source =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {module}: {error}", of.place));
        assert!(source.contains(&format!("fn {name}()")), "{}: there is no {module}::{name}", of.place);
    }
}

/// A copy of the project, without what was built.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        if path.is_dir() && name != "target" && name != ".git" {
            copy(&path, &to.join(name));
        } else if path.is_file() {
            fs::copy(&path, to.join(name)).expect("a file can be copied");
        }
    }
}

#[test]
#[ignore = "builds the project once for each chapter"]
fn each_break_is_noticed_by_the_test_that_the_chapter_names() {
    let own = std::env::current_exe().expect("a path");
    let target = own.ancestors().nth(3).expect("target/debug/deps").join("breaks");
    let project = target.join("project");
    let only = std::env::var("CHAPTER").ok();
    let mut unnoticed = Vec::new();
    for of in breaks() {
        if only.as_ref().is_some_and(|only| !of.place.starts_with(&format!("docs/{only}-"))) {
            continue;
        }
        copy(root(), &project);
        fs::write(project.join(&of.path), broken(&of)).expect("a file can be written");
        let test = format!("{}::{}", of.test.0, of.test.1);
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(&project).env("CARGO_TARGET_DIR", &target);
        command.args(["test", "--offline", "--test", "it", "--", "--exact", &test]);
        let output = command.output().expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let is_noticed = said.contains(&format!("test {test} ... FAILED"));
        let _ = writeln!(std::io::stderr(), "{}: {test}: noticed: {is_noticed}", of.place);
        if !is_noticed {
            unnoticed.push(format!(
                "{}: {test}:\n{said}\n{}",
                of.place,
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}
