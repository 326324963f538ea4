//! Scopes: what a grant or a token permits, as a list of names (RFC 6749, 3.3).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A list of scope names without repetition, as sent on the wire: separated by single spaces, in the order of the
/// request. May be empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Scope(Arc<str>);

/// Maximum names in a scope.
pub const NAMES_MAX: usize = 256;

/// The name by which clients ask for a refresh token (OpenID Connect Core 1.0, 11). It gives no access of its own: a
/// client gets a refresh token if it is registered for that, with or without this name.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Maximum characters of a refused value that an error repeats. A value may be as long as a request.
const EXCERPT_CHARS: usize = 64;

/// The beginning of a refused value, such as a scope's name or a URI, for an error.
pub fn excerpt(value: &str) -> &str {
    let end = value.char_indices().nth(EXCERPT_CHARS).map_or(value.len(), |(at, _)| at);
    &value[..end]
}

/// The text is not a scope: it has an invalid byte, or too many names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeSyntax;

impl Scope {
    /// Parses `text`, names separated by spaces.
    ///
    /// # Errors
    /// [`ScopeSyntax`] if a name has a byte other than visible ASCII, or `"` or `\` (RFC 6749, 3.3), or if there are
    /// more than [`NAMES_MAX`].
    pub fn parse(text: &str) -> Result<Scope, ScopeSyntax> {
        let is_name_byte = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if !text.bytes().all(|byte| byte == b' ' || is_name_byte(byte)) {
            return Err(ScopeSyntax);
        }
        let mut names: Vec<&str> = Vec::new();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            if !names.contains(&name) {
                names.push(name);
            }
            // Bounds the comparison of all names with each other.
            if names.len() > NAMES_MAX {
                return Err(ScopeSyntax);
            }
        }
        // Most requests send it in this form already. Repeated names and extra spaces would make `text` longer than the
        // names joined, so it is kept as it is if the lengths are equal.
        let length: usize = names.iter().map(|name| name.len() + 1).sum();
        let is_kept_whole = length == text.len() + 1;
        Ok(Scope(if is_kept_whole { text.into() } else { names.join(" ").into() }))
    }

    /// The scope as sent on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|name| !name.is_empty())
    }

    /// Whether `name` is one of the names.
    pub fn contains(&self, name: &str) -> bool {
        // Without splitting the text: every protected request calls this.
        let mut rest = self.0.as_bytes();
        loop {
            if let Some([] | [b' ', ..]) = rest.strip_prefix(name.as_bytes()) {
                return !name.is_empty();
            }
            let Some(end) = rest.iter().position(|byte| *byte == b' ') else { return false };
            rest = &rest[end + 1..];
        }
    }

    /// The first name that is not in `other`; `None` if this scope is no wider than `other`.
    pub fn first_beyond(&self, other: &Scope) -> Option<&str> {
        self.names().find(|name| !other.contains(name))
    }

    /// Whether every name is in `other`.
    pub fn is_within(&self, other: &Scope) -> bool {
        // Most tokens share the scope of their client, in the same memory, or have the beginning of it. Names that
        // follow each other in `other` are found like a single one.
        Arc::ptr_eq(&self.0, &other.0) || other.contains(&self.0) || self.first_beyond(other).is_none()
    }

    /// The other names, in their order.
    pub fn without(self, name: &str) -> Scope {
        if !self.contains(name) {
            return self;
        }
        let names: Vec<&str> = self.names().filter(|own| *own != name).collect();
        Scope(names.join(" ").into())
    }

    /// Whether it has no names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names that are also in `other`, in their order here.
    pub fn restricted_to(&self, other: &Scope) -> Cow<'_, Scope> {
        if self.is_within(other) {
            return Cow::Borrowed(self);
        }
        let names: Vec<&str> = self.names().filter(|name| other.contains(name)).collect();
        Cow::Owned(Scope(names.join(" ").into()))
    }
}

impl Default for Scope {
    /// The empty scope.
    fn default() -> Scope {
        Scope("".into())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_list_of_names_without_repetition() {
        let check = |text: &str, expected: Option<&str>| {
            let scope = Scope::parse(text).ok();
            assert_eq!(scope.as_ref().map(Scope::as_str), expected, "{text:?}");
        };
        check("", Some(""));
        check("a", Some("a"));
        check("b a", Some("b a"));
        check(" a  b a ", Some("a b"));
        check("https://x.example/a:b !#[]~", Some("https://x.example/a:b !#[]~"));
        let many: Vec<String> = (0..=NAMES_MAX).map(|number| number.to_string()).collect();
        check(&many.join(" "), None);
        check(&many[1..].join(" "), Some(&many[1..].join(" ")));
        check(&"a ".repeat(1000), Some("a"));
        for text in ["a\"b", "a\\b", "a\tb", "a\nb", "ä", "a\0"] {
            check(text, None);
        }
    }

    #[test]
    fn an_error_repeats_the_beginning_of_a_value() {
        let check = |value: &str, expected: &str| assert_eq!(excerpt(value), expected, "{value}");
        check("", "");
        check(&"x".repeat(EXCERPT_CHARS), &"x".repeat(EXCERPT_CHARS));
        check(&"x".repeat(10_000), &"x".repeat(EXCERPT_CHARS));
        // Cut between characters, whatever their bytes are.
        for before in ["", "x", "xx"] {
            let expected = format!("{before}{}", "€".repeat(EXCERPT_CHARS - before.len()));
            check(&format!("{before}{}", "€".repeat(10_000)), &expected);
        }
    }

    #[test]
    fn a_restricted_scope_has_the_names_that_both_have() {
        let check = |one: &str, other: &str, expected: &str| {
            let (one, other) = (Scope::parse(one).unwrap(), Scope::parse(other).unwrap());
            assert_eq!(one.restricted_to(&other).as_str(), expected, "{one:?} {other:?}");
        };
        check("", "a", "");
        check("a b", "a b", "a b");
        check("b a", "a b c", "b a");
        check("a b c", "c a", "a c");
        check("a b", "", "");
        check("answer", "ans answers", "");
    }

    #[test]
    fn a_scope_may_be_had_without_one_of_its_names() {
        let check = |text: &str, expected: &str| {
            let scope = Scope::parse(text).unwrap().without(OFFLINE_ACCESS);
            assert_eq!(scope.as_str(), expected, "{text}");
        };
        check("answer", "answer");
        check("offline_access", "");
        check("b offline_access a", "b a");
        check("offline_access2 a", "offline_access2 a");
    }

    #[test]
    fn a_scope_is_within_another_where_no_name_is_beyond_it() {
        let check = |one: &str, other: &str, beyond: Option<&str>| {
            let (one, other) = (Scope::parse(one).unwrap(), Scope::parse(other).unwrap());
            assert_eq!(one.first_beyond(&other), beyond, "{one:?} {other:?}");
            assert_eq!(one.is_within(&other), beyond.is_none());
        };
        check("", "", None);
        check("", "a", None);
        check("a", "b a", None);
        check("a b", "b a", None);
        check("a b", "b", Some("a"));
        check("answer", "ans", Some("answer"));
        check("b", "ab b", None);
        check("a b", "c a b d", None);
        check("a b", "ca b", Some("a"));
        check("a b", "a bc", Some("b"));
        check("b", "ab ba", Some("b"));
        assert!(
            !Scope::default().contains("")
                && !Scope::parse("a b").unwrap().contains("")
                && !Scope::parse("a b").unwrap().contains("a b c")
        );
        check("ans", "answer", Some("ans"));
    }
}
