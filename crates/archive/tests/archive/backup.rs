//! Snapshots that are made, looked at, put back and removed in peace.

use std::sync::Arc;

use archive::backup::{CreateOptions, RestoreOptions, RestoreReport};
use archive::{Backup, BackupError, Meter};
use oci::{Algorithm, Digest};
use registry::RepositoryPattern;
use storage::Driver;
use storage::faulty::Faulty;

use crate::support::{
    LARGE_BYTES, at_once, back_up, files, fill, memory, name, on_disk, path, pull_all, push_image,
    registry_on, sha256, tag,
};

const REGISTRY: &str = "/docker/registry/v2";

async fn open(driver: &Arc<dyn Driver>) -> Backup {
    Backup::open(Arc::clone(driver)).await.unwrap()
}

async fn restore(
    from: &Arc<dyn Driver>,
    to: &Arc<dyn Driver>,
    options: &RestoreOptions,
) -> Result<RestoreReport, BackupError> {
    open(from).await.restore(to, options, &Meter::default()).await
}

async fn restore_all(from: &Arc<dyn Driver>, to: &Arc<dyn Driver>) -> RestoreReport {
    restore(from, to, &RestoreOptions::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_what_went_on_any_driver() {
    let directory = tempfile::tempdir().unwrap();
    let disk = |name: &str| on_disk(&directory.path().join(name));
    for (source, place, target) in [
        (memory(), memory(), memory()),
        (disk("source"), disk("place"), memory()),
        (memory(), disk("other-place"), disk("target")),
    ] {
        fill(&source).await;
        let watched = Faulty::new(Arc::clone(&source));
        let report = back_up(&(Arc::new(watched.clone()) as Arc<dyn Driver>), &place).await;
        assert_eq!(watched.operations(), 0, "something was written to the source");
        assert!(report.is_success(), "{report:?}");
        assert_eq!((report.repositories, report.tags), (4, 7), "{report:?}");
        assert_eq!(report.gone.total + report.incomplete.total, 0, "{report:?}");

        let restored = restore_all(&place, &target).await;
        assert!(restored.is_success(), "{restored:?}");
        assert_eq!((restored.repositories, restored.tags), (4, 7));
        assert_eq!(restored.manifests, report.manifests);
        // Byte for byte, tags and other digests included.
        assert_eq!(files(&target, REGISTRY).await, files(&source, REGISTRY).await);
        let aliases = "/wharf/v1";
        assert_eq!(files(&target, aliases).await, files(&source, aliases).await);
        assert!(!files(&target, aliases).await.is_empty());
        assert!(pull_all(&target).await > 0);
        let registry = registry_on(&target);
        let image = registry.resolve_tag(&name("team/app"), &tag("v2")).await.unwrap();
        let page = registry::Page::default();
        let referrers = registry.list_referrers(&name("team/app"), &image, None, page).await;
        assert_eq!(referrers.unwrap().manifests.len(), 1);
    }
}

#[tokio::test]
async fn a_second_snapshot_copies_what_is_new_and_the_first_one_stays() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    let first = back_up(&source, &place).await;
    assert!(first.copied_bytes > LARGE_BYTES as u64);
    let before = files(&source, REGISTRY).await;

    let again = back_up(&source, &place).await;
    assert_eq!((again.copied_blobs, again.copied_bytes), (0, 0), "{again:?}");
    assert_eq!(again.there_blobs, first.copied_blobs);

    let registry = registry_on(&source);
    push_image(&registry, "team/app", "v3", &[b"shared", b"new layer"]).await;
    registry.delete_tag(&name("team/app"), &tag("v1")).await.unwrap();
    let third = back_up(&source, &place).await;
    // The layer, the configuration and the manifest.
    assert_eq!(third.copied_blobs, 3, "{third:?}");
    let manifest = registry.resolve_tag(&name("team/app"), &tag("v3")).await.unwrap();
    let data = registry::layout::blob_data(&manifest);
    let manifest_bytes = source.stat(&data).await.unwrap().size_bytes;
    assert!(third.copied_bytes > manifest_bytes + b"new layer".len() as u64);
    assert!(third.copied_bytes < manifest_bytes + 1000);

    let names: Vec<_> =
        open(&place).await.snapshots().await.unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(names, [&*first.snapshot, &*again.snapshot, &*third.snapshot]);
    let target = memory();
    let options = RestoreOptions { snapshot: Some(first.snapshot), ..RestoreOptions::default() };
    restore(&place, &target, &options).await.unwrap();
    assert_eq!(files(&target, REGISTRY).await, before);
}

#[tokio::test]
async fn each_blob_is_copied_once_whoever_has_it() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    let report = back_up(&source, &place).await;
    let kept = files(&place, "/blobs").await;
    // The list of repositories is the one that was not copied.
    assert_eq!(report.copied_blobs, kept.len() as u64 - 1);
    let listed = open(&place).await.snapshots().await.unwrap()[0].content.size;
    let bytes: usize = kept.values().map(bytes::Bytes::len).sum();
    assert_eq!(report.copied_bytes, bytes as u64 - listed);
    assert!(files(&place, "/staged").await.is_empty() && files(&place, "/jobs").await.is_empty());
}

