//! The documents, their fences, and the exchanges shown in them.
//!
//! An exchange stands in a fence ```` ```http ````: lines that begin with `> ` are sent, those with `< ` expected.
//! `‹name›` in an answer records what is there, and in a request puts it back; `‹length›` there is the
//! content's. A content line `...` skips some.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{Answer, Client};

/// A fenced block of a document: the words after the fence, the lines in it, and where it begins.
pub struct Fence {
    pub document: String,
    pub line: usize,
    pub info: String,
    pub lines: Vec<String>,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents, by their path in the project: the README, and docs with its folders.
pub fn documents() -> Vec<(String, String)> {
    let mut paths = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("docs") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let name =
        |path: &Path| path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
    paths.iter().map(|path| (name(path), fs::read_to_string(path).expect("text"))).collect()
}

pub fn fences() -> Vec<Fence> {
    let mut fences = Vec::new();
    for (document, text) in documents() {
        let mut open: Option<Fence> = None;
        for (index, line) in text.lines().enumerate() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(info), None) => {
                    let info = info.trim().to_owned();
                    open = Some(Fence { document: document.clone(), line: index + 1, info, lines: Vec::new() });
                }
                (Some(_), Some(_)) => fences.extend(open.take()),
                (None, Some(fence)) => fence.lines.push(line.to_owned()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{document}: a fence is not closed");
    }
    fences
}

/// The ports of the servers that a document calls localhost:3000 and localhost:3001.
#[derive(Clone, Copy)]
pub struct Ports {
    pub client_app: u16,
    pub authorization_server: u16,
}

/// The exchanges of one document, which share what they record.
#[derive(Default)]
pub struct Replay {
    captures: HashMap<String, String>,
}

impl Replay {
    /// `text` with these ports, and with what has been recorded so far.
    fn fill(&self, text: &str, ports: Ports) -> String {
        let Ports { client_app, authorization_server: own } = ports;
        let mut text = text.to_owned();
        for separator in [":", "%3A"] {
            text = text
                .replace(&format!("localhost{separator}3000"), &format!("localhost{separator}{client_app}"))
                .replace(&format!("localhost{separator}3001"), &format!("localhost{separator}{own}"));
        }
        for (name, value) in &self.captures {
            text = text.replace(&format!("‹{name}›"), value);
        }
        text
    }

    /// Sends the request of `fence` to `address` and compares the answer with the one shown.
    pub fn check(&mut self, fence: &Fence, address: SocketAddr, ports: Ports) {
        let place = format!("{}:{}", fence.document, fence.line);
        let request = self.fill(&lines_after(fence, '>').join("\r\n"), ports);
        let request = if request.contains("\r\n\r\n") { request } else { format!("{request}\r\n") };
        let length = request.split_once("\r\n\r\n").map_or(0, |(_, content)| content.len());
        let request = request.replace("‹length›", &length.to_string());
        let mut client = Client::connect(address);
        let answer = client.answer_to(&request);
        let mut shown = lines_after(fence, '<').into_iter();
        let status = shown.next().unwrap_or_else(|| panic!("{place}: no answer is shown"));
        assert!(
            status.starts_with(&format!("HTTP/1.1 {} ", answer.status)),
            "{place}: {status}, but {answer:?}"
        );
        for line in shown.by_ref().take_while(|line| !line.is_empty()) {
            self.check_field(&place, &line, &answer, ports);
        }
        let shown: Vec<String> = shown.collect();
        if !shown.is_empty() {
            self.check_lines(&place, &shown, answer.text(), ports);
        }
    }

    /// Compares the lines of `shown` with `actual`; a line `...` skips some.
    pub fn check_lines(&mut self, place: &str, shown: &[String], actual: &str, ports: Ports) {
        if shown.iter().any(|line| line == "...") {
            self.check_excerpts(place, shown, actual, ports);
        } else {
            self.check_text(place, &shown.join("\n"), actual.trim_end(), ports);
        }
    }

