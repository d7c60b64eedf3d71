//! What a server's certificate says about itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// The facts of a certificate that wharf acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// From when on it is good.
    pub(crate) not_before: Timestamp,
    /// Until when it is good.
    pub(crate) not_after: Timestamp,
    /// The DNS names and addresses that it is for.
    pub(crate) hosts: Vec<String>,
    /// Whether it says that its key may sign certificates.
    pub(crate) is_authority: bool,
}

impl Facts {
    /// Reads them; nothing if the certificate is not DER, which [`crate::pem`] has made sure of.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self {
            not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
            hosts: hosts(&parsed),
            is_authority: parsed.is_ca(),
        })
    }

    /// Logs what a person should mend, but what is served all the same, as Distribution does.
    pub(crate) fn warn(&self, path: &std::path::Path, now: Timestamp) {
        let path = path.display();
        if self.not_after < now {
            tracing::error!(
                certificate = %path,
                "the certificate expired at {}; clients refuse it until it is renewed",
                self.not_after
            );
        } else if self.not_before > now {
            tracing::error!(
                certificate = %path,
                "the certificate is not valid before {}; is the clock right?",
                self.not_before
            );
        }
        if self.hosts.is_empty() {
            tracing::warn!(
                certificate = %path,
                "the certificate has no subject alternative names, so docker and other clients \
                 refuse it; `wharf cert new HOST` makes one that has"
            );
        }
    }
}

/// Whether a key's public half is the certificate's. The library's own comparison refuses to read
/// certificates of version 1, which `openssl x509 -req` makes and Distribution serves.
pub(crate) fn has_public_key(
    certificate: &CertificateDer<'_>,
    public_key: &SubjectPublicKeyInfoDer<'_>,
) -> bool {
    x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == public_key.as_ref())
}

fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => address(octets),
            _ => None,
        })
        .collect()
}

/// The text of an IP address in a certificate.
pub(crate) fn address(octets: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).to_string())
}
