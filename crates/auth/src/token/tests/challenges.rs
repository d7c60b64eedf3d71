//! `WWW-Authenticate` to the letter.

use serde_json::json;
use tempfile::TempDir;

use super::signer::Signer;
use super::support::{ask_with, claims, claims_with, options_with_keys, unauthorized};
use crate::access::{Access, Action};
use crate::token::algorithm::Algorithm;
use crate::token::{TokenAuth, TokenOptions};

const BASE: &str =
    r#"Bearer realm="https://auth.example.com/token",service="registry.example.com""#;

fn keys(dir: &TempDir, signer: &Signer) -> TokenOptions {
    let mut jwk = signer.jwk();
    jwk["kid"] = "kid".into();
    options_with_keys(dir, &[jwk])
}

#[tokio::test]
async fn each_failure_has_its_challenge() {
    let dir = TempDir::new().unwrap();
    let signer = Signer::new(Algorithm::Es256);
    let auth = TokenAuth::open(keys(&dir, &signer)).unwrap();
    let token = |claims| signer.token(Algorithm::Es256, json!({"kid": "kid"}), &claims);
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let unsigned = token(claims()).rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    let stranger = signer.token(Algorithm::Es256, json!({"kid": "?"}), &claims());
    let cases = [
        (None, "missing", ""),
        (Some(String::new()), "missing", ""),
        (Some("Bearer".into()), "missing", ""),
        (Some("Bearer  ".into()), "missing", ""),
        (Some("Basic YWxpY2U6aHVudGVyMg==".into()), "missing", ""),
        (Some("Bearerx y".into()), "missing", ""),
        (bearer("x".into()), "malformed", "invalid_token"),
        (bearer("x y".into()), "malformed", "invalid_token"),
        (bearer(unsigned), "signature", ""),
        (bearer(stranger), "key", "invalid_token"),
        (bearer(token(claims_with("iss", json!("x")))), "issuer", "invalid_token"),
        (bearer(token(claims_with("aud", json!("x")))), "audience", "invalid_token"),
        (bearer(token(claims_with("exp", json!(1)))), "expired", "invalid_token"),
        (bearer(token(claims_with("nbf", json!(1e12)))), "not_yet_valid", "invalid_token"),
        (bearer(token(claims_with("access", json!([])))), "scope", "insufficient_scope"),
    ];
    let wanted = [
        Access::repository("a/b", Action::Pull),
        Access::repository("a/b", Action::Push),
        Access::repository("c", Action::Pull),
    ];
    for (header, kind, error) in cases {
        let refused = unauthorized(ask_with(&auth, header.as_deref(), &wanted).await);
        assert_eq!(refused.kind, kind, "{header:?}");
        let error = if error.is_empty() { String::new() } else { format!(",error=\"{error}\"") };
        let scope = r#",scope="repository:a/b:pull,push repository:c:pull""#;
        assert_eq!(refused.challenge, format!("{BASE}{scope}{error}"), "{header:?}");
    }
    // `/v2/` wants nothing but a good token.
    let refused = unauthorized(ask_with(&auth, None, &[]).await);
    assert_eq!(refused.challenge, BASE);
    let refused = unauthorized(ask_with(&auth, Some("Bearer x"), &[]).await);
    assert_eq!(refused.challenge, format!("{BASE},error=\"invalid_token\""));
    let refused = unauthorized(ask_with(&auth, None, &[Access::catalog()]).await);
    assert_eq!(refused.challenge, format!("{BASE},scope=\"registry:catalog:*\""));

    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme}  {}", token(claims()));
        assert!(ask_with(&auth, Some(&header), &wanted[..2]).await.is_ok());
    }
}

#[tokio::test]
async fn realms() {
    let dir = TempDir::new().unwrap();
    let options = keys(&dir, &Signer::new(Algorithm::Es256));
    let challenge = async |options: TokenOptions| {
        let auth = TokenAuth::open(options).unwrap();
        unauthorized(ask_with(&auth, None, &[]).await).challenge
    };
    let redirected = TokenOptions { auto_redirect: true, ..options.clone() };
    assert_eq!(
        challenge(redirected).await,
        r#"Bearer realm="http://registry.test:5000/auth/token",service="registry.example.com""#
    );
    let quotes = TokenOptions { realm: r#"a"b\c"#.into(), service: "\"".into(), ..options.clone() };
    assert_eq!(challenge(quotes).await, r#"Bearer realm="a\"b\\c",service="\"""#);
    let umlaut = TokenOptions { service: "Grüße".into(), ..options.clone() };
    let expected = "Bearer realm=\"https://auth.example.com/token\",service=\"Grüße\"";
    assert_eq!(challenge(umlaut).await.as_bytes(), expected.as_bytes());

    let line = TokenOptions { service: "a\r\nSet-Cookie: b".into(), ..options };
    let error = TokenAuth::open(line).unwrap_err().to_string();
    assert_eq!(error, "auth.token.service: no control characters may be in it");
}