    /// Looks for each line of `shown` in the lines of `actual`, one after the other.
    fn check_excerpts(&mut self, place: &str, shown: &[String], actual: &str, ports: Ports) {
        let mut lines = actual.lines().map(str::trim);
        for line in shown.iter().map(|line| line.trim()).filter(|line| *line != "...") {
            let begin = self.fill(line.split('‹').next().unwrap_or(line), ports);
            let found = lines.find(|actual| actual.starts_with(&begin));
            let found = found.unwrap_or_else(|| panic!("{place}: shown {line}, not answered: {actual}"));
            self.check_text(place, line, found, ports);
        }
    }

    fn check_field(&mut self, place: &str, line: &str, answer: &Answer, ports: Ports) {
        let (name, shown) = line.split_once(": ").unwrap_or_else(|| panic!("{place}: no field line: {line}"));
        let value = answer.field(&name.to_ascii_lowercase());
        let value = value.unwrap_or_else(|| panic!("{place}: the answer has no {name}: {answer:?}"));
        self.check_text(place, shown, value, ports);
    }

    /// Compares `shown` with `actual`; a `‹name›` not known yet records what is in its place, up to the
    /// text that comes after it.
    fn check_text(&mut self, place: &str, shown: &str, actual: &str, ports: Ports) {
        let shown = self.fill(shown, ports);
        let (mut left, mut right) = (shown.as_str(), actual);
        while let Some((before, rest)) = left.split_once('‹') {
            let (name, after) = rest.split_once('›').unwrap_or_else(|| panic!("{place}: a ‹ without its ›"));
            let literal = after.split('‹').next().unwrap_or(after);
            assert!(!literal.is_empty() || after.is_empty(), "{place}: what lies between two names?");
            let taken = right.strip_prefix(before).and_then(|rest| match literal {
                "" => Some((rest, "")),
                literal => rest.find(literal).map(|at| rest.split_at(at)),
            });
            let (taken, rest) = taken.unwrap_or_else(|| panic!("{place}: shown {shown}, answered {actual}"));
            self.captures.insert(name.to_owned(), taken.to_owned());
            (left, right) = (after, rest);
        }
        assert_eq!(left, right, "{place}: shown left, answered right");
    }
}

/// The lines of `fence` that begin with `mark`, without it.
fn lines_after(fence: &Fence, mark: char) -> Vec<String> {
    let lines = fence.lines.iter().filter_map(|line| line.strip_prefix(mark));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()).collect()
}

/// `text` with one change: lines that begin with `-` go, those with `+` come, and the others show the place.
pub fn changed(text: &str, change: &[String]) -> Result<String, String> {
    let without = |sign: char| -> Vec<&str> {
        let lines = change.iter().filter(|line| !line.starts_with(sign));
        lines.map(|line| line.get(1..).unwrap_or_default()).collect()
    };
    let (old, new) = (without('+'), without('-'));
    let lines: Vec<&str> = text.lines().collect();
    let places: Vec<usize> =
        (0..lines.len()).filter(|start| lines[*start..].starts_with(&old)).take(2).collect();
    let [place] = places[..] else {
        let shown = old.join("\n");
        return Err(match places.len() {
            0 => format!("these lines are not there:\n{shown}"),
            _ => format!("these lines are there more than once:\n{shown}"),
        });
    };
    let all = [&lines[..place], &new, &lines[place + old.len()..]].concat();
    Ok(all.join("\n") + "\n")
}

/// Checks that the document `page` shows each file of `folder` once and whole; the number of files.
pub fn files_shown_whole(page: &str, folder: &str) -> usize {
    let shown = fences();
    let shown: Vec<_> = shown.iter().filter(|fence| fence.document == page).collect();
    let mut files = 0;
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let path = entry.expect("an entry").path();
        let file = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let info = format!(" {folder}/{file}");
        let quotes: Vec<_> = shown.iter().filter(|fence| fence.info.ends_with(&info)).collect();
        let [quote] = &quotes[..] else { panic!("{page} shows {folder}/{file} {} times", quotes.len()) };
        let text = std::fs::read_to_string(&path).expect("text");
        assert_eq!(quote.lines.join("\n"), text.trim_end(), "{page}:{}", quote.line);
        files += 1;
    }
    files
}
