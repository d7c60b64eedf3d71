//! From `http.tls` to what connections are encrypted with.

use std::sync::Arc;

use config::{Config, Tls};
use tls::{AcmeOptions, CertificateSource, ClientAuth, MinimumVersion, Options, Server};

/// Loads certificate and key, or the account of Let's Encrypt; nothing when TLS is not configured.
///
/// # Errors
/// Whatever is wrong with the files, with its reason.
pub(crate) fn load(config: &Config) -> anyhow::Result<Option<Arc<Server>>> {
    match options(config) {
        Some(options) => Ok(Some(Server::load(options)?)),
        None => Ok(None),
    }
}

fn options(config: &Config) -> Option<Options> {
    let tls = &config.http.tls;
    Some(Options {
        source: source(tls)?,
        client_cas: tls.client_cas.clone(),
        client_auth: match tls.client_auth.as_str() {
            "request-client-cert" => ClientAuth::Request,
            "require-any-client-cert" => ClientAuth::RequireAny,
            "verify-client-cert-if-given" => ClientAuth::VerifyIfGiven,
            _ => ClientAuth::RequireAndVerify,
        },
        minimum_version: match tls.minimum_tls.as_str() {
            "tls1.3" => MinimumVersion::Tls13,
            // What is older can't be had; the configuration has warned about it.
            _ => MinimumVersion::Tls12,
        },
        cipher_suites: tls.cipher_suites.clone(),
        http2: config.http.http2,
    })
}

fn source(tls: &Tls) -> Option<CertificateSource> {
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        return Some(CertificateSource::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        });
    }
    let acme = &tls.lets_encrypt;
    Some(CertificateSource::Acme(AcmeOptions {
        directory: acme.cache_directory.clone()?,
        email: acme.email.clone(),
        hosts: acme.hosts.clone(),
        directory_url: acme.directory_url.clone(),
    }))
}
