//! In place of `tls.rs`, in a program that is built without the feature `client-documents`: every https document is
//! refused.

use std::io;

use super::timed::Timed;

/// Why this program cannot fetch https.
pub const MISSING: Option<&str> =
    Some("this program is built without TLS for documents; build it with --features client-documents");

/// No TLS.
#[derive(Debug, Default)]
pub struct Tls(());

impl Tls {
    /// Never called: [`MISSING`] is asked first.
    ///
    /// # Errors
    /// Always.
    pub(super) fn connect<'a>(&self, _: &str, _: Timed<'a>) -> Result<Timed<'a>, &'static str> {
        Err(MISSING.unwrap_or_default())
    }
}

/// No error is about TLS.
pub(super) fn reason(_: &io::Error) -> Option<&'static str> {
    None
}
