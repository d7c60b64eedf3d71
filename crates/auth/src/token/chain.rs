//! `x5c`: a token that brings the certificate of its key along (RFC 7515, section 4.1.6).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::bundle::Anchor;
use super::key::Key;
use crate::limits::TOKEN_CHAIN_CERTIFICATES_MAX;

/// The key of the first certificate of `x5c`, which one of the `anchors` vouches for: it is one of
/// them, or it is signed by one, if need be through the other certificates of `x5c`.
///
/// # Errors
/// Why it isn't trusted.
pub(crate) fn leaf_key(x5c: &[String], anchors: &[Anchor], now_secs: u64) -> Result<Key, String> {
    if x5c.len() > TOKEN_CHAIN_CERTIFICATES_MAX {
        return Err(format!("x5c has more than {TOKEN_CHAIN_CERTIFICATES_MAX} certificates"));
    }
    let decode = |text: &String| STANDARD.decode(text).map(CertificateDer::from);
    let chain: Vec<_> = x5c
        .iter()
        .map(decode)
        .collect::<Result<_, _>>()
        .map_err(|_| "x5c is not a list of certificates in base64")?;
    let (leaf, others) = chain.split_first().ok_or("x5c is empty")?;
    let certificate = match X509Certificate::from_der(leaf) {
        Ok(([], certificate)) => certificate,
        _ => return Err("x5c does not begin with an X.509 certificate".into()),
    };
    vouch(leaf, others, anchors, now_secs)?;
    Key::from_spki(certificate.public_key())
        .map_err(|problem| format!("the certificate in x5c has {problem}"))
}

fn vouch(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    anchors: &[Anchor],
    now_secs: u64,
) -> Result<(), String> {
    let now = i64::try_from(now_secs).unwrap_or(i64::MAX);
    // Self-signed certificates of token servers are authorities as a rule, which webpki doesn't
    // take for the end of a chain.
    if let Some(itself) = anchors.iter().find(|anchor| *anchor.der == **leaf) {
        return match itself.is_valid(now) {
            true => Ok(()),
            false => Err("the certificate in x5c is expired or not yet valid".into()),
        };
    }
    let valid: Vec<_> = anchors
        .iter()
        .filter(|anchor| anchor.is_valid(now))
        .map(|anchor| anchor.anchor.clone())
        .collect();
    EndEntityCert::try_from(leaf)
        .and_then(|leaf| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(now_secs));
            let algorithms = webpki::ALL_VERIFICATION_ALGS;
            leaf.verify_for_usage(algorithms, &valid, others, time, AnyUsage, None, None)
                .map(|_| ())
        })
        .map_err(|error| format!("rootcertbundle does not vouch for x5c: {error}"))
}

/// Certificates may be for anything: there is no extended key usage for tokens.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, mut iter: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        iter.try_for_each(|usage| usage.map(drop))
    }
}
