//! By size.

use registry::eviction::{EvictionReason, UnitKind};
use registry::{Collection, CollectionError, CollectionOptions, Eviction, EvictionOptions};

use super::*;
use crate::support::{files, overwrite};

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_goes_until_there_is_room() {
    for (_directory, driver) in drivers() {
        let before = server(&driver);
        let mut layers = Vec::new();
        for text in ["v1", "v2", "v3", "v4"] {
            layers.push(fetch(&before, "cache/a", text).await);
        }
        pull(&before, "cache/a", "v1").await;
        drop(before);

        let registry = server(&driver);
        assert!(registry.last_eviction().await.unwrap().is_none());
        let report = evict(&registry, room_for(4)).await;
        assert_eq!((report.taken.len(), report.blobs, report.above_max), (0, 9, false));
        assert_eq!(report.bytes_after, report.bytes_before);
        assert!(report.bytes_before > 40_000 && report.bytes_before < 44_000);

        let report = evict(&registry, room_for(2)).await;
        assert_eq!(tags(&registry, "cache/a").await, ["v1", "v4"], "{report:?}");
        assert_eq!((report.by_size.manifests, report.by_age.manifests), (2, 0));
        let gone = &report.taken[0];
        assert_eq!((&*gone.repository, &*gone.digest), ("cache/a", &*layers[1].0.to_string()));
        assert_eq!((gone.reason, gone.kind), (EvictionReason::Size, UnitKind::Manifest));
        assert_eq!((report.deleted.tags, report.deleted.manifests), (2, 2));
        assert_eq!((report.deleted.layers, report.deleted.blobs), (2, 4));
        assert_eq!(report.deleted.blob_bytes, report.by_size.bytes);
        assert_eq!(report.bytes_before - report.bytes_after, report.by_size.bytes);
        for (place, (manifest, layer)) in layers.iter().enumerate() {
            let stays = place == 0 || place == 3;
            assert_eq!(has_data(&registry, layer).await, stays);
            assert_eq!(has_manifest(&registry, "cache/a", manifest).await, stays);
        }
        assert_whole(&registry, "cache/a").await;
        let totals = registry.evictions();
        assert_eq!((totals.finished, totals.taken_by_size), (2, 2));
        assert_eq!(totals.cached_bytes, Some(report.bytes_after));
        assert_eq!(totals.freed_bytes, report.by_size.bytes);
        assert!(registry.last_eviction().await.unwrap().is_some());

        // There is nothing more to do, and nothing but the report is left of it.
        let again = evict(&registry, room_for(2)).await;
        assert_eq!((again.taken.len(), again.bytes_before), (0, report.bytes_after));
        let left = files(&*driver, "/wharf/v1/eviction").await;
        assert_eq!(left, ["/wharf/v1/eviction/last"]);
    }
}

