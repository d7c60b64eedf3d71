use bytes::Bytes;
use oci::{Algorithm, Digest, MediaType, Reference};
use registry::{Error, IndexPlatforms, ManifestPush, MissingReferences, Options, Registry};
use registry::{Validation, layout};
use serde_json::json;

use crate::support::{
    image, index, name, overwrite, push, push_blob, push_image, registry, sha256, tag, tags,
};

fn by(digest: &Digest) -> Reference {
    Reference::Digest(*digest)
}

#[tokio::test]
async fn served_as_pushed() {
    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let content = image(&config, json!({"unknown": [1, 2.50, null]}));
    let pushed = push(&registry, "one", "v1", MediaType::OciManifest, &content).await.unwrap();
    assert_eq!(pushed.digest, sha256(&content));
    for reference in [Reference::Tag(tag("v1")), by(&pushed.digest)] {
        let stored = registry.get_manifest(&name("one"), &reference).await.unwrap();
        assert_eq!(stored.content, content);
        assert_eq!(stored.digest, pushed.digest);
        assert_eq!(stored.media_type, MediaType::OciManifest);
        let error = registry.get_manifest(&name("two"), &reference).await.unwrap_err();
        assert!(matches!(error, Error::ManifestUnknown { .. }));
    }
    // A manifest is not a blob of the repository, and a blob is not a manifest.
    assert!(registry.stat_blob(&name("one"), &pushed.digest).await.is_err());
    assert!(registry.get_manifest(&name("one"), &by(&config)).await.is_err());
}

#[tokio::test]
async fn the_cache_counts_what_it_is_asked() {
    use registry::CacheStats;
    use storage::memory::Memory;

    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let content = image(&config, json!({}));
    push(&registry, "one", "v1", MediaType::OciManifest, &content).await.unwrap();
    let before = registry.manifest_cache_stats();
    for _ in 0..3 {
        registry.get_manifest(&name("one"), &by(&sha256(&content))).await.unwrap();
    }
    let after = registry.manifest_cache_stats();
    assert_eq!((after.requests - before.requests, after.hits - before.hits), (3, 3));

    // Another process on the same storage has to read it once.
    let other = Registry::new(std::sync::Arc::clone(registry.driver()), Options::default());
    for _ in 0..2 {
        other.get_manifest(&name("one"), &by(&sha256(&content))).await.unwrap();
    }
    assert_eq!(other.manifest_cache_stats(), CacheStats { requests: 2, hits: 1 });

    let options = Options { manifest_cache_entries: 0, ..Options::default() };
    let without = Registry::new(std::sync::Arc::new(Memory::new()), options);
    assert_eq!(without.manifest_cache_stats(), CacheStats::default());
}

#[tokio::test]
async fn by_a_sha512_digest_with_tags() {
    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let content = image(&config, json!({}));
    let sha512 = Digest::of(Algorithm::Sha512, &content);
    let push = ManifestPush {
        reference: by(&sha512),
        tags: vec![tag("a"), tag("b")],
        media_type: MediaType::OciManifest,
        content: content.clone(),
    };
    let pushed = registry.put_manifest(&name("one"), push).await.unwrap();
    assert_eq!((pushed.digest, pushed.tags), (sha512, vec![tag("a"), tag("b")]));
    for reference in [by(&sha512), Reference::Tag(tag("a")), Reference::Tag(tag("b"))] {
        let stored = registry.get_manifest(&name("one"), &reference).await.unwrap();
        assert_eq!((stored.digest, stored.content), (sha512, content.clone()));
    }
    registry.get_manifest(&name("one"), &by(&sha256(&content))).await.unwrap();
    registry.delete_manifest(&name("one"), &sha512).await.unwrap();
    for reference in [by(&sha512), by(&sha256(&content)), Reference::Tag(tag("a"))] {
        assert!(registry.get_manifest(&name("one"), &reference).await.is_err());
    }
}

