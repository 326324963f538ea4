//! A hasher for names that are as good as hashes already: random identifiers, and keyed hashes.

use std::hash::Hasher;

/// Takes a name for its hash, as the name itself proposes.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // No name is hashed this way; were one, every byte would count.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
}
