//! Proof Key for Code Exchange, S256 only (RFC 7636; OAuth 2.1, 4.1.1).
//!
//! The client generates a secret, the verifier, and sends its digest, the challenge, with the authorization request.
//! Redeeming the code requires the verifier. So an intercepted code is useless: the address bar, through which codes
//! travel, never contains the verifier.

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use subtle::ConstantTimeEq;

use crate::crypto::hash::sha256;

/// The challenge of an authorization request. The request and its grant share one text.
#[derive(Clone)]
pub struct Challenge(Arc<str>);

/// The S256 transformation of a verifier, to compare with a challenge.
#[derive(Clone)]
pub struct Verified([u8; CHALLENGE_CHARS]);

/// The base64url of a SHA-256 digest.
const CHALLENGE_CHARS: usize = 43;

/// Whether `text` has the syntax that verifiers and challenges share: 43 to 128 unreserved characters
/// (RFC 7636, 4.1 and 4.2).
fn has_syntax(text: &str) -> bool {
    let is_unreserved =
        |byte: u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved)
}

impl Challenge {
    /// The challenge of an authorization request with these parameters, if it has one.
    ///
    /// # Errors
    /// The reason, as text, if they are not a challenge under S256. An omitted method means `plain` (RFC 7636, 4.3),
    /// under which the challenge is the verifier and travels with the code.
    pub fn of_request(
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Option<Challenge>, &'static str> {
        match (challenge, method) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err("there is a code_challenge_method and no code_challenge"),
            (Some(_), None) => {
                Err("there is no code_challenge_method, which would mean plain; it must be S256")
            }
            (Some(challenge), Some("S256")) if has_syntax(challenge) => Ok(Some(Challenge(challenge.into()))),
            (Some(_), Some("S256")) => {
                Err("the code_challenge is not 43 to 128 characters of A-Z a-z 0-9 - . _ ~")
            }
            (Some(_), Some(_)) => Err("the code_challenge_method is not S256"),
        }
    }

    /// The challenge in a record; `None` if it is malformed.
    pub(super) fn of_record(text: &str) -> Option<Challenge> {
        has_syntax(text).then(|| Challenge(text.into()))
    }

    /// Whether `verified` is from the verifier of this challenge; in constant time.
    pub fn matches(&self, verified: &Verified) -> bool {
        self.0.as_bytes().ct_eq(&verified.0).into()
    }

    /// The challenge as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(…)")
    }
}

impl Verified {
    /// Transforms the `code_verifier` of a token request.
    ///
    /// # Errors
    /// The reason, as text, if it is malformed, even if its digest would match.
    pub fn new(verifier: &str) -> Result<Verified, &'static str> {
        if !has_syntax(verifier) {
            return Err("the code_verifier is not 43 to 128 characters of A-Z a-z 0-9 - . _ ~");
        }
        let mut text = [0; CHALLENGE_CHARS];
        // Fails only if the buffer is too short; 32 bytes are 43 characters.
        let written = Base64UrlUnpadded::encode(&sha256(verifier.as_bytes()), &mut text).map(str::len);
        debug_assert_eq!(written, Ok(CHALLENGE_CHARS));
        Ok(Verified(text))
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_rfc_7636_holds() {
        let challenge = Challenge::of_request(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert!(challenge.matches(&Verified::new(VERIFIER).unwrap()));
        assert!(
            !challenge.matches(&Verified::new(CHALLENGE).unwrap()),
            "the challenge is not its own verifier"
        );
        let longer = Challenge::of_request(Some(&format!("{CHALLENGE}A")), Some("S256")).unwrap().unwrap();
        assert!(!longer.matches(&Verified::new(VERIFIER).unwrap()));
    }

    #[test]
    fn only_s256_is_a_challenge() {
        let check = |challenge: Option<&str>, method: Option<&str>, expected: Result<bool, &str>| {
            let found = Challenge::of_request(challenge, method).map(|challenge| challenge.is_some());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
                (found, _) => panic!("{challenge:?} {method:?}: {found:?}"),
            }
        };
        check(None, None, Ok(false));
        check(Some(CHALLENGE), Some("S256"), Ok(true));
        check(None, Some("S256"), Err("no code_challenge"));
        check(Some(CHALLENGE), None, Err("would mean plain"));
        check(Some(CHALLENGE), Some("plain"), Err("is not S256"));
        check(Some(CHALLENGE), Some("s256"), Err("is not S256"));
        check(Some(&CHALLENGE[1..]), Some("S256"), Err("43 to 128"));
        check(Some(&"a".repeat(129)), Some("S256"), Err("43 to 128"));
        check(Some(&"a".repeat(128)), Some("S256"), Ok(true));
        check(Some(&format!("{}+", &CHALLENGE[1..])), Some("S256"), Err("43 to 128"));
    }

    #[test]
    fn a_malformed_verifier_is_refused_even_if_its_digest_matches() {
        for verifier in
            [&"a".repeat(42), &"a".repeat(129), &format!("{VERIFIER}="), &format!("{VERIFIER} "), ""]
        {
            assert!(Verified::new(verifier).is_err(), "{verifier}");
        }
        for verifier in [&"a".repeat(43), &"~".repeat(128)] {
            assert!(Verified::new(verifier).is_ok());
        }
    }

    #[test]
    fn printing_a_challenge_or_a_verifier_shows_neither() {
        let challenge = Challenge::of_request(Some(CHALLENGE), Some("S256")).unwrap();
        assert_eq!(
            format!("{challenge:?} {:?}", Verified::new(VERIFIER).unwrap()),
            "Some(Challenge(…)) Verified(…)"
        );
    }
}