#[tokio::test]
async fn a_digest_must_match() {
    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let content = image(&config, json!({}));
    let wrong = sha256(b"wrong").to_string();
    let error = push(&registry, "one", &wrong, MediaType::OciManifest, &content).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn every_missing_reference_is_named() {
    let registry = registry();
    let config = push_blob(&registry, "other", b"{}").await;
    let layer = sha256(b"layer");
    let layers = json!({"layers": [{"mediaType": "l", "digest": layer.to_string(), "size": 5}]});
    let content = image(&config, layers);
    let error = push(&registry, "one", "v1", MediaType::OciManifest, &content).await.unwrap_err();
    match error {
        Error::ManifestReferences(faults) => {
            let digests: Vec<_> = faults.iter().map(|f| (f.digest.clone(), f.missing)).collect();
            assert_eq!(digests, [(config.to_string(), true), (layer.to_string(), true)]);
        }
        other => panic!("{other}"),
    }
    assert!(registry.list_tags(&name("one"), Default::default()).await.is_err());
}

#[tokio::test]
async fn children_of_an_index() {
    let registry = registry();
    let child = push_image(&registry, "one", "child").await;
    let good = index(&[child]);
    push(&registry, "one", "good", MediaType::OciIndex, &good).await.unwrap();
    push(&registry, "one", "empty", MediaType::OciIndex, &index(&[])).await.unwrap();
    let bad = index(&[child, sha256(b"missing")]);
    let error = push(&registry, "one", "bad", MediaType::OciIndex, &bad).await.unwrap_err();
    assert!(matches!(error, Error::ManifestReferences(faults) if faults.len() == 1));
    // BuildKit's cache: the children are layers.
    let layer = push_blob(&registry, "one", b"layer").await;
    push(&registry, "one", "cache", MediaType::OciIndex, &index(&[layer])).await.unwrap();
}

#[tokio::test]
async fn sparse_manifests_where_they_are_allowed() {
    let options = Options {
        validation: Validation {
            index_platforms: IndexPlatforms::None,
            missing_references: MissingReferences::Accept,
            ..Validation::default()
        },
        ..Options::default()
    };
    let registry = Registry::new(registry().driver().clone(), options);
    let content = image(&sha256(b"missing"), json!({}));
    push(&registry, "one", "v1", MediaType::OciManifest, &content).await.unwrap();
    let content = index(&[sha256(b"missing")]);
    push(&registry, "one", "v2", MediaType::OciIndex, &content).await.unwrap();
}

#[tokio::test]
async fn foreign_layers_need_not_be_here() {
    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let layer = |media_type: &str, urls: serde_json::Value| {
        let digest = sha256(b"elsewhere").to_string();
        let layer = json!({"mediaType": media_type, "digest": digest, "size": 5, "urls": urls});
        image(&config, json!({"layers": [layer]}))
    };
    let oci = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    for (media_type, urls, good) in [
        (oci, json!(["https://example.com/layer"]), true),
        (oci, json!([]), false),
        (oci, json!(["ftp://example.com/layer"]), false),
        ("application/vnd.oci.image.layer.v1.tar", json!(["https://example.com/layer"]), false),
    ] {
        let content = layer(media_type, urls.clone());
        let outcome = push(&registry, "one", "v1", MediaType::OciManifest, &content).await;
        assert_eq!(outcome.is_ok(), good, "{media_type} {urls}");
    }
}

#[tokio::test]
async fn classes_of_images() {
    let options = |classes: &[&str]| Options {
        validation: Validation {
            repository_classes: classes.iter().map(|c| (*c).to_owned()).collect(),
            ..Validation::default()
        },
        ..Options::default()
    };
    for (classes, good) in [(&["image"][..], true), (&["plugin"], false), (&[], true)] {
        let registry = Registry::new(registry().driver().clone(), options(classes));
        let config = push_blob(&registry, "one", b"{}").await;
        let media_type = "application/vnd.oci.image.config.v1+json";
        let config = json!({"mediaType": media_type, "digest": config.to_string(), "size": 2});
        let content = image(&sha256(b""), json!({"config": config}));
        let outcome = push(&registry, "one", "v1", MediaType::OciManifest, &content).await;
        assert_eq!(outcome.is_ok(), good, "{classes:?}");
    }
}

#[tokio::test]
async fn deleting_takes_every_tag_along() {
    let registry = registry();
    let config = push_blob(&registry, "one", b"{}").await;
    let content = image(&config, json!({}));
    for reference in ["a", "b"] {
        push(&registry, "one", reference, MediaType::OciManifest, &content).await.unwrap();
    }
    push_image(&registry, "one", "other").await;
    let digest = sha256(&content);
    registry.delete_manifest(&name("one"), &digest).await.unwrap();
    assert_eq!(tags(&registry, "one").await, ["other"]);
    assert!(registry.get_manifest(&name("one"), &by(&digest)).await.is_err());
    let again = registry.delete_manifest(&name("one"), &digest).await.unwrap_err();
    assert!(matches!(again, Error::ManifestUnknown { .. }));
    // And it can come back.
    push(&registry, "one", "a", MediaType::OciManifest, &content).await.unwrap();
    assert_eq!(tags(&registry, "one").await, ["a", "other"]);
}

#[tokio::test]
async fn damaged_content_is_never_served() {
    let driver = registry().driver().clone();
    let fresh = || Registry::new(driver.clone(), Options::default());
    let digest = push_image(&fresh(), "one", "v1").await;
    let data = layout::blob_data(&digest);
    overwrite(&fresh(), &data, b"{\"schemaVersion\":2}").await;
    let error = fresh().get_manifest(&name("one"), &by(&digest)).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    push_image(&fresh(), "one", "v1").await;
    fresh().get_manifest(&name("one"), &by(&digest)).await.unwrap();
    driver.delete(&data).await.unwrap();
    let error = fresh().get_manifest(&name("one"), &by(&digest)).await.unwrap_err();
    assert!(matches!(error, Error::ManifestUnknown { .. }), "{error}");
}

#[tokio::test]
async fn what_another_process_deletes_is_gone_at_once() {
    let driver = registry().driver().clone();
    let (one, two) = (
        Registry::new(driver.clone(), Options::default()),
        Registry::new(driver, Options::default()),
    );
    let digest = push_image(&one, "one", "v1").await;
    one.get_manifest(&name("one"), &by(&digest)).await.unwrap();
    two.delete_manifest(&name("one"), &digest).await.unwrap();
    assert!(one.get_manifest(&name("one"), &by(&digest)).await.is_err());
    assert!(one.get_manifest(&name("one"), &Reference::Tag(tag("v1"))).await.is_err());
}

#[tokio::test]
async fn schema_1_on_an_old_volume_is_served_as_it_lies() {
    let registry = registry();
    let content = Bytes::from_static(br#"{"schemaVersion":1,"name":"one","signatures":[]}"#);
    let digest = sha256(&content);
    registry.driver().put(&layout::blob_data(&digest), content.clone()).await.unwrap();
    let link = layout::revision_link(&name("one"), &digest);
    registry.driver().put(&link, digest.to_string().into()).await.unwrap();
    let stored = registry.get_manifest(&name("one"), &by(&digest)).await.unwrap();
    assert_eq!((stored.media_type, stored.content), (MediaType::DockerSchema1, content));
}
