//! In place of `tls.rs`, in a program that is built without the feature `client-documents`: every https document is
//! refused.

use std::io;

use super::timed::Timed;

/// Whether this program can fetch https.
pub const IS_COMPILED_IN: bool = false;

/// No TLS.
#[derive(Debug, Default)]
pub struct Tls(());

impl Tls {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub(super) fn connect<'a>(&self, _: &str, _: Timed<'a>) -> Result<Timed<'a>, &'static str> {
        const NO_TLS: &str =
            "this program is built without TLS for documents; build it with --features client-documents";
        Err(NO_TLS)
    }
}

/// No error is about TLS.
pub(super) fn reason(_: &io::Error) -> Option<&'static str> {
    None
}
