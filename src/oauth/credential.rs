//! Codes and tokens: made, parsed, reduced to a digest, compared; never printed.
//!
//! A credential is 64 characters of base64url, which need no escape in a URL, a form or a header. The first 20 identify
//! the grant, so that the store finds it by one key; the other 44 are the secret. Both are random, or derived from
//! random bytes ([`Question`](super::question::Question), [`Credential::successors`]). The store keeps only
//! the SHA-256 digest of the secret, so a copy of the store contains no usable credential.
//!
//! ```text
//!   code, access token   │ grant identifier: 20 │ secret: 44 (264 bits)             │
//!   refresh token        │ grant identifier: 20 │ secret: 32 (192 bits) │ mark: 12  │
//! ```
//!
//! A refresh token's mark distinguishes an old token from a forged one. It is a MAC of the secret's digest under a key
//! in the grant. So a grant recognises all its refresh tokens and stores only the last ones.
//!
//! The digest is taken of the characters, so a credential is never decoded and has only one spelling.
//!
//! `credential/digits.rs` has the article's shapes, for the lessons that guess them.

use std::fmt;
use std::ops::Range;

use base64ct::{Base64UrlUnpadded, Encoding};
use subtle::ConstantTimeEq;

use super::key::{ID_BYTES, ID_CHARS, Id};
use crate::crypto::digest::Digest;
use crate::crypto::hash::{MacKey, hmac_sha256};

mod digits;

const SECRET_CHARS: usize = 44;
const REFRESH_SECRET_CHARS: usize = 32;
const MARK_CHARS: usize = SECRET_CHARS - REFRESH_SECRET_CHARS;

/// The random bytes of a credential's secret.
pub const SECRET_BYTES: usize = SECRET_CHARS / 4 * 3;

/// The random bytes of the first credential of a new grant.
pub const CREDENTIAL_BYTES: usize = ID_BYTES + SECRET_BYTES;

/// The length of a credential on the wire, in characters.
pub const CREDENTIAL_CHARS: usize = ID_CHARS + SECRET_CHARS;

/// The identifier of a grant, the first part of each of its credentials.
pub type GrantId = Id;

/// Encodes `bytes` into `chars`, which has four characters for every three bytes.
fn encode(bytes: &[u8], chars: &mut [u8]) {
    // Fails only if `chars` is too short.
    let written = Base64UrlUnpadded::encode(bytes, chars).map(str::len);
    debug_assert_eq!(written, Ok(bytes.len() / 3 * 4));
}

/// The digits of the article's codes, and those that its tokens have besides.
const CODE_DIGITS: usize = 10;
const TOKEN_SECRET_DIGITS: usize = 40;

/// Which characters of a credential are sent.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// All 64.
    Characters,
    /// The article's: the last ten of the identifier.
    Code,
    /// The article's: the same, and forty of the secret.
    Token,
}

impl Shape {
    /// Their place in the 64 characters.
    fn sent(self) -> Range<usize> {
        match self {
            Shape::Characters => 0..CREDENTIAL_CHARS,
            Shape::Code => ID_CHARS - CODE_DIGITS..ID_CHARS,
            Shape::Token => ID_CHARS - CODE_DIGITS..ID_CHARS + TOKEN_SECRET_DIGITS,
        }
    }
}

/// An authorization code, an access token or a refresh token: the grant it belongs to, and its secret.
#[derive(Clone)]
pub struct Credential {
    grant: GrantId,
    secret: [u8; SECRET_CHARS],
    shape: Shape,
}

/// The salt of a rotation, stored so that the rotation can be repeated. Random, and useless without the rotated token.
#[derive(Clone, Copy, Eq)]
pub struct Salt(pub [u8; 32]);

impl PartialEq for Salt {
    fn eq(&self, other: &Salt) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// The key of the marks of a grant's refresh tokens. It does not suffice to make a valid token.
#[derive(Clone, Copy, Eq)]
pub struct Family(pub [u8; 16]);

impl PartialEq for Family {
    fn eq(&self, other: &Family) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Family(…)")
    }
}

