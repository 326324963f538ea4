//! Seals: proof that content which went through somebody else's hands is what this server gave to one holder.
//!
//! A seal is an HMAC-SHA256 over a purpose, the holder (a browser's session, for a form) and the content. The purpose
//! separates the uses of one key: a seal of one kind is never valid as one of another.

use std::fmt;

use subtle::ConstantTimeEq;

use super::hash::{DIGEST_BYTES, hmac_sha256};

/// The length of a seal.
pub const SEAL_BYTES: usize = DIGEST_BYTES;

/// The key that seals, and those before it, which still open what they sealed.
#[derive(Clone, Eq)]
pub struct SealingKeys {
    current: [u8; 32],
    old: Vec<[u8; 32]>,
}

impl SealingKeys {
    /// A key out of random bytes, and none before it.
    pub fn new(random: [u8; 32]) -> SealingKeys {
        SealingKeys { current: random, old: Vec::new() }
    }

    /// The same with `old` keys beside it, which open and do not seal.
    pub fn with_old(self, old: impl IntoIterator<Item = [u8; 32]>) -> SealingKeys {
        SealingKeys { old: old.into_iter().collect(), ..self }
    }

    /// The key that seals.
    pub fn current(&self) -> SealingKey<'_> {
        SealingKey(&self.current)
    }

    /// The keys that open: the current one first, then the old ones.
    pub fn all(&self) -> impl Iterator<Item = SealingKey<'_>> {
        std::iter::once(&self.current).chain(&self.old).map(SealingKey)
    }

    /// Whether both seal with the same key.
    pub fn seal_alike(&self, other: &SealingKeys) -> bool {
        self.current.ct_eq(&other.current).into()
    }
}

impl PartialEq for SealingKeys {
    fn eq(&self, other: &SealingKeys) -> bool {
        let are_alike =
            self.current.ct_eq(&other.current) & self.old.as_flattened().ct_eq(other.old.as_flattened());
        are_alike.into()
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKeys(…)")
    }
}

/// One of the [`SealingKeys`].
#[derive(Clone, Copy)]
pub struct SealingKey<'a>(&'a [u8; 32]);

impl SealingKey<'_> {
    /// The seal of `content` for `holder`. Also a way to derive a secret that only the key and the holder together
    /// give.
    pub fn seal(self, purpose: &[u8], holder: &str, content: &[u8]) -> [u8; SEAL_BYTES] {
        // The length keeps the two apart: no end of a holder is the beginning of a content.
        let length = (holder.len() as u64).to_be_bytes();
        hmac_sha256(self.0, &[purpose, &length, holder.as_bytes(), content])
    }

    /// Whether `seal` is that of `content` for `holder`; in constant time.
    pub fn opens(self, purpose: &[u8], holder: &str, content: &[u8], seal: &[u8; SEAL_BYTES]) -> bool {
        self.seal(purpose, holder, content).ct_eq(seal).into()
    }
}
