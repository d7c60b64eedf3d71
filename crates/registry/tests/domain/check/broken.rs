//! Volumes as Distribution, a crash or a disk may leave them, broken in one way each.

use std::collections::BTreeMap;

use oci::{Algorithm, Digest, MediaType};
use registry::check::{CheckOptions, Kind, Kind as K, Severity};
use registry::layout;
use storage::StoragePath;

use super::fixture::{CONFIG, LAYER, REPOSITORY, Volume, lose, push_whole};
use super::{assert_consistent, kinds, of, remaining_errors};
use crate::support::{name, push, push_blob, sha256, tag};

fn path(text: String) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

/// One way to break a volume, and what is found.
struct Case {
    what: &'static str,
    /// What a check finds.
    found: &'static [Kind],
    /// What a quick check finds.
    quick: &'static [Kind],
    /// What remains of that when it was mended, and what a second check finds.
    remains: &'static [Kind],
    /// Whether the image can be pulled afterwards, by each of its tags.
    heals: bool,
}

/// What is left where the image is gone that three tags and an index name.
const WITHOUT_IMAGE: &[K] =
    &[K::IndexChildMissing, K::TagWithoutRevision, K::TagWithoutRevision, K::TagWithoutRevision];

const CASES: &[Case] = &[
    Case { what: "nothing", found: &[], quick: &[], remains: &[], heals: true },
    Case {
        what: "zero-byte layer link",
        found: &[K::LayerLinkTorn],
        quick: &[K::LayerLinkTorn],
        remains: &[],
        heals: true,
    },
    Case {
        what: "layer link of something else",
        found: &[K::LayerLinkWrong],
        quick: &[K::LayerLinkWrong],
        remains: &[],
        heals: true,
    },
    Case {
        what: "no layer link",
        found: &[K::LayerLinkMissing, K::LayerLinkMissing],
        quick: &[K::LayerLinkMissing, K::LayerLinkMissing],
        remains: &[],
        heals: true,
    },
    Case {
        what: "torn link of a layer that nobody has",
        found: &[K::LayerLinkTorn],
        quick: &[K::LayerLinkTorn],
        remains: &[],
        heals: true,
    },
    Case {
        what: "zero-byte revision link",
        found: &[K::RevisionLinkTorn],
        quick: &[K::RevisionLinkTorn],
        remains: &[],
        heals: true,
    },
    Case {
        what: "revision link of something else",
        found: &[K::RevisionLinkWrong],
        quick: &[K::RevisionLinkWrong],
        remains: &[],
        heals: true,
    },
    Case {
        what: "torn link of a manifest that nobody has",
        found: &[K::RevisionLinkTorn],
        quick: &[K::RevisionLinkTorn],
        remains: &[],
        heals: true,
    },
    Case {
        what: "no revision link",
        found: &[
            K::TagWithoutRevision,
            K::TagWithoutRevision,
            K::TagWithoutRevision,
            K::IndexChildMissing,
        ],
        quick: &[
            K::TagWithoutRevision,
            K::TagWithoutRevision,
            K::TagWithoutRevision,
            K::IndexChildMissing,
        ],
        remains: &[],
        heals: true,
    },
    Case {
        what: "zero-byte tag",
        found: &[K::TagLinkTorn],
        quick: &[K::TagLinkTorn],
        remains: &[],
        heals: true,
    },
    Case {
        what: "zero-byte note of a tag",
        found: &[K::TagIndexTorn],
        quick: &[K::TagIndexTorn],
        remains: &[],
        heals: true,
    },
    Case {
        what: "tag of a manifest that nobody has",
        found: &[K::TagWithoutRevision],
        quick: &[K::TagWithoutRevision],
        remains: &[K::TagWithoutRevision],
        heals: false,
    },
    Case {
        what: "missing data of a layer",
        found: &[K::LayerWithoutData, K::ManifestBlobMissing, K::ManifestBlobMissing],
        quick: &[K::LayerWithoutData, K::ManifestBlobMissing, K::ManifestBlobMissing],
        remains: &[K::ManifestBlobMissing, K::ManifestBlobMissing],
        heals: false,
    },
    Case {
        what: "missing data of a manifest",
        found: &[K::ManifestMissing],
        quick: &[K::ManifestMissing],
        remains: WITHOUT_IMAGE,
        heals: false,
    },
    Case {
        what: "half-done collection",
        found: &[K::LayerWithoutData],
        quick: &[K::LayerWithoutData],
        remains: &[],
        heals: true,
    },
    Case {
        what: "flipped bit in a layer",
        found: &[K::BlobCorrupt, K::ManifestBlobCorrupt, K::ManifestBlobCorrupt],
        quick: &[],
        remains: &[K::ManifestBlobMissing, K::ManifestBlobMissing],
        heals: false,
    },
    Case {
        what: "truncated configuration",
        found: &[K::BlobCorrupt, K::ManifestBlobCorrupt],
        quick: &[K::BlobCorrupt, K::ManifestBlobCorrupt],
        remains: &[K::ManifestBlobMissing],
        heals: false,
    },
    Case {
        what: "zero-byte data",
        found: &[K::BlobEmpty, K::ManifestBlobCorrupt, K::ManifestBlobCorrupt],
        quick: &[K::BlobEmpty, K::ManifestBlobCorrupt, K::ManifestBlobCorrupt],
        remains: &[K::ManifestBlobMissing, K::ManifestBlobMissing],
        heals: false,
    },
    Case {
        what: "damaged manifest",
        found: &[K::BlobCorrupt, K::ManifestCorrupt],
        quick: &[K::BlobCorrupt, K::ManifestCorrupt],
        remains: WITHOUT_IMAGE,
        heals: false,
    },
    Case {
        what: "wrong directory",
        found: &[
            K::BlobMisplaced,
            K::LayerWithoutData,
            K::ManifestBlobMissing,
            K::ManifestBlobMissing,
        ],
        quick: &[
            K::BlobMisplaced,
            K::LayerWithoutData,
            K::ManifestBlobMissing,
            K::ManifestBlobMissing,
        ],
        remains: &[],
        heals: true,
    },
    Case {
        what: "no manifest",
        found: &[K::ManifestInvalid],
        quick: &[K::ManifestInvalid],
        remains: &[K::ManifestInvalid],
        heals: true,
    },
    Case {
        what: "another size",
        found: &[K::DescriptorSize],
        quick: &[K::DescriptorSize],
        remains: &[K::DescriptorSize],
        heals: true,
    },
    Case {
        what: "torn alias",
        found: &[K::AliasTorn],
        quick: &[K::AliasTorn],
        remains: &[],
        heals: true,
    },
    Case {
        what: "a blob of nobody",
        found: &[K::OrphanBlob],
        quick: &[K::OrphanBlob],
        remains: &[K::OrphanBlob],
        heals: true,
    },
];

