//! SHA-256 (FIPS 180-4); HMAC-SHA256, the message authentication code based on it (RFC 2104); and the derivation of
//! keys based on that (HKDF-Expand, RFC 5869).
//!
//! The first two are ring's: no test of the protocol would detect a mistake in an implementation of our own.

use ring::{digest, hmac};

/// The length of a digest.
pub const DIGEST_BYTES: usize = 32;

/// The SHA-256 digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// HMAC-SHA256 under `key` of the concatenated pieces of `message`.
pub fn hmac_sha256(key: &[u8], message: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    MacKey::new(key).sign(message)
}

/// A key of HMAC-SHA256 that is used more than once: what depends only on the key is computed once.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The key with these bytes.
    pub fn new(key: &[u8]) -> MacKey {
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// HMAC-SHA256 of the concatenated pieces of `message`.
    pub fn sign(&self, message: &[&[u8]]) -> [u8; DIGEST_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        message.iter().for_each(|piece| context.update(piece));
        to_array(context.sign().as_ref())
    }
}

/// A key for the use that `label` names, derived from `key`: the first block of HKDF-Expand (RFC 5869, 2.3). `key` must
/// be random bytes, which need no extraction (3.3).
pub fn hkdf_expand(key: &[u8; 32], label: &[u8]) -> [u8; DIGEST_BYTES] {
    hmac_sha256(key, &[label, &[1]])
}

/// Converts ring's digest, which always has 32 bytes for SHA-256.
fn to_array(digest: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut bytes = [0; DIGEST_BYTES];
    bytes.copy_from_slice(digest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_digest_is_that_of_fips_180_4() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256(b"abc")), expected);
    }

    #[test]
    fn the_message_authentication_code_is_that_of_rfc_4231() {
        // RFC 4231, 4.3: test case 2.
        let code = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_derived_key_is_that_of_rfc_5869() {
        // RFC 5869, A.1: the first 32 of its 42 bytes.
        let key = b"\x07\x77\x09\x36\x2c\x2e\x32\xdf\x0d\xdc\x3f\x0d\xc4\x7b\xba\x63\
            \x90\xb6\xc7\x3b\xb5\x0f\x9c\x31\x22\xec\x84\x4a\xd7\xc2\xb3\xe5";
        let derived = hkdf_expand(key, b"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9");
        assert_eq!(hex(&derived), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    }
}
