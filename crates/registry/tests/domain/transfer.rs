//! Copying a registry to another storage.

mod deletions;
mod faults;
mod model;
mod online;

use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest};
use proptest::prelude::*;
use registry::transfer::{Counts, End, Report};
use registry::{Registry, Transfer, TransferError, TransferOptions, layout};
use storage::faulty::Faulty;
use storage::filesystem::{Filesystem, FilesystemOptions};
use storage::memory::Memory;
use storage::{Driver, StoragePath};

use crate::support::{name, pull_blob, push_blob, push_image, sha256, tag};
use model::{LARGE_BYTES, Step, assert_whole, contents, everything, play, whole};

fn memory() -> Arc<dyn Driver> {
    Arc::new(Memory::new())
}

/// A registry with something of everything in it.
async fn filled() -> Arc<dyn Driver> {
    let driver = memory();
    play(&driver, &everything()).await;
    // What no repository has is copied, too.
    overwrite(&driver, &layout::blob_data(&sha256(b"unlinked")), "unlinked").await;
    driver
}

async fn copy_with(
    source: &Arc<dyn Driver>,
    target: &Arc<dyn Driver>,
    options: TransferOptions,
) -> Report {
    let transfer = Transfer::new(Arc::clone(source), Arc::clone(target), options);
    transfer.run().await.unwrap()
}

async fn copy(source: &Arc<dyn Driver>, target: &Arc<dyn Driver>) -> Report {
    copy_with(source, target, TransferOptions::default()).await
}

async fn overwrite(driver: &Arc<dyn Driver>, path: &StoragePath, content: impl Into<Bytes>) {
    driver.put(path, content.into()).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever was pushed and deleted, the target has what the source serves, from any driver to any
    /// other; after more of it, and with deletions, again.
    #[test]
    fn the_target_has_what_the_source_serves(
        first in prop::collection::vec(Step::any(), 1..24),
        second in prop::collection::vec(Step::any(), 0..12),
        on_disk in (any::<bool>(), any::<bool>()),
        concurrency in 1usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let made = |name: &str, on_disk: bool| -> Arc<dyn Driver> {
            match on_disk {
                true => {
                    let options = FilesystemOptions::new(directory.path().join(name));
                    Arc::new(Filesystem::open(options).unwrap())
                }
                false => memory(),
            }
        };
        let (source, target) = (made("source", on_disk.0), made("target", on_disk.1));
        runtime.block_on(async {
            play(&source, &[Step::Blob { repository: 0, content: 0, algorithm: 0 }]).await;
            play(&source, &first).await;
            let options = TransferOptions { concurrency, ..TransferOptions::default() };
            let report = copy_with(&source, &target, options.clone()).await;
            assert!(report.is_success(), "{report:?}");
            assert_eq!(report.end, End::Settled);
            assert_eq!(contents(&target).await, whole(&source).await);

            play(&source, &second).await;
            let options = TransferOptions { delete: true, ..options };
            let report = copy_with(&source, &target, options).await;
            assert!(report.is_success(), "{report:?}");
            assert_eq!(contents(&target).await, whole(&source).await);
            assert_whole(&target).await;
        });
    }
}

#[tokio::test]
async fn everything_is_copied_once_and_nothing_is_written_to_the_source() {
    let source = filled().await;
    let watched = Faulty::new(Arc::clone(&source));
    let target = memory();
    let report = copy(&(Arc::new(watched.clone()) as Arc<dyn Driver>), &target).await;
    assert_eq!((report.end, report.passes), (End::Settled, 2));
    assert_eq!(report.there, Counts::default());
    assert_eq!(report.left_out.total + report.failed.total, 0, "{report:?}");
    assert_eq!(contents(&target).await, whole(&source).await);
    let copied = report.copied;
    assert!(
        [copied.aliases, copied.layers, copied.manifests, copied.tag_history, copied.tags]
            .iter()
            .all(|count| *count > 0),
        "{copied:?}"
    );
    assert_eq!(watched.operations(), 0);
    // Uploads stay, and nothing but the registry comes along.
    let paths: Vec<_> = contents(&source).await.into_keys().collect();
    assert!(paths.iter().any(|path| path.contains("/_uploads/")));
    assert!(target.stat(&layout::transfer()).await.unwrap_err().is_not_found());

    let again = copy(&source, &target).await;
    assert_eq!((again.end, again.passes, again.copied), (End::Settled, 1, Counts::default()));
    assert_eq!(again.there, report.copied);
    assert_eq!(again.copied_bytes, 0);

    // The copy is a registry.
    let registry = Registry::new(target, registry::Options::default());
    let layer = vec![7; LARGE_BYTES];
    assert_eq!(pull_blob(&registry, "a/b/c", &sha256(&layer)).await, layer);
    let sha512 = Digest::of(Algorithm::Sha512, &layer);
    assert_eq!(pull_blob(&registry, "a/b/c", &sha512).await, layer);
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let (source, target) = (filled().await, memory());
    let watched = Faulty::new(Arc::clone(&target));
    let options = TransferOptions { dry_run: true, delete: true, ..TransferOptions::default() };
    let watched_target: Arc<dyn Driver> = Arc::new(watched.clone());
    let dry = copy_with(&source, &watched_target, options.clone()).await;
    assert_eq!((dry.end, dry.passes, watched.operations()), (End::DryRun, 1, 0));
    let real = copy(&source, &target).await;
    assert_eq!((dry.copied, dry.copied_bytes), (real.copied, real.copied_bytes));
    assert!(real.copied_bytes > LARGE_BYTES as u64);

    let registry = Registry::new(Arc::clone(&source), registry::Options::default());
    registry.delete_tag(&name("a/b"), &tag("t0")).await.unwrap();
    let dry = copy_with(&source, &watched_target, options).await;
    assert_eq!((dry.deleted.tags, dry.copied, watched.operations()), (1, Counts::default(), 0));
}