impl Family {
    fn mark(&self, digest: &Digest) -> [u8; MARK_CHARS] {
        let code = hmac_sha256(&self.0, &[digest.as_bytes()]);
        let mut mark = [0; MARK_CHARS];
        encode(&code[..MARK_CHARS / 4 * 3], &mut mark);
        mark
    }
}

/// What a store sees of a presented refresh token.
#[derive(Clone, Copy)]
pub struct RefreshDigest {
    digest: Digest,
    mark: [u8; MARK_CHARS],
}

impl RefreshDigest {
    /// The digest of the token's secret.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether the token was issued for the grant with this family.
    pub fn is_of(&self, family: &Family) -> bool {
        family.mark(&self.digest).ct_eq(&self.mark).into()
    }
}

impl fmt::Debug for RefreshDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshDigest(…)")
    }
}

/// What a refresh token is exchanged for with one salt: an access token, and the next refresh token.
#[derive(Clone)]
pub struct Successors {
    salt: Salt,
    access_token: Credential,
    /// Without its mark.
    refresh_token: Credential,
    /// Of its secret, so that it does not depend on the mark.
    refresh_digest: Digest,
}

impl Successors {
    /// The salt that they were derived with.
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// The access token.
    pub fn access_token(&self) -> &Credential {
        &self.access_token
    }

    /// The digest of the refresh token's secret, which does not depend on its mark.
    pub fn refresh_digest(&self) -> Digest {
        self.refresh_digest
    }

    /// The refresh token, marked as one of `family`.
    pub fn refresh_token(&self, family: &Family) -> Credential {
        self.refresh_token.clone().marked(family.mark(&self.refresh_digest))
    }
}

impl fmt::Debug for Successors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Successors(…)")
    }
}

impl Credential {
    /// The first credential of a new grant, from random bytes.
    pub fn of_new_grant(random: [u8; CREDENTIAL_BYTES]) -> Credential {
        let (mut grant, mut secret) = ([0; ID_CHARS], [0; SECRET_CHARS]);
        encode(&random[..ID_BYTES], &mut grant);
        encode(&random[ID_BYTES..], &mut secret);
        Credential { grant: Id(grant), secret, shape: Shape::Characters }
    }

    /// The same secret as a credential of `grant`.
    pub fn moved_to(self, grant: GrantId) -> Credential {
        Credential { grant, ..self }
    }

    /// A credential of `grant`, with these random bytes as its secret.
    pub fn of_grant(grant: GrantId, random: [u8; SECRET_BYTES]) -> Credential {
        let mut secret = [0; SECRET_CHARS];
        encode(&random, &mut secret);
        Credential { grant, secret, shape: Shape::Characters }
    }

    /// A refresh token of `grant`, from the first 24 of the random bytes.
    pub fn refresh_token(grant: GrantId, random: [u8; SECRET_BYTES], family: &Family) -> Credential {
        let token = Credential::of_grant(grant, random);
        let mark = family.mark(&token.refresh_digest().digest);
        token.marked(mark)
    }

    fn marked(mut self, mark: [u8; MARK_CHARS]) -> Credential {
        self.secret[REFRESH_SECRET_CHARS..].copy_from_slice(&mark);
        self
    }

    /// Parses a credential; `None` if `text` is malformed. Only its grant can tell whether it is valid.
    pub fn parse(text: &[u8]) -> Option<Credential> {
        let text: &[u8; CREDENTIAL_CHARS] = text.try_into().ok()?;
        let (grant, secret) = text.split_first_chunk::<ID_CHARS>()?;
        // The identifier becomes part of a record's name in the store. The secret is only compared, by its digest.
        let (grant, secret) = (Id::parse(grant)?, *secret.first_chunk::<SECRET_CHARS>()?);
        secret.is_ascii().then_some(Credential { grant, secret, shape: Shape::Characters })
    }

