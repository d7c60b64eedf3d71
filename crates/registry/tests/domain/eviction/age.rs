//! By age.

use oci::Algorithm;
use registry::eviction::EvictionReason;

use super::*;
use crate::support::{files, overwrite};

const MOMENT: Duration = Duration::from_millis(50);
const HOUR: Duration = Duration::from_secs(3600);

/// Pulls have been noted for long.
async fn noted_for_long(registry: &Registry) {
    registry.flush_pulls().await.unwrap();
    overwrite(registry, &layout::pulls_since(), b"1").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_used_for_too_long_goes() {
    for (_directory, driver) in drivers() {
        let before = server(&driver);
        noted_for_long(&before).await;
        let (_, first) = fetch(&before, "cache/a", "v1").await;
        let (_, second) = fetch(&before, "cache/a", "v2").await;
        let lone = push_blob(&before, "cache/b", b"asked for by its digest").await;
        fetch(&before, "own/app", "v3").await;
        std::thread::sleep(MOMENT);
        pull(&before, "cache/a", "v2").await;
        let registry = server(&driver);
        let report = evict(&registry, options(Lifetime::Unused(HOUR))).await;
        assert_eq!(report.taken.len(), 0, "{report:?}");
        let report = evict(&registry, options(Lifetime::Unlimited)).await;
        assert_eq!(report.taken.len(), 0, "{report:?}");

        let young = push_blob(&registry, "cache/b", b"asked for just now").await;
        let report = evict(&registry, options(Lifetime::Unused(MOMENT))).await;
        assert_eq!((report.by_age.manifests, report.by_age.blobs), (1, 1), "{report:?}");
        assert!(report.taken.iter().all(|taken| taken.reason == EvictionReason::Age));
        assert_eq!(report.by_size, Default::default());
        assert_eq!(tags(&registry, "cache/a").await, ["v2"]);
        assert!(!has_data(&registry, &first).await && !has_data(&registry, &lone).await);
        assert!(has_data(&registry, &second).await && has_data(&registry, &young).await);
        assert_whole(&registry, "cache/a").await;
        assert_whole(&registry, "own/app").await;
        assert_eq!(tags(&registry, "own/app").await, ["v3"]);
    }
}

/// Of the time before pulls were noted it is not known what was used.
#[tokio::test(start_paused = true)]
async fn nothing_is_too_old_before_it_is_known_what_is_used() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        fetch(&registry, "cache/a", "v1").await;
        registry.flush_pulls().await.unwrap();
        std::thread::sleep(MOMENT);
        let report = evict(&registry, options(Lifetime::Unused(MOMENT))).await;
        assert_eq!(report.taken.len(), 0, "{report:?}");
        overwrite(&registry, &layout::pulls_since(), b"1").await;
        let report = evict(&registry, options(Lifetime::Unused(MOMENT))).await;
        assert_eq!(report.by_age.manifests, 1, "{report:?}");
        assert!(files(&*driver, "/docker/registry/v2/blobs").await.is_empty());
    }
}

fn entry(repository: &str, digest: &Digest, expiry: &str, kind: u8) -> String {
    let key = format!("{repository}@{digest}");
    format!(r#""{key}": {{"Key": "{key}", "ExpiryData": "{expiry}", "EntryType": {kind}}}"#)
}

#[tokio::test(start_paused = true)]
async fn distribution_s_schedule_is_taken_over() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        let (expired, _) = fetch(&registry, "cache/a", "v1").await;
        let (scheduled, _) = fetch(&registry, "cache/a", "v2").await;
        fetch(&registry, "cache/a", "v3").await;
        let [old, new] = [b"old", b"new"].map(|content| Digest::of(Algorithm::Sha256, content));
        push_blob(&registry, "cache/b", b"old").await;
        push_blob(&registry, "cache/b", b"new").await;
        std::thread::sleep(MOMENT);
        let text = [
            entry("cache/a", &expired, "2020-01-01T00:00:00.5+01:00", 1),
            entry("cache/a", &scheduled, "2100-01-01T00:00:00Z", 1),
            entry("cache/b", &old, "2020-01-01T00:00:00Z", 0),
            entry("cache/b", &new, "2100-01-01T00:00:00Z", 0),
        ];
        let text = format!("{{{}}}", text.join(","));
        driver.put(&layout::scheduler_state(), text.clone().into()).await.unwrap();
        // Of "v3" it is not known for how long it was not used.
        registry.flush_pulls().await.unwrap();
        let report = evict(&registry, options(Lifetime::Unused(MOMENT))).await;
        assert_eq!((report.by_age.manifests, report.by_age.blobs), (1, 1), "{report:?}");
        assert_eq!(tags(&registry, "cache/a").await, ["v2", "v3"]);
        assert!(has_link(&registry, "cache/b", &new).await);
        assert!(!has_link(&registry, "cache/b", &old).await);
        // "v2" was fetched before "v3", but is to stay for longer.
        let report = evict(&registry, room_for(1)).await;
        assert_eq!(tags(&registry, "cache/a").await, ["v2"], "{report:?}");
        let path = layout::scheduler_state();
        assert_eq!(driver.get(&path, 1 << 20).await.unwrap(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_schedule_is_left_out() {
    let (_, driver) = drivers().remove(0);
    let registry = server(&driver);
    fetch(&registry, "cache/a", "v1").await;
    driver.put(&layout::scheduler_state(), "{\"cache/a@".into()).await.unwrap();
    let report = evict(&registry, room_for(0)).await;
    assert_eq!(report.by_size.manifests, 1, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_use_stays_whatever_there_is() {
    for (_directory, driver) in drivers() {
        let registry = server(&driver);
        noted_for_long(&registry).await;
        let (_, layer) = fetch(&registry, "cache/a", "v1").await;
        std::thread::sleep(2 * MOMENT);
        fetch(&registry, "cache/a", "v2").await;
        std::thread::sleep(2 * MOMENT);
        pull(&registry, "cache/a", "v1").await;
        let within = |used_within, options| EvictionOptions { used_within, ..options };
        let report = evict(&registry, within(HOUR, room_for(0))).await;
        assert_eq!((report.in_use_units, report.above_max), (2, true), "{report:?}");
        let report = evict(&registry, within(MOMENT, options(Lifetime::Unused(MOMENT)))).await;
        assert_eq!((report.in_use_units, report.by_age.manifests), (1, 1), "{report:?}");
        assert_eq!(tags(&registry, "cache/a").await, ["v1"]);
        assert!(has_data(&registry, &layer).await);
    }
}
