//! Making responses: JSON, errors, pages and redirects, and the fields that say what browsers may do with them.

pub(crate) mod assets;
pub(crate) mod authorization_response;
pub(crate) mod cached_page;
pub(crate) mod cors;
pub(crate) mod dialog_page;
pub(crate) mod dialog_terms;
#[cfg(feature = "docs")]
pub(crate) mod documents;
pub(crate) mod error_response;
pub(crate) mod folder;
pub(crate) mod json;
pub(crate) mod message_page;
pub(crate) mod pages;
pub(crate) mod resource_documents;
pub(crate) mod secure_challenges;
pub(crate) mod security_fields;
pub(crate) mod set_cookie;
pub(crate) mod template;
pub(crate) mod unavailable;
