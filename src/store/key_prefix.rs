//! The prefix of all keys on a shared engine. Servers of one issuer share it; servers of different issuers do not, so
//! that they cannot read each other's records.

use std::fmt;

use crate::oauth::issuer::canonical;

/// The prefix of every key on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

/// The text is not a valid prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPrefixError;

impl fmt::Display for KeyPrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "give 1 to {BYTES_MAX} letters, digits and . _ - / (and : except at the ends), such as \"oauth:staging\""
        )
    }
}

impl std::error::Error for KeyPrefixError {}

/// The longest prefix. The key of every grant contains it.
const BYTES_MAX: usize = 128;

impl KeyPrefix {
    /// Reads a configured prefix. Braces are refused because they would put all keys of a cluster into one slot, and
    /// other characters because they have a meaning in an engine's access rules.
    ///
    /// # Errors
    /// If the text is empty, too long, or has a character that is not allowed.
    pub fn parse(text: &str) -> Result<KeyPrefix, KeyPrefixError> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
        let is_prefix = (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(is_part);
        let is_bare = !text.starts_with(':') && !text.ends_with(':');
        (is_prefix && is_bare).then(|| KeyPrefix(text.to_owned())).ok_or(KeyPrefixError)
    }

    /// Derives the prefix from an issuer. Equivalent URLs give the same prefix. An issuer never contains braces.
    pub fn of_issuer(issuer: &str) -> KeyPrefix {
        KeyPrefix(format!("oauth:{}", canonical(issuer)))
    }

    /// The prefix, without the colon that follows it in a key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_one_prefix_however_it_is_written() {
        let check = |issuer: &str, prefix: &str| assert_eq!(KeyPrefix::of_issuer(issuer).as_str(), prefix);
        check("https://auth.example", "oauth:https://auth.example");
        check("https://Auth.Example:443/", "oauth:https://auth.example");
        check("https://auth.example:0443", "oauth:https://auth.example");
        check("https://auth.example:8443/T/u/", "oauth:https://auth.example:8443/T/u");
        check("http://localhost:80", "oauth:http://localhost");
        check("http://localhost:443", "oauth:http://localhost:443");
        check("http://localhost:3001", "oauth:http://localhost:3001");
        check("http://[::1]:3001", "oauth:http://[::1]:3001");
        check("http://[::1]", "oauth:http://[::1]");
    }

    #[test]
    fn a_key_prefix_has_no_character_special_to_an_engine() {
        for text in ["oauth", "oauth:staging", "a", "A.b_c-d/e:f", &"a".repeat(128)] {
            assert_eq!(KeyPrefix::parse(text).unwrap().as_str(), text);
        }
        for text in ["", ":", "a:", ":a", "{a}", "a b", "a*", "a?", "[a]", "a\\", "é", "a\n", &"a".repeat(129)]
        {
            assert_eq!(KeyPrefix::parse(text), Err(KeyPrefixError), "{text}");
        }
    }
}
