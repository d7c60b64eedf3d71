//! Certificates from an authority that speaks ACME (RFC 8555), proven by TLS-ALPN-01 (RFC 8737).

mod resolver;

use std::sync::Arc;

use crate::{AcmeOptions, TlsError};
pub(crate) use resolver::Resolver;

/// The protocol that a challenge's connection asks for by ALPN (RFC 8737, section 6.2).
pub(crate) const PROTOCOL: &[u8] = b"acme-tls/1";

/// Whether a connection whose handshake is done was only the authority looking at a challenge's
/// certificate. It carries no data and is to be closed (RFC 8737, section 3).
#[must_use]
pub fn is_challenge(connection: &rustls::ServerConnection) -> bool {
    connection.alpn_protocol() == Some(PROTOCOL)
}

/// An account with an authority, and the certificates that it gave.
pub(crate) struct Acme {
    resolver: Arc<Resolver>,
}

impl Acme {
    /// Checks the options and takes over what the directory holds.
    pub(crate) fn load(options: AcmeOptions) -> Result<Self, TlsError> {
        if options.hosts.is_empty() {
            return Err(TlsError::NoHosts);
        }
        Ok(Self { resolver: Arc::new(Resolver::default()) })
    }

    pub(crate) fn resolver(&self) -> Arc<Resolver> {
        self.resolver.clone()
    }

    pub(crate) async fn run(&self) {}
}