#[tokio::test(start_paused = true)]
async fn it_goes_down_to_the_low_water_mark() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        for text in ["v1", "v2", "v3", "v4"] {
            fetch(&registry, "cache/a", text).await;
        }
        // An eviction remembers sizes from one run to the next.
        let low = EvictionOptions { low_water_percent: 50, ..room_for(4) };
        let eviction = Eviction::new(Arc::clone(&registry), low);
        assert_eq!(eviction.run().await.unwrap().taken.len(), 0);
        fetch(&registry, "cache/a", "v5").await;
        let report = eviction.run().await.unwrap();
        assert_eq!(report.by_size.manifests, 3, "{report:?}");
        assert_eq!(tags(&registry, "cache/a").await, ["v4", "v5"]);
        assert!(report.bytes_after <= 22_500, "{report:?}");
        assert_eq!(eviction.run().await.unwrap().bytes_before, report.bytes_after);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_kept_stays_and_counts() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        fetch(&registry, "cache/base/os", "v1").await;
        fetch(&registry, "cache/a", "v2").await;
        fetch(&registry, "cache/a", "v3").await;
        let report = evict(&registry, keeping("cache/base/**", room_for(2))).await;
        assert_eq!((report.by_size.manifests, report.above_max), (1, false), "{report:?}");
        assert_eq!(tags(&registry, "cache/a").await, ["v3"]);
        let report = evict(&registry, keeping("cache/base/**", room_for(0))).await;
        assert_eq!((report.by_size.manifests, report.above_max), (1, true), "{report:?}");
        assert_eq!(tags(&registry, "cache/base/os").await, ["v1"]);
        assert_whole(&registry, "cache/base/os").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_goes_with_the_last_that_has_it() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let shared = layer_of("shared");
        let (_, layer) = fetch_with(&registry, "cache/a", "v1", &shared).await;
        fetch_with(&registry, "cache/b", "v1", &shared).await;
        fetch(&registry, "cache/c", "v1").await;
        let report = evict(&registry, room_for(1)).await;
        assert_eq!((report.by_size.manifests, report.deleted.layers), (2, 4), "{report:?}");
        assert!(!has_data(&registry, &layer).await);
        assert_eq!(tags(&registry, "cache/c").await, ["v1"]);

        // What one repository loses, the other keeps.
        let (_, layer) = fetch_with(&registry, "cache/a", "v1", &shared).await;
        fetch_with(&registry, "cache/b", "v1", &shared).await;
        let report = evict(&registry, keeping("cache/b", room_for(0))).await;
        assert_eq!(report.by_size.manifests, 2, "{report:?}");
        assert!(!has_link(&registry, "cache/a", &layer).await);
        assert_whole(&registry, "cache/b").await;
        assert_eq!(tags(&registry, "cache/b").await, ["v1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_local_repository_has_is_no_eviction_s() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let (_, layer) = fetch(&registry, "cache/a", "v1").await;
        fetch_with(&registry, "own/app", "v1", &layer_of("v1")).await;
        // One that is just being pushed, and names nothing yet; one that was forgotten.
        let (_, mounted) = fetch(&registry, "cache/a", "v2").await;
        registry.mount_blob(&name("own/new"), &mounted, None).await.unwrap().unwrap();
        let orphan = push_blob(&registry, "own/app", b"an orphan").await;
        let unlinked = push_blob(&registry, "own/app", b"without any link").await;
        registry.delete_blob(&name("own/app"), &unlinked).await.unwrap();
        let before = files(&*driver, "/docker/registry/v2/repositories/own").await;

        let report = evict(&registry, room_for(0)).await;
        assert_eq!((report.by_size.manifests, report.deleted.manifests), (2, 2), "{report:?}");
        // The manifests; what they are made of is somebody else's as well.
        assert_eq!((report.bytes_after, report.deleted.blobs), (0, 2), "{report:?}");
        assert_whole(&registry, "own/app").await;
        for digest in [layer, mounted, orphan, unlinked] {
            assert!(has_data(&registry, &digest).await);
        }
        assert_eq!(files(&*driver, "/docker/registry/v2/repositories/own").await, before);
        assert!(files(&*driver, "/docker/registry/v2/repositories/cache").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        fetch(&registry, "cache/a", "v1").await;
        fetch(&registry, "cache/a", "v2").await;
        let before = files(&*driver, "/").await;
        let report = evict(&registry, EvictionOptions { dry_run: true, ..room_for(1) }).await;
        assert_eq!((report.dry_run, report.by_size.manifests), (true, 1));
        assert!(report.bytes_after < report.bytes_before);
        assert_eq!(report.deleted, Default::default());
        assert_eq!(files(&*driver, "/").await, before);
        let text = serde_json::to_value(&report).unwrap();
        assert_eq!(text["taken"][0]["reason"], "size");
        assert_eq!(text["taken"][0]["kind"], "manifest");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_t_be_read_keeps_its_repository_and_no_other() {
    let (_, driver) = drivers().remove(0);
    let registry = server(&driver);
    let (damaged, _) = fetch(&registry, "cache/bad", "v1").await;
    fetch(&registry, "cache/good", "v2").await;
    overwrite(&registry, &layout::blob_data(&damaged), b"not json").await;
    let report = evict(&registry, room_for(0)).await;
    assert_eq!((report.problems_total, report.by_size.manifests), (1, 1), "{report:?}");
    assert!(report.above_max && report.bytes_after > 0);
    assert!(!files(&*driver, "/docker/registry/v2/repositories/cache/bad").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn there_is_one_at_a_time_collections_among_them() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        fetch(&registry, "cache/a", "v1").await;
        let first = Eviction::new(Arc::clone(&registry), room_for(0));
        let running = first.run();
        tokio::pin!(running);
        let soon = Duration::from_millis(3500);
        assert!(tokio::time::timeout(soon, &mut running).await.is_err());
        let second = Eviction::new(Arc::clone(&registry), room_for(0)).run().await;
        assert!(matches!(second, Err(CollectionError::Running)), "{second:?}");
        let collection = Collection::new(Arc::clone(&registry), CollectionOptions::default());
        assert!(matches!(collection.run().await, Err(CollectionError::Running)));
        assert_eq!(running.await.unwrap().by_size.manifests, 1);
        assert_eq!((registry.evictions().finished, registry.evictions().failed), (1, 1));
        // It is no collection to those that ask when there was one.
        assert!(registry.last_collection().await.unwrap().is_none());
        assert_eq!(registry.collections().finished, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_told_to_end_ends() {
    let (_, driver) = drivers().remove(0);
    let registry = server(&driver);
    fetch(&registry, "cache/a", "v1").await;
    let eviction = Eviction::new(Arc::clone(&registry), room_for(0));
    eviction.stop();
    let report = eviction.run().await.unwrap();
    assert!(report.stopped);
    assert_eq!(report.deleted, Default::default());
    assert_eq!(tags(&registry, "cache/a").await, ["v1"]);
}
