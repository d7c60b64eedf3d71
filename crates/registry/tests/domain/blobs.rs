use oci::{Algorithm, Digest};
use registry::{Error, layout};

use crate::support::{chunk, name, overwrite, pull_blob, push_blob, registry, sha256};

#[tokio::test]
async fn a_blob_belongs_to_the_repositories_that_have_it() {
    let registry = registry();
    let digest = push_blob(&registry, "one", b"layer").await;
    assert_eq!(pull_blob(&registry, "one", &digest).await, b"layer");
    let stat = registry.stat_blob(&name("one"), &digest).await.unwrap();
    assert_eq!((stat.digest, stat.size_bytes), (digest, 5));
    for other in ["two", "one/two"] {
        let error = registry.stat_blob(&name(other), &digest).await.unwrap_err();
        assert!(matches!(error, Error::BlobUnknown { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_blob_pushed_under_sha512_has_both_digests() {
    let registry = registry();
    let sha512 = Digest::of(Algorithm::Sha512, b"layer");
    let stat = registry.put_blob(&name("one"), &sha512, chunk("layer")).await.unwrap();
    assert_eq!(stat.digest, sha256(b"layer"));
    for digest in [&sha512, &stat.digest] {
        assert_eq!(pull_blob(&registry, "one", digest).await, b"layer");
    }
    // Distribution's layout: both links hold the canonical digest.
    let link = layout::layer_link(&name("one"), &sha512);
    let content = registry.driver().get(&link, 1000).await.unwrap();
    assert_eq!(content, stat.digest.to_string());
    // Deleting it under either digest deletes it.
    registry.delete_blob(&name("one"), &stat.digest).await.unwrap();
    assert!(registry.stat_blob(&name("one"), &sha512).await.is_err());
}

#[tokio::test]
async fn deleting_takes_the_blob_out_of_one_repository() {
    let registry = registry();
    let digest = push_blob(&registry, "one", b"layer").await;
    push_blob(&registry, "two", b"layer").await;
    registry.delete_blob(&name("one"), &digest).await.unwrap();
    assert!(registry.open_blob(&name("one"), &digest).await.is_err());
    let again = registry.delete_blob(&name("one"), &digest).await.unwrap_err();
    assert!(matches!(again, Error::BlobUnknown { .. }));
    assert_eq!(pull_blob(&registry, "two", &digest).await, b"layer");
}

#[tokio::test]
async fn mounting() {
    let registry = registry();
    let digest = push_blob(&registry, "one", b"layer").await;
    let mount = async |to: &str, digest: &Digest, from: Option<&str>| {
        let from = from.map(name);
        registry.mount_blob(&name(to), digest, from.as_ref()).await.unwrap()
    };
    assert_eq!(mount("two", &digest, Some("one")).await, Some(digest));
    assert_eq!(pull_blob(&registry, "two", &digest).await, b"layer");
    assert_eq!(mount("three", &digest, None).await, Some(digest));
    assert_eq!(pull_blob(&registry, "three", &digest).await, b"layer");
    assert_eq!(mount("four", &digest, Some("five")).await, None);
    assert_eq!(mount("four", &sha256(b"unknown"), None).await, None);
    assert!(registry.stat_blob(&name("four"), &digest).await.is_err());
}

#[tokio::test]
async fn mounting_by_another_digest_finds_the_blob_anywhere() {
    let registry = registry();
    let sha512 = Digest::of(Algorithm::Sha512, b"layer");
    registry.put_blob(&name("one"), &sha512, chunk("layer")).await.unwrap();
    for from in [None, Some(name("one"))] {
        let mounted = registry.mount_blob(&name("two"), &sha512, from.as_ref()).await.unwrap();
        assert_eq!(mounted, Some(sha256(b"layer")));
        assert_eq!(pull_blob(&registry, "two", &sha512).await, b"layer");
        registry.delete_blob(&name("two"), &sha512).await.unwrap();
    }
}

#[tokio::test]
async fn damage_is_absence_and_pushing_again_repairs_it() {
    let registry = registry();
    let digest = push_blob(&registry, "one", b"layer").await;
    // An empty link.
    overwrite(&registry, &layout::layer_link(&name("one"), &digest), b"").await;
    let error = registry.open_blob(&name("one"), &digest).await.unwrap_err();
    assert!(matches!(error, Error::BlobUnknown { .. }));
    push_blob(&registry, "one", b"layer").await;
    assert_eq!(pull_blob(&registry, "one", &digest).await, b"layer");
    // A link without data.
    registry.driver().delete(&layout::blob_data(&digest)).await.unwrap();
    for error in [
        registry.open_blob(&name("one"), &digest).await.unwrap_err(),
        registry.stat_blob(&name("one"), &digest).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::BlobUnknown { .. }));
    }
    push_blob(&registry, "one", b"layer").await;
    assert_eq!(pull_blob(&registry, "one", &digest).await, b"layer");
    // Data that was cut short.
    overwrite(&registry, &layout::blob_data(&digest), b"la").await;
    push_blob(&registry, "one", b"layer").await;
    assert_eq!(pull_blob(&registry, "one", &digest).await, b"layer");
}
