//! Who vouches for clients: the certificates in `http.tls.clientcas`, by the rules of Go.
//!
//! The TLS library's own verification is stricter than Go's: it takes neither certificates of
//! version 1, which OpenSSL's `x509 -req` made for decades, nor authorities for clients, which
//! `openssl req -x509` makes. And it is looser: whatever is listed may sign, at any time. The path
//! through intermediate certificates is left to it, and the rest is here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime,
};
use rustls::{CertificateError, DistinguishedName, OtherError};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter};
use x509_parser::certificate::{Validity, X509Certificate};
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::x509::X509Version;

use super::signature;
use crate::{TlsError, pem};

type Algorithms = [&'static dyn SignatureVerificationAlgorithm];

/// The certificates that are listed.
#[derive(Debug)]
pub(crate) struct Authorities {
    listed: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    der: CertificateDer<'static>,
    /// The name with its head, as it stands in what it signed.
    subject: Vec<u8>,
    public_key: SubjectPublicKeyInfoDer<'static>,
    anchor: TrustAnchor<'static>,
    period: Period,
    may_sign: bool,
}

/// When a certificate is good, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Period {
    from_secs: i64,
    until_secs: i64,
}

/// Why a certificate is refused that the library has no own name for.
#[derive(thiserror::Error)]
enum Refused {
    #[error("the certificate is not for clients by its extended key usage")]
    NotForClients,
    #[error("the certificate has a critical extension that is not known here")]
    CriticalExtension,
    #[error("{0}")]
    Other(webpki::Error),
}

/// The library shows errors of others so.
impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl From<Refused> for CertificateError {
    fn from(refused: Refused) -> Self {
        Self::Other(OtherError(Arc::new(refused)))
    }
}

impl Authorities {
    /// Those in the files' contents.
    pub(crate) fn parse(files: &[(PathBuf, Vec<u8>)]) -> Result<Self, TlsError> {
        let mut listed = Vec::new();
        for (path, content) in files {
            let certificates = pem::certificates("client CA", path, content)?;
            for (at, der) in certificates.into_iter().enumerate() {
                let certificate = Listed::of(der).map_err(|reason| TlsError::ClientCa {
                    path: path.clone(),
                    index: at + 1,
                    reason,
                })?;
                listed.push(certificate);
            }
        }
        Ok(Self { listed })
    }

    /// Their names, for clients to choose a certificate by.
    pub(super) fn subjects(&self) -> Vec<DistinguishedName> {
        let name = |one: &Listed| DistinguishedName::in_sequence(&one.anchor.subject);
        self.listed.iter().map(name).collect()
    }

    /// Whether a client's certificate is good: it is listed itself, or signed by one that is, if
    /// need be through the `others` that came with it.
    ///
    /// # Errors
    /// Why it isn't.
    pub(super) fn check(
        &self,
        der: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &Algorithms,
    ) -> Result<(), CertificateError> {
        let Ok(([], certificate)) = x509_parser::parse_x509_certificate(der) else {
            return Err(CertificateError::BadEncoding);
        };
        if self.listed.iter().any(|one| one.der == *der) {
            return check_itself(&certificate, now);
        }
        let is_leaf = certificate.version() == X509Version::V3 && !certificate.is_ca();
        let checked = match is_leaf {
            true => self.check_path(der, others, now, algorithms),
            false => self.check_signer(&certificate, now, algorithms),
        };
        match checked {
            Err(CertificateError::UnknownIssuer) => Err(self.no_issuer(&certificate, now)),
            checked => checked,
        }
    }

    /// As the library does it.
    fn check_path(
        &self,
        der: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &Algorithms,
    ) -> Result<(), CertificateError> {
        let anchors: Vec<_> = self.signing(now).map(|one| one.anchor.clone()).collect();
        EndEntityCert::try_from(der)
            .and_then(|leaf| {
                leaf.verify_for_usage(algorithms, &anchors, others, now, ForClients, None, None)
                    .map(drop)
            })
            .map_err(reason)
    }

    /// For what the library does not take for the end of a path: there is no path then, but a
    /// signature by one that is listed.
    fn check_signer(
        &self,
        certificate: &X509Certificate<'_>,
        now: UnixTime,
        algorithms: &Algorithms,
    ) -> Result<(), CertificateError> {
        let issuer = certificate.issuer().as_raw();
        let signed = certificate.tbs_certificate.as_ref();
        let signature = &certificate.signature_value.data;
        let has_signed = |one: &Listed| {
            // There may be no names here that constraints could be held against.
            one.subject == issuer
                && one.anchor.name_constraints.is_none()
                && signature::is_of(&one.public_key, algorithms, signed, signature)
        };
        if !self.signing(now).any(has_signed) {
            return Err(CertificateError::UnknownIssuer);
        }
        check_itself(certificate, now)
    }

