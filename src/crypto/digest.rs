//! Digests of secrets: all that a store keeps of a code, a token or a client's secret.

use std::fmt;

use subtle::ConstantTimeEq;

use super::hash::sha256;

/// The SHA-256 digest of a secret.
///
/// There is no `==`: [`Digest::matches`] takes the same time wherever two digests differ, so the time of an answer
/// reveals nothing about a stored one.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `secret`.
    pub fn of(secret: &[u8]) -> Digest {
        Digest(sha256(secret))
    }

    /// The digest with these bytes, as returned by [`Digest::as_bytes`].
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The bytes, to store them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are digests of the same secret; in constant time.
    pub fn matches(&self, other: &Digest) -> bool {
        words(&self.0).ct_eq(&words(&other.0)).into()
    }
}

/// The bytes as four words: comparing a word costs as much as comparing a byte.
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, piece) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*piece);
    }
    words
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_digest_counts() {
        let digest = Digest::of(b"secret");
        assert!(digest.matches(&Digest::from_bytes(*digest.as_bytes())));
        for bit in 0..256 {
            let mut bytes = *digest.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!digest.matches(&Digest::from_bytes(bytes)), "bit {bit}");
        }
        assert_eq!(format!("{digest:?}"), "Digest(…)");
    }
}