#[tokio::test]
async fn a_backup_is_an_oci_layout() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    back_up(&source, &place).await;
    let read = async |at: &str| place.get(&path(at), u64::MAX).await.unwrap();
    assert_eq!(&*read("/oci-layout").await, br#"{"imageLayoutVersion":"1.0.0"}"#);
    let index: serde_json::Value = serde_json::from_slice(&read("/index.json").await).unwrap();
    assert_eq!(index["schemaVersion"], 2);
    let mut names = Vec::new();
    for entry in index["manifests"].as_array().unwrap() {
        let digest = Digest::parse(entry["digest"].as_str().unwrap()).unwrap();
        let at = format!("/blobs/{}/{}", digest.algorithm(), digest.hex());
        let content = read(&at).await;
        assert_eq!(Digest::of(digest.algorithm(), &content), digest);
        assert_eq!(entry["size"], content.len());
        names.push(entry["annotations"]["org.opencontainers.image.ref.name"].clone());
        let manifest: serde_json::Value = serde_json::from_slice(&content).unwrap();
        assert_eq!(manifest["mediaType"], entry["mediaType"]);
        for layer in manifest["layers"].as_array().into_iter().flatten() {
            let digest = Digest::parse(layer["digest"].as_str().unwrap()).unwrap();
            read(&format!("/blobs/{}/{}", digest.algorithm(), digest.hex())).await;
        }
    }
    assert_eq!(
        names,
        [
            "multi/arch:amd",
            "multi/arch:arm",
            "multi/arch:latest",
            "other:latest",
            "sha512:long",
            "team/app:v1",
            "team/app:v2",
        ]
    );
}

#[tokio::test]
async fn damage_in_the_backup_is_found_and_nothing_of_it_is_restored() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    let snapshot = back_up(&source, &place).await.snapshot;
    let backup = open(&place).await;
    let report = backup.verify(None, 4, &Meter::default()).await.unwrap();
    assert!(report.is_success(), "{report:?}");
    assert_eq!(report.snapshots, std::slice::from_ref(&snapshot));
    assert!(report.bytes > LARGE_BYTES as u64);

    let at = |digest: &Digest| path(&format!("/blobs/{}/{}", digest.algorithm(), digest.hex()));
    // The same number of bytes: only reading tells.
    let amd = sha256(b"amd64");
    place.put(&at(&amd), "amd63".into()).await.unwrap();
    place.delete(&at(&sha256(b"one"))).await.unwrap();
    let report = backup.verify(Some(&snapshot), 4, &Meter::default()).await.unwrap();
    let found: Vec<_> = report.damaged.listed.iter().map(|f| (&*f.path, &*f.reason)).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].0, format!("{snapshot} multi/arch@{amd}"));
    assert!(found[0].1.contains("damaged"), "{found:?}");
    assert!(found[1].1.contains("missing"), "{found:?}");

    let target = memory();
    let restored = restore_all(&place, &target).await;
    assert!(!restored.is_success());
    // Neither the image nor the index that leads to it; the other image of the index is there.
    let registry = registry_on(&target);
    let tags = registry.inventory(&name("multi/arch")).await.unwrap().tags;
    assert_eq!(tags.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(), ["arm"]);
    let tags = registry.inventory(&name("team/app")).await.unwrap().tags;
    assert_eq!(tags.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(), ["v2"]);
    pull_all(&target).await;

    // The next snapshot mends what is missing, as it is copied again.
    back_up(&source, &place).await;
    let report = backup.verify(None, 4, &Meter::default()).await.unwrap();
    assert!(report.damaged.listed.iter().all(|f| f.path.contains(&amd.to_string())));
}

