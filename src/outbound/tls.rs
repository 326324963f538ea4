//! TLS to the host of a document, by rustls, with the certificates that the operating system trusts.
//!
//! `no_tls.rs` takes its place in a program without the feature `client-documents`.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring as cryptography;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::timed::Timed;

/// Why this program cannot fetch https: it can.
pub const MISSING: Option<&str> = None;

/// The certificates to trust, read when the first document is fetched; and again at the next one while there are none.
#[derive(Default)]
pub struct Tls {
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    /// Speaks TLS over `stream` with the server of this name. The handshake happens at the first write.
    ///
    /// # Errors
    /// When there is no certificate to trust, or none can have the name.
    pub(super) fn connect<'a>(
        &self,
        host: &str,
        stream: Timed<'a>,
    ) -> Result<StreamOwned<ClientConnection, Timed<'a>>, &'static str> {
        const NO_ROOTS: &str =
            "this server found no trusted certificates; install the system's, or set SSL_CERT_FILE";
        let config = self.config(system_config).ok_or(NO_ROOTS)?;
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| "no certificate can have the name of its host")?;
        let connection = ClientConnection::new(config, name).map_err(|_| FAILED)?;
        Ok(StreamOwned::new(connection, stream))
    }

    /// What `load` has given. It is called until it gives something.
    fn config(&self, load: impl FnOnce() -> Option<Arc<ClientConfig>>) -> Option<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Some(Arc::clone(config));
        }
        // Another thread may have loaded it meanwhile: the first one counts.
        let loaded = load()?;
        Some(Arc::clone(self.config.get_or_init(|| loaded)))
    }
}

/// Trusts what the operating system does; `None` if that is nothing.
fn system_config() -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    // A file that cannot be read leaves the others.
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return None;
    }
    trust(roots).map(Arc::new)
}

/// Trusts `roots`; `None` if the cryptography has no safe version of TLS.
fn trust(roots: RootCertStore) -> Option<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(cryptography::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    Some(builder.with_root_certificates(roots).with_no_client_auth())
}

const FAILED: &str = "TLS with its host failed";

/// What is wrong with the server's TLS; `None` if `error` is about something else. In our words: those of rustls have
/// names from the certificate, which a stranger wrote.
pub(super) fn reason(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate of its host has expired"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate of its host is for another name"
            }
            CertificateError::UnknownIssuer => {
                "the certificate of its host is from an issuer that this server does not trust"
            }
            _ => "the certificate of its host is not valid",
        },
        _ => FAILED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_were_missing_are_looked_for_again() {
        let tls = Tls::default();
        assert!(tls.config(|| None).is_none());
        let found = Arc::new(trust(RootCertStore::empty()).expect("safe versions"));
        let loaded = tls.config(|| Some(Arc::clone(&found))).expect("certificates");
        assert!(Arc::ptr_eq(&loaded, &found));
        let kept = tls.config(|| unreachable!("they are read once")).expect("certificates");
        assert!(Arc::ptr_eq(&kept, &found));
    }
}
