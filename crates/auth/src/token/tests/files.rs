//! Files with keys that change.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::signer::Signer;
use super::support::{ask, claims, options_with_bundle, options_with_keys, refused, write};
use crate::token::TokenAuth;
use crate::token::algorithm::Algorithm;

fn token(signer: &Signer) -> String {
    signer.token(Algorithm::Es256, json!({"kid": signer.thumbprint()}), &claims())
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_key_set_is_read_again() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let auth = TokenAuth::open(options_with_keys(&dir, &[old.jwk()])).unwrap();
    assert!(ask(&auth, &token(&old)).await.is_ok());
    assert_eq!(refused(&auth, &token(&new)).await.kind, "key");

    write(&dir, "jwks.json", &set(&[new.jwk()]));
    // Not looked at so soon.
    assert!(ask(&auth, &token(&old)).await.is_ok());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(ask(&auth, &token(&new)).await.is_ok());
    // Neither from memory.
    assert_eq!(refused(&auth, &token(&old)).await.kind, "key");

    // Files that are no good change nothing, until they are good again.
    for bad in ["", "{", "{\"keys\":[]}"] {
        write(&dir, "jwks.json", bad);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(ask(&auth, &token(&new)).await.is_ok());
    }
    std::fs::remove_file(dir.path().join("jwks.json")).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(ask(&auth, &token(&new)).await.is_ok());
    write(&dir, "jwks.json", &set(&[old.jwk(), new.jwk()]));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(ask(&auth, &token(&old)).await.is_ok());
    assert!(ask(&auth, &token(&new)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_bundle_is_read_again() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let auth = TokenAuth::open(options_with_bundle(&dir, &old.pair().public_key_pem())).unwrap();
    assert!(ask(&auth, &token(&old)).await.is_ok());
    // In place, with the same length.
    std::fs::write(dir.path().join("bundle.pem"), new.pair().public_key_pem()).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(refused(&auth, &token(&old)).await.kind, "key");
    assert!(ask(&auth, &token(&new)).await.is_ok());
}
