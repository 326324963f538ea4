//! The server's keys: what the dialog's forms, the identifiers of self-registered clients and the marks of earlier
//! consent are sealed with, and what is derived from them.
//!
//! A key is 32 random bytes. They seal nothing themselves: each [`Purpose`] has a key of its own, derived from them
//! with a label (HKDF-Expand, RFC 5869). So what was sealed for one purpose is never valid for another. The derived
//! keys are computed once, when the ring is made, and no request derives any.
//!
//! A key's identifier is derived from it as well. So it needs no storage and no agreement between servers, and it shows
//! whether a copy of a key is intact. It says nothing about the key and is no secret: sealed content carries it, so
//! opening looks up one key, and content with an unknown identifier is refused before anything is computed.
//!
//! One key of a ring is current: it seals. The others open what they sealed before. What becomes of them depends on
//! what they sealed and where they are kept; see `keys/mod.rs`.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::hash::{MacKey, hkdf_expand};

/// How many bytes a key has.
pub const KEY_BYTES: usize = 32;

/// The bytes of a key, from which the keys of all purposes are derived.
pub type KeyBytes = [u8; KEY_BYTES];

/// Draws a new key. `fill` is the source of random bytes.
///
/// # Errors
/// Those of `fill`.
pub fn draw_key<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<KeyBytes, E> {
    let mut key = [0; KEY_BYTES];
    fill(&mut key)?;
    Ok(key)
}

/// How many bytes an identifier has: enough that random keys do not share one by chance.
pub const KEY_ID_BYTES: usize = 6;

/// The same in base64url: without remainder, so what follows it in one text is encoded as it would be by itself.
pub const KEY_ID_CHARS: usize = 8;

/// Not the label of a purpose.
const ID_LABEL: &[u8] = b"oauth-from-scratch key identifier";

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To seal the dialog's forms.
    Form,
    /// To derive the codes that forms lead to.
    Code,
    /// To seal the identifiers of clients that register themselves.
    ClientId,
    /// To derive the secrets of such clients.
    ClientSecret,
    /// To mark what a browser's owner has allowed before.
    AllowedBefore,
}

impl Purpose {
    const ALL: [Purpose; 5] =
        [Purpose::Form, Purpose::Code, Purpose::ClientId, Purpose::ClientSecret, Purpose::AllowedBefore];

    /// Different for each purpose. A changed label invalidates everything that was sealed for its purpose.
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Form => b"oauth-from-scratch form",
            Purpose::Code => b"oauth-from-scratch code",
            Purpose::ClientId => b"oauth-from-scratch client identifier",
            Purpose::ClientSecret => b"oauth-from-scratch client secret",
            Purpose::AllowedBefore => b"oauth-from-scratch allowed before",
        }
    }
}

