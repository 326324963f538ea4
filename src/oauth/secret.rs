//! Codes and tokens: made, read back, reduced to a digest, compared; never printed.
//!
//! A credential is 48 random bytes: 16 that name the grant, so that the store finds it by one key, and 32
//! (256 bits) that nobody can guess, of which the store keeps the SHA-256 digest alone. Whoever steals the
//! store's content holds nothing that works. On the wire it is 64 characters of base64url, none of which a
//! URL, a form or a header would have to escape.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// How many random bytes a credential is made of, when its grant is new.
pub const CREDENTIAL_BYTES: usize = ID_BYTES + SECRET_BYTES;

/// How many characters a credential has on the wire.
pub const CREDENTIAL_CHARS: usize = CREDENTIAL_BYTES / 3 * 4;

/// The name of a grant: random, so that grants can be made anywhere without asking; not a secret by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantId([u8; ID_BYTES]);

impl GrantId {
    /// One of its random bytes, for a store that spreads grants by it; [`Hash`] uses others.
    pub fn last_byte(&self) -> u8 {
        self.0[ID_BYTES - 1]
    }
}

impl Hash for GrantId {
    /// Random bytes are their own hash. Whoever makes names up meets only those of real grants in a table,
    /// for nothing but a grant that was made here is ever put into one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantId")
    }
}

/// The SHA-256 digest of a secret: all that a store gets to see of it.
///
/// There is no `==`: digests are compared by [`Digest::matches`], which takes equally long wherever they
/// differ, so that the time of an answer tells nothing about a stored digest.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Whether both are digests of the same secret; in constant time.
    pub fn matches(&self, other: &Digest) -> bool {
        words(&self.0).ct_eq(&words(&other.0)).into()
    }
}

/// The same bytes in fewer pieces, each of which is compared at the price of one byte.
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

/// An authorization code or an access token: the grant it belongs to, and its secret.
#[derive(Clone)]
pub struct Credential {
    grant: GrantId,
    secret: [u8; SECRET_BYTES],
}

impl Credential {
    /// The first credential of a new grant, out of random bytes.
    pub fn of_new_grant(random: [u8; CREDENTIAL_BYTES]) -> Credential {
        let mut grant = [0; ID_BYTES];
        let mut secret = [0; SECRET_BYTES];
        grant.copy_from_slice(&random[..ID_BYTES]);
        secret.copy_from_slice(&random[ID_BYTES..]);
        Credential { grant: GrantId(grant), secret }
    }

    /// Another credential of the grant that `self` belongs to, with these random bytes as its secret.
    pub fn of_same_grant(&self, random: [u8; SECRET_BYTES]) -> Credential {
        Credential { grant: self.grant, secret: random }
    }

    /// Reads what [`Credential::encode`] wrote. `None` for every text that it cannot have written.
    pub fn parse(text: &[u8]) -> Option<Credential> {
        let mut bytes = [0; CREDENTIAL_BYTES];
        if text.len() != CREDENTIAL_CHARS {
            return None;
        }
        Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
        Some(Credential::of_new_grant(bytes))
    }

    /// The credential as the client gets it: 64 characters of base64url (RFC 4648, 5).
    pub fn encode(&self) -> String {
        let mut bytes = [0; CREDENTIAL_BYTES];
        bytes[..ID_BYTES].copy_from_slice(&self.grant.0);
        bytes[ID_BYTES..].copy_from_slice(&self.secret);
        Base64UrlUnpadded::encode_string(&bytes)
    }

    /// The grant that the credential says it belongs to.
    pub fn grant(&self) -> GrantId {
        self.grant
    }

    /// What the store keeps of it.
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.secret).into())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(byte: u8) -> Credential {
        Credential::of_new_grant([byte; CREDENTIAL_BYTES])
    }

    #[test]
    fn a_credential_is_64_characters_that_need_no_escape_and_reads_back() {
        for byte in 0..=255 {
            let text = credential(byte).encode();
            assert_eq!(text.len(), CREDENTIAL_CHARS);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            let read = Credential::parse(text.as_bytes()).expect("what encode wrote");
            assert_eq!(read.grant(), credential(byte).grant());
            assert!(read.digest().matches(&credential(byte).digest()));
        }
    }

    #[test]
    fn what_is_no_credential_is_not_read_as_one() {
        let good = credential(7).encode();
        let longer = format!("{good}A");
        let padded = format!("{}=", &good[..63]);
        let standard = good.replacen(&good[..1], "+", 1);
        for text in ["", "x", &good[..63], &longer, &padded, &standard] {
            assert!(Credential::parse(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn digests_of_different_secrets_do_not_match() {
        assert!(!credential(1).digest().matches(&credential(2).digest()));
        let token = credential(1).of_same_grant([2; SECRET_BYTES]);
        assert_eq!(token.grant(), credential(1).grant());
        assert!(!token.digest().matches(&credential(1).digest()));
    }

    #[test]
    fn printing_a_credential_or_its_digest_shows_neither() {
        let credential = credential(b'A');
        let printed = format!("{credential:?} {:?} {:?}", credential.digest(), credential.grant());
        assert_eq!(printed, "Credential(…) Digest(…) GrantId");
    }
}
