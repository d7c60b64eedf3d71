//! Certificates: the upstream's, and wharf's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use proxy::{TlsOptions, Upstream, UpstreamError, UpstreamOptions, UpstreamSetupError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::fake::{Act, FakeRegistry};
use crate::{MANIFEST, OCI_MANIFEST, asking, name, options, reference};

struct Files {
    directory: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        Self { directory: TempDir::new().unwrap(), authority }
    }

    fn issue(&self, host: &str) -> (CertificateDer<'static>, KeyPair, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        (certificate.der().clone(), key, certificate.pem())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    async fn registry(&self, asks_for_certificate: bool) -> FakeRegistry {
        self.registry_at("127.0.0.1", asks_for_certificate).await
    }

    async fn registry_at(&self, host: &str, asks_for_certificate: bool) -> FakeRegistry {
        let (certificate, key, _) = self.issue(host);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = ServerConfig::builder();
        let builder = if asks_for_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(self.authority.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(vec![certificate], key).unwrap();
        let registry = FakeRegistry::start_tls(config).await;
        registry.put_manifest("a", Some("v1"), OCI_MANIFEST, MANIFEST);
        registry
    }
}

async fn ask(registry: &FakeRegistry, tls: TlsOptions) -> Result<(), UpstreamError> {
    let options = UpstreamOptions { tls, ..options(&[registry.url()]) };
    let upstream = Upstream::new(options).unwrap();
    upstream.resolve(&name("a"), &reference("v1"), &asking()).await.map(|_| ())
}

#[tokio::test]
async fn an_authority_of_its_own_must_be_known() {
    let files = Files::new();
    let registry = files.registry(false).await;
    let error = ask(&registry, TlsOptions::default()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    let root_cas = vec![files.write("ca.pem", &files.authority.pem())];
    ask(&registry, TlsOptions { root_cas, ..TlsOptions::default() }).await.unwrap();
    ask(&registry, TlsOptions { insecure: true, ..TlsOptions::default() }).await.unwrap();
}

/// The system's authorities are in a file that a variable names, and a variable can be given to
/// another process only.
const SYSTEM: &str = "SSL_CERT_FILE";

#[test]
fn authorities_of_its_own_stand_in_place_of_the_system_s() {
    let directory = TempDir::new().unwrap();
    let test = "tls::where_the_system_has_an_authority_of_the_test_s";
    let run = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored"])
        .env(SYSTEM, directory.path().join("system.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn where_the_system_has_an_authority_of_the_test_s() {
    let (system, own) = (Files::new(), Files::new());
    fs::write(std::env::var_os(SYSTEM).unwrap(), system.authority.pem()).unwrap();
    let root_cas = vec![own.write("ca.pem", &own.authority.pem())];
    let with_own = || TlsOptions { root_cas: root_cas.clone(), ..TlsOptions::default() };
    let by_system = system.registry(false).await;
    ask(&by_system, TlsOptions::default()).await.unwrap();
    let error = ask(&by_system, with_own()).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");

    // Where it leads to, both count.
    let registry = own.registry(false).await;
    for other in [system.registry_at("localhost", false), own.registry_at("localhost", false)] {
        let other = other.await;
        let to = format!("{}/v2/a/manifests/v1", other.url_as_localhost());
        registry.fail("HEAD ", 1, Act::redirect(to));
        ask(&registry, with_own()).await.unwrap();
        assert_eq!(other.count("HEAD "), 1);
    }
}

#[tokio::test]
async fn a_certificate_is_shown() {
    let files = Files::new();
    let registry = files.registry(true).await;
    let root_cas = vec![files.write("ca.pem", &files.authority.pem())];
    let without = TlsOptions { root_cas: root_cas.clone(), ..TlsOptions::default() };
    assert!(matches!(ask(&registry, without).await, Err(UpstreamError::Unreachable { .. })));
    let (_, key, certificate) = files.issue("client");
    let certificate = files.write("client.pem", &certificate);
    let key = files.write("client.key", &key.serialize_pem());
    let identity = Some((certificate, key));
    ask(&registry, TlsOptions { root_cas, identity, insecure: false }).await.unwrap();
}

#[tokio::test]
async fn trust_in_anything_is_for_the_upstream_alone() {
    let files = Files::new();
    let (registry, other) = (files.registry(false).await, files.registry(false).await);
    let to = format!("{}/v2/a/manifests/v1", other.url_as_localhost());
    registry.fail("HEAD ", 1, Act::redirect(to));
    let error = ask(&registry, TlsOptions { insecure: true, ..TlsOptions::default() }).await;
    assert!(matches!(error, Err(UpstreamError::Unreachable { .. })), "{error:?}");
    assert_eq!(other.count(""), 0);
}

#[tokio::test]
async fn https_does_not_lead_to_http() {
    let files = Files::new();
    let (registry, plain) = (files.registry(false).await, FakeRegistry::start().await);
    let insecure = || TlsOptions { insecure: true, ..TlsOptions::default() };
    registry.fail("HEAD ", 1, Act::redirect(format!("{}/v2/a/manifests/v1", plain.url())));
    let error = ask(&registry, insecure()).await.unwrap_err();
    assert!(error.to_string().contains("from https to http"), "{error}");
    let challenge = format!("Bearer realm=\"{}/token\"", plain.url());
    let headers = vec![("www-authenticate".to_owned(), challenge)];
    registry.fail("HEAD ", 1, Act::Answer(401, headers, Vec::new()));
    let error = ask(&registry, insecure()).await.unwrap_err();
    assert!(error.to_string().contains("not asked over https"), "{error}");
    assert_eq!(plain.count(""), 0);
}

#[test]
fn files_that_can_t_be_used() {
    let files = Files::new();
    let nonsense = files.write("nonsense.pem", "nonsense");
    let of = |tls: TlsOptions| {
        Upstream::new(UpstreamOptions { tls, ..options(&["https://a/".to_owned()]) }).unwrap_err()
    };
    for path in [nonsense.clone(), files.directory.path().join("missing.pem")] {
        for error in [
            of(TlsOptions { root_cas: vec![path.clone()], ..TlsOptions::default() }),
            of(TlsOptions {
                identity: Some((path.clone(), path.clone())),
                ..TlsOptions::default()
            }),
        ] {
            assert!(matches!(error, UpstreamSetupError::File { .. }), "{error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
}