    /// Those that may sign others at this time.
    fn signing(&self, now: UnixTime) -> impl Iterator<Item = &Listed> {
        self.listed.iter().filter(move |one| one.may_sign && one.period.check(now).is_ok())
    }

    /// Why there is no issuer: perhaps there was one.
    fn no_issuer(&self, certificate: &X509Certificate<'_>, now: UnixTime) -> CertificateError {
        let issuer = certificate.issuer().as_raw();
        let named = |one: &&Listed| one.may_sign && one.subject == issuer;
        let past = self.listed.iter().filter(named).find_map(|one| one.period.check(now).err());
        past.unwrap_or(CertificateError::UnknownIssuer)
    }
}

impl Listed {
    fn of(der: CertificateDer<'static>) -> Result<Self, String> {
        let anchor =
            webpki::anchor_from_trusted_cert(&der).map_err(|error| error.to_string())?.to_owned();
        let (_, certificate) =
            x509_parser::parse_x509_certificate(&der).map_err(|error| error.to_string())?;
        let subject = certificate.subject().as_raw().to_owned();
        let public_key = certificate.public_key().raw.to_owned().into();
        let period = Period::of(certificate.validity());
        let may_sign = may_sign(&certificate);
        Ok(Self { subject, public_key, anchor, period, may_sign, der })
    }
}

/// As Go has it: a certificate of version 3 must say that it is an authority, and none may say that
/// its key is for other things.
fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let signs = certificate
        .key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    let is_authority = certificate.version() != X509Version::V3 || certificate.is_ca();
    is_authority && signs && is_for_clients(certificate)
}

/// What a certificate says about itself.
fn check_itself(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    Period::of(certificate.validity()).check(now)?;
    let is_known = |extension: &X509Extension<'_>| {
        let is_unknown = matches!(
            extension.parsed_extension(),
            ParsedExtension::UnsupportedExtension { .. }
                | ParsedExtension::ParseError { .. }
                | ParsedExtension::Unparsed
        );
        !(extension.critical && is_unknown)
    };
    if !certificate.extensions().iter().all(is_known) {
        return Err(Refused::CriticalExtension.into());
    }
    match is_for_clients(certificate) {
        true => Ok(()),
        false => Err(Refused::NotForClients.into()),
    }
}

/// Whether it may be used by clients: it names no purposes, or theirs, or all.
fn is_for_clients(certificate: &X509Certificate<'_>) -> bool {
    certificate
        .extended_key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.any || usage.value.client_auth))
}

/// The same for the library's path.
struct ForClients;

/// 1.3.6.1.5.5.7.3.2 and 2.5.29.37.0, in DER (RFC 5280, section 4.2.1.12).
const CLIENTS: KeyPurposeId<'static> = KeyPurposeId::new(&[43, 6, 1, 5, 5, 7, 3, 2]);
const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&[85, 29, 37, 0]);

impl ExtendedKeyUsageValidator for ForClients {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut names_none = true;
        let mut is_for_clients = false;
        for purpose in purposes {
            let purpose = purpose?;
            names_none = false;
            is_for_clients |= purpose == CLIENTS || purpose == ANY;
        }
        match names_none || is_for_clients {
            true => Ok(()),
            #[expect(deprecated, reason = "what it names is not shown")]
            false => Err(webpki::Error::RequiredEkuNotFound),
        }
    }
}

impl Period {
    fn of(validity: &Validity) -> Self {
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Self { from_secs: from, until_secs: until }
    }

    fn check(self, now: UnixTime) -> Result<(), CertificateError> {
        let at = |secs: i64| {
            UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(secs).unwrap_or(0)))
        };
        let now_secs = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now_secs > self.until_secs {
            return Err(CertificateError::ExpiredContext {
                time: now,
                not_after: at(self.until_secs),
            });
        }
        if now_secs < self.from_secs {
            return Err(CertificateError::NotValidYetContext {
                time: now,
                not_before: at(self.from_secs),
            });
        }
        Ok(())
    }
}

/// The library's reason, in the words of the layer above where that has some.
fn reason(error: webpki::Error) -> CertificateError {
    use webpki::Error as E;
    match error {
        E::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
        E::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        // An authority that was made anew under the name of the one before.
        E::UnknownIssuer | E::InvalidSignatureForPublicKey => CertificateError::UnknownIssuer,
        #[expect(deprecated, reason = "made here")]
        E::RequiredEkuNotFound => Refused::NotForClients.into(),
        other => Refused::Other(other).into(),
    }
}
