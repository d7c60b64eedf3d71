//! Files with keys that change.

use std::sync::atomic::Ordering;
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

/// To open a pipe would wait for somebody who writes into it.
#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let dir = TempDir::new().unwrap();
    let signer = Signer::new(Algorithm::Es256);
    let options = options_with_keys(&dir, &[signer.jwk()]);
    let auth = TokenAuth::open(options.clone()).unwrap();
    let path = dir.path().join("jwks.json");
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let token = token(&signer);
    let asked = tokio::time::timeout(Duration::from_secs(4), ask(&auth, &token)).await;
    assert!(asked.expect("keys are there").is_ok());
    let error = TokenAuth::open(options).unwrap_err().to_string();
    assert!(error.contains("jwks.json") && error.contains("not a file"), "{error}");
}

/// Anybody can make files be looked at. While a look hangs there is no second one, whoever goes
/// away meanwhile, and requests are answered by the keys there were.
#[tokio::test(start_paused = true)]
async fn a_file_that_hangs_takes_one_thread() {
    let dir = TempDir::new().unwrap();
    let (old, new) = (Signer::new(Algorithm::Es256), Signer::new(Algorithm::Es256));
    let auth = TokenAuth::open(options_with_keys(&dir, &[old.jwk()])).unwrap();
    let auth = std::sync::Arc::new(auth);
    let hold = auth.keys.holds().await.remove(0);
    let reads = || hold.reads.load(Ordering::Relaxed);
    assert_eq!(reads(), 1, "at the start");
    write(&dir, "jwks.json", &set(&[new.jwk()]));
    hold.hangs.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(1)).await;

    let asking = || {
        let (auth, token) = (auth.clone(), token(&old));
        tokio::spawn(async move { ask(&auth, &token).await })
    };
    // Clients that go away.
    for _ in 0..3 {
        let client = asking();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        client.abort();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // And one that stays gets its answer.
    let client = asking();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(client.await.unwrap().is_ok());
    for _ in 0..3 {
        assert!(asking().await.unwrap().is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    hold.hangs.store(false, Ordering::Relaxed);
    while ask(&auth, &token(&new)).await.is_err() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(ask(&auth, &token(&old)).await.is_err());
    assert_eq!(reads(), 2, "at the start, and one that hung");
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
