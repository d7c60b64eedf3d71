//! The directory of certificates, and which certificate a handshake gets. That certificates come and
//! are renewed is tried end to end, against a test server of ACME.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use instant_acme::Key;

use super::cache::Cache;
use super::order::challenge_certificate;
use super::*;
use crate::options::{CertificateSource, ClientAuth};
use crate::testing::{Authority, Client, Pair, acme_options, logged};
use crate::{Options, Server};

fn load(directory: &Path, hosts: &[&str]) -> Result<Acme, TlsError> {
    match acme_options(directory, hosts).source {
        CertificateSource::Acme(options) => Acme::load(options),
        CertificateSource::Files { .. } => panic!("these are ACME's options"),
    }
}

fn refused(directory: &Path, hosts: &[&str]) -> String {
    load(directory, hosts).map(|_| ()).unwrap_err().to_string()
}

/// A host's file as Go's autocert writes it.
fn keep(directory: &Path, host: &str, pair: &Pair) {
    std::fs::write(directory.join(host), format!("{}{}", pair.key, pair.certificate)).unwrap();
}

#[test]
fn hosts_are_needed_counted_and_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let error = refused(directory.path(), &[]);
    assert!(error.contains("http.tls.letsencrypt.hosts is empty"), "{error}");
    let error = refused(directory.path(), &["a.example", "https://b.example"]);
    assert!(error.contains("'https://b.example'"), "{error}");
    let many: Vec<_> = (0..=limits::ACME_HOSTS_MAX).map(|at| format!("h{at}.example")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(refused(directory.path(), &many).contains("more than 100"));
    let acme = load(directory.path(), &["a.example", "A.example."]).unwrap();
    assert_eq!(acme.hosts, ["a.example"]);
}

#[test]
fn the_directory_s_address_is_https_and_shown_without_its_password() {
    assert_eq!(directory_url(None).unwrap(), LETS_ENCRYPT);
    assert_eq!(directory_url(Some("")).unwrap(), LETS_ENCRYPT);
    assert_eq!(directory_url(Some("https://ca.lan/dir")).unwrap(), "https://ca.lan/dir");
    for bad in ["http://ca.lan/dir", "ca.lan/dir", "https://me:hunter2@ca.lan/dir", "a b"] {
        let error = directory_url(Some(bad)).unwrap_err().to_string();
        assert!(error.contains("directoryurl") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_directory_is_made_for_the_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("deep/cache");
    load(&directory, &["a.example"]).unwrap();
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "nothing is left by the probe");

    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = refused(&file, &["a.example"]);
    assert!(error.contains("it is a file and has to be a directory"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_was_kept_is_served_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("acme");
    let (first, second) = (authority.server("a.example"), authority.server("b.example"));
    keep(directory.path(), "a.example", &first);
    keep(directory.path(), "b.example", &second);
    let server = Server::load(acme_options(directory.path(), &["a.example", "b.example"])).unwrap();
    let client = || Client::trusting(&authority);
    let seen = client().calling("a.example").connect(&server).await.unwrap();
    assert_eq!(seen.certificate, first.der());
    let seen = client().calling("B.example").connect(&server).await.unwrap();
    assert_eq!(seen.certificate, second.der());
    let seen = client().calling("a.example").without_name().connect(&server).await.unwrap();
    assert_eq!(seen.certificate, first.der(), "without a name it is the first host's");
    assert!(client().calling("c.example").connect(&server).await.is_err());
    assert!(server.expires().is_some_and(|until| until > std::time::SystemTime::now()));
}

#[tokio::test]
async fn what_is_kept_and_bad_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("acme");
    let good = authority.server("a.example");
    let torn = Pair { certificate: good.certificate[..200].into(), ..good.clone() };
    let mixed = Pair { key: authority.server("a.example").key, ..good };
    let of_another = authority.server("b.example");
    for (pair, reason) in [
        (torn, "half written"),
        (mixed, "do not belong together"),
        (of_another, "not for a.example"),
    ] {
        keep(directory.path(), "a.example", &pair);
        let options = acme_options(directory.path(), &["a.example"]);
        let (server, log) = logged(|| Server::load(options).unwrap());
        assert!(log.contains("WARN") && log.contains(reason), "{log}");
        let client = Client::trusting(&authority).calling("a.example");
        assert!(client.connect(&server).await.is_err(), "{reason}");
    }
}

/// Handshakes fail until there is a certificate; the log says so, once in a while.
#[test]
fn before_the_first_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::load(acme_options(directory.path(), &["a.example"])).unwrap();
    let authority = Authority::new("acme");
    let client = Client::trusting(&authority).calling("a.example");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ((), log) = logged(|| {
        for _ in 0..5 {
            runtime.block_on(client.connect(&server)).unwrap_err();
        }
    });
    assert_eq!(log.matches("there is no certificate for a.example yet").count(), 1, "{log}");
}

/// A server whose `a.example` has a certificate and an open challenge.
fn challenged(
    directory: &Path,
    change: impl FnOnce(&mut Options),
) -> (Arc<Server>, resolver::OpenChallenge) {
    let authority = Authority::new("acme");
    keep(directory, "a.example", &authority.server("a.example"));
    let mut options = acme_options(directory, &["a.example"]);
    std::fs::write(directory.join("clients.crt"), &authority.pem).unwrap();
    change(&mut options);
    let server = Server::load(options).unwrap();
    let resolver = server.acme.as_ref().unwrap().resolver();
    let certified = challenge_certificate("a.example", &[7; 32]).unwrap();
    let open = resolver.challenge("a.example", &certified);
    (server, open)
}

#[tokio::test]
async fn an_authority_sees_the_challenge_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let (server, open) = challenged(directory.path(), |_| {});
    let client = |protocol: &'static [u8]| {
        Client::trusting(&Authority::new("any"))
            .calling("a.example")
            .trusting_all()
            .offering(&[protocol])
    };
    let seen = client(PROTOCOL).connect(&server).await.unwrap();
    assert!(seen.is_challenge);
    let (_, parsed) = x509_parser::parse_x509_certificate(&seen.certificate).unwrap();
    let extension = parsed
        .iter_extensions()
        .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
        .unwrap();
    assert!(extension.critical);
    assert_eq!(extension.value, [&[0x04, 32][..], &[7; 32]].concat());

    let seen = client(b"http/1.1").connect(&server).await.unwrap();
    assert!(!seen.is_challenge);
    assert!(client(PROTOCOL).calling("b.example").connect(&server).await.is_err());
    drop(open);
    assert!(client(PROTOCOL).connect(&server).await.is_err(), "the challenge is over");
}

