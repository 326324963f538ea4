//! Cryptography, in terms of what this server does with it. The only layer that names `ring` and `argon2`.
//!
//! Nothing here is an algorithm of our own: each file gives one use of a well-kept implementation a name and a type,
//! so that the rules above say what they mean and cannot mix the uses up.
//!
//! Random bytes are arguments: nothing here draws any.

pub mod digest;
pub mod hash;
pub mod password;
pub mod seal;
