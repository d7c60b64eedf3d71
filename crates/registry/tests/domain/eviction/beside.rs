//! What happens beside an eviction.

use futures_util::TryStreamExt as _;
use registry::{Collection, CollectionOptions};

use super::*;

/// Waits for it to announce what goes, and lets `meanwhile` happen then.
async fn evict_while(
    registry: &Arc<Registry>,
    options: EvictionOptions,
    meanwhile: impl Future<Output = ()>,
) -> EvictionReport {
    let eviction = Eviction::new(Arc::clone(registry), options);
    let running = eviction.run();
    tokio::pin!(running);
    // Longer than anything but the wait after the announcement.
    let begun = tokio::time::timeout(Duration::from_millis(3500), &mut running).await;
    assert!(begun.is_err(), "{begun:?}");
    registry.driver().stat(&layout::collection_announced()).await.unwrap();
    meanwhile.await;
    running.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_mounted_or_sent_meanwhile_stays() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let (_, mounted) = fetch(&registry, "cache/a", "v1").await;
        let (_, sent) = fetch(&registry, "cache/a", "v2").await;
        // Another server, whose eyes are its own.
        let other = server(&driver);
        let report = evict_while(&registry, room_for(0), async {
            let from = name("cache/a");
            let mount = other.mount_blob(&name("own/app"), &mounted, Some(&from)).await;
            assert_eq!(mount.unwrap(), Some(mounted));
            fetch_with(&other, "own/app", "latest", &layer_of("v2")).await;
        })
        .await;
        assert_eq!(report.deleted.manifests, 2, "{report:?}");
        for digest in [mounted, sent] {
            other.stat_blob(&name("own/app"), &digest).await.unwrap();
        }
        assert_whole(&other, "own/app").await;
        assert_eq!(tags(&other, "own/app").await, ["latest"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_pulled_meanwhile_stays() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let (first, _) = fetch(&registry, "cache/a", "v1").await;
        let (second, _) = fetch(&registry, "cache/a", "v2").await;
        std::thread::sleep(Duration::from_millis(40));
        let used_within = Duration::from_millis(20);
        let options = EvictionOptions { used_within, ..room_for(0) };
        let report = evict_while(&registry, options, async {
            registry.note_pull(&name("cache/a"), &Reference::Tag(tag("v1")));
        })
        .await;
        assert!(report.rescued > 0, "{report:?}");
        assert_eq!((report.deleted.manifests, report.deleted.tags), (1, 1), "{report:?}");
        assert!(has_manifest(&registry, "cache/a", &first).await);
        assert!(!has_manifest(&registry, "cache/a", &second).await);
        assert_eq!(tags(&registry, "cache/a").await, ["v1"]);
        assert_whole(&registry, "cache/a").await;
        // So much stays as is counted.
        let measured = evict(&registry, super::options(Lifetime::Unlimited)).await;
        assert_eq!(measured.bytes_before, report.bytes_after);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_meanwhile_is_whole() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let (first, layer) = fetch(&registry, "cache/a", "v1").await;
        let report = evict_while(&registry, room_for(0), async {
            // The same tag and layer, in another manifest.
            let config = push_blob(&registry, "cache/a", b"{}").await;
            let layers = json!({"layers": [
                {"mediaType": "application/layer", "digest": layer.to_string(), "size": LAYER_BYTES},
            ]});
            let content = image(&config, layers);
            push(&registry, "cache/a", "v1", MediaType::OciManifest, &content).await.unwrap();
        })
        .await;
        assert_eq!(report.deleted.manifests, 1, "{report:?}");
        assert!(!has_manifest(&registry, "cache/a", &first).await);
        assert_eq!(tags(&registry, "cache/a").await, ["v1"]);
        assert_whole(&registry, "cache/a").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_open_is_read_to_its_end() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let (_, layer) = fetch(&registry, "cache/a", "v1").await;
        let blob = registry.open_blob(&name("cache/a"), &layer).await.unwrap();
        evict(&registry, room_for(0)).await;
        assert!(!has_data(&registry, &layer).await);
        let size = blob.object.size_bytes();
        let pieces: Vec<bytes::Bytes> = blob.object.stream(0..size).try_collect().await.unwrap();
        assert_eq!(pieces.concat(), layer_of("v1"));
    }
}

async fn unpin_all(driver: &Arc<dyn Driver>) {
    for pin in driver.list(&layout::collection_pins()).await.unwrap().entries {
        let path = layout::collection_pins().join(&pin.name).unwrap();
        driver.delete(&path).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_promised_goes_when_it_is_not_any_more() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let (_, layer) = fetch(&registry, "cache/a", "v1").await;
        let other = server(&driver);
        let report = evict_while(&registry, room_for(0), async {
            other.promise_content(&layer).await.unwrap();
        })
        .await;
        assert_eq!((report.deleted.manifests, report.deleted.blobs), (1, 2), "{report:?}");
        assert!(report.above_max);
        registry.stat_blob(&name("cache/a"), &layer).await.unwrap();
        let report = evict(&registry, room_for(0)).await;
        assert_eq!((report.by_size.blobs, report.deleted.blobs), (1, 0), "{report:?}");
        unpin_all(&driver).await;
        let report = evict(&registry, room_for(0)).await;
        assert_eq!((report.by_size.blobs, report.deleted.blobs), (1, 1), "{report:?}");
        assert!(!has_data(&registry, &layer).await);
    }
}

/// An eviction that was killed has taken the link, and a client was told of the data since then.
#[tokio::test(start_paused = true)]
async fn what_is_left_of_an_earlier_one_is_not_forgotten() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        fetch(&registry, "own/app", "v1").await;
        let left = push_blob(&registry, "cache/a", b"left").await;
        registry.delete_blob(&name("cache/a"), &left).await.unwrap();
        let there = push_blob(&registry, "own/app", b"somebody else's").await;
        let missing = crate::support::sha256(b"not there any more");
        let noted = [left, there, missing].map(|digest| format!("{digest}\n")).concat();
        let path = layout::eviction_pending();
        driver.put(&path, format!("{noted}something else\n").into()).await.unwrap();
        let all = [left, there, missing];
        for digest in all {
            driver.put(&pin(&digest), "".into()).await.unwrap();
        }
        let options = || options(Lifetime::Unlimited);
        let report = evict(&registry, options()).await;
        assert_eq!((report.pending_blobs, report.deleted.blobs), (3, 0), "{report:?}");
        unpin_all(&driver).await;
        let report = evict(&registry, options()).await;
        assert_eq!((report.pending_blobs, report.deleted.blobs), (0, 1), "{report:?}");
        assert!(!has_data(&registry, &left).await);
        assert!(has_data(&registry, &there).await);
        assert!(driver.stat(&path).await.is_err());
    }
}

