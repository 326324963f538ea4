//! Queries and forms: application/x-www-form-urlencoded, as in the WHATWG URL standard.
//!
//! The result is a list of pairs and not a map: a map keeps one of two equal names and hides the other, and OAuth
//! requires that a repeated parameter is refused (RFC 6749, 3.1 and 3.2).

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use percent_encoding::percent_decode;

/// The decoded name–value pairs of a form or query, in the order in which they were sent.
pub struct Form<'a> {
    pairs: Vec<Pair<'a>>,
}

/// A name and a value.
type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Room for an authorization request, so that the list need not grow.
const PAIRS_USUAL: usize = 8;

/// A parameter occurs more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl<'a> Form<'a> {
    /// Decodes `bytes`. Every input is accepted: an invalid percent-encoding is taken literally, as the standard says.
    /// Names and values may be any bytes.
    pub fn parse(bytes: &'a [u8]) -> Form<'a> {
        let mut pairs = Vec::with_capacity(if bytes.is_empty() { 0 } else { PAIRS_USUAL });
        let mut rest = bytes;
        while !rest.is_empty() {
            let (pair, after) = cut(rest, b'&');
            rest = after;
            if pair.is_empty() {
                continue;
            }
            let (name, value) = cut(pair, b'=');
            pairs.push(if has_escape(pair) {
                (decode(name), decode(value))
            } else {
                (Cow::Borrowed(name), Cow::Borrowed(value))
            });
        }
        Form { pairs }
    }

    /// The value of the parameter `name`; `None` when there is no such parameter.
    ///
    /// # Errors
    /// [`Repeated`] when it occurs more than once.
    pub fn bytes(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        Ok(self.find(name)?.map(Cow::as_ref))
    }

    fn find(&self, name: &str) -> Result<Option<&Cow<'a, [u8]>>, Repeated> {
        let mut values = self.pairs.iter().filter(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Repeated),
        }
    }

    /// The same as text. A value that is not UTF-8 becomes U+FFFD, which no parameter accepts.
    ///
    /// # Errors
    /// [`Repeated`] when it occurs more than once.
    pub fn value(&self, name: &str) -> Result<Option<&str>, Repeated> {
        Ok(self.bytes(name)?.map(as_text))
    }

    /// The same, borrowed from the bytes that were parsed unless name or value have a plus sign or a percent sign.
    ///
    /// # Errors
    /// [`Repeated`] when it occurs more than once.
    pub fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Repeated> {
        Ok(self.find(name)?.map(to_text))
    }

    /// Every value of a parameter that may be repeated, in the order in which they were sent, without empty ones. As
    /// text, like [`Form::value`].
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.find_all(name).map(|value| as_text(value))
    }

    /// The same, borrowed as [`Form::text`] borrows.
    pub fn texts(&self, name: &'static str) -> impl Iterator<Item = Cow<'a, str>> {
        self.find_all(name).map(to_text)
    }

    fn find_all(&self, name: &'static str) -> impl Iterator<Item = &Cow<'a, [u8]>> {
        let is_its_value = move |(key, value): &&Pair| **key == *name.as_bytes() && !value.is_empty();
        self.pairs.iter().filter(is_its_value).map(|(_, value)| value)
    }
}

fn as_text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or("\u{fffd}")
}

fn to_text<'a>(value: &Cow<'a, [u8]>) -> Cow<'a, str> {
    match value {
        Cow::Borrowed(bytes) => Cow::Borrowed(as_text(bytes)),
        Cow::Owned(bytes) => Cow::Owned(as_text(bytes).to_owned()),
    }
}

/// What is before the first `separator` and what is after it; all of `bytes` and nothing where there is none.
fn cut(bytes: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match memchr(separator, bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// Whether there is anything to decode. This search looks at many bytes at a time, `percent_decode` at one.
fn has_escape(text: &[u8]) -> bool {
    memchr2(b'+', b'%', text).is_some()
}

/// Decodes one name or value: `+` is a space, `%` introduces a byte as two hexadecimal digits. Nothing is copied where
/// there is neither.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !has_escape(text) {
        return Cow::Borrowed(text);
    }
    // Plus signs first: an encoded one (%2B) must stay a plus sign.
    let spaced: Cow<[u8]> = if text.contains(&b'+') {
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect()
    } else {
        Cow::Borrowed(text)
    };
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend(percent_decode(&spaced));
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_each_parameter_once_or_says_that_it_is_repeated() {
        let check = |bytes: &str, expected: Result<Option<&str>, Repeated>| {
            assert_eq!(Form::parse(bytes.as_bytes()).value("code"), expected, "{bytes:?}");
        };
        check("", Ok(None));
        check("code", Ok(Some("")));
        check("code=", Ok(Some("")));
        check("a=b&code=x", Ok(Some("x")));
        check("&&code=x&&", Ok(Some("x")));
        check("=&code", Ok(Some("")));
        check("code=a+b%2Bc", Ok(Some("a b+c")));
        check("c%6Fde=x", Ok(Some("x")));
        check("code=100%", Ok(Some("100%")));
        check("code=x=y", Ok(Some("x=y")));
        check("code=x&code=x", Err(Repeated));
        check("CODE=x", Ok(None));
    }

    #[test]
    fn a_parameter_that_may_be_repeated_has_all_its_values() {
        let check = |bytes: &[u8], expected: &[&str]| {
            let form = Form::parse(bytes);
            assert_eq!(form.values("resource").collect::<Vec<_>>(), expected);
        };
        check(b"", &[]);
        check(b"resource=&resource", &[]);
        check(b"resource=a%2F&x=y&resource=b&resource=a%2F", &["a/", "b", "a/"]);
        check(b"resource=\xff", &["\u{fffd}"]);
    }

    #[test]
    fn only_a_value_with_an_escape_is_copied() {
        let form = Form::parse(b"plain=a-b&escaped=a%2Fb+c&invalid=100%&list=x&list=%78&list=");
        let is_borrowed = |text: &Cow<str>| matches!(text, Cow::Borrowed(_));
        let cases = [("plain", "a-b", true), ("escaped", "a/b c", false), ("invalid", "100%", false)];
        for (name, expected, borrows) in cases {
            let text = form.text(name).unwrap().unwrap();
            assert_eq!((&*text, is_borrowed(&text)), (expected, borrows));
            assert_eq!(form.value(name), Ok(Some(expected)));
        }
        assert_eq!((form.text("list"), form.text("none")), (Err(Repeated), Ok(None)));
        assert_eq!(form.texts("list").collect::<Vec<_>>(), ["x", "x"]);
        assert_eq!(Form::parse(b"code=\xff").text("code").unwrap().as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn a_value_may_be_any_bytes() {
        let form = Form::parse(b"state=%00%ff%0A%22+%2B&\xff=\xfe&code=%ff");
        assert_eq!(form.bytes("state"), Ok(Some(&b"\x00\xff\n\" +"[..])));
        assert_eq!(form.bytes("\u{fffd}"), Ok(None), "a name that is not text matches no parameter");
        assert_eq!(form.value("code"), Ok(Some("\u{fffd}")));
        assert_eq!(Form::parse(b"a=1&b=2&%61=3").bytes("a"), Err(Repeated));
    }
}
