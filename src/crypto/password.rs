//! Hashes of secrets that people choose: Argon2id (RFC 9106), as PHC strings.
//!
//! A thief of such a hash will try the secrets that people choose, so computing it is slow and takes memory: some
//! 20 milliseconds and 19 MiB by default. A PHC string names its own cost, so one that asks for more than this server
//! can afford is refused when it is read.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params, Version};

/// The prefix of a PHC string of Argon2id.
const PREFIX: &str = "$argon2id$";

/// Maximum memory of a hash, in KiB.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Maximum passes over that memory.
const PASSES_MAX: u32 = 16;

/// The hash of `secret` with this random salt, at the default cost.
///
/// # Errors
/// The reason, as text, if there is not enough memory.
pub fn hash(secret: &str, salt: [u8; 16]) -> Result<String, String> {
    hash_with(Params::default(), secret, salt)
}

fn hash_with(params: Params, secret: &str, salt: [u8; 16]) -> Result<String, String> {
    let hash: Result<PasswordHash, _> = Argon2::from(params).hash_password_with_salt(secret.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether `text` has the prefix of such a hash.
pub fn is_hash(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Whether `text` is a complete Argon2id hash, version 1.3, with memory and passes within the limits.
pub fn is_acceptable(text: &str) -> bool {
    let Some(hash) = PasswordHash::new(text).ok().filter(|_| is_hash(text)) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    let is_bounded = params.m_cost() <= MEMORY_KIB_MAX && params.t_cost() <= PASSES_MAX;
    is_bounded && hash.hash.is_some() && hash.salt.is_some() && hash.version == Some(Version::V0x13.into())
}

/// Whether `hash` is that of `secret`. Slow, as its cost requires: do not call this on the event loop.
pub fn verify(secret: &str, hash: &str) -> bool {
    // Only acceptable hashes are stored, so this one parses.
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
}

/// For tests: a hash at the lowest cost.
#[cfg(test)]
pub(crate) fn hash_cheaply(secret: &str, salt: [u8; 16]) -> Result<String, String> {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).map_err(|error| error.to_string())?;
    hash_with(params, secret, salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_asks_for_too_much_is_refused() {
        let good =
            "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA";
        assert!(is_acceptable(good));
        for (from, to) in [("m=8", "m=9999999"), ("t=1", "t=99"), ("argon2id", "argon2i"), ("v=19", "v=7")] {
            assert!(!is_acceptable(&good.replace(from, to)), "{to}");
        }
        for text in ["$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw", &good[..60]] {
            assert!(!is_acceptable(text), "{text}");
        }
    }
}
