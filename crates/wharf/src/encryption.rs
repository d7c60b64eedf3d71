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

#[cfg(test)]
mod tests {
    use super::*;

    fn options_of(tls: &str) -> Options {
        let text = format!(
            "version: 0.1\nstorage: inmemory\nhttp:\n  http2: {{disabled: true}}\n  tls: {{{tls}}}\n"
        );
        let source = config::Source::new("config.yml", text);
        let loaded = config::load(&source, &config::Environment::default()).unwrap();
        options(&loaded.config).unwrap()
    }

    #[test]
    fn every_key_gets_there() {
        let given = options_of(
            "certificate: /c, key: /k, clientcas: [/a, /b], minimumtls: tls1.3, \
             clientauth: verify-client-cert-if-given, \
             ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
        );
        let CertificateSource::Files { certificate, key } = &given.source else {
            panic!("{given:?}")
        };
        assert_eq!((certificate.to_str(), key.to_str()), (Some("/c"), Some("/k")));
        assert_eq!(given.client_cas, ["/a", "/b"].map(std::path::PathBuf::from));
        assert_eq!(given.client_auth, ClientAuth::VerifyIfGiven);
        assert_eq!(given.minimum_version, MinimumVersion::Tls13);
        assert_eq!(given.cipher_suites, ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
        assert!(!given.http2);

        let given = options_of(
            "letsencrypt: {cachefile: /d, email: a@b.example, hosts: [r.example.com], \
             directoryurl: 'https://acme.example.com/dir'}",
        );
        let CertificateSource::Acme(acme) = &given.source else { panic!("{given:?}") };
        assert_eq!(acme.directory.to_str(), Some("/d"));
        assert_eq!(acme.email.as_deref(), Some("a@b.example"));
        assert_eq!(acme.hosts, ["r.example.com"]);
        assert_eq!(acme.directory_url.as_deref(), Some("https://acme.example.com/dir"));
        assert_eq!(given.minimum_version, MinimumVersion::Tls12);
    }

    #[test]
    fn every_way_to_ask_clients_gets_there() {
        for (name, mode) in [
            ("request-client-cert", ClientAuth::Request),
            ("require-any-client-cert", ClientAuth::RequireAny),
            ("verify-client-cert-if-given", ClientAuth::VerifyIfGiven),
            ("require-and-verify-client-cert", ClientAuth::RequireAndVerify),
        ] {
            let tls = format!("certificate: c, key: k, clientcas: [a], clientauth: {name}");
            assert_eq!(options_of(&tls).client_auth, mode);
        }
        let default = options_of("certificate: c, key: k, clientcas: [a]");
        assert_eq!(default.client_auth, ClientAuth::RequireAndVerify);
    }
}
