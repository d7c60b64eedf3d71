//! The directory with the account's key and the certificates, in the layout of Go's
//! `autocert.DirCache`, which Distribution uses: a file `acme_account+key` with the account's key,
//! and one file for each host, its name, with the private key followed by the certificates.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::account_key;
use crate::certificate::{self, Facts};
use crate::{TlsError, durable, pem};

const ACCOUNT_KEY: &str = "acme_account+key";
const WHAT: &str = "cached certificate";

/// The directory.
pub(super) struct Cache(PathBuf);

/// A certificate that came from an authority, with its key.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

impl Cache {
    /// Makes the directory unless it is there, and makes sure that it can be written to: a
    /// certificate that can't be kept is ordered again at each start, until the authority refuses.
    pub(super) fn open(directory: &Path) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Cache { path: directory.to_owned(), source };
        if directory.is_file() {
            let reason = "it is a file and has to be a directory, as for Distribution 3";
            return Err(failed(io::Error::new(io::ErrorKind::NotADirectory, reason)));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let probe = directory.join(".wharf-can-write");
        durable::replace(&probe, b"", durable::PRIVATE)
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(failed)?;
        Ok(Self(directory.to_owned()))
    }

    /// The account's key, if there is one.
    pub(super) fn account_key(&self) -> Result<Option<PrivatePkcs8KeyDer<'static>>, TlsError> {
        let path = self.0.join(ACCOUNT_KEY);
        if !path.exists() {
            return Ok(None);
        }
        let key = pem::private_key(&path, &pem::read("key", &path)?)?;
        account_key::to_pkcs8(key).map(Some).ok_or_else(|| TlsError::UnusableKey {
            path,
            reason:
                "an account's key has to be ECDSA P-256; move the file away to get another account"
                    .into(),
        })
    }

    /// Keeps the account's key, as PEM.
    pub(super) fn put_account_key(&self, pem: &str) -> io::Result<()> {
        durable::replace(&self.0.join(ACCOUNT_KEY), pem.as_bytes(), durable::PRIVATE)
    }

    /// The certificate of a host, if there is one.
    pub(super) fn certificate(&self, host: &str) -> Result<Option<Issued>, TlsError> {
        let path = self.0.join(host);
        if !path.exists() {
            return Ok(None);
        }
        parse(&path, &pem::read(WHAT, &path)?).map(Some)
    }

    /// Checks that a key and the certificates that came for it can be served for a host, and keeps
    /// them.
    ///
    /// # Errors
    ///
    /// If they can't be served. That they can't be kept is only logged: they are good.
    pub(super) fn put_certificate(
        &self,
        host: &str,
        key_pem: &str,
        chain_pem: &str,
    ) -> Result<Issued, TlsError> {
        let path = self.0.join(host);
        let content = format!("{}\n{chain_pem}", key_pem.trim_end());
        let issued = parse(&path, content.as_bytes())?;
        if let Err(error) = durable::replace(&path, content.as_bytes(), durable::PRIVATE) {
            tracing::error!(
                file = %path.display(),
                "a new certificate is in use but cannot be kept, so it will be ordered again: {error}"
            );
        }
        Ok(issued)
    }
}

fn parse(path: &Path, content: &[u8]) -> Result<Issued, TlsError> {
    let damaged = |reason: String| TlsError::Damaged { what: WHAT, path: path.to_owned(), reason };
    let key = aws_lc_rs::default_provider()
        .key_provider
        .load_private_key(pem::private_key(path, content)?)
        .map_err(|error| damaged(error.to_string()))?;
    let chain = pem::certificates(WHAT, path, content)?;
    let leaf = chain.first().ok_or_else(|| damaged("no certificate".into()))?;
    let public_key = key.public_key().ok_or_else(|| damaged("no public key".into()))?;
    if !certificate::has_public_key(leaf, &public_key) {
        return Err(damaged("key and certificate do not belong together".into()));
    }
    let facts = Facts::of(leaf).ok_or_else(|| damaged("the dates cannot be read".into()))?;
    let host = path.file_name().unwrap_or_default().to_string_lossy();
    if !facts.hosts.iter().any(|name| name.eq_ignore_ascii_case(&host)) {
        return Err(damaged(format!("the certificate is not for {host}")));
    }
    Ok(Issued { certified: Arc::new(CertifiedKey::new(chain, key)), facts })
}
