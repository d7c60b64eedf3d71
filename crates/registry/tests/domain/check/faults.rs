//! A storage that fails, and a check that is killed.

use std::sync::Arc;

use registry::check::{CheckOptions, End, Kind, Outcome};
use registry::{Check, CheckError, layout};
use storage::Driver;
use storage::faulty::{Failure, Fault, Faulty, Progress};
use storage::memory::Memory;

use super::fixture::{CONFIG, LAYER, REPOSITORY, Volume};
use super::kinds;
use crate::support::{name, sha256, tag};

/// A volume with something of each that a repair writes or moves.
async fn broken() -> Volume {
    let volume = Volume::in_memory().await;
    let repository = name(REPOSITORY);
    volume.write(&layout::layer_link(&repository, &sha256(LAYER)), "").await;
    volume.delete(&layout::layer_link(&repository, &sha256(CONFIG))).await;
    volume.write(&layout::revision_link(&repository, &volume.index), "").await;
    volume.write(&layout::tag_current(&repository, &tag("v1")), "").await;
    volume.write(&layout::tag_current(&repository, &tag("moved")), "").await;
    volume.write(&layout::layer_link(&repository, &sha256(b"gone")), "x").await;
    volume.write(&layout::blob_data(&sha256(b"orphan")), "damaged").await;
    volume
}

#[tokio::test]
async fn a_repair_that_is_killed_anywhere_is_finished_by_the_next() {
    let options = CheckOptions { repair: true, concurrency: 1, ..CheckOptions::default() };
    let volume = broken().await;
    let trial = Faulty::new(Arc::clone(&volume.driver));
    let report = Check::new(Arc::new(trial.clone()), options.clone()).run().await.unwrap();
    assert!(report.is_whole(), "{report:#?}");
    assert!(trial.operations() > 7, "{}", trial.operations());
    for operation in 0..trial.operations() {
        for fault in Fault::ALL {
            let volume = broken().await;
            let faulty = Faulty::new(Arc::clone(&volume.driver));
            faulty.fail_at(operation, fault);
            let cut = Check::new(Arc::new(faulty.clone()), options.clone()).run().await;
            let hit = faulty.hit();
            if matches!(fault, Fault::Error(..)) {
                // Either it is said, or it was done all the same.
                let report = cut.unwrap();
                let again = volume.check().await;
                assert!(again.is_whole() || !report.is_whole(), "{hit:?} {report:#?} {again:#?}");
            }
            let report = volume.repair().await;
            assert!(report.is_whole(), "{hit:?} {report:#?}");
            for tag in ["v1", "also"] {
                volume.pull(tag).await;
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_the_rest_goes_on() {
    let volume = Volume::in_memory().await;
    let options = CheckOptions { concurrency: 1, ..CheckOptions::default() };
    let trial = Faulty::new(Arc::clone(&volume.driver)).counting_reads();
    Check::new(Arc::new(trial.clone()), options.clone()).run().await.unwrap();
    for operation in 0..trial.operations() {
        let faulty = Faulty::new(Arc::clone(&volume.driver)).counting_reads();
        faulty.fail_at(operation, Fault::Error(Failure::Io, Progress::Nothing));
        match Check::new(Arc::new(faulty.clone()), options.clone()).run().await {
            Ok(report) => {
                let unreadable = report.of(Kind::Unreadable).expect("it is said");
                assert_eq!(unreadable.total, 1, "{:?} {report:#?}", faulty.hit());
                assert!(!report.is_whole() && report.end == End::Finished);
            }
            Err(error) => assert!(matches!(error, CheckError::Storage(_)), "{error}"),
        }
    }
}

#[tokio::test]
async fn it_gives_up_when_the_storage_is_away() {
    let volume = Volume::in_memory().await;
    for number in 0..200_u32 {
        let content = number.to_string();
        volume.write(&layout::blob_data(&sha256(content.as_bytes())), content).await;
    }
    let faulty = Faulty::new(Arc::clone(&volume.driver)).counting_reads();
    faulty.fail_at(30, Fault::Crash(Progress::Nothing));
    let options = CheckOptions { repair: true, ..CheckOptions::default() };
    let report = Check::new(Arc::new(faulty), options).run().await.unwrap();
    assert_eq!(report.end, End::GaveUp);
    assert!(!report.is_whole());
    assert!(
        report.findings.iter().all(|g| g.listed.iter().all(|f| f.outcome != Outcome::SetAside))
    );
}

#[tokio::test]
async fn a_disk_that_is_not_mounted_is_not_mended() {
    let volume = Volume::in_memory().await;
    volume.delete(&layout::blobs()).await;
    let repair = CheckOptions { repair: true, ..CheckOptions::default() };
    let refused = Check::new(Arc::clone(&volume.driver), repair.clone()).run().await;
    assert!(matches!(refused, Err(CheckError::NoBlobs { .. })), "{refused:?}");
    let report = volume.check().await;
    assert!(kinds(&report)[&Kind::ManifestMissing] > 2, "{report:#?}");
    let nothing: Arc<dyn Driver> = Arc::new(Memory::new());
    let refused = Check::new(nothing, repair).run().await;
    assert!(matches!(refused, Err(CheckError::NothingThere { .. })), "{refused:?}");
}
