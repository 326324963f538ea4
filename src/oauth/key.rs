//! The key of a record: its kind, and a random identifier.
//!
//! Random identifiers can be made without a store, and distribute records evenly without a hash.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64ct::{Base64UrlUnpadded, Encoding};

/// The length of an identifier, in characters.
pub const ID_CHARS: usize = 20;
/// The random bytes of an identifier.
pub const ID_BYTES: usize = ID_CHARS / 4 * 3;

/// Maximum kinds of record.
pub const KINDS_MAX: usize = 8;

/// A kind of record, by its number: its place in [`Transition::KINDS`](super::kind::Transition::KINDS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(u8);

impl Kind {
    /// The kind with this number.
    ///
    /// # Panics
    /// If it is [`KINDS_MAX`] or more. Numbers are constants, so this fails at compile time.
    pub const fn new(number: usize) -> Kind {
        assert!(number < KINDS_MAX, "more kinds than KINDS_MAX");
        Kind(number as u8)
    }

    /// Its number, less than [`KINDS_MAX`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Identifies one record of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The kind of record.
    pub kind: Kind,
    /// Its identifier within the kind.
    pub id: Id,
}

/// The identifier of a record among those of its kind. It is not a secret by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub(super) [u8; ID_CHARS]);

/// Random characters make a good hash after a multiplication by an odd constant (2^64 divided by the golden ratio):
/// every character then affects the high half.
fn spread(chars: [u8; 8]) -> u64 {
    let product = u64::from_le_bytes(chars).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

impl Id {
    /// A new identifier, from random bytes.
    pub fn new(random: [u8; ID_BYTES]) -> Id {
        let mut chars = [0; ID_CHARS];
        // Fails only if the buffer is too short.
        let written = Base64UrlUnpadded::encode(&random, &mut chars).map(str::len);
        debug_assert_eq!(written, Ok(ID_CHARS));
        Id(chars)
    }

    /// The identifier with these bytes, as returned by [`Id::as_bytes`]; `None` if they are malformed.
    pub fn parse(chars: &[u8]) -> Option<Id> {
        // Without a branch per character, so that all are compared at once: every request with a token comes here.
        let is_one = |all: bool, char: &u8| all & (char.is_ascii_alphanumeric() | matches!(char, b'-' | b'_'));
        chars.try_into().ok().filter(|chars: &[u8; ID_CHARS]| chars.iter().fold(true, is_one)).map(Id)
    }

    /// Its characters, 20 of base64url.
    pub fn as_bytes(&self) -> &[u8; ID_CHARS] {
        &self.0
    }

    /// A number for distributing records over shards. [`Hash`] uses other characters.
    pub fn shard(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        spread([a, b, c, d, e, f, g, h])
    }
}

impl Hash for Id {
    /// A stranger cannot cause collisions in a table: only identifiers generated here are inserted.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(spread([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Id")
    }
}
