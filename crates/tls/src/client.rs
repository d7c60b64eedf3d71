//! Certificates of clients: asking for them, checking them, naming who they stand for.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use x509_parser::extensions::GeneralName;

use crate::options::ClientAuth;
use crate::{TlsError, limits, pem};

/// The authorities in the files' contents.
pub(crate) fn authorities(files: &[(PathBuf, Vec<u8>)]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (path, content) in files {
        for (at, certificate) in
            pem::certificates("client CA", path, content)?.into_iter().enumerate()
        {
            roots.add(certificate).map_err(|error| TlsError::ClientCa {
                path: path.clone(),
                index: at + 1,
                reason: error.to_string(),
            })?;
        }
    }
    Ok(roots)
}

/// What checks the certificates of clients in this mode.
pub(crate) fn verifier(
    mode: ClientAuth,
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if !mode.verifies() {
        let hints = roots.subjects();
        let provider = provider.clone();
        return Ok(Arc::new(AnyCertificate { mandatory: mode.requires(), hints, provider }));
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if !mode.requires() {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| TlsError::Rustls(rustls::Error::General(error.to_string())))
}

/// Lets any certificate through whose key the client has.
#[derive(Debug)]
struct AnyCertificate {
    mandatory: bool,
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whom a certificate stands for: its subject's common name, or else its first alternative name.
/// Control characters are escaped and the length is bounded, because it goes to logs.
pub(crate) fn identity(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let common_name = certificate
        .subject()
        .iter_common_name()
        .find_map(|name| name.as_str().ok())
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    let name = common_name.or_else(|| {
        let names = certificate.subject_alternative_name().ok()??;
        names.value.general_names.iter().find_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                Some((*name).to_owned())
            }
            GeneralName::IPAddress(octets) => crate::certificate::address(octets),
            _ => None,
        })
    })?;
    Some(name.chars().flat_map(printable).take(limits::IDENTITY_CHARS_MAX).collect())
}

fn printable(character: char) -> impl Iterator<Item = char> {
    let escaped = character.is_control().then(|| character.escape_default());
    let kept = (!character.is_control()).then_some(character);
    escaped.into_iter().flatten().chain(kept)
}