    /// The credential as the client gets it: 64 characters of base64url (RFC 4648, 5), or the article's digits.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(CREDENTIAL_CHARS);
        self.write(&mut text);
        text
    }

    /// Appends the same to `text`.
    pub fn write(&self, text: &mut String) {
        let mut chars = [0; CREDENTIAL_CHARS];
        chars[..ID_CHARS].copy_from_slice(&self.grant.0);
        chars[ID_CHARS..].copy_from_slice(&self.secret);
        // The characters are generated, or were checked to be ASCII.
        text.push_str(std::str::from_utf8(&chars[self.shape.sent()]).unwrap_or_default());
    }

    /// The identifier of the grant that the credential names.
    pub fn grant(&self) -> GrantId {
        self.grant
    }

    /// The digest that a store has of a code or access token.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.secret)
    }

    /// The digest and mark that a store compares of a refresh token.
    pub fn refresh_digest(&self) -> RefreshDigest {
        let mut mark = [0; MARK_CHARS];
        mark.copy_from_slice(&self.secret[REFRESH_SECRET_CHARS..]);
        RefreshDigest { digest: Digest::of(&self.secret[..REFRESH_SECRET_CHARS]), mark }
    }

    /// Derives what this refresh token is exchanged for with `salt`. Presenting it again with the same salt gives the
    /// same two, which cannot be derived without it. Each of the two takes a message authentication code, so a request
    /// derives them once.
    pub fn successors(&self, salt: Salt) -> Successors {
        let key = MacKey::new(&self.secret);
        let access_token = Credential::of_grant(self.grant, derive(&key, b"access token", &salt));
        let refresh_token = Credential::of_grant(self.grant, derive(&key, b"refresh token", &salt));
        let refresh_digest = refresh_token.refresh_digest().digest;
        Successors { salt, access_token, refresh_token, refresh_digest }
    }
}

