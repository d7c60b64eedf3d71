//! Every kind of signature, and what is no signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::PublicKeyData as _;
use serde_json::json;

use super::signer::{Signer, hmac, signed_part};
use super::support::{ask, claims, options_with_keys, refused, trusting};
use crate::asking::Grant;
use crate::token::algorithm::Algorithm;
use crate::token::{TokenAuth, TokenError};

fn header() -> serde_json::Value {
    json!({"typ": "JWT", "kid": "kid"})
}

#[tokio::test]
async fn every_algorithm_is_verified() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new(algorithm);
        let (_dir, auth) = trusting(&signer);
        let token = signer.token(algorithm, header(), &claims());
        assert_eq!(ask(&auth, &token).await, Ok(Grant::to("alice")), "{algorithm:?}");
        // The same from memory.
        assert_eq!(ask(&auth, &token).await, Ok(Grant::to("alice")), "{algorithm:?}");

        // The same claims under another key's signature.
        let stranger = Signer::new(algorithm).token(algorithm, header(), &claims());
        let refused_stranger = refused(&auth, &stranger).await;
        assert_eq!(refused_stranger.kind, "signature", "{algorithm:?}");

        // Each part of the token changed, and the signature cut short or taken away.
        let parts: Vec<&str> = token.split('.').collect();
        let other_claims = signed_part(&json!({}), &json!({"iss": "x"}));
        let other_claims = other_claims.split_once('.').unwrap().1;
        let cut = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let cut = URL_SAFE_NO_PAD.encode(&cut[1..]);
        for bad in [
            format!("{}.{other_claims}.{}", parts[0], parts[2]),
            format!("{}.{}.{cut}", parts[0], parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
        ] {
            assert_eq!(refused(&auth, &bad).await.kind, "signature", "{algorithm:?}");
        }
    }
}

#[tokio::test]
async fn the_key_decides_which_signatures_there_can_be() {
    for of_key in Algorithm::ALL {
        let signer = Signer::new(of_key);
        let (_dir, auth) = trusting(&signer);
        for claimed in Algorithm::ALL {
            let family = |algorithm: Algorithm| match algorithm.name() {
                "HS256" | "HS384" | "HS512" => "HS",
                "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => "RSA",
                other => other,
            };
            if family(of_key) == family(claimed) {
                continue;
            }
            let signed = signed_part(&json!({"alg": claimed.name(), "kid": "kid"}), &claims());
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode([7; 64]));
            let kind = refused(&auth, &token).await.kind;
            assert_eq!(kind, "algorithm", "{claimed:?} with a key for {of_key:?}");
        }
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let signer = Signer::new(Algorithm::Rs256);
    let (_dir, auth) = trusting(&signer);
    let signed = signed_part(&json!({"alg": "HS256", "kid": "kid"}), &claims());
    let spki = signer.pair().subject_public_key_info();
    let pem = signer.pair().public_key_pem();
    let jwk = signer.jwk().to_string();
    for secret in [&spki[..], signer.pair().public_key_raw(), pem.as_bytes(), jwk.as_bytes()] {
        let signature = hmac(Algorithm::Hs256, secret, signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(refused(&auth, &token).await.kind, "algorithm");
    }
}

#[tokio::test]
async fn none_is_never_accepted() {
    let (_dir, auth) = trusting(&Signer::new(Algorithm::Es256));
    for name in ["none", "None", "NONE", "", "es256", "RS1", "ES256K"] {
        let signed = signed_part(&json!({"alg": name, "kid": "kid"}), &claims());
        for signature in ["", "AAAA"] {
            let refused = refused(&auth, &format!("{signed}.{signature}")).await;
            assert_eq!(refused.kind, "algorithm", "{name}");
            assert!(refused.reason.contains(&format!("{name:?} is not one of")), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn only_configured_algorithms() {
    let dir = tempfile::TempDir::new().unwrap();
    let (elliptic, rsa) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Rs256));
    let mut options = options_with_keys(&dir, &[elliptic.jwk(), rsa.jwk()]);
    options.signing_algorithms = vec!["ES256".into(), "PS512".into()];
    let auth = TokenAuth::open(options.clone()).unwrap();
    let of = |signer: &Signer, algorithm| {
        signer.token(algorithm, json!({"kid": signer.thumbprint()}), &claims())
    };
    assert!(ask(&auth, &of(&elliptic, Algorithm::Es256)).await.is_ok());
    assert!(ask(&auth, &of(&rsa, Algorithm::Ps512)).await.is_ok());
    let refused = refused(&auth, &of(&rsa, Algorithm::Rs256)).await;
    assert_eq!(refused.kind, "algorithm");
    assert_eq!(refused.reason, "signing algorithm \"RS256\" is not one of ES256, PS512");

    options.signing_algorithms = vec!["RS1".into()];
    let error = TokenAuth::open(options).unwrap_err();
    assert!(matches!(error, TokenError::Algorithm { .. }));
    assert!(error.to_string().contains("\"RS1\" is not one of EdDSA, HS256"), "{error}");
}

#[tokio::test]
async fn a_key_may_be_for_one_algorithm_only() {
    let dir = tempfile::TempDir::new().unwrap();
    let signer = Signer::new(Algorithm::Rs256);
    let mut jwk = signer.jwk();
    jwk["alg"] = "RS256".into();
    jwk["kid"] = "kid".into();
    let auth = TokenAuth::open(options_with_keys(&dir, &[jwk])).unwrap();
    assert!(ask(&auth, &signer.token(Algorithm::Rs256, header(), &claims())).await.is_ok());
    let token = signer.token(Algorithm::Ps256, header(), &claims());
    assert_eq!(refused(&auth, &token).await.kind, "algorithm");
}

#[tokio::test]
async fn short_secrets_make_short_hashes_only() {
    let dir = tempfile::TempDir::new().unwrap();
    let signer = Signer::Secret(vec![7; 48]);
    let mut jwk = signer.jwk();
    jwk["kid"] = "kid".into();
    let auth = TokenAuth::open(options_with_keys(&dir, &[jwk])).unwrap();
    assert!(ask(&auth, &signer.token(Algorithm::Hs384, header(), &claims())).await.is_ok());
    let token = signer.token(Algorithm::Hs512, header(), &claims());
    assert_eq!(refused(&auth, &token).await.kind, "algorithm");
}