/// Breaks a volume.
async fn break_by(volume: &Volume, what: &str) {
    let repository = name(REPOSITORY);
    let (layer, config) = (sha256(LAYER), sha256(CONFIG));
    let layer_link = layout::layer_link(&repository, &layer);
    let revision = layout::revision_link(&repository, &volume.image);
    let nobody = sha256(b"that nobody has");
    match what {
        "nothing" => {}
        "zero-byte layer link" => volume.write(&layer_link, "").await,
        "layer link of something else" => volume.write(&layer_link, config.to_string()).await,
        "no layer link" => volume.delete(&layer_link).await,
        "torn link of a layer that nobody has" => {
            volume.write(&layout::layer_link(&repository, &nobody), "sha2").await;
        }
        "zero-byte revision link" => volume.write(&revision, "").await,
        "revision link of something else" => volume.write(&revision, config.to_string()).await,
        "torn link of a manifest that nobody has" => {
            volume.write(&layout::revision_link(&repository, &nobody), "sha2").await;
        }
        "no revision link" => volume.delete(&revision).await,
        "zero-byte tag" => {
            volume.write(&layout::tag_current(&repository, &tag("v1")), "").await;
        }
        "zero-byte note of a tag" => {
            let note = layout::tag_index(&repository, &tag("v1"), &volume.image);
            volume.write(&note, "").await;
        }
        "tag of a manifest that nobody has" => {
            let current = layout::tag_current(&repository, &tag("v1"));
            volume.write(&current, nobody.to_string()).await;
        }
        "missing data of a layer" => lose(&*volume.driver, &layer).await,
        "missing data of a manifest" => lose(&*volume.driver, &volume.image).await,
        "half-done collection" => {
            let digest = push_blob(&volume.registry(), REPOSITORY, b"collected").await;
            lose(&*volume.driver, &digest).await;
        }
        "flipped bit in a layer" => {
            let mut content = LAYER.to_vec();
            content[3] ^= 4;
            volume.write(&layout::blob_data(&layer), content).await;
        }
        "truncated configuration" => {
            volume.write(&layout::blob_data(&config), CONFIG[..9].to_vec()).await;
        }
        "zero-byte data" => volume.write(&layout::blob_data(&layer), "").await,
        "damaged manifest" => volume.write(&layout::blob_data(&volume.image), "{}").await,
        "wrong directory" => {
            let hex = layer.hex();
            let place = layout::blob_data(&layer);
            let wrong = if hex.starts_with("00") { "01" } else { "00" };
            let blobs = layout::blobs();
            let wrong = path(format!("{blobs}/sha256/{wrong}/{hex}/data"));
            volume.driver.publish(&place, &wrong).await.unwrap();
            let _ = volume.driver.delete_empty(&place.parent().unwrap()).await;
        }
        "no manifest" => {
            let digest = push_blob(&volume.registry(), REPOSITORY, b"no JSON").await;
            let link = layout::revision_link(&repository, &digest);
            volume.write(&link, digest.to_string()).await;
        }
        "another size" => {
            let layer =
                serde_json::json!({"mediaType": "x", "digest": layer.to_string(), "size": 1});
            let manifest = crate::support::image(
                &config,
                serde_json::json!({
                    "config": {"mediaType": "x", "digest": config.to_string(), "size": CONFIG.len()},
                    "layers": [layer],
                }),
            );
            let registry = volume.registry();
            push(&registry, REPOSITORY, "odd", MediaType::OciManifest, &manifest).await.unwrap();
        }
        "torn alias" => {
            let digest = Digest::of(Algorithm::Sha512, b"by another name");
            volume.write(&layout::alias(&digest), "").await;
        }
        "a blob of nobody" => {
            volume.write(&layout::blob_data(&sha256(b"orphan")), "orphan").await;
        }
        other => panic!("nobody knows how to break {other}"),
    }
}

