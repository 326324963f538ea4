//! Queries and forms as ordered pairs (application/x-www-form-urlencoded, as the WHATWG URL standard has it).
//!
//! Pairs and not a map: a map keeps one of two equal names and hides that there were two, and OAuth wants a
//! repeated parameter refused (RFC 6749, 3.1 and 3.2).

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The decoded name–value pairs of a form or query, in the order they came.
pub struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
}

/// A parameter that may stand once stood more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl<'a> Form<'a> {
    /// Decodes `bytes`. Every input means something: what is not valid percent-encoding stands for itself. A
    /// value may be any bytes at all; in a name, what is not UTF-8 becomes U+FFFD.
    pub fn parse(bytes: &'a [u8]) -> Form<'a> {
        let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = at.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            let name = match decode(name) {
                Cow::Borrowed(name) => String::from_utf8_lossy(name),
                Cow::Owned(name) => Cow::Owned(String::from_utf8_lossy(&name).into_owned()),
            };
            (name, decode(value))
        });
        Form { pairs: pairs.collect() }
    }

    /// The value of the parameter `name`, if it is there.
    ///
    /// # Errors
    /// [`Repeated`] when it is there more than once.
    pub fn bytes(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Repeated),
        }
    }

    /// The same as text. What is not UTF-8 is U+FFFD, which is no value of any parameter that is text.
    ///
    /// # Errors
    /// [`Repeated`] when it is there more than once.
    pub fn value(&self, name: &str) -> Result<Option<&str>, Repeated> {
        Ok(self.bytes(name)?.map(|bytes| std::str::from_utf8(bytes).unwrap_or("\u{fffd}")))
    }
}

/// Undoes the coding of one name or value: plus signs are spaces, percent signs introduce bytes.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    match text.contains(&b'+') {
        false => percent_decode(text).into(),
        true => {
            let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            Cow::Owned(percent_decode(&spaced).collect())
        }
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
    fn a_value_may_be_any_bytes() {
        let form = Form::parse(b"state=%00%ff%0A%22+%2B&\xff=\xfe&code=%ff");
        assert_eq!(form.bytes("state"), Ok(Some(&b"\x00\xff\n\" +"[..])));
        assert_eq!(form.bytes("\u{fffd}"), Ok(Some(&b"\xfe"[..])));
        assert_eq!(form.value("code"), Ok(Some("\u{fffd}")));
        assert_eq!(Form::parse(b"a=1&b=2&%61=3").bytes("a"), Err(Repeated));
    }
}
