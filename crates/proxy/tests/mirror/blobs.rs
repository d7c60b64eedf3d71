//! Single blobs.

use bytes::Bytes;
use futures_util::stream;
use oci::{Algorithm, Digest};
use proxy::{MirrorError, UpstreamError};
use registry::Chunk;

use crate::fake::{Act, FakeRegistry};
use crate::support::{
    OCI_MANIFEST, Setup, Store, THERE, content, image, mirrored, name, read_part, sha256,
};

const SIZE: usize = 300_000;

#[tokio::test]
async fn to_ask_what_there_is_downloads_nothing() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content(SIZE));
        let manifest = fake.put_manifest(THERE, Some("v1"), OCI_MANIFEST, &image("1"));
        let pulling = Setup::of(&[&fake]).over(&store);
        let stat = mirrored!(pulling).stat_blob(&digest).await.unwrap();
        assert_eq!(stat.size_bytes, SIZE as u64);
        for of in ["v1", &manifest.to_string()] {
            let head = pulling.head(of).await.unwrap().content;
            assert_eq!((head.digest, head.size_bytes), (manifest, image("1").len() as u64));
            assert_eq!(head.media_type.as_str(), OCI_MANIFEST);
        }
        assert_eq!(fake.count("GET "), 0, "{}", store.label);
        store.assert_empty().await;
    }
}

#[tokio::test]
async fn a_part_of_what_is_not_here_yet() {
    let content = content(SIZE);
    for store in Store::each().await {
        for (start, end) in [(100, 200), (SIZE - 10, SIZE), (SIZE - 1, SIZE), (0, SIZE - 1), (7, 7)]
        {
            let fake = FakeRegistry::start().await;
            // Another one each time.
            let marked: Vec<u8> = content.iter().map(|byte| byte ^ (end - start) as u8).collect();
            let digest = fake.put_blob(THERE, &marked);
            let pulling = Setup::of(&[&fake]).over(&store);
            let blob = pulling.open(&digest).await.unwrap();
            let (bytes, error) = read_part(&blob, start as u64..end as u64).await;
            assert_eq!(error, None);
            assert!(bytes == marked[start..end], "{} {start}..{end}", store.label);
            pulling.landed().await;
            assert!(pulling.blob(&digest).await == marked);
            assert_eq!(fake.count("GET "), 1);
        }
    }
}

#[tokio::test]
async fn a_small_one_that_is_wrong_is_an_error_and_no_body() {
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &content(64 << 10));
        let pulling = Setup::of(&[&fake]).over(&store);
        fake.fail("GET ", 1, Act::Corrupt(3));
        let error = pulling.open(&digest).await.unwrap_err();
        let is_told = matches!(error, MirrorError::Upstream(UpstreamError::Invalid { .. }));
        assert!(is_told && !error.is_not_found(), "{}: {error:?}", store.label);
        store.assert_empty().await;
        assert_eq!(pulling.blob(&digest).await.len(), 64 << 10);
    }
}

#[tokio::test]
async fn an_empty_one_and_digests_of_another_kind() {
    let long = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let pulling = Setup::of(&[&fake]).over(&store);
        let empty = fake.put_blob(THERE, b"");
        assert!(pulling.blob(&empty).await.is_empty());
        let digest = Digest::of(Algorithm::Sha512, &long);
        fake.put_blob_as(THERE, &digest, &long);
        fake.fail("GET ", 1, Act::Corrupt(9));
        let (bytes, error) = crate::support::read(&pulling.open(&digest).await.unwrap()).await;
        assert!(bytes.len() < SIZE && error.is_some(), "{}", store.label);
        assert!(pulling.blob(&digest).await == long);
        let manifest = image("512");
        let digest = Digest::of(Algorithm::Sha512, &manifest);
        fake.put_manifest_as(THERE, &digest, OCI_MANIFEST, &manifest);
        assert_eq!(pulling.digest(&digest.to_string()).await, digest);
        // All of it is here.
        let asked = fake.seen().len();
        assert_eq!(pulling.digest(&digest.to_string()).await, digest);
        let digest = Digest::of(Algorithm::Sha512, &long);
        assert!(pulling.blob(&digest).await == long);
        assert!(pulling.blob(&empty).await.is_empty());
        assert_eq!(fake.seen().len(), asked, "{}", store.label);
    }
}

fn chunk(content: &[u8]) -> Chunk {
    let piece = Ok(Bytes::copy_from_slice(content));
    Chunk {
        range: None,
        offset_bytes: None,
        content_length: None,
        body: Box::pin(stream::iter([piece])),
    }
}

#[tokio::test]
async fn what_another_repository_has_is_not_fetched_but_asked_for() {
    let long = content(SIZE);
    for store in Store::each().await {
        let fake = FakeRegistry::start().await;
        let digest = fake.put_blob(THERE, &long);
        let secret = sha256(b"not there");
        let registry = &store.registry;
        registry.put_blob(&name("local"), &digest, chunk(&long)).await.unwrap();
        registry.put_blob(&name("local"), &secret, chunk(b"not there")).await.unwrap();
        let pulling = Setup::of(&[&fake]).over(&store);
        assert!(pulling.blob(&digest).await == long);
        assert_eq!((fake.count("HEAD "), fake.count("GET ")), (1, 0), "{}", store.label);
        assert!(pulling.blob(&digest).await == long);
        assert_eq!(fake.seen().len(), 1);
        // What the upstream does not have in this repository is nobody's business.
        assert!(pulling.open(&secret).await.unwrap_err().is_not_found());
        assert!(!pulling.has(&secret).await);
    }
}
