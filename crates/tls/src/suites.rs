//! Cipher suites by the names of Go's constants.

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::{SignatureScheme, SupportedCipherSuite};

use crate::TlsError;
use crate::options::{MinimumVersion, Options};

/// Suites of TLS 1.2 that can be chosen.
const TLS12: [(&str, SupportedCipherSuite); 6] = [
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Names that older versions of Go have without the digest.
const ALIASES: [(&str, &str); 2] = [
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// Suites of TLS 1.3: always on, so naming them changes nothing.
const TLS13: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Suites that Go has a constant for and that wharf does not speak: no forward secrecy, CBC, RC4 or
/// triple DES.
const WEAK: [&str; 16] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// The cryptography for these options: all good suites, or those that were asked for and the ones
/// of TLS 1.3.
///
/// # Errors
///
/// A name that Go does not know, or nothing but weak suites.
pub(crate) fn provider(options: &Options) -> Result<CryptoProvider, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    let names = &options.cipher_suites;
    if names.is_empty() {
        return Ok(provider);
    }
    if options.minimum_version == MinimumVersion::Tls13 {
        tracing::warn!(
            "http.tls.ciphersuites is ignored: with minimumtls tls1.3 the suites cannot be chosen"
        );
        return Ok(provider);
    }
    let mut chosen = Vec::new();
    let mut names_tls13 = false;
    for name in names {
        match Named::of(name) {
            Some(Named::Tls12(suite)) if !chosen.contains(&suite) => chosen.push(suite),
            Some(Named::Tls12(_)) => {}
            Some(Named::Tls13) => names_tls13 = true,
            Some(Named::Weak) => {
                tracing::warn!(
                    suite = name.as_str(),
                    "a weak cipher suite in http.tls.ciphersuites is skipped"
                );
            }
            None => {
                return Err(TlsError::UnknownCipherSuite { name: name.clone(), known: known() });
            }
        }
    }
    if chosen.is_empty() && !names_tls13 {
        return Err(TlsError::NoCipherSuite { known: known() });
    }
    provider.cipher_suites.retain(|suite| suite.tls13().is_some());
    provider.cipher_suites.extend(chosen);
    Ok(provider)
}

/// The signatures that a usual ECDSA key makes.
pub(crate) const ECDSA_P256: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

/// Whether a key that can make some of the signatures given to `fits` can be used under TLS 1.2,
/// where the suite says what kind of key it is for; also true where TLS 1.2 has no suite at all.
pub(crate) fn can_sign(
    provider: &CryptoProvider,
    fits: impl Fn(&[SignatureScheme]) -> bool,
) -> bool {
    let mut tls12 = provider.cipher_suites.iter().filter_map(|suite| match suite {
        SupportedCipherSuite::Tls12(suite) => Some(suite),
        SupportedCipherSuite::Tls13(_) => None,
    });
    let mut any = false;
    tls12.any(|suite| {
        any = true;
        fits(suite.sign)
    }) || !any
}

/// Says that no client of TLS 1.2 can connect.
pub(crate) fn warn(kind_of_key: &str) {
    tracing::warn!(
        "clients that speak only TLS 1.2 cannot connect: {kind_of_key}, and no suite in \
         http.tls.ciphersuites is for it (ECDHE_ECDSA needs an ECDSA key, ECDHE_RSA an RSA key)"
    );
}

/// What a name of Go's stands for.
enum Named {
    Tls12(SupportedCipherSuite),
    Tls13,
    Weak,
}

impl Named {
    fn of(name: &str) -> Option<Self> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, full)| full);
        if let Some((_, suite)) = TLS12.iter().find(|(known, _)| *known == name) {
            return Some(Self::Tls12(*suite));
        }
        if TLS13.contains(&name) {
            return Some(Self::Tls13);
        }
        WEAK.contains(&name).then_some(Self::Weak)
    }
}

/// The names to choose from, for people.
fn known() -> String {
    let names: Vec<_> = TLS12.iter().map(|(name, _)| *name).chain(TLS13).collect();
    names.join(", ")
}
