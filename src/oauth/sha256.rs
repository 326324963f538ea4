//! SHA-256 (FIPS 180-4), and the message authentication code made of it (RFC 2104).
//!
//! Nothing of either is written here: a mistake in them shows in no test of the protocol. What is here is the one
//! place that knows whose they are.

use ring::{digest, hmac};

/// How many bytes a digest has.
pub const DIGEST_BYTES: usize = 32;

/// The SHA-256 digest of `bytes`.
pub fn digest(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    taken(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// HMAC-SHA256 of `message`, which is the pieces one after the other, under `key`.
pub(super) fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    message.iter().for_each(|piece| context.update(piece));
    taken(context.sign().as_ref())
}

/// `digest`, which is of SHA-256 and so has the length for it.
fn taken(digest: &[u8]) -> [u8; DIGEST_BYTES] {
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
        assert_eq!(hex(&digest(b"abc")), expected);
    }

    #[test]
    fn the_message_authentication_code_is_that_of_rfc_4231() {
        // RFC 4231, 4.3: test case 2.
        let code = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
