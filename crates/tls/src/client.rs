//! Certificates of clients: asking for them, checking them, naming who they stand for.

mod authorities;
mod signature;

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use x509_parser::extensions::GeneralName;

use crate::limits;
use crate::options::ClientAuth;
pub(crate) use authorities::Authorities;

/// What checks the certificates of clients in this mode.
pub(crate) fn verifier(
    mode: ClientAuth,
    authorities: Authorities,
    provider: &Arc<CryptoProvider>,
) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Verifier {
        mode,
        hints: authorities.subjects(),
        authorities,
        provider: provider.clone(),
    })
}

/// Lets certificates through whose key the client has, and in some modes only those that the
/// authorities vouch for.
#[derive(Debug)]
struct Verifier {
    mode: ClientAuth,
    hints: Vec<DistinguishedName>,
    authorities: Authorities,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mode.requires()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.mode.verifies() {
            let algorithms = self.provider.signature_verification_algorithms.all;
            self.authorities.check(end_entity, intermediates, now, algorithms)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        signature::check_tls12(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        signature::check_tls13(message, cert, dss, algorithms)
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
