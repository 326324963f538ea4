//! SHA-256 (FIPS 180-4), and HMAC-SHA256, the message authentication code based on it (RFC 2104).
//!
//! Both are ring's: no test of the protocol would detect a mistake in an implementation of our own.

use ring::{digest, hmac};

/// The length of a digest.
pub const DIGEST_BYTES: usize = 32;

/// The SHA-256 digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    to_array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// HMAC-SHA256 under `key` of the concatenated pieces of `message`.
pub fn hmac_sha256(key: &[u8], message: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    message.iter().for_each(|piece| context.update(piece));
    to_array(context.sign().as_ref())
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
}