#[tokio::test]
async fn damage_at_the_registry_is_left_out_and_named() {
    let (source, place, target) = (memory(), memory(), memory());
    fill(&source).await;
    let data = registry::layout::blob_data(&sha256(b"one"));
    source.put(&data, "eno".into()).await.unwrap();
    let report = back_up(&source, &place).await;
    assert_eq!(report.damaged.total, 1, "{report:?}");
    assert!(report.damaged.listed[0].path.starts_with("team/app@"), "{report:?}");
    assert_eq!(report.gone.listed[0].path, "team/app:v1");
    assert!(open(&place).await.verify(None, 4, &Meter::default()).await.unwrap().is_success());
    assert!(restore_all(&place, &target).await.is_success());
    pull_all(&target).await;
    let registry = registry_on(&target);
    assert!(registry.resolve_tag(&name("team/app"), &tag("v1")).await.is_err());
}

#[tokio::test]
async fn what_a_registry_lacks_the_snapshot_lacks() {
    let (source, place, target) = (memory(), memory(), memory());
    fill(&source).await;
    let registry = registry_on(&source);
    registry.delete_blob(&name("other"), &sha256(b"shared")).await.unwrap();
    let arm = registry.resolve_tag(&name("multi/arch"), &tag("arm")).await.unwrap();
    registry.delete_manifest(&name("multi/arch"), &arm).await.unwrap();
    let report = back_up(&source, &place).await;
    assert!(report.is_success());
    let found: Vec<_> = report.incomplete.listed.iter().map(|f| &*f.reason).collect();
    assert_eq!(report.incomplete.total, 2, "{report:?}");
    assert!(found.contains(&&*format!("{arm} is not there")), "{found:?}");
    assert!(found.contains(&&*format!("{} is not there", sha256(b"shared"))), "{found:?}");
    restore_all(&place, &target).await;
    let registry = registry_on(&target);
    let index = oci::Reference::Tag(tag("latest"));
    registry.get_manifest(&name("multi/arch"), &index).await.unwrap();
    let blob = registry.stat_blob(&name("other"), &sha256(b"shared")).await;
    assert!(matches!(blob, Err(registry::Error::BlobUnknown { .. })), "{blob:?}");
}

#[tokio::test]
async fn tags_that_name_something_else_stay_unless_told() {
    let (source, place, target) = (memory(), memory(), memory());
    fill(&source).await;
    back_up(&source, &place).await;
    let registry = registry_on(&target);
    let mine = push_image(&registry, "team/app", "v1", &[b"mine"]).await;
    let report = restore_all(&place, &target).await;
    assert!(!report.is_success());
    assert_eq!((report.kept.total, report.tags), (1, 6), "{report:?}");
    assert_eq!(report.kept.listed[0].path, "team/app:v1");
    assert_eq!(registry.resolve_tag(&name("team/app"), &tag("v1")).await.unwrap(), mine);

    let options = RestoreOptions { overwrite: true, ..RestoreOptions::default() };
    let report = restore(&place, &target, &options).await.unwrap();
    assert!(report.is_success());
    assert_eq!((report.copied_blobs, report.tags, report.there_tags), (0, 1, 6), "{report:?}");
    assert_ne!(registry.resolve_tag(&name("team/app"), &tag("v1")).await.unwrap(), mine);
}

