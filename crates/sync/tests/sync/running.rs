//! Who runs a job, how fast, and where it may write.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use registry::{Lease, layout::SyncPaths};
use sync::{Gate, Pace, SyncError, Synchronizer};
use tokio_util::sync::CancellationToken;

use crate::support::{Remote, copied, from, name, push_image, registry, sha256, tagged, to};

#[tokio::test]
async fn one_at_a_time_works_on_a_job() {
    let remote = Remote::start().await;
    let here = registry();
    let job = from(&remote, &["a"]);
    let lease = Lease::acquire(&here, SyncPaths::of("job").unwrap().lease()).await.unwrap();
    assert!(lease.is_some());
    let synchronizer = Synchronizer::new(Arc::clone(&here), job.clone(), None);
    let stop = CancellationToken::new();
    assert!(matches!(synchronizer.run(&stop).await, Err(SyncError::Running)));
    assert!(matches!(synchronizer.work(&stop).await, Err(SyncError::Running)));
    synchronizer.plan().await.unwrap();
    drop(lease);
    copied(&here, &job).await;
    assert_eq!(synchronizer.status().await.unwrap().holder, None);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_copied_and_writes_nothing() {
    let remote = Remote::start().await;
    let here = registry();
    push_image(&here, "a", Some("v1"), &[b"0123456789"]).await;
    let synchronizer = Synchronizer::new(Arc::clone(&here), to(&remote, &["*"]), None);
    let plan = synchronizer.plan().await.unwrap();
    assert_eq!((plan.items.len(), plan.looked_at, plan.repositories), (1, 1, 1));
    let item = &plan.items[0];
    assert_eq!((item.repository.as_str(), item.reference.as_str()), ("a", "v1"));
    assert!(item.size_bytes.is_some_and(|bytes| bytes > 300), "{item:?}");
    assert_eq!(tagged(&remote.registry, "a", "v1").await, None);
    assert_eq!(synchronizer.status().await.unwrap(), sync::JobStatus::default());
}

#[tokio::test]
async fn what_mirrors_another_registry_is_not_written_to() {
    let remote = Remote::start().await;
    push_image(&remote.registry, "hub/a", Some("v1"), &[b"base"]).await;
    push_image(&remote.registry, "b", Some("v1"), &[b"base"]).await;
    let here = registry();
    let protected = Arc::new(|name: &oci::RepositoryName| name.as_str().starts_with("hub/"));
    let job = from(&remote, &["**"]);
    let synchronizer = Synchronizer::new(Arc::clone(&here), job, Some(protected));
    let report = synchronizer.run(&CancellationToken::new()).await.unwrap();
    assert_eq!((report.copied, report.problems.len()), (1, 1));
    assert_eq!(report.problems[0].repository, "hub/a");
    assert!(report.problems[0].reason.contains("mirrors another registry"));
    assert!(!report.is_success());
    assert_eq!(tagged(&here, "hub/a", "v1").await, None);
}

#[derive(Debug)]
struct Full;

#[async_trait]
impl Gate for Full {
    async fn admit(&self, bytes: u64) -> Result<(), String> {
        if bytes > 1_000_000 { Err("the volume is full".to_owned()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn nothing_is_written_where_there_is_no_room_for_it() {
    let remote = Remote::start().await;
    let large = vec![1; 2_000_000];
    push_image(&remote.registry, "a", Some("v1"), &[&large]).await;
    push_image(&remote.registry, "a", Some("v2"), &[b"small"]).await;
    let here = registry();
    let synchronizer =
        Synchronizer::new(Arc::clone(&here), from(&remote, &["a"]), None).with_gate(Arc::new(Full));
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        stopped.cancel();
    });
    let report = synchronizer.run(&stop).await.unwrap();
    assert_eq!((report.copied, report.left, report.stopped), (1, 1, true));
    assert!(report.retried >= 1);
    let oldest = synchronizer.status().await.unwrap().oldest.unwrap();
    assert_eq!(oldest.error.as_deref(), Some("the volume is full"));
    assert!(here.stat_blob(&name("a"), &sha256(&large)).await.is_err());
}

#[tokio::test]
async fn bytes_and_requests_keep_to_their_pace() {
    let remote = Remote::start().await;
    let here = registry();
    push_image(&here, "a", Some("v1"), &[&vec![1; 1 << 20]]).await;
    let mut job = to(&remote, &["a"]);
    job.pace.bytes_per_second = NonZeroU64::new(1 << 20);
    let begun = Instant::now();
    copied(&here, &job).await;
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());

    let mut job = from(&remote, &["a"]);
    job.pace = Pace { requests_per_minute: NonZeroU32::new(600), ..Pace::default() };
    let begun = Instant::now();
    let report = copied(&registry(), &job).await;
    assert_eq!(report.copied, 1);
    // The tags, the tag twice, the manifest, a configuration and a layer.
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_job_that_is_stopped_goes_on_where_it_was() {
    let remote = Remote::start().await;
    let here = registry();
    for number in 0..20 {
        let layer = vec![number; 500_000];
        push_image(&here, "a", Some(&format!("v{number}")), &[&layer]).await;
    }
    let mut job = to(&remote, &["a"]);
    job.pace.bytes_per_second = NonZeroU64::new(5_000_000);
    let synchronizer = Synchronizer::new(Arc::clone(&here), job.clone(), None);
    let stop = CancellationToken::new();
    // As a kill: the run is dropped wherever it is.
    let cut = tokio::time::timeout(Duration::from_millis(700), synchronizer.run(&stop)).await;
    assert!(cut.is_err(), "it was to be dropped before its end");
    drop(synchronizer);
    job.pace = Pace::default();
    let next = Synchronizer::new(Arc::clone(&here), job, None);
    let queued = next.status().await.unwrap().queued;
    assert!((1..20).contains(&queued), "{queued}");
    let report = next.work(&stop).await.unwrap();
    assert_eq!((report.copied + report.skipped, report.left), (queued, 0));
    for number in 0..20 {
        let tag = format!("v{number}");
        assert_eq!(
            tagged(&remote.registry, "a", &tag).await,
            tagged(&here, "a", &tag).await,
            "{tag}"
        );
    }
}