/// A pin of content, for a long time.
fn pin(digest: &Digest) -> storage::StoragePath {
    let half = &digest.hex()[..32];
    layout::collection_pins().join(&format!("{half}.99999999999")).unwrap()
}

/// The rules of retention ask for less than an eviction has to know.
#[tokio::test(start_paused = true)]
async fn a_collection_does_not_forget_what_was_pulled() {
    use registry::retention::{Keep, RetentionRule, RetentionRules};
    let (_, driver) = drivers().remove(0);
    let registry = server(&driver);
    fetch(&registry, "cache/a", "v1").await;
    fetch(&registry, "cache/a", "v2").await;
    registry.flush_pulls().await.unwrap();
    let minutes = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let today = minutes.as_secs() / 60 / (24 * 60);
    // A month ago; both were fetched before, for the sake of the test.
    let old = (today - 30) * 24 * 60;
    let path = layout::pulls(&name("cache/a")).join(&format!("server.{}", today - 30)).unwrap();
    driver.put(&path, format!("wharf pulls 1\n{old} v1\n").into()).await.unwrap();
    let rule = RetentionRule {
        repositories: vec![RepositoryPattern::parse("**").unwrap()],
        keep: Keep { pulled_within: Some(Duration::from_secs(3600)), ..Keep::default() },
        ..RetentionRule::default()
    };
    let rules = RetentionRules { rules: vec![rule], dry_run: false };
    let cached = Arc::new(|name: &RepositoryName| name.as_str().starts_with("cache/"));
    let options = CollectionOptions {
        retention: Some(Arc::new(rules)),
        cached: Some(cached),
        ..CollectionOptions::default()
    };
    Collection::new(Arc::clone(&registry), options).run().await.unwrap();
    let merged = driver.get(&layout::pulls_merged(&name("cache/a")), 1 << 20).await.unwrap();
    assert!(merged.ends_with(format!("\n{old} v1\n").as_bytes()), "{merged:?}");
}