#[tokio::test]
async fn some_repositories_and_dry_runs() {
    let (source, place, target) = (memory(), memory(), memory());
    fill(&source).await;
    back_up(&source, &place).await;
    let options = RestoreOptions {
        repositories: RepositoryPattern::parse("*/app").ok(),
        dry_run: true,
        ..RestoreOptions::default()
    };
    let watched = Faulty::new(Arc::clone(&target));
    let watched_target: Arc<dyn Driver> = Arc::new(watched.clone());
    let dry = restore(&place, &watched_target, &options).await.unwrap();
    assert_eq!((watched.operations(), dry.repositories, dry.tags), (0, 1, 2));
    let options = RestoreOptions { dry_run: false, ..options };
    let real = restore(&place, &target, &options).await.unwrap();
    assert_eq!(
        (dry.copied_blobs, dry.copied_bytes, dry.manifests),
        (real.copied_blobs, real.copied_bytes, real.manifests)
    );
    let names = registry_on(&target).list_repositories(registry::Page::default()).await.unwrap();
    assert_eq!(names.names, ["team/app"]);
    let again = restore(&place, &target, &options).await.unwrap();
    assert_eq!((again.copied_blobs, again.tags, again.there_tags), (0, 0, 2));

    let options = RestoreOptions { repositories: RepositoryPattern::parse("no*").ok(), ..options };
    let error = restore(&place, &target, &options).await.unwrap_err();
    assert!(matches!(error, BackupError::NothingFits { repositories: 4, .. }), "{error}");
    let options = RestoreOptions { snapshot: Some("../x".into()), ..RestoreOptions::default() };
    let error = restore(&place, &target, &options).await.unwrap_err();
    assert!(matches!(error, BackupError::SnapshotUnknown { .. }), "{error}");
}

#[tokio::test]
async fn old_snapshots_are_removed_with_what_only_they_named() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    let first = back_up(&source, &place).await.snapshot;
    let registry = registry_on(&source);
    let image = registry.resolve_tag(&name("team/app"), &tag("v1")).await.unwrap();
    registry.delete_manifest(&name("team/app"), &image).await.unwrap();
    let second = back_up(&source, &place).await.snapshot;
    push_image(&registry, "team/app", "v9", &[b"nine"]).await;
    let third = back_up(&source, &place).await.snapshot;

    let backup = open(&place).await;
    // As if the newest had been cut short before its index was written.
    let index = place.get(&path("/index.json"), u64::MAX).await.unwrap();
    place.put(&path("/index.json"), "{}".into()).await.unwrap();
    let before = files(&place, "/").await;
    let dry = backup.prune(2, true, &Meter::default()).await.unwrap();
    assert_eq!(files(&place, "/").await, before);
    let report = backup.prune(2, false, &Meter::default()).await.unwrap();
    assert_eq!(report.removed, [first]);
    assert_eq!(report.kept, [second, third]);
    // The manifest, its configuration, its layer and the list of repositories.
    assert_eq!((report.removed_blobs, dry.removed_blobs), (4, 4), "{dry:?}");
    assert_eq!(report.removed_bytes, dry.removed_bytes);
    assert_eq!(place.get(&path("/index.json"), u64::MAX).await.unwrap(), index);
    assert!(backup.verify(None, 4, &Meter::default()).await.unwrap().is_success());
    let again = backup.prune(2, false, &Meter::default()).await.unwrap();
    assert_eq!((again.removed.len(), again.removed_blobs), (0, 0));
    assert!(!files(&place, "/blobs").await.keys().any(|p| p.contains(&sha256(b"one").hex())));
}

#[tokio::test]
async fn nothing_is_removed_while_a_snapshot_is_made() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    back_up(&source, &place).await;
    place.put(&path("/jobs/another"), "create".into()).await.unwrap();
    let backup = open(&place).await;
    let error = backup.prune(1, false, &Meter::default()).await.unwrap_err();
    assert!(matches!(&error, BackupError::Busy { what, .. } if what == "create"), "{error}");
    // Two snapshots at a time go together.
    back_up(&source, &place).await;
    place.put(&path("/jobs/another"), "prune".into()).await.unwrap();
    let registry = registry_on(&source);
    let error = backup.create(&registry, &at_once(1), &Meter::default()).await.unwrap_err();
    assert!(matches!(&error, BackupError::Busy { what, .. } if what == "prune"), "{error}");
    assert_eq!(files(&place, "/jobs").await.len(), 1);
}

