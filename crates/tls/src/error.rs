//! What can be wrong with certificates, keys and the options around them.

use std::io;
use std::path::PathBuf;

/// Why TLS can't be set up. The message names the file and says what to do about it; it never holds
/// any of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("cannot read the {what} {}: {source}", path.display())]
    Read {
        /// What the file is: `certificate`, `key` or `client CA`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is far too large to be what it should be.
    #[error("the {what} {} is larger than {limit_bytes} bytes", path.display())]
    TooLarge {
        /// What the file should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is read at most.
        limit_bytes: u64,
    },
    /// A file is not, or not yet, the PEM or DER that it should be.
    #[error("the {what} {} is damaged or only half written: {reason}", path.display())]
    Damaged {
        /// What the file should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is good PEM without what is looked for.
    #[error("there is no {what} in {}: {hint}", path.display())]
    Missing {
        /// What is looked for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What was found instead, or what the file should hold.
        hint: &'static str,
    },
    /// The key needs a password, which there is no way to give.
    #[error(
        "the key {} is encrypted with a password; write it without one, for example by `openssl pkey -in KEY -out PLAIN_KEY`",
        path.display()
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that is not supported.
    #[error("the key {} cannot be used: {reason}", path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Key and certificate do not belong together.
    #[error(
        "the key {} does not belong to the certificate {}: they must be made together (the server's own certificate has to come first in its file)",
        key.display(), certificate.display()
    )]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A client authority can't be used as one.
    #[error("certificate {index} in the client CA file {} cannot be used: {reason}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Which certificate of the file, from 1.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A cipher suite has a name that Go does not know.
    #[error(
        "unknown TLS cipher suite '{name}' specified for http.tls.ciphersuites; known are {known}"
    )]
    UnknownCipherSuite {
        /// The name as it was given.
        name: String,
        /// The names to choose from.
        known: String,
    },
    /// Only weak cipher suites were asked for, and none of them is built in.
    #[error(
        "none of the cipher suites in http.tls.ciphersuites can be used, all are weak; leave the key out, or use some of {known}"
    )]
    NoCipherSuite {
        /// The names to choose from.
        known: String,
    },
    /// No names to get certificates for.
    #[error(
        "http.tls.letsencrypt.hosts is empty; list the DNS names that clients use, such as registry.example.com"
    )]
    NoHosts,
    /// More names than one server orders certificates for.
    #[error("http.tls.letsencrypt.hosts lists more than {limit} names")]
    TooManyHosts {
        /// How many there may be.
        limit: usize,
    },
    /// Something that an authority gives no certificate for by TLS-ALPN-01.
    #[error("'{host}' in http.tls.letsencrypt.hosts cannot be used: {reason}")]
    BadHost {
        /// The host as it was given.
        host: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The address of the ACME directory is not one.
    #[error("http.tls.letsencrypt.directoryurl is not an https:// address: '{url}'")]
    BadDirectoryUrl {
        /// The address without user name and password.
        url: String,
    },
    /// The directory for certificates can't be used.
    #[error("cannot use {} to keep certificates (http.tls.letsencrypt.cachefile): {source}", path.display())]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The TLS library refused something.
    #[error("cannot set up TLS: {0}")]
    Rustls(#[from] rustls::Error),
}
