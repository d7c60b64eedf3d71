//! The four modes of asking clients for certificates.

use std::sync::Arc;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::SupportedProtocolVersion;

use crate::testing::{Authority, Client, Files, Pair};
use crate::{ClientAuth, ReloadOutcome, Server};

pub(super) struct Fixture {
    pub(super) server_authority: Authority,
    pub(super) client_authority: Authority,
    pub(super) files: Files,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let server_authority = Authority::new("servers");
        let client_authority = Authority::new("clients");
        let files = Files::with(&server_authority.server("nas.lan"));
        files.put("clients.crt", &client_authority.pem);
        Self { server_authority, client_authority, files }
    }

    pub(super) fn server(&self, mode: ClientAuth) -> Arc<Server> {
        let mut options = self.files.options();
        options.client_cas = vec![self.files.path("clients.crt")];
        options.client_auth = mode;
        Server::load(options).unwrap()
    }

    fn anonymous(&self) -> Client {
        Client::trusting(&self.server_authority)
    }

    pub(super) fn showing(&self, pair: &Pair) -> Client {
        Client::showing(&self.server_authority, pair)
    }

    pub(super) fn speaking(&self, pair: &Pair, version: &SupportedProtocolVersion) -> Client {
        Client::speaking(&self.server_authority, pair, version)
    }
}

/// For each mode: without a certificate, with a good one, one of a stranger, an expired one.
#[tokio::test]
async fn who_gets_in() {
    let fixture = Fixture::new();
    let good = fixture.client_authority.client("alice");
    let stranger = Authority::new("stranger").client("mallory");
    let expired = fixture.client_authority.expired("alice");
    let clients = [
        fixture.anonymous(),
        fixture.showing(&good),
        fixture.showing(&stranger),
        fixture.showing(&expired),
    ];
    for (mode, expected) in [
        (ClientAuth::Request, [true, true, true, true]),
        (ClientAuth::RequireAny, [false, true, true, true]),
        (ClientAuth::VerifyIfGiven, [true, true, false, false]),
        (ClientAuth::RequireAndVerify, [false, true, false, false]),
    ] {
        let server = fixture.server(mode);
        for (at, (client, gets_in)) in clients.iter().zip(expected).enumerate() {
            let result = client.connect(&server).await;
            assert_eq!(result.is_ok(), gets_in, "{mode:?}, client {at}: {result:?}");
        }
    }
}

#[tokio::test]
async fn only_what_was_verified_is_an_identity() {
    let fixture = Fixture::new();
    let client = fixture.showing(&fixture.client_authority.client("alice"));
    for (mode, identity) in [
        (ClientAuth::Request, None),
        (ClientAuth::RequireAny, None),
        (ClientAuth::VerifyIfGiven, Some("alice")),
        (ClientAuth::RequireAndVerify, Some("alice")),
    ] {
        let seen = client.connect(&fixture.server(mode)).await.unwrap();
        assert_eq!(seen.identity.as_deref(), identity, "{mode:?}");
    }
    let seen = fixture.anonymous().connect(&fixture.server(ClientAuth::VerifyIfGiven)).await;
    assert_eq!(seen.unwrap().identity, None);
}

#[tokio::test]
async fn an_identity_is_an_alternative_name_if_need_be_and_fit_for_a_log() {
    let fixture = Fixture::new();
    let server = fixture.server(ClientAuth::RequireAndVerify);
    let identity = async |name: &str| {
        let client = fixture.showing(&fixture.client_authority.client(name));
        client.connect(&server).await.unwrap().identity.unwrap()
    };
    assert_eq!(identity("").await, "client.example");
    assert_eq!(identity("evil\nname").await, "evil\\nname");
    assert_eq!(identity(&"x".repeat(1000)).await.len(), 256);
}

