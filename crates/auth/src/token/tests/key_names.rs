//! `kid` and `jwk`: which keys are trusted under which names.

use rcgen::{CertificateParams, PublicKeyData as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::signer::Signer;
use super::support::{
    ask, claims, options, options_with_bundle, options_with_keys, refused, write,
};
use crate::token::algorithm::Algorithm;
use crate::token::{TokenAuth, TokenError, TokenOptions};

fn certificate(signer: &Signer) -> String {
    CertificateParams::default().self_signed(signer.pair()).unwrap().pem()
}

fn with_kid(signer: &Signer, kid: &str) -> Value {
    let mut jwk = signer.jwk();
    jwk["kid"] = kid.into();
    jwk
}

const PUBLIC: [Algorithm; 5] =
    [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa];

#[tokio::test]
async fn certificates_have_two_names_each() {
    let dir = TempDir::new().unwrap();
    let signers = PUBLIC.map(Signer::new);
    let bundle: String = signers.iter().map(certificate).collect();
    let auth = TokenAuth::open(options_with_bundle(&dir, &bundle)).unwrap();
    for (signer, algorithm) in signers.iter().zip(PUBLIC) {
        for kid in [signer.thumbprint(), signer.libtrust_id()] {
            let token = signer.token(algorithm, json!({"kid": kid}), &claims());
            assert!(ask(&auth, &token).await.is_ok(), "{algorithm:?} {kid}");
        }
    }
}

#[tokio::test]
async fn so_have_bare_public_keys() {
    let dir = TempDir::new().unwrap();
    let signer = Signer::new(Algorithm::Es256);
    let auth = TokenAuth::open(options_with_bundle(&dir, &signer.pair().public_key_pem())).unwrap();
    for kid in [signer.thumbprint(), signer.libtrust_id()] {
        let token = signer.token(Algorithm::Es256, json!({"kid": kid}), &claims());
        assert!(ask(&auth, &token).await.is_ok());
    }
}

#[tokio::test]
async fn keys_of_a_set_have_the_names_it_gives_them_and_their_thumbprints() {
    let dir = TempDir::new().unwrap();
    let (named, nameless) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::EdDsa));
    let keys = [with_kid(&named, "2026-11"), nameless.jwk()];
    let auth = TokenAuth::open(options_with_keys(&dir, &keys)).unwrap();
    for (signer, algorithm, kid) in [
        (&named, Algorithm::Es256, "2026-11".to_owned()),
        (&named, Algorithm::Es256, named.thumbprint()),
        (&nameless, Algorithm::EdDsa, nameless.thumbprint()),
    ] {
        let token = signer.token(algorithm, json!({"kid": kid}), &claims());
        assert!(ask(&auth, &token).await.is_ok(), "{kid}");
    }
}

#[tokio::test]
async fn bundle_and_set_together() {
    let dir = TempDir::new().unwrap();
    let (bundled, in_set) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let auth = TokenAuth::open(TokenOptions {
        root_cert_bundle: Some(write(&dir, "bundle.pem", &certificate(&bundled))),
        ..options_with_keys(&dir, &[with_kid(&in_set, "set")])
    })
    .unwrap();
    let token = bundled.token(Algorithm::Es256, json!({"kid": bundled.libtrust_id()}), &claims());
    assert!(ask(&auth, &token).await.is_ok());
    let token = in_set.token(Algorithm::Es256, json!({"kid": "set"}), &claims());
    assert!(ask(&auth, &token).await.is_ok());
}

#[tokio::test]
async fn keys_of_different_kinds_may_share_a_name() {
    let dir = TempDir::new().unwrap();
    let (elliptic, rsa) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Rs256));
    let keys = [with_kid(&elliptic, "same"), with_kid(&rsa, "same")];
    let auth = TokenAuth::open(options_with_keys(&dir, &keys)).unwrap();
    for (signer, algorithm) in [(&elliptic, Algorithm::Es256), (&rsa, Algorithm::Rs256)] {
        let token = signer.token(algorithm, json!({"kid": "same"}), &claims());
        assert!(ask(&auth, &token).await.is_ok());
    }
}

#[tokio::test]
async fn a_name_is_needed_and_must_be_known() {
    let dir = TempDir::new().unwrap();
    let signer = Signer::new(Algorithm::Es256);
    let auth = TokenAuth::open(options_with_keys(&dir, &[with_kid(&signer, "kid")])).unwrap();
    let token = |header| signer.token(Algorithm::Es256, header, &claims());
    for header in [json!({}), json!({"kid": null})] {
        let refused = refused(&auth, &token(header)).await;
        assert_eq!(refused.reason, "the token has neither x5c nor jwk nor kid");
    }
    for kid in ["", "KID", "kid ", "../kid"] {
        let refused = refused(&auth, &token(json!({"kid": kid}))).await;
        assert_eq!(refused.kind, "key");
        assert_eq!(refused.reason, format!("token signed by untrusted key with ID: {kid:?}"));
    }
    let refused_long = refused(&auth, &token(json!({"kid": "\n".repeat(1000)}))).await;
    assert!(refused_long.reason.len() < 400 && !refused_long.reason.contains('\n'));
}