/// The authority has no client certificate. Under TLS 1.3 it has seen what it wants before the
/// server finds that out.
#[tokio::test]
async fn challenges_work_where_clients_need_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let authorities = directory.path().join("clients.crt");
    let (server, _open) = challenged(directory.path(), |options| {
        options.client_cas = vec![authorities];
        options.client_auth = ClientAuth::RequireAndVerify;
    });
    let client = Client::trusting(&Authority::new("any"))
        .calling("a.example")
        .trusting_all()
        .offering(&[PROTOCOL]);
    let (near, far) = tokio::io::duplex(64 << 10);
    let accept = tokio_rustls::TlsAcceptor::from(server.config()).accept(far);
    let connect =
        tokio_rustls::TlsConnector::from(Arc::new(client.config)).connect(client.name, near);
    let (accepted, connected) = tokio::join!(accept, connect);
    assert!(accepted.is_err(), "no certificate");
    assert_eq!(connected.unwrap().get_ref().1.alpn_protocol(), Some(PROTOCOL));
}

/// Go writes the account's key as SEC 1, wharf as PKCS #8.
#[test]
fn an_account_of_go_s_autocert_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let script = "openssl ecparam -name prime256v1 -genkey -noout -out 'acme_account+key'";
    let made = Command::new("sh").args(["-ec", script]).current_dir(directory.path()).output();
    assert!(made.unwrap().status.success());
    let path = directory.path().join("acme_account+key");
    assert!(std::fs::read_to_string(&path).unwrap().contains("BEGIN EC PRIVATE KEY"));
    let cache = Cache::open(directory.path()).unwrap();
    let key = cache.account_key().unwrap().unwrap();
    Key::from_pkcs8_der(key).unwrap();

    let own = rcgen::KeyPair::generate().unwrap();
    cache.put_account_key(&own.serialize_pem()).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let read = cache.account_key().unwrap().unwrap();
    assert_eq!(read.secret_pkcs8_der(), own.serialized_der());
}

#[test]
fn a_new_certificate_is_checked_before_it_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    let authority = Authority::new("acme");
    let pair = authority.server("a.example");
    let chain = format!("{}{}", pair.certificate, authority.pem);
    let issued = cache.put_certificate("a.example", &pair.key, &chain).unwrap();
    assert_eq!(issued.certified.cert.len(), 2);
    let kept = cache.certificate("a.example").unwrap().unwrap();
    assert_eq!(kept.certified.cert, issued.certified.cert);

    let error = cache.put_certificate("b.example", &pair.key, &chain).unwrap_err().to_string();
    assert!(error.contains("not for b.example"), "{error}");
    assert!(!directory.path().join("b.example").exists());
}
