//! From options and the files' content to a configuration of the TLS library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache,
    StoresServerSessions,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::contents::{Contents, Pair};
use crate::acme::{self, Acme};
use crate::certificate::{self, Facts};
use crate::options::{CertificateSource, ClientAuth, MinimumVersion, Options};
use crate::{TlsError, client, limits, pem, suites};

const TLS13_ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The options, checked: what stays the same while the files change.
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) client_cas: Vec<PathBuf>,
    pub(super) client_auth: ClientAuth,
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    protocols: Vec<Vec<u8>>,
    resumption: Option<Resumption>,
}

/// Where certificate and key are.
pub(super) enum Source {
    Files { certificate: PathBuf, key: PathBuf },
    Acme(Arc<acme::Resolver>),
}

/// How clients resume sessions, which outlives a change of certificate.
///
/// There is none where certificates of clients are checked: a session remembers that one was good,
/// but it may have expired since, and its authority may have been taken away.
struct Resumption {
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Resumption {
    fn new() -> Result<Self, TlsError> {
        Ok(Self {
            tickets: Ticketer::new()?,
            sessions: ServerSessionMemoryCache::new(limits::SESSIONS_MAX),
        })
    }
}

impl Plan {
    pub(super) fn new(options: Options, acme: Option<&Acme>) -> Result<Self, TlsError> {
        let provider = Arc::new(suites::provider(&options)?);
        let versions = match options.minimum_version {
            MinimumVersion::Tls12 => rustls::ALL_VERSIONS,
            MinimumVersion::Tls13 => TLS13_ONLY,
        };
        let mut protocols = Vec::new();
        if options.http2 {
            protocols.push(b"h2".to_vec());
        }
        protocols.push(b"http/1.1".to_vec());
        let source = match (options.source, acme) {
            (CertificateSource::Files { certificate, key }, _) => {
                Source::Files { certificate, key }
            }
            (CertificateSource::Acme(_), acme) => {
                protocols.push(acme::PROTOCOL.to_vec());
                Source::Acme(acme.map(Acme::resolver).unwrap_or_default())
            }
        };
        let Options { client_cas, client_auth, .. } = options;
        let checks_clients = client_auth.verifies() && !client_cas.is_empty();
        let resumption = if checks_clients { None } else { Some(Resumption::new()?) };
        Ok(Self { source, client_cas, client_auth, provider, versions, protocols, resumption })
    }

    /// The files that are followed.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let pair: &[&Path] = match &self.source {
            Source::Files { certificate, key } => &[certificate, key],
            Source::Acme(_) => &[],
        };
        let pair = pair.to_vec();
        pair.into_iter().chain(self.client_cas.iter().map(PathBuf::as_path))
    }

    pub(super) fn build(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = match (&self.source, &contents.pair) {
            (Source::Files { certificate, key }, Some(pair)) => {
                Arc::new(SingleCertAndKey::from(self.certified_key(certificate, key, pair)?))
            }
            (Source::Files { certificate, .. }, None) => {
                let hint = "it was not read";
                return Err(TlsError::Missing {
                    what: "certificate",
                    path: certificate.clone(),
                    hint,
                });
            }
            (Source::Acme(resolver), _) => resolver.clone(),
        };
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.versions)?;
        let builder = if self.client_cas.is_empty() {
            builder.with_no_client_auth()
        } else {
            let authorities = client::Authorities::parse(&contents.client_cas)?;
            let verifier = client::verifier(self.client_auth, authorities, &self.provider);
            builder.with_client_cert_verifier(verifier)
        };
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols.clone_from(&self.protocols);
        match &self.resumption {
            Some(resumption) => {
                config.ticketer = resumption.tickets.clone();
                config.session_storage = resumption.sessions.clone();
            }
            // Without a ticketer there are no tickets of TLS 1.2 either.
            None => {
                config.send_tls13_tickets = 0;
                config.session_storage = Arc::new(NoServerSessionStorage {});
            }
        }
        Ok(config)
    }

    /// Logs what a person should mend about a configuration that was made: once, and not again at
    /// each look at files that can't be used.
    pub(super) fn warn(&self, contents: &Contents) {
        let (Source::Files { certificate, key }, Some(pair)) = (&self.source, &contents.pair)
        else {
            if !suites::can_sign(&self.provider, |schemes| schemes.contains(&suites::ECDSA_P256)) {
                suites::warn("keys of ACME certificates are ECDSA");
            }
            return;
        };
        let Ok(certified) = self.certified_key(certificate, key, pair) else { return };
        if let Some(facts) = certified.cert.first().and_then(Facts::of) {
            facts.warn(certificate, Timestamp::now());
        }
        let key = certified.key;
        if !suites::can_sign(&self.provider, |schemes| key.choose_scheme(schemes).is_some()) {
            suites::warn("the key is of another kind");
        }
    }

    /// What the certificate of a file says about itself; nothing with ACME.
    pub(super) fn facts(&self, contents: &Contents) -> Option<Facts> {
        let (Source::Files { certificate, .. }, Some(pair)) = (&self.source, &contents.pair) else {
            return None;
        };
        let chain = pem::certificates("certificate", certificate, &pair.certificate).ok()?;
        Facts::of(chain.first()?)
    }

    /// The pair, if key and certificate belong together.
    fn certified_key(
        &self,
        certificate_path: &Path,
        key_path: &Path,
        pair: &Pair,
    ) -> Result<CertifiedKey, TlsError> {
        let chain = pem::certificates("certificate", certificate_path, &pair.certificate)?;
        let key = pem::private_key(key_path, &pair.key)?;
        let key = self.provider.key_provider.load_private_key(key).map_err(|error| {
            TlsError::UnusableKey { path: key_path.to_owned(), reason: error.to_string() }
        })?;
        let Some(leaf) = chain.first() else {
            return Err(TlsError::Rustls(rustls::Error::NoCertificatesPresented));
        };
        if let Some(public_key) = key.public_key()
            && !certificate::has_public_key(leaf, &public_key)
        {
            return Err(TlsError::KeyMismatch {
                certificate: certificate_path.to_owned(),
                key: key_path.to_owned(),
            });
        }
        Ok(CertifiedKey::new(chain, key))
    }
}
