//! Certificates of clients that Go takes and that the TLS library, left alone, does not; and what
//! must not get in beside them.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    date_time_ymd,
};

use super::clients::Fixture;
use crate::testing::{Authority, Pair};
use crate::{ClientAuth, Server};

const CHECKING: [ClientAuth; 2] = [ClientAuth::VerifyIfGiven, ClientAuth::RequireAndVerify];
const NOT_CHECKING: [ClientAuth; 2] = [ClientAuth::Request, ClientAuth::RequireAny];

/// What comes of the certificate in these modes, in both versions of TLS: the identity, or the error.
async fn shown(
    fixture: &Fixture,
    modes: [ClientAuth; 2],
    pair: &Pair,
) -> Vec<Result<Option<String>, String>> {
    let mut outcomes = Vec::new();
    for mode in modes {
        let server = fixture.server(mode);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let seen = fixture.speaking(pair, version).connect(&server).await;
            outcomes.push(seen.map(|seen| seen.identity));
        }
    }
    outcomes
}

async fn gets_in(fixture: &Fixture, pair: &Pair) {
    for outcome in shown(fixture, NOT_CHECKING, pair).await {
        assert_eq!(outcome, Ok(None));
    }
    for outcome in shown(fixture, CHECKING, pair).await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

/// Stays out where certificates are checked, for this reason, and nowhere else.
async fn stays_out(fixture: &Fixture, pair: &Pair, reason: &str) {
    for outcome in shown(fixture, NOT_CHECKING, pair).await {
        assert_eq!(outcome, Ok(None));
    }
    for outcome in shown(fixture, CHECKING, pair).await {
        let error = outcome.unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

fn named(name: &str) -> impl FnOnce(&mut CertificateParams) {
    let name = name.to_owned();
    move |params| params.distinguished_name.push(rcgen::DnType::CommonName, name)
}

fn authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
}

fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

#[tokio::test]
async fn version_1_signed_by_an_authority() {
    let fixture = Fixture::new();
    let pair = fixture.client_authority.version_1("client.example", named("alice"));
    gets_in(&fixture, &pair).await;
    for outcome in shown(&fixture, CHECKING, &pair).await {
        assert_eq!(outcome.unwrap().as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn version_1_that_is_no_good() {
    let fixture = Fixture::new();
    let old = fixture.client_authority.version_1("client.example", expired);
    stays_out(&fixture, &old, "expired").await;
    let early = fixture.client_authority.version_1("client.example", |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2100, 1, 1);
    });
    stays_out(&fixture, &early, "not valid yet").await;
    let stranger = Authority::new("strangers").version_1("client.example", named("alice"));
    stays_out(&fixture, &stranger, "UnknownIssuer").await;
    // An authority of the same name and with another key.
    let forged = Authority::new("clients").version_1("client.example", named("alice"));
    stays_out(&fixture, &forged, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_listed_certificate_gets_in_itself() {
    let fixture = Fixture::new();
    // By itself it is an authority, as `openssl req -x509` makes them.
    gets_in(&fixture, &fixture.client_authority.pair()).await;
    let constrained = Authority::with("constrained", |params| {
        let names = vec![rcgen::GeneralSubtree::DnsName("lan".to_owned())];
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: names,
            excluded_subtrees: Vec::new(),
        });
    });
    fixture.files.put("clients.crt", fixture.client_authority.pem.clone() + &constrained.pem);
    gets_in(&fixture, &constrained.pair()).await;
    stays_out(&fixture, &Authority::new("clients").pair(), "UnknownIssuer").await;
    let signer = Authority::new("signer");
    for pair in
        [signer.client("alice"), signer.version_1("client.example", named("alice")), signer.pair()]
    {
        fixture.files.put("clients.crt", &pair.certificate);
        gets_in(&fixture, &pair).await;
    }
    let pair = signer.expired("client.example");
    fixture.files.put("clients.crt", &pair.certificate);
    stays_out(&fixture, &pair, "expired").await;
    let pair = signer.server("client.example");
    fixture.files.put("clients.crt", &pair.certificate);
    stays_out(&fixture, &pair, "not for clients").await;
}

/// With the default configuration of OpenSSL, `req -x509 -CA` makes authorities of clients.
#[tokio::test]
async fn an_authority_signed_by_an_authority() {
    let fixture = Fixture::new();
    let pair = fixture.client_authority.sign("client.example", authority);
    gets_in(&fixture, &pair).await;
    let pair = fixture.client_authority.sign("client.example", |params| {
        authority(params);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    stays_out(&fixture, &pair, "not for clients").await;
}

#[tokio::test]
async fn an_extension_that_must_be_understood_and_is_not() {
    let fixture = Fixture::new();
    let pair = fixture.client_authority.sign("client.example", |params| {
        authority(params);
        let mut extension =
            rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    stays_out(&fixture, &pair, "critical extension").await;
}

#[tokio::test]
async fn a_certificate_for_any_purpose() {
    let fixture = Fixture::new();
    let pair = fixture.client_authority.sign("client.example", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    });
    gets_in(&fixture, &pair).await;
}

#[tokio::test]
async fn what_is_listed_and_no_authority_signs_nothing() {
    let fixture = Fixture::new();
    let leaf = Authority::with("clients", |params| params.is_ca = IsCa::ExplicitNoCa);
    let unmarked = Authority::with("clients", |params| params.is_ca = IsCa::NoCa);
    let no_signer = Authority::with("clients", |params| {
        authority(params);
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    let servers = Authority::with("clients", |params| {
        authority(params);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let old = Authority::with("clients", |params| {
        authority(params);
        expired(params);
    });
    for (signer, reason) in [
        (leaf, "UnknownIssuer"),
        (unmarked, "UnknownIssuer"),
        (no_signer, "UnknownIssuer"),
        (servers, "UnknownIssuer"),
        (old, "expired"),
    ] {
        fixture.files.put("clients.crt", &signer.pem);
        stays_out(&fixture, &signer.client("alice"), reason).await;
        let old_form = signer.version_1("client.example", named("alice"));
        stays_out(&fixture, &old_form, reason).await;
    }
}

/// In the modes that check nothing, too: who does not have the key did not show the certificate.
#[tokio::test]
async fn a_certificate_without_its_key_is_none() {
    let fixture = Fixture::new();
    for certificate in [
        fixture.client_authority.client("alice").certificate,
        fixture.client_authority.version_1("client.example", named("alice")).certificate,
        fixture.client_authority.pem.clone(),
    ] {
        let pair = Pair { certificate, key: fixture.client_authority.client("mallory").key };
        for modes in [NOT_CHECKING, CHECKING] {
            for outcome in shown(&fixture, modes, &pair).await {
                let error = outcome.unwrap_err();
                assert!(error.contains("BadSignature"), "{error}");
            }
        }
    }
}

/// Keys of every kind sign what the handshake asks for, and certificates of version 1.
#[tokio::test]
async fn version_1_with_keys_of_other_kinds() {
    let fixture = Fixture::new();
    for algorithm in [
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_RSA_SHA512,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let signer = Authority::of("clients", algorithm);
        fixture.files.put("clients.crt", &signer.pem);
        gets_in(&fixture, &signer.version_1("client.example", named("alice"))).await;
        gets_in(&fixture, &signer.pair()).await;
    }
}

#[test]
fn only_leaves_are_good_authorities_too() {
    let fixture = Fixture::new();
    let pair = fixture.client_authority.client("alice");
    let mut options = fixture.files.options();
    options.client_cas = vec![fixture.files.put("clients.crt", &pair.certificate)];
    assert!(Server::load(options).is_ok());
}
