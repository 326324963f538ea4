//! Queries and forms as ordered pairs (application/x-www-form-urlencoded, as the WHATWG URL standard has it).
//!
//! Pairs and not a map: a map keeps one of two equal names and hides that there were two, and OAuth wants a
//! repeated parameter refused (RFC 6749, 3.1 and 3.2).

use std::borrow::Cow;

/// The decoded name–value pairs of a form or query, in the order they came.
pub struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// A parameter that may stand once stood more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl<'a> Form<'a> {
    /// Decodes `bytes`. Every input means something: what is not valid percent-encoding stands for itself,
    /// and what is not UTF-8 becomes U+FFFD.
    pub fn parse(bytes: &'a [u8]) -> Form<'a> {
        Form { pairs: form_urlencoded::parse(bytes).collect() }
    }

    /// The value of the parameter `name`, if it is there.
    ///
    /// # Errors
    /// [`Repeated`] when it is there more than once.
    pub fn value(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Repeated),
        }
    }

    /// Whether any parameter is there more than once.
    pub fn has_repeated(&self) -> bool {
        // Sorted, so that a body full of names costs n log n and not n².
        let mut names: Vec<&str> = self.pairs.iter().map(|(key, _)| key.as_ref()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
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
        check("code=a+b%2Bc", Ok(Some("a b+c")));
        check("c%6Fde=x", Ok(Some("x")));
        check("code=100%", Ok(Some("100%")));
        check("code=x=y", Ok(Some("x=y")));
        check("code=x&code=x", Err(Repeated));
        check("CODE=x", Ok(None));
    }

    #[test]
    fn any_repeated_name_is_seen() {
        assert!(!Form::parse(b"a=1&b=2&c=3").has_repeated());
        assert!(Form::parse(b"a=1&b=2&%61=3").has_repeated());
    }
}
