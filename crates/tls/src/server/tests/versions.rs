//! Versions, cipher suites, protocols, resumption.

use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
use rustls::crypto::aws_lc_rs;

use crate::testing::{Authority, Client, Files, logged};
use crate::{MinimumVersion, Options, Server};

struct Fixture {
    authority: Authority,
    files: Files,
}

impl Fixture {
    fn new() -> Self {
        let authority = Authority::new("test");
        let files = Files::with(&authority.server("nas.lan"));
        Self { authority, files }
    }

    fn server(&self, change: impl FnOnce(&mut Options)) -> std::sync::Arc<Server> {
        let mut options = self.files.options();
        change(&mut options);
        Server::load(options).unwrap()
    }

    /// A client with only these suites, by the library's names.
    fn client(&self, suites: &[&str]) -> Client {
        let mut provider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .retain(|suite| suites.contains(&format!("{:?}", suite.suite()).as_str()));
        assert_eq!(provider.cipher_suites.len(), suites.len());
        Client::with(&self.authority, None, provider)
    }
}

const AES_128: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
const AES_256: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
const CHACHA: &str = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";

#[tokio::test]
async fn both_versions_unless_a_minimum_is_set() {
    let fixture = Fixture::new();
    let old = fixture.client(&[AES_128]);
    let new = Client::trusting(&fixture.authority);
    let server = fixture.server(|_| {});
    assert_eq!(old.connect(&server).await.unwrap().version, TLSv1_2);
    assert_eq!(new.connect(&server).await.unwrap().version, TLSv1_3);

    let server = fixture.server(|options| options.minimum_version = MinimumVersion::Tls13);
    assert_eq!(new.connect(&server).await.unwrap().version, TLSv1_3);
    let error = old.connect(&server).await.unwrap_err();
    assert!(error.contains("Tls12NotOfferedOrEnabled"), "{error}");
}

#[tokio::test]
async fn only_the_chosen_suites_are_spoken_under_tls_1_2() {
    let fixture = Fixture::new();
    let server = fixture.server(|options| options.cipher_suites = vec![AES_256.into()]);
    let seen = fixture.client(&[AES_128, AES_256]).connect(&server).await.unwrap();
    assert_eq!(seen.suite, AES_256);
    let error = fixture.client(&[AES_128]).connect(&server).await.unwrap_err();
    assert!(error.contains("NoCipherSuitesInCommon"), "{error}");
    let modern = Client::trusting(&fixture.authority);
    assert_eq!(modern.connect(&server).await.unwrap().version, TLSv1_3, "1.3 is always on");
}

#[tokio::test]
async fn go_s_older_names_are_understood() {
    let fixture = Fixture::new();
    let name = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305";
    let server = fixture.server(|options| options.cipher_suites = vec![name.into(), name.into()]);
    assert_eq!(fixture.client(&[CHACHA]).connect(&server).await.unwrap().suite, CHACHA);
    assert!(fixture.client(&[AES_128]).connect(&server).await.is_err());
}

#[tokio::test]
async fn weak_suites_are_skipped_with_a_warning() {
    let fixture = Fixture::new();
    let weak = "TLS_RSA_WITH_3DES_EDE_CBC_SHA";
    let suites = vec![weak.to_owned(), AES_128.to_owned()];
    let (server, log) = logged(|| fixture.server(|options| options.cipher_suites = suites));
    assert!(log.contains("WARN") && log.contains(weak), "{log}");
    assert_eq!(fixture.client(&[AES_128]).connect(&server).await.unwrap().suite, AES_128);

    let mut options = fixture.files.options();
    options.cipher_suites = vec![weak.into(), "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256".into()];
    let error = Server::load(options).unwrap_err().to_string();
    assert!(error.contains("all are weak") && error.contains(AES_128), "{error}");
}

#[tokio::test]
async fn suites_of_tls_1_3_alone_leave_1_2_without_any() {
    let fixture = Fixture::new();
    let suites = vec!["TLS_AES_128_GCM_SHA256".to_owned()];
    let server = fixture.server(|options| options.cipher_suites = suites);
    assert!(fixture.client(&[AES_128]).connect(&server).await.is_err());
    assert!(Client::trusting(&fixture.authority).connect(&server).await.is_ok());
}

#[test]
fn an_unknown_suite_is_refused_with_the_known_ones() {
    let fixture = Fixture::new();
    let mut options = fixture.files.options();
    options.cipher_suites = vec![AES_128.into(), "ECDHE-RSA-AES128-GCM-SHA256".into()];
    let error = Server::load(options).unwrap_err().to_string();
    assert!(error.contains("'ECDHE-RSA-AES128-GCM-SHA256'"), "{error}");
    assert!(error.contains(AES_128) && error.contains("TLS_AES_256_GCM_SHA384"), "{error}");
}

#[test]
fn with_only_tls_1_3_the_list_is_ignored() {
    let fixture = Fixture::new();
    let (_, log) = logged(|| {
        fixture.server(|options| {
            options.minimum_version = MinimumVersion::Tls13;
            options.cipher_suites = vec!["TLS_RSA_WITH_RC4_128_SHA".into()];
        })
    });
    assert!(log.contains("WARN") && log.contains("ciphersuites is ignored"), "{log}");
}

#[tokio::test]
async fn http_2_is_offered_unless_it_is_off() {
    let fixture = Fixture::new();
    let offers: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let client = Client::trusting(&fixture.authority).offering(&offers);
    let alpn = |seen: crate::testing::Seen| String::from_utf8(seen.alpn.unwrap()).unwrap();
    let server = fixture.server(|_| {});
    assert_eq!(alpn(client.connect(&server).await.unwrap()), "h2");
    let server = fixture.server(|options| options.http2 = false);
    assert_eq!(alpn(client.connect(&server).await.unwrap()), "http/1.1");
    let client = Client::trusting(&fixture.authority);
    assert_eq!(client.connect(&server).await.unwrap().alpn, None, "ALPN is not required");
}

#[tokio::test]
async fn sessions_are_resumed_also_after_a_new_certificate() {
    let fixture = Fixture::new();
    let server = fixture.server(|_| {});
    for client in [Client::trusting(&fixture.authority), fixture.client(&[AES_128])] {
        assert!(!client.connect(&server).await.unwrap().resumed);
        assert!(client.connect(&server).await.unwrap().resumed);
    }
    let client = Client::trusting(&fixture.authority);
    client.connect(&server).await.unwrap();
    let pair = fixture.authority.server("nas.lan");
    fixture.files.put("domain.crt", &pair.certificate);
    fixture.files.put("domain.key", &pair.key);
    assert!(matches!(server.reload(), crate::ReloadOutcome::Reloaded));
    assert!(client.connect(&server).await.unwrap().resumed);
}

#[test]
fn suites_that_the_key_cannot_be_used_with_are_complained_about() {
    let fixture = Fixture::new();
    let warned = |suite: &str, acme: bool| {
        let mut options = fixture.files.options();
        let directory = fixture.files.path("cache");
        if acme {
            options = crate::testing::acme_options(&directory, &["nas.lan"]);
        }
        options.cipher_suites = vec![suite.into()];
        let (_, log) = logged(|| Server::load(options).unwrap());
        log.contains("clients that speak only TLS 1.2 cannot connect")
    };
    for acme in [false, true] {
        assert!(warned("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", acme));
        assert!(!warned(AES_128, acme));
        assert!(!warned("TLS_AES_128_GCM_SHA256", acme), "without TLS 1.2 there is nothing to say");
    }
}