fn is_error(kind: Kind) -> bool {
    kind.severity() == Severity::Error
}

#[tokio::test]
async fn each_way_to_break_a_volume_is_found_and_mended() {
    for case in CASES {
        for volume in Volume::each().await {
            let what = format!("{} on {}", case.what, volume.driver.name());
            break_by(&volume, case.what).await;

            let quick = CheckOptions { quick: true, ..CheckOptions::default() };
            let report = volume.check_with(quick).await;
            assert_consistent(&report);
            assert_eq!(kinds(&report), of(case.quick), "quickly, {what}: {report:#?}");

            let report = volume.check().await;
            assert_consistent(&report);
            assert_eq!(kinds(&report), of(case.found), "{what}: {report:#?}");
            let has_error = case.found.iter().copied().any(is_error);
            assert_eq!(report.is_whole(), !has_error, "{what}");

            let report = volume.repair().await;
            assert_consistent(&report);
            let errors = of(case.remains).into_iter().filter(|(kind, _)| is_error(*kind));
            let expected: BTreeMap<_, _> = errors.collect();
            assert_eq!(remaining_errors(&report), expected, "mended, {what}: {report:#?}");

            let report = volume.check().await;
            assert_eq!(kinds(&report), of(case.remains), "again, {what}: {report:#?}");
            if case.heals {
                for tag in ["v1", "also", "moved"] {
                    volume.pull(tag).await;
                }
            }

            // Whatever was lost, pushing it again mends it.
            let registry = volume.registry();
            push_whole(&registry, REPOSITORY, "v1", CONFIG, &[LAYER]).await;
            for tag in ["v1", "also", "moved"] {
                volume.pull(tag).await;
            }
        }
    }
}