#[tokio::test]
async fn damaged_content_is_told_of_and_not_copied() {
    let source = filled().await;
    let registry = Registry::new(Arc::clone(&source), registry::Options::default());
    let (small, large) = (b"small".to_vec(), vec![9; 2 << 20]);
    for content in [&small, &large] {
        let digest = push_blob(&registry, "damaged", content).await;
        let mut damaged = content.clone();
        damaged[1] ^= 1;
        overwrite(&source, &layout::blob_data(&digest), damaged).await;
    }
    let expected = whole(&source).await;
    let target = memory();
    let report = copy(&source, &target).await;
    assert!(!report.is_success());
    assert_eq!(report.failed.total, 2, "{report:?}");
    for (content, finding) in [&small, &large].iter().zip([0, 1]) {
        let path = layout::blob_data(&sha256(content));
        assert!(target.stat(&path).await.unwrap_err().is_not_found());
        let found = report.failed.listed.iter().find(|found| found.path == path.as_str());
        assert!(found.unwrap().reason.contains("damaged"), "{finding} {report:?}");
    }
    assert_eq!(report.left_out.total, 2, "{report:?}");
    assert_eq!(contents(&target).await, expected);

    // Once it is repaired, so is the copy.
    for content in [small, large] {
        overwrite(&source, &layout::blob_data(&sha256(&content)), content).await;
    }
    assert!(copy(&source, &target).await.is_success());
    assert_eq!(contents(&target).await, whole(&source).await);
}

#[tokio::test]
async fn torn_links_and_those_to_nothing_are_left_out() {
    let source = filled().await;
    let registry = Registry::new(Arc::clone(&source), registry::Options::default());
    let digest = push_image(&registry, "torn", "t").await;
    push_image(&registry, "torn", "other").await;
    overwrite(&source, &layout::tag_current(&name("torn"), &tag("t")), "").await;
    let gone = push_blob(&registry, "torn", b"gone").await;
    source.delete(&layout::blob_data(&gone)).await.unwrap();
    overwrite(&source, &layout::layer_link(&name("torn"), &sha256(b"x")), "sha256:12").await;
    let target = memory();
    let report = copy(&source, &target).await;
    assert!(report.is_success());
    assert_eq!(report.left_out.total, 3, "{report:?}");
    assert_eq!(contents(&target).await, whole(&source).await);
    let copied = Registry::new(target, registry::Options::default());
    let reference = oci::Reference::Digest(digest);
    copied.get_manifest(&name("torn"), &reference).await.unwrap();
    assert!(copied.resolve_tag(&name("torn"), &tag("t")).await.is_err());
}

#[tokio::test]
async fn verifying_finds_what_has_the_size_and_not_the_digest() {
    let (source, target) = (filled().await, memory());
    copy(&source, &target).await;
    let expected = contents(&target).await;
    let layer = vec![7; LARGE_BYTES];
    let damaged = vec![8; LARGE_BYTES];
    overwrite(&target, &layout::blob_data(&sha256(&layer)), damaged).await;
    assert_eq!(copy(&source, &target).await.copied, Counts::default());
    assert_ne!(contents(&target).await, expected);
    let options = TransferOptions { verify: true, ..TransferOptions::default() };
    assert_eq!(copy_with(&source, &target, options).await.copied.blobs, 1);
    assert_eq!(contents(&target).await, expected);
    // What has another size needs no reading.
    overwrite(&target, &layout::blob_data(&sha256(&layer)), "half").await;
    assert_eq!(copy(&source, &target).await.copied.blobs, 1);
    assert_eq!(contents(&target).await, expected);
}

#[tokio::test]
async fn a_storage_is_not_copied_onto_itself_nor_from_nothing() {
    let source = filled().await;
    let before = contents(&source).await;
    let copied = |from: &Arc<dyn Driver>, to: &Arc<dyn Driver>| {
        Transfer::new(Arc::clone(from), Arc::clone(to), TransferOptions::default())
    };
    let error = copied(&source, &source).run().await.unwrap_err();
    assert!(matches!(error, TransferError::SameStorage), "{error}");
    assert_eq!(contents(&source).await, before);
    let error = copied(&memory(), &source).run().await.unwrap_err();
    assert!(matches!(error, TransferError::NothingThere { .. }), "{error}");
    assert_eq!(contents(&source).await, before);
}
