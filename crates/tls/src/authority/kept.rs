//! What is in the directory already.

use jiff::Timestamp;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::ParsedExtension;

use super::{AuthorityError, Files};
use crate::certificate::Facts;
use crate::pem;

/// An authority that can sign.
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
    pub(super) until: Timestamp,
}

/// The authority in the directory, if there is one.
pub(super) fn authority(
    files: &Files,
    now: Timestamp,
) -> Result<Option<Authority>, AuthorityError> {
    let (certificate, key) = (&files.authority, &files.authority_key);
    match (certificate.exists(), key.exists()) {
        (false, false) => return Ok(None),
        (true, true) => {}
        (has_certificate, _) => {
            let (there, missing) =
                if has_certificate { (certificate, key) } else { (key, certificate) };
            let (there, missing) = (there.clone(), missing.clone());
            return Err(AuthorityError::HalfAuthority { there, missing });
        }
    }
    let unusable =
        |reason: String| AuthorityError::UnusableAuthority { path: certificate.clone(), reason };
    let content = pem::read("authority's certificate", certificate)?;
    let found = pem::certificates("authority's certificate", certificate, &content)?;
    let found = found.into_iter().next().ok_or_else(|| unusable("is empty".into()))?;
    let facts = Facts::of(&found).ok_or_else(|| unusable("cannot be read".into()))?;
    if !facts.is_authority {
        return Err(unusable("is not an authority's certificate".into()));
    }
    if facts.not_after <= now {
        return Err(unusable(format!("expired at {}", facts.not_after)));
    }
    let private = pem::private_key(key, &pem::read("authority's key", key)?)?;
    let key = KeyPair::try_from(&private)
        .map_err(|error| unusable(format!("has a key that cannot be used ({error})")))?;
    if !has_key(&found, &key) {
        return Err(unusable("does not belong to ca.key".into()));
    }
    Ok(Some(Authority { certificate: found, key, until: facts.not_after }))
}

/// Whether the server has a certificate that this authority made.
///
/// # Errors
///
/// If it has one from somewhere else, or only half of a pair.
pub(super) fn is_renewal(
    files: &Files,
    authority: Option<&Authority>,
) -> Result<bool, AuthorityError> {
    let not_ours = |path: &std::path::Path| AuthorityError::NotOurs {
        path: path.to_owned(),
        authority: files.authority.clone(),
    };
    if !files.certificate.exists() {
        return if files.key.exists() { Err(not_ours(&files.key)) } else { Ok(false) };
    }
    let Some(authority) = authority else { return Err(not_ours(&files.certificate)) };
    let content = pem::read("certificate", &files.certificate)?;
    let chain = pem::certificates("certificate", &files.certificate, &content)
        .map_err(|_| not_ours(&files.certificate))?;
    match chain.first() {
        Some(leaf) if came_from(leaf, &authority.certificate) => Ok(true),
        _ => Err(not_ours(&files.certificate)),
    }
}

/// Whether a certificate names this authority and its key as its issuer.
fn came_from(leaf: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    let (Ok((_, leaf)), Ok((_, authority))) =
        (x509_parser::parse_x509_certificate(leaf), x509_parser::parse_x509_certificate(authority))
    else {
        return false;
    };
    let issuer_key =
        leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(named) => named.key_identifier.as_ref(),
            _ => None,
        });
    let own_key =
        authority.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(own) => Some(own),
            _ => None,
        });
    leaf.issuer().as_raw() == authority.subject().as_raw()
        && issuer_key.is_some()
        && issuer_key == own_key
}

fn has_key(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, parsed)| {
        parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
    })
}