#[tokio::test]
async fn a_manifest_whose_content_is_gone_keeps_its_repository_from_collections_until_a_repair() {
    let volume = Volume::in_memory().await;
    let problems = async || {
        let registry = std::sync::Arc::new(volume.registry());
        let collection =
            registry::Collection::new(registry, registry::CollectionOptions::default());
        collection.run().await.unwrap().problems_total
    };
    assert_eq!(problems().await, 0);
    let registry = volume.registry();
    let config = push_blob(&registry, "gone", b"{}").await;
    for (algorithm, of) in [(Algorithm::Sha256, "one"), (Algorithm::Sha512, "other")] {
        let more = serde_json::json!({"annotations": {"is": of}});
        let content = crate::support::image(&config, more);
        let digest = Digest::of(algorithm, &content).to_string();
        push(&registry, "gone", &digest, MediaType::OciManifest, &content).await.unwrap();
        volume.delete(&layout::blob_data(&sha256(&content))).await;
    }
    assert_eq!(problems().await, 2);
    let report = volume.repair().await;
    assert!(report.is_whole(), "{report:#?}");
    assert_eq!(problems().await, 0);
}

#[tokio::test]
async fn a_tag_that_named_several_is_set_aside_and_nothing_is_lost() {
    for volume in Volume::each().await {
        let current = layout::tag_current(&name(REPOSITORY), &tag("moved"));
        volume.write(&current, "sha256:12").await;
        let report = volume.repair().await;
        assert!(report.is_whole(), "{report:#?}");
        let torn = &report.of(Kind::TagLinkTorn).unwrap().listed[0];
        assert!(torn.reason.contains(&volume.first.to_string()), "{torn:?}");
        assert!(torn.reason.contains(&volume.image.to_string()), "{torn:?}");
        let aside = torn.result.as_ref().unwrap().strip_prefix("moved to ").unwrap();
        assert!(aside.starts_with("/wharf/v1/quarantine/links/"), "{aside}");
        assert!(aside.ends_with(current.as_str()), "{aside}");
        let kept = volume.driver.get(&path(aside.to_owned()), 100).await.unwrap();
        assert_eq!(kept, "sha256:12");
        let again = volume.check().await;
        assert_eq!(kinds(&again), of(&[Kind::TagWithoutCurrent]), "{again:#?}");
    }
}

#[tokio::test]
async fn damaged_content_is_kept_and_a_push_of_it_heals() {
    for volume in Volume::each().await {
        let layer = sha256(LAYER);
        let mut damaged = LAYER.to_vec();
        damaged[0] ^= 1;
        volume.write(&layout::blob_data(&layer), damaged.clone()).await;
        let report = volume.repair().await;
        let found = &report.of(Kind::BlobCorrupt).unwrap().listed[0];
        let aside = found.result.as_ref().unwrap().strip_prefix("moved to ").unwrap();
        let begins = format!("/wharf/v1/quarantine/sha256/{}.", layer.hex());
        assert!(aside.starts_with(&begins), "{aside}");
        let kept = volume.driver.get(&path(aside.to_owned()), 100).await.unwrap();
        assert_eq!(kept, damaged);
        push_blob(&volume.registry(), REPOSITORY, LAYER).await;
        let again = volume.check().await;
        assert!(again.is_whole() && again.findings.is_empty(), "{again:#?}");
        volume.pull("v1").await;
    }
}

#[tokio::test]
async fn an_index_without_a_child_is_sparse_and_not_broken() {
    for volume in Volume::each().await {
        let registry = volume.registry();
        registry.delete_manifest(&name(REPOSITORY), &volume.image).await.unwrap();
        let report = volume.check().await;
        assert!(report.is_whole(), "{report:#?}");
        let children = report.of(Kind::IndexChildMissing).unwrap();
        assert_eq!(children.listed[0].repository.as_deref(), Some(REPOSITORY));
        assert_eq!(children.listed[0].digest, Some(volume.image.to_string()));
        assert!(children.listed[0].path.contains(&volume.index.hex()), "{children:?}");
        // Nobody else refers to what it was made of.
        assert_eq!(report.orphans.unwrap().blobs, 1, "{report:#?}");
        assert!(report.unused.unwrap().blobs >= 1, "{report:#?}");
    }
}

