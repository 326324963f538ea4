//! The endpoints: one file each, with one function from a request to a step. `table.rs` lists them.

pub(crate) mod asset;
#[cfg(feature = "lab")]
pub(crate) mod caught;
pub(crate) mod code;
pub(crate) mod dialog;
#[cfg(feature = "docs")]
pub(crate) mod document;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod mcp;
pub(crate) mod metadata;
pub(crate) mod register;
pub(crate) mod revoke;
#[cfg(feature = "lab")]
pub(crate) mod rules;
pub(crate) mod secure;
pub(crate) mod token;
#[cfg(feature = "wire")]
pub(crate) mod wire;
