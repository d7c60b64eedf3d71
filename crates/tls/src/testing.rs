//! Authorities, certificates, files and handshakes for the tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SignatureAlgorithm, SigningKey as _, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{AcmeOptions, CertificateSource, ClientAuth, MinimumVersion, Options, Server};

/// An authority that exists for one test.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) pem: String,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pair {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| ())
    }

    /// One with a key of that kind.
    pub(crate) fn of(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        Self::made(name, KeyPair::generate_for(algorithm).unwrap(), |_| ())
    }

    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::made(name, KeyPair::generate().unwrap(), change)
    }

    fn made(name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    pub(crate) fn server(&self, host: &str) -> Pair {
        self.sign(host, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    pub(crate) fn client(&self, name: &str) -> Pair {
        self.sign("client.example", |params| {
            params.distinguished_name = common_name(name);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    pub(crate) fn expired(&self, host: &str) -> Pair {
        self.sign(host, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    pub(crate) fn sign(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// A certificate of version 1, as OpenSSL's `x509 -req` makes them without extensions.
    pub(crate) fn version_1(
        &self,
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let Pair { key, certificate } = self.sign(host, change);
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let parts = elements(&der);
        let (signed, algorithm) = (parts[0], parts[1]);
        // Neither the version nor the extensions.
        let kept: Vec<_> =
            elements(signed).into_iter().filter(|part| ![0xa0, 0xa3].contains(&part[0])).collect();
        let signed = element(0x30, &kept.concat());
        let signature = self.key.sign(&signed).unwrap();
        let signature = element(0x03, &[&[0], &signature[..]].concat());
        let der = element(0x30, &[&signed[..], algorithm, &signature].concat());
        Pair { certificate: pem("CERTIFICATE", &der), key }
    }

    /// The authority's own certificate, to show it.
    pub(crate) fn pair(&self) -> Pair {
        Pair { certificate: self.pem.clone(), key: self.key.serialize_pem() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        roots
    }
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut der = match content.len() {
        short @ 0..=0x7f => vec![tag, u8::try_from(short).unwrap()],
        0x80..=0xff => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    der.extend_from_slice(content);
    der
}

/// The elements in an element of DER.
fn elements(der: &[u8]) -> Vec<&[u8]> {
    fn lengths(der: &[u8]) -> (usize, usize) {
        match der[1] {
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
            short => (2, usize::from(short)),
        }
    }
    let mut rest = &der[lengths(der).0..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (head, content) = lengths(rest);
        let (one, others) = rest.split_at(head + content);
        found.push(one);
        rest = others;
    }
    found
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    if !name.is_empty() {
        names.push(DnType::CommonName, name);
    }
    names
}

/// A directory with `domain.crt` and `domain.key`.
pub(crate) struct Files {
    pub(crate) directory: tempfile::TempDir,
}

impl Files {
    pub(crate) fn with(pair: &Pair) -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        files.put("domain.crt", &pair.certificate);
        files.put("domain.key", &pair.key);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn options(&self) -> Options {
        options(self.directory.path())
    }
}

pub(crate) fn options(directory: &Path) -> Options {
    Options {
        source: CertificateSource::Files {
            certificate: directory.join("domain.crt"),
            key: directory.join("domain.key"),
        },
        client_cas: Vec::new(),
        client_auth: ClientAuth::default(),
        minimum_version: MinimumVersion::default(),
        cipher_suites: Vec::new(),
        http2: true,
    }
}

pub(crate) fn acme_options(directory: &Path, hosts: &[&str]) -> Options {
    Options {
        source: CertificateSource::Acme(AcmeOptions {
            directory: directory.to_owned(),
            email: None,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            directory_url: Some("https://localhost:1/dir".into()),
        }),
        ..options(directory)
    }
}

/// How a client connects.
pub(crate) struct Client {
    pub(crate) config: ClientConfig,
    pub(crate) name: ServerName<'static>,
}

/// What a client and the server saw of each other.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) suite: String,
    pub(crate) version: rustls::ProtocolVersion,
    pub(crate) identity: Option<String>,
    pub(crate) is_challenge: bool,
    pub(crate) resumed: bool,
}

impl Client {
    pub(crate) fn trusting(authority: &Authority) -> Self {
        Self::with(authority, None, aws_lc_rs::default_provider())
    }

    pub(crate) fn showing(authority: &Authority, pair: &Pair) -> Self {
        Self::with(authority, Some(pair), aws_lc_rs::default_provider())
    }

    /// Shows a certificate, and speaks one version of TLS only.
    pub(crate) fn speaking(
        authority: &Authority,
        pair: &Pair,
        version: &SupportedProtocolVersion,
    ) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| suite.version() == version);
        Self::with(authority, Some(pair), provider)
    }

    pub(crate) fn with(
        authority: &Authority,
        pair: Option<&Pair>,
        provider: CryptoProvider,
    ) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authority.roots());
        let config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                // Not the library's own way, which refuses certificates of version 1.
                let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
                let pair = CertifiedKey::new(vec![pair.der()], key);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
        };
        Self { config, name: ServerName::try_from("nas.lan").unwrap() }
    }

    pub(crate) fn calling(mut self, name: &'static str) -> Self {
        self.name = ServerName::try_from(name).unwrap();
        self
    }

    pub(crate) fn without_name(mut self) -> Self {
        self.config.enable_sni = false;
        self
    }

    pub(crate) fn offering(mut self, protocols: &[&[u8]]) -> Self {
        self.config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        self
    }

    /// Takes any certificate, as an authority does that looks at a challenge.
    pub(crate) fn trusting_all(mut self) -> Self {
        self.config.dangerous().set_certificate_verifier(Arc::new(TrustAll));
        self
    }

    /// Connects, and sends a byte each way. An error is what the server saw, or else the client.
    pub(crate) async fn connect(&self, server: &Server) -> Result<Seen, String> {
        let (near, far) = tokio::io::duplex(64 << 10);
        let accept = async {
            let mut stream = TlsAcceptor::from(server.config()).accept(far).await?;
            let byte = stream.read_u8().await?;
            stream.write_u8(byte).await?;
            stream.flush().await?;
            Ok::<_, std::io::Error>(stream)
        };
        let connect = async {
            let connector = TlsConnector::from(Arc::new(self.config.clone()));
            let mut stream = connector.connect(self.name.clone(), near).await?;
            stream.write_u8(7).await?;
            stream.flush().await?;
            assert_eq!(stream.read_u8().await?, 7);
            Ok::<_, std::io::Error>(stream)
        };
        let (accepted, connected) = tokio::join!(accept, connect);
        let accepted = accepted.map_err(|error| error.to_string())?;
        let connected = connected.map_err(|error| error.to_string())?;
        let (near, far) = (connected.get_ref().1, accepted.get_ref().1);
        Ok(Seen {
            certificate: near.peer_certificates().unwrap()[0].clone().into_owned(),
            alpn: far.alpn_protocol().map(<[u8]>::to_vec),
            suite: format!("{:?}", far.negotiated_cipher_suite().unwrap().suite()),
            version: far.protocol_version().unwrap(),
            identity: server.client_identity(far),
            is_challenge: crate::is_challenge(far),
            resumed: far.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        })
    }
}

#[derive(Debug)]
struct TrustAll;

impl rustls::client::danger::ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// What is logged on this thread while `work` runs.
pub(crate) fn logged<T>(work: impl FnOnce() -> T) -> (T, String) {
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || sink.clone())
        .finish();
    let result = tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (result, text)
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
