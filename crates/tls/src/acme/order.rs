//! Ordering one certificate (RFC 8555, section 7.4).

use std::sync::Arc;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::resolver::Resolver;
use crate::{TlsError, limits};

/// Why no certificate came.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// What the authority said, or why it could not be asked.
    #[error("{}", chain(.0))]
    Authority(#[from] instant_acme::Error),
    /// The authority has looked and not seen the challenge's certificate.
    #[error(
        "the authority could not verify the host: {0}; it connects to port 443 of the host's \
         address, which has to lead to this server"
    )]
    Refused(String),
    /// The authority does not check in the one way that wharf has.
    #[error("the authority does not offer the challenge tls-alpn-01 for this host")]
    NoChallenge,
    /// The directory or what the authority gave can't be used.
    #[error(transparent)]
    Unusable(#[from] TlsError),
    /// A key or request could not be made.
    #[error("cannot make a key or request: {0}")]
    Crypto(#[from] rcgen::Error),
    /// Waiting was given up.
    #[error("no certificate: {0}")]
    Cut(String),
}

/// What an order gives.
pub(super) struct Ordered {
    pub(super) key_pem: String,
    pub(super) chain_pem: String,
}

/// Proves to the authority that the host leads here, and gets a certificate for it.
pub(super) async fn order(
    account: &Account,
    resolver: &Arc<Resolver>,
    host: &str,
) -> Result<Ordered, OrderError> {
    let identifiers = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let patience = RetryPolicy::new().timeout(limits::ACME_POLL_TIMEOUT);
    prove(&mut order, resolver, host, &patience).await?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain_pem = order.poll_certificate(&patience).await?;
    Ok(Ordered { key_pem: key.serialize_pem(), chain_pem })
}

/// Answers the order's challenges, and waits until the authority has looked.
async fn prove(
    order: &mut Order,
    resolver: &Arc<Resolver>,
    host: &str,
    patience: &RetryPolicy,
) -> Result<(), OrderError> {
    // Each is shown until the authority has made up its mind.
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge =
            authorization.challenge(ChallengeType::TlsAlpn01).ok_or(OrderError::NoChallenge)?;
        let digest = challenge.key_authorization().digest().as_ref().to_vec();
        open.push(resolver.challenge(host, &challenge_certificate(host, &digest)?));
        challenge.set_ready().await?;
    }
    match order.poll_ready(patience).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) | Err(instant_acme::Error::Api(_)) => Err(OrderError::Refused(
            reason(order).await.unwrap_or_else(|| "it gave no reason".into()),
        )),
        Err(error) => Err(error.into()),
    }
}

/// What the authority says against a challenge.
async fn reason(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let state = authorization.refresh().await.ok()?;
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return problem.detail.clone().or_else(|| problem.r#type.clone());
        }
    }
    None
}

/// The certificate that answers a challenge: for the host, self-signed, and with the digest of the
/// key authorization in an extension (RFC 8737, section 3).
pub(super) fn challenge_certificate(
    host: &str,
    digest: &[u8],
) -> Result<Arc<CertifiedKey>, OrderError> {
    if digest.len() != 32 {
        return Err(OrderError::Cut("the challenge's digest has the wrong size".into()));
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key =
        aws_lc_rs::default_provider().key_provider.load_private_key(der).map_err(TlsError::from)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.into()], key)))
}

/// An error with its causes: the HTTP client's own message says only that there was one.
fn chain(error: &instant_acme::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