#[tokio::test]
async fn a_key_in_the_header_counts_by_its_name_only() {
    let dir = TempDir::new().unwrap();
    let (trusted, foreign) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let auth = TokenAuth::open(options_with_bundle(&dir, &certificate(&trusted))).unwrap();
    let token =
        |signer: &Signer, jwk| signer.token(Algorithm::Es256, json!({"jwk": jwk}), &claims());

    assert!(ask(&auth, &token(&trusted, trusted.jwk())).await.is_ok());
    for kid in [trusted.thumbprint(), trusted.libtrust_id()] {
        assert!(ask(&auth, &token(&trusted, with_kid(&trusted, &kid))).await.is_ok());
        // A foreign key under a trusted name: CVE-2025-24976 of Distribution.
        let stolen = refused(&auth, &token(&foreign, with_kid(&foreign, &kid))).await;
        assert_eq!(stolen.kind, "signature");
    }
    for jwk in [foreign.jwk(), with_kid(&foreign, "foreign")] {
        let refused = refused(&auth, &token(&foreign, jwk)).await;
        assert_eq!(refused.kind, "key");
        assert!(refused.reason.starts_with("token signed by untrusted key with ID"));
    }
    for jwk in [json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), json!({"kty": "?"})] {
        let refused = refused(&auth, &token(&foreign, jwk)).await;
        assert!(refused.reason.starts_with("the token's jwk: "), "{refused:?}");
    }
}

#[test]
fn files_that_are_no_good() {
    let dir = TempDir::new().unwrap();
    let error = |options| TokenAuth::open(options).unwrap_err().to_string();
    assert!(matches!(TokenAuth::open(options()), Err(TokenError::NoKeys)));

    let good = certificate(&Signer::new(Algorithm::Es256));
    let half = &good[..good.len() / 2];
    let private = Signer::new(Algorithm::Es256).pair().serialize_pem();
    let p256 = Signer::new(Algorithm::Es256).pair().subject_public_key_info();
    let mut unknown_curve = p256;
    let oid = unknown_curve.len() - 66 - 4;
    unknown_curve[oid] = 9;
    let unknown_curve = rcgen_pem("PUBLIC KEY", &unknown_curve);
    for (pem, expected) in [
        (String::new(), "there is no certificate in it"),
        ("hello".into(), "there is no certificate in it"),
        (private, "there is no certificate in it"),
        (half.to_owned(), "PEM block 1 is broken"),
        (format!("{good}{half}"), "PEM block 2 is broken"),
        (rcgen_pem("CERTIFICATE", b"hello"), "PEM block 1: not an X.509 certificate"),
        (rcgen_pem("PUBLIC KEY", b"hello"), "PEM block 1: not a public key in DER"),
        (unknown_curve, "PEM block 1: on a curve other than"),
    ] {
        let message = error(options_with_bundle(&dir, &pem));
        let start = format!("auth.token.rootcertbundle: {}/bundle.pem: ", dir.path().display());
        assert!(message.starts_with(&start) && message.contains(expected), "{message}");
    }

    let message = error(options_with_keys(&dir, &[]));
    assert!(message.contains("jwks.json: no key that verifies signatures: the list is empty"));
    let weak = json!({"kty": "oct", "k": "aHVudGVyMg", "kid": "short"});
    let message = error(options_with_keys(&dir, &[weak]));
    assert!(message.contains("key 1, \"short\",: a secret of 7 bytes"), "{message}");

    let missing = TokenOptions { jwks: Some("/nonexistent/jwks".into()), ..options() };
    assert!(error(missing).starts_with("auth.token.jwks: /nonexistent/jwks: No such file"));
    let folder = TokenOptions { root_cert_bundle: Some(dir.path().into()), ..options() };
    assert!(error(folder).ends_with("not a file"));
    for url in ["http://", "https://[::1", "http://a b/"] {
        let message = error(TokenOptions { jwks: Some(url.into()), ..options() });
        assert!(message.starts_with("auth.token.jwks: not a URL"), "{message}");
    }
    // Neither is it a file, whose name would be shown.
    let message = error(TokenOptions { jwks: Some("ftp://u:hunter2@h/".into()), ..options() });
    assert_eq!(message, "auth.token.jwks: its URL's scheme must be http or https");
    let capitals = TokenOptions { jwks: Some("HTTP://127.0.0.1:9/".into()), ..options() };
    assert!(TokenAuth::open(capitals).is_ok());
}

/// A PEM block around anything.
fn rcgen_pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