#[tokio::test]
async fn a_manifest_of_docker_s_first_schema_uses_its_layers() {
    let volume = Volume::in_memory().await;
    let before = volume.check().await.unused.unwrap();
    let layer = push_blob(&volume.registry(), "old", b"layer of old").await;
    assert_eq!(volume.check().await.unused.unwrap().blobs, before.blobs + 1);
    let manifest = format!(
        r#"{{"schemaVersion":1,"name":"old","tag":"t","fsLayers":[{{"blobSum":"{layer}"}}]}}"#
    );
    let digest = sha256(manifest.as_bytes());
    volume.write(&layout::blob_data(&digest), manifest).await;
    volume.write(&layout::revision_link(&name("old"), &digest), digest.to_string()).await;
    let report = volume.check().await;
    assert!(report.findings.is_empty(), "{report:#?}");
    assert_eq!(report.unused.unwrap(), before);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_named_and_left_alone() {
    let volume = Volume::each().await.swap_remove(1);
    let root = volume.directory.as_ref().unwrap().path();
    let blob = layout::blob_data(&sha256(LAYER));
    let link = layout::layer_link(&name(REPOSITORY), &sha256(LAYER));
    let mut left = Vec::new();
    for (beside, hours) in [(&blob, 5), (&link, 2), (&link, 0)] {
        let name = format!("{beside}.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e{hours:02}.tmp");
        let file = std::fs::File::create(root.join(&name[1..])).unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600 + 60);
        file.set_modified(time).unwrap();
        left.push(name);
    }
    // An empty directory, as an interrupted push leaves it.
    let empty = layout::blob_data(&sha256(b"never came")).parent().unwrap();
    std::fs::create_dir_all(root.join(&empty.as_str()[1..])).unwrap();
    let report = volume.repair().await;
    assert!(report.is_whole(), "{report:#?}");
    let kinds_found = kinds(&report);
    let expected = of(&[Kind::LeftoverFile, Kind::LeftoverFile, Kind::BlobWithoutData]);
    assert_eq!(kinds_found, expected, "{report:#?}");
    let mut named: Vec<_> =
        report.of(Kind::LeftoverFile).unwrap().listed.iter().map(|f| f.path.clone()).collect();
    named.sort();
    assert_eq!(named, left[..2]);
    // What may still be written to stays.
    let still_there = left.iter().map(|name| root.join(&name[1..]).exists());
    assert_eq!(still_there.collect::<Vec<_>>(), [false, false, true]);
}

#[tokio::test]
async fn one_repository_is_checked_with_its_blobs_alone() {
    let volume = Volume::in_memory().await;
    volume.write(&layout::blob_data(&sha256(LAYER)), "damaged").await;
    volume.write(&layout::layer_link(&name("another"), &sha256(b"alone")), "").await;
    let only = |pattern: &str| CheckOptions {
        repositories: Some(pattern.parse().unwrap()),
        ..CheckOptions::default()
    };
    let report = volume.check_with(only("anoth*")).await;
    assert_eq!(kinds(&report), of(&[Kind::LayerLinkTorn]), "{report:#?}");
    assert_eq!((report.checked.repositories, report.orphans), (1, None));
    assert_eq!(report.checked.blobs, 2);
    let report = volume.check_with(only("a/**")).await;
    assert_eq!(report.of(Kind::BlobCorrupt).unwrap().total, 1, "{report:#?}");
    assert!(report.of(Kind::LayerLinkTorn).is_none());
}

#[tokio::test]
async fn the_same_damage_is_told_of_whatever_reads_at_once() {
    let volume = Volume::in_memory().await;
    volume.write(&layout::blob_data(&sha256(LAYER)), "damaged").await;
    let mut reports = Vec::new();
    for concurrency in [1, 2, 64] {
        reports
            .push(volume.check_with(CheckOptions { concurrency, ..CheckOptions::default() }).await);
    }
    assert!(reports.windows(2).all(|w| kinds(&w[0]) == kinds(&w[1])), "{reports:#?}");
    assert!(reports.windows(2).all(|w| w[0].checked == w[1].checked), "{reports:#?}");
}
