//! Cryptography, by its uses in this server. The only layer that names `ring` and `argon2`.
//!
//! It has no algorithm of our own: each file gives one use of an established implementation a name and a type, so that
//! the layers above cannot confuse the uses. Random bytes are arguments.

pub mod digest;
pub mod hash;
pub mod keyring;
pub mod password;
pub mod seal;
