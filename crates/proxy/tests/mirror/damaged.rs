//! What is here and is not what it should be.

use std::sync::Arc;

use bytes::Bytes;
use registry::layout;

use crate::fake::FakeRegistry;
use crate::support::{OCI_MANIFEST, Setup, Store, THERE, content, image, name};

/// The same storage in a new process, with other bytes in the place of some content.
async fn with_damage(store: &Store, digest: &oci::Digest, content: &'static [u8]) -> Store {
    let driver = Arc::clone(store.registry.driver());
    driver.put(&layout::blob_data(digest), Bytes::from_static(content)).await.unwrap();
    Store::of(store.label, driver)
}

#[tokio::test]
async fn a_damaged_manifest_is_fetched_anew_and_mended() {
    for store in Store::each().await {
        for damage in [b"".as_slice(), b"{}", br#"{"schemaVersion":2,"more":"text"}"#] {
            let fake = FakeRegistry::start().await;
            let digest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
            let by_digest = digest.to_string();
            assert_eq!(Setup::of(&[&fake]).over(&store).digest("v1").await, digest);
            for of in ["v1", &by_digest] {
                let damaged = with_damage(&store, &digest, damage).await;
                let offline = Setup::unreachable().offline().over(&damaged);
                assert!(offline.get(of).await.is_err(), "{}", store.label);
                let pulling = Setup::of(&[&fake]).over(&damaged);
                assert_eq!(pulling.head(of).await.unwrap().content.digest, digest);
                assert_eq!(pulling.digest(of).await, digest, "{}", store.label);
                let again = Store::of(store.label, Arc::clone(store.registry.driver()));
                let offline = Setup::unreachable().offline().over(&again);
                assert_eq!(offline.digest(of).await, digest, "{}", store.label);
            }
        }
    }
}

#[tokio::test]
async fn a_blob_of_which_nothing_is_left_is_fetched_anew_and_mended() {
    let content = content(1000);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        assert!(Setup::of(&[&fake]).over(&store).blob(&digest).await == content);
        let damaged = with_damage(&store, &digest, b"").await;
        let pulling = Setup::of(&[&fake]).over(&damaged);
        assert!(!pulling.has(&digest).await, "{}", store.label);
        assert!(pulling.blob(&digest).await == content, "{}", store.label);
        let again = Store::of(store.label, Arc::clone(store.registry.driver()));
        assert!(Setup::unreachable().offline().over(&again).blob(&digest).await == content);
    }
}

#[tokio::test]
async fn what_another_repository_has_of_another_size_is_not_taken_for_it() {
    let content = content(1000);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content);
        fake.put_blob("other", &content);
        let mut other = Setup::of(&[&fake]).over(&store);
        other.name = name("up/other");
        assert!(other.blob(&digest).await == content);
        let damaged = with_damage(&store, &digest, b"half of it").await;
        let pulling = Setup::of(&[&fake]).over(&damaged);
        assert!(pulling.blob(&digest).await == content, "{}", store.label);
        assert!(other.blob(&digest).await == content, "{}", store.label);
        assert_eq!(fake.count("GET "), 2);
    }
}
