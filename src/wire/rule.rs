//! A rule: why a request was granted or refused, and where that is written, decided and tested.
//!
//! The rules are static values in `rules`. The line of source that decides is not written down as a number, which
//! would be wrong after the next change above it: a rule quotes the line, and the compiler looks it up
//! ([`line_of`]). So a rule costs nothing while the server runs, and works for a decision that a store makes in
//! another thread or after a lost race, where no call leads back to the line.

/// Why a request was granted or refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// A name in two or three words.
    pub name: &'static str,
    /// What the rule says, as a sentence.
    pub says: &'static str,
    /// The document and section that asks for it.
    pub section: &'static str,
    /// The file that decides, by its path in the project.
    pub file: &'static str,
    /// What the deciding line has in it.
    pub code: &'static str,
    /// The number of that line; 0 where the file has no such line, which a test refuses.
    pub line: u32,
    /// The test that holds the rule: its file, `::`, its name.
    pub test: &'static str,
    /// Whether the request was refused.
    pub refuses: bool,
    /// The exact reason in the log, if the rule is found by it; `*` stands for any text.
    pub reason: &'static str,
}

impl Rule {
    /// Whether the rule is the one for a refusal with this reason.
    pub fn is_for(&self, reason: &str) -> bool {
        !self.reason.is_empty() && matches(self.reason, reason)
    }
}

/// Whether `text` has the form of `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// The number of the first line of `text` that contains `quote`, counted from 1; 0 if there is none.
pub const fn line_of(text: &str, quote: &str) -> u32 {
    let (text, quote) = (text.as_bytes(), quote.as_bytes());
    let (mut at, mut line) = (0, 1);
    while at + quote.len() <= text.len() {
        let mut same = 0;
        while same < quote.len() && text[at + same] == quote[same] {
            same += 1;
        }
        if same == quote.len() {
            return line;
        }
        if text[at] == b'\n' {
            line += 1;
        }
        at += 1;
    }
    0
}

/// A rule, whose deciding line in the file (below `src`) has the quoted text in it.
macro_rules! rule {
    ($refuses:literal, $reason:literal, $name:literal, $says:literal, $section:literal, $file:literal, $code:literal,
     $test:literal) => {
        $crate::wire::rule::Rule {
            name: $name,
            says: $says,
            section: $section,
            file: concat!("src/", $file),
            code: $code,
            line: const { $crate::wire::rule::line_of(include_str!(concat!("../../", $file)), $code) },
            test: $test,
            refuses: $refuses,
            reason: $reason,
        }
    };
}

/// A rule by which a request is granted.
macro_rules! grants {
    ($($part:literal),+ $(,)?) => { $crate::wire::rule::rule!(false, "", $($part),+) };
}

/// A rule by which a request is refused, where its outcome names it.
macro_rules! refuses {
    ($($part:literal),+ $(,)?) => { $crate::wire::rule::rule!(true, "", $($part),+) };
}

/// A rule by which a request is refused, where the reason in the log names it.
macro_rules! reason {
    ($($part:literal),+ $(,)?) => { $crate::wire::rule::rule!(true, $($part),+) };
}

pub(super) use {grants, reason, refuses, rule};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_matched_around_its_stars() {
        let check = |pattern: &str, text: &str, expected| {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        };
        check("the code", "the code", true);
        check("the code", "the codes", false);
        check("the * is missing", "the code is missing", true);
        check("the * is missing", "the code is missing now", false);
        check("*more than once", "client_id appears more than once", true);
        check("redirect_uri differs*: * is not *", "redirect_uri differs at byte 1: a is not b", true);
        check("redirect_uri differs*: * is not *", "redirect_uri differs at byte 1", false);
        check("*", "", true);
    }

    #[test]
    fn a_quote_is_found_on_its_line() {
        const TEXT: &str = "first\nsecond one\nthird";
        assert_eq!((line_of(TEXT, "first"), line_of(TEXT, "one"), line_of(TEXT, "third")), (1, 2, 3));
        assert_eq!((line_of(TEXT, "fourth"), line_of("", "x"), line_of(TEXT, "second two")), (0, 0, 0));
    }
}