/// Derives the secret of a token for one purpose. The `key` is the secret of the token that it succeeds.
fn derive(key: &MacKey, purpose: &[u8], salt: &Salt) -> [u8; SECRET_BYTES] {
    let mut bytes = [0; SECRET_BYTES];
    // The MAC has 32 bytes, one fewer than a secret; the last byte stays 0.
    bytes[..32].copy_from_slice(&key.sign(&[purpose, &salt.0]));
    bytes
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
    fn a_credential_is_64_unreserved_characters_and_reads_back() {
        for byte in 0..=255 {
            let text = credential(byte).encode();
            assert_eq!(text.len(), CREDENTIAL_CHARS);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            let read = Credential::parse(text.as_bytes()).expect("what encode wrote");
            assert_eq!(read.grant(), credential(byte).grant());
            assert!(read.digest().matches(&credential(byte).digest()));
            assert_eq!(GrantId::parse(read.grant().as_bytes()), Some(read.grant()));
        }
    }

    #[test]
    fn every_random_bit_makes_another_credential() {
        /// The number of different credentials that `make` makes from bytes with at most one bit set.
        fn made<const N: usize>(make: impl Fn([u8; N]) -> Credential) -> usize {
            let flipped = |bit: usize| std::array::from_fn(|at| if at == bit / 8 { 1 << (bit % 8) } else { 0 });
            let all = (0..N * 8).map(flipped).chain([[0; N]]);
            all.map(|random| make(random).encode()).collect::<std::collections::HashSet<_>>().len()
        }
        let grant = credential(1).grant();
        assert_eq!(made(Credential::of_new_grant), 120 + 264 + 1, "a name and a secret");
        assert_eq!(made(|random| Credential::of_grant(grant, random)), 264 + 1);
        // The mark takes the place of the last 72 bits.
        assert_eq!(made(|random| Credential::refresh_token(grant, random, &Family([5; 16]))), 192 + 1);
        assert_eq!(made(|random| Credential::of_grant(GrantId::new(random), [1; SECRET_BYTES])), 120 + 1);
    }

    #[test]
    fn what_is_no_credential_is_not_read_as_one() {
        let good = credential(7).encode();
        let longer = format!("{good}A");
        let beyond_ascii = format!("{}é", &good[..62]);
        for text in ["", "x", &good[..63], &longer, &beyond_ascii] {
            assert!(Credential::parse(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn an_identifier_has_characters_of_base64url_only() {
        let good = credential(7).encode();
        for byte in 0..=255u8 {
            let is_allowed = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            for at in [0, 7, ID_CHARS - 1] {
                let mut changed = good.clone().into_bytes();
                changed[at] = byte;
                assert_eq!(Credential::parse(&changed).is_some(), is_allowed, "{byte} at {at}");
                assert_eq!(GrantId::parse(&changed[..ID_CHARS]).is_some(), is_allowed, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn every_character_of_a_credential_counts() {
        let good = credential(7);
        let text = good.encode();
        for at in 0..CREDENTIAL_CHARS {
            for other in [b'A', b'+', b'=', b' ', text.as_bytes()[at] ^ 1] {
                let mut changed = text.clone().into_bytes();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                let is_same =
                    |read: Credential| read.grant() == good.grant() && read.digest().matches(&good.digest());
                assert!(!Credential::parse(&changed).is_some_and(is_same), "{at}");
            }
        }
    }

    #[test]
    fn digests_of_different_secrets_do_not_match() {
        assert!(!credential(1).digest().matches(&credential(2).digest()));
        let token = Credential::of_grant(credential(1).grant(), [2; SECRET_BYTES]);
        assert_eq!(token.grant(), credential(1).grant());
        assert!(!token.digest().matches(&credential(1).digest()));
    }

    #[test]
    fn every_bit_of_a_mark_counts() {
        let token = Credential::refresh_token(credential(1).grant(), [2; SECRET_BYTES], &Family([5; 16]));
        for bit in 0..MARK_CHARS * 8 {
            let mut presented = token.refresh_digest();
            presented.mark[bit / 8] ^= 1 << (bit % 8);
            assert!(!presented.is_of(&Family([5; 16])), "bit {bit} of the mark");
        }
        assert!(token.refresh_digest().is_of(&Family([5; 16])));
    }

    #[test]
    fn a_grant_knows_its_own_refresh_tokens_by_their_marks() {
        let (grant, family) = (credential(1).grant(), Family([5; 16]));
        let token = Credential::refresh_token(grant, [2; SECRET_BYTES], &family);
        assert!(token.refresh_digest().is_of(&family));
        assert!(!token.refresh_digest().is_of(&Family([6; 16])), "another grant's");
        assert!(!credential(1).refresh_digest().is_of(&family), "one that is made up");
        let mut text = token.encode().into_bytes();
        text[CREDENTIAL_CHARS - 1] ^= 1;
        assert!(!Credential::parse(&text).unwrap().refresh_digest().is_of(&family));
        assert!(!token.refresh_digest().digest().matches(&token.digest()), "no token of another kind");
    }

    #[test]
    fn a_successor_depends_on_the_token_the_salt_and_the_purpose() {
        let (token, salt) = (credential(1), Salt([3; 32]));
        let secrets = |token: &Credential, salt: Salt| {
            let Successors { access_token, refresh_token, .. } = token.successors(salt);
            [access_token.secret, refresh_token.secret]
        };
        let [access, refresh] = secrets(&token, salt);
        assert_eq!([access, refresh], secrets(&token, salt));
        assert_ne!(access, refresh);
        for other in [secrets(&token, Salt([4; 32])), secrets(&credential(2), salt)] {
            assert!(!other.contains(&access) && !other.contains(&refresh));
        }
    }

    #[test]
    fn printing_a_credential_or_its_digest_shows_neither() {
        let credential = credential(b'A');
        let (salt, family) = (Salt([65; 32]), Family([65; 16]));
        let printed =
            format!("{credential:?} {:?} {:?} {salt:?} {family:?}", credential.digest(), credential.grant());
        assert_eq!(printed, "Credential(…) Digest(…) Id Salt(…) Family(…)");
        assert_eq!(format!("{:?}", credential.refresh_digest()), "RefreshDigest(…)");
        assert_eq!(format!("{:?}", credential.successors(salt)), "Successors(…)");
    }
}
