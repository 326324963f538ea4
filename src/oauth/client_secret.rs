//! Digests of clients' secrets. Only the client has the secret itself.
//!
//! A generated secret has 264 random bits, too many to guess, so its digest may be fast: SHA-256. A secret that a
//! person chose can be guessed by a thief of its digest, so that digest is slow and takes memory: Argon2id, as a PHC
//! string. Comparing it takes the server some 20 milliseconds as well, off the event loop ([`SecretCheck`]). After the
//! first success the server keeps the secret's SHA-256 digest in memory and compares with that.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::crypto::digest::Digest;
use crate::crypto::password;

/// The digest of a client's secret.
#[derive(Clone)]
pub struct SecretDigest(Kind);

#[derive(Clone)]
enum Kind {
    Quick(Digest),
    Slow(Arc<Slow>),
}

struct Slow {
    digest: String,
    /// The quick digest of the secret, after the first success.
    known: OnceLock<Digest>,
}

/// A presented secret, and the slow digest to compare it with.
#[derive(Clone)]
pub struct SecretCheck {
    slow: Arc<Slow>,
    secret: String,
}

/// The prefix of the digest of a generated secret.
const QUICK_PREFIX: &str = "sha256:";

impl SecretDigest {
    /// The digest of `secret`, which must be long and random, because the digest is fast for attackers too.
    pub fn of(secret: &str) -> SecretDigest {
        SecretDigest(Kind::Quick(Digest::of(secret.as_bytes())))
    }

    /// The digest of `secret`, which a person chose, with this random salt.
    ///
    /// # Errors
    /// The reason, as text, if there is not enough memory.
    pub fn of_chosen(secret: &str, salt: [u8; 16]) -> Result<SecretDigest, String> {
        password::hash(secret, salt).map(SecretDigest::slow)
    }

    fn slow(digest: String) -> SecretDigest {
        SecretDigest(Kind::Slow(Arc::new(Slow { digest, known: OnceLock::new() })))
    }

    /// Parses `sha256:` and 64 hexadecimal digits, or a PHC string of Argon2id with memory and passes within the
    /// limits; `None` for anything else.
    pub fn parse(text: &str) -> Option<SecretDigest> {
        if password::is_hash(text) {
            return password::is_acceptable(text).then(|| SecretDigest::slow(text.to_owned()));
        }
        let (digits, rest) = text.strip_prefix(QUICK_PREFIX)?.as_bytes().as_chunks::<2>();
        let digits: &[[u8; 2]; 32] = digits.try_into().ok().filter(|_| rest.is_empty())?;
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(SecretDigest(Kind::Quick(Digest::from_bytes(bytes))))
    }

    /// Whether this is the digest of `secret`, compared in constant time.
    ///
    /// # Errors
    /// The slow comparison to be done, if the digest is slow.
    pub(super) fn is_of(&self, secret: &str) -> Result<bool, SecretCheck> {
        match &self.0 {
            Kind::Quick(digest) => Ok(digest.matches(&Digest::of(secret.as_bytes()))),
            Kind::Slow(slow) => Err(SecretCheck { slow: Arc::clone(slow), secret: secret.to_owned() }),
        }
    }
}

impl SecretCheck {
    /// Whether the secret is right, if it was right once before; `None` if the slow comparison is needed.
    pub fn recall(&self) -> Option<bool> {
        let known = self.slow.known.get()?;
        Some(known.matches(&Digest::of(self.secret.as_bytes())))
    }

    /// Whether the secret is right. Takes some 20 milliseconds and 19 MiB, or the cost that the digest names, unless
    /// [`SecretCheck::recall`] has the result.
    pub fn run(&self) -> bool {
        if let Some(is_right) = self.recall() {
            return is_right;
        }
        let is_right = password::verify(&self.secret, &self.slow.digest);
        if is_right {
            self.slow.known.get_or_init(|| Digest::of(self.secret.as_bytes()));
        }
        is_right
    }
}

impl fmt::Debug for SecretCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretCheck(…)")
    }
}

impl fmt::Display for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Slow(slow) => f.write_str(&slow.digest),
            Kind::Quick(digest) => {
                f.write_str(QUICK_PREFIX)?;
                digest.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl PartialEq for SecretDigest {
    /// Whether both are the same digest. Compares configurations, never input of a request.
    fn eq(&self, other: &SecretDigest) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl SecretDigest {
        /// Whether they share the memory of the right secret.
        pub(crate) fn shares_memory(one: &SecretDigest, other: &SecretDigest) -> bool {
            match (&one.0, &other.0) {
                (Kind::Slow(one), Kind::Slow(other)) => Arc::ptr_eq(one, other),
                _ => false,
            }
        }
    }

    #[test]
    fn a_secret_is_kept_as_a_digest_that_reads_back() {
        let digest = SecretDigest::of("abc").to_string();
        assert_eq!(digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(SecretDigest::parse(&digest).unwrap().is_of("abc").unwrap());
        assert!(!SecretDigest::parse(&digest).unwrap().is_of("abd").unwrap());
        for text in
            ["", "sha256:", &digest[1..], &digest[..70], &format!("{digest}0"), &digest.replace('b', "x")]
        {
            assert!(SecretDigest::parse(text).is_none(), "{text}");
        }
        assert_eq!(format!("{:?}", SecretDigest::of("abc")), "SecretDigest(…)");
    }

    #[test]
    fn a_chosen_secret_is_compared_slowly_until_it_was_right_once() {
        let digest = password::hash_cheaply("hunter2", [7; 16]).unwrap();
        assert!(digest.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{digest}");
        let digest = SecretDigest::parse(&digest).unwrap();
        let check = |secret: &str| digest.is_of(secret).expect_err("nothing is said at once");
        assert!(!check("hunter3").run());
        assert_eq!((check("hunter2").recall(), check("hunter3").recall()), (None, None));
        assert!(check("hunter2").run());
        assert_eq!((check("hunter2").recall(), check("hunter3").recall()), (Some(true), Some(false)));
        assert!(check("hunter2").run() && !check("hunter3").run() && !check("").run());
        assert_eq!(format!("{:?}", check("hunter2")), "SecretCheck(…)");
    }
}
