//! The key of a record: its kind, and an identifier that is random.
//!
//! Random identifiers are made anywhere without asking a store, and spread records evenly without being hashed again.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64ct::{Base64UrlUnpadded, Encoding};

/// How many characters an identifier has.
pub const ID_CHARS: usize = 20;
/// How many random bytes it is made of.
pub const ID_BYTES: usize = ID_CHARS / 4 * 3;

/// How many kinds of record there are at most.
pub const KINDS_MAX: usize = 8;

/// A kind of record, by its number: its place in [`Transition::KINDS`](super::kind::Transition::KINDS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(u8);

impl Kind {
    /// The kind with this number.
    ///
    /// # Panics
    /// From [`KINDS_MAX`] on. Numbers are constants, so this fails when the program is compiled.
    pub const fn new(number: usize) -> Kind {
        assert!(number < KINDS_MAX, "more kinds than KINDS_MAX");
        Kind(number as u8)
    }

    /// Its number, less than [`KINDS_MAX`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names one record of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What kind of record it is.
    pub kind: Kind,
    /// Which one of that kind.
    pub id: Id,
}

/// The identifier of a record among those of its kind. It is not a secret by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub(super) [u8; ID_CHARS]);

/// Random characters are as good as a hash once their bits are spread: multiplied by an odd number without a
/// pattern (2^64 over the golden ratio), the high half holds something of every character.
fn spread(chars: [u8; 8]) -> u64 {
    let product = u64::from_le_bytes(chars).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

impl Id {
    /// A new identifier, from random bytes.
    pub fn new(random: [u8; ID_BYTES]) -> Id {
        let mut chars = [0; ID_CHARS];
        // It fails only where the room is too small.
        let written = Base64UrlUnpadded::encode(&random, &mut chars).map(str::len);
        debug_assert_eq!(written, Ok(ID_CHARS));
        Id(chars)
    }

    /// The identifier that [`Id::as_bytes`] gave; `None` for what cannot have been one.
    pub fn parse(chars: &[u8]) -> Option<Id> {
        chars.try_into().ok().filter(|chars: &[u8; ID_CHARS]| chars.is_ascii()).map(Id)
    }

    /// Its characters, 20 of base64url.
    pub fn as_bytes(&self) -> &[u8; ID_CHARS] {
        &self.0
    }

    /// A number that differs for most identifiers, for a store that spreads records by it; [`Hash`] uses other
    /// characters.
    pub fn shard(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        spread([a, b, c, d, e, f, g, h])
    }
}

impl Hash for Id {
    /// A made-up identifier meets only real ones in a table, since only records that were made here are put into one.
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