#[tokio::test]
async fn a_server_s_certificate_is_none_for_a_client() {
    let fixture = Fixture::new();
    let wrong = fixture.client_authority.sign("nas.lan", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let server = fixture.server(ClientAuth::VerifyIfGiven);
    assert!(fixture.showing(&wrong).connect(&server).await.is_err());
}

#[tokio::test]
async fn without_authorities_the_mode_means_nothing() {
    let fixture = Fixture::new();
    let server = Server::load(fixture.files.options()).unwrap();
    let seen = fixture.anonymous().connect(&server).await.unwrap();
    assert_eq!(seen.identity, None);
}

#[tokio::test]
async fn several_files_and_several_authorities_in_one() {
    let fixture = Fixture::new();
    let (second, third) = (Authority::new("second"), Authority::new("third"));
    let bundle = format!("# two of them\n{}\n{}", fixture.client_authority.pem, second.pem);
    let mut options = fixture.files.options();
    options.client_cas =
        vec![fixture.files.put("bundle.crt", bundle), fixture.files.put("third.crt", &third.pem)];
    let server = Server::load(options).unwrap();
    for authority in [&fixture.client_authority, &second, &third] {
        let client = fixture.showing(&authority.client("alice"));
        assert!(client.connect(&server).await.is_ok());
    }
}

/// Also not by resuming the session that it had.
#[tokio::test]
async fn a_client_whose_authority_was_taken_away_stays_out() {
    let fixture = Fixture::new();
    let server = fixture.server(ClientAuth::RequireAndVerify);
    let client = fixture.showing(&fixture.client_authority.client("alice"));
    client.connect(&server).await.unwrap();
    client.connect(&server).await.unwrap();

    let other = Authority::new("others");
    fixture.files.put("clients.crt", &other.pem);
    assert!(matches!(server.reload(), ReloadOutcome::Reloaded));
    assert!(client.connect(&server).await.is_err());
    assert!(fixture.showing(&other.client("bob")).connect(&server).await.is_ok());
}

/// A session remembers that a certificate was good, and not until when.
#[tokio::test]
async fn a_client_whose_certificate_expired_stays_out() {
    let fixture = Fixture::new();
    let not_after = time::OffsetDateTime::now_utc() + Duration::from_secs(4);
    let pair = fixture.client_authority.sign("client.example", |params| {
        params.not_after = not_after;
    });
    let mut clients = Vec::new();
    for mode in [ClientAuth::VerifyIfGiven, ClientAuth::RequireAndVerify] {
        let server = fixture.server(mode);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = fixture.speaking(&pair, version);
            for _ in 0..2 {
                let seen = client.connect(&server).await.unwrap();
                assert_eq!((seen.version, seen.resumed), (version.version, false));
            }
            clients.push((server.clone(), client));
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    for (server, client) in clients {
        let error = client.connect(&server).await.unwrap_err();
        assert!(error.contains("expired"), "{error}");
    }
}

#[tokio::test]
async fn who_is_not_checked_resumes() {
    let fixture = Fixture::new();
    let pair = fixture.client_authority.client("alice");
    for server in [
        Server::load(fixture.files.options()).unwrap(),
        fixture.server(ClientAuth::Request),
        fixture.server(ClientAuth::RequireAny),
    ] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = fixture.speaking(&pair, version);
            assert!(!client.connect(&server).await.unwrap().resumed);
            assert!(client.connect(&server).await.unwrap().resumed);
        }
    }
}

#[test]
fn a_bad_authority_file_is_refused_by_name() {
    let fixture = Fixture::new();
    let pair = fixture.client_authority.client("alice");
    for (content, part) in [
        (String::new(), "the file is empty"),
        (pair.key, "it holds a private key"),
        (fixture.client_authority.pem[..300].to_owned(), "half written"),
        ("not PEM".to_owned(), "BEGIN CERTIFICATE"),
    ] {
        let mut options = fixture.files.options();
        options.client_cas = vec![fixture.files.put("bad.crt", content)];
        let error = Server::load(options).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("bad.crt"), "{error}");
    }
    let mut options = fixture.files.options();
    options.client_cas = vec![fixture.files.path("missing.crt")];
    let error = Server::load(options).unwrap_err().to_string();
    assert!(
        error.contains("cannot read the client CA") && error.contains("missing.crt"),
        "{error}"
    );
}