/// The public name of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    /// The identifier of the key with these bytes.
    pub fn of(key: &KeyBytes) -> KeyId {
        let derived = hkdf_expand(key, ID_LABEL);
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&derived[..KEY_ID_BYTES]);
        KeyId(id)
    }

    /// The bytes, to put them before what the key seals.
    pub fn as_bytes(&self) -> &[u8; KEY_ID_BYTES] {
        &self.0
    }

    /// Reads what [`Display`](fmt::Display) writes: [`KEY_ID_CHARS`] characters of base64url.
    pub fn parse(text: &str) -> Option<KeyId> {
        let mut id = [0; KEY_ID_BYTES];
        let length = Base64UrlUnpadded::decode(text, &mut id).ok()?.len();
        (length == KEY_ID_BYTES).then_some(KeyId(id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

/// One key, as the keys of all purposes. Sealing with it is in `seal.rs`.
#[derive(Clone)]
pub struct SealingKey {
    id: KeyId,
    /// By the number of the purpose.
    derived: [MacKey; Purpose::ALL.len()],
}

impl SealingKey {
    fn new(key: &KeyBytes) -> SealingKey {
        let derive = |purpose: Purpose| MacKey::new(&hkdf_expand(key, purpose.label()));
        SealingKey { id: KeyId::of(key), derived: Purpose::ALL.map(derive) }
    }

    /// Its identifier.
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn for_purpose(&self, purpose: Purpose) -> &MacKey {
        &self.derived[purpose as usize]
    }
}

/// The current key and those before it.
#[derive(Clone)]
pub struct Keyring {
    current: SealingKey,
    old: Vec<SealingKey>,
}

impl Keyring {
    /// A ring of one key, out of random bytes.
    pub fn new(current: &KeyBytes) -> Keyring {
        Keyring { current: SealingKey::new(current), old: Vec::new() }
    }

    /// Adds `old` keys, which open and do not seal.
    pub fn with_old<'a>(self, old: impl IntoIterator<Item = &'a KeyBytes>) -> Keyring {
        Keyring { old: old.into_iter().map(SealingKey::new).collect(), ..self }
    }

    /// The key that seals.
    pub fn current(&self) -> &SealingKey {
        &self.current
    }

    /// The key with the identifier `id`, current or old, which opens what it sealed.
    pub fn find(&self, id: KeyId) -> Option<&SealingKey> {
        std::iter::once(&self.current).chain(&self.old).find(|key| key.id == id)
    }

    /// The identifiers of all keys, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        std::iter::once(&self.current).chain(&self.old).map(SealingKey::id)
    }
}

/// Names the keys and shows none.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.ids().map(|id| id.to_string()).collect();
        write!(f, "Keyring({})", ids.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let root = [1; KEY_BYTES];
        let key = SealingKey::new(&root);
        let mut codes: Vec<[u8; 32]> =
            Purpose::ALL.iter().map(|purpose| key.for_purpose(*purpose).sign(&[b"content"])).collect();
        // Neither is the key's own bytes, nor what the identifier is cut from.
        codes.push(MacKey::new(&root).sign(&[b"content"]));
        codes.push(MacKey::new(&hkdf_expand(&root, ID_LABEL)).sign(&[b"content"]));
        for (index, code) in codes.iter().enumerate() {
            assert!(!codes[..index].contains(code), "{index}");
        }
        for (index, purpose) in Purpose::ALL.iter().enumerate() {
            assert_eq!(*purpose as usize, index, "the table is by number");
        }
    }

    #[test]
    fn a_key_is_found_by_its_identifier_and_no_other() {
        let ring = Keyring::new(&[2; KEY_BYTES]).with_old([&[3; KEY_BYTES], &[1; KEY_BYTES]]);
        let ids = [2, 3, 1].map(|byte| KeyId::of(&[byte; KEY_BYTES]));
        assert_eq!(ring.ids().collect::<Vec<KeyId>>(), ids);
        assert_eq!(ring.current().id(), ids[0]);
        for id in ids {
            assert_eq!(ring.find(id).map(SealingKey::id), Some(id));
            for bit in 0..8 * KEY_ID_BYTES {
                let mut other = id;
                other.0[bit / 8] ^= 1 << (bit % 8);
                assert!(ring.find(other).is_none(), "{id} bit {bit}");
            }
        }
        assert!(Keyring::new(&[2; KEY_BYTES]).find(ids[1]).is_none());
    }

    #[test]
    fn an_identifier_is_read_as_it_is_written() {
        let id = KeyId::of(&[1; KEY_BYTES]);
        assert_eq!(id.to_string().len(), KEY_ID_CHARS);
        assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        for text in ["", "AAAA", "AAAAAAA", "AAAAAAAAA", "AAAAAAA=", "AAAA AAA", "éAAAAAA", "AAAAAAAAAAAA"] {
            assert_eq!(KeyId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_ring_prints_its_identifiers_and_no_key() {
        let ring = Keyring::new(b"a key of thirty-two plain letter");
        assert_eq!(format!("{ring:?}"), format!("Keyring({})", ring.current().id()));
    }
}
