//! What a server is asked to be, as plain typed values.

use std::path::PathBuf;

/// How the server proves who it is, and whom it lets in. The keys of `http.tls` in Distribution's
/// configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the server's certificate comes from.
    pub source: CertificateSource,
    /// PEM files with the authorities that client certificates are checked against
    /// (`http.tls.clientcas`). Without any, no client is asked for a certificate.
    pub client_cas: Vec<PathBuf>,
    /// What is asked of clients (`http.tls.clientauth`); without `client_cas` it means nothing.
    pub client_auth: ClientAuth,
    /// The oldest version of TLS that is spoken (`http.tls.minimumtls`).
    pub minimum_version: MinimumVersion,
    /// The cipher suites of TLS 1.2 by the names of Go's constants (`http.tls.ciphersuites`); empty
    /// for all good ones. The suites of TLS 1.3 are always on, as in Go.
    pub cipher_suites: Vec<String>,
    /// Whether HTTP/2 is offered (ALPN `h2`); HTTP/1.1 always is.
    pub http2: bool,
}

/// Where the server's certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// PEM files (`http.tls.certificate` and `http.tls.key`), read again when they change.
    Files {
        /// The server's certificate, followed by the intermediate ones.
        certificate: PathBuf,
        /// Its private key, not encrypted: PKCS #8, PKCS #1 or SEC 1.
        key: PathBuf,
    },
    /// An authority that speaks ACME (RFC 8555), such as Let's Encrypt.
    Acme(AcmeOptions),
}

/// The keys of `http.tls.letsencrypt`.
#[derive(Clone, Debug)]
pub struct AcmeOptions {
    /// The directory that keeps the account and the certificates (`cachefile`). It has the layout
    /// of Go's `autocert.DirCache`, so one that Distribution filled is taken over.
    pub directory: PathBuf,
    /// Whom the authority may write to (`email`).
    pub email: Option<String>,
    /// The DNS names to get certificates for (`hosts`); at least one.
    pub hosts: Vec<String>,
    /// The address of the authority's ACME directory (`directoryurl`); Let's Encrypt's unless set.
    pub directory_url: Option<String>,
}

/// What is asked of a client when it connects (`http.tls.clientauth`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// `request-client-cert`: asked for a certificate, which may be missing and is not checked.
    Request,
    /// `require-any-client-cert`: must have a certificate, which is not checked.
    RequireAny,
    /// `verify-client-cert-if-given`: asked for a certificate, which must be good if it is sent.
    VerifyIfGiven,
    /// `require-and-verify-client-cert`: must have a good certificate.
    #[default]
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether a certificate that got through was checked against the authorities.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    /// Whether a client without a certificate is turned away.
    #[must_use]
    pub fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinimumVersion {
    /// TLS 1.2 (RFC 5246) and 1.3.
    #[default]
    Tls12,
    /// Only TLS 1.3 (RFC 8446).
    Tls13,
}
