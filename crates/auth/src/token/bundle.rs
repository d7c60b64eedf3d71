//! `rootcertbundle`: certificates that sign tokens, or the certificates of those that do.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, TrustAnchor};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

use super::key::{Key, libtrust_id};
use super::key_ring::TrustedKey;
use crate::limits::TOKEN_KEYS_MAX;

/// A trusted certificate.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    /// The whole of it.
    pub(crate) der: Arc<[u8]>,
    /// What of it verifies other certificates.
    pub(crate) anchor: TrustAnchor<'static>,
    validity: (i64, i64),
}

impl Anchor {
    /// Whether it is neither expired nor not yet valid, at a moment in seconds since 1970.
    pub(crate) const fn is_valid(&self, now_secs: i64) -> bool {
        self.validity.0 <= now_secs && now_secs <= self.validity.1
    }
}

/// What a bundle holds.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    /// Its certificates.
    pub(crate) anchors: Vec<Anchor>,
    /// The keys of the certificates, and bare public keys.
    pub(crate) keys: Vec<Arc<TrustedKey>>,
    /// What else is in the file and has no use there.
    pub(crate) left_out: Vec<String>,
}

impl Bundle {
    /// Reads a bundle in PEM (RFC 7468).
    ///
    /// # Errors
    /// Which part of it is wrong, and how.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self, String> {
        let mut bundle = Self::default();
        for (index, block) in Pem::iter_from_buffer(pem).enumerate() {
            let number = index + 1;
            let block = block.map_err(|_| format!("PEM block {number} is broken"))?;
            let added = match block.label.as_str() {
                "CERTIFICATE" => bundle.add_certificate(&block.contents),
                "PUBLIC KEY" => bundle.add_key(&block.contents),
                label => {
                    bundle.left_out.push(format!("PEM block {number} is a {label}"));
                    Ok(())
                }
            };
            added.map_err(|problem| format!("PEM block {number}: {problem}"))?;
            if bundle.keys.len() > TOKEN_KEYS_MAX {
                return Err(format!("more than {TOKEN_KEYS_MAX} certificates"));
            }
        }
        if bundle.keys.is_empty() {
            return Err("there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)".into());
        }
        Ok(bundle)
    }

    fn add_certificate(&mut self, der: &[u8]) -> Result<(), String> {
        let certificate = match X509Certificate::from_der(der) {
            Ok(([], certificate)) => certificate,
            _ => return Err("not an X.509 certificate".into()),
        };
        let owned = CertificateDer::from(der);
        let anchor = webpki::anchor_from_trusted_cert(&owned)
            .map_err(|error| format!("a certificate that can't be used: {error}"))?
            .to_owned();
        let validity = certificate.validity();
        self.anchors.push(Anchor {
            der: der.into(),
            anchor,
            validity: (validity.not_before.timestamp(), validity.not_after.timestamp()),
        });
        let spki = certificate.public_key();
        let key = Key::from_spki(spki)?;
        self.push(key, libtrust_id(spki.raw));
        Ok(())
    }

    fn add_key(&mut self, der: &[u8]) -> Result<(), String> {
        let key = Key::from_spki_der(der)?;
        self.push(key, libtrust_id(der));
        Ok(())
    }

    fn push(&mut self, key: Key, libtrust_id: String) {
        self.keys.push(Arc::new(TrustedKey::new(key, vec![libtrust_id], None)));
    }
}
