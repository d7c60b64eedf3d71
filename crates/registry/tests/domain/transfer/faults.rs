//! A transfer that is cut short anywhere, and goes on.

use std::sync::Arc;

use registry::transfer::{Counts, End};
use registry::{Registry, Transfer, TransferOptions};
use storage::Driver;
use storage::faulty::{Failure, Fault, Faulty, Progress};

use super::model::{assert_images_are_whole, assert_whole, contents, whole};
use super::{copy, filled, memory};
use crate::support::push_blob;

/// Runs one against failing storages; whether it says that it has copied everything.
async fn run(passes_max: u32, source: Arc<dyn Driver>, target: Arc<dyn Driver>) -> bool {
    let options = TransferOptions { passes_max, concurrency: 2, ..TransferOptions::default() };
    let outcome = Transfer::new(source, target, options).run().await;
    outcome.is_ok_and(|report| report.is_success())
}

#[tokio::test]
async fn killed_anywhere_the_target_is_whole_and_it_goes_on() {
    let source = filled().await;
    let expected = whole(&source).await;
    let dry = Faulty::new(memory());
    assert!(run(3, Arc::clone(&source), Arc::new(dry.clone())).await);
    let operations = dry.operations();
    assert!(operations > 40, "{operations}");
    for operation in 0..operations {
        for fault in Fault::ALL {
            let target = memory();
            let faulty = Faulty::new(Arc::clone(&target));
            faulty.fail_at(operation, fault);
            // What a pass leaves, and what later ones make of it.
            let passes = if matches!(fault, Fault::Error(Failure::NoSpace, _)) { 1 } else { 3 };
            let is_success = run(passes, Arc::clone(&source), Arc::new(faulty.clone())).await;
            let hit = faulty.hit().unwrap();
            // An error may be made good by a later pass, or hit what only tidies up.
            if is_success {
                assert_eq!(contents(&target).await, expected, "{hit}");
            }
            assert_whole(&target).await;
            assert_images_are_whole(&target).await;
            let report = copy(&source, &target).await;
            assert!(report.is_success(), "{hit} {report:?}");
            assert_eq!(contents(&target).await, expected, "{hit}");
        }
    }
}

#[tokio::test]
async fn a_source_that_fails_is_not_an_empty_one() {
    let source = filled().await;
    let expected = whole(&source).await;
    let dry = Faulty::new(Arc::clone(&source)).counting_reads();
    assert!(run(3, Arc::new(dry.clone()), memory()).await);
    for operation in 0..dry.operations() {
        for fault in [Fault::Crash(Progress::Nothing), Fault::Error(Failure::Io, Progress::Nothing)]
        {
            let target = memory();
            let passes = if matches!(fault, Fault::Crash(_)) { 3 } else { 1 };
            let faulty = Faulty::new(Arc::clone(&source)).counting_reads();
            faulty.fail_at(operation, fault);
            let is_success = run(passes, Arc::new(faulty.clone()), Arc::clone(&target)).await;
            // One pass has fewer operations.
            let Some(hit) = faulty.hit() else { continue };
            if is_success {
                assert_eq!(contents(&target).await, expected, "{hit}");
            }
            assert!(!is_success || !faulty.has_crashed(), "{hit}");
            assert_whole(&target).await;
            assert_images_are_whole(&target).await;
            assert!(copy(&source, &target).await.is_success());
            assert_eq!(contents(&target).await, expected, "{hit}");
        }
    }
}

#[tokio::test]
async fn a_storage_that_is_gone_is_given_up() {
    let source = memory();
    let registry = Registry::new(Arc::clone(&source), registry::Options::default());
    for number in 0..300 {
        push_blob(&registry, "many", format!("{number}").as_bytes()).await;
    }
    let target = memory();
    let faulty = Faulty::new(Arc::clone(&target));
    faulty.fail_at(10, Fault::Crash(Progress::Nothing));
    let transfer = Transfer::new(
        Arc::clone(&source),
        Arc::new(faulty) as Arc<dyn Driver>,
        TransferOptions::default(),
    );
    let report = transfer.run().await.unwrap();
    assert_eq!((report.end, report.passes), (End::GaveUp, 1));
    assert!((64..100).contains(&report.failed.total), "{}", report.failed.total);
    assert!(!report.is_success());
    assert!(copy(&source, &target).await.is_success());
    assert_eq!(contents(&target).await, contents(&source).await);
}

#[tokio::test]
async fn it_stops_when_it_is_told_to_and_goes_on() {
    let source = memory();
    let registry = Registry::new(Arc::clone(&source), registry::Options::default());
    for number in 0..300 {
        push_blob(&registry, "many", format!("{number}").as_bytes()).await;
    }
    let target = memory();
    let transfer =
        Transfer::new(Arc::clone(&source), Arc::clone(&target), TransferOptions::default());
    let stop = async {
        while transfer.snapshot().copied == Counts::default() {
            tokio::task::yield_now().await;
        }
        transfer.stop();
    };
    let (report, ()) = tokio::join!(transfer.run(), stop);
    let report = report.unwrap();
    assert_eq!(report.end, End::Stopped);
    assert!(!report.is_success());
    assert!((1..300).contains(&report.copied.blobs), "{report:?}");
    assert_whole(&target).await;
    let rest = copy(&source, &target).await;
    assert_eq!(rest.there.blobs, report.copied.blobs);
    assert_eq!(contents(&target).await, contents(&source).await);
}
