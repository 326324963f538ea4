//! Seals: proof that content which went through somebody else's hands is what this server gave to one holder.
//!
//! A seal is an HMAC-SHA256 over the holder (a browser's session, for a form) and the content, under the key of a
//! purpose (`keyring.rs`). A seal of one purpose is never valid as one of another.

use subtle::ConstantTimeEq;

use super::hash::DIGEST_BYTES;
use super::keyring::{Purpose, SealingKey};

/// The length of a seal.
pub const SEAL_BYTES: usize = DIGEST_BYTES;

impl SealingKey {
    /// The seal of `content` for `holder`. Also a way to derive a secret that only the key and the holder together
    /// give.
    pub fn seal(&self, purpose: Purpose, holder: &str, content: &[u8]) -> [u8; SEAL_BYTES] {
        // The length keeps the two apart: no end of a holder is the beginning of a content.
        let length = (holder.len() as u64).to_be_bytes();
        self.for_purpose(purpose).sign(&[&length, holder.as_bytes(), content])
    }

    /// Whether `seal` is that of `content` for `holder`; in constant time.
    pub fn opens(&self, purpose: Purpose, holder: &str, content: &[u8], seal: &[u8; SEAL_BYTES]) -> bool {
        self.seal(purpose, holder, content).ct_eq(seal).into()
    }
}
