//! What was deleted at the source.

use std::sync::Arc;

use registry::transfer::Counts;
use registry::{Options, Registry, TransferOptions, layout};
use storage::Driver;
use storage::faulty::{Fault, Faulty};

use super::model::{assert_whole, contents, pulled, whole};
use super::{copy, copy_with, filled, memory, overwrite};
use crate::support::{name, push_blob, push_image, tag, tags};

fn deleting() -> TransferOptions {
    TransferOptions { delete: true, ..TransferOptions::default() }
}

#[tokio::test]
async fn it_is_removed_only_when_asked_for_and_only_where_the_source_has_been() {
    let (source, target) = (filled().await, memory());
    let registry = Registry::new(Arc::clone(&source), Options::default());
    let first = push_image(&registry, "r", "first").await;
    push_image(&registry, "r", "second").await;
    let layer = push_blob(&registry, "r", b"a layer").await;
    copy(&source, &target).await;
    let elsewhere = Registry::new(Arc::clone(&target), Options::default());
    push_image(&elsewhere, "only/at/the/target", "t").await;

    registry.delete_manifest(&name("r"), &first).await.unwrap();
    registry.delete_blob(&name("r"), &layer).await.unwrap();
    let report = copy(&source, &target).await;
    assert_eq!((report.deleted, report.copied), (Counts::default(), Counts::default()));
    assert_eq!(tags(&elsewhere, "r").await, ["first", "second"]);

    let report = copy_with(&source, &target, deleting()).await;
    let expected = Counts { tags: 1, manifests: 1, layers: 1, ..Counts::default() };
    assert_eq!(report.deleted, expected, "{report:?}");
    assert!(report.is_success());
    assert_eq!(report.only_at_target.total, 1, "{report:?}");
    assert_eq!(report.only_at_target.listed[0].path, "only/at/the/target");
    let copied = Registry::new(Arc::clone(&target), Options::default());
    assert_eq!(tags(&copied, "r").await, ["second"]);
    assert_eq!(tags(&copied, "only/at/the/target").await, ["t"]);
    assert_whole(&target).await;
}

#[tokio::test]
async fn what_is_damaged_was_not_deleted() {
    let (source, target) = (filled().await, memory());
    let registry = Registry::new(Arc::clone(&source), Options::default());
    push_image(&registry, "r", "t").await;
    copy(&source, &target).await;
    let served = pulled(&target, "r", "t").await.unwrap();
    overwrite(&source, &layout::tag_current(&name("r"), &tag("t")), "").await;
    let report = copy_with(&source, &target, deleting()).await;
    assert_eq!(report.deleted, Counts::default(), "{report:?}");
    assert_eq!(report.left_out.total, 1);
    assert_eq!(pulled(&target, "r", "t").await, Some(served));
}

/// A tag that could not be moved keeps what it names.
#[tokio::test]
async fn what_a_tag_of_the_target_names_stays() {
    let (source, target) = (memory(), memory());
    let registry = Registry::new(Arc::clone(&source), Options::default());
    let old = push_image(&registry, "r", "t").await;
    copy(&source, &target).await;
    let served = pulled(&target, "r", "t").await.unwrap();
    push_image(&registry, "r", "other").await;
    let other = registry.resolve_tag(&name("r"), &tag("other")).await.unwrap();
    overwrite(&source, &layout::tag_current(&name("r"), &tag("t")), other.to_string()).await;
    registry.delete_manifest(&name("r"), &old).await.unwrap();
    overwrite(&source, &layout::blob_data(&other), "damaged").await;
    let report = copy_with(&source, &target, deleting()).await;
    assert!(!report.is_success());
    assert_eq!(report.deleted.manifests, 0, "{report:?}");
    assert_eq!(pulled(&target, "r", "t").await, Some(served));
}

#[tokio::test]
async fn cut_short_anywhere_nothing_leads_to_what_is_gone() {
    let source = filled().await;
    let registry = Registry::new(Arc::clone(&source), Options::default());
    let first = push_image(&registry, "r", "first").await;
    push_image(&registry, "r", "second").await;
    let layer = push_blob(&registry, "r", b"a layer").await;
    let before = whole(&source).await;
    registry.delete_manifest(&name("r"), &first).await.unwrap();
    registry.delete_blob(&name("r"), &layer).await.unwrap();
    let expected = whole(&source).await;
    let made = async || {
        let target = memory();
        for (path, content) in &before {
            overwrite(
                &target,
                &storage::StoragePath::parse(path.clone()).unwrap(),
                content.clone(),
            )
            .await;
        }
        target
    };
    let dry = Faulty::new(made().await);
    let dry_target: Arc<dyn Driver> = Arc::new(dry.clone());
    copy_with(&source, &dry_target, deleting()).await;
    for operation in 0..dry.operations() {
        for fault in Fault::ALL {
            let target = made().await;
            let faulty = Faulty::new(Arc::clone(&target));
            faulty.fail_at(operation, fault);
            let failing: Arc<dyn Driver> = Arc::new(faulty.clone());
            let transfer = registry::Transfer::new(Arc::clone(&source), failing, deleting());
            // Whatever came of it.
            let _ = transfer.run().await;
            let hit = faulty.hit().unwrap();
            assert_whole(&target).await;
            assert!(copy_with(&source, &target, deleting()).await.is_success(), "{hit}");
            assert_eq!(contents(&target).await, expected, "{hit}");
        }
    }
}
