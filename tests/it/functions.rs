//! The shape of the program's functions: a body fits on a screen, and a parameter is one thing with a name.
//!
//! Unit tests are not checked. The source is formatted (`cargo fmt --check` in CI), so a function ends at the first
//! closing brace below it with its indentation.

use crate::support::source::{code, files, tokens};

/// The most lines between the braces of a function.
const LINES_MAX: usize = 60;

/// Functions with longer bodies, and how many lines each has. These are tables, with a row for each setting, limit or
/// message, and no branch of their own. A row more or less changes the number here.
const TABLES: &[(&str, &str, usize)] = &[
    ("src/config/file.rs", "read_limits", 66),
    ("src/config/reload/keys.rs", "settings", 69),
    ("src/routes/reply/message_page.rs", "words", 67),
];

#[test]
fn no_function_but_a_table_is_longer_than_60_lines() {
    let (mut faults, mut found) = (Vec::new(), Vec::new());
    for (path, text) in files("src", &[".rs"]) {
        for Body { name, lines } in bodies(code(&text)).into_iter().filter(|body| body.lines > LINES_MAX) {
            let exception = TABLES.iter().find(|(file, function, _)| *file == path && *function == name);
            match exception {
                Some((_, _, expected)) if *expected == lines => {}
                Some((_, _, expected)) => {
                    faults
                        .push(format!("{path}: {name} has {lines} lines and not {expected}; correct the list"));
                }
                None => {
                    faults.push(format!("{path}: {name} has {lines} lines, and at most {LINES_MAX}; split it"))
                }
            }
            found.extend(exception);
        }
    }
    let stale = TABLES.iter().filter(|exception| !found.contains(exception));
    faults.extend(stale.map(|(path, name, _)| format!("{path}: {name} is not too long; take it off the list")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_parameter_is_a_tuple() {
    let mut faults = Vec::new();
    for (path, text) in files("src", &[".rs"]) {
        for name in with_tuples(code(&text)) {
            faults.push(format!(
                "{path}: {name} takes a tuple; give each part a name, as a parameter or in a struct"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A function, and how many lines are between its braces.
#[derive(Debug, PartialEq)]
struct Body {
    name: String,
    lines: usize,
}

/// The functions of formatted code whose bodies have lines of their own.
fn bodies(code: &str) -> Vec<Body> {
    let lines: Vec<&str> = code.lines().collect();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let body = |(index, line): (usize, &&str)| {
        let name = declared(line)?;
        let is_own = |other: &&str| indentation(other) == indentation(line);
        let below = &lines[index..];
        let end = |line: &str| line.split(" //").next().unwrap_or(line).trim_end().chars().next_back();
        let ends_with = |line: &str, marks: &[char]| end(line).is_some_and(|mark| marks.contains(&mark));
        let start = below.iter().position(|other| is_own(other) && ends_with(other, &['{', '}', ';']))?;
        // One line, or a declaration in a trait.
        if !ends_with(below[start], &['{']) {
            return None;
        }
        let lines = below[start + 1..].iter().position(|other| is_own(other) && other.trim() == "}")?;
        Some(Body { name: name.to_owned(), lines })
    };
    lines.iter().enumerate().filter_map(body).collect()
}

/// The name of the function that `line` begins to declare.
fn declared(line: &str) -> Option<&str> {
    let (before, after) =
        line.trim_start().split_once("fn ").filter(|_| !line.trim_start().starts_with("//"))?;
    let before = match before.strip_prefix("pub(") {
        Some(visibility) => visibility.split_once(')')?.1,
        None => before,
    };
    let words = ["pub", "const", "async", "unsafe", "extern", "\"C\""];
    let is_declaration = before.split_whitespace().all(|word| words.contains(&word));
    let name = after.split(['(', '<']).next().filter(|_| is_declaration)?;
    Some(name)
}

/// The names of the functions in `code` that have a parameter whose type is a tuple or a reference to one.
fn with_tuples(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let takes_one = |start: usize| {
        let [word, name, rest @ ..] = &tokens[start..] else { return None };
        let generics = if rest.first()? == "<" { closing(rest)? + 1 } else { 0 };
        let parameters = rest
            .get(generics..)
            .filter(|rest| word == "fn" && rest.first().is_some_and(|token| token == "("))?;
        let parameters = split(&parameters[1..closing(parameters)?], ",");
        parameters
            .into_iter()
            .any(|parameter| split(parameter, ":").get(1).is_some_and(|of| is_tuple(of)))
            .then(|| name.clone())
    };
    (0..tokens.len()).filter_map(takes_one).collect()
}

/// Whether this type is a tuple or a reference to one.
fn is_tuple(mut of: &[String]) -> bool {
    loop {
        of = match of {
            [mark, _, rest @ ..] if mark == "'" => rest,
            [mark, rest @ ..] if ["&", "mut"].contains(&&**mark) => rest,
            _ => break,
        };
    }
    let end = closing(of).filter(|_| of[0] == "(");
    end.is_some_and(|end| split(&of[1..end], ",").len() > 1)
}

/// How many brackets are open after each of `tokens`.
fn depths(tokens: &[String]) -> impl Iterator<Item = i32> {
    let mut depth = 0;
    let mut last = "";
    tokens.iter().map(move |token| {
        match &**token {
            "(" | "[" | "{" | "<" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            // Not of an arrow.
            ">" if last != "-" => depth -= 1,
            _ => {}
        }
        last = token;
        depth
    })
}

/// Where the bracket closes that `tokens` begin with.
fn closing(tokens: &[String]) -> Option<usize> {
    depths(tokens).position(|depth| depth == 0).filter(|end| *end > 0)
}

/// The parts of `tokens` between the marks that are in no bracket.
fn split<'a>(tokens: &'a [String], mark: &str) -> Vec<&'a [String]> {
    let marks = depths(tokens).enumerate().filter(|(at, depth)| *depth == 0 && tokens[*at] == mark);
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in marks {
        parts.push(&tokens[start..at]);
        start = at + 1;
    }
    parts.push(&tokens[start..]);
    parts
}

#[test]
fn the_reader_of_functions_sees_every_form_of_them() {
    let code = "\
pub(super) const fn short<T: Fn(u8) -> u8>(
    a: T,
) -> (u8, u8)
where
    T: Copy,
{
    // fn f(a: (u8, u8)) {

    if a { b }
}

impl A {
    fn one_line(&self, a: &'static mut (u8, A<u8>)) {}
    fn declared(self, (a, b): (u8, u8));
    pub(in crate::a) fn commented() { // }
        a
    }
    fn none(a: &(dyn A + Send), b: (), c: fn((u8, u8)), d: [(u8, u8); 2], A { a: (b, c) }: A) -> u8 {
        a.map(|(a, b): (u8, u8)| a)
    }
}
";
    let body = |name: &str, lines| Body { name: name.to_owned(), lines };
    assert_eq!(bodies(code), [body("short", 3), body("commented", 1), body("none", 1)]);
    assert_eq!(with_tuples(code), ["one_line", "declared"]);
}
