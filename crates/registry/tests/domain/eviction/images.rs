//! Indexes, referrers, other digests, and what is left of what is gone.

use bytes::Bytes;
use oci::Algorithm;
use registry::{Collection, CollectionOptions, IndexPlatforms, MissingReferences, Validation};

use super::*;
use crate::support::{chunk, files, index};

/// One that takes manifests whose parts are not there, as a cache has them.
fn lenient(driver: &Arc<dyn Driver>) -> Arc<Registry> {
    let validation = Validation {
        index_platforms: IndexPlatforms::None,
        missing_references: MissingReferences::Accept,
        ..Validation::default()
    };
    let options = Options { record_pulls: true, validation, ..Options::default() };
    Arc::new(Registry::new(Arc::clone(driver), options))
}

/// An index of an image that is there and of one that nobody asked for.
async fn fetch_index(registry: &Registry, repository: &str, reference: &str) -> (Digest, Digest) {
    let (child, _) = fetch(registry, repository, &format!("{reference}-child")).await;
    let text = format!("{reference}-child");
    registry.delete_tag(&name(repository), &tag(&text)).await.unwrap();
    let content = index(&[child, Digest::of(Algorithm::Sha256, b"of another platform")]);
    let mut text: serde_json::Value = serde_json::from_slice(&content).unwrap();
    text["annotations"] = json!({"of": reference});
    let content = Bytes::from(serde_json::to_vec(&text).unwrap());
    let pushed = push(registry, repository, reference, MediaType::OciIndex, &content).await;
    (pushed.unwrap().digest, child)
}

#[tokio::test(start_paused = true)]
async fn the_children_of_an_index_are_used_and_go_with_it() {
    for (_directory, driver) in drivers() {
        let registry = lenient(&driver);
        let (first, first_child) = fetch_index(&registry, "cache/a", "v1").await;
        let (second, second_child) = fetch_index(&registry, "cache/a", "v2").await;
        fetch(&registry, "cache/a", "v3").await;
        pull(&registry, "cache/a", "v1").await;
        let report = evict(&registry, room_for(2)).await;
        assert_eq!((report.by_size.manifests, report.deleted.manifests), (2, 2), "{report:?}");
        assert_eq!(tags(&registry, "cache/a").await, ["v1", "v3"]);
        for gone in [second, second_child] {
            assert!(!has_manifest(&registry, "cache/a", &gone).await);
        }
        for kept in [first, first_child] {
            assert!(has_manifest(&registry, "cache/a", &kept).await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_pulled_stays_without_its_index() {
    for (_directory, driver) in drivers() {
        let registry = lenient(&driver);
        let (parent, child) = fetch_index(&registry, "cache/a", "v1").await;
        fetch(&registry, "cache/a", "v2").await;
        pull(&registry, "cache/a", &child.to_string()).await;
        let report = evict(&registry, room_for(1)).await;
        assert_eq!(report.by_size.manifests, 2, "{report:?}");
        assert!(has_manifest(&registry, "cache/a", &child).await);
        assert!(!has_manifest(&registry, "cache/a", &parent).await);
        assert!(tags(&registry, "cache/a").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_refers_to_a_manifest_goes_with_it() {
    for (_directory, driver) in drivers() {
        let registry = lenient(&driver);
        let (subject, _) = fetch(&registry, "cache/a", "v1").await;
        fetch(&registry, "cache/a", "v2").await;
        let config = push_blob(&registry, "cache/a", b"{}").await;
        let of = json!({"mediaType": MediaType::OciManifest.as_str(), "digest": subject.to_string(), "size": 2});
        let content = image(&config, json!({"subject": of}));
        let referrer = Digest::of(Algorithm::Sha256, &content);
        let text = referrer.to_string();
        push(&registry, "cache/a", &text, MediaType::OciManifest, &content).await.unwrap();
        pull(&registry, "cache/a", "v1").await;
        evict(&registry, room_for(1)).await;
        assert_eq!(tags(&registry, "cache/a").await, ["v1"]);
        assert!(has_manifest(&registry, "cache/a", &referrer).await);
        let report = evict(&registry, room_for(0)).await;
        assert_eq!(report.deleted.manifests, 1, "{report:?}");
        let small = EvictionOptions { max_bytes: Some(0), ..room_for(0) };
        let report = evict(&registry, small).await;
        assert_eq!((report.bytes_after, report.above_max), (0, false), "{report:?}");
        assert!(files(&*driver, "/docker").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn content_under_other_digests_counts_once_and_goes() {
    for (_directory, driver) in drivers() {
        let registry = lenient(&driver);
        let layer = layer_of("sha512");
        let sha512 = Digest::of(Algorithm::Sha512, &layer);
        registry.put_blob(&name("cache/a"), &sha512, chunk(layer)).await.unwrap();
        let config = push_blob(&registry, "cache/a", b"{}").await;
        let missing = Digest::of(Algorithm::Sha512, b"nobody asked for it");
        let layers = [sha512, missing]
            .map(|digest| json!({"mediaType": "application/layer", "digest": digest.to_string(), "size": LAYER_BYTES}));
        let content = image(&config, json!({"layers": layers}));
        let digest = Digest::of(Algorithm::Sha512, &content).to_string();
        push(&registry, "cache/a", &digest, MediaType::OciManifest, &content).await.unwrap();
        let report = evict(&registry, room_for(1)).await;
        assert_eq!((report.blobs, report.taken.len()), (3, 0), "{report:?}");
        // A collection that is told that it is cached finds nothing wrong with it, nor to delete.
        let cached = Arc::new(|name: &RepositoryName| name.as_str().starts_with("cache/"));
        let at_once = CollectionOptions {
            older_than: Duration::ZERO,
            untagged: true,
            cached: Some(cached),
            ..CollectionOptions::default()
        };
        let collected = Collection::new(Arc::clone(&registry), at_once).run().await.unwrap();
        assert_eq!((collected.problems_total, collected.garbage), (0, Default::default()));
        let report = evict(&registry, room_for(0)).await;
        assert_eq!((report.deleted.layers, report.deleted.blobs), (3, 3), "{report:?}");
        assert_eq!(report.bytes_after, 0);
        assert!(files(&*driver, "/docker").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_names_nothing_goes() {
    for (_directory, driver) in drivers() {
        let registry = lenient(&driver);
        let (gone, layer) = fetch(&registry, "cache/a", "v1").await;
        fetch(&registry, "cache/a", "v2").await;
        // As an eviction leaves it that was killed, or another program.
        driver.delete(&layout::revision(&name("cache/a"), &gone)).await.unwrap();
        let report = evict(&registry, options(Lifetime::Unlimited)).await;
        assert_eq!((report.taken.len(), report.deleted.tags), (0, 1), "{report:?}");
        assert_eq!(tags(&registry, "cache/a").await, ["v2"]);
        // Its layer is a blob that nothing names.
        assert!(has_link(&registry, "cache/a", &layer).await);
        let report = evict(&registry, room_for(1)).await;
        assert_eq!((report.by_size.manifests, report.by_size.blobs), (0, 1), "{report:?}");
        assert_whole(&registry, "cache/a").await;
    }
}
