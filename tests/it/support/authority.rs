//! A certificate authority of a test's own, made by `openssl`, and https hosts of documents with its certificates.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::document_server::DocumentServer;
use super::ledger::ServerProcess;
use super::stores::Folder;

/// An authority, whose certificate is a file.
pub struct Authority {
    folder: Folder,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let authority = Authority { folder: Folder::new() };
        authority.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN={name} -addext \
             basicConstraints=critical,CA:TRUE",
        ));
        authority
    }

    fn openssl(&self, words: &str) {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).current_dir(self.folder.join(".")).stderr(Stdio::null());
        assert!(command.status().expect("openssl is there").success(), "openssl {words}");
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A host of documents, whose certificate is for `localhost`.
    pub fn host(&self) -> DocumentServer {
        let names = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
        std::fs::write(self.folder.join("names"), names).expect("a file in the test's folder");
        self.openssl("req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=localhost");
        self.openssl(
            "x509 -req -in own.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out own.crt",
        );
        let certificate = CertificateDer::from_pem_file(self.folder.join("own.crt")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(self.folder.join("own.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(vec![certificate], key).expect("a pair");
        let tls = Arc::new(tls);
        DocumentServer::start_over(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&tls)).ok()?;
            Some(Box::new(StreamOwned::new(connection, stream)))
        })
    }

    /// The program, which trusts this authority and no other.
    pub fn trusting_program(&self) -> ServerProcess {
        let mut program = Command::new(env!("CARGO_BIN_EXE_oauth-from-scratch"));
        program.env("SSL_CERT_FILE", self.certificate());
        ServerProcess::start_as(program, &[])
    }
}
