//! Snapshots of a registry that is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use archive::backup::RestoreOptions;
use archive::{Backup, Meter};
use storage::Driver;

use crate::support::{
    back_up, files, memory, name, on_disk, pull_all, push_image, push_index, registry_on, tag,
};

/// Pushes and deletes images, with their blobs, as long as it is wanted.
async fn churn(driver: Arc<dyn Driver>, seed: u64, is_over: Arc<AtomicBool>) -> u64 {
    let registry = registry_on(&driver);
    let mut round = seed;
    while !is_over.load(Ordering::Relaxed) {
        let repository = format!("live/r{}", round % 3);
        let layer = format!("layer {}", round % 7).into_bytes();
        let tags = [format!("t{}", round % 5), format!("u{}", round % 4)];
        let one = push_image(&registry, &repository, &tags[0], &[&layer, b"base"]).await;
        let other = push_image(&registry, &repository, &tags[1], &[b"base"]).await;
        push_index(&registry, &repository, "index", &[(one, "amd64"), (other, "arm64")]).await;
        tokio::task::yield_now().await;
        let repository = name(&repository);
        // The index first, as whoever deletes an image does.
        if round.is_multiple_of(2)
            && let Ok(index) = registry.resolve_tag(&repository, &tag("index")).await
        {
            let _ = registry.delete_manifest(&repository, &index).await;
            let _ = registry.delete_manifest(&repository, &one).await;
            // As a garbage collection does at once, and no earlier than the manifest.
            let digest = crate::support::sha256(&layer);
            let _ = registry.delete_blob(&repository, &digest).await;
        }
        round += 1;
        tokio::task::yield_now().await;
    }
    round
}

async fn snapshots_of_a_busy_registry(source: Arc<dyn Driver>, place: Arc<dyn Driver>) {
    push_image(&registry_on(&source), "still", "v1", &[b"still here"]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let churning = tokio::spawn(churn(Arc::clone(&source), 1, Arc::clone(&is_over)));
    let mut names = Vec::new();
    for _ in 0..12 {
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        let report = back_up(&source, &place).await;
        assert_eq!(report.damaged.total, 0, "{report:?}");
        assert_eq!(report.incomplete.total, 0, "{report:?}");
        names.push(report.snapshot);
    }
    is_over.store(true, Ordering::Relaxed);
    assert!(churning.await.unwrap() > 3);

    let backup = Backup::open(Arc::clone(&place)).await.unwrap();
    let report = backup.verify(None, 4, &Meter::default()).await.unwrap();
    assert!(report.is_success(), "{report:?}");
    assert_eq!(report.snapshots, names);
    let mut pulled = 0;
    for name in names {
        let target = memory();
        let options = RestoreOptions { snapshot: Some(name), ..RestoreOptions::default() };
        let report = backup.restore(&target, &options, &Meter::default()).await.unwrap();
        assert!(report.is_success(), "{report:?}");
        pulled += pull_all(&target).await;
    }
    assert!(pulled > 24, "{pulled}");
    assert!(files(&place, "/staged").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_snapshot_of_a_busy_registry_is_whole() {
    snapshots_of_a_busy_registry(memory(), memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_snapshot_of_a_busy_registry_on_disk_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let disk = |name: &str| on_disk(&directory.path().join(name));
    snapshots_of_a_busy_registry(disk("registry"), disk("backup")).await;
}
