//! Snapshots and restores that are cut short at any place.

use std::sync::Arc;

use archive::backup::RestoreOptions;
use archive::{Backup, BackupError, Meter};
use storage::Driver;
use storage::faulty::{Fault, Faulty};

use crate::support::{at_once, files, fill, memory, on_disk, pull_all, push_image, registry_on};

const REGISTRY: &str = "/docker/registry/v2";

async fn create(source: &Arc<dyn Driver>, place: Arc<dyn Driver>) -> Result<String, BackupError> {
    let backup = Backup::make(place).await?;
    let report = backup.create(&registry_on(source), &at_once(1), &Meter::default()).await?;
    Ok(report.snapshot)
}

async fn copy_of(driver: &Arc<dyn Driver>) -> Arc<dyn Driver> {
    let copy = memory();
    for (path, content) in files(driver, "/").await {
        copy.put(&crate::support::path(&path), content).await.unwrap();
    }
    copy
}

#[tokio::test]
async fn whatever_fails_while_a_snapshot_is_made_all_that_can_be_seen_are_whole() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    let first = create(&source, Arc::clone(&place)).await.unwrap();
    let before = files(&source, REGISTRY).await;
    push_image(&registry_on(&source), "team/app", "v3", &[b"new", &vec![3; 2 << 20]]).await;
    let after = files(&source, REGISTRY).await;

    let trial = Faulty::new(copy_of(&place).await);
    create(&source, Arc::new(trial.clone())).await.unwrap();
    assert!(trial.operations() > 10);
    for operation in 0..trial.operations() {
        for fault in Fault::ALL {
            let inner = copy_of(&place).await;
            let faulty = Faulty::new(Arc::clone(&inner));
            faulty.fail_at(operation, fault);
            let outcome = create(&source, Arc::new(faulty.clone())).await;
            let hit = faulty.hit();
            let backup = Backup::open(Arc::clone(&inner)).await.unwrap();
            let report = backup.verify(None, 2, &Meter::default()).await.unwrap();
            assert!(report.is_success(), "{hit:?}: {report:?}");
            assert_eq!(report.snapshots[0], first);
            assert!(outcome.is_err() || report.snapshots.len() == 2, "{hit:?}");
            for name in report.snapshots {
                let target = memory();
                let expected = if name == first { &before } else { &after };
                let options = RestoreOptions { snapshot: Some(name), ..RestoreOptions::default() };
                backup.restore(&target, &options, &Meter::default()).await.unwrap();
                assert_eq!(&files(&target, REGISTRY).await, expected, "{hit:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_fails_makes_no_snapshot() {
    let source = memory();
    fill(&source).await;
    let trial = Faulty::new(Arc::clone(&source)).counting_reads();
    create(&(Arc::new(trial.clone()) as Arc<dyn Driver>), memory()).await.unwrap();
    for operation in 0..trial.operations() {
        let faulty = Faulty::new(Arc::clone(&source)).counting_reads();
        faulty.fail_at(operation, Fault::ALL[3]);
        let place = memory();
        let watched: Arc<dyn Driver> = Arc::new(faulty.clone());
        let outcome = create(&watched, Arc::clone(&place)).await;
        assert!(outcome.is_err(), "{:?} was swallowed", faulty.hit());
        assert!(files(&place, "/snapshots").await.is_empty(), "{:?}", faulty.hit());
    }
}

#[tokio::test]
async fn a_snapshot_that_is_given_up_leaves_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let (source, place) = (memory(), on_disk(directory.path()));
    fill(&source).await;
    create(&source, Arc::clone(&place)).await.unwrap();
    push_image(&registry_on(&source), "more", "v1", &[b"more", &vec![1; 4 << 20]]).await;
    let backup = Backup::make(Arc::clone(&place)).await.unwrap();
    let registry = registry_on(&source);
    let mut dropped = 0;
    for steps in 0..60 {
        let meter = Meter::default();
        let options = at_once(2);
        let making = backup.create(&registry, &options, &meter);
        let time = std::time::Duration::from_micros(steps * 300);
        dropped += u32::from(tokio::time::timeout(time, making).await.is_err());
    }
    assert!(dropped > 0);
    let report = backup.verify(None, 2, &Meter::default()).await.unwrap();
    assert!(report.is_success(), "{report:?}");

    let meter = Meter::default();
    meter.stop();
    let stopped = backup.create(&registry, &at_once(2), &meter).await;
    assert!(matches!(stopped, Err(BackupError::Stopped)), "{stopped:?}");
}

#[tokio::test]
async fn whatever_fails_while_a_snapshot_is_put_back_nothing_half_is_served() {
    let (source, place) = (memory(), memory());
    fill(&source).await;
    create(&source, Arc::clone(&place)).await.unwrap();
    let backup = Backup::open(Arc::clone(&place)).await.unwrap();
    let options = RestoreOptions { concurrency: 1, ..RestoreOptions::default() };
    let expected = files(&source, REGISTRY).await;
    let trial: Faulty = Faulty::new(memory());
    let target: Arc<dyn Driver> = Arc::new(trial.clone());
    backup.restore(&target, &options, &Meter::default()).await.unwrap();
    for operation in 0..trial.operations() {
        for fault in [Fault::ALL[3], Fault::ALL[7], Fault::ALL[8]] {
            let inner = memory();
            let faulty = Faulty::new(Arc::clone(&inner));
            faulty.fail_at(operation, fault);
            let target: Arc<dyn Driver> = Arc::new(faulty.clone());
            let outcome = backup.restore(&target, &options, &Meter::default()).await;
            assert!(outcome.is_err(), "{:?} was swallowed", faulty.hit());
            pull_all(&inner).await;
            // And then it goes on.
            backup.restore(&inner, &options, &Meter::default()).await.unwrap();
            assert_eq!(files(&inner, REGISTRY).await, expected, "{:?}", faulty.hit());
        }
    }
}