#[tokio::test]
async fn other_places_are_left_alone() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    let make = async |driver: &Arc<dyn Driver>| Backup::make(Arc::clone(driver)).await;
    assert!(matches!(make(&source).await, Err(BackupError::HoldsRegistry)));
    let opened = Backup::open(Arc::clone(&place)).await;
    assert!(matches!(opened, Err(BackupError::NoBackup { .. })));
    place.put(&path("/index.json"), "{}".into()).await.unwrap();
    assert!(matches!(make(&place).await, Err(BackupError::OtherLayout)));
    let other = memory();
    other.put(&path("/letters/a"), "dear".into()).await.unwrap();
    let made = make(&other).await;
    assert!(matches!(&made, Err(BackupError::NotEmpty { name }) if &**name == "letters"));
    assert_eq!(files(&place, "/").await.len() + files(&other, "/").await.len(), 2);
}

#[tokio::test]
async fn a_damaged_snapshot_says_so() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    let snapshot = back_up(&source, &place).await.snapshot;
    let backup = open(&place).await;
    let content = backup.snapshots().await.unwrap()[0].content.clone();
    let at = path(&format!("/blobs/sha256/{}", content.digest.hex()));
    let mut lines = place.get(&at, u64::MAX).await.unwrap().to_vec();
    lines[10] ^= 1;
    place.put(&at, lines.into()).await.unwrap();
    for outcome in [
        backup.verify(None, 1, &Meter::default()).await.map(drop),
        backup.restore(&memory(), &RestoreOptions::default(), &Meter::default()).await.map(drop),
        backup.prune(1, false, &Meter::default()).await.map(drop),
    ] {
        let error = outcome.unwrap_err();
        let is_that =
            matches!(&error, BackupError::SnapshotDamaged { name, .. } if *name == snapshot);
        assert!(is_that, "{error}");
    }
    place.put(&path(&format!("/snapshots/{snapshot}.json")), "[]".into()).await.unwrap();
    let error = backup.snapshots().await.unwrap_err();
    assert!(matches!(error, BackupError::SnapshotDamaged { .. }), "{error}");
}

#[tokio::test]
async fn manifests_under_another_digest_are_checked_under_that_one() {
    let (source, place, target) = (memory(), memory(), memory());
    fill(&source).await;
    back_up(&source, &place).await;
    restore_all(&place, &target).await;
    let registry = registry_on(&target);
    let digest = registry.resolve_tag(&name("sha512"), &tag("long")).await.unwrap();
    assert_eq!(digest.algorithm(), Algorithm::Sha512);
    let layer = Digest::of(Algorithm::Sha512, b"another digest");
    registry.open_blob(&name("sha512"), &layer).await.unwrap();
    // Also where no repository is named.
    let mounted = registry.mount_blob(&name("elsewhere"), &layer, None).await.unwrap();
    assert_eq!(mounted, Some(sha256(b"another digest")));
}

#[tokio::test]
async fn what_is_left_out_is_counted_and_not_looked_at() {
    let (source, place, target) = (memory(), memory(), memory());
    let registry = registry_on(&source);
    push_image(&registry, "team/app", "v1", &[b"shared", b"own"]).await;
    push_image(&registry, "ghcr.io/app", "v1", &[b"shared", b"cached"]).await;
    push_image(&registry, "ghcr.io/other", "v1", &[b"never came"]).await;
    let lost = registry::layout::blob_data(&sha256(b"never came"));
    source.delete(&lost.parent().unwrap()).await.unwrap();

    let whole = back_up(&source, &memory()).await;
    assert_eq!((whole.repositories, whole.left_out, whole.incomplete.total), (3, 0, 1));
    let options = CreateOptions {
        left_out: Some(Arc::new(|name| name.as_str().starts_with("ghcr.io/"))),
        ..CreateOptions::default()
    };
    let backup = Backup::make(Arc::clone(&place)).await.unwrap();
    let report = backup.create(&registry, &options, &Meter::default()).await.unwrap();
    assert_eq!((report.repositories, report.left_out, report.incomplete.total), (1, 2, 0));
    restore_all(&place, &target).await;
    let restored = registry_on(&target);
    assert!(restored.stat_blob(&name("team/app"), &sha256(b"shared")).await.is_ok());
    assert!(restored.stat_blob(&name("ghcr.io/app"), &sha256(b"cached")).await.is_err());
    assert!(
        files(&place, "/blobs").await.keys().all(|path| !path.contains(&sha256(b"cached").hex()))
    );
}
